--- nn.ReLU, nn.Sigmoid, ...: layers of one elementwise op each, made from a table.

local core = require 'inc.core'
local base = require 'inc.nn.module'

local kinds = {
  {'ReLU', 'relu', ''}, {'Sigmoid', 'sigmoid', ''}, {'Tanh', 'tanh', ''}, {'GELU', 'gelu', ''},
  {'SiLU', 'silu', ''}, {'Softplus', 'softplus', ''},
  {'LeakyReLU', 'leaky_relu', 'negative_slope:number=0.01;'},
  {'Softmax', 'softmax', 'dim:int=-1;'}, {'LogSoftmax', 'log_softmax', 'dim:int=-1;'},
}

local layers = {}

--- max(x, 0).
-- @name nn.ReLU
-- > nn.ReLU{}(inc.tensor{-1, 2}):tolist()  --> {0, 2}

--- 1 / (1 + exp(-x)).
-- @name nn.Sigmoid
-- > nn.Sigmoid{}(inc.tensor{0}):tolist()  --> {0.5}

--- The hyperbolic tangent.
-- @name nn.Tanh
-- > nn.Tanh{}(inc.tensor{0}):tolist()  --> {0}

--- x * P(X <= x) for a standard normal X (arXiv 1606.08415), by the error function.
-- @name nn.GELU
-- > nn.GELU{}(inc.tensor{0}):tolist()  --> {0}

--- x * sigmoid(x) (arXiv 1702.03118).
-- @name nn.SiLU
-- > nn.SiLU{}(inc.tensor{0}):tolist()  --> {0}

--- log(1 + exp(x)), a smooth ReLU.
-- @name nn.Softplus
-- > nn.Softplus{}(inc.tensor{0}):tolist()  --> {0.6931472}

--- x where it is positive, negative_slope * x elsewhere.
-- @name nn.LeakyReLU
-- > nn.LeakyReLU{0.1}(inc.tensor{-1, 2}):tolist()  --> {-0.1, 2}

--- exp(x), scaled so that it sums to 1 along a dim.
-- @name nn.Softmax
-- > nn.Softmax{}(inc.tensor{{0, 0}}):tolist()  --> {{0.5, 0.5}}

--- The logarithm of nn.Softmax, exact where that is nearly 0.
-- @name nn.LogSoftmax
-- > nn.LogSoftmax{}(inc.tensor{{0, 0}}):tolist()  --> {{-0.6931472, -0.6931472}}
for _, kind in ipairs(kinds) do
  local class = base.class('nn.' .. kind[1], kind[3])
  local op = kind[2]
  function class:forward(x) return core[op](x, self.options) end
  function class:flops(_, out)
    local n = 1
    for _, size in ipairs(out) do n = n * size end
    return n
  end
  layers[kind[1]] = class
end

--- Passes its input on.
-- > nn.Identity{}(inc.ones{2}):tolist()  --> {1, 1}
local Identity = base.class('nn.Identity', '')
function Identity:forward(...) return ... end
layers.Identity = Identity

--- Joins dims: [N, C, H, W] becomes [N, C * H * W].
-- @param start_dim, end_dim the first and last dim to join
-- > nn.Flatten{}(inc.zeros{2, 3, 4}):shape()  --> {2, 12}
local Flatten = base.class('nn.Flatten', 'start_dim:int=2, end_dim:int=-1;')
function Flatten:forward(x)
  if not x:is_contiguous() then x = x:contiguous() end -- pictures may be channels-last
  return x:flatten(self.options)
end
layers.Flatten = Flatten

--- Sets elements to zero with probability p while training and scales the others by 1 / (1 - p). Which ones
-- depends on the seed, the step and the layer only. layer.p may be set to another number.
-- > nn.Dropout{0.2}
local Dropout = base.class('nn.Dropout', 'p:number=0.5;')
function Dropout:setup(options) self.p = options.p end
function Dropout:forward(x)
  if not self.training or self.p == 0 then return x end
  return core.dropout(x, core.rng(), {p = self.p, stream = core.stream()})
end
function Dropout:describe_call() return self._class._spec:describe{p = self.p} end
layers.Dropout = Dropout

return layers
