-- Every op against itself: what PyTorch cannot tell us is here, what it can is in golden_ops.lua.
--
-- A row is {op, inputs, options}.  An input is a shape with the range of its values, or whole numbers.
-- Each row is checked four ways: its gradient rule against central differences in f64; the kernels
-- against the reference loops in f32 and bf16, also through strides; a plan against eager; and once more for
-- sizes 0 and 1 where the row names them in `also`.

local core = inc.core

-- -- rows -----------------------------------------------------------------------------------------

local function r(lo, hi, ...) return {lo = lo, hi = hi, ...} end
local function whole(values, shape) return {whole = values, table.unpack(shape or {#values})} end

local rows = {}
local function row(op, inputs, options, more)
  local it = more or {}
  it.op, it.inputs, it.options = op, inputs, options
  it.name = it.name or op
  rows[#rows + 1] = it
end

-- `apart` keeps values that far from 0, where a slope jumps.
local function away(...) return {lo = -2, hi = 2, apart = 0.1, ...} end

local sizes = {{{0, 5}}, {{1, 1}}, {{}}, {{2, 0, 3}}}
for _, op in ipairs{
  'neg', 'exp', 'square', 'sin', 'cos', 'tanh', 'sigmoid', 'gelu', 'silu', 'softplus',
} do
  row(op, {r(-2, 2, 3, 5)}, nil, {also = sizes})
end
for _, op in ipairs{'log', 'sqrt', 'rsqrt', 'reciprocal'} do
  row(op, {r(0.3, 2, 3, 5)}, nil, {also = sizes})
end
for _, op in ipairs{'abs', 'relu', 'elu', 'leaky_relu'} do row(op, {away(3, 5)}, nil, {also = sizes}) end
row('leaky_relu', {away(3, 5)}, {negative_slope = 0.3}, {name = 'leaky_relu with a slope'})
row('elu', {away(3, 5)}, {alpha = 0.5}, {name = 'elu with alpha'})
row('clamp', {r(-2, 2, 4, 5)}, {min = -0.51, max = 0.77})
row('clamp', {r(-2, 2, 4, 5)}, {max = 0.31}, {name = 'clamp from above'})
for _, op in ipairs{'sign', 'floor', 'ceil', 'round', 'isfinite', 'logical_not'} do
  row(op, {away(3, 5)}, nil, {also = sizes})
end
row('cast', {r(-2, 2, 3, 5)}, {dtype = 'f32'}, {loose = true})
row('contiguous', {r(-1, 1, 2, 3, 4, 5)}, {memory_format = 'channels_last'})

local pairs_of_sizes = {{{0, 5}, {5}}, {{1}, {}}, {{}, {}}, {{2, 0, 3}, {1, 3}}}
for _, op in ipairs{'add', 'sub', 'mul', 'div', 'maximum', 'minimum'} do
  row(op, {r(-2, 2, 2, 3, 4), r(0.5, 2, 3, 1)}, nil, {also = pairs_of_sizes})
end
row('mul', {r(-2, 2, 2, 3, 1), r(-1, 2, 1, 4)}, nil, {name = 'mul, both broadcast'})
row('pow', {r(0.3, 2, 2, 5), r(-2, 2, 5)})
for _, op in ipairs{
  'floor_divide', 'remainder', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'logical_and', 'logical_or',
} do
  row(op, {r(-2, 2, 2, 3, 4), r(0.5, 2, 3, 1)}, nil, {also = pairs_of_sizes})
end
row('where', {whole({1, 0, 0, 1}), r(-1, 1, 3, 4), r(-1, 1, 4)})

for _, op in ipairs{'sum', 'mean', 'max', 'min', 'prod', 'norm'} do
  row(op, {r(0.5, 2, 2, 3, 4)}, nil, {name = op .. ' of all', also = {{{1, 1, 1}}, {{}}}})
  row(op, {r(0.5, 2, 2, 3, 4)}, {dim = 2}, {name = op .. ' over one dim', also = {{{0, 3, 4}}, {{2, 1, 0}}}})
  row(op, {r(0.5, 2, 2, 3, 4)}, {dim = {1, 3}, keepdim = true}, {name = op .. ' over two dims'})
  row(op, {r(0.5, 2, 2, 3, 4, 5)}, {dim = {1, 3, 4}}, {name = op .. ' over all but channels'})
end
for _, op in ipairs{'var', 'std'} do
  row(op, {r(-2, 2, 2, 3, 4)})
  row(op, {r(-2, 2, 2, 3, 4)}, {dim = {1, 3}, unbiased = false, keepdim = true},
    {name = op .. ' over two dims'})
end
row('sum', {r(-1, 1, 3, 4)}, {dtype = 'f64'}, {name = 'sum in f64', loose = true})
row('sum_to', {r(-1, 1, 2, 3, 4)}, {shape = {3, 1}})
row('argmax', {r(-1, 1, 3, 4)}, {dim = 2})
row('argmin', {r(-1, 1, 3, 4)})
row('topk', {r(-1, 1, 3, 6)}, {k = 3}, {also = {{{0, 6}}, {{3}}}})

row('view', {r(-1, 1, 2, 3, 4)}, {shape = {6, -1}}, {dense = true})
row('flatten', {r(-1, 1, 2, 3, 4)}, {start_dim = 2}, {dense = true, also = {{{0, 3}}, {{2, 1, 1}}}})
row('permute', {r(-1, 1, 2, 3, 4)}, {dims = {3, 1, 2}}, {also = {{{0, 1, 4}}}})
row('transpose', {r(-1, 1, 2, 3, 4)}, {dim0 = 1, dim1 = -1})
row('narrow', {r(-1, 1, 2, 5, 3)}, {dim = 2, start = 2, length = 3})
row('select', {r(-1, 1, 2, 5, 3)}, {dim = 2, index = -2}, {also = {{{0, 5, 3}}}})
row('expand', {r(-1, 1, 3, 1)}, {shape = {2, -1, 4}})
row('squeeze', {r(-1, 1, 1, 3, 1)})
row('unsqueeze', {r(-1, 1, 2, 3)}, {dim = -1})
row('cat', {r(-1, 1, 2, 3), r(-1, 1, 2, 1), r(-1, 1, 2, 4)}, {dim = 2},
  {also = {{{2, 0}, {2, 1}, {2, 2}}}})
row('global_norm', {r(-1, 1, 2, 3), r(-1, 1, 5), r(-1, 1, 1)})
row('cat', {r(-1, 1, 2, 3, 2, 2), r(-1, 1, 2, 5, 2, 2)}, {dim = 2}, {name = 'cat of channels'})
row('slice_backward', {r(-1, 1, 2, 3)}, {shape = {2, 6}, dim = 2, start = 3})
row('index_select', {r(-1, 1, 2, 4), whole{3, 1, 3}}, {dim = 2})
row('gather', {r(-1, 1, 2, 3), whole({3, 1, 1, 2}, {2, 2})}, {dim = 2})

row('matmul', {r(-1, 1, 3, 4), r(-1, 1, 4, 5)}, nil,
  {also = {{{0, 4}, {4, 5}}, {{1, 1}, {1, 1}}, {{3, 0}, {0, 5}}}})
row('matmul', {r(-1, 1, 2, 1, 3, 4), r(-1, 1, 5, 4, 2)}, nil, {name = 'matmul of batches'})
row('matmul', {r(-1, 1, 4), r(-1, 1, 2, 4, 3)}, nil, {name = 'matmul of a vector'})
row('matmul', {r(-1, 1, 4), r(-1, 1, 4)}, nil, {name = 'matmul of two vectors'})
row('linear', {r(-1, 1, 3, 4), r(-1, 1, 5, 4), r(-1, 1, 5)}, nil, {f32 = 3, also = {{{0, 4}, {5, 4}, {5}}}})
row('linear', {r(-1, 1, 2, 3, 4), r(-1, 1, 5, 4)}, nil, {name = 'linear of a batch'})

local picture, kernel = r(-1, 1, 2, 4, 7, 6), r(-1, 1, 6, 4, 3, 3)
row('conv2d', {picture, kernel, r(-1, 1, 6)}, {padding = 1}, {f32 = 3,
  also = {{{0, 4, 7, 6}, {6, 4, 3, 3}, {6}}, {{1, 1, 1, 1}, {1, 1, 3, 3}, {1}}}})
row('conv2d', {picture, r(-1, 1, 6, 2, 3, 2)}, {stride = {2, 1}, padding = {0, 1}, groups = 2},
  {name = 'conv2d with groups'})
row('conv2d', {picture, kernel}, {stride = 3, padding = 2, dilation = 2}, {name = 'conv2d with dilation'})
row('conv2d', {r(-1, 1, 2, 16, 5, 5), r(-1, 1, 16, 16, 1, 1)}, nil, {name = 'conv2d 1x1'})
for _, op in ipairs{'max_pool2d', 'avg_pool2d'} do
  row(op, {r(-1, 1, 2, 3, 7, 6)}, {kernel_size = 3, stride = 2}, {also = {{{0, 3, 7, 6}}, {{1, 1, 3, 3}}}})
  row(op, {r(-1, 1, 2, 3, 7, 6)}, {kernel_size = {3, 2}, stride = {2, 3}, padding = {1, 0}, ceil_mode = true},
    {name = op .. ' uneven'})
end
row('avg_pool2d', {r(-1, 1, 2, 3, 7, 6)},
  {kernel_size = 3, stride = 1, padding = 1, count_include_pad = false},
  {name = 'avg_pool2d without padding'})
for _, op in ipairs{'adaptive_avg_pool2d', 'adaptive_max_pool2d'} do
  row(op, {r(-1, 1, 2, 3, 7, 6)}, {output_size = 1}, {also = {{{0, 3, 7, 6}}, {{1, 1, 1, 1}}}})
  row(op, {r(-1, 1, 2, 3, 7, 6)}, {output_size = {3, 4}}, {name = op .. ' uneven'})
  row(op, {r(-1, 1, 2, 3, 8, 6)}, {output_size = {4, 2}}, {name = op .. ' even'})
end

for _, relu in ipairs{false, true} do
  local tail = relu and ' with relu' or ''
  row('batch_norm_train', {r(-2, 2, 3, 4, 3, 2), r(0.5, 2, 4), r(-1, 1, 4)}, {eps = 1e-3, relu = relu},
    {name = 'batch_norm_train' .. tail, f32 = 2})
  row('batch_norm_eval', {r(-2, 2, 3, 4, 3, 2), r(0.5, 2, 4), r(-1, 1, 4), r(-1, 1, 4), r(0.5, 2, 4)},
    {eps = 1e-3, relu = relu}, {name = 'batch_norm_eval' .. tail, f32 = 2, fixed = {[4] = true, [5] = true}})
end
row('batch_norm_train', {r(-2, 2, 5, 4)}, nil, {name = 'batch_norm_train of rows'})
row('dropout', {r(0.5, 1, 4, 9), whole{7, 3}}, {p = 0.4, stream = 2}, {also = {{{0, 9}}, {{1}}}})
for _, op in ipairs{'softmax', 'log_softmax'} do
  row(op, {r(-3, 3, 3, 7)}, nil, {also = {{{0, 7}}, {{3, 1}}, {{3, 0}}}})
  row(op, {r(-3, 3, 3, 4, 2)}, {dim = 2}, {name = op .. ' along a middle dim'})
end
for _, reduction in ipairs{'mean', 'sum', 'none'} do
  row('cross_entropy', {r(-3, 3, 3, 5), whole{5, 1, 3}}, {label_smoothing = 0.1, reduction = reduction},
    {name = 'cross_entropy, ' .. reduction})
end
row('cross_entropy', {r(-3, 3, 3, 5), whole{5, 1, 3}})
row('conv2d_relu', {picture, kernel, r(-1, 1, 6)}, {padding = 1}, {f32 = 3})
row('fold_batch_norm', {r(-1, 1, 6, 4, 3, 3), r(0.5, 2, 6), r(-1, 1, 6), r(-1, 1, 6), r(0.5, 2, 6)},
  {eps = 1e-3}, {f32 = 1, dense = true})
row('normalize', {r(0, 255, 2, 3, 4, 4), r(0.01, 0.02, 3), r(-2, 0, 3)}, nil, {f32 = 2})

-- -- values ---------------------------------------------------------------------------------------

-- Numbers that look random and are the same everywhere (a multiplicative generator, full period).
local function numbers(n, seed)
  local out, state = {}, seed * 7919 % 2147483647 + 1
  for i = 1, n do
    state = state * 48271 % 2147483647
    out[i] = state / 2147483647
  end
  return out
end

local function count(shape)
  local n = 1
  for _, s in ipairs(shape) do n = n * s end
  return n
end

local function values_of(input, seed)
  if input.whole then return input.whole end
  local v = numbers(count(input), seed)
  for i, x in ipairs(v) do
    x = input.lo + (input.hi - input.lo) * x
    if input.apart and math.abs(x) < input.apart then x = x < 0 and x - input.apart or x + input.apart end
    v[i] = x
  end
  return v
end

local function tensor(values, shape, dtype)
  if #values == 0 then return inc.zeros{dtype = dtype, table.unpack(shape)} end
  return inc.tensor{dtype = dtype, table.unpack(values)}:view(shape)
end

local function shape_of(input) return {table.unpack(input)} end

local function is_float(input) return not input.whole end

-- The inputs of a row as tensors; `prepare` changes their layout.
local function make_inputs(it, dtype, prepare)
  local out = {}
  for i, input in ipairs(it.inputs) do
    local as = is_float(input) and dtype or 'i64'
    if as == 'bf16' and it.f32 and i >= it.f32 then as = 'f32' end
    local t = tensor(values_of(input, i), shape_of(input), as)
    if prepare then t = prepare(t) end
    out[i] = t:detach()
  end
  return out
end

local function call(it, inputs)
  local args = {table.unpack(inputs)}
  if it.op == 'cat' or it.op == 'global_norm' then args = {{table.unpack(inputs)}} end
  if it.options then
    local copy = {}
    for k, v in pairs(it.options) do copy[k] = v end
    args[#args + 1] = copy
  end
  return table.pack(core[it.op](table.unpack(args)))
end

local differentiable = {}
for _, op in ipairs(core.ops()) do differentiable[op.name] = op.differentiable end

local function wants_gradient(it, i)
  return differentiable[it.op] and is_float(it.inputs[i]) and not (it.fixed and it.fixed[i])
end

-- A weight for each element of the first result, so that no gradient is hidden by symmetry.
local function weights(y)
  return tensor(values_of(r(0.5, 1.5, y:numel()), 99), y:shape(), y:dtype())
end

-- Results, and then the gradients of the inputs, of f(inputs).
local function with_gradients(it, inputs)
  for i, x in ipairs(inputs) do
    if wants_gradient(it, i) then x:requires_grad_() end
  end
  local out = call(it, inputs)
  local all = {}
  for k = 1, out.n do all[k] = out[k]:detach() end
  if differentiable[it.op] then
    (out[1] * weights(out[1])):sum():backward()
    for i, x in ipairs(inputs) do
      if wants_gradient(it, i) then
        all[#all + 1] = check.ok(x.grad, ('no gradient of input %d'):format(i))
        check.equal(x.grad:shape(), x:shape(), ('shape of gradient %d'):format(i))
        x.grad = nil
      end
    end
  end
  return all
end

-- -- the four checks ------------------------------------------------------------------------------

local function loss(it, inputs)
  local y = call(it, inputs)[1]
  return (y * weights(y)):sum():item()
end

-- Central differences: the error is about h^2 of the third derivative plus 1e-16 / h of rounding.
local function check_gradient(it)
  if not differentiable[it.op] or it.loose then return end
  local h = 1e-5
  local all = with_gradients(it, make_inputs(it, 'f64'))
  local at = call(it, make_inputs(it, 'f64')).n
  for i, input in ipairs(it.inputs) do
    if wants_gradient(it, i) then
      at = at + 1
      local values, slopes = values_of(input, i), {}
      for j = 1, #values do
        local inputs = make_inputs(it, 'f64')
        local keep = values[j]
        local function loss_at(v)
          values[j] = v
          inputs[i] = tensor(values, shape_of(input), 'f64')
          return loss(it, inputs)
        end
        slopes[j] = (loss_at(keep + h) - loss_at(keep - h)) / (2 * h)
        values[j] = keep
      end
      check.close(all[at], slopes, 1e-7, ('gradient of input %d'):format(i))
    end
  end
end

-- Every second element of a wider tensor.
local function strided(x)
  local d = x:dim() + 1
  if d == 1 or d > 6 or x:numel() == 0 then return x end
  return inc.cat({x:unsqueeze(d), x:unsqueeze(d)}, {dim = d}):select(d, 1)
end

-- The dims in the opposite order in memory.
local function reversed(x)
  local dims = {}
  for d = x:dim(), 1, -1 do dims[#dims + 1] = d end
  return #dims > 1 and x:permute(dims):contiguous():permute(dims) or x
end

local function channels_last(x)
  return x:dim() == 4 and x:contiguous{memory_format = 'channels_last'} or x
end

local layouts = {
  {'row-major'}, {'strided', strided}, {'reversed', reversed}, {'channels-last', channels_last},
}

-- f32: a few roundings of the longest sum; bf16: inputs are the same, each result is rounded once to 8 bits.
local tolerance = {f32 = 3e-6, bf16 = 6e-3}

local function by_reference(f, ...)
  local before = core.force_reference(true)
  local ok, result = pcall(f, ...)
  core.force_reference(before)
  if not ok then error(result, 0) end
  return result
end

local function check_same(got, expected, tol, what)
  check.equal(#got, #expected, what .. ': number of results')
  for k = 1, #expected do
    local label = ('%s: result %d'):format(what, k)
    check.equal(got[k]:dtype(), expected[k]:dtype(), label)
    check.equal(got[k]:shape(), expected[k]:shape(), label)
    if got[k]:dtype():match 'f%d+$' then
      check.close(got[k], expected[k], tol, label)
    else
      check.equal(got[k], expected[k], label)
    end
  end
end

local function check_kernels(it, dtypes)
  for _, dtype in ipairs(dtypes) do
    for _, layout in ipairs(layouts) do
      local name, prepare = layout[1], layout[2]
      if not (it.dense and prepare) then
        local slow = by_reference(with_gradients, it, make_inputs(it, dtype, prepare))
        local fast = with_gradients(it, make_inputs(it, dtype, prepare))
        check_same(fast, slow, tolerance[dtype], dtype .. ' ' .. name)
      end
    end
  end
end

-- The gradients are results of the plan; the inputs that need them are captured.
local function check_plan(it)
  local inputs = make_inputs(it, 'f32')
  local expected = with_gradients(it, inputs)
  local w = differentiable[it.op] and weights(call(it, inputs)[1])
  local plan = inc.plan(function()
    local out = call(it, inputs)
    local all = {table.unpack(out, 1, out.n)}
    if w then
      (out[1] * w):sum():backward()
      for i, x in ipairs(inputs) do
        if wants_gradient(it, i) then
          all[#all + 1] = x.grad
          x.grad = nil
        end
      end
    end
    return table.unpack(all)
  end)
  for _ = 1, 2 do check_same({plan()}, expected, tolerance.f32, 'plan') end
end

local function at_sizes(it, shapes)
  local small = {}
  for k, v in pairs(it) do small[k] = v end
  small.inputs = {}
  for i, input in ipairs(it.inputs) do
    local other = {lo = input.lo, hi = input.hi, apart = input.apart, whole = input.whole}
    table.move(shapes[i] or input, 1, #(shapes[i] or input), 1, other)
    small.inputs[i] = other
  end
  return small
end

for _, it in ipairs(rows) do
  test(it.name .. ': gradient', function() check_gradient(it) end)
  test(it.name .. ': kernel and reference', function() check_kernels(it, {'f32', 'bf16'}) end)
  test(it.name .. ': plan', function() check_plan(it) end)
  if it.also then
    test(it.name .. ': sizes 0 and 1', function()
      for _, shapes in ipairs(it.also) do
        local small = at_sizes(it, shapes)
        check_gradient(small)
        check_kernels(small, {'f32'})
      end
    end)
  end
end

-- -- ops that write in place ----------------------------------------------------------------------

local rate = r(0.1, 0.2)
local in_place = {
  {'add_', {r(-1, 1, 2, 3), r(-1, 1, 3)}}, {'sub_', {r(-1, 1, 2, 3), r(-1, 1, 2, 1)}},
  {'mul_', {r(-1, 1, 2, 3), r(-1, 1, 3)}}, {'div_', {r(-1, 1, 2, 3), r(1, 2, 3)}},
  {'copy_', {r(-1, 1, 2, 3), r(-1, 1, 3)}}, {'fill_', {r(-1, 1, 2, 3)}, {value = 0.25}},
  {'relu_', {r(-1, 1, 2, 3)}}, {'clamp_', {r(-1, 1, 2, 3)}, {min = -0.5}},
  {'lerp_', {r(-1, 1, 2, 3), r(-1, 1, 2, 3), r(0.2, 0.3)}},
  {'bn_running_', {r(-1, 1, 4), r(0, 1, 4), r(-1, 1, 4), r(0, 1, 4)}, {momentum = 0.1, count = 7}},
  {'sgd_', {r(-1, 1, 37), r(-1, 1, 37), r(-1, 1, 37), rate, r(0.4, 0.5)},
    {momentum = 0.9, weight_decay = 0.01, nesterov = true}},
  {'sgd_', {r(-1, 1, 37), r(-1, 1, 37), false, rate}},
  {'rmsprop_', {r(-1, 1, 37), r(-1, 1, 37), r(0, 1, 37), r(-1, 1, 37), rate, r(0.4, 0.5)},
    {alpha = 0.9, eps = 1e-3, weight_decay = 0.01, momentum = 0.9}},
  {'rmsprop_', {r(-1, 1, 37), r(-1, 1, 37), r(0, 1, 37), r(-1, 1, 37), rate},
    {alpha = 0.9, eps = 1.0, momentum = 0.9, eps_inside = true}},
  {'adam_', {r(-1, 1, 37), r(-1, 1, 37), r(-1, 1, 37), r(0, 1, 37), rate, r(3, 3), r(0.4, 0.5)},
    {weight_decay = 0.01}},
  {'adam_', {r(-1, 1, 37), r(-1, 1, 37), r(-1, 1, 37), r(0, 1, 37), rate, r(3, 3)},
    {weight_decay = 0.01, decoupled = true}},
}

local function place_inputs(it, prepare)
  local out = {}
  for i, input in ipairs(it[2]) do
    local t = input and tensor(values_of(input, i), shape_of(input), 'f32')
    out[i] = t and (prepare and prepare(t) or t):detach() or false
  end
  return out
end

local function given(inputs)
  local out = {}
  for _, x in ipairs(inputs) do if x then out[#out + 1] = x end end
  return out
end

local function call_in_place(it, inputs)
  local args, n = {}, #inputs
  for i = 1, n do args[i] = inputs[i] or nil end
  local options = {}
  for k, v in pairs(it[3] or {}) do options[k] = v end
  args[n + 1] = options
  core[it[1]](table.unpack(args, 1, n + 1))
  return given(inputs)
end

for _, it in ipairs(in_place) do
  test(it[1] .. ': kernel, reference and plan', function()
    for _, layout in ipairs(layouts) do
      local slow = by_reference(call_in_place, it, place_inputs(it, layout[2]))
      local fast = call_in_place(it, place_inputs(it, layout[2]))
      check_same(fast, slow, tolerance.f32, layout[1])
    end
    local inputs = place_inputs(it)
    inc.plan(function()
      call_in_place(it, inputs)
      return inputs[1] * 1
    end)()
    check_same(given(inputs), call_in_place(it, place_inputs(it)), tolerance.f32, 'plan')
  end)
end

test('every op has a row, or is the gradient of one that has', function()
  local seen, without = {}, {}
  for _, it in ipairs(rows) do seen[it.op] = true end
  for _, it in ipairs(in_place) do seen[it[1]] = true end
  for _, op in ipairs(core.ops()) do
    local forward = op.name:match '^(.*)_backward' or op.name:match '^(.-)_d%l+$'
    local by_another = ({slice = 1, batch_norm = 1, maximum = 1})[forward] or op.name == 'full'
    if not (seen[op.name] or forward and seen[forward] or by_another) then without[#without + 1] = op.name end
  end
  check.equal(without, {})
end)
