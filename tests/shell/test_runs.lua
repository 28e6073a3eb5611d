-- test_runs.lua: a run in the background of a prompt: the prompt stays free, news stand above it, and leaving
-- asks what shall become of the run.

local maker = term.program:gsub('[^/]*$', 'tests/c/make_pictures')
local tests = term.program:gsub('/[^/]*/[^/]*$', '') .. '/tests'

local function start()
  local pictures, out = term.work .. '/pictures', term.work .. '/run'
  term.sh(('rm -rf %s %s; %s set %s 3 14 48'):format(pictures, out, maker, pictures))
  if not inc.core.path_kind(pictures) then term.skip(maker .. ' is not built') end
  local t = term.start{width = 140}
  t:run(('package.path = "%s/?.lua;" .. package.path; tiny = require "tiny"'):format(tests))
  t:type(('run = train(tiny.options(tiny.net(), %q, %q, {steps = 1000000, val_every = 1000000}))'):format(
    pictures, out))
  t:key 'Enter'
  t:wait('step ', 20)
  return t, out
end

local function enter(t, code)
  t:type(code)
  t:key 'Enter'
end

check('the prompt is free while a run goes, and its status stands above', function()
  local t = start()
  enter(t, '"sum " .. 17 + 4')
  t:wait 'sum 21'
  t:wait 'eta '
  enter(t, 'run:pause():status().step >= 0')
  t:wait 'true'
  enter(t, 'run:stop(); run:wait{quiet = true}; run:status().state')
  t:wait 'stopped'
end)

check('Ctrl-C ends the waiting and not the run', function()
  local t = start()
  enter(t, 'run:wait{every = 1}')
  term.pause(1.5)
  t:key 'C-c'
  t:wait 'interrupted'
  enter(t, '"active " .. #inc.active_runs()')
  t:wait 'active 1'
end)

check('leaving asks, and stopping saves', function()
  local t, out = start()
  t:key 'C-d'
  t:wait 'wait, stop and save, or cancel?'
  enter(t, 'c')
  enter(t, '"still " .. "here"')
  t:wait 'still here'
  t:key 'C-d'
  t:wait 'wait, stop and save, or cancel?'
  enter(t, 's')
  t:wait '[left with 0]'
  assert(#inc.core.run_checkpoints(out) > 0, 'no checkpoint was saved')
end)
