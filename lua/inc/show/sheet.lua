--- A contact sheet: pictures in rows with a caption under each, drawn where they can be seen.
--
-- A terminal that answers that it shows pictures gets one (plot/screen.lua asks). Any other with colours
-- gets half blocks: a character is about twice as high as wide, so the upper half block with its two
-- colours is two square pixels. Everything else gets a PNG, whose path is told. Captions in pictures are
-- set in letters of our own (core/data/glyphs.c); a font engine would be the largest dependency of the
-- program.

local core = require 'inc.core'
local args = require 'inc.args'
local screen = require 'inc.plot.screen'
local host = require 'inc.host'

local sheet = {}

local CELL = 26      -- pixels of a picture's side in half blocks
local LEAST = 18     -- so few, where all then fit the screen
local THUMB = 192    -- and elsewhere
local SMALL = 16     -- pictures up to this side are shown with square pixels
local GAP = 8
local LETTER_W, LINE = 12, 20 -- of captions, pixels
local WHITE, BLACK, RED = 255, {20, 20, 20}, {190, 20, 20}

-- -- thumbnails --------------------------------------------------------------------------------------------

-- The whole picture in a square of `side` pixels, white at the edges where it is not square.
local function thumbnail(picture, side)
  local shape = picture:shape()
  local h, w = shape[2], shape[3]
  local long = math.max(h, w)
  if h ~= w then
    local square = core.full{3, long, long, value = WHITE, dtype = 'u8'}
    local y, x = (long - h) // 2, (long - w) // 2
    square[{{}, {y + 1, y + h}, {x + 1, x + w}}] = picture
    picture = square
  end
  local filter = long <= SMALL and 'nearest' or 'bilinear'
  return core.image_view(picture, {size = side, augment = 'none', filter = filter, antialias = true})
end

-- Text as one line of at most n characters.
local function clean(text, n)
  text = (text or ''):gsub('%c', '?')
  local length = utf8.len(text)
  if not length then text, length = text:gsub('[\128-\255]', '?'), #text end
  return length > n and args.clip(text, n - 1) .. '~' or text
end

local function pad(text, n) return text .. (' '):rep(n - (utf8.len(text) or #text)) end

-- -- half blocks -------------------------------------------------------------------------------------------

local function true_colour()
  local v = os.getenv 'COLORTERM'
  return v == 'truecolor' or v == '24bit'
end

-- The nearest of the 6 by 6 by 6 colours that every terminal with 256 of them has.
local function of_cube(r, g, b)
  local function level(v) return v < 48 and 0 or v < 115 and 1 or math.min(5, (v - 35) // 40) end
  return 16 + 36 * level(r) + 6 * level(g) + level(b)
end

local function paint(kind, r, g, b, full)
  if full then return ('\27[%d8;2;%d;%d;%dm'):format(kind, r, g, b) end
  return ('\27[%d8;5;%dm'):format(kind, of_cube(r, g, b))
end

local function half_blocks(rgb, y, side, full)
  local cells = {}
  local down = math.min(y + 1, side)
  for x = 1, side do
    cells[x] = paint(3, rgb[1][y][x], rgb[2][y][x], rgb[3][y][x], full) ..
      paint(4, rgb[1][down][x], rgb[2][down][x], rgb[3][down][x], full) .. '▀'
  end
  return table.concat(cells) .. '\27[0m'
end

local function blocks_row(row, side, lines)
  local pixels, captions, any = {}, {}, false
  for k, p in ipairs(row) do
    pixels[k] = thumbnail(p.picture, side):tolist()
    local text = pad(clean(p.caption, side), side)
    captions[k] = p.wrong and '\27[31m' .. text .. '\27[0m' or text
    any = any or p.caption ~= nil
  end
  for y = 1, side, 2 do
    local pieces = {}
    for k = 1, #row do pieces[k] = half_blocks(pixels[k], y, side, true_colour()) end
    lines[#lines + 1] = table.concat(pieces, ' ')
  end
  if any then lines[#lines + 1] = table.concat(captions, ' ') end
end

local function columns_in(width, side, o, count)
  return math.min(o.columns or count, math.max(1, (width + 1) // (side + 1)))
end

-- The largest side with which all are seen at once, together with a note and the prompt; else the usual one.
local function side_in_blocks(count, o, width, height)
  if o.size then return math.min(o.size, width) end
  for side = CELL, LEAST, -2 do
    local columns = columns_in(width, side, o, count)
    local rows = (count + columns - 1) // columns * (side // 2 + 1)
    if rows + 2 <= height then return side end
  end
  return math.min(CELL, width)
end

-- The sheet in half blocks, for a screen so many characters wide and high.
local function as_blocks(list, o, width, height)
  local side = side_in_blocks(#list, o, width, height)
  local columns = columns_in(width, side, o, #list)
  local lines = {}
  for first = 1, #list, columns do
    blocks_row({table.unpack(list, first, math.min(first + columns - 1, #list))}, side, lines)
  end
  return table.concat(lines, '\n')
end

-- -- pictures ----------------------------------------------------------------------------------------------

local plain = { -- our letters are ASCII
  a = 'àáâãäå', c = 'ç', e = 'èéêë', i = 'ìíîï', n = 'ñ', o = 'òóôõöø', u = 'ùúûü', y = 'ýÿ', A = 'ÀÁÂÃÄÅ',
  C = 'Ç', E = 'ÈÉÊË', I = 'ÌÍÎÏ', N = 'Ñ', O = 'ÒÓÔÕÖØ', U = 'ÙÚÛÜ', Y = 'Ý', ss = 'ß', ae = 'æ',
}
local plain_of = {}
for letter, list in pairs(plain) do
  for _, code in utf8.codes(list) do plain_of[utf8.char(code)] = letter end
end

-- Without marks on letters, for captions in pictures.
local function folded(text)
  if not text or not utf8.len(text) then return text end
  return (text:gsub(utf8.charpattern, plain_of))
end

-- Captions may take two lines; a break goes to a blank where there is one.
local function caption_lines(text, side)
  local n = math.max(1, side // LETTER_W)
  text = clean(folded(text), 2 * n)
  if (utf8.len(text) or #text) <= n then return {text} end
  local head = text:sub(1, (utf8.offset(text, n + 2) or #text + 1) - 1)
  local at = head:match '^.*() ' or utf8.offset(text, n + 1)
  return {text:sub(1, at - 1), clean(text:sub(at):gsub('^ ', ''), n)}
end

local function most_lines(list, side)
  local most = 0
  for _, p in ipairs(list) do
    if p.caption then most = math.max(most, #caption_lines(p.caption, side)) end
  end
  return most
end

--- (for tests and evaluate) The sheet as one picture, u8 [3, H, W].
-- @param list of {picture =, caption =, wrong =}
-- @param columns pictures in a row
-- @param side pixels of a picture's side
function sheet.compose(list, columns, side)
  local rows, lines = (#list + columns - 1) // columns, most_lines(list, side)
  local step_x, step_y = side + GAP, side + GAP + (lines > 0 and lines * LINE + GAP // 2 or 0)
  local all = core.full{3, rows * step_y + GAP, columns * step_x + GAP, value = WHITE, dtype = 'u8'}
  for k, p in ipairs(list) do
    local y, x = (k - 1) // columns * step_y + GAP, (k - 1) % columns * step_x + GAP
    all[{{}, {y + 1, y + side}, {x + 1, x + side}}] = thumbnail(p.picture, side)
  end
  for k, p in ipairs(list) do
    local y, x = (k - 1) // columns * step_y + GAP + side, (k - 1) % columns * step_x + GAP
    local colour = p.wrong and RED or BLACK
    for i, line in ipairs(p.caption and caption_lines(p.caption, side) or {}) do
      all = core.image_text(all, x + 1, y + GAP // 2 + (i - 1) * LINE + 1, line, 2, table.unpack(colour))
    end
  end
  return all
end

-- As many in a row as make the sheet about four by three.
local function columns_of(count) return math.min(count, math.max(1, math.ceil((count * 4 / 3) ^ 0.5))) end

-- Pictures whose side is a multiple of the small ones' keep their pixels square.
local function side_of(list, o)
  if o.size then return o.size end
  local long, captions = 1, false
  for _, p in ipairs(list) do
    long, captions = math.max(long, table.unpack(p.picture:shape(), 2)), captions or p.caption ~= nil
  end
  if long > SMALL then return THUMB end
  return math.max(1, THUMB // (captions and 1 or 4) // long) * long
end

local KEPT = 20 -- pictures that nobody named a file for; the oldest make room

-- A name for one of them in the folder for what can be made again: sheet-7.png after sheet-6.png.
local function unnamed()
  local cache = host.cache_folder()
  local folder = cache and cache .. '/sheets' or host.temporary 'sheets'
  host.make_folders(folder .. '/')
  local last, numbers = 0, {}
  for _, name in ipairs(host.list(folder) or {}) do
    local number = math.tointeger(name:match '^sheet%-(%d+)%.png$')
    if number then last, numbers[#numbers + 1] = math.max(last, number), number end
  end
  for _, number in ipairs(numbers) do
    if number <= last + 1 - KEPT then os.remove(('%s/sheet-%d.png'):format(folder, number)) end
  end
  return ('%s/sheet-%d.png'):format(folder, last + 1)
end

local function to_file(list, o, path)
  local columns = o.columns and math.min(o.columns, #list) or columns_of(#list)
  core.image_save(path, sheet.compose(list, columns, side_of(list, o)))
  print(('%s: %d picture%s, %d in a row'):format(path, #list, #list == 1 and '' or 's', columns))
end

local function as_picture(list, o, kind)
  local side, width = side_of(list, o), (screen.pixels(1, 1, 1600))
  local fit = math.max(1, (width - GAP) // (side + GAP))
  local columns = math.min(o.columns or fit, #list, fit)
  return screen.picture(kind, sheet.compose(list, columns, math.min(side, width - 2 * GAP)))
end

local function can_blocks()
  return host.isatty(1) and screen.colour() and screen.unicode() and os.getenv 'TERM' ~= 'linux'
end

--- Draw a contact sheet in the terminal, or write it to o.file, or to a new PNG where the terminal shows
-- none.
-- @param list of {picture = u8 [3, H, W], caption =, wrong = true for a red one}
-- @param o {file =, columns =, size =}
-- @param note a line under it
function sheet.show(list, o, note)
  if #list == 0 then args.fail 'show: there are no pictures in it' end
  local kind = not o.file and screen.graphics()
  if kind then io.stdout:write(as_picture(list, o, kind))
  elseif not o.file and can_blocks() then print(as_blocks(list, o, host.size()))
  else to_file(list, o, o.file or unnamed()) end
  if note then print(note) end
end

return sheet
