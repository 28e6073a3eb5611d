--- A net as a picture: places for everything on the grid of graph.lua, then marks (boxes, lines, words),
-- which SVG and gnuplot both can draw.
--
-- The main line of the net runs from top to bottom in strips that stand side by side, so that the whole
-- fits a page; blocks are frames with their branches as columns. SVG is written as text of our own and
-- needs no program.

local svg = {}

local FONT, LETTER = 11, 6.3      -- points, and the width of a letter of that size
local BOX_H, GAP_X, GAP_Y = 22, 10, 15
local TOP_GAP = 24                -- between things of the main line: a line of small print stands there
local PAD, HEAD = 10, 20          -- of a frame
local STRIP_GAP, MARGIN = 56, 24
local SHAPE_W = 96                -- for the words beside the main line
local RATIO = 1.5                 -- width to height of the page

local colours = {
  conv = {'#dbe9f6', '#4f86b5'}, pool = {'#fde6cb', '#d1863a'}, linear = {'#d9efd9', '#4e9a51'},
  join = {'#e8e8e8', '#8c8c8c'}, norm = {'#f4f4f4', '#a5a5a5'}, dropout = {'#f6e3ec', '#b97597'},
  other = {'#f1ecf9', '#8c77b8'}, block = {'#ece9f7', '#7f70b5'}, frame = {'#fbfbfb', '#b5b5b5'},
  input = {'#ffffff', '#666666'},
}

local function words(s) return (utf8.len(s) or #s) * LETTER end

-- -- sizes -------------------------------------------------------------------------------------------------

local measure

local function size_of(node)
  if node.w then return end
  if node.inner and #node.inner.nodes > 0 then
    measure(node.inner)
    local head = words((node.name or '') .. '  ' .. node.class) + 2 * PAD
    node.w, node.h = math.max(node.inner.w, head) + 2 * PAD, node.inner.h + HEAD + PAD + GAP_Y
  else
    node.w, node.h = math.max(60, words(node.label) + 14), node.kind == 'op' and 16 or BOX_H
  end
end

-- Widths of columns and heights of rows of a container, and so its own size.
function measure(c)
  c.widths, c.heights, c.gap = {}, {}, c.gap or GAP_Y
  for i = 1, c.columns do c.widths[i] = 0 end
  for _, n in ipairs(c.nodes) do
    size_of(n)
    n.row = n.rank - (c.first or 1) + 1
    if n.column == n.last_column then c.widths[n.column] = math.max(c.widths[n.column], n.w) end
    c.heights[n.row] = math.max(c.heights[n.row] or 0, n.h)
  end
  c.w, c.h = 0, c.gap * (#c.heights - 1)
  for _, w in ipairs(c.widths) do
    if w > 0 then c.w = c.w + w + (c.w > 0 and GAP_X or 0) end
  end
  for _, h in ipairs(c.heights) do c.h = c.h + h end
  return c
end

local function column_x(c, i)
  local x = 0
  for k = 1, i - 1 do
    if c.widths[k] > 0 then x = x + c.widths[k] + GAP_X end
  end
  return x
end

local function row_y(c, row)
  local y = 0
  for k = 1, row - 1 do y = y + c.heights[k] + c.gap end
  return y
end

-- -- marks -------------------------------------------------------------------------------------------------

local function box(marks, x, y, w, h, kind, radius)
  local pair = colours[kind] or colours.other
  marks[#marks + 1] = {mark = 'box', x = x, y = y, w = w, h = h, radius = radius,
    fill = pair[1], line = pair[2]}
end

local function word(marks, x, y, text, o)
  o = o or {}
  marks[#marks + 1] = {mark = 'word', x = x, y = y, text = text, size = o.size or FONT,
    anchor = o.anchor or 'middle', bold = o.bold, colour = o.colour or '#222222'}
end

local function line(marks, points, arrow)
  marks[#marks + 1] = {mark = 'line', points = points, arrow = arrow}
end

-- From (x1, y1) down to (x2, y2): straight, or with a bend just above the end.
local function connect(marks, x1, y1, x2, y2)
  if math.abs(x1 - x2) < 0.5 then return line(marks, {{x1, y1}, {x2, y2}}, true) end
  local bend = y2 - 7
  line(marks, {{x1, y1}, {x1, bend}, {x2, bend}, {x2, y2}}, true)
end

-- -- a container in its place ------------------------------------------------------------------------------

local draw_inside

local function place_of(c, n, x, y)
  local left = x + column_x(c, n.column)
  local width = column_x(c, n.last_column) + c.widths[n.last_column] - column_x(c, n.column)
  n.left, n.top, n.width = left, y + row_y(c, n.row), width
  n.cx = left + width / 2
  if n.last_column == n.column then n.left, n.width = n.cx - n.w / 2, n.w end
  n.bottom = n.top + n.h
end

local function draw_node(marks, n)
  if n.inner and #n.inner.nodes > 0 then
    box(marks, n.left, n.top, n.width, n.h, 'frame', 8)
    word(marks, n.left + PAD, n.top + 15, n.name or '', {anchor = 'start', bold = true})
    word(marks, n.left + n.width - PAD, n.top + 15, n.class, {anchor = 'end', colour = '#777777'})
    draw_inside(marks, n)
    return
  end
  box(marks, n.left, n.top, n.width, n.h, n.colour or n.kind, n.kind == 'op' and 3 or 5)
  word(marks, n.cx, n.top + n.h / 2 + 4, n.label)
end

-- Something in the column of `to` between the ranks of the two, so that a straight line would cross it?
local function blocked(c, from_rank, to)
  for _, n in ipairs(c.nodes) do
    if n.rank > from_rank and n.rank < to.rank and n.column <= to.column and n.last_column >= to.column then
      return true
    end
  end
  return false
end

local function around(marks, c, x1, y1, n, x)
  local side = x + c.w + PAD / 2
  line(marks, {{x1, y1}, {x1, y1 + GAP_Y / 2}, {side, y1 + GAP_Y / 2}, {side, n.top + n.h / 2},
    {n.left + n.width, n.top + n.h / 2}}, true)
end

local function draw_edges(marks, c, x, bus)
  for _, n in ipairs(c.nodes) do
    if n.entry and bus then
      if blocked(c, 0, n) then around(marks, c, bus.x, bus.y, n, x)
      else connect(marks, bus.x, bus.y, n.last_column > n.column and bus.x or n.cx, n.top) end
    end
    for _, p in ipairs(n.from) do
      local wide = n.last_column > n.column
      if blocked(c, p.rank, n) and not wide then around(marks, c, p.cx, p.bottom, n, x)
      else connect(marks, p.cx, p.bottom, wide and p.cx or n.cx, n.top) end
    end
  end
end

function draw_inside(marks, n)
  local c = n.inner
  local x, y = n.cx - c.w / 2, n.top + HEAD + GAP_Y
  for _, each in ipairs(c.nodes) do place_of(c, each, x, y) end
  draw_edges(marks, c, x, {x = n.cx, y = n.top + HEAD + 1})
  for _, each in ipairs(c.nodes) do draw_node(marks, each) end
end

-- -- the page ----------------------------------------------------------------------------------------------

local function sample(shape)
  local rest = (shape or ''):match '^%d+, (.+)$'
  return rest and rest:gsub(', ', ' × ') or ''
end

-- Ranks of the whole net, cut into strips of about equal height: {first, last} of each.
local function cuts(c, count)
  local heights, total, list = {}, 0, {{first = 1}}
  for _, n in ipairs(c.nodes) do heights[n.rank] = math.max(heights[n.rank] or 0, n.h) end
  for _, h in ipairs(heights) do total = total + h + TOP_GAP end
  local here = 0
  for rank, h in ipairs(heights) do
    if here > 0 and here + h / 2 > total / count and #list < count then
      list[#list + 1], here = {first = rank}, 0
    end
    list[#list].last, here = rank, here + h + TOP_GAP
  end
  return list
end

-- The strips as containers of their own, and the size of the page.
local function page(c, count)
  local strips, w, h = {}, -STRIP_GAP, 0
  for i, cut in ipairs(cuts(c, count)) do
    local s = {nodes = {}, columns = c.columns, first = cut.first, gap = TOP_GAP}
    for _, n in ipairs(c.nodes) do
      if n.rank >= cut.first and n.rank <= cut.last then s.nodes[#s.nodes + 1] = n end
    end
    strips[i] = measure(s)
    w, h = w + s.w + SHAPE_W + STRIP_GAP, math.max(h, s.h)
  end
  return {strips = strips, w = w, h = h + TOP_GAP}
end

-- As many strips as bring the page nearest to the ratio wanted.
local function best_page(c, wanted)
  local best, least = wanted, math.huge
  for count = 1, wanted and 0 or 6 do
    local p = page(c, count)
    local miss = math.abs(math.log(p.w / p.h / RATIO))
    if miss < least then best, least = count, miss end
  end
  return page(c, best)
end

local function place_strip(s, x, y)
  s.x = x
  for _, n in ipairs(s.nodes) do
    n.strip = s
    place_of(s, n, x, y)
  end
end

-- From the foot of one strip to the head of the next.
local function across(marks, p, n)
  local gutter, foot, head = n.strip.x - (SHAPE_W + STRIP_GAP) / 2, p.bottom + TOP_GAP - 6, n.top - 12
  line(marks, {{p.cx, p.bottom}, {p.cx, foot}, {gutter, foot}, {gutter, head}, {n.cx, head},
    {n.cx, n.top}}, true)
end

local function draw_top(marks, c)
  for _, n in ipairs(c.nodes) do
    for _, p in ipairs(n.from) do
      if p.strip ~= n.strip then across(marks, p, n)
      elseif blocked(c, p.rank, n) then around(marks, n.strip, p.cx, p.bottom, n, n.strip.x)
      else connect(marks, p.cx, p.bottom, n.last_column > n.column and p.cx or n.cx, n.top) end
    end
  end
  for _, n in ipairs(c.nodes) do
    draw_node(marks, n)
    if not n.inner and n.name and n.column == 1 then
      word(marks, n.left - 8, n.top + n.h / 2 + 4, n.name, {anchor = 'end', size = 10, colour = '#555555'})
    end
    word(marks, n.cx + 6, n.bottom + 12, sample(n.shape), {anchor = 'start', size = 9, colour = '#888888'})
  end
end

local function add_input(c, info)
  local input = {kind = 'input', label = 'input ' .. sample(table.concat(info.input, ', ')), from = {},
    column = 1, last_column = 1, rank = 1, entry = false}
  for _, n in ipairs(c.nodes) do
    n.rank = n.rank + 1
    if n.entry then table.insert(n.from, input) end
    n.entry = false
  end
  table.insert(c.nodes, 1, input)
  c.columns = math.max(c.columns, 1)
end

--- The picture as marks: {w, h, marks}.
-- @param container, info what graph.of gave; the container's nodes get places
-- @param o {columns = strips}
function svg.layout(container, info, o)
  local c, marks = container, {}
  add_input(c, info)
  for _, n in ipairs(c.nodes) do size_of(n) end
  local best = best_page(c, o.columns)
  local top, x = MARGIN + 34, MARGIN + SHAPE_W / 2
  for _, strip in ipairs(best.strips) do
    place_strip(strip, x, top)
    x = x + strip.w + SHAPE_W + STRIP_GAP
  end
  word(marks, MARGIN, MARGIN + 8, info.title, {anchor = 'start', size = 15, bold = true})
  draw_top(marks, c)
  return {w = math.ceil(best.w + 2 * MARGIN), h = math.ceil(best.h + top + MARGIN), marks = marks}
end

-- -- as SVG ------------------------------------------------------------------------------------------------

local function escape(s)
  if not utf8.len(s) then s = s:gsub('[\128-\255]', '?') end
  return (s:gsub('%c', ' '):gsub('&', '&amp;'):gsub('<', '&lt;'):gsub('>', '&gt;'):gsub('"', '&quot;'))
end

local writers = {}

writers.box = function(m)
  local format = '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%g" fill="%s" stroke="%s"/>'
  return format:format(m.x, m.y, m.w, m.h, m.radius or 0, m.fill, m.line)
end

writers.word = function(m)
  local bold = m.bold and ' font-weight="bold"' or ''
  return ('<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" fill="%s"%s>%s</text>'):format(m.x, m.y,
    m.size, m.anchor, m.colour, bold, escape(m.text))
end

writers.line = function(m)
  local points = {}
  for i, p in ipairs(m.points) do points[i] = ('%.1f,%.1f'):format(p[1], p[2]) end
  return ('<polyline points="%s" fill="none" stroke="#777777"%s/>'):format(table.concat(points, ' '),
    m.arrow and ' marker-end="url(#a)"' or '')
end

--- The picture as SVG text.
function svg.write(picture)
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" ' ..
      'font-family="Helvetica, Arial, sans-serif">'):format(picture.w, picture.h, picture.w, picture.h),
    '<defs><marker id="a" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" ' ..
      'orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="#777777"/></marker></defs>',
    '<rect width="100%" height="100%" fill="white"/>',
  }
  for _, m in ipairs(picture.marks) do out[#out + 1] = writers[m.mark](m) end
  out[#out + 1] = '</svg>\n'
  return table.concat(out, '\n')
end

-- -- as gnuplot's commands ---------------------------------------------------------------------------------

local commands = {}

commands.box = function(m, h, out)
  local format = 'set object rectangle from %.1f,%.1f to %.1f,%.1f fc rgb "%s" fs solid border lc rgb "%s"'
  out[#out + 1] = format:format(m.x, h - m.y, m.x + m.w, h - m.y - m.h, m.fill, m.line)
end

local anchors = {start = 'left', middle = 'center', ['end'] = 'right'}

commands.word = function(m, h, out)
  local quoted = require 'inc.plot.gnuplot'.quoted
  local format = 'set label %s at %.1f,%.1f %s front noenhanced tc rgb "%s" font "Helvetica%s,%g"'
  out[#out + 1] = format:format(quoted(m.text), m.x, h - m.y + m.size * 0.35, anchors[m.anchor], m.colour,
    m.bold and ' Bold' or '', m.size * 0.75)
end

commands.line = function(m, h, out)
  for i = 1, #m.points - 1 do
    local a, b, last = m.points[i], m.points[i + 1], i == #m.points - 1
    local head = last and m.arrow and 'head filled size 5,20 fixed' or 'nohead'
    out[#out + 1] = ('set arrow from %.1f,%.1f to %.1f,%.1f back lc rgb "#777777" %s'):format(a[1], h - a[2],
      b[1], h - b[2], head)
  end
end

--- The picture as a gnuplot script.
-- @param terminal the arguments of `set term`
function svg.script(picture, terminal)
  local out = {'set term ' .. terminal, 'set encoding utf8', 'unset border', 'unset tics', 'unset key',
    'set lmargin 0', 'set rmargin 0', 'set tmargin 0', 'set bmargin 0',
    ('set xrange [0:%d]'):format(picture.w), ('set yrange [0:%d]'):format(picture.h)}
  for _, m in ipairs(picture.marks) do commands[m.mark](m, picture.h, out) end
  out[#out + 1] = 'plot -1 with lines'
  return table.concat(out, '\n') .. '\n'
end

return svg
