-- runs and diff: what they read from run folders, whole, half-written and foreign; smoothing; features.
local tiny = require 'tiny'

local smooth = require 'inc.run.smooth'

local function line(row) return inc.json.encode(row) .. '\n' end

-- A run's folder as train leaves it, without a train: settings and a log of `steps` steps.
local function fake_run(folder, o)
  inc.core.make_folder(folder .. '/checkpoints')
  inc.json.write(folder .. '/config.json', {kind = 'run', total = o.total or o.steps,
    settings = {optimizer = {optimizer = o.optimizer or 'sgd', lr = o.lr or 0.1}, batch = o.batch or 8,
      schedule = {schedule = 'cosine'}, seed = 1},
    net = {model = 'custom'}, data = {path = '/pictures'}, threads = 2,
    machine = {processor = o.processor or 'a', libraries = {dnnl = '2.6'}}})
  local rows = {}
  for i = 1, o.steps do
    rows[i] = line{step = i, loss = o.loss and o.loss(i) or 1 / i, time = 1000 + i, img_s = 10}
  end
  write_file(folder .. '/log.jsonl', table.concat(rows) .. (o.torn or ''))
  if o.best then
    inc.core.save(folder .. '/best.safetensors', {{'w', inc.ones{2}}},
      {['val.top1'] = tostring(o.best), step = tostring(o.steps), classes = ('x'):rep(9000)})
  end
  return folder
end

local function names(t)
  local list = {}
  for i, row in ipairs(t) do list[i] = row.name end
  return list
end

-- -- smoothing ----------------------------------------------------------------------------------------------

test("smoothing is TensorBoard's formula", function()
  local y, w = {4, 2, 0, 1}, 0.6
  local s, expected = 0, {}
  for n, v in ipairs(y) do
    s = w * s + (1 - w) * v
    expected[n] = s / (1 - w ^ n)
  end
  check.close(smooth.debiased(y, w), expected, 1e-12)
  check.equal(smooth.debiased(y, 0), y)
end)

test('smoothing: what is not finite passes and counts nowhere', function()
  local nan, inf = 0 / 0, math.huge
  local out = smooth.debiased({4, nan, inf, 2}, 0.5)
  check.close(out[4], smooth.debiased({4, 2}, 0.5)[2], 1e-12)
  check.ok(out[2] ~= out[2] and out[3] == inf)
end)

test('smoothing: a constant curve is left as it is, weight 1 divides by nothing', function()
  check.equal(smooth.debiased({0.1, 0.1, 0.1}, 0.9), {0.1, 0.1, 0.1})
  check.equal(smooth.debiased({3, 2}, 1), {0, 0})
  check.equal(smooth.debiased({}, 0.5), {})
end)

test('smoothing value by value is the same formula', function()
  local f, list = smooth.running(0.6), smooth.debiased({4, 2, 0, 1}, 0.6)
  for i, v in ipairs{4, 2, 0, 1} do check.equal(f(v), list[i]) end
end)

test('plots use it and say so', function()
  check.equal(inc.plot.smooth, smooth.debiased)
  check.equal(smooth.label('loss', 0.6), 'loss (smoothed 0.6)')
  check.raises(function() smooth.check(1, 'diff') end,
    'diff: smooth: expected a number from 0 to below 1, got 1')
end)

-- -- runs ---------------------------------------------------------------------------------------------------

test('runs reads what a run wrote', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = tiny.run(tiny.net(), pictures, dir .. '/a')
  local t = runs(dir)
  check.equal(#t, 1)
  local row, s = t[1], run:status()
  check.equal({row.name, row.state, row.step, row.steps}, {'a', 'finished', 12, 12})
  check.equal({row.best, row.best_step}, {s.best, s.best_step})
  check.equal({row.optimizer, row.lr, row.batch, row.seed}, {'sgd', 0.05, 8, 1})
  check.equal(row.loss, run.log.loss[12])
  check.ok(math.abs(row.date - os.time()) < 100 and row.size > 10000)
  local count = sh(('cat %s/a/* %s/a/checkpoints/* 2>/dev/null | wc -c'):format(quote(dir), quote(dir)))
  check.equal(row.size, tonumber(count.out))
  check.contains(tostring(t), '1 run in ' .. dir)
  local i = inspect(dir .. '/a')
  check.equal({i.state, i.step, i.steps, i.optimizer, i.lr, i.best_step},
    {'finished', 12, 12, 'sgd', 0.05, s.best_step})
end)

test('a run of this session is told as it is now', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local run = train(tiny.options(tiny.net(), pictures, dir .. '/a', {steps = 100000, schedule = 'constant'}))
  while run:status().step < 3 do inc.core.run_wait(run.handle, 0.001) end
  run:pause()
  while run:status().state ~= 'paused' do inc.core.run_wait(run.handle, 0.001) end
  check.equal(runs(dir)[1].state, 'paused')
  local mine = runs():where{path = dir .. '/a'}
  check.equal(#mine, 1)
  check.equal(sh(incsh .. " -e 'print(runs(arg[1])[1].state)' " .. quote(dir)).out, 'running\n')
  run['continue'](run)
  run:stop():wait{quiet = true}
  check.equal(runs(dir)[1].state, 'stopped')
  check.equal(runs():where{path = dir .. '/a'}[1].state, 'stopped')
end)

test('half-written and foreign folders', function()
  local dir = tmp()
  fake_run(dir .. '/ok', {steps = 3})
  fake_run(dir .. '/torn', {steps = 3, total = 9, torn = '{"step":4,"lo'})
  fake_run(dir .. '/young', {steps = 0, total = 9})
  os.remove(dir .. '/young/log.jsonl')
  inc.core.make_folder(dir .. '/broken')
  write_file(dir .. '/broken/config.json', '{"kind": ')
  inc.core.make_folder(dir .. '/other')
  write_file(dir .. '/other/config.json', '{"kind": "tool", "total": "many"}')
  inc.core.make_folder(dir .. '/odd')
  write_file(dir .. '/odd/config.json',
    '{"kind": "run", "total": "x", "settings": {"optimizer": [1], "batch": {}}, "net": 3, "data": null}')
  write_file(dir .. '/odd/log.jsonl', '[1]\n')
  write_file(dir .. '/odd/best.safetensors', 'x')
  inc.core.make_folder(dir .. '/photos/roses')
  write_file(dir .. '/file', 'x')
  os.execute('ln -s . ' .. quote(dir .. '/loop'))
  local t = runs(dir)
  check.equal(names(t), {'broken', 'odd', 'ok', 'other', 'torn', 'young'})
  local states = {}
  for _, row in ipairs(t) do states[row.name] = row.state .. ' ' .. row.step end
  check.equal(states, {broken = 'unreadable 0', odd = 'stopped 0', ok = 'finished 3', other = 'unreadable 0',
    torn = 'stopped 3', young = 'stopped 0'})
  check.contains(tostring(t), '2 other folders left out')
  for _, column in ipairs{'step', 'best', 'loss', 'date', 'optimizer', 'batch'} do t:sort('-' .. column) end
end)

test('sorting, filtering, columns', function()
  local dir = tmp()
  fake_run(dir .. '/2', {steps = 3, best = 0.5})
  fake_run(dir .. '/10', {steps = 4, optimizer = 'adamw', lr = 1e-3, best = 0.75})
  fake_run(dir .. '/sub/1', {steps = 2, batch = 16})
  local t = runs(dir)
  check.equal(names(t), {'2', '10', 'sub/1'})
  check.equal(names(t:sort 'best'), {'2', '10', 'sub/1'}) -- nothing known stands last, whichever way
  check.equal(names(t:sort '-best'), {'10', '2', 'sub/1'})
  check.equal(names(runs{dir, sort = 'step'}), {'sub/1', '2', '10'})
  check.equal(names(t:where{optimizer = '^adam'}), {'10'})
  check.equal(names(t:where{batch = 8, best = function(v) return v and v < 0.6 end}), {'2'})
  check.equal(names(t:where(function(row) return row.loss < 0.4 end)), {'2', '10'})
  check.contains(tostring(t:where{batch = 16}), '1 run of 3 in')
  check.equal(tostring(runs{dir, columns = {'name', 'lr'}, where = {best = 0.75}}),
    ('name     lr\n10    0.001\n1 run of 3 in %s'):format(dir))
  check.equal(tostring(runs(tmp())):match '^0 runs', '0 runs')
end)

test('runs: errors', function()
  local dir = tmp()
  write_file(dir .. '/f', 'x')
  check.raises(function() runs(dir .. '/x') end, ('runs: %s/x: there is no such folder'):format(dir))
  check.raises(function() runs(dir .. '/f') end,
    ('runs: %s/f: is a file, expected a folder of runs'):format(dir))
  check.raises(function() runs{dir, sort = 'optimiser'} end,
    'runs: optimiser: unknown column (did you mean optimizer?)')
  check.raises(function() runs{dir, columns = {'nme'}} end, 'runs: nme: unknown column (did you mean name?)')
  check.raises(function() runs{dir, where = 3} end,
    'runs: where: expected {column = value} or a function, got 3')
  check.raises(function() runs{dir, where = {sted = 1}} end,
    'runs: sted: unknown column (did you mean step?)')
  check.raises(function() runs{dir, where = {name = '[a'}} end,
    "runs: where: name: malformed pattern (missing ']')")
  check.raises(function() runs{dir, sorted = 'x'} end, '~did you mean sort')
end)

test('a thousand runs in seconds', function()
  local dir = tmp()
  local long = function(i) return 1 / i end
  fake_run(dir .. '/0', {steps = 2000, loss = long, best = 0.5})
  os.execute(('cd %s && for i in $(seq 999); do cp -r 0 $i; done'):format(quote(dir)))
  local before = os.clock()
  local t = runs(dir)
  local seconds = os.clock() - before
  check.equal(#t, 1000)
  check.equal(t[1000].name, '999')
  check.ok(#tostring(t) > 1000 and seconds < 3, ('took %.2f s of processor time'):format(seconds))
end)

-- -- diff ---------------------------------------------------------------------------------------------------

test('diff of two runs of the same pictures', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local a = tiny.run(tiny.net(), pictures, dir .. '/a')
  tiny.run(tiny.net(), pictures, dir .. '/b', {lr = 0.02, steps = 15})
  local d = diff(a, dir .. '/b')
  check.equal(d.settings[1], {name = 'optimizer.lr', a = 0.05, b = 0.02})
  local found = {}
  for _, s in ipairs(d.settings) do found[#found + 1] = s.name end
  check.equal(found, {'optimizer.lr', 'steps', 'total_steps'})
  check.ok(d.data.same)
  check.equal(d.losses.step, 2) -- the first loss comes before the first update
  check.equal(d.losses.a, a.log.loss[2])
  check.equal({d.curves[1].name, d.curves[1].a.final}, {'loss', smooth.debiased(a.log.loss, 0.6)[12]})
  local text = tostring(d)
  check.ok(text:find 'settings: 3 differ' < text:find 'data: the same pictures in the same parts')
  check.contains(text, 'losses: differ first at step 2 (')
  check.equal(diff(dir .. '/a', dir .. '/b', {columns = {'val.top1'}}).curves[1].b.best_step <= 15, true)
  check.equal(tostring(diff{dir .. '/a', dir .. '/b'}), text)
  check.equal(tostring(diff(runs(dir)[1], runs(dir)[2])), text)
end)

test('equal runs are equal to the last bit', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(tiny.net(), pictures, dir .. '/a', {workers = 1})
  tiny.run(tiny.net(), pictures, dir .. '/b', {workers = 1})
  local text = tostring(diff(dir .. '/a', dir .. '/b'))
  check.contains(text, 'are the same\n')
  check.contains(text, 'settings: all ')
  check.contains(text, 'versions and machine: the same')
  check.contains(text, 'losses: equal to the last bit in all 12 common steps')
end)

test('diff of runs of other pictures', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(tiny.net(), pictures, dir .. '/a')
  tiny.run(tiny.net(), data.folder{pictures, val = 0.5, seed = 9}, dir .. '/b')
  local list = inc.core.list_folder(pictures .. '/class1')
  os.remove(pictures .. '/class1/' .. list[1])
  os.rename(pictures .. '/class1/' .. list[2], pictures .. '/class2/' .. list[2] .. 'x.jpg')
  write_file(pictures .. '/class2/' .. inc.core.list_folder(pictures .. '/class2')[1],
    read_file(pictures .. '/class3/' .. inc.core.list_folder(pictures .. '/class3')[1]))
  tiny.run(tiny.net(), pictures, dir .. '/c')
  local b, c = diff(dir .. '/a', dir .. '/b').data, diff(dir .. '/a', dir .. '/c').data
  check.equal({b.same, b.only_a, b.only_b, b.changed}, {false, 0, 0, 0})
  check.ok(b.moved > 0)
  check.equal({c.same, c.only_a, c.only_b, c.changed}, {false, 2, 1, 1})
  check.contains(tostring(diff(dir .. '/a', dir .. '/c')),
    'data: not the same: 2 only in the first, 1 only in the second, 1 of other content or class')
end)

test('diff: what is missing is said, a machine is told apart', function()
  local dir = tmp()
  fake_run(dir .. '/a', {steps = 5})
  fake_run(dir .. '/b', {steps = 5, processor = 'b', loss = function(i) return i == 4 and 9 or 1 / i end})
  os.remove(dir .. '/b/log.jsonl')
  local text = tostring(diff(dir .. '/a', dir .. '/b'))
  check.contains(text, 'data: not known: a list of pictures is missing')
  check.contains(text, 'versions and machine: 1 differ')
  check.ok(text:find 'processor +a +b')
  fake_run(dir .. '/b', {steps = 7, loss = function(i) return i == 4 and 0.2501 or 1 / i end})
  local losses = diff(dir .. '/a', dir .. '/b').losses
  check.equal({losses.step, losses.a, losses.b, losses.clear_step}, {4, 0.25, 0.2501, nil})
  check.contains(tostring(diff(dir .. '/a', dir .. '/b')), 'never by more than 5% (smoothed 0.6)')
end)

test('diff tells what was changed on the way', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(tiny.net(), pictures, dir .. '/a')
  local run = train(tiny.options(tiny.net(), pictures, dir .. '/b', {steps = 100000, schedule = 'constant'}))
  run:set{lr = 0.0125}
  while run:status().step < 5 do inc.core.run_wait(run.handle, 0.001) end
  run:stop():wait{quiet = true}
  local d = diff(dir .. '/a', dir .. '/b')
  check.equal({#d.a.notes, #d.b.notes}, {0, 1})
  check.contains(d.b.notes[1].text, '0.0125')
  check.contains(tostring(d), ('  changed in b at step %d: '):format(d.b.notes[1].step))
end)

test('diff draws both curves', function()
  local dir = tmp()
  fake_run(dir .. '/a', {steps = 5})
  fake_run(dir .. '/b', {steps = 5})
  local r = sh(([[%s -e "diff('%s/a', '%s/b'):plot{'loss'}"]]):format(incsh, dir, dir))
  check.equal(r.status, 0, r.err)
  if r.err:find 'gnuplot' then skip(r.err) end
  check.contains(r.out, 'a loss (smoothed 0.6)')
  check.contains(r.out, 'b loss (smoothed 0.6)')
  check.raises(function() diff(dir .. '/a', dir .. '/b'):plot{'los'} end,
    'diff: plot: los: no such column (did you mean loss?)')
end)

test('diff: errors', function()
  local dir = tmp()
  local a = fake_run(dir .. '/a', {steps = 2})
  check.raises(function() diff(a) end, 'diff: expected two runs or their folders')
  check.raises(function() diff(a, 3) end, 'diff: expected two runs or their folders, got 3 at place 2')
  check.raises(function() diff(a, dir .. '/x') end, ('diff: %s/x: there is no such folder'):format(dir))
  check.raises(function() diff(a, dir) end, ('diff: %s: is no run: it has no config.json'):format(dir))
  check.raises(function() diff(a, a, {smooth = 1.5}) end,
    'diff: smooth: expected a number from 0 to below 1, got 1.5')
  check.raises(function() diff(a, a, {columns = {'los'}}) end,
    'diff: columns: los: is in neither log (did you mean loss?)')
  check.raises(function() diff(a, a, {column = {'loss'}}) end, '~did you mean columns')
end)

test('runs and diff on the command line', function()
  local dir = tmp()
  fake_run(dir .. '/a', {steps = 5, best = 0.5})
  fake_run(dir .. '/b', {steps = 5, best = 0.75, optimizer = 'adamw'})
  local r = sh(('%s runs %s --sort=-best --columns name,best --where optimizer=adamw'):format(incsh, dir))
  check.equal(r.out, ('name    best\nb     0.7500\n1 run of 2 in %s\n'):format(dir))
  local rows = inc.json.decode(sh(('%s runs %s --json'):format(incsh, dir)).out).runs
  check.equal({#rows, rows[2].optimizer}, {2, 'adamw'})
  check.contains(sh(('%s diff %s/a %s/b'):format(incsh, dir, dir)).out, 'settings: 1 differ')
  local d = inc.json.decode(sh(('%s diff %s/a %s/b --json --columns loss'):format(incsh, dir, dir)).out)
  check.equal(d.settings[1], {name = 'optimizer', a = 'sgd', b = 'adamw'})
  r = sh(('%s diff %s/a'):format(incsh, dir))
  check.equal({r.status, r.err}, {1, 'incsh diff: expected two folders of runs, got 1\n'})
  r = sh(('%s runs %s --where best'):format(incsh, dir))
  check.equal({r.status, r.err}, {1, 'incsh runs: --where: expected column=value, got best\n'})
  r = sh(('%s runs %s %s'):format(incsh, dir, dir))
  check.equal({r.status, r.err}, {1, 'incsh runs: expected one folder, got 2\n'})
end)

-- -- features -----------------------------------------------------------------------------------------------

test('features are the outputs of layers', function()
  local pictures, dir = make_pictures(3, 2, 48), tmp()
  local net = tiny.net()
  local out = dir .. '/f.safetensors'
  local r = predict{net, pictures, features = {'5', '7'}, out = out}
  check.equal({#r.pictures, r.features['5']:shape(), r.features['7']:shape()}, {6, {6, 16, 11, 11}, {6, 16}})
  local _, tensors, metadata = inc.core.load(out)
  check.equal(tensors['7'], r.features['7'])
  check.equal(metadata.files:match '^[^\n]*', r.pictures[1].file)
  net:train(false)
  local x = inc.core.view_file(r.pictures[4].file, {augment = 'eval', size = 48})
  check.close(r.features['7'][4], net:end_points(x, {'7'})['7']:view{-1}, 1e-5)
  check.contains(tostring(r), '7: {6, 16} of 6 pictures\nwritten to ' .. out)
  local i = inspect(out)
  check.equal({i.kind, #i.files, i.files[1]}, {'features', 6, r.pictures[1].file})
  check.ok(tostring(i):find 'files +6: [^\n]*, %.%.%.\n')
end)

test('features as a table; a bad picture is left out', function()
  local pictures, dir = make_pictures(3, 1, 48), tmp()
  write_file(pictures .. '/class1/a "b".jpg', 'no picture')
  local r = predict{tiny.net(), pictures, features = '7', out = dir .. '/f.csv'}
  check.equal({#r.pictures, #r.bad}, {3, 1})
  local lines = {}
  for text in io.lines(dir .. '/f.csv') do lines[#lines + 1] = text end
  check.equal({#lines, lines[1]:match '^file,1,2,', lines[1]:match '[^,]*$'}, {4, 'file,1,2,', '16'})
  local values = {}
  for word in lines[2]:match '^"[^"]*",(.*)$':gmatch '[^,]+' do values[#values + 1] = tonumber(word) end
  check.close(r.features['7'][1], values, 1e-7)
end)

test('features: errors', function()
  local pictures, dir = make_pictures(3, 1, 48), tmp()
  local net = tiny.net()
  local function refuse(o, text)
    check.raises(function() predict{net, pictures, features = o.features, out = o.out} end, text)
  end
  refuse({features = 3}, 'predict: features: expected the name of a layer, or a list of them, got 3')
  refuse({features = 'fcc'}, '~fcc: unknown name in nn.Sequential')
  refuse({features = '7', out = 'x.txt'},
    'predict: out: expected a name that ends in .safetensors or .csv, got x.txt')
  refuse({features = '5,7', out = 'x.csv'},
    'predict: out: x.csv: a table holds one layer, got 2 (.safetensors holds more)')
  refuse({out = 'x.csv'}, 'predict: out: is where features go, and none were asked for')
  refuse({features = '7', out = dir .. '/no/f.csv'}, '~/no/f.csv: cannot create')
  write_file(dir .. '/a.jpg', 'x')
  check.raises(function() predict{net, dir .. '/a.jpg', features = '7'} end,
    'predict: features: none of the 1 pictures can be read')
end)

test.slow('features of weights without a classifier, on the command line', function()
  local pictures, dir = make_pictures(1, 2, 64), tmp()
  local weights = 'models/pretrained/inception_v3.safetensors'
  local go = ('%s predict %s %s '):format(incsh, weights, pictures)
  check.equal(sh(go).status, 1)
  local r = sh(('%s --json --features avgpool %s/f.safetensors'):format(go, dir))
  check.equal(r.status, 0, r.err)
  local answer = inc.json.decode(r.out)
  check.equal({#answer.pictures, answer.features.avgpool}, {2, {2, 2048}})
  check.equal(answer.out, dir .. '/f.safetensors')
  local _, tensors = inc.core.load(dir .. '/f.safetensors')
  check.equal(tensors.avgpool:shape(), {2, 2048})
  check.equal(sh(('%s --features avgpool'):format(go)).err,
    'incsh predict: --features: expected a layer and a file (.safetensors or .csv)\n')
  check.contains(sh(('%s --features=AuxLogits %s/g.csv'):format(go, dir)).err, 'AuxLogits')
end)
