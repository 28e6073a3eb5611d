-- formula.lua: the numbers of scripts/golden/formula.py again, so that both sides hold the same tensors.
--
-- A hash of (index, key) for signs, FNV-1a for keys of names, and one table of 65521 numbers, read from an
-- offset that depends on a tensor's name: a tensor is then a few copies of a slice, not millions of hashes.

local M = {PERIOD = 65521}

--- FNV-1a of a string, 32 bits.
function M.fnv1a(name)
  local h = 2166136261
  for i = 1, #name do h = ((h ~ name:byte(i)) * 16777619) & 0xFFFFFFFF end
  return h
end

local function mix(i, key)
  local x = (i * 2654435761 + key) & 0xFFFFFFFF
  x = ((x ~ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
  x = ((x ~ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
  return x ~ (x >> 16)
end

--- The i-th (from 0) fraction in [0, 1) of a key: u(n, key)[i] of scripts/golden/hashed.py.
function M.fraction(i, key) return (mix(i, key) >> 8) / 2 ^ 24 end

local numbers, doubled -- the table: as Lua numbers, and twice over as a tensor

local function load_table()
  numbers = {}
  for i = 0, M.PERIOD - 1 do
    local s = -2046
    for k = 1, 4 do s = s + (mix(i, k) >> 22) end
    numbers[i + 1] = s / 512
  end
  local once = inc.tensor(numbers)
  doubled = inc.cat {once, once}
end

--- Frees the tensor that `normal` slices (the specs count what is alive).
function M.forget() numbers, doubled = nil, nil end

--- A function that gives the i-th number (from 0) of the tensor called `name`.
function M.reader(name)
  if not numbers then load_table() end
  local start = M.fnv1a(name)
  return function(i) return numbers[(start + i) % M.PERIOD + 1] end
end

--- Numbers near a normal distribution (deviation 1.155), f32, exact multiples of 1/512.
function M.normal(name, shape)
  if not doubled then load_table() end
  local n, parts = 1, {}
  for _, d in ipairs(shape) do n = n * d end
  local start = M.fnv1a(name) % M.PERIOD
  local left = n
  while left > 0 do
    local take = math.min(left, M.PERIOD)
    parts[#parts + 1] = doubled:narrow {1, start + 1, take}
    left = left - take
  end
  return inc.cat(parts):view(shape)
end

--- n signs, +1 or -1, as an f64 vector.
function M.signs(n, key)
  local t = {dtype = 'f64'}
  for i = 0, n - 1 do t[i + 1] = 1 - 2 * (mix(i, key) >> 31) end
  return inc.tensor(t)
end

--- Eight numbers a' T b with hashed signs a and b, in f64.
function M.projections(name, t)
  local shape, rest, out = t:shape(), 1, {}
  for d = 2, #shape do rest = rest * shape[d] end
  local m = t:detach():cast {'f64'}:contiguous():view {shape[1], rest}
  for j = 0, 7 do
    local a = M.signs(shape[1], M.fnv1a(('%s/a%d'):format(name, j)))
    local b = M.signs(rest, M.fnv1a(('%s/b%d'):format(name, j)))
    out[j + 1] = a:view {1, shape[1]}:matmul(m):matmul(b:view {rest, 1}):item()
  end
  return out
end

return M
