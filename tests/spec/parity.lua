-- The release's training against TensorFlow 2 (scripts/golden/release.py): RMSProp with epsilon inside the
-- root and mean squares from 1, the rate in stairs, L2 on weights alone, label smoothing, the auxiliary head,
-- batch norm's moving statistics, and averages that warm up, through the recipe and the plan that train uses.
--
-- Twenty steps in f32 against TensorFlow in f64: relative 1e-5 for every tensor; TensorFlow's own f32 is
-- 2e-6 away.
local build = require 'inc.train.build'
local formula = require 'formula'

local golden = dofile 'tests/golden/release.lua'

local TOLERANCE = 1e-5
local STEPS, BATCH, SIDE, CLASSES, WIDTH = 20, 8, 15, 5, 6

-- -- the same numbers as there ------------------------------------------------------------------------------

local function hashed(name, shape, f, dtype)
  local n, key, list = 1, formula.fnv1a(name), {dtype = dtype}
  for _, d in ipairs(shape) do n = n * d end
  for i = 0, n - 1 do list[i + 1] = f(formula.fraction(i, key)) end
  return inc.tensor(list):view(shape)
end

local function start(name, shape)
  return hashed(name, shape, function(u) return math.floor((u - 0.5) * 512) / 1024 end)
end

local function pictures(step)
  local function pixel(u) return math.floor(u * 256) end
  local function label(u) return 1 + math.floor(u * CLASSES) end
  local x = hashed('pictures ' .. step, {BATCH, 3, SIDE, SIDE}, pixel, 'u8')
  local y = hashed('labels ' .. step, {BATCH}, label, 'i64')
  return x:contiguous{memory_format = 'channels_last'}, y
end

-- -- the net ------------------------------------------------------------------------------------------------

local Small = nn.module('Small', function(self, decay)
  local norm = {eps = 0.001, momentum = 1 - decay, unbiased = false}
  local function conv(from, stride)
    return nn.Conv2d{WIDTH, in_channels = from, kernel_size = 3, stride = stride, bias = false}
  end
  self.conv1, self.bn1 = conv(3, 2), nn.BatchNorm2d(norm)
  self.conv2, self.bn2 = conv(WIDTH, 1), nn.BatchNorm2d(norm)
  self.fc = nn.Linear{CLASSES, in_features = WIDTH}
  self.aux = nn.Linear{CLASSES, in_features = WIDTH}
  function self.forward(net, x)
    x = net.bn1(net.conv1(x)):relu()
    local aux = net.aux(x:mean{dim = {3, 4}})
    x = net.bn2(net.conv2(x)):relu()
    local logits = net.fc(x:mean{dim = {3, 4}})
    if net.training then return logits, aux end
    return logits
  end
end)

local function make_net(decay)
  local net = Small{decay}
  net.preprocess = require('inc.nn.preprocess').new{size = SIDE, range = {-1, 1}}
  net:build{1, 3, SIDE, SIDE}
  inc.no_grad(function()
    for _, entry in ipairs(net:named_parameters()) do
      if not entry[1]:find '^bn' then entry[2]:copy_(start(entry[1], entry[2]:shape())) end
    end
  end)
  return net
end

-- -- recipes, as the cases have them ------------------------------------------------------------------------

local function recipe_of(case)
  if case.name == 'release' then return recipes.release{}, 30 end
  local o = recipes.release{schedule = optim.exponential{case.factor, every = '2 epochs'}, ema = case.ema}
  o.optimizer = o.optimizer:with{lr = case.lr}
  return o, 2
end

-- What train prepares from its settings (lua/inc/train.lua), for this net.
local function prepare(case)
  local o, epochs = recipe_of(case)
  local net, set = make_net(case.bn_decay), inc.schedule.set(o.schedule)
  local job = {net = net, optimizer = o.optimizer:bind(net, {follow = set:follow()}),
    loss = {label_smoothing = o.label_smoothing, aux_weight = o.aux_weight}}
  local run = {total_steps = STEPS, steps_per_epoch = case.every / epochs}
  job.numbers = set:numbers(job.optimizer, run)
  job.average = optim.ema{o.ema}:bind(net)
  return job
end

local function planned(job)
  local rng = inc.tensor{1, 0, dtype = 'i64'}
  local o = {batch = BATCH, precision = 'f32', label_smoothing = job.loss.label_smoothing,
    aux_weight = job.loss.aux_weight}
  local plan = build.step_plan(job.net, o, job.optimizer, job.average, rng)
  return function(x, y) return plan:run(x, y):item() end
end

local function eager(job)
  return function(x, y)
    local loss = job.net:loss(x, y, job.loss)
    loss:backward()
    job.optimizer:step()
    job.average:step()
    return loss:item()
  end
end

-- -- comparing ----------------------------------------------------------------------------------------------

local function compare(entries, expected, what)
  local seen = 0
  for _, entry in ipairs(entries) do
    local name = entry[1]
    if expected[name] then
      seen = seen + 1
      check.rel_l2(entry[2]:detach():contiguous():view{-1}:tolist(), expected[name], TOLERANCE,
        what .. ': ' .. name)
    end
  end
  local wanted = 0
  for _ in pairs(expected) do wanted = wanted + 1 end
  check.equal(seen, wanted, what .. ': tensors compared')
end

local function slots(optimizer, prefix)
  local list = {}
  for _, entry in ipairs(optimizer:slots()) do
    local name = entry[1]:match('^' .. prefix .. '%.(.*)')
    if name then list[#list + 1] = {name, entry[2]} end
  end
  return list
end

for _, case in ipairs(golden) do
  for road, make in pairs{planned = planned, eager = eager} do
    test(('twenty steps of TensorFlow, %s numbers, %s'):format(case.name, road), function()
      local job = prepare(case)
      local step = make(job)
      for t = 1, STEPS do
        for _, number in ipairs(job.numbers) do
          inc.no_grad(function() number[2]:fill_(number[3][t]) end)
        end
        check.close(job.numbers[1][3][t] / case.rates[t], 1, 1e-7, 'rate of step ' .. t)
        check.close(step(pictures(t)) / case.losses[t], 1, TOLERANCE, 'loss of step ' .. t)
        if t == 1 then compare(job.net:state(), case.first, 'after step 1') end
      end
      compare(job.net:state(), case.last, 'after step 20')
      compare(job.average:named_tensors(), case.average, 'averages')
      compare(slots(job.optimizer, 'square_avg'), case.square, 'mean squares')
      compare(slots(job.optimizer, 'momentum_buffer'), case.momentum, 'momentum')
    end)
  end
end
