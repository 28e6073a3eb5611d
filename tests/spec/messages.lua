-- messages.lua: refusals say what was expected and what came; one row each for those no other spec looks at.

local function refuses(name, f, text)
  test(name, function() check.raises(f, text) end)
end

local x = function() return inc.ones{2, 3} end

refuses('more index entries than dims', function() return x()[{1, 1, {1, 1}}] end,
  'index: expected at most one entry a dim, got more')
refuses('more arguments than an op takes', function() return x():relu(1) end,
  '~^[^\n]*relu: expected at most the arguments x:tensor .*, got more')
refuses('an option that an op needs', function() return x():topk() end,
  '~^[^\n]*topk: k: expected it, as in x:tensor, k:int.*, got nothing')
refuses('a field of tensors', function() x().gard = 1 end,
  'tensor: gard: expected grad, the one field that can be set')
refuses('inc.full without a value', function() return inc.full{2, 3} end,
  'full: value: expected a number as in inc.full{2, 3, value = 0.5}, got nil')
refuses('inc.full of a string', function() return inc.full{2, value = 'a'} end,
  'full: value: expected a number as in inc.full{2, 3, value = 0.5}, got string')

test('a tensor that a planned function kept', function()
  local kept
  local f = inc.plan(function(a)
    kept = a * 2
    return a + 1
  end)
  check.equal(f(inc.ones{2}), {2, 2})
  check.raises(function() inc.plan(function(a) return a + kept end)(inc.ones{2}) end,
    'add: expected a tensor with a value, got one from a trace that is over')
  kept = nil
end)

test('a net without classes and one without a classifier', function()
  local dir = make_pictures(2, 2, 48)
  local net = nn.Sequential{nn.Conv2d{4, in_channels = 3, kernel_size = 3}, nn.AdaptiveAvgPool2d{1},
    nn.Flatten{}, nn.Linear{3, in_features = 4}}
  net.preprocess = nn.preprocess{size = 48}
  check.raises(function() predict{net, dir} end, 'predict: the net: expected a net that knows its 3 ' ..
    "classes, got one without: net.classes = {'cat', ...}")
  net.classes = {'cat', 'dog'}
  check.raises(function() predict{net, dir} end,
    'predict: the net: expected a classifier of 2 classes, got 3 outputs')
end)
