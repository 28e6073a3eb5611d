-- N + N steps are 2N steps, to the bit: in every weight, slot, average, statistic and logged loss.
local tiny = require 'tiny'

local function same_run(a, b)
  local state_a, step_a = tiny.state(a)
  local state_b, step_b = tiny.state(b)
  check.equal(step_b, step_a)
  check.equal(state_b, state_a, 'state after ' .. step_a .. ' steps')
  check.equal(tiny.facts(b), tiny.facts(a))
end

for _, workers in ipairs{1, 4} do
  test('stop and resume, ' .. workers .. ' workers', function()
    local pictures, dir = make_pictures(3, 14, 48), tmp()
    tiny.run(tiny.net(), pictures, dir .. '/whole', {steps = 40, workers = 1})
    local run = train(tiny.options(tiny.net(), pictures, dir .. '/parts', {steps = 40, workers = workers}))
    while run:status().step < 7 do inc.core.run_wait(run.handle, 0.001) end
    run:stop():wait{quiet = true}
    check.ok(run:status().step < 40, 'stopped too late to test anything')
    resume{dir .. '/parts', net = tiny.net(3, 77)}:wait{quiet = true} -- start values do not matter
    same_run(dir .. '/whole', dir .. '/parts')
  end)
end

test('go further: N, then 2N', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local o = {schedule = 'constant', steps = 20}
  tiny.run(tiny.net(), pictures, dir .. '/whole', o)
  o.steps = 10
  tiny.run(tiny.net(), pictures, dir .. '/parts', o)
  check.raises(function() resume{dir .. '/parts', net = tiny.net()} end,
    '~its 10 steps are made; give more steps')
  resume{dir .. '/parts', net = tiny.net(), steps = 20}:wait{quiet = true}
  check.equal(tiny.state(dir .. '/parts'), (tiny.state(dir .. '/whole')))
end)

test('a changed learning rate is remembered', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = train(tiny.options(tiny.net(), pictures, dir .. '/a', {steps = 400}))
  run:set{lr = 0.0125}
  while run:status().step < 7 do inc.core.run_wait(run.handle, 0.001) end
  run:stop():wait{quiet = true}
  local again = resume{dir .. '/a', net = tiny.net()}
  while again:status().step < run:status().step + 5 do inc.core.run_wait(again.handle, 0.001) end
  again:stop():wait{quiet = true}
  check.equal(again.log.lr[#again.log.lr], 0.0125)
end)

test('a damaged newest checkpoint: the one before is taken', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(tiny.net(), pictures, dir .. '/whole')
  tiny.run(tiny.net(), pictures, dir .. '/parts')
  write_file(dir .. '/parts/checkpoints/step-12.safetensors', 'damaged')
  local run = resume{dir .. '/parts', net = tiny.net()}
  check.ok(run.first < 12)
  run:wait{quiet = true}
  same_run(dir .. '/whole', dir .. '/parts')
end)

test('pictures that changed are named and refused', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(tiny.net(), pictures, dir .. '/a', {steps = 8})
  local victim = inc.core.list_folder(pictures .. '/class1')[1]
  os.remove(pictures .. '/class1/' .. victim)
  local text = check.raises(function() resume{dir .. '/a', net = tiny.net(), steps = 12} end,
    "~pictures are not as they were")
  check.contains(text, 'missing class1/' .. victim)
  local run = resume{dir .. '/a', net = tiny.net(), steps = 12, accept_changes = true}:wait{quiet = true}
  check.equal(run:status().step, 12)
end)

test('what is no run is refused', function()
  local dir = tmp()
  check.raises(function() resume{dir} end, ('resume: %s: is no run: it has no config.json'):format(dir))
  check.raises(function() resume{dir .. '/x'} end, ('resume: %s/x: there is no such folder'):format(dir))
  write_file(dir .. '/config.json', '{"kind": ')
  check.raises(function() resume{dir} end, '~config.json: cannot be read')
end)

test.slow('kill -9 at random instants', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  write_file(dir .. '/go.lua', ([[
    package.path = %q .. ';' .. package.path
    local tiny, out = require 'tiny', arg[1]
    local o = {steps = 60, save_every = 3, val_every = 5, workers = tonumber(arg[2])}
    if not inc.core.path_kind(out .. '/config.json') then
      os.execute("rm -rf '" .. out .. "'")
      tiny.run(tiny.net(), %q, out, o)
    else
      resume{out, net = tiny.net()}:wait{quiet = true}
    end]]):format((package.path:match '^[^;]*tests/%?%.lua' or 'tests/?.lua'), pictures))
  local go = ('%s %s/go.lua'):format(incsh, dir)
  check.equal(sh(('%s %s/whole 1'):format(go, dir)).status, 0)
  for round = 1, 8 do
    sh(('%s %s/parts %d & p=$!; sleep 0.%02d; kill -9 $p; wait $p'):format(go, dir, round % 2 * 3 + 1,
      8 + round * 5))
  end
  local r = sh(('%s %s/parts 4'):format(go, dir))
  check.equal(r.status, r.err:find 'steps are made' and 1 or 0, r.err)
  same_run(dir .. '/whole', dir .. '/parts')
end)
