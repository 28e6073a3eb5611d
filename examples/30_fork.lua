-- 30_fork.lua: what if? A run is forked at steps that it has made; another has its optimizer swapped.
--
--     incsh examples/30_fork.lua PHOTOS [OUT]
--
-- PHOTOS has one sub-folder a class. The net is small, so that this takes a minute; runs of a whole
-- Inception-v3 are forked the same way, also from the command line:
--
--     incsh fork runs/first --step 200 --lr 0.001 --out runs/slower

local photos, out = arg[1], arg[2] or 'runs/what-if'
if not photos then error('usage: incsh examples/30_fork.lua PHOTOS [OUT]', 0) end

local pictures = data.folder{photos, val = 0.25, seed = 1}
local function conv(n) return nn.Conv2d{n, kernel_size = 3, stride = 2} | nn.BatchNorm2d{} | nn.ReLU{} end
local body = conv(16) | conv(32) | conv(64)
local net = (body | nn.AdaptiveAvgPool2d{1} | nn.Flatten{} | nn.Linear{#pictures.classes}):build{1, 3, 64, 64}
net.preprocess = nn.preprocess{size = 64}
local twin = net:clone()

local first = train{net, pictures, out = out .. '/first', steps = 40, batch = 16, val_every = 20,
  save_every = 15, optimizer = optim.sgd{lr = 0.1, momentum = 0.9}, schedule = optim.constant{}}
first:wait()

-- Step 25 lies between two checkpoints: the fork makes the steps from 15 on again, to the same bits.
local slower = first:fork{step = 25, lr = 0.01, out = out .. '/slower'}:wait()

-- Another optimizer from step 10 on, though that step has long passed.
local adam = first:fork{step = 10, optimizer = optim.adam{lr = 0.001}, out = out .. '/adam'}:wait()

-- A run that goes on takes one between two steps, and says which state it keeps.
local swapped = train{twin, pictures, out = out .. '/swapped', steps = 40, batch = 16,
  optimizer = optim.adam{lr = 0.001}, schedule = optim.constant{}, val_every = 20}
swapped:swap(optim.adamw{lr = 0.001, weight_decay = 0.05})
swapped:wait()

print(diff(first.folder, slower.folder))
print(runs{out, sort = 'loss'})
for _, run in ipairs{first, slower, adam, swapped} do
  print(('%-40s loss %.4f'):format(run.folder, run.log.loss[#run.log.loss]))
end
