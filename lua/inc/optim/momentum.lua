--- Optimizers of one rate for all: sgd, nesterov, and lion, which keeps only the sign.

local core = require 'inc.core'
local args = require 'inc.args'
local optim = require 'inc.optim.define'

local function slots_of_sgd(o) return o.momentum > 0 and {'momentum_buffer'} or {} end

local function sgd_update(p, g, slot, h)
  if not rawget(slot, 'momentum_buffer') then
    p:sub_(g * h.lr)
    return
  end
  local m = slot.momentum_buffer
  m:mul_(h.momentum):add_(g)
  p:sub_((h.nesterov and g + m * h.momentum or m) * h.lr)
end

local function sgd_kernel(p, g, slot, h, scale)
  core.sgd_(p, g, rawget(slot, 'momentum_buffer'), h.lr, scale,
    {momentum = h.momentum, weight_decay = h.weight_decay, nesterov = h.nesterov})
end

--- Stochastic gradient descent with momentum (Polyak 1964), in PyTorch's form.
--   m = momentum * m + g        m starts at 0
--   p = p - lr * m              with nesterov: p - lr * (g + momentum * m)
-- A rate that changes acts on all of m at once (Keras keeps the rate inside m).
-- @param lr learning rate
-- @param momentum 0 keeps no slot
-- @param weight_decay times the weight is added to its gradient; biases and norm layers of a net are left out
-- @param decay_norms true takes them in, as PyTorch does
-- @param layer_decay the rate of a layer is multiplied by this once for each layer behind it
-- @param clip_norm gradients are scaled down when their common norm is larger
-- @param clip_value each number of a gradient is limited to plus and minus this
-- @param agc adaptive clipping: the limit of |g| / |p| for each unit (arXiv 2102.06171), 0.01 is usual
-- @param groups {{'^fc', lr_scale = 10, weight_decay = 0, momentum = 0.5}, ...}; the first Lua pattern that
--   fits a parameter's name counts
-- > optim.sgd{lr = 0.1, momentum = 0.9, nesterov = true}
optim.sgd = optim.new('sgd', {
  options = 'lr:number, momentum:number=0, nesterov:bool=false',
  check = function(o)
    if o.nesterov and o.momentum == 0 then
      args.fail 'optim.sgd: nesterov: expected momentum above 0 with it'
    end
  end,
  slots = slots_of_sgd, update = sgd_update, fused = sgd_kernel,
})

--- Nesterov's accelerated gradient (Nesterov 1983; this form: Sutskever et al. 2013): optim.sgd with
-- nesterov = true under a name of its own.
--   m = momentum * m + g;  p = p - lr * (g + momentum * m)
-- @param lr, momentum, and what all optimizers have: see optim.sgd
-- > optim.nesterov{lr = 0.1}
optim.nesterov = optim.new('nesterov', {
  options = 'lr:number, momentum:number=0.9, nesterov:bool=true',
  slots = slots_of_sgd, update = sgd_update, fused = sgd_kernel,
})

--- Lion (arXiv 2302.06675): steps of one size in the direction of a sign; wants a rate 3 to 10 times smaller
--and
-- a weight decay as many times larger than adamw.
--   p = p * (1 - lr * weight_decay);  p = p - lr * sign(beta1 * m + (1 - beta1) * g)
--   m = beta2 * m + (1 - beta2) * g
-- @param lr, betas, and what all optimizers have: see optim.sgd
-- > optim.lion{lr = 1e-4, weight_decay = 0.1}
optim.lion = optim.new('lion', {
  options = 'lr:number=1e-4, betas:numbers={0.9 0.99}',
  slots = {'exp_avg'}, decay = 'decoupled',
  update = function(p, g, slot, h)
    local m = slot.exp_avg
    local c = m * h.beta1 + g * (1 - h.beta1)
    -- the sign of every normal f32 number, in ops that have fast kernels
    p:sub_((c * 1e38 * 1e2):clamp{min = -1, max = 1} * h.lr)
    m:lerp_(g, 1 - h.beta2)
  end,
})
