-- fields.lua -- looking into values without running anything of the user's.
--
-- Reads tables raw and follows __index only where it is a table, so that Tab never runs the user's code (and
-- never builds a net by looking at it). Where __index is a function of ours, the metatable says what is
-- behind it: `__complete` is a table whose keys are the names, or a function of our own files that returns
-- one; `__names` lists parts that are loaded when first named. A function of anyone else's is not called.
local errors = require 'inc.shell.errors'

local fields = {}

local MAX_CHAIN = 10      -- metatables followed from one value

local function is_blessed(f)
  return type(f) == 'function' and errors.is_ours(debug.getinfo(f, 'S').source)
end

--- Is it a function of our files?
fields.is_ours = is_blessed

-- Names behind a metatable that has a function as __index: name -> value (true where it is not known).
local function declared(value, meta)
  local hook = rawget(meta, '__complete')
  if is_blessed(hook) then
    local ok, names = pcall(hook, value)
    hook = ok and names
  end
  if type(hook) == 'table' then return hook end
  local names = rawget(meta, '__names')
  if type(names) ~= 'table' then return nil end
  local parts = {}
  for name in next, names do parts[name] = true end
  return parts
end

--- Is it a run? Asked without looking into what may be the user's.
function fields.is_run(value)
  local Run = package.loaded['inc.run']
  return Run ~= nil and rawequal(debug.getmetatable(value), Run)
end

--- A layer's children, parameters and own fields (inc/nn/module.lua keeps them in these tables), and its
-- class.
-- @param into_children leave parameters and plain fields out
function fields.layer(value, into_children)
  if type(value) ~= 'table' or type(rawget(value, '_child')) ~= 'table' then return end
  local parts = {}
  for _, name in ipairs(into_children and {'_child'} or {'_tensor', '_child', '_plain'}) do
    for key, part in next, rawget(value, name) or {} do parts[key] = part or true end
  end
  return parts, rawget(value, '_class')
end

-- The tables in which a field of `value` would be looked for, nearest first.
local function places(value)
  local list = {}
  for _ = 1, MAX_CHAIN do
    if type(value) == 'table' then
      list[#list + 1] = value
      local parts, class = fields.layer(value)
      list[#list + 1] = parts
      list[#list + 1] = class
    end
    local meta = debug.getmetatable(value)
    if type(meta) ~= 'table' then return list end
    local more = declared(value, meta)
    if type(more) == 'table' then list[#list + 1] = more end
    local index = rawget(meta, '__index')
    local _, class = fields.layer(value)
    if type(index) == 'table' then value = index
    elseif class then value = class
    else return list end
  end
  return list
end

-- The name of a layer's child at a place.
local function child_at(value, place)
  local names = fields.layer(value) and rawget(value, '_children')
  return type(names) == 'table' and rawget(names, place) or nil
end

--- Value of a field by raw access, or nil. A part of ours that is loaded when first named is loaded.
function fields.get(value, key)
  if math.type(key) == 'integer' then key = child_at(value, key) or key end
  for _, place in ipairs(places(value)) do
    local found = rawget(place, key)
    if found ~= nil and found ~= true then return found end
  end
  local meta = debug.getmetatable(value)
  local names = type(meta) == 'table' and rawget(meta, '__names')
  local declares = type(names) == 'table' and rawget(names, key) ~= nil
  if declares and is_blessed(rawget(meta, '__index')) then return value[key] end
end

local function is_callable(v)
  local meta = debug.getmetatable(v)
  return type(v) == 'function' or v == true or type(meta) == 'table' and rawget(meta, '__call') ~= nil
end

--- Add the names of a value's fields that begin with `prefix` to the set `into`.
function fields.collect(value, prefix, only_functions, into)
  for _, place in ipairs(places(value)) do
    for key, v in next, place do
      local fits = type(key) == 'string' and key:sub(1, #prefix) == prefix and key:find '^[%a_][%w_]*$'
      local hidden = type(key) == 'string' and key:sub(1, 1) == '_' and prefix == ''
      if fits and not hidden and (not only_functions or is_callable(v)) then into[key] = true end
    end
  end
end

--- The names in a set, in order.
function fields.sorted(set)
  local list = {}
  for name in next, set do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- -- paths in a line --------------------------------------------------------------------------------------

local function global(name, session)
  if session then
    local value, is = session:get_local(name)
    if is then return value end
  end
  local value = rawget(_G, name)
  if value ~= nil then return value end
  local meta = debug.getmetatable(_G) or {}
  local names = rawget(meta, '__names')
  local inc = rawget(_G, 'inc')
  if not (type(names) == 'table' and rawget(names, name) and inc) then return nil end
  return rawget(inc, name) or is_blessed(rawget(meta, '__index')) and inc[name] or nil
end

-- Index of the token where the path that ends at `last` begins; nil when it is not a plain path.
local function path_start(tokens, last)
  local first = last
  while first > 1 do
    local token, previous = tokens[first], tokens[first - 1]
    if token[2] == ']' and first > 3 and tokens[first - 2][2] == '[' then first = first - 3
    elseif token[1] == 'name' and (previous[2] == '.' or previous[2] == ':') then first = first - 2
    else break end
  end
  return tokens[first] and tokens[first][1] == 'name' and first or nil
end

-- The key in brackets, such as [2] or ['name'], or of a variable: nil where it is not known.
local function key_of(token)
  if token[1] == 'number' then return math.tointeger(tonumber(token[2])) or tonumber(token[2]) end
  return token[1] == 'string' and token[2]:sub(2, -2) or nil
end

--- The value that the path ending at token `last` names, such as net.Mixed_6b.conv or list[2].weight; nil
-- when it is not a plain path.
function fields.value_of(tokens, last, session)
  local first = path_start(tokens, last)
  if not first then return nil end
  local value, at = global(tokens[first][2], session), first + 1
  while at <= last and value ~= nil do
    local bracket = tokens[at][2] == '['
    local key = bracket and key_of(tokens[at + 1]) or not bracket and tokens[at + 1][2] or nil
    at = at + (bracket and 3 or 2)
    if key == nil then return nil end
    value = fields.get(value, key)
  end
  return value
end

--- "optim.sgd" or "run:wait" from the tokens that end at `last`.
function fields.path_text(tokens, last)
  local text, i = tokens[last][2], last
  while i > 2 and (tokens[i - 1][2] == '.' or tokens[i - 1][2] == ':') and tokens[i - 2][1] == 'name' do
    text = tokens[i - 2][2] .. tokens[i - 1][2] .. text
    i = i - 2
  end
  return text
end

return fields
