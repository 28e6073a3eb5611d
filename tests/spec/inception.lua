-- Inception-v3: sizes, names, heads, preprocessing, and what a weights file carries.
-- (Values and gradients are held to PyTorch's in golden_net.)

local pretrained = inc.root .. 'models/pretrained/inception_v3.safetensors'

local function quietly(f, ...)
  local note = inc.note
  rawset(inc, 'note', function() end)
  local _ <close> = setmetatable({}, {__close = function() rawset(inc, 'note', note) end})
  return f(...)
end

local function from_pretrained(options)
  options.weights = pretrained
  return quietly(models.inception_v3, options)
end

test('as many parameters as torchvision\'s', function()
  inc.seed(1)
  check.equal(models.inception_v3{}:count_parameters(), 27161264)
  check.equal(models.inception_v3{aux = false}:count_parameters(), 23834568)
  check.equal(models.inception_v3{classes = 5}:count_parameters(), 24357354)
end)

test('parts have torchvision\'s names and print in one line', function()
  local net = models.inception_v3{classes = 3}
  check.equal(tostring(net.Mixed_6b.branch7x7_2), 'BasicConv2d{128, 128, {1, 7}, padding = {0, 3}}')
  check.equal(tostring(net.Mixed_5b.pool),
    'nn.AvgPool2d{3, stride = 1, padding = 1, count_include_pad = false}')
  check.equal(tostring(models.inception_v3{pool_counts_padding = true}.Mixed_5b.pool),
    'nn.AvgPool2d{3, stride = 1, padding = 1}')
  check.equal(net.Mixed_7c.branch3x3dbl_3b.bn.options.eps, 1e-3)
  local first = {}
  for i, entry in ipairs(net:state()) do
    if i <= 5 then first[i] = entry[1]:match '[^.]+%.[^.]+$' end
  end
  check.equal(first, {'conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var'})
end)

test('start values are the release\'s', function()
  inc.seed(1)
  local net = models.inception_v3{classes = 50}
  local cut = 0.8796 -- deviation of a normal that is cut off at two deviations
  check.close(net.Mixed_7c.branch3x3_1.conv.weight:std():item(), 0.1 * cut, 0.01)
  check.close(net.fc.weight:std():item() * 10, 0.1 * cut, 0.01)
  check.close(net.AuxLogits.fc.weight:std():item() * 100, 0.1 * cut, 0.01)
  check.close(net.AuxLogits.conv1.conv.weight:std():item() * 10, 0.1 * cut, 0.01)
  check.equal(net.fc.bias:abs():max():item(), 0)
end)

test.slow('shapes, and the auxiliary head in training only', function()
  inc.seed(1)
  local net = models.inception_v3{classes = 7}
  local x = inc.rand{2, 3, 299, 299}
  inc.no_grad(function()
    local logits, aux = net(x)
    check.equal(logits:shape(), {2, 7})
    check.equal(aux:shape(), {2, 7})
    local alone, none = net:eval()(x)
    check.equal(alone:shape(), {2, 7})
    check.equal(none, nil)
    local f = net:end_points(x, {'Mixed_5d', 'Mixed_6e', 'Mixed_7c', 'avgpool'})
    check.equal(f.Mixed_5d:shape(), {2, 288, 35, 35})
    check.equal(f.Mixed_6e:shape(), {2, 768, 17, 17})
    check.equal(f.Mixed_7c:shape(), {2, 2048, 8, 8})
    check.equal(f.avgpool:shape(), {2, 2048, 1, 1})
    check.equal(net:end_points(inc.rand{1, 3, 150, 150}, {'Mixed_7c'}).Mixed_7c:shape(), {1, 2048, 3, 3})
    net:train()
    check.raises(function() net(inc.rand{1, 3, 150, 150}) end, '~AuxLogits')
  end)
end)

test.slow('summary: a row a layer, 5.7 billion multiply-adds', function()
  local rows = models.inception_v3{aux = false}:summary{8, 3, 299, 299}
  check.equal(rows[1].output, {8, 32, 149, 149})
  check.equal(rows[#rows].name, 'fc')
  check.close(rows.total.flops / 8 / 2, 5.713e9, 0.01)
  check.equal(rows.total.parameters, 23834568)
end)

test('pretrained weights: what was loaded, skipped and made', function()
  inc.seed(1)
  local net = from_pretrained{classes = 5}
  check.equal(#net.load_report.loaded, 470)
  check.equal(#net.load_report.skipped, 0)
  check.equal(#net.load_report.created, 14)
  check.contains(net.load_report, 'loaded 470 tensors from ' .. pretrained)
  check.contains(net.load_report, '; started 14 afresh: AuxLogits.')
  check.equal(net.preprocess.range, {0, 1})
  check.equal(net.preprocess.size, 299)
  check.equal(net.config.pool_counts_padding, false)
  local other = from_pretrained{classes = 5, aux = false, pool_counts_padding = true, range = {-1, 1}}
  check.equal(other.load_report.created, {'fc.weight', 'fc.bias'})
  check.equal(other.config.pool_counts_padding, true)
  check.equal(other.preprocess.range, {-1, 1})
end)

test('a saved net opens as it was', function()
  inc.seed(1)
  local path = tmp() .. '/net.safetensors'
  local net = models.inception_v3{
    classes = {'daisy', 'rose'}, aux = false, crop = 0.9, mean = {0.5, 0.4, 0.3},
  }
  net:save(path)
  local twin = models.open(path)
  check.equal(twin.classes, {'daisy', 'rose'})
  check.equal(twin.config, net.config)
  check.equal(tostring(twin.preprocess), tostring(net.preprocess))
  check.equal(tostring(twin), tostring(net))
  check.equal(twin.fc.weight:tolist(), net.fc.weight:tolist())
  check.raises(function() models.open(pretrained) end, '~does not say which model it is of')
end)

test('fine-tuning a saved net: heads of another size start afresh', function()
  inc.seed(1)
  local path = tmp() .. '/net.safetensors'
  models.inception_v3{classes = 3}:save(path)
  local net = quietly(models.inception_v3, {classes = 4, weights = path})
  check.equal(net.load_report.created,
    {'AuxLogits.fc.weight', 'AuxLogits.fc.bias', 'fc.weight', 'fc.bias'})
  check.equal(quietly(models.inception_v3, {weights = path}).config.classes, 3)
end)

test('wrong calls', function()
  check.raises(function() models.inception_v3{clases = 3} end,
    'models.inception_v3: clases: unknown option (did you mean classes?)')
  check.raises(function() models.inception_v3{classes = 0} end,
    'models.inception_v3: classes: expected a number or a list of names, got 0')
  check.raises(function() return models.inception_v4 end,
    'models: inception_v4: unknown model (did you mean inception_v3?)')
  check.raises(function() models.inception_v3{filter = 'cubic'} end,
    '~nn.preprocess: filter: expected one of bilinear, bicubic, area, nearest, got "cubic"')
  check.raises(function() models.inception_v3{weights = '/nowhere'} end, '~/nowhere: ')
end)
