-- plot.lua -- curves in the terminal or in a file (PNG, SVG, PDF), once or live.
--
-- A plot must never harm the run that it shows: whatever is wrong with the plotter gives nil and one
-- sentence, no error; only what the caller wrote wrongly raises. Text is ours (plot/text.lua) and always
-- there; pictures are gnuplot's (plot/gnuplot.lua). A terminal gets a picture only if it answered that it
-- can show one (plot/screen.lua), and text when drawing the picture fails. What is drawn is gathered in
-- plot/series.lua, redrawing while a run trains is in plot/live.lua.
local args = require 'inc.args'
local smooth = require 'inc.run.smooth'
local series = require 'inc.plot.series'
local screen = require 'inc.plot.screen'
local gnuplot = require 'inc.plot.gnuplot'

local plot = {}

plot.smooth = smooth.debiased

-- -- options -----------------------------------------------------------------------------------------------

local spec = args.spec('inc.plot', 'series:any...; title:string?, xlabel:string?, ylabel:string?, ' ..
  'logx:bool=false, logy:bool=false, smooth:number=0, file:string?, width:int?, height:int?, ' ..
  'xrange:numbers?, yrange:numbers?, x:string=step, band:enum(std|sem|range|none)=std, ' ..
  'terminal:enum(auto|text|sixel|kitty)=auto, live:bool=false, every:number=2')

local function check_range(name, range)
  if range and not (#range == 2 and range[1] < range[2]) then
    args.fail('inc.plot: %s: expected {low, high}, got %s', name, args.show(range))
  end
end

--- (for plot/live.lua) The checked options; numbers where series are expected are one series:
-- inc.plot{1, 3, 2, logy = true}.
function plot.options(given)
  if args.is_tensor(given) or type(given) ~= 'table' or (getmetatable(given) or {}).__series then
    given = {given}
  end
  local o = spec(given)
  if type(o.series[1]) == 'number' then o.series = {o.series} end
  smooth.check(o.smooth, 'inc.plot')
  check_range('xrange', o.xrange)
  check_range('yrange', o.yrange)
  return o
end

-- What the axes are called where the caller does not say: a column of a log is.
local function with_labels(o, notes)
  if not notes.from_runs then return o end
  local labels = {xlabel = o.x, ylabel = #notes.columns == 1 and notes.columns[1] or nil, more = notes.more}
  return setmetatable(labels, {__index = o})
end

--- (for plot/live.lua) The curves of checked options: list, options with labels, in which `more` tells that a
-- log was not read to its end; nil and a sentence when no value can be shown.
function plot.curves(o)
  local list, notes = series.all(o)
  if series.punch_holes(list, o) == 0 then return nil, 'plot: nothing to draw yet: no finite values' end
  return list, with_labels(o, notes)
end

-- -- text --------------------------------------------------------------------------------------------------

local function as_text(list, o, most_rows)
  local columns, rows = require 'inc.host'.size()
  local style = {
    width = math.max(o.width or columns - 1, 20),
    height = math.max(o.height or math.min(rows - 2, most_rows), 6),
    unicode = screen.unicode(), colour = screen.colour(),
  }
  return require 'inc.plot.text'.draw(list, o, style)
end

-- -- files -------------------------------------------------------------------------------------------------

--- (for plot/live.lua) The kind of picture that a file's name asks for: png, svg or pdf; nil and a sentence.
function plot.kind_of(file)
  local kind = file:match '%.(%w+)$'
  kind = kind and kind:lower()
  if kind == 'png' or kind == 'svg' or kind == 'pdf' then return kind end
  return nil, ('plot: %s: expected a name that ends in .png, .svg or .pdf'):format(file)
end

--- (for plot/live.lua) gnuplot's script for a file.
function plot.file_script(list, o, kind)
  return gnuplot.script(list, o, gnuplot.terminal(kind, o.width or 900, o.height or 540))
end

--- (for plot/live.lua) Write the picture of curves to o.file: true, or nil and a sentence.
function plot.to_file(list, o)
  local kind, why = plot.kind_of(o.file)
  if not kind then return nil, why end
  local bytes
  bytes, why = gnuplot.run(plot.file_script(list, o, kind), 'plot')
  if not bytes then return nil, why end
  local ok, reason = pcall(require 'inc.core'.write_file, o.file, bytes)
  if not ok then return nil, 'plot: ' .. tostring(reason) end
  return true
end

-- -- terminals that show pictures --------------------------------------------------------------------------

--- (for plot/live.lua) The text that shows curves as a picture on a terminal; nil and a sentence.
function plot.picture(list, o, kind)
  local width, height = screen.pixels(1, 0.75, 1000)
  width = o.width or width
  height = o.height or math.min(height, width * 0.6 // 1)
  local term = kind == 'kitty' and 'png' or 'sixel'
  local bytes, why = gnuplot.run(gnuplot.script(list, o, gnuplot.terminal(term, width, height)), 'plot')
  if not bytes then return nil, why end
  if kind == 'kitty' then return screen.kitty_png(bytes) end
  return bytes:sub(1, 2) == '\27P' and bytes .. '\n' or nil, 'plot: gnuplot drew no sixels'
end

local function for_terminal(list, o)
  local kind = o.terminal
  if kind == 'auto' then kind = screen.graphics() or 'text' end
  local picture = kind ~= 'text' and plot.picture(list, o, kind)
  return picture or as_text(list, o, 24)
end

-- -- the calls ---------------------------------------------------------------------------------------------

--- Draw as text (returned), or to `file`: what inc.plot does, but nothing is printed. Never raises for what
-- is wrong with the plotter: nil and a sentence then.
-- @param o as for inc.plot; width and height of text count characters
-- @return the text, or true when a file was written
-- > inc.plot.draw{{1, 3, 2}, width = 40, height = 10}:find 'nan'  --> nil
function plot.draw(o)
  o = plot.options(o)
  local list, labelled = plot.curves(o)
  if not list then return nil, labelled end
  if o.file then return plot.to_file(list, labelled) end
  return as_text(list, labelled, 24)
end

--- Draw curves in the terminal, or write them to `file`. A failure of the plotter is one sentence on stderr,
-- never an error.
-- @name inc.plot
-- @param series each of: numbers, a tensor (of two dims: a curve a row), {name =, x =, y =} with low and high
--   for a band, a schedule of optim, a function (over xrange); runs or their folders, and names of columns
--   of their logs ('loss' when none is given); a list of several runs or curves is drawn as their mean with
--   a band. The numbers of one series, one tensor and one schedule may stand alone
-- @param x the column along the x axis: 'step', 'epoch' or 'time'
-- @param band of a mean: 'std' (sample standard deviation), 'sem' (standard error), 'range' or 'none'
-- @param smooth TensorBoard's running mean, 0 (none) up to below 1; the legend says so, and in pictures the
--   raw curve stands behind, pale
-- @param file a name that ends in .png, .svg or .pdf; width and height then count pixels, else characters
-- @param logx, logy, xrange, yrange, title, xlabel, ylabel the axes; ranges are {low, high}
-- @param terminal 'text', 'sixel' or 'kitty' instead of what the terminal says that it can
-- @param live true: drawn again every so often while its runs train, above the prompt (a picture where the
--   terminal answers that it shows them, else text) or into the file; `plot.stop()` ends that, and so does
--   the end of the runs
-- @param every seconds between two drawings of a live plot, at least 0.5
-- > inc.plot{{name = 'loss', y = {3, 2, 1.5}}, smooth = 0.5, height = 8}
local function draw_and_print(_, given)
  local o = plot.options(given)
  if o.live then return require 'inc.plot.live'.start(o) end
  local list, labelled = plot.curves(o)
  local text, why = nil, labelled
  if list and o.file then text, why = plot.to_file(list, labelled)
  elseif list then text = for_terminal(list, labelled) end
  if not text then require 'inc'.note('%s', why)
  elseif text ~= true then io.stdout:write(text) end
end

--- End live plots: all of them, or the one that goes to `file`.
-- > inc.plot.stop()
function plot.stop(file) require 'inc.plot.live'.stop(file or '*') end

return setmetatable(plot, {__call = draw_and_print, __name = 'inc.plot'})
