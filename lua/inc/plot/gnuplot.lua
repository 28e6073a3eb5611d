--- Curves as pictures: gnuplot's language, and the program that reads it.
--
-- gnuplot gets its commands on standard input and writes the picture to standard output; it is never given
-- a file name, and text of the user's stands between single quotes only, where gnuplot expands nothing (no
-- backticks, no @macros, no $). `noenhanced` keeps marks such as _ and ^ as they are. The user's own
-- start-up file is not read (-d), so that a picture depends on nothing but the call. gnuplot absent,
-- crashed or slow gives nil and one sentence. A gnuplot kept open was rejected: one that hangs would then
-- hang us at the next plot.

local axis = require 'inc.plot.axis'
local series = require 'inc.plot.series'

local gnuplot = {}

local SECONDS = 10      -- gnuplot's time limit
local MAX_POINTS = 2000 -- of a curve

-- Told apart by readers who see red and green alike (Okabe and Ito), yellow left out.
local palette = {'#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#444444'}

local function colour(i) return palette[(i - 1) % #palette + 1] end

-- -- the language ------------------------------------------------------------------------------------------

--- Text of the user's as a gnuplot string: one line of valid UTF-8 between single quotes. An apostrophe
-- becomes the typographic one: gnuplot's own way, doubling it, goes wrong at the beginning of a string.
-- > require('inc.plot.gnuplot').quoted "it's\n`ls`"  --> 'it’s `ls`'
function gnuplot.quoted(text)
  text = tostring(text):gsub('%c', ' ')
  if not utf8.len(text) then text = text:gsub('[\128-\255]', '?') end
  return "'" .. text:gsub("'", '’') .. "'"
end

local quoted = gnuplot.quoted

local function number(v) return v ~= v and 'NaN' or ('%.9g'):format(v) end

local function data_block(name, lines, ...)
  local columns = {...}
  lines[#lines + 1] = '$' .. name .. ' << END'
  for i = 1, #columns[1] do
    local row = {}
    for k, column in ipairs(columns) do row[k] = number(column[i]) end
    lines[#lines + 1] = table.concat(row, ' ')
  end
  lines[#lines + 1] = 'END'
end

local function add_range(lines, name, range)
  if not range then return end
  lines[#lines + 1] = ('set %srange [%s:%s]'):format(name, number(range[1]), number(range[2]))
end

-- A logarithmic axis ends where the curves do, and has its ticks at 1, 2 and 5 where powers of ten are few.
local function log_axis(lines, name, lists, range)
  local a = axis.new(lists, {log = true, range = range, margin = name == 'y' and 0.04 or 0, most = 8})
  local ticks = {}
  for i, v in ipairs(a.ticks) do ticks[i] = ("'%s' %s"):format(a.labels[i], number(v)) end
  lines[#lines + 1] = ('set logscale %s'):format(name)
  lines[#lines + 1] = ('set %stics (%s)'):format(name, table.concat(ticks, ', '))
  add_range(lines, name, {a.low, a.high})
end

local function axes(list, o, lines)
  local xs, ys = {}, {}
  for _, s in ipairs(list) do
    xs[#xs + 1] = s.x
    for _, key in ipairs{'y', 'raw', 'low', 'high'} do ys[#ys + 1] = s[key] end
  end
  lines[#lines + 1] = 'set autoscale xfix'
  if o.logx then log_axis(lines, 'x', xs, o.xrange) else add_range(lines, 'x', o.xrange) end
  if o.logy then log_axis(lines, 'y', ys, o.yrange) else add_range(lines, 'y', o.yrange) end
end

local function decorations(o, lines, named)
  local function add(format, ...) lines[#lines + 1] = format:format(...) end
  add('set encoding utf8')
  add('set title %s noenhanced', quoted(o.title or ''))
  add('set xlabel %s noenhanced tc rgb "#333333"', quoted(o.xlabel or ''))
  add('set ylabel %s noenhanced tc rgb "#333333"', quoted(o.ylabel or ''))
  add('set border 3 lc rgb "#888888"')
  add('set tics nomirror out scale 0.6 tc rgb "#333333"')
  add('set grid lc rgb "#dddddd" lt 1 lw 0.7')
  -- the legend stands outside, where a long name cannot hide a curve
  if named then add('set key tmargin left Left reverse vertical maxcols 2 noenhanced samplen 2')
  else add 'set key off' end
  add("set datafile missing 'NaN'")
end

local function add_curve(lines, curves, i, s)
  local name = 'd' .. i
  if s.low then
    data_block('b' .. i, lines, series.thin_band(s, MAX_POINTS))
    table.insert(curves, 1, ('$b%d using 1:2:3 with filledcurves lc rgb "%s" fs transparent solid 0.18 ' ..
      'noborder notitle'):format(i, colour(i)))
  end
  if s.raw then
    data_block('r' .. i, lines, series.thin(s.x, s.raw, MAX_POINTS))
    table.insert(curves, 1,
      ('$r%d using 1:2 with lines lw 1 lc rgb "#c0%s" notitle'):format(i, colour(i):sub(2)))
  end
  data_block(name, lines, series.thin(s.x, s.y, MAX_POINTS))
  local few = #s.y <= 40 and not s.raw
  local style, title = few and 'linespoints pt 7 ps 0.5' or 'lines', s.name and 'title ' .. quoted(s.name)
  curves[#curves + 1] = ('$%s using 1:2 with %s lw 2 lc rgb "%s" %s'):format(name, style, colour(i),
    title or 'notitle')
end

--- The whole script. A smoothed curve has its raw one behind it, thin and pale.
-- @param terminal the arguments of `set term`
function gnuplot.script(list, o, terminal)
  local lines, curves, named = {'set term ' .. terminal}, {}, false
  for _, s in ipairs(list) do named = named or s.name ~= nil end
  decorations(o, lines, named)
  axes(list, o, lines)
  for i, s in ipairs(list) do add_curve(lines, curves, i, s) end
  lines[#lines + 1] = 'plot ' .. table.concat(curves, ', ')
  return table.concat(lines, '\n') .. '\n'
end

-- -- the program -------------------------------------------------------------------------------------------

local terms = {
  png = 'pngcairo size %.0f,%.0f background rgb "white" fontscale 1.0',
  svg = 'svg size %.0f,%.0f background rgb "white" noenhanced',
  pdf = 'pdfcairo size %gin,%gin',
  sixel = 'sixelgd size %.0f,%.0f truecolor background "#ffffff"',
}

--- The arguments of `set term` for a kind of picture: png, svg, pdf or sixel; sizes in pixels.
function gnuplot.terminal(kind, width, height)
  local unit = kind == 'pdf' and 100 or 1 -- pixels an inch
  return terms[kind]:format(width / unit, height / unit)
end

local function reason(status, err)
  return err:match '[^\n]*line %d+: ([^\n]+)' or err:match '%S[^\n]*' or 'status ' .. tostring(status)
end

--- The picture that a script draws; nil and a sentence when there is none.
-- @param who begins the sentence
function gnuplot.run(script, who)
  local host = require 'inc.host'
  local ok, status, out, err = pcall(host.spawn, {'gnuplot', '-d'}, script, SECONDS)
  if not ok then return nil, who .. ': ' .. tostring(status) end
  if status == 127 then return nil, who .. ': gnuplot is not installed (apt install gnuplot-nox)' end
  if status == 'timeout' then
    return nil, ('%s: gnuplot did not answer within %d seconds'):format(who, SECONDS)
  end
  if status ~= 0 or out == '' then return nil, ('%s: gnuplot failed: %s'):format(who, reason(status, err)) end
  return out
end

return gnuplot
