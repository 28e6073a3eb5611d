--- Walking and changing the tree of layers: names, training flags, freezing, replacing, copying.
--
-- Every list is in the order of assignment, with the names that torchvision would give, so that the world's
-- weights load without a map. A layer used in two places is listed once, at the first.

local core = require 'inc.core'
local args = require 'inc.args'
local base = require 'inc.nn.module'

local Module = base.Module

local function walk(self, prefix, seen, visit)
  if seen[self] then return end
  seen[self] = true
  visit(prefix, self)
  for _, name in ipairs(self._children) do
    walk(self._child[name], prefix == '' and name or prefix .. '.' .. name, seen, visit)
  end
end

local function join(prefix, key) return prefix == '' and key or prefix .. '.' .. key end

--- All layers with their names, parents before children; the net itself is first, with an empty name.
-- @return list of {name, module}
-- > for _, entry in ipairs(net:named_modules()) do print(entry[1]) end
function Module:named_modules()
  local list = {}
  walk(self, '', {}, function(name, module) list[#list + 1] = {name, module} end)
  return list
end

--- The children in order.
-- @return list of {name, module}
-- > net:children()[1][1]
function Module:children()
  local list = {}
  for i, name in ipairs(self._children) do list[i] = {name, self._child[name]} end
  return list
end

--- A child by its name, even when a method is called the same, or by its place.
-- > net:child 'fc'
function Module:child(name)
  local key = math.type(name) == 'integer' and self._children[name] or name
  local found = self._child[key]
  if found then return found end
  args.fail('child: %s: unknown name in %s%s', name, self._class._name, args.hint(key, self._children))
end

--- The layer at a dotted path such as 'Mixed_6b.branch7x7_2'.
-- > net:find 'fc'
function Module:find(path)
  local node = self
  for name in path:gmatch '[^.]+' do node = node:child(name) end
  return node
end

local function tensors(self, want_params, want_buffers)
  local list = {}
  walk(self, '', {}, function(prefix, module)
    module:materialise()
    local function add(names, kind)
      for _, key in ipairs(names) do
        list[#list + 1] = {join(prefix, key), module._tensor[key], kind = kind, owner = module, key = key}
      end
    end
    if want_params then add(module._params, 'parameter') end
    if want_buffers then add(module._buffers, 'buffer') end
  end)
  return list
end

--- All parameters in order.
-- @return list of {name, tensor, owner = layer, key = its field}
-- > net:named_parameters()[1][1]
function Module:named_parameters() return tensors(self, true, false) end

--- Running statistics and other state that is not trained.
-- @return list as of named_parameters
-- > #net:named_buffers() > 0  --> true
function Module:named_buffers() return tensors(self, false, true) end

--- Parameters and buffers, layer by layer: what a weights file holds.
-- > #net:state()
function Module:state() return tensors(self, true, true) end

--- The parameters alone.
-- > opt = optim.sgd{lr = 0.1}:bind(net:parameters())
function Module:parameters()
  local list = {}
  for i, entry in ipairs(self:named_parameters()) do list[i] = entry[2] end
  return list
end

--- How many numbers the parameters hold.
-- > net:count_parameters()
function Module:count_parameters()
  local n = 0
  for _, tensor in ipairs(self:parameters()) do n = n + tensor:numel() end
  return n
end

-- -- modes --------------------------------------------------------------------------------------------------

--- Training mode: batch norm measures, dropout drops. Returns the net.
-- @param on false for evaluation mode
-- > net:train()
function Module:train(on)
  for _, entry in ipairs(self:named_modules()) do rawset(entry[2], 'training', on ~= false) end
  return self
end

--- Evaluation mode: batch norm uses its running statistics, dropout does nothing. Returns the net.
-- > net:eval()
function Module:eval() return self:train(false) end

--- Convert the parameters to another float dtype. Norm layers keep f32, which all half-width kernels expect.
-- @param dtype 'bf16', 'f16', 'f32', 'f64'
-- > net:to 'f64'
function Module:to(dtype)
  if type(dtype) == 'table' then dtype = args.spec('to', 'dtype:string;')(dtype).dtype end
  local half = dtype == 'bf16' or dtype == 'f16'
  for _, entry in ipairs(self:state()) do
    local tensor, owner = entry[2], entry.owner
    if tensor:dtype() ~= dtype and tensor:dtype():find 'f' and not (half and owner.is_norm) then
      local cast = tensor:detach():cast(dtype)
      if entry.kind == 'parameter' then cast:requires_grad_(tensor.requires_grad) end
      owner._tensor[entry.key] = cast
      rawset(owner, 'edits', owner.edits + 1)
    end
  end
  return self
end

-- -- freezing -----------------------------------------------------------------------------------------------

local function all_frozen(module)
  local names = #module._params > 0 and module._params or module._buffers
  for _, key in ipairs(names) do
    if not module._frozen[key] then return false end
  end
  return #names > 0
end

local function set_frozen(self, pattern, frozen)
  local n = 0
  walk(self, '', {}, function(prefix, module)
    local changed = false
    for _, names in ipairs{module._params, module._buffers} do
      for _, key in ipairs(names) do
        if join(prefix, key):find(pattern) then
          module._frozen[key] = frozen or nil
          local tensor = names == module._params and module._tensor[key]
          if tensor then tensor:requires_grad_(not frozen) end
          n, changed = n + (names == module._params and 1 or 0), true
        end
      end
    end
    if changed then module.frozen = all_frozen(module) end
  end)
  return n
end

--- Stop training the parameters whose full name fits a Lua pattern. A batch norm whose parameters are all
-- frozen also keeps its running statistics and uses them. A pattern that fits nothing is an error.
-- @return the number of parameters that fit
-- > net:freeze '^Conv2d'
function Module:freeze(pattern)
  if type(pattern) ~= 'string' then args.fail('freeze: expected a Lua pattern, got %s', type(pattern)) end
  local n = set_frozen(self, pattern, true)
  if n > 0 then return n end
  local names = {}
  for i, child in ipairs(self._children) do names[i] = child end
  args.fail('freeze: %s: fits no parameter%s', pattern, args.hint(pattern:gsub('[%^$%%]', ''), names))
end

--- Train again what freeze stopped.
-- @param pattern as of freeze; all parameters without it
-- > net:unfreeze()
function Module:unfreeze(pattern)
  return set_frozen(self, pattern or '', false)
end

-- -- changing -----------------------------------------------------------------------------------------------

--- Put another layer in the place of the one at `path`; it keeps the place's name and order. Input channels
-- that the new layer leaves out are those of the old one.
-- > net:replace('fc', nn.Linear{37})
function Module:replace(path, module)
  if not args.is_module(module) then args.fail('replace: expected a layer, got %s', type(module)) end
  local parent_path, name = path:match '^(.*)%.([^.]+)$'
  local parent = self:find(parent_path or '')
  local old = parent:child(name or path)
  if module.inherit_size then module:inherit_size(old) end
  parent[name or path] = module
  module:train(self.training)
  return self
end

--- Start all weights afresh from (seed, name), in place. Parameters of nn.parameter keep their values.
-- @param seed the seed of each layer's making when left out
-- > net:reset(1)
function Module:reset(seed)
  for _, entry in ipairs(self:named_modules()) do
    local module = entry[2]
    if seed then rawset(module, '_seed', seed) end
    if not rawget(module, '_unbuilt') then module:build_parameters() end
  end
  return self
end

local function copy_of(self, made)
  if made[self] then return made[self] end
  local twin = setmetatable({}, getmetatable(self))
  made[self] = twin
  for key, value in next, self do
    if type(value) == 'table' and key ~= '_class' then
      local list = {}
      for k, v in next, value do list[k] = v end
      value = list
    end
    rawset(twin, key, value)
  end
  for _, name in ipairs(self._children) do
    twin._child[name] = copy_of(self._child[name], made)
    base.set_parent(twin._child[name], twin)
  end
  for key, tensor in next, self._tensor do
    if tensor then
      local shape = tensor:shape()
      shape.dtype = tensor:dtype()
      local fresh = core.zeros(shape)
      core.no_grad(fresh.copy_, fresh, tensor)
      twin._tensor[key] = tensor.requires_grad and fresh:requires_grad_(true) or fresh
    end
  end
  return twin
end

--- A copy with tensors of its own.
-- > twin = net:clone()
function Module:clone() return copy_of(self, {}) end

return Module
