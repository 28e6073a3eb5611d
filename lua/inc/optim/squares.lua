--- Optimizers that divide by a running root of squares, without averaging the gradient: rmsprop, adagrad,
-- adadelta.

local core = require 'inc.core'
local optim = require 'inc.optim.define'

local function rmsprop_step(g, v, h)
  if h.eps_inside then return g * (v + h.eps):rsqrt() * h.lr end
  return g / (v:sqrt() + h.eps)
end

--- RMSProp (Tieleman and Hinton 2012), in two forms that agree for no eps.
-- PyTorch's:
--   v = alpha * v + (1 - alpha) * g^2                 v starts at 0
--   m = momentum * m + g / (sqrt(v) + eps);  p = p - lr * m
-- TensorFlow's, with eps_inside = true, as Inception was trained:
--   v = v + (1 - alpha) * (g^2 - v)                   v starts at 1
--   m = momentum * m + lr * g / sqrt(v + eps);  p = p - m
-- In the first a changed rate acts on all of m at once, in the second on what is added from then on.
-- @param lr, alpha, eps, momentum, eps_inside
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.rmsprop{lr = 0.045, alpha = 0.9, momentum = 0.9, eps = 1.0, eps_inside = true}
optim.rmsprop = optim.new('rmsprop', {
  options = 'lr:number=0.01, alpha:number=0.99, eps:number=1e-8, momentum:number=0, eps_inside:bool=false',
  slots = function(o) return o.momentum > 0 and {'square_avg', 'momentum_buffer'} or {'square_avg'} end,
  start = function(o, slot) return slot == 'square_avg' and o.eps_inside and 1 or 0 end,
  update = function(p, g, slot, h)
    local v, m = slot.square_avg, rawget(slot, 'momentum_buffer')
    v:lerp_(g * g, 1 - h.alpha)
    local step = rmsprop_step(g, v, h)
    if m then step = m:mul_(h.momentum):add_(step) end
    p:sub_(h.eps_inside and step or step * h.lr)
  end,
  fused = function(p, g, slot, h, scale)
    core.rmsprop_(p, g, slot.square_avg, rawget(slot, 'momentum_buffer'), h.lr, scale, {
      alpha = h.alpha, eps = h.eps, weight_decay = h.weight_decay, momentum = h.momentum,
      eps_inside = h.eps_inside,
    })
  end,
})

--- Adagrad (Duchi, Hazan and Singer 2011): rates that only fall.
--   s = s + g^2                                       s starts at `initial`
--   p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)
-- @param lr, lr_decay, initial, eps
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.adagrad{lr = 0.01}
optim.adagrad = optim.new('adagrad', {
  options = 'lr:number=0.01, lr_decay:number=0, initial:number=0, eps:number=1e-10',
  slots = {'sum'},
  start = function(o) return o.initial end,
  numbers = function(h, t) return {fall = 1 / (1 + (t - 1) * h.lr_decay)} end,
  update = function(p, g, slot, h)
    slot.sum:add_(g * g)
    p:sub_(g / (slot.sum:sqrt() + h.eps) * (h.lr * h.fall))
  end,
})

--- Adadelta (arXiv 1212.5701): the step has the units of the parameter, so a rate of 1 fits many problems.
--   v = rho * v + (1 - rho) * g^2;  d = g * sqrt(u + eps) / sqrt(v + eps)
--   u = rho * u + (1 - rho) * d^2;  p = p - lr * d
-- @param lr, rho, eps
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.adadelta{}
optim.adadelta = optim.new('adadelta', {
  options = 'lr:number=1, rho:number=0.9, eps:number=1e-6',
  slots = {'square_avg', 'acc_delta'},
  update = function(p, g, slot, h)
    local v, u = slot.square_avg, slot.acc_delta
    v:lerp_(g * g, 1 - h.rho)
    local d = g * (u + h.eps):sqrt() / (v + h.eps):sqrt()
    u:lerp_(d * d, 1 - h.rho)
    p:sub_(d * h.lr)
  end,
})
