-- prompt.lua -- the prompt's side of the terminal: what core/shell calls, and the only part that prints.
--
-- Each function here is named in core/shell/*.c. Special lines (`!cmd`, `?name`, `time ...`) are recognised
-- here, everything else is Lua and goes to the session.
local host = require 'inc.host'
local shell = require 'inc.shell'
local eval = require 'inc.shell.eval'
local errors = require 'inc.shell.errors'

local prompt = {}
local print = print       -- ours, whatever the user makes of the name
local session = shell.new 'prompt'
local colour = false

local function paint(code, text) return colour and ('\27[%sm%s\27[0m'):format(code, text) or text end

--- Begin: `smart` tells that the terminal can do more than append text.
function prompt.start(smart)
  local no_color = os.getenv 'NO_COLOR'
  colour = smart and not (no_color and no_color ~= '') and host.isatty(1)
  _G.trace = prompt.trace
  print "incsh: help() explains, Tab completes, Ctrl-D leaves"
end

--- Indentation of the next line while `text` is not finished; nil when it is (or can never be).
function prompt.continuation(text)
  local state, indent = session:is_complete(text)
  return state == 'incomplete' and (indent or '') or nil
end

local closers = {['end'] = true, ['until'] = true, ['else'] = true, ['elseif'] = true}

--- How many blanks to take off `line` because it closes a block of the text before it; 0 if the user has
-- already chosen another indentation.
function prompt.outdent(before, line)
  local blanks, word = line:match '^( *)(%l*)'
  local closes = closers[word] or line:find '^ *[%]})]'
  if not closes or #blanks < 2 or blanks ~= eval.indentation(before) then return 0 end
  return 2
end

-- -- running ----------------------------------------------------------------------------------------------

local function print_notes()
  for _, note in ipairs(session.notes) do print(paint('2', 'note: ' .. note)) end
  session.notes = {}
end

local function print_error(result)
  io.stdout:flush()
  local text = errors.prompt_text(result.error, result.chunk)
  io.stderr:write((text:gsub('^error:', paint('31', 'error:'))), '\n')
end

local function print_values(values)
  local show = require 'inc.show'
  for i = 1, values.n do
    local ok, text = pcall(show.value, values[i])
    print(ok and text or 'a value that cannot be shown: ' .. tostring(text))
  end
end

local function finish(result)
  print_notes()
  if not result.ok then print_error(result)
  elseif not result.mute then print_values(result.values) end
  return result.ok
end

local function run_timed(text, how)
  local timing = require 'inc.shell.timing'
  if how == 'time' then
    local seconds
    local result = session:eval(text, function(f)
      local all = table.pack(timing.time(f))
      seconds = all[1]
      return table.unpack(all, 2, all.n)
    end)
    if finish(result) then print(paint('2', 'time: ' .. timing.duration(seconds))) end
    return
  end
  local report
  local result = session:eval(text, function(f) report = timing.report(timing.timeit(f)) end)
  if finish(result) then print(report) end
end

local function run_command(command)
  io.stdout:flush()
  local _, how, status = os.execute(command)
  if status ~= 0 then print(paint('2', (how == 'signal' and 'signal ' or 'status ') .. tostring(status))) end
end

local function explain(name, source)
  local help = require 'inc.help'
  local f = source and help.source or help.text
  local value, is_local = session:get_local(name)
  print(f(is_local and value or name))
end

local function is_exit(text)
  local word = text:match '^%s*(%a+)%s*%(?%s*%)?%s*$'
  return (word == 'exit' or word == 'quit') and rawget(_G, word) == nil
end

--- Run an entry and print what it gives; true when the user asked to leave.
function prompt.run(text)
  if is_exit(text) then return true end
  local command = text:match '^%s*!(.*)$'
  local marks, name = text:match '^%s*(%?%??)%s*(.-)%s*$'
  local rest, timer = eval.without_timer(text)
  if command then run_command(command)
  elseif marks then explain(name, marks == '??')
  elseif timer then run_timed(rest, timer)
  else finish(session:eval(text)) end
end

--- Print the full stack of the last error.
function prompt.trace()
  print(errors.last and errors.last.trace or 'no error yet')
end

-- -- typing -----------------------------------------------------------------------------------------------

--- For Tab: list of words, or nil and the quote inside which a file name stands.
function prompt.complete(line, at)
  local words, _, quote = require 'inc.shell.complete'.at(line:sub(1, at), session)
  return words, quote
end

-- Lines that follow one of our prompts, and their continuations; what was printed in between is left out.
local function without_prompts(lines)
  local kept, entry = {}, nil
  for _, line in ipairs(lines) do
    local code = line:match '^inc> ?(.*)$'
    if code then entry = code
    elseif entry then
      local more = line:match '^%.%.%.> ?(.*)$'
      entry = (more or session:is_complete(entry) == 'incomplete') and entry .. '\n' .. (more or line) or nil
      if entry then kept[#kept] = nil end
    end
    if entry then kept[#kept + 1] = entry end
  end
  return table.concat(kept, '\n')
end

--- Pasted text as it should be entered: without our prompts, `>>>`, carriage returns and the last newline.
function prompt.pasted(text)
  text = text:gsub('\r\n?', '\n'):gsub('\n+$', '')
  local lines = {}
  for line in (text .. '\n'):gmatch '(.-)\n' do lines[#lines + 1] = line end
  if ('\n' .. text):find '\ninc> ' then return without_prompts(lines) end
  for i, line in ipairs(lines) do lines[i] = line:gsub('^>>>? ', ''):gsub('^%.%.%. ', '') end
  return table.concat(lines, '\n')
end

-- -- background runs --------------------------------------------------------------------------------------

local function printed_line(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  return table.concat(parts, '\t')
end

-- A live plot stands above the status line; what it has to say goes to the lines.
local function with_panel(status, lines)
  local live = package.loaded['inc.plot.live']
  if not live then return status end
  local ok, panel, more = pcall(live.tick)
  for _, line in ipairs(ok and more or {'error: ' .. tostring(panel)}) do lines[#lines + 1] = line end
  return ok and panel and panel .. (status and '\n' .. status or '') or status
end

--- Called up to five times a second while the prompt waits: a status line or nil, and lines to print above
-- it. `inc.shell_idle()`, where there is one, returns the same two; what a hook prints meanwhile is kept in
-- order.
function prompt.idle()
  local inc = package.loaded.inc
  local idle = inc and rawget(inc, 'shell_idle') or function() end
  local lines, real = {}, _G.print
  _G.print = function(...) lines[#lines + 1] = printed_line(...) end
  local ok, status, more = pcall(idle)
  _G.print = real
  if not ok then
    lines[#lines + 1], status = 'error: ' .. tostring(status), nil
  end
  for _, line in ipairs(ok and more or {}) do lines[#lines + 1] = line end
  return with_panel(status, lines), lines[1] and lines or nil
end

-- -- leaving ----------------------------------------------------------------------------------------------

--- May the shell end? With a run going, asks: wait, stop it (it saves), or cancel.
-- `inc.active_runs()`, where there is one, lists the runs; each has wait and stop.
function prompt.leave()
  local inc = package.loaded.inc
  local active = inc and rawget(inc, 'active_runs')
  local runs = active and active() or {}
  if #runs == 0 then return true end
  while true do
    io.write(('%d run%s still going: wait, stop and save, or cancel? [w/s/c] '):format(
      #runs, #runs == 1 and ' is' or 's are'))
    io.stdout:flush()
    local answer = io.read 'l'
    local letter = answer and answer:match '^%s*(%a)'
    if letter == 'c' then return false end
    if letter == 's' or letter == 'w' or not answer then
      for _, run in ipairs(runs) do
        if letter ~= 'w' then run:stop() end
        run:wait()
      end
      return true
    end
  end
end

return prompt
