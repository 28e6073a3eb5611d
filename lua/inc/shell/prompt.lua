-- prompt.lua -- the prompt's side of the terminal: what core/shell calls, and the only part that prints.
--
-- Each function here that takes and gives plain values is named in core/shell/*.c. Special lines (`!cmd`,
-- `?name`, `time ...`) are recognised here, everything else is Lua and goes to the session.
local host = require 'inc.host'
local shell = require 'inc.shell'
local eval = require 'inc.shell.eval'
local errors = require 'inc.shell.errors'
local fields = require 'inc.shell.fields'
local news = require 'inc.shell.news'
local screen = require 'inc.shell.screen'
local who = require 'inc.shell.who'

local prompt = {}
local print = print       -- ours, whatever the user makes of the name
local session = shell.new 'prompt'
local smart, colour = false, false

local function paint(code, text) return colour and ('\27[%sm%s\27[0m'):format(code, text) or text end
local function say(text) print(paint('2', screen.fit(text, 1))) end

-- -- running ----------------------------------------------------------------------------------------------

local function print_notes()
  for _, note in ipairs(session.notes) do say('note: ' .. note) end
  session.notes = {}
end

local function print_error(result)
  io.stdout:flush()
  local text = screen.fit(errors.prompt_text(result.error, result.chunk), 2)
  io.stderr:write((text:gsub('^error:', paint('31', 'error:'))), '\n')
end

local function print_values(values)
  local show = require 'inc.show'
  for i = 1, values.n do
    local ok, text = pcall(show.value, values[i])
    if ok and fields.is_run(values[i]) then text = screen.fit(text, 1) end -- it speaks in sentences
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
    if finish(result) then say('time: ' .. timing.duration(seconds)) end
    return
  end
  local report, value
  local result = session:eval(text, function(f)
    report = timing.timeit(function() value = f() end)
  end, true)
  if not finish(result) then return end
  print(tostring(report))
  if type(value) == 'function' then say 'note: the value is a function; timeit f() times its call' end
end

local function run_command(command)
  io.stdout:flush()
  local _, how, status = os.execute(command)
  session.record:remark('!' .. command)
  if status ~= 0 then say((how == 'signal' and 'signal ' or 'status ') .. tostring(status)) end
end

local function is_exit(text)
  local word = text:match '^%s*(%a+)%s*%(?%s*%)?%s*$'
  return (word == 'exit' or word == 'quit') and rawget(_G, word) == nil
end

local function run_entry(text)
  local command = text:match '^%s*!(.*)$'
  local rest, timer = eval.without_timer(text)
  if command then run_command(command)
  elseif text:find '^%s*%?' then
    local found, why = session:inspect(text)
    screen.print(found or why)
  elseif timer then run_timed(rest, timer)
  else finish(session:eval(text)) end
end

--- Run an entry and print what it gives; true when the user asked to leave.
function prompt.run(text)
  if is_exit(text) then return true end
  screen.paging = smart
  local _ <close> = require 'inc.args'.finally(function() screen.paging = false end)
  run_entry(text)
end

--- Run the file of `incsh -i`; its top-level locals last.
function prompt.run_file(path, ...)
  local result = session:eval_file(path, ...)
  if result.ok then return end
  io.stdout:flush()
  io.stderr:write('incsh: ', errors.batch_text(result.error), '\n')
end

-- -- start ------------------------------------------------------------------------------------------------

-- Run a start-up file; one that fails must not keep anyone from the prompt.
local function run_start(chunk, why)
  if not chunk then
    io.stderr:write('incsh: ', why, '\n')
    return
  end
  local ok, record = host.xpcall(chunk, errors.capture)
  host.clear_interrupt()
  io.stdout:flush()
  if not ok then io.stderr:write('incsh: ', errors.batch_text(record), '\n') end
end

local function config_file()
  local xdg, home = os.getenv 'XDG_CONFIG_HOME', os.getenv 'HOME'
  local folder = xdg and xdg:find '^/' and xdg or home and home .. '/.config'
  return folder and folder .. '/incsh/init.lua'
end

local function run_start_files()
  local path = config_file()
  if path and host.kind(path) == 'file' then run_start(loadfile(path, 't')) end
  local chunk, note = require 'inc.shell.folder'.at_start()
  if chunk then run_start(chunk)
  elseif note then say('note: ' .. note) end
end

--- Write the entries that worked to a file, as a script that gives the same numbers: `incsh FILE` runs it,
-- `incsh -i FILE` goes on from it. What failed is left out; commands of the system become remarks.
-- @name save_session
-- @param path where; a file that is there is replaced only when it is such a script
-- > save_session 'monday.lua'
function prompt.save_session(path)
  local args, core, mark = require 'inc.args', require 'inc.core', require 'inc.shell.replay'.mark
  if type(path) ~= 'string' then args.fail('save_session: expected a file name, got %s', args.show(path)) end
  local file = io.open(path, 'rb')
  local head = file and file:read(#mark)
  if file then file:close() end
  if file and head ~= mark then
    args.fail('save_session: %s: is there and is not a saved session: choose another name', path)
  end
  core.write_file(path, session:script())
  local n = #session.record.entries
  say(('%d entr%s in %s; incsh -i %s goes on from there'):format(n, n == 1 and 'y' or 'ies', path, path))
  local made = session.record:folders()
  if #made > 0 then
    say(('note: it trains into %s, which %s there: move that away before you run it, or change `out`'):format(
      table.concat(made, ', '), #made == 1 and 'is' or 'are'))
  end
end

--- The names that you made: kinds, and the bytes that tensors and nets hold on each device. `who` alone
-- prints the same.
-- @name who
-- @return a list of {name, kind, what, bytes = {device = n}} that prints as a table
-- > who()
function prompt.who() return who.list(session) end

-- So that `who` prints without parentheses too.
local who_object = setmetatable({}, {__call = prompt.who, __name = 'who',
  __tostring = function() return tostring(who.list(session)) end})

--- Print the full stack of the last error.
-- @name trace
-- > trace()
function prompt.trace()
  screen.print(errors.last and errors.last.trace:gsub('\t', '  ') or 'no error yet')
end

local function make_globals()
  local timing = require 'inc.shell.timing'
  _G.trace, _G.save_session, _G.who = prompt.trace, prompt.save_session, who_object
  _G.reload, _G.allow_folder = require 'inc.shell.reload', require 'inc.shell.folder'.allow
  _G.timeit, _G.time = timing.timeit, timing.time
  eval.timers.time, eval.timers.timeit = timing.time, timing.timeit
  who.start()
end

--- Begin: `able` tells that the terminal can do more than append text, `with_rc` that start-up files run.
function prompt.start(able, with_rc)
  local no_color = os.getenv 'NO_COLOR'
  smart = able
  colour = smart and not (no_color and no_color ~= '') and host.isatty(1)
  make_globals()
  print 'incsh: help() explains, tour() shows around, Tab completes, Ctrl-D leaves'
  if with_rc then run_start_files() end
end

-- -- typing -----------------------------------------------------------------------------------------------

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

--- For Tab: list of words or nil, and the quote inside which they or a file name stand.
function prompt.complete(line, at)
  local words, _, quote = session:complete(line, at)
  return words, quote
end

local hinted, hint_text -- the last answer: a key that changes nothing asks again

--- The grey words behind the cursor, or nil.
function prompt.hint(line)
  if line ~= hinted then hinted, hint_text = line, require 'inc.shell.hint'.at(line, session) end
  return hint_text
end

--- Pasted text as it should be entered.
function prompt.pasted(text)
  return require 'inc.shell.paste'.clean(text, function(entry)
    return session:is_complete(entry) == 'incomplete'
  end)
end

-- -- background runs --------------------------------------------------------------------------------------

--- Called up to five times a second while the prompt waits: a status line or nil, and lines to print above
-- it.
function prompt.idle() return news.ask() end

--- May the shell end?
function prompt.leave() return news.may_leave() end

return prompt
