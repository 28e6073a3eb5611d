-- Optimizers against PyTorch over twenty steps (RMSProp with epsilon inside the root: against its formula).
--
-- Weights and slots are f32 and PyTorch's run is f64, hence the tolerance: twenty updates, each rounded once.

local golden = dofile 'tests/golden/optim.lua'

local function vector(t)
  return inc.tensor {table.unpack(t)}
end

local function options(o)
  local words = {}
  for k, v in pairs(o) do words[k] = v end
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

for _, row in ipairs(golden) do
  test(('%s: %s'):format(row.optimizer, describe(row.options)), function()
    local Holder = nn.module('Holder', function(self)
      self.p = nn.parameter(vector(golden.start))
      self.forward = function(layer, x) return x * layer.p end
    end)
    local net = Holder {}
    local opt = optim[row.optimizer](options(row.options)):bind(net)
    local place = {[1] = 1, [2] = 2, [#golden.gradients] = 3}
    for t, g in ipairs(golden.gradients) do
      net.p.grad = vector(g)
      opt:step()
      if place[t] then
        check.rel_l2(net.p:tolist(), row.after[place[t]], 2e-6, ('after step %d'):format(t))
      end
    end
  end)
end
