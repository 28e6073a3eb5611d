-- run.lua: measures steps and inference, ours and every peer's in turn, and writes table, JSON and chart.
--
--     incsh scripts/bench/run.lua [options of scripts/bench/run]
--
-- Every measurement is a process of its own (peak memory is the process's) that prints one JSON line; the
-- programs take turns within a round, so that a busy or throttled machine hurts all. PyTorch is timed with
-- malloc's thresholds raised (its faster mode) and weighed also with plain malloc (its smaller mode).

local measure = dofile 'scripts/bench/measure.lua'
local report = dofile 'scripts/bench/report.lua'
local TUNED = 'MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 '
local QUIET = 0.3

local options = {steps = 7, rounds = 2, batch = 32}
local numbers = {steps = true, rounds = true, batch = true}
local words = {only = true, precision = true, peers = true, folder = true}

local function read_options()
  local i = 1
  while arg[i] do
    local name = arg[i]:match '^%-%-(%w+)$'
    if name == 'quick' then
      options.steps, options.rounds, options.quick, i = 2, 1, true, i + 1
    elseif name and numbers[name] then
      options[name], i = math.tointeger(arg[i + 1]), i + 2
      if not options[name] or options[name] < 1 then
        error(('bench: --%s: expected a number from 1, got %s'):format(name, arg[i - 1]), 0)
      end
    elseif name and words[name] then
      options[name], i = arg[i + 1], i + 2
    else
      error(('bench: unknown option %s; expected --quick, --steps, --rounds, --batch, --only, --precision, '
        .. '--peers or --folder'):format(arg[i]), 0)
    end
  end
end

local function wanted(peer)
  return not options.peers or (',' .. options.peers .. ','):find(',' .. peer .. ',', 1, true) ~= nil
end

-- name -> Python of each peer that is there and wanted
local function find_peers()
  local found = {}
  if options.peers == 'none' then return found end
  for name, python in measure.output 'scripts/bench/peers list':gmatch '(%S+)\t(%S+)' do
    if wanted(name) then found[name] = python end
  end
  return found
end

-- The net as ONNX for those that run that; PyTorch makes it.
local function onnx_file(peers)
  if not (peers.openvino or peers.onnxruntime) then return end
  local path = 'build/bench/inception_v3.onnx'
  if inc.core.path_kind(path) then return path end
  inc.core.make_folder 'build/bench'
  local torch = measure.output 'scripts/bench/peers list 2>/dev/null':match 'torch\t(%S+)'
  local export = '%s -W ignore scripts/bench/torch_step.py export %s 2>&1'
  local text = torch and measure.output(export:format(torch, path))
    or 'PyTorch is not there to export the net'
  if inc.core.path_kind(path) then return path end
  io.stderr:write(('bench: openvino and onnxruntime are left out: %s\n'):format(text:match '[^\n]*\n?$'))
end

local program = arg[-1] or 'build/incsh'

-- Who runs a row: {name, command}; ours first.
local function contestants(row, peers, onnx)
  local args = (' %s %s %d %d'):format(row.what, row.precision, row.batch, row.steps)
  local list = {{name = 'incsh', command = program .. ' scripts/bench/step.lua' .. args}}
  local function add(name, command) list[#list + 1] = {name = name, command = command} end
  for _, mode in ipairs(peers.torch and {'eager', 'compile'} or {}) do
    add('torch ' .. mode, TUNED .. peers.torch .. ' scripts/bench/torch_step.py ' .. mode .. args)
  end
  if peers.tensorflow then add('tensorflow', peers.tensorflow .. ' scripts/bench/tf_step.py' .. args) end
  for _, name in ipairs(row.what == 'infer' and onnx and {'openvino', 'onnxruntime'} or {}) do
    if peers[name] and not (name == 'onnxruntime' and row.precision == 'bf16') then
      add(name, ('%s scripts/bench/onnx_step.py %s %s %s %d %d'):format(peers[name], name, onnx,
        row.precision, row.batch, row.steps))
    end
  end
  return list
end

local function merge(all, r)
  table.move(r.ms, 1, #r.ms, #all.ms + 1, all.ms)
  for _, least in ipairs{'peak_mb', 'first_s', 'to_first_s', 'to_second_s'} do
    all[least] = math.min(all[least], r[least])
  end
  all.others = math.max(all.others, r.others)
end

-- The smaller mode of PyTorch: without raised thresholds.
local function weigh_plain(r, command)
  local plain = measure.run(command:gsub('%d+$', '1'):sub(#TUNED + 1))
  r.plain_mb = plain and plain.peak_mb
end

local function run_row(row, peers, onnx)
  for _, c in ipairs(contestants(row, peers, onnx)) do
    local r, why = measure.run(c.command)
    local known = row.by_name[c.name]
    if not r then
      io.stderr:write(('bench: %s: %s %s %d: %s\n'):format(c.name, row.what, row.precision, row.batch, why))
    elseif known then
      merge(known, r)
    else
      r.ours = c.name == 'incsh' or nil
      row.by_name[c.name], row.programs[#row.programs + 1] = r, r
      if row.what == 'train' and c.name == 'torch eager' then weigh_plain(r, c.command) end
    end
  end
end

local function rows()
  local out = {}
  for _, what in ipairs{'train', 'infer'} do
    for _, batch in ipairs(what == 'train' and {options.batch} or {1, options.batch}) do
      for _, precision in ipairs{'f32', 'bf16'} do
        if (options.only or what) == what and (options.precision or precision) == precision then
          out[#out + 1] = {what = what, batch = batch, precision = precision, programs = {}, by_name = {},
            steps = batch == 1 and options.steps * 8 or options.steps}
        end
      end
    end
  end
  return out
end

local function save(list, about, text)
  local folder = options.folder or 'scripts/bench/results/' .. about.slug
  measure.save(folder, 'step.txt', text)
  measure.save(folder, 'step.json', inc.json.encode{cpu = about.cpu, flags = about.flags,
    threads = about.threads, date = about.date, load = about.load, quiet = about.quiet, rows = list} .. '\n')
  if not report.chart(list, folder .. '/step.png') then
    io.stderr:write 'bench: no chart: gnuplot is missing or failed\n'
  end
  print('saved in ' .. folder)
end

read_options()
local about = {load = measure.load(), date = os.date '!%Y-%m-%d %H:%M', threads = inc.core.threads()}
about.cpu, about.flags, about.slug = measure.cpu()
about.quiet = about.load < QUIET
if not about.quiet then
  io.stderr:write(('bench: the load is %.2f, not below %.1f: others are at work, the figures will be poor\n')
    :format(about.load, QUIET))
end
local peers = find_peers()
local onnx = onnx_file(peers)
local list = rows()
for _ = 1, options.rounds do
  for _, row in ipairs(list) do run_row(row, peers, onnx) end
end
for _, row in ipairs(list) do
  row.by_name = nil
  for _, p in ipairs(row.programs) do report.finish(p, row.batch) end
  report.compare(row)
end
local text = report.text(list, about)
io.write(text)
if not options.quick or options.folder then save(list, about, text) end
