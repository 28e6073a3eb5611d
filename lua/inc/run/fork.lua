--- fork: a second run that begins at a step of the first, wherever its last checkpoint before that step lies.
--
-- The fork's folder is a whole run: it takes along the parent's log, what the parent changed by hand, and a
-- checkpoint, and its own thread makes the steps up to the fork again, with the parent's settings, before it
-- goes on with its own. So it resumes after a kill like any run, and does not need its parent any more.
-- Rejected: letting the parent make a checkpoint at the step, which only a living run can, and only ahead of
-- time.

local core = require 'inc.core'
local args = require 'inc.args'
local build = require 'inc.train.build'
local changes = require 'inc.train.changes'
local folder = require 'inc.train.folder'
local log = require 'inc.run.log'
local Run = require 'inc.run'
local settings = require 'inc.train.settings'
local stage = require 'inc.train.stage'
local trainer = require 'inc.train'

local fork = {}

-- -- the parent ---------------------------------------------------------------------------------------------

local kept = {'net', 'data', 'model', 'weights', 'classes', 'val', 'size', 'aux', 'devices', 'sync_bn'}

local function read_options(given)
  if type(given) == 'string' or Run.is_run(given) then given = {given} end
  for _, name in ipairs(type(given) == 'table' and kept or {}) do
    if name ~= 'net' and given[name] ~= nil then
      args.fail('fork: %s: a fork keeps that of its parent', name)
    end
  end
  return settings.fork_spec(given)
end

local function alive(run) return run and not core.run_over(run.handle) end

-- The run that was given, or the one of this session in that folder.
local function run_of(given, path)
  if Run.is_run(given) then return given end
  for _, run in ipairs(Run.active()) do
    if run.folder == path then return run end
  end
end

local function parent_of(given)
  if not Run.is_run(given) and type(given) ~= 'string' then
    args.fail('fork: expected a run or its folder, got %s', args.show(given))
  end
  local path = folder.check_run(Run.is_run(given) and given.folder or given, 'fork')
  local p = {path = path, run = run_of(given, path), config = folder.read_config(path),
    changes = changes.read(path)}
  p.base = folder.base_of(p.config)
  return p
end

-- How many steps the parent has made.
local function steps_of(p)
  if p.run then return core.run_status(p.run.handle).step end
  local last = core.run_checkpoints(p.path)[1] or 0
  local known = core.path_kind(p.path .. '/log.jsonl') and log.read(p.path .. '/log.jsonl').step or {}
  return math.max(last, known[#known] or 0)
end

local function check_step(p, step)
  local made = steps_of(p)
  step = step or made
  if step < 0 or step > made then
    args.fail('fork: step: expected 0 to %d, the steps that %s has made, got %d', made, p.path, step)
  end
  return step
end

-- -- its start ----------------------------------------------------------------------------------------------

local function pictures_of(p, accept)
  if p.run then return p.run.images end
  return trainer.same_pictures({folder = p.path, keep_list = true}, p.config, accept, 'fork')
end

-- A net of its own; its weights come later.
local function net_of(p, r, o)
  if r.net then return r.net end
  if p.run and p.config.net.model == 'custom' then
    local net = Run.resting(p.run.net, function() return p.run.net:clone() end)
    for _, pattern in ipairs(p.run.settings.freeze) do net:unfreeze(pattern) end
    return net
  end
  return folder.rebuild_net(p.config, o, 'fork')
end

-- The weights of a living parent as they are, where the fork begins at the step at hand: nothing to replay.
local function copy_living(job, p, step)
  local status = core.run_status(p.run.handle)
  if status.step ~= step or status.changes_at then return nil end
  local st = stage.now(p.run.job)
  local tensors = {}
  for _, entry in ipairs(st.state) do tensors[entry[1]] = entry[2] end
  local plateaus = core.run_plateaus(p.run.handle)
  return trainer.load_state(job, step, p.path, tensors, {plateau = plateaus,
    best = tostring(status.best or -1), best_loss = tostring(status.best_loss),
    best_step = tostring(status.best_step or -1)})
end

-- What a run began with must be there still, where a net is made again for its step 0.
local function check_weights(p)
  local weights = p.base.weights
  if p.config.made and weights and not core.path_kind(weights) then
    args.fail('fork: %s: the weights that it started from are gone: %s', p.path, weights)
  end
end

local function load_start(job, p, step)
  check_weights(p)
  if not (p.config.made or core.path_kind(folder.start_path(p.path))) then
    local list = core.run_checkpoints(p.path)
    args.fail('fork: %s: has no checkpoint at or before step %d%s; train{keep = ...} keeps more', p.path,
      step, list[1] and (' (the earliest is of step %d)'):format(list[#list]) or '')
  end
  return trainer.load_start(job, p.path)
end

local function load(job, p, step)
  if alive(p.run) then
    local later = p.run:held(copy_living, job, p, step)
    if later then return later end
  end
  return trainer.load_newest(job, p.path, step) or load_start(job, p, step)
end

-- -- its folder ---------------------------------------------------------------------------------------------

-- Metadata of the checkpoint that the fork takes along: what core/run/save.c writes.
local function metadata(job)
  local o, first = job.stages[1].settings, job.first
  local place, meta = first + (o.origin or 0), build.metadata(job.net, 'checkpoint')
  meta.step, meta.epoch, meta.index = ('%d'):format(first), ('%d'):format(place // o.epoch_steps),
    ('%d'):format(place % o.epoch_steps)
  meta.best, meta.best_loss = ('%.17g'):format(job.best or -1), ('%.17g'):format(job.best_loss or 0)
  meta.best_step, meta.seed = ('%d'):format(job.best_step or -1), ('%d'):format(o.seed)
  meta.plateau = job.meta and job.meta.plateau or '{}'
  return meta
end

-- The best weights so far, if they still lie there; otherwise the fork looks for a best of its own.
local function take_best(job, p)
  local best = p.path .. '/best.safetensors'
  if (job.best_step or -1) < 0 then return end
  local ok, _, meta = pcall(core.load_head, best)
  if ok and tonumber(meta.step) == job.best_step then
    core.write_file(job.folder .. '/best.safetensors', core.read_file(best))
  else
    job.best, job.best_loss, job.best_step = nil, nil, nil
  end
end

local function take_log(job, p)
  local path = p.path .. '/log.jsonl'
  if core.path_kind(path) then
    core.write_file(job.folder .. '/log.jsonl', (core.read_file(path):match '^(.*\n)' or ''))
  end
end

local function fill(p)
  return function(job)
    take_best(job, p)
    take_log(job, p)
    changes.write(job.folder, job.changes)
    local path = folder.checkpoint(job.folder, job.first)
    core.save(path, job.stages[1].state, metadata(job))
  end
end

-- -- fork ---------------------------------------------------------------------------------------------------

local not_changes = {run = true, step = true, out = true, net = true, accept_changes = true}

-- What the fork changes, as a user would type it.
local function words_of(r)
  local names, plain = {}, {}
  for name, v in pairs(r) do
    if not not_changes[name] then
      names[#names + 1], plain[name] = name, args.show(v)
    end
  end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ('%s = %s'):format(name, plain[name]) end
  return table.concat(names, ', '), plain
end

-- Settings of the parent at that step, and the fork's own.
local function settings_at(p, r, step, pictures)
  local o = changes.fold(p.base, p.changes, step, step).settings
  settings.settle_steps(o, pictures)
  local own, fresh = settings.forked(o, r)
  if own.batch ~= o.batch then
    local seen, per_epoch = (step + (o.origin or 0)) % o.epoch_steps * o.batch, pictures // own.batch
    local place = math.min(seen // own.batch, per_epoch - 1)
    own.origin = (step + (o.origin or 0)) // o.epoch_steps * per_epoch + place - step
    own.epoch_steps = per_epoch
  end
  settings.settle_steps(own, pictures)
  if own.total <= step then
    args.fail('fork: steps: expected more than the %d that are made where it begins, got %d', step, own.total)
  end
  if r.schedule or r.steps or r.epochs or r.batch then settings.check_schedule(own, 'fork') end
  return own, fresh
end

local function shared_changes(list, step)
  local out = {}
  for _, change in ipairs(list) do
    if change.step <= step then out[#out + 1] = change end
  end
  return out
end

--- A second run that begins at any past step of the first: same weights, state, pictures, crops and dropout
-- up to there, by exact replay from the last checkpoint before it (or from the start), then what is changed.
-- The first may be going on, stopped or finished; it is left alone. Without changes the fork makes the first
-- run's bits.
-- @param run a run, or its folder
-- @param step steps made where it begins; where the run stands when left out
-- @param out the fork's folder, runs/N when left out
-- @param net the net, when it was made by hand and only the folder is there
-- @param ... optimizer, lr, momentum, weight_decay, clip_norm, schedule, steps, epochs, batch, augment,
--   precision, ema, freeze, label_smoothing, aux_weight, dropout, seed and the other options of train;
--   pictures, model and size stay. A new optimizer keeps what run:swap keeps
-- @return a run
-- > twin = fork{'runs/first', step = 200, lr = 0.001, out = 'runs/slower'}
function fork.fork(given)
  local r = read_options(given)
  local p = parent_of(r.run)
  local step, out = check_step(p, r.step), folder.check_new(r.out, 'fork')
  local images = pictures_of(p, r.accept_changes)
  local own, fresh = settings_at(p, r, step, images:info().train)
  local text, plain = words_of(r)
  folder.use_kernels(p.path)
  local job = {folder = out, base = p.base, changes = shared_changes(p.changes, step), up_to = step,
    threads = p.config.threads, images = images, made = p.config.made, retell = true,
    settings = settings.from_table(p.base), fill = fill(p)}
  job.settings.net = net_of(p, r, job.settings)
  job.adjust = function(o) o.net, o.weights = job.settings.net, nil return o end
  job.settings.weights = nil
  local later = load(job, p, step)
  job.parent = {folder = p.path, step = step, from = job.first, changes = plain}
  if text ~= '' then
    local note = ('fork of %s after step %d: %s'):format(p.path, step, text)
    job.changes[#job.changes + 1] = {step = step + 1, settings = settings.to_table(own), fresh = fresh,
      note = note}
    later[#later + 1] = {at = step, settings = own, fresh = fresh, note = note, to_come = {}}
  end
  return trainer.set_off(job, later, function() folder.create(job) end)
end

return fork
