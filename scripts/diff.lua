-- diff.lua -- `incsh diff RUN RUN`: two runs side by side.
local cli = require 'inc.cli'
local difference = require 'inc.run.diff'

if cli.wants_help('diff', arg) then return end
local alone, options = cli.parse('diff', arg, difference.spec, {json = true})
if #alone ~= 2 then error(('diff: expected two folders of runs, got %d'):format(#alone), 0) end
if options.columns then
  local list = {}
  for name in options.columns:gmatch '[^,]+' do list[#list + 1] = name end
  options.columns = list
end
local json = options.json
options.json, options.a, options.b = nil, alone[1], alone[2]
local result = difference.diff(options)
if json then cli.print_json(result:to_table()) else print(result) end
