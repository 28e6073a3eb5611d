--- Weights files: nets to safetensors and back, by name.
--
-- Loading is checked whole before the first number is written, so a failed load leaves the net as it was.
-- What the net has and the file lacks, or has in another shape, is an error, except for names that the caller
-- declares `fresh` (the head of a net with other classes): those keep their start values. What only the file
-- has is skipped. All three are in the report, and nothing is ever silently half loaded.

local core = require 'inc.core'
local args = require 'inc.args'
local base = require 'inc.nn.module'

local weights = {}

--- Read a safetensors file.
-- @return {names = in the file's order, tensors = by name, metadata = strings by name}
function weights.read(path)
  local names, tensors, metadata = core.load(path)
  return {names = names, tensors = tensors, metadata = metadata or {}}
end

-- -- saving -------------------------------------------------------------------------------------------------

local function sorted_strings(metadata)
  local out = {}
  for key, value in pairs(metadata) do out[key] = tostring(value) end
  return out
end

--- What a file of this net says about it: preprocessing, classes, and the options that build it again.
function weights.metadata_of(net)
  local out = {}
  for key, value in pairs(net.preprocess and net.preprocess:to_metadata() or {}) do out[key] = value end
  for key, value in pairs(net.config or {}) do
    out[key == 'model' and key or 'model.' .. key] = tostring(value)
  end
  if net.classes then out.classes = table.concat(net.classes, '\n') end
  return out
end

--- Write a net, an ordered list of {name, tensor}, or one tensor; see inc.save.
function weights.save(path, what, metadata)
  if type(path) ~= 'string' then args.fail('save: expected a path first, got %s', type(path)) end
  local net = args.is_module(what) and what
  local all = net and weights.metadata_of(net) or {}
  for key, value in pairs(metadata or {}) do all[key] = value end
  if net then
    what = net:state()
  elseif args.is_tensor(what) then
    what = {{'tensor', what}}
  elseif type(what) ~= 'table' then
    args.fail('save: expected a net, a tensor, or a list of {name, tensor}, got %s', type(what))
  elseif #what == 0 and next(what) ~= nil then
    args.fail('save: expected a list of {name, tensor} (names as keys have no order), got %s = ...',
      tostring((next(what))))
  end
  local Run = package.loaded['inc.run']
  if not (Run and net) then return core.save(path, what, sorted_strings(all)) end
  Run.resting(net, core.save, path, what, sorted_strings(all)) -- a net in training: between two steps
end

-- -- loading ------------------------------------------------------------------------------------------------

local Report = {}
Report.__index = Report

local function some(names)
  if #names <= 4 then return table.concat(names, ', ') end
  return table.concat(names, ', ', 1, 3) .. (' and %d more'):format(#names - 3)
end

function Report:__tostring()
  local text = ('loaded %d tensors from %s'):format(#self.loaded, self.path)
  if #self.skipped > 0 then
    text = text .. ('; skipped %d of the file: %s'):format(#self.skipped, some(self.skipped))
  end
  if #self.created > 0 then
    text = text .. ('; started %d afresh: %s'):format(#self.created, some(self.created))
  end
  return text
end

local function fits(name, patterns)
  for _, pattern in ipairs(patterns) do
    if name:find(pattern) then return true end
  end
  return false
end

local function same_shape(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- Layers that wait for their first input can learn its size from the file's weights.
local function size_waiting_layers(net, file)
  for _, entry in ipairs(net:named_modules()) do
    local prefix, module = entry[1], entry[2]
    local first = module._params[1] or module._buffers[1]
    local tensor = first and file.tensors[prefix == '' and first or prefix .. '.' .. first]
    if tensor and module.size_from then module:size_from(tensor:shape()) end
  end
end

local function shape_text(tensor) return '[' .. table.concat(tensor:shape(), ', ') .. ']' end

local function plan_loading(net, file, fresh)
  local report = setmetatable({loaded = {}, skipped = {}, created = {}, path = file.path}, Report)
  local copies, used = {}, {}
  for _, entry in ipairs(net:state()) do
    local name, tensor = entry[1], entry[2]
    local given = file.tensors[name]
    local fitting = given and same_shape(given:shape(), tensor:shape())
    used[name] = fitting
    if fitting then
      copies[#copies + 1] = {tensor, given}
      table.insert(report.loaded, name)
    elseif fits(name, fresh) then
      table.insert(report.created, name)
    elseif given then
      args.fail('load: %s: %s: expected shape %s, got %s', file.path, name, shape_text(tensor),
        shape_text(given))
    else
      args.fail('load: %s: %s: the net has it, the file does not', file.path, name)
    end
  end
  for _, name in ipairs(file.names) do
    if not used[name] and not name:find 'num_batches_tracked$' then table.insert(report.skipped, name) end
  end
  if #copies == 0 then args.fail('load: %s: no tensor of this net is in it', file.path) end
  return report, copies
end

local spec = args.spec('load', 'fresh:strings?; file:table?, take:bool=false')

--- Load a net's parameters and running statistics by name.
-- @param net the net; its tensors are overwritten in place, so optimizers stay bound
-- @param path a safetensors file
-- @param options fresh = Lua patterns of names that may be missing or have another shape: they keep their
--   start values; file = the result of weights.read(path), when it is at hand;
--   take = true when nobody else wants that file's tensors: the net may keep them
-- @return a report with loaded, skipped and created names; it prints as one sentence
function weights.load_into(net, path, options)
  local o = spec(options)
  local file = o.file or weights.read(path)
  file.path = path
  size_waiting_layers(net, file)
  local blank = base.expecting(file.tensors, function() net:state() end, o.take or not o.file)
  local _ <close> = args.finally(function(_, err) -- start values, where no others come
    for module in pairs(err ~= nil and blank or {}) do module:build_parameters() end
  end)
  local report, copies = plan_loading(net, file, o.fresh or {})
  core.no_grad(function()
    for _, pair in ipairs(copies) do
      if not rawequal(pair[1], pair[2]) then pair[1]:copy_(pair[2]) end
    end
  end)
  return report
end

return weights
