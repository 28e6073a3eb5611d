-- photos.lua: training end to end, decoding and distorting real photos beside the step; ours and PyTorch's in
-- turn.
--
--     incsh scripts/bench/photos.lua FOLDER PYTHON [f32|bf16] [STEPS] [WORKERS of PyTorch's DataLoader]
--
-- FOLDER holds JPEGs, one folder a class. Both sides: batch 32, auxiliary head, label smoothing, SGD with
-- momentum, light distortion (random resized crop, flip). Medians of the times from step to step, waiting for
-- data included; PyTorch with malloc's thresholds raised, as in run.lua.

local measure = dofile 'scripts/bench/measure.lua'
local folder, python, precision = arg[1], arg[2], arg[3] or 'bf16'
local steps, workers = math.tointeger(arg[4] or 8), math.tointeger(arg[5] or 1)
if not (folder and python) then
  error('bench: expected a folder of photos and a Python that has PyTorch', 0)
end
local BATCH, WARM_UP = 32, 2
local TUNED = 'MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 '

-- Milliseconds from step to step of a run of train, its waiting for data in per cent.
local function ours()
  local out = require 'inc.host'.temporary 'bench'
  local run = inc.train{folder, model = 'inception_v3', aux = true, precision = precision, batch = BATCH,
    label_smoothing = 0.1, augment = 'light', steps = steps + WARM_UP + 1, out = out, seed = 0, val = 0,
    optimizer = optim.sgd{lr = 1e-3, momentum = 0.9, nesterov = true, weight_decay = 1e-4}}
  run:wait{quiet = true}
  local log, ms = run.log, {}
  for i = WARM_UP + 2, #log.time do ms[#ms + 1] = (log.time[i] - log.time[i - 1]) * 1e3 end
  os.execute(("rm -r '%s'"):format(out))
  return ms, 100 * log.data_wait[#log.data_wait]
end

local mine, wait = ours()
local text = measure.output(('%s%s scripts/bench/torch_photos.py %q %s %d %d %d'):format(TUNED, python,
  folder, precision, BATCH, steps, workers))
local theirs = inc.json.decode(text:match '(%b{})%s*$' or error('bench: torch: ' .. text, 0))
local a, b = measure.quantile(mine, 0.5), measure.quantile(theirs.ms, 0.5)
print(('train on photos, %s, batch %d, medians of %d steps: incsh %.0f ms (%.2f img/s, %.0f%% waiting), '
  .. '%s %.0f ms (%.2f img/s), speed %.2fx'):format(precision, BATCH, steps, a, BATCH / a * 1e3, wait,
  theirs.program, b, BATCH / b * 1e3, b / a))
