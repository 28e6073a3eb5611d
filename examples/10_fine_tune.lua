-- 10_fine_tune.lua: teach Inception-v3 the classes of a folder of photos, and look at what it learned.
--
--     incsh examples/10_fine_tune.lua PHOTOS [OUT]
--
-- PHOTOS has one sub-folder a class. The weights that come with the program know ordinary photos; only the
-- last layer starts afresh. `incsh train PHOTOS --weights ... --out OUT` does the same without Lua.

local photos, out = arg[1], arg[2] or 'runs/fine-tune'
if not photos then error('usage: incsh examples/10_fine_tune.lua PHOTOS [OUT]', 0) end

local pictures = data.folder{photos, val = 0.2, seed = 1}
print(pictures.train)
print(pictures.val)

local net = models.inception_v3{classes = pictures.classes, aux = false,
  weights = inc.root .. 'models/pretrained/inception_v3.safetensors'}

-- What train takes when nothing is said, written out to be changed.
local run = train{net, pictures, out = out,
  optimizer = optim.sgd{lr = 0.02, momentum = 0.9, nesterov = true, weight_decay = 1e-4},
  schedule = optim.cosine{warmup = 0.1}, label_smoothing = 0.1, augment = 'light', batch = 32, epochs = 8}
run:on('val', function(r, event)
  print(('after step %d: held-out top-1 %.3f'):format(event.step, event.val.top1))
end)
run:wait()
run:plot{'loss'}

print(evaluate{run, pictures.val, errors = out .. '/errors.png'})
print(predict{run, pictures.val:item(1).file})
