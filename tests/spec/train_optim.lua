-- What train does with optimizers and schedules: several numbers that change, a function, parts of a batch,
-- norms in the log, an optimizer that keeps an average of its own, and one of the user's; and that a run that
-- was cut in two is the same to the bit.

local tiny = require 'tiny'

-- A run of 30 steps, and one that stops on the way and is resumed: the same state, the same log.
local function same_in_two_parts(changes)
  local pictures, whole, parts = make_pictures(3, 14, 48), tmp() .. '/whole', tmp() .. '/parts'
  changes.steps = 30
  local run = tiny.run(tiny.net(), pictures, whole, changes)
  local cut = train(tiny.options(tiny.net(), pictures, parts, changes))
  while cut:status().step < 5 do inc.core.run_wait(cut.handle, 0.001) end
  cut:stop():wait{quiet = true}
  check.ok(cut:status().step < 30, 'stopped too late to test anything')
  resume{parts, net = tiny.net(3, 77)}:wait{quiet = true}
  check.equal((tiny.state(parts)), (tiny.state(whole)))
  check.equal(tiny.facts(parts), tiny.facts(whole))
  return run.log, run
end

test('several numbers follow schedules, and the log has them', function()
  local dip = optim.step{0.5, every = 4}
  local log = same_in_two_parts{optimizer = optim.sgd{lr = 0.05, momentum = 0.8},
    schedule = {lr = optim.step{0.1, every = 5}, momentum = dip}}
  check.close({log.lr[5], log.lr[6], log.momentum[4], log.momentum[5]}, {0.05, 0.005, 0.8, 0.4}, 1e-6)
end)

test('a schedule may be a Lua function', function()
  local log = same_in_two_parts{optimizer = optim.adamax{}, schedule = function(step, run)
    return 1 - (step - 1) / 24
  end}
  check.close({log.lr[1], log.lr[3]}, {0.05, 0.05 * 22 / 24}, 1e-6)
end)

test('a schedule that is longer than the run', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  local function refused(schedule, text)
    check.raises(function() tiny.run(tiny.net(), pictures, out, {schedule = schedule}) end,
      'train: schedule: ' .. text)
    check.equal(inc.core.path_kind(out), nil)
  end
  refused(optim.cosine{warmup = 40},
    'optim.cosine{warmup = 40}: warmup of 40 steps is longer than the run of 12')
  refused(optim.cosine{warmup = 4, period = 10},
    'optim.cosine{period = 10, warmup = 4}: period of 14 steps is longer than the run of 12')
  refused(optim.multistep{{6, '9 epochs'}},
    'optim.multistep{{6, "9 epochs"}}: milestone "9 epochs" is beyond the run of 12')
  refused({lr = 'constant', momentum = optim.polynomial{length = 13}},
    'optim.polynomial{length = 13}: length of 13 steps is longer than the run of 12')
  -- a run that is cut short says so, and goes on as it was planned
  local notes, note = {}, inc.note
  local o = {schedule = optim.multistep{{6, 11}}, save_every = 4}
  tiny.run(tiny.net(), pictures, out, o)
  os.remove(out .. '/checkpoints/step-12.safetensors')
  rawset(inc, 'note', function(...) notes[#notes + 1] = string.format(...) end)
  local restore <close> = setmetatable({}, {__close = function() rawset(inc, 'note', note) end})
  local log = resume{out, net = tiny.net(), steps = 10}:wait{quiet = true}.log
  check.contains(table.concat(notes, '\n'), out .. ': it ends before its schedule does: ' ..
    'optim.multistep{{6, 11}}: milestone 11 is beyond the run of 10')
  check.close({log.lr[6], log.lr[7], log.lr[10], #log.lr}, {0.05, 0.005, 0.005, 10}, 1e-9, restore and nil)
end)

test("schedule-free: validation and best.safetensors see the average", function()
  local _, run = same_in_two_parts{optimizer = optim.schedule_free_adamw{}, ema = false,
    schedule = 'constant'}
  local slots, best = {}, tiny.net()
  for _, entry in ipairs(run.optimizer:slots()) do slots[entry[1]] = entry[2] end
  check.ok(slots['x.1.weight'] ~= nil)
  best:load(run.folder .. '/best.safetensors')
  check.ok(run:status().best ~= nil)
  if run:status().best_step == 30 then check.close(best[1].weight, slots['x.1.weight']) end
  check.raises(function()
    tiny.run(tiny.net(), make_pictures(3, 14, 48), tmp() .. '/run', {optimizer = optim.schedule_free_sgd{}})
  end, 'train: ema: optim.schedule_free_sgd keeps an average of its own: leave ema out')
  local o = tiny.options(tiny.net(), make_pictures(3, 14, 48), tmp() .. '/run',
    {optimizer = optim.schedule_free_sgd{}})
  o.ema = nil -- the recipe's average gives way
  check.equal(train(o):wait{quiet = true}:status().state, 'finished')
end)

test("one of the user's own, with norms in the log", function()
  optim.new('plain_step', {update = function(p, g, _, h) p:sub_(g * h.lr) end})
  local log = same_in_two_parts{optimizer = optim.plain_step{}, schedule = 'constant', norms = true}
  for step = 1, 12 do
    check.close(log.update_norm[step], 0.05 * log.grad_norm[step], 1e-4)
  end
end)

test('a batch in parts has the gradients of the whole one', function()
  local pictures = make_pictures(3, 14, 48)
  local function log_of(n)
    local net = tiny.net()
    net:freeze '^[25]' -- norm layers by their running statistics: parts see what the whole sees
    net:replace('9', nn.Identity{}) -- and no dropout, whose masks would differ
    return tiny.run(net, pictures, ('%s/%d'):format(tmp(), n), {accumulate = n, ema = false, norms = true,
      augment = 'none', steps = 6}).log
  end
  local whole, parts = log_of(1), log_of(4)
  check.ok(whole.loss[6] ~= whole.loss[1])
  check.close(parts.loss, whole.loss, 1e-5)
  check.close(parts.grad_norm, whole.grad_norm, 1e-4)
  check.raises(function() tiny.run(tiny.net(), pictures, tmp() .. '/run', {accumulate = 3}) end,
    'train: accumulate: expected parts of equal size, got 3 parts of batch 8')
  check.raises(function() tiny.run(tiny.net(), pictures, tmp() .. '/run', {schedule = 'plateau',
    val = 0}) end,
    'train: schedule: lr follows optim.plateau, which expects pictures held out, got none')
end)

test('plateau: validation lowers the rate, also over a resume', function()
  local log = same_in_two_parts{val_every = 2, save_every = 3,
    schedule = optim.plateau{0.5, patience = 0, mode = 'min', threshold = 0.2, warmup = 2}}
  check.equal(log.lr[1], 0.025)
  check.ok(log.lr[30] < 0.05 and log.lr[30] > 0, log.lr[30])
  local factor = math.log(log.lr[30] / 0.05, 0.5)
  check.close(factor, math.floor(factor + 0.5), 1e-6)
end)

test('plan = false: op by op, the same numbers', function()
  local pictures = make_pictures(3, 14, 48)
  local a = tiny.run(tiny.net(), pictures, tmp() .. '/a', {steps = 6, augment = 'none'}).log
  local b = tiny.run(tiny.net(), pictures, tmp() .. '/b', {steps = 6, augment = 'none', plan = false}).log
  for step = 1, 6 do check.close(b.loss[step], a.loss[step], 1e-4) end
end)

test('find_rate suggests a rate and leaves the net as it was', function()
  local net, pictures = tiny.net(), data.folder{make_pictures(3, 14, 48), val = 0.3}
  local before = net[1].weight:tolist()
  local f = optim.find_rate{net, pictures, steps = 40, batch = 8, low = 1e-5, high = 100, augment = 'light'}
  check.equal(net[1].weight:tolist(), before)
  check.ok(f.suggested and f.suggested > 1e-3 and f.suggested < 10, tostring(f))
  check.contains(tostring(f), 'the loss falls fastest at lr = ')
  check.contains(inc.plot.draw{f}, ('loss by log10(lr), steepest %.2f (smoothed 0.9)'):format(
    math.log(f.suggested, 10)))
  check.equal(#inc.optim.find_rate{net, pictures, steps = 10, batch = 8}.rates, 10)
  check.raises(function() optim.find_rate{net, pictures, low = 1, high = 0.1} end,
    'optim.find_rate: low and high: expected 0 < low < high, got 1 and 0.1')
  check.raises(function() optim.find_rate{net, 3} end,
    'optim.find_rate: data: expected a folder, or what data.folder gives, got 3')
end)
