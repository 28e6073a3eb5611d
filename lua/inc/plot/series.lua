--- What a user hands to plot, as curves: {name =, x =, y =, low =, high =, raw =}.
--
-- Numbers, tensors, functions, schedules, tables of x and y, and columns of the logs of runs; several runs
-- in a list of their own are one curve, their mean, with a band of how far they lie apart. Nothing is drawn
-- here.

local args = require 'inc.args'
local logs = require 'inc.plot.logs'
local smooth = require 'inc.run.smooth'

local series = {}

local MAX_NAME = 48 -- longer ones would push the curves out of the picture
local SAMPLES = 200 -- of a function

local function is_finite(v) return v == v and v ~= math.huge and v ~= -math.huge end

-- -- one curve ---------------------------------------------------------------------------------------------

-- A list of numbers from a list or a tensor; anything that is no number becomes nan, a hole in the curve.
local function numbers(v, what)
  if type(v) == 'userdata' then v = v:detach():contiguous():view {-1}:tolist() end
  if type(v) ~= 'table' then args.fail('inc.plot: %s: expected numbers, got %s', what, type(v)) end
  local list, n = {}, rawget(v, 'n') or #v
  for i = 1, n do list[i] = tonumber(v[i]) or 0 / 0 end
  return list
end

local function counting(n)
  local x = {}
  for i = 1, n do x[i] = i end
  return x
end

local function name_of(text)
  return text ~= nil and args.clip(tostring(text), MAX_NAME) or nil
end

local function from_table(item, what)
  local y = numbers(item.y, what)
  return {
    name = name_of(item.name), y = y, x = item.x and numbers(item.x, what .. ': x') or counting(#y),
    low = item.low and numbers(item.low, what .. ': low'),
    high = item.high and numbers(item.high, what .. ': high'),
  }
end

local function from_function(f, o, what)
  local range, x, y = o.xrange or {0, 1}, {}, {}
  for i = 1, SAMPLES do
    x[i] = range[1] + (range[2] - range[1]) * (i - 1) / (SAMPLES - 1)
    y[i] = tonumber(f(x[i])) or args.fail('inc.plot: %s: expected a function of a number to a number', what)
  end
  return {x = x, y = y}
end

-- A tensor of two dims is a curve a row.
local function from_tensor(t, what)
  local shape = t:shape()
  if #shape < 2 then return {from_table({y = t}, what)} end
  if #shape > 2 or shape[1] > 12 then
    args.fail('inc.plot: %s: expected a tensor of one dim, or of at most 12 rows, got [%s]', what,
      table.concat(shape, ', '))
  end
  local list = {}
  for i = 1, shape[1] do list[i] = from_table({y = t[i], name = 'row ' .. i}, what) end
  return list
end

-- -- runs --------------------------------------------------------------------------------------------------

local function meta_name(v)
  local meta = type(v) == 'table' and getmetatable(v)
  return meta and rawget(meta, '__name')
end

local function is_source(v)
  return meta_name(v) == 'inc.run' or meta_name(v) == 'inc.log' or
    type(v) == 'string' and logs.is_run(v)
end

-- {label, log} of a run, a folder of one, or columns that were read before.
local function open_source(v, most)
  if meta_name(v) == 'inc.log' then
    return {label = 'log', log = {rows = #v.step, columns = v, names = v.names}}
  end
  local folder = type(v) == 'string' and v or v.folder
  local log, more = logs.read(folder, most)
  if not log then args.fail('inc.plot: %s', more) end
  return {label = folder:gsub('/+$', ''):match '[^/]+$' or folder, log = log, more = more}
end

local function column(source, name, o)
  if not source.log.columns[name] and source.log.rows > 0 and not o.lenient then
    args.fail('inc.plot: %s: no such column in %s%s', name, source.label, args.hint(name, source.log.names))
  end
  local x, y = logs.pair(source.log, name, o.x)
  return {x = x, y = y}
end

-- -- means of several --------------------------------------------------------------------------------------

local function union_of_x(list)
  local seen, x = {}, {}
  for _, s in ipairs(list) do
    for i, v in ipairs(s.x) do
      if is_finite(v) and is_finite(s.y[i]) and not seen[v] then seen[v], x[#x + 1] = true, v end
    end
  end
  table.sort(x)
  return x
end

-- The curve's value at each of the sorted places, on straight lines between its points; nil outside of them.
local function resample(s, places)
  local points, out, k = {}, {}, 1
  for i, x in ipairs(s.x) do
    if is_finite(x) and is_finite(s.y[i]) then points[#points + 1] = {x, s.y[i]} end
  end
  table.sort(points, function(a, b) return a[1] < b[1] end)
  for i, x in ipairs(places) do
    while points[k + 1] and points[k + 1][1] <= x do k = k + 1 end
    local a, b = points[k], points[k + 1]
    if a and a[1] == x then out[i] = a[2]
    elseif a and b and a[1] < x then out[i] = a[2] + (b[2] - a[2]) * (x - a[1]) / (b[1] - a[1]) end
  end
  return out
end

local function spread(values, mean, how)
  local n, sum = #values, 0
  if how == 'range' then return math.min(table.unpack(values)), math.max(table.unpack(values)) end
  for _, v in ipairs(values) do sum = sum + (v - mean) ^ 2 end
  local sd = n > 1 and (sum / (n - 1)) ^ 0.5 or 0
  if how == 'sem' then sd = sd / n ^ 0.5 end
  return mean - sd, mean + sd
end

local words = {std = ' ± sd', sem = ' ± se', range = ', least to most', none = ''}

--- The mean of several curves, with a band: of one standard deviation (of the sample) to either side, of one
-- standard error ('sem'), from the least to the most ('range'), or none.
-- @param list curves; between their points they are straight lines, outside of them they do not count
-- > a, b = {x = {1, 2}, y = {1, 3}}, {x = {1, 2}, y = {3, 5}}
-- > require('inc.plot.series').mean({a, b}, 'range').y  --> {2, 4}
function series.mean(list, how)
  local out = {x = union_of_x(list), y = {}, low = {}, high = {}}
  local sampled = {}
  for k, s in ipairs(list) do sampled[k] = resample(s, out.x) end
  for i = 1, #out.x do
    local values, sum = {}, 0
    for _, s in ipairs(sampled) do
      if s[i] then values[#values + 1], sum = s[i], sum + s[i] end
    end
    out.y[i] = sum / #values
    out.low[i], out.high[i] = spread(values, out.y[i], how)
  end
  if how == 'none' then out.low, out.high = nil, nil end
  return out
end

-- -- all of them -------------------------------------------------------------------------------------------

local function smoothed(s, o)
  if o.smooth == 0 then return s end
  return {name = s.name, x = s.x, y = smooth.debiased(s.y, o.smooth), low = s.low, high = s.high, raw = s.y}
end

local function add(list, s, name, o)
  s = smoothed(s, o)
  s.name = name_of(name)
  if o.smooth > 0 then s.name = smooth.label(s.name or 'series ' .. #list + 1, o.smooth) end
  list[#list + 1] = s
end

local function is_group(item)
  if type(item) ~= 'table' or getmetatable(item) or item.y ~= nil then return false end
  return item[1] ~= nil and (is_source(item[1]) or type(item[1]) == 'table')
end

local function label(source, name, alone, one_column)
  if alone then return name end
  return one_column and source or source .. ' ' .. name
end

-- Groups of curves, or of runs with the columns wanted: one mean each.
local function add_group(list, item, columns, o, alone)
  local members, names = {}, {''}
  for i, member in ipairs(item) do
    if is_source(member) then members[i], names = open_source(member, o.most), columns
    else members[i] = from_table(member.y and member or {y = member}, 'series ' .. #list + 1) end
  end
  for _, name in ipairs(names) do
    local curves = {}
    for i, member in ipairs(members) do
      curves[i] = smoothed(member.log and column(member, name, o) or member, o)
    end
    local s = series.mean(curves, o.band)
    local called = label(item.name or 'mean', name ~= '' and name or 'mean', alone and not item.name,
      #names == 1)
    s.name = name_of(called) .. (' (mean of %d%s)'):format(#curves, words[o.band])
    if o.smooth > 0 then s.name = smooth.label(s.name, o.smooth) end
    list[#list + 1] = s
  end
end

local function add_item(list, item, o)
  local what = 'series ' .. #list + 1
  local make = type(item) == 'table' and (getmetatable(item) or {}).__series
  if make then item = make(item) end
  if args.is_tensor(item) then
    for _, s in ipairs(from_tensor(item, what)) do add(list, s, s.name, o) end
  elseif type(item) == 'function' then
    add(list, from_function(item, o, what), nil, o)
  elseif type(item) == 'table' then
    local s = from_table(item.y and item or {y = item}, what)
    add(list, s, s.name, o)
  else
    args.fail('inc.plot: %s: expected numbers, got %s', what, type(item))
  end
end

local function sort_out(o)
  local columns, sources = {}, 0
  for _, item in ipairs(o.series) do
    if is_source(item) or is_group(item) and is_source(item[1]) then sources = sources + 1
    elseif type(item) == 'string' then columns[#columns + 1] = item end
  end
  if columns[1] and sources == 0 then
    args.fail("inc.plot: %s: expected a run, or a run's folder, to take this column from", columns[1])
  end
  return columns[1] and columns or {'loss'}, sources
end

--- All curves of a call, and notes: {columns =, from_runs =, more = a log was not read to its end}.
-- @param o the checked options of inc.plot
function series.all(o)
  local columns, sources = sort_out(o)
  local list, notes = {}, {columns = columns, from_runs = sources > 0}
  for _, item in ipairs(o.series) do
    if is_source(item) then
      local source = open_source(item, o.most)
      notes.more = notes.more or source.more
      for _, name in ipairs(columns) do
        local called = label(source.label, name, sources == 1, #columns == 1)
        add(list, column(source, name, o), called, o)
      end
    elseif is_group(item) then
      add_group(list, item, columns, o, sources == 1)
    elseif type(item) ~= 'string' then
      add_item(list, item, o)
    end
  end
  return list, notes
end

-- -- what the axes can show --------------------------------------------------------------------------------

local function fits(v, logarithmic) return is_finite(v) and not (logarithmic and v <= 0) end

--- Make holes (NaN) of the points that the axes cannot show; returns how many points of all are left.
function series.punch_holes(list, o)
  local left = 0
  for _, s in ipairs(list) do
    for i = 1, #s.y do
      local here = fits(s.x[i] or 0 / 0, o.logx)
      if not here then s.x[i] = 0 / 0 end
      for _, key in ipairs{'y', 'raw', 'low', 'high'} do
        if s[key] and not (here and fits(s[key][i] or 0 / 0, o.logy)) then s[key][i] = 0 / 0 end
      end
      if s.y[i] == s.y[i] then left = left + 1 end
    end
  end
  return left
end

--- At most `most` points, the least and largest of each piece kept, so that a spike stays visible.
-- @return x, y; a band is thinned by series.thin_band
function series.thin(x, y, most)
  local n = #y
  if n <= most then return x, y end
  local tx, ty, pieces = {}, {}, most // 2
  for p = 0, pieces - 1 do
    local first, last = p * n // pieces + 1, (p + 1) * n // pieces
    local low, high = first, first
    for i = first, last do
      if y[i] < y[low] or y[low] ~= y[low] then low = i end
      if y[i] > y[high] or y[high] ~= y[high] then high = i end
    end
    for _, i in ipairs(low < high and {low, high} or {high, low}) do
      tx[#tx + 1], ty[#ty + 1] = x[i], y[i]
    end
  end
  return tx, ty
end

--- Every k-th point of a band: x, low, high.
function series.thin_band(s, most)
  local step, x, low, high = math.max(1, math.ceil(#s.x / most)), {}, {}, {}
  for i = 1, #s.x, step do x[#x + 1], low[#low + 1], high[#high + 1] = s.x[i], s.low[i], s.high[i] end
  return x, low, high
end

return series
