--- Learning-rate schedules: closed forms of the step, so that resuming needs nothing but the step.
--
-- A schedule is a description like an optimizer. `at(step, run)` gives the factor on the optimizer's own lr
-- for the step that is about to be made, counted from 1. Lengths are said as a user thinks of them: 100
-- (steps), '2 epochs', '500 steps', or a fraction of the run such as 0.05. Rejected: recursive forms (rate of
-- this step from that of the last), which drift after a resume or a changed length.

local args = require 'inc.args'

local schedule = {kinds = {}}

local function is_length(v)
  if type(v) == 'number' then return v >= 0 end
  return type(v) == 'string' and v:match '^%s*[%d.]+%s*%a+%s*$' ~= nil
end

args.types.length = {is_length, "a number of steps, a fraction of the run, or a text such as '2 epochs'"}
args.types.lengths = {function(v)
  if type(v) ~= 'table' then return false end
  for _, item in ipairs(v) do
    if not is_length(item) then return false end
  end
  return true
end, "a list of lengths such as {'30 epochs', '60 epochs'}"}

--- A length in steps.
-- @param length 100, 0.05, '2 epochs' or '500 steps'
-- @param run {total_steps = , steps_per_epoch = }
-- > inc.schedule.steps('2 epochs', {total_steps = 100, steps_per_epoch = 10})  --> 20
function schedule.steps(length, run)
  if type(length) == 'number' then
    return length > 0 and length < 1 and length * run.total_steps or length
  end
  local number, unit = length:match '^%s*([%d.]+)%s*(%a+)%s*$'
  if unit == 'step' or unit == 'steps' then return tonumber(number) end
  if unit ~= 'epoch' and unit ~= 'epochs' then
    args.fail('schedule: %s: unknown unit%s', length, args.hint(unit, {'steps', 'epochs'}))
  end
  if not run.steps_per_epoch then args.fail('schedule: %s: the run does not count epochs', length) end
  return tonumber(number) * run.steps_per_epoch
end

local Schedule = {}
Schedule.__index = Schedule

function Schedule:__tostring() return self.spec:describe(self.options) end

--- Plain values for config.json: {schedule = 'cosine', ...}.
function Schedule:to_table()
  local out = {schedule = self.name}
  for key, value in pairs(self.options) do out[key] = value end
  return out
end

--- The factor on the optimizer's lr at a step, counted from 1. The warm-up rises linearly to 1 at its last
-- step; the schedule proper starts after it.
-- @param run {total_steps = , steps_per_epoch = }
-- > optim.cosine{}:at(1, {total_steps = 10})  --> 1.0
function Schedule:at(step, run)
  local warmup = math.floor(schedule.steps(self.options.warmup, run) + 0.5)
  if step <= warmup then return step / warmup end
  return self.factor(self.options, step - 1 - warmup, run, warmup)
end

--- The learning rate of every step of a run.
-- @param lr the optimizer's own
-- @return a list of run.total_steps numbers
function Schedule:table(lr, run)
  local out = {}
  for step = 1, run.total_steps do out[step] = lr * self:at(step, run) end
  return out
end

local function kind(name, signature, factor)
  local separator = signature:find ';' and ', ' or '; '
  local spec = args.spec('optim.' .. name, signature .. separator .. 'warmup:length=0')
  schedule.kinds[name] = function(given)
    return setmetatable({name = name, options = spec(given), spec = spec, factor = factor}, Schedule)
  end
end

--- optim.constant: the same rate at every step.
-- > optim.constant{warmup = '1 epoch'}
kind('constant', '', function() return 1 end)

--- optim.step: times gamma at each milestone, or every so often.
-- > optim.step{0.1, every = '30 epochs'}
kind('step', 'gamma:number=0.1; every:length?, milestones:lengths?', function(o, done, run, warmup)
  if o.every then return o.gamma ^ math.floor((done + warmup) / schedule.steps(o.every, run)) end
  local passed = 0
  for _, milestone in ipairs(o.milestones or {}) do
    if done + warmup >= schedule.steps(milestone, run) then passed = passed + 1 end
  end
  return o.gamma ^ passed
end)

--- optim.exponential: times gamma every so often, in stairs, or smoothly with staircase = false.
-- > optim.exponential{0.94, every = '2 epochs'}
kind('exponential', "gamma:number; every:length=1 epoch, staircase:bool=true", function(o, done, run, warmup)
  local periods = (done + warmup) / math.max(1, math.floor(schedule.steps(o.every, run)))
  return o.gamma ^ (o.staircase and math.floor(periods) or periods)
end)

--- optim.cosine: half a wave from 1 down to `final` at the end of the run.
-- > optim.cosine{warmup = 0.05}
kind('cosine', 'final:number=0;', function(o, done, run, warmup)
  local share = math.min(1, done / math.max(1, run.total_steps - warmup))
  return o.final + (1 - o.final) * 0.5 * (1 + math.cos(math.pi * share))
end)

--- Is it a schedule?
function schedule.is_schedule(v) return getmetatable(v) == Schedule end

--- The names of all schedules, sorted.
function schedule.names()
  local names = {}
  for name in pairs(schedule.kinds) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The schedule of this name, for command lines: schedule.by_name('cosine').
function schedule.by_name(name, options)
  local make = schedule.kinds[name]
  if not make then args.fail('schedule: %s: unknown name%s', name, args.hint(name, schedule.names())) end
  return make(options)
end

--- The description that to_table wrote down.
function schedule.from_table(t)
  local options = {}
  for key, value in pairs(t) do
    if key ~= 'schedule' then options[key] = value end
  end
  return schedule.by_name(t.schedule, options)
end

return schedule
