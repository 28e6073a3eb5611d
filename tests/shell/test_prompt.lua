-- test_prompt.lua: typing at the prompt, looked at through a terminal of 80 by 24.
-- What is compared is the screen, between the echo of an entry and the next prompt. Colours are off, so that
-- texts can be compared exactly.

check('expressions print, statements do not, ; mutes', function()
  local t = term.start()
  term.equal(t:run '1 + 2', '3')
  term.equal(t:run 'x = 7', '')
  term.equal(t:run 'x;', '')
  term.equal(t:run '_', '7')
  term.equal(t:run '"a" .. 1', '"a1"')
  term.equal(t:run '{1, {a = 2}, b = {}}', '{1, {a = 2}, b = {}}')
  term.equal(t:run 'nil', 'nil')
  term.equal(t:run 'print(5)', '5')
  term.equal(t:run '= x', '7')
  term.equal(t:run 'y = 1; y + 1', '2')
end)

check('_ and _1 are the last values', function()
  local t = term.start()
  t:run '11'
  t:run '22'
  term.equal(t:run '_1 + _', '33')
end)

check('a loop over several lines, recalled and run again as one', function()
  local t = term.start()
  t:type 'for i = 1, 2 do'
  t:key 'Enter'
  t:type 'print("row " .. i)'
  t:key 'Enter'
  t:type 'end'
  t:key 'Enter'
  t:until_screen(function(s) return s:find 'row 1\nrow 2\ninc>$' end, 'two rows and a prompt')
  t:key 'Up'
  t:until_screen(function(s) return s:find 'end$' end, 'the loop again')
  t:key 'Enter'
  t:until_screen(function(s) return select(2, s:gsub('\nrow 2', '')) == 2 end, 'two more rows')
end)

check('closing words go back two columns; output without a newline keeps its line', function()
  local t = term.start()
  for _, line in ipairs {'for i = 1, 1 do', 'if i then', 'x = 5', 'else', 'x = 6', 'end', 'end'} do
    t:type(line)
    t:key 'Enter'
  end
  t:wait 'for i = 1, 1 do\n  if i then\n    x = 5\n  else\n    x = 6\n  end\nend\ninc>'
  term.equal(t:run 'x', '5')
  term.equal(t:run 'io.write "no newline";', 'no newline%')
  term.equal(t:run 'x', '5')
end)

check('an empty line ends what can never be complete', function()
  local t = term.start()
  t:type 'f('
  t:key 'Enter'
  t:key 'Enter'
  t:wait 'error: syntax'
  term.equal(t:run '1', '1')
end)

check('local lasts, said once', function()
  local t = term.start()
  term.equal(t:run 'local a, b = 1, 2', "note: 'local' at the prompt lasts until the shell ends")
  term.equal(t:run 'local function g() return a + b end', '')
  term.equal(t:run 'a = 10', '')
  term.equal(t:run 'g()', '12')
  term.equal(t:run 'rawget(_G, "a")', 'nil')
  term.equal(t:run 'local c <const> = 3', '')
  term.equal(t:run 'c', '3')
  term.equal(t:run 'do local c = 4 end; c', '3')
  term.equal(t:run 'local d', '')
  term.equal(t:run 'd', 'nil')
end)

check('errors: message, hint, line; no frame of ours; trace()', function()
  local t = term.start()
  term.equal(t:run 'nope.x', "error: attempt to index a nil value (global 'nope')")
  term.equal(t:run 'error("a: b\\nhint: do c", 0)', 'error: a: b\n  hint: do c')
  t:run 'function f() inc.args.fail "no" end'
  term.equal(t:run 'f()', 'error: no\n  at prompt[3]:1: function f() inc.args.fail "no" end')
  term.contains(t:run 'trace()', 'stack traceback')
  term.write('two.lua', 'return function()\n  local t\n  return t.x\nend\n')
  t:run 'g = dofile "two.lua"'
  term.equal(t:run 'g()', "error: attempt to index a nil value (local 't')\n  at two.lua:3: return t.x")
  term.equal(t:run 'x = = 1', "error: syntax: unexpected symbol near '='")
  term.equal(t:run 'error{code = 7}', 'error: {code = 7}')
  term.equal(t:run 'resum{}', "error: attempt to call a nil value (global 'resum')\n" ..
    '  hint: did you mean resume?')
  term.equal(t:run 'optim.adm{}', "error: attempt to call a nil value (field 'adm')\n" ..
    '  hint: did you mean optim.adam?')
  t:run 'net, flowers = nn.ReLU{}, {}'
  term.equal(t:run 'net:parameter()', "error: attempt to call a nil value (method 'parameter')\n" ..
    '  hint: did you mean net:parameters?')
  term.equal(t:run 'train{net, flower, steps = 3}', 'error: train: expected data: a folder, or what ' ..
    'data.folder gives\n  hint: flower is nil: did you mean flowers?')
  term.equal(t:run 'print({1, {a = 2}}, 3)', '{1, {a = 2}}    3')
  term.equal(t:run 'Conv2d{3}', "error: attempt to call a nil value (global 'Conv2d')\n" ..
    '  hint: did you mean nn.Conv2d?')
end)

check('Tab: globals, fields, methods, options, file names', function()
  local t = term.start()
  t:type 'string.forma'
  t:key 'Tab'
  t:wait 'inc> string.format'
  t:key('C-u')
  t:type '("x"):upp'
  t:key 'Tab'
  t:wait '("x"):upper'
  t:key('C-u')
  t:run 'thing = setmetatable({alpha = 1}, {__index = {beta = print}})'
  t:type 'thing:'
  t:key 'Tab'
  t:wait 'inc> thing:beta'
  t:key('C-u')
  t:run 'local longlocal = 1'
  t:type 'longl'
  t:key 'Tab'
  t:wait 'inc> longlocal'
  t:key('C-u')
  t:type 'nn.Conv2d{32, kern'
  t:key 'Tab'
  t:wait 'kernel_size ='
  t:key('C-u')
  term.write('somefile.txt', '')
  t:type 'io.open "somef'
  t:key 'Tab'
  t:wait 'io.open "somefile.txt"'
  t:key('C-u')
  term.write('adam_notes.txt', '') -- a file that begins as a word does
  t:type "train{net, data, optimizer = 'adamw"
  t:key 'Tab'
  t:wait "optimizer = 'adamw'"
  t:key('C-u')
  t:type 'train{augment = "li'
  t:key 'Tab'
  t:wait 'augment = "light"'
  t:key('C-u')
  t:type "help 'data.fol"
  t:key 'Tab'
  t:wait "help 'data.folder'"
  t:key('C-u')
  t:type '!ls somef'
  t:key 'Tab'
  t:wait 'inc> !ls somefile.txt'
end)

check('Tab never runs code of the user', function()
  local t = term.start()
  t:run 'ran = 0'
  t:run 'u = setmetatable({}, {__index = function() ran = ran + 1 end, __complete = function() ran = 9 end})'
  t:type 'u.abc.d'
  t:key 'Tab'
  t:key 'Tab'
  t:key 'C-u'
  t:type 'u:'
  t:key 'Tab'
  t:key 'C-u'
  term.equal(t:run 'ran', '0')
end)

check('help, source, shell, time', function()
  local t = term.start()
  term.contains(t:run 'help()', 'Topics:')
  term.contains(t:run '?inc.try', 'Call f and never raise')
  t:run 'function mine(a) return a end'
  term.contains(t:run '??mine', 'function mine(a) return a end')
  term.equal(t:run '!echo from sh', 'from sh')
  term.equal(t:run '!exit 3', 'status 3')
  term.contains(t:run 'time 1 + 1', 'time: ')
  term.contains(t:run 'timeit 1 + 1', 'median ')
  term.contains(t:run '?nosuchname', 'no help on')
end)

check('Ctrl-D leaves, exit leaves', function()
  local t = term.start()
  t:key 'C-d'
  t:wait '[left with 0]'
  local u = term.start()
  u:type 'exit'
  u:key 'Enter'
  u:wait '[left with 0]'
end)

check('a paste arrives as one entry, without our prompts', function()
  local t = term.start()
  t:paste 'inc> p = 1\ninc> for i = 1, 2 do\n  p = p + i\nend\ninc> p\n4\n'
  t:wait 'p = p + i'
  t:key 'Enter'
  t:until_screen(function(s) return s:find '\n4\ninc>$' end, 'the value 4 alone')
  t:paste 'q = 1\nq = q + 1\nprint("q is " .. q)\n'
  t:key 'Enter'
  t:wait 'q is 2'
end)

check('a paste that begins in the middle of an entry of ours', function()
  local t = term.start()
  t:run 'p = 1'
  t:type 'for i = 1, 2 do'
  t:key 'Enter'
  t:until_screen(function(s) return s:find '2 do\n$' or s:find '2 do$' end, 'an open entry')
  t:paste '...>   p = p + i\n...> end\nprinted\ninc> p = p * 10\ninc> p\n40\n'
  t:until_screen(function(s) return s:find 'p = p %+ i\nend\np = p %* 10\np$' end, 'the code alone')
  t:key 'Enter'
  t:until_screen(function(s) return s:find '\n40\ninc>$' end, 'the value')
  t:key 'Up'
  t:until_screen(function(s) return select(2, s:gsub('for i = 1, 2 do', '')) == 2 end, 'one entry recalled')
end)

check('the editor gets the entry and gives it back', function()
  local path = term.write('edit.sh', '#!/bin/sh\necho "40 + 2" > "$1"\n')
  local t = term.start{env = {'EDITOR=sh ' .. path}}
  t:type 'something'
  t:key('C-x', 'C-e')
  t:wait '40 + 2'
  t:key 'Enter'
  t:wait '\n42\n'
end)

check('news of a run come above what is being typed', function()
  local t = term.start()
  t:run 'n = 0'
  t:run 'function news() if n < 7 then print("news " .. n) end end'
  t:run 'function inc.shell_idle() n = n + 1 news() return n < 4 and "step " .. n or nil end'
  t:type 'half = "typed'
  local s = t:until_screen(function(s) return s:find 'news 6' end, 'six pieces of news')
  term.contains(s, 'inc> half = "typed')
  assert(not s:find 'step %d+\n.*step %d+', 'more than one status line:\n' .. s)
  t:type '"'
  t:wait 'inc> half = "typed"'
end)

check('start-up file runs, unless --no-rc', function()
  term.sh 'mkdir -p config/incsh && echo "from_rc = 5" > config/incsh/init.lua'
  local t = term.start{args = ''}
  term.equal(t:run 'from_rc', '5')
  local u = term.start{args = '--no-rc'}
  term.equal(u:run 'from_rc', 'nil')
  term.sh 'echo "error(1)" > config/incsh/init.lua'
  local v = term.start{args = ''}
  term.equal(v:run '2', '2')
  term.sh 'rm -r config'
end)

check('-i runs a file, then prompts', function()
  term.write('first.lua', 'given = 3')
  local t = term.start{args = '-i first.lua'}
  term.equal(t:run 'given', '3')
end)

for _, kind in ipairs {{'dumb terminal', 'TERM=dumb'}, {'LANG=C', 'LANG=C'}} do
  check('works on a ' .. kind[1], function()
    local t = term.start{env = {kind[2]}}
    term.equal(t:run '1 + 1', '2')
    t:type 'for i = 1, 1 do'
    t:key 'Enter'
    t:type 'print "in"'
    t:key 'Enter'
    t:type 'end'
    t:key 'Enter'
    t:wait '\nin\n'
    t:key 'C-c'
    t:wait_prompt()
    term.equal(t:run '3', '3')
  end)
end

check('a wide screen', function()
  local t = term.start{width = 200, height = 50}
  local code = 'x = {' .. ('10, '):rep(40) .. '}'
  t:run(code)
  term.equal(t:run '#x', '40')
end)
