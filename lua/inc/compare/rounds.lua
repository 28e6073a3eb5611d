--- Runs by turns: every run of a comparison makes a few steps, then the next one does.
--
-- So whatever happens to the machine meanwhile (heat, a neighbour, another program) happens to all alike, and
-- runs with the same seed find their batches made. A turn is some seconds, short against any drift and long
-- against the cost of changing over; turns are counted in shares of a run, so that runs of different lengths
-- end together. Who comes first moves on by one each round: the first has the batches to wait for, the others
-- do not. Where memory is short, runs are saved and put away, and turns are longer.

local core = require 'inc.core'
local args = require 'inc.args'
local build = require 'inc.train.build'

local rounds = {}

local TURN, LONG_TURN = 4, 60 -- seconds
local ROOM = 600e6 -- bytes that stay free

-- The arms that are not over, seed by seed, each seed beginning with another entry than in the last round.
local function order_of(arms, round)
  local seeds, by_seed, list = {}, {}, {}
  for _, a in ipairs(arms) do
    if not by_seed[a.seed] then
      by_seed[a.seed] = {}
      seeds[#seeds + 1] = a.seed
    end
    if a:has_steps() then table.insert(by_seed[a.seed], a) end
  end
  for _, seed in ipairs(seeds) do
    local group = by_seed[seed]
    for i = 1, #group do list[#list + 1] = group[(i + round - 2) % #group + 1] end
  end
  return list
end

--- Is there memory for a run that wants so many bytes of its own?
function rounds.has_room(wanted)
  local free = build.free_memory()
  return not free or free > 1.3 * wanted + ROOM
end

-- Until another run fits: what is written yet may end, what was rehearsed is made again, and who has had its
-- turn is put away, first the run that was used last (it is the one whose turn is farthest).
local function make_room(state, arms, wanted)
  local open, shared = {}, arms[1].shared
  local function fits() return (state.limit or math.huge) > shared.open and rounds.has_room(wanted) end
  for _, a in ipairs(arms) do
    if fits() then return end
    a:settle(true)
    if a.state == 'open' then open[#open + 1] = a end
  end
  if not fits() and next(shared.kept) then
    shared.kept = {}
    collectgarbage()
  end
  table.sort(open, function(a, b) return a.used > b.used end)
  for _, a in ipairs(open) do
    if fits() then return end
    a:park()
    state.parked = true
  end
end

local function largest(arms, f)
  local most = 0
  for _, a in ipairs(arms) do most = math.max(most, f(a)) end
  return most
end

-- Share of a run that the next round makes: as many steps as fit into a turn, at least one.
local function length_of(state, arms)
  local seconds = state.parked and LONG_TURN or TURN
  local steps = state.step_time and math.floor(seconds / state.step_time) or 1
  local window = math.huge
  for _, a in ipairs(arms) do window = math.min(window, a:window()) end
  return math.max(1, math.min(steps, state.parked and steps or window))
end

-- The round's end for each arm: the slowest run's share and some steps of the longest run.
local function ends_of(arms, steps)
  local longest, least = largest(arms, function(a) return a.total end), math.huge
  for _, a in ipairs(arms) do least = math.min(least, a.step / a.total) end
  local share = least + steps / longest
  return function(a) return math.min(a.total, math.max(1, math.ceil(share * a.total - 1e-9))) end
end

local function one_turn(state, a, step, arms, tick)
  local function look() tick(arms) end
  if a.state ~= 'open' then
    make_room(state, arms, largest(arms, function(b) return b:bytes() end))
    a:open()
  end
  if a.step >= step then return end -- it was ahead, and its checkpoint knew more than was known
  local before = a.step
  local took = a:turn(step, look)
  state.count = state.count + 1
  a.used = state.count
  if a.step > before and before > 0 then -- a first step prepares kernels and says nothing
    local each = took / (a.step - before)
    state.step_time = math.max(each, 0.5 * (state.step_time or 0))
  end
end

-- Whatever ends the comparison early, runs that are open save and are resumed another time.
local function saving(arms)
  return args.finally(function(_, err)
    if err == nil then return end
    for _, a in ipairs(arms) do
      if a.run then
        if tostring(err):find 'interrupted' then core.run_finish(a.run.handle) end
        pcall(a.state == 'open' and a.park or a.settle, a, true)
      end
    end
  end)
end

--- Make all arms' runs, by turns.
-- @param arms a list; those that are over are left alone
-- @param o limit (of runs in memory), tick(arms) called a few times a second
function rounds.run(arms, o)
  local state, round = {count = 0, limit = o.limit}, 0
  local _ <close> = saving(arms)
  for _, a in ipairs(arms) do a.used = 0 end
  while true do
    round = round + 1
    local list = order_of(arms, round)
    for _, a in ipairs(arms) do a:settle(#list == 0) end
    if #list == 0 then return end
    local goal = ends_of(list, length_of(state, list))
    for _, a in ipairs(list) do
      if a.step < goal(a) or a.step >= a.total then one_turn(state, a, goal(a), arms, o.tick) end
    end
    o.tick(arms)
  end
end

return rounds
