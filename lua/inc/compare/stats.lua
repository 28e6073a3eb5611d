--- Statistics of comparisons: what may be said of a few seeds, and of two nets on the same pictures.
--
-- A claim must hold twice. Over seeds: the paired differences to the base on equal seeds, by Student's t,
-- because with three seeds no rank or permutation test can reach 5% (their smallest p is 0.25). Over
-- pictures: the same pictures judged by both, by McNemar's test, with the seeds of a picture taken as one
-- cluster; otherwise three lucky pictures of sixty would pass for a better optimizer. Several entries against
-- one base are corrected by Holm's procedure. Fewer than three seeds never make a claim. Rejected: intervals
-- that overlap or do not (far too careful for paired runs), and pooling all seeds' pictures in one table (the
-- same picture is not three).

local stats = {}

-- -- distributions ------------------------------------------------------------------------------------------

-- log of the gamma function, by Lanczos' series (g = 7, 9 terms): about 15 digits.
local lanczos = {
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
}

local function log_gamma(x)
  local sum = lanczos[1]
  for i = 2, #lanczos do sum = sum + lanczos[i] / (x + i - 2) end
  local t = x + 6.5
  return 0.5 * math.log(2 * math.pi) + (x - 0.5) * math.log(t) - t + math.log(sum)
end

-- Continued fraction of the incomplete beta function, by Lentz' method.
local function beta_fraction(a, b, x)
  local tiny, c = 1e-300, 1
  local d = 1 / math.max(1 - (a + b) * x / (a + 1), tiny)
  local f = d
  for m = 1, 500 do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    d, c = 1 + even * d, 1 + even / c
    d, c = 1 / (math.abs(d) < tiny and tiny or d), math.abs(c) < tiny and tiny or c
    f = f * d * c
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d, c = 1 + odd * d, 1 + odd / c
    d, c = 1 / (math.abs(d) < tiny and tiny or d), math.abs(c) < tiny and tiny or c
    f = f * d * c
    if math.abs(d * c - 1) < 1e-15 then break end
  end
  return f
end

--- The regularised incomplete beta function I_x(a, b).
-- > require('inc.compare.stats').beta(1, 1, 0.25)  --> 0.25
function stats.beta(a, b, x)
  if x <= 0 then return 0 elseif x >= 1 then return 1 end
  local front = math.exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * math.log(x)
    + b * math.log(1 - x))
  if x < (a + 1) / (a + b + 2) then return front * beta_fraction(a, b, x) / a end
  return 1 - front * beta_fraction(b, a, 1 - x) / b
end

--- Two-sided p of Student's t.
-- @param t the statistic
-- @param df degrees of freedom
function stats.t_p(t, df)
  if t ~= t then return 1 end
  return stats.beta(df / 2, 0.5, df / (df + t * t))
end

--- The t that is exceeded on either side with probability `alpha`: 4.303 for 5% and 2 degrees of freedom.
function stats.t_critical(alpha, df)
  local low, high = 0, 1
  while stats.t_p(high, df) > alpha do high = high * 2 end
  for _ = 1, 200 do
    local middle = (low + high) / 2
    if middle == low or middle == high then break end
    if stats.t_p(middle, df) > alpha then low = middle else high = middle end
  end
  return (low + high) / 2
end

-- erfc(x) for x >= 0: the series of erf where it is short, else a continued fraction from its far end.
local function erfc(x)
  if x < 2.5 then
    local term, sum, n = x, x, 0
    repeat
      n = n + 1
      term = -term * x * x / n
      sum = sum + term / (2 * n + 1)
    until math.abs(term) < 1e-18 * math.abs(sum)
    return 1 - 2 / math.sqrt(math.pi) * sum
  end
  local f = 0
  for k = 60, 1, -1 do f = k / 2 / (x + f) end
  return math.exp(-x * x) / (math.sqrt(math.pi) * (x + f))
end

--- Two-sided p of a standard normal.
function stats.normal_p(z)
  if z == 0 then return 1 end
  return erfc(math.abs(z) / math.sqrt(2))
end

-- -- samples ------------------------------------------------------------------------------------------------

--- Mean and standard deviation (n - 1) of a list; the deviation of one value is 0.
function stats.mean(list)
  local n, sum, squares = #list, 0, 0
  for _, v in ipairs(list) do sum = sum + v end
  local mean = sum / n
  for _, v in ipairs(list) do squares = squares + (v - mean) ^ 2 end
  return mean, n > 1 and math.sqrt(squares / (n - 1)) or 0
end

--- The middle of a list, or the mean of the two middle ones; nil of an empty list.
function stats.median(list)
  local sorted, n = {table.unpack(list)}, #list
  table.sort(sorted)
  if n == 0 then return nil end
  local upper = sorted[n // 2 + 1]
  if n % 2 == 1 or sorted[n // 2] == upper then return upper end
  return (sorted[n // 2] + upper) / 2
end

--- Mean with its interval by Student's t; without an interval for one value.
-- @param alpha 0.05: an interval of 95%
-- @return mean, low, high
function stats.interval(list, alpha)
  local mean, sd = stats.mean(list)
  if #list < 2 then return mean end
  local half = stats.t_critical(alpha or 0.05, #list - 1) * sd / math.sqrt(#list)
  return mean, mean - half, mean + half
end

--- Paired t test of the differences on equal seeds.
-- @param differences entry minus base, one a seed
-- @param least the smallest standard deviation to believe: three equal differences of a share of few pictures
--   are no proof that the next one will be equal
-- @return {n, mean, sd, t, df, p, low, high}; p is 1 for fewer than two
function stats.paired_t(differences, least, alpha)
  local n = #differences
  local mean, sd = stats.mean(differences)
  sd = math.max(sd, least or 0)
  local r = {n = n, mean = mean, sd = sd, df = n - 1, p = 1}
  if n < 2 then return r end
  local se = sd / math.sqrt(n)
  if mean == 0 then r.t = 0 else r.t = se > 0 and mean / se or mean / 0 end
  r.p = stats.t_p(r.t, r.df)
  if r.t == math.huge or r.t == -math.huge then r.p = 0 end
  local half = stats.t_critical(alpha or 0.05, r.df) * se
  r.low, r.high = mean - half, mean + half
  return r
end

--- Holm's correction: the p of several tests so that the chance of any false claim stays as said.
-- > require('inc.compare.stats').holm{0.01, 0.04}  --> {0.02, 0.04}
function stats.holm(p)
  local order, out, largest = {}, {}, 0
  for i = 1, #p do order[i] = i end
  table.sort(order, function(a, b)
    if p[a] ~= p[b] then return p[a] < p[b] end
    return a < b
  end)
  for rank, i in ipairs(order) do
    largest = math.max(largest, math.min(1, p[i] * (#p - rank + 1)))
    out[i] = largest
  end
  return out
end

-- -- the same pictures --------------------------------------------------------------------------------------

-- P(X <= k) for X of n fair coins.
local function coin_tail(k, n)
  local sum, log_half = 0, n * math.log(0.5)
  for i = 0, k do
    sum = sum + math.exp(log_gamma(n + 1) - log_gamma(i + 1) - log_gamma(n - i + 1) + log_half)
  end
  return math.min(1, sum)
end

--- McNemar's exact test of two nets on the same pictures, by the pictures that only one of them has right.
-- @param only_a, only_b how many
-- @return the two-sided p
-- > require('inc.compare.stats').mcnemar(1, 8)  --> 0.0390625
function stats.mcnemar(only_a, only_b)
  if only_a == only_b then return 1 end
  return math.min(1, 2 * coin_tail(math.min(only_a, only_b), only_a + only_b))
end

--- Pictures that only one of two nets has right.
-- @param a, b lists of true and false, picture by picture
-- @return only a, only b
function stats.disagree(a, b)
  local only_a, only_b = 0, 0
  for i, right in ipairs(a) do
    if right and not b[i] then only_a = only_a + 1 end
    if b[i] and not right then only_b = only_b + 1 end
  end
  return only_a, only_b
end

--- McNemar's test over several seeds: each picture is one cluster, with the mean over seeds of how often the
-- one is right where the other is not. With one seed this is McNemar's test by the normal distribution.
-- @param pairs_ list, a seed each, of {right of the entry, right of the base}, each a list of true and false
-- @return p, two-sided
function stats.mcnemar_clustered(pairs_)
  local n, d = #pairs_[1][1], {}
  for i = 1, n do
    local sum = 0
    for _, pair in ipairs(pairs_) do
      sum = sum + (pair[1][i] and 1 or 0) - (pair[2][i] and 1 or 0)
    end
    d[i] = sum / #pairs_
  end
  local mean, sd = stats.mean(d)
  if mean == 0 then return 1 end
  if sd == 0 then return n > 1 and 0 or 1 end
  return stats.normal_p(mean / (sd / math.sqrt(n)))
end

-- -- verdicts -----------------------------------------------------------------------------------------------

stats.LEAST_SEEDS = 3

-- One entry against the base: values on equal seeds, and pictures where they are known.
local function compare_one(entry, base, o)
  local differences, pictures = {}, {}
  for i, v in ipairs(entry.values) do
    differences[i] = v - base.values[i]
    if entry.right and entry.right[i] and base.right[i] then
      pictures[#pictures + 1] = {entry.right[i], base.right[i]}
    end
  end
  local seeds = stats.paired_t(differences, o.resolution and o.resolution / math.sqrt(6), o.alpha)
  local r = {differences = differences, seeds = seeds, mcnemar = {}}
  for i, pair in ipairs(pictures) do
    local only_entry, only_base = stats.disagree(pair[1], pair[2])
    r.mcnemar[i] = {only_entry = only_entry, only_base = only_base, p = stats.mcnemar(only_entry, only_base)}
  end
  if #pictures == #differences and #pictures > 0 then r.pictures_p = stats.mcnemar_clustered(pictures) end
  return r
end

local function word(r, o)
  if r.seeds.n < stats.LEAST_SEEDS then return 'no claim' end
  local sure = r.p < o.alpha and (not r.pictures_p or r.pictures_holm < o.alpha)
  if not sure then return 'not distinguishable' end
  return (r.seeds.mean > 0) == (o.higher ~= false) and 'better' or 'worse'
end

--- What may be said of each entry against the base.
-- @param entries list of {values = a number a seed, right = a list a seed of true and false a picture, or
--   nil}
-- @param base its place in the list
-- @param options higher = false where less is better; alpha, 0.05; resolution, the smallest step of a value
--   (one
--   picture's share), or nil
-- @return a list: nothing for the base; {verdict, p (over seeds, Holm), pictures_p, pictures_holm, seeds (of
--   paired_t), differences, mcnemar (a seed each)} for the others
function stats.verdicts(entries, base, options)
  options = options or {}
  local o = {higher = options.higher, alpha = options.alpha or 0.05, resolution = options.resolution}
  local out, list, p, pictures = {}, {}, {}, {}
  for i, entry in ipairs(entries) do
    out[i] = false
    if i ~= base then
      out[i] = compare_one(entry, entries[base], o)
      list[#list + 1] = out[i]
      p[#list], pictures[#list] = out[i].seeds.p, out[i].pictures_p or 1
    end
  end
  p, pictures = stats.holm(p), stats.holm(pictures)
  for k, r in ipairs(list) do
    r.p, r.pictures_holm = p[k], r.pictures_p and pictures[k]
    r.verdict = word(r, o)
  end
  return out
end

return stats
