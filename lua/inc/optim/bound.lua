--- An optimizer with state: slots for each parameter, and the numbers that change from step to step.
--
-- Those numbers (lr, the step count, and whatever follows a schedule) are 0-d tensors, so that a planned step
-- reads them anew each time and a changed rate never traces again; all others are constants of a trace, and
-- changing one makes plans trace again. Slots exist from binding on, in the order of the net's parameters,
-- under
-- names that a checkpoint can hold: 'momentum_buffer.fc.weight'. A parameter that is frozen at binding gets
-- its slots when it is first seen to train.

local core = require 'inc.core'
local args = require 'inc.args'
local clip = require 'inc.optim.clip'
local groups = require 'inc.optim.groups'

local Bound = {}
Bound.__index = Bound
args.object('opt', Bound, nil, 'new adopt')

-- -- binding ------------------------------------------------------------------------------------------------

local function slot_names(kind, options, item)
  if type(kind.slots) == 'function' then return kind.slots(options, item.tensor, item.name) end
  return kind.slots or {}
end

local function first_value(kind, options, slot)
  if type(kind.start) == 'function' then return kind.start(options, slot) or 0 end
  return kind.start and kind.start[slot] or 0
end

local function new_slot(start, like)
  local shape = like:shape()
  if start == 'parameter' then
    local copy = core.zeros(shape)
    core.no_grad(copy.copy_, copy, like)
    return copy
  end
  shape.value = start ~= 0 and start or nil
  return start ~= 0 and core.full(shape) or core.zeros(shape)
end

local function make_slots(self, item)
  local kind, options = self.description.kind, self.options
  item.slots, item.slot_names = {}, slot_names(kind, options, item)
  if self.parts then item.sum = new_slot(0, item.tensor) end
  for _, slot in ipairs(item.slot_names) do
    item.slots[slot] = new_slot(first_value(kind, options, slot), item.tensor)
    if not self.slot_known[slot] then
      self.slot_known[slot] = true
      self.slot_names[#self.slot_names + 1] = slot
    end
  end
  setmetatable(item.slots, {__index = function(_, name)
    args.fail('%s: slot.%s: no such slot%s', kind._name, tostring(name), args.hint(name, item.slot_names))
  end})
end

local function number(value) return core.full{value = value, dtype = 'f64'} end

-- The value of a hyperparameter by the name that h has for it: betas are beta1, beta2.
local function value_of(options, name)
  if options[name] ~= nil then return options[name] end
  local list, place = name:match '^(.-)(%d+)$'
  list = list and options[list .. 's']
  return type(list) == 'table' and list[tonumber(place)] or nil
end

local function follow(self, names)
  local kind = self.description.kind
  for _, name in ipairs(names or {}) do
    local value = value_of(self.options, name)
    if name ~= 'lr' and type(value) ~= 'number' then
      args.fail('%s: follow: %s: expected one of its numbers%s', kind._name, tostring(name),
        args.hint(name, kind.number_names))
    elseif name == 'layer_decay' then
      args.fail('%s: follow: layer_decay is settled when the optimizer is bound', kind._name)
    elseif name ~= 'lr' and not self.masters[name] then
      self.masters[name] = number(value)
      self.followed[#self.followed + 1] = name
    end
  end
end

local bind_spec = args.spec('bind',
  'follow:strings?, norms:bool=false, accumulate:bool=false, fused:bool=true')

--- (for Description:bind)
-- @param options follow, names of numbers that will change from step to step besides lr; norms = true also
--   measures gradients and updates (grad_norm, update_norm); accumulate = true makes room for
--   opt:accumulate(); fused = false takes the description even where there is a kernel for it
function Bound.new(description, net, options)
  local o, kind = bind_spec(options), description.kind
  local copy = {}
  for name, v in pairs(description.options) do copy[name] = v end
  local self = setmetatable({
    description = description, options = copy, items = {}, masters = {}, followed = {}, slot_names = {},
    slot_known = {}, norms = o.norms, fused = o.fused, edits = 0,
    parts = o.accumulate and core.tensor(0) or nil,
    lr = core.tensor(copy.lr), step_count = core.tensor(0), scalars = {}, scalar_names = {},
  }, Bound)
  follow(self, o.follow)
  for name, value in pairs(kind.scalars or {}) do
    self.scalars[name], self.scalar_names[#self.scalar_names + 1] = number(value), name
  end
  table.sort(self.scalar_names)
  self.items = groups.items(description, net)
  for _, item in ipairs(self.items) do
    if item.tensor.requires_grad then make_slots(self, item) end
  end
  return self
end

function Bound:__tostring()
  return ('%s bound to %d parameters, step %d'):format(self.description, #self.items, self.step_count:item())
end

-- -- hyperparameters of a step ------------------------------------------------------------------------------

-- Constants by name, betas one by one.
local function constants(self)
  local h = {}
  for name, v in pairs(self.options) do
    if type(v) == 'number' or type(v) == 'boolean' then h[name] = v end
    if type(v) == 'table' and type(v[1]) == 'number' then
      for i, each in ipairs(v) do h[name:gsub('s$', '') .. i] = each end
    end
  end
  return h
end

local function strict(self, h)
  return setmetatable(h, {__index = function(_, name)
    local known = {}
    for each in pairs(h) do known[#known + 1] = each end
    table.sort(known)
    args.fail('%s: h.%s: no such hyperparameter%s', self.description.kind._name, tostring(name),
      args.hint(name, known))
  end})
end

-- What `numbers` of the description makes of this step, in f64; then everything in f32.
local function shared_numbers(self)
  local kind, h = self.description.kind, constants(self)
  for name, master in pairs(self.masters) do h[name] = master:cast 'f32' end
  h.lr, h.step = self.lr, self.step_count
  if not kind.numbers then return h end
  local wide = constants(self)
  for name, master in pairs(self.masters) do wide[name] = master end
  wide.lr = self.lr:cast 'f64'
  local made = kind.numbers(strict(self, wide), self.step_count:cast 'f64', self.scalars)
  for name, v in pairs(made) do h[name] = args.is_tensor(v) and v:cast 'f32' or v end
  return h
end

-- Weight decay of one parameter: what follows a schedule does so where it was not switched off or set apart.
local function decay_of(self, item)
  local master = self.masters.weight_decay
  if not master or item.weight_decay ~= self.options.weight_decay then return item.weight_decay end
  return master:cast 'f32'
end

local function has_kernel(self)
  return self.fused and self.description.kind.fused and #self.followed == 0
end

-- h for each parameter; those that agree in everything share one table.
local function hyperparameters(self)
  local base, made = shared_numbers(self), {}
  return function(item)
    local key = ('%.17g %.17g %s'):format(item.lr_scale, item.weight_decay, item.group_index or '')
    if made[key] then return made[key] end
    local h = {}
    for name, v in pairs(base) do h[name] = v end
    for name, v in pairs(item.overrides or {}) do h[name] = v end
    h.lr = item.lr_scale == 1 and base.lr or base.lr * item.lr_scale
    h.weight_decay = decay_of(self, item)
    if self.description.kind.decay == 'decoupled' and h.weight_decay ~= 0 and not has_kernel(self) then
      h._shrink = 1 - h.lr * h.weight_decay -- once for all of its parameters
    end
    made[key] = strict(self, h)
    return h
  end
end

-- -- the step -----------------------------------------------------------------------------------------------

-- Parameters with a gradient, and those gradients: means, where some were accumulated before.
local function ready_items(self)
  local ready, gradients = {}, {}
  local share = self.parts and (self.parts + 1):reciprocal()
  for _, item in ipairs(self.items) do
    if item.tensor.grad and item.tensor.requires_grad then
      ready[#ready + 1] = item
      if not item.slots then make_slots(self, item) end
      gradients[#ready] = share and (item.sum + item.tensor.grad) * share or item.tensor.grad
    end
  end
  return ready, gradients
end

local function add_decay(kind, p, g, h)
  if kind.decay == 'own' or h.weight_decay == 0 then return g end
  if kind.decay == 'gradient' then return g + p * h.weight_decay end
  p:mul_(h._shrink)
  return g
end

local function update_one(self, item, g, h, scale)
  local kind, p = self.description.kind, item.tensor
  g = clip.one(self.options, item, p, g)
  if has_kernel(self) then
    kind.fused(p, g, item.slots, h, scale)
  else
    if scale then g = g * scale end
    kind.update(p, add_decay(kind, p, g, h), item.slots, h, h.step)
  end
  p.grad = nil
  if item.sum then item.sum:fill_(0) end
end

local function update_all(self)
  if core.trace_note then core.trace_note(self) end
  local ready, gradients = ready_items(self)
  self.step_count:add_(1)
  if #ready == 0 then return end
  local clips = self.options.clip_norm and self.options.clip_norm ~= 0
  local norm = (clips or self.norms) and core.global_norm(gradients)
  local scale = clips and clip.scale(self.options.clip_norm, norm) or nil
  local h, before = hyperparameters(self), {}
  for i, item in ipairs(ready) do
    before[i] = self.norms and item.tensor:contiguous() or nil
    update_one(self, item, gradients[i], h(item), scale)
  end
  if self.parts then self.parts:fill_(0) end
  if not self.norms then return end
  for i, item in ipairs(ready) do before[i] = item.tensor - before[i] end
  self.grad_norm, self.update_norm = norm, core.global_norm(before)
end

--- Update every parameter that has a gradient, and take the gradients away. Where it was bound with
-- norms = true, opt.grad_norm (before clipping) and opt.update_norm are 0-d tensors then: a planned step may
-- return them beside its loss.
-- > opt:step()
function Bound:step() core.no_grad(update_all, self) end

local function accumulate_all(self)
  for _, item in ipairs((ready_items(self))) do
    item.sum:add_(item.tensor.grad)
    item.tensor.grad = nil
  end
  self.parts:add_(1)
end

--- Put the gradients aside: the next step() goes by the mean of all that were put aside since the last one,
-- and of its own. For batches that do not fit at once; bind with accumulate = true.
-- > opt:accumulate()
function Bound:accumulate()
  if not self.parts then args.fail('accumulate: expected an optimizer bound with accumulate = true') end
  core.no_grad(accumulate_all, self)
end

--- Forget all gradients.
-- > opt:zero_grad()
function Bound:zero_grad()
  for _, item in ipairs(self.items) do item.tensor.grad = nil end
end

-- -- numbers ------------------------------------------------------------------------------------------------

local function set_constant(self, name, value)
  local options = {}
  for key, v in pairs(self.options) do options[key] = v end
  local list, place = name:match '^(.-)(%d+)$'
  if options[name] == nil and list and options[list .. 's'] then
    options[list .. 's'] = {table.unpack(options[list .. 's'])}
    options[list .. 's'][tonumber(place)] = value
  else
    options[name] = value
  end
  options.lr = self.description.options.lr
  local changed = self.description:with(options)
  groups.change(self.items, self.options, changed.options)
  self.description, self.options = changed, changed.options
  self.edits = self.edits + 1
end

--- Change numbers between two steps; a plan that holds this optimizer goes on with them. Numbers other than
--lr
-- and those that follow a schedule are constants of a plan: it is traced again by itself.
-- > opt:set{lr = 1e-3, weight_decay = 0.01}
function Bound:set(changes)
  local names, known = {}, self.description.kind.number_names
  for name, value in pairs(changes) do
    local there = false
    for _, each in ipairs(known) do there = there or each == name end
    if not there then args.fail('set: %s: no such number%s', tostring(name), args.hint(name, known)) end
    if type(value) ~= 'number' then
      args.fail('set: %s: expected a number, got %s', name, args.show(value))
    end
    if name == 'layer_decay' then args.fail 'set: layer_decay is settled when the optimizer is bound' end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local target = name == 'lr' and self.lr or self.masters[name]
    if target then core.no_grad(target.fill_, target, changes[name])
    else set_constant(self, name, changes[name]) end
  end
  return self
end

--- The numbers that may change from step to step without another trace: lr, then what follows a schedule.
-- @return list of {name, tensor, first value}
-- > opt:numbers()
function Bound:numbers()
  local list = {{'lr', self.lr, self.options.lr}}
  for _, name in ipairs(self.followed) do
    list[#list + 1] = {name, self.masters[name], value_of(self.options, name)}
  end
  return list
end

-- -- the average --------------------------------------------------------------------------------------------

--- What evaluation should see in place of the parameters (schedule-free optimizers keep it in a slot), in the
-- form of an average of weights (inc/ema.lua); nil for all others. It moves with the optimizer's own steps.
-- @param net the net that it is bound to
-- > opt:average(net)
function Bound:average(net)
  local slot = self.description.kind.average
  if not slot then return nil end
  local by_tensor, entries = {}, net:state()
  for _, item in ipairs(self.items) do by_tensor[item.name] = item.slots and item.slots[slot] end
  for _, entry in ipairs(entries) do entry.average = by_tensor[entry[1]] end
  return require('inc.ema').of_entries(entries)
end

-- -- checkpoints --------------------------------------------------------------------------------------------

--- The state in a fixed order: the step count, scalars, then each slot of each parameter.
-- @return list of {name, tensor}
-- > opt:slots()[1][1]
function Bound:slots()
  local list = {{'step', self.step_count}}
  for _, name in ipairs(self.scalar_names) do list[#list + 1] = {name, self.scalars[name]} end
  if self.parts then list[#list + 1] = {'accumulated', self.parts} end
  for _, item in ipairs(self.items) do
    if item.sum then list[#list + 1] = {'grad_sum.' .. item.name, item.sum} end
  end
  for _, slot in ipairs(self.slot_names) do
    for _, item in ipairs(self.items) do
      local tensor = item.slots and rawget(item.slots, slot)
      if tensor then list[#list + 1] = {slot .. '.' .. item.name, tensor} end
    end
  end
  return list
end

--- Take over state by name; every slot must be there in its shape.
-- @param tensors name -> tensor, named as in slots()
-- > list = {}; for _, entry in ipairs(opt:slots()) do list[entry[1]] = entry[2] end
-- > opt:load_slots(list)
function Bound:load_slots(tensors)
  for _, entry in ipairs(self:slots()) do
    local given = tensors[entry[1]]
    if not given or given:numel() ~= entry[2]:numel() then
      args.fail('load_slots: %s: %s', entry[1], given and 'has another shape' or 'is missing')
    end
  end
  core.no_grad(function()
    for _, entry in ipairs(self:slots()) do entry[2]:copy_(tensors[entry[1]]) end
  end)
end

-- A tensor of its own with the same values.
local function clone(t)
  local shape = t:shape()
  shape.dtype = t:dtype()
  local copy = core.zeros(shape)
  copy:copy_(t)
  return copy
end

local function own_copies(self, old)
  for i, item in ipairs(self.items) do
    local before = old.items[i] and old.items[i].slots or {}
    for _, slot in ipairs(item.slot_names or {}) do
      local t = rawget(item.slots, slot)
      if rawequal(t, rawget(before, slot)) then rawset(item.slots, slot, clone(t)) end
    end
  end
  for name, t in pairs(self.scalars) do
    if rawequal(t, old.scalars[name]) then self.scalars[name] = clone(t) end
  end
  if rawequal(self.step_count, old.step_count) then self.step_count = clone(old.step_count) end
end

--- Take over what another optimizer of the same parameters knows, by the rules of run:swap: state of the same
-- meaning is kept or translated, all other state starts afresh.
-- @return what happened, in words
-- > new:adopt(opt)
function Bound:adopt(old)
  local copies, words = require('inc.optim.adopt').take(self, old, old.step_count:item())
  core.no_grad(function()
    own_copies(self, old)
    for _, copy in ipairs(copies) do copy[2]:copy_(copy[1] * copy[3]) end
  end)
  return words
end

return Bound
