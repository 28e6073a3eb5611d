--- Schedule-free optimizers (arXiv 2405.15682): an average of the path in place of a falling rate.
--
-- Three sequences: z takes the steps, x is the average of z, and the net holds y between them, where
-- gradients
-- are taken. Evaluation and saving must see x: it is a slot of its own, which opt:average(net) hands to
-- whoever
-- evaluates. The authors' code keeps two of the three and works x out; a third slot costs memory and never
-- has to
-- be swapped in and out of the net. Running statistics of norm layers are those of y: for the last tenth of a
-- per cent, run some training batches through x.

local core = require 'inc.core'
local args = require 'inc.args'
local optim = require 'inc.optim.define'

-- The weight of this step in the average: t^r * (largest rate so far)^power, over the sum of all such
-- weights.
local function average_share(h, t, s)
  s.lr_max:copy_(s.lr_max:maximum(h.lr))
  local weight = t ^ h.r * s.lr_max ^ h.weight_lr_power
  s.weight_sum:add_(weight)
  return weight / core.maximum(s.weight_sum, 1e-300)
end

local function follow(p, step, slot, h, momentum)
  local x, z = slot.x, slot.z
  z:sub_(step * h.lr)
  x:lerp_(z, h.share)
  p:copy_(z * (1 - momentum) + x * momentum)
end

local scalars = {lr_max = 0, weight_sum = 0}
local start = {x = 'parameter', z = 'parameter'}

--- Schedule-free SGD (arXiv 2405.15682). Use a constant rate, after a warm-up, and no other schedule.
--   z = z - lr * (g + weight_decay * y);  x = (1 - c) * x + c * z;  y = (1 - momentum) * z + momentum * x
--   c = w / (sum of all w), w = t^r * (largest lr)^weight_lr_power
-- The net holds y; evaluate at x: opt:average(net).
-- @param lr, momentum, r, weight_lr_power
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.schedule_free_sgd{lr = 1}
optim.schedule_free_sgd = optim.new('schedule_free_sgd', {
  options = 'lr:number=1, momentum:number=0.9, r:number=0, weight_lr_power:number=2',
  slots = {'z', 'x'}, start = start, scalars = scalars, average = 'x',
  numbers = function(h, t, s) return {share = average_share(h, t, s)} end,
  update = function(p, g, slot, h) follow(p, g, slot, h, h.momentum) end,
})

local function check_betas(o)
  if #o.betas ~= 2 then
    args.fail('optim.schedule_free_adamw: betas: expected two numbers, got %d', #o.betas)
  end
end

--- Schedule-free AdamW (arXiv 2405.15682). Use a constant rate, after a warm-up, and no other schedule.
--   v = beta2 * v + (1 - beta2) * g^2;  d = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * y
--   z = z - lr * d;  x = (1 - c) * x + c * z;  y = (1 - beta1) * z + beta1 * x, c as of schedule_free_sgd
-- The net holds y; evaluate at x: opt:average(net).
-- @param lr, betas, eps, r, weight_lr_power
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.schedule_free_adamw{lr = 2.5e-3}
optim.schedule_free_adamw = optim.new('schedule_free_adamw', {
  options = 'lr:number=2.5e-3, betas:numbers={0.9 0.999}, eps:number=1e-8, r:number=0, ' ..
    'weight_lr_power:number=2',
  check = check_betas, decay = 'own', slots = {'exp_avg_sq', 'z', 'x'}, start = start, scalars = scalars,
  average = 'x',
  numbers = function(h, t, s) return {share = average_share(h, t, s), root2 = (1 - h.beta2 ^ t):sqrt()} end,
  update = function(p, g, slot, h)
    local v = slot.exp_avg_sq
    v:lerp_(g * g, 1 - h.beta2)
    local d = g / (v:sqrt() / h.root2 + h.eps) + p * h.weight_decay
    follow(p, d, slot, h, h.beta1)
  end,
})
