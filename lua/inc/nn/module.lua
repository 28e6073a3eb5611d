--- Module: what every layer and net is: an ordered tree of named children and tensors, and a call.
--
-- Order is the order of assignment, never that of `pairs`. Everything assigned passes through __newindex: a
-- layer becomes a child, a tensor marked by nn.parameter or nn.buffer a parameter or buffer, all else a plain
-- field. Reading looks at plain fields, then methods, then tensors and children; so a child that has the name
-- of a method is reached by net:child 'name', and the maker is told once.
--
-- Parameters get their values late: the first time that one is needed (a call, reading it, listing all, a
-- save). Only then is the layer's place in its net known, and a start value depends on nothing but the seed
-- when the layer was made and the parameter's full name. So the order of building never matters, nor does
-- anything else that drew random numbers meanwhile. Layers whose input channels were left out wait for their
-- first input, or for net:build{N, C, H, W}. Rejected: values at construction, which depend on that order.

local core = require 'inc.core'
local args = require 'inc.args'

local Module = {} -- the methods that all layers have
local base = {Module = Module}

local is_parameter = setmetatable({}, {__mode = 'k'})
local is_buffer = setmetatable({}, {__mode = 'k'})
local parent_of = setmetatable({}, {__mode = 'kv'}) -- the container that a layer was last given to
local noted = {}

-- -- fields -------------------------------------------------------------------------------------------------

--- A tensor that trains: assigned to a field of a layer it becomes one of its parameters.
-- > nn.parameter(inc.ones{3}).requires_grad  --> true
function base.parameter(tensor)
  if not args.is_tensor(tensor) then args.fail('nn.parameter: expected a tensor, got %s', type(tensor)) end
  is_parameter[tensor] = true
  return tensor:requires_grad_(true)
end

--- A tensor that belongs to a layer's state without being trained, such as running statistics.
-- > nn.buffer(inc.zeros{3}).requires_grad  --> false
function base.buffer(tensor)
  if not args.is_tensor(tensor) then args.fail('nn.buffer: expected a tensor, got %s', type(tensor)) end
  is_buffer[tensor] = true
  return tensor
end

local function position(list, name)
  for i, known in ipairs(list) do
    if known == name then return i end
  end
end

local function enlist(list, name)
  if not position(list, name) then list[#list + 1] = name end
end

local function forget(self, key)
  for _, list in ipairs{self._children, self._params, self._buffers} do
    local i = position(list, key)
    if i then table.remove(list, i) end
  end
  self._tensor[key], self._child[key], self._plain[key] = nil, nil, nil
end

--- (for copies) Say which container a layer belongs to.
function base.set_parent(child, parent) parent_of[child] = parent end

local function note_hidden(self, key)
  local label = self._class._name .. '.' .. key
  if self._class[key] == nil or noted[label] then return end
  noted[label] = true
  require 'inc'.note("note: %s is also the name of a method: reach the child with net:child '%s'", key, key)
end

local function adopt(self, key, child)
  if not self._child[key] then forget(self, key) end
  enlist(self._children, key)
  self._child[key] = child
  rawset(child, '_name', key)
  parent_of[child] = self
  note_hidden(self, key)
end

local function hold(self, list, key, tensor)
  if not position(list, key) then forget(self, key) end
  enlist(list, key)
  self._tensor[key] = tensor
end

local function assign(self, key, value)
  local tensor = args.is_tensor(value)
  if args.is_module(value) then
    adopt(self, key, value)
  elseif tensor and (is_parameter[value] or position(self._params, key)) then
    hold(self, self._params, key, value)
  elseif tensor and (is_buffer[value] or position(self._buffers, key)) then
    hold(self, self._buffers, key, value)
  else
    forget(self, key)
    self._plain[key] = value
    if tensor then return end -- a forward may keep a value to be looked at; that changes nothing
  end
  rawset(self, 'edits', self.edits + 1)
end

local function reader(class)
  return function(self, key)
    local value = rawget(self, '_plain')[key]
    if value ~= nil then return value end
    value = class[key]
    if value ~= nil then return value end
    value = rawget(self, '_tensor')[key]
    if value == false then -- reserved, and needed now
      self:materialise()
      value = rawget(self, '_tensor')[key]
    end
    if value ~= nil then return value end
    return rawget(self, '_child')[math.type(key) == 'integer' and rawget(self, '_children')[key] or key]
  end
end

-- -- the call -----------------------------------------------------------------------------------------------

local scope = args.finally(function() core.scope_pop() end)
local watch -- set while summary or end_points look on

local function run(self, x, ...)
  if rawget(self, '_unbuilt') then self:materialise(x) end
  if watch then return watch(self, x, self:forward(x, ...)) end
  return self:forward(x, ...)
end

local function call(self, x, ...)
  if core.tracing() and core.trace_note then core.trace_note(self) end
  local preprocess = rawget(self, '_plain').preprocess
  if preprocess and args.is_tensor(x) and x:dtype() == 'u8' then x = preprocess:apply(x) end
  local name = rawget(self, '_name')
  if not name then return run(self, x, ...) end
  core.scope_push(name)
  local _ <close> = scope
  return run(self, x, ...)
end

--- Run f while `watcher(module, input, outputs...)` sees the results of each layer and passes them on.
function base.watching(watcher, f, ...)
  local before = watch
  watch = watcher
  local _ <close> = args.finally(function() watch = before end)
  return f(...)
end

--- What a layer computes. Each class, or layer of one's own, has its own.
-- > Twice = nn.module('Twice', function(self)
-- >   function self:forward(x) return x * 2 end
-- > end)
-- > Twice{}(inc.ones{2}):tolist()  --> {2, 2}
function Module:forward()
  args.fail('%s: has no forward: define function self:forward(x)', self._class._name)
end

-- -- parameters made late -----------------------------------------------------------------------------------

local function reserve(self, list, ...)
  for _, name in ipairs{...} do
    enlist(list, name)
    self._tensor[name] = false
  end
  rawset(self, '_unbuilt', true)
end

--- (for layers) Name the parameters that build_parameters will make, so that their order is fixed.
function Module:reserve(...) reserve(self, self._params, ...) end

--- (for layers) Name the buffers that build_parameters will make.
function Module:reserve_buffer(...) reserve(self, self._buffers, ...) end

local loading -- while a file is being loaded: {tensors by name, the set of layers that wait for them}

--- (for loading) Run f; reserved tensors made meanwhile that `tensors` has by name get no start values:
-- the caller is about to write them, and drawing takes longer than reading a file.
-- @param take true: nobody else has these tensors, so those that are f32 become the net's own
-- @return the set of layers that were left so; build_parameters() gives them their start values after all
function base.expecting(tensors, f, take)
  local layers = {}
  loading = {tensors = tensors, layers = layers, take = take}
  local _ <close> = args.finally(function() loading = nil end)
  f()
  return layers
end

local function first_value(self, name, shape, init)
  local given = loading and loading.tensors[name]
  if not given or table.concat(given:shape(), ' ') ~= table.concat(shape, ' ') then
    return init:make(shape, self._seed, name)
  end
  loading.layers[self] = true
  return loading.take and given:dtype() == 'f32' and given or core.zeros(shape)
end

--- (for layers) Make a reserved tensor, or set it back to its start values when it is there already.
-- @param init one of nn.init
function Module:create(key, shape, init)
  local name = self:full_name(key)
  if self._tensor[key] then return init:fill(self._tensor[key], self._seed, name) end
  local tensor = first_value(self, name, shape, init)
  if position(self._params, key) then tensor:requires_grad_(not self._frozen[key]) end
  self._tensor[key] = tensor
end

--- The name of one of this layer's fields as seen from the top of the net that it is in.
function Module:full_name(key)
  local node, name = self, key
  while parent_of[node] do
    name = rawget(node, '_name') .. '.' .. name
    node = parent_of[node]
  end
  return name
end

--- Make this layer's own parameters if they are not there yet.
-- @param x the first input, from which missing sizes are read; without it they must be known
function Module:materialise(x)
  if not rawget(self, '_unbuilt') then return end
  if self:build_parameters(x) == false then
    args.fail('%s: input channels are not known yet: call net:build{N, C, H, W} first, or give them',
      self:full_name(self._params[1] or self._class._name))
  end
  rawset(self, '_unbuilt', false)
end

--- (for layers) Make the reserved tensors with self:create; false when sizes are not known yet.
function Module:build_parameters() end

--- (for layers) Called once for each new layer with its checked options.
function Module:setup() end

-- -- classes ------------------------------------------------------------------------------------------------

--- All classes by their short name: Conv2d, Sequential, ... and those of nn.module.
base.classes = {}

local default_stack = {} -- of {Class = {option = value}}, innermost last

--- (for constructors) The options that nn.defaults sets for a class just now, or nil.
function base.defaults_for(class)
  local merged
  for _, level in ipairs(default_stack) do
    for key, value in pairs(level[class._short] or {}) do
      merged = merged or {}
      merged[key] = value
    end
  end
  return merged
end

local function check_defaults(options)
  for name, values in pairs(options) do
    local class = base.classes[name]
    if not class then
      local names = {}
      for known in pairs(base.classes) do names[#names + 1] = known end
      local near = args.nearest(tostring(name), names)
      args.fail('nn.defaults: %s: unknown layer%s', name, near and (' (did you mean %s?)'):format(near) or '')
    end
    class._spec:check_names(values)
  end
end

--- Run f with other default options for layers made meanwhile (TF-Slim's arg_scope). Calls nest; what is
-- given at the layer itself wins. Returns what f returns.
-- @param options {Conv2d = {bias = false}, ...}
-- > nn.defaults({Conv2d = {bias = false}}, function() return nn.Conv2d{8, kernel_size = 1} end)
function base.defaults(options, f)
  check_defaults(options)
  table.insert(default_stack, options)
  local _ <close> = args.finally(function() table.remove(default_stack) end)
  return f()
end

--- (for constructors) A new layer without options.
function base.instance(class)
  return setmetatable({
    _class = class, _children = {}, _child = {}, _params = {}, _buffers = {}, _tensor = {}, _frozen = {},
    _plain = {}, _seed = core.seed(), training = true, edits = 0,
  }, class._meta)
end

local function construct(class, given)
  local options = class._spec(given, base.defaults_for(class))
  local self = base.instance(class)
  self.options = options
  class.setup(self, options)
  return self
end

--- Make a class of layers; methods are then added to the result.
-- @param name 'nn.Conv2d'
-- @param signature see inc.args; the checked options are in self.options
-- @param constructor (given) -> layer, when options are not all there is to say
function base.class(name, signature, constructor)
  local class = setmetatable({_name = name, _short = name:match '[%w_]+$'}, {
    __index = Module, __call = constructor or construct, __name = name,
  })
  class._spec = signature and args.spec(name, signature)
  class._meta = {
    __index = reader(class), __newindex = assign, __call = call, __name = name,
    __tostring = function(self) return self:describe() end,
    __bor = function(a, b) return base.classes.Sequential.compose(a, b) end,
    __len = function(self) return #self._children end,
  }
  base.classes[class._short] = class
  return class
end

return base
