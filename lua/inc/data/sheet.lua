--- A contact sheet of some pictures of a part: coloured half blocks in a terminal, or one PNG.
--
-- A character cell is about twice as high as wide, so the upper half block, with its two colours, is two
-- square pixels. That works wherever there are 24-bit colours; sixel and the protocols of single terminals
-- were rejected, because asking a terminal what it can do may hang on those that do not answer.

local core = require 'inc.core'

local CELL = 26    -- pixels of a picture's side in the terminal
local THUMB = 160  -- and in a PNG
local GAP = 6

-- The numbers of n pictures, evenly spread, so that every class is likely to be seen.
local function choose(count, n)
  local list = {}
  for k = 1, math.min(n, count) do list[k] = (2 * k - 1) * count // (2 * math.min(n, count)) + 1 end
  return list
end

local function thumbnail(part, i, side, o)
  local options = {size = side, augment = o.augment or 'eval', seed = o.seed, number = i}
  if not o.augment then options.short_side = side end
  return core.image_view(part:image(i), options)
end

-- -- terminal -----------------------------------------------------------------------------------------------

local function half_blocks(rgb, y)
  local cells = {}
  for x = 1, CELL do
    local up, down = y, math.min(y + 1, CELL)
    cells[x] = ('\27[38;2;%d;%d;%dm\27[48;2;%d;%d;%dm▀'):format(rgb[1][up][x], rgb[2][up][x], rgb[3][up][x],
      rgb[1][down][x], rgb[2][down][x], rgb[3][down][x])
  end
  return table.concat(cells) .. '\27[0m'
end

local function label(text)
  text = text:gsub('%c', '?')
  local n = utf8.len(text)
  if not n then return (text:gsub('[\128-\255]', '?') .. (' '):rep(CELL)):sub(1, CELL) end
  if n > CELL then return text:sub(1, utf8.offset(text, CELL + 1) - 1) end
  return text .. (' '):rep(CELL - n)
end

local function print_row(part, row, o)
  local rgb, names = {}, {}
  for k, i in ipairs(row) do
    rgb[k] = thumbnail(part, i, CELL, o):tolist()
    names[k] = label(part:item(i).class)
  end
  for y = 1, CELL, 2 do
    local pieces = {}
    for k = 1, #row do pieces[k] = half_blocks(rgb[k], y) end
    print(table.concat(pieces, ' '))
  end
  print(table.concat(names, ' '))
end

local function to_terminal(part, chosen, o, width)
  local columns = math.max(1, (width + 1) // (CELL + 1))
  for first = 1, #chosen, columns do
    print_row(part, {table.unpack(chosen, first, math.min(first + columns - 1, #chosen))}, o)
  end
end

-- -- file ---------------------------------------------------------------------------------------------------

local function to_file(part, chosen, o, path)
  local columns = math.min(#chosen, math.max(1, math.ceil((#chosen * 4 / 3) ^ 0.5)))
  local rows, step = (#chosen + columns - 1) // columns, THUMB + GAP
  local sheet = core.full{3, rows * step + GAP, columns * step + GAP, value = 255, dtype = 'u8'}
  for k, i in ipairs(chosen) do
    local y, x = (k - 1) // columns * step + GAP, (k - 1) % columns * step + GAP
    sheet[{{}, {y + 1, y + THUMB}, {x + 1, x + THUMB}}] = thumbnail(part, i, THUMB, o)
  end
  core.image_save(path, sheet)
  local names = {}
  for k, i in ipairs(chosen) do names[k] = part:item(i).class:gsub('%c', '?') end
  print(('%s: %d pictures, %d in a row: %s'):format(path, #chosen, columns, table.concat(names, ', ')))
end

local function temporary()
  local name = os.tmpname()
  os.remove(name)
  return name .. '.png'
end

return function(part, o)
  local chosen = choose(#part, o.n)
  local found, host = pcall(require, 'inc.host')
  if #chosen == 0 then
    print(('no pictures in %s'):format(part.name))
  elseif not o.file and found and host.isatty(1) then
    to_terminal(part, chosen, o, (host.size()))
  else
    to_file(part, chosen, o, o.file or temporary())
  end
end
