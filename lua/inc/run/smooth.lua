--- Smoothing of curves, in one place: plot, run:plot and diff all use it and say so in their legends.
--
-- TensorBoard's formula, so that a curve here looks as it does there: an exponential mean that is corrected
-- for its start at zero, over every point of the log. (TensorBoard thins long curves first, so the past of
-- its smoothed curves moves while a run grows; ours does not.) Means over a window were rejected: they shift
-- the curve, and a reader cannot tell by how much.

local args = require 'inc.args'

local smooth = {}

--- The weight that plots use where none is given.
smooth.WEIGHT = 0.6

local function is_finite(v) return v == v and v ~= math.huge and v ~= -math.huge end

local function is_constant(y)
  for i = 2, #y do
    if y[i] ~= y[1] then return false end
  end
  return true
end

--- The same formula, value by value, for whoever has no list yet.
-- @param weight share of the past
-- @return f(v): the smoothed value after the finite number v
-- > f = require('inc.run.smooth').running(0.5)
-- > f(4)  --> 4
-- > f(0)  --> 1.3333333
function smooth.running(weight)
  local last, seen = 0, 0
  return function(v)
    last, seen = last * weight + (1 - weight) * v, seen + 1
    return weight == 1 and last or last / (1 - weight ^ seen)
  end
end

--- TensorBoard's smoothing: s = w s + (1 - w) y from s = 0, shown as s / (1 - w^n) after n finite values.
-- Values that are not finite are shown as they are and counted nowhere, a constant curve stays as it is, and
-- with w = 1 nothing is divided.
-- @param y list of numbers
-- @param weight share of the past: 0 (no smoothing) to 1
-- @return a list of the same length
-- > inc.plot.smooth({4, 0}, 0.5)  --> {4, 1.3333333}
function smooth.debiased(y, weight)
  local out, f, constant = {}, smooth.running(weight), is_constant(y)
  for i, v in ipairs(y) do out[i] = (constant or not is_finite(v)) and v or f(v) end
  return out
end

--- The weight that a user gave, checked: 0 to below 1.
-- @param who begins the message
function smooth.check(weight, who)
  if type(weight) == 'number' and weight >= 0 and weight < 1 then return weight end
  args.fail('%s: smooth: expected a number from 0 to below 1, got %s', who, tostring(weight))
end

--- What a legend says of a smoothed curve.
-- > require('inc.run.smooth').label('loss', 0.6)  --> loss (smoothed 0.6)
function smooth.label(name, weight) return ('%s (smoothed %g)'):format(name, weight) end

return smooth
