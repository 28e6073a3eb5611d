-- test_interrupt.lua: Ctrl-C always comes back to the prompt with all state.
-- The matrix of what may be running when it is pressed; each row sets a variable first and reads it after.
-- Code in C that never looks at the flag is the one case that can only be ended by force.

local function interrupted(name, code)
  check('Ctrl-C: ' .. name, function()
    local t = term.start()
    t:run 'kept = 5'
    t:type(code)
    t:key 'Enter'
    term.pause(0.3)
    t:key 'C-c'
    t:wait 'interrupted'
    t:wait_prompt()
    term.equal(t:run 'kept', '5')
  end)
end

interrupted('in a loop', 'while true do end')
interrupted('in a coroutine', 'coroutine.wrap(function() while true do end end)()')
interrupted('in a coroutine made before',
  'c = coroutine.create(function() while true do end end) coroutine.resume(c)')
interrupted('under pcall in a loop', 'while true do pcall(function() while true do end end) end')
interrupted('under xpcall in a loop', 'while true do xpcall(function() while true do end end, print) end')
interrupted('in a loop of calls of C', 'while true do string.rep("x", 100) end')
interrupted('in timeit', 'timeit (function() while true do end end)()')

check('Ctrl-C at the idle prompt clears the line', function()
  local t = term.start()
  t:run 'kept = 5'
  t:type 'half typed'
  t:wait 'half typed' -- the terminal forgets keys that nobody has read yet
  t:key 'C-c'
  t:wait 'half typed^C'
  t:wait_prompt()
  t:key 'C-c'
  t:key 'C-c'
  term.equal(t:run 'kept', '5')
end)

check('Ctrl-C gives up an entry of several lines', function()
  local t = term.start()
  t:type 'for i = 1, 3 do'
  t:key 'Enter'
  t:key 'C-c'
  t:wait_prompt()
  term.equal(t:run '1', '1')
end)

check('Ctrl-C in a command of the system', function()
  local t = term.start()
  t:type '!sleep 100'
  t:key 'Enter'
  term.pause(0.3)
  t:key 'C-c'
  t:wait_prompt()
  term.equal(t:run '1', '1')
end)

check('C code that never looks: the third Ctrl-C ends it', function()
  local t = term.start()
  t:type 'string.find(string.rep("a", 60), string.rep("a-", 30) .. "b")'
  t:key 'Enter'
  term.pause(0.3)
  t:key 'C-c'
  term.pause(0.1)
  t:key 'C-c'
  t:wait 'still busy'
  t:key 'C-c'
  t:wait '[left with 130]'
end)
