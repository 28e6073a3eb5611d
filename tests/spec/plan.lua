-- plan.lua: a plan does what eager does, with each pass on and off, and it notices what changed around it.
--
-- The net is small, but every pass has something to do in it: two branches and a pool joined by a concat,
-- batch norms in training mode, two 1x1 convolutions of one input, a max pool over the concat, and an update
-- of the weights.

local plan = inc.plan

local function make_net()
  inc.seed(7)
  local p = {
    w1 = inc.randn{16, 3, 3, 3, requires_grad = true}, g1 = inc.ones{16, requires_grad = true},
    b1 = inc.zeros{16, requires_grad = true}, w2 = inc.randn{16, 16, 1, 1, requires_grad = true},
    w4 = inc.randn{16, 16, 1, 1, requires_grad = true},
    w3 = inc.randn{32, 16, 3, 3, requires_grad = true}, g3 = inc.rand{32, requires_grad = true},
    b3 = inc.randn{32, requires_grad = true}, fc = inc.randn{5, 48, requires_grad = true},
    mean = inc.zeros{16}, var = inc.ones{16},
  }
  local order = {'w1', 'g1', 'b1', 'w2', 'w4', 'w3', 'g3', 'b3', 'fc'}
  local function forward(x, y)
    local c = inc.conv2d(x, p.w1, {stride = 2})
    local a, m, v = inc.core.batch_norm_train(c, p.g1, p.b1, {eps = 1e-3})
    local count = c:numel() // 16
    inc.no_grad(function() inc.core.bn_running_(p.mean, p.var, m, v, {momentum = 0.1, count = count}) end)
    a = a:relu()
    local left = inc.conv2d(a, p.w2):relu()
    local wide = inc.conv2d(a, p.w3, {padding = 1})
    local right = inc.core.batch_norm_train(wide, p.g3, p.b3, {eps = 1e-3}):relu()
    local pooled = inc.avg_pool2d(inc.conv2d(a, p.w4), {kernel_size = 3, stride = 1, padding = 1})
    local both = inc.cat({left, right, pooled}, {dim = 2})
    both = inc.max_pool2d(both:narrow(2, 1, 48), {kernel_size = 3, stride = 2})
    return inc.cross_entropy(inc.linear(both:mean{dim = {3, 4}}, p.fc), y, {label_smoothing = 0.1})
  end
  local function step(x, y)
    local loss = forward(x, y)
    loss:backward()
    inc.no_grad(function()
      for _, name in ipairs(order) do
        p[name]:sub_(p[name].grad * 0.05)
        p[name].grad = nil
      end
    end)
    return loss
  end
  return p, step, forward
end

local function batch()
  inc.seed(3)
  return inc.randn{4, 3, 19, 19}, inc.tensor{1, 5, 3, 2, dtype = 'i64'}
end

local function difference(a, b)
  local worst = 0
  for name, t in pairs(a) do
    local d = (t:detach() - b[name]:detach()):norm():item() / (b[name]:detach():norm():item() + 1e-12)
    worst = math.max(worst, d)
  end
  return worst
end

local function run_steps(step, n)
  local x, y = batch()
  local losses = {}
  for i = 1, n do losses[i] = step(x, y):item() end
  return losses
end

local function same_as_eager(options)
  local eager, eager_step = make_net()
  local planned, step = make_net()
  local a, b = run_steps(eager_step, 3), run_steps(plan(step, options), 3)
  check.close(b, a, 1e-5, 'losses')
  local d = difference(planned, eager)
  check.ok(d < 1e-4, 'parameters differ by ' .. d)
end

test('a planned step is the eager step', function() same_as_eager{} end)

local passes = {'simplify', 'fuse', 'siblings', 'layout', 'alias', 'recompute', 'arena', 'hoist', 'tile',
  'uncast', 'densify', 'gather'}

local function all_off()
  local off = {}
  for _, pass in ipairs(passes) do off[pass] = false end
  return off
end

for _, pass in ipairs(passes) do
  test('the same without ' .. pass, function() same_as_eager{[pass] = false} end)
  test('the same with nothing but ' .. pass, function()
    local off = all_off()
    off[pass] = nil
    same_as_eager(off)
  end)
end

test('the same without any pass', function() same_as_eager(all_off()) end)

test('the same with reference kernels', function() same_as_eager{reference = true} end)

-- Of what is read block by block, a shifted view of it must not be written meanwhile.
test('elementwise ops on shifted views of one tensor', function()
  inc.seed(4)
  local n = 20000
  local start = inc.randn{n + 1}
  local function shift(x, front, back)
    local y = front * 2 + back
    back:copy_(y)
    front:add_(x:narrow(1, 2, n))
    return y:sum() + front:sum()
  end
  local inside = plan(function(x)
    local own = x * 1
    return shift(own, own:narrow(1, 1, n), own:narrow(1, 2, n))
  end)
  local own, twin = start * 1, start * 1
  local a, b = twin:narrow(1, 1, n), twin:narrow(1, 2, n)
  local outside = plan(function() return shift(twin, a, b) end)
  local expected = shift(own, own:narrow(1, 1, n), own:narrow(1, 2, n))
  check.close(inside(start), expected, 1e-4)
  check.close(outside(), expected, 1e-4)
  check.equal(twin:tolist(), own:tolist())
end)

test('running statistics move as in eager', function()
  local x, y = batch()
  local eager, eager_step = make_net()
  local planned, step = make_net()
  eager_step(x, y)
  plan(step)(x, y)
  check.close(planned.mean, eager.mean, 1e-5)
  check.close(planned.var, eager.var, 1e-5)
end)

test('two plans of one step give the same bits', function()
  local p, step = make_net()
  local q, again = make_net()
  check.equal(run_steps(plan(step), 3), run_steps(plan(again), 3))
  for name in pairs(p) do check.equal(p[name], q[name], name) end
end)

test('gradients are consumed', function()
  local x, y = batch()
  local p, _, forward = make_net()
  local f = plan(function(a, b)
    local loss = forward(a, b)
    loss:backward()
    return loss
  end)
  f(x, y)
  check.ok(p.w1.grad == nil)
end)

local function times(text, what) return select(2, text:gsub(what, '')) end

test('1x1 convolutions of one input are one, and so are their gradients', function()
  local x, y = batch()
  local _, step = make_net()
  local planned = plan(step, {dumps = true})
  planned(x, y)
  local before, after = planned:dump 'fuse', planned:dump 'siblings'
  for _, op in ipairs {'conv2d', 'conv2d_backward_data', 'conv2d_backward_weight'} do
    check.equal(times(before, '= ' .. op .. '%(') - times(after, '= ' .. op .. '%('), 1, op)
  end
  check.equal(times(before, '= add%(') - times(after, '= add%('), 1, 'sums of gradients')
end)

test('1x1 convolutions side by side: biased, in inference, not where a concat takes the result', function()
  local x = batch()
  inc.seed(5)
  local w = {inc.randn{8, 3, 1, 1}, inc.randn{5, 3, 1, 1}, inc.randn{4, 3, 1, 1}, inc.randn{4, 3, 1, 1}}
  local bias, mean, var = {inc.randn{8}, inc.randn{5}}, inc.randn{8}, inc.rand{8} + 0.5
  local function f(a)
    local one = inc.core.batch_norm_eval(inc.conv2d(a, w[1]), nil, nil, mean, var, {}):relu()
    local two = inc.conv2d(a, w[1], bias[1]):sum() + inc.conv2d(a, w[2], bias[2]):exp():sum()
    local taken = inc.cat({inc.conv2d(a, w[3]), inc.conv2d(a, w[4])}, {dim = 2})
    return one:sum() + two + taken:sum()
  end
  local planned = plan(f, {dumps = true})
  check.close(planned(x), f(x), 1e-4)
  check.equal(times(planned:dump 'fuse', '= conv2d') - times(planned:dump 'siblings', '= conv2d'), 1)
  w[2]:mul_(2)
  check.close(planned(x), f(x), 1e-4)
end)

test('inference folds batch norm and follows the weights', function()
  local x = batch()
  inc.seed(5)
  local w, g, b = inc.randn{16, 3, 3, 3}, inc.rand{16}, inc.randn{16}
  local mean, var = inc.randn{16}, inc.rand{16} + 0.5
  local function f(a)
    return inc.core.batch_norm_eval(inc.conv2d(a, w), g, b, mean, var, {eps = 1e-3}):relu():sum{dim = {3, 4}}
  end
  local planned = plan(f, {dumps = true})
  check.close(planned(x), f(x), 1e-4)
  check.ok(planned:dump 'fuse':find 'fold_batch_norm')
  w:mul_(2)
  check.close(planned(x), f(x), 1e-4, 'after the weight changed')
end)

test('a rebound upvalue is traced anew', function()
  local k = inc.tensor{2}
  local f = plan(function(a) return a * k end)
  check.equal(f(inc.tensor{3}), {6})
  k = inc.tensor{5}
  check.equal(f(inc.tensor{3}), {15})
end)

test('a rebound global is traced anew', function()
  _G.scale_of_plan_test = inc.tensor{2}
  local f = plan(function(a) return a * scale_of_plan_test end) -- luacheck: ignore
  check.equal(f(inc.tensor{3}), {6})
  _G.scale_of_plan_test = inc.tensor{5}
  check.equal(f(inc.tensor{3}), {15})
  _G.scale_of_plan_test = nil
end)

test('what is not a tensor is part of the key', function()
  local f = plan(function(a, n) return a * n end)
  check.equal(f(inc.tensor{3}, 2), {6})
  check.equal(f(inc.tensor{3}, 4), {12})
end)

test('a captured number is read anew at each call', function()
  local rate = inc.tensor(2)
  local f = plan(function(a) return a * rate end)
  check.equal(f(inc.tensor{3}), {6})
  rate:fill_(7)
  check.equal(f(inc.tensor{3}), {21})
end)

test('a value is refused while tracing', function()
  local f = plan(function(a) return a * a:sum():item() end)
  check.raises(function() f(inc.ones{2}) end,
    'item: self: no value while tracing: only shapes and dtypes are known')
end)

test('bad input is refused with the shape that came', function()
  local x, y = batch()
  local _, step = make_net()
  local f = plan(step)
  f(x, y)
  check.raises(function() f(inc.randn{4, 2, 19, 19}, y) end,
    'conv2d: weight: expected shape [Cout, 2, KH, KW], got [16, 3, 3, 3]')
end)

test('memory is known, and reuse pays', function()
  local x, y = batch()
  local _, step = make_net()
  local f = plan(step)
  f(x, y)
  local m = f:memory()
  check.ok(m.arena > 0 and m.arena < m.without_reuse)
  check.ok(f:explain():find 'batch_norm_train')
end)

test('an unknown option names the nearest', function()
  check.raises(function() plan(function() end, {fues = false}) end,
    'plan: fues: unknown option (did you mean fuse?)')
end)

test('an error in the traced function leaves no trace behind', function()
  local f = plan(function() error('on purpose', 0) end)
  check.raises(function() f(inc.ones{1}) end, 'on purpose')
  check.equal(inc.core.tracing(), false)
  check.equal((inc.ones{2} * 2):tolist(), {2, 2})
end)

test('layers at fault are named', function()
  local net = nn.Sequential{nn.Conv2d{4, in_channels = 3, kernel_size = 3}, nn.Linear{2, in_features = 7}}
  local ok, message = pcall(plan(function(a) return net(a) end), inc.randn{1, 3, 8, 8})
  check.ok(not ok)
  check.ok(tostring(message):find('linear', 1, true), message)
end)

-- == a function must do the same each time =====================================

local changes = 'plan: expected a function that does the same at each call, but when traced twice '

local function refused(f, text)
  local whole = check.raises(function() plan(f)(inc.ones{3}) end, '~^[^\n]*' .. text)
  check.contains(whole, changes)
  check.contains(whole, 'hint: pass what changes as an argument: each value of it gets a plan of its own')
  check.ok(whole:find 'spec/plan.lua:%d+', whole)
end

local function counter()
  local n = 0
  return function()
    n = n + 1
    return n
  end
end

test('a branch that counts its calls is refused with both lines', function()
  local n = counter()
  local first = debug.getinfo(1, 'l').currentline + 2
  refused(function(a)
    if n() % 2 == 1 then return a:relu() end
    return a:sigmoid()
  end, ('it did relu at [^ ]*plan.lua:%d the first time and sigmoid at [^ ]*plan.lua:%d the second'):format(
    first, first + 1))
end)

test('a number, an option, a length, a result that changes is refused', function()
  local n = counter()
  refused(function(a) return a * n() end, 'mul at .* took 1 as b the first time and 2 the second')
  refused(function(a) return a:view{1, 3}:sum{dim = n() % 2 + 1} end, 'sum at .* had another dim the second')
  local m = counter()
  refused(function(a)
    for _ = 1, m() do a = a:relu() end
    return a
  end, 'relu at .* came only the second time')
  local k = counter()
  refused(function(a)
    local list = {a:relu(), a:exp()}
    return list[k()]
  end, 'result 1 was another tensor the second time')
  local j = counter()
  refused(function(a) return a + inc.tensor{1, 2, j()} end,
    'add at .* took f32%[3%] as b .* another f32%[3%]')
  local i = counter()
  refused(function(a)
    local b, c = a:relu(), a:exp()
    return i() == 1 and b:neg() or c:neg()
  end, 'neg at .* took f32%[3%] as x the first time and another f32%[3%] the second')
end)

test('a random branch is refused where it is drawn, and drawing works again after it', function()
  local f = plan(function(a) return math.random() < 0.5 and a:relu() or a:exp() end)
  check.raises(function() f(inc.ones{3}) end, 'plan: math.random: drawn once while tracing and never ' ..
    'again: draw outside and pass the number to the plan as an argument')
  check.ok(math.random() < 1)
end)

test('tensors made anew with the same numbers, and dropout, are no difference', function()
  local f = plan(function(a) return nn.functional.dropout(a + inc.arange{3}, {p = 0.5}):sum() end)
  local seen = {}
  for _ = 1, 8 do seen[f(inc.ones{3}):item()] = true end
  check.ok(next(seen, next(seen)), 'every replay drew the same')
  check.equal(plan(function(a) return a:t() + inc.tensor{{1}, {2}}:t() end)(inc.ones{2, 1}), {{2, 3}})
end)

test('an error in the second trace is an error', function()
  local n = counter()
  local f = plan(function(a) return n() == 2 and error('on purpose', 0) or a:relu() end)
  check.raises(function() f(inc.ones{1}) end, 'on purpose')
  check.equal(inc.core.tracing(), false)
end)

test('a gradient from before is no part of the step', function()
  local w = inc.ones{3, requires_grad = true}
  w:sum():backward()
  local f = plan(function(a)
    (a * w):sum():backward()
    return w.grad
  end)
  for _ = 1, 2 do check.equal(f(inc.tensor{1, 2, 3}), {1, 2, 3}) end
  check.ok(w.grad == nil)
end)
