-- help.lua -- help(), help 'name', help(value), apropos, source, and the examples for the tests.
--
-- Text comes from inc/help/index.lua (comments above definitions, texts of ops) and inc/help/topics.lua. All
-- functions but `help(...)` itself and apropos return text, so a notebook can show it its own way.
local index = require 'inc.help.index'
local topics = require 'inc.help.topics'
local entry = require 'inc.help.entry'

local help = {}

-- -- finding ----------------------------------------------------------------------------------------------

-- A name and what it is in one row of the screen.
local function row(name, width, text)
  local host = require 'inc.host'
  local room = (host.isatty(1) and host.size() or 80) - math.max(width, #name) - 4
  if (utf8.len(text) or #text) > room then
    text = require 'inc.args'.clip(text, math.max(0, room - 3)) .. '...'
  end
  return ('  %s%s %s'):format(name, (' '):rep(width - #name), text)
end

-- What is there for other files of ours, and not for users.
local function is_inner(e) return (e.text[1] or ''):find '^%(for ' ~= nil end

-- Names that begin with `prefix` and : or ., a line each with the first sentence: what a run can do.
local function members(prefix)
  local lines = {}
  for name, e in pairs(index.all().names) do
    local of, sign = name:match '^(.-)([:.])[%w_]+$'
    local fits = sign == ':' or prefix == 'x' or require 'inc.args'.objects[prefix]
    if of == prefix and fits and not is_inner(e) then
      lines[#lines + 1] = row(name, 24, help.summary(e))
    end
  end
  table.sort(lines)
  return #lines > 0 and table.concat(lines, '\n') or nil
end

local function overview()
  local lines = {'help "topic", help "name" or ?name; apropos "word" searches; tour() shows around', '',
    'Topics:'}
  for _, name in ipairs(topics.order) do
    lines[#lines + 1] = ('  %-10s %s'):format(name, topics.summary[name])
  end
  return table.concat(lines, '\n')
end

local function nearest(name)
  local known = {}
  for _, e in ipairs(index.all()) do known[#known + 1] = e.name:match '[%w_]+$' end
  for _, topic in ipairs(topics.order) do known[#known + 1] = topic end
  return require 'inc.args'.nearest(name:match '[%w_]*$', known)
end

-- Calls at the head of an entry, before what they do: "x:narrow(dim, first, n): ...".
local calls = {'^[%w_.:]+%s?%b(): ', '^[%w_.:]+%s?%b{}: ', "^[%w_.:]+ '[^']*'[^:]*: ", '^[%w_]+[.:][%w_.]+: '}

--- The first sentence of an entry.
function help.summary(e)
  local lines = {}
  for i, line in ipairs(e.text) do
    if line:find '^%s*@' then break end
    lines[i] = line
  end
  local text = table.concat(lines, ' ')
  for _, call in ipairs(calls) do text = text:gsub(call, '') end
  local sentence = (text:match '^(.-[.;])%s' or text:match '^(.-):%s*$' or text):gsub('[;:]$', '.')
  return sentence
end

-- A value of the user's, by what it is and can do; nil for functions, modules and the like.
local function of_variable(name)
  local tokens, args = require 'inc.shell.lexer'.tokens(name), require 'inc.args'
  local value = tokens[1] and require 'inc.shell.fields'.value_of(tokens, #tokens)
  local kind = args.object_name(value)
  if kind then
    local article = kind:find '^[aeiou]' and 'an' or 'a'
    return ('%s is %s %s:\n%s'):format(name, article, kind, members(kind))
  end
  return (args.is_module(value) or args.is_tensor(value)) and help.of_value(value) or nil
end

-- Entries such as data.folder, without functions of the same name inside our modules.
local function outermost(list)
  local kept = {}
  for _, e in ipairs(list) do
    if not e.name:find '[.:].*[.:]' then kept[#kept + 1] = e end
  end
  return kept
end

-- All that is documented under a name, and then what such an object can do; nil when nothing is.
local function documented(name)
  local object, texts = members(name), {}
  local found = index.find(name)
  if object then found = outermost(found) end
  for i, e in ipairs(found) do
    if i > 6 then texts[i] = ('(and %d more of this name)'):format(#found - 6) break end
    texts[i] = entry.text(e)
  end
  texts[#texts + 1] = object
  return texts[1] and table.concat(texts, '\n\n')
end

-- Text for a name, or nil and a sentence.
local function by_name(name)
  if name == '' then return overview() end
  if type(topics[name]) == 'string' then return topics[name] end
  local own = not index.all().names[name] and not members(name) and of_variable(name)
  local text = own or documented(name)
  if text then return text end
  local value = entry.at_path(name)
  text = value ~= nil and type(value) ~= 'string' and help.of_value(value)
  if text then return text end
  local near = nearest(name)
  return nil, ('no help on %q%s'):format(name, near and ('; did you mean %s?'):format(near) or '')
end

local function name_in(t, value)
  for key, v in next, t or {} do
    if v == value and type(key) == 'string' then return key end
  end
end

--- Text about a value: a function, a class, a layer, a tensor; nil when there is none.
function help.of_value(value)
  if type(value) == 'function' then
    local e = debug.getinfo(value, 'S').what ~= 'C' and index.of_function(value)
    local name = not e and name_in(require 'inc.core', value)
    return e and entry.text(e) or name and by_name('inc.' .. name)
  elseif type(value) == 'table' then
    local object = require 'inc.args'.object_name(value)
    if object then return members(object) end
    local class = rawget(value, '_class') or value
    local name = rawget(class, '_name')
    return name and by_name(name)
  elseif require 'inc.args'.is_tensor(value) then return topics.tensors end
end

--- The text that help(what) prints; nil and a sentence when there is nothing to tell.
-- @param what nothing (the topics), a name, or a value
-- > inc.help.text 'prompt':match '[^\n]+'  --> The prompt
function help.text(what)
  if what == nil then return overview() end
  if type(what) == 'string' then return by_name(what) end
  local text = help.of_value(what)
  if text then return text end
  return nil, ('no help on this %s'):format(type(what))
end

--- The lines of a function's source, or nil and a sentence.
-- @param what a function, a class of layers, or the name of one
function help.source(what)
  local value = what
  if type(what) == 'string' then value = entry.at_path(what) end
  if type(value) == 'table' and rawget(value, 'forward') then value = rawget(value, 'forward') end
  if type(value) ~= 'function' then
    return nil, ('%s: expected a Lua function, got %s; ?%s tells what it is'):format(what,
      value == nil and 'nothing' or 'a ' .. type(value), what)
  end
  local info = debug.getinfo(value, 'S')
  if info.what == 'C' then return nil, ('%s: built in, written in C'):format(tostring(what)) end
  local text = require 'inc.shell.errors'.sources[info.source]
  if not text then
    local file = io.open(info.source:sub(2))
    if not file then return nil, ('%s: its source %s is not there'):format(tostring(what), info.short_src) end
    text = file:read 'a'
    file:close()
  end
  local lines, n = {('-- %s:%d'):format(info.short_src, info.linedefined)}, 0
  for line in (text .. '\n'):gmatch '(.-)\n' do
    n = n + 1
    if n >= info.linedefined and n <= info.lastlinedefined then lines[#lines + 1] = line end
  end
  return table.concat(lines, '\n')
end

--- Lines "name  first sentence" of everything public whose name, text or option contains `word`.
-- > inc.help.search 'smoothing':find 'cross_entropy' ~= nil  --> true
function help.search(word)
  local lines, wanted, seen = {}, word:lower(), {}
  local function add(name, text, summary)
    if seen[name] or not (name .. ' ' .. text):lower():find(wanted, 1, true) then return end
    seen[name] = true
    lines[#lines + 1] = row(name, 26, summary)
  end
  for name, e in pairs(index.all().names) do
    if name == e.name and not is_inner(e) then add(name, table.concat(e.text, ' '), help.summary(e)) end
  end
  for name, text in pairs(require 'inc.help.options'.common) do add(name .. ' =', text, text) end
  for _, name in ipairs(topics.order) do add('help ' .. name, topics[name], topics.summary[name]) end
  table.sort(lines)
  return #lines > 0 and table.concat(lines, '\n') or ('nothing mentions %q'):format(word)
end

--- apropos 'word': print everything whose name, text or option contains it, a line each.
-- > apropos 'smoothing'
function help.apropos(word) require 'inc.shell.screen'.print(help.search(word)) end

-- -- examples ---------------------------------------------------------------------------------------------

--- Lines of examples joined to entries, as they would be typed.
function help.entries(lines)
  local session, list, open = require 'inc.shell.eval'.new 'help', {}, nil
  for _, line in ipairs(lines) do
    open = open and open .. '\n' .. line or line
    if session:is_complete(open) ~= 'incomplete' then
      list[#list + 1] = open
      open = nil
    end
  end
  list[#list + 1] = open
  return list
end

--- Every example of the documentation: an iterator over {name, code, expect}; expect is nil where none is
-- given. Those of one name follow each other, as they stand.
function help.examples()
  return coroutine.wrap(function()
    for _, e in ipairs(index.all()) do
      for _, line in ipairs(help.entries(e.examples)) do
        local code, expect = line:match '^(.-)%s*%-%->%s*([^\n]-)%s*$'
        coroutine.yield {name = e.name, code = code or line, expect = expect}
      end
    end
  end)
end

local function same(a, b)
  if type(a) == 'number' and type(b) == 'number' then
    return a == b or math.abs(a - b) <= 1e-5 * math.max(1, math.abs(b)) or (a ~= a and b ~= b)
  end
  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
  for key, v in pairs(a) do if not same(v, b[key]) then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return true
end

--- Does a value agree with the text after `-->`: as it prints, or as the Lua value that the text means?
function help.agrees(value, expect)
  if tostring(value) == expect or require 'inc.show'.value(value) == expect then return true end
  local f = load('return ' .. expect)
  local ok, wanted = pcall(f or error)
  return f and ok and same(value, wanted) or false
end

-- -- the call ---------------------------------------------------------------------------------------------

return setmetatable(help, {__name = 'help', __call = function(_, what)
  local text, why = help.text(what)
  require 'inc.shell.screen'.print(text or why)
end})
