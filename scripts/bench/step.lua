-- step.lua: our side of the bench, one process a measurement: a training step or inference of Inception-v3.
--
--     incsh scripts/bench/step.lua train|infer f32|bf16 BATCH STEPS
--
-- The same work as torch_step.py (auxiliary head, label smoothing, RMSProp with momentum, random pictures),
-- whole step planned, batch norm folded for inference by the planner.  Prints one JSON line: times of STEPS
-- steps after two of warm-up, the first step's time (planning in it), peak resident memory.

local host = require 'inc.host'
local what, precision, batch, steps = arg[1], arg[2], math.tointeger(arg[3]), math.tointeger(arg[4])
inc.seed(0)
local net = models.inception_v3 {classes = 1000, aux = what == 'train'}
local x = inc.randn {batch, 3, 299, 299}
local y = (inc.rand {batch} * 1000):floor():cast {'i64'} + 1

local function peak_mb()
  for line in io.lines '/proc/self/status' do
    local kb = line:match '^VmHWM:%s*(%d+)'
    if kb then return tonumber(kb) // 1024 end
  end
end

local function training()
  net:train()
  local opt = optim.rmsprop {lr = 1e-3, alpha = 0.9, eps = 1.0, momentum = 0.9, weight_decay = 4e-5}:bind(net)
  local ce, smooth = nn.functional.cross_entropy, {label_smoothing = 0.1}
  return inc.plan(function(pictures, labels)
    local main, aux = net(pictures)
    local loss = ce(main, labels, smooth) + ce(aux, labels, smooth) * 0.4
    loss:backward()
    opt:step()
    return loss
  end)
end

local function inference()
  net:eval()
  return inc.plan(function(pictures)
    return inc.no_grad(function() return net(pictures) end)
  end)
end

inc.precision(precision)
local step = what == 'train' and training() or inference()

-- Wall time: os.clock counts all threads.  Reading a number waits for the step.
local function timed()
  local start = host.now()
  local out = what == 'train' and step(x, y) or step(x):max()
  out:item()
  return host.now() - start
end

local first = timed()
timed()
local ms = {}
for i = 1, steps do ms[i] = timed() * 1e3 end
print(inc.json.encode {program = 'incsh', what = what, precision = precision, batch = batch, ms = ms,
  first_s = first, peak_mb = peak_mb()})
