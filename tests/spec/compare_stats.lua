-- What comparisons say of seeds and pictures, against scipy (scripts/golden/compare_stats.py).
local stats = require 'inc.compare.stats'

local golden = inc.json.read 'tests/golden/compare_stats.json'

test('distributions and quantiles are scipy\'s', function()
  for _, g in ipairs(golden.t_p) do check.close(stats.t_p(g[1], g[2]), g[3], 1e-12) end
  for _, g in ipairs(golden.t_critical) do check.close(stats.t_critical(g[1], g[2]), g[3], 1e-9) end
  for _, g in ipairs(golden.normal_p) do check.close(stats.normal_p(g[1]), g[2], 1e-13) end
  check.ok(math.abs(stats.normal_p(5) / golden.normal_p[5][2] - 1) < 1e-9)
  check.close(stats.t_critical(0.05, 2), 4.303, 1e-3)
end)

test('tests and intervals are scipy\'s', function()
  for _, g in ipairs(golden.paired) do
    local d = {}
    for i, v in ipairs(g.a) do d[i] = v - g.b[i] end
    local r = stats.paired_t(d)
    check.close({r.t, r.p, r.low, r.high}, {g.t, g.p, g.low, g.high}, 1e-9)
  end
  for _, g in ipairs(golden.mcnemar) do check.close(stats.mcnemar(g[1], g[2]), g[3], 1e-9) end
  for _, g in ipairs(golden.interval) do
    local _, low, high = stats.interval(g.a)
    check.close({low, high}, {g.low, g.high}, 1e-9)
  end
  check.close(stats.holm(golden.holm.p), golden.holm.adjusted, 1e-15)
  local pairs_ = {}
  for i, seed in ipairs(golden.clustered.right) do
    pairs_[i] = {{}, {}}
    for side = 1, 2 do
      for k, v in ipairs(seed[side]) do pairs_[i][side][k] = v == 1 end
    end
  end
  check.close(stats.mcnemar_clustered(pairs_), golden.clustered.p, 1e-12)
end)

test('the edges: one seed, equal seeds, equal differences', function()
  check.equal(stats.interval{0.5}, 0.5)
  check.equal(stats.paired_t({0.1}).p, 1)
  check.equal(stats.paired_t({0, 0, 0}).p, 1)
  check.ok(stats.paired_t({0.1, 0.1, 0.1}).p < 1e-30)
  -- one picture of ten in each of three seeds is not beyond doubt
  check.ok(stats.paired_t({0.1, 0.1, 0.1}, 0.1 / math.sqrt(6)).p > 0.05)
  check.equal(stats.median{3, 1, 2}, 2)
  check.equal(stats.median{4, 1}, 2.5)
  check.equal(stats.median{}, nil)
  local none = stats.verdicts({{values = {0.9, 0.9}}, {values = {0.1, 0.1}}}, 1)
  check.equal(none[2].verdict, 'no claim')
  check.equal(none[1], false)
end)

local function many(right, n)
  local list = {}
  for i = 1, n do list[i] = i <= right end
  return list
end

test('a claim must hold over seeds and over pictures', function()
  local function verdict(a, b, n)
    local base, entry = {values = {}, right = {}}, {values = {}, right = {}}
    for i = 1, #a do
      base.values[i], entry.values[i] = b[i] / n, a[i] / n
      base.right[i], entry.right[i] = many(b[i], n), many(a[i], n)
    end
    return stats.verdicts({base, entry}, 1, {resolution = 1 / n})[2]
  end
  check.equal(verdict({90, 91, 89}, {60, 62, 59}, 100).verdict, 'better')
  check.equal(verdict({20, 22, 21}, {60, 62, 59}, 100).verdict, 'worse')
  check.equal(verdict({60, 62, 59}, {60, 62, 59}, 100).verdict, 'not distinguishable')
  local few = verdict({32, 32, 32}, {30, 30, 30}, 100) -- two pictures, the same in every seed
  check.ok(few.p < 0.05)
  check.equal(few.verdict, 'not distinguishable')
  check.equal({few.mcnemar[1].only_entry, few.mcnemar[1].only_base}, {2, 0})
  check.close(few.mcnemar[1].p, 0.5)
  local loss = stats.verdicts({{values = {1, 1.1, 1.05}}, {values = {2, 2.2, 2.1}}}, 1, {higher = false})
  check.equal(loss[2].verdict, 'worse')
end)

-- Runs of one net and one set of settings under 64 seeds (scripts/golden/compare_noise.lua): what separates
-- any two groups of them is noise and nothing else.
test('1,000 comparisons without a difference claim one in at most 5%', function()
  local noise = inc.json.read 'tests/golden/compare_noise.json'
  local state = 12345
  local function random(n) -- a generator of our own: the same draws on every machine
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) % n + 1
  end
  local pool = {}
  for i, word in ipairs(noise.right) do
    local right, n = {}, 0
    for k = 1, #word do
      right[k] = word:sub(k, k) == '1'
      n = n + (right[k] and 1 or 0)
    end
    pool[i] = {value = n / #word, right = right}
  end
  local function draw(entries, seeds)
    local order, list = {}, {}
    for i = 1, #pool do order[i] = i end
    for i = 1, entries * seeds do
      local j = i + random(#pool - i + 1) - 1
      order[i], order[j] = order[j], order[i]
    end
    for e = 1, entries do
      list[e] = {values = {}, right = {}}
      for s = 1, seeds do
        local run = pool[order[(e - 1) * seeds + s]]
        list[e].values[s], list[e].right[s] = run.value, run.right
      end
    end
    return list
  end
  -- by seeds alone the rate is 4.4%, too near to 5% to be told from it in 1,000
  for _, n in ipairs{1000, 10000} do
    local claims, with_pictures = 0, n == 1000
    for round = 1, n do
      local list = draw(2 + round % 3, 3 + round % 4)
      for _, entry in ipairs(list) do entry.right = with_pictures and entry.right or nil end
      local any = false
      for _, r in ipairs(stats.verdicts(list, 1, {resolution = 1 / #noise.right[1]})) do
        any = any or r and (r.verdict == 'better' or r.verdict == 'worse')
      end
      claims = claims + (any and 1 or 0)
    end
    check.ok(claims <= n / 20, ('%d of %d claim a difference (%s)'):format(claims, n,
      with_pictures and 'with pictures' or 'seeds alone'))
  end
end)
