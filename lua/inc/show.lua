--- show: pictures as a contact sheet; and values as text (show.value), which the prompt uses.
--
-- show(x) takes whatever has pictures: tensors, files, data, predictions, the filters of a net. What it is
-- shown with is decided in show/sheet.lua: the terminal's own pictures where it answers that it has them,
-- coloured half blocks, or a PNG whose path is told. How a value prints is in show/text.lua.

local args = require 'inc.args'
local text = require 'inc.show.text'

local show = {value = text.value, tensor = text.tensor}

local spec = args.spec('show', 'what:any...; n:int=12, columns:int?, size:int?, captions:strings?, ' ..
  'labels:any?, predicted:any?, classes:strings?, layout:enum(nchw|nhwc)?, range:numbers?, ' ..
  'part:enum(train|val)=train, augment:enum(inception|light|none|eval)?, seed:int=1, file:string?')

local function checked(given)
  local plain = type(given) == 'table' and not getmetatable(given)
  local o = spec(plain and given or {given})
  for _, key in ipairs{'n', 'columns', 'size'} do
    if o[key] and o[key] < 1 then args.fail('show: %s: expected at least 1, got %d', key, o[key]) end
  end
  return o
end

--- A contact sheet of pictures, with captions: in the terminal, or as a PNG.
-- @name inc.show
-- @param what any of: tensors of pictures (u8 or float; [3, H, W], [N, 3, H, W], one channel instead of
--   three, or channels last; with another number of channels each is a grey picture); picture files;
--   data.folder{...} and its parts; what predict{...} answered; a net or layer (the filters of its first
--   convolution). One value may stand alone
-- @param n at most so many pictures, evenly spread (12)
-- @param columns in a row; as many as fit when left out
-- @param size pixels of a picture's longer side; 26 in half blocks and 192 otherwise when left out
-- @param captions a list of strings; or labels and predicted (lists or tensors, counting from 1) with
--   `classes`, which mark what is wrong
-- @param layout 'nchw' or 'nhwc', where the shape leaves it open
-- @param range {black, white} of float pictures; 0 to 1 if all values lie there, else least to largest
-- @param part, augment, seed for data: 'train' or 'val', and what batches would make of the pictures
-- @param file write a PNG here; without one, where the terminal shows no pictures, it goes to
--   ~/.cache/incsh/sheets, where the newest 20 stay
-- > show{flowers, n = 12, file = 'sheet.png'}
local function show_pictures(_, given, more)
  if more ~= nil then
    args.fail('show: expected one table, got two values: write show{...%s}',
      math.type(more) == 'integer' and ', n = ' .. more or '')
  end
  local o = checked(given)
  local list, note = require 'inc.show.pictures'.all(o)
  require 'inc.show.sheet'.show(list, o, note)
end

return setmetatable(show, {__call = show_pictures, __name = 'inc.show'})
