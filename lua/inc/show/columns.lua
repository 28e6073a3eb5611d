--- Rows of cells as lines of aligned columns, none wider than the terminal.
--
-- A table that wraps cannot be read. So columns of text give way first, down to a least width, then whole
-- columns are left out, those first that are missed least, and what still does not fit is cut. Output that
-- goes to a file or a program keeps everything.

local args = require 'inc.args'

local columns = {}

local function width(text) return utf8.len(text) or #text end

--- Columns of text that a line may have: those of the terminal, without limit where there is none.
function columns.room()
  local host = require 'inc.host'
  return host.isatty(1) and host.size() - 1 or math.huge
end

-- A text of at most n characters; what is cut off is marked.
local function cut(text, n, keep_end)
  if width(text) <= n then return text end
  if not keep_end then return args.clip(text, n - 2) .. '..' end
  local from = utf8.len(text) and utf8.offset(text, 2 - n) or #text + 3 - n
  return '..' .. text:sub(from)
end

local function widths_of(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width(cell)) end
  end
  return widths
end

-- By how much the columns that are kept are too wide together.
local function excess(widths, dropped, room)
  local total = -2
  for i, w in ipairs(widths) do
    if not dropped[i] then total = total + w + 2 end
  end
  return total - room
end

-- Narrows the columns of o.shrink, and returns the set of columns that are left out.
local function give_way(widths, o, room)
  local dropped, least, spare = {}, o.least or 12, 0
  for _, i in ipairs(o.shrink) do spare = spare + math.max(0, widths[i] - least) end
  for _, drop in ipairs(o.drop or {}) do
    if excess(widths, dropped, room) > spare then dropped[drop] = true end
  end
  for _, i in ipairs(o.shrink) do
    local over = math.max(0, excess(widths, dropped, room))
    widths[i] = math.min(widths[i], math.max(least, widths[i] - over))
  end
  return dropped
end

local function line_of(row, widths, dropped, o, room)
  local cells = {}
  for i, cell in ipairs(row) do
    if not dropped[i] then
      cell = cut(cell, widths[i], o.keep_end)
      local space = (' '):rep(widths[i] - width(cell))
      cells[#cells + 1] = o.right[i] and space .. cell or cell .. space
    end
  end
  local line = table.concat(cells, '  '):gsub('%s+$', '')
  return width(line) > room and cut(line, room) or line
end

--- Lay rows out.
-- @param rows lists of strings of one length, the head among them
-- @param o right: set of columns that stand to the right; shrink: those that are shortened where lines are
--   too wide, in this order, to `least` characters (12), keeping their ends with keep_end; drop: those that
--   are then left out, in this order
-- @return the lines, and the set of columns that were left out
-- > require('inc.show.columns').lines({{'a', 'b'}, {'cd', 'e'}}, {right = {}, shrink = {1}})[2]  --> cd  e
function columns.lines(rows, o)
  local widths, room, lines = widths_of(rows), columns.room(), {}
  local dropped = give_way(widths, o, room)
  for i, row in ipairs(rows) do lines[i] = line_of(row, widths, dropped, o, room) end
  return lines, dropped
end

return columns
