--- optim: optimizers and schedules as descriptions.
--
-- `optim.sgd{lr = 0.1}` is a value: it prints as the call that makes it, goes into config.json and comes back
-- (optim.from_table), and serves many nets, runs and seeds. `:bind(net)` makes the thing with state; see
-- optim/bound.lua. Each kind is a table of a few facts in optim/kinds.lua, so that a new one costs ten lines.

local args = require 'inc.args'
local kinds = require 'inc.optim.kinds'
local Bound = require 'inc.optim.bound'
local schedule = require 'inc.schedule'
local ema = require 'inc.ema'

local optim = {}

local Description = {}
Description.__index = Description

local specs = {}
for name, kind in pairs(kinds) do
  specs[name] = args.spec('optim.' .. name, ('%s, weight_decay:number=%g, decay_norms:bool=false, ' ..
    'clip_norm:number?, groups:table?'):format(kind.signature, kind.weight_decay))
end

local group_spec = args.spec('optim: groups', 'pattern:string; lr_scale:number=1, weight_decay:number?')

local function check_groups(groups)
  local checked = {}
  for i, group in ipairs(groups) do checked[i] = group_spec(group) end
  return checked
end

local function describe(name, given)
  local options = specs[name](given)
  if options.lr < 0 or options.lr ~= options.lr then
    args.fail('optim.%s: lr: expected at least 0, got %s', name, options.lr)
  end
  local check = kinds[name].check
  if check then check(options) end
  options.groups = options.groups and check_groups(options.groups)
  return setmetatable({name = name, options = options, kind = kinds[name]}, Description)
end

--- Stochastic gradient descent: m = momentum * m + g; p -= lr * m, with nesterov lr * (g + momentum * m).
-- @param lr learning rate
-- @param weight_decay times the weight is added to its gradient; biases and norm layers of a net are left out
-- @param decay_norms true takes them in, as PyTorch does
-- @param clip_norm gradients are scaled down when their common norm is larger
-- @param groups {{'^fc', lr_scale = 10, weight_decay = 0}, ...}; the first Lua pattern that fits counts
-- > optim.sgd{lr = 0.1, momentum = 0.9, nesterov = true}
function optim.sgd(given) return describe('sgd', given) end

--- RMSProp. PyTorch's form: v = alpha * v + (1 - alpha) * g^2; m = momentum * m + g / (sqrt(v) + eps);
-- p -= lr * m; v starts at 0. With eps_inside, TensorFlow's: m = momentum * m + lr * g / sqrt(v + eps);
-- p -= m; v starts at 1. They are not the same for any eps.
-- @param lr, alpha, eps, momentum, eps_inside
-- @param weight_decay, decay_norms, clip_norm, groups as of optim.sgd
-- > optim.rmsprop{lr = 0.045, alpha = 0.9, momentum = 0.9, eps = 1.0, eps_inside = true}
function optim.rmsprop(given) return describe('rmsprop', given) end

--- Adam: p -= lr * m' / (sqrt(v') + eps), with bias-corrected averages of g and g^2. Weight decay is added to
-- the gradient.
-- @param lr, betas, eps
-- @param weight_decay, decay_norms, clip_norm, groups as of optim.sgd
-- > optim.adam{lr = 1e-3}
function optim.adam(given) return describe('adam', given) end

--- Adam with weight decay apart from the gradient: p *= 1 - lr * weight_decay first.
-- @param lr, betas, eps
-- @param weight_decay, decay_norms, clip_norm, groups as of optim.sgd
-- > optim.adamw{lr = 1e-3, weight_decay = 0.01}
function optim.adamw(given) return describe('adamw', given) end

--- The names of all optimizers, sorted.
function optim.names()
  local names = {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The optimizer of this name, for command lines: optim.by_name('sgd', {lr = 0.1}).
function optim.by_name(name, options)
  if not kinds[name] then args.fail('optimizer: %s: unknown name%s', name, args.hint(name, optim.names())) end
  return describe(name, options or {})
end

-- -- descriptions -------------------------------------------------------------------------------------------

function Description:__tostring() return specs[self.name]:describe(self.options) end

function Description:__eq(other) return tostring(self) == tostring(other) end

--- The same optimizer with some options changed.
-- > optim.sgd{lr = 0.1}:with{lr = 0.2}
function Description:with(changes)
  local options = {}
  for key, value in pairs(self.options) do options[key] = value end
  for key, value in pairs(changes) do options[key] = value end
  return describe(self.name, options)
end

--- Plain values for config.json: {optimizer = 'sgd', lr = 0.1, ...}.
function Description:to_table()
  local out = {optimizer = self.name}
  for key, value in pairs(self.options) do out[key] = value end
  return out
end

--- The description that to_table wrote down.
function optim.from_table(t)
  local options = {}
  for key, value in pairs(t) do
    if key ~= 'optimizer' then options[key] = value end
  end
  return optim.by_name(t.optimizer, options)
end

--- Make the optimizer of a net: step(), zero_grad(), set{}, slots().
-- @param net a net, or a list of tensors
function Description:bind(net) return Bound.new(self, net) end

--- Is it an optimizer's description?
function optim.is_optimizer(v) return getmetatable(v) == Description end

for name, make in pairs(schedule.kinds) do optim[name] = make end
optim.schedule_from_table = schedule.from_table
optim.ema = ema.describe

return optim
