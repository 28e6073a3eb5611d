--- nn.Linear: x times the weight's transpose, plus a bias, over the last dim.

local core = require 'inc.core'
local initial = require 'inc.nn.initial'
local base = require 'inc.nn.module'
local preprocess = require 'inc.nn.preprocess'

--- Fully connected layer. Input features are taken from the first input when left out.
-- @param out_features how many outputs
-- @param bias false leaves the bias out
-- @param init start values of the weight (nn.init); the bias then starts at zero
-- > nn.Linear{37}
local Linear = base.class('nn.Linear', 'out_features:int; bias:bool=true, in_features:int?, init:init?')

function Linear:setup(o)
  self.in_features = o.in_features
  self:reserve('weight')
  if o.bias then self:reserve('bias') end
end

function Linear:build_parameters(x)
  local o = self.options
  local features = self.in_features or x and x:size(-1)
  if not features then return false end
  local init = initial.default(features)
  self._plain.in_features = features -- not an edit
  self:create('weight', {o.out_features, features}, o.init or init)
  if o.bias then self:create('bias', {o.out_features}, o.init and initial.zeros or init) end
end

--- (for replace) Take the input size of the layer that stood here.
function Linear:inherit_size(old) self.in_features = self.in_features or old.in_features end

--- (for loading) Take the input size from the shape of a stored tensor.
function Linear:size_from(shape) self.in_features = self.in_features or shape[2] end

function Linear:forward(x)
  if x:dtype() == 'u8' then x = preprocess.unit_range(x) end
  return core.linear(x, self.weight, self.bias)
end

--- Two for each multiplication with addition.
function Linear:flops(_, out)
  local n = 2 * self.in_features
  for _, size in ipairs(out) do n = n * size end
  return n
end

return Linear
