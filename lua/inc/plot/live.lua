--- Plots that are drawn again while runs train: a panel above the prompt, or a file.
--
-- Nothing here has a thread. The prompt asks for the panel whenever it is idle (a few times a second), a
-- script's run:wait does the same, and each plot is drawn again when its time has come. A panel is text,
-- which costs a millisecond or two, and reads only what a log has gained, or a picture (plot/panel.lua); the
-- picture of a file is drawn by a gnuplot that nobody waits for, and takes the old one's place when it is
-- whole. When its runs are over, a plot is drawn a last time and forgotten. What cannot be drawn is said
-- once.

local args = require 'inc.args'
local logs = require 'inc.plot.logs'

local live = {}

local SCRIPT_EVERY = 30 -- seconds between two curves in a script's output
local FILE_EVERY = 5    -- and between two pictures of a file
local MOST_LINES = 1000 -- of a log, decoded in one go: a keystroke may wait 20 ms, this takes half of that
local SHARE = 50         -- of the time at most one part goes into drawing
local SOON = 0.2        -- seconds until the next look at a log of which there is more
local LIMIT = 10        -- seconds for gnuplot

local entries = {}

local function now() return require 'inc.host'.now() end

local function is_run(v)
  local meta = type(v) == 'table' and getmetatable(v)
  return meta and rawget(meta, '__name') == 'inc.run'
end

-- Do all runs that an entry shows rest for good? A folder by name may belong to another process: never.
local function is_over(list)
  local core, over = require 'inc.core', true
  for _, item in ipairs(list) do
    if is_run(item) then over = over and core.run_over(item.handle)
    elseif type(item) == 'string' then over = over and not logs.is_run(item)
    elseif type(item) == 'table' and not getmetatable(item) and type(item[1]) ~= 'number' then
      over = over and is_over(item)
    end
  end
  return over
end

local function follows_anything(list)
  for _, item in ipairs(list) do
    if is_run(item) or type(item) == 'string' and logs.is_run(item) then return true end
    local group = type(item) == 'table' and not getmetatable(item) and item[1] ~= nil
    if group and follows_anything(item) then return true end
  end
  return false
end

local function say_once(entry, why, lines)
  if entry.aside then return end
  if entry.refused ~= why then lines[#lines + 1] = why end
  entry.refused = why
end

-- -- files -------------------------------------------------------------------------------------------------

local function is_there(path)
  local file <close> = io.open(path, 'rb')
  return file ~= nil and file:seek 'end' > 0
end

-- The picture that is being drawn, if there is one: put it in its place when it is whole. True when none is.
local function collect(entry, lines)
  if not entry.job then return true end
  local status = require 'inc.host'.finished(entry.job)
  if not status then return false end
  entry.job = nil
  if status == 0 and is_there(entry.beside) and os.rename(entry.beside, entry.o.file) then return true end
  os.remove(entry.beside)
  say_once(entry, status == 127 and 'plot: gnuplot is not installed (apt install gnuplot-nox)' or
    ('plot: gnuplot failed: %s'):format(status == 142 and 'no answer in time' or 'status ' .. status), lines)
  return true
end

local function launch(entry, list, labelled, lines)
  local plot = require 'inc.plot'
  local script = plot.file_script(list, labelled, plot.kind_of(entry.o.file))
  entry.beside = entry.o.file .. '.drawing'
  local why
  entry.job, why = require 'inc.host'.launch({'gnuplot', '-d'}, script, entry.beside, LIMIT)
  if not entry.job then say_once(entry, 'plot: ' .. why, lines) end
end

-- -- drawing -----------------------------------------------------------------------------------------------

local function give_up_pictures(entry, why, lines)
  entry.panel, entry.last, entry.next = nil, nil, 0
  say_once(entry, 'plot: ' .. why .. '; the curves are drawn as text', lines)
end

local function is_prompt() return package.loaded['inc.shell.prompt'] ~= nil end

local function panel_style(o)
  local screen = require 'inc.plot.screen'
  local columns, rows = require 'inc.host'.size()
  local width, height = math.max(20, columns - 1), math.max(6, math.min(14, rows - 10))
  return {width = o.width or width, height = o.height or height, unicode = screen.unicode(),
    colour = screen.colour()}
end

local function draw_text(entry, list, labelled)
  local picture = entry.kind and require 'inc.plot'.picture(list, labelled, entry.kind)
  local text = picture or require 'inc.plot.text'.draw(list, labelled, panel_style(entry.o))
  return (text:gsub('\n$', ''))
end

-- Begin the panel's next picture; the rows of text stand in for the first.
local function draw_panel(entry, list, labelled, lines)
  local style = panel_style(entry.o)
  local ok, why = entry.panel:begin(list, labelled, style.width, style.height)
  if not ok then give_up_pictures(entry, why, lines) end
  return not ok or not entry.panel:rows(style.width, style.height)
end

local function redraw(entry, lines)
  local ok, list, labelled = pcall(require 'inc.plot'.curves, entry.o)
  if not ok then return say_once(entry, tostring(list), lines) end
  if not list then return end -- no values yet
  entry.more = labelled.more
  if entry.o.file then return launch(entry, list, labelled, lines) end
  if entry.panel and not draw_panel(entry, list, labelled, lines) then return end
  local drawn, text = pcall(draw_text, entry, list, labelled)
  if drawn then entry.text = text else say_once(entry, tostring(text), lines) end
end

local function period(entry)
  if entry.more then return SOON end
  if entry.o.file then return math.max(entry.o.every, FILE_EVERY) end
  return is_prompt() and math.max(entry.o.every, 0.5) or math.max(entry.o.every, SCRIPT_EVERY)
end

-- The last picture of a script, which may end before a gnuplot that nobody waits for has.
local function draw_last(entry, lines)
  if entry.job then os.remove(entry.beside) end
  local list, labelled = require 'inc.plot'.curves(entry.o)
  local ok, why = nil, labelled
  if list then ok, why = require 'inc.plot'.to_file(list, labelled) end
  if not ok then say_once(entry, why, lines) end
end

-- Is there no picture to wait for?
local function is_panel_ready(entry, lines)
  local ready, why = entry.panel:ready(entry.last)
  if ready == nil then give_up_pictures(entry, why, lines) end
  return ready ~= false
end

-- Is something being drawn that must be waited for?
local function is_busy(entry, lines)
  if entry.o.file then return not collect(entry, lines) end
  return entry.panel ~= nil and not is_panel_ready(entry, lines)
end

local function is_due(entry)
  return now() >= math.max(entry.next, entry.panel and entry.panel.next or 0)
end

local function finish(entry, lines)
  if entry.panel then lines[#lines + 1] = entry.panel:lines() or entry.text end
  return true
end

-- An entry is done when its last picture, drawn after its runs were over, stands.
local function step(entry, lines)
  if entry.o.file and not is_prompt() and is_over(entry.o.series) then
    draw_last(entry, lines)
    return true
  end
  if is_busy(entry, lines) then return false end
  if entry.last then return finish(entry, lines) end
  local over = is_over(entry.o.series)
  if not over and not is_due(entry) then return false end
  local start = now()
  redraw(entry, lines)
  local took = now() - start -- a long log may take longer: then it is drawn less often
  entry.next, entry.last = now() + math.max(period(entry), SHARE * took), over or entry.aside
  if entry.o.file or entry.panel then return false end
  if over or not is_prompt() then lines[#lines + 1] = entry.text end
  return over
end

-- -- the calls ---------------------------------------------------------------------------------------------

--- (for inc.plot) Begin: checked options in which `live` is true. A second plot in the terminal takes the
-- place of the first, one to the same file likewise.
-- @param aside true for a file that nobody asked for: drawn once, and nothing is said where it cannot be
function live.start(o, aside)
  if not follows_anything(o.series) then
    args.fail 'inc.plot: live: expected a run, or the folder of one, among what is plotted'
  end
  if o.file then
    local kind, why = require 'inc.plot'.kind_of(o.file)
    if not kind then args.fail('inc.%s', why) end
  end
  o.lenient, o.most = true, MOST_LINES
  require 'inc.plot'.curves(o) -- what is wrong with the call is said to the caller
  live.stop(o.file)
  local entry = {o = o, next = 0, aside = aside}
  local kind = not o.file and o.terminal
  if kind == 'auto' then kind = require 'inc.plot.screen'.graphics() end
  if kind == 'text' then kind = nil end
  if is_prompt() then entry.panel = kind and require 'inc.plot.panel'.new(kind) else entry.kind = kind end
  entries[#entries + 1] = entry
end

--- (for inc.plot) End the plot of a file, or that of the terminal, or with '*' all.
function live.stop(file)
  for i = #entries, 1, -1 do
    if file == '*' or entries[i].o.file == file then table.remove(entries, i) end
  end
end

local function panel_of(entry)
  local style = panel_style(entry.o)
  return entry.panel and entry.panel:rows(style.width, style.height) or entry.text
end

local function forget(entry)
  for i = #entries, 1, -1 do
    if entries[i] == entry then table.remove(entries, i) end
  end
end

--- (for the prompt and run:wait) Draw what is due.
-- @return the panel to show above the prompt, or nil; and lines to print
function live.tick()
  local lines, panel = {}, nil
  require 'inc.host'.panel()
  for _, entry in ipairs{table.unpack(entries)} do
    local done = step(entry, lines)
    if not entry.o.file and not done then panel = panel_of(entry) end
    if done then forget(entry) end
  end
  return panel, lines
end

return live
