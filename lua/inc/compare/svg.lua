--- Plots of a comparison's page as SVG text: curves with bands, intervals round zero, dots a seed.
--
-- Drawn in a box of 420 units, which is what a phone shows one to one, with colours from the page's style
-- sheet:
-- the page decides about light and dark, and prints them without a word here. Rejected: gnuplot's svg
-- terminal,
-- whose colours and sizes are fixed when the file is written, and which may not be installed.

local args = require 'inc.args'

local svg = {}

local W, H, LEFT, RIGHT, TOP, BOTTOM = 420, 250, 46, 10, 12, 34

--- Text for HTML and SVG: what users named may hold anything.
function svg.escape(s)
  return (tostring(s):gsub('[&<>"\']', {['&'] = '&amp;', ['<'] = '&lt;', ['>'] = '&gt;', ['"'] = '&quot;',
    ["'"] = '&#39;'}))
end

-- -- axes ---------------------------------------------------------------------------------------------------

-- Round numbers between low and high, about n of them.
local function ticks(low, high, n)
  local raw = (high - low) / n
  local power = 10 ^ math.floor(math.log(raw, 10))
  local step = power * 10
  for _, m in ipairs{1, 2, 5} do
    if raw <= m * power * 1.0001 then
      step = m * power
      break
    end
  end
  local list = {}
  for k = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do list[#list + 1] = k * step end
  return list, step
end

local function plain(v, step)
  local digits = math.max(0, -math.floor(math.log(step, 10) + 1e-9))
  return (('%%.%df'):format(math.min(digits, 6))):format(v)
end

local function label_of(format, v, step)
  if format == 'percent' then return plain(100 * v, 100 * step) .. '%' end
  if format == 'points' then return (v > step / 2 and '+' or '') .. plain(100 * v, 100 * step) end
  if math.abs(v) >= 10000 then return ('%gk'):format(v / 1000) end
  return plain(v, step)
end

-- Low and high of a list of values, with a little room; never empty.
local function range(values, low, high)
  for _, v in ipairs(values) do
    if v == v and math.abs(v) < math.huge then low, high = math.min(low or v, v), math.max(high or v, v) end
  end
  if not low then return 0, 1 end
  local room = (high - low) * 0.05
  if room == 0 then room = math.abs(high) > 0 and math.abs(high) * 0.1 or 0.5 end
  return low - room, high + room
end

local function scale(low, high, from, to)
  return function(v) return from + (v - low) / (high - low) * (to - from) end
end

-- -- drawing ------------------------------------------------------------------------------------------------

local Canvas = {}
Canvas.__index = Canvas

local function canvas(height, title)
  local self = setmetatable({parts = {}, height = height}, Canvas)
  self:put('<svg viewBox="0 0 %d %d" role="img" aria-label="%s">', W, height, svg.escape(title))
  return self
end

--- (for this file) A line of the drawing, formatted where there are values.
function Canvas:put(format, ...)
  self.parts[#self.parts + 1] = select('#', ...) > 0 and format:format(...) or format
end

--- (for this file) The drawing as text.
function Canvas:done()
  self:put '</svg>'
  return table.concat(self.parts, '\n')
end

local function x_axis(c, x, low, high, format, name, grid)
  local list, step = ticks(low, high, 5)
  for _, v in ipairs(list) do
    local at = x(v)
    if grid then c:put('<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>', at, at, TOP,
        c.height - BOTTOM) end
    local label = label_of(format, v, step)
    local inside = at + 3.6 * #label < W -- what would stick out ends at the edge
    c:put('<text x="%.1f" y="%d" class="%s">%s</text>', inside and at or W, c.height - BOTTOM + 14,
      inside and 'mid' or 'end', label)
  end
  c:put('<text x="%d" y="%d" class="mid name">%s</text>', (LEFT + W - RIGHT) // 2, c.height - 5,
    svg.escape(name))
end

local function y_axis(c, y, low, high, format)
  local list, step = ticks(low, high, 5)
  for _, v in ipairs(list) do
    local at = y(v)
    c:put('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>', LEFT, W - RIGHT, at, at)
    c:put('<text x="%d" y="%.1f" class="end">%s</text>', LEFT - 5, at + 3.5, label_of(format, v, step))
  end
end

local function path_of(x, y, xs, ys)
  local out = {}
  for i = 1, #xs do out[i] = ('%s%.1f %.1f'):format(i == 1 and 'M' or 'L', x(xs[i]), y(ys[i])) end
  return table.concat(out)
end

local function band(c, x, y, s, colour)
  local out = {}
  for i = 1, #s.x do out[#out + 1] = ('%s%.1f %.1f'):format(i == 1 and 'M' or 'L', x(s.x[i]),
      y(s.high[i])) end
  for i = #s.x, 1, -1 do out[#out + 1] = ('L%.1f %.1f'):format(x(s.x[i]), y(s.low[i])) end
  c:put('<path class="band c%d" d="%sZ"/>', colour, table.concat(out))
end

-- One point makes no line: a dot.
local function line(c, x, y, s, colour)
  if #s.x > 1 then
    c:put('<path class="line c%d" d="%s"/>', colour, path_of(x, y, s.x, s.y))
  else
    c:put('<circle class="dot c%d" cx="%.1f" cy="%.1f" r="3.5"/>', colour, x(s.x[1]), y(s.y[1]))
  end
end

--- Curves with bands.
-- @param list of {x, y, low, high (lists, may be nil), colour, ends (list of {x, y} where runs diverged)}
-- @param o title, xname, format ('percent' or nil)
function svg.curves(list, o)
  local c, all_x, all_y = canvas(H, o.title), {}, {}
  for _, s in ipairs(list) do
    table.move(s.x, 1, #s.x, #all_x + 1, all_x)
    for _, values in ipairs{s.y, s.low or {}, s.high or {}} do table.move(values, 1, #values, #all_y + 1,
        all_y) end
  end
  if #all_x == 0 then
    c:put('<text x="%d" y="%d" class="mid">nothing was measured</text>', W // 2, H // 2)
    return c:done()
  end
  local x_low, x_high = 0, 0
  for _, v in ipairs(all_x) do x_high = math.max(x_high, v) end
  local y_low, y_high = range(all_y)
  if o.format == 'percent' then y_low, y_high = math.max(y_low, -0.02), math.min(y_high, 1.02) end
  local x, y = scale(x_low, x_high * 1.02, LEFT, W - RIGHT), scale(y_low, y_high, H - BOTTOM, TOP)
  y_axis(c, y, y_low, y_high, o.format)
  x_axis(c, x, x_low, x_high, nil, o.xname)
  for _, s in ipairs(list) do
    if s.low then band(c, x, y, s, s.colour) end
  end
  for _, s in ipairs(list) do
    if #s.x > 0 then line(c, x, y, s, s.colour) end
    for _, e in ipairs(s.ends or {}) do
      c:put('<text class="cross c%d" x="%.1f" y="%.1f">×</text>', s.colour, x(e[1]), y(e[2]) + 4)
    end
  end
  return c:done()
end

-- -- one row an entry ---------------------------------------------------------------------------------------

local ROW, NAME = 30, 112

local function row_name(c, name, at)
  local short = (utf8.len(name) or 0) > 16 and args.clip(name, 15) .. '…' or name
  c:put('<text x="2" y="%.1f" class="row">%s</text>', at + 4, svg.escape(short))
end

--- Rows with an interval and dots: finals of each seed, or differences round zero.
-- @param rows of {name, values, mean, low, high, colour, mark (a word at the right, or nil)}
-- @param o title, xname, format, zero = true for a line there
function svg.intervals(rows, o)
  local height, all = #rows * ROW + TOP + BOTTOM, {}
  local c = canvas(height, o.title)
  for _, r in ipairs(rows) do
    table.move(r.values, 1, #r.values, #all + 1, all)
    for _, v in ipairs{r.low or r.mean, r.high or r.mean} do all[#all + 1] = v end
  end
  local low, high = range(all, o.zero and 0 or nil, o.zero and 0 or nil)
  if o.format == 'percent' then low, high = math.max(low, -0.02), math.min(high, 1.02) end
  local x = scale(low, high, NAME, W - RIGHT)
  local function inside(v) return math.max(NAME, math.min(W - RIGHT, x(v))) end
  x_axis(c, x, low, high, o.format, o.xname, true)
  if o.zero then
    c:put('<line class="zero" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>', x(0), x(0), TOP - 4,
      height - BOTTOM + 3)
  end
  for i, r in ipairs(rows) do
    local at = TOP + (i - 0.5) * ROW
    row_name(c, r.name, at)
    if r.low then
      c:put('<line class="whisker c%d" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>', r.colour, inside(r.low),
        inside(r.high), at, at)
    end
    for _, v in ipairs(r.values) do
      c:put('<circle class="seed c%d" cx="%.1f" cy="%.1f" r="3"/>', r.colour, x(v), at)
    end
    c:put('<rect class="dot c%d" x="%.1f" y="%.1f" width="3" height="16"/>', r.colour, x(r.mean) - 1.5,
      at - 8)
  end
  return c:done()
end

--- Trials of a grid: the metric by rate, on a logarithmic axis.
-- @param list of {points = list of {rate, value, diverged}, best = its place, colour}
-- @param o title, xname, format
function svg.rates(list, o)
  local c, rates, values = canvas(H, o.title), {}, {}
  for _, s in ipairs(list) do
    for _, p in ipairs(s.points) do
      rates[#rates + 1] = math.log(p[1], 10)
      if not p[3] then values[#values + 1] = p[2] end
    end
  end
  local x_low, x_high = range(rates)
  local y_low, y_high = range(values)
  local x, y = scale(x_low, x_high, LEFT, W - RIGHT), scale(y_low, y_high, H - BOTTOM, TOP)
  y_axis(c, y, y_low, y_high, o.format)
  for k = math.ceil(x_low), math.floor(x_high) do
    c:put('<text x="%.1f" y="%d" class="mid">%g</text>', x(k), H - BOTTOM + 14, 10.0 ^ k)
  end
  c:put('<text x="%d" y="%d" class="mid name">%s</text>', (LEFT + W - RIGHT) // 2, H - 5, svg.escape(o.xname))
  for _, s in ipairs(list) do
    local xs, ys = {}, {}
    for _, p in ipairs(s.points) do
      if p[3] then
        c:put('<text class="cross c%d" x="%.1f" y="%d">×</text>', s.colour, x(math.log(p[1], 10)),
          H - BOTTOM - 2)
      else
        xs[#xs + 1], ys[#ys + 1] = math.log(p[1], 10), p[2]
      end
    end
    if #xs > 1 then c:put('<path class="line thin c%d" d="%s"/>', s.colour, path_of(x, y, xs, ys)) end
    for i, p in ipairs(s.points) do
      if not p[3] then
        c:put('<circle class="%s c%d" cx="%.1f" cy="%.1f" r="%s"/>', i == s.best and 'dot' or 'seed',
          s.colour,
          x(math.log(p[1], 10)), y(p[2]), i == s.best and '5' or '3')
      end
    end
  end
  return c:done()
end

return svg
