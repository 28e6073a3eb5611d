-- inception_golden.lua: the net of scripts/golden/net.py, its pictures and its one step, by incsh.
--
-- Shared by the spec that reads the golden and by the full comparison beside PyTorch.

local formula = require 'formula'
local M = {}

local SIDE = 299
local PATCHES = {{1, 0.25}, {7, 0.5}, {50, 0.5}} -- side, weight

-- Python's round: halves to even.  None of the scales is one, so plain rounding serves.
local function scale(fan_in)
  return math.floor((2 / fan_in) ^ 0.5 / 1.155 * 16384 + 0.5) / 16384
end

--- The tensor of this name, as the golden's net has it.
function M.value(name, shape)
  local t = formula.normal(name, shape)
  if name:find 'bn%.weight$' then return t / 16 + 0.5 end
  if name:find 'running_var$' then return t:abs() / 4 + 1 end
  if name:find 'running_mean$' or name:find 'fc%.bias$' then return t / 8 end
  if name:find 'bn%.bias$' then
    local on = formula.normal(name .. '/side', shape):gt(-0.75)
    return inc.where(on, inc.full {1, value = 3}, inc.full {1, value = -3}) + t / 8
  end
  local fan_in = 1
  for d = 2, #shape do fan_in = fan_in * shape[d] end
  return t * scale(fan_in)
end

local function plane(pixels, k, c)
  local at = {}
  for i, p in ipairs(PATCHES) do at[i] = formula.reader(('picture %d %d %d'):format(k, c, p[1])) end
  for y = 0, SIDE - 1 do
    for x = 0, SIDE - 1 do
      local v = 0
      for i, p in ipairs(PATCHES) do v = v + at[i]((y // p[1]) * SIDE + x // p[1]) * p[2] end
      pixels[#pixels + 1] = v
    end
  end
end

--- Pictures [n, 3, 299, 299] with patches of three sizes, and labels [n] from 1.
function M.batch(n, classes)
  local pixels, labels = {}, {dtype = 'i64'}
  for k = 0, n - 1 do
    labels[k + 1] = (7 * k + 3) % classes + 1
    for c = 0, 2 do plane(pixels, k, c) end
  end
  return inc.tensor(pixels):view {n, 3, SIDE, SIDE}, inc.tensor(labels)
end

--- The net, its weights and statistics set.
function M.net(golden)
  local net = models.inception_v3 {classes = golden.classes, aux = true, dropout = 0,
    pool_counts_padding = golden.count_include_pad}
  inc.no_grad(function()
    for _, item in ipairs(net:state()) do item[2]:copy_(M.value(item[1], item[2]:shape())) end
  end)
  return net
end

-- A planned step consumes its gradients; the momentum of a first step at a rate of almost 0 is the gradient,
-- and stays.
local function planned_step(net, x, y, step, options)
  local opt = optim.sgd {lr = 1e-30, momentum = 0.9}:bind(net)
  local logits, aux, loss = inc.plan(function(pictures, labels)
    local logits, aux, loss = step(pictures, labels)
    opt:step()
    return logits, aux, loss
  end, options)(x, y)
  local grads = {}
  for _, item in ipairs(opt:slots()) do
    local name = item[1]:match '^[%w_]+%.(.*)$'
    if name then grads[name] = item[2] end
  end
  return logits, aux, loss, grads
end

local function eager_step(net, x, y, step)
  local logits, aux, loss = step(x, y)
  local grads = {}
  for _, item in ipairs(net:named_parameters()) do grads[item[1]] = item[2].grad end
  return logits, aux, loss, grads
end

local function evaluate(net, x, options)
  local function logits(pictures) return inc.no_grad(function() return net(pictures) end) end
  return (options and inc.plan(logits, options) or logits)(x)
end

--- {name = tensor}: what the golden lists, from one evaluation and one training step.
-- @param options of plans; nothing: eagerly
function M.step(golden, options)
  local net = M.net(golden)
  local x, y = M.batch(golden.batch, golden.classes)
  local out = {}
  net:eval()
  out['eval logits'] = evaluate(net, x, options)
  net:train()
  local run = options and planned_step or eager_step
  local logits, aux, loss, grads = run(net, x, y, function(pictures, labels)
    local main, side = net(pictures)
    local ce, smooth = nn.functional.cross_entropy, {label_smoothing = 0.1}
    local value = ce(main, labels, smooth) + ce(side, labels, smooth) * 0.4
    value:backward()
    return main, side, value
  end, options)
  out.logits, out['aux logits'], out.loss = logits, aux, loss
  for name, g in pairs(grads) do out['grad ' .. name] = g end
  for _, item in ipairs(net:named_buffers()) do
    if item[1]:find 'running' then out[item[1]] = item[2] end
  end
  return out
end

return M
