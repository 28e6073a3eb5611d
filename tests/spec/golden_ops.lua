-- Every op against PyTorch's f64, in several guises of the same numbers.
--
-- A guise changes dtype, strides or the road taken (reference loop, kernel, plan), never the values, so each
-- must give the golden within what its dtype can hold.  Rows come from scripts/golden/ops.py.

local folder = 'tests/golden/'
local families = {'ewise', 'binary', 'reduce', 'views', 'products', 'conv', 'pool', 'norm'}

-- f64 is held to the twelve digits of the file; f32 to a few roundings of the longest sum in the rows.
local tolerance = {f64 = 1e-10, f32 = 2e-6}

local function tensor(t, dtype)
  local flat = {dtype = t.dtype == 'f64' and dtype or t.dtype, table.unpack(t)}
  return inc.tensor(flat):view(t.shape)
end

-- The same values seen through strides: every second element of a wider tensor.
local function strided(x)
  local shape = x:shape()
  if #shape == 0 or #shape > 5 then return x end
  local wide = inc.cat({x:unsqueeze {#shape + 1}, (x * 0):unsqueeze {#shape + 1}}, {dim = #shape + 1})
  return wide:select {#shape + 1, 1}
end

local function channels_last(x)
  return x:dim() == 4 and x:contiguous {memory_format = 'channels_last'} or x
end

local guises = {
  {name = 'f64', dtype = 'f64'},
  {name = 'f32', dtype = 'f32'},
  {name = 'f32 by reference loops', dtype = 'f32', reference = true},
  {name = 'f32 strided', dtype = 'f32', prepare = strided},
  {name = 'f32 channels-last', dtype = 'f32', prepare = channels_last, only4d = true},
}

local function leaf(x, guise, is_float)
  if guise.prepare then x = guise.prepare(x) end
  x = x:detach()
  if is_float then x:requires_grad_() end
  return x
end

-- Options of a golden are PyTorch's in the spelling of incsh; a list is copied, for calls may keep it.
local function call(row, inputs)
  local f, words = inc.core[row.op], {}
  check.ok(f, 'no op called ' .. row.op)
  for i, x in ipairs(inputs) do words[i] = x end
  if row.op == 'cat' then words = {{table.unpack(inputs)}} end
  if next(row.options) then
    local o = {}
    for k, v in pairs(row.options) do o[k] = v end
    words[#words + 1] = o
  end
  return table.pack(f(table.unpack(words)))
end

local function compare(got, golden, guise, what)
  check.equal(got:shape(), golden.shape, what .. ' shape')
  if golden.dtype == 'f64' then
    check.rel_l2(got:tolist(), golden, tolerance[guise.dtype], what)
  else
    check.equal(inc.cat({got:view {-1}}):tolist(), {table.unpack(golden)}, what)
  end
end

local function run_guise(row, guise)
  local inputs = {}
  for i, t in ipairs(row.inputs) do inputs[i] = leaf(tensor(t, guise.dtype), guise, t.dtype == 'f64') end
  local out = call(row, inputs)
  for k, golden in ipairs(row.outputs) do
    compare(out[k], golden, guise, ('%s: output %d'):format(guise.name, k))
  end
  if not row.grads then return end
  local ok, why = pcall(function()
    (out[1] * tensor(row.dy, guise.dtype)):sum():backward()
    for i, golden in ipairs(row.grads) do
      if golden then
        check.ok(inputs[i].grad, ('no gradient of input %d'):format(i))
        compare(inputs[i].grad, golden, guise, ('gradient of input %d'):format(i))
      end
    end
  end)
  if not ok then error(guise.name .. ': ' .. why, 0) end
end

local function is_4d(row)
  for _, t in ipairs(row.inputs) do if #t.shape == 4 then return true end end
end

for _, family in ipairs(families) do
  for _, row in ipairs(dofile(folder .. 'ops_' .. family .. '.lua')) do
    if row.op ~= 'running' then
      test(family .. ': ' .. row.name, function()
        for _, guise in ipairs(guises) do
          if not guise.only4d or is_4d(row) then
            local before = inc.core.force_reference(guise.reference or false)
            local ok, why = pcall(run_guise, row, guise)
            inc.core.force_reference(before)
            if not ok then error(why, 0) end
          end
        end
      end)
    end
  end
end
