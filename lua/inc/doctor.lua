--- doctor: what this machine has for incsh, what is missing, and the command that gets it.
--
-- Libraries are told by the files that this very process has mapped, so the answer is what runs and not
-- what a package manager believes.

local core = require 'inc.core'
local args = require 'inc.args'

local spec = args.spec('doctor', '')

local Result = {__name = 'inc.doctor'}

local function slurp(path)
  local f = io.open(path)
  local text = f and f:read 'a' or ''
  if f then f:close() end
  return text
end

local function on_path(program)
  for folder in (os.getenv 'PATH' or ''):gmatch '[^:]+' do
    if core.path_kind(folder .. '/' .. program) == 'file' then return folder .. '/' .. program end
  end
end

-- -- what there is ------------------------------------------------------------------------------------------

local features = {'sse4_2', 'avx', 'avx2', 'fma', 'f16c', 'avx512f', 'avx512bw', 'avx512vl', 'avx512_bf16',
  'amx_bf16'}

local function cpu()
  local info = slurp '/proc/cpuinfo'
  local flags, has = ' ' .. (info:match 'flags%s*:%s*([^\n]*)' or '') .. ' ', {}
  for _, f in ipairs(features) do
    if flags:find(' ' .. f .. ' ', 1, true) then has[#has + 1] = f end
  end
  return {name = info:match 'model name%s*:%s*([^\n]*)' or 'unknown', features = has,
    threads = core.threads()}
end

local libraries = {'dnnl', 'jpeg', 'png16', 'jansson', 'lua5.4', 'readline', 'gomp'}

local function mapped()
  local maps, found = slurp '/proc/self/maps', {}
  for _, name in ipairs(libraries) do
    local path = maps:match('%s(/[^\n]*/lib' .. name:gsub('%p', '%%%0') .. '%.so[^\n]*)')
    if path then found[name] = core.path_full(path):match '[^/]*$' end
  end
  return found
end

local function memory()
  return math.floor((tonumber(slurp('/proc/meminfo'):match 'MemTotal:%s*(%d+)') or 0) / 1024)
end

local function terminal()
  local kind = os.getenv 'TERM'
  local colours = os.getenv 'COLORTERM'
  return {term = kind or 'none', true_colour = colours == 'truecolor' or colours == '24bit'}
end

-- -- what is missing ----------------------------------------------------------------------------------------

local function missing(r)
  local list = {}
  if not r.gnuplot then
    list[#list + 1] = {what = 'gnuplot, for curves', command = 'apt install gnuplot-nox'}
  end
  if not core.path_kind(inc.root .. 'models/pretrained/inception_v3.safetensors') then
    list[#list + 1] = {what = 'pretrained weights, to fine-tune from',
      command = 'git checkout models/pretrained'}
  end
  return require('inc.json').list(list)
end

function Result:__tostring()
  local lines = {
    ('%-11s %s'):format('processor', self.cpu.name),
    ('%-11s %s'):format('', table.concat(self.cpu.features, ' ')),
    ('%-11s %d'):format('threads', self.cpu.threads), ('%-11s %d MB'):format('memory', self.memory_mb),
    ('%-11s %s'):format('lua', self.lua),
  }
  for _, name in ipairs(libraries) do
    lines[#lines + 1] = ('%-11s %s'):format(name, self.libraries[name] or 'not loaded')
  end
  lines[#lines + 1] = ('%-11s %s'):format('gpus', 'none: the CUDA part is not built yet')
  lines[#lines + 1] = ('%-11s %s%s'):format('terminal', self.terminal.term,
    self.terminal.true_colour and ', 24-bit colours' or '')
  lines[#lines + 1] = ('%-11s %s'):format('gnuplot', self.gnuplot or 'missing')
  for _, m in ipairs(self.missing) do lines[#lines + 1] = ('missing: %s: %s'):format(m.what, m.command) end
  if #self.missing == 0 then lines[#lines + 1] = 'nothing is missing' end
  return table.concat(lines, '\n')
end

--- What this machine has: processor and its features, libraries and versions, GPUs, terminal, plotter; and
-- what is missing, with the command that gets it.
-- > doctor{}
local function doctor(given)
  spec(given)
  local r = {cpu = cpu(), libraries = mapped(), memory_mb = memory(), lua = _VERSION, terminal = terminal(),
    gnuplot = on_path 'gnuplot', gpus = require('inc.json').list{}}
  r.missing = missing(r)
  return setmetatable(r, Result)
end

return doctor
