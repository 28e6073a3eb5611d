-- input.lua: pictures a second and core of the input pipeline, ours beside torchvision's and DALI's.
--
--     incsh scripts/bench/input.lua [--data FOLDER] [--pictures N] [--rounds N] [--folder RESULTS] [--quick]
--
-- FOLDER: JPEGs, in it or in folders below; $INC_SHARED/data/photos when left out. One thread each, processor
-- time, 299x299 floats out, crops of 5 to 100% of the area, mirrored; "colour" adds brightness, contrast,
-- saturation and hue. All read the same files, in turn, round by round; the best round counts.

local measure = dofile 'scripts/bench/measure.lua'
local options = {pictures = 400, rounds = 3}
local numbers = {pictures = true, rounds = true}
local words = {data = true, folder = true}

local function read_options()
  local i = 1
  while arg[i] do
    local name = arg[i]:match '^%-%-(%w+)$'
    if name == 'quick' then
      options.pictures, options.rounds, options.quick, i = 64, 1, true, i + 1
    elseif name and (numbers[name] or words[name]) then
      options[name] = numbers[name] and math.tointeger(arg[i + 1]) or arg[i + 1]
      i = i + 2
    else
      error(('bench: unknown option %s; expected --data, --pictures, --rounds, --folder or --quick')
        :format(arg[i]), 0)
    end
  end
end

-- The first so many JPEGs, in byte order of their paths.
local function pictures(folder)
  local list = {}
  local found = measure.output(("find '%s' -name '*.jp*g' -o -name '*.JP*G' | LC_ALL=C sort | head -n %d")
    :format(folder, options.pictures))
  for path in found:gmatch '[^\n]+' do list[#list + 1] = path end
  return list
end

local kinds = {{name = 'light', ours = 'light'}, {name = 'colour', ours = 'inception'}}

local function contestants(list_file)
  local list = {{name = 'incsh', run = function(kind)
    local text = measure.output(('xargs -d "\\n" build/bench/input %s < %s 2>&1'):format(kind.ours,
      list_file))
    return tonumber(text:match '([%d.]+) ms each'), text
  end}}
  local function add(name, python, script)
    list[#list + 1] = {name = name, run = function(kind)
      local text = measure.output(('%s -W ignore scripts/bench/%s %s %s 2>&1'):format(python, script,
        kind.name, list_file))
      return tonumber(text:match '([%d.]+) ms each'), text
    end}
  end
  for name, python in measure.output 'scripts/bench/peers list':gmatch '(%S+)\t(%S+)' do
    if name == 'torch' then
      add('torchvision PIL', python, 'input_torchvision.py pil')
      add('torchvision tensor', python, 'input_torchvision.py tensor')
    elseif name == 'dali' then
      add('DALI', python, 'input_dali.py')
    end
  end
  return list
end

local function run_round(list, results)
  for _, kind in ipairs(kinds) do
    for _, c in ipairs(list) do
      local ms, text = c.run(kind)
      local key = kind.name .. ' ' .. c.name
      if ms then
        results[key] = math.min(results[key] or ms, ms)
      else
        io.stderr:write(('bench: %s: %s\n'):format(key, text:match '([^\n]*)\n?$'))
      end
    end
  end
end

local function table_text(list, results, about)
  local out = {('cpu: %s, %s, load at the start %.2f, %d pictures of %s'):format(about.cpu, about.date,
    about.load, about.pictures, about.data)}
  out[2] = ('%-8s %-20s %10s %14s %10s'):format('', '', 'ms each', 'img/s/core', 'ours is')
  for _, kind in ipairs(kinds) do
    local ours = results[kind.name .. ' incsh']
    for _, c in ipairs(list) do
      local ms = results[kind.name .. ' ' .. c.name]
      if ms then
        out[#out + 1] = ('%-8s %-20s %10.3f %14.0f %10s'):format(kind.name, c.name, ms, 1e3 / ms,
          c.name ~= 'incsh' and ours and ('%.2fx'):format(ms / ours) or '')
      end
    end
  end
  return table.concat(out, '\n') .. '\n'
end

local function json_text(list, results, about)
  local rows = {}
  for _, kind in ipairs(kinds) do
    for _, c in ipairs(list) do
      local ms = results[kind.name .. ' ' .. c.name]
      if ms then rows[#rows + 1] = {kind = kind.name, program = c.name, ms = ms, img_s_core = 1e3 / ms} end
    end
  end
  return inc.json.encode{cpu = about.cpu, date = about.date, load = about.load, rows = rows} .. '\n'
end

read_options()
local about = {load = measure.load(), date = os.date '!%Y-%m-%d %H:%M'}
local slug
about.cpu, about.flags, slug = measure.cpu()
about.data = options.data or (os.getenv 'INC_SHARED' or '../shared') .. '/data/photos'
local files = pictures(about.data)
about.pictures = #files
if #files == 0 then
  io.stderr:write(('bench: the input pipeline was not measured: no JPEGs in %s (--data FOLDER)\n')
    :format(about.data))
  return
end
if not os.execute 'make -s build/bench/input' then error('bench: build/bench/input could not be built', 0) end
local list_file = os.tmpname()
measure.save(list_file:match '^(.*)/', list_file:match '[^/]*$', table.concat(files, '\n') .. '\n')
local list, results = contestants(list_file), {}
for _ = 1, options.rounds do run_round(list, results) end
os.remove(list_file)
local text = table_text(list, results, about)
io.write(text)
if not options.quick or options.folder then
  local folder = options.folder or 'scripts/bench/results/' .. slug
  measure.save(folder, 'input.txt', text)
  measure.save(folder, 'input.json', json_text(list, results, about))
end
