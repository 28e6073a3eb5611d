-- timing.lua -- `time` and `timeit`: how long an entry takes.
--
-- timeit warms up first and reports the median with its spread, because a mean hides the one slow call that
-- the collector or another process caused. Work that runs on a device is waited for.
local host = require 'inc.host'

local timing = {}

local TARGET = 0.5        -- seconds that timeit spends in all, at least
local MIN_RUNS, MAX_RUNS = 5, 10000

--- Seconds as text with a fitting unit.
function timing.duration(s)
  if s < 1e-6 then return ('%.0f ns'):format(s * 1e9) end
  if s < 1e-3 then return ('%.3g us'):format(s * 1e6) end
  if s < 1 then return ('%.3g ms'):format(s * 1e3) end
  return s < 120 and ('%.3g s'):format(s) or ('%d min %d s'):format(s // 60, s % 60)
end

local function synchronize()
  local inc = package.loaded.inc
  local sync = inc and rawget(inc, 'synchronize')
  if sync then sync() end
end

local function once(f)
  synchronize()
  local start = host.now()
  f()
  synchronize()
  return host.now() - start
end

--- Run f once: its seconds, and then its results. Work on a device is waited for. `time f()` at the prompt
-- does the same for an entry.
-- @name time
-- > time(function() return 7 end)
function timing.time(f)
  synchronize()
  local start = host.now()
  local results = table.pack(f())
  synchronize()
  return host.now() - start, table.unpack(results, 1, results.n)
end

-- Calls so short that the clock would be measured are run in batches.
local function batch_size(first)
  return first < 1e-5 and math.min(math.ceil(1e-4 / math.max(first, 1e-8)), 10000) or 1
end

local Result = {__name = 'timeit'}

local function quantiles(seconds)
  table.sort(seconds)
  local function at(q) return seconds[math.max(1, math.ceil(q * #seconds))] end
  return {median = at(0.5), low = at(0.25), high = at(0.75), least = seconds[1], most = seconds[#seconds],
    runs = #seconds}
end

-- How many runs fill the time that there is.
local function runs_for(seconds)
  return math.max(MIN_RUNS, math.min(MAX_RUNS, math.floor(TARGET / math.max(seconds, 1e-7))))
end

--- Run f many times, after a warm-up; work on a device is waited for. `timeit f()` at the prompt does the
-- same for an entry.
-- @name timeit
-- @param f a function without arguments
-- @param options n: runs (as many as half a second takes, 5 at least), warmup: runs before (2)
-- @return {median, low, high (quartiles), least, most (seconds), runs, each (calls in a run), warmup}; prints
--   as a sentence
-- > timeit(function() return inc.randn{64, 64} end, {n = 10}).runs  --> 10
function timing.timeit(f, options)
  local o = require 'inc.args'.spec('timeit', 'n:int?, warmup:int=2')(options)
  local first = once(f)
  for _ = 2, o.warmup do first = math.min(first, once(f)) end
  local each = batch_size(first)
  local body = each == 1 and f or function() for _ = 1, each do f() end end
  local seconds = {}
  for i = 1, o.n or runs_for(first * each) do seconds[i] = once(body) / each end
  local r = quantiles(seconds)
  r.each, r.warmup = each, math.max(o.warmup, 1)
  return setmetatable(r, Result)
end

--- The sentence that the prompt prints for a result of timeit.
function Result:__tostring()
  local d = timing.duration
  local runs = self.each == 1 and ('%d runs'):format(self.runs) or
    ('%d runs of %d calls'):format(self.runs, self.each)
  return ('median %s, middle half %s to %s, all %s to %s, %s'):format(d(self.median), d(self.low),
    d(self.high), d(self.least), d(self.most), runs)
end

return timing
