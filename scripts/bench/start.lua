-- start.lua: seconds from `incsh train` to the end of its second step, less two median steps.
--
--     incsh scripts/bench/start.lua DATA f32|bf16 [BATCH [STEPS]]
--
-- The whole command on real pictures: scan, net and weights, plans, first touch of memory, first pictures.
-- cold: every kernel is measured; warm: the same again with choices cached. Times of steps are those of the
-- run's log; both runs have a cache of their own.

local measure = dofile 'scripts/bench/measure.lua'
local core, json = inc.core, inc.json
local data, precision = arg[1], arg[2]
local batch, steps = math.tointeger(arg[3] or 32), math.tointeger(arg[4] or 7)
if not (data and precision) then
  error('bench: expected a folder of pictures and a precision, as in start.lua flowers bf16', 0)
end

local folder = measure.output('mktemp -d'):match '[^\n]+'
local _ <close> = inc.args.finally(function() os.execute(("rm -rf '%s'"):format(folder)) end)

local function seconds(name)
  local out = folder .. '/' .. name
  local command = ("XDG_CACHE_HOME='%s' '%s' train '%s' --weights models/pretrained/inception_v3.safetensors "
    .. "--precision %s --batch %d --steps %d --val 0 --out '%s' 2>&1"):format(folder,
    core.path_full '/proc/self/exe', data, precision, batch, steps, out)
  local begin, said = tonumber(measure.output 'date +%s.%N'), measure.output(command)
  local ends, took = {}, {}
  if core.path_kind(out .. '/log.jsonl') then
    for line in io.lines(out .. '/log.jsonl') do ends[#ends + 1] = json.decode(line).time end
  end
  if #ends < steps then error('bench: train did not make its steps: ' .. said, 0) end
  for i = 3, #ends do took[#took + 1] = ends[i] - ends[i - 1] end
  local step = measure.quantile(took, 0.5)
  return ends[2] - begin - 2 * step, step
end

local cold = seconds 'cold'
local warm, step = seconds 'warm'
print(json.encode{precision = precision, batch = batch, cold_s = cold, start_s = warm, step_s = step})
