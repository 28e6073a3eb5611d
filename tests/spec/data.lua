-- data: folders of pictures, parts, batches, single pictures, and what is said when something is wrong.

local function tone(v) return inc.full{3, 20, 30, value = v, dtype = 'u8'} end

-- A folder of n pictures a class, each of a grey that tells which it is.
local function folder(classes, n)
  local root = tmp()
  for c, name in ipairs(classes) do
    sh{'mkdir', root .. '/' .. name}
    for i = 1, n do data.save_image(('%s/%s/%d.png'):format(root, name, i), tone(c * 20 + i)) end
  end
  return root
end

test('a folder prints and has its parts', function()
  local d = data.folder{folder({'b', 'a'}, 4), val = 0}
  check.equal(d.classes, {'a', 'b'})
  check.equal({#d, #d.train, #d.val}, {8, 8, 0})
  check.contains(tostring(d), '8 pictures in 2 classes')
  check.contains(tostring(d), '  class   train     val\n  a           4       0')
  check.equal(d.train:item(1).class, 'a')
  check.equal(d.train:item(-1).label, 2)
  check.equal({d.train[1].class, d.train[-1].label, d.train[9] == nil}, {'a', 2, true})
  check.equal(d.train[1].picture:dtype(), 'u8')
  local n = 0
  for i, item in ipairs(d.train) do n = n + (item.file == d.train:item(i).file and 1 or 0) end
  check.equal(n, 8)
  check.contains(tostring(d.images), 'pictures in ')
  check.equal(d.train:image(1):shape(), {3, 20, 30})
  check.equal(d.train:image(1)[{1, 5, 7}]:item(), 41)
  check.raises(function() d.train:item(9) end, 'train: expected a picture from 1 to 8, got 9')
end)

test('training batches are a function of seed and epoch', function()
  local d = data.folder{folder({'a', 'b'}, 10), val = 0}
  local function run(options)
    local list = {}
    for x, y, p in d.train:batches(options) do
      check.equal(x:shape(), {6, 3, 16, 16})
      check.equal({x:dtype(), y:dtype()}, {'u8', 'i64'})
      list[#list + 1] = {p:tolist(), y:tolist(), x[{1, 1, 1}]:tolist()}
    end
    return list
  end
  local one = run{6, seed = 5, size = 16, workers = 1}
  check.equal(#one, 3)
  check.equal(run{6, seed = 5, size = 16, workers = 4}, one)
  check.ok(inc.show.value(run{6, seed = 6, size = 16}) ~= inc.show.value(one))
  local two = run{6, seed = 5, size = 16, epochs = 2}
  check.equal(#two, 6)
  check.equal(table.move(two, 1, 3, 1, {}), one)
  check.equal(run{6, seed = 5, size = 16, epoch = 2, index = 2}, {two[5], two[6]})
end)

test('the held-out part comes once, in order, with its labels', function()
  local d = data.folder{folder({'a', 'b', 'c'}, 12), val = 0.3, seed = 4}
  local seen, at = 0, 0
  for x, y, p in d.val:batches{5, size = 8} do
    for i = 1, x:size(1) do
      local item = d.images:item(p[i]:item())
      check.ok(p[i]:item() > at)
      at, seen = p[i]:item(), seen + 1
      check.equal({item.part, item.label}, {'val', y[i]:item()})
      check.equal(x[{i, 1, 1, 1}]:item(), y[i]:item() * 20 + tonumber(item.path:match '(%d+)%.png'))
    end
  end
  check.equal(seen, #d.val)
  check.ok(#d.val > 0 and #d.train > #d.val)
end)

test('leaving the loop early and collecting leave nothing behind', function()
  local d = data.folder{folder({'a', 'b'}, 6), val = 0}
  collectgarbage()
  collectgarbage()
  local before = inc.stats()
  for _ = 1, 5 do
    for _, y in d.train:batches{4, size = 32, epochs = 50} do
      if y:size(1) == 4 then break end
    end
  end
  pcall(function()
    for _ in d.train:batches{4, size = 32, epochs = 50} do error 'out' end
  end)
  collectgarbage()
  collectgarbage()
  local after = inc.stats()
  check.equal({after.tensors, after.buffers, after.blocks}, {before.tensors, before.buffers, before.blocks})
end)

test('a bad picture is named once and left out', function()
  local root = folder({'a', 'b'}, 5)
  write_file(root .. '/a/text.jpg', 'no picture')
  local script = ([[
    d = data.folder{%q, val = 0}
    print(#d.train, #d.bad, d.bad[1].file, d.bad[1].why)
    os.remove(%q)
    for _ = 1, 2 do
      for x, y in d.train:batches{3, size = 8, shuffle = false} do io.write(x:size(1), ' ') end
    end
  ]]):format(root, root .. '/a/2.png')
  local r = sh{inc.program or 'build/incsh', '-e', script}
  check.equal(r.status, 0, r.err)
  check.equal(r.out, '10\t1\ta/text.jpg\tnot a JPEG or PNG\n2 3 3 1 2 3 3 1 ')
  check.contains(r.err, 'bad picture left out: a/text.jpg: not a JPEG or PNG')
  check.equal(select(2, r.err:gsub('a/2%.png: cannot open', '')), 1)
  local d = data.folder{folder({'a', 'b'}, 5), val = 0}
  os.remove(d.train:item(8).file)
  check.raises(function()
    for _ in d.train:batches{5, size = 8, bad = 'stop', shuffle = false} do check.ok(true) end
  end, '~b/3%.png: cannot open')
end)

test('a list of pictures is kept and compared', function()
  local root = folder({'a', 'b'}, 4)
  local d, file = data.folder{root}, tmp() .. '/pictures'
  d:save(file)
  local kept = data.list(file)
  check.equal({#kept, kept.classes, kept.root}, {#d, d.classes, d.root})
  check.equal(kept:diff(d), {})
  os.remove(root .. '/a/1.png')
  data.save_image(root .. '/b/2.png', tone(200))
  data.save_image(root .. '/b/9.png', tone(201))
  check.equal(kept:diff(data.folder{root}), {
    {kind = 'missing', path = 'a/1.png'}, {kind = 'changed', path = 'b/2.png'},
    {kind = 'new', path = 'b/9.png'},
  })
end)

test('views of one picture', function()
  local picture = inc.full{3, 40, 60, value = 9, dtype = 'u8'}
  picture[{1, {}, {1, 30}}] = 200
  local whole = data.view{picture, augment = 'none', size = 10, antialias = false}
  check.equal(whole:shape(), {3, 10, 10})
  check.equal(whole[{1, 5}]:tolist(), {200, 200, 200, 200, 200, 9, 9, 9, 9, 9})
  check.equal(data.view{picture, augment = 'light', seed = 1}, data.view{picture, augment = 'light'})
  check.raises(function() data.view{inc.zeros{3, 4, 4}} end, '~expected a u8 tensor %[3, H, W%], got f32')
end)

test('contact sheet', function()
  local d, file = data.folder{folder({'a', 'b'}, 6), val = 0}, tmp() .. '/sheet.png'
  local print_, said = print, nil
  print = function(text) said = text end -- luacheck: ignore 121
  local ok, err = pcall(d.show, d, {4, file = file})
  print = print_ -- luacheck: ignore 121
  check.ok(ok, err)
  check.contains(said, 'sheet.png: 4 pictures')
  check.equal(inc.image(file):size(1), 3)
end)

test('refusals', function()
  local one, d = folder({'a'}, 2), data.folder{folder({'a', 'b'}, 2), val = 0}
  local function refused(options, text)
    check.raises(function() data.folder(options) end, 'data.folder: ' .. text)
  end
  refused({one}, one .. ': expected two classes or more, found one: "a"')
  refused({'/nowhere'}, '/nowhere: expected a folder of pictures, nothing is there')
  refused({one, val = 2}, 'val: expected a fraction from 0 to less than 1, got 2')
  refused({one, vall = 2}, 'vall: unknown option (did you mean val?)')
  check.raises(function() inc.image 'none.jpg' end,
    'image: none.jpg: cannot open: No such file or directory')
  check.raises(function() inc.image(3) end, 'image: expected a file, got number')
  local function batches(options, text)
    check.raises(function() d.train:batches(options) end, 'batches: ' .. text)
  end
  batches({5}, 'batch: expected at most the number of training pictures, 4, got 5')
  batches({2, augment = 'heavy'}, 'augment: expected one of inception, light, none, eval, got "heavy"')
  check.raises(function() d.val:batches{2} end,
    ('batches: %s: there is no picture to evaluate'):format(d.root))
end)
