-- screen.lua -- text for a terminal: broken between words, and a page at a time.
--
-- A terminal breaks a long line where its row ends, in the middle of a path; what incsh says of itself
-- (notes, warnings, errors, news) is broken between words. Long text of help goes through a pager, as in
-- IPython: $PAGER, else less, else more. Only while an entry of the prompt runs, on a terminal that can move
-- its cursor, and only for text that the screen cannot hold: scripts, pipes and notebooks get it as it is.
-- Rejected: a pager of our own, which would not be the one that the user's fingers know.
local host = require 'inc.host'

local screen = {}

local INDENT = '  ' -- of what goes on in the next row

-- -- words ------------------------------------------------------------------------------------------------

local function width_of(text) return utf8.len(text) or #text end

local function broken(line, columns)
  local rows, row = {}, line:match '^%s*'
  local empty = true -- nothing but the indentation
  for gap, word in line:sub(#row + 1):gmatch '(%s*)(%S+)' do
    if empty then row, empty = row .. word, false
    elseif width_of(row) + #gap + width_of(word) <= columns then row = row .. gap .. word
    else rows[#rows + 1], row = row, line:match '^%s*' .. INDENT .. word end
  end
  rows[#rows + 1] = row
  return table.concat(rows, '\n')
end

--- Break the lines of a text between words, so that each fits so many columns; a longer word has a row of its
-- own. Text with escape sequences stays as it is: nobody can tell how wide it is.
function screen.wrap(text, columns)
  if text:find '\27' then return text end
  return (text:gsub('[^\n]+', function(line)
    return width_of(line) > columns and broken(line, columns) or nil
  end))
end

--- The text as the terminal behind a descriptor (1: standard output, 2: errors) should get it; unchanged for
-- files.
function screen.fit(text, fd)
  if not host.isatty(fd) then return text end
  return screen.wrap(text, (host.size()))
end

-- -- how far it is ----------------------------------------------------------------------------------------

local LATER, APART = 0.5, 0.1 -- seconds until the first word, and between two

local Progress = {}
Progress.__index = Progress

--- For `local bar <close> = screen.progress()`: one line on the terminal that is written again in its place
-- and gone at the end. Nothing where errors go to a file; on a dumb terminal what is told first.
function screen.progress()
  local able = host.isatty(2) and (os.getenv 'TERM' == 'dumb' and 'once' or 'yes')
  return setmetatable({able = able, shown = '', next = host.now() + LATER}, Progress)
end

-- The row belongs to it: backspaces would go wrong where the terminal has shown a ^C behind the words.
local function put(self, text)
  io.stderr:write('\r', text, '\27[K')
  io.stderr:flush()
  self.shown = text
end

--- Say how far it is; at first after half a second, for what is over by then needs no words.
function Progress:show(format, ...)
  local now = host.now()
  if not self.able or now < self.next then return end
  local text = format:format(...):sub(1, host.size() - 1)
  self.next = now + APART
  if self.able == 'yes' then return put(self, text) end
  self.able = false
  io.stderr:write(text, '\n')
end

--- Take the line off, as before other words.
function Progress:wipe()
  if self.shown ~= '' then put(self, '') end
end

Progress.__close = Progress.wipe

-- -- pages ------------------------------------------------------------------------------------------------

screen.paging = false -- the prompt sets it while an entry runs

local function rows_of(text, columns)
  local n = 0
  for line in (text .. '\n'):gmatch '(.-)\n' do
    n = n + math.max(1, (width_of(line) + columns - 1) // columns)
  end
  return n
end

local function is_there(program)
  for folder in (os.getenv 'PATH' or ''):gmatch '[^:]+' do
    if host.kind(folder .. '/' .. program) == 'file' then return true end
  end
  return false
end

-- The user's pager, or one that is there; an empty $PAGER says that none is wanted.
local function program()
  local own = os.getenv 'PAGER'
  if own then return own:find '%S' and own end
  return is_there 'less' and 'less' or is_there 'more' and 'more'
end

-- less leaves the page on the screen (X), where it can be read while one types, and shows colours (R).
local function run_pager(command, text)
  local path = os.tmpname()
  local file <close> = io.open(path, 'w')
  local written = file and file:write(text, '\n') and file:flush()
  io.stdout:flush()
  local ok = written and os.execute(('export LESS="${LESS-FRX}"; { %s; } < %s'):format(command, path))
  os.remove(path)
  return ok
end

--- Print a text of help: through a pager where the screen cannot hold it together with a prompt.
function screen.print(text)
  local columns, rows = host.size()
  text = screen.fit(text, 1)
  local long = screen.paging and host.isatty(1) and rows_of(text, columns) >= rows
  local command = long and program()
  if not (command and run_pager(command, text)) then print(text) end
end

return screen
