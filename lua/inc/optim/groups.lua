--- Which parameter gets what: groups by name pattern, layer decay, and biases and norms without weight decay.
--
-- The first group whose Lua pattern fits a parameter's name counts, and only that one. Layer decay multiplies
-- the rate by layer_decay ^ (layers behind it), a layer being a child of the net in the order in which it was
-- given; a group that names its own lr_scale replaces that. Rejected: patterns that add up, because then
-- nobody
-- can say what a parameter gets without running the code.

local args = require 'inc.args'

local groups = {}

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

-- Place of each parameter's layer, counted from 1, and the number of layers.
local function layers_of(entries)
  local place, known, n = {}, {}, 0
  for i, entry in ipairs(entries) do
    local child = entry[1]:match '^[^.]+'
    if not known[child] then
      n = n + 1
      known[child] = n
    end
    place[i] = known[child]
  end
  return place, n
end

local function is_spared(options, entry)
  return not options.decay_norms and entry.owner ~= nil and (entry.owner.is_norm or entry.key == 'bias')
end

-- The first group that fits, and its place; all that fit are noted as used.
local function group_of(options, name, used)
  local first
  for i, group in ipairs(options.groups or {}) do
    if name:find(group.pattern) then
      first, used[group] = first or i, true
    end
  end
  return first and options.groups[first], first
end

local own_fields = {pattern = true, lr_scale = true, weight_decay = true, agc = true}

local function overrides_of(group)
  local out
  for name, v in pairs(group or {}) do
    if not own_fields[name] then
      out = out or {}
      out[name] = v
    end
  end
  return out
end

local function settle(item, options)
  local group, decay = item.group, item.spared and 0 or options.weight_decay
  item.weight_decay = group and group.weight_decay or decay
end

--- The parameters of a net in order, each with what an optimizer has for it: name, tensor, lr_scale,
-- weight_decay, agc, overrides (other numbers of its group).
function groups.items(description, net)
  local options, entries, used, items = description.options, named_parameters(net), {}, {}
  local place, layers = layers_of(entries)
  for i, entry in ipairs(entries) do
    local group, index = group_of(options, entry[1], used)
    local item = {name = entry[1], tensor = entry[2], group = group, group_index = index,
      spared = is_spared(options, entry), agc = group and group.agc, overrides = overrides_of(group)}
    item.lr_scale = group and group.lr_scale or options.layer_decay ^ (layers - place[i])
    settle(item, options)
    items[i] = item
  end
  for _, group in ipairs(options.groups or {}) do
    if not used[group] then
      args.fail('optim.%s: groups: %s fits no parameter', description.name, group.pattern)
    end
  end
  return items
end

--- After a number was set by hand.
function groups.change(items, before, now)
  if before.weight_decay == now.weight_decay then return end
  for _, item in ipairs(items) do settle(item, now) end
end

return groups
