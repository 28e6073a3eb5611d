-- docs.lua: nothing public lacks help, and every example runs.
--
-- What is public comes from lua/inc/help/public.lua, which reads it off the tables that users reach, so a new
-- function without a text or an example fails here. Examples are run as they stand, in a world that has what
-- they speak of: a net, pictures, a run that trains, two finished runs, a plan. "--> value" behind a line is
-- what it gives. Paths of the reader ('photos', 'runs/first', 'rose.jpg', 'a.safetensors') are moved into a
-- folder of the test.

local index = require 'inc.help.index'
local tiny = require 'tiny'

-- == nothing is missing ========================================================

local function not_built(e) return table.concat(e.text, ' '):find 'not built yet' ~= nil end

-- Optimizers that other specs made in this process: no part of what is shipped.
local function made_by_specs()
  local made = {}
  for _, name in ipairs(optim.names()) do made['optim.' .. name] = optim[name].own or nil end
  return made
end

test('everything public has help and an example', function()
  local names, silent, bare, made = index.all().names, {}, {}, made_by_specs()
  local all = require 'inc.help.public'.list()
  check.ok(#all > 400, 'too few public names: ' .. #all)
  for _, item in ipairs(all) do
    local e = names[item.name]
    if made[item.name] then goto continue end
    if not e or #e.text == 0 then silent[#silent + 1] = item.name
    elseif #e.examples == 0 and not not_built(e) then bare[#bare + 1] = item.name end
    ::continue::
  end
  check.equal(silent, {}, 'without help')
  check.equal(bare, {}, 'without an example')
end)

test('every verb of the command line has help', function()
  for _, verb in ipairs(getmetatable(inc).__verbs) do
    check.ok(#(inc.help.text(verb) or '') > 40, verb)
  end
end)

-- What the comment above a function says of its own options.
local function told_above(name, option)
  for _, e in ipairs(index.find(name)) do
    local text = table.concat(e.text, '\n')
    for names in text:gmatch '@param ([%w_, .]+)' do
      if (names .. ','):find('%f[%w_]' .. option .. '[, ]') then return true end
    end
  end
end

local function lacking(list, call, option)
  local text = require 'inc.help.options'.text(call, option)
  if (not text or #text < 5) and not told_above(call, option) then list[#list + 1] = call .. '.' .. option end
end

test('every option of every call and op has a line', function()
  local list, n = {}, 0
  require 'inc.help.public'.list()
  for name, spec in pairs(inc.args.specs) do
    local user = name:find 'signum' or name:find 'test' or name:find '^%u' or #name < 3 -- made by other specs
    for _, param in ipairs(user and {} or spec.params) do
      lacking(list, name, param.name)
      n = n + 1
    end
  end
  for _, op in ipairs(inc.core.ops()) do
    for item in (op.hidden and '' or op.sig:gsub('%->.*', '')):gmatch '[^,]+' do
      local name, kind = item:match '^%s*([%w_]+)%s*:%s*(%S+)'
      if name and not kind:find '^tensor' then lacking(list, op.name, name) end
    end
  end
  table.sort(list)
  check.equal(list, {})
  check.ok(n > 400, 'too few options: ' .. n)
end)

test('help shows arguments, units, defaults and an example', function()
  local text = inc.help.text 'data.folder'
  check.contains(text, 'data.folder{path; val = 0.2, seed = 1')
  check.contains(text, 'val = 0.2')
  check.contains(text, "> flowers = data.folder{'photos', val = 0.2, seed = 1}")
  check.contains(inc.help.text 'train', 'On the command line: incsh train DATA --name value')
  check.contains(inc.help.text 'conv2d', 'stride = 1')
  for _, line in ipairs{'run:stop', 'run.log', 'run:set'} do check.contains(inc.help.text 'run', line) end
  check.contains(inc.help.text 'optimizer', inc.help.text(optim.sgd{lr = 1}))
  check.equal(inc.help.text(inc.ones{1}), inc.help.text 'tensors')
  check.contains(inc.help.text(nn.Conv2d), 'nn.Conv2d{out_channels')
  check.contains(inc.help.text(inc.relu), 'inc.relu(x)')
end)

test('help fits 80 columns, and tells all of what is returned', function()
  for _, name in ipairs{'train', 'inc.plot', 'predict', 'nn.Conv2d', 'conv2d', 'data.folder', 'compare'} do
    for line in inc.help.text(name):gmatch '[^\n]+' do
      if not line:find '^  >' then check.ok(#line <= 80, name .. ': ' .. line) end
    end
  end
  check.contains(inc.help.text 'train', 'run.log')
end)

test('an unknown name gets the nearest', function()
  local text, why = inc.help.text 'Sequental'
  check.ok(text == nil)
  check.equal(why, 'no help on "Sequental"; did you mean Sequential?')
end)

test("a variable of the user's is told by what it is, not by what has a name like it", function()
  local before = rawget(_G, 'flowers')
  rawset(_G, 'flowers', optim.sgd{lr = 1})
  local text = inc.help.text 'flowers'
  rawset(_G, 'flowers', before)
  check.equal(text:match '[^\n]*', 'flowers is an optimizer:')
  check.contains(text, 'optimizer:bind')
  check.contains(inc.help.text 'folder', 'data.folder{path')
  check.contains(inc.help.text 'folder', 'folder:show')
end)

test('a summary begins where the sentence does, and takes the room there is', function()
  check.equal(inc.help.summary(index.all().names['inc.show']),
    'A contact sheet of pictures, with captions: in the terminal, or as a PNG.')
  check.equal(inc.help.summary(index.all().names['part:image']),
    'the i-th picture whole, upright, as a u8 tensor [3, H, W].')
  check.ok(not inc.help.search 'plot':find 'file_script', 'a function that is not for users')
end)

test('apropos finds names, texts, options and topics', function()
  local text = inc.help.search 'smoothing'
  for _, name in ipairs{'inc.cross_entropy', 'label_smoothing =', 'inc.plot.smooth'} do
    check.contains(text, name)
  end
  check.contains(inc.help.search 'Ctrl-R', 'help prompt')
  check.equal(inc.help.search 'zyzzyva', 'nothing mentions "zyzzyva"')
  check.ok(not inc.help.search('core'):find 'inc.core.run_')
end)

test('a topic fits a terminal of 24 lines, and names only what is there', function()
  local topics = require 'inc.help.topics'
  for _, name in ipairs(topics.order) do
    local n = select(2, topics[name]:gsub('\n', '')) + 1
    check.ok(n <= 22, ('%s has %d lines'):format(name, n))
    check.ok(topics.summary[name], name)
    for line in topics[name]:gmatch '[^\n]+' do check.ok(#line <= 112, line) end
  end
end)

test('every optimizer says where it comes from and what it does', function()
  local n = 0
  for _, name in ipairs(optim.names()) do
    local e = index.all().names['optim.' .. name]
    if e then
      local text = table.concat(e.text, '\n')
      local paper = text:find 'arXiv %d+%.%d+' or text:find '%(%u[%w., ]+%d%d%d%d'
      check.ok(paper, name .. ' names no paper')
      local equation = text:find 'p = p' or text:find 'p %* %(1' or text:find 'optim%.%w+'
      check.ok(equation, name .. ' has no equation')
      n = n + 1
    end
  end
  check.ok(n >= 16, n .. ' optimizers')
end)

-- == a world for the examples ==================================================

-- Names of layers as examples use them; for 48x48 pictures, milliseconds a step.
local function small_net()
  local net = nn.Sequential{
    nn.Conv2d{8, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.Conv2d{8, kernel_size = 3, stride = 2},
    nn.AdaptiveAvgPool2d{1}, nn.Flatten{}, nn.Linear{3},
    names = {'Conv2d_1a', 'bn', 'Mixed_6e', 'avgpool', 'flat', 'fc'},
  }
  net.preprocess, net.classes = nn.preprocess{size = 48}, {'class1', 'class2', 'class3'}
  return net:build{1, 3, 48, 48}
end

local world -- made at the first example that wants it

local function make_world()
  local dir = tmp()
  local pictures = make_pictures(3, 20, 64)
  os.execute(('mv %s %s/photos && mkdir %s/runs'):format(quote(pictures), quote(dir), quote(dir)))
  local w = {dir = dir, photos = dir .. '/photos'}
  w.rose = data.folder{w.photos}.train:item(1).file
  for i, name in ipairs{'first', 'second', 'a', 'b'} do
    tiny.run(tiny.net(3, i), w.photos, dir .. '/runs/' .. name, {steps = 4})
  end
  inc.save(dir .. '/a.safetensors', small_net())
  return w
end

local kinds = {safetensors = true, html = true, png = true, svg = true, json = true, txt = true, csv = true}

local function moved(code)
  return (code:gsub("'([%w_./]+)'", function(path)
    if path == 'photos' then return quote(world.photos) end
    if path == 'rose.jpg' then return quote(world.rose) end
    local ours = path:find '^runs/' or kinds[path:match '%.(%w+)$'] and not path:find '^models/'
    return ours and quote(world.dir .. '/' .. path) or nil
  end))
end

local makers = {}
function makers.net() return small_net() end
function makers.flowers() return data.folder{world.photos, val = 0.25} end
function makers.x() return inc.randn{2, 3, 48, 48} end
function makers.y() return inc.tensor{1, 2, dtype = 'i64'} end
function makers.opt(env)
  return optim.adamw{lr = 1e-3}:bind(env.net, {accumulate = true, follow = {'weight_decay'}})
end
makers.new = makers.opt
function makers.run()
  world.runs = (world.runs or 0) + 1
  return train(tiny.options(tiny.net(3), world.photos, ('%s/runs/live%d'):format(world.dir, world.runs),
    {steps = 40}))
end
function makers.step(env)
  local net = env.net
  local step = inc.plan(function(x, y)
    local loss = net:loss(x, y)
    loss:backward()
    return loss
  end, {dumps = true})
  step(env.x, env.y)
  return step
end
function makers.c()
  return compare{small_net(), world.photos, steps = 2, seeds = {1}, batch = 8, size = 48, live = false,
    out = world.dir .. '/compared', {'sgd', optim.sgd{lr = 0.02}}, {'adamw', optim.adamw{}}}
end

-- Names that examples speak of are made when they are first read.
local function new_env()
  local env = {print = function() end}
  return setmetatable(env, {__index = function(t, name)
    local make = makers[name]
    if not make then return _G[name] end
    world = world or make_world()
    local value = make(t)
    rawset(t, name, value)
    return value
  end})
end

-- Examples that would take minutes, or need a run of a whole Inception-v3: they must be Lua, and what they
-- call is tested elsewhere.
local long = {bench = true, compare = true, tour = true, resume = true, ['models.open'] = true,
  fork = true, ['run:fork'] = true}

local function run_item(e, env, item)
  local help = inc.help
  local code, expect = item:match '^(.-)%s*%-%->%s*([^\n]-)%s*$'
  code = moved(code or item)
  local f, why = load('return ' .. code, '=example', 't', env)
  if not f then f, why = load(code, '=example', 't', env) end
  if not f then error(why, 0) end
  if long[e.name] or (e.file or ''):find '/inc/shell/' then return end
  local ok, got = pcall(f)
  if not ok then error(('%s: %s'):format(code, tostring(got):match '^[^\n]*'), 0) end
  if expect and not help.agrees(got, expect) then
    error(('%s gives %s, the text says %s'):format(code, inc.show.value(got), expect), 0)
  end
end

local function run_entry(e)
  local env = new_env()
  world = world or make_world()
  local ok, why = true, nil
  for _, item in ipairs(inc.help.entries(e.examples)) do
    if ok then ok, why = pcall(run_item, e, env, item) end
  end
  local run = rawget(env, 'run')
  if run and run.handle then pcall(function() run:stop():wait{quiet = true} end) end
  if not ok then error(why, 0) end
end

test('the examples of the documentation run', function()
  local failed, n = {}, 0
  local stdout, say <const> = io.stdout, print
  rawset(_G, 'print', function() end)
  rawset(io, 'stdout', assert(io.open('/dev/null', 'w')))
  for _, e in ipairs(index.all()) do
    if #e.examples > 0 and not not_built(e) then
      local ok, why = pcall(run_entry, e)
      n = n + 1
      if not ok then failed[#failed + 1] = e.name .. ': ' .. tostring(why) end
    end
  end
  io.stdout:close()
  rawset(io, 'stdout', stdout)
  rawset(_G, 'print', say)
  world = nil
  check.equal(failed, {})
  check.ok(n > 300, n .. ' entries with examples')
end)

-- == README and examples/ ======================================================

local function blocks_of(path)
  local list, block = {}, nil
  for line in io.lines(path) do
    if line:find '^```' then
      if block then list[#list + 1] = block end
      block = not block and {kind = line:match '^```(%w*)', lines = {}} or nil
    elseif block then block.lines[#block.lines + 1] = line end
  end
  return list
end

-- What a block shows as Lua: all of a Lua block, and what stands behind the prompt in a session.
local function lua_of(block)
  if block.kind == 'lua' then return block.lines end
  local lines = {}
  for _, line in ipairs(block.lines) do lines[#lines + 1] = line:match '^> (.*)$' end
  return lines
end

test('the Lua of the README is Lua, and speaks of what there is', function()
  local n = 0
  for i, block in ipairs(blocks_of 'README.md') do
    local lines = lua_of(block)
    local code = table.concat(lines, '\n')
    for _, item in ipairs(inc.help.entries(lines)) do
      if item ~= '' then check.ok(load('return ' .. item) or load(item), ('block %d: %s'):format(i, item)) end
    end
    for place, name in code:gmatch '%f[%w_.](%l+)%.([%w_]+)' do
      local t = ({inc = inc, nn = nn, optim = optim, data = data, models = models, recipes = recipes})[place]
      if t then
        check.ok(t[name] ~= nil, ('README: there is no %s.%s'):format(place, name))
        n = n + 1
      end
    end
  end
  check.ok(n > 8, n .. ' names')
end)

test('examples run as they stand', function()
  for _, name in ipairs{'00_tour', '15_own_optimizer'} do
    local r = sh(('%s examples/%s.lua'):format(incsh, name))
    check.equal(r.status, 0, r.err)
    check.ok(#r.out > 200, name)
  end
end)

test.slow('the example of fork and swap runs on pictures', function()
  local r = sh(('%s examples/30_fork.lua %s %s/o'):format(incsh, quote(make_pictures(3, 14, 48)), tmp()))
  check.equal(r.status, 0, r.err)
  check.contains(r.out, 'at step 26: fork of ')
  check.contains(r.out, 'swap to optim.adamw{weight_decay = 0.05}: exp_avg, exp_avg_sq kept')
  check.contains(r.out, '4 runs in ')
  check.contains(sh(incsh .. ' examples/30_fork.lua').err, 'usage: incsh examples/30_fork.lua PHOTOS [OUT]')
end)
