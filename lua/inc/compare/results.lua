--- What the runs of a comparison came to, read from their folders: nothing here depends on how often it was
-- interrupted.
--
-- Two tables are kept apart: facts, which are the same to the bit however the comparison was made, and times,
-- which are not. A run that diverged counts: as no picture right (or the worst loss that any run had), in
-- every mean, test and plot. It is never left out, for leaving it out would reward an optimizer for failing
-- early.

local core = require 'inc.core'
local json = require 'inc.json'
local log = require 'inc.run.log'
local metric = require 'inc.compare.metric'
local stats = require 'inc.compare.stats'

local results = {}

-- -- one run ------------------------------------------------------------------------------------------------

-- Points of a column that have a value.
local function points(columns, name)
  local list = {}
  for i, v in ipairs(columns[name] or {}) do
    if v == v then list[#list + 1] = {columns.step[i], v} end
  end
  return list
end

-- The mean of the last tenth of the losses: what a single batch's loss says is mostly about the batch.
local function last_loss(columns)
  local n, sum = #columns.step, 0
  if n == 0 then return nil end
  local first = n - math.max(1, n // 10) + 1
  for i = first, n do sum = sum + columns.loss[i] end
  return sum / (n - first + 1)
end

local function best_of(list, higher)
  local best
  for _, p in ipairs(list) do
    if not best or (higher and p[2] > best[2]) or (not higher and p[2] < best[2]) then best = p end
  end
  return best
end

local function right_of(path, step)
  if not core.path_kind(path) then return nil end
  local judged, right = json.read(path), {}
  if judged.step ~= step then return nil end
  for i, label in ipairs(judged.label) do right[i] = judged.called[i] == label end
  return right, judged.picture
end

-- Seconds of the steps themselves: what validation, saving and the turns of others took is not in it, nor the
-- wait for pictures, because whose turn comes first waits for the batches that the others find made.
local function step_times(columns, batch)
  local total, speeds, at = 0, {}, {}
  for i, img_s in ipairs(columns.img_s or {}) do
    local took = img_s > 0 and batch / img_s - (columns.data_wait[i] or 0) or 0
    if took > 0 then
      total = total + took
      if i > 2 then speeds[#speeds + 1] = batch / took end -- the first ones prepare kernels
    end
    at[columns.step[i]] = total
  end
  return {seconds = total, img_s = stats.median(speeds), at = at}
end

--- Facts and times of one run.
-- @param a its arm (inc/compare/arm.lua), over
-- @return {seed, state, step, final, best, best_step, val, loss, ...}, {seconds, img_s, at}
function results.of_run(s, a)
  local path = a.folder .. '/log.jsonl'
  local columns = core.path_kind(path) and log.read(path) or {step = {}, loss = {}}
  local val = metric.is_validated(s.metric) and points(columns, s.metric) or {}
  local times = step_times(columns, a.entry.read.batch)
  local fact = {seed = a.seed, rate = a.rate, state = a.state, step = a.step, why = a.why, val = val,
    loss = points(columns, 'loss'), train_loss = last_loss(columns)}
  if s.metric == 'loss' then
    fact.final = last_loss(columns)
    fact.best, fact.best_step = fact.final, a.step
  elseif s.metric == 'img_s' then
    fact.final, fact.best, fact.best_step = times.img_s or 0, times.img_s or 0, a.step
  elseif #val > 0 then
    local best = best_of(val, s.higher)
    fact.final, fact.best, fact.best_step = val[#val][2], best[2], best[1]
  end
  if a.state == 'finished' then fact.right = right_of(a.folder .. '/val.json', a.step) end
  return fact, times
end

-- -- one entry ----------------------------------------------------------------------------------------------

-- The value that a diverged run counts as: no picture right, or for losses the worst that a run which did not
-- diverge ever had, and that of guessing at least.
local function worst_value(s, all)
  if s.higher then return 0 end
  local worst = math.log(math.max(2, #s.images:classes()))
  for _, runs in ipairs(all) do
    for _, run in ipairs(runs) do
      for _, p in ipairs(run.state == 'finished' and (s.metric == 'loss' and run.loss or run.val) or {}) do
        worst = math.max(worst, p[2])
      end
    end
  end
  return worst
end

local function count_as(name, runs, worst, pictures)
  for _, run in ipairs(runs) do
    if run.state == 'diverged' then
      run.last_value = run.final
      run.final, run.best = worst, metric.is_validated(name) and run.best or worst
      run.right = {}
      for i = 1, pictures do run.right[i] = false end
    end
  end
end

local function summary(s, entry, runs)
  local finals, bests, diverged = {}, {}, 0
  for i, run in ipairs(runs) do
    finals[i], bests[i] = run.final, run.best
    if run.state == 'diverged' then diverged = diverged + 1 end
  end
  local r = {name = entry.name, rate = entry.rate, lr = entry.read.optimizer.options.lr, runs = runs,
    n = #runs, diverged = diverged,
    steps = entry.total,
    batch = entry.read.batch, memory = entry.memory, values = finals}
  r.final, r.final_low, r.final_high = stats.interval(finals, s.alpha)
  r.best, r.best_low, r.best_high = stats.interval(bests, s.alpha)
  return r
end

-- Steps until a run's validation first reaches a target; infinite for a miss.
local function steps_to(s, run, target)
  if run.state == 'diverged' then return math.huge end
  for _, p in ipairs(run.val) do
    if s.higher and p[2] >= target or not s.higher and p[2] <= target then return p[1] end
  end
  return math.huge
end

local function reach(s, entries, times, targets)
  for i, e in ipairs(entries) do
    e.targets, times[i].targets = {}, {}
    for k, target in ipairs(targets) do
      local steps, seconds, missed = {}, {}, 0
      for j, run in ipairs(e.runs) do
        steps[j] = steps_to(s, run, target)
        seconds[j] = steps[j] < math.huge and times[i].runs[j].at[steps[j]] or math.huge
        if steps[j] == math.huge then missed = missed + 1 end
      end
      e.targets[k] = {target = target, steps = stats.median(steps), missed = missed}
      times[i].targets[k] = {target = target, seconds = stats.median(seconds)}
    end
  end
end

-- The base's mean, and a little less: one and two points, or five and ten percent of a loss.
local function usual_targets(s, base)
  if not metric.is_validated(s.metric) then return {} end
  if s.higher then return {base.final, base.final - 0.01, base.final - 0.02} end
  return {base.final, base.final * 1.05, base.final * 1.1}
end

local function time_of_entry(runs)
  local t, speeds = {runs = runs, seconds = 0}, {}
  for _, run in ipairs(runs) do
    t.seconds = t.seconds + run.seconds
    speeds[#speeds + 1] = run.img_s
  end
  t.img_s = stats.median(speeds)
  return t
end

local function least_pictures(all)
  local n
  for _, runs in ipairs(all) do
    for _, run in ipairs(runs) do n = run.right and math.min(n or #run.right, #run.right) or n end
  end
  return n or 0
end

-- Pictures are compared where all runs judged the same ones.
local function verdicts(s, entries, pictures)
  local list = {}
  for i, e in ipairs(entries) do
    list[i] = {values = e.values}
    if pictures > 0 and s.metric == 'val.top1' then
      list[i].right = {}
      for j, run in ipairs(e.runs) do list[i].right[j] = run.right or false end
    end
  end
  local found = stats.verdicts(list, s.base, {higher = s.higher, alpha = s.alpha,
    resolution = metric.is_share(s.metric) and pictures > 0 and 1 / pictures or nil})
  for i, e in ipairs(entries) do e.against = found[i] or nil end
end

--- Facts and times of a comparison whose runs are over.
-- @param s of inc/compare/spec.lua
-- @param arms list, an entry each, of lists, a seed each
-- @return facts {metric, base, entries}, times {entries}
function results.of(s, arms)
  local all, times = {}, {}
  for i, list in ipairs(arms) do
    all[i], times[i] = {}, {}
    for j, a in ipairs(list) do all[i][j], times[i][j] = results.of_run(s, a) end
  end
  local pictures, entries = least_pictures(all), {}
  local worst = worst_value(s, all)
  for i, runs in ipairs(all) do
    count_as(s.metric, runs, worst, pictures)
    entries[i], times[i] = summary(s, s.entries[i], runs), time_of_entry(times[i])
  end
  verdicts(s, entries, pictures)
  local targets = s.targets or usual_targets(s, entries[s.base])
  reach(s, entries, times, targets)
  return {metric = s.metric, base = s.base, seeds = s.seeds, alpha = s.alpha, pictures = pictures,
    entries = entries,
    targets = targets}, {entries = times}
end

-- -- settings that differ -----------------------------------------------------------------------------------

-- 1 and 1.0 are one number, and 1e12 is read more easily than its zeros.
local function shown(v)
  if type(v) ~= 'number' then return tostring(v) end
  local short = ('%.9g'):format(v)
  return tonumber(short) == v and short or ('%.17g'):format(v)
end

local function flatten(t, prefix, out)
  for key, v in pairs(t) do
    if type(v) == 'table' and #v == 0 and next(v) then
      flatten(v, prefix .. key .. '.', out)
    elseif type(v) ~= 'table' or next(v) then
      out[prefix .. key] = type(v) == 'table' and json.encode(v) or shown(v)
    end
  end
  return out
end

--- The settings that are not the same for all entries.
-- @return sorted names, and a list (an entry each) of values by name
function results.differing(identity)
  local flat, names, known = {}, {}, {}
  for i, e in ipairs(identity.entries) do
    flat[i] = flatten({settings = e.settings, threads = e.threads, net = e.net, steps = e.steps}, '', {})
    local tidy = {}
    for key, v in pairs(flat[i]) do
      tidy[(key:gsub('^settings%.', ''):gsub('^(%a+)%.%1$', '%1'))] = v -- optimizer.optimizer
    end
    flat[i] = tidy
    for key in pairs(tidy) do
      if not known[key] then names[#names + 1], known[key] = key, true end
    end
  end
  local differ = {}
  for _, name in ipairs(names) do
    for i = 2, #flat do
      if flat[i][name] ~= flat[1][name] then
        differ[#differ + 1] = name
        break
      end
    end
  end
  table.sort(differ)
  return differ, flat
end

-- Which part of a training a setting belongs to.
local function part_of(name)
  for _, part in ipairs{'optimizer', 'schedule', 'ema', 'precision', 'threads', 'net', 'model_options'} do
    if name == part or name:find('^' .. part .. '%.') then return part end
  end
  return name
end

--- The parts of training that differ: a fair comparison of optimizers has one.
function results.parts(differ)
  local list, seen = {}, {}
  for _, name in ipairs(differ) do
    local part = part_of(name)
    if not seen[part] then list[#list + 1], seen[part] = part, true end
  end
  return list
end

return results
