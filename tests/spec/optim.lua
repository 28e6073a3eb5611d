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
  local opt = optim.adam{weight_decay = 0.5}:bind(net)
  check.equal(#opt:slots(), 1 + 2 * 2)
  local before = net[1].weight:tolist()
  net(inc.ones{1, 2}):sum():backward()
  check.equal({net[1].weight.grad, net[1].bias.grad}, {})
  check.ok(net[2].weight.grad)
  opt:step()
  check.equal(net[1].weight:tolist(), before) -- no decay either
end)

test('a frozen norm keeps its statistics', function()
  local net = (nn.Conv2d{4, in_channels = 3, kernel_size = 1} | nn.BatchNorm2d{}):build{1, 3, 4, 4}
  net:train(true)
  net:freeze '^2'
  local mean, var = net[2].running_mean:tolist(), net[2].running_var:tolist()
  net(inc.randn{2, 3, 4, 4}):sum():backward()
  check.equal({net[2].running_mean:tolist(), net[2].running_var:tolist(), net[2].weight.grad}, {mean, var})
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

-- One step by `from`, then what `to` makes of it: in words, and its slots by name.
local function adopted(from, to)
  local list = weights(1)
  local old, new = from:bind(list), to:bind(list)
  set_gradients(list, 1)
  old:step()
  local before, after, words = {}, {}, new:adopt(old)
  for _, entry in ipairs(old:slots()) do before[entry[1]] = entry[2]:tolist() end
  for _, entry in ipairs(new:slots()) do after[entry[1]] = entry[2]:tolist() end
  return words, after, before, list
end

test('another optimizer adopts what it knows', function()
  local list
  local words, after, before = adopted(optim.sgd{lr = 0.1, momentum = 0.9}, optim.nesterov{lr = 0.1})
  check.equal(words, 'momentum_buffer kept; steps counted on from 1')
  check.equal(after, before)
  words, after = adopted(optim.sgd{lr = 0.1, momentum = 0.9}, optim.rmsprop{momentum = 0.9})
  check.equal(words, 'square_avg, momentum_buffer started afresh; steps counted from 0')
  check.equal(after.step, 0)
  words, after, before = adopted(optim.adam{}, optim.adamw{lr = 1})
  check.equal(words, 'exp_avg, exp_avg_sq kept; steps counted on from 1')
  check.equal(after, before)
  words, after = adopted(optim.adamax{}, optim.adam{})
  check.equal(words, 'exp_avg, exp_avg_sq started afresh; steps counted from 0')
  check.equal(after.step, 0)
  check.equal(after['exp_avg.1'], {0, 0})
  words, after, before = adopted(optim.sgd{lr = 0.1, momentum = 0.9}, optim.lion{})
  check.equal(words, 'exp_avg translated; steps counted on from 1')
  check.close(after['exp_avg.1'][1], 0.1 * before['momentum_buffer.1'][1], 1e-6)
  words, after, before = adopted(optim.adam{}, optim.sgd{lr = 0.1, momentum = 0.5})
  check.equal(words, 'momentum_buffer translated; steps counted on from 1')
  check.close(after['momentum_buffer.1'][1], 2 * before['exp_avg.1'][1] / (1 - 0.9), 1e-5)
  words, after = adopted(optim.adam{}, optim.nadam{})
  check.equal(words, 'exp_avg, exp_avg_sq kept; steps counted on from 1')
  check.close(after.mu_product, 0.9 * (1 - 0.5 * 0.96 ^ 0.004), 1e-9)
  local _
  words, after, _, list = adopted(optim.sgd{lr = 0.1}, optim.schedule_free_sgd{})
  check.equal(words, 'x and z begin at the weights; steps counted from 0')
  check.equal(after['z.1'], list[1]:tolist())
  words, _, before, list = adopted(optim.schedule_free_sgd{}, optim.sgd{lr = 0.1})
  check.equal(words, 'the weights are the average x; steps counted on from 1')
  check.equal(list[1]:tolist(), before['x.1'])
  words = adopted(optim.rmsprop{momentum = 0.9, eps_inside = true}, optim.rmsprop{momentum = 0.9})
  check.equal(words, 'square_avg kept; momentum_buffer started afresh; steps counted on from 1')
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

-- == one's own ================================================================

-- A planned step of training with a bound optimizer.
local function planned_step(net, opt)
  return inc.plan(function(x, y)
    local loss = net:loss(x, y)
    loss:backward()
    opt:step()
    return loss
  end)
end

local function train_both(d, options, change)
  inc.seed(1)
  local x, y = inc.randn{4, 3}, inc.tensor{1, 2, 3, 1, dtype = 'i64'}
  local net = (nn.Linear{5} | nn.ReLU{} | nn.Linear{3}):build{4, 3}
  local twin = net:clone()
  local a, b = d:bind(net, options), d:bind(twin, options)
  local planned = planned_step(net, a)
  for i = 1, 6 do
    if change and i == 4 then change(a); change(b) end
    local loss = twin:loss(x, y)
    check.close(planned(x, y), loss, 1e-5, d.name)
    loss:backward()
    b:step()
  end
  for i, entry in ipairs(net:state()) do check.close(entry[2], twin:state()[i][2], 2e-5, entry[1]) end
  for i, entry in ipairs(a:slots()) do check.close(entry[2], b:slots()[i][2], 2e-5, entry[1]) end
  return a, b
end

test("an optimizer of one's own is ten lines, and trains planned as eager", function()
  optim.new('averaged_sign', {
    defaults = {lr = 1e-2, beta = 0.9, weight_decay = 0.01},
    slots = {'m'}, start = {m = 0.5}, decay = 'decoupled',
    numbers = function(h, t) return {correct = 1 - h.beta ^ t} end,
    update = function(p, g, slot, h)
      slot.m:lerp_(g, 1 - h.beta)
      p:sub_((slot.m / h.correct):clamp{min = -1, max = 1} * h.lr)
    end,
  })
  local d = optim.averaged_sign{beta = 0.8, groups = {{'bias', lr_scale = 2, beta = 0.5}}}
  check.equal(tostring(d),
    'optim.averaged_sign{beta = 0.8, groups = {{beta = 0.5, lr_scale = 2, pattern = "bias"}}}')
  check.ok(optim.from_table(inc.json.decode(inc.json.encode(d:to_table()))) == d)
  check.equal(d.options.weight_decay, 0.01)
  train_both(d, nil, function(opt) opt:set{lr = 0.05, beta = 0.6, weight_decay = 0.1} end)
  train_both(d, {follow = {'beta', 'weight_decay'}}, function(opt)
    opt:set{beta = 0.7, weight_decay = 0.2}
  end)
  check.equal(optim.averaged_sign{}:bind(weights(1)):slots()[2][2]:tolist(), {0.5, 0.5})
end)

test("mistakes in an optimizer of one's own", function()
  local function update() end
  check.raises(function() optim.new('sgd', {update = update}) end,
    'optim.new: name: optim.sgd is there already')
  check.raises(function() optim.new('step', {update = update}) end,
    'optim.new: name: optim.step is there already')
  check.raises(function() optim.new('a b', {update = update}) end,
    'optim.new: name: expected letters, digits and _, got "a b"')
  check.raises(function() optim.new('mine', {slot = {}, update = update}) end,
    'optim.new: slot: unknown option (did you mean slots?)')
  check.raises(function() optim.new('mine', {}) end, 'optim.new: update: expected a function, got nothing')
  check.raises(function() optim.new('mine', {slots = {1}, update = update}) end,
    'optim.mine: slots: expected a list of names or a function that gives one, got {1}')
  check.raises(function() optim.new('mine', {defaults = {beta = 'x'}, update = update}) end,
    'optim.mine: defaults: beta: expected a number or true or false, got "x"')
  check.raises(function() optim.from_table{optimizer = 'gone', lr = 1} end,
    'optimizer: gone: is not defined here: call optim.new for it first')
  local function step(f)
    local list = weights(1)
    local opt = optim.new('mine', {defaults = {beta = 0.9}, slots = {'m'}, update = f}){}:bind(list)
    set_gradients(list, 1)
    opt:step()
  end
  check.raises(function() step(function(_, _, _, h) return h.betta end) end,
    'optim.mine: h.betta: no such hyperparameter (did you mean beta?)')
  check.raises(function() step(function(_, _, slot) return slot.mm end) end,
    'optim.mine: slot.mm: no such slot (did you mean m?)')
end)

test('every optimizer trains planned as eager', function()
  for _, name in ipairs(optim.names()) do
    local d = not optim[name].own and optim[name]{lr = 0.01, weight_decay = 0.01, clip_norm = 0.5}
    if d then train_both(d, {fused = false}) end
  end
end)

-- == what all optimizers have =================================================

test('the first group that fits counts, with numbers of its own', function()
  local list = weights(1, 1, 1)
  local groups = {{'[12]', momentum = 0.25}, {'2', lr_scale = 9}}
  local opt = optim.sgd{lr = 1, momentum = 0.5, groups = groups}:bind(list)
  for _ = 1, 2 do
    set_gradients(list, 1)
    opt:step()
  end
  check.close(list[1], {1 - 1 - 1.25, 1 - 1 - 1.25})
  check.close(list[2], list[1])
  check.close(list[3], {1 - 1 - 1.5, 1 - 1 - 1.5})
  check.raises(function() optim.sgd{lr = 1, groups = {{'1', momentun = 1}}} end,
    'optim: groups: momentun: unknown option (did you mean momentum?)')
end)

test('layer decay', function()
  inc.seed(1)
  local net = (nn.Linear{2, in_features = 2} | nn.ReLU{} | nn.Linear{2} | nn.Linear{2}):build{1, 2}
  local opt = optim.sgd{lr = 1, layer_decay = 0.5, groups = {{'^4%.bias', lr_scale = 3}}}:bind(net)
  local scales = {}
  for i, item in ipairs(opt.items) do scales[i] = item.lr_scale end
  check.equal(scales, {0.25, 0.25, 0.5, 0.5, 1, 3})
  check.raises(function() optim.sgd{lr = 1, layer_decay = 0} end,
    'optim.sgd: layer_decay: expected more than 0 and at most 1, got 0')
end)

test('clipping by value and AGC', function()
  local list = weights(0, 0)
  local opt = optim.sgd{lr = 1, clip_value = 0.5}:bind(list)
  list[1].grad, list[2].grad = inc.tensor{3, -0.25}, inc.tensor{-3, 0}
  opt:step()
  check.close(list[1], {-0.5, 0.25})
  check.close(list[2], {0.5, 0})
  -- rows of norms 5 and 1, gradients of norms 10 and 0.05: only the first is over 0.1 times its row
  local w = inc.tensor{{3, 4}, {0.6, 0.8}}:requires_grad_(true)
  local v = inc.tensor{0, 0}:requires_grad_(true)
  opt = optim.sgd{lr = 1, agc = 0.1}:bind{w, v}
  w.grad, v.grad = inc.tensor{{6, 8}, {0.03, 0.04}}, inc.tensor{3, 4}
  opt:step()
  check.close(w, {{3 - 0.3, 4 - 0.4}, {0.57, 0.76}}, 1e-5)
  check.close(v, {-0.1e-3 * 0.6, -0.1e-3 * 0.8}, 1e-7)
  opt = optim.sgd{lr = 1, agc = 0.1, groups = {{'1', agc = 0}}}:bind{w, v}
  w.grad = inc.tensor{{1, 1}, {1, 1}}
  opt:step()
  check.close(w, {{1.7, 2.6}, {-0.43, -0.24}}, 1e-5)
  check.raises(function() optim.sgd{lr = 1, agc = 0.1, clip_norm = 1} end,
    'optim.sgd: expected one way of clipping, got clip_norm and agc')
end)

test('norms of gradients and updates, also out of a plan', function()
  local list = weights(1, 1)
  local opt = optim.sgd{lr = 0.5, clip_norm = 2}:bind(list, {norms = true})
  set_gradients(list, 2)
  opt:step()
  check.close(opt.grad_norm:item(), 4, 1e-6)
  check.close(opt.update_norm:item(), 1, 1e-5)
  local step = inc.plan(function(x)
    local loss = (list[1] * x):sum() + (list[2] * x):sum()
    loss:backward()
    opt:step()
    return loss, opt.grad_norm, opt.update_norm
  end)
  local _, gradient, update = step(inc.tensor{0.5, 0.5})
  check.close({gradient:item(), update:item()}, {1, 0.5}, 1e-5)
end)

test('gradients put aside count as one mean', function()
  local d = optim.adamw{lr = 0.1, clip_norm = 1}
  local a, b = weights(1, 2), weights(1, 2)
  local one, parts = d:bind(a), d:bind(b, {accumulate = true})
  local put_aside = inc.plan(function(x)
    (b[1] * x + b[2] * x * 2):sum():backward()
    parts:accumulate()
    return x:sum()
  end)
  for _ = 1, 3 do
    a[1].grad, a[2].grad = inc.tensor{2, 2}, inc.tensor{4, 4}
    one:step()
    put_aside(inc.tensor{1, 2})
    put_aside(inc.tensor{2, 1})
    b[1].grad, b[2].grad = inc.tensor{3, 3}, inc.tensor{6, 6}
    parts:step()
  end
  for i = 1, 2 do check.close(b[i], a[i], 1e-6) end
  check.equal(parts:slots()[2][1], 'accumulated')
  check.raises(function() one:accumulate() end,
    'accumulate: expected an optimizer bound with accumulate = true')
end)

test('any number may follow a schedule', function()
  local list = weights(1)
  local dip = optim.one_cycle{start = 1, peak = 0.5, final = 1}
  local set = inc.schedule.set{lr = optim.cosine{}, momentum = dip}
  local opt = optim.sgd{lr = 1, momentum = 0.8}:bind(list, {follow = set:follow()})
  local length = {total_steps = 10, steps_per_epoch = 5}
  local numbers = set:numbers(opt, length)
  check.equal({numbers[1][1], numbers[2][1]}, {'lr', 'momentum'})
  check.close(numbers[2][3][3], 0.4, 1e-9)
  local p, m = 1, 0
  for step = 1, 10 do
    set:apply(opt, step, length)
    set_gradients(list, 1)
    opt:step()
    m = m * numbers[2][3][step] + 1
    p = p - numbers[1][3][step] * m
  end
  check.close(list[1], {p, p}, 1e-5)
  local back = inc.schedule.from_table(inc.json.decode(inc.json.encode(set:to_table())))
  check.equal(tostring(back), tostring(set))
  check.raises(function() optim.sgd{lr = 1}:bind(weights(1), {follow = {'momentun'}}) end,
    'optim.sgd: follow: momentun: expected one of its numbers (did you mean momentum?)')
end)

test('a schedule may be a function, which a run keeps as values', function()
  local s = inc.schedule.of(function(step) return 1 / step end)
  check.close(s:table(2, {total_steps = 4}), {2, 1, 2 / 3, 0.5})
  local back = optim.schedule_from_table(inc.json.decode(inc.json.encode(s:to_table())))
  check.close(back:table(2, {total_steps = 5}), {2, 1, 2 / 3, 0.5, 0.5})
  check.raises(function() inc.schedule.of(function() end):at(1, run) end,
    'optim.lambda: expected a number from the function at step 1, got nil')
end)

test('schedule-free optimizers show their average to whoever evaluates', function()
  local net = (nn.Linear{2} | nn.Linear{3}):build{1, 2}
  local opt = optim.schedule_free_adamw{}:bind(net)
  local average = opt:average(net)
  check.equal(#average:slots(), 0)
  check.close(average:named_tensors()[1][2], net[1].weight)
  check.equal(optim.adamw{}:bind(net):average(net), nil)
end)

test('set refuses what is no number of the optimizer', function()
  local opt = optim.adam{}:bind(weights(1))
  check.raises(function() opt:set{beta3 = 1} end, 'set: beta3: no such number (did you mean beta1?)')
  check.raises(function() opt:set{lr = 'x'} end, 'set: lr: expected a number, got "x"')
  check.equal(tostring(opt:set{beta1 = 0.5}.description), 'optim.adam{betas = {0.5, 0.999}}')
end)
