--- recipes: complete settings for train{...}, each with its source; print one to see every number in it.
--
-- A recipe is a function from changes to a plain table of train's options, so that it can be printed, changed
-- and passed on: train(recipes.fine_tune{net, flowers, epochs = 3, out = 'runs/a'}).

local args = require 'inc.args'
local optim = require 'inc.optim'

local recipes = {}

local about = setmetatable({}, {__mode = 'k'}) -- recipe -> its name and where its numbers come from

local Recipe = {}
Recipe.__index = Recipe

local function shown(v)
  if optim.is_optimizer(v) then return v:every_number() end
  return args.show(v)
end

function Recipe:__tostring()
  local names, lines = {}, {about[self]}
  for name in pairs(self) do
    if type(name) == 'string' then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do lines[#lines + 1] = ('  %-16s %s'):format(name, shown(self[name])) end
  return require 'inc.shell.screen'.fit(table.concat(lines, '\n'), 1)
end

local function has_net(changes)
  return changes ~= nil and (changes.net ~= nil or args.is_module(changes[1]))
end

local function recipe(text, settings, changes)
  if settings.model and has_net(changes) then
    text = ("%s; the net is given: the recipe's own is model = %s"):format(text, args.show(settings.model))
    settings.model = nil
  end
  if changes and (changes.steps or changes.epochs) then settings.steps, settings.epochs = nil, nil end
  for key, value in pairs(changes or {}) do settings[key] = value end
  about[settings] = text
  return setmetatable(settings, Recipe)
end

--- Fine-tune a pretrained net on a few thousand pictures: train's own default.
-- > recipes.fine_tune{epochs = 3}
function recipes.fine_tune(changes)
  return recipe('recipes.fine_tune: all layers of a pretrained net, our own numbers', {
    optimizer = optim.sgd{lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4},
    schedule = optim.cosine{warmup = 0.1},
    batch = 32, epochs = 15, label_smoothing = 0.1, augment = 'light', ema = 0.98,
  }, changes)
end

--- Train only the classifier on fixed features: for a few hundred pictures, or a first look.
-- > recipes.head_only{steps = 100}
function recipes.head_only(changes)
  return recipe('recipes.head_only: the classifier alone, our own numbers', {
    optimizer = optim.sgd{lr = 0.05, momentum = 0.9, nesterov = true},
    schedule = optim.cosine{},
    batch = 32, epochs = 4, label_smoothing = 0.1, augment = 'light', freeze = '^[CM]', -- all but heads
  }, changes)
end

-- TensorFlow's RMSProp as all of the release's trainings have it.
local function release_optimizer(changes)
  return optim.rmsprop{lr = 0.1, alpha = 0.9, momentum = 0.9, eps = 1, eps_inside = true,
    weight_decay = 4e-5}:with(changes)
end

-- The release's net: running statistics keep 0.9997 of what they were, and move towards the variance of the
-- batch as it is; pools leave padding out of the mean.
local function release_model()
  return {'inception_v3', bn_momentum = 0.0003, bn_eps = 0.001, bn_unbiased = false,
    pool_counts_padding = false}
end

local function release(text, own, changes)
  local settings = {
    model = release_model(), size = 299, precision = 'f32', batch = 32, label_smoothing = 0.1,
    aux_weight = 0.4, dropout = 0.2, ema = 0.9999, augment = 'inception',
  }
  for name, v in pairs(own) do settings[name] = v end
  return recipe(text, settings, changes)
end

--- TensorFlow's 2016 release on one machine: RMSProp with epsilon inside the root, rate 0.1 times 0.16 every
-- 30 epochs, average of weights, and a net whose running statistics move by 0.0003 a step: they need tens of
-- thousands of steps, so on small data give model = 'inception_v3', whose own numbers are quicker. A net that
-- is given instead keeps its own.
-- > recipes.release{batch = 256}
function recipes.release(changes)
  return release("recipes.release: TensorFlow's release of 2016, one machine (inception_train.py)", {
    optimizer = release_optimizer{}, schedule = optim.exponential{0.16, every = '30 epochs'}, epochs = 100,
  }, changes)
end

--- The release's fine-tuning of flowers: 2,000 steps at a constant rate of 0.001.
-- > recipes.flowers{}
function recipes.flowers(changes)
  return release("recipes.flowers: the release's fine-tuning of flowers (its README)", {
    optimizer = release_optimizer{lr = 0.001}, schedule = optim.constant{}, steps = 2000,
  }, changes)
end

--- The paper's training on 50 machines (arXiv 1512.00567, section 8): rate 0.045 times 0.94 every two epochs,
-- gradients clipped at a norm of 2.
-- > recipes.paper{batch = 1600}
function recipes.paper(changes)
  return release('recipes.paper: arXiv 1512.00567, section 8', {
    optimizer = release_optimizer{lr = 0.045, clip_norm = 2},
    schedule = optim.exponential{0.94, every = '2 epochs'}, epochs = 100,
  }, changes)
end

return recipes
