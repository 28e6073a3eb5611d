-- help.lua -- help(), help 'name', help(value), apropos, source, and the examples for the tests.
--
-- Text comes from inc/help/index.lua (comments above definitions, texts of ops) and inc/help/topics.lua. All
-- functions but `help(...)` itself and apropos return text, so a notebook can show it its own way.
local index = require 'inc.help.index'
local topics = require 'inc.help.topics'

local help = {}

-- -- one entry as text ------------------------------------------------------------------------------------

local function item_text(name, kind, default)
  local optional = kind:sub(-1) == '?'
  if default then return ('%s = %s'):format(name, default) end
  return optional and name .. '?' or name
end

-- "x:tensor, stride:int[2]=1 -> y" as users write the call.
local function op_call(e)
  local inputs, options = {}, {}
  for item in (e.sig:match '^(.-)%s*%->' or e.sig):gmatch '[^,]+' do
    local name, kind, default = item:match '^%s*([%w_]+)%s*:%s*([^=%s]+)%s*=?%s*(.-)%s*$'
    if name then
      local list = kind:find '^tensor' and inputs or options
      list[#list + 1] = item_text(name, kind, default ~= '' and default or nil)
    end
  end
  if #options > 0 then inputs[#inputs + 1] = '{' .. table.concat(options, ', ') .. '}' end
  return ('%s(%s)'):format(e.name, table.concat(inputs, ', '))
end

local function at_path(name)
  local value = _G
  for part in name:gmatch '[^.:]+' do
    if type(value) ~= 'table' then return nil end
    value = value[part]
  end
  return value
end

-- The specification of a one-table call (inc/args.lua).
local function spec_of(e)
  local value = e.name:find '^[%w_.]+$' and at_path(e.name) -- naming a part loads it, with its descriptions
  local specs = require 'inc.args'.specs
  local class = type(value) == 'table' and rawget(value, '_spec')
  return class or specs[e.name] or specs[e.name:gsub('^inc%.', '')] or specs[e.name:match '[%w_]+$']
end

-- The same for an op: its name, and its options as spec has them.
local function op_params(e)
  local list = {}
  for item in (e.sig:match '^(.-)%s*%->' or e.sig):gmatch '[^,]+' do
    local name, kind, default = item:match '^%s*([%w_]+)%s*:%s*([^=%s]+)%s*=?%s*(.-)%s*$'
    if name and not kind:find '^tensor' then
      list[#list + 1] = {name = name, shown = default ~= '' and name .. ' = ' .. default or name}
    end
  end
  return e.op, list
end

local function shown(p)
  if p.default == nil then return p.name end
  return ('%s = %s'):format(p.name, require 'inc.args'.show(p.default))
end

local function spec_call(e, spec)
  local first, rest = {}, {}
  for _, p in ipairs(spec.params) do
    local text = p.default == nil and p.optional and p.name .. '?' or shown(p)
    table.insert(p.positional and first or rest, text)
  end
  local inner = table.concat(first, ', ')
  if #rest > 0 then inner = inner .. (inner ~= '' and '; ' or '') .. table.concat(rest, ', ') end
  return ('%s{%s}'):format(e.name, inner)
end

local function wrap(text, width, indent, lines)
  local line = ''
  for word in text:gmatch '%S+' do
    if #line + #word + 1 > width and line ~= '' then
      lines[#lines + 1] = indent .. line
      line = ''
    end
    line = line == '' and word or line .. ' ' .. word
  end
  if line ~= '' then lines[#lines + 1] = indent .. line end
end

-- A @param or @return with its continuation: {tag, names = {...}, text = ...}; nil for other lines.
local function tagged(line)
  local tag, rest = line:match '^%s*@(%a+)%s+(.*)$'
  if not tag then return nil end
  local item, done = {tag = tag, names = {}, whole = rest}, 0
  repeat
    local name, stop = rest:match('^([%w_.]+),%s*()', done + 1)
    if name then
      item.names[#item.names + 1] = name
      done = stop - 1
    end
  until not name
  local last, text = rest:sub(done + 1):match '^([%w_.]+)%s*(.*)$'
  item.names[#item.names + 1], item.text = last, text or ''
  return item
end

-- The text of an entry in paragraphs and what it says of parameters, in order.
local function pieces(e)
  local list, last = {}, nil
  for _, line in ipairs(e.text) do
    local item = tagged(line)
    if item then
      last = item
      list[#list + 1] = last
    elseif last and last.tag and line:find '^%s%s+' then last.text = last.text .. ' ' .. line:match '%S.*$'
    elseif line:find '^%s*$' then last = nil
    elseif line:find '^%s%s+' then list[#list + 1] = {verbatim = line}
    elseif last and last.paragraph then last.paragraph = last.paragraph .. ' ' .. line
    else
      last = {paragraph = line}
      list[#list + 1] = last
    end
    if list[#list] and list[#list].verbatim then last = nil end
  end
  return list
end

local COLUMN = 22 -- where the texts of options begin

local function option_row(name, text, lines)
  local words = {}
  wrap(text, 78 - COLUMN, '', words)
  local lead = '  ' .. name
  if #lead >= COLUMN then
    lines[#lines + 1] = lead
    lead = ''
  end
  for i, each in ipairs(words) do
    local before = i == 1 and lead or ''
    lines[#lines + 1] = before .. (' '):rep(COLUMN - #before) .. each
  end
end

-- A row an option: what the comment says of it alone, or the common text, or what the comment says of
-- several.
local function option_rows(call, params, tags, lines)
  local options, rows = require 'inc.help.options', {}
  for _, p in ipairs(params) do
    local alone, several
    for _, tag in ipairs(tags) do
      for _, name in ipairs(tag.names) do
        if name == p.name and tag.text ~= '' then
          if #tag.names == 1 then alone = tag.text else several = tag.text end
        end
      end
    end
    local text = alone or options.text(call, p.name) or several
    if text then option_row(p.shown or shown(p), text, rows) end
  end
  if #rows > 0 then lines[#lines + 1] = '' end
  table.move(rows, 1, #rows, #lines + 1, lines)
end

local function is_told(tag, params)
  local known = {['...'] = true}
  for _, p in ipairs(params) do known[p.name] = true end
  for _, name in ipairs(tag.names) do
    if not known[name] then return false end
  end
  return true
end

local function body(list, params, lines)
  for _, piece in ipairs(list) do
    if piece.paragraph then wrap(piece.paragraph, 78, '  ', lines)
    elseif piece.verbatim then lines[#lines + 1] = '  ' .. piece.verbatim
    elseif piece.tag == 'return' then wrap('returns ' .. piece.whole, 78, '  ', lines)
    elseif not is_told(piece, params) then
      option_row(table.concat(piece.names, ', '), piece.text ~= '' and piece.text or '-', lines)
    end
  end
end

local function command_line(e, spec)
  local first = spec.params[1]
  local value = first and first.positional and first.name ~= 'net' and first.name or first and 'data' or ''
  value = value:upper()
  return ('On the command line: incsh %s %s --name value, with - for _ in names.'):format(e.name, value)
end

local function headline(e, spec, lines)
  local call = e.kind == 'op' and op_call(e) or spec and spec_call(e, spec) or e.name .. (e.params or '')
  wrap(call, 78, '', lines)
  for i = 2, #lines do lines[i] = '    ' .. lines[i] end
end

local function append_examples(e, lines)
  if #e.examples > 0 then lines[#lines + 1] = '' end
  for _, example in ipairs(e.examples) do lines[#lines + 1] = '  > ' .. example end
end

local function entry_text(e)
  local spec = e.kind ~= 'op' and spec_of(e) or nil
  local call, params = spec and spec.name or e.name, spec and spec.params or {}
  if e.kind == 'op' then call, params = op_params(e) end
  local lines, list, tags = {}, pieces(e), {}
  for _, piece in ipairs(list) do
    if piece.tag == 'param' then tags[#tags + 1] = piece end
  end
  headline(e, spec, lines)
  body(list, params, lines)
  option_rows(call, params, tags, lines)
  if e.verb and spec then
    lines[#lines + 1] = ''
    wrap(command_line(e, spec), 78, '  ', lines)
  end
  append_examples(e, lines)
  return table.concat(lines, '\n')
end

-- Names that begin with `prefix` and : or ., a line each with the first sentence: what a run can do.
local function members(prefix)
  local lines = {}
  for name, e in pairs(index.all().names) do
    local of, sign = name:match '^(.-)([:.])[%w_]+$'
    if of == prefix and (sign == ':' or require 'inc.args'.objects[prefix] or prefix == 'x') then
      lines[#lines + 1] = ('  %-24s %s'):format(name, help.summary(e))
    end
  end
  table.sort(lines)
  return #lines > 0 and table.concat(lines, '\n') or nil
end

-- -- finding ----------------------------------------------------------------------------------------------

local function overview()
  local lines = {'help "topic", help "name" or ?name; apropos "word" searches; tour() shows around.', '',
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

--- The first sentence of an entry.
function help.summary(e)
  local text = table.concat(e.text, ' '):gsub('^[%w_.:]+[%({ ][^:]*: ', ''):gsub('^[%w_]+[.:][%w_]+: ', '')
  local sentence = (text:match '^(.-[.:;])%s' or text):gsub('[:;]$', '.')
  return #sentence > 52 and sentence:sub(1, 49) .. '...' or sentence
end

-- Text for a name, or nil and a sentence.
local function by_name(name)
  if name == '' then return overview() end
  if type(topics[name]) == 'string' then return topics[name] end
  local object = not index.all().names[name] and members(name)
  if object then return object end
  local found = index.find(name)
  if #found > 0 then
    local texts = {}
    for i, e in ipairs(found) do
      if i > 6 then texts[i] = ('(and %d more of this name)'):format(#found - 6) break end
      texts[i] = entry_text(e)
    end
    return table.concat(texts, '\n\n')
  end
  local value = at_path(name)
  if value ~= nil and type(value) ~= 'string' then
    local text = help.of_value(value)
    if text then return text end
  end
  local near = nearest(name)
  return nil, ('no help on %q%s'):format(name, near and ('; did you mean %s?'):format(near) or '')
end

local function name_in(t, value)
  for key, v in next, t or {} do
    if v == value and type(key) == 'string' then return key end
  end
end

-- What the documentation calls an object such as a run, by its metatable.
local function object_of(value)
  local meta = getmetatable(value)
  for name, object in pairs(require 'inc.args'.objects) do
    if meta and (meta.__index == object.methods or meta.__names == object.methods) then return name end
  end
end

--- Text about a value: a function, a class, a layer, a tensor; nil when there is none.
function help.of_value(value)
  if type(value) == 'function' then
    local e = debug.getinfo(value, 'S').what ~= 'C' and index.of_function(value)
    local name = not e and name_in(require 'inc.core', value)
    return e and entry_text(e) or name and by_name('inc.' .. name)
  elseif type(value) == 'table' then
    local object = object_of(value)
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
  if type(what) == 'string' then value = at_path(what) end
  if type(value) == 'table' and rawget(value, 'forward') then value = rawget(value, 'forward') end
  if type(value) ~= 'function' then return nil, ('%s: expected a Lua function'):format(tostring(what)) end
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
    lines[#lines + 1] = ('  %-26s %s'):format(name, summary)
  end
  for name, e in pairs(index.all().names) do
    if name == e.name then add(name, table.concat(e.text, ' '), help.summary(e)) end
  end
  for name, text in pairs(require 'inc.help.options'.common) do add(name .. ' =', text, text) end
  for _, name in ipairs(topics.order) do add('help ' .. name, topics[name], topics.summary[name]) end
  table.sort(lines)
  return #lines > 0 and table.concat(lines, '\n') or ('nothing mentions %q'):format(word)
end

--- apropos 'word': print everything whose name, text or option contains it, a line each.
-- > apropos 'smoothing'
function help.apropos(word) print(help.search(word)) end

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
  print(text or why)
end})
