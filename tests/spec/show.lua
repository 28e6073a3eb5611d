-- Contact sheets, what they are made of, and values as text. What a terminal gets is in
-- tests/shell/test_plot.lua.

local core = inc.core
local pictures, sheet = require 'inc.show.pictures', require 'inc.show.sheet'

local function choose_first(count, n) return count // (2 * n) + 1 end

local function all(what, options)
  local o = options or {}
  o.what, o.n, o.part, o.seed = {what}, o.n or 12, o.part or 'train', 1
  return pictures.all(o)
end

-- What print would have said while f runs.
local function printed(f)
  local lines, real = {}, print
  _G.print = function(text) lines[#lines + 1] = text end
  local ok, why = pcall(f)
  _G.print = real
  if not ok then error(why, 0) end
  return table.concat(lines, '\n')
end

local function pixel(t, y, x) return {t[{1, y, x}]:item(), t[{2, y, x}]:item(), t[{3, y, x}]:item()} end

-- -- tensors to pictures ------------------------------------------------------------------------------------

test('layouts of tensors', function()
  for _, shape in ipairs{{3, 5, 7}, {2, 3, 5, 7}, {1, 5, 7}, {2, 1, 5, 7}, {5, 7, 3}, {2, 5, 7, 3}, {5, 7}} do
    shape.dtype = 'u8'
    local t = inc.full{value = 9, dtype = 'u8', table.unpack(shape)}
    local list = all(t)
    check.equal(#list, #shape == 4 and 2 or 1)
    check.equal(list[1].picture:shape(), {3, 5, 7})
    check.equal(pixel(list[1].picture, 5, 7), {9, 9, 9})
  end
  check.equal(all(inc.zeros{3, 4, 3})[1].picture:shape(), {3, 4, 3})
  check.equal(all(inc.zeros{3, 4, 3}, {layout = 'nhwc'})[1].picture:shape(), {3, 3, 4})
  local maps = all(inc.rand{2, 16, 5, 5}, {n = 4})
  check.equal(#maps, 4)
  check.equal(maps[1].caption, 'channel 3')
end)

test('channels last are not mixed up', function()
  local t = inc.zeros{2, 2, 3}
  t[{1, 2, 1}] = 1
  check.equal(pixel(all(t)[1].picture, 1, 2), {255, 0, 0})
  check.equal(pixel(all(t)[1].picture, 1, 1), {0, 0, 0})
end)

test('the range of floats', function()
  local list, note = all(inc.tensor{{0, 0.5}, {1, 0.25}})
  check.equal(list[1].picture[1]:tolist(), {{0, 128}, {255, 64}})
  check.equal(note, nil)
  list, note = all(inc.tensor{{-2, 0}, {2, 1}})
  check.equal(list[1].picture[1]:tolist(), {{0, 128}, {255, 191}})
  check.equal(note, 'black is -2, white is 2')
  list, note = all(inc.tensor{{-2, 0}, {2, 1}}, {range = {0, 1}})
  check.equal(list[1].picture[1]:tolist(), {{0, 0}, {255, 255}})
  check.equal(note, nil)
  check.equal(all(inc.full{2, 2, value = 7})[1].picture[1]:tolist(), {{0, 0}, {0, 0}})
end)

test('captions: labels, predictions, and what is wrong', function()
  local x = inc.zeros{3, 3, 4, 4}
  local function captions(o)
    local out = {}
    for i, p in ipairs(all(x, o)) do out[i] = {p.caption, p.wrong} end
    return out
  end
  local classes = {'rose', 'tulip'}
  check.equal(captions{labels = inc.tensor{1, 2, 2, dtype = 'i64'}, classes = classes},
    {{'rose'}, {'tulip'}, {'tulip'}})
  check.equal(captions{labels = {1, 2, 2}, predicted = inc.tensor{{3, 1}, {1, 0}, {0, 9}}, classes = classes},
    {{'rose', false}, {'rose, is tulip', true}, {'tulip', false}})
  check.equal(captions{captions = {'a', 'b', 'c'}}, {{'a'}, {'b'}, {'c'}})
  check.equal(captions{labels = {7, 8, 9}}, {{'7'}, {'8'}, {'9'}})
  check.equal(captions{labels = {7, 8, 9}, n = 1}, {{'8'}})
end)

test('data, files, predictions, filters', function()
  local root = make_pictures(3, 4, 20)
  local d = data.folder{root, val = 0.25, seed = 1}
  local list = all(d, {n = 3})
  check.equal(#list, 3)
  check.equal(list[1].picture:shape(), {3, 299, 299})
  check.equal(list[1].caption, d.train:item(choose_first(#d.train, 3)).class)
  local file = d.val:item(1).file
  check.equal(all(file)[1].caption, file:match '[^/]*$')
  list = all({pictures = {{file = file, top = {{class = 'rose', confidence = 0.934}}}}, bad = {}})
  check.equal(list[1].caption, 'rose 93%')
  local net = nn.Sequential{nn.Conv2d{8, kernel_size = 5, in_channels = 3}, nn.Conv2d{4, kernel_size = 3}}
  local filters, note = all(net:build{1, 3, 9, 9})
  check.equal(#filters, 8)
  check.equal(filters[1].picture:shape(), {3, 5, 5})
  check.contains(note, 'filters of 1.weight, 8 of [8, 3, 5, 5]; black is ')
end)

-- -- sheets -------------------------------------------------------------------------------------------------

test('a sheet: places, edges, captions', function()
  local red, wide = inc.full{3, 4, 4, value = 200, dtype = 'u8'}, inc.zeros{3, 2, 4, dtype = 'u8'}
  local all_in_one = sheet.compose({{picture = red}, {picture = wide}, {picture = red}}, 2, 8)
  check.equal(all_in_one:shape(), {3, 2 * 16 + 8, 2 * 16 + 8})
  check.equal(pixel(all_in_one, 9, 9), {200, 200, 200})
  check.equal(pixel(all_in_one, 8, 9), {255, 255, 255})
  check.equal(pixel(all_in_one, 9, 25), {255, 255, 255}, 'white where a picture is not square')
  check.equal(pixel(all_in_one, 13, 25), {0, 0, 0})
  check.equal(pixel(all_in_one, 25, 25), {255, 255, 255}, 'an empty place')
  local with = sheet.compose({{picture = red, caption = 'H', wrong = true}}, 1, 8)
  check.equal(with:shape()[2], 8 + 8 + 20 + 4 + 8)
  check.equal(pixel(with, 8 + 8 + 5, 9), {190, 20, 20})
end)

test('show writes a PNG and tells its path', function()
  local path = tmp() .. '/sheet.png'
  local said = printed(function() inc.show{inc.rand{5, 3, 32, 32}, file = path, columns = 2, size = 40} end)
  check.equal(said, path .. ': 5 pictures, 2 in a row')
  check.equal(core.image(path):shape(), {3, 3 * 48 + 8, 2 * 48 + 8})
  said = printed(function() inc.show(inc.rand{8, 8}) end)
  local temporary = said:match '^(.-%.png): 1 picture, 1 in a row$'
  check.equal(core.image(temporary):shape(), {3, 48 + 16, 48 + 16})
  os.remove(temporary)
end)

test("what is not a picture is refused", function()
  check.raises(inc.show, 'show: expected pictures (tensors, files, data, predictions, a net), got 5', 5)
  check.raises(inc.show, 'show: there are no pictures in it', {})
  check.raises(inc.show, 'show: expected pictures of 2 to 4 dims such as [N, 3, H, W], got [3]', inc.zeros{3})
  check.raises(inc.show, 'show: colums: unknown option (did you mean columns?)', {'a', colums = 1})
  check.raises(inc.show, 'show: size: expected at least 1, got 0', {inc.zeros{2, 2}, size = 0})
  check.raises(inc.show, '~no/such.png', {'no/such.png'})
  check.raises(inc.show, 'show: expected a net with a convolution in it', nn.Linear{2, in_features = 2})
end)

-- -- for terminals ------------------------------------------------------------------------------------------

-- The pixels of a sixel sequence: {{r, g, b}} by row and column, percent.
local function read_sixels(text)
  local w, h, body = text:match '^\27Pq"1;1;(%d+);(%d+)(.*)\27\\$'
  local palette, rows, x, y, colour = {}, {}, 0, 0, nil
  for i = 0, h - 1 do rows[i] = {} end
  local at = 1
  local function dots(bits, n)
    for _ = 1, n do
      for j = 0, 5 do
        if bits >> j & 1 == 1 then rows[y + j][x] = palette[colour] end
      end
      x = x + 1
    end
  end
  while at <= #body do
    local number, r, g, b, behind = body:match('^#(%d+);2;(%d+);(%d+);(%d+)()', at)
    if number then palette[number], at = {tonumber(r), tonumber(g), tonumber(b)}, behind
    elseif body:find('^#', at) then colour, at = body:match('^#(%d+)()', at)
    elseif body:find('^!', at) then
      local n, c
      n, c, at = body:match('^!(%d+)(.)()', at)
      dots(c:byte() - 63, tonumber(n))
    else
      local c = body:sub(at, at)
      if c == '$' then x = 0 elseif c == '-' then x, y = 0, y + 6 else dots(c:byte() - 63, 1) end
      at = at + 1
    end
  end
  return rows, tonumber(w), tonumber(h)
end

test('sixels say the picture, within a step of the palette on the average', function()
  local flat = {10, 130, 240}
  local t = inc.tensor(flat):view{3, 1, 1}:cast 'u8':expand{3, 61, 70}:contiguous()
  local rows, w, h = read_sixels(core.image_sixel(t))
  check.equal({w, h}, {70, 61})
  local sum = {0, 0, 0}
  for y = 0, h - 1 do
    for x = 0, w - 1 do
      for c = 1, 3 do sum[c] = sum[c] + check.ok(rows[y][x], 'every pixel is set')[c] end
    end
  end
  for c = 1, 3 do check.close(sum[c] / (w * h) / 100, flat[c] / 255, 0.01) end
  rows = read_sixels(core.image_sixel(inc.full{3, 7, 2, value = 255, dtype = 'u8'}))
  check.equal(rows[6][1], {100, 100, 100})
end)

test('base64', function()
  for text, expected in pairs{[''] = '', f = 'Zg==', fo = 'Zm8=', foo = 'Zm9v', ['\255\254\0'] = '//4A'} do
    check.equal(core.base64(text), expected)
  end
end)

test("kitty's protocol in chunks", function()
  local text = require 'inc.plot.screen'.picture('kitty', inc.full{3, 40, 50, value = 1, dtype = 'u8'})
  local joined, chunks = {}, 0
  for keys, part in text:gmatch '\27_G([^;]*);([^\27]*)\27\\' do
    chunks, joined[#joined + 1] = chunks + 1, part
    check.ok(#part <= 4096)
    check.equal(keys:find 'm=1' ~= nil, #part == 4096)
  end
  check.equal(chunks, 2)
  check.contains(text, 'f=24,s=50,v=40,a=T,q=2')
  check.equal(table.concat(joined), core.base64(('\1'):rep(3 * 40 * 50)))
end)

test('captions are clipped at the edges of the picture', function()
  local t = inc.full{3, 9, 9, value = 255, dtype = 'u8'}
  local marked = core.image_text(t, -2, -3, 'HHH\u{e9}', 3)
  check.equal(marked:shape(), {3, 9, 9})
  check.ok(marked:cast 'f32':mean():item() < 255)
  check.equal(t:cast 'f32':min():item(), 255.0)
  check.raises(core.image_text, '~out of range', t, 1 << 40, 1, 'a', 1)
end)

-- -- values as text -----------------------------------------------------------------------------------------

local value = inc.show.value

test('tensors as aligned blocks with shape, dtype, device', function()
  check.equal(value(inc.tensor{{1, -20.5}, {3, 4}}), '   1.0000 -20.5000\n   3.0000   4.0000\n[2, 2] f32 cpu')
  check.equal(value(inc.tensor{1, 2, 300, dtype = 'i64'}), '   1   2 300\n[3] i64 cpu')
  check.equal(value(inc.tensor(2.5)), '2.5000  [] f32 cpu')
  check.equal(value(inc.zeros{0, 3}), '[0, 3] f32 cpu (empty)')
  check.contains(value(inc.zeros{2, requires_grad = true}), '[2] f32 cpu requires_grad')
  check.contains(value(inc.tensor{1, 0 / 0, 1 / 0}), '1.0 nan inf')
  check.equal(value(inc.zeros{1, 2, 1}), '[1, :, :]\n 0.0\n 0.0\n[1, 2, 1] f32 cpu')
end)

test('long dims are elided, and of many matrices four are shown', function()
  local text = value(inc.zeros{100, 100})
  check.equal(select(2, text:gsub('\n', '')), 7)
  check.contains(text, ' 0.0 0.0 0.0 ... 0.0 0.0 0.0\n ...\n')
  text = value(inc.zeros{8, 3, 30, 30})
  check.equal(select(2, text:gsub(':, :%]', '')), 4)
  for _, head in ipairs{'[1, 1, :, :]', '[1, 3, :, :]', '[8, 1, :, :]', '[8, 3, :, :]'} do
    check.contains(text, head)
  end
  check.equal(select(2, value(inc.zeros{2, 3, 2, 2}):gsub(':, :%]', '')), 6)
end)

test('tables: order, depth, cycles, a limit to it all', function()
  check.equal(value{3, b = {1}, a = 'x', [true] = false}, '{3, a = "x", b = {1}, [true] = false}')
  local loop = {name = 'a'}
  loop.inner = {back = loop}
  check.equal(value(loop), '{inner = {back = <the table itself>}, name = "a"}')
  check.equal(value{{{{{{}}}}}}, '{{{{{{}}}}}}')
  check.equal(value{{{{{{1}}}}}}, '{{{{{{...}}}}}}')
  local wide = {}
  for i = 1, 90 do
    wide[i] = {}
    for k = 1, 90 do wide[i][k] = {k} end
  end
  check.ok(#value(wide) < 20000, #value(wide) .. ' bytes')
  check.equal(value{m = math, t = inc.zeros{2, 2}}, '{m = <module math>, t = tensor [2, 2] f32 cpu}')
  check.ok(#value(_G) < 6000, #value(_G) .. ' bytes')
end)

test('long lists: their ends, and equal numbers once', function()
  local column = {}
  for i = 1, 400 do column[i] = i % 147 == 0 and i or 0 / 0 end
  check.equal(value(column), '{nan (146 times), 147, nan (146 times), 294, nan (106 times)}')
  for i = 1, 400 do column[i] = i end
  check.contains(value(column), '90, ... 300 more ..., 391,')
  check.contains(value(column), ' 400\n}')
  check.equal(value{0 / 0, -(0 / 0), 1, 1, 1, 1, 1}, '{nan, nan, 1, 1, 1, 1, 1}')
end)

test('strings as Lua has them; a long text of several lines stands for itself', function()
  check.equal(value 'a\n\t"\0', '"a\\n\\t\\"\\0"')
  check.equal(value 'b\200', '"b\\200"')
  check.equal(load('return ' .. value 'é\255\0001')(), 'é\255\0001')
  local long = ('0123456789\n'):rep(30)
  check.equal(value(long), long:sub(1, -2))
  check.equal(value{('x'):rep(3)}, '{"xxx"}')
end)

test('objects print as the call that makes them', function()
  for _, call in ipairs{
    'optim.sgd{lr = 0.1, momentum = 0.9}', 'optim.cosine{warmup = 0.05}', 'nn.Dropout{0.3}',
    'nn.Sequential{nn.Linear{2}, nn.ReLU{}}', 'nn.init.truncated_normal{0.1}',
    'nn.CrossEntropyLoss{label_smoothing = 0.1}', 'optim.exponential{0.94, every = "2 epochs"}',
  } do
    local made = load('return ' .. call)()
    local text = value(made)
    if not text:find '\n' then
      check.equal(text, call)
      check.equal(value(load('return ' .. text)()), call)
    end
  end
  check.contains(value(inc.args.spec('test.call', 'a:int; b:number=2')), 'test.call{a:int; b:number=2}')
end)

test('a net that has its weights says their shapes and how many there are', function()
  local net = nn.Sequential{nn.Conv2d{4, kernel_size = 3, in_channels = 3}, nn.ReLU{},
    nn.Conv2d{2, kernel_size = 1}}
  local plain = [[
nn.Sequential {
  nn.Conv2d{4, kernel_size = 3, in_channels = 3}
  nn.ReLU{}
  nn.Conv2d{2, kernel_size = 1}
}]]
  check.equal(tostring(net), plain)
  net:build{1, 3, 8, 8}
  check.equal(tostring(net), [[
nn.Sequential {                                   -- 122
  nn.Conv2d{4, kernel_size = 3, in_channels = 3}  -- [4, 3, 3, 3] 112
  nn.ReLU{}
  nn.Conv2d{2, kernel_size = 1}                   -- [2, 4, 1, 1] 10
}]])
end)
