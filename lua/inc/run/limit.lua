--- What limits a run: its steps or its pictures, and of those what.
--
-- A run that hardly waits is limited by its steps, whatever pictures cost; one that waits is limited by the
-- costliest part of making a picture. On a CPU both share the cores: the times of a picture are those of a
-- worker that may have had to wait for its turn.

local limit = {}

local WAITS = 0.1 -- share of the time of steps from which waiting is what limits

-- {name, milliseconds} of the parts of making a picture.
local function parts_of(loading)
  return {{'reading', loading.read}, {'decode', loading.decode},
    {'augmentation', loading.resize + loading.colour}}
end

--- (for run) One word for what limits a run, of its status: compute, decode, augmentation, reading, or wait
-- where nothing is known of its pictures; nil before the first step.
function limit.of(status)
  local t = status.time
  if t.wait + t.compute == 0 then return nil end
  if t.wait < WAITS * (t.wait + t.compute) then return 'compute' end
  local worst = {'wait', 0}
  for _, part in ipairs(status.loading and parts_of(status.loading) or {}) do
    if part[2] > worst[2] then worst = part end
  end
  return worst[1]
end

--- (for run) The sentence about it; nil before the first step.
function limit.words(status)
  local t, by = status.time, limit.of(status)
  if not by then return nil end
  local sum = t.wait + t.compute + t.validate + t.save
  local text = ('limited by %s: %.0f%% of the time in steps, %.0f%% waiting for pictures, %.0f%% validating, '
    .. '%.0f%% saving'):format(by, 100 * t.compute / sum, 100 * t.wait / sum, 100 * t.validate / sum,
    100 * t.save / sum)
  if not status.loading then return text end
  local costs, all = {}, 0
  for i, part in ipairs(parts_of(status.loading)) do
    costs[i], all = ('%s %.2f'):format(part[1], part[2]), all + part[2]
  end
  return ('%s; a picture takes a worker %.2f ms: %s'):format(text, all, table.concat(costs, ', '))
end

return limit
