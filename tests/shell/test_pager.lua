-- test_pager.lua: help that is taller than the screen comes a page at a time, as the user's pager does it,
-- and only at a prompt that can show it; words of incsh are broken between words.
local screen = require 'inc.shell.screen'

-- A pager that shows what it was given: rows, the first one, and whether it may talk to a person.
local function fake(name)
  local log = term.work .. '/' .. name
  os.remove(log)
  local path = term.write(name .. '.sh', ([[
[ -t 1 ] && tty=yes
sed -n '1s/^/first: /p;$=' > %s
echo "terminal: $tty" >> %s
echo "-- paged --"
]]):format(log, log))
  return 'PAGER=sh ' .. path, function()
    local file <close> = io.open(log)
    return file and file:read 'a'
  end
end

local function enter(t, code)
  t:type(code)
  t:key 'Enter'
end

check('help taller than the screen goes through $PAGER; what fits is printed', function()
  local pager, log = fake 'paged'
  local t = term.start{env = {pager}}
  enter(t, '?train')
  t:wait '\n-- paged --\ninc>'
  term.contains(log(), 'first: train{net?, data?')
  term.contains(log(), 'terminal: yes')
  for _, code in ipairs {"help 'train'", "apropos 'e'"} do
    t:key 'C-l'
    os.remove(term.work .. '/paged')
    enter(t, code)
    t:until_screen(function() return log() end, 'a page of ' .. code)
    t:wait_prompt()
  end
  os.remove(term.work .. '/paged')
  term.contains(t:run 'help()', 'Topics:')
  term.contains(t:run '?inc.try', 'Call f and never raise')
  term.contains(t:run 'print(#inc.help.text "train" > 2000)', 'true')
  term.equal(log(), nil)
  local tall = term.start{env = {pager}, height = 200, width = 120}
  enter(tall, '?train')
  tall:wait '> run = train{net, flowers'
  term.equal(log(), nil)
end)

check('a pager that is missing, that fails or that is not wanted costs nothing', function()
  for _, pager in ipairs {'/no/such/pager', 'false', 'cat', ''} do
    local t = term.start{height = 200, width = 120, env = {'PAGER=' .. pager}}
    t:run 'require("inc.host").size = function() return 80, 24 end'
    enter(t, '?train')
    t:wait '> run = train{net, flowers'
    term.equal(t:run '1 + 1', '2')
    t:close()
  end
end)

check('no pages in scripts, pipes, start-up files, on dumb terminals and in an editor', function()
  local pager, log = fake 'unpaged'
  term.write('long.lua', 'help "train"')
  for _, line in ipairs {'"$INCSH" long.lua', [["$INCSH" -e 'help "train"']],
    [[echo 'help "train"' | "$INCSH"]], '"$INCSH" help train', '"$INCSH" train --help'} do
    local r = term.sh(("%s %s"):format(pager:gsub('=(.*)', "='%1'"), line))
    term.contains(r.out, 'label_smoothing')
    term.equal(log(), nil, line)
  end
  local t = term.start{env = {pager}, args = '-i long.lua', height = 200}
  term.contains(t:screen(), 'label_smoothing')
  term.equal(log(), nil)
  local dumb = term.start{env = {pager, 'TERM=dumb'}}
  enter(dumb, '?train')
  dumb:wait 'run = train{net, flowers'
  term.equal(log(), nil)
  local s = require 'inc.shell'.new()
  term.contains(s:inspect '?train', 'label_smoothing')
  term.equal(log(), nil)
end)

check('less: a page, q, and the prompt below it; Ctrl-C in it is its own', function()
  if term.sh 'command -v less'.status ~= 0 then term.skip 'less is not installed' end
  for _, size in ipairs {{80, 24}, {200, 50}} do
    local t = term.start{width = size[1], height = size[2], env = {'PAGER=less'}}
    t:run 'kept = 5'
    enter(t, 'apropos "a"')
    t:until_screen(function(s) return s:find '\n:$' end, "less's own prompt")
    t:key 'C-c'
    t:key ' '
    t:key 'q'
    t:wait_prompt()
    assert(select(2, t:screen():gsub('\n', '')) > size[2] // 2, 'the page is gone:\n' .. t:screen())
    assert(not t:screen():find 'interrupted', t:screen())
    term.equal(t:run 'kept', '5')
    t:close()
  end
end)

-- -- words ------------------------------------------------------------------------------------------------

check('long lines are broken between words, and a path stays whole', function()
  local path = '/home/somebody/pictures/of/flowers/roses/the-first-one.jpg'
  local text = screen.wrap('warning: the same picture under two classes: ' .. path .. ' and ' .. path, 80)
  term.equal(text, ('warning: the same picture under two classes:\n  %s and\n  %s'):format(path, path))
  term.equal(screen.wrap('short\nlines', 80), 'short\nlines')
  term.equal(screen.wrap('  at 1: ' .. ('word '):rep(4), 16), '  at 1: word\n    word word\n    word')
  term.equal(screen.wrap(('x'):rep(100), 80), ('x'):rep(100))
  term.equal(screen.wrap('é é é é', 3), 'é é\n  é\n  é')
  term.equal(screen.wrap('\27[31mred\27[0m ' .. ('word '):rep(30), 80):find '\n', nil)
  term.equal(screen.wrap('', 80), '')
end)

check('warnings, errors and news on a screen of 80 columns keep their paths whole', function()
  local place = term.work .. '/' -- too long for the row of `out`, short enough for one of its own
  place = place .. ('x'):rep(70 - #place)
  term.sh(('mkdir -p "%s/daisy" "%s/rose"'):format(place, place))
  local maker = term.program:gsub('[^/]*$', 'tests/c/make_pictures')
  term.sh(('%s set %s 3 6 48; cp %s/class1/* %s/class2/'):format(maker, place, place, place))
  if not inc.core.path_kind(place .. '/class1') then term.skip(maker .. ' is not built') end
  local t = term.start()
  t:run(('place = %q'):format(place))
  t:run('d = data.folder{place};', 30)
  t:wait 'warning: '
  t:key 'Enter'
  t:wait_prompt()
  t:run 'train{nn.ReLU{}, place, out = place}'
  local rows = t:rows()
  term.contains(rows, 'warning: class "daisy" has no picture: left out')
  term.contains(rows, ' class2/')
  assert(not rows:find 'under two\nclasses', rows)
  term.contains(rows, "\n  '" .. place .. "'")
end)

-- In a file nothing is broken: other programs read it.
check('words that go to a file stay in one line', function()
  local r = term.sh([["$INCSH" -e 'inc.note(("word "):rep(60))']])
  term.equal(r.err, ('word '):rep(60) .. '\n')
end)

-- -- how far it is ----------------------------------------------------------------------------------------

check('what takes long says how far it is, in one line that goes again', function()
  local t = term.start()
  t:run('function work(n) local bar <close> = require "inc.shell.screen".progress() ' ..
    'for i = 1, n do bar:show("work: %d of %d", i, n) os.execute "sleep 0.1" end return "done" end')
  enter(t, 'work(20)')
  t:wait '\nwork: 8 of 20'
  t:wait '\n"done"\ninc>'
  assert(not t:screen():find 'work: %d', t:screen())
  enter(t, 'work(2)')
  t:until_screen(function(s) return select(2, s:gsub('\n"done"', '')) == 2 end, 'the end')
  local r = term.sh([["$INCSH" -e 'local bar <close> = require "inc.shell.screen".progress()
    os.execute "sleep 0.6" bar:show("seen") print(1)']])
  term.equal(r.out .. r.err, '1\n')
end)

check('the first plan of a net says what it is at; Ctrl-C ends that', function()
  local t = term.start{env = {'XDG_CACHE_HOME=' .. term.work .. '/no-kernels-yet'}}
  t:run 'net = models.inception_v3{classes = 5, aux = false}; x = inc.zeros{8, 3, 299, 299};'
  enter(t, 'y = inc.plan(function(a) local y = net(a):sum() y:backward() return y end)(x)')
  local s = t:wait('\nplanning: kernels are compared, once on this machine: ', 60)
  assert(s:find 'machine: %d+ of %d+ convolutions$', s)
  t:key 'C-c'
  t:wait '\ninterrupted\ninc>'
  assert(not t:screen():find 'planning', t:screen())
end)
