--- A stage of a run: what it does from some step on until something is changed. Settings become an optimizer,
-- averages, state, plans and tables of numbers here; core/run/stage.c takes them between two steps.
--
-- The first stage is what train and resume start with; a swap, a number that plans hold as a constant, and a
-- fork's own settings are the stages that follow. Each is made ready before it is needed, because the run's
-- thread never enters Lua.

local adopt = require 'inc.optim.adopt'
local build = require 'inc.train.build'
local schedule = require 'inc.schedule'
local settings = require 'inc.train.settings'

local stage = {}

-- -- the net ------------------------------------------------------------------------------------------------

local function same_list(a, b) return table.concat(a, '\n') == table.concat(b, '\n') end

--- Give all dropout layers of a net one probability.
function stage.set_dropout(net, p)
  for _, entry in ipairs(net:named_modules()) do
    if entry[2]._class == require('inc.nn').Dropout then entry[2].p = p end
  end
end

--- Give a net what its settings say of it, where that is not what they said before.
function stage.fit_net(net, o, before)
  if not same_list(o.freeze, before.freeze) then
    for _, pattern in ipairs(before.freeze) do net:unfreeze(pattern) end
    for _, pattern in ipairs(o.freeze) do net:freeze(pattern) end
  end
  if o.dropout ~= before.dropout and o.dropout then stage.set_dropout(net, o.dropout) end
end

-- -- optimizer and averages ---------------------------------------------------------------------------------

local function same_optimizer(o, before)
  return o.optimizer == before.optimizer and same_list(o.freeze, before.freeze) and
    o.norms == before.norms and same_list(schedule.set(o.schedule):follow(),
      schedule.set(before.schedule):follow())
end

-- Steps that an optimizer has counted when `step` steps are made.
local function counted(st, step) return st.count + step - st.at end

local function bind_optimizer(job, st, before)
  local o = st.settings
  st.copies, st.count = {}, 0
  if before and same_optimizer(o, before.settings) then
    st.optimizer, st.count = before.optimizer, counted(before, st.at)
    return
  end
  st.optimizer = o.optimizer:bind(job.net, {follow = schedule.set(o.schedule):follow(),
    norms = o.norms or false})
  if not before then return end
  st.copies, st.words = adopt.take(st.optimizer, before.optimizer, counted(before, st.at))
  if rawequal(st.optimizer.step_count, before.optimizer.step_count) then st.count = counted(before, st.at) end
end

-- Averages go on; those that are new begin at the weights of that step.
local function follow_average(st, before)
  local old = {}
  for _, entry in ipairs(before and before.entries or {}) do old[entry[1]] = entry.average end
  if before and before.count then st.average.count = before.count end
  for _, entry in ipairs(st.average.entries) do
    if old[entry[1]] then
      entry.average = old[entry[1]]
    elseif entry.average then
      st.copies[#st.copies + 1] = {entry[2], entry.average, 1}
    end
  end
end

local function same_average(o, before)
  local a, b = o.ema and o.ema.options, before.ema and before.ema.options
  return a and b and a.decay == b.decay and a.warmup == b.warmup and same_list(o.freeze, before.freeze)
end

local function bind_average(job, st, before)
  local o = st.settings
  if not o.ema then
    st.average = st.optimizer:average(job.net)
  elseif before and same_average(o, before.settings) then
    st.average = before.average
  else
    st.average = o.ema:bind(job.net)
    if before then follow_average(st, before.average) end
  end
end

-- -- numbers ------------------------------------------------------------------------------------------------

-- lr, and what else follows a schedule: {name, tensor, list of values, plateau or nil}.
local function tables_of(st)
  local o = st.settings
  local set = schedule.set(o.schedule)
  local list = set:numbers(st.optimizer, {total_steps = o.total, steps_per_epoch = o.epoch_steps})
  for _, number in ipairs(list) do
    local s = set.by_name[number[1]]
    if s and s:tracker() then number[4] = s:tracker():plain() end
  end
  return list
end

--- Lay what was set by hand over the tables: {{step, name, value}, ...}, in order.
function stage.overlay(st, sets)
  for _, set in ipairs(sets) do
    for _, number in ipairs(st.numbers) do
      if number[1] == set[2] then
        for step = set[1], #number[3] do number[3][step] = set[3] end
        number[4] = nil
      end
    end
  end
end

--- Give plateaus what the checkpoint says that they remember.
function stage.remember(st, plateaus)
  for _, number in ipairs(st.numbers) do
    for key, v in pairs(number[4] and plateaus[number[1]] or {}) do number[4][key] = v end
  end
end

-- -- making one ---------------------------------------------------------------------------------------------

--- Optimizer, averages, state and numbers of a stage.
-- @param job net, images, rng
-- @param st {settings, at = steps made when it begins}, which is filled
-- @param before the stage before it, or nil
function stage.bind(job, st, before)
  settings.settle_steps(st.settings, job.images:info().train)
  settings.check_plateau(st.settings, job.validates)
  if before then stage.fit_net(job.net, st.settings, before.settings) end
  bind_optimizer(job, st, before)
  bind_average(job, st, before)
  st.state = build.state(job.net, st.optimizer, st.average)
  st.numbers = tables_of(st)
  return st
end

local function same_evaluation(st, before)
  local o, was = st.settings, before.settings
  return st.average == before.average and o.batch == was.batch and o.precision == was.precision
end

--- Its plans; those of a stage that follows use the memory of the stage before, because they take turns.
function stage.trace(job, st, before)
  local o = st.settings
  st.plan = build.step_plan(job.net, o, st.optimizer, st.average, job.rng)
  if job.step_arena then st.plan:share(job.step_arena) end
  if before and same_evaluation(st, before) then
    st.eval, st.classes = before.eval, before.classes
    return st
  end
  st.eval, st.classes = build.eval_plan(job.net, o.batch, o.precision, st.average)
  if job.eval_arena then st.eval:share(job.eval_arena) end
  return st
end

-- -- for core.run_start and core.run_then -------------------------------------------------------------------

local function train_loader(job, st)
  local o, place = st.settings, st.at + (st.settings.origin or 0)
  return {
    part = 'train', train = true, batch = o.batch, seed = o.seed, workers = o.workers,
    epoch = place // o.epoch_steps, index = place % o.epoch_steps, bad_stop = o.bad == 'stop',
    transform = {augment = o.augment, size = build.size_of(job.net)},
  }
end

--- The table of a stage: what every stage of a run has.
function stage.options(job, st)
  local o = st.settings
  return {
    first = st.at, steps = job.total, epoch_steps = o.epoch_steps, origin = o.origin or 0, batch = o.batch,
    save_every = o.save_every, val_every = o.val_every, seed = o.seed, rng = job.rng, plan = st.plan,
    eval = job.validates and st.eval or nil, images = job.images,
    outputs = o.norms and {'loss', 'grad_norm', 'update_norm'} or {'loss'}, numbers = st.numbers,
    state = st.state, meta = build.metadata(job.net, 'checkpoint'),
    export = st.average and st.average:named_tensors() or job.net:state(),
    export_meta = build.metadata(job.net, 'weights'), train = train_loader(job, st),
    val = {part = 'val', batch = o.batch, workers = o.workers, transform = build.eval_transform(job.net)},
    set = st.to_come, copies = st.copies, fresh = st.fresh or false, note = st.note,
  }
end

--- One more stage behind those that a job has; each is traced before the next is bound, because layers may be
-- frozen in one and not in the other.
-- @param st {at = , settings, fresh, note, to_come}
function stage.follow(job, st)
  local before = job.stages[#job.stages]
  stage.trace(job, stage.bind(job, st, before), before)
  job.stages[#job.stages + 1] = st
  return st
end

--- The stage that a run is in.
-- @param changes_at status().changes_at
function stage.now(job, changes_at)
  local list = job.stages
  while list[2] and not (changes_at and list[2].at >= changes_at) do table.remove(list, 1) end
  return list[1]
end

return stage
