-- 00_tour.lua: the whole tour in a minute, with nothing but this program.
--
--     incsh examples/00_tour.lua
--
-- The same lines can be typed at the prompt. Pictures are made up on the way: three classes of coloured
-- noise, which a net of two convolutions tells apart after a few steps.

-- == tensors ==================================================================

x = inc.randn{2, 3}
print(x)
print((x * 2 + 1):relu():mean{dim = 2})
w = inc.randn{3, 4, requires_grad = true}
x:matmul(w):sum():backward()
print('gradient', w.grad)
inc.no_grad(function() w:sub_(w.grad * 0.1) end) -- in place: a trailing _

-- == layers ===================================================================

block = nn.Conv2d{8, kernel_size = 3, stride = 2, bias = false} | nn.BatchNorm2d{} | nn.ReLU{}
print(block)

function make_net(classes)
  local net = nn.Sequential{
    nn.Conv2d{16, in_channels = 3, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
    nn.Conv2d{16, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
    nn.AdaptiveAvgPool2d{1}, nn.Flatten{}, nn.Linear{classes},
  }
  net.preprocess = nn.preprocess{size = 64}
  return net:build{1, 3, 64, 64}
end

-- == pictures =================================================================

folder = require 'inc.host'.temporary 'example'
for class, colour in ipairs{{200, 60, 60}, {60, 200, 60}, {60, 60, 200}} do
  inc.core.make_folder(('%s/class%d'):format(folder, class))
  for i = 1, 20 do
    local noise = inc.rand{3, 64, 64} * 120 - 60
    local picture = (noise + inc.tensor(colour):view{3, 1, 1}):clamp{min = 0, max = 255}:cast 'u8'
    data.save_image(('%s/class%d/%02d.png'):format(folder, class, i), picture)
  end
end
pictures = data.folder{folder, val = 0.25, seed = 1}
print(pictures.train, pictures.val)

-- == a loop of one's own, planned as one step ====================================

net = make_net(3)
opt = optim.sgd{lr = 0.05, momentum = 0.9}:bind(net)
step = inc.plan(function(pixels, labels)
  local loss = net:loss(pixels, labels, {label_smoothing = 0.1})
  loss:backward()
  opt:step()
  return loss
end)
for pixels, labels in pictures.train:batches{15, seed = 1, size = 64, augment = 'light', epochs = 2} do
  print(('loss %.4f'):format(step(pixels, labels):item()))
end
print(step)

-- == the same as a run, in the background ========================================

run = train{make_net(3), pictures, optimizer = optim.sgd{lr = 0.05, momentum = 0.9}, batch = 15, epochs = 8,
  out = folder .. '/run'}
run:wait()
print(run)
print(evaluate{run, pictures.val})
print(predict{run.net, folder .. '/class2/01.png'})
os.execute('rm -r ' .. folder)
