--- inc.plan: a whole step planned once and replayed (core/plan/plan.h has the C side).
--
-- `inc.plan(f)` returns a callable. The first call with a new key traces f with shapes only (twice: what is
-- replayed must not depend on which call it was, so both traces must agree), runs the passes
-- and keeps the compiled plan; later calls replay it from C. The key is the shape, dtype and layout of every
-- tensor argument, the value of every other one, the precision, whether gradients are on, and what f read
-- besides its arguments: the identity of its upvalues and the training flags of the layers it called. So a
-- rebound `net` or `opt` is traced anew; it never trains the old one in silence.

local core = require 'inc.core'
local args = require 'inc.args'

local Plan = {}
Plan.__index = Plan
Plan.__name = 'plan'
args.object('step', Plan)

local known = {
  'simplify', 'fuse', 'siblings', 'layout', 'alias', 'recompute', 'arena', 'hoist', 'tile', 'uncast',
  'densify', 'gather', 'reference', 'exact', 'dumps',
}
local many_keys = 8

-- -- what a trace depends on --------------------------------------------------------------------------------

local notes -- layers called by the trace under way: a list of {module, flag, edits}, and the last by module

--- Called by layers while tracing: the plan is valid only while this layer's `training` flag and number of
-- edits stay as they are.
function core.trace_note(module)
  if not notes then return end
  local last, training, edits = notes[module], module.training, rawget(module, 'edits')
  if last and last.training == training and last.edits == edits then return end
  notes[#notes + 1] = {module = module, training = training, edits = edits}
  notes[module] = notes[#notes]
end

local function notes_hold(list)
  for _, n in ipairs(list) do
    if n.module.training ~= n.training or rawget(n.module, 'edits') ~= n.edits then return false end
  end
  return true
end

-- Upvalues of f, by identity, to the depth of functions that f calls.
local function upvalues(f, list, seen)
  if seen[f] then return list end
  seen[f] = true
  for i = 1, 255 do
    local name, value = debug.getupvalue(f, i)
    if not name then break end
    list[#list + 1] = {f = f, i = i, value = value}
    local is_lua = type(value) == 'function' and debug.getinfo(value, 'S').what ~= 'C'
    if is_lua then upvalues(value, list, seen) end
  end
  return list
end

local function upvalues_hold(list)
  for _, u in ipairs(list) do
    local name, value = debug.getupvalue(u.f, u.i)
    if name ~= '_ENV' and not rawequal(value, u.value) then return false end
  end
  return true
end

-- Globals that f names are looked up through _ENV; those that exist when tracing are watched too.
local function globals_of(list)
  local read = {}
  for _, u in ipairs(list) do
    local name = debug.getupvalue(u.f, u.i)
    if name == '_ENV' and type(u.value) == 'table' then read[u.value] = true end
  end
  return read
end

-- While f is traced, its environment records which globals it read.
local function record_globals(f, list, body)
  local env = next(globals_of(list))
  if not env then return body(), {} end
  local read = {}
  local shadow = setmetatable({}, {
    __index = function(_, k)
      local v = env[k]
      read[k] = v == nil and 'nil' or v
      return v
    end,
    __newindex = function(_, k, v) env[k] = v end,
  })
  local slots = {}
  for _, u in ipairs(list) do
    if debug.getupvalue(u.f, u.i) == '_ENV' and u.value == env then slots[#slots + 1] = u end
  end
  -- functions share one _ENV upvalue: give each traced function its own for the time of the trace
  local function point_at(target)
    for _, u in ipairs(slots) do
      local holder = (function() return target end)
      debug.upvaluejoin(u.f, u.i, holder, 1)
    end
  end
  local _ <close> = args.finally(function() point_at(env) end)
  point_at(shadow)
  return body(), read, env
end

local function globals_hold(plan)
  if not plan.env then return true end
  for k, v in pairs(plan.globals) do
    local now = plan.env[k]
    if now == nil then now = 'nil' end
    if not rawequal(now, v) then return false end
  end
  return true
end

-- -- the key ------------------------------------------------------------------------------------------------

local function spec_of(t)
  return {dtype = t:dtype(), shape = t:shape(), channels_last = t:is_channels_last()}
end

local function describe(v)
  if core.is_tensor(v) then
    return v:dtype() .. '[' .. table.concat(v:shape(), ',') .. ']' .. (v:is_channels_last() and 'cl' or '')
  end
  return type(v) .. ':' .. tostring(v)
end

local function key_of(values, n)
  local parts = {core.precision(), tostring(core.grad_enabled())}
  for i = 1, n do parts[#parts + 1] = describe(values[i]) end
  return table.concat(parts, ' ')
end

-- -- tracing ------------------------------------------------------------------------------------------------

local function no_random()
  args.fail('plan: math.random: drawn once while tracing and never again: draw outside and ' ..
    'pass the number to the plan as an argument')
end

-- core.plan_trace calls f twice and refuses what differs (core/graph_same.c); a random choice might come out
-- the same by chance, so it is refused where it is made.
local function trace(f, specs, options)
  local previous, random, list = notes, math.random, {}
  local function plan()
    local bar <close> = require 'inc.shell.screen'.progress()
    local _ <close> = args.finally(function()
      notes = previous
      rawset(math, 'random', random)
      core.scope_reset()
    end)
    local with = {told = function(done, all)
      bar:show('planning: kernels are compared, once on this machine: %d of %d convolutions', done, all)
    end}
    for name, value in pairs(options or {}) do with[name] = value end
    notes = list
    rawset(math, 'random', no_random)
    return core.plan_trace(f, specs, with)
  end
  local compiled = plan()
  local trouble = core.kernels_note()
  if trouble ~= '' then inc.note('%s', trouble) end
  return compiled, list
end

-- f with its non-tensor arguments filled in, taking tensors only.
local function tensors_only(f, values, n)
  return function(...)
    local given, at, full = {...}, 0, {}
    for i = 1, n do
      if core.is_tensor(values[i]) then
        at = at + 1
        full[i] = given[at]
      else
        full[i] = values[i]
      end
    end
    return f(table.unpack(full, 1, n))
  end
end

local function make(self, values, n)
  local specs = {}
  for i = 1, n do
    if core.is_tensor(values[i]) then specs[#specs + 1] = spec_of(values[i]) end
  end
  local ups = upvalues(self.f, {}, {})
  local flags
  local compiled, globals, env = record_globals(self.f, ups, function()
    local c
    c, flags = trace(tensors_only(self.f, values, n), specs, self.options)
    return c
  end)
  return {compiled = compiled, notes = flags, upvalues = ups, globals = globals, env = env}
end

local function still_valid(plan)
  return notes_hold(plan.notes) and upvalues_hold(plan.upvalues) and globals_hold(plan)
end

local function warn_many(self, key)
  self.count = self.count + 1
  if self.count ~= many_keys then return end
  inc.note('plan: %d different kinds of call were traced; the last two: %s | %s', many_keys, self.last or '',
    key)
end

local function find(self, values, n)
  local key = key_of(values, n)
  local list = self.plans[key]
  for _, plan in ipairs(list or {}) do
    if still_valid(plan) then return plan end
  end
  warn_many(self, key)
  local plan = make(self, values, n)
  self.plans[key] = list or {}
  -- a plan whose surroundings changed rarely comes back, but train/eval switches do: keep two
  table.insert(self.plans[key], 1, plan)
  self.plans[key][3] = nil
  self.last = key
  return plan
end

function Plan:__call(...)
  local values, n = {...}, select('#', ...)
  local plan = find(self, values, n)
  self.current = plan.compiled
  local tensors = {}
  for i = 1, n do
    if core.is_tensor(values[i]) then tensors[#tensors + 1] = values[i] end
  end
  return plan.compiled:run(table.unpack(tensors))
end

local function current(self, what)
  if not self.current then error(what .. ': this plan has not been called yet, so nothing is planned', 3) end
  return self.current
end

--- step:explain(): one row a kernel: layer, kernel, layouts, bytes, what was fused, and the times of the
-- kernels that were compared for it. After step:profile(true)
-- and a call, with times, rates, and their share of what this machine was measured to do at most.
-- > step:explain()
function Plan:explain() return current(self, 'explain'):explain() end

--- step:memory(): bytes {arena, workspace, kept, captured, total}, known before anything is allocated.
-- > step:memory().arena
function Plan:memory() return current(self, 'memory'):memory() end

--- step:dump 'fuse': the graph as text after a pass (inc.plan(f, {dumps = true})).
-- > step:dump 'fuse'
function Plan:dump(pass) return current(self, 'dump'):dump(pass) end

--- step:profile(true): time each kernel of the following calls for explain().
-- > step:profile(true); step(x, y); step:explain()
function Plan:profile(on) current(self, 'profile'):profile(on ~= false) end

function Plan:__tostring()
  if not self.current then return 'plan (not called yet)' end
  local m = self.current:memory()
  return ('plan: %d kernels, arena %.1f MB'):format(m.kernels, m.arena / 1e6)
end

local function check_options(options)
  for k in pairs(options) do
    local found = false
    for _, name in ipairs(known) do found = found or name == k end
    if not found then
      local near = core.nearest(tostring(k), known)
      local hint = near and ' (did you mean ' .. near .. '?)' or ''
      error(('plan: %s: unknown option%s'):format(tostring(k), hint), 3)
    end
  end
  return options
end

local M = {}

--- inc.plan(f): a function that does what f does, planned as a whole.
-- @name inc.plan
-- f takes tensors (and other values, which become part of the key) and returns tensors; it may call backward
-- and step an optimizer. The gradients are consumed: leaves keep no grad. `options` switch passes off:
-- simplify, fuse, siblings, layout, alias, recompute, arena, hoist, tile, uncast, densify, gather = false;
-- reference = true runs plain loops;
-- exact = true leaves out Winograd's convolutions (f32 to 1e-6 of a plain sum instead of 1e-5);
-- dumps = true keeps the graph after each pass for :dump.
-- > inc.plan(function(x) return (x * 2):sum() end)(inc.ones{3}):item()  --> 6.0
function M.new(f, options)
  if type(f) ~= 'function' then error('plan: expected a function, got ' .. type(f), 2) end
  return setmetatable({f = f, options = check_options(options or {}), plans = {}, count = 0}, Plan)
end

--- A compiled plan for exactly these input specs ({dtype =, shape =, channels_last =}); for the trainer.
function M.trace(f, specs, options) return (trace(f, specs, check_options(options or {}))) end

return setmetatable(M, {__call = function(_, f, options) return M.new(f, options) end})
