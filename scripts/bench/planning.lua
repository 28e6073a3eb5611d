-- planning.lua: seconds to plan a training step or inference of Inception-v3, in a cache of its own.
--
--     incsh scripts/bench/planning.lua train|infer f32|bf16 BATCH
--
-- cold: every kernel is measured; warm: the same process forgets and reads them from the file, as the next
-- start would. Nothing is run, so nothing of the arena is touched.

local host = require 'inc.host'
local core = inc.core
local what, precision, batch = arg[1], arg[2], math.tointeger(arg[3])
if not os.getenv 'BENCH_CACHE' then
  local folder = host.temporary 'bench'
  local words = {}
  for i = 0, #arg do words[#words + 1] = arg[i] end
  local ok = os.execute(('BENCH_CACHE=1 XDG_CACHE_HOME=%s %s %s'):format(folder,
    core.path_full '/proc/self/exe', table.concat(words, ' ')))
  os.execute(("rm -rf '%s'"):format(folder))
  os.exit(ok or 1)
end

local net = models.inception_v3{classes = 1000, aux = what == 'train'}
local opt = what == 'train' and optim.rmsprop{lr = 1e-3, momentum = 0.9}:bind(net)
local specs = {{dtype = 'f32', shape = {batch, 3, 299, 299}}, {dtype = 'i64', shape = {batch}}}
inc.precision(precision)
if what == 'train' then net:train() else net:eval() end

local function train(x, y)
  local main, aux = net(x)
  local loss = nn.functional.cross_entropy(main, y) + nn.functional.cross_entropy(aux, y) * 0.4
  loss:backward()
  opt:step()
  return loss
end

local function infer(x) return inc.no_grad(function() return net(x) end) end

local function seconds()
  core.kernels_forget()
  local start = host.now()
  local p = inc.plan.trace(what == 'train' and train or infer, what == 'train' and specs or {specs[1]}, {})
  return host.now() - start, p:memory().kernels
end

local cold, kernels = seconds()
local warm = seconds()
print(inc.json.encode{cold_s = cold, warm_s = warm, kernels = kernels, cpu_s = os.clock()})
