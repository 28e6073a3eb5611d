-- calls.lua -- the call that the cursor stands in: who is called, what was given, what may still be given.
--
-- Completion and the grey hint ask the same questions, so the answers are here once: they come from the
-- descriptions of one-table calls (inc/args.lua), the signatures of ops, and the parameter names of Lua
-- functions. Nothing of the user's is run: values are found by raw access (inc/shell/fields.lua).
local fields = require 'inc.shell.fields'

local calls = {}

local function text_at(tokens, i) return tokens[i] and tokens[i][2] end

-- Index of the bracket that encloses token `last`, or nil.
local function enclosing(tokens, last)
  local depth = 0
  for i = last, 1, -1 do
    local text = tokens[i][1] == 'op' and tokens[i][2]
    if text == '}' or text == ')' or text == ']' then depth = depth + 1
    elseif text == '{' or text == '(' or text == '[' then
      if depth == 0 then return i end
      depth = depth - 1
    end
  end
end

-- The name that is called with the bracket at `open`: its index, and whether the bracket holds options.
-- `f{`, `f(`, and `f(x, {` where the options come last.
local function callee_of(tokens, open)
  local before, bracket = text_at(tokens, open - 1), text_at(tokens, open)
  if tokens[open - 1] and tokens[open - 1][1] == 'name' and text_at(tokens, open - 2) ~= 'function' then
    return open - 1, bracket == '{'
  elseif bracket == '{' and (before == '(' or before == ',') then
    local outer = enclosing(tokens, open - 1)
    local name = outer and text_at(tokens, outer) == '(' and tokens[outer - 1]
    if name and name[1] == 'name' then return outer - 1, true, true end
  end
end

-- What stands between the bracket and the end: set of names given, values by position, commas.
local function given(tokens, open)
  local names, commas, depth, any = {}, 0, 0, false
  for i = open + 1, #tokens do
    local token, text = tokens[i], tokens[i][2]
    any = true
    if token[1] == 'op' and text:find '^[{%(%[]$' then depth = depth + 1
    elseif token[1] == 'op' and text:find '^[}%)%]]$' then depth = depth - 1
    elseif depth == 0 and text == ',' then commas = commas + 1
    elseif depth == 0 and text == '=' and tokens[i - 1][1] == 'name' then names[tokens[i - 1][2]] = true end
  end
  return names, commas, any
end

--- The innermost call that the end of the tokens stands in, or nil.
-- @return {callee (index of the name), open (index of the bracket), options (inside braces), inner (the
--   braces are the last argument), names (set), commas, any (something was given), method, object, path,
--   value}
function calls.around(tokens, session)
  local last = #tokens
  for _ = 1, 5 do
    local open = last > 0 and enclosing(tokens, last)
    if not open then return nil end
    local callee, options, inner = callee_of(tokens, open)
    if callee then
      local names, commas, any = given(tokens, open)
      local method = text_at(tokens, callee - 1) == ':'
      return {callee = callee, open = open, options = options, inner = inner, names = names, commas = commas,
        any = any, method = method, path = fields.path_text(tokens, callee),
        object = method and fields.value_of(tokens, callee - 2, session) or nil,
        value = fields.value_of(tokens, callee, session)}
    end
    last = open - 1
  end
end

-- -- descriptions -----------------------------------------------------------------------------------------

local ops

local function op_signature(name)
  if not ops then
    ops = {}
    local core = package.loaded['inc.core']
    for _, op in ipairs(core and core.ops and core.ops() or {}) do ops[op.name] = op.sig end
  end
  return ops[name]
end

-- "x:tensor, stride:int[2]=1 -> y" as two lists of {name, default}.
local function of_signature(sig)
  local inputs, options = {}, {}
  for item in (sig:match '^(.-)%s*%->' or sig):gmatch '[^,]+' do
    local name, kind, default = item:match '^%s*([%w_]+)%s*:%s*([^=%s]+)%s*=?%s*(.-)%s*$'
    if name then
      local list = kind:find '^tensor' and inputs or options
      list[#list + 1] = {name = name, default = default ~= '' and default or nil,
        optional = kind:sub(-1) == '?', choices = kind == 'bool' and {'true', 'false'} or nil}
    end
  end
  return inputs, options
end

local function of_spec(spec)
  local args, list = require 'inc.args', {}
  for _, p in ipairs(spec.params) do
    local bool = p.type == args.types.bool
    local default = p.default ~= nil and args.show(p.default) or nil
    list[#list + 1] = {name = p.name, positional = p.positional, rest = p.rest, optional = p.optional,
      default = default, choices = bool and {'true', 'false'} or p.choices,
      quoted = not bool and p.choices ~= nil}
  end
  return list
end

-- Parameter names of a Lua function, as its author wrote them.
local function of_function(f, method)
  local info, list = debug.getinfo(f, 'u'), {}
  for i = method and 2 or 1, info.nparams do
    list[#list + 1] = {name = debug.getlocal(f, i), positional = true}
  end
  if info.isvararg then list[#list + 1] = {name = '...', positional = true, rest = true} end
  return list
end

-- Is it a description that inc/args.lua made?
local function is_spec(v, specs)
  local _, one = next(specs)
  return type(v) == 'table' and debug.getmetatable(v) == debug.getmetatable(one)
end

-- The specification that belongs to a path or a class.
local function spec_for(path, value)
  local specs = require 'inc.args'.specs
  local class = type(value) == 'table' and rawget(value, '_spec')
  local method = fields.is_ours(value) and path:match ':([%w_]+)$'
  return is_spec(class, specs) and class or specs[path] or specs[path:gsub('^inc%.', '')] or
    method and (specs['run:' .. method] or specs[method]) or nil
end

-- Methods of runs that take the options of another call, or what the run has.
local of_runs = {
  set = function(run)
    local list = {}
    for i, name in ipairs(require 'inc.run.swap'.numbers(run)) do list[i] = {name = name, optional = true} end
    return list
  end,
  fork = function()
    local list = of_spec(require 'inc.train.settings'.fork_spec)
    return {table.unpack(list, 2)} -- the run stands in front
  end,
  plot = function() return of_spec(require 'inc.plot' and require 'inc.args'.specs['inc.plot']) end,
}

local function of_method(call)
  local params = fields.is_run(call.object) and of_runs[call.path:match '[%w_]*$']
  local ok, list = pcall(params or error, call.object)
  return ok and list or nil
end

--- What a call takes: a list of {name, positional, rest, optional, default, choices, quoted}, or nil.
-- @param call what calls.around gave
function calls.params(call)
  local own = of_method(call)
  if own then return own end
  local spec, value = spec_for(call.path, call.value), call.value
  if spec then return of_spec(spec) end
  local sig = op_signature(call.path:match '[%w_]*$')
  if sig and not (type(value) == 'function' and debug.getinfo(value, 'S').what ~= 'C') then
    local inputs, options = of_signature(sig)
    if call.options then return options end
    if call.method then table.remove(inputs, 1) end
    for _, input in ipairs(inputs) do input.positional = true end
    return inputs, options
  end
  if type(value) == 'function' and debug.getinfo(value, 'S').what ~= 'C' and not call.options then
    return of_function(value, call.method)
  end
end

--- The names of the options of a call, for completion inside braces.
function calls.option_names(call)
  local names = {}
  for _, p in ipairs(calls.params(call) or {}) do
    if not p.rest then names[#names + 1] = p.name end -- what takes all the rest has no name
  end
  return names
end

return calls
