--- A comparison as text: what print(c) says, tables for spreadsheets, curves for plots.

local args = require 'inc.args'
local json = require 'inc.json'
local metric = require 'inc.compare.metric'
local results = require 'inc.compare.results'
local stats = require 'inc.compare.stats'

local text = {}

-- -- numbers ------------------------------------------------------------------------------------------------

--- A value of the metric as people read it: '81.4%' or '0.7312'.
function text.value(name, v)
  if v == nil or v ~= v then return '-' end
  if v == math.huge then return 'never' end
  if name == 'img_s' then return ('%.1f'):format(v) end
  return metric.is_share(name) and ('%.1f%%'):format(100 * v) or (v < 1e5 and '%.4f' or '%.4g'):format(v)
end

--- A difference of values: '+1.2 points' is written '+1.2'.
function text.difference(name, v)
  if v == nil or v ~= v then return '-' end
  if name == 'img_s' then return ('%+.1f'):format(v) end
  return metric.is_share(name) and ('%+.1f'):format(100 * v) or ('%+.4f'):format(v)
end

--- A p as people read it.
function text.p(p)
  if not p then return '-' end
  if p < 0.001 then return '< 0.001' end
  return ('%.3f'):format(p)
end

--- Seconds as 0:42 or 1:02:03; 'never' for a target that was missed.
function text.duration(seconds)
  if not seconds or seconds ~= seconds then return '-' end
  if seconds == math.huge then return 'never' end
  if seconds < 10 then return ('%.2f s'):format(seconds) end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then return ('%d:%02d'):format(whole // 60, whole % 60) end
  return ('%d:%02d:%02d'):format(whole // 3600, whole // 60 % 60, whole % 60)
end

--- Bytes as MB or GB.
function text.bytes(n)
  if not n then return '-' end
  return n < 1e9 and ('%.0f MB'):format(n / 1e6) or ('%.2f GB'):format(n / 1e9)
end

--- The middle one as steps: '40', 'never'.
function text.steps(n)
  if not n then return '-' end
  return n == math.huge and 'never' or ('%d'):format(math.floor(n + 0.5))
end

--- A mean with its interval.
function text.interval(name, mean, low, high)
  if not low then return text.value(name, mean) end
  return ('%s [%s, %s]'):format(text.value(name, mean), text.value(name, low), text.value(name, high))
end

-- -- sentences ----------------------------------------------------------------------------------------------

--- '1 seed', '3 seeds'.
function text.plural(n, word) return ('%d %s%s'):format(n, word, n == 1 and '' or 's') end

local plural = text.plural

local function trained(e)
  if e.diverged == 0 then return '' end
  return (' %d of %s diverged and counts as %s.'):format(e.diverged, plural(e.n, 'run'), e.diverged == 1
    and 'a failure'
    or 'failures'):gsub('diverged and counts as failures', 'diverged and count as failures')
end

-- '0.071, 0.024 alone' where correction changed what is read.
local function corrected(after, alone)
  local shown = text.p(after)
  return shown == text.p(alone) and shown or ('%s, %s alone'):format(shown, text.p(alone))
end

-- The tests of a difference, and what they lack where there is no claim.
local function tests_of(facts, r)
  local others, both = #facts.entries - 1, r.pictures_p ~= nil
  local words = ('paired t over %s, p %s'):format(plural(r.seeds.n, 'seed'), corrected(r.p, r.seeds.p))
  if both then
    words = ('%s; McNemar on the same %d pictures, seeds clustered, p %s'):format(words, facts.pictures,
      corrected(r.pictures_holm, r.pictures_p))
  end
  if others > 1 then words = ('%s; after Holm for %d comparisons'):format(words, others) end
  if r.verdict ~= 'not distinguishable' then return words end
  return ('%s; a claim needs %s below %g'):format(words, both and 'both' or 'p', facts.alpha)
end

local function named(facts, verdict)
  local list = {}
  for _, e in ipairs(facts.entries) do
    if e.against and e.against.verdict == verdict then list[#list + 1] = e.name end
  end
  return table.concat(list, ', ')
end

--- All verdicts in a line: 'Better than sgd: adamw. Not distinguishable from it: rmsprop, lion.'
function text.headline(facts)
  local parts, base = {}, facts.entries[facts.base].name
  for _, each in ipairs{{'better', 'Better than'}, {'worse', 'Worse than'},
    {'not distinguishable', 'Not distinguishable from'}, {'no claim', 'No claim against'}} do
    local names = named(facts, each[1])
    if names ~= '' then
      parts[#parts + 1] = ('%s %s: %s.'):format(each[2], #parts == 0 and base or 'it', names)
    end
  end
  return table.concat(parts, ' ')
end

--- The difference to the base in words, its tests, and what diverged: the parts of a verdict.
function text.reasons(facts, i)
  local e, r = facts.entries[i], facts.entries[i].against
  if not r then return '', '', trained(e) end
  local unit = metric.is_share(facts.metric) and ' points ' or ' '
  local by = ('%s%s%s'):format(text.difference(facts.metric, r.seeds.mean), unit,
    metric.name(facts.metric))
  return by, r.verdict ~= 'no claim' and tests_of(facts, r) or '', trained(e)
end

--- What may be said of one entry against the base, in a sentence with the test named.
function text.verdict(facts, i)
  local e, base = facts.entries[i], facts.entries[facts.base]
  local r, by, tests, diverged = e.against, text.reasons(facts, i)
  if not r then return ('%s is the base.%s'):format(e.name, diverged) end
  if r.verdict == 'no claim' then
    return ('%s against %s: no claim from %s (%d are needed).%s'):format(e.name, base.name,
      plural(r.seeds.n, 'seed'), stats.LEAST_SEEDS, diverged)
  end
  local relation = r.verdict == 'not distinguishable' and 'not distinguishable from' or r.verdict .. ' than'
  return ('%s is %s %s: %s (%s).%s'):format(e.name, relation, base.name, by, tests, diverged)
end

local function warn_of_tuning(facts, list)
  local words = 'The best rate of %s still sits at the edge of its grid after %s: more trials may help it.'
  for _, t in ipairs(facts.tuning) do
    if t.edge then
      list[#list + 1] = words:format(facts.entries[t.place].name, plural(#t.trials, 'trial'))
    end
  end
  if #facts.tuning > 0 and #facts.tuning < #facts.entries then
    list[#list + 1] = 'Some entries had their rate tuned and others had not: equal budgets compare better.'
  end
end

--- Doubts that a reader should have, one sentence each.
function text.warnings(c)
  local list, facts = {}, c.facts
  local parts = results.parts((results.differing(c.identity)))
  local seen = {}
  for _, part in ipairs(parts) do seen[part] = true end
  if #parts > 1 then
    local words = 'Entries differ in more than one thing (%s): a difference may come from any of them.'
    list[#list + 1] = words:format(
      table.concat(parts, ', '))
  end
  if seen.batch and not seen.steps then
    list[#list + 1] = 'Batches differ and steps do not: entries with larger batches see more pictures.'
  end
  warn_of_tuning(facts, list)
  if #facts.seeds < stats.LEAST_SEEDS then
    list[#list + 1] = ('%s: no claim is made from fewer than %d.'):format(plural(#facts.seeds, 'seed'),
      stats.LEAST_SEEDS)
  end
  return list
end

-- -- print --------------------------------------------------------------------------------------------------

local function width(s) return utf8.len(s) or #s end

local COLUMNS, LEAST_NAME = 80, 12

-- Long names of entries are cut where the row would not fit.
local function shorten(rows, widths)
  local others = 0
  for k = 2, #widths do others = others + 2 + widths[k] end
  local room = math.max(LEAST_NAME, COLUMNS - others)
  if widths[1] <= room then return end
  widths[1] = room
  for _, row in ipairs(rows) do
    if width(row[1]) > room then row[1] = args.clip(row[1], room - 1) .. '…' end
  end
end

-- Rows of cells as lines; the first column to the left, numbers to the right.
local function grid(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for k, cell in ipairs(row) do widths[k] = math.max(widths[k] or 0, width(cell)) end
  end
  shorten(rows, widths)
  for i, row in ipairs(rows) do
    local cells = {}
    for k, cell in ipairs(row) do
      local pad = (' '):rep(widths[k] - width(cell))
      cells[k] = k == 1 and cell .. pad or pad .. cell
    end
    lines[i] = (table.concat(cells, '  '):gsub('%s+$', ''))
  end
  return lines
end

local function tuning_of(facts, i)
  for _, t in ipairs(facts.tuning) do
    if t.place == i then return t end
  end
end

local function result_rows(f)
  local name, unit = metric.name(f.metric), metric.is_share(f.metric) and ' pt' or ''
  local rows = {{'entry', ('final %s [%g%%]'):format(name, 100 * (1 - f.alpha)), 'best', 'difference', 'p',
    'diverged'}}
  for i, e in ipairs(f.entries) do
    local r = e.against
    rows[i + 1] = {e.name, text.interval(f.metric, e.final, e.final_low, e.final_high), text.value(f.metric,
      e.best),
      r and text.difference(f.metric, r.seeds.mean) .. unit or 'base', r and text.p(r.p) or '',
      ('%d of %d'):format(e.diverged, e.n)}
  end
  return rows
end

local function cost_rows(c)
  local f = c.facts
  local rows = {{'entry', 'steps to target', 'time to target', 'img/s', 'memory', 'lr', 'trials'}}
  for i, e in ipairs(f.entries) do
    local t, target, tuned = c.times.entries[i], e.targets[1] or {}, tuning_of(f, i)
    rows[i + 1] = {e.name, text.steps(target.steps), text.duration((t.targets[1] or {}).seconds),
      t.img_s and ('%.1f'):format(t.img_s) or '-', text.bytes(e.memory), ('%g'):format(e.rate or e.lr),
      ('%d'):format(tuned and #tuned.trials or 0)}
  end
  return rows
end

-- Words that fit into a terminal of 80 columns; lines after the first stand in by two.
local function fold(words)
  local lines, at = {}, ''
  for word in words:gmatch '%S+' do
    if #at > 0 and width(at) + 1 + width(word) > 79 then
      lines[#lines + 1] = at
      at = ' '
    end
    at = #at > 0 and at .. ' ' .. word or word
  end
  lines[#lines + 1] = at
  return table.concat(lines, '\n')
end

--- What print(c) shows.
function text.of(c)
  local f, lines = c.facts, {}
  lines[1] = ('comparison of %s, %s each, in %s'):format(plural(#f.entries, 'entry'):gsub('entrys',
    'entries'),
    plural(#f.seeds, 'seed'), c.folder)
  if #f.entries > 2 then lines[#lines + 1] = text.headline(f) end
  for i in ipairs(f.entries) do
    if i ~= f.base or f.entries[i].diverged > 0 then lines[#lines + 1] = text.verdict(f, i) end
  end
  for _, w in ipairs(text.warnings(c)) do lines[#lines + 1] = 'note: ' .. w end
  for i = 1, #lines do lines[i] = fold(lines[i]) end
  for _, rows in ipairs{result_rows(f), cost_rows(c)} do
    lines[#lines + 1] = ''
    table.move(grid(rows), 1, #rows, #lines + 1, lines)
  end
  if f.targets[1] then
    lines[#lines + 1] = ('target: %s'):format(text.value(f.metric, f.targets[1]))
  end
  lines[#lines + 1] = ''
  lines[#lines + 1] = ('page: %s/compare.html  tables: compare.csv, runs.csv'):format(c.folder)
  return table.concat(lines, '\n')
end

-- -- files --------------------------------------------------------------------------------------------------

-- Plain numbers; infinity and NaN as JSON can say them: null.
local function plain_run(run)
  local out = {seed = run.seed, rate = run.rate, state = run.state, step = run.step, final = run.final,
    best = run.best,
    best_step = run.best_step, val = json.list(run.val), train_loss = run.train_loss}
  if run.right then
    local marks = {}
    for i, right in ipairs(run.right) do marks[i] = right and '1' or '0' end
    out.right = table.concat(marks)
  end
  return out
end

local function plain_against(r)
  if not r then return nil end
  return {verdict = r.verdict, p = r.p, p_uncorrected = r.seeds.p, t = r.seeds.t, df = r.seeds.df,
    mean = r.seeds.mean,
    low = r.seeds.low, high = r.seeds.high, differences = r.differences, mcnemar = json.list(r.mcnemar),
    p_pictures = r.pictures_holm}
end

--- Everything that does not depend on the clock, as plain values: what result.json holds.
function text.facts(c)
  local f, entries = c.facts, {}
  for i, e in ipairs(f.entries) do
    local runs = {}
    for j, run in ipairs(e.runs) do runs[j] = plain_run(run) end
    entries[i] = {name = e.name, rate = e.rate, steps = e.steps, batch = e.batch, runs = runs,
      diverged = e.diverged,
      final = {mean = e.final, low = e.final_low, high = e.final_high},
      best = {mean = e.best, low = e.best_low, high = e.best_high}, against_base = plain_against(e.against),
      targets = json.list(e.targets), memory = e.memory, sentence = text.verdict(f, i)}
  end
  return {kind = 'compare result', metric = f.metric, base = f.entries[f.base].name, seeds = f.seeds,
    alpha = f.alpha,
    pictures = f.pictures, entries = entries, tuning = json.list(f.tuning),
      warnings = json.list(text.warnings(c)),
    settings = c.identity}
end

local function csv_line(cells)
  local out = {}
  for i = 1, cells.n do
    local v = cells[i]
    local s = v == nil and '' or type(v) == 'number' and (v ~= v and '' or v == math.huge and 'inf'
      or math.type(v) == 'integer' and ('%d'):format(v) or ('%.9g'):format(v)) or tostring(v)
    out[i] = s:find '[",\n]' and '"' .. s:gsub('"', '""') .. '"' or s
  end
  return table.concat(out, ',') .. '\n'
end

local function csv_of(rows)
  for i, row in ipairs(rows) do rows[i] = csv_line(row) end
  return table.concat(rows)
end

--- compare.csv: a row an entry; columns that begin with time_ depend on the clock.
function text.csv(c)
  local f = c.facts
  local rows = {table.pack('entry', 'rate', 'runs', 'diverged', 'final', 'final_low', 'final_high', 'best',
    'best_low',
    'best_high', 'difference', 'difference_low', 'difference_high', 'p', 'p_pictures', 'verdict', 'target',
    'steps_to_target', 'trials', 'tuning_steps', 'memory_bytes', 'time_to_target_s', 'time_img_s',
      'time_train_s',
    'time_tuning_s')}
  for i, e in ipairs(f.entries) do
    local t, r, tuned = c.times.entries[i], e.against, tuning_of(f, i)
    local target = e.targets[1] or {}
    rows[#rows + 1] = table.pack(e.name, e.rate, e.n, e.diverged, e.final, e.final_low, e.final_high, e.best,
      e.best_low,
      e.best_high, r and r.seeds.mean, r and r.seeds.low, r and r.seeds.high, r and r.p,
        r and r.pictures_holm,
      r and r.verdict or 'base', target.target, target.steps, tuned and #tuned.trials or 0, tuned
        and tuned.steps or 0,
      e.memory, (t.targets[1] or {}).seconds, t.img_s, t.seconds, c.times.tuning[i])
  end
  return csv_of(rows)
end

--- runs.csv: a row a run, those of tuning too.
function text.runs_csv(c)
  local f = c.facts
  local rows = {table.pack('entry', 'stage', 'seed', 'rate', 'state', 'steps', 'final', 'best', 'best_step',
    'train_loss', 'time_img_s', 'time_train_s')}
  for i, e in ipairs(f.entries) do
    for j, run in ipairs(e.runs) do
      local t = c.times.entries[i].runs[j]
      rows[#rows + 1] = table.pack(e.name, 'run', run.seed, run.rate, run.state, run.step, run.final,
        run.best,
        run.best_step, run.train_loss, t.img_s, t.seconds)
    end
    for _, trial in ipairs((tuning_of(f, i) or {trials = {}}).trials) do
      rows[#rows + 1] = table.pack(e.name, 'tuning', c.identity.tune_seed, trial.rate, trial.state,
        trial.step,
        trial.final, nil, nil, nil, nil, nil)
    end
  end
  return csv_of(rows)
end

-- -- curves -------------------------------------------------------------------------------------------------

--- Means over the runs of each entry at steps where all that are left have a value.
-- @param entries in order; columns, a list of {name = entry's, log = columns of a log}
-- @return a list of {name, x, y} for inc.plot
function text.means(entries, columns, column)
  local list = {}
  for _, entry in ipairs(entries) do
    local sum, count, x, y = {}, {}, {}, {}
    for _, c in ipairs(columns) do
      if c.name == entry.name then
        for i, step in ipairs(c.log.step) do
          local v = c.log[column] and c.log[column][i]
          if v and v == v then sum[step], count[step] = (sum[step] or 0) + v, (count[step] or 0) + 1 end
        end
      end
    end
    for step in pairs(sum) do x[#x + 1] = step end
    table.sort(x)
    for i, step in ipairs(x) do y[i] = sum[step] / count[step] end
    if #x > 0 then list[#list + 1] = {name = entry.name, x = x, y = y} end
  end
  return list
end

--- The mean curves of a comparison's runs for inc.plot.
-- @param column of their logs
function text.curves(c, column)
  local log, core, columns = require 'inc.run.log', require 'inc.core', {}
  for _, place in ipairs(c.runs or {}) do
    if core.path_kind(place.folder .. '/log.jsonl') then
      columns[#columns + 1] = {name = place.name, log = log.read(place.folder .. '/log.jsonl')}
    end
  end
  return text.means(c.facts.entries, columns, column)
end

return text
