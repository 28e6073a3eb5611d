--- recipes: complete settings for train{...}, each with its source.
--
-- A recipe is a function from changes to a plain table of train's options, so that it can be printed, changed
-- and passed on: train(recipes.fine_tune{net, flowers, epochs = 3, out = 'runs/a'}).

local args = require 'inc.args'
local optim = require 'inc.optim'

local recipes = {}

local Recipe = {}
Recipe.__index = Recipe
Recipe.__tostring = function(self)
  local names, lines = {}, {}
  for name in pairs(self) do
    if type(name) == 'string' then names[#names + 1] = name end
  end
  table.sort(names)
  for i, name in ipairs(names) do lines[i] = ('  %s = %s'):format(name, args.show(self[name])) end
  return table.concat(lines, '\n')
end

local function with(settings, changes)
  for key, value in pairs(changes or {}) do settings[key] = value end
  return setmetatable(settings, Recipe)
end

--- Fine-tune a pretrained net on a few thousand pictures: train's own default.
-- > recipes.fine_tune{epochs = 3}
function recipes.fine_tune(changes)
  return with({
    optimizer = optim.sgd{lr = 0.01, momentum = 0.9, nesterov = true, weight_decay = 1e-4},
    schedule = optim.cosine{warmup = 0.05},
    batch = 32, epochs = 8, label_smoothing = 0.1, augment = 'light',
  }, changes)
end

--- Train only the classifier on fixed features: for a few hundred pictures, or a first look.
-- > recipes.head_only{steps = 100}
function recipes.head_only(changes)
  return with({
    optimizer = optim.sgd{lr = 0.05, momentum = 0.9, nesterov = true},
    schedule = optim.cosine{},
    batch = 32, epochs = 4, label_smoothing = 0.1, augment = 'light', freeze = '^[CM]', -- all but heads
  }, changes)
end

--- TensorFlow's 2016 release on one machine: RMSProp with epsilon inside the root, rate times 0.16 every 30
-- epochs, average of weights.
-- > recipes.release{batch = 256}
function recipes.release(changes)
  return with({
    optimizer = optim.rmsprop{lr = 0.1, alpha = 0.9, momentum = 0.9, eps = 1, eps_inside = true,
      weight_decay = 4e-5},
    schedule = optim.exponential{0.16, every = '30 epochs'},
    batch = 32, epochs = 100, label_smoothing = 0.1, aux_weight = 0.4, ema = 0.9999, augment = 'inception',
  }, changes)
end

--- The release's fine-tuning of flowers: 2000 steps at a constant rate of 0.001.
-- > recipes.release_fine_tune{}
function recipes.release_fine_tune(changes)
  return with(recipes.release{
    optimizer = optim.rmsprop{lr = 0.001, alpha = 0.9, momentum = 0.9, eps = 1, eps_inside = true,
      weight_decay = 4e-5},
    schedule = optim.constant{}, steps = 2000,
  }, changes)
end

--- The paper's training on 50 machines: rate 0.045 times 0.94 every two epochs, gradients clipped at 2.
-- > recipes.paper{batch = 1600}
function recipes.paper(changes)
  return with(recipes.release{
    optimizer = optim.rmsprop{lr = 0.045, alpha = 0.9, momentum = 0.9, eps = 1, eps_inside = true,
      weight_decay = 4e-5, clip_norm = 2},
    schedule = optim.exponential{0.94, every = '2 epochs'},
  }, changes)
end

return recipes
