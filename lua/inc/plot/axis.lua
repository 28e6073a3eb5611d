--- Axes: from where to where, and which numbers stand at them.
--
-- Ticks are at 1, 2 or 5 times a power of ten, as many as fit; on a logarithmic axis at the powers of ten,
-- with 2 and 5, or 3, between them when there are few.

local axis = {}

local function step_for(span, most)
  local power = 10.0 ^ math.floor(math.log(span / most, 10))
  for _, m in ipairs{1, 2, 5, 10} do
    if power * m * most >= span * (1 - 1e-9) then return power * m end
  end
  return power * 10
end

-- Fewest digits that tell the ticks apart.
local function texts(values, step)
  local largest = 0
  for _, v in ipairs(values) do largest = math.max(largest, math.abs(v)) end
  local decimals = math.max(0, math.ceil(-math.log(step, 10) - 1e-9))
  local format = (largest >= 1e6 or (largest > 0 and decimals > 5)) and '%.4g' or '%.' .. decimals .. 'f'
  local out = {}
  for i, v in ipairs(values) do out[i] = format:format(math.abs(v) < step * 1e-6 and 0 or v) end
  return out
end

local function linear_ticks(low, high, most)
  local step, values = step_for(high - low, most), {}
  for k = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do values[#values + 1] = k * step end
  return values, texts(values, step)
end

local function decades(low, high, mantissas, every)
  local values = {}
  for power = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10)), every do
    for _, m in ipairs(mantissas) do
      local v = m * 10.0 ^ power
      if v >= low * (1 - 1e-9) and v <= high * (1 + 1e-9) then values[#values + 1] = v end
    end
  end
  return values
end

local function log_ticks(low, high, most)
  local values, out, every = decades(low, high, {1, 2, 5}, 1), {}, 1
  if #values > most then values = decades(low, high, {1, 3}, 1) end
  while #values > most do
    values, every = decades(low, high, {1}, every), every + 1
  end
  for i, v in ipairs(values) do out[i] = ('%g'):format(v) end
  return values, out
end

local function extent(lists)
  local low, high = math.huge, -math.huge
  for _, list in ipairs(lists) do
    for _, v in ipairs(list) do
      if v == v then low, high = math.min(low, v), math.max(high, v) end
    end
  end
  return low, high
end

local function widen(low, high, logarithmic, margin)
  if logarithmic then
    if low == high then return low / 2, high * 2 end
    local by = (high / low) ^ margin
    return low / by, high * by
  end
  if low == high then
    local by = low == 0 and 1 or math.abs(low) * 0.1
    return low - by, high + by
  end
  return low - (high - low) * margin, high + (high - low) * margin
end

--- An axis that shows all values of the lists, or the range that was asked for.
-- @param o logarithmic, range ({low, high}), margin (share of the span left free), most (ticks)
-- @return {low, high, log, ticks = values, labels, place(v) -> 0 to 1}
function axis.new(lists, o)
  local low, high = extent(lists)
  low, high = widen(low, high, o.log, o.margin or 0)
  if o.range then low, high = o.range[1], o.range[2] end
  local self = {low = low, high = high, log = o.log}
  self.ticks, self.labels = (o.log and log_ticks or linear_ticks)(low, high, o.most)
  local from, to = low, high
  if o.log then from, to = math.log(low), math.log(high) end
  function self.place(v) return ((o.log and math.log(v) or v) - from) / (to - from) end
  return self
end

return axis
