-- Bad input: one clear sentence, nothing lost.
--
-- Each case is what a user does wrong or what the world does to them; the sentence is part of the product, so
-- its words are checked.  Cases that need a training step are slow; they train on a handful of made pictures.

local function run(...)
  return sh(incsh .. ' ' .. table.concat({...}, ' '))
end

-- The command fails with status 1 and says `text` on stderr in a sentence (a hint may follow).
local function refused(text, ...)
  local r = run(...)
  check.contains(r.err, text)
  check.equal(r.status, 1, 'status')
  check.ok(not r.err:find 'stack traceback', 'a traceback is no sentence: ' .. r.err)
  return r
end

local function write_pictures(folder, names)
  for name, kind in pairs(names) do make_pictures(kind, folder .. '/' .. name) end
end

-- == folders ==================================================================

test('missing folder', function()
  refused('expected a folder of pictures, nothing is there', 'train', tmp() .. '/nowhere')
end)

test('a file for a folder', function()
  refused('expected a folder of pictures, got a file', 'train /etc/passwd')
end)

test('empty folder', function()
  refused('expected one sub-folder a class, found 0 files and no sub-folder', 'train', tmp())
end)

test('folders without pictures', function()
  local dir = tmp()
  sh('mkdir ' .. dir .. '/a ' .. dir .. '/b')
  refused('the class folders hold no pictures', 'train', dir)
end)

test('one class only', function()
  refused('expected two classes or more, found one', 'train', make_pictures(1, 3, 40))
end)

test('unreadable folder', function()
  if sh('id -u').out == '0\n' then skip 'root reads every folder' end
  local dir = make_pictures(2, 3, 40)
  sh('chmod 000 ' .. dir)
  refused('Permission denied', 'train', dir)
  sh('chmod 755 ' .. dir)
end)

test('run folder already there', function()
  local dir = make_pictures(2, 3, 40)
  refused('expected a new or empty folder', 'train', dir, '--out', dir)
end)

test('batch larger than the data', function()
  local out = tmp() .. '/run'
  refused('batch: expected at most the', 'train', make_pictures(2, 5, 40), '--batch 100 --out', out)
end)

-- == options ==================================================================

test('unknown options and names tell the nearest right one', function()
  local dir = make_pictures(2, 5, 40)
  refused('--optmizer: unknown option (did you mean --optimizer?)', 'train', dir, '--optmizer sgd')
  refused('sdg: unknown name (did you mean sgd?)', 'train', dir, '--optimizer sdg')
  refused('cosin: unknown name (did you mean cosine?)', 'train', dir, '--schedule cosin')
  refused('--lr: expected a number, got fast', 'train', dir, '--lr fast')
  refused('steps: expected more than 0, got -1', 'train', dir, '--steps -1')
  refused('did you mean `train`?', 'trian', dir)
end)

test('a pattern that freezes nothing', function()
  refused('Nothing', 'train', make_pictures(2, 5, 40), "--batch 4 --freeze '^Nothing' --out", tmp() .. '/run')
end)

test('what is promised and not built yet says so', function()
  for _, verb in ipairs {'pack', 'convert'} do refused('not built yet', verb, 'a b') end
end)

-- == pictures =================================================================

test('odd pictures are read', function()
  local dir = tmp()
  local kinds = {'grey', 'cmyk', 'ycck', 'progressive', 'png-grey', 'png-16', 'png-palette', 'png-alpha'}
  for _, kind in ipairs(kinds) do
    make_pictures(kind, dir .. '/p')
    check.equal(inc.image(dir .. '/p'):shape(), {3, 64, 80}, kind)
  end
  make_pictures('turned', dir .. '/p')
  check.equal(inc.image(dir .. '/p'):shape(), {3, 80, 64}, 'turned by its EXIF')
  make_pictures('1x1', dir .. '/p')
  check.equal(inc.image(dir .. '/p'):shape(), {3, 1, 1}, 'one pixel')
end)

test('bad pictures are refused in words', function()
  local dir = tmp()
  local function image() return inc.image(dir .. '/p') end
  write_file(dir .. '/p', 'hello')
  check.raises(image, '~not a JPEG or PNG')
  write_file(dir .. '/p', '')
  check.raises(image, '~/p')
  make_pictures('truncated', dir .. '/p')
  check.raises(image, '~truncated JPEG')
  make_pictures('png-truncated', dir .. '/p')
  check.raises(image, '~truncated PNG')
  make_pictures('png-huge', dir .. '/p')
  check.raises(image, '~20000 x 20000 pixels: more than 128 megapixels')
  check.raises(function() inc.image(dir .. '/none.jpg') end, '~none.jpg')
end)

test('bad pictures in a data set are listed once and left out', function()
  local dir = make_pictures(2, 6, 40)
  write_file(dir .. '/class1/text.jpg', 'hello')
  write_pictures(dir .. '/class2',
    {['cut.jpg'] = 'truncated', ['huge.png'] = 'png-huge', ['tiny.png'] = 'png-1x1'})
  local code = "local d = data.folder{%q, val = 0} for x in d.train:batches{3, seed = 1} do end"
  local r = run('-e', quote(code:format(dir)))
  check.equal(r.status, 0, r.err)
  local said = {'class1/text.jpg: not a JPEG or PNG', 'class2/cut.jpg: truncated JPEG', 'class2/huge.png'}
  for _, text in ipairs(said) do
    check.contains(r.err, text)
    local _, times = r.err:gsub(text:gsub('%p', '%%%0'), '')
    check.equal(times, 1, text)
  end
  check.ok(not r.err:find('tiny.png', 1, true), 'a picture of one pixel is no bad picture')
end)

-- == weights ==================================================================

local function load_weights(path)
  return function() models.inception_v3 {classes = 3, weights = path} end
end

test('hostile and truncated weights', function()
  local path = tmp() .. '/w.safetensors'
  local ours = 'models/pretrained/inception_v3.safetensors'
  write_file(path, '\255\255\255\255\255\255\255\127{}')
  check.raises(load_weights(path), '~not a sound safetensors file')
  write_file(path, '\2\0\0\0\0\0\0\0[]')
  check.raises(load_weights(path), '~not a sound safetensors file')
  write_file(path, '')
  check.raises(load_weights(path), '~w.safetensors')
  sh(('head -c 1000000 %s > %s'):format(ours, path))
  check.raises(load_weights(path), '~reaches beyond the end of the file')
  check.raises(load_weights('/nowhere/w.safetensors'), '~/nowhere/w.safetensors')
  check.raises(load_weights('/etc/passwd'), '~not a sound safetensors file')
end)

test('weights with a wrong shape', function()
  local path = tmp() .. '/w.safetensors'
  inc.save(path, {{'Conv2d_1a_3x3.conv.weight', inc.zeros {3, 3}}})
  check.raises(load_weights(path), '~Conv2d_1a_3x3.conv.weight: expected shape %[32, 3, 3, 3%], got %[3, 3%]')
end)

-- == values ===================================================================

test('a label out of range', function()
  check.raises(function() nn.functional.cross_entropy(inc.zeros {2, 3}, inc.tensor {1, 4, dtype = 'i64'}) end,
    'cross_entropy: target: label 4 at row 2: expected 1 to 3')
end)

test('out of memory says how much was wanted', function()
  check.raises(function() inc.zeros {1000000, 1000000, 10} end, '~out of memory: wanted')
  check.equal(inc.ones {3}:sum():item(), 3.0, 'all goes on')
end)

-- == training =================================================================

local function train(dir, out, ...)
  return run('train', dir, '--size 107 --batch 4 --val 0.2 --out', out, ...)
end

test.slow('a loss that is not a number stops the run, names the layer, keeps the checkpoint', function()
  local out = tmp() .. '/run'
  local r = train(make_pictures(2, 6, 40), out, '--steps 4 --lr 1e30 --save-every 1')
  check.equal(r.status, 1)
  check.contains(r.err, 'loss is not a number at step')
  check.contains(r.err, 'the first layer that was not finite is')
  check.contains(r.err, '`resume`')
  check.equal(sh('ls ' .. out .. '/checkpoints').out, 'step-1.safetensors\n')
end)

test.slow('a full disk leaves no half-written file', function()
  local out = tmp() .. '/run'
  local dir = make_pictures(2, 6, 40)
  local command = "(ulimit -f 20000; trap '' XFSZ; %s train %s --size 107 --batch 4 --steps 1 --out %s)"
  local r = sh(command:format(incsh, dir, out))
  check.equal(r.status, 1)
  check.contains(r.err, 'cannot write')
  check.equal(sh('find ' .. out .. ' -size +9000k').out, '')
  check.equal(sh('ls ' .. out .. '/checkpoints').out, '')
end)

test.slow('without gnuplot training goes on and says so', function()
  local out, path = tmp() .. '/run', tmp()
  for _, tool in ipairs {'sh', 'uname'} do sh(('ln -s "$(command -v %s)" %s/'):format(tool, path)) end
  local r = sh(('PATH=%s %s train %s --size 107 --batch 4 --steps 1 --out %s --plot'):format(path, incsh,
    make_pictures(2, 6, 40), out))
  check.equal(r.status, 0, r.err)
  check.contains(r.out .. r.err, 'gnuplot')
end)

test.slow('Ctrl-C finishes the step, saves, says how to go on, and ends with 130', function()
  local out, dir = tmp() .. '/run', make_pictures(2, 6, 40)
  local r = sh(([[(%s train %s --size 107 --batch 4 --steps 1000 --out %s & pid=$!
    until grep -q '"step":1' %s/log.jsonl 2>/dev/null; do sleep 0.1; kill -0 $pid || exit 99; done
    kill -INT $pid; wait $pid)]]):format(incsh, dir, out, out))
  check.equal(r.status, 130, r.err)
  check.contains(r.out .. r.err, 'resume')
  check.contains(sh('ls ' .. out .. '/checkpoints').out, 'step-')
end)
