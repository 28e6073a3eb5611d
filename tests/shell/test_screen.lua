-- test_screen.lua: every part of the prompt on four screens: 80x24 and 200x50, with Unicode and with LANG=C.
--
-- Tables of what is typed and what must be seen then. After each row the screen is looked at: no line is
-- wider than the terminal (a table, a tree or a plot that wraps is broken; sentences may wrap), nothing of an
-- escape sequence stands there as text, and the last line is a prompt. At the end the lines that scrolled
-- away are looked at too, and all that was sent is read again: whole escape sequences, whole characters, and
-- with LANG=C none but ASCII. Colours are on.
local host = require 'inc.host'

local maker = term.program:gsub('[^/]*$', 'tests/c/make_pictures')
local tests = term.program:gsub('/[^/]*/[^/]*$', '') .. '/tests'
local pictures = term.work .. '/pictures'

local function enter(t, code)
  t:type(code)
  t:key 'Enter'
end

-- Keys by name, and in braces text.
local function press(...)
  local keys = {...}
  return function(t)
    for _, key in ipairs(keys) do
      if type(key) == 'table' then t:type(key[1]) else t:key(key) end
    end
  end
end

-- -- what is typed ------------------------------------------------------------------------------------------

-- Rows are {what it is, code to enter on an empty screen or a function that types, Lua patterns to be seen in
-- this order}. They end with an empty prompt, unless `stays`: then something is being typed.

local long = '0123456789'
local reading = {
  {'Tab: names', press({'nn.'}, 'Tab'), 'Conv2d', 'inc> nn%.$', stays = true},
  {'given up', press 'C-c', 'nn%.%^C\n'},
  {'Tab: options', press({'nn.Conv2d{8, '}, 'Tab'), 'kernel_size = ', 'inc> nn%.Conv2d{8, [^\n]*$',
    stays = true},
  {'a hint', press('C-u', {'nn.Linear{'}), 'inc> nn%.Linear{out_features, bias = true[^\n]*$', stays = true},
  {'a long hint', press('C-u', {'train{'}), 'inc> train{net[^\n]*%.%.%.$', stays = true},
  {'a line longer than the screen', press('C-u', {'#"' .. long:rep(23) .. '"'}, 'C-a', 'Right', 'Right',
    {'ab'}, 'C-e', {' + 0'}), '#"ab0123[0-9]*" %+ 0$', stays = true},
  {'what it gives', press 'Enter', '\n232\n'},
  {'an empty screen', press 'C-l', '^inc>$'},
  {'an edit of several lines', press({'for i = 1, 2 do'}, 'Enter', {'print("row " .. i)'}, 'Up', 'C-a',
    {'k = 9 '}, 'Down', 'C-e', 'Enter', {'end'}),
    'inc> k = 9 for i = 1, 2 do\n  print%("row " %.%. i%)\n  end$', stays = true},
  {'entered as one', press 'Enter', '\nend\nrow 1\nrow 2\n'},
  {'recalled as one', press({'k ='}, 'Up'), 'inc> k = 9 for[^\n]*\n[^\n]*\nend$', stays = true},
  {'run again', press 'Enter', '\nend\nrow 1\nrow 2\ninc> k[^\n]*\n[^\n]*\nend\nrow 1\nrow 2\n'},
  {'Ctrl-R', press('C-r', {'row'}), "%(reverse%-i%-search%)`row': k = 9 for", stays = true},
  {'Ctrl-R given up', press 'C-g', '\n'},
  {'a paste', function(t) t:paste 'inc> p = 1\ninc> p + 41\n42\n' end, 'inc> p = 1\np %+ 41$', stays = true},
  {'a paste entered', press 'Enter', '\n42\n'},
}

local printing = {
  {'a wide tensor', 'inc.randn{4, 60}', '%.%.%.', '%[4, 60%] f32 cpu\n'},
  {'a long one', 'inc.arange{100}', '99', '%[100%] '},
  {'blocks', 'inc.randn{2, 2, 3, 30} * 1e6', '%[2, 2, :, :%]', '%[2, 2, 3, 30%] f32 cpu\n'},
  {'a net', 'net = models.inception_v3{classes = 5}; net', 'fc: nn.Linear{5', '\n}\n', limit = 30},
  {'a summary', 'net:summary{1, 3, 299, 299}', '\nfc ', '\ntotal ', limit = 30},
  {'with parameters', 'net', 'fc: nn.Linear{5', '\n}\n', limit = 30},
  {'a recipe', 'recipes.release{data = "x"}', 'eps_inside = true', '\n  size '},
  {'a table', '{1, {a = {b = {c = {d = {e = 1}}}}}, text = ("long "):rep(12), [2.5] = print}',
    'text = "long '},
  {'a long list', 'l = {} for i = 1, 300 do l[i] = i end l.self = l; l', 'more',
    'self = <the table itself>'},
  {'an optimizer', 'optim.rmsprop{lr = 0.045, momentum = 0.9, eps_inside = true}', 'optim.rmsprop{'},
}

local errors = {
  {'a message', 'nope.x', "error: attempt to index a nil value %(global 'nope'%)\n"},
  {'a hint', 'nn.Conv2d{8, kernl_size = 3}', 'error: ', 'did you mean kernel_size'},
  {'a shape', 'inc.ones{2, 3}:matmul(inc.ones{4, 5})', 'error: matmul: '},
  {'a line of the user', press({'function f()'}, 'Enter', {'return nope.x'}, 'Enter', {'end f()'}, 'Enter'),
    "nil value %(global 'nope'%)\n  at line 2: return nope%.x\n"},
  {'the stack', 'trace()', 'stack traceback:'},
}

local started = 0

local function begin(t)
  started = started + 1
  if not host.kind(pictures) then term.sh(('%s set %s 3 14 48'):format(maker, pictures)) end
  if not host.kind(pictures) then term.skip(maker .. ' is not built') end
  enter(t, ('package.path = "%s/?.lua;" .. package.path; tiny = require "tiny"'):format(tests))
  t:wait_prompt()
  enter(t, ('run = train(tiny.options(tiny.net(), %q, %q, {steps = 1000000, val_every = 1000000}))'):format(
    pictures, term.work .. '/screen' .. started))
end

local STATUS = 'step %d+/1000000  [^\n]*\n'

local runs = {
  {'a run trains', begin, '\n' .. STATUS .. 'inc>$', limit = 30},
  {'typing below its status', press{'half = {1,'}, '\n' .. STATUS .. 'inc> half = {1,$', stays = true},
  {'several lines below it', press('Enter', {'2}'}), '\n' .. STATUS .. 'inc> half = {1,\n  2}$',
    stays = true},
  {'entered', press 'Enter', 'half = {1,\n  2}\n' .. STATUS .. 'inc>$'},
  {'the run', press({'run'}, 'Enter'), '\nrun /[^\n]*: running, step ', 'limited by',
    '\n' .. STATUS .. 'inc>$'},
  {'runs', press({'runs()'}, 'Enter'), 'name +state', ' running ', '\n1 run in this session',
    '\n' .. STATUS .. 'inc>$'},
  {'a curve that follows it', press({"run:plot{'loss'}"}, 'Enter'), '/screen%d', 'step\n', STATUS .. 'inc>$'},
  {'no curve', press({'plot.stop()'}, 'Enter'), 'plot%.stop%(%)\n' .. STATUS .. 'inc>$'},
  {'its end', press({'run:stop(); run:wait()'}, 'Enter'), 'stopped after step %d+ of 1000000; ', '\ninc>$',
    limit = 30},
  {'two sides', press({'diff(run, run)'}, 'Enter'), 'curves ', 'seconds ', '\ninc>$'},
}

local drawing = {
  {'a plot', 'plot{{3, 1, 2, 5, 4}, title = "five", xlabel = "step"}', 'five', 'step'},
  {'a band', 'plot{{{1, 3, 2}, {2, 4, 5}, name = "mean"}, {3, 2, 1}, logy = true, height = 14}', 'mean'},
  {'layers', 'nn.Sequential{nn.Conv2d{8, in_channels = 3, kernel_size = 3}, nn.ReLU{}}:draw()',
    '3[x\195]\151?3', 'ReLU'},
  {'blocks', 'models.inception_v3{classes = 5}:draw()', 'fc', limit = 30},
}

local help = {
  {'topics', 'help()', 'Topics:'},
  {'an op', '?inc.conv2d', 'inc%.conv2d%(x'},
  {'a layer', "help 'Conv2d'", 'dilation = 1'},
  {'a verb', '?train', '> run = train'},
  {'what a run can do', "help 'run'", 'run:wait'},
  {'a topic', "help 'prompt'", 'Tab completes'},
  {'another', "help 'layers'", 'Input channels may be left out'},
  {'a search', "apropos 'smooth'", 'cross_entropy'},
  {'a source', '??inc.try', 'lua'},
}

local session = {
  {'names', 'net = nn.Linear{4, in_features = 3}', '%s'},
  {'a long one', 'a_name_that_is_longer_than_any_that_one_should_give_to_a_thing = inc.ones{3}', '%s'},
  {'who', 'who', 'what\n', '\na_name', '\nnet +net ', '\nin all '},
  {'times', 'timeit 1 + 1', 'median '},
  {'a saved session', 'save_session "screen.lua"', 'in screen%.lua; incsh %-i screen%.lua goes on'},
}

-- -- what is looked at --------------------------------------------------------------------------------------

-- Sentences are the terminal's to wrap, and so is what was typed.
local function is_prose(line)
  for _, start in ipairs{'inc>', ' *error: ', '  hint: ', '  at ', 'note: ', 'run /', 'limited by ',
    '%d runs? in ', 'stopped after ', 'median '} do
    if line:find('^' .. start) then return true end
  end
  return false
end

local function look(screen, columns)
  for line in screen:gmatch '[^\n]+' do
    local width = utf8.len(line)
    if not width then error('no UTF-8 in\n' .. screen, 0) end
    if width > columns and not is_prose(line) then
      error(('%d columns on a screen of %d:\n%s'):format(width, columns, line), 0)
    end
    local broken = line:match '%[%??[%d;]*[mhlHJK]' or line:match '\u{FFFD}'
    if broken then error(('a broken sequence: %s in\n%s'):format(broken, screen), 0) end
  end
end

local function seen(row)
  return function(screen)
    local at = 1
    for i = 3, #row do
      local _, stop = screen:find(row[i], at)
      if not stop then return false end
      at = stop
    end
    return row.stays or screen:find '\ninc>$' or screen == 'inc>'
  end
end

local function try(t, row, columns)
  if type(row[2]) == 'string' then
    t:key 'C-l'
    t:until_screen(function(s) return s == 'inc>' end, 'an empty screen')
    enter(t, row[2])
  else row[2](t) end
  look(t:until_screen(seen(row), row[1], row.limit), columns)
end

-- Everything that was sent: sequences that are whole, and characters that are.
local function look_at_bytes(name, ascii)
  local file <close> = assert(io.open(term.work .. '/' .. name, 'rb'))
  local bytes = file:read 'a'
  assert(#bytes > 1000, 'nothing was sent')
  local rest = bytes:gsub('\27%[[%d;?>=!]*[@-~]', ''):gsub('\27[()]%w', ''):gsub('\27[=>78M]', '')
  local at = rest:find '\27'
  if at then error(('a broken sequence: %q'):format(rest:sub(at, at + 20)), 0) end
  at = ascii and rest:find '[\128-\255]'
  if at then error(('not ASCII: %q'):format(rest:sub(math.max(1, at - 40), at + 20)), 0) end
  assert(utf8.len(rest), 'what was sent is no UTF-8')
end

local parts = {{'reading', reading}, {'printing', printing}, {'errors', errors}, {'runs', runs},
  {'plots and diagrams', drawing}, {'help', help}, {'the session', session}}

for _, size in ipairs{{80, 24}, {200, 50}} do
  for _, lang in ipairs{'C.UTF-8', 'C'} do
    for _, part in ipairs(parts) do
      check(('%s, %dx%d, LANG=%s'):format(part[1], size[1], size[2], lang), function()
        local env = {'NO_COLOR=', 'PAGER=', 'LANG=' .. lang}
        local t = term.start{width = size[1], height = size[2], env = env}
        t:log 'screen.bin'
        for _, row in ipairs(part[2]) do
          local ok, why = pcall(try, t, row, size[1])
          if not ok then error(type(why) == 'table' and why or row[1] .. ': ' .. why, 0) end
        end
        t:key 'C-c'
        enter(t, '"all " .. "sent"')
        t:wait '"all sent"'
        term.pause(0.2)
        look(t:history(), size[1])
        look_at_bytes('screen.bin', lang == 'C')
      end)
    end
  end
end
