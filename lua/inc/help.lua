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

-- The specification of a one-table call (inc/args.lua), shown as the call.
local function spec_call(e)
  local value = e.name:find '^[%w_.]+$' and at_path(e.name) -- naming a part loads it, with its descriptions
  local specs = require 'inc.args'.specs
  local class = type(value) == 'table' and rawget(value, '_spec')
  local spec = class or specs[e.name] or specs[e.name:gsub('^inc%.', '')]
  if not spec then return nil end
  local first, rest = {}, {}
  for _, p in ipairs(spec.params) do
    local text = p.name
    if p.default ~= nil then text = ('%s = %s'):format(p.name, require 'inc.args'.show(p.default))
    elseif p.optional then text = p.name .. '?' end
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

-- Paragraphs are joined and wrapped; a @param line and its continuation become one indented row.
local function body(e, lines)
  local paragraph = {}
  local function flush()
    if #paragraph > 0 then wrap(table.concat(paragraph, ' '), 78, '  ', lines) end
    paragraph = {}
  end
  for _, line in ipairs(e.text) do
    local tag, rest = line:match '^%s*@(%a+)%s+(.*)$'
    if tag then
      flush()
      paragraph = {tag == 'return' and 'returns ' .. rest or '- ' .. rest}
    elseif line:find '^%s*$' then flush()
    elseif line:find '^%s%s+' and not (paragraph[1] or ''):find '^%- ' then
      flush()
      lines[#lines + 1] = '  ' .. line
    else paragraph[#paragraph + 1] = line end
  end
  flush()
end

local function entry_text(e)
  local call = e.kind == 'op' and op_call(e) or spec_call(e)
  local lines = {}
  wrap(call or e.name .. (e.params or ''), 78, '', lines)
  for i = 2, #lines do lines[i] = '    ' .. lines[i] end
  body(e, lines)
  if #e.examples > 0 then
    lines[#lines + 1] = ''
    for _, example in ipairs(e.examples) do lines[#lines + 1] = '  > ' .. example end
  end
  return table.concat(lines, '\n')
end

-- -- finding ----------------------------------------------------------------------------------------------

local function overview()
  local lines = {'help(topic), help "name" or ?name; apropos "word" searches. Topics:', ''}
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

-- Text for a name, or nil and a sentence.
local function by_name(name)
  if name == '' then return overview() end
  if type(topics[name]) == 'string' then return topics[name] end
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

--- Text about a value: a function, a class, a layer, a tensor; nil when there is none.
function help.of_value(value)
  if type(value) == 'function' then
    local e = debug.getinfo(value, 'S').what ~= 'C' and index.of_function(value)
    local name = not e and name_in(require 'inc.core', value)
    return e and entry_text(e) or name and by_name('inc.' .. name)
  elseif type(value) == 'table' then
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

--- Lines "name  first sentence" of everything whose name or text contains `word`.
function help.search(word)
  local lines, wanted = {}, word:lower()
  for _, e in ipairs(index.all()) do
    local text = table.concat(e.text, ' ')
    if e.name:lower():find(wanted, 1, true) or text:lower():find(wanted, 1, true) then
      lines[#lines + 1] = ('  %-28s %s'):format(e.name, text:sub(1, 48))
    end
  end
  table.sort(lines)
  return #lines > 0 and table.concat(lines, '\n') or ('nothing mentions %q'):format(word)
end

--- Print everything whose name or text contains `word`.
function help.apropos(word) print(help.search(word)) end

-- -- examples ---------------------------------------------------------------------------------------------

-- Lines of an example that make one entry, as they would be typed.
local function entries(lines)
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
      for _, line in ipairs(entries(e.examples)) do
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
