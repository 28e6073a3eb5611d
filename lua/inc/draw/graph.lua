--- What flows where in a net, for drawing it: containers of nodes on a grid of columns and ranks.
--
-- The truth is a trace (as a plan has it): which op made which value, and in which layer. Ops are gathered
-- into layers, layers into the blocks that hold them, by the names of the tree. So a forward of one's own
-- is drawn as it computes: a layer called twice is there twice, a skip connection arrives where it is
-- added. Reading the tree alone was rejected: it knows what there is, not how it is joined.
--
-- A node is {kind = 'layer', 'op', 'block' or 'input', name, label, class, shape, rank, column, last_column,
-- from = nodes before it, entry = true when the container's own input reaches it, inner = container}.

local core = require 'inc.core'
local args = require 'inc.args'
local label = require 'inc.draw.label'

local graph = {}

-- Ops that only look at memory in another way: what they give is what they were given.
local views = {}
for name in ('view flatten permute transpose expand contiguous squeeze unsqueeze cast narrow select clone ' ..
  'slice index'):gmatch '%S+' do views[name] = true end

-- -- the trace ---------------------------------------------------------------------------------------------

local function parse_line(line)
  local outs, name, ins, scope = line:match '^(.-)%s*=%s*([%w_]+)(%b())%s*[%a]*%s*%-?%-?%s*([%w_.]*)'
  if not outs then return nil end -- it makes nothing, as updates of running statistics do
  local op = {name = name, scope = scope, ins = {}, outs = {}}
  for value, shape in outs:gmatch '%%(%d+):%w+%[([^%]]*)%]' do
    op.outs[#op.outs + 1] = tonumber(value)
    op.shape = op.shape or shape
  end
  for value in ins:gmatch '%%(%d+)' do op.ins[#op.ins + 1] = tonumber(value) end
  return op
end

local off = {dumps = true}
for pass in ('simplify fuse layout alias recompute hoist tile'):gmatch '%S+' do off[pass] = false end

local function in_mode(net, training, f)
  local modes = {}
  for i, entry in ipairs(net:named_modules()) do modes[i] = {entry[2], entry[2].training} end
  net:train(training)
  local _ <close> = args.finally(function()
    for _, mode in ipairs(modes) do rawset(mode[1], 'training', mode[2]) end
  end)
  return f()
end

local function traced(net, shape)
  local function once()
    return core.no_grad(function()
      local plan <close> = require 'inc.plan'.trace(function(x) return net(x) end,
        {{dtype = 'f32', shape = shape}}, off)
      return plan:dump 'trace'
    end)
  end
  local ok, text = pcall(in_mode, net, true, once) -- with the auxiliary head, if there is one
  if ok then return text end
  return in_mode(net, false, once)
end

-- -- layers ------------------------------------------------------------------------------------------------

local function is_composite(module) return #module._children > 0 and not module._class.atomic end

-- The layer that an op belongs to: its path and module, and whether it is the layer's or a container's own
-- op.
local function owner(net, scope)
  local module, path = net, {}
  for name in scope:gmatch '[^.]+' do
    if not is_composite(module) or not module._child[name] then break end
    module = module._child[name]
    path[#path + 1] = name
  end
  return path, module
end

-- Layers of the tree that were called inside another one (a pool handed to a convolution).
local function guest(net, unit, scope)
  local parent, inside = net, unit.path
  for i = 1, #inside - 1 do parent = parent._child[inside[i]] end
  local name = scope:match '([^.]+)$'
  local found = parent._child[name]
  local within = scope:find(table.concat(inside, '.') .. '.', 1, true) == 1
  return found and found ~= unit.module and within and found
end

local function add_op(state, op)
  local path, module = owner(state.net, op.scope)
  local composite = is_composite(module)
  local key = table.concat(path, '.')
  local unit = state.current
  if composite or not unit or unit.key ~= key then
    unit = {key = key, path = path, module = module, op = composite and op.name, from = {}, guests = {}}
    state.units[#state.units + 1] = unit
    state.current = unit
  end
  local visitor = not composite and guest(state.net, unit, op.scope)
  if visitor and unit.guests[#unit.guests] ~= visitor then unit.guests[#unit.guests + 1] = visitor end
  for _, value in ipairs(op.ins) do
    local source = state.maker[value]
    if source and source ~= unit then unit.from[#unit.from + 1] = source end
  end
  for _, value in ipairs(op.outs) do state.maker[value] = unit end
  unit.shape = op.shape
end

-- All layers that were called, in order.
local function units_of(net, text)
  local input = {key = '', path = {}, kind = 'input', from = {}}
  local state = {net = net, units = {}, maker = {[0] = input}}
  for line in text:gmatch '[^\n]+' do
    local op = parse_line(line)
    if op and (views[op.name] or #op.outs == 0) then
      for _, value in ipairs(op.outs) do state.maker[value] = state.maker[op.ins[1]] end
    elseif op then add_op(state, op) end
  end
  return state.units, input
end

-- -- columns and ranks -------------------------------------------------------------------------------------

local function before(a, b)
  if a.rank ~= b.rank then return a.rank < b.rank end
  if a.place ~= b.place then return a.place < b.place end
  return a.number < b.number
end

local function rank(nodes)
  for i, n in ipairs(nodes) do
    n.number, n.rank = i, 1
    for _, p in ipairs(n.from) do n.rank = math.max(n.rank, p.rank + 1) end
  end
  for i = #nodes, 1, -1 do -- how much comes behind a node, and who takes its column over
    local n = nodes[i]
    n.height = n.height or 1
    for _, p in ipairs(n.from) do
      if not p.height or p.height <= n.height + 1 then p.height, p.heir = n.height + 1, n end
    end
  end
end

local function leftmost(list)
  local best
  for _, p in ipairs(list) do
    if not best or p.lane.at < best.lane.at then best = p end
  end
  return best
end

local function new_lane(lanes, behind)
  local lane, at = {}, behind and behind.at + 1 or #lanes + 1
  table.insert(lanes, at, lane)
  for i, each in ipairs(lanes) do each.at = i end
  return lane
end

-- A node stands under the one whose heir it is; others get a column beside it.
local function columns(nodes)
  local order, lanes = table.move(nodes, 1, #nodes, 1, {}), {}
  table.sort(order, before)
  for _, n in ipairs(order) do
    local parents = {}
    for _, p in ipairs(n.from) do
      if p.heir == n then parents[#parents + 1] = p end
    end
    if parents[1] then n.lane = leftmost(parents).lane
    else n.lane = new_lane(lanes, n.from[1] and leftmost(n.from).lane) end
  end
  for _, n in ipairs(nodes) do
    n.column, n.last_column = n.lane.at, n.lane.at
  end
  for _, n in ipairs(nodes) do
    for _, p in ipairs(#n.from > 1 and n.from or {}) do
      n.column, n.last_column = math.min(n.column, p.column), math.max(n.last_column, p.column)
    end
    n.lane = nil
  end
  return #lanes
end

-- -- containers --------------------------------------------------------------------------------------------

local container

local function position(list, name)
  for i, each in ipairs(list) do
    if each == name then return i end
  end
  return #list + 1
end

-- Units of one level as groups: consecutive ones below one child are that child's.
local function group(units, depth, parent)
  local groups = {}
  for _, unit in ipairs(units) do
    local name = unit.path[depth + 1]
    local last = groups[#groups]
    if not name or not last or last.name ~= name then
      last = {name = name, units = {}, module = name and parent._child[name]}
      groups[#groups + 1] = last
    end
    table.insert(last.units, unit)
  end
  return groups
end

local function node_of(g, parent, depth, most)
  local first, node = g.units[1], {from = {}, name = g.name, place = position(parent._children, g.name)}
  node.shape = g.units[#g.units].shape
  if g.name and is_composite(g.module) then
    node.kind, node.class = 'block', g.module._class._short
    node.label = node.class
    if depth < most then node.inner = container(g.module, g.units, depth + 1, most) end
  elseif g.name then
    node.kind, node.class = 'layer', g.module._class._short
    node.label, node.colour = label.layer(g.module, first.guests)
  else
    node.kind, node.class = 'op', first.op
    node.label, node.colour = label.op(first.op), 'join'
  end
  return node
end

function container(module, units, depth, most)
  local nodes, of = {}, {}
  for i, g in ipairs(group(units, depth, module)) do
    nodes[i] = node_of(g, module, depth, most)
    for _, unit in ipairs(g.units) do of[unit] = nodes[i] end
    local known = {}
    for _, unit in ipairs(g.units) do
      for _, source in ipairs(unit.from) do
        local p = of[source]
        if not p then nodes[i].entry = true
        elseif p ~= nodes[i] and not known[p] then
          known[p] = true
          table.insert(nodes[i].from, p)
        end
      end
    end
  end
  rank(nodes)
  return {nodes = nodes, columns = columns(nodes)}
end

-- -- the whole ---------------------------------------------------------------------------------------------

local function first_layer(net)
  for _, entry in ipairs(net:named_modules()) do
    local short = entry[2]._class._short
    if short == 'Conv2d' or short == 'Linear' then return entry[2], short end
  end
end

--- Shapes to try where none was given: that of the preprocessing, or what the first layer takes.
function graph.guesses(net)
  local preprocess = net._plain.preprocess
  if preprocess and preprocess.size then return {{2, 3, preprocess.size, preprocess.size}} end
  local layer, kind = first_layer(net)
  local o = layer and layer.options or {}
  if kind == 'Linear' and o.in_features then return {{2, o.in_features}} end
  local list, channels = {}, kind == 'Conv2d' and (o.in_channels or 3) or 3
  for _, side in ipairs{299, 224, 96, 64, 32, 28, 16, 8} do list[#list + 1] = {2, channels, side, side} end
  return list
end

-- A single layer as a container.
local function lone(net, units)
  local node = {kind = 'layer', class = net._class._short, from = {}, entry = true, place = 1,
    shape = units[#units] and units[#units].shape}
  node.label, node.colour = label.layer(net)
  rank{node}
  return {nodes = {node}, columns = columns{node}}
end

--- The net as a container, and {name, input = shape, parameters = count}.
-- @param net any layer
-- @param shape of an input; found out where it can be when left out
-- @param most so many levels of blocks are opened; deeper ones are one box
function graph.of(net, shape, most)
  local text, why
  for _, each in ipairs(shape and {shape} or graph.guesses(net)) do
    local ok, result = pcall(traced, net, each)
    if ok then
      text, shape = result, each
      break
    end
    why = why or result
  end
  if not text and not shape then
    args.fail('draw: expected the shape of an input, as in net:draw{input = {2, 3, 64, 64}}: without it, %s',
      tostring(why))
  elseif not text then error(why, 0) end
  local units = units_of(net, text)
  local inner = is_composite(net) and container(net, units, 0, most) or lone(net, units)
  return inner, {name = net._class._short, input = shape, parameters = net:count_parameters()}
end

return graph
