--- A run's folder, seen from Lua: config.json, classes.txt, the list of pictures, and making it all again.

local core = require 'inc.core'
local args = require 'inc.args'
local json = require 'inc.json'
local settings = require 'inc.train.settings'

local folder = {}

--- Path of the list of pictures; of a checkpoint.
function folder.pictures_path(path) return path .. '/pictures.txt' end

--- Path of the checkpoint after `step` steps.
function folder.checkpoint(path, step) return ('%s/checkpoints/step-%d.safetensors'):format(path, step) end

--- The list of pictures that a run was started with.
function folder.pictures(path) return core.images_load(folder.pictures_path(path)) end

local function next_free()
  local n = 1
  while core.path_kind('runs/' .. n) do n = n + 1 end
  return 'runs/' .. n
end

-- What a run leaves that was killed before its config.json was written is no run yet, and in nobody's way.
local function leftover(path, name)
  local early = {lock = true, ['classes.txt'] = true, ['pictures.txt'] = true, ['kernels.txt'] = true}
  if name == 'checkpoints' then return #core.list_folder(path .. '/checkpoints') == 0 end
  return early[name] or name:find '%.tmp$' ~= nil
end

--- The absolute path for a new run; refuses what is there already.
function folder.check_new(path)
  path = path or next_free()
  local kind, full = core.path_kind(path), core.path_full(path)
  if kind == 'file' then args.fail('train: out: %s is a file, expected a new folder', path) end
  if kind == 'folder' then
    local names = core.list_folder(path)
    if core.path_kind(path .. '/config.json') then
      args.fail("train: out: %s holds a run already; `resume %s` goes on with it", path, path)
    end
    for _, name in ipairs(names) do
      if not leftover(path, name) then
        args.fail('train: out: expected a new or empty folder, and %s holds %s', path, name)
      end
    end
  end
  return full
end

--- The absolute path of an existing run.
function folder.check_run(path, who)
  if core.path_kind(path .. '/config.json') then return core.path_full(path) end
  if not core.path_kind(path) then args.fail('%s: %s: there is no such folder', who, path) end
  args.fail('%s: %s: is no run: it has no config.json', who, path)
end

local function strings_of(list)
  return table.concat(list, '\n') .. '\n'
end

local function kernels_path(path) return path .. '/kernels.txt' end

-- The kernels of a job's plans, as kernels.txt keeps them.
local function kernels_of(job)
  return job.plan:choices() .. (job.eval and job.eval:choices() or '')
end

--- Plans made from now on take the kernels that the run at `path` took, whatever has been measured since.
function folder.use_kernels(path)
  local file = kernels_path(path)
  if core.path_kind(file) then core.kernels_import(core.read_file(file)) end
end

-- What the run was made with, for whoever compares it with another: nothing else reads it.
local function machine()
  local d = inc.doctor{}
  local libraries = {}
  for _, name in ipairs{'dnnl', 'jpeg', 'png16'} do libraries[name] = d.libraries[name] end
  return {incsh = core.version, lua = d.lua, libraries = libraries, processor = d.cpu.name,
    features = table.concat(d.cpu.features, ' ')}
end

--- Make the folder of a new run and take its lock (job.lock).
function folder.create(job)
  local info = job.images:info()
  core.make_folder(job.folder .. '/checkpoints')
  job.lock = core.run_lock(job.folder)
  core.write_file(job.folder .. '/classes.txt', strings_of(job.images:classes()))
  core.write_file(kernels_path(job.folder), kernels_of(job))
  core.images_save(job.images, folder.pictures_path(job.folder))
  json.write(job.folder .. '/config.json', {
    kind = 'run', version = 1, settings = settings.to_table(job.settings), classes = job.images:classes(),
    data = {path = info.root, val = info.fraction, seed = info.seed, presplit = info.presplit,
      train = info.train, held_out = info.val, bad = info.bad},
    net = job.net.config or {model = 'custom'}, preprocess = job.net.preprocess and
      job.net.preprocess:to_metadata() or nil,
    total = job.settings.total, epoch_steps = job.settings.epoch_steps, threads = core.threads(),
    machine = machine(),
  })
end

--- (for compare) A run that is over and only tried something: its log stays, its checkpoints go.
function folder.drop_checkpoints(path)
  for _, step in ipairs(core.run_checkpoints(path)) do os.remove(folder.checkpoint(path, step)) end
  os.remove(path .. '/best.safetensors')
end

--- The configuration of a run.
function folder.read_config(path)
  local ok, config = pcall(json.read, path .. '/config.json')
  if not ok then args.fail('%s/config.json: cannot be read: %s', path, config) end
  if type(config) ~= 'table' or config.kind ~= 'run' then
    args.fail('%s/config.json: is not the configuration of a run', path)
  end
  return config
end

--- After a resume: the new total, and a word when the kernels are others than before.
function folder.update_config(job, config)
  local kernels, before = kernels_of(job), kernels_path(job.folder)
  if not core.path_kind(before) or core.read_file(before) ~= kernels then
    inc.note('other kernels than before are used here: the run goes on, but not to the same bits')
    core.write_file(before, kernels)
  end
  config.total, config.settings = job.settings.total, settings.to_table(job.settings)
  config.threads = core.threads()
  json.write(job.folder .. '/config.json', config)
end

--- The net that a run's configuration describes, without its weights.
function folder.rebuild_net(config, o)
  if config.net.model == 'custom' then
    args.fail 'resume: the net of this run was made by hand: give it as net = ...'
  end
  local options = {}
  for key, value in pairs(config.net) do options[key] = value end
  options.classes = config.classes
  local seed = core.seed()
  core.seed(o.seed)
  local net = require('inc.models').build(options)
  core.seed(seed)
  local preprocess = require 'inc.nn.preprocess'
  if config.preprocess then net.preprocess = preprocess.new(preprocess.from_metadata(config.preprocess)) end
  -- without a checkpoint the run starts where it started at first: from its weights
  local path = o.weights
  if path and core.path_kind(path) then net:load(path, {fresh = {'^fc%.', '^AuxLogits%.'}}) end
  return net
end

return folder
