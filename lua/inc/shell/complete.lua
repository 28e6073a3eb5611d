-- complete.lua -- what may stand at the cursor.
--
-- Reads tables raw and follows __index only where it is a table, so that Tab never runs the user's code (and
-- never builds a net by looking at it). Where __index is a function of ours, the metatable says what is
-- behind it: `__complete` is a table whose keys are the names, or a function of our own files that returns
-- one; `__names` lists parts that are loaded when first named. A function of anyone else's is not called.
local lexer = require 'inc.shell.lexer'
local errors = require 'inc.shell.errors'

local complete = {}

local MAX_CHAIN = 10      -- metatables followed from one value

-- -- the fields of a value --------------------------------------------------------------------------------

local function is_blessed(f)
  return type(f) == 'function' and errors.is_ours(debug.getinfo(f, 'S').source)
end

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

-- A layer's children, parameters and own fields (inc/nn/module.lua keeps them in these tables).
local function layer_parts(value)
  if type(value) ~= 'table' or not rawget(value, '_child') then return end
  local parts = {}
  for _, name in ipairs {'_tensor', '_child', '_plain'} do
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
      local parts, class = layer_parts(value)
      list[#list + 1] = parts
      list[#list + 1] = class
    end
    local meta = debug.getmetatable(value)
    if type(meta) ~= 'table' then return list end
    local more = declared(value, meta)
    if type(more) == 'table' then list[#list + 1] = more end
    local index = rawget(meta, '__index')
    local _, class = layer_parts(value)
    if type(index) == 'table' then value = index
    elseif class then value = class
    else return list end
  end
  return list
end

-- Value of a field by raw access, or nil. A part of ours that is loaded when first named is loaded.
local function field(value, key)
  for _, place in ipairs(places(value)) do
    local found = rawget(place, key)
    if found ~= nil and found ~= true then return found end
  end
  local meta = debug.getmetatable(value)
  local names = type(meta) == 'table' and rawget(meta, '__names')
  if type(names) == 'table' and names[key] and is_blessed(rawget(meta, '__index')) then return value[key] end
end

local function collect(value, prefix, only_functions, into)
  for _, place in ipairs(places(value)) do
    for key, v in next, place do
      local fits = type(key) == 'string' and key:sub(1, #prefix) == prefix and key:find '^[%a_][%w_]*$'
      local hidden = key == '' or (type(key) == 'string' and key:sub(1, 1) == '_' and prefix == '')
      local callable = type(v) == 'function' or v == true or (debug.getmetatable(v) or {}).__call
      if fits and not hidden and (callable or not only_functions) then into[key] = true end
    end
  end
end

-- -- what stands before the cursor ------------------------------------------------------------------------

local function raw_global(name, session)
  if session then
    local value, is = session:get_local(name)
    if is then return value end
  end
  local value = rawget(_G, name)
  if value ~= nil then return value end
  local meta = debug.getmetatable(_G) or {}
  local names = rawget(meta, '__names')
  local inc = rawget(_G, 'inc')
  if not (names and names[name] and inc) then return nil end
  return rawget(inc, name) or is_blessed(meta.__index) and inc[name] or nil
end

-- The value that tokens[first..last] name, such as net.Mixed_6b.conv or list[2].weight; nil when not a plain
-- path.
local function value_of(tokens, last, session)
  local first = last
  while first > 1 do
    local token, previous = tokens[first], tokens[first - 1]
    if token[2] == ']' and first > 3 and tokens[first - 2][2] == '[' then first = first - 3
    elseif token[1] == 'name' and (previous[2] == '.' or previous[2] == ':') then first = first - 2
    else break end
  end
  if not tokens[first] or tokens[first][1] ~= 'name' then return nil end
  local value, at = raw_global(tokens[first][2], session), first + 1
  while at <= last and value ~= nil do
    local key = tokens[at + 1]
    if tokens[at][2] == '[' then
      key = key[1] == 'number' and tonumber(key[2]) or key[2]:sub(2, -2)
      at = at + 3
    else
      key = key[2]
      at = at + 2
    end
    value = field(value, key)
  end
  return value
end

-- Index of the token that opens the innermost bracket still open, or nil.
local function open_bracket(tokens)
  local depth = 0
  for i = #tokens, 1, -1 do
    local text = tokens[i][1] == 'op' and tokens[i][2]
    if text == '}' or text == ')' or text == ']' then depth = depth + 1
    elseif text == '{' or text == '(' or text == '[' then
      if depth == 0 then return i end
      depth = depth - 1
    end
  end
end

-- -- named arguments --------------------------------------------------------------------------------------

local op_names

local function op_options(name)
  if not op_names then
    op_names = {}
    local core = package.loaded['inc.core']
    for _, op in ipairs(core and core.ops and core.ops() or {}) do op_names[op.name] = op.sig end
  end
  local list = {}
  for each, kind in (op_names[name] or ''):gmatch '([%w_]+):([%w]+)' do
    if kind ~= 'tensor' then list[#list + 1] = each end
  end
  return list
end

--- Names of the options of the call that users write as `path`: 'nn.Conv2d', 'train', 'inc.conv2d', 'sum'.
-- @param value what the path gives, where that is known: a class has its own description
function complete.options(path, value)
  local class = type(value) == 'table' and rawget(value, '_spec')
  local specs = require 'inc.args'.specs
  local spec = class or specs[path] or specs[path:gsub('^inc%.', '')]
  if not spec then return op_options(path:match '[%w_]*$') end
  local names = {}
  for _, name in ipairs(spec.names) do -- what takes all the rest has no name
    if not (spec.rest and spec.rest.name == name) then names[#names + 1] = name end
  end
  return names
end

local function text_at(tokens, i) return tokens[i] and tokens[i][2] end

-- Index of the name that is called with the table in whose braces the cursor stands, as in `f{`, `f({` and
-- `f(x, {`; nil when the cursor does not stand where a new entry begins.
local function callee_of(tokens)
  local open, previous = open_bracket(tokens), text_at(tokens, #tokens)
  if not open or tokens[open][2] ~= '{' or not (previous == '{' or previous == ',') then return nil end
  local callee = open - 1
  if text_at(tokens, callee) == ',' or text_at(tokens, callee) == '(' then
    callee = (open_bracket(table.move(tokens, 1, callee, 1, {})) or 1) - 1
  end
  return tokens[callee] and tokens[callee][1] == 'name' and callee
end

-- "optim.sgd" from the tokens that end at `last`.
local function path_text(tokens, last)
  local text, i = tokens[last][2], last
  while i > 2 and tokens[i - 1][2] == '.' and tokens[i - 2][1] == 'name' do
    text = tokens[i - 2][2] .. '.' .. text
    i = i - 2
  end
  return text
end

-- The options that fit at the cursor, as "name = ".
local function add_options(tokens, prefix, session, into)
  local callee = callee_of(tokens)
  if not callee then return end
  local value = value_of(tokens, callee, session) -- naming a part of ours loads it
  for _, name in ipairs(complete.options(path_text(tokens, callee), value)) do
    if name:sub(1, #prefix) == prefix then into[name .. ' = '] = true end
  end
end

-- "text" or ("text"), whose methods are those of strings.
local function ends_in_string(tokens)
  local n = #tokens
  if n >= 3 and tokens[n][2] == ')' and tokens[n - 2][2] == '(' then n = n - 1 end
  return n > 0 and tokens[n][1] == 'string'
end

-- -- the answer -------------------------------------------------------------------------------------------

local function sorted(set)
  local list = {}
  for name in next, set do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function add_globals(prefix, session, into)
  collect(_G, prefix, false, into)
  for name in next, session and session.locals or {} do
    if name:sub(1, #prefix) == prefix then into[name] = true end
  end
  for word in next, lexer.keywords do
    if prefix ~= '' and word:sub(1, #prefix) == prefix then into[word] = true end
  end
end

-- The word that ends at the cursor, taken off the tokens; '' when none does.
local function take_word(tokens, at)
  local last = tokens[#tokens]
  if not last or last[4] ~= at or not (last[1] == 'name' or last[1] == 'keyword') then return '' end
  tokens[#tokens] = nil
  return last[2]
end

--- What may stand at the end of `text` (the line up to the cursor).
-- @return list of whole words (sorted) and the position in text where they begin; for a file name inside a
--   string: nil, the position, and the quote that opens it
function complete.at(text, session)
  if text:find '^%s*!' then return nil, #text, ' ' end -- the system's shell: file names, between blanks
  local command = text:match '^%s*%?%??%s*'
  if command then text = (' '):rep(#command) .. text:sub(#command + 1) end
  local tokens = lexer.tokens(text)
  local last = tokens[#tokens]
  if last and last[1] == 'open' then return nil, last[3] + 1, last[2]:sub(1, 1) end
  local prefix = take_word(tokens, #text)
  local found, start, before = {}, #text - #prefix + 1, text_at(tokens, #tokens)
  if before == '.' or before == ':' then
    tokens[#tokens] = nil
    local value = ends_in_string(tokens) and '' or value_of(tokens, #tokens, session)
    if value ~= nil then collect(value, prefix, before == ':', found) end
  else
    add_options(tokens, prefix, session, found)
    if prefix ~= '' or not next(found) then add_globals(prefix, session, found) end
  end
  return sorted(found), start
end

return complete
