-- growth.lua: how time and memory grow with the batch, the size of the pictures and the threads; and what
-- planning and calling cost.
--
--     incsh scripts/bench/growth.lua [--quick] [--precision f32|bf16] [--steps N] [--folder RESULTS]
--
-- Each point is a process of its own (step.lua). Fits: time = a + b n over batches, and a power of the side
-- over sizes (2 is proportional to the pixels; whole pixels of a pyramid round, so it is never exactly so).
-- All points of one precision take about 25 minutes on two cores; saved as growth-PRECISION.txt and .json.

local measure = dofile 'scripts/bench/measure.lua'
local options = {precision = 'f32', steps = 3}

local function read_options()
  local i = 1
  while arg[i] do
    local name = arg[i]:match '^%-%-(%w+)$'
    if name == 'quick' then
      options.quick, options.steps, i = true, 1, i + 1
    elseif name == 'steps' then
      options.steps, i = math.tointeger(arg[i + 1]), i + 2
    elseif name == 'precision' or name == 'folder' then
      options[name], i = arg[i + 1], i + 2
    else
      error(('bench: unknown option %s; expected --quick, --precision, --steps or --folder')
        :format(arg[i]), 0)
    end
  end
end

local program = arg[-1] or 'build/incsh'

local function point(what, batch, size, threads)
  local r, why = measure.run(('INC_THREADS=%d %s scripts/bench/step.lua %s %s %d %d %d'):format(threads,
    program, what, options.precision, batch, options.steps, size))
  if not r then
    io.stderr:write(('bench: %s batch %d size %d: %s\n'):format(what, batch, size, why))
    return
  end
  return {what = what, batch = batch, size = size, threads = threads, ms = measure.quantile(r.ms, 0.5),
    peak_mb = r.peak_mb, arena_mb = r.arena_mb, first_s = r.first_s}
end

-- Least squares of y over x: intercept, slope, and the share of the variance that the line explains.
local function line(points, x_of, y_of)
  local n, sx, sy, sxx, sxy, syy = #points, 0, 0, 0, 0, 0
  for _, p in ipairs(points) do
    local x, y = x_of(p), y_of(p)
    sx, sy, sxx, sxy, syy = sx + x, sy + y, sxx + x * x, sxy + x * y, syy + y * y
  end
  local slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
  local spread = (n * sxx - sx * sx) * (n * syy - sy * sy)
  local r2 = spread > 0 and (n * sxy - sx * sy) ^ 2 / spread or 1 -- all the same: a flat line has it all
  return (sy - slope * sx) / n, slope, r2
end

local layout = '%-6s %6s %5s %8s %10s %10s %9s %9s'
local all = {}

local function series(text, what, batches, sizes, threads)
  local list = {}
  for _, size in ipairs(sizes) do
    for _, batch in ipairs(batches) do
      local p = point(what, batch, size, threads)
      if p then
        list[#list + 1], all[#all + 1] = p, p
        text[#text + 1] = layout:format(what, batch, size, threads, ('%.1f'):format(p.ms),
          ('%.2f'):format(batch * 1e3 / p.ms), p.peak_mb, p.arena_mb)
      end
    end
  end
  return list
end

local function add_batch_fit(text, list)
  if #list < 3 then return end
  local batch = function(p) return p.batch end
  local a, b, r2 = line(list, batch, function(p) return p.ms end)
  local m, k, mr2 = line(list, batch, function(p) return p.peak_mb end)
  local words = '  time = %.1f + %.2f n ms (R2 %.4f), memory = %.0f + %.1f n MB (R2 %.4f)'
  text[#text + 1] = words:format(a, b, r2, m, k, mr2)
end

local function add_size_fit(text, list)
  if #list < 3 then return end
  local size = function(p) return math.log(p.size) end
  local _, power, r2 = line(list, size, function(p) return math.log(p.ms) end)
  local _, mpower, mr2 = line(list, size, function(p) return math.log(p.arena_mb) end)
  local words = '  time grows as side ^ %.2f (R2 %.4f), the arena as side ^ %.2f (R2 %.4f)'
  text[#text + 1] = words:format(power, r2, mpower, mr2)
end

-- Seconds to plan Inception-v3, kernels known and not; the first call's own run is left out by tracing only.
local function planning()
  local rows = {}
  for _, what in ipairs{'train', 'infer'} do
    local r = measure.run(('%s scripts/bench/planning.lua %s %s %d'):format(program, what, options.precision,
      options.quick and 2 or 32))
    if r then rows[#rows + 1] = {what = what, cold_s = r.cold_s, warm_s = r.warm_s, kernels = r.kernels} end
  end
  return rows
end

-- Microseconds of processor time that f takes, the least of five times n calls.
local function cost(f, n)
  local best = math.huge
  for _ = 1, 5 do
    collectgarbage()
    local start = os.clock()
    for _ = 1, n do f() end
    best = math.min(best, (os.clock() - start) / n)
  end
  return best * 1e6
end

-- What a call of an op costs in a plan, where nothing but its kernel runs: of plans with 300 and 100 calls,
-- the difference.
local function kernel_cost(call, n)
  local function planned(calls)
    local step = inc.plan(function()
      local out
      for _ = 1, calls do out = call() end
      return out
    end, {simplify = false, fuse = false, layout = false, tile = false, hoist = false})
    step()
    assert(step:memory().kernels == calls)
    return cost(step, n)
  end
  return (planned(300) - planned(100)) / 200
end

-- Microseconds from call to result of small eager ops, and how much of them is the kernel's.
local function eager()
  local a, b = inc.ones{4}, inc.ones{4}
  local x, w = inc.ones{1, 8}, inc.ones{8, 8}
  local image, filter = inc.ones{1, 8, 3, 3}, inc.ones{8, 8, 1, 1}
  local calls = {
    {'add', function() return a + b end}, {'relu', function() return a:relu() end},
    {'sum', function() return a:sum() end}, {'linear', function() return inc.linear(x, w) end},
    {'conv2d', function() return inc.conv2d(image, filter) end},
  }
  local rows, n = {}, options.quick and 2000 or 200000
  for _, c in ipairs(calls) do
    rows[#rows + 1] = {op = c[1], us = cost(c[2], n), kernel_us = kernel_cost(c[2], n // 100)}
  end
  return rows
end

local function grow(text)
  local quick = options.quick
  local batches = quick and {1, 2, 4} or {1, 2, 4, 8, 16, 32, 64, 128}
  local sizes = quick and {107, 150, 200} or {150, 200, 250, 299, 350, 400, 450, 500, 600}
  for _, threads in ipairs(inc.core.threads() > 1 and {1, inc.core.threads()} or {1}) do
    for _, what in ipairs{'train', 'infer'} do
      add_batch_fit(text, series(text, what, batches, {quick and 107 or 299}, threads))
      add_size_fit(text, series(text, what, {quick and 1 or 8}, sizes, threads))
    end
  end
end

read_options()
local cpu, _, slug = measure.cpu()
local text = {('cpu: %s, %s, %s, load at the start %.2f'):format(cpu, os.date '!%Y-%m-%d %H:%M',
  options.precision, measure.load())}
text[2] = layout:format('', 'batch', 'side', 'threads', 'ms', 'img/s', 'peak MB', 'arena MB')
grow(text)
local plans, ops = planning(), eager()
for _, p in ipairs(plans) do
  local words = 'planning %s: %.2f s where every kernel is measured, %.2f s where all are known, %d kernels'
  text[#text + 1] = words:format(p.what, p.cold_s, p.warm_s, p.kernels)
end
for _, o in ipairs(ops) do
  text[#text + 1] = ('eager %-7s %.2f us a call, %.2f of them its kernel'):format(o.op, o.us, o.kernel_us)
end
local whole = table.concat(text, '\n') .. '\n'
io.write(whole)
if not options.quick or options.folder then
  local folder = options.folder or 'scripts/bench/results/' .. slug
  measure.save(folder, ('growth-%s.txt'):format(options.precision), whole)
  measure.save(folder, ('growth-%s.json'):format(options.precision), inc.json.encode{cpu = cpu,
    precision = options.precision, points = all, planning = plans, eager = ops} .. '\n')
end
