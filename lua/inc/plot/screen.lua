--- Pictures in the terminal: what it can show, and how it is told.
--
-- Only a terminal that answers is trusted. It is asked for its attributes (DA1), which every terminal
-- understands; 4 among them means sixels. kitty's protocol has a question of its own, which some old
-- terminals would print as text, so it is put only to those whose environment says that they may know it,
-- and the answer decides. Nothing is asked of a pipe, of TERM=dumb, or in the background.
-- INC_GRAPHICS=sixel, kitty or none overrides. The answer is remembered: one question a session.

local screen = {}

local SECONDS = 1         -- for the answer; a terminal far away needs some of it
local CELL_W, CELL_H = 8, 16 -- pixels of a character where the terminal does not say
local CHUNK = 4096        -- of kitty's protocol

local ASK_CELL = '\27[16t' -- how large is a character, in pixels?
local PANEL_WIDTH = 1200   -- pixels at most: a wider picture costs more to send than it shows
local PANEL_ID = 21735     -- kitty's number of the panel's picture

local found     -- {kind or false}
local cell = {} -- height and width, if the terminal said so

local function set(name)
  local v = os.getenv(name)
  return v ~= nil and v ~= ''
end

local kitty_terms = {'kitty', 'ghostty', 'wezterm'}
local kitty_programs = {ghostty = true, WezTerm = true, rio = true}

local function may_know_kitty()
  if set 'TMUX' or set 'STY' then return false end
  local term = os.getenv 'TERM' or ''
  for _, word in ipairs(kitty_terms) do
    if term:find(word, 1, true) then return true end
  end
  local program = os.getenv 'TERM_PROGRAM' or ''
  return set 'KITTY_WINDOW_ID' or set 'KONSOLE_VERSION' or kitty_programs[program] == true
end

-- What an answer says: 'kitty', 'sixel' or nil.
local function understood(answer)
  if answer:find('\27_Gi=31;OK', 1, true) then return 'kitty' end
  local attributes = answer:match '\27%[%?([%d;]*)c'
  if attributes and (';' .. attributes .. ';'):find(';4;', 1, true) then return 'sixel' end
end

local function ask()
  local host = require 'inc.host'
  local term = os.getenv 'TERM'
  if not term or term == 'dumb' or not host.isatty(0) or not host.isatty(1) then return nil end
  local question = '\27[c'
  if may_know_kitty() then question = '\27_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\27\\' .. question end
  io.stdout:flush()
  local answer = host.query(ASK_CELL .. question, SECONDS, 'c')
  cell = {answer:match '\27%[6;(%d+);(%d+)t'}
  return understood(answer)
end

--- What this terminal shows pictures with: 'kitty', 'sixel', or nil.
function screen.graphics()
  local forced = os.getenv 'INC_GRAPHICS'
  if forced == 'none' then return nil end
  if forced == 'sixel' or forced == 'kitty' then return forced end
  if not found then found = {ask() or false} end
  return found[1] or nil
end

--- Does the terminal's language have Unicode (LC_ALL, LC_CTYPE, LANG)?
function screen.unicode()
  for _, name in ipairs{'LC_ALL', 'LC_CTYPE', 'LANG'} do
    if set(name) then return os.getenv(name):upper():find 'UTF%-?8' ~= nil end
  end
  return false
end

--- May output be coloured (a terminal, not dumb, no NO_COLOR)?
function screen.colour()
  local term = os.getenv 'TERM'
  return not set 'NO_COLOR' and term ~= nil and term ~= 'dumb' and require 'inc.host'.isatty(1)
end

--- Pixels of `share` of the screen's width and of its height, at most `most` wide.
function screen.pixels(share_x, share_y, most)
  local host = require 'inc.host'
  local columns, rows = host.size()
  local width, height = host.pixels()
  if width == 0 or height == 0 then width, height = columns * CELL_W, rows * CELL_H end
  return math.min(width * share_x // 1, most), height * share_y // 1
end

--- Pixels of a character, width and height; nil where nobody knows.
function screen.cell()
  local host = require 'inc.host'
  local columns, rows = host.size()
  local width, height = host.pixels()
  if width > 0 and height > 0 then return width / columns, height / rows end
  if cell[1] then return tonumber(cell[2]), tonumber(cell[1]) end
  if os.getenv 'INC_GRAPHICS' then return CELL_W, CELL_H end
end

-- kitty's protocol: base64 in chunks; q=2 keeps the terminal from answering into what is typed.
local function kitty(head, bytes, tail)
  local text, parts = require 'inc.core'.base64(bytes), {}
  for at = 1, #text, CHUNK do
    local more = at + CHUNK <= #text and 1 or 0
    local keys = at == 1 and head .. ',a=T,q=2,m=' .. more or 'm=' .. more
    parts[#parts + 1] = ('\27_G%s;%s\27\\'):format(keys, text:sub(at, at + CHUNK - 1))
  end
  return table.concat(parts) .. (tail or '\n')
end

--- The text that shows a PNG in a terminal with kitty's protocol.
function screen.kitty_png(bytes) return kitty('f=100', bytes) end

--- The text that shows a picture.
-- @param kind 'sixel' or 'kitty'
-- @param picture a u8 tensor [3, H, W]
function screen.picture(kind, picture)
  local core = require 'inc.core'
  if kind == 'sixel' then return core.image_sixel(picture) .. '\n' end
  local shape = picture:shape()
  return kitty(('f=24,s=%d,v=%d'):format(shape[3], shape[2]), core.image_bytes(picture))
end

-- -- a picture above the prompt ----------------------------------------------------------------------------

--- The size of a picture that covers so many characters: width and height in pixels and the columns that it
-- takes; nil where a character's size is not known.
function screen.panel_pixels(columns, rows)
  local w, h = screen.cell()
  if not w then return nil end
  columns = math.min(columns, PANEL_WIDTH // w // 1 | 0)
  return columns * w // 1 | 0, rows * h // 6 * 6 | 0, columns
end

--- What draws a picture over rows of the screen and leaves the cursor where it was, and what takes it away.
-- @param bytes sixels, or a PNG for kitty
-- @param stays false for the panel, which is drawn again and again: it then takes its own last one's place
function screen.panel(kind, bytes, columns, rows, stays)
  if kind == 'sixel' then return '\0277' .. bytes .. '\0278', '' end
  local head = ('f=100,c=%d,r=%d,C=1'):format(columns, rows)
  if not stays then head = head .. (',i=%d,p=1'):format(PANEL_ID) end
  return '\0277' .. kitty(head, bytes, '') .. '\0278', ('\27_Ga=d,d=I,i=%d,q=2\27\\'):format(PANEL_ID)
end

--- The same picture as lines that stay: its rows are made first. Without the last line's end.
function screen.lines(kind, bytes, columns, rows)
  local draw = screen.panel(kind, bytes, columns, rows, true)
  return ('\n'):rep(rows) .. ('\r\27[%dA'):format(rows) .. draw .. ('\r\27[%dB'):format(rows - 1)
end

return screen
