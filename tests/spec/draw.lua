-- Diagrams of nets: what flows where, and what is drawn of it.
-- luacheck: ignore 432 (a layer's forward names its own self)

local graph, text, svg = require 'inc.draw.graph', require 'inc.draw.text', require 'inc.draw.svg'

local function conv(i, o, k, options)
  options = options or {}
  options[1], options.in_channels, options.kernel_size = o, i, k or 1
  return nn.Conv2d(options)
end

-- Nodes as 'name or label <- names', the input being '*'.
local function flow(container)
  local out = {}
  for i, n in ipairs(container.nodes) do
    local from = {n.entry and '*' or nil}
    for _, p in ipairs(n.from) do from[#from + 1] = p.name or p.label end
    out[i] = ('%s <- %s'):format(n.name or n.label, table.concat(from, ' '))
  end
  return out
end

local function draw(net, o)
  local lines, real = {}, print
  _G.print = function(line) lines[#lines + 1] = line end
  local ok, why = pcall(net.draw, net, o)
  _G.print = real
  if not ok then error(why, 0) end
  return table.concat(lines, '\n')
end

local Branches = nn.module('Branches', function(self)
  self.a = conv(3, 4)
  self.b1 = conv(3, 4)
  self.b2 = conv(4, 4, 3, {padding = 1})
  self.b3 = conv(4, 4, 3, {padding = 1})
  self.c = conv(3, 4)
  function self:forward(x)
    local b = self.b1(x)
    local c = self.c(x)
    return inc.cat({self.a(x), self.b2(b), self.b3(b), c}, {dim = 2})
  end
end)

test('branches are columns in the order of the tree, whatever the order of calls', function()
  local c = graph.of(Branches{}, {2, 3, 8, 8}, 2)
  check.equal(flow(c), {'b1 <- *', 'c <- *', 'a <- *', 'b2 <- b1', 'b3 <- b1', 'concat <- a b2 b3 c'})
  local at = {}
  for _, n in ipairs(c.nodes) do at[n.name or n.label] = {n.column, n.last_column, n.rank} end
  check.equal(at, {a = {1, 1, 1}, b1 = {2, 2, 1}, b2 = {2, 2, 2}, b3 = {3, 3, 2}, c = {4, 4, 1},
    concat = {1, 4, 3}})
  for _ = 1, 50 do
    local again = graph.of(Branches{}, {2, 3, 8, 8}, 2)
    check.equal(again.nodes[6].last_column, 4)
  end
end)

local Residual = nn.module('Residual', function(self)
  self.conv = conv(3, 3, 3, {padding = 1})
  self.act = nn.ReLU{}
  function self:forward(x) return self.act(self.act(self.conv(x)) + x) end
end)

test('a skip connection arrives where it is added, a layer called twice is there twice', function()
  local c = graph.of(Residual{}, {2, 3, 8, 8}, 2)
  check.equal(flow(c), {'conv <- *', 'act <- conv', 'add <- * act', 'act <- add'})
  check.contains(draw(Residual{}, {input = {2, 3, 8, 8}}), 'from input, act')
end)

test('the diagram in text', function()
  local net = nn.Sequential{conv(3, 3, 3, {stride = 2, padding = 1}), Branches{}, nn.AdaptiveAvgPool2d{1},
    nn.Flatten{}, nn.Linear{5}, names = {'stem', 'mixed', 'pool', 'flat', 'fc'}}
  local c, info = graph.of(net, {2, 3, 8, 8}, 2)
  check.equal(text.draw(c, info, {unicode = false}), [[
Sequential: 513 parameters
input                   3 x 8 x 8
stem   3x3 conv, 3 /2   3 x 4 x 4
+ mixed Branches -> 16 x 4 x 4 --+
| 1x1 4  1x1 4           1x1 4   |
|        3x3 4  ` 3x3 4          |
| ---------- concat ----------   |
+--------------------------------+
pool   global avg pool  16 x 1 x 1
fc     linear, 5        5]])
  check.contains(draw(net, {depth = 1}), 'mixed')
  check.equal(select(2, text.draw(c, info, {unicode = true}):gsub('[│╭╰]', '')) > 0, true)
end)

test('deeper blocks are one box', function()
  local net = nn.Sequential{nn.Sequential{Branches{}, names = {'inner'}}, names = {'outer'}}
  check.equal(graph.of(net, {2, 3, 8, 8}, 1).nodes[1].inner.nodes[1].inner, nil)
  check.equal(#graph.of(net, {2, 3, 8, 8}, 3).nodes[1].inner.nodes[1].inner.nodes, 6)
end)

-- Boxes of a picture that stand on one another without one holding the other.
local function overlaps(picture)
  local boxes, found = {}, {}
  for _, m in ipairs(picture.marks) do
    if m.mark == 'box' then boxes[#boxes + 1] = m end
  end
  local function holds(a, b)
    return a.x <= b.x and a.y <= b.y and a.x + a.w >= b.x + b.w and a.y + a.h >= b.y + b.h
  end
  for i, a in ipairs(boxes) do
    for j = i + 1, #boxes do
      local b = boxes[j]
      local apart = a.x + a.w <= b.x or b.x + b.w <= a.x or a.y + a.h <= b.y or b.y + b.h <= a.y
      if not apart and not holds(a, b) and not holds(b, a) then found[#found + 1] = i .. ' ' .. j end
    end
    check.ok(a.x >= 0 and a.y >= 0 and a.x + a.w <= picture.w and a.y + a.h <= picture.h, 'on the page')
  end
  return found, #boxes
end

test.slow('Inception-v3: blocks as blocks, nothing on anything else', function()
  local net = models.inception_v3{classes = 7}
  local said = draw(net)
  local lines = 0
  for line in said:gmatch '[^\n]+' do
    lines = lines + 1
    check.ok((utf8.len(line) or #line) <= 80, 'wider than 80: ' .. line)
  end
  check.ok(lines < 100, lines .. ' lines')
  for _, part in ipairs{'Mixed_5b InceptionA', 'AuxLogits InceptionAux', 'from Mixed_6e', 'linear, 7',
    'Mixed_7c InceptionE', 'Inception3: 24.36 M parameters'} do check.contains(said, part) end
  for columns = 1, 4 do
    local c, info = graph.of(net, nil, 2)
    info.title = 'x'
    local found, boxes = overlaps(svg.layout(c, info, {columns = columns}))
    check.equal(found, {})
    check.ok(boxes > 100 and boxes < 150, boxes .. ' boxes')
  end
end)

test('files: SVG of our own, hostile titles, and what is refused', function()
  local dir, net = tmp(), Residual{}
  net:draw{dir .. '/a.svg', input = {2, 3, 8, 8}, title = '<b>&"\'`touch pwned`\n</svg>'}
  local written = read_file(dir .. '/a.svg')
  check.contains(written, '&lt;b&gt;&amp;&quot;')
  check.equal(select(2, written:gsub('</svg>', '')), 1)
  check.contains(written, '3×3 conv, 3')
  check.raises(net.draw, 'draw: ' .. dir .. '/a.gif: expected a name that ends in .svg, .png or .pdf', net,
    dir .. '/a.gif')
  check.raises(net.draw, 'draw: depth: expected at least 1, got 0', net, {depth = 0})
  check.raises(net.draw, 'draw: columns: expected at least 1, got 0', net, {columns = 0})
  check.raises(net.draw, 'draw: colums: unknown option (did you mean columns?)', net, {colums = 2})
  check.raises(net.draw, '~conv2d: x: expected', net, {input = {1}})
  local odd = nn.module('Odd', function(self)
    function self:forward() error 'never' end
  end){}
  check.raises(odd.draw, '~draw: expected the shape of an input, as in net:draw', odd)
  if sh 'command -v gnuplot'.status ~= 0 then skip 'gnuplot is not installed' end
  net:draw{dir .. '/a.png', input = {2, 3, 8, 8}, title = "'; system('touch pwned') #"}
  check.ok(inc.image(dir .. '/a.png'):numel() > 1000)
end)

test('drawing changes nothing of the net', function()
  local net = nn.Sequential{conv(3, 4), nn.BatchNorm2d{4}}
  net:eval()
  local mean = net[2].running_mean:tolist()
  draw(net, {input = {2, 3, 8, 8}})
  check.equal(net.training, false)
  check.equal(net[2].training, false)
  check.equal(net[2].running_mean:tolist(), mean)
end)
