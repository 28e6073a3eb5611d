--- train and resume: from one table to a run that works in the background.
--
-- Everything that a run may need is made here, before its thread starts: pictures, net, state, plans, and the
-- learning rate of every step. What can be refused is refused before the run's folder exists. The folder
-- holds all that is needed to make the same things again in another process: that is what resume does, so
-- the two share every line but where the first numbers come from.

local core = require 'inc.core'
local args = require 'inc.args'
local json = require 'inc.json'
local build = require 'inc.train.build'
local changes = require 'inc.train.changes'
local folder = require 'inc.train.folder'
local settings = require 'inc.train.settings'
local stage = require 'inc.train.stage'
local undo = require 'inc.train.undo'
local Run = require 'inc.run'

local trainer = {}

-- -- one run ------------------------------------------------------------------------------------------------

local function check_free(net)
  for _, run in ipairs(Run.active()) do
    if run.net == net then args.fail('train: this net is being trained by the run in %s', run.folder) end
  end
end

-- The net of a job, with what it needs before anything is bound to it.
local function open_net(job)
  local o, info = job.settings, job.images:info()
  settings.settle_steps(o, info.train)
  settings.use_threads(job.threads)
  build.check_room()
  job.net = build.net(o, job.images:classes())
  check_free(job.net)
  job.validates = info.val > 0
  job.rng = core.tensor{o.seed, 0, dtype = 'i64'}
  if not job.prepared then job.step_arena, job.eval_arena = core.plan_arena(), core.plan_arena() end
end

-- The first stage; nothing is written yet, and no plan made.
local function bind_first(job, o, at)
  if o ~= job.settings then stage.fit_net(job.net, o, job.settings) end
  job.settings, job.first = o, at
  local st = stage.bind(job, {settings = o, at = at})
  job.stages, job.optimizer, job.average, job.state = {st}, st.optimizer, st.average, st.state
  return st
end

-- Its plans, and room for them.
local function trace_first(job)
  local st = stage.trace(job, job.stages[1])
  job.plan, job.eval, job.total = st.plan, st.eval, st.settings.total
  if st.classes ~= #job.images:classes() then
    args.fail('train: net: expected %d classes as in the data, got %d', #job.images:classes(), st.classes)
  end
  if job.prepared then return job:prepared() end
  build.check_memory(job.plan, job.validates and job.eval, job.settings.batch, build.size_of(job.net))
end

-- The stages that are to come behind the first.
local function add_stages(job, later)
  for _, st in ipairs(later) do stage.follow(job, st) end
  job.total = job.stages[#job.stages].settings.total
end

-- The table of core.run_start.
local function start_options(job)
  local t, first = stage.options(job, job.stages[1]), job.first
  t.folder, t.lock, t.bad = job.folder, job.lock, job.images:info().bad
  t.best, t.best_loss, t.best_step = job.best, job.best_loss, job.best_step
  t.feed = job.feed and job:feed(t.train) or nil
  t.until_step, t.best_last = job.first_rest and math.max(first, 1), job.best_last
  t.keep, t.retell, t.later = job.keep or job.settings.keep, job.retell, {}
  for i = 2, #job.stages do t.later[i - 1] = stage.options(job, job.stages[i]) end
  return t
end

local function launch(job)
  return Run.new{handle = core.run_start(start_options(job)), folder = job.folder, net = job.net,
    images = job.images, job = job, first = job.first}
end

-- -- train --------------------------------------------------------------------------------------------------

-- What the runs of a comparison have that those of a user have not (inc/compare/arm.lua): threads; prepared,
-- called instead of the check of memory; feed, which gives the batches; first_rest = true, to be told of
-- every turn; keep, how many checkpoints; best_last; images, the pictures as they were listed before;
-- no_start, when it makes the net again by itself.
local function new_job(fields, inner)
  for name, v in pairs(inner or {}) do fields[name] = v end
  return fields
end

--- (for compare) All that train does before anything is written.
-- @param inner a job's inner fields
-- @return the job
function trainer.prepare(given, inner)
  local o = settings.read(given)
  local out = folder.check_new(o.out, 'train')
  local job = new_job({settings = o, folder = out}, inner)
  o.weights = o.weights and core.path_full(o.weights)
  job.images = job.images or build.data(o)
  job.made = o.net == nil
  if o.net then check_free(o.net) end
  local _ <close> = undo.after_error(o.net, o.weights ~= nil)
  open_net(job)
  settings.check_schedule(o, 'train')
  bind_first(job, o, 0)
  trace_first(job)
  return job
end

--- (for compare) Begin what was prepared.
function trainer.begin(job)
  local o = job.settings
  folder.create(job)
  if o.net and not job.no_start then core.save(folder.start_path(job.folder), job.net:state()) end
  return launch(job)
end

--- Train or fine-tune a net on pictures, in the background; a script waits for it at its end.
-- @param net a net, or nothing: then `model` is made for the classes of the data
-- @param data a folder with one sub-folder a class, or what data.folder gives
-- @param out the run's folder, runs/1, runs/2, ... when left out; an existing run is never overwritten
-- @param weights start from this safetensors file; the heads start afresh
-- @param model a name, or that and options of its own: {'inception_v3', bn_momentum = 0.0003}
-- @param classes a list of names instead of the sub-folders' own; val, the share of pictures held out
-- @param steps, epochs how long, in all
-- @param batch pictures a step
-- @param optimizer one of optim, or its name; lr, momentum, weight_decay, clip_norm change it
-- @param schedule one of optim (cosine, one_cycle, step, ...), its name, a function of (step, run), or
--   several: {lr = ..., momentum = ...}
-- @param accumulate parts of a batch that are computed one after the other, where memory is short; norm
--   layers see a part at a time
-- @param norms true also logs the norms of gradients and updates
-- @param ema decay of an average of the weights, which validation and best.safetensors then use
-- @param freeze Lua patterns of parameters that stay as they are
-- @param augment light, inception or none
-- @param precision bf16, f32, or auto: bf16 where the processor multiplies it
-- @param label_smoothing, aux, aux_weight, dropout of the net and its loss
-- @param size side of the square that the net sees, when another than its weights say
-- @param workers threads that load pictures; never changes a result
-- @param seed of start values, order, distortions and dropout
-- @param save_every, val_every steps between checkpoints and validations, an epoch when left out
-- @param bad skip or stop at pictures that cannot be read
-- @param keep how many of the newest checkpoints stay, besides the best one's: a fork begins at one of them,
--   or at the start
-- @param plan false runs the ops of a step one by one, as they were recorded: slow, for doubts about a plan
-- @param plot true shows curves while it runs
-- @return a run: print(run), run:wait(), run:stop(), run:pause(), run:continue(), run:set{}, run:plot{},
--   run.log
-- > run = train{net, flowers, optimizer = optim.sgd{lr = 0.01, momentum = 0.9}, epochs = 5}
function trainer.train(given)
  return trainer.begin(trainer.prepare(given))
end

-- -- resume -------------------------------------------------------------------------------------------------

trainer.resume_spec = args.spec('resume',
  'run:any; steps:int?, epochs:number?, net:module?, workers:int?, ' ..
  'accept_changes:bool=false, plot:bool?')

local function more_steps(o, given)
  if not (given.steps or given.epochs) then return end
  if given.steps and given.epochs then
    args.fail 'resume: steps and epochs: expected one of them, got both'
  end
  o.steps, o.epochs = given.steps, given.epochs
end

--- (for fork) The same pictures as before, or the reason why not.
-- @param who for messages
function trainer.same_pictures(job, config, accept, who)
  local then_ = folder.pictures(job.folder)
  local now = job.images or build.scan(config.data.path, {val = config.data.val, seed = config.data.seed,
    classes = config.classes})
  local odd = core.images_diff(then_, now)
  if #odd == 0 then return now end
  local names = {}
  for i = 1, math.min(5, #odd) do names[i] = odd[i].kind .. ' ' .. odd[i].path end
  local text = ('pictures are not as they were: %s%s (%d in all)'):format(table.concat(names, ', '),
    #odd > 5 and ', ...' or '', #odd)
  if not accept then
    args.fail('%s: %s: %s; %s goes on all the same, but no longer to the bit', who, config.data.path, text,
      args.option('accept_changes', true))
  end
  inc.note('%s', text)
  if not job.keep_list then core.images_save(now, folder.pictures_path(job.folder)) end
  return now
end

--- (for fork) Weights, slots and counters into a job whose settings at that step follow from its changes.
-- @param tensors, meta of a checkpoint, or what one would hold
-- @return the stages that are to come
function trainer.load_state(job, step, path, tensors, meta)
  local folded = table.pack(changes.fold(job.base, job.changes, step, job.up_to))
  local now = table.remove(folded, 1)
  if not job.net then open_net(job) end
  local st = bind_first(job, job.adjust(now.settings), step)
  build.load_state(st.state, tensors, path)
  stage.remember(st, json.decode(meta.plateau or '{}'))
  stage.overlay(st, now.sets)
  st.to_come, st.count, job.meta = now.to_come, st.optimizer.step_count:item(), meta
  job.best, job.best_loss = tonumber(meta.best), tonumber(meta.best_loss)
  job.best_step = math.tointeger(tonumber(meta.best_step))
  return folded
end

local function load_checkpoint(job, step, path)
  local _, tensors, meta = core.load(path)
  return trainer.load_state(job, step, path, tensors, meta)
end

--- (for fork) The newest checkpoint at or before a step that can be read; older ones where it cannot.
-- @return the stages that are to come, or nil when there is no checkpoint
function trainer.load_newest(job, path, at_most)
  for _, step in ipairs(core.run_checkpoints(path)) do
    if step <= at_most then
      local ok, later = pcall(load_checkpoint, job, step, folder.checkpoint(path, step))
      if ok then return later end
      inc.note('%s', later)
    end
  end
end

--- (for fork) As it was at step 0: from the weights that a net came with, or made anew.
function trainer.load_start(job, path)
  local folded = table.pack(changes.fold(job.base, job.changes, 0, job.up_to))
  local now = table.remove(folded, 1)
  if not job.net then open_net(job) end
  local start = folder.start_path(path)
  if core.path_kind(start) then build.load_state(job.net:state(), select(2, core.load(start)), start) end
  bind_first(job, job.adjust(now.settings), 0).to_come = now.to_come
  return folded
end

--- (for fork) The first stage is there: plans of all, and the thread.
function trainer.set_off(job, later, write)
  trace_first(job)
  add_stages(job, later)
  write()
  return launch(job)
end

local function from_start(job)
  local o = job.settings
  if job.parent then args.fail('resume: %s: no checkpoint that can be read: fork it anew', job.folder) end
  local has_start = core.path_kind(folder.start_path(job.folder))
  if not has_start and o.weights and not core.path_kind(o.weights) then
    args.fail('resume: %s: no checkpoint yet, and the weights it started from are gone: %s', job.folder,
      o.weights)
  end
  inc.note('%s: no checkpoint yet: starting at the beginning', job.folder)
  return trainer.load_start(job, job.folder)
end

-- Changes that the run made after the checkpoint it goes on from, and makes again.
local function tell_to_come(job)
  local n = #job.stages - 1
  for _, st in ipairs(job.stages) do n = n + #(st.to_come or {}) end
  if n > 0 then
    inc.note('%s: goes on after step %d; %d change%s made after it will be made again', job.folder, job.first,
      n, n == 1 and ' that was' or 's that were')
  end
end

-- A new total is a change like others: a fork from before it must not see it. Where a run is cut short its
-- schedule stays what it was: steps that are made cannot follow another one.
local function note_length(job, r, path, o)
  if not (r.steps or r.epochs) then return end
  local why = settings.schedule_too_long(o)
  if why then inc.note('%s: it ends before its schedule does: %s', path, why) end
  local change = {step = (job.first or 0) + 1, length = {steps = r.steps, epochs = r.epochs}}
  job.new_length = function() changes.add(path, change) end
end

-- What resume was told to do otherwise, for the settings of every stage.
local function adjusting(r, net)
  return function(o)
    if r.steps or r.epochs then more_steps(o, r) end
    o.workers, o.plot = r.workers or o.workers, r.plot == nil and o.plot or r.plot
    o.net = net
    return o
  end
end

-- A job that is to be what the run in `path` was.
local function job_of(path, config, inner)
  local job = new_job({folder = path, base = folder.base_of(config), changes = changes.read(path),
    threads = config.threads, parent = config.parent}, inner)
  job.settings = settings.from_table(job.base)
  return job
end

--- (for compare) Resume with a job's inner fields.
function trainer.go_on(given, inner)
  local single = type(given) == 'string' or Run.is_run(given)
  local r = trainer.resume_spec(single and {given} or given)
  if Run.is_run(r.run) then r.run, r.net = r.run.folder, r.net or not r.run.job.made and r.run.net or nil end
  if type(r.run) ~= 'string' then
    args.fail('resume: run: expected a run or its folder, got %s', args.show(r.run))
  end
  local path = folder.check_run(r.run, 'resume')
  local lock <close> = core.run_lock(path) -- empty once the run has it
  local config = folder.read_config(path)
  folder.use_kernels(path)
  local job = job_of(path, config, inner)
  job.lock = lock
  local o = job.settings
  o.net = r.net or folder.rebuild_net(config, o)
  job.adjust = adjusting(r, o.net)
  job.adjust(o)
  if o.net then check_free(o.net) end
  local _ <close> = undo.after_error(o.net, true)
  local start_weights = o.weights
  o.weights = nil
  job.images = trainer.same_pictures(job, config, r.accept_changes, 'resume')
  open_net(job)
  o.weights = start_weights
  local later = trainer.load_newest(job, path, math.huge) or from_start(job)
  for _, st in ipairs(later) do settings.settle_steps(job.adjust(st.settings), job.images:info().train) end
  local last = (later[#later] or job.stages[1]).settings
  if job.first >= last.total then
    args.fail('resume: %s: its %d steps are made; give more steps or epochs to go further', r.run, job.first)
  end
  note_length(job, r, path, last)
  return trainer.set_off(job, later, function()
    folder.update_config(job, config)
    if job.new_length then job.new_length() end
    tell_to_come(job)
  end), job
end

--- Go on with a run from its newest good checkpoint, as if it had never stopped.
-- @param run a run, or its folder
-- @param steps, epochs a new total, to go further than was asked at first
-- @param net the net, when it was made by hand and not by a model (a run of this session knows its own)
-- @param accept_changes go on although the pictures are not the same any more
-- > again = resume{'runs/first', epochs = 8}
function trainer.resume(given)
  return (trainer.go_on(given))
end

return trainer
