-- test_tour.lua: tour() at a terminal: Enter goes on, other lines may be typed, q, Ctrl-C and Ctrl-D leave.

local ASKED = 'Enter runs it, q leaves:'

-- The question stands on the last row with nothing behind it.
local function asks(t, limit)
  return t:until_screen(function(s) return s:sub(-#ASKED) == ASKED end, 'the question of the tour', limit)
end

local function start(t)
  t:type 'tour()'
  t:key 'Enter'
  term.contains(asks(t, 60), 'inc> x = inc.randn{2, 3}')
end

check('Enter runs the line that is shown, typed lines run too, q leaves and names stay', function()
  local t = term.start{height = 50}
  start(t)
  t:type 'inc.ones{4}:sum():item()'
  t:key 'Enter'
  t:until_screen(function(s) return s:find('4.0\n' .. ASKED, 1, true) end, 'the value and the question again')
  t:type 'nope.x'
  t:key 'Enter'
  t:until_screen(function(s) return s:find('error: .-nope') and s:sub(-#ASKED) == ASKED end, 'an error told')
  t:type '?relu'
  t:key 'Enter'
  t:wait 'inc.relu(x)'
  asks(t)
  t:key 'Enter'
  t:wait '2 of 10: Gradients'
  term.contains(asks(t), '[2, 3] f32 cpu')
  t:type 'q'
  t:key 'Enter'
  t:wait 'The tour ends here; its pictures and runs are in /'
  t:wait_prompt()
  term.equal(t:run 'x:size(2)', '3')
end)

check('the tour trains in the background, and Ctrl-C while waiting leaves the run going', function()
  local t = term.start{width = 100, height = 50}
  start(t)
  for step = 2, 7 do
    t:key 'Enter'
    t:wait(('%d of 10:'):format(step), 60)
    asks(t, 60)
  end
  t:key 'C-c'
  t:wait 'The tour ends here'
  t:wait 'A run still trains'
  t:key 'Enter'
  t:until_screen(function(s) return s:find 'inc>$' end, 'a prompt')
  t:run('run:stop():wait{quiet = true};', 60)
  term.equal(t:run 'run:status().step > 0', 'true')
end)

check('Ctrl-C and Ctrl-D at a question leave', function()
  for _, key in ipairs{'C-c', 'C-d'} do
    local t = term.start{}
    start(t)
    t:key(key)
    t:wait 'The tour ends here'
    t:wait_prompt()
    term.equal(t:run '1 + 1', '2')
  end
end)
