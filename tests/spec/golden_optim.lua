-- Optimizers against PyTorch, timm and the authors' code over twenty steps: eager, by kernel and by
-- description,
-- and in a plan.
--
-- Weights and slots are f32 and the goldens f64, hence the tolerance: twenty updates, each rounded a few
-- times.

local golden = dofile 'tests/golden/optim.lua'

local TOLERANCE = 5e-6

local function tensor(t)
  return inc.tensor{table.unpack(t)}:view(t.shape)
end

local function copy(t)
  local words = {}
  for k, v in pairs(t) do words[k] = v end
  return words
end

local function describe(o)
  local words = {}
  for k in pairs(o) do words[#words + 1] = k end
  table.sort(words)
  for i, k in ipairs(words) do
    words[i] = ('%s = %s'):format(k, type(o[k]) == 'table' and table.concat(o[k], ', ') or tostring(o[k]))
  end
  return table.concat(words, ', ')
end

local Holder = nn.module('Holder', function(self, start)
  self.p = nn.parameter(start)
  self.forward = function(layer, x) return x * layer.p end
end)

local place = {[1] = 1, [2] = 2, [20] = 3}

local function close(net, opt, row, t)
  if not place[t] then return end
  check.rel_l2(net.p:view{-1}:tolist(), row.after[place[t]], TOLERANCE, ('after step %d'):format(t))
  if not row.average then return end
  local seen = opt:average(net):named_tensors()[1][2]
  check.rel_l2(seen:view{-1}:tolist(), row.average[place[t]], TOLERANCE, ('average after step %d'):format(t))
end

local function run(row, options)
  local net = Holder{tensor(golden.start[row.of])}
  local opt = optim[row.optimizer](copy(row.options)):bind(net, options)
  for t, g in ipairs(golden.gradients[row.of]) do
    net.p.grad = tensor(g)
    opt:step()
    close(net, opt, row, t)
  end
end

local function run_planned(row)
  local net = Holder{tensor(golden.start[row.of])}
  local opt = optim[row.optimizer](copy(row.options)):bind(net, {fused = false})
  local step = inc.plan(function(g)
    local loss = (net.p * g):sum()
    loss:backward()
    opt:step()
    return loss
  end)
  for t, g in ipairs(golden.gradients[row.of]) do
    step(tensor(g))
    close(net, opt, row, t)
  end
end

for _, row in ipairs(golden) do
  test(('%s on a %s: %s'):format(row.optimizer, row.of, describe(row.options)), function()
    run(row)
    run(row, {fused = false})
    run_planned(row)
  end)
end

test('every optimizer has a golden', function()
  local seen, without = {}, {}
  for _, row in ipairs(golden) do seen[row.optimizer] = true end
  for _, name in ipairs(optim.names()) do
    if not seen[name] and not optim[name].own then without[#without + 1] = name end
  end
  check.equal(without, {})
end)
