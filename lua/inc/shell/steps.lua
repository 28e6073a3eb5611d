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

--- How many runs the session has made.
function steps.count() return runs() and #runs().folders() or 0 end

-- The next step at which something is done to run n, behind place `at` of the list of all that was done.
local function next_step(all, at, n)
  for i = at + 1, #all do
    if all[i].n == n and all[i].step then return (', %d'):format(all[i].step) end
  end
  return ''
end

--- Entries as a script says them: what was done to a run stands between "rest at that step" and "go on"; a
-- run knows from its beginning where it will have to rest, so that a slow script does not come too late.
-- @param entries a list of {text =, touched = a list as steps.touched gives it or nil, made = {first, last
--   run}}
function steps.written(entries)
  local all, at, lines = {}, 0, {}
  for _, e in ipairs(entries) do table.move(e.touched or {}, 1, #(e.touched or {}), #all + 1, all) end
  for i, e in ipairs(entries) do
    local before, behind = '', ''
    for _, t in ipairs(e.touched or {}) do
      at = at + 1
      if t.step then
        before = ('%skeep.at(%d, %d)\n'):format(before, t.n, t.step)
        behind = ('%s\nkeep.go_on(%d%s)'):format(behind, t.n, next_step(all, at, t.n))
      end
    end
    for n = e.made and e.made[1] or 1, e.made and e.made[2] or 0 do
      local where = next_step(all, at, n)
      if where ~= '' then behind = ('%s\nkeep.go_on(%d%s)'):format(behind, n, where) end
    end
    lines[i] = before .. e.text .. behind
  end
  return lines
end

return steps
