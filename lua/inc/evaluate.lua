--- evaluate: how good is a net (or several) on pictures: each picture exactly once.
--
-- The same plan and the same pictures as a run's own validation, so the two agree. Several nets, or several
-- crops, are averaged as probabilities. What is counted is in C (core/run/score.h); here the per-class
-- table and the confusion matrix are added up from one judgement a picture.

local core = require 'inc.core'
local args = require 'inc.args'
local build = require 'inc.train.build'
local source = require 'inc.train.source'

local evaluate = {}

evaluate.spec = args.spec('evaluate',
  'what:any...; part:enum(train|val|all)?, crops:int=1, raw:bool=false, ' ..
  'precision:enum(f32|bf16)?, batch:int?, workers:int=0, errors:string?, data:any?')

-- -- the result ---------------------------------------------------------------------------------------------

local Result = {__name = 'inc.evaluation'}

local function percent(v) return v == v and ('%6.2f%%'):format(100 * v) or '      -' end

local function class_table(r, lines)
  local width = 5
  for _, c in ipairs(r.per_class) do width = math.max(width, utf8.len(c.class) or #c.class) end
  local pad = function(s) return s .. (' '):rep(width - (utf8.len(s) or #s)) end
  lines[#lines + 1] = ('%s %8s %8s %9s %8s'):format(pad 'class', 'pictures', 'top-1', 'precision', 'recall')
  for _, c in ipairs(r.per_class) do
    lines[#lines + 1] = ('%s %8d  %s   %s  %s'):format(pad(c.class), c.n, percent(c.top1),
      percent(c.precision),
      percent(c.recall))
  end
end

local function confusion_table(r, lines)
  local width = 4
  for _, row in ipairs(r.confusion) do
    for _, n in ipairs(row) do width = math.max(width, #tostring(n)) end
  end
  lines[#lines + 1] = 'rows: what it is; columns: what it was called'
  for i, row in ipairs(r.confusion) do
    local cells = {}
    for j, n in ipairs(row) do cells[j] = ('%' .. width .. 'd'):format(n) end
    lines[#lines + 1] = table.concat(cells, ' ') .. '  ' .. r.per_class[i].class
  end
end

function Result:__tostring()
  local lines = {('%d pictures (%s): top-1 %.4f, top-5 %.4f, loss %.4f'):format(self.n, self.part, self.top1,
    self.top5, self.loss)}
  class_table(self, lines)
  if #self.per_class <= 40 then confusion_table(self, lines) end
  if #self.bad > 0 then lines[#lines + 1] = ('%d bad pictures left out'):format(#self.bad) end
  return table.concat(lines, '\n')
end

local function empty_confusion(n)
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, n do rows[i][j] = 0 end
  end
  return rows
end

local function per_class(classes, confusion)
  local list = {}
  for i, class in ipairs(classes) do
    local n, called = 0, 0
    for j = 1, #classes do n, called = n + confusion[i][j], called + confusion[j][i] end
    local right = confusion[i][i]
    -- without pictures there is no rate: NaN, which JSON calls null
    list[i] = {class = class, n = n, top1 = right / n, precision = right / called, recall = right / n}
  end
  return list
end

local function summarise(scores, classes)
  local confusion, loss, top1, top5 = empty_confusion(#classes), 0, 0, 0
  for k = 1, scores.n do
    local row = confusion[scores.label[k]]
    row[scores.called[k]] = row[scores.called[k]] + 1
    loss = loss + scores.loss[k]
    top1 = top1 + (scores.rank[k] <= 1 and 1 or 0)
    top5 = top5 + (scores.rank[k] <= 5 and 1 or 0)
  end
  local n = math.max(scores.n, 1)
  return setmetatable({n = scores.n, loss = loss / n, top1 = top1 / n, top5 = top5 / n, confusion = confusion,
    per_class = per_class(classes, confusion)}, Result)
end

-- -- the work -----------------------------------------------------------------------------------------------

-- One pass for each net and crop.
local function passes(nets, part, o)
  local list = {}
  for _, s in ipairs(nets) do
    local batch = o.batch or s.batch or 32
    local plan, classes = build.eval_plan(s.net, batch, o.precision or s.precision or 'f32')
    if classes ~= #s.classes then
      args.fail('evaluate: %s: expected %d classes, the net gives %d', s.name, #s.classes, classes)
    end
    for crop = 1, o.crops do
      local transform = build.eval_transform(s.net)
      transform.crops, transform.crop_index = o.crops, crop
      list[#list + 1] = {plan, {part = part, batch = batch, workers = o.workers, transform = transform}}
    end
  end
  return list
end

local function score(images, part, list)
  local bar <close> = require 'inc.shell.screen'.progress()
  local all = #list * #images:indices(part)
  return core.score(images, list, function(done)
    bar:show('evaluate: %d of %d %s', done, all, #list == 1 and 'pictures' or 'views of pictures')
  end)
end

-- A net that knows no classes has those of the data.
local function check_same_classes(nets, classes)
  for _, s in ipairs(nets) do
    s.classes = s.classes or classes
    if table.concat(s.classes, '\n') ~= table.concat(nets[1].classes, '\n') then
      args.fail('evaluate: %s: expected the classes of %s (%s), got %s', s.name, nets[1].name,
        table.concat(nets[1].classes, ', '), table.concat(s.classes, ', '))
    end
  end
end

local function bad_list(images, met)
  local list = {}
  for _, i in ipairs(images:indices 'bad') do
    local item = images:item(i)
    list[#list + 1] = {file = item.path, why = item.why}
  end
  for _, b in ipairs(met) do list[#list + 1] = b end
  return require('inc.json').list(list)
end

-- Numbers of the wrong answers, the surest first.
local function mistakes(scores)
  local wrong = {}
  for k = 1, scores.n do
    if scores.called[k] ~= scores.label[k] then wrong[#wrong + 1] = k end
  end
  table.sort(wrong, function(a, b)
    local ca, cb = scores.confidence[a], scores.confidence[b]
    return ca > cb or ca == cb and a < b
  end)
  return wrong
end

local THUMB, GAP, COLUMNS, MOST = 160, 6, 6, 24

-- A PNG of the surest mistakes, row by row; their names go to stderr, for stdout may be JSON.
local function draw_errors(path, images, scores, classes)
  local wrong, root, names = mistakes(scores), images:info().root, {}
  local n = math.min(MOST, #wrong)
  if n == 0 then return inc.note('%s: not written: there are no mistakes', path) end
  local step, columns = THUMB + GAP, math.min(COLUMNS, n)
  local rows = (n + columns - 1) // columns
  local sheet = core.full{3, rows * step + GAP, columns * step + GAP, value = 255, dtype = 'u8'}
  for i = 1, n do
    local k = wrong[i]
    local y, x = (i - 1) // columns * step + GAP, (i - 1) % columns * step + GAP
    sheet[{{}, {y + 1, y + THUMB}, {x + 1, x + THUMB}}] = core.image_view(
      core.image(root .. '/' .. images:item(scores.picture[k]).path), {size = THUMB, short_side = THUMB})
    names[i] = ('%s called %s'):format(classes[scores.label[k]], classes[scores.called[k]])
  end
  core.image_save(path, sheet)
  inc.note('%s: %d of %d mistakes, %d in a row: %s', path, n, #wrong, columns, table.concat(names, ', '))
end

--- Judge a net, a run or a weights file (or several of them: their average) on pictures, each exactly once.
-- @param what nets, runs, folders of runs, or weights files; then the data: a folder, what data.folder
--   gives, or one of its parts. With a run, data may be left out: its held-out part is taken
-- @param part train, val or all, when the data leaves a choice
-- @param crops 1, 12 or 144 views of each picture, averaged
-- @param raw the weights themselves instead of their averages (ema)
-- @param precision, batch, workers
-- @param errors a PNG with the surest mistakes
-- @return n, top1, top5, loss, per_class, confusion (row: what it is), bad, part; it prints as a table
-- > evaluate{net, flowers.val}
function evaluate.evaluate(given)
  if type(given) == 'table' and args.is_module(given) then given = {given} end
  local o = evaluate.spec(given)
  local nets, data = source.split(o.what, o.data, 'evaluate')
  for i, what in ipairs(nets) do nets[i] = source.open(what, 'evaluate', o.raw) end
  local images, part = source.pictures(data, nets[1], o.part, 'evaluate')
  check_same_classes(nets, images:classes())
  if #images:indices(part) == 0 then
    args.fail('evaluate: %s: its part %s holds no pictures', images:info().root, part)
  end
  local scores, met = source.held(nets, function() return score(images, part, passes(nets, part, o)) end)
  local result = summarise(scores, nets[1].classes)
  result.bad, result.part = bad_list(images, met), part
  if o.errors then draw_errors(o.errors, images, scores, nets[1].classes) end
  return result
end

return evaluate
