--- An optimizer with state: slots for each parameter, and the numbers that change from step to step.
--
-- Those numbers (lr, step) are 0-d tensors, so that a planned step reads them anew each time and a changed
-- learning rate never traces again. Slots exist from binding on, in the order of the net's parameters, under
-- names that a checkpoint can hold: 'momentum_buffer.fc.weight'. A parameter that is frozen at binding gets
-- its slots when it is first seen to train.

local core = require 'inc.core'
local args = require 'inc.args'

local Bound = {}
Bound.__index = Bound

local function named_parameters(net)
  if args.is_module(net) then return net:named_parameters() end
  local list = {}
  for i, tensor in ipairs(type(net) == 'table' and net or {}) do
    if not args.is_tensor(tensor) then
      args.fail('bind: expected tensors, got %s at place %d', type(tensor), i)
    end
    list[i] = {tostring(i), tensor}
  end
  if #list == 0 then args.fail('bind: expected a net or a list of tensors, got %s', args.show(net)) end
  return list
end

-- What the groups and the rule about norms say of one parameter.
local function settings(options, entry)
  local name, decay = entry[1], options.weight_decay
  local spared = entry.owner and (entry.owner.is_norm or entry.key == 'bias')
  if spared and not options.decay_norms then decay = 0 end
  for _, group in ipairs(options.groups or {}) do
    if name:find(group.pattern) then
      return group.weight_decay or decay, group.lr_scale, group
    end
  end
  return decay, 1
end

local function check_groups_used(self, used)
  for _, group in ipairs(self.options.groups or {}) do
    if not used[group] then
      args.fail('optim.%s: groups: %s fits no parameter', self.description.name, group.pattern)
    end
  end
end

local function make_slots(self, item)
  local kind = self.description.kind
  item.slots = {}
  for _, slot in ipairs(self.slot_names) do
    local shape = item.tensor:shape()
    local start = kind.start and kind.start(self.options, slot) or 0
    shape.value = start ~= 0 and start or nil
    item.slots[slot] = start ~= 0 and core.full(shape) or core.zeros(shape)
  end
end

--- (for Description:bind)
function Bound.new(description, net)
  local options = description.options
  local self = setmetatable({
    description = description, options = options, items = {},
    lr = core.tensor(options.lr), step_count = core.tensor(0), slot_names = description.kind.slots(options),
  }, Bound)
  local used = {}
  for i, entry in ipairs(named_parameters(net)) do
    local decay, scale, group = settings(options, entry)
    if group then used[group] = true end
    local item = {name = entry[1], tensor = entry[2], weight_decay = decay, lr_scale = scale}
    if item.tensor.requires_grad then make_slots(self, item) end
    self.items[i] = item
  end
  check_groups_used(self, used)
  return self
end

function Bound:__tostring()
  return ('%s bound to %d parameters, step %d'):format(self.description, #self.items, self.step_count:item())
end

-- -- the step -----------------------------------------------------------------------------------------------

-- One multiplier for all gradients: clip_norm / norm where the norm is larger, else 1.
local function clip_scale(clip_norm, ready)
  local gradients = {}
  for i, item in ipairs(ready) do gradients[i] = item.tensor.grad end
  return (clip_norm / (core.global_norm(gradients) + 1e-6)):clamp{max = 1}
end

local function scaled_rates(self)
  local rates = {[1] = self.lr}
  return function(scale)
    if not rates[scale] then rates[scale] = self.lr * scale end
    return rates[scale]
  end
end

local function update_all(self)
  local kind, ready = self.description.kind, {}
  for _, item in ipairs(self.items) do
    if item.tensor.grad then ready[#ready + 1] = item end
  end
  self.step_count:add_(1)
  local scale = self.options.clip_norm and #ready > 0 and clip_scale(self.options.clip_norm, ready) or nil
  local rate = scaled_rates(self)
  for _, item in ipairs(ready) do
    if not item.slots then make_slots(self, item) end
    kind.update(item.tensor, item.tensor.grad, item.slots, rate(item.lr_scale), self.step_count, scale,
      self.options, item.weight_decay)
    item.tensor.grad = nil
  end
end

--- Update every parameter that has a gradient, and take the gradients away.
function Bound:step() core.no_grad(update_all, self) end

--- Forget all gradients.
function Bound:zero_grad()
  for _, item in ipairs(self.items) do item.tensor.grad = nil end
end

--- Change a number between two steps; a plan that holds this optimizer goes on with it.
-- > opt:set{lr = 1e-3}
function Bound:set(changes)
  local o = args.spec('set', 'lr:number;')(changes)
  core.no_grad(self.lr.fill_, self.lr, o.lr)
  return self
end

-- -- checkpoints --------------------------------------------------------------------------------------------

--- The state in a fixed order: the step count, then each slot of each parameter.
-- @return list of {name, tensor}
function Bound:slots()
  local list = {{'step', self.step_count}}
  for _, slot in ipairs(self.slot_names) do
    for _, item in ipairs(self.items) do
      if item.slots then list[#list + 1] = {slot .. '.' .. item.name, item.slots[slot]} end
    end
  end
  return list
end

--- Take over state by name; every slot must be there in its shape.
-- @param tensors name -> tensor, named as in slots()
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

--- Take over what another optimizer of the same parameters knows: slots of the same name keep their values,
-- all others start afresh.
-- @return the names of the slots kept
function Bound:adopt(old)
  local kept, values = {}, {}
  for _, entry in ipairs(old:slots()) do values[entry[1]] = entry[2] end
  core.no_grad(function()
    for _, entry in ipairs(self:slots()) do
      local value = values[entry[1]]
      if value and value:numel() == entry[2]:numel() then
        entry[2]:copy_(value)
        kept[#kept + 1] = entry[1]
      end
    end
  end)
  return kept
end

return Bound
