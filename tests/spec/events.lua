-- TensorBoard's event files: read back by a reader of our own, written from the description of the format,
-- and by the real TensorBoard where one can be found (INC_TENSORBOARD, a Python; or scripts/lib/tensorboard).
local tiny = require 'tiny'

-- -- a reader -----------------------------------------------------------------------------------------------

local function crc32c(s)
  local c = 0xffffffff
  for i = 1, #s do
    c = c ~ s:byte(i)
    for _ = 1, 8 do c = c >> 1 ~ (c & 1 == 1 and 0x82f63b78 or 0) end
  end
  c = ~c & 0xffffffff
  return ((c >> 15 | c << 17) + 0xa282ead8) & 0xffffffff
end

local function varint(s, at)
  local v, shift, byte = 0, 0
  repeat
    byte, at = s:byte(at), at + 1
    v, shift = v | (byte & 127) << shift, shift + 7
  until byte < 128
  return v, at
end

-- Fields of a message: {number = value of its last occurrence}, and all of them in order.
local function fields(s)
  local by_number, all, at = {}, {}, 1
  while at <= #s do
    local key, v
    key, at = varint(s, at)
    local kind, number = key & 7, key >> 3
    if kind == 0 then v, at = varint(s, at)
    elseif kind == 1 then v, at = string.unpack('<d', s, at)
    elseif kind == 5 then v, at = string.unpack('<f', s, at)
    else
      check.equal(kind, 2, 'wire type')
      local n
      n, at = varint(s, at)
      v, at = s:sub(at, at + n - 1), at + n
    end
    by_number[number], all[#all + 1] = v, {number, v}
  end
  return by_number, all
end

local function event_files(folder)
  local list = {}
  for _, name in ipairs(inc.core.list_folder(folder)) do
    if name:find '^events%.out%.tfevents%.%d%d%d%d%d%d%d%d%d%d%.[^/]+%.%d+%.0$' then
      list[#list + 1] = folder .. '/' .. name
    end
  end
  return list
end

-- The events of a file, each as its fields; every checksum is looked at.
local function events_of(path)
  local s, at, list = read_file(path), 1, {}
  while at <= #s do
    local n, head = string.unpack('<I8I4', s, at)
    local data = s:sub(at + 12, at + 11 + n)
    check.equal(head, crc32c(s:sub(at, at + 7)), 'checksum of a length')
    check.equal((string.unpack('<I4', s, at + 12 + n)), crc32c(data), 'checksum of an event')
    list[#list + 1], at = fields(data), at + 16 + n
  end
  return list
end

-- What a folder's files say: {tag = {{step, time, value}, ...}}, oldest file first.
local function read_events(folder)
  local points = {}
  for _, path in ipairs(event_files(folder)) do
    local events = events_of(path)
    check.equal(events[1][3], 'brain.Event:2')
    check.equal(fields(events[1][10])[1], 'incsh')
    check.equal(fields(events[2][7])[1], 1) -- a session starts
    for i = 3, #events do
      for _, f in ipairs(select(2, fields(events[i][5]))) do
        local value = fields(f[2])
        points[value[1]] = points[value[1]] or {}
        table.insert(points[value[1]], {events[i][2], events[i][1], value[2]})
      end
    end
  end
  return points
end

local function as_float(v) return (string.unpack('<f', string.pack('<f', v))) end

-- Every number of the log is there under its name, once, and nothing else is.
local function check_points(points, folder)
  local log = require('inc.run.log').read(folder .. '/log.jsonl')
  for _, name in ipairs(log.names) do
    local expected = {}
    for i, v in ipairs(log[name]) do
      if v == v then expected[#expected + 1] = {log.step[i], log.time[i], as_float(v)} end
    end
    if name ~= 'step' and name ~= 'time' then check.equal(points[name], expected, name) end
    points[name] = nil
  end
  check.equal(points, {})
end

-- -- TensorBoard --------------------------------------------------------------------------------------------

local function python()
  local own = os.getenv 'INC_TENSORBOARD'
  local path = own or 'build/tensorboard/bin/python'
  if sh{path, '-c', 'import tensorboard'}.status == 0 then return path end
  skip(own and own .. ' has no tensorboard' or 'no TensorBoard: scripts/lib/tensorboard installs one')
end

local function tensorboard(folder)
  local r = sh{python(), 'scripts/lib/read_events.py', folder}
  check.equal(r.status, 0, r.err)
  local answer = inc.json.decode(r.out)
  check.equal(answer.writer, 'incsh')
  check.equal(answer.version, 2)
  return answer.points
end

-- -- tests --------------------------------------------------------------------------------------------------

test('event files say what the log says', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  tiny.run(tiny.net(), pictures, out, {norms = true})
  check.equal(#event_files(out), 1)
  local points = read_events(out)
  check.ok(points.grad_norm and points['val.top1'] and points.lr)
  check_points(points, out)
end)

-- A run that was stopped, lost its last steps, and was resumed twice.
local function stopped_twice(dir)
  local pictures = make_pictures(3, 14, 48)
  local o = {steps = 400, save_every = 5, schedule = 'constant'}
  local run = train(tiny.options(tiny.net(), pictures, dir, o))
  while run:status().step < 12 do inc.core.run_wait(run.handle, 0.001) end
  run:stop():wait{quiet = true}
  for _, step in ipairs(inc.core.run_checkpoints(dir)) do
    if step % 5 ~= 0 then os.remove(('%s/checkpoints/step-%d.safetensors'):format(dir, step)) end
  end
  local again = resume{dir, net = tiny.net()}
  while again:status().step < again.first + 7 do inc.core.run_wait(again.handle, 0.001) end
  again:stop():wait{quiet = true}
  local last = resume{dir, net = tiny.net(), steps = again:status().step + 3}:wait{quiet = true}
  check.ok(again.first < run:status().step, 'no steps were lost: nothing to test')
  return last:status().step
end

test('a resumed run has no step twice', function()
  local dir = tmp() .. '/run'
  local steps = stopped_twice(dir)
  check.equal(#event_files(dir), 3)
  local points = read_events(dir)
  check.equal(#points.loss, steps)
  for i = 1, steps do check.equal(points.loss[i][1], i) end
  check_points(points, dir)
end)

test('a run from before there were event files is written from its log', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  tiny.run(tiny.net(), pictures, out, {steps = 8})
  for _, path in ipairs(event_files(out)) do os.remove(path) end
  resume{out, net = tiny.net(), steps = 12}:wait{quiet = true}
  local points = read_events(out)
  check.equal(#points.loss, 12)
  check_points(points, out)
end)

test('the real TensorBoard opens a run', function()
  python()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  tiny.run(tiny.net(), pictures, out)
  check_points(tensorboard(out), out)
end)

-- A run whose optimizer was swapped in the middle, and a fork of it from a step before that.
local function changed(dir)
  local run = train(tiny.options(tiny.net(), make_pictures(3, 14, 48), dir .. '/run',
    {steps = 20, save_every = 5, schedule = 'constant', norms = true}))
  inc.core.run_until(run.handle, 8)
  while not inc.core.run_reached(run.handle, 1) do end
  local say <const> = print
  rawset(_G, 'print', function() end)
  run:swap(optim.adamw{lr = 0.01})
  rawset(_G, 'print', say)
  inc.core.run_until(run.handle, 0)
  run:wait{quiet = true}
  run:fork{step = 7, lr = 0.02, norms = false, out = dir .. '/fork'}:wait{quiet = true}
end

-- Every step once; the rates are those of the log on both sides of the change.
local function check_changed(read, dir)
  for name, rates in pairs{run = {0.05, 8, 0.01}, fork = {0.05, 7, 0.02}} do
    local points = read(dir .. '/' .. name)
    check.equal({#points.loss, #points.lr}, {20, 20})
    for i, p in ipairs(points.lr) do
      check.equal({p[1], p[3]}, {i, as_float(i <= rates[2] and rates[1] or rates[3])}, name)
    end
    check.equal(#points.grad_norm, name == 'run' and 20 or 7)
    check_points(points, dir .. '/' .. name)
  end
end

test('a swap and a fork are one run each', function()
  local dir = tmp()
  changed(dir)
  check_changed(read_events, dir)
  check.equal({#event_files(dir .. '/run'), #event_files(dir .. '/fork')}, {1, 1})
end)

test('the real TensorBoard opens a run with a swap, and a fork', function()
  python()
  local dir = tmp()
  changed(dir)
  check_changed(tensorboard, dir)
end)

test('the real TensorBoard opens a resumed run', function()
  python()
  local dir = tmp() .. '/run'
  local steps = stopped_twice(dir)
  local points = tensorboard(dir)
  check.equal(#points.loss, steps)
  check_points(points, dir)
end)

test.slow('kill -9 at random instants leaves files that can be read', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  write_file(dir .. '/go.lua', ([[
    package.path = %q .. ';' .. package.path
    local tiny, out = require 'tiny', arg[1]
    if inc.core.path_kind(out .. '/config.json') then
      resume{out, net = tiny.net()}:wait{quiet = true}
    else
      os.execute("rm -rf '" .. out .. "'")
      tiny.run(tiny.net(), %q, out, {steps = 300, save_every = 7})
    end]]):format((package.path:match '^[^;]*tests/%?%.lua' or 'tests/?.lua'), pictures))
  local go, out = ('%s %s/go.lua %s/run'):format(incsh, dir, dir), dir .. '/run'
  for round = 1, 6 do sh(('%s & p=$!; sleep 0.%02d; kill -9 $p; wait $p'):format(go, 20 + round * 5)) end
  local r = sh(go)
  check.equal(r.status, r.err:find 'steps are made' and 1 or 0, r.err)
  local points = read_events(out)
  check.equal(#points.loss, 300)
  for i = 1, 300 do check.equal(points.loss[i][1], i) end
end)

test('event files that cannot be written stop the run at its start', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/run'
  tiny.run(tiny.net(), pictures, out, {steps = 4})
  local path = event_files(out)[1]
  inc.core.make_folder(path:gsub('%d+%.0$', '') .. '1.0') -- a folder of such a name cannot be read
  check.raises(function() resume{out, net = tiny.net(), steps = 6} end, '~events%.out%.tfevents%.[^:]*: ')
end)
