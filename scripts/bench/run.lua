-- run.lua: measures steps and inference, ours and PyTorch's in turn, and writes a table and JSON.
--
--     incsh scripts/bench/run.lua PYTHON [options of scripts/bench/run]
--
-- Every measurement is a process of its own (peak memory is the process's) that prints one JSON line; the two
-- programs take turns within a round, so that a busy or throttled machine hurts both.  PyTorch is timed with
-- malloc's thresholds raised (its faster mode) and weighed with plain malloc (its smaller mode).

local ours = 'build/incsh scripts/bench/step.lua'
local TUNED = 'MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 '

local options = {steps = 5, rounds = 1, batch = 32}
local python = arg[1] ~= '' and arg[1] or nil

local function read_options()
  local i = 2
  while arg[i] do
    local name = arg[i]:match '^%-%-(%w+)$'
    if name == 'quick' then
      options.steps, options.quick, i = 2, true, i + 1
    elseif name == 'steps' or name == 'rounds' or name == 'batch' then
      options[name], i = math.tointeger(arg[i + 1]), i + 2
    elseif name == 'only' or name == 'precision' then
      options[name], i = arg[i + 1], i + 2
    else
      error(('bench: unknown option %s; expected --quick, --steps, --rounds, --batch, --only or --precision')
        :format(arg[i]), 0)
    end
  end
end

local function capture(command)
  local p = io.popen(command)
  local text = p:read 'a'
  p:close()
  return text
end

local function cpu_name()
  local info = capture "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1":gsub('%s+$', '')
  local flags = capture "grep -m1 '^flags' /proc/cpuinfo"
  local family = capture "awk -F': *' '/^cpu family|^model\\t/ {print $2}' /proc/cpuinfo | head -n 2"
  local marks = {}
  for _, f in ipairs {'avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'} do
    if flags:find('%f[%w_]' .. f .. '%f[^%w_]') then marks[#marks + 1] = f end
  end
  return info, marks, ((info .. '-' .. family):lower():gsub('[^%w]+', '-'):gsub('%-$', ''))
end

-- One process; its JSON line as {ms = {...}, peak_mb =, first_s =, program =}, or nil with what it said.
local function measure(command)
  local text = capture(command .. ' 2>&1')
  local line = text:match '(%b{})%s*$'
  if not line then return nil, text:match '([^\n]*)\n?$' end
  return inc.json.decode(line)
end

local function merge(all, r)
  if not all then return r end
  for _, v in ipairs(r.ms) do all.ms[#all.ms + 1] = v end
  all.peak_mb = math.min(all.peak_mb, r.peak_mb)
  all.first_s = math.min(all.first_s, r.first_s)
  return all
end

local function median(t)
  local s = table.move(t, 1, #t, 1, {})
  table.sort(s)
  return #s % 2 == 1 and s[#s // 2 + 1] or (s[#s // 2] + s[#s // 2 + 1]) / 2
end

local function finish(r, batch)
  if not r then return end
  r.median_ms = median(r.ms)
  r.img_s = batch * 1e3 / r.median_ms
  return r
end

local function run_row(row)
  local args = (' %s %s %d %d'):format(row.what, row.precision, row.batch, row.steps)
  local mine, why = measure(ours .. args)
  if mine then row.ours = merge(row.ours, mine) else io.stderr:write('bench: ours: ' .. why .. '\n') end
  if not python then return end
  local peer = python .. ' scripts/bench/torch_step.py'
  local fast, reason = measure(TUNED .. peer .. args)
  if not fast then io.stderr:write('bench: torch: ' .. reason .. '\n') return end
  row.torch = merge(row.torch, fast)
  if row.what == 'train' and not row.torch.plain_mb then
    local plain = measure(peer .. (' %s %s %d 1'):format(row.what, row.precision, row.batch))
    row.torch.plain_mb = plain and math.min(plain.peak_mb, row.torch.peak_mb)
  end
end

local function rows()
  local out = {}
  for _, what in ipairs {'train', 'infer'} do
    for _, batch in ipairs(what == 'train' and {options.batch} or {1, options.batch}) do
      for _, precision in ipairs {'f32', 'bf16'} do
        if (options.only or what) == what and (options.precision or precision) == precision then
          local steps = batch == 1 and options.steps * 8 or options.steps
          out[#out + 1] = {what = what, batch = batch, precision = precision, steps = steps}
        end
      end
    end
  end
  return out
end

local function ratio(a, b) return a and b and ('%.2fx'):format(a / b) or '-' end
local function number(fmt, v) return v and fmt:format(v) or '-' end

local function table_text(list, cpu, marks)
  local threads = capture 'nproc':gsub('%s', '')
  local out = {('cpu: %s (%s), %s threads, %s'):format(cpu, table.concat(marks, ' '), threads,
    os.date '!%Y-%m-%d')}
  local line = '%-6s %-5s %5s | %9s %9s %8s | %9s %9s %8s | %7s %7s'
  out[2] = line:format('', '', 'batch', 'ours ms', 'img/s', 'peak MB', 'torch ms', 'img/s', 'peak MB',
    'speed', 'memory')
  for _, r in ipairs(list) do
    local a, b = r.ours or {}, r.torch or {}
    local weight = b.plain_mb or b.peak_mb
    out[#out + 1] = line:format(r.what, r.precision, r.batch,
      number('%.1f', a.median_ms), number('%.2f', a.img_s), number('%d', a.peak_mb),
      number('%.1f', b.median_ms), number('%.2f', b.img_s), number('%d', weight),
      ratio(a.img_s, b.img_s), ratio(a.peak_mb, weight))
  end
  return table.concat(out, '\n') .. '\n'
end

local function save(folder, name, text)
  os.execute(("mkdir -p '%s'"):format(folder))
  local f <close> = assert(io.open(folder .. '/' .. name, 'w'))
  assert(f:write(text))
end

read_options()
local cpu, marks, slug = cpu_name()
local list = rows()
for _ = 1, options.rounds do
  for _, row in ipairs(list) do run_row(row) end
end
for _, row in ipairs(list) do
  row.ours, row.torch = finish(row.ours, row.batch), finish(row.torch, row.batch)
end
local text = table_text(list, cpu, marks)
io.write(text)
if not options.quick then
  local folder = 'scripts/bench/results/' .. slug
  save(folder, 'step.txt', text)
  save(folder, 'step.json', inc.json.encode {cpu = cpu, flags = marks, rows = list} .. '\n')
  print('saved in ' .. folder)
end
