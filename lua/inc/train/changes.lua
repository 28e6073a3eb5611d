--- What was changed while a run went on: FOLDER/changes.jsonl, a line a change, in the order they were made.
--
--   {"step": 501, "set": "lr", "value": 0.001}   by hand, before step 501 (written by core/run/stage.c)
--   {"step": 501, "settings": {...}, "fresh": true, "note": "..."}   another stage: swap, set, fork
--   {"step": 501, "length": {"steps": 900}}                   resumed, to go further
--
-- config.json tells what the run is now, and under `base` what it was at step 0; from that and the changes
-- follows what it was at any step, which is what resume and fork need. Rejected: keeping this in checkpoints,
-- where what was changed after the last of them is lost in a kill, and a fork from before cannot know of it.

local core = require 'inc.core'
local json = require 'inc.json'
local settings = require 'inc.train.settings'

local changes = {}

local function path_of(path) return path .. '/changes.jsonl' end

--- The changes of a run, by step, then in the order in which they were made; a torn line is passed over.
function changes.read(path)
  local list = {}
  if not core.path_kind(path_of(path)) then return list end
  for line in core.read_file(path_of(path)):gmatch '([^\n]*)\n' do
    local ok, change = pcall(json.decode, line)
    if ok and type(change) == 'table' and math.tointeger(change.step) then
      list[#list + 1] = change
      change.place = #list
    end
  end
  table.sort(list, function(a, b)
    if a.step ~= b.step then return a.step < b.step end
    return a.place < b.place
  end)
  return list
end

--- One change as its line.
function changes.line(change)
  local copy = {}
  for key, v in pairs(change) do copy[key] = key ~= 'place' and v or nil end
  return json.encode(copy) .. '\n'
end

--- Write the changes of a new run: those of its parent that it shares, and its own.
function changes.write(path, list)
  local lines = {}
  for i, change in ipairs(list) do lines[i] = changes.line(change) end
  if #lines > 0 then core.write_file(path_of(path), table.concat(lines)) end
end

--- Add one to a run that nobody trains.
function changes.add(path, change)
  local file = path_of(path)
  local before = core.path_kind(file) and core.read_file(file) or ''
  if before ~= '' and before:sub(-1) ~= '\n' then before = before .. '\n' end
  core.write_file(file, before .. changes.line(change))
end

-- A length that was given later than these settings were made counts for them too.
local function with_length(o, length, place)
  if length and length.place > place then o.steps, o.epochs = length.length.steps, length.length.epochs end
  return o
end

local function last_length(list)
  local last
  for _, change in ipairs(list) do
    if change.length and (not last or change.place > last.place) then last = change end
  end
  return last
end

-- A change that is made already when `first` steps are: a new length takes no step of its own.
local function is_made(change, first)
  return change.step <= first or change.length ~= nil and change.step <= first + 1
end

--- What a run is when `first` steps are made, and what is still to come.
-- @param base plain settings at step 0
-- @param list changes
-- @param up_to changes before later steps than this one's next are left out
-- @return {settings, sets = made by hand before, to_come = sets that are still to be made}, then one table a
--   stage to come: {at = , settings, fresh, note, to_come}
function changes.fold(base, list, first, up_to)
  local length = last_length(list)
  local now = {settings = with_length(settings.from_table(base), length, 0), sets = {}, to_come = {}}
  local stages = {now}
  for _, change in ipairs(list) do
    local made, last = is_made(change, first), stages[#stages]
    if up_to and change.step > up_to then break end
    if change.set then
      local sets = made and now.sets or last.to_come
      sets[#sets + 1] = {change.step, change.set, change.value}
    elseif change.settings and made then
      now.settings = with_length(settings.from_table(change.settings), length, change.place)
      if change.fresh then now.sets = {} end
    elseif change.settings then
      stages[#stages + 1] = {at = change.step - 1, fresh = change.fresh or false, note = change.note,
        to_come = {}, settings = with_length(settings.from_table(change.settings), length, change.place)}
    end
  end
  return table.unpack(stages)
end

return changes
