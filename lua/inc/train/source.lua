--- Where a verb gets its net and its pictures from: a net, a run, a run's folder or a weights file; and a
-- folder, what data.folder gives, one of its parts, or the pictures that a run held out.

local core = require 'inc.core'
local args = require 'inc.args'
local build = require 'inc.train.build'
local folder = require 'inc.train.folder'

local source = {}

-- -- nets ---------------------------------------------------------------------------------------------------

local function is_run(v)
  local Run = package.loaded['inc.run']
  return Run and Run.is_run(v)
end

local function is_run_folder(path) return core.path_kind(path .. '/config.json') == 'file' end

--- The file of a run that holds the weights to use: best.safetensors, or the checkpoint of that step for
-- raw ones.
function source.weights_of_run(path, who, raw)
  local best = path .. '/best.safetensors'
  if not raw then
    if core.path_kind(best) then return best end
    args.fail('%s: %s: has no best.safetensors yet', who, path)
  end
  local steps = core.run_checkpoints(path)
  if #steps == 0 then args.fail('%s: %s: has no checkpoint yet', who, path) end
  local wanted = core.path_kind(best) and select(2, core.load_head(best)).step
  for _, step in ipairs(steps) do
    if tostring(step) == wanted then return folder.checkpoint(path, step) end
  end
  return folder.checkpoint(path, steps[1])
end

-- Foreign weights say nothing; Inception-v3's are told by a name that no other net has.
local function looks_like_inception(list)
  for _, entry in ipairs(list) do
    if entry[1]:find '^Mixed_7c%.branch3x3dbl_3a%.' then return true end
  end
  return false
end

-- `headless`: what comes before the classifier is asked for, so a file without one will do.
local function from_file(path, who, headless)
  local models = require 'inc.models'
  local list, metadata = core.load_head(path)
  if headless and not metadata.model and looks_like_inception(list) then
    return models.inception_v3{weights = path, aux = false}
  end
  if not metadata.model then
    args.fail('%s: %s: does not say which model it is of: make the net and call net:load', who, path)
  end
  local net = models.open(path)
  if not net.classes then
    net.classes = {}
    for i = 1, tonumber(metadata['model.classes']) or 0 do net.classes[i] = tostring(i) end
  end
  return net
end

local function from_path(path, who, raw, headless)
  if not core.path_kind(path) then args.fail('%s: %s: there is no such file or folder', who, path) end
  if core.path_kind(path) == 'file' then return {net = from_file(path, who, headless), name = path} end
  local full = folder.check_run(path, who)
  folder.use_kernels(full)
  local config = folder.read_config(full)
  return {net = from_file(source.weights_of_run(full, who, raw), who), name = path, config = config,
    folder = full,
    batch = config.settings.batch, precision = config.settings.precision}
end

-- A run that is going: its net as it is between two steps, with the averages where it has them.
local function from_run(run, raw)
  local o = run.settings
  local net = run:held(function() return run.net:clone() end)
  if run.average and not raw then run:held(function() run.average:copy_to(net) end) end
  return {net = net, name = run.folder, folder = run.folder, config = run.config, batch = o.batch,
    precision = o.precision}
end

--- What a verb was given as its net: {net =, name =, classes =, batch =, precision =, folder =, config =}.
-- @param raw the weights themselves, not their averages
-- @param headless true where weights without a classifier will do
function source.open(what, who, raw, headless)
  local s
  if args.is_module(what) then s = {net = what, name = 'the net'}
  elseif is_run(what) then s = from_run(what, raw)
  elseif type(what) == 'string' then s = from_path(what, who, raw, headless)
  else args.fail('%s: expected a net, a run or a path, got %s', who, args.show(what)) end
  s.classes = s.net.classes
  return s
end

--- Run f while the run that trains one of these nets rests between two steps.
function source.held(nets, f)
  local Run = package.loaded['inc.run']
  for _, s in ipairs(Run and nets or {}) do
    local inner = f
    f = function() return Run.resting(s.net, inner) end
  end
  return f()
end

-- -- pictures -----------------------------------------------------------------------------------------------

local function is_data(v)
  return type(v) == 'table' and not args.is_module(v) and not is_run(v) and v.images ~= nil
end

-- Is this path one of a net (a run, a weights file) rather than of pictures?
local function is_net_path(path) return core.path_kind(path) == 'file' or is_run_folder(path) end

--- The nets and the data of a call: the last value is data when it is no net.
function source.split(list, data, who)
  local nets = {table.unpack(list)}
  local last = nets[#nets]
  local no_net = is_data(last) or type(last) == 'string' and core.path_kind(last) and not is_net_path(last)
  if data == nil and no_net then data, nets[#nets] = last, nil end
  if #nets == 0 then args.fail('%s: expected a net, a run or a weights file', who) end
  return nets, data
end

local function part_of(images, s, asked)
  if asked then return asked end
  local info, config = images:info(), s.config
  if config and core.path_full(config.data.path) == info.root and info.val > 0 then return 'val' end
  return info.presplit and 'val' or 'all'
end

local function scan_for(path, s)
  local config = s.config
  local own = config and core.path_full(config.data.path) == core.path_full(path)
  if s.config and not own then return build.scan(path, {val = 0, seed = 1, classes = s.classes}) end
  return build.scan(path, {val = own and config.data.val or 0, seed = own and config.data.seed or 1,
    classes = s.classes})
end

--- The pictures to look at, and which part of them.
-- @param data a path, a data object, a part of one, or nil: those that the run of `s` was trained on
function source.pictures(data, s, asked, who)
  if data == nil then
    if not s.config then args.fail('%s: expected pictures: a folder, or what data.folder gives', who) end
    data = s.config.data.path
  end
  if type(data) == 'string' then
    if not core.path_kind(data) then args.fail('%s: %s: there is no such folder', who, data) end
    local images = scan_for(data, s)
    return images, part_of(images, s, asked)
  end
  if not is_data(data) then args.fail('%s: data: expected a folder, got %s', who, args.show(data)) end
  local theirs, ours = data.classes or data.images:classes(), s.classes or data.images:classes()
  if table.concat(theirs, '\n') ~= table.concat(ours, '\n') then
    args.fail('%s: classes: the net has %s, the data has %s', who, table.concat(ours, ', '),
      table.concat(theirs, ', '))
  end
  s.classes = ours
  return data.images, asked or data.name or part_of(data.images, s)
end

return source
