-- term.lua: a terminal to type into and to look at (tmux), and a way to run incsh in batch.
--
-- Tests see the screen as a person does: text laid out in rows, not a stream of bytes. Every wait has a limit
-- and fails with the screen in its message.
local host = require 'inc.host'

local term = {}
local Terminal = {}
Terminal.__index = Terminal

local LIMIT = tonumber(os.getenv 'INC_TEST_WAIT') or 15   -- seconds; loaded machines are slow
local PROMPT = 'inc>'

local work = host.temporary 'terminal'
local socket = work:match '[^/]+$'
local open = {}

term.program = os.getenv 'INCSH' or 'build/incsh'
if term.program:sub(1, 1) ~= '/' then
  term.program = select(2, host.spawn({'pwd'}, '', 10)):gsub('\n', '') .. '/' .. term.program
end
term.work = work
term.home = host.home -- of the program that runs the tests

local function tmux(...)
  local status, out, err = host.spawn({'tmux', '-u', '-L', socket, '-f', '/dev/null', ...}, '', 20)
  return status == 0, out, err
end

local function pause(seconds) host.spawn({'sleep', tostring(seconds)}, '', seconds + 5) end
term.pause = pause

local function quote(s) return "'" .. tostring(s):gsub("'", "'\\''") .. "'" end

-- A session that stays, so that the server does not end between two tests.
local keeper
local function keep_server()
  keeper = keeper or tmux('new-session', '-d', '-s', 'keeper', 'sleep 3000')
end

--- Leave the running test out, with the reason.
function term.skip(why) error({skip = why}, 0) end

--- Start incsh in a terminal.
-- @param o width, height, env (list of NAME=value), args (one string), state (folder name, for a shared
--   history)
function term.start(o)
  o = o or {}
  keep_server()
  local state = work .. '/' .. (o.state or 'state' .. #open)
  local env = {'XDG_STATE_HOME=' .. state, 'XDG_CONFIG_HOME=' .. work .. '/config', 'NO_COLOR=1',
    'LANG=C.UTF-8', 'INPUTRC=/dev/null', 'PAGER=cat'}
  for _, each in ipairs(o.env or {}) do env[#env + 1] = each end
  for i, each in ipairs(env) do env[i] = quote(each) end
  local name = 't' .. #open + 1 .. '_' .. math.random(1 << 30)
  local command = ('cd %s; env %s %s %s; echo "[left with $?]"; sleep 1000'):format(
    quote(work), table.concat(env, ' '), quote(term.program), o.args or '--no-rc')
  local ok, _, err = tmux('new-session', '-d', '-s', name, '-x', tostring(o.width or 80), '-y',
    tostring(o.height or 24), command)
  if not ok then term.skip('tmux: ' .. (err ~= '' and err:gsub('\n.*', '') or 'is not installed')) end
  local self = setmetatable({name = name}, Terminal)
  open[#open + 1] = self
  if o.wait ~= false then self:wait_prompt() end
  return self
end

--- The screen, rows joined where they wrapped, trailing blanks gone.
function Terminal:screen()
  local _, out = tmux('capture-pane', '-p', '-J', '-t', self.name)
  return (out:gsub('[ \t]+\n', '\n'):gsub('\n+$', ''))
end

--- The screen, row by row as it is.
function Terminal:rows()
  local _, out = tmux('capture-pane', '-p', '-t', self.name)
  return (out:gsub('[ \t]+\n', '\n'))
end

--- All lines since the start, those that scrolled off the screen too.
function Terminal:history()
  local _, out = tmux('capture-pane', '-p', '-J', '-S', '-', '-t', self.name)
  return (out:gsub('[ \t]+\n', '\n'):gsub('\n+$', ''))
end

--- Type text as it is.
function Terminal:type(text)
  if text:sub(-1) == ';' then text = text:sub(1, -2) .. '\\;' end -- tmux takes a last ; for itself
  tmux('send-keys', '-t', self.name, '-l', '--', text)
end

--- Press keys by tmux's names: Enter, Tab, Up, C-c, ...
function Terminal:key(...) tmux('send-keys', '-t', self.name, ...) end

--- Paste as a terminal does, with brackets round it.
function Terminal:paste(text)
  local path = work .. '/paste'
  local file = assert(io.open(path, 'w'))
  file:write(text)
  file:close()
  tmux('load-buffer', '-b', 'p', path)
  tmux('paste-buffer', '-p', '-b', 'p', '-t', self.name)
end

local function last_line(screen) return screen:match '[^\n]*$' end

--- Write all that the program sends to a file of the tests' folder, from now on.
function Terminal:log(name)
  os.remove(work .. '/' .. name)
  tmux('pipe-pane', '-t', self.name, 'exec cat > ' .. quote(work .. '/' .. name))
end

--- Wait until test(screen) holds; the screen.
function Terminal:until_screen(test, what, limit)
  local stop = host.now() + (limit or LIMIT)
  local screen
  repeat
    screen = self:screen()
    if test(screen) then return screen end
    pause(0.02)
  until host.now() > stop
  error(('waited in vain for %s; the screen:\n%s'):format(what, screen), 3)
end

--- Wait for a text on the screen.
function Terminal:wait(text, limit)
  return self:until_screen(function(s) return s:find(text, 1, true) end, ('%q'):format(text), limit)
end

--- Wait for an empty prompt on the last row.
function Terminal:wait_prompt(limit)
  return self:until_screen(function(s) return last_line(s) == PROMPT end, 'a prompt', limit)
end

--- Enter code; what it printed, once the prompt is back.
function Terminal:run(code, limit)
  self:type(code)
  local shown = PROMPT .. ' ' .. code
  self:until_screen(function(s) return s:sub(-#shown) == shown end, ('the echo of %q'):format(code))
  self:key 'Enter'
  local screen = self:wait_prompt(limit)
  local from, at = 0, screen:find(shown .. '\n', 1, true)
  while at do
    from, at = at, screen:find(shown .. '\n', at + 1, true)
  end
  assert(from > 0, 'the entry scrolled away')
  return (screen:sub(from + #shown + 1):gsub('\n?' .. PROMPT .. '$', ''))
end

function Terminal:close() tmux('kill-session', '-t', self.name) end

--- Close every terminal of the test that ended.
function term.close_all()
  for i = #open, 1, -1 do
    open[i]:close()
    open[i] = nil
  end
end

--- Remove what the tests left.
function term.clean()
  tmux 'kill-server'
  host.spawn({'rm', '-rf', work}, '', 10)
end

-- -- batch ------------------------------------------------------------------------------------------------

--- Run a shell command line in which $INCSH is the program: {out, err, status}.
function term.sh(command, input)
  local full = ('cd %s; INCSH=%s; export INCSH; %s'):format(quote(work), quote(term.program), command)
  local status, out, err = host.spawn({'sh', '-c', full}, input or '', 60)
  return {status = status, out = out, err = err}
end

--- Write a file in the tests' folder; its path.
function term.write(name, text)
  local path = work .. '/' .. name
  local file = assert(io.open(path, 'w'))
  file:write(text)
  file:close()
  return path
end

--- Raise unless the two are the same.
function term.equal(got, expected, what)
  if got ~= expected then
    error(('%sexpected %q, got %q'):format(what and what .. ': ' or '', tostring(expected), tostring(got)), 2)
  end
end

--- Raise unless text holds part.
function term.contains(text, part)
  if not text:find(part, 1, true) then error(('expected %q in:\n%s'):format(part, text), 2) end
end

return term
