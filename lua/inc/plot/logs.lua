--- Columns of run logs for plots, read as they grow.
--
-- A live plot looks at a log again and again, and a log of a long run has many thousands of lines; so each
-- file is remembered with the place up to which it was read, and only what is new is decoded. Reading the
-- whole log each time was rejected: after an hour of training it would hold up the prompt for longer than a
-- keystroke may take.

local json = require 'inc.json'

local logs = {}

local known = {} -- path -> {at, rows, columns, names, head}

local function forget_unless_same(log, file)
  file:seek 'set'
  local head = file:read(64) or ''
  local size = file:seek 'end'
  if log and size >= log.at and head:sub(1, #log.head) == log.head then return log end
  return {at = 0, rows = 0, columns = {}, names = {}, head = head}
end

local function add_row(log, row)
  log.rows = log.rows + 1
  for name, value in pairs(row) do
    if type(value) == 'number' then
      if not log.columns[name] then
        log.columns[name] = {}
        log.names[#log.names + 1] = name
        table.sort(log.names)
      end
      log.columns[name][log.rows] = value
    end
  end
end

-- Lines that are whole; what a run is writing just now waits for the next look.
local function take_new(log, file, most)
  file:seek('set', log.at)
  local seen = 0
  for line in file:lines 'L' do
    if line:sub(-1) ~= '\n' or seen == most then break end
    log.at, seen = log.at + #line, seen + 1
    local ok, row = pcall(json.decode, line)
    if ok and type(row) == 'table' then add_row(log, row) end
  end
  return seen == most
end

--- The log of a run folder: {rows, columns (name -> values by row, with holes), names (sorted)}; nil and a
-- sentence when there is none.
-- @param folder the run's folder
-- @param most lines to decode in this call; all when left out. A second result says whether there are more
function logs.read(folder, most)
  local path = folder .. '/log.jsonl'
  local file <close> = io.open(path, 'rb')
  if not file then return nil, ('%s: no log of a run'):format(path) end
  local log = forget_unless_same(known[path], file)
  known[path] = log
  return log, take_new(log, file, most)
end

--- Is there a run's log in this folder?
function logs.is_run(folder)
  local file <close> = io.open(folder .. '/log.jsonl', 'rb')
  return file ~= nil
end

--- One column against another: two lists, only rows that have both.
-- @param log what logs.read gave
-- @param name the column
-- @param against 'step' mostly
function logs.pair(log, name, against)
  local from, to, x, y = log.columns[against] or {}, log.columns[name] or {}, {}, {}
  for i = 1, log.rows do
    if from[i] and to[i] then x[#x + 1], y[#y + 1] = from[i], to[i] end
  end
  return x, y
end

return logs
