--- Exponential moving average of the weights.
--
-- Averaged are the parameters that train and the running statistics of layers that are not frozen, as the
-- Inception release does it; all else is the net's own. The decay warms up, min(decay, (1 + n) / (10 + n)) at
-- the n-th update, or short runs would be averaged with their random start. n is a tensor, so a planned step
-- holds the update and counts by itself. The averages are a second set of tensors and are never swapped into
-- the net: a checkpoint taken between a swap and its undoing is the classic way to lose weights.

local core = require 'inc.core'
local args = require 'inc.args'

local ema = {}

local spec = args.spec('optim.ema', 'decay:number; warmup:bool=true')

local Description = {}
Description.__index = Description

local Average = {}
Average.__index = Average

--- Describe an average of weights: `ema = 0.9999` in train is optim.ema{0.9999}.
-- @param decay weight of the past
-- @param warmup false uses the full decay from the first step
-- > optim.ema{0.9999}
function ema.describe(given)
  if type(given) == 'number' then given = {given} end
  local options = spec(given)
  if not (options.decay >= 0 and options.decay < 1) then
    args.fail('optim.ema: decay: expected at least 0 and less than 1, got %s', args.show(options.decay))
  end
  return setmetatable({options = options}, Description)
end

function Description:__tostring() return spec:describe(self.options) end

--- Plain values for config.json.
function Description:to_table() return {decay = self.options.decay, warmup = self.options.warmup} end

local function copy_of(tensor)
  local shape = tensor:shape()
  shape.dtype = tensor:dtype()
  local fresh = core.zeros(shape)
  core.no_grad(fresh.copy_, fresh, tensor)
  return fresh
end

local function averaged(entry)
  if entry.kind == 'parameter' then return entry[2].requires_grad end
  return not entry.owner.frozen and entry[2]:dtype():find 'f' ~= nil
end

--- Start averaging a net from its present weights.
-- @return an object with step(), named_tensors() and slots()
function Description:bind(net)
  local self_ = setmetatable({description = self, entries = net:state(), count = core.tensor(0)}, Average)
  for _, entry in ipairs(self_.entries) do
    if averaged(entry) then entry.average = copy_of(entry[2]) end
  end
  self_.weight = core.tensor(1 - self.options.decay)
  return self_
end

--- (for optim) Averages that somebody else moves, in this form: step() does nothing and there are no slots.
-- @param entries net:state() with `average` in each entry that has one
function ema.of_entries(entries)
  return setmetatable({entries = entries, elsewhere = true}, Average)
end

local function update(self)
  local o = self.description.options
  self.count:add_(1)
  local decay = o.warmup and ((self.count + 1) / (self.count + 10)):clamp{max = o.decay}
  local weight = decay and 1 - decay or self.weight
  for _, entry in ipairs(self.entries) do
    if entry.average then entry.average:lerp_(entry[2], weight) end
  end
end

--- Move the averages towards the weights; call it after the optimizer's step.
function Average:step()
  if not self.elsewhere then core.no_grad(update, self) end
end

--- The averaged net as a weights file holds it: averages, and the net's own tensors where there is none.
-- @return list of {name, tensor}
function Average:named_tensors()
  local list = {}
  for i, entry in ipairs(self.entries) do list[i] = {entry[1], entry.average or entry[2]} end
  return list
end

--- State for checkpoints: the count, then the averages.
-- @return list of {name, tensor}
function Average:slots()
  if self.elsewhere then return {} end
  local list = {{'count', self.count}}
  for _, entry in ipairs(self.entries) do
    if entry.average then list[#list + 1] = {entry[1], entry.average} end
  end
  return list
end

--- Take over state by name.
-- @param tensors name -> tensor, named as in slots()
function Average:load_slots(tensors)
  for _, entry in ipairs(self:slots()) do
    if not tensors[entry[1]] then args.fail('ema: %s: is missing', entry[1]) end
  end
  core.no_grad(function()
    for _, entry in ipairs(self:slots()) do entry[2]:copy_(tensors[entry[1]]) end
  end)
end

--- Write the averages into another net of the same kind, such as a clone made for evaluation.
function Average:copy_to(net)
  local mine = self:named_tensors()
  core.no_grad(function()
    for i, entry in ipairs(net:state()) do entry[2]:copy_(mine[i][2]) end
  end)
  return net
end

return ema
