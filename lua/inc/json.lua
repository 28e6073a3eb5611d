--- JSON: one object a line in logs, config.json, and what --json prints.
--
-- Names are written sorted, so that equal tables give equal bytes. A table with a first element is a list; an
-- empty table is an object, unless json.list says otherwise. NaN and infinity, which JSON cannot say, become
-- null, and so do bytes that are no UTF-8 the character U+FFFD. Reading turns null into nil.

local core = require 'inc.core'

local json = {}

local List = {__name = 'inc.json.list'}

--- Mark a table as a list even when it is empty. Returns it.
-- > inc.json.encode(inc.json.list{})  --> []
function json.list(t) return setmetatable(t, List) end

local encode

local function put_list(out, v, pad, depth)
  local inner = pad and pad .. '  '
  out[#out + 1] = '['
  for i = 1, #v do
    if i > 1 then out[#out + 1] = pad and ', ' or ',' end
    encode(out, v[i], inner, depth + 1)
  end
  out[#out + 1] = ']'
end

local function put_object(out, v, pad, depth)
  local names = {}
  for name in pairs(v) do
    if type(name) ~= 'string' then
      error('json: expected names or a list, got the key ' .. tostring(name), 0)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  local inner = pad and pad .. '  '
  out[#out + 1] = '{'
  for i, name in ipairs(names) do
    if i > 1 then out[#out + 1] = ',' end
    if pad then out[#out + 1] = '\n' .. inner end
    out[#out + 1] = core.json_string(name) .. (pad and ': ' or ':')
    encode(out, v[name], inner, depth + 1)
  end
  out[#out + 1] = pad and #names > 0 and '\n' .. pad .. '}' or '}'
end

function encode(out, v, pad, depth)
  local kind = type(v)
  if depth > 100 then error('json: nested more than 100 deep', 0) end
  if kind == 'string' then
    out[#out + 1] = core.json_string(v)
  elseif math.type(v) == 'integer' then
    out[#out + 1] = ('%d'):format(v)
  elseif kind == 'number' then
    out[#out + 1] = core.json_number(v)
  elseif kind == 'boolean' then
    out[#out + 1] = tostring(v)
  elseif kind == 'nil' then
    out[#out + 1] = 'null'
  elseif kind == 'table' and (#v > 0 or getmetatable(v) == List) then
    put_list(out, v, pad, depth)
  elseif kind == 'table' then
    put_object(out, v, pad, depth)
  else
    error('json: expected plain values, got a ' .. kind, 0)
  end
end

--- A value as JSON.
-- @param value numbers, strings, booleans, lists and tables with names
-- @param pretty true: names on lines of their own
-- > inc.json.encode{b = 1, a = {1, 2}}  --> {"a":[1,2],"b":1}
function json.encode(value, pretty)
  local out = {}
  encode(out, value, pretty and '' or nil, 0)
  return table.concat(out)
end

--- The value of a JSON text; raises with the place of a mistake.
-- > inc.json.decode '{"a": [1, 2.5]}'.a[2]  --> 2.5
function json.decode(text) return core.json_decode(text) end

--- The value of a JSON file.
-- > inc.json.read 'runs/first/config.json'.batch
function json.read(path) return core.json_decode(core.read_file(path)) end

--- Write a value to a JSON file: whole or not at all.
-- > inc.json.write('a.json', {loss = 0.5})
function json.write(path, value) core.write_file(path, json.encode(value, true) .. '\n') end

return json
