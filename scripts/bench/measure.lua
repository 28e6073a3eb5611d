-- measure.lua: running the bench's programs one at a time, and what else the machine was doing meanwhile.
--
-- A measurement is a process that prints one JSON line. Processor time of the whole machine, less the
-- process's own, tells whether others were at work: the load average cannot, since it remembers our own last
-- process.

local host = require 'inc.host'

local measure = {}

--- What a command printed, without errors' colours or anything else added.
function measure.output(command)
  local p = assert(io.popen(command))
  local text = p:read 'a'
  p:close()
  return text
end

--- (path): the file's text, or ''.
local function slurp(path)
  local f <close> = io.open(path)
  return f and f:read 'a' or ''
end

--- Seconds that all processors have been busy since the start, as the system counts them.
local function busy_seconds()
  local v = {}
  for n in slurp '/proc/stat':match '^cpu%s+([^\n]*)':gmatch '%d+' do v[#v + 1] = tonumber(n) end
  return (v[1] + v[2] + v[3] + v[6] + v[7] + (v[8] or 0)) / 100
end

--- The load average of the last minute.
function measure.load() return tonumber(slurp '/proc/loadavg':match '^%S+') or 0 end

--- Name of the processor, the features that matter, and a name for its folder of results.
function measure.cpu()
  local info = slurp '/proc/cpuinfo'
  local name = info:match 'model name%s*:%s*([^\n]*)' or 'unknown'
  local flags = ' ' .. (info:match 'flags%s*:%s*([^\n]*)' or '') .. ' '
  local marks = {}
  for _, f in ipairs{'avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'} do
    if flags:find(' ' .. f .. ' ', 1, true) then marks[#marks + 1] = f end
  end
  local family = ('%s-%s'):format(info:match 'cpu family%s*:%s*(%d+)' or '',
    info:match '\nmodel%s*:%s*(%d+)' or '')
  return name, marks, ((name .. '-' .. family):lower():gsub('[^%w]+', '-'):gsub('%-+$', ''))
end

--- Run a command and read its JSON line.
-- @return the line as a table, with `others`: processors that others kept busy; or nil and what it said
function measure.run(command)
  local start, before = host.now(), busy_seconds()
  local text = measure.output(('BENCH_START=%.6f %s 2>&1'):format(start, command))
  local line = text:match '(%b{})%s*$'
  if not line then return nil, text:match '([^\n]*)\n?$' end
  local r = inc.json.decode(line)
  r.others = math.max(0, (busy_seconds() - before - r.cpu_s) / (host.now() - start))
  return r
end

--- Value below which a share of the sorted list lies.
function measure.quantile(list, share)
  local s = table.move(list, 1, #list, 1, {})
  table.sort(s)
  local at = 1 + share * (#s - 1)
  local low = math.floor(at)
  return s[low] + (at - low) * ((s[low + 1] or s[low]) - s[low])
end

--- Write a file of the results, making its folder.
function measure.save(folder, name, text)
  inc.core.make_folder(folder)
  local f <close> = assert(io.open(folder .. '/' .. name, 'w'))
  assert(f:write(text))
end

return measure
