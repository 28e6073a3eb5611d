--- bench: what this machine makes of Inception-v3: a training step, inference, the input pipeline.
--
-- Each step is measured in a process of its own, since peak memory is the process's; the program is
-- scripts/bench/step.lua, the same that `make bench` runs beside other frameworks. The short form: nobody
-- else is measured, nothing is saved.

local core = require 'inc.core'
local args = require 'inc.args'

local bench = {}

bench.spec = args.spec('bench', 'data:string?; batch:int=32, steps:int=5, size:int=299, ' ..
  'precision:enum(f32|bf16)?, only:enum(train|infer|input)?')

local Result = {__name = 'inc.bench'}

function Result:__tostring()
  local lines = {('%s, %d threads'):format(self.cpu, self.threads)}
  for _, r in ipairs(self.train) do
    lines[#lines + 1] = ('train %-4s batch %-3d %9.1f ms %8.2f pictures/s %6d MB, first step after %.2f s, '
      .. '%.0f%% of peak'):format(r.precision, r.batch, r.ms, r.img_s, r.peak_mb, r.first_step_s,
      100 * r.share_of_peak)
  end
  for _, r in ipairs(self.infer) do
    lines[#lines + 1] = ('infer %-4s batch %-3d %9.1f ms %8.2f pictures/s %6d MB, %.0f%% of peak'):format(
      r.precision, r.batch, r.ms, r.img_s, r.peak_mb, 100 * r.share_of_peak)
  end
  for _, r in ipairs(self.input) do
    lines[#lines + 1] = ('input %-10s %7.0f pictures/s/core'):format(r.augment, r.img_s_core)
  end
  if #self.input == 0 then
    lines[#lines + 1] = 'input: not measured; give it a folder of pictures: incsh bench PICTURES'
  end
  lines[#lines + 1] = 'of peak: of what was measured as the most that this machine can do (plan:explain())'
  return table.concat(lines, '\n')
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[n // 2 + 1] or (list[n // 2] + list[n // 2 + 1]) / 2
end

-- One row: a process that plans, warms up, and repeats.
local function step(what, precision, batch, o)
  local words = {core.path_full '/proc/self/exe', inc.root .. 'scripts/bench/step.lua', what, precision,
    tostring(batch), tostring(batch == 1 and o.steps * 8 or o.steps), tostring(o.size)}
  for i, word in ipairs(words) do words[i] = quote(word) end
  local p = assert(io.popen(table.concat(words, ' ') .. ' 2>&1'))
  local text = p:read 'a'
  p:close()
  local line = text:match '(%b{})%s*$'
  if not line then args.fail('bench: %s %s %d: %s', what, precision, batch, text:match '([^\n]*)\n?$') end
  local r = inc.json.decode(line)
  local ms = median(r.ms)
  return {precision = precision, batch = batch, ms = ms, img_s = batch * 1e3 / ms, peak_mb = r.peak_mb,
    first_step_s = r.to_first_s, share_of_peak = r.share_of_peak}
end

-- Pictures a second of processor time, decoded, distorted and in a batch; the first batches warm up.
local function input(part, augment, size)
  local n, start, pictures = 0, nil, 0
  for _ = 1, 100 do
    for x in part:batches{8, augment = augment, size = size, workers = 1} do
      n = n + 1
      if n == 4 then start = os.clock() end
      if n > 4 then pictures = pictures + x:shape()[1] end
      if pictures >= 400 then break end
    end
    if pictures >= 400 then break end
    if n == 0 then args.fail 'bench: data: expected at least 8 pictures' end
  end
  return {augment = augment, img_s_core = pictures / (os.clock() - start)}
end

local function cpu_name()
  local f <close> = io.open '/proc/cpuinfo'
  return f and f:read 'a':match 'model name%s*:%s*([^\n]*)' or 'unknown'
end

local function steps(r, precision, o)
  if (o.only or 'train') == 'train' then r.train[#r.train + 1] = step('train', precision, o.batch, o) end
  if (o.only or 'infer') ~= 'infer' then return end
  r.infer[#r.infer + 1] = step('infer', precision, 1, o)
  if o.batch > 1 then r.infer[#r.infer + 1] = step('infer', precision, o.batch, o) end
end

--- Measure this machine: training and inference of Inception-v3, and the input pipeline on your pictures.
-- @param data a folder of pictures as `train` takes; without it the input pipeline is left out
-- @param batch pictures in a training step and in the larger inference
-- @param steps timed steps, after two of warm-up
-- @param size of the pictures, in pixels
-- @param precision f32 or bf16 only
-- @param only train, infer or input
-- @return {cpu, threads, train = {{precision, batch, ms, img_s, peak_mb, first_step_s, share_of_peak}},
--   infer = {...}, input = {{augment, img_s_core}}}; prints as a table
-- > bench{'photos', only = 'input'}
function bench.bench(given)
  local o = bench.spec(given)
  if o.steps < 1 or o.batch < 1 then args.fail 'bench: steps and batch: expected at least 1' end
  if o.only == 'input' and not o.data then args.fail 'bench: data: expected a folder of pictures to read' end
  local list = inc.json.list
  local r = setmetatable({cpu = cpu_name(), threads = core.threads(), train = list{}, infer = list{},
    input = list{}}, Result)
  local pictures = o.data and (o.only or 'input') == 'input' and inc.data.folder{o.data, val = 0}
  for _, precision in ipairs(o.precision and {o.precision} or {'f32', 'bf16'}) do steps(r, precision, o) end
  for _, augment in ipairs(pictures and {'light', 'inception'} or {}) do
    r.input[#r.input + 1] = input(pictures.train, augment, o.size)
  end
  return r
end

return bench
