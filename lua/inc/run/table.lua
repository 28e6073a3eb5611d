--- runs: every run of a folder, or of this session, as a table that can be sorted and filtered.
--
-- A row is read from what a run's folder already holds: config.json, the two ends of log.jsonl (never its
-- middle, so a thousand long runs are as quick as short ones), the first bytes of best.safetensors and the
-- sizes of its files. An index file was rejected: it would be wrong as soon as somebody moves or deletes a
-- folder. Nothing here is an error but a folder that does not exist: half-written runs are rows that say what
-- is known, and other folders are counted and left alone.

local core = require 'inc.core'
local args = require 'inc.args'
local json = require 'inc.json'

local runs = {}

local DEPTH = 3      -- folders of folders of runs are looked through so deep
local END = 1 << 13  -- bytes at either end of a log that hold whole lines
local HEAD = 1 << 16 -- of best.safetensors, whose strings hold the names of the classes

-- -- one run ------------------------------------------------------------------------------------------------

-- The first and the last whole lines of a log as tables; nil where there is none.
local function log_ends(path)
  local f <close> = io.open(path, 'rb')
  if not f then return nil end
  local size = f:seek 'end'
  f:seek 'set'
  local head = f:read(END) or ''
  f:seek('set', math.max(0, size - END))
  local tail = f:read 'a' or ''
  local function decoded(line)
    local ok, row = pcall(json.decode, line or '')
    return ok and type(row) == 'table' and row or nil
  end
  return decoded(head:match '^([^\n]*)\n'), decoded(('\n' .. tail):match '^.*\n([^\n]*)\n')
end

-- Strings in the head of a safetensors file of ours, which begins with them.
local function head_strings(path)
  local f <close> = io.open(path, 'rb')
  local text = f and f:read(HEAD) or ''
  return function(name) return text:match('"' .. name:gsub('%.', '%%.') .. '":"([^"]*)"') end
end

local function file_size(path)
  local f <close> = io.open(path, 'rb')
  return f and f:seek 'end' or 0
end

-- Bytes of a run's files and of its checkpoints.
local function size_of(folder)
  local total = 0
  for _, part in ipairs{folder, folder .. '/checkpoints'} do
    local ok, names = pcall(core.list_folder, part)
    for _, name in ipairs(ok and names or {}) do
      local size = file_size(part .. '/' .. name)
      if size < 1 << 62 then total = total + size end -- a folder's "end" is the largest number
    end
  end
  return total
end

local function state_of(row, folder)
  if core.run_locked(folder) then return 'running' end
  if row.steps and row.step >= row.steps then return 'finished' end
  return 'stopped'
end

-- Where the values of a row stand in config.json. Only numbers and text are taken: anybody may have
-- written it.
local places = {
  optimizer = {'settings', 'optimizer', 'optimizer'}, lr = {'settings', 'optimizer', 'lr'},
  schedule = {'settings', 'schedule', 'schedule'}, batch = {'settings', 'batch'}, seed = {'settings', 'seed'},
  precision = {'settings', 'precision'}, augment = {'settings', 'augment'}, model = {'net', 'model'},
  data = {'data', 'path'}, steps = {'total'},
}

local function add_settings(row, config)
  for column, place in pairs(places) do
    local v = config
    for _, name in ipairs(place) do v = type(v) == 'table' and v[name] or nil end
    if type(v) == 'number' or type(v) == 'string' then row[column] = v end
  end
  row.steps = math.tointeger(row.steps)
end

local function add_log(row, folder)
  local first, last = log_ends(folder .. '/log.jsonl')
  first, last = first or {}, last or {}
  row.step = math.tointeger(last.step) or 0
  row.loss, row.img_s, row.epoch = tonumber(last.loss), tonumber(last.img_s), tonumber(last.epoch)
  row.date = tonumber(first.time)
  if row.date and tonumber(last.time) then row.seconds = last.time - row.date end
end

-- What is happening right now comes from the run itself, when it is one of this session.
local function add_live(row, run)
  local s = core.run_status(run.handle)
  row.state, row.step, row.steps, row.loss = s.state, s.step, s.steps, s.loss
  if s.best then row.best, row.best_step = s.best, s.best_step end
end

local function read_row(folder, name, live)
  local row = {name = name, path = folder, step = 0}
  local ok, config = pcall(json.read, folder .. '/config.json')
  if not ok or type(config) ~= 'table' or config.kind ~= 'run' then
    row.state = 'unreadable'
    return row
  end
  add_settings(row, config)
  add_log(row, folder)
  local best = head_strings(folder .. '/best.safetensors')
  row.best = tonumber(best 'val.top1')
  row.best_step = row.best and math.tointeger(tonumber(best 'step'))
  row.state, row.size = state_of(row, folder), size_of(folder)
  if live then add_live(row, live) end
  return row
end

-- -- many ---------------------------------------------------------------------------------------------------

local function live_runs()
  local Run, live = package.loaded['inc.run'], {}
  for _, run in ipairs(Run and Run.active() or {}) do live[run.folder] = run end
  return live
end

-- Runs at or below a folder, in byte order of their names; what is no run is counted.
local function scan(list, folder, name, depth, live, seen)
  local full = core.path_full(folder)
  if seen[full] then return end
  seen[full] = true
  if core.path_kind(folder .. '/config.json') then
    list[#list + 1] = read_row(full, name, live[full])
    return
  end
  local ok, names = pcall(core.list_folder, folder)
  local before, deeper = #list, depth < DEPTH
  for _, sub in ipairs(ok and names or {}) do
    local path = folder .. '/' .. sub
    if deeper and sub:sub(1, 1) ~= '.' and core.path_kind(path) == 'folder' then
      scan(list, path, name and name .. '/' .. sub or sub, depth + 1, live, seen)
    end
  end
  if depth > 0 and #list == before then list.others = list.others + 1 end
end

-- -- printing -----------------------------------------------------------------------------------------------

local Table = {__name = 'inc.runs'}
local methods = {}

local shown = {'name', 'state', 'step', 'best', 'best_step', 'loss', 'optimizer', 'lr', 'date', 'size'}
local titles = {best_step = 'at'}
local missed_least = {'size', 'date', 'optimizer', 'lr', 'best_step'} -- where the screen is narrow
local known = {'name', 'state', 'step', 'steps', 'epoch', 'best', 'best_step', 'loss', 'optimizer', 'lr',
  'schedule', 'batch', 'seed', 'precision', 'augment', 'model', 'data', 'img_s', 'seconds', 'date', 'size',
  'path'}

local function bytes(n)
  local units, i = {'B', 'kB', 'MB', 'GB', 'TB'}, 1
  while n >= 999.5 and i < #units do n, i = n / 1000, i + 1 end
  return (i == 1 and '%.0f %s' or '%.3g %s'):format(n, units[i])
end

local formats = {
  step = function(v, row) return row.steps and ('%d/%d'):format(v, row.steps) or ('%d'):format(v) end,
  best = function(v) return ('%.4f'):format(v) end,
  loss = function(v) return ('%.4f'):format(v) end,
  lr = function(v) return ('%.3g'):format(v) end,
  img_s = function(v) return ('%.1f'):format(v) end,
  seconds = function(v) return ('%.0f'):format(v) end,
  date = function(v) return os.date('%Y-%m-%d %H:%M', math.floor(v)) end,
  size = bytes,
}

local function cell(row, column)
  local v = row[column]
  if v == nil then return '' end
  local ok, text = pcall(formats[column] or tostring, v, row)
  return (ok and text or tostring(v)):gsub('%c', '?')
end

local left = {name = true, state = true, optimizer = true, schedule = true, precision = true, augment = true,
  model = true, data = true, path = true}

-- Lines, and the names of columns for which there is no room.
local function lines_of(self)
  local rows, o = {{}}, {right = {}, drop = {}, shrink = {}, keep_end = true, least = 16}
  for c, column in ipairs(self.columns) do
    rows[1][c], o.right[c] = titles[column] or column, not left[column]
    if column == 'name' then o.shrink[1] = c end
  end
  for i, row in ipairs(self) do
    rows[i + 1] = {}
    for c, column in ipairs(self.columns) do rows[i + 1][c] = cell(row, column) end
  end
  for _, name in ipairs(self.columns == shown and missed_least or {}) do
    for c, column in ipairs(self.columns) do
      if column == name then o.drop[#o.drop + 1] = c end
    end
  end
  local lines, dropped = require 'inc.show.columns'.lines(rows, o)
  local names = {}
  for c, column in ipairs(self.columns) do
    if dropped[c] then names[#names + 1] = titles[column] or column end
  end
  return lines, names
end

function Table:__tostring()
  local lines, missing = {}, {}
  if #self > 0 then lines, missing = lines_of(self) end
  local text = ('%d run%s'):format(#self, #self == 1 and '' or 's')
  if #self < self.found then text = ('%s of %d'):format(text, self.found) end
  text = text .. ' in ' .. self.where_from
  if self.others > 0 then
    text = text .. ('; %d other folder%s left out'):format(self.others, self.others == 1 and '' or 's')
  end
  if #missing > 0 then text = text .. '; no room for ' .. table.concat(missing, ', ') end
  lines[#lines + 1] = text
  return table.concat(lines, '\n')
end

-- -- sorting and filtering ----------------------------------------------------------------------------------

local function check_column(name)
  for _, each in ipairs(known) do
    if each == name then return name end
  end
  args.fail('runs: %s: unknown column%s', tostring(name), args.hint(name, known))
end

-- A new table of the rows in `list`, told like this one.
local function with_rows(self, list)
  for _, field in ipairs{'columns', 'found', 'others', 'where_from'} do list[field] = self[field] end
  return setmetatable(list, Table)
end

local function rank(v) return type(v) == 'number' and 1 or 2 end

-- Runs are numbered as often as named: 2 stands before 10.
local function sort_key(v)
  return type(v) == 'string' and v:gsub('%d+', function(n) return ('0'):rep(12 - #n) .. n end) or v
end

--- The same runs in another order; rows without a value come last.
-- @param column name of a column, shown or not; with a - in front, largest first
-- > runs 'runs/':sort '-best'
function methods:sort(column)
  local down = type(column) == 'string' and column:sub(1, 1) == '-'
  local name = check_column(down and column:sub(2) or column)
  local list, place = {}, {}
  for i, row in ipairs(self) do list[i], place[row] = row, i end
  table.sort(list, function(a, b)
    local x, y = sort_key(a[name]), sort_key(b[name])
    if x == y then return place[a] < place[b] end
    if x == nil or y == nil then return y == nil end
    if rank(x) ~= rank(y) then return rank(x) < rank(y) end
    if down then x, y = y, x end
    return x < y
  end)
  return with_rows(self, list)
end

local function check_condition(condition)
  if type(condition) == 'function' then return end
  if type(condition) ~= 'table' then
    args.fail('runs: where: expected {column = value} or a function, got %s', args.show(condition))
  end
  for name, wanted in pairs(condition) do
    check_column(name)
    local ok, why = pcall(string.find, '', type(wanted) == 'string' and wanted or '')
    if not ok then args.fail('runs: where: %s: %s', name, why) end
  end
end

local function fits(v, wanted)
  if type(wanted) == 'function' then return wanted(v) end
  if type(wanted) == 'string' then
    local text = v ~= nil and tostring(v)
    return text and (text:find(wanted, 1, true) or text:find(wanted)) ~= nil
  end
  return v == wanted
end

--- The runs that fit.
-- @param condition {column = value, ...}: numbers are equal, strings are found in the column as they stand
--   or as Lua patterns, functions are asked with the value; or one function of the row
-- > runs 'runs/':where{optimizer = 'adamw', best = function(v) return v and v > 0.9 end}
function methods:where(condition)
  check_condition(condition)
  local columns, list = type(condition) == 'table' and condition or {}, {}
  for _, row in ipairs(self) do
    local ok = columns == condition or condition(row)
    for name, wanted in pairs(columns) do ok = ok and fits(row[name], wanted) end
    if ok then list[#list + 1] = row end
  end
  return with_rows(self, list)
end

--- The rows as plain tables, for JSON.
-- > runs 'runs/':to_table()[1].name
function methods:to_table()
  local list = json.list{}
  for i, row in ipairs(self) do list[i] = row end
  return list
end

function Table.__index(_, key) return methods[key] end

args.object('runs', methods)

-- -- the verb -----------------------------------------------------------------------------------------------

runs.spec = args.spec('runs', 'folder:string?; sort:string?, where:any?, columns:strings?')

local function list_folder(folder)
  if not core.path_kind(folder) then args.fail('runs: %s: there is no such folder', folder) end
  if core.path_kind(folder) == 'file' then
    args.fail('runs: %s: is a file, expected a folder of runs', folder)
  end
  local list = {others = 0, where_from = folder}
  scan(list, folder:gsub('(.)/+$', '%1'), nil, 0, live_runs(), {})
  if list[1] and not list[1].name then list[1].name = folder:match '([^/]+)/*$' or folder end
  return list
end

-- Runs of this session, wherever they are, and those in ./runs.
local function list_here()
  local list, seen, live = {others = 0, where_from = 'this session and ./runs'}, {}, live_runs()
  local Run, here = package.loaded['inc.run'], core.path_full '.' .. '/'
  for _, folder in ipairs(Run and Run.folders() or {}) do
    local short = folder:sub(1, #here) == here and folder:sub(#here + 1) or folder
    if core.path_kind(folder) then scan(list, folder, short, DEPTH, live, seen) end
  end
  if core.path_kind 'runs' == 'folder' then scan(list, 'runs', 'runs', 0, live, seen) end
  return list
end

--- The runs in a folder as a table: name, state, step, best top-1 and its step, last loss, optimizer, rate,
-- date of the start, size. Without a folder: those of this session and those in ./runs.
-- @param folder a folder with runs in it, or in folders in it
-- @param sort a column (name when left out), with a - in front largest first: also epoch, steps, schedule,
--   batch, seed, precision, augment, model, data, img_s, seconds, path
-- @param where {column = value, ...} or a function of a row; see the method where
-- @param columns names of the columns to show
-- @return a table with a row a run, which prints; t[1].best, t:sort '-best', t:where{state = 'finished'}
-- > runs 'runs/'
-- > runs{'runs/', sort = '-best', where = {optimizer = 'sgd'}}
function runs.runs(given)
  local o = runs.spec(type(given) == 'string' and {given} or given or {})
  local list = o.folder and list_folder(o.folder) or list_here()
  list.columns, list.found = o.columns or shown, #list
  for _, name in ipairs(list.columns) do check_column(name) end
  local t = setmetatable(list, Table)
  if o.where then t = t:where(o.where) end
  return t:sort(o.sort or 'name')
end

return runs
