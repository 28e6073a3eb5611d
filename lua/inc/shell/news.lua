-- news.lua -- what runs in the background have to say at the prompt, and what becomes of them when it is
-- left.
--
-- The runs tell their own news (inc.shell_idle); here their status is watched for a loss that goes the wrong
-- way, live plots are put above the status line, and the question at the end is asked.
local host = require 'inc.host'
local screen = require 'inc.shell.screen'

local news = {}

local RISE = 2       -- times the least smoothed loss (and one more) is called rising
local LEAST_STEPS = 20

-- -- a loss that rises ------------------------------------------------------------------------------------

local watched = setmetatable({}, {__mode = 'k'}) -- run -> {least, step, told}

--- A sentence when a run's loss has risen far above its least, once a run; nil otherwise.
-- @param run any key; s its status: step, smooth_loss
function news.rising(run, s)
  local w = watched[run] or {least = math.huge, step = 0}
  watched[run] = w
  local loss = s.smooth_loss
  if not loss or loss ~= loss then return nil end
  if loss < w.least then w.least, w.step = loss, s.step end
  if w.told or s.step < LEAST_STEPS or loss < RISE * w.least + 1 then return nil end
  w.told = true
  return ('run %s may be diverging: loss %.4g at step %d, %.4g at step %d; lower lr with run:set, or stop it')
    :format(run.folder or '', w.least, w.step, loss, s.step)
end

local function active_runs()
  local inc = package.loaded.inc
  local active = inc and rawget(inc, 'active_runs')
  return active and active() or {}
end

local function add_rising(lines)
  for _, run in ipairs(active_runs()) do
    local ok, status = pcall(function() return run:status() end)
    lines[#lines + 1] = ok and news.rising(run, status) or nil
  end
end

-- -- lines and status -------------------------------------------------------------------------------------

local function printed_line(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  return table.concat(parts, '\t')
end

-- A live plot stands above the status line; what it has to say goes to the lines.
local function with_panel(status, lines)
  local live = package.loaded['inc.plot.live']
  if not live then return status end
  local ok, panel, more = pcall(live.tick)
  for _, line in ipairs(ok and more or {'error: ' .. tostring(panel)}) do lines[#lines + 1] = line end
  return ok and panel and panel .. (status and '\n' .. status or '') or status
end

-- pcall(f), while what is printed goes to the lines.
local function printing_to(lines, f)
  local real = _G.print
  local _ <close> = require 'inc.args'.finally(function() _G.print = real end)
  _G.print = function(...) lines[#lines + 1] = printed_line(...) end
  return pcall(f)
end

--- A status line or nil, and lines to print above it, or nil. `inc.shell_idle()`, where there is one, gives
-- both; what a hook prints meanwhile is kept in order.
function news.ask()
  local inc = package.loaded.inc
  local idle = inc and rawget(inc, 'shell_idle') or function() end
  local lines = {}
  local ok, status, more = printing_to(lines, idle)
  if not ok then
    lines[#lines + 1], status = 'error: ' .. tostring(status), nil
  end
  for _, line in ipairs(ok and more or {}) do lines[#lines + 1] = line end
  add_rising(lines)
  status = with_panel(status, lines)
  for i, line in ipairs(lines) do lines[i] = screen.fit(line, 1) end
  return status, lines[1] and lines or nil
end

-- -- leaving ----------------------------------------------------------------------------------------------

-- Wait for each; a run that fails meanwhile is told and keeps nobody from the next, nor from leaving.
local function end_all(runs, stop)
  for _, run in ipairs(runs) do
    if stop then run:stop()
    elseif run:status().state == 'paused' then
      print(('run %s was paused and goes on'):format(run.folder))
      run:continue()
    end
    local ok, why = pcall(run.wait, run)
    if not ok then print(('run %s failed: %s'):format(run.folder, why)) end
  end
end

-- The letter of the answer; nil at the end of input.
local function ask(runs)
  while true do
    io.write(('%d run%s still going: wait, stop and save, or cancel? [w/s/c] '):format(
      #runs, #runs == 1 and ' is' or 's are'))
    io.stdout:flush()
    local answer = io.read 'l'
    local letter = answer and answer:match '^%s*([wscWSC])'
    if letter or not answer then return letter and letter:lower() end
  end
end

--- May the shell end? With a run going, asks: wait, stop it (it saves), or cancel. Ctrl-C cancels too, at the
-- question and while it waits. Where nobody can answer, the runs are stopped and saved.
function news.may_leave()
  local runs = active_runs()
  if #runs == 0 then return true end
  local asked, letter = host.catch_interrupt(ask, runs)
  if not asked then print() end
  if not asked or letter == 'c' then return false end
  local ended = host.catch_interrupt(end_all, runs, letter ~= 'w')
  if not ended then print '\nstill here' end
  return ended
end

return news
