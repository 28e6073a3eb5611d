-- fork, run:swap and run:set: what is changed in mid-run is made again to the bit by resume and by forks.
local tiny = require 'tiny'
local fork = inc.fork

local function go_to(run, step)
  while run:status().step < step and not inc.core.run_over(run.handle) do
    inc.core.run_wait(run.handle, 0.001)
  end
end

-- Rest when `step` steps are made.
local function rest_at(run, step)
  inc.core.run_until(run.handle, step)
  while not inc.core.run_reached(run.handle, 1) do end
end

local function start(pictures, out, changes)
  return train(tiny.options(tiny.net(), pictures, out, changes))
end

-- What f prints.
local function said(f)
  local lines, real = {}, print
  rawset(_G, 'print', function(text) lines[#lines + 1] = text end)
  local _ <close> = setmetatable({}, {__close = function() rawset(_G, 'print', real) end})
  f()
  return table.concat(lines, '\n')
end

local function same_run(a, b, message)
  check.equal((tiny.state(b)), (tiny.state(a)), message)
  check.equal(tiny.facts(b), tiny.facts(a), message)
end

-- == fork =====================================================================

test('a fork without changes has the bits of its parent', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = tiny.run(tiny.net(), pictures, dir .. '/a', {steps = 24, save_every = 5, keep = 9})
  for _, step in ipairs{0, 3, 10, 13} do
    local twin = run:fork{step = step, out = ('%s/%d'):format(dir, step)}:wait{quiet = true}
    check.ok(twin.first <= step and twin.first >= step - 3, twin.first)
    same_run(dir .. '/a', ('%s/%d'):format(dir, step), 'fork at ' .. step)
  end
  local parent = inc.json.read(dir .. '/13/config.json').parent
  check.equal({parent.folder, parent.step}, {run.folder, 13})
end)

-- A net that train makes itself leaves no copy of its first weights: they are made, or read, again.
test.slow('a fork from step 0 of a net that train made', function()
  local pictures, dir = make_pictures(3, 8, 64), tmp()
  local weights = dir .. '/w.safetensors'
  inc.core.write_file(weights, inc.core.read_file 'models/pretrained/inception_v3.safetensors')
  local function made(name, from)
    local run = train{pictures, weights = from, out = dir .. '/' .. name, size = 107, batch = 4, steps = 2,
      precision = 'f32', val = 0, save_every = 2}:wait{quiet = true}
    check.equal(inc.core.path_kind(run.folder .. '/start.safetensors'), nil)
    return run
  end
  made 'fresh'
  check.equal(fork{dir .. '/fresh', step = 0, out = dir .. '/fresh-twin'}:wait{quiet = true}.first, 0)
  same_run(dir .. '/fresh', dir .. '/fresh-twin')
  local run = made('loaded', weights)
  check.equal(run:fork{step = 0, out = dir .. '/loaded-twin'}:wait{quiet = true}.first, 0)
  same_run(dir .. '/loaded', dir .. '/loaded-twin')
  local other = fork{dir .. '/loaded', step = 0, lr = 1e-3, out = dir .. '/slower'}:wait{quiet = true}
  check.equal({other.log.loss[1], other.log.lr[1]}, {run.log.loss[1], 1e-3})
  check.ok(other.log.loss[2] ~= run.log.loss[2])
  os.remove(weights)
  check.raises(function() fork{dir .. '/loaded', step = 0, out = dir .. '/gone'} end,
    ('fork: %s/loaded: the weights that it started from are gone: %s'):format(dir, weights))
  check.equal(inc.core.path_kind(dir .. '/gone'), nil)
end)

test('a fork from a folder, with other settings from its step on', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(tiny.net(), pictures, dir .. '/a', {save_every = 4, keep = 9})
  local twin = fork{dir .. '/a', net = tiny.net(3, 77), step = 6, out = dir .. '/b', steps = 20,
    schedule = 'constant', optimizer = optim.adamw{lr = 0.01}, label_smoothing = 0.2, ema = 0.5, norms = true}
  twin:wait{quiet = true}
  local a, b = tiny.facts(dir .. '/a'), tiny.facts(dir .. '/b')
  for step = 1, 6 do check.equal(b[step], a[step]) end
  check.equal(#b, 20)
  check.equal(twin.log.lr[7], 0.01)
  check.ok(twin.log.grad_norm[7] > 0 and twin.log.grad_norm[6] ~= twin.log.grad_norm[6])
  check.contains(b[7], 'after step 6: ema = 0.5, label_smoothing = 0.2, norms = true, ' ..
    'optimizer = optim.adamw{lr = 0.01}')
  local config = inc.json.read(dir .. '/b/config.json')
  check.equal(config.settings.optimizer.optimizer, 'adamw')
  check.equal(config.base.optimizer.optimizer, 'sgd')
  check.equal(config.parent.changes.label_smoothing, '0.2')
  check.ok(inc.core.load(dir .. '/b/best.safetensors'))
end)

test('a fork that is stopped while it replays, and one of a fork, end alike', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(tiny.net(), pictures, dir .. '/a', {steps = 20, save_every = 20})
  local function make(out) return fork{dir .. '/a', net = tiny.net(), step = 11, out = out, lr = 0.01,
    augment = 'none', seed = 9, precision = 'f32', dropout = 0.1} end
  make(dir .. '/whole'):wait{quiet = true}
  for _, step in ipairs{4, 11, 14} do
    local out = ('%s/parts%d'):format(dir, step)
    local cut = make(out)
    rest_at(cut, step)
    cut:stop():wait{quiet = true}
    check.equal(cut:status().step, step)
    resume{out, net = tiny.net(3, 5)}:wait{quiet = true}
    same_run(dir .. '/whole', out, 'cut at ' .. step)
  end
  fork{dir .. '/whole', net = tiny.net(), step = 15, out = dir .. '/again'}:wait{quiet = true}
  same_run(dir .. '/whole', dir .. '/again')
end)

test('a living run is forked, where it stands and before', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = start(pictures, dir .. '/a', {steps = 40, save_every = 100, val_every = 100})
  rest_at(run, 7)
  local here = run:fork{out = dir .. '/here'}:wait{quiet = true}
  check.equal(here.first, 7)
  local before = run:fork{step = 3, out = dir .. '/before'}:wait{quiet = true}
  check.equal(inc.json.read(dir .. '/before/config.json').parent.from < 4, true)
  inc.core.run_until(run.handle, 0)
  run:wait{quiet = true}
  same_run(dir .. '/a', dir .. '/here')
  same_run(dir .. '/a', dir .. '/before')
  check.equal(before:status().step, 40)
end)

test('a fork with another batch goes on where its parent was in the epoch', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = tiny.run(tiny.net(), pictures, dir .. '/a', {steps = 12})
  local twin = run:fork{step = 5, out = dir .. '/b', batch = 4, steps = 16}:wait{quiet = true}
  local cut = run:fork{step = 5, out = dir .. '/c', batch = 4, steps = 16}
  rest_at(cut, 9)
  cut:stop():wait{quiet = true}
  resume{dir .. '/c', net = tiny.net()}:wait{quiet = true}
  same_run(dir .. '/b', dir .. '/c')
  check.equal(twin.log.epoch[6], run.log.epoch[6])
end)

test('what a fork cannot be', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = tiny.run(tiny.net(), pictures, dir .. '/a')
  local function refused(options, text)
    options.out = dir .. '/b'
    check.raises(function() run:fork(options) end, text)
    check.equal(inc.core.path_kind(dir .. '/b'), nil)
  end
  local range = ('fork: step: expected 0 to 12, the steps that %s has made, got '):format(run.folder)
  refused({step = -1}, range .. '-1')
  refused({step = 13}, range .. '13')
  refused({step = 12}, 'fork: steps: expected more than the 12 that are made where it begins, got 12')
  refused({step = 4, size = 64}, 'fork: size: a fork keeps that of its parent')
  refused({step = 4, optimiser = 'sgd'}, 'fork: optimiser: unknown option (did you mean optimizer?)')
  refused({step = 4, steps = 20, epochs = 3}, 'fork: steps and epochs: expected one of them, got both')
  refused({step = 4, schedule = optim.multistep{{2, 30}}},
    'fork: schedule: optim.multistep{{2, 30}}: milestone 30 is beyond the run of 12')
  refused({step = 1, steps = 2, schedule = optim.cosine{warmup = 3}},
    'fork: schedule: optim.cosine{warmup = 3}: warmup of 3 steps is longer than the run of 2')
  check.raises(function() run:fork{step = 4, out = dir .. '/a'} end, '~holds a run already')
  check.raises(function() fork{dir .. '/a', step = 4, out = dir .. '/b'} end,
    'fork: the net of this run was made by hand: give it too, as in fork{..., net = net}')
  check.raises(function() fork{3} end, 'fork: expected a run or its folder, got 3')
  check.raises(function() fork{dir} end, ('fork: %s: is no run: it has no config.json'):format(dir))
  os.remove(dir .. '/a/start.safetensors')
  os.remove(dir .. '/a/checkpoints/step-4.safetensors')
  os.remove(dir .. '/a/checkpoints/step-3.safetensors')
  refused({step = 3}, ('~fork: %s: has no checkpoint at or before step 3 %%(the earliest is of step %%d+%%); '
    .. 'train{keep = ...} keeps more'):format(run.folder:gsub('%-', '%%-')))
end)

-- == swap =====================================================================

test('swap: another optimizer, to the bit over a resume from before and after', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local function swapped(out)
    local run = start(pictures, out, {steps = 20, save_every = 4, keep = 9, schedule = 'constant'})
    rest_at(run, 6)
    check.equal(run.optimizer.description.name, 'sgd')
    local text = said(function() run:swap(optim.adamw{lr = 0.01}) end)
    check.contains(text, 'after step 6: swap to optim.adamw{lr = 0.01}: exp_avg, exp_avg_sq started ' ..
      'afresh; steps counted from 0')
    return run
  end
  local run = swapped(dir .. '/whole')
  inc.core.run_until(run.handle, 0)
  run:wait{quiet = true}
  check.equal(run.optimizer.description.name, 'adamw')
  check.equal(run.optimizer.step_count:item(), 14)
  check.equal({run.log.lr[6], run.log.lr[7]}, {0.05, 0.01})
  check.contains(tiny.facts(dir .. '/whole')[7], '"note":"swap to optim.adamw{lr = 0.01}: ')
  for _, step in ipairs{6, 11} do
    local out = ('%s/parts%d'):format(dir, step)
    local cut = swapped(out)
    rest_at(cut, step)
    cut:stop():wait{quiet = true}
    resume{out, net = tiny.net()}:wait{quiet = true}
    same_run(dir .. '/whole', out, 'cut at ' .. step)
  end
  os.remove(('%s/parts11/checkpoints/step-20.safetensors'):format(dir)) -- as if it had been killed
  for _, step in ipairs(inc.core.run_checkpoints(dir .. '/parts11')) do
    if step > 4 then os.remove(('%s/parts11/checkpoints/step-%d.safetensors'):format(dir, step)) end
  end
  resume{dir .. '/parts11', net = tiny.net()}:wait{quiet = true}
  same_run(dir .. '/whole', dir .. '/parts11', 'from before the swap')
  fork{dir .. '/whole', net = tiny.net(), step = 9, out = dir .. '/twin'}:wait{quiet = true}
  same_run(dir .. '/whole', dir .. '/twin', 'a fork behind the swap')
end)

test('swap: what is refused, and what is kept', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = start(pictures, dir .. '/a', {steps = 30, optimizer = optim.adam{lr = 0.01},
    schedule = {lr = 'constant', beta1 = 'constant'}})
  rest_at(run, 3)
  check.raises(function() run:swap() end, '~run:swap: expected one of optim or its name %(adadelta, ')
  check.raises(function() run:swap(optim.sgd{lr = 1}, {schedule = optim.cosine{warmup = 31}}) end,
    'run:swap: schedule: optim.cosine{warmup = 31}: warmup of 31 steps is longer than the run of 30')
  check.raises(function() run:swap(optim.schedule_free_sgd{}) end,
    'train: ema: optim.schedule_free_sgd keeps an average of its own: leave ema out')
  check.equal(run:status().changes_at, nil)
  check.contains(said(function() run:swap(optim.adamw{lr = 0.02}) end),
    'exp_avg, exp_avg_sq kept; steps counted on from 3')
  rest_at(run, 5)
  check.contains(said(function() run:swap(optim.sgd{lr = 0.02}) end),
    'beta1 followed a schedule, and optim.sgd has no such number')
  inc.core.run_until(run.handle, 0)
  run:stop():wait{quiet = true}
  check.raises(function() run:swap(optim.adam{}) end,
    ('run:swap: the run in %s is over: resume it, or fork it'):format(run.folder))
end)

-- == set ======================================================================

test('set: any number, to the bit over a resume', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local groups = {{'^10', lr_scale = 2}}
  local function changed(out)
    local run = start(pictures, out, {steps = 20, save_every = 7,
      optimizer = optim.sgd{lr = 0.05, momentum = 0.9, groups = groups}})
    rest_at(run, 3)
    run:set{lr = 0.03}
    run:set{momentum = 0.5, label_smoothing = 0.1, val_every = 4, ema = 0.8, dropout = 0.3}
    rest_at(run, 5)
    run:set{group = '^10', lr_scale = 0.5, weight_decay = 0.1}
    run:set{lr = 0.02}
    return run
  end
  local run = changed(dir .. '/whole')
  inc.core.run_until(run.handle, 0)
  run:wait{quiet = true}
  local lr = run.log.lr
  check.equal({lr[3] == 0.03, lr[4], lr[6], lr[20]}, {false, 0.03, 0.02, 0.02})
  check.equal(run.optimizer.options.momentum, 0.5)
  check.equal(run.optimizer.items[#run.optimizer.items].lr_scale, 0.5)
  check.ok(run.log['val.loss'][8] == run.log['val.loss'][8])
  for _, step in ipairs{5, 9} do
    local out = ('%s/parts%d'):format(dir, step)
    local cut = changed(out)
    rest_at(cut, step)
    cut:stop():wait{quiet = true}
    resume{out, net = tiny.net()}:wait{quiet = true}
    same_run(dir .. '/whole', out, 'cut at ' .. step)
  end
end)

test('set: what is refused', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = start(pictures, dir .. '/a', {steps = 30, ema = false, optimizer = optim.sgd{lr = 0.05,
    groups = {{'^10', lr_scale = 2}}}})
  rest_at(run, 2)
  local function refused(numbers, text) check.raises(function() run:set(numbers) end, text) end
  refused({lrr = 1}, 'run:set: lrr: no such number (did you mean lr?)')
  refused({momentun = 1}, 'run:set: momentun: no such number (did you mean momentum?)')
  refused({lr = 'much'}, 'run:set: lr: expected a number, got "much"')
  refused({}, '~run:set: expected numbers by name %(there are lr, ')
  refused({layer_decay = 1}, 'run:set: layer_decay is settled when the run begins')
  refused({ema = 0.5}, 'run:set: ema: this run keeps no averages')
  refused({label_smoothing = 1}, 'run:set: label_smoothing: expected at least 0 and less than 1, got 1')
  refused({save_every = 0.5}, 'run:set: save_every: expected a whole number of steps, got 0.5')
  refused({group = '^1', lr_scale = 1}, '~run:set: group: "^1": the optimizer has no such group')
  inc.core.run_until(run.handle, 0)
  run:stop():wait{quiet = true}
  refused({lr = 1}, ('run:set: the run in %s is over: resume it, or fork it'):format(run.folder))
end)

test('a number set while the run stops is the next step\'s', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = start(pictures, dir .. '/a', {steps = 30})
  rest_at(run, 4)
  run:set{lr = 0.125}
  run:stop():wait{quiet = true}
  local again = resume{dir .. '/a', net = tiny.net()}:wait{quiet = true}
  check.equal({again.log.lr[4] ~= 0.125, again.log.lr[5], again.log.lr[30]}, {true, 0.125, 0.125})
  go_to(again, 30)
end)

test('save writes a checkpoint of the steps that are made, also at rest', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = start(pictures, dir .. '/a', {steps = 30, save_every = 100, val_every = 100})
  rest_at(run, 4)
  run:save()
  rest_at(run, 6)
  check.equal(inc.core.run_checkpoints(dir .. '/a'), {4})
  inc.core.run_until(run.handle, 0)
  run:stop():wait{quiet = true}
end)
