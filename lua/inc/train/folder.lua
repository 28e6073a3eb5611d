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

-- What a run leaves that was killed before its config.json was written is no run yet, and in nobody's way. A
-- fork takes more along; a file says that it was still at it.
local early = {lock = true, ['classes.txt'] = true, ['pictures.txt'] = true, ['kernels.txt'] = true,
  ['start.safetensors'] = true, unfinished = true}
local taken_along = {checkpoints = true, ['best.safetensors'] = true, ['log.jsonl'] = true,
  ['changes.jsonl'] = true}

local function leftover(path, name)
  if early[name] or name:find '%.tmp$' then return true end
  if core.path_kind(path .. '/unfinished') then return taken_along[name] end
  return name == 'checkpoints' and #core.list_folder(path .. '/checkpoints') == 0
end

--- The absolute path for a new run; refuses what is there already.
-- @param who for messages: train or fork
function folder.check_new(path, who)
  path = path or next_free()
  local kind, full, option = core.path_kind(path), core.path_full(path), args.option('out', path)
  if kind == 'file' then args.fail('%s: %s is a file, expected a new folder', who, option) end
  if kind == 'folder' then
    local names = core.list_folder(path)
    if core.path_kind(path .. '/config.json') then
      args.fail('%s: %s holds a run already: %s goes on with it, another name begins anew', who, option,
        args.verb('resume', path))
    end
    for _, name in ipairs(names) do
      if not leftover(path, name) then
        args.fail('%s: %s: expected a new or empty folder, and it holds %s', who, option, name)
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
  local texts = {}
  for _, st in ipairs(job.stages) do texts[#texts + 1] = st.plan:choices() .. st.eval:choices() end
  return table.concat(texts)
end

-- Lines of `text` that `known` has not.
local function new_lines(text, known)
  local there, list = {}, {}
  for line in known:gmatch '[^\n]+' do there[line] = true end
  for line in text:gmatch '[^\n]+' do
    if not there[line] then list[#list + 1] = line .. '\n' end
  end
  return table.concat(list)
end

--- Note the kernels of a stage that a run goes on with.
function folder.add_kernels(job)
  local file = kernels_path(job.folder)
  local known = core.read_file(file)
  core.write_file(file, known .. new_lines(kernels_of(job), known))
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

--- Path of the weights that a run began with, where nothing else tells them.
function folder.start_path(path) return path .. '/start.safetensors' end

local function config_of(job)
  local info, o = job.images:info(), job.stages[#job.stages].settings
  return {
    kind = 'run', version = 1, settings = settings.to_table(o), classes = job.images:classes(),
    base = job.base, parent = job.parent,
    data = {path = info.root, val = info.fraction, seed = info.seed, presplit = info.presplit,
      train = info.train, held_out = info.val, bad = info.bad},
    net = job.net.config or {model = 'custom'}, made = job.made or nil,
    preprocess = job.net.preprocess and job.net.preprocess:to_metadata() or nil,
    total = o.total, epoch_steps = o.epoch_steps, threads = core.threads(), machine = machine(),
  }
end

--- Make the folder of a new run and take its lock (job.lock). job.fill, if there is one, writes what a fork
-- takes along; config.json comes last, because it makes the folder a run.
function folder.create(job)
  core.make_folder(job.folder .. '/checkpoints')
  job.lock = core.run_lock(job.folder)
  core.write_file(job.folder .. '/classes.txt', strings_of(job.images:classes()))
  core.write_file(kernels_path(job.folder), kernels_of(job))
  core.images_save(job.images, folder.pictures_path(job.folder))
  if job.fill then
    core.write_file(job.folder .. '/unfinished', '')
    for name in pairs(taken_along) do
      if name ~= 'checkpoints' then os.remove(job.folder .. '/' .. name) end
    end
    for _, step in ipairs(core.run_checkpoints(job.folder)) do
      os.remove(folder.checkpoint(job.folder, step))
    end
    job:fill()
  end
  json.write(job.folder .. '/config.json', config_of(job))
  os.remove(job.folder .. '/unfinished')
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

--- What a run was at step 0, in its plain form.
function folder.base_of(config) return config.base or config.settings end

--- Write down that a run is another from now on; what it was at first stays in `base`.
function folder.update_settings(job, config)
  local o = job.stages[#job.stages].settings
  config.base = folder.base_of(config)
  config.total, config.epoch_steps, config.settings = o.total, o.epoch_steps, settings.to_table(o)
  json.write(job.folder .. '/config.json', config)
end

--- After a resume: the new total, and a word when the kernels are others than before.
function folder.update_config(job, config)
  local kernels, before = kernels_of(job), kernels_path(job.folder)
  if not core.path_kind(before) or new_lines(kernels, core.read_file(before)) ~= '' then
    inc.note('other kernels than before are used here: the run goes on, but not to the same bits')
    core.write_file(before, kernels)
  end
  local o = job.stages[#job.stages].settings
  config.total, config.settings = o.total, settings.to_table(o)
  config.threads = core.threads()
  json.write(job.folder .. '/config.json', config)
end

--- The net that a run's configuration describes, without its weights.
function folder.rebuild_net(config, o, who)
  if config.net.model == 'custom' then
    args.fail('%s: the net of this run was made by hand: give it too, as in %s{..., net = net}',
      who or 'resume', who or 'resume')
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
