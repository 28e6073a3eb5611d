-- plan_choice.lua: kernels chosen by measurement (core/cpu/choice.h) as seen from Lua: results agree whatever
-- is chosen, a plan tells what was measured, a run goes on to the bit although the choices have changed.
local tiny = require 'tiny'
local core = inc.core

-- Two convolutions that are large enough to be measured and have Winograd's form beside the direct one.
local function make_step()
  inc.seed(11)
  local w1, w2 = inc.randn{32, 32, 3, 3, requires_grad = true}, inc.randn{48, 32, 3, 3, requires_grad = true}
  local x = inc.randn{2, 32, 40, 40}
  local function step(a)
    local y = inc.conv2d(inc.conv2d(a, w1, {padding = 1}):relu(), w2, {padding = 1}):square():mean()
    y:backward()
    local g = (w1.grad:square():sum() + w2.grad:square():sum()):sqrt()
    w1.grad, w2.grad = nil, nil
    return y, g
  end
  return step, x
end

-- The record of a plan with every measured node given to `way`, where it has that.
local function all_to(record, way)
  return (record:gsub('\t[^\t\n]+\t', '\t' .. way .. '\t'))
end

local function several(record) return record:find '\t' ~= nil end

test('a plan tells what was measured', function()
  local step, x = make_step()
  local p = inc.plan(step)
  p(x)
  local record = p.current:choices()
  check.contains(record, 'threads ' .. core.threads())
  if not several(record) then skip 'this library has one way to do a convolution' end
  check.contains(record, '\t' .. core.threads() .. 't conv2d')
  check.ok(p:explain():find 'measured: %S+ %d+%.%d+, %S+ %d+%.%d+')
end)

test('results agree whatever is chosen', function()
  local step, x = make_step()
  local y, g = step(x)
  local p = inc.plan(step)
  p(x)
  local record = p.current:choices()
  for _, way in ipairs{'direct', 'winograd', 'blocked', 'product'} do
    core.kernels_import(all_to(record, way))
    local q = inc.plan(step)
    local py, pg = q(x)
    check.close(py, y, 2e-5, way)
    check.close(pg, g, 2e-5, way)
  end
  core.kernels_forget()
end)

test('an imported record is what the next plan says', function()
  local step, x = make_step()
  local p = inc.plan(step)
  p(x)
  local record = p.current:choices()
  for _, way in ipairs{'winograd', 'direct'} do
    core.kernels_import(all_to(record, way))
    local q = inc.plan(step)
    q(x)
    local now = q.current:choices()
    core.kernels_import(now)
    local r = inc.plan(step)
    r(x)
    check.equal(r.current:choices(), now)
    if several(record) then check.contains(now, '\t' .. way .. '\t') end
  end
  core.kernels_forget()
end)

local function wide_net(seed)
  local before = inc.seed()
  inc.seed(seed or 3)
  local net = nn.Sequential{
    nn.Conv2d{32, in_channels = 3, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
    nn.Conv2d{32, kernel_size = 3, padding = 1}, nn.BatchNorm2d{}, nn.ReLU{},
    nn.AdaptiveAvgPool2d{1}, nn.Flatten{}, nn.Linear{3},
  }
  net.preprocess = require('inc.nn.preprocess').new{size = 48}
  net:build{1, 3, 48, 48}
  inc.seed(before)
  return net
end

test('a run goes on to the bit although the choices have changed since', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(wide_net(), pictures, dir .. '/whole', {steps = 8})
  local record = core.read_file(dir .. '/whole/kernels.txt')
  if not several(record) then skip 'this library has one way to do a convolution' end
  tiny.run(wide_net(), pictures, dir .. '/parts', {steps = 4, schedule = 'constant'})
  tiny.run(wide_net(), pictures, dir .. '/flat', {steps = 8, schedule = 'constant'})
  -- whatever was measured first, the process now believes the opposite
  local other = record:find '\twinograd\t' and 'direct' or 'winograd'
  core.kernels_import(all_to(record, other))
  resume{dir .. '/parts', net = wide_net(77), steps = 8}:wait{quiet = true}
  check.equal(core.read_file(dir .. '/parts/kernels.txt'), record)
  check.equal(tiny.state(dir .. '/parts'), (tiny.state(dir .. '/flat')))
  core.kernels_forget()
end)

test('bf16: the same seed gives the same bits, choices measured or read from the cache', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local function run(name, changes)
    local o = {steps = 8, precision = 'bf16', schedule = 'constant'}
    for key, value in pairs(changes or {}) do o[key] = value end
    tiny.run(wide_net(), pictures, dir .. '/' .. name, o)
    return (tiny.state(dir .. '/' .. name))
  end
  local first = run 'first'
  check.equal(run 'again', first)
  core.kernels_forget() -- as the next process would, from the file
  check.equal(run 'cached', first)
  check.equal(core.read_file(dir .. '/cached/kernels.txt'), core.read_file(dir .. '/first/kernels.txt'))
  run('parts', {steps = 4})
  core.kernels_forget()
  resume{dir .. '/parts', net = wide_net(77), steps = 8}:wait{quiet = true}
  check.equal((tiny.state(dir .. '/parts')), first)
end)

test('a run that finds no such kernel any more says so', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  tiny.run(wide_net(), pictures, dir .. '/a', {steps = 4, schedule = 'constant'})
  local record = core.read_file(dir .. '/a/kernels.txt')
  if not several(record) then skip 'this library has one way to do a convolution' end
  write_file(dir .. '/a/kernels.txt', all_to(record, 'gone'))
  local r = sh{arg[-1], '-e', ([[
    local net = nn.Sequential{
      nn.Conv2d{32, in_channels = 3, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
      nn.Conv2d{32, kernel_size = 3, padding = 1}, nn.BatchNorm2d{}, nn.ReLU{},
      nn.AdaptiveAvgPool2d{1}, nn.Flatten{}, nn.Linear{3}}
    net.preprocess = require('inc.nn.preprocess').new{size = 48}
    net:build{1, 3, 48, 48}
    resume{%q, net = net, steps = 6}:wait{quiet = true}]]):format(dir .. '/a')}
  check.equal(r.status, 0)
  check.contains(r.err, 'other kernels than before are used here')
end)

test('exact = true leaves Winograd out and stays nearer to f64', function()
  local step, x = make_step()
  local p = inc.plan(step, {exact = true})
  local y = p(x):item()
  check.ok(not p.current:choices():find 'wino', 'Winograd was chosen')
  for _, way in ipairs{'winograd', 'direct'} do
    core.kernels_import(all_to(p.current:choices(), way))
    local q = inc.plan(step, {exact = true})
    check.close(q(x):item(), y, 1e-6)
    check.ok(not q.current:choices():find 'wino', 'a record brought Winograd in')
  end
  core.kernels_forget()
end)

test('a profiled plan tells rates and shares of the measured peak', function()
  local step, x = make_step()
  local p = inc.plan(step)
  p(x)
  check.ok(not p:explain():find 'measured to do at most', 'a share without a time')
  p:profile()
  p(x)
  local text = p:explain()
  local f32, reading = text:match 'at most: f32 (%d+), bf16 %d+ GFLOP/s, reading (%d+) GB/s'
  check.ok(tonumber(f32) >= 1 and tonumber(reading) >= 1, text)
  local rate, share = text:match 'conv2d_backward_data[^\n]* (%d+) GF/s +(%d+)%%'
  check.ok(tonumber(rate) >= 1 and tonumber(share) >= 1, text)
  local kernels, of_all = 0, 0
  for n, part in text:gmatch '\n *(%d+) %S+ +%S+ +[%d.]+ +([%d.]+)%%' do
    kernels, of_all = kernels + n, of_all + part
  end
  check.equal(kernels, p:memory().kernels)
  check.close(of_all, 100, 0.02)
end)
