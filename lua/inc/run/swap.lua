--- run:swap and run:set: another optimizer, or other numbers, for a run that is going.
--
-- lr and what follows a schedule are numbers that the run's thread writes before each step: changing them is
-- a message. Everything else is a constant of the plan, so the run gets another stage (train/stage.lua),
-- traced while it rests between two steps.

local core = require 'inc.core'
local args = require 'inc.args'
local changes = require 'inc.train.changes'
local ema = require 'inc.ema'
local folder = require 'inc.train.folder'
local optim = require 'inc.optim'
local settings = require 'inc.train.settings'
local stage = require 'inc.train.stage'

local swap = {}

-- -- another stage ------------------------------------------------------------------------------------------

local function check_going(run, who)
  local s = core.run_status(run.handle)
  if core.run_over(run.handle) then
    args.fail('%s: the run in %s is over: resume it, or fork it', who, run.folder)
  elseif s.changes_at then
    args.fail('%s: the run in %s replays its past up to step %d: wait until it is there', who, run.folder,
      s.changes_at)
  end
  return s
end

-- Let a run that is held go on with other settings.
-- @param o settings
-- @param more fresh; note, a function of what the optimizer says that it kept
local function go_on_with(run, o, who, more)
  local s, job = check_going(run, who), run.job
  local before = stage.now(job, s.changes_at)
  before.count, before.at = before.optimizer.step_count:item(), s.step
  local st = stage.follow(job, {settings = o, at = s.step, fresh = more.fresh})
  local _ <close> = args.finally(function(_, err)
    if err ~= nil then table.remove(job.stages) end
  end)
  st.note = more.note(st.words or 'all state kept')
  local line = changes.line{step = s.step + 1, settings = settings.to_table(o), fresh = more.fresh,
    note = st.note}
  folder.add_kernels(job)
  core.run_then(run.handle, stage.options(job, st), line)
  folder.update_settings(job, run.config)
  return st, s
end

-- -- swap ---------------------------------------------------------------------------------------------------

local swap_spec = args.spec('run:swap', 'schedule:any?')

local function description_of(given)
  if type(given) == 'string' then return optim.by_name(given) end
  if optim.is_optimizer(given) then return given end
  args.fail('run:swap: expected one of optim or its name (%s), got %s', table.concat(optim.names(), ', '),
    args.show(given))
end

local function say(format, ...) print(require('inc.shell.screen').fit(format:format(...), 1)) end

--- run:swap
function swap.swap(run, optimizer, options)
  local given, description = swap_spec(options), description_of(optimizer)
  check_going(run, 'run:swap')
  return run:held(function()
    local o, left = settings.with_optimizer(run.settings, description, given.schedule)
    if given.schedule ~= nil then settings.check_schedule(o, 'run:swap') end
    local st, s = go_on_with(run, o, 'run:swap', {fresh = true, note = function(words)
      return ('swap to %s: %s'):format(description, words)
    end})
    say('after step %d: %s', s.step, st.note)
    run.asked = {what = 'swap', text = tostring(description), step = s.step}
    if #left > 0 then
      say('%s followed a schedule, and %s has no such number', table.concat(left, ', '),
        description.kind._name)
    end
    return run
  end)
end

-- -- set ----------------------------------------------------------------------------------------------------

local own = {'label_smoothing', 'aux_weight', 'dropout', 'ema', 'save_every', 'val_every'}

local function has(list, name)
  for _, each in ipairs(list) do
    if each == name then return true end
  end
  return false
end

local function check_number(name, value)
  if type(value) ~= 'number' or value ~= value then
    args.fail('run:set: %s: expected a number, got %s', name, args.show(value))
  end
end

local function names_for(o)
  local names = {}
  for _, name in ipairs(o.optimizer.kind.number_names) do
    if name ~= 'layer_decay' then names[#names + 1] = name end
  end
  return table.move(own, 1, #own, #names + 1, names)
end

--- (for completion) The numbers that run:set takes.
function swap.numbers(run) return names_for(run.settings) end

local function check_names(o, numbers)
  local names, first = names_for(o), true
  for name, value in pairs(numbers) do
    first = false
    if name == 'layer_decay' then args.fail 'run:set: layer_decay is settled when the run begins' end
    if not has(names, name) then
      args.fail('run:set: %s: no such number%s', tostring(name), args.hint(tostring(name), names))
    end
    check_number(name, value)
  end
  if first then args.fail('run:set: expected numbers by name (there are %s)', table.concat(names, ', ')) end
end

-- The optimizer with one number changed; betas are beta1 and beta2.
local function with_number(description, name, value)
  local list, place = name:match '^(.-)(%d+)$'
  local there = list and description.options[list .. 's']
  if description.options[name] ~= nil or not there then return description:with{[name] = value} end
  local copy = {table.unpack(there)}
  copy[tonumber(place)] = value
  return description:with{[list .. 's'] = copy}
end

local function check_own(name, value)
  if (name == 'save_every' or name == 'val_every') and not (value >= 1 and value % 1 == 0) then
    args.fail('run:set: %s: expected a whole number of steps, got %s', name, args.show(value))
  elseif value < 0 or (name == 'label_smoothing' or name == 'dropout') and value >= 1 then
    args.fail('run:set: %s: expected at least 0%s, got %s', name,
      name == 'aux_weight' and '' or ' and less than 1', args.show(value))
  end
end

local function with_own(o, name, value)
  check_own(name, value)
  if name == 'ema' then
    if not o.ema then args.fail 'run:set: ema: this run keeps no averages' end
    o.ema = ema.describe{decay = value, warmup = o.ema.options.warmup}
  else
    o[name] = math.tointeger(value) or value
  end
end

-- Settings with those numbers that are constants of the plan; the others stay in the second table.
local function constants(run, numbers)
  local o, moving, live, changed = {}, {}, {}, {}
  for key, v in pairs(run.settings) do o[key] = v end
  for _, number in ipairs(run.optimizer:numbers()) do moving[number[1]] = true end
  for name, value in pairs(numbers) do
    if moving[name] then
      live[name] = value
    else
      if has(own, name) then with_own(o, name, value)
      else o.optimizer = with_number(o.optimizer, name, value) end
      changed[#changed + 1] = ('%s = %s'):format(name, args.show(value))
    end
  end
  table.sort(changed)
  return o, live, changed
end

local function set_numbers(run, numbers)
  check_names(run.settings, numbers)
  local o, live, changed = constants(run, numbers)
  if #changed > 0 then
    go_on_with(run, o, 'run:set', {fresh = false, note = function() return table.concat(changed, ', ') end})
  end
  for name, value in pairs(live) do core.run_set(run.handle, name, value) end
end

local function group_at(o, pattern)
  local patterns = {}
  for i, group in ipairs(o.optimizer.options.groups or {}) do
    if group.pattern == pattern then return i end
    patterns[i] = group.pattern
  end
  args.fail('run:set: group: %s: the optimizer has no such group%s', args.show(pattern),
    args.hint(pattern, patterns))
end

local function set_group(run, pattern, numbers)
  local o, groups, said = {}, {}, {}
  for key, v in pairs(run.settings) do o[key] = v end
  local place = group_at(o, pattern)
  for i, group in ipairs(o.optimizer.options.groups) do
    groups[i] = {}
    for key, v in pairs(group) do groups[i][key] = v end
  end
  for name, value in pairs(numbers) do
    check_number(name, value)
    groups[place][name] = value
    said[#said + 1] = ('%s of %s = %s'):format(name, pattern, args.show(value))
  end
  table.sort(said)
  o.optimizer = o.optimizer:with{groups = groups}
  go_on_with(run, o, 'run:set', {fresh = false, note = function() return table.concat(said, ', ') end})
end

-- Only numbers that the thread writes anyway: no need to wait for the step at hand.
local function only_live(run, numbers)
  local moving, any = {}, false
  for _, number in ipairs(run.optimizer:numbers()) do moving[number[1]] = true end
  for name, value in pairs(numbers) do
    any = true
    if not moving[name] then return false end
    check_number(name, value)
  end
  return any
end

--- run:set
function swap.set(run, given)
  local numbers = {}
  if type(given) ~= 'table' then args.fail('run:set: expected a table, got %s', args.show(given)) end
  for key, v in pairs(given) do numbers[key] = v end
  local group = numbers.group
  numbers.group = nil
  if core.run_over(run.handle) then check_going(run, 'run:set') end
  if not group and only_live(run, numbers) then
    local said = {}
    for name, value in pairs(numbers) do
      core.run_set(run.handle, name, value)
      said[#said + 1] = ('%s = %s'):format(name, args.show(value))
    end
    table.sort(said)
    run.asked = {what = 'set', text = table.concat(said, ', '), step = core.run_status(run.handle).step}
    return run
  end
  run:held(function()
    if group then set_group(run, group, numbers) else set_numbers(run, numbers) end
  end)
  return run
end

return swap
