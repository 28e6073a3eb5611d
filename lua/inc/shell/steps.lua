-- steps.lua -- at which step of a run an entry did something to it.
--
-- `run:set{lr = 1e-3}` typed while a run trains takes effect at the step where the run then was; a script
-- that says it at once trains otherwise. So a saved session has the run rest at that step, says the line, and
-- lets it go on. The step is known late: numbers are taken between two steps, and a run that is told to stop
-- finishes the one at hand.
local steps = {}

local function runs() return package.loaded['inc.run'] end

local function changes_of(run) return require 'inc.train.changes'.read(run.folder) end

--- What the runs that are going are like, before an entry.
function steps.before()
  local list = {}
  for _, run in ipairs(runs() and runs().active() or {}) do
    list[#list + 1] = {run = run, asked = run.asked, changes = #changes_of(run)}
  end
  return list
end

local function what_was_done(was)
  local asked = was.run.asked
  if asked ~= was.asked and asked.what ~= 'continue' then return asked.what end
  return #changes_of(was.run) > was.changes and 'changed' or nil
end

-- A run that was forked from one that was going, where it then stood.
local function forked(before, list)
  local known = {}
  for _, was in ipairs(before) do known[was.run] = true end
  for _, run in ipairs(before[1] and runs().active() or {}) do
    local parent = not known[run] and run.job.parent
    for _, was in ipairs(parent and before or {}) do
      if was.run.folder == parent.folder then
        list[#list + 1] = {n = runs().number(was.run), step = parent.step}
      end
    end
  end
end

--- What an entry did to runs: a list of {n = which run, step}; while the step is not known, also {run, what,
-- changes = those before}. A run must not be kept by that: it holds a net.
-- @param before what steps.before() said when it began
function steps.touched(before)
  local list = {}
  for _, was in ipairs(before) do
    local what = what_was_done(was)
    if what then
      list[#list + 1] = {n = runs().number(was.run), run = was.run, what = what, changes = was.changes}
    end
  end
  forked(before, list)
  return list[1] and list or nil
end

local function step_of(t)
  if t.what == 'stop' or t.what == 'pause' then
    local s = t.run:status()
    return s.state ~= 'running' and s.step or nil
  end
  for _, change in ipairs(changes_of(t.run)) do
    if change.place == t.changes + 1 then return change.step - 1 end
  end
end

--- Look for the steps that are not known yet.
function steps.look(list)
  for _, t in ipairs(list) do
    if not t.step then
      local ok, step = pcall(step_of, t)
      t.step = ok and step or nil
      if t.step then t.run = nil end
    end
  end
end

--- An entry as a script says it: between "rest at that step" and "go on".
function steps.around(text, list)
  local before, behind = '', ''
  for _, t in ipairs(list) do
    if t.step then
      before = ('%skeep.at(%d, %d)\n'):format(before, t.n, t.step)
      behind = ('%s\nkeep.go_on(%d)'):format(behind, t.n)
    end
  end
  return before .. text .. behind
end

return steps
