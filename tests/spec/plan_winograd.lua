-- plan_winograd.lua: our convolutions in the Winograd domain (core/cpu/winograd.c) against f64.
--
-- Outputs, with bias and ReLU, and both gradients, for every kernel they serve; edges and odd channel
-- counts are among the cases.
local core = inc.core

local function away(a, b)
  a, b = a:detach():cast{'f64'}, b:detach()
  return ((a - b):square():sum() / b:square():sum()):sqrt():item()
end

-- A function of nothing that matters: outputs of one convolution with bias and ReLU, its gradients.
local function make_step(case, dtype)
  local kh, kw, ph, pw, side, cin, cout = table.unpack(case)
  inc.seed(3)
  local x = inc.randn{2, cin, side, side}:cast{dtype}:requires_grad_(true)
  local w = (inc.randn{cout, cin, kh, kw} * (2 / (cin * kh * kw)) ^ 0.5):cast{dtype}:requires_grad_(true)
  local b = inc.randn{cout}:cast{dtype}
  return function(zero)
    local y = inc.conv2d(x + zero, w, b, {padding = {ph, pw}}):relu()
    y:square():mean():backward()
    local g, gw = x.grad, w.grad
    x.grad, w.grad = nil, nil
    return y, g, gw
  end, inc.zeros{1, dtype = dtype}
end

local cases = { -- kernel, padding, side, channels; how far off in f32 with tiles of 4 and of 6 outputs
  {3, 3, 1, 1, 21, 64, 96, 1e-6, 8e-6}, {3, 3, 0, 0, 18, 80, 56, 1e-6}, {3, 3, 0, 0, 26, 24, 40, 1e-6, 8e-6},
  {1, 3, 0, 1, 9, 64, 72, 1e-6}, {3, 1, 1, 0, 9, 64, 72, 1e-6}, {5, 5, 2, 2, 15, 48, 66, 8e-6},
  {1, 7, 0, 3, 17, 128, 96, 5e-6, 8e-6}, {7, 1, 3, 0, 17, 128, 96, 5e-6, 8e-6},
  {7, 1, 0, 0, 19, 72, 40, 5e-6}, {7, 1, 0, 0, 24, 70, 41, 5e-6, 8e-6},
}

local function check_case(case, precision, way, most)
  local step, zero = make_step(case, 'f64')
  local y64, g64, gw64 = step(zero)
  inc.precision(precision)
  step, zero = make_step(case, 'f32')
  local p = inc.plan(step)
  p(zero)
  core.kernels_import((p.current:choices():gsub('\t[^\t\n]+\t', '\t' .. way .. '\t')))
  p = inc.plan(step)
  local y, g, gw = p(zero)
  inc.precision 'f32'
  local _, used = p.current:choices():gsub('\t' .. way:gsub('%-', '%%-') .. '\t', '')
  check.equal(used, 3)
  if precision == 'bf16' then most = 6e-3 end
  check.ok(away(y, y64) <= most, ('outputs are %.2e away'):format(away(y, y64)))
  check.ok(away(g, g64) <= 2 * most, ('gradients are %.2e away'):format(away(g, g64)))
  check.ok(away(gw, gw64) <= 2 * most, ('gradients of the weights are %.2e away'):format(away(gw, gw64)))
  core.kernels_forget()
end

for _, case in ipairs(cases) do
  for _, precision in ipairs{'f32', 'bf16'} do
    for i, way in ipairs{'winograd-tiles', 'winograd-tiles6'} do
      local most = case[7 + i]
      if most then
        test(('%dx%d, %d to %d channels, %s, %s'):format(case[1], case[2], case[6], case[7], precision, way),
          function() check_case(case, precision, way, most) end)
      end
    end
  end
end
