--- A net as a diagram in characters: its layers from top to bottom, blocks as frames with their branches
-- side by side.
--
-- Inside a block a branch is a column and reads downwards; a sign in front of a layer says that it branches
-- off the column to its left. Lines between all layers were rejected: they double the height and say what
-- the columns say already.

local text = {}

local GAP = 2 -- between columns

local unicode = {h = '─', v = '│', tl = '╭', tr = '╮', bl = '╰', br = '╯', fork = '└ ', times = '×',
  from = '← from ', out = '→'}
local ascii = {h = '-', v = '|', tl = '+', tr = '+', bl = '+', br = '+', fork = '` ', times = 'x',
  from = '< from ', out = '->'}

local function len(s) return utf8.len(s) or #s end
local function pad(s, n) return s .. (' '):rep(n - len(s)) end

local function centre(s, n, fill)
  local room = n - len(s)
  local left = math.max(0, room // 2)
  return (fill or ' '):rep(left) .. s .. (fill or ' '):rep(math.max(0, room - left))
end

-- The shape of one sample: what follows the batch.
local function sample(shape, marks)
  local rest = (shape or ''):match '^%d+, (.+)$'
  return rest and rest:gsub(', ', ' ' .. marks.times .. ' ') or ''
end

local function short(label, marks)
  label = label:gsub(' conv,', '')
  return marks.times == '×' and label or label:gsub('×', 'x')
end

local container_lines

-- The lines of one node, without what stands beside it.
local function cell(node, marks)
  if node.inner and #node.inner.nodes > 0 then
    local lines, width = container_lines(node.inner, marks), 0
    local head = ('%s %s %s %s'):format(node.name or '', node.class, marks.out, sample(node.shape, marks))
    for _, line in ipairs(lines) do width = math.max(width, len(line)) end
    width = math.max(width, len(head) + 2)
    local out = {marks.tl .. ' ' .. head .. ' ' .. marks.h:rep(width - len(head)) .. marks.tr}
    for _, line in ipairs(lines) do out[#out + 1] = marks.v .. ' ' .. pad(line, width) .. ' ' .. marks.v end
    out[#out + 1] = marks.bl .. marks.h:rep(width + 2) .. marks.br
    return out
  end
  local label = short(node.label, marks)
  if node.kind == 'block' then label = (node.name or '') .. ' ' .. label end
  if node.entry and #node.from > 0 then label = label .. ' (and the input)' end
  local branched = #node.from == 1 and node.from[1].column ~= node.column
  return {(branched and marks.fork or '') .. label}
end

local function by_rank(container)
  local rows, ranks = {}, 0
  for _, n in ipairs(container.nodes) do
    rows[n.rank] = rows[n.rank] or {}
    table.insert(rows[n.rank], n)
    ranks = math.max(ranks, n.rank)
  end
  for _, row in ipairs(rows) do
    table.sort(row, function(a, b) return a.column < b.column end)
  end
  return rows
end

local function widths_of(container, cells)
  local widths = {}
  for c = 1, container.columns do widths[c] = 0 end
  for _, n in ipairs(container.nodes) do
    if n.column == n.last_column then
      for _, line in ipairs(cells[n]) do widths[n.column] = math.max(widths[n.column], len(line)) end
    end
  end
  return widths
end

local function offset(widths, column)
  local at = 0
  for c = 1, column - 1 do at = at + widths[c] + GAP end
  return at
end

-- Cells that stand beside each other, as lines.
local function row_lines(row, cells, widths, marks)
  local lines, height = {}, 0
  for _, n in ipairs(row) do height = math.max(height, #cells[n]) end
  for i = 1, height do
    local line = ''
    for _, n in ipairs(row) do
      local at = offset(widths, n.column)
      local here = cells[n][i] or ''
      if n.last_column > n.column then
        local width = offset(widths, n.last_column) + widths[n.last_column] - at
        here = centre(' ' .. here .. ' ', width, marks.h)
      end
      line = pad(line, at) .. here
    end
    lines[#lines + 1] = line
  end
  return lines
end

function container_lines(container, marks)
  local cells, lines = {}, {}
  for _, n in ipairs(container.nodes) do cells[n] = cell(n, marks) end
  local widths = widths_of(container, cells)
  for _, row in ipairs(by_rank(container)) do
    for _, line in ipairs(row_lines(row, cells, widths, marks)) do lines[#lines + 1] = line end
  end
  return lines
end

-- -- the whole ---------------------------------------------------------------------------------------------

-- Where a node's input comes from, when that is not simply the node above it.
local function origin(node, above, marks)
  local plain = #node.from == 1 and node.from[1] == above and not node.entry
  if plain or #node.from == 0 and not above then return '' end
  local names = {node.entry and 'input' or nil}
  for _, p in ipairs(node.from) do names[#names + 1] = p.name or p.label end
  return marks.from .. table.concat(names, ', ')
end

local function top_lines(node, above, widths, marks)
  local from = origin(node, above, marks)
  local lines = cell(node, marks)
  local shape = sample(node.shape, marks)
  if #lines == 1 then
    local label = node.label
    if marks.times == 'x' then label = label:gsub('×', 'x') end
    return {pad(node.name or '', widths.name) .. '  ' .. pad(label, widths.label) .. '  ' .. shape ..
      (from ~= '' and '  ' .. from or '')}
  end
  if from ~= '' then table.insert(lines, 1, from) end
  return lines
end

local function widths_of_top(nodes)
  local w = {name = 5, label = 5}
  for _, n in ipairs(nodes) do
    if not n.inner then
      w.name, w.label = math.max(w.name, len(n.name or '')), math.max(w.label, len(n.label))
    end
  end
  return w
end

--- A count as people say it: 24.36 M, 43.2 k, 114.
-- > require('inc.draw.text').count(24361234)  --> 24.36 M
function text.count(n)
  if n >= 1e6 then return ('%.2f M'):format(n / 1e6) end
  return n >= 1e4 and ('%.1f k'):format(n / 1e3) or ('%d'):format(n)
end

--- The diagram as lines of text.
-- @param container, info what graph.of gave
-- @param o unicode = true
function text.draw(container, info, o)
  local marks = o.unicode and unicode or ascii
  local lines = {('%s: %s parameters'):format(info.name, text.count(info.parameters))}
  local widths, above = widths_of_top(container.nodes), nil
  lines[2] = pad('input', widths.name) .. '  ' .. (' '):rep(widths.label) .. '  ' ..
    sample(table.concat(info.input, ', '), marks)
  for _, n in ipairs(container.nodes) do
    for _, line in ipairs(top_lines(n, above, widths, marks)) do lines[#lines + 1] = line:gsub(' +$', '') end
    above = n
  end
  return table.concat(lines, '\n')
end

return text
