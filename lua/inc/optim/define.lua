--- optim.new: an optimizer as a description of ten lines, which the built-in ones are too.
--
-- A description says what its numbers are, what it remembers of each parameter, and how one parameter moves;
-- binding, groups, clipping, decay, checkpoints and schedules are the same for all (optim/bound.lua). The
-- update is written with in-place ops on tensors, so it runs eagerly as it stands, and in a plan as one
-- kernel that takes all parameters, block by block in cache. Rejected: a kernel for each optimizer, which
-- would make the user's own a second-class one; sgd, rmsprop and adam have theirs beside the description, as
-- a short cut (`fused`).

local args = require 'inc.args'

local optim = {}

local Description = {}
Description.__index = Description
args.object('optimizer', Description)

-- -- kinds --------------------------------------------------------------------------------------------------

local Kind = {__name = 'optim.kind'}
Kind.__index = Kind

local kinds = {}

-- Options that every optimizer has.
local shared = 'weight_decay:number=%s, decay_norms:bool=false, layer_decay:number=1, ' ..
  'clip_norm:number?%s, clip_value:number?, agc:number?, groups:table?'

local new_spec = args.spec('optim.new', 'name:string; defaults:table?, options:string?, slots:any?, ' ..
  'start:any?, scalars:table?, numbers:function?, update:function, weight_decay:number=0, ' ..
  'decay:enum(gradient|decoupled|own)=gradient, clip_norm:number?, average:string?, ' ..
  'fused:function?, check:function?')

-- The signature of a table of defaults: lr first, the others in the order of their names.
local function signature_of(who, defaults)
  local names, items = {}, {}
  for name in pairs(defaults or {}) do
    if type(name) ~= 'string' or not name:find '^%a[%w_]*$' then
      args.fail('%s: defaults: expected names, got %s', who, args.show(name))
    end
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    if (a == 'lr') ~= (b == 'lr') then return a == 'lr' end
    return a < b
  end)
  for i, name in ipairs(names) do
    local v = defaults[name]
    if type(v) ~= 'number' and type(v) ~= 'boolean' then
      args.fail('%s: defaults: %s: expected a number or true or false, got %s', who, name, args.show(v))
    end
    items[i] = ('%s:%s=%s'):format(name, type(v) == 'number' and 'number' or 'bool', args.show(v))
  end
  return table.concat(items, ', ')
end

local function take_shared(d)
  local defaults = {}
  for name, v in pairs(d.defaults or {}) do defaults[name] = v end
  d.weight_decay, defaults.weight_decay = defaults.weight_decay or d.weight_decay, nil
  d.clip_norm, defaults.clip_norm = defaults.clip_norm or d.clip_norm, nil
  if not d.options and not defaults.lr then defaults.lr = 1e-3 end
  return defaults
end

-- Names of the numbers that a group may have of its own, and that may follow a schedule; betas count one by
-- one.
local function numbers_of(spec)
  local names = {}
  for _, param in ipairs(spec.params) do
    if param.type == args.types.number then
      names[#names + 1] = param.name
    elseif param.type == args.types.numbers then
      for i = 1, #(param.default or {}) do names[#names + 1] = param.name:gsub('s$', '') .. i end
    end
  end
  return names
end

-- What all optimizers share and no group can have apart.
local whole = {
  lr = true, layer_decay = true, clip_norm = true, clip_value = true, weight_decay = true, agc = true,
}

local function group_signature(numbers)
  local items = {'pattern:string; lr_scale:number?, weight_decay:number?, agc:number?'}
  for _, name in ipairs(numbers) do
    if not whole[name] then items[#items + 1] = name .. ':number?' end
  end
  return table.concat(items, ', ')
end

local function is_slots(v) return v == nil or type(v) == 'function' or args.types.strings[1](v) end

local function make_kind(d)
  local who = 'optim.' .. d.name
  if not is_slots(d.slots) then
    args.fail('%s: slots: expected a list of names or a function that gives one, got %s', who,
      args.show(d.slots))
  end
  local defaults = take_shared(d)
  d.text = d.options or signature_of(who, defaults)
  d._spec = args.spec(who, d.text .. ', ' .. shared:format(args.show(d.weight_decay),
    d.clip_norm and '=' .. args.show(d.clip_norm) or ''))
  d.number_names = numbers_of(d._spec)
  d.group_spec = args.spec('optim: groups', group_signature(d.number_names))
  d._name = who
  return setmetatable(d, Kind)
end

--- Define an optimizer of your own; it is optim.NAME from then on, and what this returns.
-- The update is called for each parameter of every step:
-- update(p, g, slot, h, step) changes p and its slots in place; g is the gradient, clipped and (unless
-- `decay`
-- says otherwise) with weight decay added. h holds the hyperparameters by name: h.lr and h.step are 0-d
-- tensors
-- that may change between steps, all others are Lua numbers until a schedule moves them; then they are 0-d
-- tensors too, so write arithmetic, not `if`, with them. No tensor may be read with item().
-- Every optimizer also has weight_decay, decay_norms, layer_decay, clip_norm, clip_value, agc and groups
-- (see optim.sgd).
-- @param name as in optim.NAME
-- @param defaults hyperparameters and their usual values; lr is 1e-3 when left out
-- @param slots names of what is kept for each parameter, in its shape; or a function of
--   (options, parameter, its name)
-- @param start first values of slots: {v = 1}, 0 when left out, 'parameter' for a copy of it; or a function
--   of
--   (options, slot)
-- @param decay 'gradient' adds weight_decay * p to g; 'decoupled' first does p *= 1 - lr * weight_decay;
--   'own'
--   leaves h.weight_decay to the update
-- @param scalars single numbers that are kept for all parameters together: {product = 1}
-- @param numbers numbers(h, t, s) gives, once a step, more numbers for h; t is the step, counted from 1, and
--   s
--   holds the scalars; all of them 0-d f64 tensors, because 1 - 0.999 ^ t loses its digits in f32
-- @param average the slot that evaluation should see in place of the parameter
-- > signum = optim.new('signum', {
-- >   defaults = {lr = 1e-3, momentum = 0.9},
-- >   slots = {'buffer'},
-- >   update = function(p, g, slot, h)
-- >     slot.buffer:lerp_(g, 1 - h.momentum)
-- >     p:sub_(slot.buffer:sign() * h.lr)
-- >   end,
-- > })
-- > print(signum{lr = 0.01})
function optim.new(name, definition)
  if type(definition) ~= 'table' then
    args.fail('optim.new: expected a name and a table, got %s', type(definition))
  end
  local copy = {name}
  for key, v in pairs(definition) do copy[key] = v end
  local d = new_spec(copy)
  if not d.name:find '^[%a_][%w_]*$' then
    args.fail('optim.new: name: expected letters, digits and _, got %s', args.show(d.name))
  end
  if optim[d.name] ~= nil and not (kinds[d.name] and kinds[d.name].own) then
    args.fail('optim.new: name: optim.%s is there already', d.name)
  end
  d.own = not optim.defining
  local kind = make_kind(d)
  kinds[d.name], optim[d.name] = kind, kind
  return kind
end

-- -- descriptions -------------------------------------------------------------------------------------------

local function check_positive(who, o)
  if o.lr < 0 or o.lr ~= o.lr then args.fail('%s: lr: expected at least 0, got %s', who, args.show(o.lr)) end
  local clips = {}
  for _, name in ipairs{'clip_norm', 'clip_value', 'agc'} do
    if o[name] and o[name] ~= 0 then clips[#clips + 1] = name end
    if o[name] and (o[name] < 0 or o[name] ~= o[name]) then
      args.fail('%s: %s: expected at least 0, got %s', who, name, args.show(o[name]))
    end
  end
  if #clips > 1 then
    args.fail('%s: expected one way of clipping, got %s', who, table.concat(clips, ' and '))
  end
  if not (o.layer_decay > 0 and o.layer_decay <= 1) then
    args.fail('%s: layer_decay: expected more than 0 and at most 1, got %s', who, args.show(o.layer_decay))
  end
end

local function describe(kind, given)
  local options = kind._spec(given)
  check_positive(kind._name, options)
  if kind.check then kind.check(options) end
  if options.groups then
    local checked = {}
    for i, group in ipairs(options.groups) do checked[i] = kind.group_spec(group) end
    options.groups = checked
  end
  return setmetatable({name = kind.name, options = options, kind = kind}, Description)
end

function Kind:__call(given) return describe(self, given) end
function Kind:__tostring() return ('%s{%s}'):format(self._name, self.text) end

--- The names of all optimizers, sorted.
-- > #optim.names() >= 16  --> true
function optim.names()
  local names = {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The optimizer of this name, for command lines: optim.by_name('sgd', {lr = 0.1}).
-- > optim.by_name('sgd', {lr = 0.1})  --> optim.sgd{lr = 0.1}
function optim.by_name(name, options)
  local kind = kinds[name]
  if not kind then args.fail('optimizer: %s: unknown name%s', name, args.hint(name, optim.names())) end
  return describe(kind, options or {})
end

function Description:__tostring() return self.kind._spec:describe(self.options) end

function Description:__eq(other) return tostring(self) == tostring(other) end

--- The same optimizer with some options changed.
-- > optim.sgd{lr = 0.1}:with{lr = 0.2}
function Description:with(changes)
  local options = {}
  for key, value in pairs(self.options) do options[key] = value end
  for key, value in pairs(changes) do options[key] = value end
  return describe(self.kind, options)
end

--- Plain values for config.json: {optimizer = 'sgd', lr = 0.1, ...}.
-- > optim.sgd{lr = 0.1}:to_table().lr  --> 0.1
function Description:to_table()
  local out = {optimizer = self.name}
  for key, value in pairs(self.options) do out[key] = value end
  return out
end

--- Every number by name, defaults too, as one line: what recipes and reports print.
-- > optim.lion{}:every_number()
function Description:every_number()
  local parts = {}
  for _, param in ipairs(self.kind._spec.params) do
    local v = self.options[param.name]
    if v ~= nil then parts[#parts + 1] = ('%s = %s'):format(param.name, args.show(v)) end
  end
  return ('%s{%s}'):format(self.kind._name, table.concat(parts, ', '))
end

--- The description that to_table wrote down. One of your own must have been defined before.
-- > optim.from_table{optimizer = 'sgd', lr = 0.1}  --> optim.sgd{lr = 0.1}
function optim.from_table(t)
  local options = {}
  for key, value in pairs(t) do
    if key ~= 'optimizer' then options[key] = value end
  end
  if not kinds[t.optimizer] then
    args.fail('optimizer: %s: is not defined here: call optim.new for it first', tostring(t.optimizer))
  end
  return optim.by_name(t.optimizer, options)
end

--- Make the optimizer of a net: step(), zero_grad(), set{}, slots().
-- @param net a net, or a list of tensors
-- @param options of optim/bound.lua: follow, norms, fused
-- > opt = optim.sgd{lr = 0.1, momentum = 0.9}:bind(net)
function Description:bind(net, options) return require('inc.optim.bound').new(self, net, options) end

--- Is it an optimizer's description?
-- > optim.is_optimizer(optim.adam{})  --> true
function optim.is_optimizer(v) return getmetatable(v) == Description end

return optim
