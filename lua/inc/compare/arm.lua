--- One run of a comparison: an entry, a seed, a rate. It is a run of train in a folder of its own, so that
-- kills, resuming and the log are what they are everywhere; what is added is that it takes turns.
--
-- States: 'new' (nothing written), 'parked' (written, not in memory), 'open' (in memory, resting or in its
-- turn), 'ending' (all steps made; its last files are being written, while others step), 'finished' and
-- 'diverged' (over: ended.json says how). A run that met a loss that is no number is over and is counted;
-- every other failure is the comparison's.

local core = require 'inc.core'
local args = require 'inc.args'
local build = require 'inc.train.build'
local folder = require 'inc.train.folder'
local json = require 'inc.json'
local rounds = require 'inc.compare.rounds'
local Run = require 'inc.run'
local spec = require 'inc.compare.spec'
local trainer = require 'inc.train'

local Arm = {}
Arm.__index = Arm

local arm = {}

-- A name as part of a path.
local function slug(text) return (text:gsub('[^%w%-]+', '_'):sub(1, 40)) end

--- A run that is to be made, or that was made before a kill.
-- @param shared what the runs of a comparison have in common (arm.shared)
-- @param o entry, place (of the entry), seed, rate (nil: the entry's own), stage ('tuning' or 'runs'), total;
--   probe, for one that is rehearsed and not made
function arm.new(shared, o)
  local name = ('%d-%s'):format(o.place, slug(o.entry.name))
  local rate = o.stage == 'tuning' and ('-lr%.6g'):format(o.rate) or ''
  local self = setmetatable(o, Arm)
  self.shared, self.folder = shared, ('%s/%s/%s%s-seed%d'):format(shared.out, o.stage, name, rate, o.seed)
  self.unsaved = 0
  self:look()
  if not o.probe then table.insert(shared.arms, self) end
  return self
end

--- What the runs of a comparison share: its folder, memory for plans, batches by what decides them, and what
-- was rehearsed and need not be made again, by its folder.
function arm.shared(s, out)
  return {s = s, out = out, step_arena = core.plan_arena(), eval_arena = core.plan_arena(), arena = 0,
    feeds = {}, arms = {}, open = 0, kept = {}}
end

-- -- on disk ------------------------------------------------------------------------------------------------

local function ended_path(self) return self.folder .. '/ended.json' end

--- Where the folder says that it stands.
function Arm:look()
  self.state, self.step = 'new', 0
  if not core.path_kind(self.folder .. '/config.json') then return end
  self.state, self.step = 'parked', core.run_checkpoints(self.folder)[1] or 0
  if core.path_kind(ended_path(self)) then
    local ended = json.read(ended_path(self))
    self.state, self.step, self.why = ended.state, ended.step, ended.why
  elseif self.step >= self.total then
    self:note_end('finished', self.step)
  end
end

--- (for this file) It is over, and its folder says so.
function Arm:note_end(state, step, why)
  self.state, self.step, self.why = state, step, why
  json.write(ended_path(self), {state = state, step = step, why = why})
end

--- Is it finished or diverged?
function Arm:is_over() return self.state == 'finished' or self.state == 'diverged' end

--- Are there steps to make?
function Arm:has_steps() return self.state ~= 'ending' and not self:is_over() end

-- -- opening ------------------------------------------------------------------------------------------------

local WINDOW = 96e6 -- bytes of pixels that a feed keeps

--- Batches that a feed may keep for this run.
function Arm:window()
  local size = self.size or 299
  return math.max(1, math.min(4096, math.floor(WINDOW / (self.entry.read.batch * size * size * 3))))
end

-- The loader of all runs with this seed, batch, size and distortion.
local function feed_of(self, loader)
  local shared, t = self.shared, loader.transform
  local key = ('%d %d %d %s %s'):format(loader.seed, loader.batch, t.size, t.augment, loader.bad_stop)
  shared.feeds[key] = shared.feeds[key] or
    {seed = loader.seed, feed = core.run_feed(shared.s.images, loader, self:window())}
  return shared.feeds[key].feed
end

-- Loaders go when nobody with their seed has steps to make.
local function drop_feeds(shared, seed)
  for _, a in ipairs(shared.arms) do
    if a.seed == seed and a:has_steps() then return end
  end
  for key, feed in pairs(shared.feeds) do
    if feed.seed == seed then shared.feeds[key] = nil end
  end
end

-- Plans use one block by turns; only a larger one than all before it wants room.
local function prepared(self, job)
  local shared = self.shared
  self.size, self.memory = build.size_of(job.net), job.plan:memory()
  if self.memory.arena > shared.arena then
    build.check_memory(job.plan, job.validates and job.eval, job.settings.batch, self.size)
    shared.arena = self.memory.arena
  end
  job.plan:share(shared.step_arena)
  job.eval:share(shared.eval_arena)
end

local function inner(self)
  local s = self.shared.s
  return {
    threads = self.entry.threads, images = s.images, first_rest = true, keep = 1, best_last = true,
    no_start = true, -- the spec makes the net again
    prepared = function(job) prepared(self, job) end,
    feed = function(_, loader) return feed_of(self, loader) end,
  }
end

local function given(self)
  local g, s = {}, self.shared.s
  for key, v in pairs(self.entry.given) do g[key] = v end
  g.net, g.seed = spec.new_net(s, self.entry, self.seed), self.seed
  g.out = self.state == 'new' and self.folder or self.shared.out .. '/rehearsal' -- which is never made
  if self.rate then g.lr = self.rate end
  if self.stage == 'tuning' and s.tune_steps then g.steps, g.epochs = s.tune_steps, nil end
  g.val_every, g.save_every = s.val_every, s.save_every or self.total
  return g
end

-- Notes of runs (which weights were loaded, where they went on) would be told once a run: too often here.
local function quietly(f, ...)
  local program = require 'inc'
  local note = program.note
  program.note = function() end
  local _ <close> = args.finally(function() program.note = note end)
  return f(...)
end

-- A failure with the entry that it is about.
local function for_entry(self, f, ...)
  local result = table.pack(pcall(f, ...))
  if result[1] then return table.unpack(result, 2, result.n) end
  local text = tostring(result[2])
  if text:find 'interrupted' then error(result[2], 0) end
  text = text:gsub('^[^\n]-:%d+: ', ''):gsub('^train: ', '')
  args.fail('%s', ('compare: %s: %s'):format(self.entry.name, text))
end

local function prepare(self) return for_entry(self, quietly, trainer.prepare, given(self), inner(self)) end

--- Does everything about this run fit together? Nothing is written; where there is memory to spare, what was
-- made is kept for open().
-- @return {memory = of the plan, parameters =}
function Arm:rehearse()
  local job = prepare(self)
  if self.state == 'new' and rounds.has_room(self:bytes()) then self.shared.kept[self.folder] = job end
  return {memory = self.memory, parameters = job.net:count_parameters()}
end

local function begin(self)
  local job = self.shared.kept[self.folder] or prepare(self)
  self.shared.kept[self.folder] = nil
  self.size, self.memory, self.job = build.size_of(job.net), job.plan:memory(), job
  self.run = for_entry(self, quietly, trainer.begin, job)
end

local function go_on(self)
  self.run, self.job = for_entry(self, quietly, trainer.go_on,
    {self.folder, net = spec.new_net(self.shared.s, self.entry, self.seed)}, inner(self))
end

--- Into memory: begun, or gone on with from its checkpoint.
function Arm:open()
  core.threads(self.entry.threads)
  if self.state == 'parked' then go_on(self) else begin(self) end
  self.state, self.unsaved, self.shared.open = 'open', 0, self.shared.open + 1
  self.step = self.job.first or 0
end

-- -- a turn -------------------------------------------------------------------------------------------------

local function let_go(self)
  Run.forget(self.run)
  self.run, self.job = nil, nil
  self.shared.open = self.shared.open - 1
  collectgarbage()
end

local function end_of(self, status)
  local state, step, why = status.state, status.step, status.error
  local nan = status.code == 'ENAN'
  if state == 'failed' and not nan then args.fail('compare: %s: %s', self.entry.name, why) end
  let_go(self)
  if state == 'stopped' then
    self.state, self.step = 'parked', step
    return
  end
  self:note_end(state == 'failed' and 'diverged' or 'finished', step, why)
  drop_feeds(self.shared, self.seed)
  if self.stage == 'tuning' then folder.drop_checkpoints(self.folder) end
end

--- Step until `step` steps are made. What has to be saved is saved while others have their turns.
-- @param tick called a few times a second meanwhile
-- @return seconds it took
function Arm:turn(step, tick)
  core.threads(self.entry.threads)
  local handle, start, s = self.run.handle, core.clock(), self.shared.s
  core.run_until(handle, step)
  while not core.run_reached(handle, 0.25) do tick(self) end
  local took = core.clock() - start
  self.unsaved, self.step = self.unsaved + took, core.run_status(handle).step
  if step >= self.total then
    self.state = 'ending'
    self:settle()
  elseif core.run_over(handle) then
    end_of(self, core.run_status(handle))
  elseif s.save_seconds and self.unsaved >= s.save_seconds then
    core.run_save(handle)
    self.unsaved = 0
  end
  return took
end

--- Is the last file of a run written whose steps are made? Then it is over.
-- @param wait true: until it is
function Arm:settle(wait)
  if self.state ~= 'ending' then return end
  while wait and not core.run_wait(self.run.handle, 0.25) do end
  if core.run_over(self.run.handle) then end_of(self, core.run_status(self.run.handle)) end
end

--- Save and leave memory; the next open() goes on.
function Arm:park()
  core.run_stop(self.run.handle)
  while not core.run_wait(self.run.handle, 0.25) do end
  end_of(self, core.run_status(self.run.handle))
end

--- Bytes that it holds while it is open, apart from what it shares.
function Arm:bytes() return (self.memory or {captured = 0}).captured end

return arm
