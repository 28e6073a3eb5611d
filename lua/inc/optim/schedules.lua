--- The kinds of schedules: each gives a factor on the optimizer's own number (1 is that number).
--
-- All may start with a warm-up: `warmup` steps from `warmup_from` (0) in a straight line to 1. Those that go
-- by
-- milestones and periods count them from the start of the run; those that span a stretch (cosine, polynomial,
-- one-cycle) span what the warm-up leaves.

local core = require 'inc.core'
local args = require 'inc.args'
local schedule = require 'inc.schedule'
local optim = require 'inc.optim.define'

local function whole_steps(length, run) return math.max(1, math.floor(schedule.steps(length, run))) end

--- The same rate at every step.
-- @param warmup, warmup_from a straight rise at the start; every schedule has them
-- > optim.constant{warmup = '1 epoch'}
optim.constant = schedule.define('constant', '', function() return 1 end)

local function passed_milestones(o, steps, run)
  local passed = 0
  for _, milestone in ipairs(o.milestones or {}) do
    if steps >= schedule.steps(milestone, run) then passed = passed + 1 end
  end
  return passed
end

--- Times gamma every so often, or at each milestone.
--   factor = gamma ^ floor(t / every)
-- @param gamma, every a length ('30 epochs', 500, or a fraction of the run); milestones, a list of them
-- > optim.step{0.1, every = '30 epochs'}
optim.step = schedule.define('step', 'gamma:number=0.1; every:length?, milestones:lengths?',
  function(o, done, run, warmup)
    if o.every then return o.gamma ^ math.floor((done + warmup) / schedule.steps(o.every, run)) end
    return o.gamma ^ passed_milestones(o, done + warmup, run)
  end)

--- Times gamma at each milestone.
-- > optim.multistep{{'30 epochs', '60 epochs', '80 epochs'}, gamma = 0.1}
optim.multistep = schedule.define('multistep', 'milestones:lengths; gamma:number=0.1',
  function(o, done, run, warmup) return o.gamma ^ passed_milestones(o, done + warmup, run) end)

--- Times gamma every so often, in stairs as TensorFlow's release has it, or smoothly with staircase = false.
--   factor = gamma ^ floor(t / int(every)), without floor when smooth
-- > optim.exponential{0.94, every = '2 epochs'}
optim.exponential = schedule.define('exponential',
  'gamma:number; every:length=1 epoch, staircase:bool=true',
  function(o, done, run, warmup)
    local periods = (done + warmup) / whole_steps(o.every, run)
    return o.gamma ^ (o.staircase and math.floor(periods) or periods)
  end)

-- How much of the stretch behind the warm-up is done, 0 to 1.
local function share_of(o, done, run, warmup)
  local length = o.length and schedule.steps(o.length, run) or run.total_steps - warmup
  return math.min(1, done / math.max(1, length))
end

--- Down to `final` along a power of what is left: power 1 is a straight line.
--   factor = final + (1 - final) * (1 - t / length) ^ power
-- @param power, final
-- @param length the rest of the run when left out
-- > optim.polynomial{2, final = 0.01}
optim.polynomial = schedule.define('polynomial', 'power:number=1; final:number=0, length:length?',
  function(o, done, run, warmup)
    return o.final + (1 - o.final) * (1 - share_of(o, done, run, warmup)) ^ o.power
  end)

-- Within which restart a step lies: its number from 0, and the share of it that is done.
local function restart_of(o, done, run)
  local length, cycle = schedule.steps(o.period, run), 0
  while done >= length and length > 0 do
    done, length, cycle = done - length, length * o.mult, cycle + 1
  end
  return cycle, done / math.max(1, length)
end

--- Half a wave from 1 down to `final` over the run (arXiv 1608.03983), or again and again with a period.
--   factor = final + (1 - final) * (1 + cos(pi * share)) / 2
-- @param final
-- @param period the length of the first wave; without it there is one, over the run
-- @param mult each wave is this many times longer than the one before
-- @param decay each wave starts this many times as high as the one before
-- > optim.cosine{warmup = 0.05}
optim.cosine = schedule.define('cosine', 'final:number=0; period:length?, mult:number=1, decay:number=1',
  function(o, done, run, warmup)
    local cycle, share = 0, share_of(o, done, run, warmup)
    if o.period then cycle, share = restart_of(o, done, run) end
    return o.final + (o.decay ^ cycle - o.final) * 0.5 * (1 + math.cos(math.pi * share))
  end, {check = function(o)
    if o.mult < 1 then
      args.fail('optim.cosine: mult: expected at least 1, got %s', args.show(o.mult))
    end
  end})

local function between(a, b, share, anneal)
  if anneal == 'linear' then return a + (b - a) * share end
  return b + (a - b) / 2 * (1 + math.cos(math.pi * share))
end

--- One cycle (arXiv 1708.07120, PyTorch's form): up from `start` to the optimizer's own rate over the first
-- `rise` of the run, then down to `final`. The momentum goes the other way round:
-- schedule = {lr = optim.one_cycle{}, momentum = optim.one_cycle{start = 1, peak = 0.9, final = 1}}.
-- @param rise share of the run
-- @param start, peak, final factors on the optimizer's number
-- @param anneal cos or linear
-- > optim.one_cycle{}
optim.one_cycle = schedule.define('one_cycle', 'rise:number=0.3; start:number=0.04, peak:number=1, ' ..
  'final:number=4e-6, anneal:enum(cos|linear)=cos',
  function(o, done, run, warmup)
    local total = run.total_steps - warmup
    local top, last = o.rise * total - 1, total - 1
    if done <= top then return between(o.start, o.peak, top > 0 and done / top or 1, o.anneal) end
    return between(o.peak, o.final, math.min(1, (done - top) / math.max(1, last - top)), o.anneal)
  end)

-- -- plateau ------------------------------------------------------------------------------------------------

local Tracker = {}
Tracker.__index = Tracker

--- (of optim.plateau) Take in the value of a validation.
-- @return the factor from now on
function Tracker:observe(value) return core.plateau_observe(self, value) end

--- (of optim.plateau) Options and memory in one plain table, as core.run_start takes it.
function Tracker:plain()
  local out = {}
  for name, v in pairs(self) do out[name] = v end
  return out
end

local carried = {'best', 'bad', 'cooling', 'factor'}

--- (of optim.plateau) What a checkpoint must hold: a plain table.
function Tracker:state()
  local out = {}
  for _, name in ipairs(carried) do out[name] = self[name] end
  return out
end

--- (of optim.plateau) Go on from state().
function Tracker:load(state)
  for _, name in ipairs(carried) do self[name] = state[name] end
  return self
end

--- Times gamma when the validation has not become better for more than `patience` of them (PyTorch's
-- ReduceLROnPlateau). In train the top-1 of each validation counts, and the loss with mode = 'min'; what is
-- remembered stands in the checkpoints. In loops of one's own s:tracker() takes the values in.
-- @param gamma, patience, cooldown (validations after a drop in which nothing counts)
-- @param threshold better is better by this share of the best
-- @param least the factor never falls below it
-- @param mode max for accuracies, min for losses
-- > tracker = optim.plateau{0.5, patience = 1, mode = 'min'}:tracker()
-- > tracker:observe(1); tracker:observe(2)
-- > tracker:observe(2)  --> 0.5
optim.plateau = schedule.define('plateau', 'gamma:number=0.1; patience:int=10, cooldown:int=0, ' ..
  'threshold:number=1e-4, least:number=0, mode:enum(max|min)=max',
  function() return 1 end, {tracker = function(o)
    local numbers = {bad = 0, cooling = 0, factor = 1}
    for name, v in pairs(o) do numbers[name] = v end
    return setmetatable(numbers, Tracker)
  end})

-- -- functions ----------------------------------------------------------------------------------------------

local function from_function(o, done, run, warmup)
  local step = done + warmup + 1
  if not o.f then return o.values[math.min(step, #o.values)] end
  local v = o.f(step, run)
  if type(v) ~= 'number' then
    args.fail('optim.lambda: expected a number from the function at step %d, got %s', step, args.show(v))
  end
  return v
end

-- A function cannot be written down, its values for a run can.
local function settle(self, run)
  local o = self.options
  if not o.f then return end
  self.values = {}
  for step = 1, run.total_steps do self.values[step] = o.f(step, run) end
end

--- A Lua function of (step, run): the factor at a step, counted from 1; run has total_steps and
-- steps_per_epoch. In the folder of a run it is kept as its values; beyond them, the last one holds.
-- > optim.lambda{function(step) return 0.99 ^ step end}:at(1, {total_steps = 10})  --> 0.99
optim.lambda = schedule.define('lambda', 'f:function?; values:numbers?', from_function, {
  settle = settle,
  check = function(o)
    if (o.f == nil) == (o.values == nil) or o.values and #o.values == 0 then
      args.fail 'optim.lambda: expected a function'
    end
  end,
  plain = function(self, out)
    out.f, out.values = nil, self.values or out.values
    if not out.values then args.fail 'optim.lambda: its values are known only once a run has begun' end
    return out
  end,
})

return optim
