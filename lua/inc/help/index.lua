-- index.lua -- the documentation, gathered from where it is written.
--
-- Lua: every `---` comment right above a definition, read from the files on the first question. Ops: the text
-- that each op carries, asked from the core. So there is one place for each text, beside the code, and help
-- cannot go out of date alone. A generated file was rejected: it would have to be kept in step.
local host = require 'inc.host'

local index = {}

-- Files that hold public functions, in a fixed order.
local function lua_files(folder, list)
  local names = host.list(folder) or {}
  table.sort(names)
  for _, name in ipairs(names) do
    local path = folder .. '/' .. name
    if host.kind(path) == 'folder' then lua_files(path, list)
    elseif name:find '%.lua$' then list[#list + 1] = path end
  end
  return list
end

-- The name that a line defines, and its argument list; nil when it defines nothing.
local function definition(line)
  local quoted = line:match "^%s*[%w_]+%[['\"]([%w_]+)['\"]%] = function"
  if quoted then return quoted, line:match '%b()' end
  local name, params = line:match '^%s*function ([%w_.:]+)%s*(%b())'
  if not name then name, params = line:match '^%s*local function ([%w_]+)%s*(%b())' end
  if not name then name, params = line:match '^%s*([%w_.]+) = function%s*(%b())' end
  local class = line:match "[cC]lass%(%s*'([%w_.]+)'"
  if class then return class end
  if not name then name = line:match '^%s*local ([%w_]+)%s*=' or line:match '^%s*([%w_.]+)%s*=' end
  return name, params
end

-- What a definition is called until its value is found among what is public (below).
local function qualify(name, path)
  path = path:sub(#host.home + 2)
  local first = name:match '^([%w_]+)[.:]'
  if path:find '^models/' and not first then return 'models.' .. name end
  if not first or first == 'inc' or first == 'nn' or first == 'optim' or first:find '^%u' then return name end
  local part = path:match '^lua/inc/([%w_]+)'
  return (first == 'data' or first == 'models') and name or 'inc.' .. part .. '.' .. name:match '[%w_]+$'
end

local function entry(name, params, comment, path, line)
  local e = {name = qualify(name, path), params = params, text = {}, examples = {}, file = path, line = line,
    kind = 'lua'}
  for _, each in ipairs(comment) do
    local own_name = each:match '^@name%s+(%S+)'
    if own_name then e.name, e.own_name = own_name, true
    elseif each:find '^%s*> ' then e.examples[#e.examples + 1] = each:match '^%s*> (.*)$'
    else e.text[#e.text + 1] = each end
  end
  return e
end

-- A comment that says its own @name needs no definition below it.
local function take(comment, below, path, line, list)
  local name, params = definition(below)
  for _, each in ipairs(comment) do
    if each:find '^@name' then name, params = '', nil end
  end
  if name then list[#list + 1] = entry(name, params, comment, path, line) end
end

local function read_file(path, list)
  local comment, line = nil, 0
  for each in io.lines(path) do
    line = line + 1
    local opening, more = each:match '^%s*%-%-%-%s?(.*)$', each:match '^%s*%-%-%s?(.*)$'
    if opening then
      comment = comment or {}
      comment[#comment + 1] = opening
    elseif more and comment then comment[#comment + 1] = more
    elseif comment then
      take(comment, each, path, line, list)
      comment = nil
    end
  end
  if comment then take(comment, '', path, line, list) end
end

local function op_entry(op)
  local e = {name = 'inc.' .. op.name, op = op.name, sig = op.sig, text = {}, examples = {}, kind = 'op'}
  for line in (op.doc .. '\n'):gmatch '(.-)\n' do
    if line:find '^> ' then e.examples[#e.examples + 1] = line:sub(3)
    elseif line ~= '' then e.text[#e.text + 1] = line end
  end
  return e
end

local cache

-- Entries take the names that users write: a function's by where it is defined, all others' by the name
-- itself. Of several names the last in order stands (x:reshape, not inc.reshape); all find the entry.
-- What finds an entry for a public thing: by the line of its definition, then by name.
local function finder(list)
  local by_line, by_name = {}, {}
  for _, e in ipairs(list) do
    if e.file then by_line['@' .. e.file .. ':' .. e.line] = e end
    by_name[e.name] = by_name[e.name] or e
  end
  return function(item)
    local info = type(item.value) == 'function' and debug.getinfo(item.value, 'S')
    local e = info and info.what ~= 'C' and by_line[info.source .. ':' .. info.linedefined]
    local name = item.name
    return e or by_name[name] or by_name[name:gsub('^inc%.', 'x:')] or by_name[name:gsub('^x:', 'inc.')]
  end
end

local function give_names(list)
  local find, names = finder(list), {}
  for _, item in ipairs(require('inc.help.public').list()) do
    local e = find(item)
    if e and e.kind == 'lua' and not e.own_name then e.name = item.name end
    if e then e.public, e.verb, names[item.name] = true, item.verb, e end
  end
  for _, e in ipairs(list) do
    if e.own_name and not names[e.name] then e.public, names[e.name] = true, e end
  end
  list.names = names
end

--- Every documented thing: a list of {name, kind ('lua' or 'op'), params or sig, text, examples, file, line,
-- public = true for what users call}; list.names has the public ones by name.
function index.all()
  if cache then return cache end
  local list, core = {}, require 'inc.core'
  for _, op in ipairs(core.ops and core.ops() or {}) do
    if not op.hidden and op.doc then list[#list + 1] = op_entry(op) end
  end
  local files = lua_files(host.home .. '/lua/inc', {})
  for _, path in ipairs(lua_files(host.home .. '/models', files)) do read_file(path, list) end
  give_names(list)
  cache = list
  return list
end

local function parts(name)
  local list = {}
  for part in name:gmatch '[^.:%s]+' do list[#list + 1] = part end
  return list
end

-- How many of the last parts two names share.
local function shared_tail(a, b)
  local n = 0
  while n < #a and n < #b and a[#a - n] == b[#b - n] do n = n + 1 end
  return n
end

--- Entries for a name such as 'Conv2d', 'nn.Conv2d' or 'inc.relu': those that agree best from the right, what
-- is public before the rest.
function index.find(name)
  local list = index.all()
  if list.names[name] then return {list.names[name]} end
  local wanted, best, found = parts(name), 1, {}
  for _, e in ipairs(list) do
    local n = 2 * shared_tail(wanted, parts(e.name)) + (e.public and 1 or 0)
    if n > best and n > 1 then best, found = n, {} end
    if n == best and n > 1 then found[#found + 1] = e end
  end
  return found
end

--- The entry of a Lua function, by where it is defined.
function index.of_function(f)
  local info = debug.getinfo(f, 'S')
  for _, e in ipairs(index.all()) do
    if '@' .. (e.file or '') == info.source and e.line == info.linedefined then return e end
  end
end

return index
