--- Optimizers that scale each parameter's step by its own length: lamb and lars, for large batches; and muon,
-- which makes the step of a matrix orthogonal.

local core = require 'inc.core'
local args = require 'inc.args'
local optim = require 'inc.optim.define'

-- a / b, and 1 where either is 0: 0-d tensors.
local function ratio(a, b, top)
  local sound = core.logical_and(core.gt(a, 0), core.gt(b, 0)):cast 'f32'
  return top / (b + (1 - sound)) * sound + (1 - sound)
end

local function is_matrix(p) return #p:shape() > 1 end

--- LAMB (arXiv 1904.00962): Adam's step, scaled to the length of the parameter. Vectors (biases, norm layers)
-- take Adam's step as it is.
--   m, v as of optim.adam;  u = m' / (sqrt(v') + eps) + weight_decay * p
--   p = p - lr * |p| / |u| * u                        the ratio is 1 where a norm is 0
-- @param lr, betas, eps
-- @param clip_norm the common norm of gradients is limited to 1 unless told otherwise, as in the paper; 0 is
--   no limit
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.lamb{lr = 2e-3}
optim.lamb = optim.new('lamb', {
  options = 'lr:number=1e-3, betas:numbers={0.9 0.999}, eps:number=1e-6', weight_decay = 0.01, clip_norm = 1,
  decay = 'own', slots = {'exp_avg', 'exp_avg_sq'},
  numbers = function(h, t) return {correct1 = 1 - h.beta1 ^ t, root2 = (1 - h.beta2 ^ t):sqrt()} end,
  update = function(p, g, slot, h)
    local m, v = slot.exp_avg, slot.exp_avg_sq
    m:lerp_(g, 1 - h.beta1)
    v:lerp_(g * g, 1 - h.beta2)
    local u = m / (v:sqrt() / h.root2 + h.eps) / h.correct1 + p * h.weight_decay
    local rate = h.lr
    if is_matrix(p) then
      local length = core.norm(p)
      rate = rate * ratio(length, core.norm(u), length)
    end
    p:sub_(u * rate)
  end,
})

--- LARS (arXiv 1708.03888): momentum on gradients scaled to the length of the parameter. Vectors (biases,
--norm
-- layers) take plain momentum.
--   r = trust * |p| / (|g| + weight_decay * |p| + eps)  1 where a norm is 0
--   m = momentum * m + r * (g + weight_decay * p);  p = p - lr * m
-- @param lr, momentum, nesterov, trust, eps
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.lars{lr = 1, weight_decay = 1e-4}
optim.lars = optim.new('lars', {
  options = 'lr:number=1, momentum:number=0.9, nesterov:bool=false, trust:number=0.001, eps:number=1e-8',
  decay = 'own', slots = {'momentum_buffer'},
  update = function(p, g, slot, h)
    local m, step = slot.momentum_buffer, g + p * h.weight_decay
    if is_matrix(p) then
      local length, slope = core.norm(p), core.norm(g)
      local top, bottom = length * h.trust, slope + length * h.weight_decay + h.eps
      local sound = core.logical_and(core.gt(length, 0), core.gt(slope, 0)):cast 'f32'
      step = step * (top / bottom * sound + (1 - sound))
    end
    m:mul_(h.momentum):add_(step)
    p:sub_((h.nesterov and step + m * h.momentum or m) * h.lr)
  end,
})

-- Five steps of a Newton-Schulz iteration: the nearest orthogonal matrix, roughly (singular values between
-- about 0.7 and 1.2), by products only.
local function orthogonal(x)
  local shape = x:shape()
  local tall = shape[1] > shape[2]
  if tall then x = x:t() end
  x = x / core.norm(x):clamp{min = 1e-7}
  for _ = 1, 5 do
    local a = x:matmul(x:t())
    x = x * 3.4445 + (a * -4.775 + a:matmul(a) * 2.0315):matmul(x)
  end
  return tall and x:t() or x
end

local function check_muon(o)
  if #o.betas ~= 2 then args.fail('optim.muon: betas: expected two numbers, got %d', #o.betas) end
end

-- Momentum for matrices; Adam's averages for the rest.
local function slots_of_muon(o, p, name)
  local vector = not is_matrix(p)
  for _, pattern in ipairs(o.exclude or {}) do vector = vector or name:find(pattern) ~= nil end
  return vector and {'exp_avg', 'exp_avg_sq'} or {'momentum_buffer'}
end

local function vector_update(p, g, slot, h)
  local m, v, lr = slot.exp_avg, slot.exp_avg_sq, h.lr * h.vector_scale
  m:lerp_(g, 1 - h.beta1)
  v:lerp_(g * g, 1 - h.beta2)
  p:mul_(1 - lr * h.weight_decay)
  p:sub_(m / (v:sqrt() / h.root2 + h.eps) * (lr / h.correct1))
end

local function matrix_update(p, g, slot, h)
  local m, shape = slot.momentum_buffer, p:shape()
  m:lerp_(g, 1 - h.momentum)
  local u = h.nesterov and g * (1 - h.momentum) + m * h.momentum or m
  local rows, columns = shape[1], p:numel() // shape[1]
  local x = orthogonal(u:reshape{rows, columns})
  p:mul_(1 - h.lr * h.weight_decay)
  p:sub_(x:reshape(shape) * (h.lr * math.sqrt(math.max(1, rows / columns))))
end

--- Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum, made orthogonal. A convolution's
-- kernel is the matrix [out, in * kh * kw]. Vectors (biases, norm layers) and what `exclude` names take
-- adamw's step.
--   m = momentum * m + (1 - momentum) * g;  u = (1 - momentum) * g + momentum * m, or m without nesterov
--   X = u / |u|, five times X = 3.4445 X + (-4.775 A + 2.0315 A^2) X with A = X X'
--   p = p * (1 - lr * weight_decay) - lr * sqrt(max(1, rows / columns)) * X
-- @param lr, momentum, nesterov
-- @param exclude Lua patterns of matrices that take adamw's step, such as {'^fc%.'}
-- @param vector_scale the rate of adamw's step is lr times this
-- @param betas, eps of adamw's step
-- @param weight_decay, ... what all optimizers have: see optim.sgd
-- > optim.muon{lr = 0.02, weight_decay = 0.01}
optim.muon = optim.new('muon', {
  options = 'lr:number=0.02, momentum:number=0.95, nesterov:bool=true, exclude:strings?, ' ..
    'vector_scale:number=0.015, betas:numbers={0.9 0.95}, eps:number=1e-8',
  decay = 'own', slots = slots_of_muon, check = check_muon,
  numbers = function(h, t) return {correct1 = 1 - h.beta1 ^ t, root2 = (1 - h.beta2 ^ t):sqrt()} end,
  update = function(p, g, slot, h)
    local update = rawget(slot, 'momentum_buffer') and matrix_update or vector_update
    update(p, g, slot, h)
  end,
})
