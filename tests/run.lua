-- run.lua: runs the Lua specs under build/incsh and prints "N passed, N failed[, N skipped]".
--
--     build/incsh tests/run.lua [--fast] [--list] [WORD...]
--
-- Every tests/spec/*.lua calls `test('name', function() ... end)`; `test.slow` marks what --fast leaves out.
-- WORD selects specs by file name or tests by name.  After each spec everything is collected and the live
-- tensors and buffers must be back where they were: a leak is a failed test like any other.
-- Specs run in the program that users run; a stock `lua` could not load an instrumented build.

local root = arg[0]:match '^(.*)/[^/]*$' or '.'
package.path = root .. '/?.lua;' .. package.path
local harness = require 'harness'

local options = {fast = false, list = false, words = {}}
for _, a in ipairs(arg) do
  if a == '--fast' or a == '--list' then
    options[a:sub(3)] = true
  elseif a:sub(1, 2) == '--' then
    io.stderr:write(('run.lua: unknown option %s; expected --fast or --list\n'):format(a))
    os.exit(1)
  else
    options.words[#options.words + 1] = a
  end
end

os.exit(harness.main(root .. '/spec', options) and 0 or 1)
