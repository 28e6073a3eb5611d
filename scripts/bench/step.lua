-- step.lua: our side of the bench, one process a measurement: a training step or inference of Inception-v3.
--
--     incsh scripts/bench/step.lua train|infer f32|bf16 BATCH STEPS [SIZE]
--
-- The same work as the peers' programs (auxiliary head, label smoothing, RMSProp with momentum, random
-- pictures), whole step planned, batch norm folded for inference by the planner. Prints one JSON line as
-- clock.py does.
-- SIZE: of the pictures, 299 when left out; below that there is no auxiliary head.

local host = require 'inc.host'
local what, precision, batch, steps = arg[1], arg[2], math.tointeger(arg[3]), math.tointeger(arg[4])
local size = math.tointeger(arg[5] or 299)
local asked_for = tonumber(os.getenv 'BENCH_START') or host.now()
inc.seed(0)
local net = models.inception_v3{classes = 1000, aux = what == 'train' and size >= 299}
local x = inc.randn{batch, 3, size, size}
local y = (inc.rand{batch} * 1000):floor():cast{'i64'} + 1

local function peak_mb()
  for line in io.lines '/proc/self/status' do
    local kb = line:match '^VmHWM:%s*(%d+)'
    if kb then return tonumber(kb) // 1024 end
  end
end

local function training()
  net:train()
  local opt = optim.rmsprop{lr = 1e-3, alpha = 0.9, eps = 1.0, momentum = 0.9, weight_decay = 4e-5}:bind(net)
  local ce, smooth = nn.functional.cross_entropy, {label_smoothing = 0.1}
  return inc.plan(function(pictures, labels)
    local main, aux = net(pictures)
    local loss = ce(main, labels, smooth)
    if aux then loss = loss + ce(aux, labels, smooth) * 0.4 end
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
local to_first = host.now() - asked_for
timed()
local to_second = host.now() - asked_for
local ms = {}
for i = 1, steps do ms[i] = timed() * 1e3 end
local peak = peak_mb()
step:profile()
timed()
local share = step:explain():match '(%d+)%% of what this machine'
local memory = step:memory()
print(inc.json.encode{program = 'incsh ' .. inc.core.version, ms = ms, first_s = first, to_first_s = to_first,
  to_second_s = to_second, peak_mb = peak, cpu_s = os.clock(),
  arena_mb = memory.arena // 1000000, share_of_peak = tonumber(share) / 100, kernels = memory.kernels})
