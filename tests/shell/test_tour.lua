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
  local folder = t:wait_prompt():gsub('\n', ''):match 'runs are in (/.-)%.They'
  term.equal(t:run 'x:size(2)', '3')
  term.equal(inc.core.path_kind(folder .. '/shapes'), 'folder')
  t:key 'C-d'
  t:wait '[left with 0]'
  term.equal(inc.core.path_kind(folder), nil, folder)
end)

check("tour 'keep' keeps, and says where", function()
  local t = term.start{width = 120, height = 50}
  start(t)
  t:type 'q'
  t:key 'Enter'
  t:wait "They are removed when incsh ends; tour 'keep' keeps them."
  t:wait_prompt()
  local folder = t:run "tour 'keep'":match '^kept: (/%S+)$'
  term.contains(t:run "tour 'kep'", [[error: tour: expected nothing or 'keep', got "kep"]])
  t:key 'C-d'
  t:wait '[left with 0]'
  term.equal(inc.core.path_kind(folder .. '/shapes'), 'folder')
  term.sh('rm -r ' .. folder)
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
  t:run('run:set{lr = 1e-4}; run:stop():wait{quiet = true};', 60)
  term.equal(t:run 'run:status().step > 0', 'true')
  t:key 'C-d'
  local screen = t:wait '[left with 0]'
  local folder = screen:match 'your runs stay in (/%S+)'
  term.equal(inc.core.path_kind(folder .. '/runs/small'), 'folder')
  term.equal(inc.core.path_kind(folder .. '/shapes'), 'folder')
  term.sh('rm -r ' .. folder)
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
