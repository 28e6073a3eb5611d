-- who.lua -- what the user has made: names, kinds, and the bytes that they hold on each device.
--
-- Tables and nets are walked by raw access, with a limit, so that looking never runs anyone's code. Memory
-- that two names share (views, a net and a list of its weights) counts with each of them, and once in the
-- total.
local args = require 'inc.args'

local who = {}

local MOST_VISITS = 100000 -- tables looked into for one name
local builtin = {}

--- (for the prompt) Remember the names that are there before the user does anything; another value makes one
-- the user's.
function who.start()
  for name, value in next, _G do builtin[name] = value end
end

-- -- bytes ------------------------------------------------------------------------------------------------

local width = {f64 = 8, i64 = 8, f32 = 4, i32 = 4, bf16 = 2, f16 = 2}

-- Adds a tensor's memory under its buffer's number: views of one buffer count once, by the largest.
local function add_tensor(t, found)
  local ok, id = pcall(t.buffer_id, t)
  if not ok then return end
  local device = t:device()
  local bytes = t:numel() * (width[t:dtype()] or 1)
  local buffers = found[device] or {}
  found[device] = buffers
  buffers[id] = math.max(buffers[id] or 0, bytes)
  if t.requires_grad and t.grad then add_tensor(t.grad, found) end
end

local function walk(value, found, seen)
  if args.is_tensor(value) then return add_tensor(value, found) end
  if type(value) ~= 'table' or seen[value] or seen.n > MOST_VISITS then return end
  seen[value], seen.n = true, seen.n + 1
  for key, v in next, value do
    walk(v, found, seen)
    if type(key) ~= 'string' then walk(key, found, seen) end
  end
end

local function held(value)
  local found = {}
  walk(value, found, {n = 0})
  return found
end

local function sum(buffers)
  local n = 0
  for _, bytes in next, buffers or {} do n = n + bytes end
  return n
end

local units = {{1 << 30, 'GiB'}, {1 << 20, 'MiB'}, {1 << 10, 'KiB'}}

local function size_text(n)
  if n == 0 then return '' end
  for _, unit in ipairs(units) do
    if n >= unit[1] then return ('%.1f %s'):format(n / unit[1], unit[2]) end
  end
  return n .. ' B'
end

-- -- rows -------------------------------------------------------------------------------------------------

local function kind_of(value)
  if args.is_tensor(value) then return 'tensor' end
  if args.is_module(value) then return 'net' end
  local meta = debug.getmetatable(value)
  local name = type(meta) == 'table' and type(value) ~= 'string' and rawget(meta, '__name')
  return type(name) == 'string' and name:gsub('^inc%.', '') or type(value)
end

local function short(text)
  text = text:match '^[^\n]*'
  return #text > 60 and text:sub(1, 57) .. '...' or text
end

local function what_is(value, kind)
  if kind == 'tensor' then
    return ('[%s] %s'):format(table.concat(value:shape(), ', '), value:dtype())
  elseif kind == 'table' then
    local n = 0
    for _ in next, value do n = n + 1 end
    return n == 1 and '1 entry' or n .. ' entries'
  elseif kind == 'net' then
    return rawget(value, '_class') and rawget(rawget(value, '_class'), '_name') or ''
  elseif kind == 'function' then
    local info = debug.getinfo(value, 'S')
    return info.what == 'C' and 'built in' or ('%s:%d'):format(info.short_src, info.linedefined)
  elseif type(value) == 'table' or type(value) == 'userdata' then return '' end
  return short(args.show(value))
end

-- Names of globals and session variables that the user made, sorted.
local function own_names(session)
  local values, names = {}, {}
  for name, value in next, _G do
    local ours = rawequal(builtin[name], value)
    if type(name) == 'string' and not ours and not name:find '^_%d?$' then values[name] = value end
  end
  for name in next, session and session.locals or {} do values[name] = session:get_local(name) end
  for name in next, values do names[#names + 1] = name end
  table.sort(names)
  return names, values
end

local function merge(all, found)
  for device, buffers in next, found do
    all[device] = all[device] or {}
    for id, bytes in next, buffers do all[device][id] = math.max(all[device][id] or 0, bytes) end
  end
end

local Listing = {__name = 'who'}

--- The rows: a list of {name, kind, what, bytes = {device = n}}, and `total` by device; prints as a table.
function who.list(session)
  local names, values = own_names(session)
  local list, all = {total = {}}, {}
  for i, name in ipairs(names) do
    local value = values[name]
    local kind, found = kind_of(value), held(value)
    list[i] = {name = name, kind = kind, what = what_is(value, kind), bytes = {}}
    for device, buffers in next, found do list[i].bytes[device] = sum(buffers) end
    merge(all, found)
  end
  for device, buffers in next, all do list.total[device] = sum(buffers) end
  return setmetatable(list, Listing)
end

local function device_names(list)
  local names, seen = {}, {}
  for _, d in ipairs(require 'inc.core'.devices()) do names[#names + 1], seen[d.name] = d.name, true end
  for name in next, list.total do
    if not seen[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function layout(rows)
  local right = {}
  for i = 3, #rows[1] - 1 do right[i] = true end -- columns of bytes
  return table.concat(require 'inc.show.columns'.lines(rows, {right = right, shrink = {#rows[1], 1}}), '\n')
end

function Listing:__tostring()
  if #self == 0 then return 'nothing yet: names that you make are listed here' end
  local devices = device_names(self)
  local rows = {{'name', 'kind'}}
  for _, row in ipairs(self) do rows[#rows + 1] = {row.name, row.kind} end
  rows[#rows + 1] = {'in all', ''}
  for _, device in ipairs(devices) do
    table.insert(rows[1], device)
    for i, row in ipairs(self) do table.insert(rows[i + 1], size_text(row.bytes[device] or 0)) end
    table.insert(rows[#rows], size_text(self.total[device] or 0))
  end
  table.insert(rows[1], 'what')
  for i, row in ipairs(self) do table.insert(rows[i + 1], row.what) end
  local live = require 'inc.core'.stats().bytes
  table.insert(rows[#rows], ('(%s live in the process)'):format(live > 0 and size_text(live) or 'nothing'))
  return layout(rows)
end

return who
