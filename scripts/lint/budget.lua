-- budget.lua: how long files and functions may be, and that each file says at its head what it is.
--
-- Limits: 600 lines a file, 80 lines a function, an opening comment.  Columns are the formatters' business.
-- Functions are found by their shape after the formatter: they begin in column one and end with a brace (C)
-- or an `end` (Lua) in the same column.  Size is the one cost that every later reader pays, hence a check and
-- not a custom.

package.path = 'scripts/lint/?.lua;' .. package.path
local files = require 'files'

local MAX_FILE, MAX_FUNCTION = 600, 80
local complaints = {}

local function complain(path, line, fmt, ...)
  complaints[#complaints + 1] = ('%s:%d: '):format(path, line) .. fmt:format(...)
end

-- Each: does this line open a function, does this one close it?
local shapes = {
  c = {
    opens = function(line) return line:find '^[%w_].*%)%s*{$' and not line:find '^extern ' end,
    closes = function(line) return line == '}' end,
    head = '^/%*',
    head_ends = '%*/%s*$',
  },
  lua = {
    opens = function(line)
      return line:find '^local function ' or line:find '^function ' or line:find '^[%w_.]+ = function'
        or line:find '^local [%w_]+ = function'
    end,
    closes = function(line) return line:find '^end' end,
    head = '^%-%-',
  },
}
shapes.h = shapes.c

local function check_functions(path, lines, shape)
  local start
  for n, line in ipairs(lines) do
    if start and shape.closes(line) then
      if n - start + 1 > MAX_FUNCTION then
        complain(path, start, 'function of %d lines; expected at most %d', n - start + 1, MAX_FUNCTION)
      end
      start = nil
    elseif not start and shape.opens(line) and not (shape.head == '^%-%-' and line:find '%Wend%)?$') then
      start = n
    end
  end
end

local function head_length(lines, shape)
  local first = lines[1] and lines[1]:find '^#!' and 2 or 1
  if not lines[first] or not lines[first]:find(shape.head) then return 0 end
  local n = first
  if shape.head_ends then
    while lines[n] and not lines[n]:find(shape.head_ends) do n = n + 1 end
    return n - first + 1
  end
  while lines[n] and lines[n]:find(shape.head) do n = n + 1 end
  return n - first
end

local function check(path)
  local lines, shape = files.lines(path), shapes[path:match '%.(%w+)$']
  if #lines > MAX_FILE then complain(path, 1, 'file of %d lines; expected at most %d', #lines, MAX_FILE) end
  if head_length(lines, shape) == 0 then
    complain(path, 1, 'expected an opening comment: what this is and why it is so')
  end
  check_functions(path, lines, shape)
  return #lines
end

local total, count, longest, longest_path = 0, 0, 0, ''
for _, pattern in ipairs {'%.c$', '%.h$', '%.lua$'} do
  for _, path in ipairs(files.list(pattern)) do
    local n = check(path)
    total, count = total + n, count + 1
    if n > longest then longest, longest_path = n, path end
  end
end
print(('%d files, %d lines, longest %s with %d'):format(count, total, longest_path, longest))
files.finish(complaints)
