--- Methods of tensors and functions of `inc` that are compositions of ops.
--
-- They are Lua because composing is all they do: each emits ops, so gradients flow and plans record them.

local core = require 'inc.core'

local methods = core.methods
local extra = {}

local function is_tensor(v) return core.is_tensor(v) end

--- x:reshape{2, -1}: the same elements in row-major order under a new shape; copies only where a view cannot
-- do it.
-- > inc.arange{6}:reshape{2, 3}:tolist()  --> {{1, 2, 3}, {4, 5, 6}}
function methods.reshape(x, shape, ...)
  if type(shape) == 'number' then shape = {shape, ...} end
  if not x:is_contiguous() then x = x:contiguous() end
  return x:view(shape)
end

--- x:clone(): a copy with memory of its own, in row-major order.
-- > inc.tensor{1, 2}:clone():tolist()  --> {1, 2}
function methods.clone(x) return x:contiguous() end

--- x:to 'bf16' (or any dtype name): x itself if it has that dtype, a converted copy otherwise.
-- > inc.tensor{1.5}:to 'i64':tolist()  --> {1}
function methods.to(x, dtype)
  if x:dtype() == dtype then return x end
  return x:cast(dtype)
end

--- x:t(): the transpose of a matrix, as a view.
-- > inc.tensor{{1, 2}}:t():tolist()  --> {{1}, {2}}
function methods.t(x) return x:transpose(1, 2) end

--- x:zero_(): set every element to 0, in place.
-- > inc.ones{2}:zero_():tolist()  --> {0, 0}
function methods.zero_(x) return x:fill_(0) end

--- inc.stack({a, b}, {dim = 1}): tensors of one shape side by side along a new dim.
-- > inc.stack({inc.tensor{1, 2}, inc.tensor{3, 4}}):tolist()  --> {{1, 2}, {3, 4}}
function extra.stack(list, options)
  local dim = options and options.dim or 1
  local parts = {}
  for i, x in ipairs(list) do parts[i] = x:unsqueeze(dim) end
  return core.cat(parts, {dim = dim})
end

for name, f in pairs(methods) do
  if not core[name] then extra[name] = extra[name] or f end
end
extra.is_tensor = is_tensor

return extra
