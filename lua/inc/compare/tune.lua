--- Rates from a grid, under one budget for every entry that has one.
--
-- Each rate is one run of a seed that the comparison itself does not use, so that no entry is helped by luck
-- that is then counted. The best rate by the comparison's metric wins; where it sits at an edge of its grid,
-- the grid goes on there by its own ratio, until the best lies inside or the trials are used up. All choices
-- follow from the runs' logs, so a comparison that was killed in the middle makes the same ones again.

local Arm = require 'inc.compare.arm'
local results = require 'inc.compare.results'
local rounds = require 'inc.compare.rounds'

local tune = {}

local function steps_of(s, entry) return s.tune_steps or entry.total end

local function new_trial(shared, place, rate, probe)
  local s = shared.s
  return Arm.new(shared, {entry = s.entries[place], place = place, seed = s.tune_seed, rate = rate,
    stage = 'tuning', total = steps_of(s, s.entries[place]), probe = probe})
end

--- The first run of an entry with a grid, to rehearse.
function tune.probe(shared, place) return new_trial(shared, place, shared.s.entries[place].grid[1], true) end

-- Better by the metric; the lower rate where they are equal. Diverged is worst.
local function is_better(s, a, b)
  local x, y = a.fact, b.fact
  if (x.state == 'diverged') ~= (y.state == 'diverged') then return y.state == 'diverged' end
  if x.state == 'diverged' or x.final == y.final then return false end
  if s.higher then return x.final > y.final end
  return x.final < y.final
end

local function best_of(s, trials)
  local best = 1
  for i = 2, #trials do
    if is_better(s, trials[i], trials[best]) then best = i end
  end
  return best
end

-- The next rate beyond the edge where the best one sits, or nil.
local function beyond(list, best)
  local n = #list
  if best > 1 and best < n then return nil end
  if best == n then return list[n].rate * (list[n].rate / list[n - 1].rate) end
  return list[1].rate / (list[2].rate / list[1].rate)
end

local function by_rate(a, b) return a.rate < b.rate end

-- A rate as people write it: 4 digits, so that a ratio of 3.1623 gives 0.0316 and not 0.031623000000000003.
local function tidy(rate) return tonumber(('%.4g'):format(rate)) end

local function extend(shared, searches)
  local fresh = {}
  for _, search in ipairs(searches) do
    for _, trial in ipairs(search.trials) do trial.fact = results.of_run(shared.s, trial) end
    table.sort(search.trials, by_rate)
    search.best = best_of(shared.s, search.trials)
    local rate = beyond(search.trials, search.best)
    search.edge = rate ~= nil
    if rate and #search.trials < shared.s.trials then
      local trial = new_trial(shared, search.place, tidy(rate))
      search.trials[#search.trials + 1], fresh[#fresh + 1] = trial, trial
    end
  end
  return #fresh > 0
end

local function all_trials(searches)
  local list = {}
  for _, search in ipairs(searches) do
    for _, trial in ipairs(search.trials) do list[#list + 1] = trial end
  end
  return list
end

local function report(search)
  local list, steps = {}, 0
  for i, trial in ipairs(search.trials) do
    list[i] = {rate = trial.rate, final = trial.fact.final, state = trial.fact.state, step = trial.fact.step}
    steps = steps + trial.fact.step
  end
  return {place = search.place, trials = list, best = search.best, rate = search.trials[search.best].rate,
    edge = search.edge, steps = steps}
end

--- Find a rate for each entry with a grid; entry.rate is set.
-- @param o tick, limit, of rounds.run
-- @return a list: {place (of the entry), trials, best, rate, edge (the best still sits at one), steps (in
--   all)},
--   and seconds by place
function tune.run(shared, o)
  local searches = {}
  for place, entry in ipairs(shared.s.entries) do
    if entry.grid then
      local search = {place = place, trials = {}}
      for i, rate in ipairs(entry.grid) do search.trials[i] = new_trial(shared, place, rate) end
      searches[#searches + 1] = search
    end
  end
  if #searches == 0 then return {}, {} end
  repeat rounds.run(all_trials(searches), o) until not extend(shared, searches)
  local out, seconds = {}, {}
  for i, search in ipairs(searches) do
    out[i], seconds[search.place] = report(search), 0
    shared.s.entries[search.place].rate = out[i].rate
    for _, trial in ipairs(search.trials) do
      local _, time = results.of_run(shared.s, trial)
      seconds[search.place] = seconds[search.place] + time.seconds
    end
  end
  return out, seconds
end

return tune
