--- Clipping of gradients: by the norm of all of them together, by value, and adaptively (AGC).

local core = require 'inc.core'

local clip = {}

--- One multiplier for all gradients: clip_norm / norm where the norm is larger, else 1 (PyTorch's formula).
-- @param norm the common norm, a 0-d tensor
function clip.scale(clip_norm, norm) return (clip_norm / (norm + 1e-6)):clamp{max = 1} end

-- Norm of what feeds each output: over all dims but the first; of a vector, its own.
local function unit_norm(x)
  local dims = {}
  for d = 2, #x:shape() do dims[#dims + 1] = d end
  if #dims == 0 then return core.norm(x) end
  return core.norm(x, {dim = dims, keepdim = true})
end

--- Adaptive gradient clipping (arXiv 2102.06171): where |g| > limit * max(|p|, 0.001), unit by unit, g is
--scaled
-- down to that length.
function clip.agc(limit, p, g)
  local longest = unit_norm(p):clamp{min = 1e-3} * limit
  return g * (longest / unit_norm(g):clamp{min = 1e-6}):clamp{max = 1}
end

--- The clipping that looks at one parameter at a time; the group of a parameter may have its own AGC limit.
function clip.one(options, item, p, g)
  if options.clip_value and options.clip_value ~= 0 then
    return g:clamp{min = -options.clip_value, max = options.clip_value}
  end
  local limit = item.agc or options.agc
  if limit and limit ~= 0 then return clip.agc(limit, p, g) end
  return g
end

return clip
