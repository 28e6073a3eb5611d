-- test_batch.lua: incsh without a prompt: scripts, -e, standard input, verbs, status, errors.
-- Exact texts, because other programs and people grep for them. Each check runs in a folder that is removed
-- at the end.

local function is(command, status, out, err)
  local r = term.sh(command)
  term.equal(r.out, out, command)
  if err then term.contains(r.err, err) end
  term.equal(r.status, status, command .. ' (status)')
  return r
end

check('-e runs a line and sees its arguments', function()
  is([["$INCSH" -e 'print(1 + 1, ...)' a b]], 0, '2\ta\tb\n')
end)

check('a script sees arg and ...', function()
  term.write('args.lua', 'print(#arg, arg[0], arg[1], ...)')
  is([["$INCSH" args.lua x y]], 0, '2\targs.lua\tx\tx\ty\n')
end)

check('a script that returns a number ends with it', function()
  is([["$INCSH" -e 'return 3']], 3, '')
  is([["$INCSH" -e 'return false']], 1, '')
end)

check('threads: as many as asked for, by either name', function()
  local asked = [["$INCSH" -e 'print(inc.core.threads())']]
  is('OMP_NUM_THREADS=3 ' .. asked, 0, '3\n')
  is('OMP_NUM_THREADS=3 INC_THREADS=2 ' .. asked, 0, '2\n')
  is('taskset -c 0 ' .. asked, 0, '1\n')
  is('OMP_NUM_THREADS=many taskset -c 0 ' .. asked, 0, '1\n')
end)

check('standard input is a script, without prompt or history', function()
  local r = is([[echo 'print(1) x = 2 print(x)' | XDG_STATE_HOME=$PWD/none "$INCSH"]], 0, '1\n2\n')
  term.equal(r.err, '')
  term.equal(term.sh('ls none').status ~= 0, true, 'a state folder was made')
end)

check("an error tells the user's own line, status 1", function()
  term.write('bad.lua', 'local t\n\nprint(t.x)\n')
  local r = is([["$INCSH" bad.lua]], 1, '')
  term.equal(r.err, "incsh: bad.lua:3: attempt to index a nil value (local 't')\n")
end)

check('an error inside our library points at the call', function()
  term.write('call.lua', '\nlocal function f() inc.args.fail("bad %s", "luck") end\nf()\n')
  term.equal(is([["$INCSH" call.lua]], 1, '').err, 'incsh: call.lua:2: bad luck\n')
end)

check('a hint stands on a line of its own', function()
  term.equal(is([["$INCSH" -e 'error("a: b\nhint: c", 0)']], 1, '').err, 'incsh: -e:1: a: b\nhint: c\n')
end)

check('a hint tells what was meant: in -e, from standard input, in a script, for its locals too', function()
  local meant = "attempt to call a nil value (field 'adm')\nhint: did you mean optim.adam?\n"
  term.equal(is([["$INCSH" -e 'optim.adm{}']], 1, '').err, 'incsh: -e:1: ' .. meant)
  term.equal(is([[echo 'optim.adm{}' | "$INCSH"]], 1, '').err, 'incsh: stdin:1: ' .. meant)
  term.write('meant.lua', '\noptim.adm{}\n')
  term.equal(is([["$INCSH" meant.lua]], 1, '').err, 'incsh: meant.lua:2: ' .. meant)
  term.write('mine.lua', 'local o = require "inc".optim\nlocal function f()\n  return o.adm{}\nend\nf()\n')
  term.contains(is([["$INCSH" mine.lua]], 1, '').err, 'hint: did you mean o.adam?')
  -- a name of the script's own hides ours: nothing of ours is meant
  term.write('hides.lua', 'local optim = {}\noptim.adm{}\n')
  term.equal(is([["$INCSH" hides.lua]], 1, '').err,
    "incsh: hides.lua:2: attempt to call a nil value (field 'adm')\n")
  term.contains(is([["$INCSH" -e 'local flowers = 1 print(flower.x)']], 1, '').err, 'did you mean flowers?')
end)

check('standard input: a first line for the system, a mark of byte order, an empty one', function()
  is([[printf '#!/usr/bin/env incsh\nprint(1)\n' | "$INCSH"]], 0, '1\n')
  term.contains(is([[printf '#!/usr/bin/env incsh\nerror(1)\n' | "$INCSH"]], 1, '').err, 'stdin:2')
  is([[printf '\357\273\277print(1)' | "$INCSH" -]], 0, '1\n')
  is([["$INCSH" </dev/null]], 0, '')
  term.contains(is([["$INCSH" </proc/self/mem]], 1, '').err, 'stdin: cannot be read')
end)

check('a syntax error', function()
  term.contains(is([["$INCSH" -e 'x = = 2']], 1, '').err, "incsh: -e:1: unexpected symbol near '='")
end)

check('a missing script, an unknown verb, an unknown option', function()
  term.contains(is([["$INCSH" nope.lua]], 1, '').err, 'nope.lua')
  term.contains(is([["$INCSH" trian]], 1, '').err, 'did you mean `train`?')
  term.contains(is([["$INCSH" --prot]], 1, '').err, '--prot: unknown option')
end)

check('--version, --help', function()
  term.contains(term.sh([["$INCSH" --version]]).out, 'incsh ')
  term.contains(term.sh([["$INCSH" --help]]).out, '--no-rc')
end)

check('help is a verb', function()
  term.contains(term.sh([["$INCSH" help prompt]]).out, 'Ctrl-C')
  local r = term.sh([["$INCSH" help nosuchthing]])
  term.equal(r.status, 1)
  term.contains(r.err, 'no help on')
end)

check('an error of a verb names the verb once', function()
  local r = term.sh([["$INCSH" predict]])
  term.equal(r.status, 1)
  assert(r.err:find '^incsh predict: ' and not r.err:find 'predict: predict', r.err)
end)

check('a full disk on standard output is an error', function()
  local r = term.sh([["$INCSH" -e 'print(1)' >/dev/full]])
  term.equal(r.status, 1)
  term.contains(r.err, 'standard output')
end)

check('runs still going are waited for', function()
  is([["$INCSH" -e 'inc.wait_runs = function() print "waited" end']], 0, 'waited\n')
  is([["$INCSH" -e 'inc.wait_runs = function() print "waited" end error "x"']], 1, '')
end)

check('deep recursion ends in a sentence', function()
  term.contains(is([["$INCSH" -e 'local function f() return 1 + f() end f()']], 1, '').err, 'stack overflow')
end)

check('xpcall, error objects and coroutines behave as in Lua', function()
  term.write('same.lua', [[
local ok, e = pcall(error, {code = 7}); assert(not ok and e.code == 7)
assert(select('#', pcall(function() return 1, nil, 3 end)) == 4)
assert(select(2, xpcall(function() error 'a' end, function(m) return m .. 'b' end)):find 'ab$')
local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1); error('x' .. b) end)
assert(co(1) == 2)
local ok2, e2 = pcall(co, 'y'); assert(not ok2 and e2:find 'xy')
local c = coroutine.create(function() pcall(coroutine.yield, 5) return 6 end)
assert(select(2, coroutine.resume(c)) == 5 and select(2, coroutine.resume(c)) == 6)
assert(coroutine.resume(c) == false)
print 'same']])
  is([["$INCSH" same.lua]], 0, 'same\n')
end)

check('starts in less than 50 ms', function()
  local best = math.huge
  local host = require 'inc.host'
  for _ = 1, 5 do
    local start = host.now()
    host.spawn({term.program, '-e', ''}, '', 10)
    best = math.min(best, host.now() - start)
  end
  if best >= 0.05 then error(('%.0f ms'):format(best * 1000)) end
end)
