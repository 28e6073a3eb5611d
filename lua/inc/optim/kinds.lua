--- The facts that make one optimizer different from another.
--
-- signature  its own options (inc.args); those that all share are added by optim.lua
-- slots      ordered names of its state, PyTorch's where PyTorch has the slot
-- start      start(options, slot): the first value of a slot, 0 when left out
-- update     emits the op for one parameter: update(p, g, slots, lr, step, scale, o, weight_decay)
--
-- The formulas themselves are ops in C (sgd_, rmsprop_, adam_), which the planner joins into one
-- multi-tensor update.

local core = require 'inc.core'
local args = require 'inc.args'

local kinds = {}

kinds.sgd = {
  signature = 'lr:number, momentum:number=0, nesterov:bool=false',
  weight_decay = 0,
  check = function(o)
    if o.nesterov and o.momentum == 0 then
      args.fail 'optim.sgd: nesterov: expected momentum above 0 with it'
    end
  end,
  slots = function(o) return o.momentum > 0 and {'momentum_buffer'} or {} end,
  update = function(p, g, slots, lr, _, scale, o, weight_decay)
    core.sgd_(p, g, slots.momentum_buffer, lr, scale,
      {momentum = o.momentum, weight_decay = weight_decay, nesterov = o.nesterov})
  end,
}

kinds.rmsprop = {
  signature = 'lr:number=0.01, alpha:number=0.99, eps:number=1e-8, momentum:number=0, ' ..
    'eps_inside:bool=false',
  weight_decay = 0,
  slots = function(o) return o.momentum > 0 and {'square_avg', 'momentum_buffer'} or {'square_avg'} end,
  start = function(o, slot) return slot == 'square_avg' and o.eps_inside and 1 or 0 end,
  update = function(p, g, slots, lr, _, scale, o, weight_decay)
    core.rmsprop_(p, g, slots.square_avg, slots.momentum_buffer, lr, scale, {
      alpha = o.alpha, eps = o.eps, weight_decay = weight_decay, momentum = o.momentum,
      eps_inside = o.eps_inside,
    })
  end,
}

local function adam(decoupled, weight_decay)
  return {
    signature = 'lr:number=1e-3, betas:numbers={0.9 0.999}, eps:number=1e-8',
    weight_decay = weight_decay,
    check = function(o)
      if #o.betas ~= 2 then args.fail('optim.adam: betas: expected two numbers, got %d', #o.betas) end
    end,
    slots = function() return {'exp_avg', 'exp_avg_sq'} end,
    update = function(p, g, slots, lr, step, scale, o, decay)
      core.adam_(p, g, slots.exp_avg, slots.exp_avg_sq, lr, step, scale, {
        beta1 = o.betas[1], beta2 = o.betas[2], eps = o.eps, weight_decay = decay, decoupled = decoupled,
      })
    end,
  }
end

kinds.adam = adam(false, 0)
kinds.adamw = adam(true, 0.01)

return kinds
