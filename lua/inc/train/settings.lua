--- What a run is: options of train, checked and completed, and their plain form for config.json.
--
-- Settings come from four places, each over the one before: a recipe, the optimizer's own defaults, what the
-- user gave, and (on resume) the run's config.json, which holds everything that decides the result.
-- Numbers of steps are settled once the data is known.

local core = require 'inc.core'
local args = require 'inc.args'
local optim = require 'inc.optim'
local ema = require 'inc.ema'
local schedule = require 'inc.schedule'
local recipes = require 'inc.recipes'

local settings = {}

settings.spec = args.spec('train', 'net:any?, data:any?; out:string?, weights:string?, ' ..
  'model:any=inception_v3, classes:any=auto, val:number=0.2, steps:int?, epochs:number?, batch:int?, ' ..
  'optimizer:any?, lr:number?, momentum:number?, weight_decay:number?, clip_norm:number?, schedule:any?, ' ..
  'freeze:any?, augment:enum(inception|light|none)?, precision:enum(auto|f32|bf16)=auto, ' ..
  'devices:string=cpu, sync_bn:bool=false, ema:any?, label_smoothing:number?, aux:bool?, ' ..
  'aux_weight:number?, dropout:number?, size:int?, workers:int=0, seed:int=1, save_every:int?, ' ..
  'val_every:int?, accumulate:int=1, norms:bool=false, keep:int=3, ' ..
  'bad:enum(skip|stop)=skip, plot:bool=false, plan:bool=true')

-- -- pieces -------------------------------------------------------------------------------------------------

-- What only the recipe itself means when it is asked for by name: statistics that need tens of thousands of
-- steps are no default for a folder of photos.
local not_defaults = {optimizer = true, model = true, size = true, precision = true}

local function from_recipe(o, fine_tuning)
  local recipe = fine_tuning and recipes.fine_tune{} or recipes.release{}
  if o.steps or o.epochs then recipe.steps, recipe.epochs = nil, nil end
  if o.optimizer and not o.schedule then recipe.schedule = nil end
  for name, value in pairs(recipe) do
    if o[name] == nil and not not_defaults[name] then o[name] = value end
  end
  return recipe.optimizer
end

local function check_optimizer(o, usual)
  local changes = {lr = o.lr, momentum = o.momentum, weight_decay = o.weight_decay, clip_norm = o.clip_norm}
  local given = o.optimizer
  if given == nil or given == usual.name then
    given = usual
  elseif type(given) == 'string' then
    if not o.lr and given == 'sgd' then changes.lr = usual.options.lr end
    return optim.by_name(given, changes)
  elseif not optim.is_optimizer(given) then
    args.fail('train: optimizer: expected one of optim or its name (%s), got %s',
      table.concat(optim.names(), ', '), args.show(given))
  end
  return next(changes) and given:with(changes) or given
end

local usual_schedules = {
  cosine = {warmup = 0.1}, exponential = {0.94, every = '2 epochs'}, step = {0.1, every = 0.33},
  multistep = {{0.5, 0.75}},
}

local function check_schedule(given)
  if given == nil then return optim.constant{} end
  if type(given) == 'string' then given = schedule.by_name(given, usual_schedules[given]) end
  local set = schedule.set(given)
  return #set.names == 1 and set.by_name.lr or set
end

--- Refuse a plateau where nothing is ever validated.
function settings.check_plateau(o, validates)
  local set = schedule.set(o.schedule)
  for _, name in ipairs(validates and {} or set.names) do
    if set.by_name[name]:tracker() then
      args.fail('train: schedule: %s follows optim.plateau, which expects pictures held out, got none', name)
    end
  end
end

--- Why a schedule goes on beyond the end of a run whose length is settled, or nil.
function settings.schedule_too_long(o)
  local set, run = schedule.set(o.schedule), {total_steps = o.total, steps_per_epoch = o.epoch_steps}
  for _, name in ipairs(set.names) do
    local why = set.by_name[name]:too_long(run)
    if why then return why end
  end
end

--- Refuse a schedule that is longer than the run.
function settings.check_schedule(o, who)
  local why = settings.schedule_too_long(o)
  if why then args.fail('%s: schedule: %s', who, why) end
end

local function check_ema(given)
  if given == nil or given == false or given == 0 then return nil end
  if type(given) == 'table' and given.bind then return given end
  return ema.describe(given)
end

local function check_freeze(given)
  if given == nil then return {} end
  if type(given) == 'string' then return {given} end
  if args.types.strings[1](given) then return given end
  args.fail('train: freeze: expected a Lua pattern or a list of them, got %s', args.show(given))
end

local function check_classes(given)
  if given == 'auto' then return nil end
  if type(given) == 'table' and args.types.strings[1](given) then return given end
  if type(given) ~= 'string' then
    args.fail("train: classes: expected 'auto' or a list of names, got %s", args.show(given))
  end
  local list = {}
  for name in given:gmatch '[^,]+' do list[#list + 1] = name end
  return list
end

local function positive(o, ...)
  for _, name in ipairs{...} do
    if o[name] and (o[name] <= 0 or o[name] ~= o[name]) then
      args.fail('train: %s: expected more than 0, got %s', name, args.show(o[name]))
    end
  end
end

local function check_parts(o)
  if o.batch % o.accumulate ~= 0 then
    args.fail('train: accumulate: expected parts of equal size, got %d parts of batch %d', o.accumulate,
      o.batch)
  end
end

local function check_average(o)
  if o.ema and o.optimizer.kind.average then
    args.fail('train: ema: optim.%s keeps an average of its own: leave ema out', o.optimizer.name)
  end
end

local function not_built(o)
  if o.devices ~= 'cpu' then
    args.fail('train: devices = %s: not built yet (there is cpu)', args.show(o.devices))
  end
  if o.sync_bn then args.fail 'train: sync_bn: not built yet (there is one device)' end
end

--- Does this processor multiply bf16 in hardware?
function settings.has_bf16()
  local f = io.open '/proc/cpuinfo'
  local flags = f and f:read 'a' or ''
  if f then f:close() end
  return flags:find('avx512_bf16', 1, true) ~= nil or flags:find('amx_bf16', 1, true) ~= nil
end

local function check_all(o)
  positive(o, 'steps', 'epochs', 'batch', 'size', 'accumulate', 'save_every', 'val_every', 'keep')
  check_parts(o)
  check_average(o)
end

local function precision_of(given)
  if given ~= 'auto' then return given end
  return settings.has_bf16() and 'bf16' or 'f32'
end

-- A model is a name, or a name with options of its own: {'inception_v3', bn_momentum = 0.0003}.
local function check_model(given)
  if type(given) == 'string' then return given end
  if type(given) ~= 'table' or getmetatable(given) or type(given[1]) ~= 'string' or #given > 1 then
    args.fail("train: model: expected a name, or a name and options like {'inception_v3', " ..
      'bn_eps = 0.001}, got %s', args.show(given))
  end
  local options = {}
  for key, value in pairs(given) do
    if key ~= 1 then options[key] = value end
  end
  for _, name in ipairs{'weights', 'classes'} do
    if options[name] ~= nil then
      args.fail('train: model: %s is an option of train: give it beside model, not in it', name)
    end
  end
  return given[1], next(options) and options or nil
end

-- -- all of it ----------------------------------------------------------------------------------------------

-- train{data} and train{net, data}: one value alone is data unless it is a net.
local function name_positional(given)
  if type(given) == 'string' or args.object_name(given) and not args.is_module(given) then given = {given} end
  if type(given) ~= 'table' or args.is_module(given) then
    args.fail('train: expected one table, got %s: write train{net, data, ...}',
      args.is_module(given) and 'a net' or type(given))
  end
  local copy = {}
  for key, value in pairs(given) do copy[key] = value end
  if copy[2] == nil and not args.is_module(copy[1]) then copy[1], copy.data = nil, copy.data or copy[1] end
  return copy
end

--- Check what the user gave and complete it.
-- @param given the table of train{...}
-- @return a table with net, data, out, optimizer, schedule, ema, ... and steps or epochs
function settings.read(given)
  local named = name_positional(given)
  local o = settings.spec(named)
  if o.net and not args.is_module(o.net) then
    args.fail('train: net: expected a net, got %s', args.show(o.net))
  end
  if o.net and named.model then args.fail 'train: net and model: expected one of them, got both' end
  o.model, o.model_options = check_model(o.model)
  if o.data == nil then args.fail 'train: expected data: a folder, or what data.folder gives' end
  not_built(o)
  local averages = o.ema ~= nil
  local usual = from_recipe(o, o.weights ~= nil or o.net ~= nil)
  o.optimizer, o.schedule, o.ema = check_optimizer(o, usual), check_schedule(o.schedule), check_ema(o.ema)
  if not averages and o.optimizer.kind.average then o.ema = nil end -- the recipe's gives way to its own
  o.freeze, o.classes = check_freeze(o.freeze), check_classes(o.classes)
  check_all(o)
  if o.steps and o.epochs then args.fail 'train: steps and epochs: expected one of them, got both' end
  o.precision = precision_of(o.precision)
  return o
end

-- Fields that are plain values already.
local plain = {
  'model', 'model_options', 'weights', 'steps', 'epochs', 'batch', 'augment', 'precision', 'devices',
  'label_smoothing', 'aux', 'aux_weight', 'dropout', 'size', 'workers', 'seed', 'save_every', 'val_every',
  'bad', 'plot', 'accumulate', 'norms', 'keep', 'plan', 'origin',
}

--- The plain form for config.json.
function settings.to_table(o)
  local out = {
    optimizer = o.optimizer:to_table(), schedule = o.schedule:to_table(),
      freeze = require('inc.json').list(o.freeze),
    ema = o.ema and o.ema:to_table() or nil,
  }
  for _, name in ipairs(plain) do out[name] = o[name] end
  return out
end

--- The settings that config.json holds.
function settings.from_table(t)
  local o = {optimizer = optim.from_table(t.optimizer), schedule = optim.schedule_from_table(t.schedule)}
  o.ema, o.freeze = t.ema and ema.describe(t.ema) or nil, t.freeze or {}
  for _, name in ipairs(plain) do o[name] = t[name] end
  return o
end

-- -- changes ------------------------------------------------------------------------------------------------

settings.fork_spec = args.spec('fork', 'run:any; step:int?, out:string?, net:module?, ' ..
  'accept_changes:bool=false, steps:int?, epochs:number?, batch:int?, optimizer:any?, lr:number?, ' ..
  'momentum:number?, weight_decay:number?, clip_norm:number?, schedule:any?, freeze:any?, ' ..
  'augment:enum(inception|light|none)?, precision:enum(auto|f32|bf16)?, ema:any?, ' ..
  'label_smoothing:number?, aux_weight:number?, dropout:number?, workers:int?, seed:int?, ' ..
  'save_every:int?, val_every:int?, ' ..
  'accumulate:int?, norms:bool?, keep:int?, bad:enum(skip|stop)?, plot:bool?, plan:bool?')

local taken_as_they_are = {
  'augment', 'label_smoothing', 'aux_weight', 'dropout', 'workers', 'seed', 'save_every', 'val_every',
  'accumulate', 'norms', 'keep', 'bad', 'plot', 'batch', 'plan',
}

local function copy_of(o)
  local copy = {}
  for name, v in pairs(o) do copy[name] = v end
  return copy
end

local function change_length(o, given)
  if given.steps and given.epochs then args.fail 'fork: steps and epochs: expected one of them, got both' end
  if given.steps or given.epochs then o.steps, o.epochs = given.steps, given.epochs end
end

-- Numbers of the schedule that the optimizer does not have are left out; which ones, as a list.
local function fitting(o)
  local set, left, by_name = schedule.set(o.schedule), {}, {}
  for _, name in ipairs(set.names) do
    local known = name == 'lr'
    for _, each in ipairs(o.optimizer.kind.number_names) do known = known or each == name end
    if known then by_name[name] = set.by_name[name] else left[#left + 1] = name end
  end
  if #left == 0 then return o.schedule, left end
  return check_schedule(by_name), left
end

--- Settings with another optimizer, and with a schedule in the place of theirs where one is given.
-- @return settings; names of numbers that followed a schedule and are not the new optimizer's
function settings.with_optimizer(o, optimizer, given_schedule)
  local copy = copy_of(o)
  copy.optimizer = optimizer
  if given_schedule ~= nil then copy.schedule = check_schedule(given_schedule) end
  local fits, left = fitting(copy)
  copy.schedule = fits
  check_average(copy)
  return copy, left
end

-- Does a change concern the tables of learning rates and the like?
local function counts_afresh(given)
  for _, name in ipairs{'optimizer', 'lr', 'momentum', 'schedule', 'steps', 'epochs', 'batch'} do
    if given[name] ~= nil then return true end
  end
  return false
end

--- Settings with what a fork changes.
-- @param o those of its parent at that step
-- @param given what settings.fork_spec made of the user's table
-- @return settings; do the tables of learning rates and the like count afresh?
function settings.forked(o, given)
  local copy = copy_of(o)
  for _, name in ipairs(taken_as_they_are) do
    if given[name] ~= nil then copy[name] = given[name] end
  end
  change_length(copy, given)
  local named = {optimizer = given.optimizer or o.optimizer, lr = given.lr, momentum = given.momentum,
    weight_decay = given.weight_decay, clip_norm = given.clip_norm}
  copy.optimizer = check_optimizer(named, o.optimizer)
  if given.schedule ~= nil then copy.schedule = check_schedule(given.schedule) end
  copy.schedule = fitting(copy)
  if given.ema ~= nil then copy.ema = check_ema(given.ema) end
  if given.freeze ~= nil then copy.freeze = check_freeze(given.freeze) end
  copy.precision = precision_of(given.precision or o.precision)
  check_all(copy)
  return copy, counts_afresh(given)
end

--- Steps of an epoch and of the run, for this many training pictures.
function settings.settle_steps(o, pictures)
  if o.batch > pictures then
    args.fail('train: batch: expected at most the %d pictures of the training part, got %d', pictures,
      o.batch)
  end
  o.epoch_steps = pictures // o.batch
  o.total = o.steps or math.max(1, math.floor(o.epochs * o.epoch_steps + 0.5))
  o.save_every = o.save_every or o.epoch_steps
  o.val_every = o.val_every or o.epoch_steps
end

--- Number of threads that kernels use: part of what decides the bits of a run.
function settings.use_threads(n)
  if n and n ~= core.threads() then core.threads(n) end
  return core.threads()
end

return settings
