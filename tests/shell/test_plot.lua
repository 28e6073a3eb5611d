-- test_plot.lua: plots, and everything that can be wrong with gnuplot and with terminals. A false gnuplot
-- first in PATH plays the crashes; fake_terminal (tests/c) is a terminal that answers what it is told to.
-- The one thing that must never happen is that a title or a file name becomes a command: a file named
-- `pwned` would show it.

local build = term.program:gsub('[^/]*$', '')
local UNICODE = 'LC_ALL=C.UTF-8'

local function run(code, path) return term.sh(('%s "$INCSH" -e \'%s\''):format(path or UNICODE, code)) end

local function fake(script)
  term.sh 'mkdir -p fake'
  term.write('fake/gnuplot', '#!/bin/sh\n' .. script)
  term.sh 'chmod +x fake/gnuplot'
  return 'PATH="$PWD/fake:$PATH"'
end

local function need_gnuplot()
  if term.sh 'command -v gnuplot'.status ~= 0 then term.skip 'gnuplot is not installed' end
end

local function exists(name) return term.sh('ls ' .. name).status == 0 end

local function read(name)
  local file <close> = assert(io.open(term.work .. '/' .. name, 'rb'))
  return file:read 'a'
end

-- A run's folder as far as a plot looks at it: rows of {step, loss}.
local function run_folder(name, values)
  local lines = {}
  for i, v in ipairs(values) do lines[i] = ('{"step":%d,"epoch":%g,"loss":%g}\n'):format(i, i / 10, v) end
  term.sh('mkdir -p ' .. name)
  term.write(name .. '/log.jsonl', table.concat(lines))
end

-- -- text --------------------------------------------------------------------------------------------------

check('text, with title, legend, axes, and the smoothing named', function()
  local r = run 'inc.plot{{name = "loss", y = {3, 2, 1}}, smooth = 0.5, title = "My title", xlabel = "step"}'
  for _, part in ipairs{'My title', 'loss (smoothed 0.5)', 'step', '┤', '└', '3.0', '⠢⠤⣀'} do
    term.contains(r.out, part)
  end
  term.equal(r.err .. r.status, '0')
end)

check('without Unicode everything is ASCII', function()
  local code = 'inc.plot{{{1, 2}, {2, 3}, name = "é"}, {3, 2}, title = "\\u{2764}", height = 12}'
  local r = run(code, 'LC_ALL=C')
  term.contains(r.out, '(mean of 2 +- sd)')
  term.equal(r.out:find '[\128-\255]', nil)
  term.contains(r.out, '*')
end)

check('a curve stands where its values say', function()
  local r = run('inc.plot{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, width = 24, height = 12}', 'LC_ALL=C')
  local rows = {}
  for row in r.out:gmatch ' [|+]([^\n-]*)\n' do rows[#rows + 1] = row end
  term.equal(#rows, 10)
  term.equal(rows[1]:find '%*' > 15, true, 'the last value is at the top right')
  term.equal(rows[10]:sub(1, 1), '*', 'the first one at the bottom left')
end)

check('colours only for terminals', function()
  term.equal(run 'inc.plot{{1, 2}, {2, 1}}'.out:find '\27', nil)
end)

check('logarithmic axes, ranges, holes', function()
  local r = run('inc.plot{{1, 10, 100, 1000}, logy = true, height = 14}', 'LC_ALL=C')
  for _, tick in ipairs{'\n +1 ', '\n +10 ', '\n +100 ', '^ *1000 '} do
    if not r.out:find(tick) then error('no tick ' .. tick .. ' in\n' .. r.out) end
  end
  term.contains(run 'inc.plot{{0/0, 1/0}}'.err, 'nothing to draw yet')
  term.contains(run 'inc.plot{{-1, 0}, logy = true}'.err, 'nothing to draw yet')
  term.equal(run 'inc.plot{{1, 0/0, 3, -1}, logy = true}'.err, '')
  term.contains(run 'inc.plot{{}}'.err, 'nothing to draw yet')
  local odd = 'inc.plot{{5}} inc.plot{{0, 0}} inc.plot{{1e300, -1e300}} inc.plot{{7, 7}, logy = true}'
  term.equal(run(odd).err, '')
  term.contains(run 'inc.plot{{1}, xrange = {2, 1}}'.err, 'xrange: expected {low, high}, got {2, 1}')
end)

check('numbers alone, tensors, functions, schedules, a long series', function()
  term.equal(run 'inc.plot{1, 3, 2} inc.plot{inc.tensor{1, 2, 3}} inc.plot(inc.tensor{1, 2})'.err, '')
  term.contains(run 'inc.plot(inc.tensor{{1, 2}, {2, 3}})'.out, 'row 2')
  term.contains(run 'inc.plot(optim.cosine{})'.out, 'optim.cosine{}')
  term.equal(run 'inc.plot{math.sin, xrange = {0, 6}}'.err, '')
  term.equal(run 'local y = {} for i = 1, 100000 do y[i] = i % 7 end inc.plot{y}'.err, '')
  term.contains(run 'inc.plot{true}'.err, 'series 1: expected numbers, got boolean')
  term.contains(run 'inc.plot{inc.zeros{2, 2, 2}}'.err, 'got [2, 2, 2]')
  term.contains(run 'inc.plot{{1}, titel = "x"}'.err, 'did you mean title?')
end)

check('columns of one run and of several, and their mean with a band', function()
  run_folder('one', {4, 2, 1})
  run_folder('two', {6, 4, 3})
  local r = run 'inc.plot{"one", "loss"}'
  term.contains(r.out, '── loss')
  term.contains(r.out, 'step')
  r = run 'inc.plot{"one", "two"}'
  term.contains(r.out, 'one')
  term.contains(r.out, 'two')
  term.contains(run 'inc.plot{{"one", "two", name = "sgd"}, x = "epoch"}'.out, 'sgd (mean of 2 ± sd)')
  term.contains(run 'inc.plot{"one", "los"}'.err, 'los: no such column in one (did you mean loss?)')
  term.contains(run 'inc.plot{"nowhere", "loss"}'.err, 'nowhere: expected a run')
  local code = [[local s = require "inc.plot.series"
    local a, b = {x = {1, 2, 4}, y = {1, 2, 4}}, {x = {1, 3}, y = {3, 5}}
    local m = s.mean({a, b}, "std")
    for i, x in ipairs(m.x) do print(x, m.y[i], m.low[i], m.high[i]) end]]
  term.write('mean.lua', code)
  local sd, expected = 2 ^ 0.5, {}
  for i, row in ipairs{{1, 2, 2 - sd, 2 + sd}, {2, 3, 3 - sd, 3 + sd}, {3, 4, 4 - sd, 4 + sd},
    {4, 4, 4, 4}} do
    expected[i] = ('%d\t%s\t%s\t%s\n'):format(row[1], row[2] + 0.0, row[3] + 0.0, row[4] + 0.0)
  end
  term.equal(term.sh '"$INCSH" mean.lua'.out, table.concat(expected))
end)

check('a log that grows is read on from its end, torn lines wait, a new log begins anew', function()
  run_folder('grows', {4, 2})
  term.write('grow.lua', [[
    local logs = require 'inc.plot.logs'
    local function add(text, mode)
      local f <close> = io.open('grows/log.jsonl', mode or 'ab')
      f:write(text)
    end
    local function show() local l = logs.read 'grows' print(l.rows, table.concat(l.columns.loss, ' ')) end
    show()
    add '{"step":3,"epoch":0.3,"loss":1}\n{"step":4,"lo'
    show()
    add 'ss":0.5}\n'
    show()
    add('{"step":1,"epoch":9,"loss":7}\n', 'wb')
    show()
    print(logs.pair(logs.read 'grows', 'loss', 'step')[1])]])
  term.equal(term.sh '"$INCSH" grow.lua'.out, '2\t4 2\n3\t4 2 1\n4\t4 2 1 0.5\n1\t7\n1\n')
end)

-- -- pictures ----------------------------------------------------------------------------------------------

check('pictures by suffix', function()
  need_gnuplot()
  local r = run [[for _, kind in ipairs{"png", "svg", "pdf"} do
    inc.plot{{1, 3, 2}, {name = "b", y = {2, 2, 3}, low = {1, 1, 2}, high = {3, 3, 4}}, smooth = 0.3,
      logy = true, file = "a." .. kind}
  end]]
  term.equal(r.err .. r.out, '')
  term.contains(read 'a.png':sub(1, 4), 'PNG')
  term.contains(read 'a.svg', '<svg')
  term.contains(read 'a.svg', 'b (smoothed 0.3)')
  term.contains(read 'a.pdf':sub(1, 4), '%PDF')
  term.contains(run 'inc.plot{{1}, file = "a.gif"}'.err, 'expected a name that ends in .png, .svg or .pdf')
end)

check('text of the user never becomes a command', function()
  need_gnuplot()
  local evil = [["a'; system('touch pwned'); '", "'; system('touch pwned') #", "''; !touch pwned",
    "\\'; !touch pwned", "`touch pwned`", "$(touch pwned)", "\"; !touch pwned", '\nsystem("touch pwned")\n',
    "'\n!touch pwned\n'", "a\\", "@touch", "x_{2}^{3} &{space} {/Bold b}", "END\n!touch pwned", "\200\201",
    "$d1", "a\0b"]]
  term.write('evil.lua', 'for _, s in ipairs{' .. evil .. [[} do
    local o = {{name = s, y = {1, 2}}, title = s, xlabel = s, ylabel = s}
    assert(inc.plot.draw(o))
    o.file = 'evil.svg'
    assert(inc.plot.draw(o))
    inc.plot.draw{{1, 2}, file = s:gsub('[/\0]', '_') .. '.png'}
  end
  inc.plot{{1, 2}, file = '|touch pwned;.png'}]])
  local r = term.sh(UNICODE .. ' "$INCSH" evil.lua')
  term.equal(r.err .. r.status, '0')
  term.equal(exists 'pwned', false, 'a command ran')
end)

check('marks of enhanced text stay as they are', function()
  need_gnuplot()
  run 'inc.plot{{1, 2}, title = "x_{2}^{3} a&b", file = "marks.svg"}'
  term.contains(read 'marks.svg', 'x_{2}^{3} a&amp;b')
end)

check("the user's own gnuplot settings are not read", function()
  need_gnuplot()
  term.sh 'mkdir -p home'
  term.write('home/.gnuplot', 'set title "MINE"\nsystem("touch pwned2")\n')
  run('inc.plot{{1, 2}, file = "mine.svg"}', 'HOME="$PWD/home"')
  term.equal(exists 'pwned2', false)
end)

check('gnuplot absent, crashed, silent, slow: text still, and a sentence for files', function()
  local file = 'inc.plot{{1, 2}, file = "b.png"} print "on"'
  local r = term.sh([[PATH=/nowhere LC_ALL=C "$INCSH" -e 'inc.plot{{1, 2}} print "on"']])
  term.contains(r.out, '*')
  term.contains(r.out, 'on\n')
  r = term.sh(([[PATH=/nowhere "$INCSH" -e '%s']]):format(file))
  term.equal(r.out, 'on\n')
  term.contains(r.err, 'gnuplot is not installed')
  r = run(file, fake 'kill -9 $$')
  term.equal(r.out, 'on\n')
  term.contains(r.err, 'gnuplot failed')
  r = run(file, fake 'exit 0')
  term.contains(r.err, 'gnuplot failed')
  r = run(file, fake 'sleep 60')
  term.equal(r.out, 'on\n')
  term.contains(r.err, 'did not answer')
  term.equal(exists 'b.png', false)
  r = run 'inc.plot{{1, 2}, file = "no/such/folder/b.png"} print "on"'
  term.equal(r.out, 'on\n')
  term.contains(r.err, 'no/such/folder')
end)

-- -- terminals that show pictures --------------------------------------------------------------------------

-- What a terminal that gives these answers receives.
local function on_terminal(da1, kitty, code, env)
  local program = build .. 'tests/c/fake_terminal'
  if term.sh('[ -x ' .. program .. ' ]').status ~= 0 then term.skip(program .. ' is not built') end
  local clean = 'env -u TMUX -u STY -u KITTY_WINDOW_ID -u KONSOLE_VERSION -u TERM_PROGRAM -u NO_COLOR '
  local command = ('%s %s %s %s out.bin "$(printf \'%s\')" "$(printf \'%s\')" "$INCSH" -e \'%s\''):format(
    clean, UNICODE, env or 'TERM=xterm-256color', program, da1, kitty, code)
  local r = term.sh(command .. ' </dev/null')
  term.equal(r.status, 0, r.err)
  return read 'out.bin'
end

local curve = 'inc.plot{{1, 3, 2}}'

check('a terminal that answers 4 gets sixels', function()
  need_gnuplot()
  local out = on_terminal('\\033[?62;4;22c', '-', curve)
  term.contains(out, '\27[c')
  term.contains(out, '\27Pq')
  term.equal(out:find('┤', 1, true), nil, 'text too')
  term.equal(select(2, on_terminal('\\033[?62;4c', '-', curve .. curve):gsub('\27%[c', '')), 1, 'asked once')
end)

check('one that does not, or that says nothing, gets text', function()
  for _, answer in ipairs{'\\033[?62;22c', '\\033[?1;2c', '\\033[?64;14;40c', '-'} do
    local out = on_terminal(answer, '-', curve)
    term.contains(out, '┤')
    term.equal(out:find('\27P', 1, true), nil, answer)
    term.equal(out:find('\27_', 1, true), nil, 'asked about kitty')
  end
end)

check("kitty's protocol where the terminal answers that it knows it", function()
  need_gnuplot()
  local out = on_terminal('\\033[?62c', '\\033_Gi=31;OK\\033\\\\', curve, 'TERM=xterm-kitty')
  term.contains(out, '\27_Gf=100,a=T,q=2,m=')
  term.contains(out, 'iVBORw0KGgo')
  for chunk in out:gmatch '\27_G[^;]*;([^\27]*)\27' do assert(#chunk <= 4096) end
  out = on_terminal('\\033[?62c', '-', curve, 'TERM=xterm-kitty')
  term.contains(out, '┤')
end)

check('nobody is asked on a dumb terminal, in tmux about kitty, or when told', function()
  term.equal(on_terminal('\\033[?62;4c', '-', curve, 'TERM=dumb'):find('\27[', 1, true), nil)
  term.equal(on_terminal('\\033[?1c', '-', curve, 'TERM=xterm-kitty TMUX=x'):find('\27_', 1, true), nil)
  local out = on_terminal('\\033[?62;4c', '-', curve, 'TERM=xterm INC_GRAPHICS=none')
  term.equal(out:find('\27[c', 1, true), nil)
  term.contains(out, '┤')
end)

check('text where the picture cannot be drawn', function()
  local out = on_terminal('\\033[?62;4c', '-', curve, fake 'exit 3' .. ' TERM=xterm')
  term.contains(out, '┤')
  out = on_terminal('\\033[?62;4c', '-', curve, fake 'echo nonsense' .. ' TERM=xterm')
  term.contains(out, '┤')
end)

check('contact sheets go the same ways', function()
  local sheet = 'show{inc.rand{2, 3, 8, 8}, captions = {"a", "b"}}'
  local out = on_terminal('\\033[?62;4c', '-', sheet)
  term.contains(out, '\27Pq')
  term.equal(out:find('.png', 1, true), nil)
  out = on_terminal('\\033[?62c', '\\033_Gi=31;OK\\033\\\\', sheet, 'TERM=xterm-kitty')
  term.contains(out, '\27_Gf=24,s=')
  out = on_terminal('\\033[?62c', '-', sheet, 'TERM=xterm COLORTERM=truecolor')
  term.contains(out, '▀')
  term.contains(out, '\27[38;2;')
  out = on_terminal('\\033[?62c', '-', sheet, 'TERM=xterm COLORTERM=')
  term.contains(out, '\27[38;5;')
  for _, env in ipairs{'TERM=xterm NO_COLOR=1', 'TERM=xterm LC_ALL=C', 'TERM=dumb'} do
    out = on_terminal('\\033[?62c', '-', sheet, env)
    term.contains(out, '.png: 2 pictures, 2 in a row')
    term.equal(out:find('▀', 1, true), nil, env)
    os.remove(out:match '(/%S+%.png)')
  end
end)

check('tmux without sixels gets text, and what was typed meanwhile is not lost', function()
  local t = term.start{env = {'TERM=xterm-256color'}}
  t:type 'inc.plot{1, 3, 2, height = 8}'
  t:key 'Enter'
  t:type '"typed " .. 6 * 7'
  t:key 'Enter'
  local screen = t:wait 'typed 42'
  term.contains(screen, '┤')
  term.equal(screen:find('62;', 1, true), nil)
end)

-- -- live --------------------------------------------------------------------------------------------------

local function append(name, first, last)
  local file <close> = assert(io.open(term.work .. '/' .. name .. '/log.jsonl', 'ab'))
  for i = first, last do file:write(('{"step":%d,"loss":%g}\n'):format(i, 100 / i)) end
end

check('live: a panel above the prompt that follows the log and leaves what is typed alone', function()
  run_folder('live', {})
  append('live', 1, 10)
  local t = term.start{height = 30}
  t:type 'plot{"live", "loss", live = true, every = 0.5, title = "the panel"}'
  t:key 'Enter'
  t:wait 'the panel'
  t:wait '100'
  t:type '6 * '
  append('live', 11, 2000)
  t:wait '1500'
  term.contains(t:screen(), 'inc> 6 *')
  t:type '7'
  t:key 'Enter'
  t:wait '42'
  local screen = t:wait 'the panel'
  term.equal(select(2, screen:gsub('the panel', '')), 2, 'the panel and its call, and no more')
  t:type 'plot.stop()'
  t:key 'Enter'
  t:until_screen(function(s) return not s:find '┤' end, 'the panel to go')
end)

-- A prompt on a terminal that shows pictures, beside a run of ten steps; tmux itself drops pictures, so its
-- screen has the text and the log of its pane has the pictures.
local function picture_prompt(kind, more)
  run_folder('live', {})
  append('live', 1, 10)
  local env = {'INC_GRAPHICS=' .. kind, 'TERM=xterm-256color'}
  for _, v in ipairs(more or {}) do env[#env + 1] = v end
  local t = term.start{height = 30, env = env}
  t:log 'pane.bin'
  return t
end

local function pictures(head)
  local n = 0
  for _ in read 'pane.bin':gmatch(head) do n = n + 1 end
  return n
end

local function wait_for(test, what)
  local host = require 'inc.host'
  local stop = host.now() + 30
  while not test() do
    if host.now() > stop then error('waited in vain for ' .. what) end
    host.spawn({'sleep', '0.05'}, '', 1)
  end
end

for _, kind in ipairs{'sixel', 'kitty'} do
  local head = kind == 'sixel' and '\0277\27P' or '\0277\27_Gf=100,c=%d+,r=14,C=1,i=%d+,p=1,a=T,q=2'
  check('live: pictures by ' .. kind .. ' above the prompt leave what is typed alone', function()
    need_gnuplot()
    local t = picture_prompt(kind)
    t:type 'plot{"live", "loss", live = true, every = 0.5}'
    t:key 'Enter'
    wait_for(function() return pictures(head) >= 1 end, 'a picture')
    t:until_screen(function(s) return not s:find '┤' end, 'the text to make room')
    t:type 'for i = 1, 2 do'
    t:key 'Enter'
    t:type 'print(i * 21)'
    append('live', 11, 200)
    local before = pictures(head)
    wait_for(function() return pictures(head) > before end, 'another picture')
    term.equal(t:screen():match '[^\n]*\n[^\n]*$', 'inc> for i = 1, 2 do\n  print(i * 21)')
    t:key 'Enter'
    t:type 'end'
    t:key 'Enter'
    t:wait '\n42'
    append('live', 201, 300)
    before = pictures(head)
    wait_for(function() return pictures(head) > before end, 'a picture below the answer')
    local screen = t:screen()
    term.equal(select(2, screen:gsub('print%(i', '')), 1, 'typed once, on the screen once')
    local _, blank = screen:match '\n42\n(\n*)inc>$':gsub('\n', '')
    term.equal(blank, 14, 'the rows of the picture')
    t:run 'plot.stop()'
    t:until_screen(function(s) return s:find 'plot.stop%(%)\ninc>$' end, 'its rows to go')
  end)
end

check('live: no more pictures a second than asked, and none of the same values', function()
  need_gnuplot()
  local t = picture_prompt 'sixel'
  t:run 'plot{"live", "loss", live = true, every = 2}'
  wait_for(function() return pictures '\0277\27P' >= 1 end, 'a picture')
  local host, n = require 'inc.host', pictures '\0277\27P'
  local stop = host.now() + 3
  while host.now() < stop do host.spawn({'sleep', '0.1'}, '', 1) end
  term.equal(pictures '\0277\27P', n, 'drawn again though nothing changed')
  stop = host.now() + 4
  for i = 11, 1000 do
    append('live', i, i)
    host.spawn({'sleep', '0.05'}, '', 1)
    if host.now() > stop then break end
  end
  local drawn = pictures '\0277\27P' - n
  if drawn < 1 or drawn > 3 then error(drawn .. ' pictures in 4 seconds') end
end)

check('live: a picture gives way to an entry that needs the screen', function()
  need_gnuplot()
  local t = picture_prompt 'sixel'
  t:run 'plot{"live", "loss", live = true, every = 0.5}'
  wait_for(function() return pictures '\0277\27P' >= 1 end, 'a picture')
  t:paste('x = {\n' .. ('  1,\n'):rep(20) .. '}')
  append('live', 11, 200)
  t:until_screen(function(s) return s:find('inc> x = {\n' .. ('  1,\n'):rep(20) .. '}$') end, 'the entry')
  t:key 'Enter'
  t:type '#x'
  t:key 'Enter'
  t:wait '\n20'
end)

check('live: a script on such a terminal prints pictures', function()
  need_gnuplot()
  run_folder('live', {3, 2, 1})
  local code = 'inc.plot{"live", "loss", live = true} '
    .. 'io.write((select(2, require("inc.plot.live").tick()))[1])'
  term.contains(on_terminal('\\033[?62;4;22c', '-', code), '\27Pq')
  term.contains(on_terminal('\\033[?62;22c', '-', code), '┤')
end)

check('live: text where no picture comes of it, and it is said', function()
  local path = 'PATH=' .. term.work .. '/fake:' .. os.getenv 'PATH'
  for _, case in ipairs{{'exit 3', 'status 3'}, {'echo nonsense', 'drew no picture'},
    {'kill -9 $$', 'status 137'}, {'exec sleep 60', 'no answer in time', 20}} do
    fake(case[1])
    local t = picture_prompt('sixel', {path})
    t:run 'plot{"live", "loss", live = true, every = 0.5}'
    t:run '6 * 7'
    local screen = t:wait(case[2], case[3])
    term.contains(screen, '; the curves are drawn as text')
    term.contains(t:wait '┤', '42')
    t:close()
  end
end)

check('live: a file is drawn anew, by nobody that the prompt waits for', function()
  need_gnuplot()
  run_folder('live', {})
  append('live', 1, 10)
  local t = term.start()
  t:run 'plot{"live", "loss", live = true, file = "live.svg"}'
  t:until_screen(function() return exists 'live.svg' end, 'a picture')
  term.contains(read 'live.svg', '</svg>')
  t = term.start{env = {'PATH=' .. term.work .. '/fake:' .. os.getenv 'PATH'}}
  fake 'sleep 60'
  t:run 'plot{"live", "loss", live = true, file = "never.svg"}'
  t:run 'x = 1'
  term.equal(exists 'never.svg', false)
  fake 'exit 3'
  t = term.start{env = {'PATH=' .. term.work .. '/fake:' .. os.getenv 'PATH'}}
  t:run 'plot{"live", "loss", live = true, file = "never.svg"}'
  t:wait 'plot: gnuplot failed: status 3'
end)

check('live: what is wrong with the call is said at once', function()
  run_folder('live', {1})
  term.contains(run 'inc.plot{{1, 2}, live = true}'.err, 'expected a run, or the folder of one')
  term.contains(run 'inc.plot{"live", live = true, file = "a.gif"}'.err, 'expected a name that ends in')
end)
