--- Schedules of learning rates and of other numbers: closed forms of the step, so that resuming needs nothing
-- but the step.
--
-- A schedule is a description like an optimizer. `at(step, run)` gives the factor on the optimizer's own
-- number
-- for the step that is about to be made, counted from 1. Lengths are said as a user thinks of them: 100
-- (steps), '2 epochs', '500 steps', or a fraction of the run such as 0.05. Rejected: recursive forms (rate of
-- this step from that of the last), which drift after a resume or a changed length. The kinds are in
-- optim/schedules.lua; plateau alone needs more than the step, the values that validation gave.

local args = require 'inc.args'

local schedule = {kinds = {}}

-- -- lengths ------------------------------------------------------------------------------------------------

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

-- -- schedules ----------------------------------------------------------------------------------------------

local Schedule = {}
Schedule.__index = Schedule
args.object('schedule', Schedule)

function Schedule:__tostring() return self.kind._spec:describe(self.options) end

function Schedule:__eq(other) return tostring(self) == tostring(other) end

--- Plain values for config.json: {schedule = 'cosine', ...}.
-- > optim.cosine{}:to_table().schedule  --> cosine
function Schedule:to_table()
  local out = {schedule = self.name}
  for key, value in pairs(self.options) do out[key] = value end
  return self.kind.plain and self.kind.plain(self, out) or out
end

--- The factor on the optimizer's own number at a step, counted from 1. The warm-up rises in a straight line
--to
-- 1 at its last step; the schedule proper starts after it.
-- @param run {total_steps = , steps_per_epoch = }
-- > optim.cosine{}:at(1, {total_steps = 10})  --> 1.0
function Schedule:at(step, run)
  local o = self.options
  local warmup = math.floor(schedule.steps(o.warmup, run) + 0.5)
  if step <= warmup then return o.warmup_from + (1 - o.warmup_from) * step / warmup end
  return self.kind.factor(o, step - 1 - warmup, run, warmup)
end

--- The number at every step of a run.
-- @param lr the optimizer's own
-- @return a list of run.total_steps numbers
-- > optim.polynomial{}:table(1, {total_steps = 4})  --> {1, 0.75, 0.5, 0.25}
function Schedule:table(lr, run)
  local out = {}
  for step = 1, run.total_steps do out[step] = lr * self:at(step, run) end
  if self.kind.settle then self.kind.settle(self, run) end
  return out
end

--- What follows the values of validation (optim.plateau): observe(value) gives the factor from then on,
--state()
-- and load(state) carry it over a resume; nil for schedules that need nothing but the step.
-- > optim.plateau{patience = 0}:tracker():observe(0.5)  --> 1
function Schedule:tracker()
  return self.kind.tracker and self.kind.tracker(self.options)
end

local lengths = {'warmup', 'period', 'length'} -- `every` is an interval: beyond the end nothing happens at it

-- The length that ends last: its name and steps.
local function longest(o, run)
  local most, which = 0, nil
  for _, name in ipairs(lengths) do
    local steps = o[name] and schedule.steps(o[name], run) or 0
    if name ~= 'warmup' and o[name] then steps = steps + schedule.steps(o.warmup, run) end
    if steps > most then most, which = steps, name end
  end
  return which, most
end

--- Why the schedule goes on beyond the end of a run, or nil: a length, with the warm-up before it, that is
-- longer than the run, or a milestone that the run does not reach.
-- > optim.cosine{warmup = 40}:too_long{total_steps = 4}
function Schedule:too_long(run)
  local o, total = self.options, run.total_steps
  local name, steps = longest(o, run)
  if name and steps > total then
    return ('%s: %s of %s steps is longer than the run of %d'):format(self, name, args.show(steps), total)
  end
  for _, milestone in ipairs(o.milestones or {}) do
    if schedule.steps(milestone, run) > total then
      return ('%s: milestone %s is beyond the run of %d'):format(self, args.show(milestone), total)
    end
  end
end

-- Curves of a run of 100 epochs of 10 steps, for a plot.
local sample = {total_steps = 1000, steps_per_epoch = 10}

--- The curve for inc.plot: inc.plot(optim.cosine{}), inc.plot{optim.cosine{}, optim.step{0.1, every = 0.33}}.
-- @param run of 100 epochs when left out
-- @param lr 1 when left out
-- > optim.cosine{}:series({total_steps = 100}, 0.1)
function Schedule:series(run, lr)
  run = run or sample
  local epoch, x = run.steps_per_epoch or 1, {}
  for step = 1, run.total_steps do x[step] = step / epoch end
  return {name = tostring(self), x = x, y = self:table(lr or 1, run)}
end

Schedule.__series = Schedule.series

--- (for optim/schedules.lua) A kind of schedule: optim.NAME{...}.
-- @param signature its own options (inc.args)
-- @param factor factor(options, done, run, warmup): `done` steps are made since the warm-up
-- @param more tracker, settle, plain, check
function schedule.define(name, signature, factor, more)
  local separator = signature:find ';' and ', ' or '; '
  local kind = more or {}
  kind._spec = args.spec('optim.' .. name, signature .. separator .. 'warmup:length=0, warmup_from:number=0')
  kind._name, kind.factor = 'optim.' .. name, factor
  setmetatable(kind, {__name = 'optim.schedule', __call = function(_, given)
    local options = kind._spec(given)
    if kind.check then kind.check(options) end
    return setmetatable({name = name, options = options, kind = kind}, Schedule)
  end, __tostring = function() return kind._name end})
  schedule.kinds[name] = kind
  return kind
end

local function kinds()
  require 'inc.optim.schedules'
  return schedule.kinds
end

-- -- from words, functions and tables -----------------------------------------------------------------------

--- Is it a schedule?
function schedule.is_schedule(v) return getmetatable(v) == Schedule end

--- The names of all schedules, sorted.
function schedule.names()
  local names = {}
  for name in pairs(kinds()) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The schedule of this name, for command lines: schedule.by_name('cosine').
function schedule.by_name(name, options)
  local make = kinds()[name]
  if not make then args.fail('schedule: %s: unknown name%s', name, args.hint(name, schedule.names())) end
  return make(options)
end

--- The schedule that to_table wrote down, or the list of them that a set of schedules wrote.
function schedule.from_table(t)
  local options = {}
  if not t.schedule then
    for name, each in pairs(t) do options[name] = schedule.from_table(each) end
    return schedule.set(options)
  end
  for key, value in pairs(t) do
    if key ~= 'schedule' then options[key] = value end
  end
  return schedule.by_name(t.schedule, options)
end

--- A schedule from what users write: one of optim, its name, or a Lua function of (step, run).
function schedule.of(v, who)
  if schedule.is_schedule(v) then return v end
  if type(v) == 'string' then return schedule.by_name(v) end
  if type(v) == 'function' then return kinds().lambda{v} end
  args.fail('%s: schedule: expected one of optim or its name (%s), or a function, got %s', who or 'train',
    table.concat(schedule.names(), ', '), args.show(v))
end

-- -- several numbers ----------------------------------------------------------------------------------------

local Set = {}
Set.__index = Set

--- Schedules for several numbers of an optimizer: {lr = optim.one_cycle{}, momentum = optim.one_cycle{...}}.
--One
-- schedule alone is the learning rate's.
-- @return an object with names, numbers(bound, run), to_table()
-- > inc.schedule.set{lr = optim.cosine{}, weight_decay = optim.constant{}}.names  --> {'lr', 'weight_decay'}
function schedule.set(given)
  if getmetatable(given) == Set then return given end
  local self = setmetatable({names = {}, by_name = {}}, Set)
  if schedule.is_schedule(given) or type(given) ~= 'table' then given = {lr = given} end
  for name, v in pairs(given) do
    self.names[#self.names + 1] = name
    self.by_name[name] = schedule.of(v)
  end
  table.sort(self.names, function(a, b)
    if (a == 'lr') ~= (b == 'lr') then return a == 'lr' end
    return a < b
  end)
  return self
end

function Set:__tostring()
  local parts = {}
  for i, name in ipairs(self.names) do parts[i] = ('%s = %s'):format(name, tostring(self.by_name[name])) end
  return '{' .. table.concat(parts, ', ') .. '}'
end

--- Plain values for config.json.
function Set:to_table()
  local out = {}
  for _, name in ipairs(self.names) do out[name] = self.by_name[name]:to_table() end
  return out
end

--- Names of the numbers besides lr that change: the `follow` of optimizer:bind(net, {follow = ...}).
function Set:follow()
  local list = {}
  for _, name in ipairs(self.names) do
    if name ~= 'lr' then list[#list + 1] = name end
  end
  return list
end

--- Everything that changes from step to step, as core.run_start takes it.
-- @param bound the optimizer, bound with {follow = set:follow()}
-- @param run {total_steps = , steps_per_epoch = }
-- @return list of {name, 0-d tensor, list of run.total_steps numbers}
function Set:numbers(bound, run)
  local list = {}
  for i, entry in ipairs(bound:numbers()) do
    local s = self.by_name[entry[1]] or kinds().constant{}
    list[i] = {entry[1], entry[2], s:table(entry[3], run)}
  end
  return list
end

--- Write the numbers of one step into a bound optimizer, for loops of one's own.
-- > inc.schedule.set(optim.cosine{}):apply(opt, 1, {total_steps = 10})
function Set:apply(bound, step, run)
  local changes = {}
  for _, entry in ipairs(bound:numbers()) do
    local s = self.by_name[entry[1]]
    if s then changes[entry[1]] = entry[3] * s:at(step, run) end
  end
  return bound:set(changes)
end

return schedule
