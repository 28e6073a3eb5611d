--- The live plot above the prompt as a picture, where the terminal shows pictures.
--
-- gnuplot draws it as it draws a file, as a child that nobody waits for, into a file without a name; what it
-- made is put over the panel's rows when it is whole and no key was pressed for a moment, so that a picture
-- on its way to the terminal never stands before an echo. A child may take one part in SHARE of the time:
-- it takes that from the run. Whatever goes wrong (no gnuplot, a crash, no answer, no sixels in it, a
-- picture too large to send every few seconds, a terminal that does not say how large its characters are)
-- ends the pictures, with one sentence, and the panel is text from then on.

local screen = require 'inc.plot.screen'
local gnuplot = require 'inc.plot.gnuplot'

local panel = {}
panel.__index = panel

local SHARE = 8          -- of the time at most one part goes to gnuplot
local LIMIT = 10         -- seconds for one picture
local QUIET = 0.7        -- seconds without a key before a picture is sent
local MOST = 512 * 1024  -- bytes of a picture

local function now() return require 'inc.host'.now() end

--- A panel for 'sixel' or 'kitty'; nil where a picture cannot be placed to the cell.
function panel.new(kind)
  if kind == 'text' or not kind or not screen.cell() then return nil end
  return setmetatable({kind = kind, next = 0}, panel)
end

--- Begin to draw, unless the last picture was just the same.
-- @param columns, rows of characters
-- @return true, or nil and why there can be no more pictures
function panel:begin(list, o, columns, rows)
  local width, height, covered = screen.panel_pixels(columns, rows)
  local term = gnuplot.terminal(self.kind == 'kitty' and 'png' or 'sixel', width, height)
  local script = gnuplot.script(list, o, term)
  if script == self.script then return true end
  local path = os.tmpname()
  local job, why = require 'inc.host'.launch({'gnuplot', '-d'}, script, path, LIMIT)
  local file = job and io.open(path, 'rb')
  os.remove(path)
  if not file then return nil, why or path .. ': cannot be read' end
  self.job, self.file, self.script, self.started = job, file, script, now()
  self.wanted = {asked = columns, columns = covered, rows = rows}
  return true
end

local function failure(status)
  if status == 127 then return 'gnuplot is not installed (apt install gnuplot-nox)' end
  return 'gnuplot failed: ' .. (status == 142 and 'no answer in time' or 'status ' .. status)
end

local begins = {sixel = '\27P', kitty = '\137PNG'}

--- The picture that the child made; nil and why there is none.
function panel:made(status)
  local bytes = self.file:read 'a'
  self.file:close()
  self.job, self.file = nil, nil
  if status ~= 0 then return nil, failure(status) end
  local head = begins[self.kind]
  if bytes:sub(1, #head) ~= head then return nil, 'gnuplot failed: it drew no picture' end
  if #bytes > MOST then return nil, ('the picture has %d KB'):format(#bytes // 1024) end
  return bytes
end

-- The finished picture is the panel's from now on; what draws it is made here, since the prompt asks for it
-- several times a second.
local function accept(self)
  self.bytes, self.size, self.late = self.late, self.wanted, nil
  self.draw, self.erase = screen.panel(self.kind, self.bytes, self.size.columns, self.size.rows)
end

--- Is nothing being drawn? Takes what is finished.
-- @param at_once true: do not wait until no key is pressed
-- @return true or false; nil and why there can be no more pictures
function panel:ready(at_once)
  if self.job then
    local status = require 'inc.host'.finished(self.job)
    if not status then return false end
    self.next = now() + SHARE * (now() - self.started)
    local bytes, why = self:made(status)
    if not bytes then return nil, why end
    self.late = bytes
  end
  if self.late and not at_once and require 'inc.host'.quiet() < QUIET then return false end
  if self.late then accept(self) end
  return true
end

--- Lay it over the screen: the rows that it takes, as text; nil before the first picture and when the screen
-- has another size now.
function panel:rows(columns, rows)
  local size = self.size
  if not size or size.asked ~= columns or size.rows ~= rows then return nil end
  require 'inc.host'.panel(self.draw, self.erase, rows)
  return ('\n'):rep(rows - 1)
end

--- The picture as lines that stay above the prompt; nil when there is none.
function panel:lines()
  if not self.size then return nil end
  return screen.lines(self.kind, self.bytes, self.size.columns, self.size.rows)
end

return panel
