-- test_compare.lua: what a comparison shows while it runs in a terminal, and that Ctrl-C and the same call
-- again go on.

local maker = term.program:gsub('[^/]*$', 'tests/c/make_pictures')
local tests = term.program:gsub('/[^/]*/[^/]*$', '') .. '/tests'

local function wait_for(t, pattern, limit)
  return t:until_screen(function(s) return s:match(pattern) end, pattern, limit)
end

local function enter(t, code)
  t:type(code)
  t:key 'Enter'
end

check('curves of all entries stand in the terminal; after Ctrl-C the same call goes on', function()
  local pictures, out = term.work .. '/pictures', term.work .. '/compared'
  term.sh(('rm -rf %s %s; %s set %s 3 14 48'):format(pictures, out, maker, pictures))
  if not inc.core.path_kind(pictures) then term.skip(maker .. ' is not built') end
  local t = term.start{width = 120, height = 40}
  t:run(('package.path = "%s/?.lua;" .. package.path; tiny = require "tiny"'):format(tests))
  t:run(('function go(n) return compare{tiny.net(), %q, out = %q, steps = n, seeds = 2, batch = 8, ' ..
    'precision = "f32", {"plain", optim.sgd{lr = 0.05}}, {"adam", optim.adam{lr = 0.01}}} end'):format(
    pictures, out))
  enter(t, 'go(200000)')
  wait_for(t, 'runs: %d+ of 800000 steps  loss plain %d', 60)
  t:wait('loss, mean over seeds', 10)
  t:wait 'adam'
  local before = tonumber(t:screen():match 'runs: (%d+) of')
  t:wait('eta ', 30) -- drawn again in its place
  local text = t:screen()
  term.equal(select(2, text:gsub('runs: %d+ of', '')), 1)
  if tonumber(text:match 'runs: (%d+) of') <= before then error('no progress: ' .. text, 0) end
  t:key 'C-c'
  t:wait('stopped and saved; the same call with out = ', 60)
  enter(t, 'go(200000)')
  wait_for(t, 'goes on.*runs: %d+ of 800000 steps', 60)
  local again = tonumber(t:screen():match '.*runs: (%d+) of')
  if again < before then error(('began at %d, had made %d'):format(again, before), 0) end
  t:key 'C-c'
end)
