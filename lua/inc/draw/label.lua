--- What a diagram of a net says of a layer, and the kind that gives it its colour.

local label = {}

local function pair(v) return type(v) == 'table' and v[1] .. '×' .. v[2] or v .. '×' .. v end

local function stride(v)
  if not v or v == 1 or type(v) == 'table' and v[1] == 1 and v[2] == 1 then return '' end
  return type(v) == 'table' and (' /%d×%d'):format(v[1], v[2]) or (' /%d'):format(v)
end

local function conv(o)
  return ('%s conv, %d%s'):format(pair(o.kernel_size), o.out_channels, stride(o.stride)), 'conv'
end

local function pool(word)
  return function(o)
    return ('%s %s%s'):format(pair(o.kernel_size), word, stride(o.stride or o.kernel_size)), 'pool'
  end
end

local function adaptive(word)
  return function(o)
    local size = o.output_size
    if size == nil or size == 1 then return 'global ' .. word, 'pool' end
    return ('%s to %s'):format(word, pair(size)), 'pool'
  end
end

local layers = {
  Conv2d = conv, MaxPool2d = pool 'max pool', AvgPool2d = pool 'avg pool',
  AdaptiveAvgPool2d = adaptive 'avg pool', AdaptiveMaxPool2d = adaptive 'max pool',
  Linear = function(o) return ('linear, %d'):format(o.out_features), 'linear' end,
  Dropout = function(_, module) return ('dropout %g'):format(module.p), 'dropout' end,
  BatchNorm2d = function() return 'batch norm', 'norm' end,
}

-- The first layer inside an atomic one that has a text of its own.
local function inside(module)
  for _, entry in ipairs(module:named_modules()) do
    local make = entry[2] ~= module and layers[entry[2]._class._short]
    if make and entry[2].options then return make(entry[2].options, entry[2]) end
  end
end

--- The text of a layer and its kind: conv, pool, linear, norm, dropout or other.
-- @param guests layers that were called inside it
function label.layer(module, guests)
  local make = layers[module._class._short]
  if not (make and module.options) then make = inside end
  local text, kind = make(make == inside and module or module.options, module)
  text, kind = text or module._class._short, kind or 'other'
  for _, each in ipairs(guests or {}) do text = label.layer(each) .. ' + ' .. text end
  return text, kind
end

local ops = {cat = 'concat', add = 'add', mul = 'multiply', relu = 'ReLU', matmul = 'matmul', mean = 'mean'}

--- The text of an op between layers.
function label.op(name) return ops[name] or name:gsub('_', ' ') end

return label
