-- The harness itself: a check that cannot fail would make every other test worthless.

test('equal compares by content and says both sides', function()
  check.equal({1, {2, 3}}, {1, {2, 3}})
  check.equal(0 / 0, 0 / 0)
  check.raises(function() check.equal({1, 2}, {1, 3}) end, 'expected {1, 3}, got {1, 2}')
  check.raises(function() check.equal({1, 2}, {1}) end, 'expected {1}, got {1, 2}')
end)

test('close is relative above one and absolute below', function()
  check.close(1000.5, 1000, 1e-3)
  check.raises(function() check.close({1, 2.1}, {1, 2}, 1e-3) end,
    'number 2: expected 2 within 0.001, got 2.1')
  check.raises(function() check.close({1}, {1, 2}) end, 'expected 2 numbers, got 1')
  check.raises(function() check.close(0 / 0, 1) end, '~expected 1 within')
end)

test('rel_l2 measures whole tensors', function()
  check.close(check.rel_l2({3, 4.005}, {3, 4}, 1e-2), 1e-3, 1e-9)
  check.raises(function() check.rel_l2({3, 5}, {3, 4}, 0.1) end, '~relative L2 distance 0.2')
end)

test('raises wants the exact text', function()
  check.raises(function() error('x: too long', 0) end, 'x: too long')
  check.raises(function() error 'x: too long' end, 'x: too long')
  check.raises(function() error('a.lua:7: x: bad\nhint: good', 0) end, 'x: bad')
  check.raises(function() check.raises(function() end, 'x') end,
    'expected the error "x", but nothing was raised')
end)

test('sh gives output, errors and status', function()
  local r = sh "echo out; echo err >&2; exit 3"
  check.equal(r, {out = 'out\n', err = 'err\n', status = 3})
  check.equal(sh({'printf', '%s', "it's"}).out, "it's")
end)

test('skip is not a failure', function()
  local ok, err = pcall(skip, 'no such hardware')
  check.equal(ok, false)
  check.equal(err.why, 'no such hardware')
end)
