--- predict: what a net calls pictures, or what its layers make of them (features).
--
-- Pictures go one at a time through a plan for one picture, so the numbers for a picture are the same
-- alone and among many: a batch would be a little faster, but kernels may add in another order for another
-- batch size.

local core = require 'inc.core'
local args = require 'inc.args'
local build = require 'inc.train.build'
local source = require 'inc.train.source'

local predict = {}

predict.spec = args.spec('predict', 'what:any...; top:int=5, raw:bool=false, precision:enum(f32|bf16)?, ' ..
  'features:any?, out:string?')

local Result = {__name = 'inc.prediction'}

local function describe_features(self)
  local lines = {}
  for i, name in ipairs(self.names) do
    local shape = self.features[name]:shape()
    local plural = shape[1] == 1 and '' or 's'
    lines[i] = ('%s: %s of %d picture%s'):format(name, args.show(shape), shape[1], plural)
  end
  if self.out then lines[#lines + 1] = 'written to ' .. self.out end
  return table.concat(lines, '\n')
end

function Result:__tostring()
  if self.features then return describe_features(self) end
  local lines = {}
  for _, picture in ipairs(self.pictures) do
    lines[#lines + 1] = picture.file
    for _, t in ipairs(picture.top) do
      lines[#lines + 1] = ('  %6.2f%%  %s'):format(100 * t.confidence, t.class)
    end
  end
  return table.concat(lines, '\n')
end

-- -- pictures -----------------------------------------------------------------------------------------------

local function ignored(name)
  return name:sub(1, 1) == '.' or name == 'Thumbs.db' or name == 'desktop.ini'
end

-- All files below a folder, in byte order of their paths; `seen` stops at loops of links.
local function add_folder(list, path, seen)
  local real = core.path_full(path)
  if seen[real] then return end
  seen[real] = true
  for _, name in ipairs(core.list_folder(path)) do
    local full = path:gsub('/+$', '') .. '/' .. name
    local kind = not ignored(name) and core.path_kind(full)
    if kind == 'folder' then add_folder(list, full, seen) elseif kind then list[#list + 1] = full end
  end
end

local function expand(words)
  local list = {}
  for _, word in ipairs(words) do
    if type(word) == 'string' and core.path_kind(word) == 'folder' then
      add_folder(list, word, {})
    elseif type(word) == 'string' or args.is_tensor(word) then
      list[#list + 1] = word
    else
      args.fail('predict: expected pictures (files or tensors), got %s', args.show(word))
    end
  end
  return list
end

-- The picture as the net takes it: u8 [1, 3, S, S]; nil and the reason when it is bad.
local function view(picture, transform)
  if args.is_tensor(picture) then
    local v = core.image_view(picture, transform)
    local shape = v:shape()
    return v:view{1, shape[1], shape[2], shape[3]}:contiguous{memory_format = 'channels_last'}
  end
  local ok, result = pcall(core.view_file, picture, transform)
  if ok then return result end
  return nil, core.last_error()
end

-- -- answers ------------------------------------------------------------------------------------------------

local function best(logits, classes, top)
  local p = logits:softmax{dim = 2}:view{-1}:tolist()
  local order = {}
  for i = 1, #p do order[i] = i end
  table.sort(order, function(a, b)
    if p[a] ~= p[b] then return p[a] > p[b] end
    return a < b
  end)
  local list = {}
  for k = 1, math.min(top, #order) do list[k] = {class = classes[order[k]], confidence = p[order[k]]} end
  return list
end

local function name_of(picture) return type(picture) == 'string' and picture or 'a tensor' end

local function check_classifier(s, classes)
  local known = #(s.classes or {})
  if classes and known == classes then return end
  if classes and known == 0 then
    args.fail("predict: %s: expected a net that knows its %d classes, got one without: " ..
      "net.classes = {'cat', ...}", s.name, classes)
  end
  args.fail('predict: %s: expected a classifier of %d classes, got %s', s.name, known,
    classes and classes .. ' outputs' or 'none: features = LAYER tells what a layer makes of pictures')
end

-- f(picture, its view) for each good picture; the list of bad ones.
local function each(pictures, transform, f)
  local bad = require('inc.json').list{}
  local bar <close> = require 'inc.shell.screen'.progress()
  for i, picture in ipairs(pictures) do
    local x, why = view(picture, transform)
    bar:show('predict: %d of %d pictures', i, #pictures)
    if x then f(picture, x)
    else
      bad[#bad + 1] = {file = name_of(picture), why = why}
      bar:wipe()
      inc.note('%s: %s', name_of(picture), why)
    end
  end
  return bad
end

-- -- features -----------------------------------------------------------------------------------------------

local function names_of(given)
  local list = {}
  if type(given) == 'string' then
    for name in given:gmatch '[^,]+' do list[#list + 1] = name end
  elseif args.types.strings[1](given) then list = given end
  if #list == 0 then
    args.fail('predict: features: expected the name of a layer, or a list of them, got %s', args.show(given))
  end
  return list
end

local function check_out(out, names)
  local kind = out and out:match '%.(%w+)$'
  if out and kind ~= 'safetensors' and kind ~= 'csv' then
    args.fail('predict: out: expected a name that ends in .safetensors or .csv, got %s', out)
  end
  if kind == 'csv' and #names > 1 then
    args.fail('predict: out: %s: a table holds one layer, got %d (.safetensors holds more)', out, #names)
  end
  return kind
end

-- A picture's row: [C, 1, 1] is a vector.
local function as_row(t)
  local shape = t:shape()
  while #shape > 2 and shape[#shape] == 1 do shape[#shape] = nil end
  return t:contiguous():view(shape):clone()
end

local function write_csv(path, files, features)
  local lines, width = {}, features:numel() // #files
  local flat = features:view{#files, width}:tolist()
  local head = {'file'}
  for i = 1, width do head[i + 1] = tostring(i) end
  lines[1] = table.concat(head, ',')
  for i, row in ipairs(flat) do
    for k, v in ipairs(row) do row[k] = ('%.9g'):format(v) end
    lines[i + 1] = '"' .. files[i]:gsub('"', '""') .. '",' .. table.concat(row, ',')
  end
  core.write_file(path, table.concat(lines, '\n') .. '\n')
end

local function write_features(o, kind, files, names, features)
  if kind == 'csv' then return write_csv(o.out, files, features[names[1]]) end
  local list = {}
  for i, name in ipairs(names) do list[i] = {name, features[name]} end
  core.save(o.out, list, {kind = 'features', files = table.concat(files, '\n')})
end

-- The outputs of layers for each good picture, stacked in the order of the pictures.
local function extract(o, s, pictures)
  local names = names_of(o.features)
  local kind, rows, files = check_out(o.out, names), {}, {}
  local result = setmetatable({pictures = require('inc.json').list{}, features = {}, names = names,
    out = o.out}, Result)
  source.held({s}, function()
    local plan = build.features_plan(s.net, names, o.precision or 'f32')
    for i in ipairs(names) do rows[i] = {} end
    result.bad = each(pictures, build.eval_transform(s.net), function(picture, x)
      files[#files + 1] = name_of(picture)
      result.pictures[#files] = {file = files[#files]}
      for i, t in ipairs{plan:run(x)} do rows[i][#files] = as_row(t) end
    end)
  end)
  if #files == 0 then args.fail('predict: features: none of the %d pictures can be read', #pictures) end
  for i, name in ipairs(names) do result.features[name] = inc.cat(rows[i]) end
  if o.out then write_features(o, kind, files, names, result.features) end
  return result
end

--- Class and confidence of pictures, best first; or, with features, the outputs of layers.
-- @param what a net, a run, a run's folder or a weights file; then pictures: files, folders (all pictures in
--   them), or u8 tensors [3, H, W]
-- @param top how many classes to name
-- @param raw the weights themselves instead of their averages (ema)
-- @param precision f32 when left out
-- @param features the path of a layer ('avgpool', 'Mixed_6e'), or a list: its output for each picture instead
--   of classes, in evaluation mode, f32; maps of one place are vectors. Weights may then lack a classifier
-- @param out a file for the features: .safetensors (the tensor [N, ...] under the layer's name, the names of
--   the pictures in the metadata `files`), or .csv (one layer; a row a picture)
-- @return {pictures = {{file =, top = {{class =, confidence =}, ...}}, ...}, bad = {{file =, why =},
--   ...}}; it prints as a list. Unreadable pictures are named on stderr. With features: features[layer] is a
--   tensor with a row for each of `pictures`
-- > predict{net, 'rose.jpg'}
-- > predict{net, 'photos', features = 'avgpool', out = 'photos.safetensors'}.features.avgpool
function predict.predict(given)
  local o = predict.spec(given)
  if o.out and not o.features then args.fail 'predict: out: is where features go, and none were asked for' end
  if o.top < 1 then args.fail('predict: top: expected at least 1, got %d', o.top) end
  local s = source.open(o.what[1], 'predict', o.raw, o.features ~= nil)
  local pictures = expand({table.unpack(o.what, 2)})
  if #pictures == 0 then args.fail 'predict: expected pictures: files or folders' end
  if o.features then return extract(o, s, pictures) end
  local result = setmetatable({pictures = require('inc.json').list{}}, Result)
  source.held({s}, function()
    local plan, classes = build.eval_plan(s.net, 1, o.precision or 'f32')
    check_classifier(s, classes)
    result.bad = each(pictures, build.eval_transform(s.net), function(picture, x)
      local answer = {file = name_of(picture), top = best(plan:run(x), s.classes, o.top)}
      result.pictures[#result.pictures + 1] = answer
    end)
  end)
  return result
end

return predict
