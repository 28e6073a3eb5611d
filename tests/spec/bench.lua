-- bench.lua: the verb `bench` and the programs behind `make bench`, at the smallest sizes: what they print
-- and refuse. Speeds are not judged here.
local measure = dofile 'scripts/bench/measure.lua'
local report = dofile 'scripts/bench/report.lua'

test.slow('bench --json has the fields that scripts rely on', function()
  local pictures = make_pictures(2, 8, 64)
  local r = sh(('%s bench %s --json --steps 1 --batch 2 --size 80 --precision f32'):format(incsh, pictures))
  check.equal(r.status, 0, r.err)
  local b = inc.json.decode(r.out)
  check.ok(#b.cpu > 0)
  check.equal(#b.train, 1)
  local t = b.train[1]
  check.equal(t.precision, 'f32')
  check.equal(t.batch, 2)
  check.ok(t.img_s > 0 and t.peak_mb > 50 and t.first_step_s > 0 and t.share_of_peak > 0)
  check.equal(#b.infer, 2)
  check.equal(b.infer[1].batch, 1)
  check.ok(b.infer[2].ms > 0 and b.infer[2].img_s > 0)
  check.equal(#b.input, 2)
  check.ok(b.input[1].img_s_core > 0)
end)

test('bench refuses what it cannot do', function()
  check.raises(function() bench{only = 'input'} end, 'bench: data: expected a folder of pictures to read')
  check.raises(function() bench{batch = 0} end, 'bench: steps and batch: expected at least 1')
  check.raises(function() bench{only = 'inpt'} end,
    'bench: only: expected one of train, infer, input, got "inpt"')
  local r = sh(incsh .. ' bench a b')
  check.equal(r.status, 1)
  check.contains(r.err, 'bench: expected at most one folder of pictures, got 2')
end)

test.slow('the long form measures without peers, in a folder of results', function()
  local folder = tmp() .. '/results'
  local r = sh(('%s scripts/bench/run.lua --quick --steps 1 --batch 1 --only infer --precision f32 '
    .. '--peers none --folder %s'):format(incsh, folder))
  check.equal(r.status, 0, r.err)
  local saved = inc.json.decode(read_file(folder .. '/step.json'))
  check.equal(saved.rows[1].programs[1].ours, true)
  check.equal(#saved.rows[1].programs[1].ms, 8)
  check.contains(read_file(folder .. '/step.txt'), 'incsh ' .. inc.core.version)
  r = sh(incsh .. ' scripts/bench/run.lua --stepz 1')
  check.equal(r.status, 1)
  check.contains(r.err, 'bench: unknown option --stepz; expected --quick')
  r = sh(incsh .. ' scripts/bench/run.lua --steps none')
  check.contains(r.err, 'bench: --steps: expected a number from 1, got none')
end)

test('peers that are not there are named and left out', function()
  local r = sh('INC_PEERS=' .. tmp() .. ' scripts/bench/peers list')
  check.equal(r.status, 0)
  check.equal(r.out, '')
  for _, name in ipairs{'torch', 'openvino', 'onnxruntime', 'tensorflow', 'dali'} do
    check.contains(r.err, 'peers: ' .. name .. ' is not there; scripts/bench/peers install ' .. name)
  end
  r = sh 'scripts/bench/peers install caffe'
  check.equal(r.status, 1)
  check.contains(r.err, 'peers: expected one of torch openvino onnxruntime tensorflow dali, got caffe')
  check.equal(sh 'scripts/bench/peers'.status, 1)
end)

test('medians, spread and the best peer', function()
  check.close(measure.quantile({3, 1, 2}, 0.5), 2)
  check.close(measure.quantile({4, 1, 2, 3}, 0.5), 2.5)
  check.close(measure.quantile({0, 10}, 0.9), 9)
  local row = {what = 'train', precision = 'f32', batch = 4, programs = {
    {program = 'incsh', ours = true, ms = {100, 90, 110}, peak_mb = 50, to_first_s = 1, to_second_s = 1.3,
      others = 0},
    {program = 'slow', ms = {300}, peak_mb = 400, plain_mb = 100, to_first_s = 1, to_second_s = 2,
      others = 0},
    {program = 'fast', ms = {150, 150}, peak_mb = 200, to_first_s = 1, to_second_s = 2, others = 0}}}
  for _, p in ipairs(row.programs) do report.finish(p, row.batch) end
  report.compare(row)
  check.equal(row.best_peer, 'fast')
  check.close(row.speed, 1.5)
  check.close(row.memory, 0.5)
  local about = {cpu = 'c', flags = {'f'}, threads = 2, date = 'd', load = 1, quiet = false}
  local text = report.text({row}, about)
  check.contains(text, 'THE MACHINE WAS NOT QUIET')
  check.contains(text, '1.50x the speed of fast, 0.50x the least memory of a peer')
  check.ok(text:find 'train +f32 +4 +incsh +100.0 +16%% +40.00 +50 +1.00 +1.10 +0.00')
end)

test('a program that fails is told by its last line', function()
  local r, why = measure.run "sh -c 'echo starting; echo it broke >&2; exit 3'"
  check.equal(r, nil)
  check.equal(why, 'it broke')
end)

test.slow('planning is measured with kernels known and with kernels to be measured', function()
  local r = measure.run(incsh .. ' scripts/bench/planning.lua infer f32 1')
  check.ok(r.kernels > 100)
  check.ok(r.warm_s > 0 and r.warm_s < r.cold_s, ('warm %.3f s, cold %.3f s'):format(r.warm_s, r.cold_s))
end)

test('growth and input refuse options that they do not have', function()
  local r = sh(incsh .. ' scripts/bench/growth.lua --batch 3')
  check.equal(r.status, 1)
  check.contains(r.err, 'bench: unknown option --batch; expected --quick, --precision, --steps or --folder')
  r = sh(incsh .. ' scripts/bench/input.lua --date x')
  check.equal(r.status, 1)
  check.contains(r.err, 'bench: unknown option --date; expected --data')
  r = sh(('%s scripts/bench/input.lua --data %s --quick'):format(incsh, tmp()))
  check.equal(r.status, 0)
  check.contains(r.err, 'bench: the input pipeline was not measured: no JPEGs in ')
end)
