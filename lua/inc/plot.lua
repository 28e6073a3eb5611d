-- plot.lua -- curves in the terminal (text) or in a file (PNG, SVG, PDF), drawn by gnuplot.
--
-- A plot must never harm the run that it shows: gnuplot absent, crashed or slow gives nil and one sentence,
-- no error. gnuplot gets its commands on standard input and writes the picture to standard output; it is
-- never given a file name, and text of the user's stands between single quotes only, where gnuplot expands
-- nothing. A pipe kept open for ever was rejected: a gnuplot that hangs would then hang us at the next plot.
local args = require 'inc.args'
local smooth = require 'inc.run.smooth'

local plot = {}

local SECONDS = 10        -- gnuplot's time limit
local MAX_POINTS = 2000   -- of a series; more are thinned, keeping each piece's least and largest
local MAX_NAME = 40       -- gnuplot leaves out a legend that does not fit

-- -- numbers ----------------------------------------------------------------------------------------------

local fail = args.fail
local function is_finite(v) return v == v and v ~= math.huge and v ~= -math.huge end

-- A list of numbers from a list or a tensor; anything that is no number becomes nan, a hole in the curve.
local function numbers(v, what)
  if type(v) == 'userdata' then v = v:detach():contiguous():view {-1}:tolist() end
  if type(v) ~= 'table' then fail('inc.plot: %s: expected numbers, got %s', what, type(v)) end
  local list, n = {}, rawget(v, 'n') or #v
  for i = 1, n do list[i] = tonumber(v[i]) or 0 / 0 end
  return list
end

--- TensorBoard's smoothing, with weight `weight` on the past (inc/run/smooth.lua).
-- @param weight 0 (none) up to below 1
-- > inc.plot.smooth({1, 3}, 0.5)  --> {1, 2.3333333}
plot.smooth = smooth.debiased

-- At most MAX_POINTS points, the extremes of each piece kept, so that a spike stays visible.
local function thin(x, y)
  local n = #y
  if n <= MAX_POINTS then return x, y end
  local tx, ty, pieces = {}, {}, MAX_POINTS // 2
  for p = 0, pieces - 1 do
    local first, last = p * n // pieces + 1, (p + 1) * n // pieces
    local low, high = first, first
    for i = first, last do
      if y[i] < y[low] then low = i end
      if y[i] > y[high] then high = i end
    end
    for _, i in ipairs(low < high and {low, high} or {high, low}) do
      tx[#tx + 1], ty[#ty + 1] = x[i], y[i]
    end
  end
  return tx, ty
end

-- -- what to draw -----------------------------------------------------------------------------------------

local spec = args.spec('inc.plot', 'series:any...; title:string?, xlabel:string?, ylabel:string?, ' ..
  'logx:bool=false, logy:bool=false, smooth:number=0, file:string?, width:int?, height:int?, ' ..
  'xrange:numbers?, yrange:numbers?')

-- The checked options; numbers where series are expected are one series: inc.plot{1, 3, 2, logy = true}.
local function options(given)
  if (getmetatable(given) or {}).__series then given = {given} end
  local o = spec(given)
  if type(o.series[1]) == 'number' then o.series = {o.series} end
  smooth.check(o.smooth, 'inc.plot')
  return o
end

local function as_series(item, place)
  local series = type(item) == 'table' and (getmetatable(item) or {}).__series
  if series then item = series(item) end
  if type(item) == 'userdata' or (type(item) == 'table' and item.y == nil) then item = {y = item} end
  local what = ('series %d'):format(place)
  if type(item) ~= 'table' then fail('inc.plot: %s: expected numbers, got %s', what, type(item)) end
  local y = numbers(item.y, what)
  local x = item.x and numbers(item.x, what .. ': x')
  if not x then
    x = {}
    for i = 1, #y do x[i] = i end
  end
  return {name = item.name and tostring(item.name):sub(1, MAX_NAME) or nil, x = x, y = y}
end

local function fits(v, logarithmic) return is_finite(v) and not (logarithmic and v <= 0) end

-- Points outside what the axes can show become holes; returns how many points are left.
local function punch_holes(s, o)
  local left = 0
  for i = 1, math.max(#s.x, #s.y) do
    local x, y = s.x[i] or 0 / 0, s.y[i] or 0 / 0
    local shown = fits(x, o.logx) and fits(y, o.logy)
    s.x[i], s.y[i] = is_finite(x) and x or 0, shown and y or 0 / 0
    left = left + (shown and 1 or 0)
  end
  return left
end

-- The series to draw, smoothed where asked for (the raw one kept with it), and the number of points to see.
local function prepare(o)
  local list, finite = {}, 0
  for place, item in ipairs(o.series) do
    local s = as_series(item, place)
    finite = finite + punch_holes(s, o)
    if o.smooth > 0 then
      local name = smooth.label(s.name or 'series ' .. place, o.smooth)
      list[#list + 1] = {name = name, x = s.x, y = plot.smooth(s.y, o.smooth), raw = s}
    else list[#list + 1] = s end
  end
  return list, finite
end

-- -- gnuplot's language -----------------------------------------------------------------------------------

-- Text of the user's as a gnuplot string: single quotes expand nothing; control characters are blanks.
local function quoted(text)
  return "'" .. tostring(text):gsub('%c', ' '):gsub("'", "''") .. "'"
end

local function number(v) return v ~= v and 'NaN' or ('%.9g'):format(v) end

local function data_block(name, s, lines)
  local x, y = thin(s.x, s.y)
  lines[#lines + 1] = '$' .. name .. ' << END'
  for i = 1, #y do lines[#lines + 1] = number(x[i]) .. ' ' .. number(y[i]) end
  lines[#lines + 1] = 'END'
end

local function add_range(lines, axis, range)
  if not range then return end
  local low, high = tonumber(range[1]), tonumber(range[2])
  local from, to = low and number(low) or '*', high and number(high) or '*'
  lines[#lines + 1] = ('set %srange [%s:%s]'):format(axis, from, to)
end

local function decorations(o, lines)
  lines[#lines + 1] = 'set title ' .. quoted(o.title or '') .. ' noenhanced'
  lines[#lines + 1] = 'set xlabel ' .. quoted(o.xlabel or '') .. ' noenhanced'
  lines[#lines + 1] = 'set ylabel ' .. quoted(o.ylabel or '') .. ' noenhanced'
  -- the legend stands outside, where a long name cannot hide a curve
  lines[#lines + 1] = 'set key tmargin left horizontal width 2 noenhanced'
  lines[#lines + 1] = "set datafile missing 'NaN'"
  if o.logx then lines[#lines + 1] = 'set logscale x' end
  if o.logy then lines[#lines + 1] = 'set logscale y' end
  add_range(lines, 'x', o.xrange)
  add_range(lines, 'y', o.yrange)
end

local function curve(name, s, style)
  local title = s.name and 'title ' .. quoted(s.name) or 'notitle'
  return ('$%s using 1:2 with %s %s'):format(name, style, title)
end

-- The whole script. A smoothed curve in a picture has its raw one behind it, thin and pale.
local function script(o, list, terminal, text)
  local lines, curves = {'set term ' .. terminal}, {}
  decorations(o, lines)
  for i, s in ipairs(list) do
    if s.raw and not text then
      data_block('r' .. i, s.raw, lines)
      curves[#curves + 1] = curve('r' .. i, {}, ('lines lw 1 lc rgb "#c0c0c0"'))
    end
    data_block('d' .. i, s, lines)
    curves[#curves + 1] = curve('d' .. i, s, text and 'lines' or ('lines lw 2 lc %d'):format(i))
  end
  lines[#lines + 1] = 'plot ' .. table.concat(curves, ', ')
  return table.concat(lines, '\n') .. '\n'
end

-- -- drawing ----------------------------------------------------------------------------------------------

local picture_terms = {
  png = 'pngcairo size %.0f,%.0f background rgb "white"', svg = 'svg size %.0f,%.0f background rgb "white"',
  pdf = 'pdfcairo size %gin,%gin',
}

local function text_terminal(o, host)
  local columns, rows = host.size()
  local width, height = o.width or columns - 1, o.height or math.min(rows - 2, 24)
  local kind = os.getenv 'TERM'
  local plain = os.getenv 'NO_COLOR' or not kind or kind == 'dumb' or not host.isatty(1)
  return ('dumb size %d,%d %s'):format(math.max(width, 20), math.max(height, 8), plain and 'mono' or 'ansi')
end

local function run_gnuplot(host, input)
  local ok, status, out, err = pcall(host.spawn, {'gnuplot'}, input, SECONDS)
  if not ok then return nil, 'plot: ' .. tostring(status) end
  if status == 127 then return nil, 'plot: gnuplot is not installed (apt install gnuplot-nox)' end
  if status == 'timeout' then
    return nil, ('plot: gnuplot did not answer within %d seconds'):format(SECONDS)
  end
  if status ~= 0 or out == '' then
    return nil, 'plot: gnuplot failed: ' .. (err:match '[^\n]*line %d+: ([^\n]+)' or err:match '%S[^\n]*' or
      'status ' .. tostring(status))
  end
  return out
end

-- Without the form feed, the blank lines round the picture and the blanks at the ends of lines.
local function tidy(text, why)
  if not text then return nil, why end
  return (text:gsub('\f', ''):gsub('[ \t]+\n', '\n'):gsub('^\n+', ''):gsub('%s+$', '') .. '\n')
end

-- Written beside and renamed, so that whoever looks sees the old picture or the new one.
local function write_picture(path, bytes)
  local beside = path .. '.tmp'
  local file, why = io.open(beside, 'wb')
  if not file then return nil, 'plot: ' .. why end
  local done = file:write(bytes)
  done = file:close() and done
  if not done or not os.rename(beside, path) then
    os.remove(beside)
    return nil, ('plot: %s: cannot be written'):format(path)
  end
  return true
end

--- Draw series: as text (returned), or to `file`. Never raises for want of gnuplot: nil and a sentence then.
-- @param o list of series, each numbers, a tensor, or {name =, x =, y =} (or the numbers of one); and the
--   options
--   title, xlabel, ylabel, logx, logy, smooth (0 to below 1), file (.png, .svg, .pdf), width, height,
--   xrange and yrange ({low, high})
function plot.draw(o)
  o = options(o)
  local host = require 'inc.host'
  local list, finite = prepare(o)
  if finite == 0 then return nil, 'plot: nothing to draw yet: no finite values' end
  if not o.file then return tidy(run_gnuplot(host, script(o, list, text_terminal(o, host), true))) end
  local kind = tostring(o.file):match '%.(%w+)$'
  local term = kind and picture_terms[kind:lower()]
  if not term then
    return nil, ('plot: %s: expected a name that ends in .png, .svg or .pdf'):format(o.file)
  end
  local unit = kind:lower() == 'pdf' and 100 or 1 -- pixels an inch
  local size = term:format((o.width or 900) / unit, (o.height or 540) / unit)
  local bytes, why = run_gnuplot(host, script(o, list, size, false))
  if not bytes then return nil, why end
  return write_picture(o.file, bytes)
end

--- Draw series in the terminal, or write them to `file`. A failure is one sentence on stderr, never an error.
-- @name inc.plot
-- @param series each numbers, a tensor, a schedule of optim, or {name =, x =, y =}; the numbers of one
--   series and one schedule may also stand alone
-- @param smooth TensorBoard's running mean, 0 (none) up to below 1; the legend says so
-- @param file a name that ends in .png, .svg or .pdf; width and height then count pixels, else columns and
--   rows
-- @param logx, logy, xrange, yrange the axes; ranges are {low, high}
local function draw_and_print(_, o)
  local text, why = plot.draw(o)
  if not text then io.stderr:write(why, '\n')
  elseif text ~= true then io.stdout:write(text) end
end

return setmetatable(plot, {__call = draw_and_print, __name = 'inc.plot'})
