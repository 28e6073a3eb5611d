-- Schedules against PyTorch's schedulers and TensorFlow's formulas; averages of weights against TensorFlow's.

local golden = dofile 'tests/golden/schedules.lua'

local run = {total_steps = golden.steps, steps_per_epoch = 10}

for _, row in ipairs(golden.rates) do
  test(row[1], function()
    local s = load('return ' .. row[1])()
    check.close(s:table(golden.lr, run), row[2], 1e-9)
    check.equal(tostring(optim.schedule_from_table(s:to_table())), tostring(s))
  end)
end

test('one_cycle of a momentum', function()
  local s = optim.one_cycle{start = 1, peak = 0.85 / 0.95, final = 1}
  check.close(s:table(0.95, run), golden.momentum, 1e-9)
end)

test('plateau, also carried over a resume', function()
  local calls = {max = optim.plateau{0.5, patience = 2, cooldown = 1, least = 0.01},
    min = optim.plateau{patience = 3, threshold = 0.01, mode = 'min'}}
  for mode, s in pairs(calls) do
    local tracker, rates = s:tracker(), {}
    for i, value in ipairs(golden.plateau.values) do
      rates[i] = golden.lr * tracker.factor
      tracker:observe(value)
      if i % 7 == 0 then tracker = s:tracker():load(inc.json.decode(inc.json.encode(tracker:state()))) end
    end
    check.close(rates, golden.plateau[mode], 1e-9, mode)
  end
end)

test("the release's rates are TensorFlow's", function()
  local t = golden.tensorflow
  local function rates(recipe, batch)
    local epoch, out = {total_steps = 1e6, steps_per_epoch = 1281167 / batch}, {}
    for i, step in ipairs(t.steps) do
      out[i] = recipe.optimizer.options.lr * recipe.schedule:at(step + 1, epoch)
    end
    return out
  end
  check.close(rates(recipes.paper{}, 32), t.paper, 1e-9)
  check.close(rates(recipes.release{}, 256), t.release, 1e-9)
end)

test("averages of weights are TensorFlow's", function()
  for _, row in ipairs(golden.average) do
    local net = nn.Linear{1, in_features = 1, bias = false}
    inc.no_grad(function() net.weight:fill_(row.weights[1]) end)
    local average = optim.ema{row.decay}:bind(net)
    for n = 1, 20 do
      inc.no_grad(function() net.weight:fill_(row.weights[n + 1]) end)
      average:step()
      check.close(average:named_tensors()[1][2], {row.averages[n]}, 1e-6)
    end
  end
end)
