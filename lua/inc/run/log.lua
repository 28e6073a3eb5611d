--- A run's log.jsonl as columns.

local core = require 'inc.core'
local json = require 'inc.json'

local log = {}

local Log = {__name = 'inc.log'}

function Log:__tostring()
  local rows = #self.step
  return ('log: %d line%s of %s'):format(rows, rows == 1 and '' or 's', table.concat(self.names, ', '))
end

local function add_row(columns, row, n)
  for name, value in pairs(row) do
    if type(value) == 'number' then
      columns[name] = columns[name] or {}
      columns[name][n] = value
    end
  end
end

-- Lists without holes, so that all columns have one length and can be drawn together.
local function fill(columns, n)
  local names = {}
  for name, column in pairs(columns) do
    names[#names + 1] = name
    for i = 1, n do
      if column[i] == nil then column[i] = 0 / 0 end
    end
  end
  table.sort(names)
  return names
end

--- Read a log.
-- @param path log.jsonl; a torn last line is left out
-- @return columns by name, all of one length, with NaN where a line has no value; names, sorted
function log.read(path)
  local columns, n = {step = {}}, 0
  for line in core.read_file(path):gmatch '([^\n]*)\n' do
    n = n + 1
    add_row(columns, json.decode(line), n)
  end
  columns.names = fill(columns, n)
  return setmetatable(columns, Log)
end

return log
