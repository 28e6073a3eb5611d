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
local folder = require 'inc.train.folder'
local schedule = require 'inc.schedule'
local settings = require 'inc.train.settings'
local Run = require 'inc.run'

local trainer = {}

-- -- one run ------------------------------------------------------------------------------------------------

-- The numbers that change from step to step (lr, and what else has a schedule), with what was set by hand.
local function numbers(job)
  for _, change in ipairs(job.changes or {}) do
    for _, number in ipairs(job.numbers) do
      for step = change.step, number[1] == change.name and job.settings.total or 0 do
        number[3][step] = change.value
      end
    end
  end
  return job.numbers
end

local function check_free(net)
  for _, run in ipairs(Run.active()) do
    if run.net == net then args.fail('train: this net is being trained by the run in %s', run.folder) end
  end
end

-- Net, optimizer and plans of a job; nothing is written yet.
local function prepare(job)
  local o, info = job.settings, job.images:info()
  settings.settle_steps(o, info.train)
  settings.use_threads(job.threads)
  build.check_room()
  job.net = build.net(o, job.images:classes())
  check_free(job.net)
  job.validates = info.val > 0
  local set = schedule.set(o.schedule)
  job.optimizer = o.optimizer:bind(job.net, {follow = set:follow(), norms = o.norms or false})
  job.numbers = set:numbers(job.optimizer, {total_steps = o.total, steps_per_epoch = o.epoch_steps})
  job.average = o.ema and o.ema:bind(job.net) or job.optimizer:average(job.net)
  job.rng = core.tensor{o.seed, 0, dtype = 'i64'}
  job.plan = build.step_plan(job.net, o, job.optimizer, job.average, job.rng)
  local classes
  job.eval, classes = build.eval_plan(job.net, o.batch, o.precision, job.average)
  if classes ~= #job.images:classes() then
    args.fail('train: net: expected %d classes as in the data, got %d', #job.images:classes(), classes)
  end
  job.state = build.state(job.net, job.optimizer, job.average)
  if job.prepared then return job:prepared() end
  build.check_memory(job.plan, job.validates and job.eval, o.batch, build.size_of(job.net))
end

local function train_loader(job)
  local o, first = job.settings, job.first or 0
  return {
    part = 'train', train = true, batch = o.batch, seed = o.seed, workers = o.workers,
    epoch = first // o.epoch_steps, index = first % o.epoch_steps, bad_stop = o.bad == 'stop',
    transform = {augment = o.augment, size = build.size_of(job.net)},
  }
end

-- The table of core.run_start.
local function start_options(job)
  local o, first = job.settings, job.first or 0
  return {
    folder = job.folder, lock = job.lock, first = first, steps = o.total, epoch_steps = o.epoch_steps,
    batch = o.batch, save_every = o.save_every, val_every = o.val_every, seed = o.seed, rng = job.rng,
    bad = job.images:info().bad, plan = job.plan, eval = job.validates and job.eval or nil,
      images = job.images,
    outputs = o.norms and {'loss', 'grad_norm', 'update_norm'} or {'loss'},
    numbers = numbers(job),
    state = job.state, meta = build.metadata(job.net, 'checkpoint'),
    export = job.average and job.average:named_tensors() or job.net:state(),
    export_meta = build.metadata(job.net, 'weights'),
    changes = json.encode(json.list(job.changes or {})), best = job.best, best_loss = job.best_loss,
    best_step = job.best_step, train = train_loader(job),
    feed = job.feed and job:feed(train_loader(job)) or nil,
    until_step = job.first_rest and math.max(first, 1), keep = job.keep, best_last = job.best_last,
    val = {part = 'val', batch = o.batch, workers = o.workers, transform = build.eval_transform(job.net)},
  }
end

local function launch(job)
  local handle = core.run_start(start_options(job))
  return Run.new{handle = handle, folder = job.folder, net = job.net, images = job.images,
    settings = job.settings,
    optimizer = job.optimizer, average = job.average, first = job.first or 0}
end

-- -- train --------------------------------------------------------------------------------------------------

-- What the runs of a comparison have that those of a user have not (inc/compare/arm.lua): threads; prepared,
-- called instead of the check of memory; feed, which gives the batches; first_rest = true, to be told of
-- every turn; keep, how many checkpoints; best_last; images, the pictures as they were listed before;
-- rehearsal, to end before anything is written.
local function new_job(fields, inner)
  for name, v in pairs(inner or {}) do fields[name] = v end
  return fields
end

--- (for compare) Train with a job's inner fields.
function trainer.begin(given, inner)
  local o = settings.read(given)
  local out = folder.check_new(o.out)
  local job = new_job({settings = o, folder = out}, inner)
  o.weights = o.weights and core.path_full(o.weights)
  job.images = job.images or build.data(o)
  prepare(job)
  if job.rehearsal then return nil, job end
  folder.create(job)
  return launch(job), job
end

--- Train or fine-tune a net on pictures, in the background; a script waits for it at its end.
-- @param net a net, or nothing: then `model` is made for the classes of the data
-- @param data a folder with one sub-folder a class, or what data.folder gives
-- @param out the run's folder, runs/1, runs/2, ... when left out; an existing run is never overwritten
-- @param weights start from this safetensors file; the heads start afresh
-- @param model inception_v3
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
-- @param plot true shows curves while it runs
-- @return a run: print(run), run:wait(), run:stop(), run:pause(), run:continue(), run:set{}, run:plot{},
--   run.log
-- > run = train{net, flowers, optimizer = optim.sgd{lr = 0.01, momentum = 0.9}, epochs = 5}
function trainer.train(given)
  return (trainer.begin(given))
end

-- -- resume -------------------------------------------------------------------------------------------------

trainer.resume_spec = args.spec('resume',
  'run:string; steps:int?, epochs:number?, net:module?, workers:int?, ' ..
  'accept_changes:bool=false, plot:bool?')

local function more_steps(o, given)
  if not (given.steps or given.epochs) then return end
  if given.steps and given.epochs then
    args.fail 'resume: steps and epochs: expected one of them, got both'
  end
  o.steps, o.epochs = given.steps, given.epochs
end

-- The same pictures as before, or the reason why not.
local function same_pictures(job, config, accept)
  local then_ = folder.pictures(job.folder)
  local now = job.images or build.scan(config.data.path, {val = config.data.val, seed = config.data.seed,
    classes = config.classes})
  local changes = core.images_diff(then_, now)
  if #changes == 0 then return now end
  local names = {}
  for i = 1, math.min(5, #changes) do names[i] = changes[i].kind .. ' ' .. changes[i].path end
  local text = ('pictures are not as they were: %s%s (%d in all)'):format(table.concat(names, ', '),
    #changes > 5 and ', ...' or '', #changes)
  if not accept then
    args.fail('resume: %s: %s; accept_changes goes on all the same, but no longer to the bit',
      config.data.path,
      text)
  end
  inc.note('%s', text)
  core.images_save(now, folder.pictures_path(job.folder))
  return now
end

-- The newest checkpoint that can be read; older ones are tried when it cannot.
local function load_newest(job)
  for _, step in ipairs(core.run_checkpoints(job.folder)) do
    local path = folder.checkpoint(job.folder, step)
    local ok, why = pcall(build.load_state, job.state, path)
    if ok then
      local _, meta = core.load_head(path)
      job.first, job.best, job.best_loss = step, tonumber(meta.best), tonumber(meta.best_loss)
      job.best_step = math.tointeger(tonumber(meta.best_step))
      job.changes = json.decode(meta.changes or '[]')
      return
    end
    inc.note('%s', why)
  end
  local start = job.settings.weights
  if start and not core.path_kind(start) then
    args.fail('resume: %s: no checkpoint yet, and the weights it started from are gone: %s', job.folder,
      start)
  end
  inc.note('%s: no checkpoint yet: starting at the beginning', job.folder)
end

--- (for compare) Resume with a job's inner fields.
function trainer.go_on(given, inner)
  local r = trainer.resume_spec(type(given) == 'string' and {given} or given)
  local path = folder.check_run(r.run, 'resume')
  local lock <close> = core.run_lock(path) -- empty once the run has it
  local job = new_job({folder = path, lock = lock}, inner)
  local config = folder.read_config(path)
  folder.use_kernels(path)
  local o = settings.from_table(config.settings)
  job.settings, job.threads = o, config.threads
  more_steps(o, r)
  o.workers, o.plot = r.workers or o.workers, r.plot == nil and o.plot or r.plot
  o.net = r.net or folder.rebuild_net(config, o)
  local start_weights = o.weights
  o.weights = nil
  job.images = same_pictures(job, config, r.accept_changes)
  prepare(job)
  o.weights = start_weights
  load_newest(job)
  if (job.first or 0) >= o.total then
    args.fail('resume: %s: its %d steps are made; give more steps or epochs to go further', r.run, job.first)
  end
  folder.update_config(job, config)
  return launch(job), job
end

--- Go on with a run from its newest good checkpoint, as if it had never stopped.
-- @param run its folder
-- @param steps, epochs a new total, to go further than was asked at first
-- @param net the net, when it was made by hand and not by a model
-- @param accept_changes go on although the pictures are not the same any more
-- > again = resume{'runs/first', epochs = 8}
function trainer.resume(given)
  return (trainer.go_on(given))
end

return trainer
