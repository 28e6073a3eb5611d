--- data: pictures in a folder, as classes, a training and a held-out part, and batches of both.
--
--   flowers = data.folder{'photos', val = 0.2, seed = 1}
--   for x, y in flowers.train:batches{32} do ... end
--
-- The work is C's (core/data): this file checks options, names what is wrong with a folder once, and prints.
-- Pictures stay files until a batch wants them; a part is only a list of numbers. Nothing here depends on the
-- number of workers, on the time, or on where the folder lies. Rejected: a class of data sets to derive from,
-- as PyTorch has it: it puts the user's code between the threads and the pictures.

local core = require 'inc.core'
local args = require 'inc.args'

local data = {}

local Folder, Part = {}, {}
Folder.__index, Part.__names = Folder, Part
args.object('folder', Folder)
args.object('part', Part)

local function note(...) require 'inc'.note(...) end

-- -- parts --------------------------------------------------------------------------------------------------

local function new_part(folder, name)
  return setmetatable({
    folder = folder, name = name, classes = folder.classes, images = folder.images,
    indices = folder.images:indices(name),
  }, Part)
end

function Part:__len() return #self.indices end

function Part:__tostring()
  local n, classes = #self.indices, #self.classes
  return ('%s: %d pictures in %d classes of %s'):format(self.name, n, classes, self.folder.root)
end

local function picture_number(self, i)
  local n = math.type(i) == 'integer' and self.indices[i < 0 and #self.indices + 1 + i or i]
  if n then return n end
  args.fail('%s: expected a picture from 1 to %d, got %s', self.name, #self.indices, args.show(i))
end

--- part:item(i): the i-th picture as {file = , class = , label = }; negative counts from the end.
-- > flowers.train:item(1).class
function Part:item(i)
  local item = self.images:item(picture_number(self, i))
  return {file = self.folder.root .. '/' .. item.path, class = self.classes[item.label], label = item.label}
end

--- part:image(i): the i-th picture whole, upright, as a u8 tensor [3, H, W].
-- > flowers.val:image(-1):dtype()  --> u8
function Part:image(i) return core.image(self:item(i).file) end

--- part[i] is part:item(i) with its picture beside it, part[-1] the last; nil behind the last, so that ipairs
-- goes through a part.
function Part:__index(key)
  if math.type(key) ~= 'integer' then return Part[key] end
  if key == 0 or math.abs(key) > #self.indices then return nil end
  local item = self:item(key)
  item.picture = core.image(item.file)
  return item
end

local view_options = 'augment:enum(inception|light|none|eval)?, size:int=299, crop:number?, ' ..
  'short_side:int?, filter:enum(bilinear|nearest|bicubic|area)?, antialias:bool?, flip:bool?, ' ..
  'colour:bool?, area:numbers?, aspect:numbers?, seed:int=1'

local batches_spec = args.spec('batches', 'batch:int=32; ' .. view_options ..
  ', shuffle:bool?, workers:int=0, epoch:int=1, epochs:int=1, index:int=1, bad:enum(skip|stop)=skip')

-- Names each bad picture once in the life of a folder, however often it is met.
local function name_bad(folder, list)
  for _, b in ipairs(list) do
    if not folder.named[b.picture] then
      folder.named[b.picture] = true
      local path = folder.images:item(b.picture).path
      folder.bad[#folder.bad + 1] = {file = path, why = b.why}
      note('bad picture left out: %s: %s', path, b.why)
    end
  end
end

--- part:batches{32, seed = 1}: an iterator over pixels u8 [N, 3, size, size] (channels-last in memory)
-- and labels i64 [N], which count from 1. A third value has the numbers of the pictures in the folder's list.
--
-- The training part is shuffled by (seed, epoch) and its last short batch left out; the held-out part comes
-- in order, each picture once. Leaving the loop early stops the threads.
-- @param batch pictures in a batch
-- @param augment 'inception' (crop, four filters, mirror, colours), 'light' (crop, mirror), 'none' (the
--   whole picture squeezed to a square) or 'eval' (its centre). Training takes 'inception', the rest 'eval'
-- @param size side of the square
-- @param crop share of each side that 'eval' keeps, 0.875; short_side (pixels) resizes first, as torchvision
-- @param filter bilinear, bicubic, area or nearest instead of the view's own
-- @param area, aspect {low, high} of random crops: share of the picture, width / height
-- @param seed of order and augmentation
-- @param epoch, epochs, index first epoch, how many, and first batch of it, from 1
-- @param shuffle random order and whole batches, or in order
-- @param workers threads; 0: half the cores
-- @param bad 'skip' or 'stop' at a picture that cannot be read
-- > for x, y in flowers.train:batches{32, seed = 1} do print(x, y) end
function Part:batches(given)
  if type(given) == 'number' then given = {given} end
  local o = batches_spec(given)
  local train = o.shuffle
  if train == nil then train = self.name == 'train' end
  o.part, o.train = self.name, train
  o.augment = o.augment or (self.name == 'train' and 'inception' or 'eval')
  o.epochs = o.epoch - 1 + o.epochs
  local loader, folder = core.loader(self.images, o), self.folder
  return function()
    local x, y, picture = loader:next()
    name_bad(folder, loader:bad())
    if not x then loader:close() end
    return x, y, picture
  end, nil, nil, loader
end

-- -- folders ------------------------------------------------------------------------------------------------

local folder_spec = args.spec('data.folder',
  'path:string; val:number=0.2, seed:int=1, workers:int=0, classes:strings?, decode:bool=false')

local function wrap(images)
  local info = images:info()
  local self = setmetatable({
    images = images, root = info.root, info = info, classes = images:classes(), warnings = images:warnings(),
    bad = {}, named = {},
  }, Folder)
  for _, i in ipairs(images:indices 'bad') do
    local item = images:item(i)
    self.bad[#self.bad + 1] = {file = item.path, why = item.why}
    self.named[i] = true
  end
  self.train, self.val = new_part(self, 'train'), new_part(self, 'val')
  return self
end

--- A folder of pictures: one sub-folder a class, or train/ and val/ above those.
--
-- The result has `classes` (names in byte order; label i is classes[i]), `train` and `val` (see batches),
-- `bad` (list of {file = , why = }), `warnings` and `root`. What is wrong is named on stderr. A picture's
-- part goes by a hash of its file name, so it stays where it is when others are added.
-- @param path the folder, first value
-- @param val share held out, from 0 to below 1; a folder with train/ and val/ keeps its own split
-- @param seed of the split
-- @param classes names to use instead of the folder's own (those of a trained net); others are an error
-- @param decode look at every pixel now, not only at headers: slower, and finds all bad pictures
-- @param workers threads that read; 0: one a core
-- > flowers = data.folder{'photos', val = 0.2, seed = 1}
function data.folder(given)
  if type(given) == 'string' then given = {given} end
  local o = folder_spec(given)
  local self = wrap(core.images_scan(o.path, o))
  for _, text in ipairs(self.warnings) do note('warning: %s', text) end
  for _, b in ipairs(self.bad) do note('bad picture left out: %s: %s', b.file, b.why) end
  return self
end

--- The list of pictures that a run keeps, as data.folder gave it; no picture is looked at.
-- @param file the list's file
-- > data.list 'runs/first/pictures.txt'
function data.list(file) return wrap(core.images_load(file)) end

--- folder:save(file): write the list of pictures; data.list reads it.
-- > flowers:save 'pictures.txt'
function Folder:save(file) core.images_save(self.images, file) end

--- folder:diff(now): what differs in another scan, a list of {kind = , path = }; kind is 'missing', 'new' or
-- 'changed'.
-- > #flowers:diff(data.folder{'photos'})  --> 0
function Folder:diff(now) return core.images_diff(self.images, now.images) end

function Folder:__len() return self.info.train + self.info.val end

local MAX_ROWS = 24 -- classes that are printed

local function table_row(width, name, train, val)
  return ('  %s%s %7s %7s'):format(name, (' '):rep(width - (utf8.len(name) or #name)), train, val)
end

function Folder:__tostring()
  local lines, width = {}, 5
  local train, val = self.images:counts 'train', self.images:counts 'val'
  for _, name in ipairs(self.classes) do width = math.max(width, math.min(utf8.len(name) or #name, 40)) end
  lines[1] = ('%d pictures in %d classes, %s'):format(#self, #self.classes, self.root)
  lines[2] = table_row(width, 'class', 'train', 'val')
  for i = 1, math.min(#self.classes, MAX_ROWS) do
    lines[#lines + 1] = table_row(width, self.classes[i], train[i], val[i])
  end
  if #self.classes > MAX_ROWS then lines[#lines + 1] = ('  ... %d more'):format(#self.classes - MAX_ROWS) end
  lines[#lines + 1] = table_row(width, 'all', self.info.train, self.info.val)
  if #self.bad > 0 then lines[#lines + 1] = ('  %d bad, left out: see .bad'):format(#self.bad) end
  return table.concat(lines, '\n')
end

local show_spec = args.spec('show', 'n:int=12; part:enum(train|val)=train, file:string?, ' .. view_options)

--- folder:show(12): a contact sheet, in the terminal where it is one, otherwise a PNG whose path is printed.
-- @param n pictures, spread evenly over the part
-- @param part 'train' or 'val'
-- @param file write a PNG here
-- @param augment what batches would make of them: 'light', 'inception', ...
-- > flowers:show{12, augment = 'inception', file = 'sheet.png'}
function Folder:show(given)
  if type(given) == 'number' then given = {given} end
  local o = show_spec(given)
  require 'inc.data.sheet'(self[o.part], o)
end

--- image 'rose.jpg': a picture (JPEG or PNG), upright, as a u8 tensor [3, H, W].
-- > data.image 'rose.jpg'
data.image = core.image

--- What a loader would make of one picture: a u8 tensor [3, size, size].
-- @param picture a u8 tensor [3, H, W], first value
-- @param augment, size, crop, filter, ... as for batches; 'eval' when left out
-- @param seed of the augmentation
-- > data.view{inc.image 'rose.jpg', augment = 'light', seed = 3}
function data.view(given)
  local o = data.view_spec(given)
  return core.image_view(o.picture, o)
end
data.view_spec = args.spec('data.view', 'picture:tensor; ' .. view_options)

--- Write a picture to a PNG file.
-- @param path the file
-- @param picture a u8 tensor [3, H, W]
-- > data.save_image('grey.png', inc.full{3, 8, 8, value = 128, dtype = 'u8'})
function data.save_image(path, picture) core.image_save(path, picture) end

return data
