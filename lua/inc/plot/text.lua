--- Curves as text: eight dots of Braille in a character, or plain ASCII where the terminal has no Unicode.
--
-- Our own and not gnuplot's "dumb" terminal: that one has a dot a character, and a curve that is drawn while
-- somebody types may not wait for another program. With several curves and no colours each has a sign of its
-- own, because Braille of two curves cannot be told apart.

local args = require 'inc.args'
local axis = require 'inc.plot.axis'
local series = require 'inc.plot.series'

local text = {}

local MAX_POINTS = 4000
local colours = {'36', '33', '35', '32', '31', '34'}
local signs = {'*', '+', 'o', 'x', '#', '@'}
local bits = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}} -- of Braille, by row and column

-- -- canvas ------------------------------------------------------------------------------------------------

-- Cells of {dots, owner, shade}; a dot is at x, y from the top left corner, from 0.
local function new_canvas(columns, rows, style)
  local c = {columns = columns, rows = rows, cells = {}, style = style}
  c.dots_x, c.dots_y = style.braille and 2 or 1, style.braille and 4 or 1
  c.width, c.height = columns * c.dots_x, rows * c.dots_y
  return c
end

local function cell_at(c, column, row)
  local at = row * c.columns + column
  c.cells[at] = c.cells[at] or {dots = 0}
  return c.cells[at]
end

local function put(c, x, y, owner)
  if x < 0 or y < 0 or x >= c.width or y >= c.height then return end
  local cell = cell_at(c, x // c.dots_x, y // c.dots_y)
  if c.style.braille then cell.dots = cell.dots | bits[y % 4 + 1][x % 2 + 1] else cell.dots = 1 end
  cell.owner = owner
end

local function line(c, x0, y0, x1, y1, owner)
  local steps = math.max(math.abs(x1 - x0), math.abs(y1 - y0))
  if steps > 4 * (c.width + c.height) then return end -- from far outside to far outside
  for i = 0, steps do
    local t = steps == 0 and 0 or i / steps
    put(c, math.floor(x0 + (x1 - x0) * t + 0.5), math.floor(y0 + (y1 - y0) * t + 0.5), owner)
  end
end

local function character(cell, style)
  if cell.dots == 0 then
    return style.unicode and '░' or ':'
  elseif style.braille then
    return utf8.char(0x2800 + cell.dots)
  end
  return signs[(cell.owner - 1) % #signs + 1]
end

local function row_text(c, row)
  local parts, style = {}, c.style
  for column = 0, c.columns - 1 do
    local cell = c.cells[row * c.columns + column]
    local owner = cell and (cell.owner or cell.shade)
    if not cell then parts[#parts + 1] = ' '
    elseif style.colour then
      local code = colours[(owner - 1) % #colours + 1]
      local dim = cell.dots == 0 and '2;' or ''
      parts[#parts + 1] = ('\27[%s%sm%s\27[0m'):format(dim, code, character(cell, style))
    else parts[#parts + 1] = character(cell, style) end
  end
  return table.concat(parts)
end

-- -- curves ------------------------------------------------------------------------------------------------

local function dots_of(c, ax, ay, x, y)
  return math.floor(ax.place(x) * (c.width - 1) + 0.5), math.floor((1 - ay.place(y)) * (c.height - 1) + 0.5)
end

local function draw_curve(c, ax, ay, s, owner)
  local xs, ys = series.thin(s.x, s.y, MAX_POINTS)
  local px, py
  for i = 1, #ys do
    if xs[i] == xs[i] and ys[i] == ys[i] then
      local x, y = dots_of(c, ax, ay, xs[i], ys[i])
      line(c, px or x, py or y, x, y, owner)
      px, py = x, y
    else px = nil end
  end
end

local function shade_column(c, column, top, bottom, owner)
  if column < 0 or column >= c.width then return end
  for y = math.max(top // 1, 0), math.min(bottom // 1, c.height - 1), c.dots_y do
    local cell = cell_at(c, column // c.dots_x, y // c.dots_y)
    cell.shade = cell.shade or owner
  end
end

local function draw_band(c, ax, ay, s, owner)
  local x, low, high = series.thin_band(s, MAX_POINTS)
  local last, last_top, last_bottom
  for i = 1, #x do
    if x[i] == x[i] and low[i] == low[i] and high[i] == high[i] then
      local column, bottom = dots_of(c, ax, ay, x[i], low[i])
      local _, top = dots_of(c, ax, ay, x[i], high[i])
      for k = last or column, column do
        local t = last and column > last and (k - last) / (column - last) or 1
        local upper = (last_top or top) * (1 - t) + top * t
        shade_column(c, k, upper, (last_bottom or bottom) * (1 - t) + bottom * t, owner)
      end
      last, last_top, last_bottom = column, top, bottom
    else last, last_top, last_bottom = nil, nil, nil end
  end
end

-- -- frame -------------------------------------------------------------------------------------------------

local function len(s) return utf8.len(s) or #s end

local function centred(s, left, width)
  s = args.clip(s, width)
  return (' '):rep(left + (width - len(s)) // 2) .. s
end

-- Text of the user's as one line that the terminal can show.
local function plain(s, style)
  s = tostring(s):gsub('%c', ' ')
  if not utf8.len(s) then s = s:gsub('[\128-\255]', '?') end
  if not style.unicode then s = s:gsub('±', '+-'):gsub('[\192-\255][\128-\191]*', '?') end
  return s
end

local function legend(list, style, left, width)
  local rows, used = {}, math.huge
  for i, s in ipairs(list) do
    if s.name then
      local mark = style.braille and '──' or signs[(i - 1) % #signs + 1]
      local name = args.clip(plain(s.name, style), width - len(mark) - 1)
      local item = mark .. ' ' .. name
      local code = colours[(i - 1) % #colours + 1]
      if style.colour then item = ('\27[%sm%s\27[0m %s'):format(code, mark, name) end
      local size = len(mark) + 1 + len(name)
      if used + 3 + size > width then rows[#rows + 1], used = (' '):rep(left) .. item, size
      else rows[#rows], used = rows[#rows] .. '   ' .. item, used + 3 + size end
    end
  end
  return rows
end

local function labels_by_row(ay, rows)
  local at = {}
  for i, v in ipairs(ay.ticks) do
    local row = math.floor((1 - ay.place(v)) * (rows - 1) + 0.5)
    if row >= 0 and row < rows then at[row] = at[row] or ay.labels[i] end
  end
  return at
end

local function x_axis(ax, left, columns, style)
  local rule, labels, free = {}, '', 0
  for i = 1, columns do rule[i] = style.unicode and '─' or '-' end
  for i, v in ipairs(ax.ticks) do
    local column = math.floor(ax.place(v) * (columns - 1) + 0.5)
    local label = ax.labels[i]
    local start = left + 1 + column - #label // 2
    if column >= 0 and column < columns and start >= free and start + #label <= left + columns + 2 then
      rule[column + 1] = style.unicode and '┴' or '+'
      labels = labels .. (' '):rep(start - #labels) .. label
      free = #labels + 1
    end
  end
  return (' '):rep(left) .. (style.unicode and '└' or '+') .. table.concat(rule), labels
end

local function y_lists(list)
  local ys, xs = {}, {}
  for _, s in ipairs(list) do
    xs[#xs + 1], ys[#ys + 1] = s.x, s.y
    if s.low then ys[#ys + 1], ys[#ys + 2] = s.low, s.high end
  end
  return xs, ys
end

local function widest(labels)
  local w = 0
  for _, label in ipairs(labels) do w = math.max(w, #label) end
  return w
end

local function frame_rows(c, ay, left, style)
  local out, at = {}, labels_by_row(ay, c.rows)
  for row = 0, c.rows - 1 do
    local label = at[row] or ''
    local bar = style.unicode and (at[row] and '┤' or '│') or (at[row] and '+' or '|')
    out[#out + 1] = (' '):rep(left - #label - 1) .. label .. ' ' .. bar .. row_text(c, row)
  end
  return out
end

local function joined(...)
  local out = {}
  for _, list in ipairs{...} do table.move(list, 1, #list, #out + 1, out) end
  return out
end

--- The curves as lines of text.
-- @param list as series.all gives them, holes punched
-- @param o options of inc.plot
-- @param style width, height (characters), unicode, colour
function text.draw(list, o, style)
  style.braille = style.unicode and (style.colour or #list == 1)
  local xs, ys = y_lists(list)
  local ticks = math.max(3, style.height // 3)
  local ay = axis.new(ys, {log = o.logy, range = o.yrange, margin = 0.03, most = ticks})
  local left = widest(ay.labels) + 1
  local columns = math.max(8, style.width - left - 1)
  local ax = axis.new(xs, {log = o.logx, range = o.xrange, most = math.max(2, columns // 10)})
  local head = {}
  if o.title and o.title ~= '' then head[1] = centred(plain(o.title, style), left + 1, columns) end
  table.move(legend(list, style, left + 1, columns), 1, 12, #head + 1, head)
  if o.ylabel and o.ylabel ~= '' then head[#head + 1] = args.clip(plain(o.ylabel, style), style.width) end
  local foot = {x_axis(ax, left, columns, style)}
  if o.xlabel and o.xlabel ~= '' then foot[3] = centred(plain(o.xlabel, style), left + 1, columns) end
  local c = new_canvas(columns, math.max(4, style.height - #head - #foot), style)
  for i, s in ipairs(list) do
    if s.low then draw_band(c, ax, ay, s, i) end
  end
  for i, s in ipairs(list) do draw_curve(c, ax, ay, s, i) end
  local lines = joined(head, frame_rows(c, ay, left, style), foot)
  for i, each in ipairs(lines) do lines[i] = each:gsub(' +$', '') end
  return table.concat(lines, '\n') .. '\n'
end

return text
