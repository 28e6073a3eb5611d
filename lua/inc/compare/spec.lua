--- What a comparison is: the table of compare{...}, checked and completed before anything is written.
--
-- Options of train that stand beside the entries hold for all of them; an entry's own come over those. Each
-- entry ends as the settings that train would read, so that a run of a comparison and a run of train cannot
-- differ. `identity` is the plain form of everything that decides a result: a folder that holds another one
-- is refused.

local core = require 'inc.core'
local args = require 'inc.args'
local build = require 'inc.train.build'
local metric = require 'inc.compare.metric'
local schedule = require 'inc.schedule'
local settings = require 'inc.train.settings'

local spec = {}

-- What belongs to the comparison as a whole, and what it does not take from train.
local own = 'net:any?, data:any?, steps:int?, epochs:number?, seeds:any=3, out:string?, base:string?, ' ..
  'metric:enum(val.top1|val.top5|val.loss|loss|img_s)?, alpha:number=0.05, targets:numbers?, trials:int?, ' ..
  'tune_steps:int?, tune_seed:int?, val:number=0.2, val_every:int?, save_seconds:number=60, ' ..
  'save_every:int?, workers:int=0, live:bool=true'
local not_ours = {
  net = true, data = true, out = true, steps = true, epochs = true, seed = true, val = true, val_every = true,
  save_every = true, workers = true, plot = true, plan = true, classes = true, norms = true,
}

local function train_items()
  local items = {}
  for item in settings.spec.text:gsub(';', ','):gmatch '[^,]+' do
    local name = item:match '^%s*([%w_]+)'
    if not not_ours[name] then items[#items + 1] = (item:match '^%s*(.-)%s*$'):gsub('=.*$', '?') end
  end
  return table.concat(items, ', ')
end

local shared = train_items() .. ', threads:int?'
spec.spec = args.spec('compare', own .. ', ' .. shared)
spec.entry = args.spec('compare: entry', 'name:string, optimizer:any?; net:any?, ' ..
  shared:gsub('optimizer:any%?, ', ''))

-- -- the pieces of the table --------------------------------------------------------------------------------

local function is_entry(v) return type(v) == 'table' and not getmetatable(v) and not args.is_module(v) end

local function is_data(v)
  return type(v) == 'string' or type(v) == 'userdata' or type(v) == 'table' and v.images ~= nil
end

-- net, data and entries by what they are; everything with a name as it stands.
local function sort_out(given)
  local named, entries = {}, {}
  for key, v in pairs(given) do
    if type(key) == 'string' then named[key] = v end
  end
  for i = 1, #given do
    local v = given[i]
    if args.is_module(v) or type(v) == 'function' then
      if named.net then args.fail('compare: value %d: expected one net in front, got a second', i) end
      named.net = v
    elseif is_data(v) then
      if named.data then args.fail('compare: value %d: expected one set of pictures, got a second', i) end
      named.data = v
    elseif is_entry(v) then
      entries[#entries + 1] = v
    else
      args.fail("compare: value %d: expected a net, pictures or an entry like {'sgd', optim.sgd{}}, got %s",
        i, args.show(v))
    end
  end
  return named, entries
end

local function read_seeds(given)
  if math.type(given) == 'integer' and given >= 1 then
    local list = {}
    for i = 1, given do list[i] = i end
    return list
  end
  if type(given) ~= 'table' or not args.types.ints[1](given) or #given == 0 then
    args.fail('compare: seeds: expected how many or a list of integers, got %s', args.show(given))
  end
  local seen, list = {}, {}
  for i, seed in ipairs(given) do
    seed = math.tointeger(seed)
    if seen[seed] then args.fail('compare: seeds: expected each seed once, got %d twice', seed) end
    seen[seed], list[i] = true, seed
  end
  return list
end

-- A list of rates is a grid.
local function read_grid(entry, given)
  local lr = given.lr
  if type(lr) ~= 'table' then return nil end
  local list, seen = {}, {}
  for i, rate in ipairs(lr) do
    if type(rate) ~= 'number' or rate ~= rate or rate <= 0 or rate == math.huge then
      args.fail('compare: %s: lr: expected rates above 0, got %s', entry, args.show(rate))
    end
    if seen[rate] then args.fail('compare: %s: lr: expected each rate once, got %s twice', entry,
        args.show(rate)) end
    seen[rate], list[i] = true, rate
  end
  if #list < 2 then args.fail('compare: %s: lr: expected two rates or more for a grid, got %d', entry,
      #list) end
  table.sort(list)
  return list
end

-- Positional values of an entry: its name, then an optimizer.
local function read_entry(given, i)
  local copy = {}
  for key, v in pairs(given) do copy[key] = v end
  local name = copy[1] or copy.name
  if type(name) ~= 'string' or not name:find '%S' then
    args.fail('compare: entry %d: expected a name first, such as {\'sgd\', optim.sgd{}}, got %s', i,
      name == nil and 'none' or args.show(name))
  end
  local grid = read_grid(name, copy)
  if grid then copy.lr = nil end
  local ok, o = pcall(spec.entry, copy)
  if not ok then args.fail('%s', (tostring(o):gsub('^.-compare: entry: ', 'compare: ' .. name .. ': '))) end
  o.grid = grid
  return o
end

local function check_names(entries)
  local seen = {}
  if #entries < 1 then
    args.fail "compare: expected entries such as {'sgd', optim.sgd{}}, got none"
  end
  for _, entry in ipairs(entries) do
    if seen[entry.name] then args.fail('compare: expected names that differ, got two entries %s',
        entry.name) end
    seen[entry.name] = true
  end
end

-- -- nets ---------------------------------------------------------------------------------------------------

local function check_nets(o, entries)
  local owner = {}
  local function check(net, who)
    if net ~= nil and not args.is_module(net) and type(net) ~= 'function' then
      args.fail('compare: %s: expected a net or a function of the seed that makes one, got %s', who,
        args.show(net))
    end
  end
  check(o.net, 'net')
  for _, entry in ipairs(entries) do
    check(entry.net, entry.name .. ': net')
    if args.is_module(entry.net) then
      if owner[entry.net] or entry.net == o.net then
        args.fail('compare: %s and %s share one net: expected one each, or one in front of all entries',
          owner[entry.net] or 'the comparison', entry.name)
      end
      owner[entry.net] = entry.name
    end
  end
end

--- A new net for one run, with the start values of its seed.
-- @param entry of the spec
-- @return nil where train makes it of a model
function spec.new_net(s, entry, seed)
  local from = entry.net or s.net
  if from == nil then return nil end
  if args.is_module(from) then return from:clone() end
  local before = core.seed()
  local _ <close> = args.finally(function() core.seed(before) end)
  core.seed(seed)
  local net = from(seed)
  if not args.is_module(net) then
    args.fail('compare: %s: net: expected the function to make a net, got %s', entry.name, args.show(net))
  end
  if s.made[net] then
    args.fail('compare: %s and %s share one net: expected the function to make a new one at each call',
      s.made[net], entry.name)
  end
  s.made[net] = entry.name
  return net
end

-- -- the settings of each entry -----------------------------------------------------------------------------

local shared_names = args.spec('compare: shared', shared).names

local function train_table(s, entry, o)
  local given = {data = s.images, val = o.val, steps = o.steps, epochs = o.epochs, workers = o.workers}
  for _, name in ipairs(shared_names) do
    given[name] = entry[name]
    if given[name] == nil then given[name] = o[name] end
  end
  if entry.net then given.model = entry.model end -- a net of its own comes over a model for all
  given.threads, given.weights = nil, given.weights and core.path_full(given.weights)
  return given
end

-- Errors of train, with the entry that they are about.
local function with_name(name, f, ...)
  local ok, result = pcall(f, ...)
  if ok then return result end
  local text = tostring(result):gsub('^[^\n]-:%d+: ', '')
  args.fail('%s', 'compare: ' .. name .. ': ' .. text:gsub('^train: ', ''))
end

local function settle(s, entry, o)
  local given = train_table(s, entry, o)
  local probe = {}
  for key, v in pairs(given) do probe[key] = v end
  probe.net = spec.new_net(s, entry, s.seeds[1])
  local read = with_name(entry.name, function()
    local r = settings.read(probe)
    settings.settle_steps(r, s.images:info().train)
    settings.check_schedule(r, 'train')
    return r
  end)
  -- what is told to train is what was read here, so that nothing is decided twice
  entry.given, entry.read = given, read
  entry.total, entry.epoch_steps = read.total, read.epoch_steps
  entry.threads = entry.threads or o.threads or core.threads()
  local run = {total_steps = read.total, steps_per_epoch = read.epoch_steps}
  local set = schedule.set(read.schedule)
  for _, name in ipairs(set.names) do
    set.by_name[name]:table(1, run) -- a function's values are known from here on
  end
  if entry.threads < 1 then args.fail('compare: %s: threads: expected 1 or more, got %d', entry.name,
      entry.threads) end
end

-- -- what decides the result --------------------------------------------------------------------------------

local function net_of(s, entry)
  local net = entry.net or s.net
  if net == nil then return entry.read.model end
  return args.is_module(net) and tostring(net) or 'made by a function of the seed'
end

local function plain_entry(s, entry)
  local t = settings.to_table(entry.read)
  t.workers, t.plot, t.val_every, t.save_every, t.seed = nil, nil, nil, nil, nil
  return {name = entry.name, settings = t, threads = entry.threads, net = net_of(s, entry), grid = entry.grid,
    steps = entry.total}
end

local function identity(s)
  local entries, info = {}, s.images:info()
  for i, entry in ipairs(s.entries) do entries[i] = plain_entry(s, entry) end
  return {kind = 'compare', version = 1, entries = entries, seeds = s.seeds, metric = s.metric,
    trials = s.trials,
    tune_steps = s.tune_steps, tune_seed = s.tune_seed, val_every = s.val_every or 'epoch',
    data = {train = info.train, held_out = info.val, bad = info.bad, val = info.fraction, seed = info.seed},
    classes = s.images:classes()}
end

-- -- all of it ----------------------------------------------------------------------------------------------

local function largest(list)
  local most = list[1]
  for _, v in ipairs(list) do most = math.max(most, v) end
  return most
end

local function read_tuning(s, o)
  local longest = 0
  for _, entry in ipairs(s.entries) do longest = math.max(longest, #(entry.grid or {})) end
  if longest == 0 then
    for _, name in ipairs{'trials', 'tune_steps', 'tune_seed'} do
      if o[name] then args.fail("compare: %s: expected an entry with a grid, such as lr = {0.01, 0.1}",
          name) end
    end
    return
  end
  s.trials = o.trials or longest + 2
  if s.trials < longest then
    args.fail('compare: trials: expected at least the %d rates of the largest grid, got %d', longest,
      s.trials)
  end
  if o.tune_steps and o.tune_steps < 1 then
    args.fail('compare: tune_steps: expected 1 or more, got %d', o.tune_steps)
  end
  s.tune_steps, s.tune_seed = o.tune_steps, o.tune_seed or largest(s.seeds) + 1
end

local function read_metric(s, o)
  local held_out = s.images:info().val > 0
  s.metric = o.metric or (held_out and 'val.top1' or 'loss')
  if not held_out and metric.is_validated(s.metric) then
    args.fail('compare: metric: %s wants pictures held out, and there are none (val = 0)', s.metric)
  end
  s.higher = metric.is_higher(s.metric)
end

local function read_base(s, o)
  s.base = 1
  local names = {}
  for i, entry in ipairs(s.entries) do
    names[i] = entry.name
    if entry.name == o.base then s.base = i end
  end
  if o.base and s.entries[s.base].name ~= o.base then
    args.fail('compare: base: %s is no entry%s', o.base, args.hint(o.base, names))
  end
end

--- Read compare{...}.
-- @param given the table
-- @return the comparison: entries (name, given, read, grid, total, threads), seeds, images, metric, higher,
--   base,
--   alpha, out, identity, ...
function spec.read(given)
  if type(given) ~= 'table' or args.is_module(given) or getmetatable(given) then
    args.fail('compare: expected one table, got %s', args.is_module(given) and 'a net' or type(given))
  end
  local named, list = sort_out(given)
  local o = spec.spec(named)
  local s = {net = o.net, entries = {}, made = setmetatable({}, {__mode = 'k'}), alpha = o.alpha,
    targets = o.targets, out = o.out, live = o.live, save_seconds = o.save_seconds, save_every = o.save_every,
    val_every = o.val_every, workers = o.workers}
  for i, entry in ipairs(list) do s.entries[i] = read_entry(entry, i) end
  check_names(s.entries)
  check_nets(o, s.entries)
  s.seeds = read_seeds(o.seeds)
  if not (o.alpha > 0 and o.alpha < 1) then
    args.fail('compare: alpha: expected between 0 and 1, got %s', args.show(o.alpha))
  end
  if o.data == nil then args.fail 'compare: expected data: a folder, or what data.folder gives' end
  if not o.steps and not o.epochs then args.fail 'compare: expected steps or epochs: one budget for all' end
  s.images = type(o.data) == 'string' and build.scan(o.data, {val = o.val, seed = 1}) or
    build.images_of(o.data, 'compare')
  read_metric(s, o)
  read_base(s, o)
  for _, entry in ipairs(s.entries) do settle(s, entry, o) end
  read_tuning(s, o)
  s.identity = identity(s)
  return s
end

return spec
