--- The page of a comparison: compare.html, one file with everything in it.
--
-- In the order in which a reader asks: what came out, may I believe it, what was different, the numbers, the
-- curves,
-- what tuning cost, picture by picture, how it was done. Built from strings; whatever a user named is
-- escaped.
-- Without times it holds nothing that depends on the clock.

local figures = require 'inc.compare.figures'
local metric = require 'inc.compare.metric'
local results = require 'inc.compare.results'
local style = require 'inc.compare.style'
local svg = require 'inc.compare.svg'
local text = require 'inc.compare.text'

local page = {}

local escape = svg.escape

local Out = {}
Out.__index = Out

--- (for this page) A line of it, formatted where there are values.
function Out:put(format, ...)
  self[#self + 1] = select('#', ...) > 0 and format:format(...) or format
end

local colour, format_of = figures.colour, figures.format_of

-- -- tables -------------------------------------------------------------------------------------------------

-- A cell: what is read, what is sorted by, whether it is text.
local function cell(shown, value, is_text)
  local v = type(value) == 'number' and value == value and math.abs(value) < math.huge
    and ('%.9g'):format(value)
  return {html = escape(shown), v = v or value == math.huge and '1e308' or nil, text = is_text}
end

-- head: list of {name, first = 'up' when less is better, text = true}; rows of cells.
local function put_table(out, head, rows, sorts)
  out:put('<div class="wrap"><table%s><thead><tr>', sorts and ' class="sort"' or '')
  for _, h in ipairs(head) do
    out:put('<th scope="col"%s%s>%s</th>', h.first and ' data-first="up"' or '', h.text and ' class="text"'
      or '',
      escape(h[1]))
  end
  out:put '</tr></thead><tbody>'
  for _, row in ipairs(rows) do
    out:put '<tr>'
    for _, c in ipairs(row) do
      out:put('<td%s%s>%s</td>', c.v and (' data-v="%s"'):format(c.v) or '', c.text and ' class="text"'
        or '', c.html)
    end
    out:put '</tr>'
  end
  out:put '</tbody></table></div>'
end

local function name_cell(f, i)
  local c = cell(f.entries[i].name, nil, true)
  c.html = ('<span class="name"><span class="chip k%d"></span>%s</span>'):format(colour(i), c.html)
  return c
end

-- -- what came out ------------------------------------------------------------------------------------------

local words = {better = 'better than ', worse = 'worse than ',
  ['not distinguishable'] = 'not distinguishable from ',
  ['no claim'] = 'no claim against '}

local function put_verdict(out, f, i)
  local r, by, tests, diverged = f.entries[i].against, text.reasons(f, i)
  local sure = r and (r.verdict == 'better' or r.verdict == 'worse')
  local low = r and r.seeds.low and ('; %g%% interval%s [%s, %s]'):format(100 * (1 - f.alpha),
    #f.entries > 2 and ' of this difference alone' or '', text.difference(f.metric, r.seeds.low),
    text.difference(f.metric, r.seeds.high)) or ''
  out:put('<div class="card %s"><b>%s</b> <span class="word">%s</span>', sure and r.verdict or 'open',
    escape(f.entries[i].name), r and escape(words[r.verdict] .. f.entries[f.base].name) or 'base')
  if r then out:put('<p>%s</p>', escape(by .. low)) end
  if diverged ~= '' then out:put('<p>%s</p>', escape(diverged)) end
  if tests ~= '' then out:put('<p class="soft">%s</p>', escape(tests)) end
  out:put '</div>'
end

local function put_verdicts(out, f)
  out:put '<div class="cards">'
  for i, e in ipairs(f.entries) do
    if e.against or e.diverged > 0 then put_verdict(out, f, i) end
  end
  out:put '</div>'
end

local function put_warnings(out, c)
  local list = text.warnings(c)
  if #list == 0 then return end
  out:put '<ul class="warn">'
  for _, w in ipairs(list) do out:put('<li>%s</li>', escape(w)) end
  out:put '</ul>'
end

-- Rates that tuning found stand where the given ones would.
local function add_rates(f, names, flat)
  local tuned, there = false, false
  for i, e in ipairs(f.entries) do
    if e.rate then flat[i]['optimizer.lr'], tuned = ('%g, found'):format(e.rate), true end
  end
  for _, name in ipairs(names) do there = there or name == 'optimizer.lr' end
  if tuned and not there then names[#names + 1] = 'optimizer.lr' end
end

local function put_differences(out, c)
  local names, flat = results.differing(c.identity)
  add_rates(c.facts, names, flat)
  out:put '<h2>Settings that differ</h2>'
  if #names == 0 then
    out:put '<p>None: the entries are the same under different names.</p>'
    return
  end
  local head, rows = {{'setting', text = true}}, {}
  for i, e in ipairs(c.facts.entries) do head[i + 1] = {e.name, text = true} end
  for k, name in ipairs(names) do
    rows[k] = {cell(name, nil, true)}
    for i in ipairs(flat) do rows[k][i + 1] = cell(flat[i][name] or '-', nil, true) end
  end
  put_table(out, head, rows)
end

-- -- the numbers --------------------------------------------------------------------------------------------

local function tuning_of(f, i)
  for _, t in ipairs(f.tuning) do
    if t.place == i then return t end
  end
end

local function with_interval(f, mean, low, high)
  local c = cell(text.value(f.metric, mean), mean)
  if low then
    c.html = ('%s<small>%s … %s</small>'):format(c.html, text.value(f.metric, low), text.value(f.metric,
      high))
  end
  return c
end

local function difference_cell(f, r)
  if not r then return cell('base', 0) end
  local unit = metric.is_share(f.metric) and ' pt' or ''
  local c = cell(text.difference(f.metric, r.seeds.mean) .. unit, r.seeds.mean)
  if r.seeds.low then
    c.html = ('%s<small>%s … %s</small>'):format(c.html, text.difference(f.metric, r.seeds.low),
      text.difference(f.metric, r.seeds.high))
  end
  return c
end

local function result_row(c, i, times)
  local f, e = c.facts, c.facts.entries[i]
  local t, tuned, target = c.times.entries[i], tuning_of(f, i), e.targets[1] or {}
  local row = {name_cell(f, i), with_interval(f, e.final, e.final_low, e.final_high), difference_cell(f,
    e.against),
    cell(e.against and e.against.verdict or 'base', nil, true),
    cell(e.against and text.p(e.against.p) or '', e.against and e.against.p),
    with_interval(f, e.best, e.best_low, e.best_high), cell(text.steps(target.steps), target.steps)}
  if times then
    local seconds = (t.targets[1] or {}).seconds
    row[#row + 1] = cell(text.duration(seconds), seconds)
    row[#row + 1] = cell(t.img_s and ('%.1f'):format(t.img_s) or '-', t.img_s)
  end
  row[#row + 1] = cell(text.bytes(e.memory), e.memory)
  row[#row + 1] = cell(tuned and ('%d'):format(#tuned.trials) or '0', tuned and #tuned.trials or 0)
  row[#row + 1] = cell(('%d of %d'):format(e.diverged, e.n), e.diverged)
  return row
end

local function put_results(out, c, times)
  local f, up = c.facts, c.facts.metric:find 'loss' and 'up' or nil
  local name = metric.name(f.metric)
  local head = {{'entry', text = true, first = 'up'}, {'final ' .. name, first = up},
    {'difference', first = up}, {'verdict', text = true, first = 'up'}, {'p', first = 'up'},
    {'best', first = up}, {'steps to target', first = 'up'}}
  if times then
    head[#head + 1] = {'time to target', first = 'up'}
    head[#head + 1] = {'img/s'}
  end
  for _, h in ipairs{{'memory', first = 'up'}, {'trials', first = 'up'}, {'diverged', first = 'up'}} do
    head[#head + 1] = h
  end
  local rows = {}
  for i in ipairs(f.entries) do rows[i] = result_row(c, i, times) end
  out:put '<h2>Results</h2>'
  put_table(out, head, rows, true)
  local target = f.targets[1] and ('The target is %s.'):format(text.value(f.metric, f.targets[1])) or ''
  out:put('<p class="note">Means over %s with %g%% intervals of each alone; p is of the paired t%s. %s ' ..
    'A heading sorts.</p>', text.plural(#f.seeds, 'seed'), 100 * (1 - f.alpha),
    #f.entries > 2 and ', after Holm' or '', target)
end

-- -- tuning, targets, pictures, runs ------------------------------------------------------------------------

local function put_tuning(out, c, times)
  local f, list, rows = c.facts, {}, {}
  if #f.tuning == 0 then return end
  for _, t in ipairs(f.tuning) do
    local points = {}
    for k, trial in ipairs(t.trials) do points[k] = {trial.rate, trial.final, trial.state == 'diverged'} end
    list[#list + 1] = {points = points, best = t.best, colour = colour(t.place)}
    local row = {name_cell(f, t.place), cell(('%d'):format(#t.trials), #t.trials),
      cell(('%d'):format(t.steps), t.steps),
      cell(('%g'):format(t.rate), t.rate), cell(t.edge and 'yes' or 'no', nil, true)}
    if times then table.insert(row, 4, cell(text.duration(c.times.tuning[t.place]),
        c.times.tuning[t.place])) end
    rows[#rows + 1] = row
  end
  local head = {{'entry', text = true}, {'trials'}, {'steps'}, {'rate found'}, {'at the edge', text = true}}
  if times then table.insert(head, 4, {'time'}) end
  out:put '<h2>Tuning</h2><div class="plots"><div>'
  put_table(out, head, rows)
  out:put('<p class="note">At most %d trials an entry, with seed %d, which no result uses.</p></div>',
    c.identity.trials, c.identity.tune_seed)
  figures.put(out, 'Rates tried', svg.rates(list, {title = 'rates tried', xname = 'learning rate',
    format = format_of(f.metric)}), 'Large dots were taken; × diverged.')
  out:put '</div>'
end

local function put_targets(out, c, times)
  local f, rows = c.facts, {}
  if #f.targets == 0 then return end
  local head = {{'entry', text = true}}
  for _, target in ipairs(f.targets) do
    head[#head + 1] = {text.value(f.metric, target) .. ': steps', first = 'up'}
    if times then head[#head + 1] = {'time', first = 'up'} end
  end
  for i, e in ipairs(f.entries) do
    rows[i] = {name_cell(f, i)}
    for k, t in ipairs(e.targets) do
      table.insert(rows[i], cell(text.steps(t.steps) .. (t.missed > 0 and (' (%d missed)'):format(t.missed)
        or ''),
        t.steps))
      local seconds = c.times.entries[i].targets[k].seconds
      if times then table.insert(rows[i], cell(text.duration(seconds), seconds)) end
    end
  end
  out:put '<h2>Steps to a target</h2>'
  put_table(out, head, rows, true)
  out:put '<p class="note">Medians over seeds; a run that never reached it counts as infinite.</p>'
end

local function put_pictures(out, f)
  local rows = {}
  for i, e in ipairs(f.entries) do
    for j, m in ipairs(e.against and e.against.mcnemar or {}) do
      rows[#rows + 1] = {name_cell(f, i), cell(('%d'):format(f.seeds[j]), f.seeds[j]),
        cell(('%d'):format(m.only_entry), m.only_entry), cell(('%d'):format(m.only_base), m.only_base),
        cell(text.p(m.p), m.p)}
    end
  end
  if #rows == 0 then return end
  out:put('<details><summary>Picture by picture (McNemar, %d pictures)</summary>', f.pictures)
  put_table(out, {{'entry', text = true}, {'seed'}, {'only it is right'},
    {'only ' .. f.entries[f.base].name .. ' is'},
    {'exact p', first = 'up'}}, rows, true)
  out:put '</details>'
end

local function put_runs(out, c, times)
  local f, rows = c.facts, {}
  for i, e in ipairs(f.entries) do
    for j, run in ipairs(e.runs) do
      local row = {name_cell(f, i), cell(('%d'):format(run.seed), run.seed), cell(run.state, nil, true),
        cell(('%d'):format(run.step), run.step), cell(text.value(f.metric, run.final), run.final),
        cell(text.value(f.metric, run.best), run.best), cell(run.best_step and ('%d'):format(run.best_step)
          or '-',
        run.best_step), cell(run.train_loss and ('%.4f'):format(run.train_loss) or '-', run.train_loss)}
      if times then
        local t = c.times.entries[i].runs[j]
        row[#row + 1] = cell(text.duration(t.seconds), t.seconds)
      end
      rows[#rows + 1] = row
    end
  end
  local head = {{'entry', text = true}, {'seed'}, {'state', text = true}, {'steps'}, {'final'}, {'best'},
    {'at step'},
    {'train loss'}}
  if times then head[#head + 1] = {'time'} end
  out:put('<details><summary>Every run (%d)</summary>', #rows)
  put_table(out, head, rows, true)
  out:put '</details>'
end

local function put_common(out, c)
  local differ, flat = results.differing(c.identity)
  local skip, names, rows = {}, {}, {}
  for _, name in ipairs(differ) do skip[name] = true end
  for name in pairs(flat[1]) do
    if not skip[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for k, name in ipairs(names) do rows[k] = {cell(name, nil, true), cell(flat[1][name], nil, true)} end
  out:put('<details><summary>Settings that all share (%d)</summary>', #rows)
  put_table(out, {{'setting', text = true}, {'value', text = true}}, rows)
  out:put '</details>'
end

local method = [[
<p>Each entry was trained once for each of the seeds %s. For a seed, all entries start from the same
weights (where their nets are the same) and see the same batches, crops and dropout. Runs took turns of a
few seconds, so that a machine that drifts harms all alike. %d pictures were trained on, %d held out.
Speeds and times are of training steps alone.</p>
<p>A difference is claimed when it holds twice: over seeds (Student's paired t on equal seeds) and, where
pictures were held out and judged, over pictures (McNemar's test with the seeds of a picture as one
cluster), each below %g after Holm's correction for %d comparison%s to %s. Fewer than three seeds claim
nothing. A run that diverged counts as %s and is never left out.</p>]]

local function put_method(out, c, times)
  local f, d = c.facts, c.identity.data
  out:put '<h2>How it was done</h2>'
  out:put(method, escape(table.concat(f.seeds, ', ')), d.train, d.held_out, f.alpha, #f.entries - 1,
    #f.entries == 2 and '' or 's', escape(f.entries[f.base].name),
    metric.failure(f.metric))
  if times then
    out:put('<p class="soft">%s, %d threads, incsh %s.</p>', escape(c.machine.cpu), c.machine.threads,
      escape(c.machine.version or ''))
  end
end

--- The page as text.
-- @param c a comparison
-- @param times false leaves out what depends on the clock
function page.of(c, times)
  local f, out, names = c.facts, setmetatable({}, Out), {}
  for i, e in ipairs(f.entries) do names[i] = e.name end
  local title = escape(table.concat(names, ', '))
  out:put '<!doctype html><html lang="en"><head><meta charset="utf-8">'
  out:put '<meta name="viewport" content="width=device-width,initial-scale=1">'
  out:put '<meta name="color-scheme" content="light dark">'
  out:put('<title>%s compared</title><style>', title)
  out[#out + 1] = style.css
  out:put('</style></head><body><h1>%s</h1><p class="soft">%d entries, %s, base: %s, by %s</p>', title,
    #names, text.plural(#f.seeds, 'seed'), escape(names[f.base]), metric.name(f.metric))
  if #names > 2 then out:put('<p class="headline">%s</p>', escape(text.headline(f))) end
  put_verdicts(out, f)
  put_warnings(out, c)
  put_differences(out, c)
  put_results(out, c, times)
  figures.intervals(out, f)
  figures.curves(out, c, times)
  put_targets(out, c, times)
  put_tuning(out, c, times)
  put_pictures(out, f)
  put_runs(out, c, times)
  put_common(out, c)
  put_method(out, c, times)
  out[#out + 1] = '<script>' .. style.js .. '</script></body></html>'
  return table.concat(out, '\n') .. '\n'
end

return page
