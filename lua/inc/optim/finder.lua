--- optim.find_rate: train a copy of a net for a moment while the rate rises, and look where the loss falls
-- best (arXiv 1506.01186).
--
-- The net itself, its statistics and the random streams of later runs are left as they are: a copy takes the
-- steps. The suggestion is the rate at which the smoothed loss falls fastest, over the logarithm of the rate;
-- the rate of the smallest loss is known to be too high.

local core = require 'inc.core'
local args = require 'inc.args'
local smooth = require 'inc.run.smooth'
local optim = require 'inc.optim.define'

local Finding = {}
Finding.__index = Finding

local spec = args.spec('optim.find_rate', 'net:module, data:any; optimizer:any?, low:number=1e-7, ' ..
  'high:number=10, steps:int=100, batch:int=32, stop:number=4, smooth:number=0.9, seed:int=1, size:int?, ' ..
  'augment:string?, label_smoothing:number=0.1')

local function check(o)
  if not (o.low > 0 and o.high > o.low) then
    args.fail('optim.find_rate: low and high: expected 0 < low < high, got %s and %s', args.show(o.low),
      args.show(o.high))
  elseif o.steps < 10 then
    args.fail('optim.find_rate: steps: expected at least 10, got %d', o.steps)
  end
  o.optimizer = o.optimizer or optim.sgd{lr = 1, momentum = 0.9}
  if not optim.is_optimizer(o.optimizer) then
    args.fail('optim.find_rate: optimizer: expected one of optim, got %s', args.show(o.optimizer))
  end
  local data = type(o.data) == 'string' and inc.data.folder{o.data} or o.data
  o.part = type(data) == 'table' and (data.train or data.batches and data)
  if not o.part then
    args.fail('optim.find_rate: data: expected a folder, or what data.folder gives, got %s',
      args.show(o.data))
  end
end

-- The planned step of a copy of the net.
local function make_step(o, opt, net)
  return inc.plan(function(x, y)
    local loss = net:loss(x, y, {label_smoothing = o.label_smoothing})
    loss:backward()
    opt:step()
    return loss
  end)
end

-- Rate, loss and smoothed loss of each step, until the loss is `stop` times the best.
local function sweep(o, found)
  local net = o.net:clone()
  net:train(true)
  local opt = o.optimizer:bind(net)
  local step, smoothed, best = make_step(o, opt, net), smooth.running(o.smooth), math.huge
  local size = o.size or net.preprocess and net.preprocess.size or 299
  local bar <close> = require 'inc.shell.screen'.progress()
  for x, y in o.part:batches{o.batch, seed = o.seed, epochs = 1000, size = size, augment = o.augment} do
    local n = #found.rates + 1
    local rate = o.low * (o.high / o.low) ^ ((n - 1) / (o.steps - 1))
    opt:set{lr = rate}
    local loss = step(x, y):item()
    local shown = smoothed(loss)
    bar:show('optim.find_rate: %d of %d rates, loss %.4g at lr = %.2g', n, o.steps, loss, rate)
    if loss ~= loss or shown > o.stop * best then break end
    found.rates[n], found.losses[n], found.smoothed[n] = rate, loss, shown
    best = math.min(best, shown)
    if n == o.steps then break end
  end
end

-- Where the smoothed loss falls fastest, before its smallest value; slopes are over a few points.
local function steepest(found)
  local y, lowest = found.smoothed, 1
  for i = 2, #y do
    if y[i] < y[lowest] then lowest = i end
  end
  local reach, best, least = math.max(1, #y // 20), nil, 0
  for i = 1 + reach, math.min(lowest, #y - reach) do
    local slope = y[i + reach] - y[i - reach]
    if slope < least then best, least = i, slope end
  end
  return best and found.rates[best]
end

--- Try rates from `low` to `high` on a copy of a net, one a step, and suggest one.
-- print(f) says which; plot(f) draws the loss over the rate; f.rates, f.losses, f.smoothed, f.suggested are
-- there for scripts. f.suggested is nil where the loss did not fall.
-- @param net built, and left as it is
-- @param data what data.folder gives, or a folder
-- @param optimizer whose rate is asked for; sgd with momentum 0.9 when left out
-- @param low, high, steps the rates, evenly spaced in their logarithm
-- @param stop ends where the smoothed loss is this many times the best one
-- @param batch, seed, size, augment, smooth, label_smoothing
-- > f = optim.find_rate{net, flowers, optimizer = optim.adamw{}, steps = 60}
function optim.find_rate(given)
  local o = spec(given)
  check(o)
  local found = setmetatable({rates = {}, losses = {}, smoothed = {}, optimizer = o.optimizer,
    weight = o.smooth}, Finding)
  local before = core.seed()
  core.seed(o.seed)
  do
    local _ <close> = args.finally(function() core.seed(before) end)
    sweep(o, found)
  end
  found.suggested = steepest(found)
  return found
end

function Finding:__tostring()
  local n = #self.rates
  if n == 0 then return 'optim.find_rate: the loss was not finite at the first rate' end
  local text = ('optim.find_rate: %d rates from %.2g to %.2g with %s: '):format(n, self.rates[1],
    self.rates[n], self.optimizer.name)
  if not self.suggested then return text .. 'the loss did not fall; try others' end
  return text .. ('the loss falls fastest at lr = %.2g'):format(self.suggested)
end

--- (for inc.plot) The smoothed loss over the logarithm of the rate, and where it falls fastest.
function Finding:__series()
  local x, name = {}, 'loss by log10(lr)'
  for i, rate in ipairs(self.rates) do x[i] = math.log(rate, 10) end
  if self.suggested then name = ('%s, steepest %.2f'):format(name, math.log(self.suggested, 10)) end
  return {name = smooth.label(name, self.weight), x = x, y = self.smoothed}
end

return optim
