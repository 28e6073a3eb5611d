-- run.lua: runs tests/shell/test_*.lua under incsh and prints one line a check.
--
-- Each file calls `check(name, f)`; f raises to fail. The program under test is $INCSH (default build/incsh),
-- with a state folder of its own, so that nobody's history is touched.
local folder = arg[0]:match '^(.*)/' or '.'
package.path = folder .. '/?.lua;' .. package.path
local host = require 'inc.host'
local term = require 'term'

local words, passed, failed, skipped = arg, 0, 0, 0

local function wanted(file, name)
  for _, word in ipairs(words) do
    if file:find(word, 1, true) or name:find(word, 1, true) then return true end
  end
  return #words == 0
end

local function explain(e) return type(e) == 'table' and e or debug.traceback(tostring(e), 2) end

local function run_file(file)
  local env = setmetatable({term = term}, {__index = _G})
  function env.check(name, f)
    if not wanted(file, name) then return end
    local ok, why = xpcall(f, explain)
    term.close_all()
    if ok then
      passed = passed + 1
      print(('ok      %s: %s'):format(file, name))
    elseif type(why) == 'table' then
      skipped = skipped + 1
      print(('skipped %s: %s: %s'):format(file, name, why.skip))
    else
      failed = failed + 1
      print(('FAILED  %s: %s\n  %s'):format(file, name, (why:gsub('\n', '\n  '))))
    end
    io.stdout:flush()
  end
  local chunk, why = loadfile(folder .. '/' .. file, 't', env)
  if not chunk then error(why, 0) end
  chunk()
end

local files = host.list(folder)
table.sort(files)
for _, file in ipairs(files) do
  if file:find '^test_.*%.lua$' then run_file(file) end
end
term.clean()
local tail = skipped > 0 and (', %d skipped'):format(skipped) or ''
print(('%d passed, %d failed%s'):format(passed, failed, tail))
return failed == 0
