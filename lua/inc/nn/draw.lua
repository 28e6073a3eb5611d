--- net:draw: a diagram of a net, in the terminal or as a file.
--
-- What flows where is found by tracing the net (draw/graph.lua); text, SVG and gnuplot's pictures are drawn
-- from that in draw/text.lua and draw/svg.lua.

local args = require 'inc.args'
local base = require 'inc.nn.module'

local spec = args.spec('draw', 'file:string?; input:ints?, depth:int=2, columns:int?, title:string?')

local kinds = {svg = true, png = true, pdf = true}

local function kind_of(file)
  local kind = file:match '%.(%w+)$'
  kind = kind and kind:lower()
  if not kinds[kind] then args.fail('draw: %s: expected a name that ends in .svg, .png or .pdf', file) end
  return kind
end

local function write(picture, file, kind)
  local bytes = kind == 'svg' and require 'inc.draw.svg'.write(picture)
  if not bytes then
    local gnuplot = require 'inc.plot.gnuplot'
    local script = require 'inc.draw.svg'.script(picture, gnuplot.terminal(kind, picture.w, picture.h))
    local why
    bytes, why = gnuplot.run(script, 'draw')
    if not bytes then args.fail('%s; net:draw can write .svg without it', why) end
  end
  require 'inc.core'.write_file(file, bytes)
end

local function check(o)
  if o.depth < 1 then args.fail('draw: depth: expected at least 1, got %d', o.depth) end
  if o.columns and o.columns < 1 then args.fail('draw: columns: expected at least 1, got %d', o.columns) end
  return o.file and kind_of(o.file)
end

--- A diagram of the net: layers as boxes, blocks as frames with their branches side by side. It shows what
-- the net computes in training mode, auxiliary head and all; nothing of the net changes.
-- @param file .svg, .png or .pdf (the last two by gnuplot); printed as text when left out
-- @param input shape of an input, found out where it can be: that of the preprocessing, or what the first
--   layer takes
-- @param depth so many levels of blocks are opened, deeper ones are one box (2)
-- @param columns strips side by side in a file; as many as make a good page when left out
-- @param title of the picture
-- > net:draw 'net.svg'; net:draw()
function base.Module:draw(given)
  if type(given) == 'string' then given = {given} end
  local o = spec(given)
  local kind = check(o)
  local container, info = require 'inc.draw.graph'.of(self, o.input, o.depth)
  if not o.file then
    local unicode = require 'inc.plot.screen'.unicode()
    print(require 'inc.draw.text'.draw(container, info, {unicode = unicode}))
    return
  end
  info.title = o.title or ('%s, %s parameters'):format(info.name,
    require 'inc.draw.text'.count(info.parameters))
  write(require 'inc.draw.svg'.layout(container, info, o), o.file, kind)
end

return base.Module
