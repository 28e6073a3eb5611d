-- test_shell.lua: the evaluator, the completer and the printer without a terminal, as a notebook would use
-- them. No input or output is involved; sessions are objects, so each check has its own and nothing leaks
-- from one to the next but true globals.
local shell = require 'inc.shell'
local show = require 'inc.show'

check('is_complete', function()
  local s = shell.new()
  local complete = {'x', 'x = 1', 'for i = 1, 2 do end', '!ls', '?x', 'print("a")', 'time x', 'x = 1\nx',
    '-- c', ''}
  local incomplete = {'x =', 'for i = 1, 2 do', 'f(', 'x = [[a', '--[[ c', 'if a then b() else', 'a:b',
    'x = {1,', 'function f(', '"a\\', 'time f('}
  local invalid = {'end', 'x = = 2', 'print("abc', ')', '0x'}
  for _, text in ipairs(complete) do term.equal(s:is_complete(text), 'complete', text) end
  for _, text in ipairs(incomplete) do term.equal(s:is_complete(text), 'incomplete', text) end
  for _, text in ipairs(invalid) do term.equal(s:is_complete(text), 'invalid', text) end
  term.equal(select(2, s:is_complete 'for i = 1, 2 do\n  if x then'), '    ')
  term.equal(select(2, s:is_complete 'x = [[a {'), '')
end)

check('local is lifted with the meaning of a local', function()
  local s = shell.new()
  assert(s:eval 'local n, get = 0, function() return n end'.ok)
  assert(s:eval 'local function inc_n() n = n + 1 return n end'.ok)
  term.equal(s:eval 'inc_n() + inc_n()'.values[1], 3)
  term.equal(s:eval 'n'.values[1], 2)
  term.equal(rawget(_G, 'n'), nil)
  assert(s:eval 'if true then local n = 9 end'.ok)
  term.equal(s:eval 'n'.values[1], 2)
  assert(s:eval 'local text = "local n = 5" -- local n = 6'.ok)
  term.equal(s:eval 'n'.values[1], 2)
  assert(s:eval 'local a <const>, b = 1'.ok)
  term.equal(s:eval 'b == nil and a'.values[1], 1)
  assert(s:eval 'f = function() return n * 10 end'.ok)
  assert(s:eval 'n = 4'.ok)
  term.equal(s:eval 'f()'.values[1], 40)
  term.equal(#s.notes, 1)
end)

check('two sessions do not share locals', function()
  local a, b = shell.new(), shell.new()
  a:eval 'local only_a = 1'
  term.equal(b:eval 'only_a'.values[1], nil)
end)

check('many locals and long entries', function()
  local s = shell.new()
  for i = 1, 400 do assert(s:eval(('local v%d = %d'):format(i, i)).ok) end
  term.equal(s:eval 'v1 + v400'.values[1], 401)
end)

check('pasted text: prompts of ours and of others, and what was printed between', function()
  local s = shell.new()
  local function pasted(text, expected)
    local function is_open(entry) return s:is_complete(entry) == 'incomplete' end
    term.equal(require 'inc.shell.paste'.clean(text, is_open), expected, text)
  end
  pasted('x = 1', 'x = 1')
  pasted('', '')
  pasted('a = 1\r\nb = 2\r\n\n', 'a = 1\nb = 2')
  pasted('inc> x = 1\ninc> x\n1\ninc>', 'x = 1\nx\n')
  pasted('inc> for i = 1, 2 do\n...>   print(i)\n...> end\n1\n2\ninc> x',
    'for i = 1, 2 do\n  print(i)\nend\nx')
  pasted('inc> for i = 1, 2 do\n  print(i)\nend\n1\n2\ninc> x', 'for i = 1, 2 do\n  print(i)\nend\nx')
  pasted('...>   print(i)\n...> end', '  print(i)\nend')
  pasted('...> ', '')
  pasted('...>   print(i)\n...> end\n1\n2\ninc> x = 5\ninc> x\n5', '  print(i)\nend\nx = 5\nx')
  pasted('1\n2\ninc> x', 'x')
  pasted('> x = {\n>>  1,\n>> }\n> x', 'x = {\n 1,\n}\nx')
  pasted('>>> for i = 1, 2 do\n...   print(i)\n... end', 'for i = 1, 2 do\n  print(i)\nend')
  pasted('ok = a\n> 5', 'ok = a\n> 5') -- a comparison, not a prompt
  pasted('x = [[\n... and so on]]', 'x = [[\n... and so on]]')
end)

check('ten thousand entries leave no memory behind', function()
  local s = shell.new()
  local function run(n) for i = 1, n do s:eval('x_' .. i % 7 .. ' = ' .. i) s:eval '1 + 1' end end
  run(1000)
  collectgarbage()
  local before = collectgarbage 'count'
  run(4000)
  collectgarbage()
  local each = (collectgarbage 'count' - before) * 1024 / 8000
  if each > 300 then error(('%.0f bytes an entry'):format(each)) end
end)

check('the evaluator keeps what comes before a last expression', function()
  local s = shell.new()
  term.equal(s:eval 'a = 1\nb = a + 1\na + b'.values[1], 3)
  term.equal(s:eval 'a = 5; a'.values[1], 5)
  term.equal(s:eval 'a = 5; a;'.mute, true)
  term.equal(s:eval 'a = 5; tostring(a)'.values[1], '5')
  term.equal(s:eval 'a = "x"\na:rep(3)'.values[1], 'xxx')
  term.equal(s:eval 'a = 5; print'.values[1], print)
  term.equal(s:eval 'a = 5; a = 6'.values.n, 0)
  term.equal(s:eval 'f = function() end; f()'.values.n, 0)
  term.equal(s:eval 'if a then\n  tostring(a)\nend'.values.n, 0)
  local r = s:eval 'a = tostring\n(7)' -- a call over two lines, as Lua has it
  term.equal(r.values.n, 0)
  term.equal(s:eval 'a'.values[1], '7')
  term.equal(s:eval 'local b = 3; tostring(b)'.values[1], '3')
  term.equal(s:eval 'b'.values[1], 3)
end)

check('values as text', function()
  term.equal(show.value {1, 'a', x = {y = true}, [2.5] = 0}, '{1, "a", [2.5] = 0, x = {y = true}}')
  local loop = {}
  loop.me = loop
  term.equal(show.value(loop), '{me = <the table itself>}')
  term.equal(show.value {{{{{{1}}}}}}, '{{{{{{...}}}}}}')
  term.equal(show.value 'a\n"b"', '"a\\n\\"b\\""')
  term.equal(show.value(select), "function: builtin")
  term.contains(show.value(function(a, b, ...) end), 'function(a, b, ...) ')
  term.equal(show.value(setmetatable({}, {__tostring = function() return 'mine' end})), 'mine')
  local long = {}
  for i = 1, 300 do long[i] = i end
  term.contains(show.value(long), '... 200 more')
  for line in show.value(long):gmatch '[^\n]+' do assert(#line <= 80, line) end
end)

check('fuzz: entries of random pieces never break the evaluator', function()
  local s, pieces = shell.new(), {'local ', 'x', ' = ', '{', '}', '(', ')', 'function ', 'end', 'do ', '"',
    "'", '[[', ']]', '\n', ';', '--', '1', '.', ':', ' then ', 'if ', 'repeat ', 'until ', '<const>', ',',
    'return ', '\\', 'é', '\0', '!', '?', '=', '0x', '1e', '..', '...', 'goto ', '::', '~', '<close>'}
  math.randomseed(7)
  local complete = require 'inc.shell.complete'
  for _ = 1, 3000 do
    local text = {}
    for i = 1, math.random(12) do text[i] = pieces[math.random(#pieces)] end
    local code = table.concat(text)
    if not code:find 'repeat' and not code:find 'goto' then -- could loop for ever
      s:is_complete(code)
      s:eval(code)
      complete.at(code, s)
    end
  end
end)
