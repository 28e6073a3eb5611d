-- inspect.lua -- `incsh inspect FILE`: what is in a run, a checkpoint or a weights file.
local cli = require 'inc.cli'
local inspection = require 'inc.inspect'

if cli.wants_help('inspect', arg) then return end
local alone, options = cli.parse('inspect', arg, inspection.spec, {json = true})
if #alone ~= 1 then error(('inspect: expected one file or folder, got %d'):format(#alone), 0) end
local json = options.json
options.json, options.file = nil, alone[1]
local result = inspection.inspect(options)
if json then
  result.list = nil
  cli.print_json(setmetatable(result, nil))
else
  print(result)
end
