-- tiny.lua: a net and pictures so small that a run takes milliseconds, for the specs of runs and verbs.

local tiny = {}

--- Two convolutions with norms, dropout and a classifier, for 48x48 pictures.
function tiny.net(classes, seed)
  local before = inc.seed()
  inc.seed(seed or 3)
  local net = nn.Sequential{
    nn.Conv2d{16, in_channels = 3, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
    nn.Conv2d{16, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
    nn.AdaptiveAvgPool2d{1}, nn.Flatten{}, nn.Dropout{0.2}, nn.Linear{classes or 3},
  }
  net.preprocess = require('inc.nn.preprocess').new{size = 48}
  net:build{1, 3, 48, 48}
  inc.seed(before)
  return net
end

--- Options of a short run of it, with what a run can have: averages, distortions, warm-up.
function tiny.options(net, pictures, out, changes)
  local o = {net, pictures, out = out, steps = 12, batch = 8, val = 0.3, lr = 0.05, precision = 'f32',
    augment = 'light', ema = 0.9, schedule = optim.cosine{warmup = 2}, save_every = 4, val_every = 3}
  for key, value in pairs(changes or {}) do o[key] = value end
  return o
end

--- Train to the end without a word.
function tiny.run(net, pictures, out, changes)
  return train(tiny.options(net, pictures, out, changes)):wait{quiet = true}
end

--- What a log says of steps: everything but what depends on the clock.
function tiny.facts(folder)
  local list = {}
  for line in io.lines(folder .. '/log.jsonl') do
    local row = inc.json.decode(line)
    row.img_s, row.data_wait, row.time = nil, nil, nil
    list[#list + 1] = inc.json.encode(row)
  end
  return list
end

--- Every byte of state in a run's newest checkpoint.
function tiny.state(folder)
  local step = inc.core.run_checkpoints(folder)[1]
  local names, tensors = inc.core.load(('%s/checkpoints/step-%d.safetensors'):format(folder, step))
  local list = {}
  for i, name in ipairs(names) do list[i] = {name, tensors[name]} end
  return inc.core.sha256(list), step
end

return tiny
