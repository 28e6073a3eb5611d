-- test_interrupt.lua: Ctrl-C always comes back to the prompt with all state.
--
-- The matrix of what may be running when it is pressed. Each row sets a variable first and reads it after;
-- the table at the end says what became of the work and how long the prompt took to come back. Code in C that
-- never looks at the flag is the one case that can only be ended by force.
local host = require 'inc.host'

local tests = term.home .. '/tests'
local maker = term.home .. '/build/tests/c/make_pictures'
local rows = {}

local function row(name, what, state, seconds)
  rows[#rows + 1] = {name, what, state, seconds and ('%.2f s'):format(seconds) or ''}
end

local function pictures()
  local folder = term.work .. '/pictures'
  if not inc.core.path_kind(folder) then term.sh(('%s set %s 3 14 48'):format(maker, folder)) end
  if not inc.core.path_kind(folder) then term.skip(maker .. ' is not built') end
  return folder
end

-- Press it and wait for the prompt; seconds.
local function press(t, limit)
  local start = host.now()
  t:key 'C-c'
  t:wait('interrupted', limit)
  t:wait_prompt(limit)
  return host.now() - start
end

-- Rows of the prompt: o.setup are entries before, o.after is read at the end.
local function interrupted(name, code, o)
  o = o or {}
  check('Ctrl-C: ' .. name, function()
    local t = term.start{width = o.width or 100, env = o.env}
    t:run 'kept = 5'
    for _, line in ipairs(o.setup and o.setup() or {}) do
      t:type(line)
      t:key 'Enter'
      t:until_screen(function(s) return s:find('\ninc>$') end, 'a prompt')
    end
    t:type(code)
    t:wait(code:sub(-12))
    t:key 'Enter'
    term.pause(o.pause or 0.3)
    local seconds = press(t, o.limit)
    term.equal(t:run 'kept', '5')
    if o.after then term.equal(t:run(o.after[1]), o.after[2]) end
    row(name, o.what or 'stopped', 'kept', seconds)
  end)
end

interrupted('a loop', 'while true do end')
interrupted('a coroutine', 'coroutine.wrap(function() while true do end end)()')
interrupted('a coroutine made before',
  'c = coroutine.create(function() while true do end end) coroutine.resume(c)')
interrupted('pcall in a loop', 'while true do pcall(function() while true do end end) end')
interrupted('xpcall in a loop', 'while true do xpcall(function() while true do end end, print) end')
interrupted('pcall in a coroutine', 'coroutine.wrap(function() while true do pcall(error) end end)()')
interrupted('a callback of C', '("x"):gsub(".", function() while true do end end)')
interrupted('a loop of calls of C', 'while true do string.rep("x", 100) end')
interrupted('a loop of tensor ops', 'while true do inc.ones{64, 64}:matmul(inc.ones{64, 64}) end')
interrupted('timeit', 'timeit (function() while true do end end)()')

interrupted('a convolution of minutes', 'y = inc.conv2d(x, w)', {
  setup = function()
    return {'x, w = inc.zeros{1, 64, 256, 256}, inc.zeros{64, 64, 15, 15}', 'inc.core.force_reference(true)'}
  end,
  after = {'y == nil and x:size(2)', '64'}, what = 'left to itself', limit = 5,
})

interrupted('pictures being decoded', 'for x in d.train:batches{8, epochs = 1e9 // 1} do end', {
  setup = function() return {('d = data.folder{%q}'):format(pictures())} end,
})

-- Again and again: with kernels chosen before, one is built before a key can be pressed.
interrupted('a plan being built', 'while true do inc.plan(function(a) return net(a) end)(x) end', {
  setup = function()
    return {'net = models.inception_v3{classes = 5}:eval();', 'x = inc.zeros{2, 3, 99, 99};'}
  end,
  limit = 30, pause = 0.5, after = {'#net:children() > 10', 'true'},
})

-- What was put in place for the time of the planning is back.
local plans = 'while true do inc.plan(function(a) return net(a) end)(x) end'
interrupted('a plan, and what it had changed', plans, {
  setup = function() return {'net = nn.Conv2d{8, kernel_size = 3};', 'x = inc.zeros{2, 3, 32, 32};'} end,
  limit = 30, after = {'math.random() < 1 and inc.plan(function(a) return net(a) end)(x):size(2)', '8'},
})

interrupted('a plotter that hangs', 'plot{{1, 2}, file = "hangs.png"}', {
  setup = function()
    term.sh "mkdir -p hanging && printf '#!/bin/sh\nsleep 30\n' > hanging/gnuplot && chmod +x hanging/gnuplot"
    return {}
  end,
  env = {'PATH=' .. term.work .. '/hanging:' .. os.getenv 'PATH'}, limit = 3,
})

check('Ctrl-C: the idle prompt', function()
  local t = term.start()
  t:run 'kept = 5'
  t:type 'half typed'
  t:wait 'half typed' -- the terminal forgets keys that nobody has read yet
  t:key 'C-c'
  t:wait 'half typed^C'
  t:wait_prompt()
  t:key 'C-c'
  t:key 'C-c'
  term.equal(t:run 'kept', '5')
  row('the idle prompt', 'line given up', 'kept')
end)

check('Ctrl-C: an entry of several lines', function()
  local t = term.start()
  t:type 'for i = 1, 3 do'
  t:key 'Enter'
  term.pause(0.3)
  t:key 'C-c'
  t:wait_prompt()
  term.equal(t:run '1', '1')
  row('an entry of several lines', 'given up', 'kept')
end)

check('Ctrl-C: a command of the system', function()
  local t = term.start()
  t:run 'kept = 5'
  t:type '!sleep 100'
  t:key 'Enter'
  term.pause(0.3)
  t:key 'C-c'
  t:wait_prompt()
  term.equal(t:run 'kept', '5')
  row('a command of the system', 'stopped', 'kept')
end)

-- -- while a run trains -----------------------------------------------------------------------------------

local trains = 0

local function training()
  trains = trains + 1
  return {
    ('package.path = "%s/?.lua;" .. package.path; tiny = require "tiny"'):format(tests),
    ('run = train(tiny.options(tiny.net(), %q, %q, {steps = 1000000, val_every = 1000000}))'):format(
      pictures(), term.work .. '/run_c' .. trains),
  }
end

check('Ctrl-C: the idle prompt, a run trains', function()
  local t = term.start{width = 160}
  for _, line in ipairs(training()) do
    t:type(line)
    t:key 'Enter'
  end
  t:wait('step ', 20)
  t:type 'half typed'
  t:wait 'half typed'
  t:key 'C-c'
  t:wait 'half typed^C'
  t:type 'step = run:status().step; inc.core.run_wait(run.handle, 0.5); "on " .. #inc.active_runs()'
  t:key 'Enter'
  t:wait '\n"on 1"\n'
  t:type '"went on " .. tostring(run:status().step > step)'
  t:key 'Enter'
  t:wait '"went on true"'
  row('the idle prompt, a run trains', 'line given up, the run goes on', 'kept')
end)

for _, case in ipairs {{'a loop, a run trains', 'while true do end'},
  {'run:wait()', 'run:wait{every = 1}'}} do
  check('Ctrl-C: ' .. case[1], function()
    local t = term.start{width = 160}
    for _, line in ipairs(training()) do
      t:type(line)
      t:key 'Enter'
    end
    t:wait('step ', 20)
    t:type(case[2])
    t:key 'Enter'
    term.pause(1)
    local start = host.now()
    t:key 'C-c'
    t:wait '^Cinterrupted'
    local seconds = host.now() - start
    t:type '"active " .. #inc.active_runs()'
    t:key 'Enter'
    t:wait '\n"active 1"'
    t:type 'run:stop(); run:wait{quiet = true}; run:status().state'
    t:key 'Enter'
    t:wait '\n"stopped"'
    row(case[1], 'stopped, the run goes on', 'kept', seconds)
  end)
end

-- A step of seconds, and what must wait for its end: Ctrl-C ends the waiting, and the run goes on.
check('Ctrl-C: run:swap and evaluate wait for a long step', function()
  local t = term.start{width = 160, env = {'INC_TUNE=off'}}
  for _, line in ipairs{'c = {kernel_size = 15, padding = 7, in_channels = 3, 192}',
    'net = nn.Sequential{nn.Conv2d(c), nn.Conv2d{192, kernel_size = 15, padding = 7}, ' ..
    'nn.AdaptiveAvgPool2d{1}, nn.Flatten{}, nn.Linear{3}}',
    ('o = {steps = 1000, size = 48, batch = 16, val = 0.2, precision = "f32", out = %q}'):format(
      term.work .. '/run_long'), ('o[1], o[2] = net, %q'):format(pictures()), 'run = train(o)'} do
    t:type(line)
    t:key 'Enter'
    t:until_screen(function(s) return s:find '\ninc>$' end, 'a prompt', 60)
  end
  for i, code in ipairs{'run:swap(optim.adam{lr = 1e-3})', 'evaluate{run}'} do
    t:wait('under way', 20)
    t:type(code)
    t:key 'Enter'
    term.pause(0.3)
    local start = host.now()
    t:key 'C-c'
    t:until_screen(function(s) return select(2, s:gsub('interrupted', '')) == i end, 'interrupted')
    local seconds = host.now() - start
    t:type(('"%s, step " .. run:status().step'):format(i))
    t:key 'Enter'
    t:wait(('\n"%d, step 0"'):format(i))
    row(code:match '^[%w:]+' .. ' behind a long step', 'given up, the run goes on', 'kept', seconds)
  end
end)

-- -- batch ------------------------------------------------------------------------------------------------

check('Ctrl-C: a script', function()
  local r = term.sh([["$INCSH" -e 'while true do pcall(function() while true do end end) end' & p=$!
    sleep 0.5; kill -INT $p; wait $p]])
  term.equal(r.status, 130)
  term.contains(r.err, 'interrupted')
  row('a script', 'ended, status 130', '')
end)

check('Ctrl-C: a script that trains', function()
  local out = term.work .. '/run_batch'
  term.write('trains.lua', ([[
package.path = "%s/?.lua;" .. package.path
local tiny = require 'tiny'
train(tiny.options(tiny.net(), %q, %q, {steps = 1000000, val_every = 1000000}))]]):format(tests, pictures(),
    out))
  local r = term.sh('"$INCSH" trains.lua & p=$!; while [ ! -s ' .. out ..
    '/log.jsonl ]; do sleep 0.1; done; sleep 0.5; kill -INT $p; wait $p')
  term.equal(r.status, 130, r.err)
  term.contains(r.err, 'saved; go on with: incsh resume')
  assert(#inc.core.run_checkpoints(out) > 0, 'no checkpoint was saved')
  row('a script that trains', 'step finished, saved, status 130', 'on disk')
end)

-- -- stuck ------------------------------------------------------------------------------------------------

local NEVER_LOOKS = 'string.find(string.rep("a", 60), string.rep("a-", 30) .. "b")'

-- Enter what is stuck in C for ever, press once, and again after so long.
local function stuck(seconds)
  local t = term.start()
  t:type(NEVER_LOOKS)
  t:key 'Enter'
  term.pause(0.3)
  t:key 'C-c'
  term.pause(seconds)
  assert(not t:screen():find 'still busy', 'one press offers nothing')
  t:key 'C-c'
  t:wait 'still busy, waiting for it to stop; Ctrl-C within three seconds quits'
  return t
end

check('Ctrl-C: code in C that never looks: the second offers to quit, the third does', function()
  local t = stuck(0.1)
  term.pause(0.7)
  t:key 'C-c'
  t:wait 'stopped by force'
  t:wait '[left with 130]'
  row('code in C that never looks', 'second press offers, third quits', 'lost')
end)

check('Ctrl-C: an offer to quit that nobody takes is withdrawn', function()
  local t = stuck(1.5) -- a second press later than a second after the first offers too
  term.pause(3.2)
  t:key 'C-c'
  t:until_screen(function(s) return select(2, s:gsub('still busy', '')) == 2 end, 'a second offer')
end)

check('a closed terminal ends what is stuck too, and nothing spins on', function()
  local t = term.start()
  local id = t:run '!echo $PPID'
  t:type(NEVER_LOOKS)
  t:key 'Enter'
  term.pause(0.3)
  t:close()
  local stop = host.now() + 20
  while term.sh('kill -0 ' .. id).status == 0 do
    if host.now() > stop then error(id .. ' goes on without a terminal') end
    term.pause(0.2)
  end
end)

check('Ctrl-C: a key that is held down offers to quit and does not', function()
  local t = stuck(0.1)
  t:key(table.unpack(setmetatable({}, {__index = function() return 'C-c' end}), 1, 20))
  term.pause(0.2)
  local screen = t:screen()
  term.equal(select(2, screen:gsub('still busy', '')), 1, screen)
  assert(not screen:find('left with', 1, true), screen)
  row('code in C, the key held down', 'one offer', '')
end)

if #rows > 0 then
  local width = {1, 1, 1, 1}
  for _, r in ipairs(rows) do
    for i, cell in ipairs(r) do width[i] = math.max(width[i], #cell) end
  end
  local format = ('        %%-%ds  %%-%ds  %%-%ds  %%%ds'):format(table.unpack(width))
  print((format:format('Ctrl-C during', 'the work', 'state', 'back'):gsub('%s+$', '')))
  for _, r in ipairs(rows) do print((format:format(table.unpack(r)):gsub('%s+$', ''))) end
end
