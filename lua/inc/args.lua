--- Checking of one-table calls: `nn.Conv2d{32, kernel_size = 3}`.
--
-- A call is described by one line of text in the grammar of the C ops' signatures, so that a reader learns
-- one notation and help can print it:
--
--   args.spec('nn.Conv2d', 'out_channels:int; kernel_size:int[2], stride:int[2]=1, bias:bool=true')
--
-- Names before the semicolon may also be given by position. `?` marks what may be absent, `=` a default
-- (a list is written {0.9 0.999}), `...` (last of the positional ones) takes all that is left. The result is
-- a fresh table with a value for each name, so that a layer never sees the caller's table. Errors carry the
-- position of the first line outside this library, because the line that matters is the user's. Rejected: a
-- table of rows for each call (three times the text), and passing the user's table through (a typo then means
-- "the default").

local core = require 'inc.core'

local args = {}

local library = debug.getinfo(1, 'S').source:match '^@(.*)args%.lua$'

local function from_library(source)
  return library ~= nil and source:sub(2, 1 + #library) == library
end

local function user_position()
  for level = 3, 200 do
    local info = debug.getinfo(level, 'Sl')
    if not info then return '' end
    if info.what ~= 'C' and info.currentline > 0 and not from_library(info.source) then
      return ('%s:%d: '):format(info.short_src, info.currentline)
    end
  end
  return ''
end

--- Raise an error at the first line outside the library.
-- @param format, ... as for string.format
function args.fail(format, ...)
  error(user_position() .. (select('#', ...) > 0 and format:format(...) or format), 0)
end

--- For `local _ <close> = args.finally(f)`: f is called whatever ends the block, Ctrl-C too, which goes
-- through pcall and would leave out what stands behind one.
function args.finally(f) return setmetatable({}, {__close = f}) end

-- -- as the user would give it ------------------------------------------------------------------------------

--- True where options came from the command line (inc/cli.lua): messages then name them as they are typed
-- there.
args.on_command_line = false

local function quoted(text) return text:find "['\\\n]" and ('%q'):format(text) or ("'%s'"):format(text) end

--- An option and its value: `out = 'runs/a'`, or `--out runs/a` on the command line.
-- > inc.args.option('val_every', 8)  --> val_every = 8
function args.option(name, value)
  if not args.on_command_line then
    return ('%s = %s'):format(name, type(value) == 'string' and quoted(value) or args.show(value))
  end
  local flag = '--' .. name:gsub('_', '-')
  return value == true and flag or flag .. ' ' .. tostring(value)
end

--- A verb and what it is for: `resume('runs/a')`, or `incsh resume runs/a` on the command line.
-- > inc.args.verb('resume', 'mine')  --> resume('mine')
function args.verb(name, value)
  return (args.on_command_line and 'incsh %s %s' or '%s(%s)'):format(name,
    args.on_command_line and value or quoted(value))
end

-- -- nearest names ------------------------------------------------------------------------------------------

local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

--- The name most like `word`, or nil when none is near.
-- @param most edits that may part them; 2, or a third of the word's length, when left out
-- > inc.args.nearest('stide', {'padding', 'stride'})  --> stride
function args.nearest(word, names, most)
  local best, least = nil, (most or math.max(2, #word // 3)) + 1
  for _, name in ipairs(names) do
    local d = distance(word:lower(), name:lower())
    if d < least then best, least = name, d end
  end
  return best
end

--- The end of an error message about an unknown name: the nearest right one, or all of them.
function args.hint(word, names)
  local near = type(word) == 'string' and args.nearest(word, names)
  if near then return (' (did you mean %s?)'):format(near) end
  return #names > 0 and (' (there are %s)'):format(table.concat(names, ', ')) or ''
end

-- -- values -------------------------------------------------------------------------------------------------

--- Is it a tensor?
args.is_tensor = core.is_tensor

--- Is it a layer or net?
function args.is_module(v)
  return type(v) == 'table' and rawget(v, '_class') ~= nil
end

local function is_list(v, test)
  if type(v) ~= 'table' or getmetatable(v) then return false end
  for i = 1, #v do
    if not test(v[i]) then return false end
  end
  return true
end

local function is_int(v) return math.type(v) == 'integer' or (type(v) == 'number' and v % 1 == 0) end
local function of_type(name) return function(v) return type(v) == name end end

--- What each type of the notation accepts, and how errors call it. Other files add their own.
args.types = {
  any = {function() return true end, 'a value'},
  int = {is_int, 'an integer'},
  number = {of_type 'number', 'a number'},
  bool = {of_type 'boolean', 'true or false'},
  string = {of_type 'string', 'a string'},
  table = {of_type 'table', 'a table'},
  ['function'] = {of_type 'function', 'a function'},
  callable = {function(v)
    local meta = getmetatable(v)
    return type(v) == 'function' or (meta and meta.__call) ~= nil
  end, 'a function'},
  tensor = {args.is_tensor, 'a tensor'},
  module = {args.is_module, 'a layer'},
  ['int[2]'] = {function(v) return is_int(v) or (is_list(v, is_int) and #v == 2) end, 'an integer or two'},
  ints = {function(v) return is_list(v, is_int) end, 'a list of integers'},
  numbers = {function(v) return is_list(v, of_type 'number') end, 'a list of numbers'},
  strings = {function(v) return is_list(v, of_type 'string') end, 'a list of strings'},
}

--- A value as a user would type it: strings quoted, lists in braces, layers by their own print.
-- > inc.args.show{1, 2, 'a'}  --> {1, 2, "a"}
function args.show(v)
  if type(v) == 'string' then return (('%q'):format(v):gsub('\\\n', '\\n')) end
  if type(v) == 'number' then return math.tointeger(v) and ('%d'):format(v) or ('%.14g'):format(v) end
  if type(v) ~= 'table' or (getmetatable(v) or {}).__tostring then return tostring(v) end
  local parts, names = {}, {}
  for i = 1, #v do parts[i] = args.show(v[i]) end
  for key in pairs(v) do
    if type(key) == 'string' then names[#names + 1] = key end
  end
  table.sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = name .. ' = ' .. args.show(v[name]) end
  return '{' .. table.concat(parts, ', ') .. '}'
end

local function got(v)
  if v == nil then return 'nothing' end
  if type(v) == 'table' and rawget(v, '_spec') and rawget(v, '_name') then -- a class of layers
    return ('%s itself: write %s{}'):format(v._name, v._name)
  end
  local text = args.is_tensor(v) and 'a tensor' or args.show(v)
  return #text > 60 and 'a ' .. type(v) or text
end

--- The first n characters of a text; bytes where it is not UTF-8.
function args.clip(text, n)
  local length = utf8.len(text)
  if (length or #text) <= n then return text end
  return text:sub(1, length and utf8.offset(text, n + 1) - 1 or n)
end

-- -- objects ------------------------------------------------------------------------------------------------

--- Kinds of objects that users hold, by what the documentation calls one: {run = {methods =, fields =}}.
args.objects = {}

--- Name a kind of object for help and its tests: its methods are then run:stop, run:wait, ..., its computed
-- fields run.log.
-- @param name what the documentation calls one: 'run'
-- @param methods, fields tables name -> function
-- @param inner names that are not for users, apart by spaces
function args.object(name, methods, fields, inner)
  args.objects[name] = {methods = methods, fields = fields or {}, inner = inner or ''}
end

--- What the documentation calls this object, such as 'run'; nil for a table of options and all else.
function args.object_name(v)
  local meta = type(v) == 'table' and getmetatable(v)
  for name, kind in pairs(meta and args.objects or {}) do
    local methods = kind.methods
    if methods == meta or methods == meta.__index or methods == meta.__names then return name end
  end
end

-- -- signatures ---------------------------------------------------------------------------------------------

local Spec = {}
Spec.__index = Spec

local function parse_default(text)
  if text == nil then return nil end
  if text == 'true' or text == 'false' then return text == 'true' end
  local list = text:match '^{(.*)}$'
  if not list then return tonumber(text) or text end
  local numbers = {}
  for word in list:gmatch '%S+' do numbers[#numbers + 1] = tonumber(word) end
  return numbers
end

local function parse_item(item, positional)
  local name, rest = item:match '^%s*([%w_]+)%s*:%s*(.-)%s*$'
  assert(name, 'args.spec: bad item ' .. item)
  local kind, default = rest:match '^(.-)%s*=%s*(.*)$'
  kind = kind or rest
  local param = {name = name, positional = positional, default = parse_default(default)}
  param.rest = kind:sub(-3) == '...'
  param.optional = kind:sub(-1) == '?' or default ~= nil
  kind = kind:gsub('%.%.%.$', ''):gsub('%?$', '')
  local choices = kind:match '^enum%((.*)%)$'
  if choices then
    param.choices = {}
    for word in choices:gmatch '[^|]+' do param.choices[#param.choices + 1] = word end
  else
    param.type = assert(args.types[kind], 'args.spec: unknown type ' .. kind)
  end
  return param
end

--- Every call described so far, by its name: what completion and help know about options.
args.specs = {}

--- Describe a call. The result is called with the user's table and returns a checked copy.
-- @param name as users write it: 'nn.Conv2d'
-- @param text the signature (grammar at the head of this file)
function args.spec(name, text)
  local self = setmetatable({name = name, text = text, params = {}, names = {}, by_name = {}}, Spec)
  local positional = text:find ';' ~= nil or text:find '%.%.%.' ~= nil
  for part, stop in (text .. ','):gmatch '([^,;]*)([,;])' do
    if part:match '%S' then
      local param = parse_item(part, positional)
      self.params[#self.params + 1] = param
      self.names[#self.names + 1] = param.name
      self.by_name[param.name] = param
      if param.rest then self.rest, positional = param, false end
    end
    if stop == ';' then positional = false end
  end
  args.specs[name] = self
  return self
end

local function check_choice(self, param, v)
  for _, word in ipairs(param.choices) do
    if v == word then return v end
  end
  local choices = table.concat(param.choices, ', ')
  args.fail('%s: %s: expected one of %s, got %s', self.name, param.name, choices, got(v))
end

local function check(self, param, v)
  if v == nil and param.optional then
    return param.default
  elseif param.choices then
    return check_choice(self, param, v)
  elseif not param.type[1](v) then
    args.fail('%s: %s: expected %s, got %s', self.name, param.name, param.type[2], got(v))
  end
  local whole = param.type == args.types.int or param.type == args.types['int[2]']
  return whole and type(v) == 'number' and math.tointeger(v) or v
end

local function take_rest(self, given, first)
  local list = {}
  for i = first, #given do
    list[#list + 1] = given[i]
    if not self.rest.type[1](given[i]) then
      args.fail('%s: value %d: expected %s, got %s', self.name, i, self.rest.type[2], got(given[i]))
    end
  end
  return list
end

local function take_positional(self, given, values)
  local n = 0
  for _, param in ipairs(self.params) do
    if param.rest then
      values[param.name] = take_rest(self, given, n + 1)
      return
    elseif not param.positional then
      break
    end
    n = n + 1
    values[param.name] = given[n]
  end
  if #given > n then
    local plural = n == 1 and '' or 's'
    args.fail('%s: expected at most %d positional value%s, got %d', self.name, n, plural, #given)
  end
end

local function take_named(self, given, values)
  for key, v in pairs(given) do
    local param = self.by_name[key]
    if type(key) == 'string' and not (param and not param.rest) then
      args.fail('%s: %s: unknown option%s', self.name, key, args.hint(key, self.names))
    elseif type(key) == 'string' and values[key] ~= nil then
      args.fail('%s: %s: given by position and by name', self.name, key)
    elseif type(key) == 'string' then
      values[key] = v
    elseif math.type(key) ~= 'integer' or key < 1 or key > #given then
      args.fail('%s: expected names and positional values without gaps, got key %s', self.name, got(key))
    end
  end
end

function Spec:__tostring() return ('%s{%s}'):format(self.name, self.text) end

--- Check a call. `defaults` (name -> value) come between what the user gave and the signature's own.
function Spec:__call(given, defaults)
  if given == nil then given = {} end
  if type(given) ~= 'table' or args.is_module(given) or args.object_name(given) then
    args.fail('%s: expected one table, got %s: write %s{...}', self.name, got(given), self.name)
  end
  local values = {}
  take_positional(self, given, values)
  take_named(self, given, values)
  for _, param in ipairs(self.params) do
    if not param.rest then
      local v = values[param.name]
      if v == nil and defaults then v = defaults[param.name] end
      values[param.name] = check(self, param, v)
    end
  end
  return values
end

--- Raise unless every key of `options` is one of the call's names (for default tables).
function Spec:check_names(options)
  for key in pairs(options) do
    if not self.by_name[key] then
      args.fail('%s: %s: unknown option%s', self.name, tostring(key), args.hint(key, self.names))
    end
  end
end

local function same(a, b)
  if type(a) == 'table' and type(b) == 'table' then return args.show(a) == args.show(b) end
  return a == b
end

--- The call that gives these values, as a user would type it; defaults are left out.
function Spec:describe(values)
  local parts, gap = {}, false
  for _, param in ipairs(self.params) do
    local v = values[param.name]
    if param.rest then
      for _, item in ipairs(v or {}) do parts[#parts + 1] = args.show(item) end
    elseif v == nil or (param.optional and same(v, param.default)) then
      gap = true
    elseif param.positional and not gap then
      parts[#parts + 1] = args.show(v)
    else
      parts[#parts + 1] = param.name .. ' = ' .. args.show(v)
    end
  end
  return self.name .. '{' .. table.concat(parts, ', ') .. '}'
end

return args
