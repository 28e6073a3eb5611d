--- diff: two runs side by side: settings, data, machine, curves.
--
-- What differs comes first, because that is the question; what is equal is counted, not listed. Everything is
-- read from the two folders, so runs of other days and other machines can be compared, and so can one that is
-- still going. Curves are compared raw where equality is asked (to the bit) and smoothed where a value is
-- shown, since the last loss of a run is mostly the luck of its last batch.

local core = require 'inc.core'
local args = require 'inc.args'
local json = require 'inc.json'
local folder = require 'inc.train.folder'
local log = require 'inc.run.log'
local smooth = require 'inc.run.smooth'

local diff = {}

-- -- two sides ----------------------------------------------------------------------------------------------

-- What was changed while the run went on, as its log notes it: {{step =, text =}, ...}.
local function notes_of(path)
  local list = {}
  for text in core.read_file(path):gmatch '[^\n]*"note":"[^\n]*\n' do
    local ok, row = pcall(json.decode, text)
    if ok and row.note then list[#list + 1] = {step = row.step, text = row.note} end
  end
  return list
end

local function path_of(what)
  local Run = package.loaded['inc.run']
  if Run and Run.is_run(what) then return what.folder end
  return type(what) == 'table' and what.path or what -- a row of runs()
end

local function side_of(what, place)
  local path = path_of(what)
  if type(path) ~= 'string' then
    args.fail('diff: expected two runs or their folders, got %s at place %d', args.show(what), place)
  end
  local full = folder.check_run(path, 'diff')
  local file = full .. '/log.jsonl'
  local has_log = core.path_kind(file)
  local list = require('inc.run.table').runs(full)
  return {path = full, config = folder.read_config(full), row = list[1],
    log = has_log and log.read(file) or {names = {}, step = {}}, notes = has_log and notes_of(file) or {}}
end

-- Names that are enough to tell two paths apart: what stands behind the folders that they share.
local function short_names(a, b)
  if a == b then return a:match '[^/]+$', b:match '[^/]+$' end
  local shared = 0
  while a:byte(shared + 1) == b:byte(shared + 1) do shared = shared + 1 end
  local from = #(a:sub(1, shared):match '^.*/' or '') + 1
  local x, y = a:sub(from), b:sub(from)
  return x ~= '' and x or a, y ~= '' and y or b
end

-- -- settings -----------------------------------------------------------------------------------------------

-- Plain values by dotted name; a list is one value.
local function flatten(out, prefix, v)
  if type(v) ~= 'table' or #v > 0 then
    out[prefix] = v
    return out
  end
  for name, each in pairs(v) do
    -- an optimizer says its own name under "optimizer", and a schedule likewise
    local inner = name == prefix and prefix or prefix == '' and name or prefix .. '.' .. name
    flatten(out, inner, each)
  end
  return out
end

local function all_settings(config)
  local out = flatten({}, '', config.settings or {})
  flatten(out, 'net', config.net or {})
  flatten(out, '', config.preprocess or {})
  out.classes, out.total_steps = config.classes, config.total
  return out
end

-- What people look for first stands first.
local function order(name)
  for place, start in ipairs{'optimizer', 'lr', 'schedule'} do
    if name == start or name:sub(1, #start + 1) == start .. '.' then return place .. name end
  end
  return '9' .. name
end

local function differing(a, b)
  local names, list, same = {}, {}, 0
  for name in pairs(a) do names[name] = true end
  for name in pairs(b) do names[name] = true end
  for name in pairs(names) do
    if args.show(a[name]) == args.show(b[name]) then same = same + 1
    else list[#list + 1] = {name = name, a = a[name], b = b[name]} end
  end
  table.sort(list, function(x, y) return order(x.name) < order(y.name) end)
  return list, same
end

-- -- data ---------------------------------------------------------------------------------------------------

local function parts_of(images)
  local parts = {}
  for i = 1, images:info().n do
    local item = images:item(i)
    parts[item.path] = item.part
  end
  return parts
end

local function moved(a, b)
  local parts, n = parts_of(a), 0
  for path, part in pairs(parts_of(b)) do
    if parts[path] and parts[path] ~= part then n = n + 1 end
  end
  return n
end

-- Pictures by name and content, and the part that each is in.
local function compare_data(a, b)
  local d = {a = a.config.data or {}, b = b.config.data or {}}
  local ok, lists = pcall(function() return {folder.pictures(a.path), folder.pictures(b.path)} end)
  if not ok then return d end -- killed before the list was written
  d.missing, d.new, d.changed = 0, 0, 0
  for _, change in ipairs(core.images_diff(lists[2], lists[1])) do
    d[change.kind] = d[change.kind] + 1
  end
  d.only_a, d.only_b, d.missing, d.new = d.new, d.missing, nil, nil
  d.moved = moved(lists[1], lists[2])
  d.same = d.only_a + d.only_b + d.changed + d.moved == 0
  return d
end

-- -- machine ------------------------------------------------------------------------------------------------

-- Each kernel once, sorted: a run of several stages names those of all its plans.
local function kernels_of(side)
  local path, seen, list = side.path .. '/kernels.txt', {}, {}
  if not core.path_kind(path) then return nil end
  for line in core.read_file(path):gmatch '[^\n]+' do
    if not seen[line] then seen[line], list[#list + 1] = true, line end
  end
  table.sort(list)
  return table.concat(list, '\n')
end

local function compare_machine(a, b)
  local function facts(side)
    local out = flatten({}, '', side.config.machine or {})
    out.threads = side.config.threads
    return out
  end
  local list, same = differing(facts(a), facts(b))
  return {differing = list, same = same, kernels = kernels_of(a) == kernels_of(b)}
end

-- -- curves -------------------------------------------------------------------------------------------------

local function finite(v) return v == v and v ~= math.huge and v ~= -math.huge end

-- Is more better? Losses, norms and times say no.
local function higher_is_better(name) return name:find 'top%d' ~= nil end

-- Of equal top-1 the one with the lower loss is best, as for the run itself.
local function breaks_tie(columns, name, c, i, best)
  local loss = name == 'val.top1' and c.y[i] == c.y[best] and columns['val.loss']
  return loss and loss[c.row[i]] < loss[c.row[best]]
end

-- Steps and values of a column where it has some, the smoothed values with them.
local function curve(columns, name, weight)
  local c = {step = {}, y = {}, row = {}}
  for i, v in ipairs(columns[name] or {}) do
    if finite(v) then c.step[#c.step + 1], c.y[#c.y + 1], c.row[#c.row + 1] = columns.step[i], v, i end
  end
  if #c.y == 0 then return nil end
  -- measured now and then, a held-out score is no noise of single batches
  c.smoothed = name:find '^val%.' and c.y or smooth.debiased(c.y, weight)
  local best = 1
  for i, v in ipairs(c.smoothed) do
    local better = v < c.smoothed[best]
    if higher_is_better(name) then better = v > c.smoothed[best] end
    if better or breaks_tie(columns, name, c, i, best) then best = i end
  end
  c.final, c.best, c.best_step = c.smoothed[#c.y], c.smoothed[best], c.step[best]
  return c
end

-- The first step that both have and that two lists of values, by step, tell apart.
local function first_apart(a, b, x, y, apart)
  local at = {}
  for i, step in ipairs(b.step) do at[step] = y[i] end
  local common = 0
  for i, step in ipairs(a.step) do
    if at[step] then
      common = common + 1
      if apart(x[i], at[step]) then return step, x[i], at[step] end
    end
  end
  return nil, common
end

local APART = 0.05 -- of the smoothed loss, from where on curves are called different

local function compare_curves(a, b, names, weight)
  local list = {}
  for _, name in ipairs(names) do
    local x, y = curve(a.log, name, weight), curve(b.log, name, weight)
    if x or y then list[#list + 1] = {name = name, a = x, b = y} end
  end
  return list
end

local function compare_losses(a, b, weight)
  local x, y = curve(a.log, 'loss', weight), curve(b.log, 'loss', weight)
  if not (x and y) then return nil end
  local d = {}
  d.step, d.a, d.b = first_apart(x, y, x.y, y.y, function(v, w) return v ~= w end)
  if not d.step then return {common = d.a} end
  d.clear_step = first_apart(x, y, x.smoothed, y.smoothed, function(v, w)
    return math.abs(v - w) > APART * math.max(math.abs(v), math.abs(w))
  end)
  return d
end

local function median(list)
  local sorted = {}
  for _, v in ipairs(list or {}) do
    if finite(v) then sorted[#sorted + 1] = v end
  end
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

-- -- printing -----------------------------------------------------------------------------------------------

local Result = {__name = 'inc.diff'}
local methods = {}

local WIDE = 34 -- columns of a value

local function clip(text)
  text = text:gsub('%c', ' ')
  if (utf8.len(text) or #text) <= WIDE then return text end
  return args.clip(text, WIDE - 2) .. '..'
end

local function value(v)
  if v == nil then return '-' end
  return clip(type(v) == 'string' and v or args.show(v))
end

local function number(v) return v and ('%.4g'):format(v) or '-' end

local function row(lines, name, a, b, more)
  local function padded(text, n) return text .. (' '):rep(n - (utf8.len(text) or #text)) end
  -- 80 columns in all
  local text = '  ' .. padded(clip(name), 22) .. '  ' .. padded(a, 21) .. '  ' .. padded(b, 21)
  lines[#lines + 1] = ((more and text .. '  ' .. more or text):gsub('%s+$', ''))
end

local function put_settings(self, lines)
  local n = #self.settings
  lines[#lines + 1] = n == 0 and ('settings: all %d are the same'):format(self.same_settings)
    or ('settings: %d differ, %d are the same'):format(n, self.same_settings)
  for _, s in ipairs(self.settings) do row(lines, s.name, value(s.a), value(s.b)) end
end

-- What neither configuration says: a rate set by hand, another optimizer.
local function put_notes(self, lines)
  for _, side in ipairs{self.a, self.b} do
    for _, note in ipairs(side.notes) do
      lines[#lines + 1] = ('  changed in %s at step %d: %s'):format(side.name, note.step, note.text)
    end
  end
end

local function put_data(self, lines)
  local d = self.data
  local function counts(of)
    return ('%s train, %s held out'):format(value(of.train), value(of.held_out))
  end
  if d.same then
    lines[#lines + 1] = 'data: the same pictures in the same parts'
  elseif d.same == nil then
    lines[#lines + 1] = 'data: not known: a list of pictures is missing'
  else
    lines[#lines + 1] = ('data: not the same: %d only in the first, %d only in the second, %d of other ' ..
      'content or class, %d in other parts'):format(d.only_a, d.only_b, d.changed, d.moved)
  end
  row(lines, 'pictures', counts(d.a), counts(d.b))
  if d.a.path ~= d.b.path then row(lines, 'folder', value(d.a.path), value(d.b.path)) end
end

local function put_machine(self, lines)
  local m = self.machine
  local what = {}
  if #m.differing > 0 then what[1] = ('%d differ'):format(#m.differing) end
  if not m.kernels then what[#what + 1] = 'other kernels' end
  lines[#lines + 1] = 'versions and machine: ' .. (#what > 0 and table.concat(what, ', ') or 'the same')
  for _, s in ipairs(m.differing) do row(lines, s.name, value(s.a), value(s.b)) end
end

local function put_losses(self, lines)
  local d = self.losses
  if not d then return end
  if not d.step then
    lines[#lines + 1] = ('losses: equal to the last bit in all %d common steps'):format(d.common)
    return
  end
  lines[#lines + 1] = ('losses: differ first at step %d (%.7g and %.7g)'):format(d.step, d.a, d.b)
  lines[#lines] = lines[#lines] .. (d.clear_step
    and (', by more than %g%% (smoothed %g) from step %d'):format(100 * APART, self.smooth, d.clear_step)
    or (', never by more than %g%% (smoothed %g)'):format(100 * APART, self.smooth))
end

local function put_curves(self, lines)
  lines[#lines + 1] = ('curves (columns of single steps smoothed %g)'):format(self.smooth)
  for _, c in ipairs(self.curves) do
    local function text(what, of)
      if not of then return '-' end
      if what == 'final' then return ('%.4f'):format(of.final) end
      return ('%.4f at step %d'):format(of.best, of.best_step)
    end
    local gap = c.a and c.b and ('%+.4f'):format(c.b.final - c.a.final)
    row(lines, c.name .. ' final', text('final', c.a), text('final', c.b), gap)
    row(lines, c.name .. ' best', text('best', c.a), text('best', c.b))
  end
  row(lines, 'img/s, median', number(self.a.img_s), number(self.b.img_s))
  row(lines, 'seconds', number(self.a.seconds), number(self.b.seconds))
end

function Result:__tostring()
  local lines = {}
  row(lines, '', clip(self.a.name), clip(self.b.name))
  for _, name in ipairs{'state', 'step'} do row(lines, name, value(self.a[name]), value(self.b[name])) end
  local parts = {put_settings, put_notes, put_data, put_machine, put_losses, put_curves}
  for _, put in ipairs(parts) do put(self, lines) end
  return table.concat(lines, '\n')
end

--- Draw columns of both runs over each other; smoothed as diff was told, and the legend says so.
-- @param names columns of the logs, {'loss'} when left out
-- @param options of plot: file, logy, ...
-- > diff('runs/a', 'runs/b'):plot{'val.top1'}
function methods:plot(names, options)
  local list = {}
  for key, v in pairs(options or {}) do list[key] = v end
  list.smooth, list.xlabel = list.smooth or self.smooth, list.xlabel or 'step'
  for _, name in ipairs(names or {'loss'}) do
    for _, side in ipairs{self.a, self.b} do
      local c = curve(side.log, name, self.smooth)
      if c then list[#list + 1] = {name = side.name .. ' ' .. name, x = c.step, y = c.y} end
    end
  end
  if #list == 0 then
    args.fail('diff: plot: %s: no such column%s', table.concat(names, ', '),
      args.hint(tostring(names[1]), self.a.log.names))
  end
  return inc.plot(list)
end

--- What differs as plain tables, for JSON.
-- > diff('runs/a', 'runs/b'):to_table().settings
function methods:to_table()
  local curves = json.list{}
  for i, c in ipairs(self.curves) do
    local function brief(of) return of and {final = of.final, best = of.best, best_step = of.best_step} end
    curves[i] = {name = c.name, a = brief(c.a), b = brief(c.b)}
  end
  local function brief(side)
    return {path = side.path, state = side.state, step = side.step, notes = json.list(side.notes)}
  end
  return {a = brief(self.a), b = brief(self.b), settings = json.list(self.settings), data = self.data,
    machine = {differing = json.list(self.machine.differing), kernels = self.machine.kernels},
    losses = self.losses, curves = curves}
end

function Result.__index(_, key) return methods[key] end

args.object('diff', methods)

-- -- the verb -----------------------------------------------------------------------------------------------

diff.spec = args.spec('diff', 'a:any?, b:any?; smooth:number=0.6, columns:strings?')

local function brief(side, name)
  return {name = name, path = side.path, state = side.row.state, log = side.log, notes = side.notes,
    step = side.row.steps and ('%d/%d'):format(side.row.step, side.row.steps) or side.row.step,
    img_s = median(side.log.img_s), seconds = side.row.seconds}
end

-- diff(a, b), diff(a, b, {options}) and diff{a, b, options}
local function options_of(a, b, options)
  if b == nil and type(a) == 'table' and not getmetatable(a) then return diff.spec(a) end
  local given = {a, b}
  for key, v in pairs(options or {}) do given[key] = v end
  return diff.spec(given)
end

local function check_columns(names, a, b)
  local all = {}
  for _, side in ipairs{a, b} do table.move(side.log.names, 1, #side.log.names, #all + 1, all) end
  for _, name in ipairs(names) do
    if not (a.log[name] or b.log[name]) then
      args.fail('diff: columns: %s: is in neither log%s', name, args.hint(name, all))
    end
  end
  return names
end

--- Two runs side by side: settings that differ first, then data, versions and machine, the step where their
-- losses part, and final and best values of their curves.
-- @param a, b runs or their folders
-- @param options smooth: TensorBoard's weight for columns of single steps, 0.6; columns: which of the log
-- @return settings (list of {name =, a =, b =}), a.notes and b.notes (what was changed on the way: step,
--   text), data, machine, losses (step, clear_step), curves; it prints as text, and plot{'loss'} draws both
-- > diff('runs/a', 'runs/b')
-- > diff('runs/a', 'runs/b', {columns = {'val.top1'}})
function diff.diff(a, b, options)
  local o = options_of(a, b, options)
  if o.a == nil or o.b == nil then args.fail 'diff: expected two runs or their folders' end
  smooth.check(o.smooth, 'diff')
  local x, y = side_of(o.a, 1), side_of(o.b, 2)
  local names = o.columns and check_columns(o.columns, x, y) or
    {'loss', 'grad_norm', 'val.loss', 'val.top1', 'val.top5'}
  local name_x, name_y = short_names(x.path, y.path)
  local r = {smooth = o.smooth, a = brief(x, name_x), b = brief(y, name_y)}
  r.settings, r.same_settings = differing(all_settings(x.config), all_settings(y.config))
  r.data, r.machine = compare_data(x, y), compare_machine(x, y)
  r.curves, r.losses = compare_curves(x, y, names, o.smooth), compare_losses(x, y, o.smooth)
  return setmetatable(r, Result)
end

return diff
