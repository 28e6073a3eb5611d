-- One training step of Inception-v3 against PyTorch's f64: logits, loss, every gradient, statistics.
--
-- A tensor may be twice as far from f64 as the worst of PyTorch's own f32 modes, plus 1e-6 (`limit` in the
-- golden; scripts/golden/net.py says what else goes into it).  Distances of large tensors are estimated from
-- eight projections, so a little slack is given (chi-square with eight degrees of freedom: 1.5 is passed once
-- in a hundred by luck); scripts/golden/full.py compares whole tensors where PyTorch is at hand.

local formula = require 'formula'
local inception = require 'inception_golden'

local ESTIMATE = 1.5

local function distance(name, got, golden)
  if golden.values then
    local num, den = 0, 0
    local flat = got:detach():contiguous():view {-1}:tolist()
    for i, v in ipairs(golden.values) do num, den = num + (flat[i] - v) ^ 2, den + v * v end
    return (num / den) ^ 0.5, 1
  end
  local ours, sum = formula.projections(name, got), 0
  for j, p in ipairs(golden.proj) do sum = sum + (ours[j] - p) ^ 2 end
  return (sum / 8) ^ 0.5 / golden.norm, ESTIMATE
end

local function compare(tensors, golden)
  local far = {}
  for name, g in pairs(golden) do
    local t = check.ok(tensors[name], 'nothing called ' .. name)
    local d, slack = distance(name, t, g)
    local limit = slack * g.limit
    local near = d <= limit -- false for NaN
    if not near then far[#far + 1] = ('%s: %.2e away, at most %.2e expected'):format(name, d, limit) end
  end
  table.sort(far)
  check.ok(#far == 0, ('%d of the tensors are too far away:\n    %s'):format(#far,
    table.concat(far, '\n    ', 1, math.min(#far, 12))))
end

local function check_step(rule, options)
  local golden = dofile(('tests/golden/net_%s_pad.lua'):format(rule))
  compare(inception.step(golden, options), golden.tensors)
  formula.forget()
end

for _, rule in ipairs {'include', 'exclude'} do
  for _, road in ipairs {'eager', 'planned'} do
    test.slow(('one %s step, average pools that %s padding'):format(road, rule), function()
      check_step(rule, road == 'planned' and {} or nil)
    end)
  end
end

-- Passes of a plan, each left out, and none at all; spec plan has each alone too, on a small net.
local passes = {'simplify', 'fuse', 'siblings', 'layout', 'alias', 'recompute', 'arena', 'hoist', 'tile',
  'uncast', 'densify', 'gather'}

local none = {}
for _, pass in ipairs(passes) do
  none[pass] = false
  test.slow('the same without ' .. pass, function() check_step('exclude', {[pass] = false}) end)
end

test.slow('the same without any pass', function() check_step('exclude', none) end)
test.slow('the same without any Winograd form', function() check_step('exclude', {exact = true}) end)
