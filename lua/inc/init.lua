--- The table `inc` and the global names of the contract.
--
-- `inc` holds every function of the C module `inc.core`, and the Lua parts (nn, optim, data, the verbs, ...),
-- which are loaded the first time somebody names them: the prompt must be there in less than 50 ms, and a
-- script that only predicts should not parse the optimizers. The same laziness serves the globals, through
-- the metatable of _G; it answers only for the names listed here, so that any other unset global stays nil
-- as Lua users expect. Rejected: loading everything at start, which is slower and hides import cycles.

local core = require 'inc.core'

local inc = {}

-- What of the core is for users: every op that is not hidden, and these. The rest stays in inc.core, for
-- layers and tests.
local core_names = 'tensor zeros ones full rand randn arange eye image is_tensor no_grad grad_enabled ' ..
  'set_grad_enabled seed precision threads devices stats load'
for name in core_names:gmatch '%S+' do inc[name] = core[name] end
for _, op in ipairs(core.ops()) do
  if not op.hidden then inc[op.name] = core[op.name] end
end
for name, value in pairs(require 'inc.tensor') do inc[name] = value end
inc.core = core

--- Where the program's files lie: lua/, models/ and scripts/ are below it.
inc.root = debug.getinfo(1, 'S').source:match '^@(.*)lua/inc/init%.lua$' or ''
if inc.root == '' then inc.root = './' end

local modules = {
  'args', 'data', 'ema', 'help', 'json', 'models', 'nn', 'optim', 'plan', 'plot', 'recipes', 'schedule',
  'show', 'weights',
}
local verbs = {
  'bench', 'compare', 'convert', 'diff', 'doctor', 'evaluate', 'fork', 'inspect', 'pack', 'predict',
  'resume', 'runs', 'train',
}
-- Verbs that are not in a file of their name.
local verb_files = {diff = 'inc.run.diff', fork = 'inc.run.fork', runs = 'inc.run.table'}
local global_modules = {'apropos', 'data', 'help', 'models', 'nn', 'optim', 'plot', 'recipes', 'show', 'tour'}

-- -- loading ------------------------------------------------------------------------------------------------

local function try_require(name)
  if package.preload[name] or package.loaded[name] or package.searchpath(name, package.path) then
    return require(name)
  end
end

-- The file of a verb returns its function, or a table that holds it (`resume` may live with `train`).
local function load_verb(name)
  for _, place in ipairs{verb_files[name] or 'inc.verbs.' .. name, 'inc.' .. name, 'inc.train'} do
    local found = try_require(place)
    if type(found) == 'table' then
      found = found[name]
    elseif place:sub(-#name) ~= name then
      found = nil
    end
    if found then return found end
  end
  return function() error(name .. ': not built yet', 2) end
end

local loaders = {
  apropos = function() return inc.help.apropos end,
  tour = function() return try_require 'inc.tour' end,
}
for _, name in ipairs(modules) do
  loaders[name] = function() return try_require('inc.' .. name) end
end
for _, name in ipairs(verbs) do
  loaders[name] = function() return load_verb(name) end
end

local function load_part(_, key)
  local load = loaders[key]
  if not load then return nil end
  inc[key] = load()
  return rawget(inc, key)
end

setmetatable(inc, {__index = load_part, __names = loaders, __verbs = verbs})

-- -- functions that need more than C ------------------------------------------------------------------------

local function answer(ok, ...)
  if ok then return ... end
  local message = tostring((...))
  local text, code = core.last_error()
  local from_core = text ~= '' and message:find(text, 1, true)
  return nil, message, from_core and code or 'error'
end

--- Call f and never raise: its results, or nil, message, code ('error' where the core did not give one).
-- > inc.try(function() return 1 end)  --> 1
function inc.try(f, ...) return answer(pcall(f, ...)) end

--- Write tensors to a safetensors file: beside it first, then renamed, so that no half-written file is seen.
-- @param path the file
-- @param what a net (its parameters, running statistics and preprocessing), an ordered list of
--   {name, tensor}, or one tensor
-- @param metadata extra strings for the head of the file
-- > inc.save('a.safetensors', net)
-- > inc.save('b.safetensors', {{'mean', inc.zeros{3}}})
function inc.save(path, what, metadata)
  return inc.weights.save(path, what, metadata)
end

--- Say something about the work on stderr, where it never mixes with results.
function inc.note(format, ...)
  io.stderr:write(require 'inc.shell.screen'.fit(format:format(...), 2), '\n')
end

-- -- globals ------------------------------------------------------------------------------------------------

local lazy_global = {}
for _, name in ipairs(global_modules) do lazy_global[name] = true end
for _, name in ipairs(verbs) do lazy_global[name] = true end

local plain_print = print

local function printable(v)
  if type(v) ~= 'table' or getmetatable(v) then return v end
  return inc.show.value(v)
end

-- print: a table without a metatable as it would be typed; its address tells nobody anything.
local function print_values(...)
  local values = table.pack(...)
  for i = 1, values.n do values[i] = printable(values[i]) end
  plain_print(table.unpack(values, 1, values.n))
end

local function install(env)
  local meta = getmetatable(env) or {}
  local before = meta.__index
  meta.__index = function(t, key)
    if lazy_global[key] then return inc[key] end
    if type(before) == 'function' then return before(t, key) end
    return before and before[key]
  end
  meta.__names = lazy_global
  rawset(env, 'inc', inc)
  rawset(env, 'print', print_values)
  setmetatable(env, meta)
end

install(_G)

return inc
