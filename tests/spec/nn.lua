-- Layers and nets: names and order, late parameters, freezing, replacing, printing, saving and loading.
--
-- One small net serves most tests; it leaves out every input size, so that late making is always on trial.
-- Values of ops are held to PyTorch's elsewhere (golden_ops); here it is what nn adds to them.

local show = inc.args.show

local function names_of(list)
  local names = {}
  for i, entry in ipairs(list) do names[i] = entry[1] end
  return names
end

local function small_net()
  return nn.Sequential{
    nn.Conv2d{4, kernel_size = 3, padding = 1, bias = false}, nn.BatchNorm2d{}, nn.ReLU{},
    nn.AdaptiveAvgPool2d{}, nn.Flatten{}, nn.Linear{3}, names = {'conv', 'bn', 'relu', 'pool', 'flat', 'fc'},
  }
end

local function net_and_batch(seed)
  inc.seed(seed or 1)
  return small_net(), inc.randn{2, 3, 8, 8}, inc.tensor{1, 3, dtype = 'i64'}
end

-- == calls ====================================================================

test('layers print as the call that makes them', function()
  local calls = {
    'nn.Conv2d{32, kernel_size = 3, stride = 2, bias = false}', 'nn.Linear{37}',
    'nn.BatchNorm2d{eps = 0.001}',
    'nn.MaxPool2d{3, stride = 2}', 'nn.Dropout{0.2}', 'nn.ReLU{}', 'nn.Conv2d{8, kernel_size = {1, 7}}',
    'nn.AvgPool2d{3, stride = 1, padding = 1, count_include_pad = false}', 'nn.Flatten{}',
    'nn.CrossEntropyLoss{label_smoothing = 0.1}', 'nn.Linear{4, init = nn.init.truncated_normal{0.01}}',
  }
  for _, call in ipairs(calls) do check.equal(tostring(load('return ' .. call)()), call) end
end)

test('a net prints as a tree', function()
  local block = nn.Concat{nn.Conv2d{2, kernel_size = 1}, nn.ReLU{} | nn.Tanh{}, names = {'a', 'b'}}
  check.equal(tostring(block), [[
nn.Concat{names = {"a", "b"}} {
  a: nn.Conv2d{2, kernel_size = 1}
  b: nn.Sequential {
    nn.ReLU{}
    nn.Tanh{}
  }
}]])
end)

test('wrong calls', function()
  check.raises(function() nn.Conv2d{32, kernel_size = 3, stide = 2} end,
    'nn.Conv2d: stide: unknown option (did you mean stride?)')
  check.raises(function() nn.Conv2d{32} end,
    'nn.Conv2d: kernel_size: expected an integer or two, got nothing')
  check.raises(function() nn.Conv2d{32, kernel_size = '3'} end,
    'nn.Conv2d: kernel_size: expected an integer or two, got "3"')
  check.raises(function() nn.Conv2d{3, 32, kernel_size = 3} end,
    'nn.Conv2d: expected at most 1 positional value, got 2')
  check.raises(function() nn.Linear(3) end, 'nn.Linear: expected one table, got 3: write nn.Linear{...}')
  check.raises(function() nn.Sequential{nn.ReLU{}, 3} end, 'nn.Sequential: value 2: expected a layer, got 3')
  check.raises(function() nn.Sequential{nn.ReLU{}, names = {'a', 'b'}} end,
    'nn.Sequential: names: expected 1 names, got 2')
  check.raises(function() nn.CrossEntropyLoss{reduction = 'avg'} end,
    'nn.CrossEntropyLoss: reduction: expected one of mean, sum, none, got "avg"')
end)

test('an error in a layer names the layer and the user\'s line', function()
  local net, x = net_and_batch()
  net(x)
  local message = check.raises(function() net(inc.randn{2, 5, 8, 8}) end, '~conv: conv2d: ')
  check.contains(message, 'spec/nn.lua:')
  check.equal(inc.core.scope(), '')
end)

-- == the tree =================================================================

test('order is that of assignment', function()
  local net = small_net()
  check.equal(net:build{1, 3, 8, 8}, net)
  check.equal(names_of(net:children()), {'conv', 'bn', 'relu', 'pool', 'flat', 'fc'})
  check.equal(names_of(net:named_parameters()),
    {'conv.weight', 'bn.weight', 'bn.bias', 'fc.weight', 'fc.bias'})
  check.equal(names_of(net:named_buffers()), {'bn.running_mean', 'bn.running_var'})
  check.equal(names_of(net:state()), {
    'conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var', 'fc.weight', 'fc.bias',
  })
  check.equal(names_of(net:named_modules()), {'', 'conv', 'bn', 'relu', 'pool', 'flat', 'fc'})
end)

test('pipes are laid out flat', function()
  local stem = nn.ReLU{} | nn.Tanh{} | nn.Sigmoid{}
  check.equal(#stem, 3)
  check.equal(tostring(stem[2]), 'nn.Tanh{}')
  local named = nn.Sequential{nn.ReLU{}, names = {'a'}}
  check.equal(#(named | nn.Tanh{}), 2)
  check.raises(function() return nn.ReLU{} | 3 end, '|: expected layers on both sides, got number')
end)

test('children by name, by place, and under a name that is a method', function()
  local net = small_net()
  check.equal(net.fc, net:child 'fc')
  check.equal(net[1], net.conv)
  check.raises(function() net:child 'fv' end, 'child: fv: unknown name in nn.Sequential (did you mean fc?)')
  local Odd = nn.module('Odd', function(self) self.eval = nn.ReLU{} end)
  check.equal(tostring(Odd{}:child 'eval'), 'nn.ReLU{}')
end)

test('layers of one\'s own', function()
  local Scale = nn.module('Scale', function(self, channels)
    self.gain = nn.parameter(inc.ones{channels})
    function self.forward(layer, x) return x * layer.gain:view{1, -1, 1, 1} end
  end)
  local layer = Scale{3}
  check.equal(tostring(layer), 'Scale{3}')
  check.equal(tostring(Scale{channels = 3}), 'Scale{3}')
  layer(inc.ones{2, 3, 2, 2}):sum():backward()
  check.equal(layer.gain.grad:tolist(), {8, 8, 8})
  check.raises(function() Scale{chanels = 3} end, 'Scale: chanels: unknown option (did you mean channels?)')
  check.raises(function() Scale{1, 2} end, 'Scale: expected at most 1 positional values, got 2')
  check.raises(function() nn.module('Empty', function() end){}(inc.ones{1}) end,
    'Empty: has no forward: define function self:forward(x)')
end)

test('nn.defaults', function()
  local inner
  local outer = nn.defaults({Conv2d = {bias = false, stride = 2}}, function()
    inner = nn.defaults({Conv2d = {stride = 1}}, function() return nn.Conv2d{1, kernel_size = 1} end)
    return nn.Conv2d{1, kernel_size = 1, bias = true}
  end)
  check.equal(tostring(inner), 'nn.Conv2d{1, kernel_size = 1, bias = false}')
  check.equal(tostring(outer), 'nn.Conv2d{1, kernel_size = 1, stride = 2}')
  check.equal(tostring(nn.Conv2d{1, kernel_size = 1}), 'nn.Conv2d{1, kernel_size = 1}')
  check.raises(function() nn.defaults({Conv3d = {}}, print) end,
    'nn.defaults: Conv3d: unknown layer (did you mean Conv2d?)')
  check.raises(function() nn.defaults({Conv2d = {bia = 1}}, print) end,
    'nn.Conv2d: bia: unknown option (did you mean bias?)')
  check.raises(function() nn.defaults({Conv2d = {bias = false}}, function() error('stop', 0) end) end, 'stop')
  check.equal(tostring(nn.Conv2d{1, kernel_size = 1}), 'nn.Conv2d{1, kernel_size = 1}')
end)

-- == parameters ===============================================================

test('start values depend on seed and name only', function()
  inc.seed(3)
  local a = nn.Sequential{nn.Linear{4, in_features = 5}, nn.Linear{2}}
  a(inc.zeros{1, 5})
  inc.seed(3)
  local second, first = nn.Linear{2, in_features = 4}, nn.Linear{4, in_features = 5}
  inc.randn{100}
  local b = nn.Sequential{first, second}
  check.equal(b[2].weight:tolist(), a[2].weight:tolist())
  check.equal(b[1].weight:tolist(), a[1].weight:tolist())
  inc.seed(4)
  local c = nn.Sequential{nn.Linear{4, in_features = 5}}
  check.ok(c[1].weight:tolist()[1][1] ~= a[1].weight:tolist()[1][1])
  check.equal(c:reset(3)[1].weight:tolist(), a[1].weight:tolist())
end)

test('start values are PyTorch\'s uniform in 1 / sqrt(fan_in), or what is asked for', function()
  inc.seed(1)
  local conv = nn.Conv2d{64, kernel_size = 3, in_channels = 16}
  local bound = 1 / 12
  check.ok(conv.weight:abs():max():item() <= bound)
  check.close(conv.weight:std():item(), bound / 3 ^ 0.5, 0.02)
  check.ok(conv.bias:abs():max():item() <= bound and conv.bias:abs():max():item() > 0)
  local fc = nn.Linear{100, in_features = 100, init = nn.init.truncated_normal{0.1}}
  check.ok(fc.weight:abs():max():item() <= 0.2)
  check.close(fc.weight:std():item(), 0.088, 0.02)
  check.equal(fc.bias:abs():max():item(), 0)
end)

test('channels that are not known yet', function()
  local net = small_net()
  check.raises(function() return net.conv.weight end,
    'conv.weight: input channels are not known yet: call net:build{N, C, H, W} first, or give them')
  check.raises(function() net:named_parameters() end,
    'conv.weight: input channels are not known yet: call net:build{N, C, H, W} first, or give them')
  net:build{2, 3, 8, 8}
  check.equal(net.conv.weight:shape(), {4, 3, 3, 3})
  check.equal(net.fc.weight:shape(), {3, 4})
  check.equal(net.bn.running_mean:tolist(), {0, 0, 0, 0})
  check.ok(net.training)
end)

test('gradients reach every parameter', function()
  local net, x, y = net_and_batch()
  net:loss(x, y):backward()
  for _, entry in ipairs(net:named_parameters()) do
    check.ok(entry[2].grad and entry[2].grad:norm():item() > 0, entry[1])
  end
end)

-- == modes ====================================================================

test('batch norm: training moves the statistics, evaluation uses them', function()
  local net, x = net_and_batch()
  net(x)
  local moved = net.bn.running_mean:tolist()
  check.ok(moved[1] ~= 0)
  net:eval()
  net(x)
  check.equal(net.bn.running_mean:tolist(), moved)
  check.ok(not net.bn.training and net:train().bn.training)
end)

test('layer.p is the probability of a dropout layer, and may be set', function()
  local d = nn.Dropout{0.5}
  check.equal(d.p, 0.5)
  d.p = 0.9
  check.equal(tostring(d), 'nn.Dropout{0.9}')
  check.close(d(inc.ones{1000}):max():item(), 10, 1e-3)
end)

test('calls that PyTorch would take are answered with what to write', function()
  check.raises(function() nn.Sequential(nn.ReLU{}, nn.ReLU{}) end,
    'nn.Sequential: expected one table, got nn.ReLU{}: write nn.Sequential{...}')
  check.raises(function() nn.Sequential{nn.ReLU{}, nn.ReLU} end,
    'nn.Sequential: value 2: expected a layer, got nn.ReLU itself: write nn.ReLU{}')
  check.raises(function() inc.show(inc.ones{3, 4, 4}, 6) end,
    'show: expected one table, got two values: write show{..., n = 6}')
end)

test('summary finds a shape out', function()
  local net = nn.Sequential{nn.Conv2d{4, kernel_size = 3}, nn.ReLU{}}
  check.contains(tostring(net:summary()), 'for an input {2, 3, 299, 299}\n')
  net:build{1, 3, 8, 8}
  check.contains(tostring(net:summary()), 'for an input {1, 3, 8, 8}\n')
  check.equal(net:summary{1, 3, 9, 9}.input, nil)
end)

test('dropout drops in training only, and differently each time', function()
  inc.seed(1)
  local drop, x = nn.Dropout{0.5}, inc.ones{1000}
  local a, b = drop(x), drop(x)
  check.ok((a - b):abs():sum():item() > 0)
  check.close(a:mean():item(), 1, 0.15)
  inc.seed(1)
  check.equal(drop(x):tolist(), a:tolist())
  check.equal(drop:eval()(x):tolist(), x:tolist())
end)

test('freeze: no gradient, no statistics', function()
  local net, x, y = net_and_batch()
  net(x)
  check.equal(net:freeze '^bn', 2)
  local before = net.bn.running_mean:tolist()
  net:loss(x, y):backward()
  check.equal(net.bn.running_mean:tolist(), before)
  check.ok(net.bn.weight.grad == nil and net.conv.weight.grad ~= nil)
  check.raises(function() net:freeze '^Conv' end, '~freeze: %^Conv: fits no parameter')
  net:unfreeze()
  net(x)
  check.ok(net.bn.running_mean:tolist()[1] ~= before[1])
end)

test('freezing before the parameters exist', function()
  local net = small_net()
  check.equal(net:freeze 'weight$', 3)
  net:build{1, 3, 8, 8}
  check.ok(not net.conv.weight.requires_grad and net.fc.bias.requires_grad)
end)

test('to another dtype and back', function()
  local net, x = net_and_batch()
  net(x)
  net:eval():to 'bf16'
  check.equal(net.conv.weight:dtype(), 'bf16')
  check.equal(net.bn.weight:dtype(), 'f32')
  check.equal(net:to('f32').fc.weight:dtype(), 'f32')
  check.ok(net.fc.weight.requires_grad)
end)

-- == changing =================================================================

test('replace keeps the place and the input size', function()
  local net, x = net_and_batch()
  net(x)
  net:replace('fc', nn.Linear{7})
  check.equal(net.fc.weight:shape(), {7, 4})
  check.equal(names_of(net:children())[6], 'fc')
  check.raises(function() net:replace('fd', nn.ReLU{}) end,
    'child: fd: unknown name in nn.Sequential (did you mean fc?)')
  check.raises(function() net:replace('fc', 3) end, 'replace: expected a layer, got number')
end)

test('a clone has tensors of its own', function()
  local net, x = net_and_batch()
  local late = net:clone()
  net(x)
  local twin = net:clone():eval()
  check.ok(net.training and not twin.training)
  inc.no_grad(function() twin.fc.bias:fill_(9) end)
  check.ok(net.fc.bias:tolist()[1] ~= 9)
  check.equal(late(x):tolist(), net(x):tolist())
end)

-- == looking ==================================================================

test('summary', function()
  local net = small_net()
  local rows = net:summary{2, 3, 8, 8}
  check.equal(#rows, 6)
  check.equal({rows[1].name, rows[1].layer, show(rows[1].output)}, {'conv', 'Conv2d', '{2, 4, 8, 8}'})
  check.equal({rows[1].parameters, rows[1].flops, rows[1].bytes}, {108, 2 * 27 * 4 * 64 * 2, 2 * 4 * 64 * 4})
  check.equal(rows.total.parameters, 108 + 8 + 15)
  check.contains(rows, 'conv   Conv2d             [2, 4, 8, 8]')
  check.ok(net.training)
  check.raises(function() net:summary(3) end, 'summary: expected a shape such as {32, 3, 299, 299}, got 3')
end)

test('end_points', function()
  local net, x = net_and_batch()
  local f = net:end_points(x, {'conv', 'pool'})
  check.equal(f.conv:shape(), {2, 4, 8, 8})
  check.equal(f.pool:shape(), {2, 4, 1, 1})
  check.raises(function() net:end_points(x, {'pol'}) end,
    'child: pol: unknown name in nn.Sequential (did you mean pool?)')
end)

-- == pictures =================================================================

test('u8 pictures become floats', function()
  local u8 = inc.full{1, 3, 2, 2, value = 255, dtype = 'u8'}
  local conv = nn.Conv2d{2, kernel_size = 1}
  check.close(conv(u8), conv(inc.ones{1, 3, 2, 2}), 1e-6)
  local fc = nn.Linear{2}
  check.close(fc(inc.full{1, 4, value = 51, dtype = 'u8'}), fc(inc.full{1, 4, value = 0.2}), 1e-6)
end)

test('a net with preprocessing converts by its own range', function()
  local net = nn.Sequential{nn.Identity{}}
  net.preprocess = nn.preprocess{size = 2, range = {-1, 1}, mean = {0, 0.5, 0}, std = {1, 1, 2}}
  local y = net(inc.tensor{{{{0}}, {{0}}, {{255}}}, dtype = 'u8'})
  check.close(y, {-1, -1.5, 0.5}, 1e-6)
end)

-- == files ====================================================================

test('save and load', function()
  local net, x = net_and_batch()
  net(x)
  local path = tmp() .. '/a.safetensors'
  inc.save(path, net, {note = 'mine'})
  local twin = small_net()
  local report = twin:load(path)
  check.equal(#report.loaded, 7)
  check.equal(twin:eval()(x):tolist(), net:eval()(x):tolist())
  local file = inc.weights.read(path)
  check.equal(file.metadata.note, 'mine')
  check.equal(file.names, names_of(net:state()))
end)

test('loading that does not fit changes nothing', function()
  local net, x = net_and_batch()
  net(x)
  local path = tmp() .. '/a.safetensors'
  inc.save(path, net)
  local other = small_net()
  other:replace('fc', nn.Linear{5, in_features = 4})
  other:build{1, 3, 8, 8}
  local before = other.conv.weight:tolist()
  inc.no_grad(function() other.conv.weight:mul_(2) end)
  check.raises(function() other:load(path) end,
    ('load: %s: fc.weight: expected shape [5, 4], got [3, 4]'):format(path))
  check.close(other.conv.weight, (inc.tensor(before) * 2), 1e-6)
  local report = other:load(path, {fresh = {'^fc%.'}})
  check.equal(report.created, {'fc.weight', 'fc.bias'})
  check.equal(report.skipped, {'fc.weight', 'fc.bias'})
  check.contains(report, 'loaded 5 tensors from ' .. path)
  check.raises(function() nn.Linear{2, in_features = 3}:load(path, {fresh = {''}}) end,
    ('load: %s: no tensor of this net is in it'):format(path))
  check.raises(function() other:load '/nowhere' end, '~/nowhere: ')
end)

test('inc.save takes a list or one tensor', function()
  local path = tmp() .. '/t.safetensors'
  inc.save(path, {{'b', inc.ones{2}}, {'a', inc.zeros{1}}})
  check.equal(inc.weights.read(path).names, {'b', 'a'})
  inc.save(path, inc.ones{3})
  check.equal(inc.weights.read(path).tensors.tensor:tolist(), {1, 1, 1})
  check.raises(function() inc.save(path, 3) end,
    'save: expected a net, a tensor, or a list of {name, tensor}, got number')
end)

-- == plans ====================================================================

test('a planned net gives what the eager one gives, and sees changes of mode', function()
  local net, x = net_and_batch()
  net:build{2, 3, 8, 8}
  local twin, step = net:clone(), inc.plan(function(t) return net(t) end)
  for _ = 1, 3 do check.close(step(x), twin(x), 1e-5) end
  net:eval()
  check.close(step(x), twin:eval()(x), 1e-5)
  net:replace('fc', nn.Linear{2})
  check.equal(step(x):shape(), {2, 2})
end)
