--- nn.Sequential and nn.Concat, and `a | b`, which makes a Sequential.
--
-- Children come by position, names in a list beside them: named fields of a table would have no order. Concat
-- only calls cat; that its branches write into one buffer is the planner's business.

local core = require 'inc.core'
local args = require 'inc.args'
local base = require 'inc.nn.module'

local function add_children(self, children, names)
  if names and #names ~= #children then
    args.fail('%s: names: expected %d names, got %d', self._class._name, #children, #names)
  end
  for i, child in ipairs(children) do
    local name = names and names[i] or tostring(i)
    if name:find '[^%w_]' or name == '' then
      args.fail('%s: names: expected letters, digits and _, got %s', self._class._name, args.show(name))
    elseif self._child[name] then
      args.fail('%s: names: %s is there twice', self._class._name, name)
    end
    self[name] = child
  end
end

--- Layers one after the other. Children are named '1', '2', ... unless names are given.
-- @param children the layers
-- @param names a list of as many names
-- > nn.Sequential{nn.Linear{16}, nn.ReLU{}, names = {'fc', 'act'}}
local Sequential = base.class('nn.Sequential', 'children:module...; names:strings?')

function Sequential:setup(o)
  add_children(self, o.children, o.names)
  self.options = {names = o.names, children = {}}
end

function Sequential:forward(x)
  for _, name in ipairs(self._children) do x = self._child[name](x) end
  return x
end

--- What `a | b` makes. `a | b | c` is one Sequential of three: a pipe is laid out flat unless it has names.
function Sequential.compose(a, b)
  local list = {}
  for _, side in ipairs{a, b} do
    if not args.is_module(side) then args.fail('|: expected layers on both sides, got %s', type(side)) end
    if side._class == Sequential and not side.options.names and not rawget(side, '_name') then
      for _, entry in ipairs(side:children()) do list[#list + 1] = entry[2] end
    else
      list[#list + 1] = side
    end
  end
  return Sequential(list)
end

--- Branches side by side on one input; their outputs are joined on the channels.
-- @param children the branches
-- @param names a list of as many names
-- > nn.Concat{nn.Conv2d{8, kernel_size = 1}, nn.Identity{}}
local Concat = base.class('nn.Concat', 'children:module...; names:strings?')

Concat.setup = Sequential.setup

function Concat:forward(x)
  local outputs = {}
  for i, name in ipairs(self._children) do outputs[i] = self._child[name](x) end
  return core.cat(outputs, {dim = 2})
end

return {Sequential = Sequential, Concat = Concat}
