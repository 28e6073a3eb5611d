--- inspect: what is in a run, a checkpoint or a weights file.

local core = require 'inc.core'
local args = require 'inc.args'
local folder = require 'inc.train.folder'

local inspect = {}

inspect.spec = args.spec('inspect', 'file:string; hash:bool=false, raw:bool=false, pictures:bool=false')

local Result = {__name = 'inc.inspection'}

local FILES = 4 -- names to print of the pictures that features are of

local order = {'kind', 'file', 'state', 'step', 'steps', 'optimizer', 'lr', 'data', 'model', 'parameters',
  'tensors', 'bytes', 'classes', 'files', 'top1', 'best_step', 'hash'}

function Result:__tostring()
  local lines = {}
  for _, name in ipairs(order) do
    local v = self[name]
    if type(v) == 'table' then
      local shown = name == 'files' and math.min(#v, FILES) or #v
      v = ('%d: %s%s'):format(#v, table.concat(v, ', ', 1, shown), shown < #v and ', ...' or '')
    end
    if v ~= nil then lines[#lines + 1] = ('%-11s %s'):format(name, tostring(v)) end
  end
  for _, t in ipairs(self.list or {}) do
    lines[#lines + 1] = ('  %-44s %-5s %s'):format(t[1], t.dtype, args.show(t.shape))
  end
  for _, p in ipairs(self.pictures or {}) do
    lines[#lines + 1] = ('%-5s %s  %s%s'):format(p.part, p.class, p.file,
      p.why and '  (' .. p.why .. ')' or '')
  end
  return table.concat(lines, '\n')
end

-- -- weights ------------------------------------------------------------------------------------------------

-- State that is no weight: slots of optimizers and averages have a / in their names.
local function of_net(name) return not name:find('/', 1, true) end

local function is_statistic(name)
  return name:find 'running_mean$' or name:find 'running_var$' or name:find 'num_batches_tracked$'
end

local function numel(shape)
  local n = 1
  for _, d in ipairs(shape) do n = n * d end
  return n
end

-- The net's tensors, sorted by name: averages where there are some, unless `raw`.
local function hash(path, raw)
  local names, tensors = core.load(path)
  local list = {}
  for _, name in ipairs(names) do
    if of_net(name) then list[#list + 1] = {name, not raw and tensors['ema/' .. name] or tensors[name]} end
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return core.sha256(list)
end

local function lines_of(text)
  if not text then return nil end
  local list = {}
  for line in (text .. '\n'):gmatch '(.-)\n' do list[#list + 1] = line end
  return list
end

local function weights_file(path, o)
  local list, metadata = core.load_head(path)
  local r = {kind = metadata.kind or 'weights', file = path, tensors = #list, parameters = 0, bytes = 0,
    list = {}, step = math.tointeger(tonumber(metadata.step)), model = metadata.model,
    classes = lines_of(metadata.classes), files = lines_of(metadata.files),
    top1 = tonumber(metadata['val.top1'])}
  for _, t in ipairs(list) do
    r.bytes = r.bytes + t.bytes
    if of_net(t[1]) then
      r.list[#r.list + 1] = t
      if not is_statistic(t[1]) then r.parameters = r.parameters + numel(t.shape) end
    end
  end
  if o.hash then r.hash = hash(path, o.raw) end
  return setmetatable(r, Result)
end

-- -- runs ---------------------------------------------------------------------------------------------------

local function pictures(path, classes)
  local images = folder.pictures(path)
  local info, list = images:info(), {}
  for i = 1, info.n do
    local item = images:item(i)
    list[i] = {file = info.root .. '/' .. item.path, part = item.part, class = classes[item.label],
      why = item.why}
  end
  return list
end

local function run_folder(path, o)
  local full = folder.check_run(path, 'inspect')
  local config = folder.read_config(full)
  local best = full .. '/best.safetensors'
  local row = require('inc.run.table').runs(full)[1]
  local r = {kind = 'run', file = path, steps = config.total, step = row.step, state = row.state,
    optimizer = row.optimizer, lr = row.lr, data = row.data, best_step = row.best_step,
    classes = config.classes, model = config.net.model}
  if core.path_kind(best) then
    local w = weights_file(best, {})
    r.parameters, r.tensors, r.bytes, r.top1 = w.parameters, w.tensors, w.bytes, w.top1
  end
  if o.hash then r.hash = hash(require('inc.train.source').weights_of_run(full, 'inspect', o.raw), o.raw) end
  if o.pictures then r.pictures = pictures(full, config.classes) end
  return setmetatable(r, Result)
end

--- What is in a run's folder, a checkpoint or a weights file.
-- @param file its path
-- @param hash true adds a SHA-256 of the weights' values, the same for equal weights
-- @param raw the weights themselves instead of their averages (ema)
-- @param pictures true lists the pictures of a run with their part: train, val or bad
-- @return kind ('run', 'checkpoint', 'weights', 'features'), step, parameters, classes, hash, ...; of a run
--   also state, steps, optimizer, lr, data, top1, best_step; of features the files they are of. It prints
-- > inspect 'models/pretrained/inception_v3.safetensors'
function inspect.inspect(given)
  local o = inspect.spec(type(given) == 'string' and {given} or given)
  local kind = core.path_kind(o.file)
  if not kind then args.fail('inspect: %s: there is no such file or folder', o.file) end
  if kind == 'folder' then return run_folder(o.file, o) end
  if o.pictures then args.fail('inspect: pictures: expected a run, and %s is a file', o.file) end
  return weights_file(o.file, o)
end

return inspect
