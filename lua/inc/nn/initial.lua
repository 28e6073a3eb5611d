--- nn.init: how start values are drawn. Each is a value with two methods, so that a layer can print it:
-- make(shape, seed, name) gives a new tensor, fill(tensor, seed, name) writes into one. Numbers come from a
-- counter-based generator keyed by (seed, name); drawing them moves no other random number.

local core = require 'inc.core'
local args = require 'inc.args'

local initial = {}

local function kind(name, signature, fill)
  local spec = args.spec('nn.init.' .. name, signature)
  local methods = {fill = function(self, ...) core.no_grad(fill, self, ...) end}
  methods.__index = methods
  methods.__tostring = function(self) return spec:describe(self) end
  function methods:make(shape, seed, label)
    local tensor = core.zeros(shape)
    fill(self, tensor, seed, label)
    return tensor
  end
  initial[name] = function(given) return setmetatable(spec(given), methods) end
  return methods
end

--- One value everywhere. nn.init.zeros and nn.init.ones are two of these.
-- @name nn.init.constant
-- > nn.init.constant{0.5}
local constant = kind('constant', 'value:number;', function(self, tensor) tensor:fill_(self.value) end)
--- A new tensor of that value.
function constant:make(shape)
  if self.value == 0 then return core.zeros(shape) end
  return core.full{table.unpack(shape), value = self.value}
end

--- Uniform in [-bound, bound].
-- @name nn.init.uniform
-- > nn.init.uniform{0.1}
kind('uniform', 'bound:number;', function(self, tensor, seed, name)
  core.init_uniform(tensor, seed, name, self.bound)
end)

--- Normal with mean 0.
-- @name nn.init.normal
-- > nn.init.normal{0.01}
kind('normal', 'std:number;', function(self, tensor, seed, name)
  core.init_normal(tensor, seed, name, self.std, false)
end)

--- Normal with mean 0; values beyond two standard deviations are drawn again.
-- @name nn.init.truncated_normal
-- > nn.init.truncated_normal{0.1}
kind('truncated_normal', 'std:number;', function(self, tensor, seed, name)
  core.init_normal(tensor, seed, name, self.std, true)
end)

--- What PyTorch's Conv2d and Linear start from: uniform in 1/sqrt(fan_in), weight and bias alike.
-- @param fan_in the number of inputs of one output
-- > nn.init.default(100)  --> nn.init.uniform{0.1}
function initial.default(fan_in)
  return initial.uniform{fan_in > 0 and 1 / math.sqrt(fan_in) or 0}
end

initial.zeros = initial.constant{0}
initial.ones = initial.constant{1}

args.types.init = {function(v) return type(v) == 'table' and v.make ~= nil end, 'one of nn.init'}

return initial
