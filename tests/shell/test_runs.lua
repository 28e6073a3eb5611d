-- test_runs.lua: a run in the background of a prompt: the prompt stays free, news stand above it, and leaving
-- asks what shall become of the run.

local maker = term.program:gsub('[^/]*$', 'tests/c/make_pictures')
local tests = term.program:gsub('/[^/]*/[^/]*$', '') .. '/tests'

local started = 0

-- A terminal, and a run in it that makes a million steps unless changes (Lua text) say
-- otherwise; after is more of the same entry. Each has a folder of its own: a program whose terminal was
-- closed may still be writing its last plot.
local function start(changes, options, after)
  started = started + 1
  local pictures, out = term.work .. '/pictures', term.work .. '/run' .. started
  term.sh(('rm -rf %s; %s set %s 3 14 48'):format(pictures, maker, pictures))
  if not inc.core.path_kind(pictures) then term.skip(maker .. ' is not built') end
  local o = {width = 180, height = 40} -- a dumb terminal scrolls a longer line sideways
  for key, value in pairs(options or {}) do o[key] = value end
  local t = term.start(o)
  t:run(('package.path = "%s/?.lua;" .. package.path; tiny = require "tiny"'):format(tests))
  t:run 'function pause() run:pause() repeat until run:status().state == "paused" print(run) end'
  t:run(('function begin(o) run = train(tiny.options(tiny.net(), %q, %q, o)) end'):format(pictures, out))
  t:type(('begin{steps = 1000000, val_every = 1000000, %s} %s'):format(changes or '', after or ''))
  t:key 'Enter'
  if not changes then t:wait('step ', 20) end
  return t, out
end

-- Wait for words, wherever the screen's edge breaks their line.
local function wait_words(t, words)
  t:until_screen(function(s) return s:gsub('%s+', ' '):find(words, 1, true) end, words, 30)
end

local function enter(t, code)
  t:type(code)
  t:key 'Enter'
end

check('the prompt is free while a run goes, and its status stands above', function()
  local t = start()
  enter(t, '"sum " .. 17 + 4')
  t:wait 'sum 21'
  t:wait 'eta '
  enter(t, 'run:pause():status().step >= 0')
  t:wait 'true'
  t:until_screen(function(s) return s:find '\nstep [^\n]*  paused\ninc>$' end, 'a status that says paused')
  enter(t, 'run:stop(); run:wait{quiet = true}; run:status().state')
  t:wait 'stopped'
end)

check('the status line of a narrow screen keeps speed, wait for data and time left', function()
  for _, size in ipairs {{80, 24}, {64, 24}} do
    local t = start('val_every = 10', {width = size[1], height = size[2]})
    t:wait('held out: top-1', 20)
    local whole = '\nstep %d+/1000000 .*  [%d.]+ img/s  data %d+%%  eta [%d:]+\ninc>$'
    t:until_screen(function(s) return s:find(whole) end, 'the whole status')
    t:close()
  end
end)

check('at the end of a run nobody waits for a plotter that hangs', function()
  term.sh "mkdir -p slow && printf '#!/bin/sh\nexec sleep 20\n' > slow/gnuplot && chmod +x slow/gnuplot"
  local t = start('steps = 12', {env = {'PATH=' .. term.work .. '/slow:' .. os.getenv 'PATH'}})
  t:wait('finished after step 12 of 12', 20)
  local host = require 'inc.host'
  local begun = host.now()
  term.contains(t:run '6 * 7', '42')
  if host.now() - begun > 3 then error(('the prompt stood still for %.1f s'):format(host.now() - begun)) end
end)

check('loss.png is there soon after a run that ended at the prompt', function()
  if term.sh 'command -v gnuplot'.status ~= 0 then term.skip 'gnuplot is not installed' end
  local t, out = start 'steps = 12'
  t:wait('finished after step 12 of 12', 20)
  t:until_screen(function() return inc.core.path_kind(out .. '/loss.png') end, 'loss.png')
end)

check('Ctrl-C ends the waiting and not the run', function()
  local t = start()
  enter(t, 'run:wait{every = 1}')
  term.pause(1.5)
  t:key 'C-c'
  t:wait 'interrupted'
  enter(t, '"active " .. #inc.active_runs()')
  t:wait 'active 1'
end)

check('leaving asks, and stopping saves', function()
  local t, out = start()
  t:key 'C-d'
  t:wait 'wait, stop and save, or cancel?'
  enter(t, 'c')
  enter(t, '"still " .. "here"')
  t:wait 'still here'
  t:key 'C-d'
  t:wait 'wait, stop and save, or cancel?'
  enter(t, 's')
  t:wait '[left with 0]'
  assert(#inc.core.run_checkpoints(out) > 0, 'no checkpoint was saved')
end)

-- -- the end of a run ---------------------------------------------------------------------------------------

local function literal(text) return (text:gsub('%p', '%%%0')) end
local function times(screen, text) return select(2, screen:gsub(literal(text), '')) end

check('a run that finished says so above what is being typed, once', function()
  local t, out = start 'steps = 30, val_every = 10'
  t:type 'half = "typed'
  local screen = t:wait(('finished after step 30 of 30; best top-1'), 30)
  term.contains(screen, ', in ' .. out)
  term.contains(screen, 'held out: top-1')
  t:until_screen(function(s) return s:find '\ninc> half = "typed$' end, 'what was being typed')
  t:type '"; half'
  t:key 'Enter'
  t:wait '\n"typed"\ninc>'
  screen = t:screen()
  term.equal(times(screen, 'finished after step'), 1, screen)
  assert(not screen:find 'eta ', 'a status line stayed:\n' .. screen)
end)

check('what happened while an entry ran is told at the next prompt; a dumb terminal tells it too', function()
  for _, name in ipairs {'tmux-256color', 'dumb'} do
    local t = start('steps = 12', {env = {'TERM=' .. name, 'LANG=C'}}, 'os.execute "sleep 3"')
    t:until_screen(function(s) return s:find 'inc> begin{.*finished after step 12 of 12.*\ninc>$' end,
      'the news above the next prompt', 30)
    enter(t, '"sum " .. 17 + 4')
    t:wait 'sum 21'
    term.equal(times(t:screen(), 'finished after step 12'), 1, t:screen())
    t:close()
  end
end)

check('a run that fails says why, and which it was', function()
  local t, out = start 'lr = 1e30, ema = 0'
  t:type 'half = 1'
  t:wait(('run %s failed: loss is '):format(out), 30)
  wait_words(t, 'the step was not taken')
  t:until_screen(function(s) return s:find '\ninc> half = 1$' end, 'what was being typed')
  t:key 'Enter'
  enter(t, 'run:status().state .. half')
  t:wait '"failed1"'
  term.equal(times(t:screen(), ' failed: loss is'), 1, t:screen())
end)

check('a run that diverges says so while it goes on, once', function()
  local t, out = start()
  enter(t, 'repeat until run:status().step > 60')
  t:until_screen(function(s) return s:find '> 60\n.*inc>$' end, 'sixty steps', 30)
  enter(t, 'run:set{lr = 10, momentum = 0.1, weight_decay = 0.01};')
  t:type 'half = 1'
  t:wait(('run %s may be diverging: loss '):format(out), 30)
  t:wait '; lower lr with run:set, or stop it'
  t:until_screen(function(s) return s:find '\ninc> half = 1$' end, 'what was being typed')
  term.pause(1)
  term.equal(times(t:screen(), 'may be diverging'), 1, t:screen())
end)

-- -- several runs -------------------------------------------------------------------------------------------

-- Another run in the same terminal, under the name `other`; its folder.
local function start_other(t, out)
  local folder = out .. '_other'
  enter(t, 'function begin_other(out) other = train(tiny.options(tiny.net(), run.config.data.path, out, ' ..
    '{steps = 1000000, val_every = 1000000})) end')
  t:wait_prompt()
  enter(t, ('begin_other %q'):format(folder))
  return folder
end

check('two runs at once: the status says which one it shows, and that there is another', function()
  for _, size in ipairs{{180, 40}, {80, 24}} do
    local t, out = start(nil, {width = size[1], height = size[2]})
    local name = out:match '[^/]*$'
    local function alone(s) return s:find '\nstep %d+/1000000 [^\n]*\ninc>$' end
    t:until_screen(alone, 'a status without a name')
    start_other(t, out)
    local both = ('\n%s: step %%d+/1000000 [^\n]*%s\ninc>$'):format(name,
      size[1] > 80 and ' %(1 more: runs%(%)%)' or '')
    t:until_screen(function(s) return s:find(both) end, 'whose status it is, and one more', 30)
    t:type 'half = 1'
    term.pause(0.5)
    local screen = t:wait 'inc> half = 1'
    term.equal(select(2, screen:gsub('\n[^\n]*step %d+/1000000', '')), 1, screen)
    t:key 'Enter'
    if size[1] > 80 then
      enter(t, 'runs()')
      screen = t:wait '2 runs in this session'
      for _, which in ipairs{name, name .. '_other'} do
        assert(screen:find('\n' .. which .. ' +running '), which .. ' in\n' .. screen)
      end
    end
    enter(t, 'run:stop();')
    wait_words(t, '; in ' .. out .. ' ')
    t:until_screen(alone, 'the other one alone', 30)
    enter(t, 'other:stop();')
    wait_words(t, '; in ' .. out .. '_other ')
    t:until_screen(function(s) return not s:find 'eta [%d:]+[^\n]*\ninc>$' end, 'no status')
    t:close()
  end
end)

-- -- what a run's methods say -------------------------------------------------------------------------------

check('run:on: only events that there are; a hook speaks above what is being typed', function()
  local t, out = start()
  local all = 'there are epoch, val, save, best, bad, end'
  for _, case in ipairs{{"'epochs', print", 'epochs: unknown event (did you mean epoch?)'},
    {"'step', print", ('step: unknown event (%s)'):format(all)},
    {"'End', print", 'End: unknown event (did you mean end?)'},
    {'print', ': unknown event (' .. all .. ')'}, {"'save'", 'save: expected a function, got nil'}} do
    enter(t, ('run:on(%s)'):format(case[1]))
    term.contains(t:wait(case[2]), 'error: run:on: ')
  end
  enter(t, "heard = 0; run:on('epoch', function(r, e) heard = heard + 1 if heard < 3 then " ..
    "print(('heard %s %d of %s'):format(e[1], heard, r.folder)) end end);")
  t:type 'half = 1'
  local screen = t:wait(('heard epoch 2 of %s\n'):format(out), 30)
  screen = t:until_screen(function(s) return s:find '\ninc> half = 1$' end, screen)
  term.equal(times(screen, 'heard epoch 1'), 1, screen)
end)

-- Step of the best validation by the log: top-1, then the lower loss, then the first; its top-1, and how many
-- validations had that.
local function best_by_log(out)
  local best, ties = {top1 = -1}, 0
  for line in io.lines(out .. '/log.jsonl') do
    local row = inc.json.decode(line)
    local top1, loss = row['val.top1'], row['val.loss']
    if top1 and (top1 > best.top1 or top1 == best.top1 and loss < best.loss) then
      if top1 > best.top1 then ties = 0 end
      best = {top1 = top1, loss = loss, step = row.step}
    end
    if top1 == best.top1 then ties = ties + 1 end
  end
  return best, ties
end

local function agree(t, out, best)
  enter(t, 'run')
  t:wait(('best so far: top-1 %.4f at step %d\n'):format(best.top1, best.step))
  enter(t, 'runs()')
  t:until_screen(function(s)
    return s:find(('%s +finished +%%d+/%%d+ +%.4f +%d '):format(out:match '[^/]*$', best.top1, best.step))
  end, ('best %.4f at %d in runs()'):format(best.top1, best.step))
  enter(t, 'diff(run, run)')
  local one = ('%.4f at step %d'):format(best.top1, best.step)
  t:until_screen(function(s) return s:find('val%.top1 best +' .. one .. ' +' .. one) end, one .. ' in diff')
end

check('resume{run}; of equal top-1 the lower loss is best, for run, runs and diff alike', function()
  local t, out = start 'steps = 30, val_every = 1, save_every = 1000'
  t:wait('finished after step 30 of 30', 60)
  local best, ties = best_by_log(out)
  assert(ties > 1, 'no two validations were equal: nothing to test')
  agree(t, out, best)
  enter(t, 'resume{run}')
  t:wait(out .. ': its 30 steps are made; give more steps or epochs to go further')
  enter(t, 'resume{run, step = 40}')
  t:wait 'resume: step: unknown option (did you mean steps?)'
  enter(t, 'resume{tiny}')
  t:wait 'error: resume: run: expected a run or its folder, got '
  enter(t, 'first, run = run, resume{run, steps = 45}; run.net == first.net and run.folder == first.folder')
  t:wait '\ntrue\n'
  t:wait('finished after step 45 of 45', 60)
  best, ties = best_by_log(out)
  assert(ties > 2, 'no ties across the resume')
  agree(t, out, best)
end)

check('resume{run} of a run that goes on is refused', function()
  local t, out = start()
  enter(t, 'resume{run}')
  t:wait(out .. ': this run is being trained by ')
  enter(t, '"active " .. #inc.active_runs()')
  t:wait 'active 1'
end)

check('diff: of equal top-1 and equal loss the first is best', function()
  local t, out = start 'steps = 6, val_every = 1, save_every = 1000'
  t:wait('finished after step 6 of 6', 60)
  term.sh(('cp -r %s %s_even'):format(out, out))
  local lines = {}
  for line in io.lines(out .. '/log.jsonl') do
    local step = inc.json.decode(line).step
    lines[step] = line:gsub('"val.top1":[^,}]*', '"val.top1":' .. (step % 2 == 0 and 0.75 or 0.5))
      :gsub('"val.loss":[^,}]*', '"val.loss":' .. (step > 2 and 0.125 or 0.25))
  end
  term.write(out:match '[^/]*$' .. '_even/log.jsonl', table.concat(lines, '\n') .. '\n')
  enter(t, ('diff(run, "%s_even")'):format(out))
  t:until_screen(function(s) return s:find 'val%.top1 best .* 0%.7500 at step 4\n' end, 'step 4, not 2 or 6')
end)

-- -- leaving ------------------------------------------------------------------------------------------------

local QUESTION = 'wait, stop and save, or cancel? [w/s/c]'

-- A run that ends by itself once the question has been asked and answered: it was paused before.
local function leave_paused(changes)
  local t, out = start(changes, nil, 'pause()')
  t:wait('run ' .. out .. ': paused', 30)
  t:key 'C-d'
  t:wait(QUESTION)
  return t, out
end

check('leaving: wait goes on to the end of the run, a paused one too', function()
  local t, out = leave_paused 'steps = 40, save_every = 1000'
  enter(t, 'maybe')
  t:until_screen(function(s) return times(s, QUESTION) == 2 end, 'the question again')
  enter(t, 'wait')
  t:wait('run ' .. out .. ' was paused and goes on')
  local screen = t:wait('[left with 0]', 60)
  term.contains(screen, 'finished after step 40 of 40')
  term.equal(inc.core.run_checkpoints(out)[1], 40)
end)

check('leaving: Ctrl-C at the question and while it waits comes back to the prompt', function()
  local t = start()
  enter(t, 'kept = 5')
  t:key 'C-d'
  t:wait(QUESTION)
  t:key 'C-c'
  t:wait_prompt()
  enter(t, '"kept " .. kept')
  t:wait 'kept 5'
  enter(t, 'exit')
  t:until_screen(function(s) return times(s, QUESTION) == 2 end, 'the question again')
  enter(t, 'w')
  term.pause(1)
  t:key 'C-c'
  t:wait 'still here'
  t:wait_prompt()
  enter(t, '"active " .. #inc.active_runs() .. kept')
  t:wait 'active 15'
end)

check('leaving: the terminal is closed: the run is saved', function()
  local t, out = start 'save_every = 1000000'
  t:wait('step ', 20)
  enter(t, 'while true do end')
  term.pause(0.5)
  t:close()
  for _ = 1, 100 do
    if #inc.core.run_checkpoints(out) > 0 then return end
    term.pause(0.1)
  end
  error 'no checkpoint was saved'
end)

check('leaving: a run that fails while it is waited for is told', function()
  local t, out = leave_paused 'lr = 1e30, ema = 0'
  enter(t, 'w')
  local screen = t:wait('[left with 0]', 60)
  term.contains(screen, 'run ' .. out .. ' failed: ')
end)
