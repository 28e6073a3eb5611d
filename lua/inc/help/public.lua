-- public.lua -- everything that users may call, by the name they write.
--
-- Names come from the tables themselves, so nothing new can be forgotten: what is in `inc`, nn, optim, data,
-- models, recipes, and in the methods of each kind of object is public unless it is named here as inner.
-- Help takes an entry's name from this list, by where the function is defined; the test of the documentation
-- goes through it and fails for a name without text or example.
local args = require 'inc.args'
local core = require 'inc.core'

local public = {}

-- Loading a file makes its objects known (args.object).
local files = 'inc.run inc.data inc.plan inc.optim inc.optim.bound inc.schedule inc.compare inc.run.table ' ..
  'inc.run.diff inc.nn inc.nn.preprocess'

-- Table by table: what its names begin with, the table, and names that are not for users.
local function tables()
  local inc = require 'inc'
  local nn = inc.nn
  return {
    {'inc.', inc, 'core shell_idle wait_runs active_runs note buffer_id apropos help tour'},
    {'nn.', nn, 'Module'},
    {'nn.init.', nn.init, 'zeros ones'},
    {'nn.functional.', nn.functional},
    {'optim.', inc.optim, 'schedule_from_table'},
    {'data.', inc.data, 'view_spec'},
    {'models.', inc.models, 'build'},
    {'recipes.', inc.recipes},
    {'inc.plot.', inc.plot, 'options curves kind_of file_script to_file picture'},
    {'inc.show.', inc.show},
    {'inc.json.', inc.json},
  }
end

-- Parts of inc that are tables of functions, told of above or not at all, and not functions themselves.
local no_call = 'args data ema help json models nn optim recipes schedule weights'

local function words(text)
  local set = {}
  for word in text:gmatch '%S+' do set[word] = true end
  return set
end

local function is_callable(v)
  local meta = getmetatable(v)
  return type(v) == 'function' or type(meta) == 'table' and meta.__call ~= nil
end

local function add_table(list, prefix, t, inner)
  inner = words(inner or '')
  for name, value in next, t do
    local hidden = type(name) ~= 'string' or name:sub(1, 1) == '_' or inner[name]
    if not hidden and is_callable(value) then list[#list + 1] = {name = prefix .. name, value = value} end
  end
end

local function add_objects(list)
  for _, name in ipairs{'x', 'net'} do
    local methods = name == 'x' and core.methods or require('inc.nn').Module
    local inner = name == 'x' and 'buffer_id' or 'describe describe_call full_name materialise ' ..
      'build_parameters setup create reserve reserve_buffer'
    add_table(list, name .. ':', methods, inner)
  end
  for name, object in pairs(args.objects) do
    add_table(list, name .. ':', object.methods, object.inner)
    add_table(list, name .. '.', object.fields)
  end
end

-- What only the prompt has (inc/shell/prompt.lua).
local prompt_words = 'time timeit trace who reload save_session allow_folder'

local function add_verbs(list)
  local inc = require 'inc'
  for _, name in ipairs(getmetatable(inc).__verbs) do
    list[#list + 1] = {name = name, value = inc[name], verb = true}
  end
  for _, name in ipairs{'apropos', 'help', 'tour'} do list[#list + 1] = {name = name, value = inc[name]} end
  for word in prompt_words:gmatch '%S+' do list[#list + 1] = {name = word} end
end

local cache

--- Everything public: a list of {name, value, verb = true for a verb}, sorted by name.
function public.list()
  if cache then return cache end
  local list, inc = {}, require 'inc'
  for file in files:gmatch '%S+' do require(file) end
  for name in next, getmetatable(inc).__names do local _ = inc[name] end
  local skip = words(no_call .. ' ' .. table.concat(getmetatable(inc).__verbs, ' '))
  for _, t in ipairs(tables()) do add_table(list, t[1], t[2], t[3]) end
  add_objects(list)
  add_verbs(list)
  for i = #list, 1, -1 do
    local plain = list[i].name:match '^inc%.([%w_]+)$'
    if plain and skip[plain] then table.remove(list, i) end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  cache = list
  return list
end

return public
