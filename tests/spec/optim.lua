-- Optimizers as values, binding, groups, clipping, checkpoints; schedules; averages of weights.
-- (The updates themselves are held to PyTorch's in golden_optim.)

local function weights(...)
  local list = {}
  for i, v in ipairs{...} do list[i] = inc.tensor{v, v}:requires_grad_(true) end
  return list
end

local function set_gradients(list, value)
  for _, w in ipairs(list) do w.grad = inc.full{2, value = value} end
end

-- == descriptions =============================================================

test('descriptions print as the call, and go through tables', function()
  local calls = {
    'optim.sgd{lr = 0.1}', 'optim.sgd{lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 0.0001}',
    'optim.rmsprop{lr = 0.045, alpha = 0.9, eps = 1, momentum = 0.9, eps_inside = true}',
    'optim.adam{betas = {0.8, 0.99}}', 'optim.adamw{lr = 0.0003, weight_decay = 0.05, clip_norm = 2}',
    'optim.sgd{lr = 0.1, groups = {{lr_scale = 10, pattern = "^fc"}}}',
  }
  for _, call in ipairs(calls) do
    local d = load('return ' .. call)()
    check.equal(tostring(d), call)
    check.ok(optim.from_table(inc.json.decode(inc.json.encode(d:to_table()))) == d, call)
  end
  check.equal(tostring(optim.sgd{lr = 0.1}:with{lr = 0.2}), 'optim.sgd{lr = 0.2}')
end)

test('wrong calls', function()
  check.raises(function() optim.sgd{} end, 'optim.sgd: lr: expected a number, got nothing')
  check.raises(function() optim.sgd{lr = 0.1, momentun = 0.9} end,
    'optim.sgd: momentun: unknown option (did you mean momentum?)')
  check.raises(function() optim.sgd{lr = -1} end, 'optim.sgd: lr: expected at least 0, got -1')
  check.raises(function() optim.sgd{lr = 1, nesterov = true} end,
    'optim.sgd: nesterov: expected momentum above 0 with it')
  check.raises(function() optim.by_name('adamx', {}) end,
    'optimizer: adamx: unknown name (did you mean adam?)')
  check.raises(function() optim.sgd{lr = 1}:bind{} end, 'bind: expected a net or a list of tensors, got {}')
  check.raises(function() optim.sgd{lr = 1, groups = {{'^nothing'}}}:bind(weights(1)) end,
    'optim.sgd: groups: ^nothing fits no parameter')
end)

-- == steps ====================================================================

test('a step consumes the gradients', function()
  local list = weights(1, 2)
  local opt = optim.sgd{lr = 0.5}:bind(list)
  set_gradients(list, 1)
  opt:step()
  check.close(list[1], {0.5, 0.5})
  check.close(list[2], {1.5, 1.5})
  check.equal(list[1].grad, nil)
  opt:step() -- without gradients nothing moves
  check.close(list[1], {0.5, 0.5})
  set_gradients(list, 1)
  opt:zero_grad()
  check.equal(list[2].grad, nil)
end)

test('set changes the rate', function()
  local list = weights(1)
  local opt = optim.sgd{lr = 0.5}:bind(list):set{lr = 0.25}
  set_gradients(list, 1)
  opt:step()
  check.close(list[1], {0.75, 0.75})
end)

test('weight decay leaves biases and norms out unless asked', function()
  inc.seed(1)
  local function after(options)
    local net = (nn.Linear{2, in_features = 2} | nn.Identity{}):build{1, 2}
    inc.no_grad(function() net[1].weight:fill_(1) net[1].bias:fill_(1) end)
    local opt = optim.sgd(options):bind(net)
    for _, w in ipairs(net:parameters()) do w.grad = inc.zeros(w:shape()) end
    opt:step()
    return {net[1].weight[1][1]:item(), net[1].bias[1]:item()}
  end
  check.close(after{lr = 1, weight_decay = 0.5}, {0.5, 1})
  check.close(after{lr = 1, weight_decay = 0.5, decay_norms = true}, {0.5, 0.5})
end)

test('groups', function()
  local list = weights(1, 1)
  local groups = {{'^2$', lr_scale = 2, weight_decay = 0}}
  local opt = optim.sgd{lr = 0.1, weight_decay = 0.5, groups = groups}:bind(list)
  set_gradients(list, 1)
  opt:step()
  check.close(list[1], {0.85, 0.85})
  check.close(list[2], {0.8, 0.8})
end)

test('clipping by the common norm', function()
  local list = weights(0, 0)
  local opt = optim.sgd{lr = 1, clip_norm = 1}:bind(list)
  set_gradients(list, 3) -- norm 6
  opt:step()
  check.close(list[1], {-0.5, -0.5}, 1e-5)
  set_gradients(list, 0.1) -- norm 0.2
  opt:step()
  check.close(list[2], {-0.6, -0.6}, 1e-5)
end)

test('frozen parameters have no slots and do not move', function()
  inc.seed(1)
  local net = (nn.Linear{2, in_features = 2} | nn.Linear{2}):build{1, 2}
  net:freeze '^1'
  local opt = optim.adam{}:bind(net)
  check.equal(#opt:slots(), 1 + 2 * 2)
  local before = net[1].weight:tolist()
  net(inc.ones{1, 2}):sum():backward()
  opt:step()
  check.equal(net[1].weight:tolist(), before)
end)

-- == checkpoints ==============================================================

test('slots by name; a loaded optimizer goes on as the first would', function()
  local function run(opt, list, steps)
    for i = 1, steps do
      set_gradients(list, i)
      opt:step()
    end
  end
  for _, d in ipairs{optim.sgd{lr = 0.1, momentum = 0.9}, optim.adamw{}, optim.rmsprop{momentum = 0.9}} do
    local a, b = weights(1), weights(1)
    local first, second = d:bind(a), d:bind(b)
    run(first, a, 3)
    local saved = {}
    for _, entry in ipairs(first:slots()) do saved[entry[1]] = entry[2] end
    inc.no_grad(function() b[1]:copy_(a[1]) end)
    second:load_slots(saved)
    run(first, a, 3)
    run(second, b, 3)
    check.equal(b[1]:tolist(), a[1]:tolist(), d.name)
  end
  local opt = optim.rmsprop{eps_inside = true, momentum = 0.5}:bind(weights(1))
  check.equal(opt:slots()[2][1], 'square_avg.1')
  check.equal(opt:slots()[2][2]:tolist(), {1, 1})
  check.raises(function() opt:load_slots{} end, 'load_slots: step: is missing')
end)

test('another optimizer adopts what it knows', function()
  local list = weights(1)
  local old = optim.sgd{lr = 0.1, momentum = 0.9}:bind(list)
  set_gradients(list, 1)
  old:step()
  local new = optim.rmsprop{momentum = 0.9}:bind(list)
  check.equal(new:adopt(old), {'step', 'momentum_buffer.1'})
  check.equal(new:slots()[3][2]:tolist(), {1, 1})
end)

-- == schedules ================================================================

local run = {total_steps = 100, steps_per_epoch = 10}

test('lengths', function()
  local steps = inc.schedule.steps
  check.equal(steps(100, run), 100)
  check.equal(steps(0.05, run), 5)
  check.equal(steps('2 epochs', run), 20)
  check.equal(steps('1 epoch', run), 10)
  check.equal(steps('7 steps', run), 7)
  check.raises(function() steps('2 epoch5', run) end, "~unknown unit")
  check.raises(function() optim.cosine{warmup = {}} end,
    "optim.cosine: warmup: expected a number of steps, a fraction of the run, " ..
    "or a text such as '2 epochs', got {}")
end)

test('constant, step, exponential, cosine', function()
  local function at(s, ...)
    local out = {}
    for i, step in ipairs{...} do out[i] = s:at(step, run) end
    return out
  end
  check.close(at(optim.constant{}, 1, 100), {1, 1})
  check.close(at(optim.constant{warmup = 4}, 1, 2, 4, 5), {0.25, 0.5, 1, 1})
  check.close(at(optim.step{0.1, every = '3 epochs'}, 1, 30, 31, 61), {1, 1, 0.1, 0.01})
  check.close(at(optim.step{0.5, milestones = {10, '5 epochs'}}, 10, 11, 50, 51), {1, 0.5, 0.5, 0.25})
  check.close(at(optim.exponential{0.94, every = '2 epochs'}, 1, 20, 21, 41), {1, 1, 0.94, 0.94 ^ 2})
  check.close(at(optim.exponential{0.94, every = 20, staircase = false}, 11), {0.94 ^ 0.5})
  check.close(at(optim.cosine{}, 1, 51), {1, 0.5})
  check.close(at(optim.cosine{final = 0.1}, 1, 51, 101), {1, 0.55, 0.1})
  check.close(at(optim.cosine{warmup = 0.1}, 5, 10, 11, 56), {0.5, 1, 1, 0.5})
  check.equal(#optim.cosine{}:table(0.1, run), 100)
end)

test('schedules print and go through tables', function()
  for _, call in ipairs{'optim.cosine{warmup = 0.05}', 'optim.exponential{0.94, every = "2 epochs"}',
    'optim.step{0.2, every = "30 epochs"}', 'optim.constant{}'} do
    local s = load('return ' .. call)()
    check.equal(tostring(s), call)
    check.equal(tostring(optim.schedule_from_table(s:to_table())), call)
  end
  check.raises(function() inc.schedule.by_name 'cosin' end,
    'schedule: cosin: unknown name (did you mean cosine?)')
end)

-- == averages =================================================================

test('EMA with warm-up follows min(decay, (1 + n) / (10 + n))', function()
  local net = nn.Linear{1, in_features = 1, bias = false}
  inc.no_grad(function() net.weight:fill_(0) end)
  local average = optim.ema{0.5}:bind(net)
  local expected = 0
  for n = 1, 20 do
    inc.no_grad(function() net.weight:fill_(n) end)
    average:step()
    local decay = math.min(0.5, (1 + n) / (10 + n))
    expected = decay * expected + (1 - decay) * n
    check.close(average:named_tensors()[1][2], {expected}, 1e-5)
  end
  local twin = average:copy_to(net:clone())
  check.close(twin.weight, {expected}, 1e-5)
  check.equal(net.weight:item(), 20)
  check.raises(function() optim.ema{1.5} end,
    'optim.ema: decay: expected at least 0 and less than 1, got 1.5')
end)

test('EMA takes running statistics in and leaves frozen layers out', function()
  local net = (nn.Conv2d{2, kernel_size = 1} | nn.BatchNorm2d{}):build{1, 3, 2, 2}
  local function names(average)
    local out = {}
    for i, entry in ipairs(average:slots()) do out[i] = entry[1] end
    return out
  end
  check.equal(names(optim.ema{0.9}:bind(net)),
    {'count', '1.weight', '1.bias', '2.weight', '2.bias', '2.running_mean', '2.running_var'})
  net:freeze '^2'
  check.equal(names(optim.ema{0.9}:bind(net)), {'count', '1.weight', '1.bias'})
end)

-- == plans ====================================================================

test('a planned step trains as the eager one does', function()
  inc.seed(1)
  local x, y = inc.randn{4, 3}, inc.tensor{1, 2, 3, 1, dtype = 'i64'}
  for _, d in ipairs{
    optim.sgd{lr = 0.1, momentum = 0.9, nesterov = true, clip_norm = 0.5}, optim.adamw{lr = 0.01},
    optim.rmsprop{lr = 0.01, momentum = 0.9, eps = 1, eps_inside = true, groups = {{'2', lr_scale = 3}}},
  } do
    local net = (nn.Linear{5} | nn.Linear{3}):build{1, 3}
    local twin = net:clone()
    local a, b = d:bind(net), d:bind(twin)
    local ema_a, ema_b = optim.ema{0.9}:bind(net), optim.ema{0.9}:bind(twin)
    local planned = inc.plan(function(u, v)
      local loss = net:loss(u, v, {label_smoothing = 0.1})
      loss:backward()
      a:step()
      ema_a:step()
      return loss
    end)
    for i = 1, 5 do
      if i == 4 then
        a:set{lr = 0.5}
        b:set{lr = 0.5}
      end
      local loss = twin:loss(x, y, {label_smoothing = 0.1})
      check.close(planned(x, y), loss, 1e-5, d.name)
      loss:backward()
      b:step()
      ema_b:step()
    end
    for i, entry in ipairs(net:state()) do check.close(entry[2], twin:state()[i][2], 1e-5, entry[1]) end
    for i, entry in ipairs(ema_a:slots()) do check.close(entry[2], ema_b:slots()[i][2], 1e-5, entry[1]) end
  end
end)
