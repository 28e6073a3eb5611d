--- compare: optimizers, or any other settings, side by side under fair conditions, with a verdict.
--
-- Every entry trains from the same start values on the same batches, once a seed, by turns
-- (compare/rounds.lua); rates from grids are found first (compare/tune.lua). The folder holds everything: a
-- comparison that was killed goes on when it is called again, and one that is done is only read. Files:
-- compare/spec.lua reads the table, arm.lua is one run, results.lua what the runs came to, stats.lua what may
-- be said of it, text.lua, page.lua and svg.lua how.

local core = require 'inc.core'
local args = require 'inc.args'
local json = require 'inc.json'
local Arm = require 'inc.compare.arm'
local live = require 'inc.compare.live'
local results = require 'inc.compare.results'
local rounds = require 'inc.compare.rounds'
local spec = require 'inc.compare.spec'
local text = require 'inc.compare.text'
local tune = require 'inc.compare.tune'

local Comparison = {__name = 'inc.comparison'}

-- -- the folder ---------------------------------------------------------------------------------------------

local function next_free()
  local n = 1
  while core.path_kind('runs/compare-' .. n) do n = n + 1 end
  return 'runs/compare-' .. n
end

local function all_keys(a, b)
  local keys, seen = {}, {}
  for _, t in ipairs{a, b} do
    for key in pairs(t) do
      if not seen[key] then keys[#keys + 1], seen[key] = key, true end
    end
  end
  table.sort(keys, function(x, y) return tostring(x) < tostring(y) end)
  return keys
end

local function show(v) return v == nil and 'nothing' or args.show(v) end

-- The first setting in which two plain tables differ, for the message.
local function first_difference(a, b, path)
  if type(a) ~= 'table' or type(b) ~= 'table' then
    return a ~= b and ('%s was %s, is %s'):format(path, show(a), show(b)) or nil
  end
  for _, key in ipairs(all_keys(a, b)) do
    local where = type(key) == 'number' and ('%s[%d]'):format(path, key) or path .. '.' .. key
    local found = first_difference(a[key], b[key], where:gsub('^%.', ''))
    if found then return found end
  end
end

-- A new folder, or the one of this same comparison. Returns its path and whether it is new.
local function claim_folder(s)
  local path = s.out or next_free()
  local kind, full = core.path_kind(path), core.path_full(path)
  if kind == 'file' then args.fail('compare: out: %s is a file, expected a folder', path) end
  if not kind or #core.list_folder(path) == 0 then return full, true end
  if not core.path_kind(path .. '/compare.json') then
    local what = core.path_kind(path .. '/config.json') and 'holds a run' or 'is not empty'
    args.fail('compare: out: expected a new folder or that of this comparison, and %s %s', path, what)
  end
  local ok, before = pcall(json.read, path .. '/compare.json')
  if not ok then args.fail('compare: out: %s/compare.json: cannot be read: %s', path, before) end
  local now = json.decode(json.encode(s.identity))
  local difference = first_difference(before, now, '')
  if difference then
    args.fail('compare: out: %s holds another comparison: %s', path, difference)
  end
  return full, false
end

-- -- running ------------------------------------------------------------------------------------------------

local function make_arms(shared)
  local s, by_entry, all = shared.s, {}, {}
  for i, entry in ipairs(s.entries) do
    by_entry[i] = {}
    for j, seed in ipairs(s.seeds) do
      by_entry[i][j] = Arm.new(shared, {entry = entry, place = i, seed = seed, rate = entry.rate,
        stage = 'runs',
        total = entry.total})
      all[#all + 1] = by_entry[i][j]
    end
  end
  return by_entry, all
end

-- What does not fit is told before the folder exists, by the first run of each entry.
local function rehearse(shared)
  for i, entry in ipairs(shared.s.entries) do
    local probe = entry.grid and tune.probe(shared, i) or Arm.new(shared, {entry = entry, place = i,
      seed = shared.s.seeds[1], stage = 'runs', total = entry.total, probe = true})
    local found = probe:rehearse()
    entry.memory, entry.parameters = found.memory.total, found.parameters
  end
end

-- What Ctrl-C should say; everything is saved already.
local function explain(s, err)
  if not tostring(err):find 'interrupted' then error(err, 0) end
  if package.loaded['inc.shell.prompt'] then
    error(('compare: stopped and saved; the same call with out = %s goes on'):format(args.show(s.out)), 0)
  end
  core.interrupt_again()
  error(('compare: stopped and saved in %s; the same command goes on'):format(s.out), 0)
end

local function make_runs(s, shared)
  local screen = live.new(s)
  local o = {tick = function(arms) screen:look(arms) end, limit = s.limit}
  screen:stage 'tuning'
  local tuning, tuning_seconds = tune.run(shared, o)
  screen:stage 'runs'
  local by_entry, all = make_arms(shared)
  rounds.run(all, o)
  screen:done()
  return by_entry, tuning, tuning_seconds
end

local function run_folders(arms)
  local list = {}
  for _, of_entry in ipairs(arms) do
    for _, a in ipairs(of_entry) do
      list[#list + 1] = {name = a.entry.name, seed = a.seed, folder = a.folder}
    end
  end
  return list
end

local function machine(threads)
  local cpu = io.open '/proc/cpuinfo'
  local name = cpu and cpu:read 'a':match 'model name%s*:%s*([^\n]+)'
  if cpu then cpu:close() end
  return {cpu = name or 'unknown', version = inc.version, threads = threads}
end

local function made(given, threads)
  local s = spec.read(given)
  local folder, fresh = claim_folder(s)
  s.out = folder
  local shared = Arm.shared(s, folder)
  rehearse(shared)
  core.make_folder(folder)
  local _ <close> = core.run_lock(folder)
  if fresh then json.write(folder .. '/compare.json', s.identity) end
  local ok, arms, tuning, tuning_seconds = pcall(make_runs, s, shared)
  if not ok then explain(s, arms) end
  local facts, times = results.of(s, arms)
  facts.tuning, times.tuning = tuning, tuning_seconds
  local c = setmetatable({folder = folder, facts = facts, times = times, identity = s.identity,
    runs = run_folders(arms), images = s.images:info(), machine = machine(threads)}, Comparison)
  c:write_files()
  return c
end

--- Train the same net on the same batches under several settings and seeds, and say what differs. Entries are
-- {'name', optimizer, option = ...} with any option of train but data and length; those that stand beside the
-- entries hold for all. A list of rates, lr = {0.01, 0.03, 0.1}, is a grid: the best one is found first, with
-- a seed of its own, and the grid goes on where the best sits at its edge. It waits until all is done; when
-- it was killed, or stopped by Ctrl-C, the same call goes on.
-- @param net a net (each run trains a copy), a function of the seed that makes one, or nothing: `model`
-- @param data a folder with one sub-folder a class, or what data.folder gives
-- @param steps, epochs the length of every run
-- @param seeds a list of integers, or how many; fewer than 3 make no claim
-- @param out the folder, runs/compare-1, ... when left out
-- @param base the name of the entry that the others are compared to, the first when left out
-- @param metric val.top1, val.top5, val.loss, loss (of training, where nothing is held out), or img_s, the
--   speed
-- @param alpha how often a claim may be false, 0.05
-- @param targets values of the metric whose time is taken; those of the base when left out
-- @param trials runs that each grid may cost, 2 more than the largest grid when left out
-- @param tune_steps, tune_seed of these runs
-- @param val the share of pictures held out; val_every steps between validations, an epoch when left out
-- @param save_seconds of training between checkpoints of a run; save_every steps between them
-- @param workers threads that load pictures
-- @param live false: no curves while it runs
-- @param threads (also of an entry) cores for the kernels
-- @return a comparison: print(c), c:plot(), c:report 'page.html', c.facts, c.times, c.folder
-- > c = compare{net, flowers, steps = 300, seeds = {1, 2, 3}, {'sgd', optim.sgd{lr = 0.02, momentum = 0.9}},
-- >   {'adamw', optim.adamw{lr = 3e-4}}}
local function compare(given)
  local threads = core.threads()
  local _ <close> = args.finally(function() core.threads(threads) end)
  return (made(given, threads))
end

-- -- the result ---------------------------------------------------------------------------------------------

local methods = {}

function Comparison:__tostring() return text.of(self) end

function Comparison.__index(_, key) return methods[key] end

Comparison.__names = methods
args.object('c', methods, nil, 'write_files')

--- (for compare) result.json, compare.csv, runs.csv and compare.html in the comparison's folder. result.json
-- is what does not depend on the clock.
function methods:write_files()
  core.write_file(self.folder .. '/result.json', json.encode(text.facts(self), true) .. '\n')
  core.write_file(self.folder .. '/compare.csv', text.csv(self))
  core.write_file(self.folder .. '/runs.csv', text.runs_csv(self))
  self:report(self.folder .. '/compare.html')
end

--- Draw the curves of a comparison in the terminal: means over seeds.
-- @param name a column of the logs: the metric when left out, or 'loss'
-- @param options file, smooth, title, ... of inc.plot
-- > c:plot 'loss'
function methods:plot(name, options)
  if type(name) == 'table' then name, options = name[1], name end
  local list = text.curves(self, name or self.facts.metric)
  for key, v in pairs(options or {}) do
    if type(key) == 'string' then list[key] = v end
  end
  list.title, list.xlabel = list.title or name or self.facts.metric, 'step'
  inc.plot(list)
end

--- Write the page of a comparison: one HTML file that needs nothing else.
-- @param path where to
-- @param options times = false leaves out what depends on the clock
-- > c:report 'compare.html'
function methods:report(path, options)
  local o = args.spec('report', 'times:bool=true')(options)
  core.write_file(path, require('inc.compare.page').of(self, o.times))
end

return compare
