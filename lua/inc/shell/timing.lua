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

--- Run f once: its seconds, and then its results.
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

--- Run f many times: {median, low, high (quartiles), runs, each}; each = calls in a run.
function timing.timeit(f)
  local first = once(f)
  first = math.min(first, once(f))
  local each = batch_size(first)
  local body = each == 1 and f or function() for _ = 1, each do f() end end
  local runs = math.max(MIN_RUNS, math.min(MAX_RUNS, math.floor(TARGET / math.max(first * each, 1e-7))))
  local seconds = {}
  for i = 1, runs do seconds[i] = once(body) / each end
  table.sort(seconds)
  local function at(q) return seconds[math.max(1, math.ceil(q * runs))] end
  return {median = at(0.5), low = at(0.25), high = at(0.75), runs = runs, each = each}
end

--- The sentence that the prompt prints for a result of timeit.
function timing.report(r)
  local d = timing.duration
  local runs = r.each == 1 and ('%d runs'):format(r.runs) or ('%d runs of %d calls'):format(r.runs, r.each)
  return ('median %s, middle half %s to %s, %s'):format(d(r.median), d(r.low), d(r.high), runs)
end

return timing
