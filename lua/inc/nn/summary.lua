--- Looking at nets: printing, summary, end_points.
--
-- All three rest on base.watching, which shows each layer's output as it is made; nothing is stored on the
-- layers, so a net that was looked at holds no tensors from it. Summary and build trace the net in evaluation
-- mode, as a plan would, and drop the graph: shapes of any batch in milliseconds, whatever a forward of one's
-- own does. A forward that cannot be traced, because it looks at values, is run on zeros instead.

local core = require 'inc.core'
local args = require 'inc.args'
local base = require 'inc.nn.module'

local Module = base.Module

-- -- printing -----------------------------------------------------------------------------------------------

-- What is known of a layer without making anything: the shape of its first parameter, and how many numbers
-- all of them hold; nil while it waits for its values.
local function known(module)
  local shape, count
  for _, entry in ipairs(module:named_modules()) do
    for _, key in ipairs(entry[2]._params) do
      local tensor = entry[2]._tensor[key]
      if not tensor then return nil end
      shape, count = shape or tensor:shape(), (count or 0) + tensor:numel()
    end
  end
  return shape, count
end

-- Lines as {text, remark}; a remark is a comment of Lua, so that the text stays what Lua reads.
local function tree(self, indent, lines, label)
  local children = not self._class.atomic and self._children or {}
  local shape, count = known(self)
  if #children == 0 then
    local remark = count and ('[%s] %d'):format(table.concat(shape, ', '), count)
    lines[#lines + 1] = {indent .. label .. self:describe_call(), remark}
    return
  end
  lines[#lines + 1] = {indent .. label .. self:describe_call():gsub('{}$', '') .. ' {', count}
  for _, name in ipairs(children) do
    tree(self._child[name], indent .. '  ', lines, name:find '^%d+$' and '' or name .. ': ')
  end
  lines[#lines + 1] = {indent .. '}'}
end

local WIDEST = 60 -- column behind which remarks no longer stand in one line below each other

-- What there is room for: all of a remark, its last word (the count), or nothing.
local function remark_for(line, room)
  local remark = tostring(line[2])
  for _, text in ipairs{remark, remark:match '%S+$'} do
    if #line[1] + #text + 5 <= room then return '  -- ' .. text end
  end
  return ''
end

local function with_remarks(lines)
  local room = require 'inc.show.columns'.room()
  local width, out = 0, {}
  for _, line in ipairs(lines) do
    local stands = line[2] and #line[1] <= WIDEST and #line[1] + #tostring(line[2]) + 5 <= room
    if stands then width = math.max(width, #line[1]) end
  end
  for i, line in ipairs(lines) do
    local padded = line[1] .. (' '):rep(width - #line[1])
    out[i] = line[1]
    if line[2] and #padded + #tostring(line[2]) + 5 <= room then
      out[i] = ('%s  -- %s'):format(padded, line[2])
    elseif line[2] then out[i] = line[1] .. remark_for(line, room) end
  end
  return table.concat(out, '\n')
end

--- The call that makes this layer, without what is inside it.
function Module:describe_call()
  return self._class._spec:describe(self.options)
end

--- The text of print: the call that makes a layer, or the tree of a net. In a tree a comment says the shape
-- of a layer's weight and how many parameters it has, where they are made already.
-- > print(nn.Sequential{nn.Linear{2, in_features = 3}, nn.ReLU{}}:build{1, 3})
function Module:describe()
  local lines = {}
  tree(self, '', lines, '')
  return #lines == 1 and lines[1][1] or with_remarks(lines)
end

-- -- running once to see shapes -----------------------------------------------------------------------------

local function quietly(self, f)
  local modes = {}
  for i, entry in ipairs(self:named_modules()) do modes[i] = {entry[2], entry[2].training} end
  self:eval()
  local _ <close> = args.finally(function()
    for _, mode in ipairs(modes) do rawset(mode[1], 'training', mode[2]) end
  end)
  return core.no_grad(f)
end

local function check_shape(name, shape)
  if type(shape) ~= 'table' or #shape == 0 then
    args.fail('%s: expected a shape such as {32, 3, 299, 299}, got %s', name, args.show(shape))
  end
end

local finished = {} -- what ends a trace whose graph nobody wants

local function run_blank(self, shape)
  rawset(self, '_seen', shape)
  quietly(self, function()
    local _, why = pcall(core.plan_trace, function(x)
      self(x)
      error(finished, 0)
    end, {{dtype = 'f32', shape = shape}})
    if why ~= finished then self(core.zeros(shape)) end
  end)
end

--- Make all parameters, finding left-out input channels from an input of this shape. Returns the net.
-- > net:build{32, 3, 299, 299}
function Module:build(shape)
  check_shape('build', shape)
  run_blank(self, shape)
  return self
end

-- -- summary ------------------------------------------------------------------------------------------------

local Summary = {}
Summary.__index = Summary

local function units(n)
  for _, unit in ipairs{{1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}, {1e3, 'k'}} do
    if n >= unit[1] then return ('%.2f %s'):format(n / unit[1], unit[2]) end
  end
  return ('%d'):format(n)
end

local function cells(row)
  return {row.name, row.layer, row.output and '[' .. table.concat(row.output, ', ') .. ']' or '',
    units(row.parameters), units(row.flops), units(row.bytes)}
end

function Summary:__tostring()
  local rows = {{'name', 'layer', 'output', 'parameters', 'FLOPs', 'bytes'}}
  for _, row in ipairs(self) do rows[#rows + 1] = cells(row) end
  rows[#rows + 1] = cells(self.total)
  local lines = require 'inc.show.columns'.lines(rows, {right = {[4] = true, [5] = true, [6] = true},
    shrink = {1}, least = 24, keep_end = true, drop = {2}})
  if self.input then table.insert(lines, 1, 'for an input ' .. args.show(self.input)) end
  return table.concat(lines, '\n')
end

local function own_parameters(module)
  if module._class.atomic then return module:count_parameters() end
  local n = 0
  for _, key in ipairs(module._params) do n = n + module[key]:numel() end
  return n
end

local element_bytes = {f32 = 4, bf16 = 2, f16 = 2, f64 = 8, u8 = 1, i32 = 4, i64 = 8}

local function collect(self, rows, names)
  local inside, pending = {}, {} -- children of an atomic layer add their FLOPs to its row
  for _, entry in ipairs(self:named_modules()) do
    if entry[2]._class.atomic then
      for _, child in ipairs(entry[2]:named_modules()) do
        if child[2] ~= entry[2] then inside[child[2]] = entry[2] end
      end
    end
  end
  return function(module, x, ...)
    local y = ...
    local leaf = #module._children == 0 or module._class.atomic
    if not leaf or not args.is_tensor(y) then return ... end
    local flops = module.flops and module:flops(x:shape(), y:shape()) or pending[module] or 0
    local owner = inside[module]
    if owner then
      pending[owner] = (pending[owner] or 0) + flops
    else
      rows[#rows + 1] = {
        name = names[module], layer = module._class._short, output = y:shape(), flops = flops,
        parameters = own_parameters(module), bytes = y:numel() * element_bytes[y:dtype()],
      }
    end
    return ...
  end
end

-- The shape of an input, found out: the one that was last run, or one that the net can do with.
local function guessed(self)
  if rawget(self, '_seen') then return rawget(self, '_seen') end
  for _, shape in ipairs(require 'inc.draw.graph'.guesses(self)) do
    if pcall(run_blank, self, shape) then return shape end
  end
  args.fail 'summary: expected the shape of an input, as in net:summary{32, 3, 299, 299}'
end

--- A row a layer: name, output shape, parameters, FLOPs (two for a multiplication with addition), and bytes
-- of the output. The result prints as a table; summary[i] has the fields of row i and summary.total the sums.
-- @param shape of an input; that of the last build or summary when left out, or what the net's
--   preprocessing or first layer takes
-- > net:summary{32, 3, 299, 299}
function Module:summary(shape)
  local guess = not shape and guessed(self)
  shape = shape or guess
  check_shape('summary', shape)
  local rows, names = setmetatable({input = guess or nil}, Summary), {}
  for _, entry in ipairs(self:named_modules()) do names[entry[2]] = entry[1] end
  base.watching(collect(self, rows, names), run_blank, self, shape)
  local total = {name = 'total', layer = '', parameters = self:count_parameters(), flops = 0, bytes = 0}
  for _, row in ipairs(rows) do
    total.flops, total.bytes = total.flops + row.flops, total.bytes + row.bytes
  end
  rows.total = total
  return rows
end

-- -- intermediate values ------------------------------------------------------------------------------------

--- The outputs of named layers for input x, as the net computes them in its present mode.
-- @param names a list of paths; the outputs of all children when left out
-- @return a table: name -> tensor
-- > net:end_points(x, {'Mixed_6e', 'avgpool'})
function Module:end_points(x, names)
  local wanted, found = {}, {}
  for _, name in ipairs(names or self._children) do wanted[self:find(name)] = name end
  base.watching(function(module, _, ...)
    if wanted[module] then found[wanted[module]] = (...) end
    return ...
  end, self, x)
  return found
end

return Module
