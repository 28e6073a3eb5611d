-- train as a function: what a run writes, says and refuses. The thread itself is tested in
-- tests/c/test_run.c.
local tiny = require 'tiny'

test('a run learns and writes its folder', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local run = tiny.run(tiny.net(), pictures, out, {steps = 60, val_every = 12})
  local s = run:status()
  check.equal(s.state, 'finished')
  check.equal(s.step, 60)
  check.ok(s.best > 0.9, 'top-1 ' .. tostring(s.best))
  local names = table.concat(inc.core.list_folder(out), ' ')
  for _, name in ipairs{'best.safetensors', 'checkpoints', 'classes.txt', 'config.json', 'log.jsonl',
    'pictures.txt'} do
    check.contains(names, name)
  end
  check.equal(read_file(out .. '/classes.txt'), 'class1\nclass2\nclass3\n')
  local log = run.log
  check.equal(#log.step, 60)
  check.equal(log.step[60], 60)
  check.equal(log.epoch[60], math.ceil(60 / (s.steps / s.epochs)))
  check.ok(log.loss[60] < log.loss[1])
  check.ok(log['val.top1'][12] >= 0 and log['val.top1'][11] ~= log['val.top1'][11])
  check.equal(log.lr[1], 0.025) -- half-way up a warm-up of two steps
  check.contains(tostring(run), 'finished, step 60/60')
  check.ok(#inc.core.run_checkpoints(out) <= 4)
end)

test('a run tells what limits it', function()
  local limit = require 'inc.run.limit'
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local run = tiny.run(tiny.net(), pictures, out, {steps = 20, val_every = 5})
  local s = run:status()
  local t = s.time
  local sum = t.wait + t.compute + t.validate + t.save
  check.ok(t.wait > 0 and t.compute > 0 and t.validate > 0 and t.save > 0)
  check.ok(sum > 0.5 * s.seconds and sum < 1.5 * s.seconds + 0.1, ('%g of %g s'):format(sum, s.seconds))
  for _, part in ipairs{'read', 'decode', 'resize'} do check.ok(s.loading[part] > 0, part) end
  check.contains('compute decode augmentation reading', s.limit)
  check.contains(tostring(run), 'limited by ' .. s.limit .. ': ')
  -- what is told for each kind of run
  local loading = {read = 0.1, decode = 0.5, resize = 0.2, colour = 0.4}
  local function of(wait, l) return limit.of{time = {wait = wait, compute = 1, validate = 0, save = 0},
    loading = l} end
  check.equal(of(0.05, loading), 'compute')
  check.equal(of(1, loading), 'augmentation')
  loading.colour = 0
  check.equal(of(1, loading), 'decode')
  loading.read = 2
  check.equal(of(1, loading), 'reading')
  check.equal(of(1), 'wait')
  check.equal(limit.words{time = {wait = 0, compute = 0, validate = 0, save = 0}}, nil)
  check.equal(limit.words{time = {wait = 1, compute = 2, validate = 1, save = 0}, loading = loading},
    'limited by reading: 50% of the time in steps, 25% waiting for pictures, 25% validating, 0% saving; '
    .. 'a picture takes a worker 2.70 ms: reading 2.00, decode 0.50, augmentation 0.20')
end)

test('evaluate agrees with the run, whatever it is given', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local net = tiny.net()
  local run = tiny.run(net, pictures, out, {ema = false, schedule = 'constant', val_every = 12})
  local a = evaluate{net, data.folder{pictures, val = 0.3}.val, batch = 8}
  check.equal(a.part, 'val')
  local b = evaluate{run, batch = 8}
  check.equal(b.part, 'val')
  check.equal(b.n, run:status().val.n)
  check.close(b.loss, run:status().val.loss, 1e-6)
  check.equal(b.top1, run:status().val.top1)
  check.close(a.loss, b.loss, 1e-6)
  local n, right = 0, 0
  for i, row in ipairs(b.confusion) do
    for _, v in ipairs(row) do n = n + v end
    right = right + row[i]
  end
  check.equal(n, b.n)
  check.close(right / n, b.top1)
  check.equal(#b.per_class, 3)
  check.contains(tostring(b), 'rows: what it is')
end)

test('several nets are averaged, and mistakes are drawn', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local held_out = data.folder{pictures, val = 0.3}.val
  local a, b = tiny.net(3, 1), tiny.net(3, 2)
  local one, two = evaluate{a, held_out}, evaluate{b, held_out}
  local both = evaluate{a, b, held_out, errors = dir .. '/errors.png'}
  check.ok(both.loss <= (one.loss + two.loss) / 2, 'the loss of a mean is at most the mean of losses')
  check.close(evaluate{a, a, held_out}.loss, one.loss, 1e-6)
  check.ok(inc.image(dir .. '/errors.png'):size(1) == 3)
  check.raises(function() evaluate{a, tiny.net(4), held_out} end, '~expected 3 classes, the net gives 4')
  check.equal(evaluate{a, held_out, crops = 12}.n, one.n)
end)

test('best.safetensors holds the averages, and raw weights stay in the checkpoint', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  tiny.run(tiny.net(), pictures, out)
  local _, best, meta = inc.core.load(out .. '/best.safetensors')
  check.equal(meta.kind, 'weights')
  check.equal(meta.classes, 'class1\nclass2\nclass3')
  local step = math.tointeger(tonumber(meta.step))
  local _, all, more = inc.core.load(('%s/checkpoints/step-%d.safetensors'):format(out, step))
  check.equal(more.kind, 'checkpoint')
  check.equal(best['1.weight'], all['ema/1.weight'])
  check.ok(best['1.weight']:tolist()[1][1][1][1] ~= all['1.weight']:tolist()[1][1][1][1])
  check.ok(all['optim/momentum_buffer.1.weight'])
  check.equal(inspect{out, hash = true}.hash, inspect{out .. '/best.safetensors', hash = true}.hash)
  check.ok(inspect{out, hash = true}.hash ~= inspect{out, hash = true, raw = true}.hash)
end)

test('messages: pause, set, save, stop', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local run = train(tiny.options(tiny.net(), pictures, out, {steps = 100000, save_every = 100000,
    val_every = 100000}))
  inc.core.run_wait(run.handle, 0.05)
  check.equal(tostring(run:pause()):match '\n([^\n]*)' or 'rests', tostring(run):find 'paused' and 'rests' or
    'rests after this step')
  while run:status().state ~= 'paused' do inc.core.run_wait(run.handle, 0.01) end
  check.ok(not tostring(run):find 'rests')
  local step = run:status().step
  inc.core.run_wait(run.handle, 0.05)
  check.equal(run:status().step, step)
  check.contains(tostring(run:set{lr = 0.001}), 'from the next step on: lr = 0.001')
  local text = tostring(run:continue())
  check.ok(text:find 'running' or text:find '\ngoes on')
  while run:status().step < step + 20 do inc.core.run_wait(run.handle, 0.01) end
  run:stop():wait{quiet = true}
  local s, log = run:status(), run.log
  check.equal(s.state, 'stopped')
  check.equal(s.saved_step, s.step)
  check.equal(log.lr[step], log.lr[step])
  check.equal(log.lr[#log.lr], 0.001)
  check.contains(read_file(out .. '/log.jsonl'), '"note":"lr = 0.001"')
end)

test('a net in training is saved and judged between two steps', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local net = tiny.net()
  local run = train(tiny.options(net, pictures, dir .. '/run', {steps = 100000, ema = false}))
  inc.save(dir .. '/a.safetensors', net)
  check.equal(evaluate{net, data.folder{pictures, val = 0.3}.val}.n, evaluate{run}.n)
  check.equal(run:held(function()
    local step = run:status().step
    inc.core.run_wait(run.handle, 0.02)
    return run:status().step - step
  end), 0)
  run:stop():wait{quiet = true}
  check.equal(#inc.core.load(dir .. '/a.safetensors'), #net:state())
end)

test('a net made by hand: the size that was asked for, channels found out, dropout set', function()
  local pictures, dir = make_pictures(2, 8, 48), tmp()
  local net = nn.Sequential{nn.Flatten{}, nn.Dropout{0.5}, nn.Linear{2}}
  local run = train{net, pictures, out = dir .. '/a', steps = 100000, batch = 4, size = 16, dropout = 0.25}
  check.equal(net[3].weight:shape(), {2, 3 * 16 * 16})
  check.equal({net.preprocess.size, net[2].p}, {16, 0.25})
  run:set{dropout = 0.125}
  run:stop():wait{quiet = true}
  check.equal(net[2].p, 0.125)
  check.equal(predict{run, pictures}.pictures[1].top[1].class:match 'class%d' ~= nil, true)
  local last = run:status().step + 2
  local again = resume{run, steps = last}:wait{quiet = true}
  check.equal({again:status().step, again.net == net}, {last, true})
  check.raises(function() resume{dir .. '/a', steps = last + 2} end,
    'resume: the net of this run was made by hand: give it too, as in resume{..., net = net}')
  check.raises(function() resume{3} end, 'resume: run: expected a run or its folder, got 3')
  check.raises(function() train{net, pictures, aux = true, batch = 4} end,
    'train: aux: is for the model that train makes; this net was given')
  check.raises(function() train(net, pictures) end,
    'train: expected one table, got a net: write train{net, data, ...}')
end)

-- All that train changes in a net that it is handed.
local function facts_of(net)
  local grads, frozen = {}, {}
  for i, e in ipairs(net:named_parameters()) do grads[i] = e[2].requires_grad end
  for i, e in ipairs(net:named_modules()) do frozen[i] = e[2].frozen or false end
  return {size = net.preprocess.size, p = net:child(9).p, classes = net.classes or 'none', grads = grads,
    frozen = frozen, values = inc.core.sha256(net:state())}
end

test('a call that is refused leaves the net as it was', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local net, file = tiny.net(5), dir .. '/other.safetensors'
  net[1].weight:requires_grad_(false)
  inc.save(file, tiny.net(5, 8))
  local before = facts_of(net)
  for why, changes in pairs{['expected 5 classes'] = {}, ['expected 3 classes'] = {},
    ['fits no parameter'] = {freeze = {'^2%.', '^fc'}}} do
    local o = tiny.options(net, pictures, dir .. '/a', {size = 64, dropout = 0.9, freeze = '^2%.'})
    o.weights = file
    for name, v in pairs(changes) do o[name] = v end
    if why == 'expected 5 classes' then net.classes = {'a', 'b', 'c', 'd', 'e'} end
    local now = facts_of(net)
    local text = why == 'expected 5 classes' and 'classes: the net has a' or why
    check.raises(function() train(o) end, '~' .. text)
    check.equal(facts_of(net), now, why)
    net.classes = nil
  end
  check.equal(facts_of(net), before)
  check.equal(inc.core.path_kind(dir .. '/a'), nil)
  local busy = tiny.net()
  local run = train(tiny.options(busy, pictures, dir .. '/b', {steps = 100000}))
  check.raises(function() tiny.run(busy, pictures, dir .. '/c', {dropout = 0.9, size = 64}) end,
    '~this net is being trained')
  check.equal(busy:child(9).p .. ' ' .. busy.preprocess.size, '0.2 48')
  run:stop():wait{quiet = true}
  local other = tiny.net(3, 9)
  before = facts_of(other)
  local made = run:status().step
  check.raises(function() resume{dir .. '/b', net = other, steps = made} end, '~steps are made')
  check.equal(facts_of(other), before)
end)

test('hooks run in Lua, in order', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local seen = {}
  local run = train(tiny.options(tiny.net(), pictures, out))
  for _, kind in ipairs{'val', 'save', 'end'} do
    run:on(kind, function(r, e) seen[#seen + 1] = ('%s %d'):format(kind, e.step) check.equal(r, run) end)
  end
  run:wait{quiet = true}
  check.equal(seen[1], 'val 3')
  check.equal(seen[#seen], 'end 12')
  check.raises(function() run:on('epochs', print) end, '~did you mean epoch')
end)

test('frozen layers stay as they are, statistics too', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local net = tiny.net()
  local before = {}
  for _, e in ipairs(net:state()) do before[e[1]] = e[2]:tolist() end
  tiny.run(net, pictures, out, {freeze = {'^1%.', '^2%.'}})
  for _, e in ipairs(net:state()) do
    local frozen = e[1]:find '^[12]%.' ~= nil
    local same = pcall(check.equal, e[2]:tolist(), before[e[1]])
    check.equal(same, frozen, e[1])
  end
  check.raises(function() tiny.run(tiny.net(), pictures, out .. 2, {freeze = '^fc'}) end,
    '~freeze: %^fc: fits no parameter')
end)

test('a loss that is not finite stops the run and names a layer', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local run = train(tiny.options(tiny.net(), pictures, out,
    {steps = 40, lr = 1e30, save_every = 1, val_every = 40, schedule = 'constant', ema = false}))
  local why = check.raises(function() run:wait{quiet = true} end, '~.')
  check.ok(why:find 'not finite' or why:find 'not a number' or why:find 'infinite', why)
  check.equal(run:status().code, 'ENAN')
  local again = pcall(inc.core.load, ('%s/checkpoints/step-%d.safetensors'):format(out,
    inc.core.run_checkpoints(out)[1] or -1))
  check.ok(again or #inc.core.run_checkpoints(out) == 0)
end)

test('refusals, before anything is written', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local out = dir .. '/run'
  local function refused(changes, text)
    check.raises(function() tiny.run(tiny.net(), pictures, out, changes) end, text)
    check.equal(inc.core.path_kind(out), nil, 'the folder after a refusal')
  end
  refused({batch = 1000}, '~train: batch: expected at most the %d+ pictures of the training part, got 1000')
  refused({stepz = 3}, 'train: stepz: unknown option (did you mean steps?)')
  refused({optimizer = 'sgdd'}, 'optimizer: sgdd: unknown name (did you mean sgd?)')
  refused({schedule = 'cosin'}, 'schedule: cosin: unknown name (did you mean cosine?)')
  refused({augment = 'heavy'}, 'train: augment: expected one of inception, light, none, got "heavy"')
  refused({steps = 0}, 'train: steps: expected more than 0, got 0')
  refused({epochs = 2}, 'train: steps and epochs: expected one of them, got both')
  refused({devices = 'gpu:0'}, 'train: devices = "gpu:0": not built yet (there is cpu)')
  refused({ema = 2}, 'optim.ema: decay: expected at least 0 and less than 1, got 2')
  check.raises(function() tiny.run(tiny.net(4), pictures, out) end,
    'train: net: expected 3 classes as in the data, got 4')
  check.raises(function() train{tiny.net()} end, "train: expected data: a folder, or what data.folder gives")
  check.raises(function() tiny.run(tiny.net(), dir .. '/nowhere', out) end, '~nowhere')
  sh{'mkdir', '-p', dir .. '/one'}
  sh{'cp', '-r', pictures .. '/class1', dir .. '/one/'}
  check.raises(function() tiny.run(tiny.net(), dir .. '/one', out) end, '~expected two classes or more')
  check.equal(inc.core.path_kind(out), nil)
end)

test('a run is never overwritten, and trained once at a time', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local net = tiny.net()
  local run = train(tiny.options(net, pictures, out, {steps = 100000}))
  check.raises(function() tiny.run(tiny.net(), pictures, out) end,
    ("train: out = '%s' holds a run already: resume('%s') goes on with it, another name begins anew")
      :format(out, out))
  check.raises(function() tiny.run(net, pictures, out .. 2) end,
    ('train: this net is being trained by the run in %s'):format(out))
  check.raises(function() resume{out, net = tiny.net()} end, '~this run is being trained by process ')
  run:stop():wait{quiet = true}
  local file = tmp() .. '/file'
  write_file(file, 'x')
  check.raises(function() tiny.run(tiny.net(), pictures, file) end,
    ("train: out = '%s' is a file, expected a new folder"):format(file))
end)

test('a bad picture is left out and counted, or stops the run', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  write_file(pictures .. '/class1/text.jpg', 'no picture')
  local run = tiny.run(tiny.net(), pictures, dir .. '/a')
  check.equal(run:status().state, 'finished')
  check.equal(inspect{dir .. '/a', pictures = true}.pictures[1].part ~= nil, true)
  check.raises(function() tiny.run(tiny.net(), pictures, dir .. '/b', {bad = 'stop'}) end,
    '~text.jpg: not a JPEG or PNG')
  local r = evaluate{run, part = 'all'}
  check.equal(r.bad[1].why, 'not a JPEG or PNG')
end)

test('without held-out pictures the newest weights are the best', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local run = tiny.run(tiny.net(), pictures, out, {val = 0})
  check.equal(run:status().best_step, 12)
  check.equal(run:status().val, nil)
end)

test('predict: the same numbers alone and among many', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local net = tiny.net()
  tiny.run(net, pictures, out)
  local one = pictures .. '/class2/' .. inc.core.list_folder(pictures .. '/class2')[1]
  local alone, all = predict{net, one}, predict{net, pictures .. '/class1', one, top = 2}
  local last = all.pictures[#all.pictures]
  check.equal(last.file, one)
  check.equal(#last.top, 2)
  check.equal(last.top[1], alone.pictures[1].top[1])
  local sum = 0
  for _, t in ipairs(alone.pictures[1].top) do sum = sum + t.confidence end
  check.close(sum, 1, 1e-5)
  check.equal(predict{net, inc.image(one)}.pictures[1].top[1].class, alone.pictures[1].top[1].class)
  check.raises(function() predict{net} end, 'predict: expected pictures: files or folders')
end)
