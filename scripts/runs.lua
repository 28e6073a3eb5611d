-- runs.lua -- `incsh runs [FOLDER]`: the runs in a folder, or in ./runs, as a table.
-- Lists are written with commas: --columns name,best; --where optimizer=adamw,state=finished.
local cli = require 'inc.cli'
local overview = require 'inc.run.table'

if cli.wants_help('runs', arg) then return end
local alone, options = cli.parse('runs', arg, overview.spec, {json = true})
if #alone > 1 then error(('runs: expected one folder, got %d'):format(#alone), 0) end

local function words(text)
  local list = {}
  for word in text:gmatch '[^,]+' do list[#list + 1] = word end
  return list
end

if options.columns then options.columns = words(options.columns) end
if options.where then
  local condition = {}
  for _, word in ipairs(words(tostring(options.where))) do
    local name, value = word:match '^([^=]+)=(.*)$'
    if not name then error(('runs: --where: expected column=value, got %s'):format(word), 0) end
    condition[name] = tonumber(value) or value
  end
  options.where = condition
end
local json = options.json
options.json, options.folder = nil, alone[1]
local result = overview.runs(options)
if json then cli.print_json{runs = result:to_table()} else print(result) end
