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
  local name, params = line:match '^%s*function ([%w_.:]+)%s*(%b())'
  if not name then name, params = line:match '^%s*local function ([%w_]+)%s*(%b())' end
  if not name then name, params = line:match '^%s*([%w_.]+) = function%s*(%b())' end
  local class = line:match "[cC]lass%(%s*'([%w_.]+)'"
  if class then return class end
  if not name then name = line:match '^%s*local ([%w_]+)%s*=' or line:match '^%s*([%w_.]+)%s*=' end
  return name, params
end

local globals = {nn = true, optim = true, data = true, models = true}
local verbs = {}
local verb_names = 'train resume evaluate predict compare pack convert inspect runs diff bench doctor'
for verb in verb_names:gmatch '%a+' do
  verbs[verb] = true
end
-- Tables that files use for methods, and what users call such a thing.
local receivers = {['lua/inc/run.lua'] = 'run', ['lua/inc/tensor.lua'] = 'x',
  ['lua/inc/run/table.lua'] = 'runs', ['lua/inc/run/diff.lua'] = 'diff'}

-- What users write for a name that a file defines: `args.fail` in lua/inc/args.lua is inc.args.fail.
local function qualify(name, path)
  path = path:sub(#host.home + 2)
  local first, last = name:match '^([%w_]+)[.:]', name:match '[%w_]+$'
  if path:find '^models/' and not first then return 'models.' .. name end
  if not first or first == 'inc' or first == 'nn' or first:find '^%u' then return name end
  if verbs[last] then return last end
  if first == 'methods' and receivers[path] then return receivers[path] .. ':' .. last end
  if first == 'functional' then return 'nn.' .. name end
  local part = path:match '^lua/inc/([%w_]+)'
  return globals[part] and first == part and name or 'inc.' .. name
end

local function entry(name, params, comment, path, line)
  local e = {name = qualify(name, path), params = params, text = {}, examples = {}, file = path, line = line,
    kind = 'lua'}
  for _, each in ipairs(comment) do
    local own_name = each:match '^@name%s+(%S+)'
    if own_name then e.name = own_name
    elseif each:find '^%s*> ' then e.examples[#e.examples + 1] = each:match '^%s*> (.*)$'
    else e.text[#e.text + 1] = each end
  end
  return e
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
      local name, params = definition(each)
      if name then list[#list + 1] = entry(name, params, comment, path, line) end
      comment = nil
    end
  end
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

--- Every documented thing: a list of {name, kind ('lua' or 'op'), params or sig, text, examples, file, line}.
function index.all()
  if cache then return cache end
  local list, core = {}, require 'inc.core'
  for _, op in ipairs(core.ops and core.ops() or {}) do
    if not op.hidden and op.doc then list[#list + 1] = op_entry(op) end
  end
  local files = lua_files(host.home .. '/lua/inc', {})
  for _, path in ipairs(lua_files(host.home .. '/models', files)) do read_file(path, list) end
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

--- Entries for a name such as 'Conv2d', 'nn.Conv2d' or 'inc.relu': those that agree best from the right.
function index.find(name)
  local wanted, best, found = parts(name), 1, {}
  for _, e in ipairs(index.all()) do
    local n = shared_tail(wanted, parts(e.name))
    if n > best then best, found = n, {} end
    if e.name == name then table.insert(found, 1, e)
    elseif n >= best and n > 0 then found[#found + 1] = e end
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
