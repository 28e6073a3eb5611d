--- Adam and its kin: adam, adamw, nadam, radam, adamax.
--
-- All keep averages m of g and v of g^2 and correct them for their start at 0: m' = m / (1 - beta1^t),
-- v' = v / (1 - beta2^t). The corrections are `numbers` of the description, made once a step in f64.

local core = require 'inc.core'
local args = require 'inc.args'
local optim = require 'inc.optim.define'

local function check_betas(o)
  if #o.betas ~= 2 then args.fail('optim.adam: betas: expected two numbers, got %d', #o.betas) end
end

local averages = {'exp_avg', 'exp_avg_sq'}

local function corrections(h, t)
  return {correct1 = 1 - h.beta1 ^ t, root2 = (1 - h.beta2 ^ t):sqrt()}
end

-- m and v of this step.
local function average(g, slot, h)
  local m, v = slot.exp_avg, slot.exp_avg_sq
  m:lerp_(g, 1 - h.beta1)
  v:lerp_(g * g, 1 - h.beta2)
  return m, v
end

local function adam_update(p, g, slot, h)
  local m, v = average(g, slot, h)
  p:sub_(m / (v:sqrt() / h.root2 + h.eps) * (h.lr / h.correct1))
end

local function adam_kernel(decoupled)
  return function(p, g, slot, h, scale)
    core.adam_(p, g, slot.exp_avg, slot.exp_avg_sq, h.lr, h.step, scale, {
      beta1 = h.beta1, beta2 = h.beta2, eps = h.eps, weight_decay = h.weight_decay, decoupled = decoupled,
    })
  end
end

--- Adam (arXiv 1412.6980). Weight decay is added to the gradient.
--   m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
--   p = p - lr * m' / (sqrt(v') + eps)        m' = m / (1 - beta1^t), v' = v / (1 - beta2^t)
-- @param lr, betas, eps
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.adam{lr = 1e-3}
optim.adam = optim.new('adam', {
  options = 'lr:number=1e-3, betas:numbers={0.9 0.999}, eps:number=1e-8',
  check = check_betas, slots = averages, numbers = corrections, update = adam_update,
  fused = adam_kernel(false),
})

--- Adam with weight decay apart from the gradient (arXiv 1711.05101): p = p * (1 - lr * weight_decay) first,
-- then the step of optim.adam.
-- @param lr, betas, eps
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.adamw{lr = 1e-3, weight_decay = 0.01}
optim.adamw = optim.new('adamw', {
  options = 'lr:number=1e-3, betas:numbers={0.9 0.999}, eps:number=1e-8', weight_decay = 0.01,
  decay = 'decoupled',
  check = check_betas, slots = averages, numbers = corrections, update = adam_update,
  fused = adam_kernel(true),
})

--- Adam with Nesterov's momentum (Dozat 2016), with PyTorch's schedule of the momentum.
--   mu(t) = beta1 * (1 - 0.96^(t * momentum_decay) / 2);  P = mu(1) * ... * mu(t)
--   p = p - lr * ((1 - mu(t)) / (1 - P) * g + mu(t+1) / (1 - P * mu(t+1)) * m) / (sqrt(v') + eps)
-- @param lr, betas, eps, momentum_decay
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.nadam{lr = 2e-3}
optim.nadam = optim.new('nadam', {
  options = 'lr:number=2e-3, betas:numbers={0.9 0.999}, eps:number=1e-8, momentum_decay:number=4e-3',
  check = check_betas, slots = averages, scalars = {mu_product = 1},
  numbers = function(h, t, s)
    local function mu(step) return (1 - 0.96 ^ (step * h.momentum_decay) * 0.5) * h.beta1 end
    local now, next_one = mu(t), mu(t + 1)
    s.mu_product:mul_(now)
    return {
      of_g = (1 - now) / (1 - s.mu_product), of_m = next_one / (1 - s.mu_product * next_one),
      root2 = (1 - h.beta2 ^ t):sqrt(),
    }
  end,
  update = function(p, g, slot, h)
    local m, v = average(g, slot, h)
    p:sub_((g * h.of_g + m * h.of_m) / (v:sqrt() / h.root2 + h.eps) * h.lr)
  end,
})

--- Rectified Adam (arXiv 1908.03265): plain momentum until the variance of v' is bounded, then Adam with a
-- rectified rate.
--   R = 2 / (1 - beta2) - 1;  rho = R - 2 * t * beta2^t / (1 - beta2^t)
--   rho > 5:  r = sqrt((rho - 4) * (rho - 2) * R / ((R - 4) * (R - 2) * rho))
--             p = p - lr * m' * r * sqrt(1 - beta2^t) / (sqrt(v) + eps)
--   else      p = p - lr * m'
-- @param lr, betas, eps
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.radam{lr = 1e-3}
optim.radam = optim.new('radam', {
  options = 'lr:number=1e-3, betas:numbers={0.9 0.999}, eps:number=1e-8',
  check = check_betas, slots = averages,
  numbers = function(h, t)
    local power = h.beta2 ^ t
    local limit = 2 / (1 - h.beta2) - 1
    local rho = limit - t * 2 * power / (1 - power)
    local r = ((rho - 4) * (rho - 2) * limit / (rho * ((limit - 4) * (limit - 2)))):clamp{min = 0}:sqrt()
    local sound = core.gt(rho, 5):cast 'f64'
    return {correct1 = 1 - h.beta1 ^ t, adaptive = r * (1 - power):sqrt() * sound, plain = 1 - sound}
  end,
  update = function(p, g, slot, h)
    local m, v = average(g, slot, h)
    p:sub_(m * ((v:sqrt() + h.eps):reciprocal() * h.adaptive + h.plain) * (h.lr / h.correct1))
  end,
})

--- Adamax (arXiv 1412.6980, section 7): Adam with the infinity norm.
--   m = beta1 * m + (1 - beta1) * g;  u = max(beta2 * u, |g| + eps)
--   p = p - lr / (1 - beta1^t) * m / u
-- @param lr, betas, eps
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.adamax{lr = 2e-3}
optim.adamax = optim.new('adamax', {
  options = 'lr:number=2e-3, betas:numbers={0.9 0.999}, eps:number=1e-8',
  check = check_betas, slots = {'exp_avg', 'exp_inf'},
  numbers = function(h, t) return {correct1 = 1 - h.beta1 ^ t} end,
  update = function(p, g, slot, h)
    local m, u = slot.exp_avg, slot.exp_inf
    m:lerp_(g, 1 - h.beta1)
    u:copy_((u * h.beta2):maximum(g:abs() + h.eps))
    p:sub_(m / u * (h.lr / h.correct1))
  end,
})
