--- A run: what train and resume return. Status, messages, the log as columns, curves, and waiting.
--
-- The run itself is a thread in C (core/run) that never enters Lua. What it has to say (validated, saved,
-- a bad picture) waits in a queue until somebody in Lua looks: the prompt when idle, or the loop of
-- run:wait(). Runs that are going are held in a list, so that `train{...}` without a variable is not
-- collected.

local core = require 'inc.core'
local args = require 'inc.args'
local json = require 'inc.json'
local limit = require 'inc.run.limit'
local log = require 'inc.run.log'

local Run = {__name = 'inc.run'}

local active = {}
local folders = {} -- of all runs of this session, in order
local all = setmetatable({}, {__mode = 'v'}) -- the runs themselves, by their place in it

-- -- life ---------------------------------------------------------------------------------------------------

--- (for train) A run around a started thread.
function Run.new(fields)
  local self = setmetatable(fields, Run)
  fields.hooks = {}
  active[#active + 1] = self
  folders[#folders + 1] = self.folder
  all[#folders] = self
  return self
end

--- (for saved sessions) The n-th run of this session.
function Run.nth(n) return all[n] end

--- (for saved sessions) Which of the runs of this session it is.
function Run.number(run)
  for n, each in pairs(all) do
    if each == run then return n end
  end
end

--- The runs that are going.
function Run.active()
  local list = {}
  for _, run in ipairs(active) do
    if not core.run_over(run.handle) then list[#list + 1] = run end
  end
  return list
end

--- The folders of all runs of this session, over or not, oldest first.
function Run.folders() return folders end

--- Run f while the run that trains this net, if there is one, rests between two steps.
function Run.resting(net, f, ...)
  for _, run in ipairs(Run.active()) do
    if run.net == net then return run:held(f, ...) end
  end
  return f(...)
end

local function forget(self)
  for i, run in ipairs(active) do
    if run == self then table.remove(active, i) break end
  end
end

-- -- words --------------------------------------------------------------------------------------------------

local function duration(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds < 3600 then return ('%d:%02d'):format(seconds // 60, seconds % 60) end
  return ('%d:%02d:%02d'):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

local spared = {'lr', 'epoch', 'top-1'} -- what a narrow screen does without, the first first

local function without(parts, word)
  for i, part in ipairs(parts) do
    if part:sub(1, #word + 1) == word .. ' ' then return table.remove(parts, i) end
  end
end

-- @param room columns that there are; all is told when left out
local function progress(s, room)
  if not s.loss then return ('step %d/%d  the first step is under way'):format(s.step, s.steps) end
  local parts = {('step %d/%d'):format(s.step, s.steps), ('epoch %d/%d'):format(s.epoch, s.epochs)}
  parts[#parts + 1] = ('loss %.4f'):format(s.smooth_loss)
  if s.val then parts[#parts + 1] = ('top-1 %.3f'):format(s.val.top1) end
  parts[#parts + 1] = ('lr %.3g'):format(s.lr)
  if s.img_s and s.img_s > 0 then parts[#parts + 1] = ('%.1f img/s'):format(s.img_s) end
  if s.data_wait then parts[#parts + 1] = ('data %.0f%%'):format(100 * s.data_wait) end
  if s.eta and s.state == 'running' then parts[#parts + 1] = 'eta ' .. duration(s.eta) end
  if room and s.state == 'paused' then parts[#parts + 1] = 'paused' end
  for _, word in ipairs(room and spared or {}) do
    if #table.concat(parts, '  ') <= room then break end
    without(parts, word)
  end
  return table.concat(parts, '  ')
end

local function validation(v)
  return ('held out: top-1 %.4f, top-5 %.4f, loss %.4f (%d pictures)'):format(v.top1, v.top5, v.loss, v.n)
end

-- What was asked of the run and it has not done yet, because it is done between two steps.
local function to_come(self, s)
  local asked = self.asked
  if not asked or core.run_over(self.handle) then return nil end
  if asked.what == 'stop' then return 'stops after this step, and saves' end
  if asked.what == 'pause' and s.state == 'running' then return 'rests after this step' end
  if asked.what == 'continue' and s.state == 'paused' then return 'goes on' end
  local is_change = asked.what == 'set' or asked.what == 'swap'
  if is_change and s.step <= asked.step + 1 then return 'from the next step on: ' .. asked.text end
end

function Run:__tostring()
  local s = core.run_status(self.handle)
  local text = ('run %s: %s, %s'):format(self.folder, s.state, progress(s))
  local soon = to_come(self, s)
  if soon then text = text .. '\n' .. soon end
  if s.changes_at and s.changes_at > s.step then
    text = text .. ('\nreplays what was done before, up to step %d'):format(s.changes_at)
  end
  if s.best then text = text .. ('\nbest so far: top-1 %.4f at step %d'):format(s.best, s.best_step) end
  if s.bad > 0 then text = text .. ('\n%d bad picture%s left out'):format(s.bad, s.bad == 1 and '' or 's') end
  local limited = not soon and limit.words(s) -- an answer to what was asked stays short
  if limited then text = text .. '\n' .. limited end
  if s.error then text = text .. '\n' .. s.error end
  return text
end

-- -- methods ------------------------------------------------------------------------------------------------

local methods = {}

--- What the run is doing: state, step, steps, epoch, epochs, loss, smooth_loss, lr, img_s, data_wait
-- (share of the time), eta (seconds), val, best, best_step, saved_step, bad, error; time = {wait, compute,
-- validate, save} in seconds so far; loading = {read, decode, resize, colour}, milliseconds of a worker for a
-- picture; and limit, what limits the run: compute, decode, augmentation, reading or wait.
-- > run:status().limit
function methods:status()
  local s = core.run_status(self.handle)
  s.limit = limit.of(s)
  return s
end

--- Finish the step, save a checkpoint and end. `resume` goes on from there.
-- > run:stop()
function methods:stop()
  core.run_stop(self.handle)
  self.asked = {what = 'stop'}
  return self
end

--- Rest after the step at hand, until continue.
-- > run:pause()
function methods:pause()
  core.run_pause(self.handle, true)
  self.asked = {what = 'pause'}
  return self
end

--- Go on after pause.
-- > run:pause(); run:continue()
methods['continue'] = function(self)
  core.run_pause(self.handle, false)
  self.asked = {what = 'continue'}
  return self
end

--- Write a checkpoint after the step at hand.
-- > run:save()
function methods:save()
  core.run_save(self.handle)
  return self
end

--- Change numbers from the next step on: the optimizer's (lr, momentum, weight_decay, beta1, ...), clip_norm,
-- label_smoothing, aux_weight, dropout, ema (its decay), save_every and val_every. lr and what follows a
-- schedule keep the value to the end; for the others the step is planned again, which takes a moment. The
-- log, and every resume and fork, know of it.
-- @param group a pattern of the optimizer's groups, as in run:set{group = '^fc', lr_scale = 5}: its
--   lr_scale, weight_decay, agc or other numbers of its own
-- > run:set{lr = 1e-3, weight_decay = 0}
function methods:set(numbers) return require('inc.run.swap').set(self, numbers) end

--- Call f(run, event) when something happened: 'epoch', 'val', 'save', 'best', 'bad' or 'end'. Hooks run
-- at the prompt, or inside run:wait(), never in the run's own thread.
-- > run:on('epoch', function(r) print(r) end)
function methods:on(kind, f)
  local kinds = {'epoch', 'val', 'save', 'best', 'bad', 'end'}
  local known = false
  for _, each in ipairs(kinds) do known = known or each == kind end
  if not known then
    args.fail('run:on: %s: unknown event%s', tostring(kind), args.hint(kind, kinds))
  end
  if not args.types.callable[1](f) then
    args.fail('run:on: %s: expected a function, got %s', kind, args.show(f))
  end
  self.hooks[#self.hooks + 1] = {kind = kind, f = f}
  return self
end

--- Run f while the run rests between two steps, so that its net can be read or saved in one piece.
function methods:held(f, ...)
  core.run_hold(self.handle)
  local _ <close> = args.finally(function() core.run_release(self.handle) end)
  return f(...)
end

--- Go on with another optimizer from the next step. The schedule goes on where it is, as a factor on the new
-- optimizer's rate. What the new one knows already is kept:
--   slots of the same meaning (sgd and nesterov; adam, adamw, nadam, radam and lamb) and the step count;
--   means of gradients and their sums are translated into each other (lion or muon, and sgd);
--   everything else starts afresh, and the step count with it.
-- What happened is said and stands in the log; resume and fork make it again to the bit.
-- @param optimizer one of optim, or its name
-- @param options schedule, in the place of the run's
-- > run:swap(optim.adamw{lr = 1e-4})
function methods:swap(optimizer, options) return require('inc.run.swap').swap(self, optimizer, options) end

--- A second run that begins at any past step of this one, with other settings from there: see fork.
-- > twin = run:fork{step = 200, optimizer = optim.sgd{lr = 0.01, momentum = 0.9}, out = 'runs/second'}
function methods:fork(options)
  local given = {self}
  for key, value in pairs(options or {}) do given[key] = value end
  return require('inc.run.fork').fork(given)
end

local function is_prompt() return package.loaded['inc.shell.prompt'] ~= nil end

--- Draw columns of the log: at the prompt above what is typed, anew every two seconds while the run trains;
-- otherwise once. loss.png in the run's folder is drawn too.
-- @param names columns, {'loss'} when left out, and options of inc.plot beside them; live = false draws once
-- > run:plot{'loss', 'val.top1'}
function methods:plot(names)
  local o = {self}
  for key, value in pairs(names or {}) do
    if type(key) == 'number' then o[key + 1] = value else o[key] = value end
  end
  if o.live == nil then o.live = is_prompt() and not core.run_over(self.handle) end
  o.title = o.title or self.folder
  inc.plot(o)
  self:write_plot(is_prompt())
end

--- Write loss.png into the run's folder; nil and a sentence when it cannot be drawn.
-- @param aside true leaves it to a gnuplot that nobody waits for, at the prompt
function methods:write_plot(aside)
  local plot, o = require 'inc.plot', {self, 'loss', smooth = 0.6, title = self.folder,
    file = self.folder .. '/loss.png', live = aside}
  if not aside then return plot.draw(o) end
  return pcall(require 'inc.plot.live'.start, plot.options(o), true)
end

-- -- events -------------------------------------------------------------------------------------------------

local PLOT_EVERY = 30 -- seconds between two curves in the terminal

-- loss.png anew and, where the user asked for curves, the curve in the terminal: at the end and now and then.
-- Why there is none is said once.
-- @param idle the prompt waits for keys: it must not wait for gnuplot
local function draw_curves(self, kind, lines, idle)
  local ok, why = self:write_plot(idle)
  if not self.settings.plot then return end
  local now = require('inc.host').now()
  if not ok then
    if not self.plot_refused then lines[#lines + 1] = why end
    self.plot_refused = true
  elseif kind == 'end' or now - (self.plotted or -PLOT_EVERY) >= PLOT_EVERY then
    local text = require 'inc.plot'.draw{self, 'loss', smooth = 0.6, title = 'loss', height = 14}
    lines[#lines + 1] = (text or ''):gsub('\n$', '')
    self.plotted = now
  end
end

-- Take what happened, call hooks, and return the lines that a user should see, and those for stderr.
local function drain(self, idle)
  local lines, notes = {}, {}
  for _, e in ipairs(core.run_events(self.handle)) do
    if e[1] == 'val' then lines[#lines + 1] = ('step %d  %s'):format(e.step, validation(e.val)) end
    if e[1] == 'bad' then notes[#notes + 1] = 'bad picture left out: ' .. e.text end
    for _, hook in ipairs(self.hooks) do
      if hook.kind == e[1] then hook.f(self, e) end
    end
    if e[1] == 'epoch' and self.settings.plot or e[1] == 'end' then
      draw_curves(self, e[1], lines, idle)
    end
    if e[1] == 'end' then forget(self) end
  end
  return lines, notes
end

local function last_words(self)
  local s = core.run_status(self.handle)
  if s.state == 'failed' then return nil, s.error end
  local best = s.best and ('best top-1 %.4f at step %d, '):format(s.best, s.best_step) or ''
  return ('%s after step %d of %d; %sin %s'):format(s.state, s.step, s.steps, best, self.folder)
end

-- -- waiting ------------------------------------------------------------------------------------------------

local PLOT_SECONDS = 30 -- between two drawings of train{plot = true}

-- Plots that a script asked to be live.
local function draw_live(lines)
  local live = package.loaded['inc.plot.live']
  if not live or is_prompt() then return end
  local _, more = live.tick()
  table.move(more, 1, #more, #lines + 1, lines)
end

-- Ctrl-C while a script waits: the run finishes its step and saves before the program ends.
local function stopping(self)
  return args.finally(function(_, err)
    if err == nil or is_prompt() or core.run_over(self.handle) then return end
    core.run_finish(self.handle)
    local s, over = core.run_status(self.handle), core.run_over(self.handle)
    forget(self)
    core.interrupt_again()
    if not over then error('interrupted again while it was saving: the last checkpoint is the one before',
      0) end
    if s.state == 'failed' then error(s.error, 0) end
    error(('stopped after step %d of %d, saved; go on with: incsh resume %s'):format(s.step, s.steps,
      self.folder), 0)
  end)
end

local function say(lines)
  for _, line in ipairs(lines) do print(require('inc.shell.screen').fit(line, 1)) end
  if #lines > 0 then io.stdout:flush() end
end

-- How it ended; raises what made it fail.
local function say_end(self, quiet)
  local text, why = last_words(self)
  if not text then args.fail('%s', why) end
  if quiet then return end
  local limited = limit.words(core.run_status(self.handle))
  say(limited and {limited, text} or {text})
end

--- (for saved sessions) Wait until so many steps are made, and rest there.
function methods:reach(step)
  local _ <close> = stopping(self)
  core.run_until(self.handle, step)
  repeat until core.run_reached(self.handle, 0.25)
  local made = core.run_status(self.handle).step
  if made > step then
    inc.note('%s: is at step %d, where the session was at step %d: the numbers will differ', self.folder,
      made, step)
  end
end

--- Wait until the run is over, printing a line every few seconds. Raises what made it fail. Ctrl-C at the
-- prompt ends the waiting and not the run; in a script the run saves and ends.
-- @param options quiet = true prints nothing; every = seconds between lines
-- @return the run
-- > run:wait()
function methods:wait(options)
  local o = args.spec('run:wait', 'quiet:bool=false, every:number=5')(options)
  local _ <close> = stopping(self)
  local last, last_step, last_plot = core.clock(), nil, core.clock()
  repeat
    local over = core.run_wait(self.handle, 0.25)
    local lines, notes = drain(self)
    draw_live(lines)
    local s = core.run_status(self.handle)
    for _, note in ipairs(notes) do inc.note('%s', note) end
    local due = core.clock() - last >= o.every or (s.step > self.first + 1 and not last_step)
    if due and not over and s.step ~= last_step then
      last, last_step = core.clock(), s.step
      lines[#lines + 1] = progress(s)
    end
    if not o.quiet then say(lines) end
    if self.settings.plot and not o.quiet and (over or core.clock() - last_plot > PLOT_SECONDS) then
      self:plot{'loss'}
      last_plot = core.clock()
    end
  until over
  say_end(self, o.quiet)
  return self
end

--- (for the shell) A status line for the prompt, and lines to show above it.
local function shell_idle()
  local lines, first, going = {}, nil, 0
  for _, run in ipairs{table.unpack(active)} do
    for _, list in ipairs{drain(run, true)} do table.move(list, 1, #list, #lines + 1, lines) end
    if core.run_over(run.handle) then
      forget(run)
      local text, why = last_words(run)
      lines[#lines + 1] = text or ('run %s failed: %s'):format(run.folder, why)
    else
      going = going + 1
      first = first or run
    end
  end
  if not first then return nil, lines end
  local before, behind = '', ''
  if going > 1 then -- which one it is, and that there are more
    before = first.folder:match '[^/]*$' .. ': '
    behind = ('  (%d more: runs())'):format(going - 1)
  end
  local room = require('inc.host').size() - #before - #behind - 1
  return before .. progress(core.run_status(first.handle), room) .. behind, lines
end

--- (for the shell) Wait for all runs that are going, as a script does at its end.
local function wait_runs()
  while active[1] do active[1]:wait() end
end

local inc = require 'inc'
inc.active_runs, inc.shell_idle, inc.wait_runs = Run.active, shell_idle, wait_runs

-- -- fields -------------------------------------------------------------------------------------------------

local fields = {}

--- run.log: the log as columns: t.step, t.loss, t['val.top1'] (NaN where a step has no value), and t.names.
-- > run.log.step
function fields.log(self) return log.read(self.folder .. '/log.jsonl') end

local function now(self)
  return require('inc.train.stage').now(self.job, core.run_status(self.handle).changes_at)
end

--- run.settings: the options that the run goes by at this step.
-- > run.settings.batch
function fields.settings(self) return now(self).settings end

--- run.optimizer: the optimizer with its state, that of this step; see run:swap.
-- > run.optimizer
function fields.optimizer(self) return now(self).optimizer end

--- run.average: the averages of the weights that are judged and saved as best; nil where there are none.
-- > run.average
function fields.average(self) return now(self).average end

--- run.config: the configuration in the run's folder.
-- > run.config.batch
function fields.config(self) return json.read(self.folder .. '/config.json') end

function Run.__index(self, key)
  if methods[key] then return methods[key] end
  if fields[key] then return fields[key](self) end
end

Run.__names = methods
args.object('run', methods, fields, 'held write_plot reach')

--- (for compare) A run that is over is nobody's to wait for any more.
Run.forget = forget

--- Is it a run?
function Run.is_run(v) return getmetatable(v) == Run end

return Run
