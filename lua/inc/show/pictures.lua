--- What a user hands to show, as pictures: a list of {picture = u8 [3, H, W], caption =, wrong =}.
--
-- Only the pictures that will be shown are made. Floats become bytes by one range for all of them, so that
-- brightness can be compared; which one is told in a note.

local core = require 'inc.core'
local args = require 'inc.args'

local pictures = {}

-- Numbers of n of `count` things, evenly spread, so that every class is likely to be seen.
local function choose(count, n)
  local list, shown = {}, math.min(n, count)
  for k = 1, shown do list[k] = (2 * k - 1) * count // (2 * shown) + 1 end
  return list
end

-- -- tensors -----------------------------------------------------------------------------------------------

local function shape_text(t) return '[' .. table.concat(t:shape(), ', ') .. ']' end

local function is_colour(n) return n == 3 or n == 1 end

-- Where the shape leaves it open, channels first: that is how tensors are here.
local function is_nhwc(shape, o)
  if o.layout then return o.layout == 'nhwc' end
  local n = #shape
  return n >= 3 and is_colour(shape[n]) and not is_colour(shape[n - 2])
end

-- Any tensor of pictures as [N, C, H, W].
local function as_batch(t, o)
  local shape = t:shape()
  if #shape < 2 or #shape > 4 or t:numel() == 0 then
    args.fail('show: expected pictures of 2 to 4 dims such as [N, 3, H, W], got %s', shape_text(t))
  end
  if #shape == 2 then return t:view{1, 1, shape[1], shape[2]} end
  if #shape == 3 then
    t, shape = t:unsqueeze(1), {1, shape[1], shape[2], shape[3]}
  end
  return is_nhwc(shape, o) and t:permute{1, 4, 2, 3} or t
end

local function limits(list)
  local low, high = math.huge, -math.huge
  for _, t in ipairs(list) do
    low, high = math.min(low, t:min():item()), math.max(high, t:max():item())
  end
  return low, high
end

-- The range of all float pictures: {black, white}, and a note where it was chosen by looking.
local function range_of(list, o)
  local floats = {}
  for _, t in ipairs(list) do
    if t:dtype() ~= 'u8' then floats[#floats + 1] = t:cast 'f32' end
  end
  if #floats == 0 then return nil end
  if o.range then return o.range end
  local low, high = limits(floats)
  if low >= 0 and high <= 1 then return {0, 1} end
  return {low, high}, ('black is %.4g, white is %.4g'):format(low, high)
end

-- [C, H, W] as u8 [3, H, W].
local function as_bytes(t, range)
  if t:dtype() ~= 'u8' then
    local span = range[2] - range[1]
    local grey = (t:cast 'f32' - range[1]) * (255 / (span ~= 0 and span or 1))
    t = grey:clamp{min = 0, max = 255}:round():cast 'u8'
  end
  local shape = t:shape()
  return (shape[1] == 1 and t:expand{3, shape[2], shape[3]} or t):contiguous()
end

-- One picture a sample; with other than 1 or 3 channels, one grey picture a channel of the first sample.
local function from_tensor(t, o, list)
  t = as_batch(t:detach(), o)
  local shape = t:shape()
  local by_channel = not is_colour(shape[2])
  if by_channel then t = t[1]:unsqueeze(2) end
  for _, i in ipairs(choose(t:shape()[1], o.n)) do
    list[#list + 1] = {values = t[i], number = i, caption = by_channel and 'channel ' .. i or nil}
  end
end

local function to_bytes(list, o)
  local tensors = {}
  for _, p in ipairs(list) do tensors[#tensors + 1] = p.values end
  local range, note = range_of(tensors, o)
  for _, p in ipairs(list) do
    if p.values then p.picture, p.values = as_bytes(p.values, range), nil end
  end
  return note
end

-- -- captions ----------------------------------------------------------------------------------------------

local function as_list(v)
  if args.is_tensor(v) then
    local shape = v:shape()
    if #shape == 2 then v = v:argmax{dim = 2} end -- logits, or probabilities
    return v:view{-1}:tolist()
  end
  return v
end

local function class_name(label, o)
  local n = math.tointeger(label)
  return n and o.classes and o.classes[n] or args.show(n or label)
end

local function add_captions(list, o)
  local labels, predicted = as_list(o.labels), as_list(o.predicted)
  for place, p in ipairs(list) do
    local i = p.number or place
    local label, guess = labels and labels[i], predicted and predicted[i]
    if o.captions then p.caption = o.captions[i]
    elseif guess and label then
      p.wrong = guess ~= label
      p.caption = class_name(guess, o) .. (p.wrong and ', is ' .. class_name(label, o) or '')
    elseif guess or label then p.caption = class_name(guess or label, o) end
  end
end

-- -- everything else ---------------------------------------------------------------------------------------

local function field(v, name) return type(v) == 'table' and rawget(v, name) end

local function from_part(part, o, list)
  local size = o.size or 299
  for _, i in ipairs(choose(#part, o.n)) do
    local view = {size = size, augment = o.augment or 'eval', seed = o.seed, number = i}
    if not o.augment then view.short_side = size end
    list[#list + 1] = {picture = core.image_view(part:image(i), view), caption = part:item(i).class}
  end
end

local function from_prediction(answer, o, list)
  for _, i in ipairs(choose(#answer.pictures, o.n)) do
    local p = answer.pictures[i]
    local ok, picture = pcall(core.image, p.file)
    if ok then
      local top = p.top[1]
      list[#list + 1] = {picture = picture, caption = ('%s %.0f%%'):format(top.class, 100 * top.confidence)}
    end
  end
end

-- The filters of the first convolution: its first weight of four dims, those of colours before others.
local function from_net(net, o, list)
  local found
  for _, entry in ipairs(net:named_parameters()) do
    local shape = entry[2]:shape()
    if #shape == 4 and (not found or is_colour(shape[2]) and not is_colour(found[2]:shape()[2])) then
      found = entry
    end
  end
  if not found then args.fail 'show: expected a net with a convolution in it' end
  local count = #list
  from_tensor(found[2], {n = math.max(o.n, 64), layout = 'nchw'}, list)
  return ('filters of %s, %d of %s'):format(found[1], #list - count, shape_text(found[2]))
end

local function add(item, o, list)
  if args.is_tensor(item) then return from_tensor(item, o, list) end
  if args.is_module(item) then return from_net(item, o, list) end
  if type(item) == 'string' then
    list[#list + 1] = {picture = core.image(item), caption = item:match '[^/]*$'}
  elseif field(item, 'images') and field(item, 'train') then
    return from_part(item[o.part], o, list)
  elseif field(item, 'images') and field(item, 'indices') then
    return from_part(item, o, list)
  elseif field(item, 'pictures') then
    return from_prediction(item, o, list)
  elseif type(item) == 'table' and not getmetatable(item) and item[1] ~= nil then
    for _, each in ipairs(item) do add(each, o, list) end
  else
    args.fail('show: expected pictures (tensors, files, data, predictions, a net), got %s',
      args.show(item))
  end
end

--- All pictures of a call, and a note that belongs under them, or nil.
-- @param o the checked options of show
function pictures.all(o)
  local list, notes = {}, {}
  for _, item in ipairs(o.what) do notes[#notes + 1] = add(item, o, list) end
  for i = o.n * #o.what + 1, #list do
    if #notes == 0 then list[i] = nil end -- several files: the first n
  end
  notes[#notes + 1] = to_bytes(list, o)
  add_captions(list, o)
  return list, notes[1] and table.concat(notes, '; ') or nil
end

return pictures
