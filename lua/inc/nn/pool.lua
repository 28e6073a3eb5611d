--- nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d: pooling over [N, C, H, W].

local core = require 'inc.core'
local base = require 'inc.nn.module'

local layers = {}

--- The largest value of each window.
-- @param kernel_size, stride, padding an integer, or {height, width}; stride is the kernel when left out
-- @param ceil_mode true keeps a last window that is cut off by the border
-- > nn.MaxPool2d{3, stride = 2}
local MaxPool2d = base.class('nn.MaxPool2d',
  'kernel_size:int[2]; stride:int[2]?, padding:int[2]=0, ceil_mode:bool=false')
function MaxPool2d:forward(x) return (core.max_pool2d(x, self.options)) end
layers.MaxPool2d = MaxPool2d

--- The mean of each window.
-- @param count_include_pad false leaves padding out of the mean, as TensorFlow does
-- > nn.AvgPool2d{3, stride = 1, padding = 1, count_include_pad = false}
local AvgPool2d = base.class('nn.AvgPool2d',
  'kernel_size:int[2]; stride:int[2]?, padding:int[2]=0, ceil_mode:bool=false, count_include_pad:bool=true')
function AvgPool2d:forward(x) return core.avg_pool2d(x, self.options) end
layers.AvgPool2d = AvgPool2d

--- Means over windows chosen so that the output has this size.
-- > nn.AdaptiveAvgPool2d{1}
local AdaptiveAvgPool2d = base.class('nn.AdaptiveAvgPool2d', 'output_size:int[2]=1;')
function AdaptiveAvgPool2d:forward(x) return core.adaptive_avg_pool2d(x, self.options) end
layers.AdaptiveAvgPool2d = AdaptiveAvgPool2d

for _, class in pairs(layers) do
  --- One an input element and window.
  function class:flops(input, out)
    local size = self.options.kernel_size
    local window = type(size) == 'table' and size[1] * size[2] or size and size * size
    return out[1] * out[2] * (window and out[3] * out[4] * window or input[3] * input[4])
  end
end

return layers
