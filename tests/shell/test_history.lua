-- test_history.lua: what was typed comes back, in the next session too.
-- The file is looked at as well as the screen: it is what survives. Sessions that share a history name the
-- same state folder.

check('a new session knows the old entries, several lines as one', function()
  local t = term.start{state = 'shared'}
  t:run 'first_entry = 1'
  t:type 'function two()'
  t:key 'Enter'
  t:type 'return "a\\\\b"'
  t:key 'Enter'
  t:type 'end'
  t:key 'Enter'
  t:wait_prompt()
  t:key 'C-d'
  t:wait '[left with 0]'
  local u = term.start{state = 'shared'}
  u:key 'Up'
  local recalled = 'function two%(%)\n%s*return "a\\\\b"\n%s*end$'
  u:until_screen(function(s) return s:find(recalled) end, 'the function')
  u:key('Up', 'Up', 'Up')
  u:wait 'inc> first_entry = 1'
end)

check('survives kill -9, and two sessions share the file', function()
  local t = term.start{state = 'killed'}
  local u = term.start{state = 'killed'}
  t:run 'from_t = 1'
  u:run 'from_u = 2'
  local pid = t:run '!echo $PPID'
  t:type 'while true do end'
  t:key 'Enter'
  term.pause(0.2)
  term.sh('kill -9 ' .. pid)
  t:wait '[left with 137]'
  local text = term.sh 'cat killed/incsh/history'.out
  for _, line in ipairs {'from_t = 1', 'from_u = 2', 'while true do end'} do
    term.contains(text, line .. '\n')
  end
end)

check('a torn last line is skipped and spoils nothing', function()
  term.sh 'mkdir -p torn/incsh && printf "good = 1\\nbroken = {" > torn/incsh/history'
  local t = term.start{state = 'torn'}
  t:key 'Up'
  t:wait 'inc> good = 1'
  t:key 'Enter'
  t:wait_prompt()
  t:run 'after = 2'
  term.contains(term.sh 'cat torn/incsh/history'.out, 'broken = {\n')
end)

check('Up searches for entries that begin like this one', function()
  local t = term.start{state = 'prefix'}
  t:run 'alpha = 1'
  t:run 'beta = 2'
  t:run 'alpha_two = 3'
  t:run 'beta_two = 4'
  t:type 'al'
  t:key 'Up'
  t:wait 'inc> alpha_two = 3'
  t:key 'Up'
  t:until_screen(function(s) return s:find 'inc> alpha = 1$' end, 'the entry before')
  t:key 'Down'
  t:until_screen(function(s) return s:find 'inc> alpha_two = 3$' end, 'the later entry')
  t:key 'C-c'
  t:wait_prompt()
  t:key 'C-r'
  t:type 'beta ='
  t:wait 'beta = 2'
  t:key 'Enter'
  t:wait_prompt()
end)

check('Ctrl-R: older, given up with Ctrl-G, ended by an arrow', function()
  local t = term.start{state = 'search'}
  for i = 1, 3 do t:run('find_' .. i .. ' = ' .. i) end
  t:type 'typed'
  t:wait 'inc> typed'
  t:key 'C-r'
  t:type 'find_'
  t:wait "(reverse-i-search)`find_': find_3 = 3"
  t:key 'C-r'
  t:wait "(reverse-i-search)`find_': find_2 = 2"
  t:key 'C-g'
  t:until_screen(function(s) return s:find 'inc> typed$' end, 'what was typed')
  t:key 'C-r'
  t:type 'find_1'
  t:wait "`find_1': find_1 = 1"
  t:key 'End'
  t:type '0'
  t:until_screen(function(s) return s:find 'inc> find_1 = 10$' end, 'the entry found, changed')
end)

check("keys of readline's own searches, numbers in front of a command and vi's mode lead nowhere", function()
  local t = term.start{state = 'others'}
  t:run 'alpha = 1'
  t:run 'beta = 2'
  t:type 'al'
  t:key 'M-p'
  t:until_screen(function(s) return s:find 'inc> alpha = 1$' end, 'the entry before that begins so')
  t:key('C-u', 'M-3')
  t:type 'x'
  t:until_screen(function(s) return s:find 'inc> x$' end, 'one x')
  t:key('Escape', 'C-j')
  t:type 'y = 7'
  t:until_screen(function(s) return s:find 'inc> x\ny = 7$' end, 'a second line')
end)

check('two sessions that write at once lose nothing', function()
  local t, u = term.start{state = 'both'}, term.start{state = 'both'}
  for i = 1, 20 do
    for name, each in pairs {t = t, u = u} do
      each:type(('%s_%d = [[%s]]'):format(name, i, ('long '):rep(12)))
      each:key 'Enter'
    end
  end
  t:wait 't_20'
  u:wait 'u_20'
  t:wait_prompt()
  u:wait_prompt()
  local text = term.sh 'cat both/incsh/history'.out
  for i = 1, 20 do
    for _, name in ipairs {'t', 'u'} do
      term.contains('\n' .. text, ('\n%s_%d = [[%s]]\n'):format(name, i, ('long '):rep(12)))
    end
  end
end)

check('no HOME: works without history', function()
  local t = term.start{env = {'HOME=', 'XDG_STATE_HOME='}}
  term.equal(t:run '1', '1')
end)
