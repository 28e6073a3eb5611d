--- What an optimizer takes over from the one before it: the rules of run:swap, run:set and fork.
--
-- A slot is known by what it means, not by its name alone: momentum_buffer is a sum of gradients in sgd, a
-- mean in muon, and a sum of steps already divided in rmsprop.
--   the same optimizer     every slot, the scalars and the step count are kept
--   the same meaning       kept, as it is (sgd and nesterov; adam, adamw, nadam, radam and lamb)
--   a mean for a sum       times 1 / (1 - momentum), and the other way round (lion or muon, and sgd); a mean
--                          that its optimizer corrects for its start is corrected first
--   corrected averages     (adam and its kin) are kept all together, with the step count, or start afresh all
--                          together
--   everything else        starts afresh, and so does the step count
--   schedule-free          takes the weights as the start of both its paths; who comes after one takes the
--                          average, which is what was judged
-- Rejected: copying slots of one name, which gave rmsprop's momentum to sgd and Adam's step count, 20,000, to
-- averages at 0, so that the first steps were thirty times too large.

local core = require 'inc.core'

local adopt = {}

-- -- meanings -----------------------------------------------------------------------------------------------

local sum, moments = {momentum_buffer = 'sum'}, {exp_avg = 'mean', exp_avg_sq = 'square'}

local meanings = {
  sgd = sum, nesterov = sum, lion = {exp_avg = 'mean'},
  adam = moments, adamw = moments, nadam = moments, radam = moments, lamb = moments,
  adamax = {exp_avg = 'mean'}, muon = {exp_avg = 'mean', exp_avg_sq = 'square', momentum_buffer = 'mean'},
  rmsprop = {square_avg = 'square'}, adadelta = {square_avg = 'square'},
  schedule_free_adamw = {exp_avg_sq = 'square', x = 'average', z = 'path'},
  schedule_free_sgd = {x = 'average', z = 'path'},
}

local both = {exp_avg = 1, exp_avg_sq = 2} -- which beta

-- Slots that are divided by 1 - beta ^ step.
local corrected = {
  adam = both, adamw = both, nadam = both, radam = both, lamb = both, muon = both,
  adamax = {exp_avg = 1}, schedule_free_adamw = {exp_avg_sq = 2},
}

local function meaning_of(kind, slot) return (meanings[kind.name] or {})[slot] end

local function beta_of(kind, slot) return (corrected[kind.name] or {})[slot] end

-- A hyperparameter as one parameter has it.
local function own(bound, item, name)
  local v = (item.overrides or {})[name]
  if v ~= nil then return v end
  return bound.options[name]
end

-- -- one slot of one parameter ------------------------------------------------------------------------------

-- Times this, a slot is a plain mean.
local function to_mean(old, item, slot, steps)
  local kind = old.description.kind
  if meaning_of(kind, slot) == 'sum' then return 1 - own(old, item, 'momentum') end
  local place = beta_of(kind, slot)
  if not place then return 1 end
  local beta = (item.overrides or {})['beta' .. place] or old.options.betas[place]
  return 1 / (1 - beta ^ math.max(steps, 1))
end

local function is_momentum(meaning) return meaning == 'sum' or meaning == 'mean' end

-- The slot of `old` that can serve: one of the same meaning, or else the other form of momentum.
local function nearest_slot(wanted, old, old_item)
  local other
  for _, name in ipairs(wanted and old_item.slot_names or {}) do
    local meaning = meaning_of(old.description.kind, name)
    if meaning == wanted then return name end
    if is_momentum(wanted) and is_momentum(meaning) then other = name end
  end
  return other
end

-- That slot, and what it must be multiplied by: nil when there is none.
local function source_of(new, item, slot, old, old_item, steps)
  local wanted = meaning_of(new.description.kind, slot)
  local from = nearest_slot(wanted, old, old_item)
  if not from then return nil end
  local here, there = beta_of(new.description.kind, slot), beta_of(old.description.kind, from)
  if here then return here == there and from == slot and from or nil, 1 end
  if not there and wanted == meaning_of(old.description.kind, from) then return from, 1 end
  local scale = to_mean(old, old_item, from, steps)
  if wanted == 'sum' then scale = scale / (1 - own(new, item, 'momentum')) end
  return from, scale
end

-- RMSProp's momentum holds the rate in one of its two forms.
local function same_kind(new, old, slot)
  if new.description.kind ~= old.description.kind then return false end
  return slot ~= 'momentum_buffer' or new.options.eps_inside == old.options.eps_inside
end

local function how(new, item, slot, old, old_item, steps)
  if same_kind(new, old, slot) then
    return old_item.slots and rawget(old_item.slots, slot) and slot or nil, 1
  end
  if new.description.kind == old.description.kind then return nil end
  return source_of(new, item, slot, old, old_item, steps)
end

-- -- all of them --------------------------------------------------------------------------------------------

-- Averages that are corrected by the step count stay together.
local function together(new, old, moves)
  if new.description.kind == old.description.kind then return end
  local whole = true
  for _, m in ipairs(moves) do
    if beta_of(new.description.kind, m.slot) and not m.from and not m.newborn then whole = false end
  end
  for _, m in ipairs(moves) do
    if not whole and beta_of(new.description.kind, m.slot) then m.from = nil end
  end
end

local function moves_of(new, old, steps)
  local moves, by_name = {}, {}
  for _, item in ipairs(old.items) do by_name[item.name] = item end
  for _, item in ipairs(new.items) do
    local old_item = by_name[item.name]
    for _, slot in ipairs(item.slot_names or {}) do
      local from, scale
      if old_item and old_item.slots then from, scale = how(new, item, slot, old, old_item, steps) end
      moves[#moves + 1] = {item = item, slot = slot, from = from, scale = scale or 1, old = old_item,
        newborn = not (old_item and old_item.slots)}
    end
  end
  together(new, old, moves)
  return moves
end

-- Does the step count go on? Only when nothing that it counts for starts afresh.
local function counts_on(new, old, moves)
  for _, m in ipairs(moves) do
    if not m.from and not m.newborn then return new.description.kind == old.description.kind end
  end
  return true
end

local function names_of(moves, test)
  local list, seen = {}, {}
  for _, m in ipairs(moves) do
    if test(m) and not seen[m.slot] then
      seen[m.slot] = true
      list[#list + 1] = m.slot
    end
  end
  return table.concat(list, ', ')
end

-- x and z of a schedule-free optimizer that comes after another one begin at the weights: said apart.
local function follows_path(m, new)
  local meaning = meaning_of(new.description.kind, m.slot)
  return meaning == 'average' or meaning == 'path'
end

-- In words: 'exp_avg, exp_avg_sq kept; steps counted on from 20'.
local function words(moves, new, counted, steps, extra)
  local parts = {}
  local function add(text, list)
    if list ~= '' then parts[#parts + 1] = list .. text end
  end
  add(' kept', names_of(moves, function(m) return m.from and m.scale == 1 end))
  add(' translated', names_of(moves, function(m) return m.from and m.scale ~= 1 end))
  add(' started afresh', names_of(moves, function(m) return not m.from and not follows_path(m, new) end))
  parts[#parts + 1] = extra
  parts[#parts + 1] = counted and ('steps counted on from %d'):format(steps) or 'steps counted from 0'
  return table.concat(parts, '; ')
end

local function nadam_product(bound, steps)
  local o, product = bound.options, 1
  for t = 1, steps do product = product * o.betas[1] * (1 - 0.5 * 0.96 ^ (t * o.momentum_decay)) end
  return product
end

local function take_scalars(new, old, counted, steps)
  local same = new.description.kind == old.description.kind
  local free = new.scalars.weight_sum and old.scalars.weight_sum
  for _, name in ipairs(new.scalar_names) do
    if (same or free) and old.scalars[name] then
      new.scalars[name] = old.scalars[name]
    elseif name == 'mu_product' and counted then
      core.no_grad(new.scalars[name].fill_, new.scalars[name], nadam_product(new, steps))
    end
  end
end

-- To and from optimizers that keep the average of the path in a slot of their own.
local function paths(new, old, copies)
  local now, before = new.description.kind.average, old.description.kind.average
  if (now == nil) == (before == nil) then return nil end
  local items = now and new.items or old.items
  for _, item in ipairs(items) do
    for _, slot in ipairs(now and {'x', 'z'} or {before}) do
      local tensor = item.slots and rawget(item.slots, slot)
      if tensor then
        copies[#copies + 1] = now and {item.tensor, tensor, 1} or {tensor, item.tensor, 1}
      end
    end
  end
  return now and 'x and z begin at the weights' or 'the weights are the average x'
end

--- Give `new` what `old` knows. Slots that are kept are shared from then on; what has to be computed is
-- listed, to be done when the step count of `old` is `steps`.
-- @return list of {from, to, scale}, and what happened in words
function adopt.take(new, old, steps)
  local moves, copies = moves_of(new, old, steps), {}
  for _, m in ipairs(moves) do
    local value = m.from and rawget(m.old.slots, m.from)
    if value and m.scale == 1 then
      rawset(m.item.slots, m.slot, value)
    elseif value then
      copies[#copies + 1] = {value, m.item.slots[m.slot], m.scale}
    end
  end
  local counted = counts_on(new, old, moves)
  if counted then new.step_count = old.step_count end
  take_scalars(new, old, counted, steps)
  local extra = paths(new, old, copies)
  return copies, words(moves, new, counted, steps, extra)
end

return adopt
