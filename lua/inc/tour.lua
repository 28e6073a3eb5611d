-- tour.lua -- tour(): ten steps at the prompt, from a tensor to a trained net, in about two minutes.
--
-- Each step says what it is about, shows the line, and runs it when the user presses Enter; another line
-- may be typed instead, which is run and leaves the step where it is. The lines are what a user would type
-- and their names stay after the tour, so everything can be looked at later. Pictures are drawn by this
-- file (discs, squares and crosses), because a first look must not depend on a download; where the
-- pretrained weights are, the ninth step fine-tunes Inception-v3 on them. Without a terminal it runs
-- through. Rejected: a tour as text to read, which goes out of date unnoticed, and one in a net of its own
-- names, which leaves nothing behind.
local core = require 'inc.core'
local host = require 'inc.host'
local args = require 'inc.args'

local EACH, SIDE = 120, 64 -- pictures of a class, and their side in pixels
local WEIGHTS = 'models/pretrained/inception_v3.safetensors'

-- -- pictures -----------------------------------------------------------------------------------------------

-- Numbers of its own (0 to below 1), so that the tour does not move the user's random numbers.
local function generator()
  local state = 20161
  return function(low, high)
    state = (state * 1103515245 + 12345) % 2147483648
    return low + (high - low) * state / 2147483648
  end
end

local inside = {
  disc = function(dx, dy, r) return (dx * dx + dy * dy):lt(r * r) end,
  square = function(dx, dy, r) return dx:abs():maximum(dy:abs()):lt(r * 0.85) end,
  cross = function(dx, dy, r)
    local x, y = dx:abs(), dy:abs()
    return x:minimum(y):lt(r * 0.3):logical_and(x:maximum(y):lt(r))
  end,
}

local function draw(shape, random)
  local line = core.arange{1, SIDE}
  local r = random(SIDE * 0.2, SIDE * 0.38)
  local dx = line:view{1, 1, SIDE} - random(r, SIDE - r)
  local dy = line:view{1, SIDE, 1} - random(r, SIDE - r)
  local function colour(low, high)
    return core.tensor{random(low, high), random(low, high), random(low, high)}:view{3, 1, 1}
  end
  local front, back = colour(140, 255), colour(0, 110)
  local slope = core.tensor{random(-1, 1), random(-1, 1), random(-1, 1)}
  local ground = back + slope:view{3, 1, 1} * (dx + dy)
  local mask = inside[shape](dx, dy, r):cast 'f32'
  return (mask * front + (1 - mask) * ground):clamp{min = 0, max = 255}:cast 'u8'
end

local function draw_all(folder)
  local random = generator()
  for _, shape in ipairs{'cross', 'disc', 'square'} do
    core.make_folder(folder .. '/' .. shape)
    for i = 1, EACH do
      core.image_save(('%s/%s/%s%d.png'):format(folder, shape, shape, i), draw(shape, random))
    end
  end
end

-- -- what is left behind ------------------------------------------------------------------------------------

local RUNS = {'small', 'big', 'lion'}

-- The settings of the tour's runs as they are now. A run that the user took further (resume, set, swap) has
-- others than the tour gave it.
local function settings_of(folder)
  local list = {}
  for _, name in ipairs(RUNS) do
    for _, file in ipairs{'config.json', 'changes.jsonl'} do
      local f <close> = io.open(('%s/runs/%s/%s'):format(folder, name, file), 'rb')
      list[name] = (list[name] or '') .. (f and f:read 'a' or '')
    end
  end
  return list
end

-- Remove what the tour made, but for a run that was changed since; if something of the user's stays, so do
-- the pictures that it may have been trained on.
local function remove(folder, as_left)
  local now = settings_of(folder)
  for _, name in ipairs(RUNS) do
    if now[name] == as_left[name] then host.spawn({'rm', '-rf', folder .. '/runs/' .. name}, '', 60) end
  end
  os.remove(folder .. '/runs')
  if host.kind(folder .. '/runs') then io.stderr:write(('your runs stay in %s\n'):format(folder)) return end
  host.spawn({'rm', '-rf', folder .. '/shapes', folder .. '/sheet.png'}, '', 60)
  os.remove(folder) -- only when it is empty
end

-- Folder -> settings of this session's tours, which go at its end: then runs are collected first, since they
-- are younger, and nothing writes there any more.
local made = setmetatable({}, {__gc = function(self)
  for folder, as_left in pairs(self) do remove(folder, as_left) end
end})

local function keep_all()
  for folder in pairs(made) do
    print(('kept: %s'):format(folder))
    made[folder] = nil
  end
end

local function new_folder()
  local folder = host.temporary 'tour'
  made[folder] = settings_of(folder)
  return folder
end

-- -- steps --------------------------------------------------------------------------------------------------

local function weights_path()
  if core.path_kind(WEIGHTS) then return WEIGHTS end
  local path = require 'inc'.root .. WEIGHTS
  return core.path_kind(path) and path
end

local function last_but_one(folder)
  local path = weights_path()
  if path then
    return {'Fine-tuning Inception-v3', ([[
The net of the paper, with weights that know pictures already. Its 300 layers
stay as they are here and only the new classifier learns: recipes.head_only.
Nothing else changes; with more pictures and time, leave the recipe out and
all layers train.]]),
      ("big = models.inception_v3{classes = 3, aux = false, weights = '%s'}"):format(path),
      ([[
run2 = train(recipes.head_only{big, shapes, size = 139, batch = 16, steps = 30,
  out = '%s/runs/big'})]]):format(folder),
      'run2:wait()'}
  end
  return {'Another optimizer', ([[
An optimizer is a value: it prints as the call that makes it, and any run may
take any. The pretrained weights of Inception-v3 are not here
(models/pretrained), so the small net starts once more, with another one.]]),
    'net:reset(2)',
    ([[
run2 = train{net, shapes, optimizer = optim.lion{lr = 1e-3}, batch = 30,
  epochs = 8, augment = 'none', out = '%s/runs/lion'}]]):format(folder),
    'run2:wait()'}
end

-- {title, explanation, line, ...}
local function steps(folder)
  return {
    {'Tensors', [[
Any Lua line may be typed; the value of an expression is printed with its
shape, dtype and device. Every op runs when it is called. Dims and indices
count from 1, negative ones from the end.]],
      'x = inc.randn{2, 3}', 'x', '(x * 2 + 1):relu():sum{dim = 2}'},
    {'Gradients', [[
A tensor that wants a gradient remembers what is computed from it; backward()
fills in its grad. Methods that end in _ write in place.]],
      'w = inc.randn{3, 4, requires_grad = true}', 'x:matmul(w):sum():backward()', 'w.grad'},
    {'Help', [[
?name or help 'name' explains every function, layer, option and verb; apropos
'word' searches; Tab completes names and options inside { }; a wrong option is
answered with the nearest right one.]],
      "help 'nn.MaxPool2d'"},
    {'Pictures', [[
A folder with one sub-folder a class. The tour has drawn discs, squares and
crosses in random colours; your photos would stand in their place. A quarter
is held out, chosen by a hash of the file names.]],
      ("shapes = data.folder{'%s/shapes', val = 0.25}"):format(folder), 'shapes',
      ("show{shapes, n = 6, size = 20, file = '%s/sheet.png'}"):format(folder)},
    {'A net', [[
Layers are made from one table; what is left out (here: input channels) is
found from the first input. Nets print as a tree, and summary shows shapes,
parameters and FLOPs.]],
      [[
net = nn.Sequential{
  nn.Conv2d{16, kernel_size = 5, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
  nn.Conv2d{32, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
  nn.Conv2d{48, kernel_size = 3, stride = 2}, nn.BatchNorm2d{}, nn.ReLU{},
  nn.AdaptiveAvgPool2d{1}, nn.Flatten{}, nn.Linear{3},
}]], 'net.preprocess = nn.preprocess{size = 64, crop = 1, range = {-1, 1}}',
      'net:build{1, 3, 64, 64}:summary{32, 3, 64, 64}'},
    {'Training', [[
train plans the whole step (forward, loss, gradients, update), starts it in
the background and gives the prompt back. The run keeps everything in its
folder: settings, log, checkpoints; incsh resume goes on from there, to the
bit, even after kill -9.]],
      ([[
run = train{net, shapes, optimizer = optim.adamw{lr = 0.01}, batch = 30,
  schedule = optim.cosine{}, epochs = 25, augment = 'none',
  out = '%s/runs/small'}]]):format(folder), 'run'},
    {'Watching', [[
run:pause(), run:set{lr = 1e-3}, run:stop() work while it trains. Here we wait
for its end and look at the curve.]],
      'run:wait()', "run:plot{'loss', 'val.top1'}"},
    {'Using it', [[
evaluate sees each held-out picture once; predict names the classes of
pictures. From the command line: incsh evaluate RUN DATA, incsh predict RUN
PICTURE.]],
      'evaluate{run, shapes.val}', ("predict{run, '%s/shapes/disc/disc1.png'}"):format(folder)},
    last_but_one(folder),
    {'Where to go on', [[
Runs are compared from their folders. Next: train on photos of your own
(examples/10_fine_tune.lua), write a loop of your own (help 'plans'), an
optimizer of your own (help 'optim.new'), or compare several (help 'compare').]],
      ("runs '%s/runs'"):format(folder)},
  }
end

-- -- walking ------------------------------------------------------------------------------------------------

local function print_values(ok, ...)
  if not ok then return false end
  for i = 1, select('#', ...) do
    local v = select(i, ...)
    if v ~= nil then print(require 'inc.show'.value(v)) end
  end
  return true
end

local function compile(code)
  local f = load('return ' .. code, '=tour', 't', _G)
  if f then return f end
  return load(code, '=tour', 't', _G)
end

-- A line of the tour itself: its errors are errors.
local function run_line(code)
  local f = assert(compile(code))
  if code:find '^%w+:wait' then f() else print_values(true, f()) end
end

-- A line that the user typed: its errors are told, and the tour goes on.
local function run_typed(code)
  local name = code:match '^%s*%?+%s*(%S+)'
  if name then return require 'inc.help'(name) end
  local f, why = compile(code)
  if not f then return print('error: ' .. why) end
  local results = table.pack(pcall(f))
  if not print_values(table.unpack(results, 1, results.n)) then print('error: ' .. tostring(results[2])) end
end

local function plain(text) return (text:gsub('%s', '')) end

-- Wait for Enter: true goes on, false ends the tour.
local function ask(code)
  while true do
    io.write 'Enter runs it, q leaves: '
    io.flush()
    local typed = io.read 'l'
    if not typed or typed:find '^%s*[qQ]%a*%s*$' or typed:find '^%s*exit' then return false end
    if plain(typed) == '' or plain(typed) == plain(code) then return true end
    run_typed(typed)
  end
end

local function walk(list, talks)
  for i, step in ipairs(list) do
    print(('\n-- %d of %d: %s --\n%s\n'):format(i, #list, step[1], step[2]))
    for k = 3, #step do print('inc> ' .. step[k]:gsub('\n', '\n   > ')) end
    if talks and not ask(table.concat(step, '\n', 3)) then return i end
    for k = 3, #step do run_line(step[k]) end
  end
end

-- What becomes of the folder, in words.
local function tell(folder, run, talks)
  made[folder] = settings_of(folder)
  print "They are removed when incsh ends; tour 'keep' keeps them."
  local going = type(run) == 'table' and run.handle and not core.run_over(run.handle)
  if going and talks then print 'A run still trains: run:stop() ends it.' end
end

--- A tour of ten steps that trains something real in about two minutes: tensors, gradients, help, pictures, a
-- net, a run in the background, its curve, evaluation, Inception-v3, and where to go on. Enter runs the line
-- that is shown; another line may be typed instead; q or Ctrl-C leaves. The names that it sets (x, w,
-- shapes, net, run, big, run2) stay. Its pictures and runs lie in a temporary folder that it names at the
-- end; they are removed when the program ends, but for a run that you took further, unless you say
-- tour 'keep'. Without a terminal it runs through.
-- @name tour
-- @param what 'keep' takes no tour and keeps what the last one made
-- > tour()
local function tour(what)
  if what == 'keep' then return keep_all() end
  if what ~= nil then args.fail("tour: expected nothing or 'keep', got %s", args.show(what)) end
  local talks, folder = host.isatty(0) and host.isatty(1), new_folder()
  print 'Ten steps. They set the names x, w, shapes, net, run, big and run2, which stay afterwards.'
  draw_all(folder .. '/shapes')
  local list = steps(folder)
  local ok, left
  if talks then ok, left = host.catch_interrupt(walk, list, talks) else ok, left = true, walk(list) end
  print(((not ok or left) and '\nThe tour ends here; ' or '\nThat was the tour; ') ..
    ('its pictures and runs are in %s.'):format(folder))
  tell(folder, rawget(_G, 'run'), talks)
end

return tour
