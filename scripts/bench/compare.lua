-- compare.lua -- what compare costs beyond the steps that it makes.
--
--     build/incsh scripts/bench/compare.lua PHOTOS [SIZE [STEPS]]
--
-- Two optimizers and two seeds of Inception-v3, nothing held out, so that the runs are steps alone. The
-- steps' own
-- time is in their logs (waiting for pictures is part of it, as it is part of a bare run's); everything else
-- that
-- passed between the call and its return is overhead: nets, plans, turns, checkpoints, tables and the page.
local log = require 'inc.run.log'

local size, steps = tonumber(arg[2]) or 299, tonumber(arg[3]) or 40
local out = require 'inc.host'.temporary 'bench'
local images = data.folder{arg[1], val = 0}
local start = inc.core.clock()
local c = compare{images, out = out, weights = inc.root .. 'models/pretrained/inception_v3.safetensors',
  size = size,
  steps = steps, batch = 16, seeds = {1, 2}, augment = 'light', live = false,
  {'sgd', optim.sgd{lr = 0.01, momentum = 0.9}}, {'adamw', optim.adamw{lr = 3e-4}}}
local wall, made = inc.core.clock() - start, 0
for _, run in ipairs(c.runs) do
  for _, img_s in ipairs(log.read(run.folder .. '/log.jsonl').img_s) do made = made + 16 / img_s end
end
os.execute('rm -rf ' .. out)
print(('%d steps took %.1f s, the comparison %.1f s: %.2f%% over the bare steps'):format(4 * steps, made,
  wall,
  100 * (wall / made - 1)))
