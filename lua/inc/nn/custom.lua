--- nn.module: a layer of one's own from one function.
--
-- The function's own parameter names are the names of the call's values (debug.getlocal tells them), so
-- `Scale{64}` and `Scale{channels = 64}` both work and a wrong name is an error with the nearest right one.

local args = require 'inc.args'
local base = require 'inc.nn.module'

local function parameter_names(f)
  local names = {}
  for i = 2, debug.getinfo(f, 'u').nparams do names[#names + 1] = debug.getlocal(f, i) end
  return names
end

local function check_name(class, key, names)
  for _, name in ipairs(names) do
    if name == key then return end
  end
  args.fail('%s: %s: unknown option%s', class._name, key, args.hint(key, names))
end

-- The call's values in the order of the constructor's parameters.
local function arrange(class, given, names, vararg)
  local values, n = {}, math.max(#names, #given)
  if #given > #names and not vararg then
    args.fail('%s: expected at most %d positional values, got %d', class._name, #names, #given)
  end
  for i, name in ipairs(names) do
    values[i] = (base.defaults_for(class) or {})[name]
    if given[name] ~= nil then values[i] = given[name] end
  end
  for i = 1, #given do values[i] = given[i] end
  for key in pairs(given) do
    if type(key) == 'string' then check_name(class, key, names) end
  end
  return values, n
end

local function is_table_call(first, ...)
  return type(first) == 'table' and not args.is_module(first) and select('#', ...) == 0
end

local function describe_given(self)
  local parts = {}
  for i, name in ipairs(self._class._params_of_constructor) do
    local v = self._given[i]
    if v ~= nil and #parts == i - 1 then
      parts[i] = args.show(v)
    elseif v ~= nil then
      parts[#parts + 1] = name .. ' = ' .. args.show(v)
    end
  end
  return self._class._name .. '{' .. table.concat(parts, ', ') .. '}'
end

--- Make a class of layers. `constructor(self, ...)` assigns children and parameters to self, in order, and
-- defines `function self:forward(x)`.
-- @param name how it prints
-- > Scale = nn.module('Scale', function(self, channels)
-- >   self.gain = nn.parameter(inc.ones{channels})
-- >   function self:forward(x) return x * self.gain:view{1, -1, 1, 1} end
-- > end)
-- > Scale{64}
local function module(name, constructor)
  if type(name) ~= 'string' or type(constructor) ~= 'function' then
    args.fail "nn.module: expected a name and a function (self, ...) that fills self with layers"
  end
  local names, vararg = parameter_names(constructor), debug.getinfo(constructor, 'u').isvararg
  local class
  class = base.class(name, nil, function(_, ...)
    local given = is_table_call(...) and ... or {...}
    local values, n = arrange(class, given, names, vararg)
    local self = base.instance(class)
    rawset(self, '_given', values)
    constructor(self, table.unpack(values, 1, n))
    return self
  end)
  class._params_of_constructor = names
  class.describe_call = describe_given
  class._spec = {check_names = function(_, options)
    for key in pairs(options) do check_name(class, key, names) end
  end}
  return class
end

return module
