--- The plots of a comparison's page: which curves, over what, with which band.
--
-- Curves are means over the runs of an entry at each step, with a band over the runs that are still going:
-- from
-- the least to the largest for fewer than five, else an interval of the mean. What they are drawn with is in
-- svg.lua. Curves are smoothed before they are thinned, so that thinning never changes a shape.

local smooth = require 'inc.run.smooth'
local stats = require 'inc.compare.stats'
local metric = require 'inc.compare.metric'
local svg = require 'inc.compare.svg'

local figures = {}

local escape = svg.escape

--- The colour of an entry, by its place: there are eight.
function figures.colour(i) return (i - 1) % 8 + 1 end

--- How svg.lua should write values of a metric.
function figures.format_of(of) return metric.is_share(of) and 'percent' or nil end

local colour, format_of = figures.colour, figures.format_of

-- -- curves -------------------------------------------------------------------------------------------------

local MOST = 240 -- points of a curve in the page

local function thinned(list)
  if #list <= MOST then return list end
  local out = {}
  for k = 1, MOST do out[k] = list[1 + (k - 1) * (#list - 1) // (MOST - 1)] end
  return out
end

-- Values of the runs of an entry at each step that any of them has: mean, and the band over those still
-- going.
local function gather(e, points_of, x_of, alpha)
  local at, steps = {}, {}
  for j, run in ipairs(e.runs) do
    for _, p in ipairs(points_of(run)) do
      if not at[p[1]] then
        at[p[1]] = {}
        steps[#steps + 1] = p[1]
      end
      table.insert(at[p[1]], {p[2], x_of(p[1], j)})
    end
  end
  table.sort(steps)
  local s = {x = {}, y = {}, low = {}, high = {}}
  for _, step in ipairs(thinned(steps)) do
    local values, xs = {}, {}
    for k, v in ipairs(at[step]) do values[k], xs[k] = v[1], v[2] end
    local mean, low, high = stats.interval(values, alpha)
    if #values < 5 then low, high = math.min(table.unpack(values)), math.max(table.unpack(values)) end
    local k = #s.x + 1
    s.x[k], s.y[k], s.low[k], s.high[k] = stats.mean(xs), mean, low, high
  end
  return s
end

local function ends_of(e, points_of, x_of)
  local list = {}
  for j, run in ipairs(e.runs) do
    local points = points_of(run)
    if run.state == 'diverged' and #points > 0 then
      list[#list + 1] = {x_of(points[#points][1], j), points[#points][2]}
    end
  end
  return list
end

local WEIGHT = 0.9 -- of the smoothed training loss

local function smoothed(run)
  local y, out = {}, {}
  for i, p in ipairs(run.loss) do y[i] = p[2] end
  for i, v in ipairs(smooth.debiased(y, WEIGHT)) do out[i] = {run.loss[i][1], v} end
  return out
end

-- The largest value of the curves without a diverged run, or of the first points where all diverged.
local function ceiling(list)
  local most, first = -math.huge, -math.huge
  for _, s in ipairs(list) do
    first = math.max(first, s.y[1])
    for _, v in ipairs(#s.ends == 0 and s.high or {}) do most = math.max(most, v) end
  end
  return most > -math.huge and most or 2 * first
end

-- One exploding run would press all others into a line: it leaves at the top.
local function cut(list)
  local most = ceiling(list)
  for _, s in ipairs(list) do
    for _, values in ipairs{s.y, s.low, s.high} do
      for i, v in ipairs(values) do values[i] = math.min(v, most) end
    end
    for _, e in ipairs(s.ends) do e[2] = math.min(e[2], most) end
  end
  return list
end

local function curves_of(c, points_of, x_of)
  local list = {}
  for i, e in ipairs(c.facts.entries) do
    local function x(step, j) return x_of(i, j, step) end
    local s = gather(e, points_of, x, c.facts.alpha)
    s.colour, s.ends = colour(i), ends_of(e, points_of, x)
    if #s.x > 0 then list[#list + 1] = s end
  end
  return list
end

--- A plot with a heading above and a word below.
function figures.put(out, title, drawing, caption)
  out:put('<figure><h3>%s</h3>%s<figcaption>%s</figcaption></figure>', escape(title), drawing,
    escape(caption))
end

local function put_legend(out, f)
  out:put '<div class="legend">'
  for i, e in ipairs(f.entries) do
    out:put('<span><span class="chip k%d"></span>%s</span>', colour(i), escape(e.name))
  end
  out:put '</div>'
end

--- Validation and training loss, by pictures seen and by time.
function figures.curves(out, c, times)
  local f = c.facts
  local band = #f.seeds < 5 and 'from the least to the largest'
    or ('%g%% interval'):format(100 * (1 - f.alpha))
  local name = metric.name(f.metric)
  local function pictures(i, _, step) return step * f.entries[i].batch end
  local function seconds(i, j, step) return c.times.entries[i].runs[j].at[step] or 0 end
  local function val(run) return run.val end
  out:put '<h2>Curves</h2>'
  put_legend(out, f)
  out:put '<div class="plots">'
  if metric.is_validated(f.metric) then
    figures.put(out, name .. ' on held-out pictures', svg.curves(curves_of(c, val, pictures), {title = name,
      xname = 'pictures seen', format = format_of(f.metric)}), 'Mean over seeds, band ' .. band ..
        '; × a run diverged.')
    if times then
      figures.put(out, name .. ' by time', svg.curves(curves_of(c, val, seconds), {title = name .. ' by time',
        xname = 'seconds of training', format = format_of(f.metric)}),
          'Steps alone: without validation, saving and loading.')
    end
  end
  local caption = ("Smoothed by TensorBoard's formula, weight %g; mean and band as above."):format(WEIGHT)
  figures.put(out, 'Training loss', svg.curves(cut(curves_of(c, smoothed, pictures)),
    {title = 'training loss',
    xname = 'pictures seen'}), caption)
  if times then
    figures.put(out, 'Training loss by time', svg.curves(cut(curves_of(c, smoothed, seconds)),
      {title = 'training loss by time', xname = 'seconds of training'}),
        'Steps alone: without validation, saving and loading.')
  end
  out:put '</div>'
end

--- Finals and differences, seed by seed.
function figures.intervals(out, f)
  local finals, differences, name = {}, {}, metric.name(f.metric)
  for i, e in ipairs(f.entries) do
    finals[i] = {name = e.name, values = e.values, mean = e.final, low = e.final_low, high = e.final_high,
      colour = colour(i)}
    local r = e.against
    if r then
      differences[#differences + 1] = {name = e.name, values = r.differences, mean = r.seeds.mean,
        low = r.seeds.low,
        high = r.seeds.high, colour = colour(i)}
    end
  end
  local interval = ('A dot a seed, a bar the mean, a stripe its %g%% interval.'):format(100 * (1 - f.alpha))
  out:put '<h2>Seeds</h2><div class="plots">'
  figures.put(out, 'Final ' .. name, svg.intervals(finals, {title = 'final ' .. name, xname = name,
    format = format_of(f.metric)}), interval)
  if #differences > 0 then
    figures.put(out, 'Difference to ' .. f.entries[f.base].name .. ' on equal seeds',
      svg.intervals(differences, {title = 'differences', zero = true,
        xname = metric.is_share(f.metric) and 'points' or name, format = metric.is_share(f.metric)
          and 'points'
          or nil}),
      interval)
  end
  out:put '</div>'
end

return figures
