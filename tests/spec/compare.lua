-- compare as a function and as a verb: what it does to fairness, to kills, and to bad input.
local tiny = require 'tiny'

-- The planted case: identical entries, a hopeless rate, and one that diverges.
local function planted(pictures, out, changes)
  local o = {tiny.net(), pictures, out = out, steps = 24, seeds = {1, 2, 3}, batch = 8, val = 0.3,
    val_every = 8,
    precision = 'f32', augment = 'light', live = false,
    {'sgd', optim.sgd{lr = 0.05, momentum = 0.9}},
    {'the same', optim.sgd{lr = 0.05, momentum = 0.9}},
    {'hopeless', optim.sgd{lr = 1e-7}},
    {'diverges', optim.sgd{lr = 1e12}}}
  for key, v in pairs(changes or {}) do o[key] = v end
  return o
end

-- What it prints, with folded lines laid flat.
local function flat(c) return (tostring(c):gsub('\n  ', ' ')) end

local function by_name(c)
  local t = {}
  for _, e in ipairs(c.facts.entries) do t[e.name] = e end
  return t
end

test('the planted case: the same, worse, diverged', function()
  local out = tmp() .. '/c'
  local c = compare(planted(make_pictures(3, 20, 48), out))
  local e = by_name(c)
  check.equal(e['the same'].against.verdict, 'not distinguishable')
  check.equal(e['the same'].values, e.sgd.values)
  check.equal(e.hopeless.against.verdict, 'worse')
  check.equal(e.diverges.diverged, 3)
  check.equal(e.diverges.against.verdict, 'worse')
  check.equal(e.sgd.diverged, 0)
  check.contains(e.diverges.runs[1].why, 'loss is')
  local words = flat(c)
  check.contains(words, 'Worse than sgd: hopeless, diverges. Not distinguishable from it: the same.')
  check.contains(words, 'the same is not distinguishable from sgd: +0.0 points top-1 (paired t over 3 seeds')
  check.contains(words, 'after Holm for 3 comparisons')
  check.contains(words, '; a claim needs both below 0.05)')
  check.contains(words, 'hopeless is worse than sgd')
  check.contains(words, '3 of 3 runs diverged and count as failures')
  check.contains(read_file(out .. '/compare.csv'), '\nhopeless,,3,0,')
  check.contains(read_file(out .. '/runs.csv'), '\ndiverges,run,2,,diverged,')
  -- called again it is read, not made
  local before = read_file(out .. '/result.json')
  local again = compare(planted(make_pictures(3, 20, 48), out))
  check.equal(again.facts.entries[1].values, c.facts.entries[1].values)
  check.equal(read_file(out .. '/result.json'), before)
end)

test('a run of a comparison is a run of train, to the bit', function()
  local pictures, dir = make_pictures(3, 20, 48), tmp()
  local c = compare{tiny.net(), pictures, out = dir .. '/c', steps = 20, seeds = {5, 9}, batch = 8, val = 0.3,
    val_every = 5, precision = 'f32', augment = 'light', ema = 0.9, schedule = optim.cosine{warmup = 2},
      live = false,
    {'sgd', optim.sgd{lr = 0.05, momentum = 0.9}}, {'adam', optim.adam{lr = 0.01}, ema = false}}
  for i, name in ipairs{'1-sgd', '2-adam'} do
    train{tiny.net(), pictures, out = dir .. '/' .. name, steps = 20, seed = 9, batch = 8, val = 0.3,
      val_every = 5,
      precision = 'f32', augment = 'light', ema = i == 1 and 0.9 or false,
        schedule = optim.cosine{warmup = 2},
      optimizer = i == 1 and optim.sgd{lr = 0.05, momentum = 0.9} or optim.adam{lr = 0.01}}:wait{quiet = true}
    local mine = ('%s/c/runs/%s-seed9'):format(dir, name)
    check.equal(#inc.core.run_checkpoints(mine), 1) -- the last one, and its weights
    check.equal(select(2, inc.core.load_head(mine .. '/best.safetensors')).step, '20')
    check.equal(tiny.facts(mine), tiny.facts(dir .. '/' .. name))
    check.equal(tiny.state(mine), (tiny.state(dir .. '/' .. name)))
  end
  check.equal(c.facts.entries[2].against.verdict, 'no claim')
  check.contains(flat(c), 'no claim from 2 seeds (3 are needed)')
end)

test('entries start alike: equal seeds, equal first losses; other seeds, others', function()
  local function net() return tiny.net(3, inc.seed()) end
  local c = compare{net, make_pictures(3, 14, 48), out = tmp() .. '/c', steps = 3, seeds = {1, 2}, batch = 8,
    precision = 'f32', live = false, {'a', optim.sgd{lr = 0.1}}, {'b', optim.adam{lr = 0.1}}}
  local a, b = c.facts.entries[1].runs, c.facts.entries[2].runs
  check.equal(a[1].loss[1], b[1].loss[1])
  check.equal(a[2].loss[1], b[2].loss[1])
  check.ok(a[1].loss[1][2] ~= a[2].loss[1][2])
end)

test('batches are made once for all entries that see the same ones', function()
  local core, feeds, made = require 'inc.core', {}, 0
  local run_feed = core.run_feed
  local restore <close> = setmetatable({}, {__close = function() core.run_feed = run_feed end})
  core.run_feed = function(...)
    feeds[#feeds + 1] = run_feed(...)
    return feeds[#feeds]
  end
  local c = compare{tiny.net(), make_pictures(3, 14, 48), out = tmp() .. '/c', steps = 12, seeds = {1},
    batch = 8,
    precision = 'f32', live = false, {'a', optim.sgd{lr = 0.1}}, {'b', optim.sgd{lr = 0.2}},
    {'c', optim.adam{}}, {'other batch', optim.sgd{lr = 0.2}, batch = 4}}
  for _, feed in ipairs(feeds) do made = made + core.run_feed_made(feed) end
  check.equal(#feeds, 2, restore and nil)
  check.equal(made, 24) -- of 48 that four loaders would make
  check.contains(flat(c), 'Entries differ in more than one thing (batch, optimizer)')
  check.contains(flat(c), 'Batches differ and steps do not')
end)

-- Entries by the order of their turns, and how far each was after its turn, with turns of `window` steps.
local function turns_of(given, window)
  local rounds, list = require 'inc.compare.rounds', {}
  local run = rounds.run
  local restore <close> = setmetatable({}, {__close = function() rounds.run = run end})
  rounds.run = function(arms, o)
    local class = getmetatable(arms[1])
    local turn, before = class.turn, class.window
    local back <close> = setmetatable({}, {__close = function() class.turn, class.window = turn, before end})
    class.window = function() return window end
    class.turn = function(a, step, tick)
      list[#list + 1] = {a.entry.name, step}
      return turn(a, step, tick)
    end
    return run(arms, o), back
  end
  return compare(given), list, restore
end

test('what was rehearsed is begun, not made again; threads are as before', function()
  local build = require 'inc.train.build'
  local step_plan, made, threads = build.step_plan, 0, inc.core.threads()
  local restore <close> = setmetatable({}, {__close = function() build.step_plan = step_plan end})
  build.step_plan = function(...)
    made = made + 1
    return step_plan(...)
  end
  compare{tiny.net(), make_pictures(3, 14, 48), out = tmp() .. '/c', steps = 4, seeds = {1, 2}, batch = 8,
    precision = 'f32', live = false, {'a', optim.sgd{lr = 0.1}},
    trials = 2, {'b', optim.sgd{lr = 1}, lr = {0.1, 0.2}, threads = 1}}
  check.equal(made, 2 + 2 + 2, restore and nil) -- of a, of b, and of b's rates
  check.equal(inc.core.threads(), threads)
end)

test('runs take turns of a few steps, and who comes first moves on', function()
  local _, turns = turns_of({tiny.net(), make_pictures(3, 14, 48), out = tmp() .. '/c', steps = 30,
    seeds = {1}, batch = 8, precision = 'f32', live = false, {'a', optim.sgd{lr = 0.1}},
    {'b', optim.sgd{lr = 0.2}}, {'c', optim.adam{}}}, 6)
  check.ok(#turns >= 15, #turns .. ' turns')
  local at = {a = 0, b = 0, c = 0}
  for i, turn in ipairs(turns) do
    at[turn[1]] = turn[2]
    local round = (i - 1) // 3
    check.equal(turn[1], ({'a', 'b', 'c'})[(round + i - 1) % 3 + 1], 'turn ' .. i)
    check.ok(math.max(at.a, at.b, at.c) - math.min(at.a, at.b, at.c) <= 6, 'turn ' .. i)
  end
  check.equal(at, {a = 30, b = 30, c = 30})
end)

test('entries may differ in net, schedule, augmentation and averages', function()
  local function small() return tiny.net(3, inc.seed()) end
  local function large(seed) return small(seed) end
  local c = compare{small, make_pictures(3, 14, 48), out = tmp() .. '/c', steps = 8, seeds = {1}, batch = 8,
    precision = 'f32', live = false, augment = 'light', optimizer = optim.sgd{lr = 0.1},
    {'plain'}, {'net', net = large}, {'schedule', schedule = optim.cosine{}}, {'none', augment = 'none'},
    {'average', ema = 0.5}}
  local runs = {}
  for i, e in ipairs(c.facts.entries) do runs[i] = e.runs[1] end
  check.equal(runs[2].loss, runs[1].loss) -- the same net by another function
  check.equal(runs[3].loss[1], runs[1].loss[1])
  check.ok(runs[3].loss[8][2] ~= runs[1].loss[8][2])
  check.ok(runs[4].loss[1][2] ~= runs[1].loss[1][2]) -- other crops
  check.equal(runs[5].loss, runs[1].loss)
  check.contains(flat(c), 'Entries differ in more than one thing (augment, ema, schedule)')
end)

test('plans of one block take turns: hoisted work of one is not the other\'s', function()
  local build, images = require 'inc.train.build', data.folder{make_pictures(3, 14, 48), val = 0.3}.images
  local function scores(plan)
    return inc.core.score(images, {{plan, {part = 'val', batch = 8, workers = 1,
      transform = {augment = 'eval', size = 48}}}}).loss
  end
  local a, b, block = tiny.net(3, 1), tiny.net(3, 2), inc.core.plan_arena()
  local alone = {scores(build.eval_plan(a, 8, 'f32')), scores(build.eval_plan(b, 8, 'f32'))}
  local one, two = build.eval_plan(a, 8, 'f32'), build.eval_plan(b, 8, 'f32')
  one:share(block)
  two:share(block)
  for _ = 1, 2 do
    check.equal(scores(one), alone[1])
    check.equal(scores(two), alone[2])
  end
  check.raises(function() one:share(block) end, '~this plan has run already: memory is shared before that')
end)

test('rates from a grid: extended at the edge, within the budget', function()
  local out = tmp() .. '/c'
  local c = compare{tiny.net(), make_pictures(3, 20, 48), out = out, steps = 24, seeds = {1, 2, 3}, batch = 8,
    val = 0.3, precision = 'f32', augment = 'light', live = false, metric = 'val.loss', trials = 4,
    {'low', optim.sgd{lr = 1, momentum = 0.9}, lr = {1e-5, 1e-4}},
    {'inside', optim.sgd{lr = 1, momentum = 0.9}, lr = {1e-6, 0.05, 1e10}}}
  local low, inside = c.facts.tuning[1], c.facts.tuning[2]
  check.equal(#low.trials, 4) -- 1e-3 and 1e-2 were added
  check.close(low.rate, 0.01, 1e-9)
  check.equal(low.edge, true)
  check.equal(inside.rate, 0.05)
  check.equal(inside.edge, false)
  check.equal(#inside.trials, 3)
  check.equal(inside.trials[3].state, 'diverged')
  check.equal(inside.steps, 48 + inside.trials[3].step)
  check.contains(flat(c), 'The best rate of low still sits at the edge of its grid after 4 trials')
  check.equal(c.facts.entries[2].rate, 0.05)
  check.equal(inc.json.read(out .. '/runs/2-inside-seed1/config.json').settings.optimizer.lr, 0.05)
  check.equal(#inc.core.run_checkpoints(out .. '/tuning/2-inside-lr0.05-seed4'), 0) -- tried, not kept
end)

test('precision, threads and batch are compared like anything else', function()
  local before = inc.core.threads()
  local c = compare{tiny.net(), make_pictures(3, 14, 48), out = tmp() .. '/c', steps = 6, seeds = 1,
    batch = 8,
    live = false, optimizer = optim.sgd{lr = 0.05}, {'f32', precision = 'f32'},
    {'one thread', precision = 'f32', threads = 1, devices = 'cpu'}, {'bf16', precision = 'bf16'}}
  check.equal(inc.core.threads(), before)
  check.equal(c.identity.entries[2].threads, 1)
  check.ok(c.times.entries[3].img_s > 0)
  check.equal(inc.json.read(c.folder .. '/runs/2-one_thread-seed1/config.json').threads, 1)
end)

test('speed is a metric too', function()
  local c = compare{tiny.net(), make_pictures(3, 14, 48), out = tmp() .. '/c', steps = 12, seeds = 3,
    batch = 8,
    precision = 'f32', live = false, metric = 'img_s', {'a', optim.sgd{lr = 0.1}}, {'b', optim.adam{}}}
  for i, e in ipairs(c.facts.entries) do
    check.ok(e.final > 0)
    check.close(e.final, (e.values[1] + e.values[2] + e.values[3]) / 3, 1e-9)
    check.equal(c.times.entries[i].runs[1].img_s, e.values[1])
  end
  check.contains(tostring(c), 'final img/s')
  check.ok(c.facts.entries[2].against.p <= 1)
end)

-- Rows of a table by its first column.
local function read_csv(path)
  local names, rows = nil, {}
  for line in io.lines(path) do
    local cells = {}
    for cell in (line .. ','):gmatch '([^,]*),' do cells[#cells + 1] = cell end
    if not names then names = cells else
      local row = {}
      for i, name in ipairs(names) do row[name] = cells[i] end
      rows[cells[1]] = row
    end
  end
  return rows
end

test('compare.csv: what each entry came to and what it cost', function()
  local out = tmp() .. '/c'
  local c = compare{tiny.net(), make_pictures(3, 20, 48), out = out, steps = 24, seeds = 3, batch = 8,
    val = 0.3, val_every = 4, precision = 'f32', augment = 'light', live = false, targets = {0.5},
    {'sgd', optim.sgd{lr = 0.05, momentum = 0.9}},
    {'tuned', optim.adam{}, lr = {1e-3, 1e-2}, ema = 0.9}}
  local rows, e = read_csv(out .. '/compare.csv'), by_name(c)
  for _, name in ipairs{'sgd', 'tuned'} do
    local row, t = rows[name], c.times.entries[name == 'sgd' and 1 or 2]
    check.close(tonumber(row.final), e[name].final, 1e-8)
    check.equal({row.runs, row.diverged}, {'3', '0'})
    check.equal(tonumber(row.memory_bytes), e[name].memory)
    check.ok(tonumber(row.memory_bytes) > 1e5 and tonumber(row.time_img_s) > 0)
    check.close(tonumber(row.time_img_s), t.img_s, 1e-6)
    check.equal(row.target, '0.5')
    check.ok(tonumber(row.steps_to_target) % 4 == 0 and tonumber(row.time_to_target_s) > 0)
  end
  check.ok(tonumber(rows.tuned.memory_bytes) > tonumber(rows.sgd.memory_bytes)) -- two slots, and an average
  check.equal({rows.sgd.verdict, rows.sgd.trials, rows.sgd.tuning_steps}, {'base', '0', '0'})
  check.equal({#c.facts.tuning[1].trials, rows.tuned.tuning_steps},
    {tonumber(rows.tuned.trials), ('%d'):format(24 * rows.tuned.trials)})
  check.ok(tonumber(rows.tuned.time_tuning_s) > 0)
  check.close(tonumber(rows.tuned.difference), e.tuned.final - e.sgd.final, 1e-6)
  local words = tostring(c)
  check.contains(words, 'img/s  memory')
  check.contains(words, 'trials')
end)

test('what is printed fits 80 columns', function()
  local c = compare(planted(make_pictures(3, 20, 48), tmp() .. '/c', {seeds = 2, steps = 6,
    [4] = {'an entry with quite a long name, as people give them', optim.adam{}}}))
  for line in tostring(c):gmatch '[^\n]+' do
    if not line:find(c.folder, 1, true) then check.ok(utf8.len(line) <= 80, line) end
  end
end)

test('where memory is short, runs are put away and come back, to the bit', function()
  local pictures, dir = make_pictures(3, 20, 48), tmp()
  local rounds = require 'inc.compare.rounds'
  local run = rounds.run
  compare(planted(pictures, dir .. '/all'))
  local restore <close> = setmetatable({}, {__close = function() rounds.run = run end})
  rounds.run = function(arms, o)
    o.limit = 2
    return run(arms, o)
  end
  compare(planted(pictures, dir .. '/two'))
  check.equal(read_file(dir .. '/two/result.json'), read_file(dir .. '/all/result.json'), restore and nil)
end)

-- Every tag that is opened is closed, in order.
local function check_tags(html)
  local open, void = {}, {meta = true, br = true, line = true, circle = true, rect = true, path = true}
  html = html:gsub('<style>.-</style>', ''):gsub('<script>.-</script>', '')
  for close, name, self in html:gmatch '<(/?)([%a][%w]*)[^>]-(/?)>' do
    if close == '/' then
      check.equal(table.remove(open), name)
    elseif self ~= '/' and not void[name] then
      open[#open + 1] = name
    end
  end
  check.equal(#open, 0)
end

test('the page: whole, alone, escaped; plots where there is something to draw', function()
  local out = tmp() .. '/c'
  local c = compare(planted(make_pictures(3, 20, 48), out, {
    [3] = {'<b>"quoted" & co', optim.sgd{lr = 1, momentum = 0.9}, lr = {0.01, 0.05}},
    [4] = {'the same', optim.sgd{lr = 0.05, momentum = 0.9}}}))
  local html = read_file(out .. '/compare.html')
  check_tags(html)
  check.equal(html:find '[sS][rR][cC]%s*=' or html:find 'href' or html:find 'http' or html:find '@import',
    nil)
  check.equal(html:find('<b>"quoted"', 1, true), nil)
  check.contains(html, '&lt;b&gt;&quot;quoted&quot; &amp; co')
  check.equal(select(2, html:gsub('<svg ', '')), 7) -- seeds, differences, four curves, rates
  check.equal(html:find 'nan' or html:find 'inf%f[%A]', nil)
  check.contains(html, '<span class="word">worse than ')
  check.contains(html, '3 of 3 runs diverged')
  check.ok(html:find '<h2>Settings that differ' < html:find '<h2>Results')
  for _, head in ipairs{'img/s', 'memory', 'trials', 'steps to target', 'diverged'} do
    check.ok(html:find('<th scope="col"[^>]*>' .. head .. '</th>'), head)
  end
  check.contains(html, 'Picture by picture (McNemar, ')
  check.contains(html, 'Smoothed by TensorBoard&#39;s formula, weight 0.9')
  check.contains(html, 'width=device-width')
  check.contains(html, 'prefers-color-scheme:dark')
  check.contains(html, '@media print')
  c:report(out .. '/plain.html', {times = false})
  local plain = read_file(out .. '/plain.html')
  check_tags(plain)
  check.equal(plain:find 'img/s', nil)
  check.equal(select(2, plain:gsub('<svg ', '')), 5)
  check.raises(function() c:report(out .. '/x.html', {time = false}) end,
    'report: time: unknown option (did you mean times?)')
end)

-- What a browser makes of it: the page has `script` at its end, which writes into the title.
local function in_browser(page, width, script)
  if sh('command -v chromium').status ~= 0 then skip 'there is no chromium' end
  local path = tmp() .. '/page.html'
  local added = ('<script>%s</script></body>'):format(script)
  write_file(path, (page:gsub('</body>', function() return added end)))
  local r = sh(('timeout 120 chromium --headless --no-sandbox --disable-gpu --window-size=%d,1000 ' ..
    '--dump-dom file://%s'):format(width, path))
  return r.out:match '<title>(.-)</title>' or error(r.err, 0)
end

test.slow('the page in a browser: nothing sticks out of a phone, headings sort', function()
  local out = tmp() .. '/c'
  compare(planted(make_pictures(3, 20, 48), out, {
    [4] = {'an entry with quite a long name', optim.sgd{lr = 0.5}, lr = {0.01, 0.05}}}))
  local page = read_file(out .. '/compare.html')
  local wide = 'document.title=document.documentElement.scrollWidth<=document.documentElement.clientWidth'
  check.equal({in_browser(page, 500, wide), in_browser(page, 1280, wide)}, {'true', 'true'})
  local sorted = [[
    var t=document.querySelectorAll('table.sort')[0],b=t.querySelectorAll('th button')[1];
    function final(r){return r.cells[1].dataset.v}
    function finals(){return Array.from(t.tBodies[0].rows).map(final).join()}
    b.click();var down=finals();b.click();document.title=down+' '+finals()]]
  local down, up = in_browser(page, 1280, sorted):match '^(%S+) (%S+)$'
  local values = {}
  for v in down:gmatch '[^,]+' do values[#values + 1] = tonumber(v) end
  check.equal(#values, 4)
  for i = 2, 4 do check.ok(values[i] <= values[i - 1], down) end
  local back = {}
  for v in up:gmatch '[^,]+' do table.insert(back, 1, tonumber(v)) end
  check.equal(back, values)
end)

test('curves in the terminal and in a file', function()
  local out = tmp() .. '/c'
  local c = compare{tiny.net(), make_pictures(3, 14, 48), out = out, steps = 8, seeds = 2, batch = 8,
    val_every = 4,
    precision = 'f32', live = false, {'a', optim.sgd{lr = 0.1}}, {'b', optim.adam{lr = 0.01}}}
  local list = require('inc.compare.text').curves(c, 'val.top1')
  check.equal({list[1].name, list[2].name, list[1].x}, {'a', 'b', {4, 8}})
  check.close(list[1].y[2], (c.facts.entries[1].values[1] + c.facts.entries[1].values[2]) / 2, 1e-12)
  if sh('command -v gnuplot').status ~= 0 then skip 'gnuplot is not here' end
  c:plot('loss', {file = out .. '/loss.svg'})
  check.contains(read_file(out .. '/loss.svg'), '<svg')
end)

-- -- kills --------------------------------------------------------------------------------------------------

local function write_spec(dir, pictures)
  write_file(dir .. '/spec.lua', ([[
    package.path = %q .. ';' .. package.path
    local tiny = require 'tiny'
    return {tiny.net(), %q, steps = 40, seeds = {1, 2, 3}, batch = 8, val = 0.3, val_every = 10,
      precision = 'f32',
      augment = 'light', save_every = 3,
      {'sgd', optim.sgd{lr = 1, momentum = 0.9}, lr = {0.001, 0.01}},
      {'adam', optim.adam{}, lr = {0.001, 0.01}},
      {'diverges', optim.sgd{lr = 1e12}}}]]):format((package.path:match '^[^;]*tests/%?%.lua'
        or 'tests/?.lua'),
    pictures))
  return ('%s compare %s/spec.lua --out'):format(incsh, dir)
end

-- A table without the columns that depend on the clock.
local function without_times(path)
  local keep, out = nil, {}
  for line in io.lines(path) do
    local cells = {}
    for cell in (line .. ','):gmatch '([^,]*),' do cells[#cells + 1] = cell end
    if not keep then
      keep = {}
      for i, name in ipairs(cells) do keep[i] = name:sub(1, 5) ~= 'time_' end
    end
    for i, cell in ipairs(cells) do out[#out + 1] = keep[i] and cell or '' end
  end
  return table.concat(out, ',')
end

test.slow('kill -9 at random instants: the same report', function()
  local dir = tmp()
  local go = write_spec(dir, make_pictures(3, 20, 48))
  local whole = sh(('%s %s/whole'):format(go, dir))
  check.equal(whole.status, 0, whole.err)
  local killed = 0
  for round = 1, 6 do
    local r = sh(('%s %s/parts & p=$!; sleep 0.%d; kill -9 $p; wait $p'):format(go, dir, 2 + round))
    killed = killed + (r.status == 137 and 1 or 0)
  end
  check.ok(killed >= 2, ('%d of 6 were killed'):format(killed))
  local r = sh(('%s %s/parts'):format(go, dir))
  check.equal(r.status, 0, r.err)
  check.equal(read_file(dir .. '/parts/result.json'), read_file(dir .. '/whole/result.json'))
  for _, name in ipairs{'compare.csv', 'runs.csv'} do
    check.equal(without_times(dir .. '/parts/' .. name), without_times(dir .. '/whole/' .. name))
  end
  -- the page too, without what depends on the clock
  for _, name in ipairs{'whole', 'parts'} do
    local again = sh(('%s -e "local o = dofile \'%s/spec.lua\'; o.out = \'%s/%s\'; ' ..
      'compare(o):report(\'%s/%s.html\', {times = false})"'):format(incsh, dir, dir, name, dir, name))
    check.equal(again.status, 0, again.err)
  end
  check.equal(read_file(dir .. '/parts.html'), read_file(dir .. '/whole.html'))
end)

test('Ctrl-C saves and says how to go on', function()
  local dir = tmp()
  local go = write_spec(dir, make_pictures(3, 20, 48))
  local r = sh(('%s %s/c --steps 4000 & p=$!; sleep 2; kill -INT $p; wait $p'):format(go, dir))
  check.equal(r.status, 130, r.err)
  check.contains(r.err, 'compare: stopped and saved in')
end)

-- -- bad input ----------------------------------------------------------------------------------------------

test('what is wrong with a table is said in a sentence', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local a, b = {'a', optim.sgd{lr = 0.1}}, {'b', optim.adam{lr = 0.01}}
  local function refused(changes, text)
    local o = {tiny.net(), pictures, out = dir .. '/new', steps = 4, batch = 8, live = false,
      precision = 'f32', a, b}
    for key, v in pairs(changes) do o[key] = v end
    check.raises(function() compare(o) end, text)
    check.equal(inc.core.path_kind(dir .. '/new'), nil, 'a folder after: ' .. text)
  end
  check.raises(function() compare 'spec' end, 'compare: expected one table, got string')
  check.raises(function() compare(tiny.net()) end, 'compare: expected one table, got a net')
  refused({[3] = {optim.sgd{lr = 1}}},
    "compare: entry 1: expected a name first, such as {'sgd', optim.sgd{}}, got optim.sgd{lr = 1}")
  refused({[3] = {lr = 0.1}},
    "compare: entry 1: expected a name first, such as {'sgd', optim.sgd{}}, got none")
  refused({[4] = {'a', optim.adam{}}}, 'compare: expected names that differ, got two entries a')
  refused({[3] = 5},
    "compare: value 3: expected a net, pictures or an entry like {'sgd', optim.sgd{}}, got 5")
  refused({[3] = {'a', optim.sgd{lr = 1}, bach = 3}},
    'compare: a: bach: unknown option (did you mean batch?)')
  refused({[3] = {'a', optim.sgd{lr = 1}, steps = 3}},
    '~^.*compare: a: steps: unknown option')
  refused({seeds = {1, 2, 1}}, 'compare: seeds: expected each seed once, got 1 twice')
  refused({seeds = 0}, 'compare: seeds: expected how many or a list of integers, got 0')
  refused({base = 'c'}, 'compare: base: c is no entry (did you mean a?)')
  refused({[3] = {'a', optim.sgd{lr = 1}, batch = 1000}},
    '~compare: a: batch: expected at most the %d+ pictures of the training part, got 1000')
  refused({[3] = {'a', optim.sgd{lr = 1}, schedule = optim.cosine{warmup = 40}}},
    'compare: a: schedule: optim.cosine{warmup = 40}: warmup of 40 steps is longer than the run of 4')
  refused({[3] = {'a', optim.sgd{lr = 1}, schedule = optim.multistep{{2, 9}}}},
    'compare: a: schedule: optim.multistep{{2, 9}}: milestone 9 is beyond the run of 4')
  refused({[3] = {'a', optim.sgd{lr = 1}, devices = 'gpu:0,1'}},
    'compare: a: devices = "gpu:0,1": not built yet (there is cpu)')
  refused({[3] = {'a', optim.sgd{lr = 1}, lr = {0.1}}},
    'compare: a: lr: expected two rates or more for a grid, got 1')
  refused({[3] = {'a', optim.sgd{lr = 1}, lr = {0.1, 0.1}}},
    'compare: a: lr: expected each rate once, got 0.1 twice')
  refused({[3] = {'a', optim.sgd{lr = 1}, lr = {0.1, 0.2, 0.4}}, trials = 2},
    'compare: trials: expected at least the 3 rates of the largest grid, got 2')
  refused({trials = 2}, 'compare: trials: expected an entry with a grid, such as lr = {0.01, 0.1}')
  refused({val = 0, metric = 'val.top1'},
    'compare: metric: val.top1 wants pictures held out, and there are none (val = 0)')
  refused({alpha = 2}, 'compare: alpha: expected between 0 and 1, got 2')
  check.raises(function() compare{tiny.net(), pictures, a, b} end,
    'compare: expected steps or epochs: one budget for all')
  check.raises(function() compare{tiny.net(), steps = 3, a, b} end,
    'compare: expected data: a folder, or what data.folder gives')
  check.raises(function() compare{tiny.net(), pictures, steps = 3} end,
    "compare: expected entries such as {'sgd', optim.sgd{}}, got none")
end)

test('nets are not shared, and optimizers must fit', function()
  local pictures, dir, net = make_pictures(3, 14, 48), tmp(), tiny.net()
  local function refused(o, text)
    o.out, o.steps, o.batch, o.live, o.precision = dir .. '/new', 4, 8, false, 'f32'
    check.raises(function() compare(o) end, text)
    check.equal(inc.core.path_kind(dir .. '/new'), nil)
  end
  refused({pictures, {'a', optim.sgd{lr = 1}, net = net}, {'b', optim.sgd{lr = 1}, net = net}},
    'compare: a and b share one net: expected one each, or one in front of all entries')
  refused({pictures, net, {'a', optim.sgd{lr = 1}, net = net}},
    'compare: the comparison and a share one net: expected one each, or one in front of all entries')
  refused({pictures, function() return net end, {'a', optim.sgd{lr = 1}}, {'b', optim.sgd{lr = 1}}},
    'compare: a and b share one net: expected the function to make a new one at each call')
  refused({pictures, {'a', optim.sgd{lr = 1}, net = 3}},
    'compare: a: net: expected a net or a function of the seed that makes one, got 3')
  local flat_only = optim.flat_only or optim.new('flat_only', {slots = {'m'},
    update = function(p, g, slot, h) p:sub_(slot.m:matmul(g) * h.lr) end})
  refused({pictures, net, {'sgd', optim.sgd{lr = 1}}, {'flat', flat_only{}}}, '~compare: flat: .*expected')
end)

test('a folder of something else is refused', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local function go(out, changes)
    local o = {tiny.net(), pictures, out = out, steps = 4, seeds = 1, batch = 8, live = false,
      precision = 'f32',
      {'a', optim.sgd{lr = 0.1}}}
    for key, v in pairs(changes or {}) do o[key] = v end
    return compare(o)
  end
  go(dir .. '/c')
  check.raises(function() go(dir .. '/c', {steps = 5}) end,
    ('compare: out: %s/c holds another comparison: entries[1].settings.steps was 4, is 5'):format(dir))
  check.raises(function() go(dir .. '/c', {seeds = {2}}) end,
    ('compare: out: %s/c holds another comparison: seeds[1] was 1, is 2'):format(dir))
  check.raises(function() go(dir .. '/c/runs/1-a-seed1') end,
    ('compare: out: expected a new folder or that of this comparison, and %s/c/runs/1-a-seed1 holds a run')
      :format(dir))
  check.raises(function() go(dir) end,
    ('compare: out: expected a new folder or that of this comparison, and %s is not empty'):format(dir))
  write_file(dir .. '/file', '')
  check.raises(function() go(dir .. '/file') end,
    ('compare: out: %s/file is a file, expected a folder'):format(dir))
end)

test('the example is a table that can be read', function()
  local o = dofile(inc.root .. 'examples/20_compare.lua')
  o.data = make_pictures(3, 14, 48)
  local s = require('inc.compare.spec').read(o)
  local names = {}
  for i, entry in ipairs(s.entries) do names[i] = entry.name end
  check.equal(names, {'sgd', 'rmsprop', 'adamw', 'lion'})
  check.equal({s.entries[4].total, s.entries[4].read.batch, #s.seeds}, {60, 16, 3})
end)

test('the example of machine settings compares speeds', function()
  local o = dofile(inc.root .. 'examples/25_hardware.lua')
  o.data, o.weights = make_pictures(3, 14, 48), nil
  for _, entry in ipairs(o) do entry.batch = entry.batch // 4 end
  o[#o + 1], o.out, o.steps, o.live = tiny.net(), tmp() .. '/c', 12, false
  local c = compare(o)
  local words = flat(c)
  check.contains(words, 'bf16 one core is ')
  check.contains(words, 'img/s (paired t over 3 seeds')
  check.equal({c.identity.entries[4].threads, c.facts.entries[3].batch, c.facts.metric}, {1, 2, 'img_s'})
  for _, e in ipairs(c.facts.entries) do check.ok(e.final > 0, e.name) end
end)

test('the verb says what is wrong with its file', function()
  local dir = tmp()
  write_file(dir .. '/five.lua', 'return 5')
  write_file(dir .. '/torn.lua', 'return {')
  check.contains(sh(('%s compare %s/five.lua'):format(incsh, dir)).err,
    'compare: ' .. dir .. '/five.lua: expected a table that the file returns, got number')
  check.contains(sh(('%s compare %s/torn.lua'):format(incsh, dir)).err, 'compare: ' .. dir .. '/torn.lua:1: ')
  check.contains(sh(('%s compare %s/none.lua'):format(incsh, dir)).err, 'there is no such file')
  check.contains(sh(('%s compare'):format(incsh)).err,
    'compare: expected one file that returns a table, got 0')
  check.contains(sh(('%s compare %s/five.lua --seedz 3'):format(incsh, dir)).err, 'did you mean --seeds')
end)
