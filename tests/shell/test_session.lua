-- test_session.lua: what a session knows of itself: names and bytes, reloading, the session as a script,
-- files that run at start, times.
local shell = require 'inc.shell'

local function eval(s, ...)
  for _, code in ipairs {...} do
    local r = s:eval(code)
    if not r.ok then error(code .. ': ' .. r.error.message, 2) end
  end
end

-- -- who --------------------------------------------------------------------------------------------------

check('who: names, kinds, bytes; views and shared weights once in the total', function()
  local t = term.start{width = 120}
  term.equal(t:run 'who', 'nothing yet: names that you make are listed here')
  t:run 'x = inc.zeros{256, 1024}; y = x[1]; z = {x, deep = {x}}'
  t:run 'net = nn.Linear{4, in_features = 3, bias = false}; net:build{1, 3};'
  t:run 'local n = 5'
  t:run 'function f() end'
  local s = t:run 'who()'
  for _, pattern in ipairs {'name%s+kind%s+cpu%s+what', 'f%s+function%s+prompt%[%d+%]:1', 'n%s+number%s+5',
    'net%s+net%s+48 B%s+nn.Linear', 'x%s+tensor%s+1.0 MiB%s+%[256, 1024%] f32',
    'y%s+tensor%s+4.0 KiB%s+%[1024%]',
    'z%s+table%s+1.0 MiB%s+2 entries', 'in all%s+1.0 MiB%s+%(%d'} do
    assert(('\n' .. s):find('\n' .. pattern), pattern .. ' in\n' .. s)
  end
  term.equal(t:run '#who() == 6 and who().total.cpu', tostring(256 * 1024 * 4 + 48))
  t:run 'print = 3'
  term.contains(t:run 'who', 'print')
end)

-- -- reload -----------------------------------------------------------------------------------------------

check('reload: holders of the table see the new functions; a bad file keeps the old', function()
  term.write('my_module.lua', 'local m = {old = 1}\nfunction m.f() return 1 end\nreturn m')
  local t = term.start()
  t:run 'm = require "my_module"; also = {m = m}'
  term.equal(t:run 'm.f()', '1')
  term.write('my_module.lua', 'local m = {}\nfunction m.f() return 2 end\nreturn m')
  term.equal(t:run 'm.f()', '1')
  term.equal(t:run 'reload "my_module" == m', 'true')
  term.equal(t:run 'also.m.f() + (m.old or 0)', '2')
  term.write('my_module.lua', 'return {')
  term.contains(t:run 'reload "my_module"', "unexpected symbol near <eof>")
  term.equal(t:run 'm.f() + require "my_module".f()', '4')
  term.equal(t:run 'reload "my_modul"', 'error: reload: my_modul: no such module (did you mean my_module?)')
  term.equal(t:run 'reload "inc.nn"', 'error: reload: inc.nn: part of incsh itself')
  term.equal(t:run 'reload(5)', 'error: reload: expected a module, got 5')
end)

-- -- the session as a script ------------------------------------------------------------------------------

local entries = {
  'w = inc.randn{3, 4}', 'w:sum():item()', 'spoilt = inc.randn{5} error "no"', 'local n = 2', 'x = = 1',
  'inc.randn{2}', 'local n, m = n + 1, 5', 'f = function() return n end', 'n = 9', 'f() + m', '_ + 1',
  'n;', 'local print = print', 'for i = 1, 2 do\n  print(i, inc.randn{1}:item())\nend', '= 3 -- a remark',
  'local k <const> = 4; k', 'a = 5; a', 'do local n = 1 end', 'n', 'net = nn.Linear{2, in_features = 3}',
  'net(inc.ones{1, 3})', 'inc.randn{3}:sum();', 'nil', 'inc.seed(7)', 'inc.rand{2}', '("text"):rep(2)',
}

-- What the prompt prints for the entries that work.
local function printed(s)
  local lines, real = {}, _G.print
  local show = require 'inc.show'
  _G.print = function(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    lines[#lines + 1] = table.concat(parts, '\t')
  end
  for _, code in ipairs(entries) do
    local r = s:eval(code)
    for i = 1, r.ok and not r.mute and r.values.n or 0 do lines[#lines + 1] = show.value(r.values[i]) end
  end
  _G.print = real
  return table.concat(lines, '\n') .. '\n'
end

check('save_session: the script gives the same numbers, in batch', function()
  inc.core.rng():fill_(0)
  local s = shell.new()
  local expected = printed(s)
  local path = term.write('saved.lua', s:script())
  local r = term.sh('"$INCSH" ' .. path)
  term.equal(r.err, '')
  term.equal(r.out, expected)
  assert(not s:script():find('spoilt', 1, true) and not s:script():find('= = 1', 1, true), s:script())
  term.contains(s:script(), 'local print = print\n')
end)

check('save_session: as typed where nothing else is needed', function()
  inc.core.rng():fill_(0)
  local s = shell.new()
  eval(s, 'x = {1}', 'table.insert(x, 2);', 'local y = x', 'print(#y)')
  term.equal(s:script():match '\n\n(.*)$', 'x = {1}\ntable.insert(x, 2)\nlocal y = x\nprint(#y)\n')
  eval(s, 'y', '_1')
  term.contains(s:script(), 'keep(y)\nkeep(_1)')
end)

check('save_session: more locals than a chunk can hold', function()
  local s = shell.new()
  for i = 1, 300 do eval(s, ('local v%d = %d'):format(i, i)) end
  eval(s, 'print(v1 + v300)')
  term.equal(term.sh('"$INCSH" ' .. term.write('many.lua', s:script())).out, '301\n')
end)

check('save_session at the prompt, and going on from it with -i', function()
  local t = term.start{width = 100}
  t:run 'local rate = 0.5'
  t:run 'function half(v) return v * rate end'
  t:run 'half(8)'
  t:run 'half(nil)'
  t:run '!echo hello'
  t:run 'who()'
  term.equal(t:run 'save_session "s.lua"', '4 entries in s.lua; incsh -i s.lua goes on from there')
  t:run 'rate = 0.25'
  term.equal(t:run 'save_session "s.lua"', '5 entries in s.lua; incsh -i s.lua goes on from there')
  term.write('mine.lua', 'x = 1')
  term.contains(t:run 'save_session "mine.lua"', 'mine.lua: is there and is not a saved session')
  term.contains(t:run 'save_session()', 'save_session: expected a file name, got nil')
  term.contains(t:run 'save_session "no/such/folder/s.lua"', 'error: ')
  local text = term.sh 'cat s.lua'.out
  term.contains(text, 'local rate = 0.5\nfunction half(v) return v * rate end\n')
  term.contains(text, 'keep(half(8))\n-- !echo hello\n')
  term.equal(term.sh '"$INCSH" s.lua'.out, '4.0\n')
  local u = term.start{args = '-i s.lua'}
  term.contains(u:screen(), '\n4.0\n')
  term.equal(u:run 'half(8) + rate', '2.25')
  u:run 'more = 1'
  u:run 'save_session "s.lua"'
  local again = term.sh 'cat s.lua'.out
  term.contains(again, 'more = 1\n')
  term.equal(select(2, again:gsub('A session of incsh', '')), 1)
  term.equal(term.sh '"$INCSH" s.lua'.out, '4.0\n2.25\n')
end)

check('save_session waits where the session had waited for its runs', function()
  local s, active = shell.new(), true
  local before = rawget(inc, 'active_runs')
  rawset(inc, 'active_runs', function() return active and {1} or {} end)
  eval(s, 'started = true')
  active = false
  eval(s, 'after = true')
  rawset(inc, 'active_runs', before)
  term.contains(s:script(), 'started = true\ninc.wait_runs()\nafter = true\n')
end)

check('-i: arguments, errors, and a first line for the system', function()
  term.write('first.lua', '#!/usr/bin/env incsh\nlocal given = ...\nfrom_arg = arg[1]\n')
  local t = term.start{args = '-i first.lua one two'}
  term.equal(t:run 'given .. from_arg', '"oneone"')
  term.write('bad.lua', 'good = 1\nlocal t\nprint(t.x)\n')
  local u = term.start{args = '-i bad.lua'}
  term.contains(u:screen(), "incsh: bad.lua:3: attempt to index a nil value (local 't')")
  term.equal(u:run 'good', '1')
  local v = term.start{args = '-i none.lua'}
  term.contains(v:screen(), 'none.lua: No such file')
end)

-- -- files that run at start ------------------------------------------------------------------------------

check('.incshrc: refused, allowed, refused again after a change', function()
  term.write('.incshrc', 'from_folder = 1\nprint "rc ran"\n')
  local t = term.start{args = '', state = 'allow'}
  term.contains(t:screen():gsub('%s+', ' '), '/.incshrc is not run: allow_folder() shows it')
  term.equal(t:run 'from_folder', 'nil')
  term.equal(t:run 'allow_folder()', 'from_folder = 1\nprint "rc ran"\nrc ran')
  term.equal(t:run 'from_folder', '1')
  local u = term.start{args = '', state = 'allow'}
  term.contains(u:screen(), '\nrc ran\n')
  term.equal(u:run 'from_folder', '1')
  local plain = term.start{args = '--no-rc', state = 'allow'}
  term.equal(plain:run 'from_folder', 'nil')
  local other = term.start{args = '', state = 'allow_other'}
  term.equal(other:run 'from_folder', 'nil')
  term.write('.incshrc', 'from_folder = 2 -- changed\n')
  local v = term.start{args = '', state = 'allow'}
  term.equal(v:run 'from_folder', 'nil')
  term.sh 'mkdir -p elsewhere && cp .incshrc elsewhere && rm .incshrc'
  term.contains(v:run 'allow_folder()', 'error: allow_folder: expected a file .incshrc in this folder')
end)

check('.incshrc: an allowed file that fails does not keep anyone from the prompt', function()
  term.write('.incshrc', 'error "bad rc"\n')
  local t = term.start{args = '', state = 'failing'}
  term.contains(t:run 'allow_folder()', 'bad rc')
  local u = term.start{args = '', state = 'failing'}
  term.contains(u:screen(), 'bad rc')
  term.equal(u:run '1 + 1', '2')
  term.sh 'rm .incshrc'
end)

check('.incshrc is no business of scripts, -e and pipes', function()
  term.write('.incshrc', 'print "rc ran"\n')
  term.equal(term.sh [["$INCSH" -e 'print(1)']].out, '1\n')
  term.equal(term.sh [[echo 'print(2)' | "$INCSH"]].out, '2\n')
  term.sh 'rm .incshrc'
end)

-- -- times ------------------------------------------------------------------------------------------------

check('time and timeit: prefix and function, spread, warm-up, and names of the user', function()
  local t = term.start{width = 130}
  assert(t:run 'time 1 + 1':find '^2\ntime: [%d.]+ [num]?s$')
  local s = t:run 'timeit math.sqrt(2)'
  assert(s:find '^median .*, middle half .* to .*, all .* to .*, %d+ runs of %d+ calls$', s)
  t:run 'calls = 0; r = timeit(function() calls = calls + 1 end, {n = 3, warmup = 4})'
  term.equal(t:run 'r.runs', '3')
  term.equal(t:run 'calls == r.warmup + r.runs * r.each', 'true')
  term.equal(t:run 'r.least <= r.low and r.low <= r.median and r.median <= r.high', 'true')
  term.contains(t:run 'timeit print', 'note: the value is a function; timeit f() times its call')
  term.equal(t:run 'select("#", time(function() return 7, 8 end))', '3')
  term.contains(t:run 'timeit(5)', 'error')
  t:run 'n = 0; inc.synchronize = function() n = n + 1 end'
  t:run 'time 1;'
  term.equal(t:run 'n', '2')
  t:run 'time = 3'
  term.equal(t:run 'time + 1', '4')
end)

-- -- a session that trained -------------------------------------------------------------------------------

local maker = term.program:gsub('[^/]*$', 'tests/c/make_pictures')

-- Losses and rates of a run, as its log has them.
local function numbers_of(folder)
  local list = {}
  for line in io.lines(folder .. '/log.jsonl') do
    local row = inc.json.decode(line)
    list[#list + 1] = ('%d %.9g %.9g %s'):format(row.step, row.loss, row.lr, tostring(row['val.top1']))
  end
  return table.concat(list, '\n')
end

check('save_session: what was done to a run while it trained is done at the same steps', function()
  local pictures = term.work .. '/replayed'
  term.sh(('rm -rf %s; %s set %s 3 14 48'):format(pictures, maker, pictures))
  if not inc.core.path_kind(pictures) then term.skip(maker .. ' is not built') end
  local t = term.start{width = 190, height = 50}
  local function enter(code, shows)
    t:type(code)
    t:key 'Enter'
    t:until_screen(function(s) return s:find(shows or '\ninc>$') end, shows or 'a prompt', 60)
  end
  enter(('package.path = "%s/tests/?.lua;" .. package.path; tiny = require "tiny"'):format(term.home))
  enter('changes = {steps = 100000, val_every = 50}')
  enter(('run = train(tiny.options(tiny.net(), %q, "first", changes));'):format(pictures))
  enter('repeat until run:status().step > 20; 1', '\n1\n')
  enter 'run:set{lr = 0.003};'
  enter('repeat until run:status().step > 40; 2', '\n2\n')
  enter 'run:swap(optim.adam{lr = 0.002})'
  enter 'run:pause();'
  enter('repeat until run:status().state == "paused"; 3', '\n3\n')
  enter 'run:set{weight_decay = 0.01};'
  enter 'twin = run:fork{lr = 0.004, steps = run:status().step + 40, out = "second"};'
  enter 'run:continue();'
  enter('repeat until run:status().step > 150; 4', '\n4\n')
  enter 'run:stop(); run:wait{quiet = true};'
  enter('twin:wait{quiet = true}; 5', '\n5\n')
  enter('save_session "trained.lua"', 'it trains into second, which is there: ')
  local made = numbers_of(term.work .. '/first')
  local twin = numbers_of(term.work .. '/second')
  term.contains(term.sh 'cat trained.lua'.out, 'keep.at(1, ')
  assert(select(2, made:gsub("\n", "")) > 150, made)
  term.contains(term.sh '"$INCSH" trained.lua'.err, "out = 'first' holds a run already")
  term.sh 'mv first was_first; mv second was_second'
  local r = term.sh 'timeout 300 "$INCSH" trained.lua'
  term.equal(r.status, 0, r.err)
  term.equal(r.err, '')
  term.equal(numbers_of(term.work .. '/first'), made)
  term.equal(numbers_of(term.work .. '/second'), twin)
end)
