--- A net of the user's, as it was before a call that was refused.
--
-- train gives the net that it was handed a size, dropout, classes, frozen parameters and weights from a file
-- before it can know that a plan of it fits in memory, or that its answers are as many as the classes.
-- Checking all of that on a copy first was rejected: a copy costs the memory that may be short, at every call
-- and not only at those that fail.

local core = require 'inc.core'
local args = require 'inc.args'

local undo = {}

local fields = {'p', 'preprocess', 'classes', 'frozen'} -- plain ones, of the net or of a layer

local function remember(module)
  local was = {module = module, plain = {}, frozen = {}, grads = {}}
  for _, name in ipairs(fields) do was.plain[name] = rawget(module, '_plain')[name] end
  for key in pairs(module._frozen) do was.frozen[key] = true end
  for _, key in ipairs(module._params) do
    local tensor = module._tensor[key]
    if tensor then was.grads[key] = tensor.requires_grad end
  end
  return was
end

local function put_back(was)
  local module = was.module
  for _, name in ipairs(fields) do
    if rawget(module, '_plain')[name] ~= was.plain[name] then module[name] = was.plain[name] end
  end
  rawset(module, '_frozen', was.frozen)
  for _, key in ipairs(module._params) do
    local tensor, grad = module._tensor[key], was.grads[key]
    if grad == nil then grad = not was.frozen[key] end -- made meanwhile
    if tensor then tensor:requires_grad_(grad) end
  end
end

-- A copy of all values; nil where there are none yet.
local function values_of(net)
  for _, entry in ipairs(net:named_modules()) do
    if rawget(entry[2], '_unbuilt') then return nil end
  end
  return net:clone():state()
end

local function write(net, values)
  core.no_grad(function()
    for i, entry in ipairs(net:state()) do entry[2]:copy_(values[i][2]) end
  end)
end

--- For `local _ <close> = undo.after_error(net)`: where the block ends in an error the net is as it was
-- before it. Parameters that waited for a first input are there then.
-- @param net a net, or nil
-- @param with_values true where weights may be overwritten too: they are copied
function undo.after_error(net, with_values)
  local list, values = {}, nil
  for i, entry in ipairs(net and net:named_modules() or {}) do list[i] = remember(entry[2]) end
  if net and with_values then values = values_of(net) end
  return args.finally(function(_, err)
    if err == nil then return end
    for _, was in ipairs(list) do put_back(was) end
    if values then write(net, values) end
  end)
end

return undo
