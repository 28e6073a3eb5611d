-- doctor.lua -- `incsh doctor`: what this machine has, what is missing, and the command that gets it.
local cli = require 'inc.cli'
local args = require 'inc.args'

if cli.wants_help('doctor', arg) then return end
local alone, options = cli.parse('doctor', arg, args.spec('doctor', ''), {json = true})
if #alone > 0 then error(('doctor: expected no arguments, got %s'):format(alone[1]), 0) end
local result = inc.doctor{}
if options.json then cli.print_json(setmetatable(result, nil)) else print(result) end
