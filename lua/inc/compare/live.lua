--- What a comparison shows while it runs: curves of all entries in the terminal, or a line now and then.
--
-- Drawing must not cost what is being measured: at most one percent of the time goes into it, and the curves
-- come from the runs' logs, which are there anyway.

local core = require 'inc.core'
local log = require 'inc.run.log'
local text = require 'inc.compare.text'

local live = {}
live.__index = live

local LINE_EVERY, SHARE = 10, 0.01 -- seconds; share of the time

--- Something to look at.
-- @param s of inc/compare/spec.lua; live = false shows nothing
function live.new(s)
  local host = package.loaded['inc.host'] or require 'inc.host'
  return setmetatable({s = s, on = s.live, tty = host.isatty(1) and os.getenv 'TERM' ~= 'dumb', host = host,
    started = core.clock(), last = core.clock(), cost = 0, lines = 0}, live)
end

--- From now on runs of tuning, or the comparison's own.
function live:stage(name) self.now, self.begun = name, nil end

-- Steps that a run has made, also in the middle of its turn; one that is over has no more to make.
local function steps_of(a)
  if a:is_over() then return a.total end
  return a.state == 'open' and a.run and core.run_status(a.run.handle).step or a.step
end

local function step_of(arms)
  local done, total = 0, 0
  for _, a in ipairs(arms) do done, total = done + steps_of(a), total + a.total end
  return done, total
end

local function loss_of(arms, place)
  local sum, n, diverged = 0, 0, 0
  for _, a in ipairs(arms) do
    if a.place == place and a.state == 'open' then
      local status = core.run_status(a.run.handle)
      if status.smooth_loss then sum, n = sum + status.smooth_loss, n + 1 end
    end
    if a.place == place and a.state == 'diverged' then diverged = diverged + 1 end
  end
  if n == 0 then return diverged > 0 and 'diverged' end
  return ('%.3f%s'):format(sum / n, diverged > 0 and (' (%d diverged)'):format(diverged) or '')
end

local function duration(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds < 3600 then return ('%d:%02d'):format(seconds // 60, seconds % 60) end
  return ('%d:%02d:%02d'):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

-- From what this stage has made so far; its first look only starts the clock.
local function eta_of(self, done, total)
  self.begun = self.begun or {time = core.clock(), done = done}
  local made, spent = done - self.begun.done, core.clock() - self.begun.time
  if made == 0 or done == total or spent < 3 then return '' end
  return '  eta ' .. duration(spent / made * (total - done))
end

local function words(self, arms)
  local done, total = step_of(arms)
  local parts = {}
  for place, entry in ipairs(self.s.entries) do
    local loss = loss_of(arms, place)
    if loss then parts[#parts + 1] = ('%s %s'):format(entry.name, loss) end
  end
  local loss = #parts > 0 and '  loss ' .. table.concat(parts, ', ') or ''
  return ('%s: %d of %d steps%s%s'):format(self.now, done, total, loss, eta_of(self, done, total))
end

-- Mean loss over the seeds of each entry, where all of them have been.
local function picture(self, arms)
  local columns = {}
  for _, a in ipairs(arms) do
    local path = a.folder .. '/log.jsonl'
    if core.path_kind(path) then
      columns[#columns + 1] = {name = self.s.entries[a.place].name, log = log.read(path)}
    end
  end
  local list = text.means(self.s.entries, columns, 'loss')
  if #list == 0 then return nil end
  list.smooth, list.title, list.xlabel, list.height = 0.6, 'loss, mean over seeds', 'step', 18
  return (require('inc.plot').draw(list))
end

local function redraw(self, arms)
  local drawing = picture(self, arms)
  local block = (type(drawing) == 'string' and drawing or '') .. words(self, arms) .. '\n'
  if self.lines > 0 then io.stdout:write(('\27[%dA\27[J'):format(self.lines)) end
  io.stdout:write(block)
  io.stdout:flush()
  self.lines = select(2, block:gsub('\n', ''))
end

--- Called a few times a second: draw or print, where it is time.
function live:look(arms)
  local now = core.clock()
  local due = self.tty and math.max(1, self.cost / SHARE) or LINE_EVERY
  if not self.on or now - self.last < due then return end
  if self.tty then
    redraw(self, arms)
  else
    print(words(self, arms))
    io.stdout:flush()
  end
  self.last = core.clock()
  self.cost = self.last - now
end

--- All runs are made.
function live:done() self.lines = 0 end

return live
