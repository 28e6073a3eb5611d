--- nn.Conv2d: two-dimensional convolution over [N, C, H, W].
--
-- Pictures straight from a file (u8) become floats in [0, 1] here; a net that wants another range has its own
-- preprocessing, which comes first (nn/preprocess.lua).

local core = require 'inc.core'
local initial = require 'inc.nn.initial'
local base = require 'inc.nn.module'
local preprocess = require 'inc.nn.preprocess'

--- Convolution. Input channels are taken from the first input when left out.
-- @param out_channels how many filters
-- @param kernel_size, stride, padding, dilation an integer, or {height, width}
-- @param groups channels are split into so many independent convolutions
-- @param bias false leaves the bias out
-- @param init start values of the weight (nn.init); the bias then starts at zero
-- > nn.Conv2d{32, kernel_size = 3, stride = 2, bias = false}
local Conv2d = base.class('nn.Conv2d',
  'out_channels:int; kernel_size:int[2], stride:int[2]=1, padding:int[2]=0, dilation:int[2]=1, ' ..
  'groups:int=1, bias:bool=true, in_channels:int?, init:init?')

function Conv2d:setup(o)
  self.in_channels = o.in_channels
  self:reserve('weight')
  if o.bias then self:reserve('bias') end
  self.attributes = {stride = o.stride, padding = o.padding, dilation = o.dilation, groups = o.groups}
end

local function pair(v)
  if type(v) == 'table' then return v[1], v[2] end
  return v, v
end

function Conv2d:build_parameters(x)
  local o = self.options
  local channels = self.in_channels or x and x:size(2)
  if not channels then return false end
  local height, width = pair(o.kernel_size)
  local init = initial.default(channels // o.groups * height * width)
  self._plain.in_channels = channels -- not an edit
  self:create('weight', {o.out_channels, channels // o.groups, height, width}, o.init or init)
  if o.bias then self:create('bias', {o.out_channels}, o.init and initial.zeros or init) end
end

--- (for replace) Take the input size of the layer that stood here.
function Conv2d:inherit_size(old) self.in_channels = self.in_channels or old.in_channels end

--- (for loading) Take the input size from the shape of a stored tensor.
function Conv2d:size_from(shape) self.in_channels = self.in_channels or shape[2] * self.options.groups end

function Conv2d:forward(x)
  if x:dtype() == 'u8' then x = preprocess.unit_range(x) end
  return core.conv2d(x, self.weight, self.bias, self.attributes)
end

--- Two for each multiplication with addition.
function Conv2d:flops(_, out)
  local w = self.weight:shape()
  return 2 * w[2] * w[3] * w[4] * out[1] * out[2] * out[3] * out[4]
end

return Conv2d
