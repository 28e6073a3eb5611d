-- choices.lua -- the words that fit where a value is expected: names of optimizers, models, dtypes, children.
--
-- Two places: after `name =` inside a call, and inside a quote that is opened there. Words come from the
-- call's own description where it lists them (augment, precision, ...), else from the part of the library
-- that knows them. Where nothing is known, a quote holds a file name.
local fields = require 'inc.shell.fields'
local lexer = require 'inc.shell.lexer'

local choices = {}

local dtypes = {'f32', 'f64', 'bf16', 'f16', 'i64', 'i32', 'u8', 'bool'}

local function names_in(t)
  local list = {}
  for name in next, t do
    if type(name) == 'string' and not name:find '^_' then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function children(value)
  return names_in(fields.layer(value, true) or {})
end

-- Options whose words the description does not list, and who knows them; some ask for the call's first value.
local by_option = {
  optimizer = function() return require 'inc.optim'.names() end,
  schedule = function() return require 'inc.schedule'.names() end,
  model = function() return require 'inc.models'.names() end,
  dtype = function() return dtypes end,
  devices = function()
    local list = {}
    for _, d in ipairs(require 'inc.core'.devices()) do list[#list + 1] = d.name end
    return list
  end,
  freeze = function(first_value) return children(first_value()) end,
}

-- Names of a layer's descendants: 'Mixed_6b.branch1x1', as end_points takes them.
local function descendants(value, prefix, list, depth)
  for _, name in ipairs(children(value)) do
    list[#list + 1] = prefix .. name
    local child = rawget(rawget(value, '_child'), name)
    if depth < 6 then descendants(child, prefix .. name .. '.', list, depth + 1) end
  end
  return list
end

local function help_names()
  local list, seen = {}, {}
  local function add(name)
    if not seen[name] then list[#list + 1] = name end
    seen[name] = true
  end
  for _, name in ipairs(require 'inc.help.topics'.order) do add(name) end
  for _, e in ipairs(require 'inc.help.index'.all()) do
    add(e.name)
    add(e.name:match '[%w_]+$' or e.name)
  end
  return list
end

local function loaded_modules()
  local list = {}
  for name in next, package.loaded do
    local own = type(name) == 'string' and not name:find '^inc' and not rawget(_G, name)
    if own then list[#list + 1] = name end
  end
  return list
end

-- Functions and methods whose (first) string has a meaning.
local by_call = {
  help = help_names, reload = loaded_modules, child = children, replace = children,
  to = function() return dtypes end,
  end_points = function(net) return descendants(net, '', {}, 1) end,
  freeze = children, unfreeze = children,
}

-- The call `name 'text` or `object:name('text`, whose last token stands at `at`: words, or nil.
local function of_call(tokens, at, session)
  local token = tokens[at]
  local find = token and token[1] == 'name' and by_call[token[2]]
  if not find then return nil end
  local previous = at > 2 and tokens[at - 1][2]
  if previous == ':' or previous == '.' then return find(fields.value_of(tokens, at - 2, session)) end
  return find(nil)
end

-- The first value inside the braces of a call, where that is a name or a path.
local function first_value(call, tokens, session)
  local at, depth = call.open + 1, 0
  while tokens[at] and not (depth == 0 and tokens[at][2] == ',') do
    depth = depth + lexer.nesting(tokens[at])
    at = at + 1
  end
  return at > call.open + 1 and fields.value_of(tokens, at - 1, session) or nil
end

-- Columns of the log of a run, which run:plot and plot{run, ...} take.
local function columns(call, tokens, session)
  local name, value = call.path:match '[%w_]+$', call.object
  if not call.method then value = first_value(call, tokens, session) end
  if name ~= 'plot' or not fields.is_run(value) then return nil end
  local ok, log = pcall(require 'inc.run.log'.read, value.folder .. '/log.jsonl')
  return ok and log.names or {'loss', 'lr', 'img_s', 'val.loss', 'val.top1', 'val.top5'}
end

-- The option that is being given: `name =` right before the end of the tokens.
local function option_at(tokens)
  local n = #tokens
  if n >= 2 and tokens[n][2] == '=' and tokens[n - 1][1] == 'name' then return tokens[n - 1][2] end
end

local function param_named(params, name)
  for _, p in ipairs(params or {}) do
    if p.name == name then return p end
  end
end

-- Words of an option, and whether they are written in quotes.
local function of_option(params, option, first)
  local p = param_named(params, option)
  if not p then return nil end
  if p.choices then return p.choices, p.quoted end
  return by_option[option] and by_option[option](first), true
end

--- Words for the value at the end of the tokens (the quote that may be open there is not among them).
-- @param call what calls.around gave, or nil; params what calls.params gave
-- @return list of words and whether they are written in quotes; nil when nothing is known
function choices.at(tokens, call, params, session)
  local in_braces = call and call.options
  local option = in_braces and option_at(tokens)
  if option then
    return of_option(params, option, function() return first_value(call, tokens, session) end)
  end
  local words = in_braces and columns(call, tokens, session) or of_call(tokens, #tokens, session) or
    call and of_call(tokens, call.callee, session)
  return words, true
end

return choices
