-- safetensors and JSON as Lua sees them (the reader's refusals are in tests/c/test_safetensors.c).

test('what is saved comes back', function()
  local path = tmp() .. '/a.safetensors'
  local a, b = inc.arange{6}:view{2, 3}, inc.tensor{7, dtype = 'i64'}
  inc.core.save(path, {{'a', a}, {'b', b}, {'turned', a:transpose(1, 2)}}, {note = 'hé'})
  local names, tensors, metadata = inc.core.load(path)
  check.equal(names, {'b', 'a', 'turned'}) -- wide elements first
  check.equal(tensors.a, a)
  check.equal(tensors.b, b)
  check.equal(tensors.turned:tolist(), a:transpose(1, 2):tolist())
  check.equal(metadata, {note = 'hé', format = 'pt'})
  local _, some = inc.core.load(path, {'b'})
  check.equal(some.a, nil)
  check.equal(some.b, b)
end)

test('equal content gives equal bytes', function()
  local dir = tmp()
  for _, name in ipairs{'x', 'y'} do
    inc.core.save(dir .. '/' .. name, {{'a', inc.ones{3}}}, {one = '1', two = '2', three = '3'})
  end
  check.equal(read_file(dir .. '/x'), read_file(dir .. '/y'))
end)

test('refusals', function()
  local dir = tmp()
  local a = inc.ones{2}
  check.raises(function() inc.core.load(dir .. '/none') end,
    dir .. '/none: cannot open: No such file or directory')
  write_file(dir .. '/text', 'hello, hello')
  check.raises(function() inc.core.load(dir .. '/text') end,
    '~text: not a sound safetensors file: its head is said to be longer than the file')
  inc.core.save(dir .. '/a', {{'a', a}})
  local whole = read_file(dir .. '/a')
  write_file(dir .. '/cut', whole:sub(1, -2))
  check.raises(function() inc.core.load(dir .. '/cut') end, '~a: it reaches beyond the end of the file')
  check.raises(function() inc.core.save(dir .. '/b', {{'a', a}, {'a', a}}) end,
    dir .. '/b: two tensors are called a')
  check.raises(function() inc.core.save(dir .. '/b', {a}) end, 'save: expected {name, tensor} at place 1')
  check.raises(function() inc.core.save(dir .. '/no/b', {{'a', a}}) end,
    dir .. '/no/b: cannot create: No such file or directory')
  check.equal(inc.core.path_kind(dir .. '/b'), nil)
end)

test('a full disk leaves the old file', function()
  local path = tmp() .. '/w.safetensors'
  inc.core.save(path, {{'old', inc.ones{2}}})
  local r = sh(([[trap '' XFSZ; ulimit -f 4
    %s -e 'inc.core.save(%q, {{"new", inc.ones{100000}}})']]):format(incsh, path))
  check.equal(r.status, 1)
  check.contains(r.err, 'w.safetensors: cannot write: File too large')
  check.equal(inc.core.load(path), {'old'})
  check.equal(#inc.core.list_folder(path:match '^(.*)/'), 1)
end)

test('json both ways', function()
  local json = inc.json
  local value = {a = {1, 2.5, 'x"\n'}, b = {c = true}, d = -0.1}
  check.equal(json.encode(value), [[{"a":[1,2.5,"x\"\n"],"b":{"c":true},"d":-0.1}]])
  check.equal(json.decode(json.encode(value)), value)
  check.equal(json.encode{json.list{}, {}}, '[[],{}]')
  check.equal(json.encode{0 / 0, 1 / 0}, '[null,null]')
  check.equal(json.encode 'a\xffb', '"a\u{fffd}b"')
  check.raises(function() json.decode '{"a": 1, "a": 2}' end, '~json: duplicate object key')
  check.raises(function() json.decode '[1,' end, '~json: .* at line 1')
  check.raises(function() json.encode(print) end, 'json: expected plain values, got a function')
end)

test('sha256 tells values, shapes and names apart', function()
  local h = inc.core.sha256
  local a = inc.arange{6}:view{2, 3}
  check.equal(#h{{'a', a}}, 64)
  check.equal(h{{'a', a}}, h{{'a', a:transpose(1, 2):contiguous():transpose(1, 2)}})
  check.ok(h{{'a', a}} ~= h{{'b', a}})
  check.ok(h{{'a', a}} ~= h{{'a', a:view{3, 2}}})
  check.ok(h{{'a', a}} ~= h{{'a', a + 1}})
end)
