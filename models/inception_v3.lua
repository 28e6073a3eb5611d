--- Inception-v3 (Szegedy and others, arXiv 1512.00567) with its auxiliary head.
--
-- Structure and layer names are torchvision's, so the world's weights load without a map; start values, loss
-- and drop-out are those of TensorFlow's 2016 release. The two differ in one thing that no name shows: the
-- average pools inside the blocks leave padding out of the mean in the release (and in weights converted from
-- it), torchvision counts it. That is an option here, stored with the weights, as is the whole preprocessing.
-- luacheck: ignore 432 (a layer's forward names its own self)

local inc = require 'inc'
local args = require 'inc.args'
local preprocess = require 'inc.nn.preprocess'
local nn = inc.nn

--- Convolution without bias, batch norm, ReLU: the brick of which all else is made. A pooling branch hands
-- its average pool in: mean and 1x1 convolution are both linear, so the pool may come after the convolution,
-- where it has 32 to 192 channels to walk instead of 192 to 2048. The results differ by rounding only.
local BasicConv2d = nn.module('BasicConv2d',
  function(self, in_channels, out_channels, kernel_size, stride, padding, std)
    self.conv = nn.Conv2d{out_channels, in_channels = in_channels, kernel_size = kernel_size,
      stride = stride, padding = padding, bias = false, init = nn.init.truncated_normal{std or 0.1}}
    self.bn = nn.BatchNorm2d{out_channels}
    function self:forward(x, pool)
      local y = self.conv(x)
      return self.bn(pool and pool(y) or y):relu()
    end
  end)
BasicConv2d.atomic = true -- one line when printed, one row in a summary

local function conv(in_channels, out_channels, kernel_size, options)
  local o = options or {}
  return BasicConv2d{in_channels, out_channels, kernel_size,
    stride = o.stride, padding = o.padding, std = o.std}
end

local function pool3() return nn.AvgPool2d{3, stride = 1, padding = 1} end
local function reduce3() return nn.MaxPool2d{3, stride = 2} end
local function join(...) return inc.cat({...}, {dim = 2}) end

-- -- blocks -------------------------------------------------------------------------------------------------

--- 35x35: 1x1, 5x5, double 3x3 and pool branches.
local InceptionA = nn.module('InceptionA', function(self, in_channels, pool_features)
  self.branch1x1 = conv(in_channels, 64, 1)
  self.branch5x5_1 = conv(in_channels, 48, 1)
  self.branch5x5_2 = conv(48, 64, 5, {padding = 2})
  self.branch3x3dbl_1 = conv(in_channels, 64, 1)
  self.branch3x3dbl_2 = conv(64, 96, 3, {padding = 1})
  self.branch3x3dbl_3 = conv(96, 96, 3, {padding = 1})
  self.pool = pool3()
  self.branch_pool = conv(in_channels, pool_features, 1)
  function self:forward(x)
    local branch5x5 = self.branch5x5_2(self.branch5x5_1(x))
    local branch3x3dbl = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
    return join(self.branch1x1(x), branch5x5, branch3x3dbl, self.branch_pool(x, self.pool))
  end
end)

--- 35x35 to 17x17.
local InceptionB = nn.module('InceptionB', function(self, in_channels)
  self.branch3x3 = conv(in_channels, 384, 3, {stride = 2})
  self.branch3x3dbl_1 = conv(in_channels, 64, 1)
  self.branch3x3dbl_2 = conv(64, 96, 3, {padding = 1})
  self.branch3x3dbl_3 = conv(96, 96, 3, {stride = 2})
  self.pool = reduce3()
  function self:forward(x)
    local branch3x3dbl = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
    return join(self.branch3x3(x), branch3x3dbl, self.pool(x))
  end
end)

--- 17x17: 7x7 convolutions as 1x7 after 7x1.
local InceptionC = nn.module('InceptionC', function(self, in_channels, channels_7x7)
  local c7 = channels_7x7
  local row, column = {padding = {0, 3}}, {padding = {3, 0}}
  self.branch1x1 = conv(in_channels, 192, 1)
  self.branch7x7_1 = conv(in_channels, c7, 1)
  self.branch7x7_2 = conv(c7, c7, {1, 7}, row)
  self.branch7x7_3 = conv(c7, 192, {7, 1}, column)
  self.branch7x7dbl_1 = conv(in_channels, c7, 1)
  self.branch7x7dbl_2 = conv(c7, c7, {7, 1}, column)
  self.branch7x7dbl_3 = conv(c7, c7, {1, 7}, row)
  self.branch7x7dbl_4 = conv(c7, c7, {7, 1}, column)
  self.branch7x7dbl_5 = conv(c7, 192, {1, 7}, row)
  self.pool = pool3()
  self.branch_pool = conv(in_channels, 192, 1)
  function self:forward(x)
    local branch7x7 = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
    local branch7x7dbl = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
    branch7x7dbl = self.branch7x7dbl_5(self.branch7x7dbl_4(branch7x7dbl))
    return join(self.branch1x1(x), branch7x7, branch7x7dbl, self.branch_pool(x, self.pool))
  end
end)

--- 17x17 to 8x8.
local InceptionD = nn.module('InceptionD', function(self, in_channels)
  self.branch3x3_1 = conv(in_channels, 192, 1)
  self.branch3x3_2 = conv(192, 320, 3, {stride = 2})
  self.branch7x7x3_1 = conv(in_channels, 192, 1)
  self.branch7x7x3_2 = conv(192, 192, {1, 7}, {padding = {0, 3}})
  self.branch7x7x3_3 = conv(192, 192, {7, 1}, {padding = {3, 0}})
  self.branch7x7x3_4 = conv(192, 192, 3, {stride = 2})
  self.pool = reduce3()
  function self:forward(x)
    local branch7x7x3 = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
    return join(self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(branch7x7x3), self.pool(x))
  end
end)

--- 8x8: branches that end in a 1x3 beside a 3x1.
local InceptionE = nn.module('InceptionE', function(self, in_channels)
  local row, column = {padding = {0, 1}}, {padding = {1, 0}}
  self.branch1x1 = conv(in_channels, 320, 1)
  self.branch3x3_1 = conv(in_channels, 384, 1)
  self.branch3x3_2a = conv(384, 384, {1, 3}, row)
  self.branch3x3_2b = conv(384, 384, {3, 1}, column)
  self.branch3x3dbl_1 = conv(in_channels, 448, 1)
  self.branch3x3dbl_2 = conv(448, 384, 3, {padding = 1})
  self.branch3x3dbl_3a = conv(384, 384, {1, 3}, row)
  self.branch3x3dbl_3b = conv(384, 384, {3, 1}, column)
  self.pool = pool3()
  self.branch_pool = conv(in_channels, 192, 1)
  function self:forward(x)
    local a = self.branch3x3_1(x)
    local b = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
    return join(self.branch1x1(x), self.branch3x3_2a(a), self.branch3x3_2b(a), self.branch3x3dbl_3a(b),
      self.branch3x3dbl_3b(b), self.branch_pool(x, self.pool))
  end
end)

--- The auxiliary head on the last 17x17 block; it needs at least 5x5 there.
local InceptionAux = nn.module('InceptionAux', function(self, in_channels, classes)
  self.pool = nn.AvgPool2d{5, stride = 3}
  self.conv0 = conv(in_channels, 128, 1)
  self.conv1 = conv(128, 768, 5, {std = 0.01})
  self.avgpool = nn.AdaptiveAvgPool2d{1}
  self.fc = nn.Linear{classes, in_features = 768, init = nn.init.truncated_normal{0.001}}
  function self:forward(x)
    return self.fc(self.avgpool(self.conv1(self.conv0(self.pool(x)))):flatten{2})
  end
end)

-- -- the net ------------------------------------------------------------------------------------------------

local function add_stem(self)
  self.Conv2d_1a_3x3 = conv(3, 32, 3, {stride = 2})
  self.Conv2d_2a_3x3 = conv(32, 32, 3)
  self.Conv2d_2b_3x3 = conv(32, 64, 3, {padding = 1})
  self.maxpool1 = reduce3()
  self.Conv2d_3b_1x1 = conv(64, 80, 1)
  self.Conv2d_4a_3x3 = conv(80, 192, 3)
  self.maxpool2 = reduce3()
end

local function add_blocks(self)
  self.Mixed_5b = InceptionA{192, 32}
  self.Mixed_5c = InceptionA{256, 64}
  self.Mixed_5d = InceptionA{288, 64}
  self.Mixed_6a = InceptionB{288}
  self.Mixed_6b = InceptionC{768, 128}
  self.Mixed_6c = InceptionC{768, 160}
  self.Mixed_6d = InceptionC{768, 160}
  self.Mixed_6e = InceptionC{768, 192}
end

local to_17x17 = {
  'Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'maxpool1', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3', 'maxpool2',
  'Mixed_5b', 'Mixed_5c', 'Mixed_5d', 'Mixed_6a', 'Mixed_6b', 'Mixed_6c', 'Mixed_6d', 'Mixed_6e',
}
local to_8x8 = {'Mixed_7a', 'Mixed_7b', 'Mixed_7c', 'avgpool', 'dropout'}

local function through(self, x, names)
  for _, name in ipairs(names) do x = self:child(name)(x) end
  return x
end

local Inception3 = nn.module('Inception3', function(self, classes, aux, dropout)
  add_stem(self)
  add_blocks(self)
  if aux then self.AuxLogits = InceptionAux{768, classes} end
  self.Mixed_7a = InceptionD{768}
  self.Mixed_7b = InceptionE{1280}
  self.Mixed_7c = InceptionE{2048}
  self.avgpool = nn.AdaptiveAvgPool2d{1}
  self.dropout = nn.Dropout{dropout}
  self.fc = nn.Linear{classes, in_features = 2048, init = nn.init.truncated_normal{0.01}}
  self.loss_options = {label_smoothing = 0.1, aux_weight = 0.4}
  function self:forward(x)
    local grid17 = through(self, x, to_17x17)
    local head = self._child.AuxLogits
    local aux_logits = self.training and head and head(grid17)
    local logits = self.fc(through(self, grid17, to_8x8):flatten{2})
    if aux_logits then return logits, aux_logits end
    return logits
  end
end)

-- -- options ------------------------------------------------------------------------------------------------

local spec = args.spec('models.inception_v3',
  'classes:any?; aux:bool=true, weights:string?, pool_counts_padding:bool?, dropout:number=0.2, ' ..
  'bn_eps:number=1e-3, bn_momentum:number=0.1, bn_unbiased:bool=true, size:int?, crop:number?, ' ..
  'filter:string?, range:numbers?, mean:numbers?, std:numbers?')

-- What a weights file says about the in-block pools: true, false, or nil.
local function file_counts_padding(metadata)
  local said = metadata['model.pool_counts_padding']
  if said then return said == 'true' end
  if (metadata.layout or ''):find 'pools exclude padding' then return false end
end

local function fill_from_file(o, metadata)
  if o.pool_counts_padding == nil then o.pool_counts_padding = file_counts_padding(metadata) or false end
  o.classes = o.classes or math.tointeger(tonumber(metadata['model.classes'])) or 1000
  for key, value in pairs(preprocess.from_metadata(metadata)) do
    if o[key] == nil then o[key] = value end
  end
  o.range = o.range or {-1, 1} -- the release's
end

local function class_count(classes)
  local n = type(classes) == 'table' and #classes or classes
  if math.type(n) == 'integer' and n >= 1 then return n end
  args.fail('models.inception_v3: classes: expected a number or a list of names, got %s', args.show(classes))
end

local function build(o)
  local options = {
    AvgPool2d = {count_include_pad = o.pool_counts_padding},
    BatchNorm2d = {eps = o.bn_eps, momentum = o.bn_momentum, unbiased = o.bn_unbiased},
  }
  local n = class_count(o.classes)
  local net = nn.defaults(options, function() return Inception3{n, o.aux, o.dropout} end)
  net.preprocess = preprocess.new{
    size = o.size, crop = o.crop, filter = o.filter, range = o.range, mean = o.mean, std = o.std,
  }
  net.classes = type(o.classes) == 'table' and o.classes or nil
  net.config = {
    model = 'inception_v3', classes = n, aux = o.aux, pool_counts_padding = o.pool_counts_padding,
    dropout = o.dropout, bn_eps = o.bn_eps, bn_momentum = o.bn_momentum,
    bn_unbiased = o.bn_unbiased,
  }
  return net
end

--- Inception-v3. In training mode it returns logits and auxiliary logits, in evaluation mode logits.
-- @param classes how many, or a list of names; that of the weights, or 1000, when left out
-- @param aux false leaves the auxiliary head out
-- @param weights a safetensors file; heads of another size, or that it lacks, start afresh
-- @param pool_counts_padding whether the in-block average pools count padding; what the weights say, or false
-- @param dropout share dropped in front of the last layer
-- @param bn_eps, bn_momentum, bn_unbiased of all batch norms (nn.BatchNorm2d); the release trained with
--   bn_momentum = 0.0003 and bn_unbiased = false
-- @param size, crop, filter, range, mean, std preprocessing (nn.preprocess); what the weights say, or the
--   release's: 299, 0.875, bilinear, {-1, 1}
-- > net = models.inception_v3{classes = 5, weights = 'models/pretrained/inception_v3.safetensors'}
local function inception_v3(given)
  local o = spec(given)
  local file = o.weights and inc.weights.read(o.weights)
  fill_from_file(o, file and file.metadata or {})
  local net = build(o)
  if file then
    net.load_report = net:load(o.weights, {file = file, take = true, fresh = {'^fc%.', '^AuxLogits%.'}})
    inc.note('%s', net.load_report)
  end
  return net
end

return inception_v3
