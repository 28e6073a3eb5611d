-- The notation of one-table calls, and what the table `inc` itself promises.
--
-- Texts are compared whole: an error that names the wrong thing sends its reader the wrong way.
-- One test holds the number of its own line, to see that errors point at the user's.

local spec = inc.args.spec

test('positional, named and default values', function()
  local f = spec('f', 'a:int, b:number=2; c:bool=true, d:numbers={1 2}, e:enum(x|y)=x, g:string?')
  local o = f{3.0, c = false}
  check.equal(o, {a = 3, b = 2, c = false, d = {1, 2}, e = 'x'})
  check.equal(math.type(o.a), 'integer')
  check.equal(f:describe(o), 'f{3, c = false}')
  check.equal(f:describe(f{b = 4, a = 1, g = 'q'}), 'f{1, 4, g = "q"}')
  check.raises(function() f{} end, 'f: a: expected an integer, got nothing')
  check.raises(function() f{1, 2, 3} end, 'f: expected at most 2 positional values, got 3')
  check.raises(function() f{1, a = 2} end, 'f: a: given by position and by name')
  check.raises(function() f{1, e = 'z'} end, 'f: e: expected one of x, y, got "z"')
  check.raises(function() f{1, [3] = 4} end,
    'f: expected names and positional values without gaps, got key 3')
  check.raises(function() f{1, zzzzzz = 4} end, 'f: zzzzzz: unknown option (there are a, b, c, d, e, g)')
  check.raises(function() f(7) end, 'f: expected one table, got 7: write f{...}')
end)

test('a rest, and defaults from outside', function()
  local f = spec('f', 'items:string...; n:int=1')
  check.equal(f{'a', 'b'}, {items = {'a', 'b'}, n = 1})
  check.equal(f({}, {n = 5}).n, 5)
  check.equal(f({n = 2}, {n = 5}).n, 2)
  check.raises(function() f{'a', 2} end, 'f: value 2: expected a string, got 2')
end)

test('errors point at the line outside the library', function()
  local ok, message = pcall(function() nn.Dropout{p = 'x'} end)
  check.ok(not ok)
  check.contains(message, 'tests/spec/args.lua:34: nn.Dropout: p: expected a number, got "x"')
end)

test('nearest names', function()
  check.equal(inc.args.nearest('Momentun', {'lr', 'momentum'}), 'momentum')
  check.equal(inc.args.nearest('quite_else', {'lr', 'momentum'}), nil)
end)

test('inc.try gives nil, message, code', function()
  local a, b = inc.try(function() return 1, 2 end)
  check.equal({a, b}, {1, 2})
  local none, message, code = inc.try(function() return inc.ones{2}:view{3} end)
  check.equal(none, nil)
  check.equal(code, 'EARG')
  check.contains(message, 'view')
  check.equal(select(3, inc.try(error, 'mine', 0)), 'error')
end)

test('names that are not there are nil, verbs that are not built say so', function()
  check.equal(inc.no_such_thing, nil)
  check.equal(rawequal(inc.nn, nn), true)
  for _, verb in ipairs{'train', 'resume', 'evaluate', 'predict', 'compare', 'pack', 'convert', 'bench'} do
    check.equal(type(inc[verb]), 'function', verb)
  end
  local _, message = inc.try(inc.pack, {})
  if message:find 'not built' then check.contains(message, 'pack: not built yet') end
end)

test('recipes are tables of options, changed by name', function()
  check.equal(recipes.fine_tune{epochs = 3}.epochs, 3)
  check.equal(tostring(recipes.paper{}.optimizer), 'optim.rmsprop{lr = 0.045, alpha = 0.9, eps = 1, ' ..
    'momentum = 0.9, eps_inside = true, weight_decay = 4e-05, clip_norm = 2}')
  check.equal(recipes.flowers{}.steps, 2000)
  check.equal(tostring(recipes.head_only{epochs = 5}), [[
recipes.head_only: the classifier alone, our own numbers
  augment          "light"
  batch            32
  epochs           5
  freeze           "^[CM]"
  label_smoothing  0.1
  optimizer        optim.sgd{lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 0, ]] ..
    'decay_norms = false, layer_decay = 1}\n  schedule         optim.cosine{}')
end)
