-- test_hint.lua: the grey words behind the cursor, and the words that Tab offers: without a terminal first,
-- then on the screen, where colours are on.
local shell = require 'inc.shell'

local function session(...)
  local s = shell.new()
  for _, code in ipairs {...} do assert(s:eval(code).ok, code) end
  return s
end

local function has(list, word)
  for _, each in ipairs(list or {}) do
    if each == word then return true end
  end
  error(('expected %q among %s'):format(word, table.concat(list or {}, ' ')), 2)
end

local function hint(s, text, expected) term.equal(s:hint(text), expected, text) end

check('hint: what a call still takes', function()
  local s = session('function mine(a, b, ...) end', 'local function lost(x) end')
  hint(s, 'nn.Linear{', 'out_features, bias = true, in_features?, init?')
  hint(s, 'nn.Linear{10', 'bias = true, in_features?, init?')
  hint(s, 'nn.Linear{10, bias = false, ', 'in_features?, init?')
  hint(s, 'nn.Linear{10, bi', 'bias = true')
  hint(s, 'nn.Linear{10, bias = ', 'true | false')
  hint(s, 'x = {nn.Linear{10}, nn.Dropout{', 'p = 0.5')
  hint(s, 'inc.conv2d(', 'x, weight, bias?, {stride = 1, padding = 0, dilation = 1, groups = 1}')
  hint(s, 'inc.conv2d(x, w, {stride = 2, ', 'padding = 0, dilation = 1, groups = 1')
  hint(s, 'mine(', 'a, b, ...')
  hint(s, 'mine(1, ', 'b, ...')
  hint(s, 'mine(1, {2, 3}, 4, ', '...')
  hint(s, 'lost(', 'x')
  hint(s, 'train{net, data, augment = ', 'inception | light | none')
end)

check('hint: nothing to say', function()
  local s = session()
  for _, text in ipairs {'', 'x', 'x = 1', 'nn.Linear{10}', '"nn.Linear{', '-- nn.Linear{', '!nn.Linear{',
    'nosuch(', 'function f(', 'string.rep(', '({', '[[', 'f{'} do hint(s, text, nil) end
end)

check('hint and Tab never run code of the user', function()
  local s = session('ran = 0', [[function bump() ran = ran + 1 return {} end
    local lists = setmetatable({}, {__index = bump})
    u = setmetatable({}, {__index = bump, __call = bump, __len = bump, __eq = bump, __pairs = bump,
      __tostring = function() bump() return '' end, __complete = bump, __names = lists})]],
    'v = setmetatable({_child = u, _class = u, _spec = u}, getmetatable(u))')
  for _, text in ipairs {'u.abc', 'u.abc.d', 'u:', 'u{', 'u(', 'u[1].', 'u.x(', 'u:x{', "u:to '", 'v.', 'v{',
    'v.x{', "v:child '", "v:end_points(x, {'", "u.plot{'", "v:plot{'"} do
    pcall(s.complete, s, text)
    pcall(s.hint, s, text)
    pcall(s.inspect, s, text)
    term.equal(rawget(_G, 'ran'), 0, text)
  end
end)

check('Tab: children of a net, through metatables', function()
  local s = session 'net = models.inception_v3{classes = 5}'
  has(s:complete 'net.Mixed_6b.branch7x7_', 'branch7x7_2')
  has(s:complete 'net.Mixed_6b.branch7x7_2.', 'conv')
  has(s:complete 'net.Mixed_6b:', 'forward')
  has(s:complete "net:child 'Mixed_7", 'Mixed_7a')
  has(s:complete 'net[1]:for', 'forward')
  has(s:complete 'net[1][1].wei', 'weight')
  has(s:complete "net:end_points(x, {'Mixed_6e', 'Mixed_6b.branch_", 'Mixed_6b.branch_pool')
end)

check('Tab: options and their words', function()
  local s = session()
  local function words(text, ...)
    local list = s:complete(text)
    for _, word in ipairs {...} do has(list, word) end
    return list
  end
  words('nn.Conv2d{32, kern', 'kernel_size = ')
  words('train{net, data, opti', 'optimizer = ')
  words("train{net, data, optimizer = 'rms", 'rmsprop')
  words('train{net, data, optimizer = ', "'rmsprop'", "'adamw'")
  words("train{net, augment = '", 'inception', 'light', 'none')
  words("train{model = 'inc", 'inception_v3')
  words("train{schedule = 'cos", 'cosine')
  words('train{plot = ', 'true', 'false')
  words('train(recipes.fine', 'fine_tune')
  words('models.inc', 'inception_v3')
  words('inc.conv2d(x, w, {str', 'stride = ')
  words("x:to 'bf", 'bf16')
  words("help 'Conv2", 'Conv2d')
  term.equal(#words('nn.Conv2d{32, kernel_size = 3, kern'), 0, 'an option that was given is not offered')
end)

check('Tab: methods with options, columns of a run, layers to freeze', function()
  local Run = require 'inc.run'
  local run = setmetatable({folder = '/nowhere', job = {stages = {{settings = {optimizer = optim.adamw{}},
    at = 0}}}}, Run)
  local s = session 'net = models.inception_v3{classes = 5}'
  rawset(_G, 'a_run', run)
  local core = require 'inc.core'
  local status = core.run_status
  core.run_status = function() return {step = 0} end
  has(s:complete 'a_run:set{weight_', 'weight_decay = ')
  has(s:complete 'a_run:set{lr = 1, label_', 'label_smoothing = ')
  has(s:complete 'a_run:fork{opti', 'optimizer = ')
  has(s:complete "a_run:fork{augment = '", 'light')
  has(s:complete 'a_run:plot{logy', 'logy = ')
  has(s:complete "a_run:plot{'lo", 'loss')
  has(s:complete "plot{a_run, 'val.", 'val.top1')
  hint(s, 'a_run:set{weight_', 'weight_decay?')
  core.run_status = status
  rawset(_G, 'a_run', nil)
  has(s:complete "net:freeze 'Conv2d_1", 'Conv2d_1a_3x3')
  has(s:complete "train{net, freeze = 'Mixed_7", 'Mixed_7a')
end)

check('Tab: the options of a part of the pictures', function()
  local maker, folder = term.program:gsub('[^/]*$', 'tests/c/make_pictures'), term.work .. '/hinted'
  term.sh(('%s set %s 3 6 48'):format(maker, folder))
  if not inc.core.path_kind(folder) then term.skip(maker .. ' is not built') end
  local s = session(('pictures = data.folder{%q}'):format(folder))
  has(s:complete 'pictures.train:batches{32, aug', 'augment = ')
  has(s:complete "pictures.train:batches{32, augment = '", 'eval')
end)

check('Tab: positions, and quotes of file names', function()
  local s = session()
  local list, start, quote = s:complete "io.open 'some/fi"
  term.equal(list, nil)
  term.equal(start, 10)
  term.equal(quote, "'")
  list, start = s:complete('x = string.form + 1', 15)
  term.equal(list[1], 'format')
  term.equal(start, 12)
end)

check('inspect: at the cursor, ? and ??, functions of the user', function()
  local s = session 'function mine(a, b)\n  return a\nend'
  term.contains(s:inspect('nn.Linear{10}', 4), 'out_features')
  term.contains(s:inspect('x = nn.Linear{10, ', 18), 'out_features')
  term.contains(s:inspect 'mine', 'mine(a, b)')
  term.contains(s:inspect '??mine', 'return a')
  term.contains(s:inspect '?nn.Linear', 'out_features')
  term.contains(s:inspect '?', 'Topics')
  local found, why = s:inspect '?nosuchname'
  term.equal(found, nil)
  term.contains(why, 'no help on')
  term.equal(s:inspect('', 0), nil)
end)

-- -- on the screen ----------------------------------------------------------------------------------------

local sizes = {{80, 24}, {200, 50}}

for _, size in ipairs(sizes) do
  for _, lang in ipairs {'C.UTF-8', 'C'} do
    check(('hint on a screen of %dx%d, LANG=%s'):format(size[1], size[2], lang), function()
      local t = term.start{width = size[1], height = size[2], env = {'NO_COLOR=', 'LANG=' .. lang}}
      t:type 'nn.Linear{'
      t:wait 'inc> nn.Linear{out_features, bias = true'
      t:type '10}'
      t:until_screen(function(s) return s:find 'inc> nn%.Linear{10}$' end, 'the hint gone')
      t:key 'Enter'
      t:wait '\nnn.Linear{10}\ninc>'
      t:type 'inc.conv2d(x, w, {'
      t:wait '{stride = 1'
      t:key('Left', 'Left')
      t:until_screen(function(s) return s:find 'w, {$' end, 'no hint inside the line')
      t:key 'End'
      t:wait '{stride = 1'
      t:key 'C-c'
      t:wait 'inc> inc.conv2d(x, w, {^C\ninc>'
    end)
  end
end

check('a hint is cut at the edge and never wraps', function()
  local t = term.start{width = 60, env = {'NO_COLOR='}}
  t:type 'train{'
  local s = t:wait '...'
  for line in s:match('inc> train.*'):gmatch '[^\n]+' do assert(#line < 60, line) end
  t:type(('"x", '):rep(9) .. 'plot = ')
  t:until_screen(function(screen) return screen:find 'plot = $' or screen:find 'plot = *true' end, 'no room')
  t:key 'C-u'
  t:until_screen(function(screen) return screen:find '\ninc>$' end, 'an empty line')
end)

check('no hint with NO_COLOR or on a dumb terminal', function()
  for _, env in ipairs {{'NO_COLOR=1'}, {'NO_COLOR=', 'TERM=dumb'}} do
    local t = term.start{env = env}
    t:type 'nn.Linear{'
    t:wait 'nn.Linear{'
    term.pause(0.3)
    assert(not t:screen():find('out_features', 1, true))
  end
end)

check('the status line, a hint and an entry of several lines do not disturb each other', function()
  for _, size in ipairs(sizes) do
    for _, lang in ipairs {'C.UTF-8', 'C'} do
      local t = term.start{width = size[1], height = size[2], env = {'NO_COLOR=', 'LANG=' .. lang}}
      t:run 'n = 0'
      t:run 'function wide() return "step " .. n .. (" w\\u{904B}de"):rep(60) end' -- it takes two columns
      t:run 'function inc.shell_idle() n = n + 1 return wide(), n == 9 and {"news"} end'
      t:type 'for i = 1, 2 do'
      t:key 'Enter'
      t:type 'y = nn.Linear{'
      t:wait 'news'
      local s = t:wait 'for i = 1, 2 do\n  y = nn.Linear{out_features, bias = true'
      term.equal(select(2, s:gsub('\nstep %d+', '')), 1, 'status lines')
      t:type '7}; print(y)'
      t:key 'Enter'
      t:type 'end'
      t:key 'Enter'
      t:wait 'do\n  y = nn.Linear{7}; print(y)\nend\nnn.Linear{7}\nnn.Linear{7}\n'
      t:close()
    end
  end
end)
