--- Values as text: tensors as aligned blocks, tables as the constructor that would make them.
--
-- One function serves the prompt, `print` of a tensor and error messages. It reads fields raw and calls
-- nothing of the user's but `__tostring`; keys are sorted, because the order of pairs differs in every
-- process. A common scale factor in front of a block (as Torch7 had it) was rejected: one must multiply in
-- the head to read it.
local core = require 'inc.core'
local args = require 'inc.args'

local show = {}

local EDGE = 3            -- entries kept at each end of a long dim
local WHOLE = 1000        -- tensors of so many elements are shown whole
local BLOCKS = 6          -- matrices of a tensor with more than two dims
local MAX_ITEMS = 100     -- entries of a table
local TAIL = 10           -- of them, the last ones of a long list
local LEAST_RUN = 4       -- so many equal numbers in it are shown as one
local BUDGET = 400        -- entries of a table and of all tables in it
local LONG = 200          -- bytes of a text that stands for itself when it has several lines
local MAX_DEPTH = 5

local function screen_width()
  local ok, host = pcall(require, 'inc.host')
  if ok and host.isatty(1) then return (host.size()) end
  return 80
end

-- -- tensors: reading -------------------------------------------------------------------------------------

local gap = {}            -- stands for what is left out of a list

-- Indices of a dim of size n that are shown; 0 marks the gap.
local function kept(n, edge)
  if n <= 2 * edge then return nil end
  local list = {}
  for i = 1, edge do list[i] = i end
  list[edge + 1] = 0
  for i = n - edge + 1, n do list[#list + 1] = i end
  return list
end

-- How many entries of a leading dim are kept at each end, so that few matrices are shown.
local function edge_of(shape, depth)
  if depth > #shape - 2 then return EDGE end
  local blocks = 1
  for k = 1, #shape - 2 do blocks = blocks * math.min(shape[k], 2 * EDGE) end
  return blocks > BLOCKS and 1 or EDGE
end

-- Nested lists of the values to be shown; only those are read, so a huge tensor costs no more than a small
-- one.
local function read(t, shape, depth, whole)
  if whole then return t:tolist() end
  local n, list = shape[depth], {}
  if depth == #shape then
    if n <= 2 * EDGE then return t:tolist() end
    list = t[{{1, EDGE}}]:tolist()
    list[#list + 1] = gap
    return table.move(t[{{n - EDGE + 1, n}}]:tolist(), 1, EDGE, #list + 1, list)
  end
  local indices = kept(n, edge_of(shape, depth))
  for k = 1, indices and #indices or n do
    local i = indices and indices[k] or k
    list[k] = i == 0 and gap or read(t[i], shape, depth + 1)
  end
  return list
end

-- -- tensors: numbers -------------------------------------------------------------------------------------

local function each_number(list, f)
  if type(list) == 'number' then f(list) return end
  for _, item in ipairs(list) do
    if item ~= gap then each_number(item, f) end
  end
end

-- One format for the whole tensor, so that columns line up and sizes can be compared by looking.
local function number_format(list)
  local largest, smallest, integral = 0, math.huge, true
  each_number(list, function(v)
    local a = math.abs(v)
    if a == math.huge or v ~= v then return end
    if a > largest then largest = a end
    if a > 0 and a < smallest then smallest = a end
    if v % 1 ~= 0 then integral = false end
  end)
  if integral and largest < 1e8 then return '%.1f' end
  if largest >= 1e8 or (smallest < 1e-4 and largest < 1) or largest / smallest > 1e6 then return '%.4e' end
  return largest >= 1e5 and '%.1f' or '%.4f'
end

local function number_text(v, format)
  if v ~= v then return 'nan' end
  if v == math.huge or v == -math.huge then return v > 0 and 'inf' or '-inf' end
  return math.type(v) == 'integer' and ('%d'):format(v) or format:format(v)
end

local function to_text(list, format)
  if list == gap then return gap end
  if type(list) == 'number' then return number_text(list, format) end
  local texts = {}
  for i, item in ipairs(list) do texts[i] = to_text(item, format) end
  return texts
end

local function widest(list)
  if type(list) == 'string' then return #list end
  local w = 0
  for _, item in ipairs(list) do w = math.max(w, widest(item)) end
  return w
end

-- -- tensors: lines ---------------------------------------------------------------------------------------

-- A row that does not fit the screen keeps its ends.
local function row_text(row, width, columns)
  local fit, cells = columns // (width + 1), {}
  local side = #row > fit and math.max((fit - 1) // 2, 1)
  for i, cell in ipairs(row) do
    if cell == gap then cells[#cells + 1] = '...'
    elseif side and i == side + 1 and i <= #row - side then cells[#cells + 1] = '...'
    elseif not side or i <= side or i > #row - side then
      cells[#cells + 1] = (' '):rep(width - #cell) .. cell
    end
  end
  return ' ' .. table.concat(cells, ' ')
end

-- One dim alone is wrapped, not cut.
local function vector_lines(row, width, columns, lines)
  local fit = math.max(columns // (width + 1), 1)
  for first = 1, #row, fit do
    local part = table.move(row, first, math.min(first + fit - 1, #row), 1, {})
    lines[#lines + 1] = row_text(part, width, columns)
  end
end

local function matrix_lines(rows, width, columns, lines)
  for _, row in ipairs(rows) do
    lines[#lines + 1] = row == gap and ' ...' or row_text(row, width, columns)
  end
end

-- Blocks of the last two dims, each under the index that gives it.
local function block_lines(list, index, sizes, width, columns, lines)
  local depth = #index + 1
  if #sizes - depth < 2 then
    if depth > 1 then
      lines[#lines + 1] = ('[%s, :, :]'):format(table.concat(index, ', '))
    end
    return matrix_lines(list, width, columns, lines)
  end
  local n, left_out = sizes[depth], 0
  for k, item in ipairs(list) do
    if item == gap then
      left_out = n - #list
      lines[#lines + 1] = '...'
    else
      local deeper = table.move(index, 1, #index, 1, {})
      deeper[depth] = k + left_out
      block_lines(item, deeper, sizes, width, columns, lines)
    end
  end
end

local function footer(t, shape)
  local grad = t.requires_grad and ' requires_grad' or ''
  return ('[%s] %s %s%s'):format(table.concat(shape, ', '), t:dtype(), t:device(), grad)
end

--- A tensor as text: its values in aligned blocks, then shape, dtype and device.
-- Long dims keep three entries at each end. While a plan is being traced only small tensors show values.
-- > inc.tensor{{1, 2}, {3, 4}}:shape()[2]  --> 2
function show.tensor(t)
  local shape, numel, lines = t:shape(), t:numel(), {}
  local last = footer(t, shape)
  local whole = numel <= WHOLE
  if numel == 0 then return last .. ' (empty)' end
  if not whole and core.tracing and core.tracing() then return last end
  local list = read(whole and t or t:detach(), shape, 1, whole)
  local texts = to_text(list, number_format(list))
  if #shape == 0 then return texts .. '  ' .. last end
  local width, columns = widest(texts), screen_width() - 1
  if #shape == 1 then vector_lines(texts, width, columns, lines)
  elseif #shape == 2 then matrix_lines(texts, width, columns, lines)
  else block_lines(texts, {}, shape, width, columns, lines) end
  lines[#lines + 1] = last
  return table.concat(lines, '\n')
end

-- -- everything else --------------------------------------------------------------------------------------

local function function_text(f)
  local info = debug.getinfo(f, 'Su')
  if info.what == 'C' then return 'function: builtin' end
  local names = {}
  for i = 1, info.nparams do names[i] = debug.getlocal(f, i) end
  if info.isvararg then names[#names + 1] = '...' end
  local home = require 'inc.host'.home .. '/'
  local file = info.source:sub(2, 1 + #home) == home and info.source:sub(2 + #home) or info.short_src
  return ('function(%s) %s:%d'):format(table.concat(names, ', '), file, info.linedefined)
end

local function key_text(key, inner)
  if type(key) == 'string' and key:find '^[%a_][%w_]*$' then return key end
  return '[' .. inner(key) .. ']'
end

local rank = {number = 1, string = 2, boolean = 3}

local function before(a, b)
  local ra, rb = rank[type(a)] or 4, rank[type(b)] or 4
  if ra ~= rb then return ra < rb end
  if ra <= 2 then return a < b end
  return tostring(a) < tostring(b)
end

local function sorted_keys(t, n)
  local keys = {}
  for key in next, t do
    local positional = math.type(key) == 'integer' and key >= 1 and key <= n
    if not positional then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  return keys
end

-- The name by which a metatable makes its tables known, for classes and the like.
local function known_name(meta)
  local name = meta and rawget(meta, '__name')
  return type(name) == 'string' and name
end

-- Tables that `require` gave, by their names: inside another table the name says enough.
local function module_names()
  local names = {}
  for name, value in pairs(package.loaded) do
    if type(value) == 'table' and (not names[value] or name < names[value]) then names[value] = name end
  end
  return names
end

-- A string as Lua would have it, with bytes that are no text as escapes.
local function string_text(v)
  local quoted = ('%q'):format(v):gsub('\\\n', '\\n'):gsub('\\9', '\\t')
  if utf8.len(quoted) then return quoted end
  return (quoted:gsub('[\128-\255]', function(c) return ('\\%d'):format(c:byte()) end))
end

local table_text

local function text_of_string(v, depth)
  return depth == 0 and #v > LONG and v:find '\n' and utf8.len(v) and v:gsub('\n$', '') or string_text(v)
end

local function inner_text(v, state, depth, indent)
  local kind = type(v)
  if kind == 'string' then return text_of_string(v, depth) end
  if kind == 'function' then return depth == 0 and function_text(v) or 'function' end
  if kind == 'table' then return table_text(v, state, depth, indent) end
  if v ~= v then return 'nan' end
  local text = tostring(v)
  if kind == 'userdata' and depth > 0 and args.is_tensor(v) then
    return 'tensor ' .. footer(v, v:shape())
  end
  return text
end

local function same_number(a, b) return type(a) == 'number' and (a == b or a ~= a and b ~= b) end

-- How many entries from i on are one number; of a column of a log most may be nan.
local function run_length(t, i, n)
  local first, last = rawget(t, i), i
  while last < n and same_number(first, rawget(t, last + 1)) do last = last + 1 end
  return last - i + 1
end

-- A long list shows its ends, and a number that comes again and again once.
local function list_items(t, n, state, depth, indent)
  local list, i = {}, 1
  while i <= n do
    local again = n > MAX_ITEMS and run_length(t, i, n) or 1
    local text = inner_text(rawget(t, i), state, depth + 1, indent)
    if again >= LEAST_RUN then list[#list + 1] = ('%s (%d times)'):format(text, again)
    else again, list[#list + 1] = 1, text end
    i, state.left = i + again, state.left - 1
    if #list == MAX_ITEMS - TAIL and n - i >= TAIL then
      list[#list + 1] = ('... %d more ...'):format(n - i + 1 - TAIL)
      i = n - TAIL + 1
    end
  end
  return list
end

local function items(t, state, depth, indent)
  local n = rawlen(t)
  local list = list_items(t, n, state, depth, indent)
  local keys = sorted_keys(t, n)
  state.left = state.left - math.min(#keys, MAX_ITEMS)
  for i, key in ipairs(keys) do
    if i > MAX_ITEMS then
      list[#list + 1] = ('... %d more'):format(#keys - MAX_ITEMS)
      break
    end
    local name = key_text(key, function(k) return inner_text(k, state, depth + 1, indent) end)
    list[#list + 1] = name .. ' = ' .. inner_text(rawget(t, key), state, depth + 1, indent)
  end
  return list
end

local function layout(list, indent, columns)
  local flat, total = true, indent + 2
  for _, item in ipairs(list) do
    total = total + #item + 2
    if item:find '\n' then flat = false end
  end
  if flat and total <= columns then return '{' .. table.concat(list, ', ') .. '}' end
  local pad, lines, line = (' '):rep(indent + 2), {}, nil
  for _, item in ipairs(list) do -- entries of one line share lines
    local joined = line and line .. ', ' .. item
    if joined and #joined < columns and not joined:find '\n' then line = joined
    else
      if line then lines[#lines + 1] = line .. ',' end
      line = pad .. item
    end
  end
  lines[#lines + 1] = line
  return '{\n' .. table.concat(lines, '\n') .. '\n' .. (' '):rep(indent) .. '}'
end

-- What stands for a table that is not opened; nil when it is to be.
local function closed_text(t, state, depth)
  if state.open[t] then return '<the table ' .. state.open[t] .. '>' end
  if next(t) == nil then return '{}' end
  if depth == 0 then return nil end
  state.modules = state.modules or module_names()
  if state.modules[t] then return '<module ' .. state.modules[t] .. '>' end
  return (depth >= MAX_DEPTH or state.left <= 0) and '{...}' or nil
end

function table_text(t, state, depth, indent)
  local meta = debug.getmetatable(t)
  if meta and rawget(meta, '__tostring') then
    local ok, text = pcall(tostring, t)
    if not ok then return '(its __tostring failed: ' .. tostring(text) .. ')' end
    return depth > 0 and text:gsub('\n', '\n' .. (' '):rep(indent + 2)) or text
  end
  local closed = known_name(meta) or closed_text(t, state, depth)
  if closed then return closed end
  state.open[t] = depth == 0 and 'itself' or ('%d level%s up'):format(depth, depth == 1 and '' or 's')
  local text = layout(items(t, state, depth, indent + 2), indent, state.columns)
  state.open[t] = nil
  return text
end

--- Any value as text: strings quoted, tables as constructors (cycles and depth marked), tensors as blocks.
-- > inc.show.value{1, 'a', {b = true}}  --> {1, "a", {b = true}}
function show.value(v)
  return (inner_text(v, {open = {}, columns = screen_width() - 1, left = BUDGET}, 0, 0))
end

debug.getregistry()['inc.show'] = show.tensor

return show
