--- How pictures become the numbers that a net was trained on: size, crop, filter and range.
--
-- One record, stored with the weights, so that training, evaluation and prediction can never disagree. The
-- decoder cuts and resizes (size, crop, filter: facts for inc.data); what is left, from u8 to float, is one
-- op in front of the net. In a weights file each field is a metadata string of its own, "input.size" = "299":
-- every safetensors reader shows them, and nothing has to be parsed twice.

local core = require 'inc.core'
local args = require 'inc.args'

local Preprocess = {}
Preprocess.__index = Preprocess
args.object('preprocess', Preprocess)

local spec = args.spec('nn.preprocess',
  'size:int=299; crop:number=0.875, filter:enum(bilinear|bicubic|area|nearest)=bilinear, ' ..
  'range:numbers={0 1}, mean:numbers={0 0 0}, std:numbers={1 1 1}')

local preprocess = {}

--- A preprocessing record. A pixel p of 0..255 becomes ((lo + p / 255 * (hi - lo)) - mean) / std.
-- @param size side of the square that the net sees
-- @param crop central part of the picture, per side, that is resized to it
-- @param filter bilinear, bicubic, area or nearest
-- @param range {lo, hi}, {0, 1} when left out
-- @param mean, std a number for each channel
-- > nn.preprocess{size = 224, range = {-1, 1}}
function preprocess.new(given)
  return setmetatable(spec(given), Preprocess)
end

function Preprocess:__tostring() return spec:describe(self) end

-- p * scale + shift, one of each a channel.
local function coefficients(self)
  local lo, hi, scale, shift = self.range[1], self.range[2], {}, {}
  for c = 1, #self.mean do
    scale[c] = (hi - lo) / 255 / self.std[c]
    shift[c] = (lo - self.mean[c]) / self.std[c]
  end
  return core.tensor(scale), core.tensor(shift)
end

local function normalize(x, scale, shift)
  return core.normalize(x, scale, shift, {dtype = core.precision()})
end

--- u8 pictures [N, 3, H, W] to floats in this record's range.
-- > nn.preprocess{}:apply(inc.full{1, 3, 2, 2, value = 255, dtype = 'u8'}):mean():item()  --> 1.0
function Preprocess:apply(x)
  if not self.scale then self.scale, self.shift = coefficients(self) end
  return normalize(x, self.scale, self.shift)
end

local ones = setmetatable({}, {__mode = 'v'}) -- for each number of channels; gone when nobody uses them

--- u8 values to floats in [0, 1]: what layers do that are given pictures without a record.
function preprocess.unit_range(x)
  if x:dim() ~= 4 then return x:cast(core.precision()) * (1 / 255) end
  local channels = x:size(2)
  local scale, shift = ones[channels], ones[-channels]
  if not (scale and shift) then
    scale, shift = core.full{channels, value = 1 / 255}, core.zeros{channels}
    ones[channels], ones[-channels] = scale, shift
  end
  return normalize(x, scale, shift)
end

-- -- in weights files ---------------------------------------------------------------------------------------

local function join(list)
  local parts = {}
  for i, v in ipairs(list) do parts[i] = ('%.17g'):format(v) end
  return table.concat(parts, ' ')
end

local function split(text)
  local list = {}
  for word in (text or ''):gmatch '[^%s,]+' do list[#list + 1] = tonumber(word) end
  return #list > 0 and list or nil
end

--- The record as metadata strings.
-- > nn.preprocess{}:to_metadata()['input.size']  --> 299
function Preprocess:to_metadata()
  return {
    ['input.size'] = tostring(self.size), ['input.crop'] = ('%.17g'):format(self.crop),
    ['input.filter'] = self.filter, ['input.range'] = join(self.range), ['input.mean'] = join(self.mean),
    ['input.std'] = join(self.std),
  }
end

--- What the metadata of a weights file says about preprocessing: a table of the options of preprocess.new,
-- with only what is said. Reads our own fields, and sentences such as "RGB, 299x299, scaled to [0,1]".
function preprocess.from_metadata(metadata)
  local text = metadata.input or ''
  local lo, hi = text:match '%[%s*(%-?[%d.]+)%s*,%s*(%-?[%d.]+)%s*%]'
  return {
    size = math.tointeger(tonumber(metadata['input.size'] or text:match '(%d+)%s*x%s*%d+')),
    crop = tonumber(metadata['input.crop']), filter = metadata['input.filter'],
    range = split(metadata['input.range']) or lo and {tonumber(lo), tonumber(hi)} or nil,
    mean = split(metadata['input.mean']), std = split(metadata['input.std']),
  }
end

return preprocess
