-- entry.lua -- one entry of the documentation as text: the call, what it does, its options, its examples.
--
-- The call and the options with their defaults come from the signature (args.spec, or that of an op), so a
-- text cannot contradict what the call takes. What an option means is told by the comment above the
-- function, or by inc/help/options.lua where it means the same in many calls.
local entry = {}

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

--- The value of a name such as nn.Conv2d, or nil.
function entry.at_path(name)
  local value = _G
  for part in name:gmatch '[^.:]+' do
    if type(value) ~= 'table' then return nil end
    value = value[part]
  end
  return value
end

-- The specification of a one-table call (inc/args.lua).
local function spec_of(e) -- naming a part loads it, with its descriptions
  local value = e.name:find '^[%w_.]+$' and entry.at_path(e.name)
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
    elseif last and last.tag and line:find '^%s%s+' then
      local more = ' ' .. line:match '%S.*$'
      last.text, last.whole = last.text .. more, last.whole .. more
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
  wrap(call:gsub(' = ', '\1=\1'), 76, '', lines) -- a name stays with its default
  for i = 1, #lines do lines[i] = (i > 1 and '    ' or '') .. lines[i]:gsub('\1', ' ') end
end

local function append_examples(e, lines)
  if #e.examples > 0 then lines[#lines + 1] = '' end
  for _, example in ipairs(e.examples) do lines[#lines + 1] = '  > ' .. example end
end

--- An entry as text, at most 80 columns wide.
function entry.text(e)
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

return entry
