--- nn.BatchNorm2d: normalisation of each channel over batch and place, with running statistics.
--
-- Training measures the batch and moves the running statistics by `momentum`; evaluation uses them. A frozen
-- layer (net:freeze on its parameters) keeps its statistics and uses them in training too: statistics that go
-- on drifting under frozen weights are the usual complaint about freezing elsewhere. The update is an op like
-- any other, so that a planned step holds it. Statistics are f32 whatever the input is.

local core = require 'inc.core'
local initial = require 'inc.nn.initial'
local base = require 'inc.nn.module'

--- Batch norm over dim 2 of [N, C, H, W]. The number of features is taken from the first input.
-- @param eps added to the variance inside the root
-- @param momentum weight of the new batch in the running statistics
-- @param affine false leaves weight and bias out
-- @param unbiased false moves the running variance towards the batch's own (divided by its count), as
--   TensorFlow's moments do; true, as PyTorch, towards the estimate of the whole (divided by one less)
-- > nn.BatchNorm2d{eps = 0.001}
local BatchNorm2d = base.class('nn.BatchNorm2d',
  'num_features:int?; eps:number=1e-5, momentum:number=0.1, affine:bool=true, unbiased:bool=true')

BatchNorm2d.is_norm = true

function BatchNorm2d:setup(o)
  self.num_features = o.num_features
  if o.affine then self:reserve('weight', 'bias') end
  self:reserve_buffer('running_mean', 'running_var')
  self.attributes = {eps = o.eps}
end

function BatchNorm2d:build_parameters(x)
  local o = self.options
  local channels = self.num_features or x and x:size(2)
  if not channels then return false end
  self._plain.num_features = channels -- not an edit
  if o.affine then
    self:create('weight', {channels}, initial.ones)
    self:create('bias', {channels}, initial.zeros)
  end
  self:create('running_mean', {channels}, initial.zeros)
  self:create('running_var', {channels}, initial.ones)
end

--- (for replace) Take the input size of the layer that stood here.
function BatchNorm2d:inherit_size(old) self.num_features = self.num_features or old.num_features end

--- (for loading) Take the input size from the shape of a stored tensor.
function BatchNorm2d:size_from(shape) self.num_features = self.num_features or shape[1] end

function BatchNorm2d:forward(x)
  local weight, bias = self.weight, self.bias
  if not self.training or self.frozen then
    return core.batch_norm_eval(x, weight, bias, self.running_mean, self.running_var, self.attributes)
  end
  local y, mean, var = core.batch_norm_train(x, weight, bias, self.attributes)
  local count = self.options.unbiased and x:numel() // x:size(2) or 1 -- of one value nothing is corrected
  core.no_grad(core.bn_running_, self.running_mean, self.running_var, mean, var,
    {momentum = self.options.momentum, count = count})
  return y
end

--- A multiplication and an addition an element.
function BatchNorm2d:flops(_, out) return 2 * out[1] * out[2] * (out[3] or 1) * (out[4] or 1) end

return BatchNorm2d
