-- doc.lua: every op has a text and a test row, every public Lua function a doc comment.
--
-- Ops are read from their sources (core/ops/*.c and the rows of *.def), not asked from a running program, so
-- that lint needs no build.  An op with INC_OP_HIDDEN is the planner's own and needs no text.  A Lua function
-- is public when it is a field (`function M.name`, `function M:name`) whose name does not start with "_"; one
-- that overrides a documented method of the same name (`forward`) needs no text of its own.

package.path = 'scripts/lint/?.lua;' .. package.path
local files = require 'files'
local complaints = {}

local function complain(path, line, fmt, ...)
  complaints[#complaints + 1] = ('%s:%d: '):format(path, line) .. fmt:format(...)
end

local function slurp_all(pattern)
  local out = {}
  for _, path in ipairs(files.list(pattern)) do out[#out + 1] = table.concat(files.lines(path), '\n') end
  return table.concat(out, '\n')
end

local specs = slurp_all '^tests/spec/.*%.lua$'
for golden in io.popen('ls tests/golden/ops_*.lua'):lines() do
  for name in io.open(golden):read('a'):gmatch "{op='([%w_]+)'" do specs = specs .. '\n' .. name end
end

local function check_op(path, line, block)
  local name = block:match '%.name%s*=%s*"([%w_]+)"'
  if not name or block:find 'INC_OP_HIDDEN' then return end
  if not block:find '%.doc%s*=%s*"' then complain(path, line, 'op %s has no .doc', name) end
  if not specs:find('%f[%w_]' .. name .. '%f[^%w_]') then
    complain(path, line, 'op %s is in no spec', name)
  end
end

local function check_ops(path)
  local start, block
  for n, line in ipairs(files.lines(path)) do
    if line:find '^%s*const inc_op [%w_]+ = {' or line:find '^static const inc_op [%w_]+ = {' then
      start, block = n, {}
    end
    if start then
      block[#block + 1] = line
      if line:find '};%s*$' then
        check_op(path, start, table.concat(block, '\n'))
        start = nil
      end
    end
  end
end

local function public(line)
  local name = line:match '^function [%w_]+[.:]([%w_]+)%s*%('
    or line:match '^function [%w_]+%.[%w_]+[.:]([%w_]+)%s*%('
  return name and not name:find '^_' and name
end

local function documented(lines, n)
  local k = n - 1
  while k > 0 and lines[k]:find '^%-%-' and not lines[k]:find '^%-%-%-' do k = k - 1 end
  return (lines[k] or ''):find '^%-%-%-' ~= nil
end

local known = {} -- method names that have a text somewhere
for _, path in ipairs(files.list '^lua/.*%.lua$') do
  local lines = files.lines(path)
  for n, line in ipairs(lines) do
    local name = line:find '^function %w+:' and public(line)
    if name and documented(lines, n) then known[name] = true end
  end
end

local function check_functions(path)
  local lines = files.lines(path)
  for n, line in ipairs(lines) do
    local name = public(line)
    if name and not documented(lines, n) and not (line:find '^function %w+:' and known[name]) then
      complain(path, n, 'public function %s has no --- comment above it', name)
    end
  end
end
for _, path in ipairs(files.list '^core/ops/.*%.c$') do check_ops(path) end
for _, path in ipairs(files.list '^lua/.*%.lua$') do check_functions(path) end
files.finish(complaints)
