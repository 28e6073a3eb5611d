-- hint.lua -- the grey words behind the cursor: what the call that is being typed still takes.
--
-- From the same descriptions as help and completion (inc/shell/calls.lua). Positional values come first, then
-- options with their defaults; while a name is being typed, those that begin so.
local lexer = require 'inc.shell.lexer'
local calls = require 'inc.shell.calls'

local hint = {}

local MOST_TEXT = 4096 -- characters of an entry for which it is worked out at every key

local function shown(p)
  if p.default then return ('%s = %s'):format(p.name, p.default) end
  return p.optional and p.name .. '?' or p.rest and p.name ~= '...' and p.name .. '...' or p.name
end

-- The option whose value is being typed, as in `stride = 2`.
local function current_name(tokens, open)
  local depth = 0
  for i = #tokens, open + 1, -1 do
    local token, text = tokens[i], tokens[i][2]
    if token[1] == 'op' and text:find '^[}%)%]]$' then depth = depth + 1
    elseif token[1] == 'op' and text:find '^[{%(%[]$' then depth = depth - 1
    elseif depth == 0 and text == ',' then return nil
    elseif depth == 0 and text == '=' and tokens[i - 1][1] == 'name' then return tokens[i - 1][2] end
  end
end

-- What a parameter takes, while its value is being typed.
local function about(params, name)
  for _, p in ipairs(params) do
    if p.name == name and p.choices then return table.concat(p.choices, ' | ') end
  end
end

-- The parameters that are still to come.
local function remaining(call, params)
  local list, position = {}, 0
  for _, p in ipairs(params) do
    if p.positional then position = position + 1 end
    local passed = p.positional and not p.rest and position <= call.commas + (call.complete and 1 or 0)
    if not passed and not call.names[p.name] then list[#list + 1] = p end
  end
  return list
end

local function beginning_with(list, prefix)
  local some = {}
  for _, p in ipairs(list) do
    if p.name:sub(1, #prefix) == prefix and p.name ~= prefix then some[#some + 1] = p end
  end
  return some
end

local function joined(list)
  local parts = {}
  for i, p in ipairs(list) do parts[i] = shown(p) end
  return table.concat(parts, ', ')
end

-- What stands in front of the hint, so that it reads as a continuation of the line.
local function lead(text, before)
  if before == '{' or before == '(' or text:find '%s$' then return '' end
  return before == ',' and ' ' or '  '
end

-- Is the name of an option being typed: a word right after the brace or a comma?
local function is_typing_option(call, tokens, length)
  local last, before = tokens[#tokens], tokens[#tokens - 1]
  local opens = before and (#tokens - 1 == call.open or before[2] == ',')
  return call.options and last[1] == 'name' and last[4] == length and opens
end

local function with_options(words, options)
  if not options or #options == 0 then return words end
  return words .. (words ~= '' and ', ' or '') .. '{' .. joined(options) .. '}'
end

local function words_for(call, tokens, text)
  local params, options = calls.params(call)
  if not params then return nil end
  local last, name = tokens[#tokens], call.options and current_name(tokens, call.open)
  local choices = name and last[2] == '=' and about(params, name)
  if choices then return choices end
  local typing = is_typing_option(call, tokens, #text)
  call.complete = last[2] ~= ',' and #tokens > call.open and not typing and not name
  local list = remaining(call, params)
  local some = typing and beginning_with(list, last[2]) or {}
  return with_options(joined(#some > 0 and some or list), options)
end

--- The hint for a line whose end is where the cursor stands; nil where there is nothing to say.
-- @param text the entry up to the cursor; session as in complete.at
function hint.at(text, session)
  if #text > MOST_TEXT or text:find '^%s*[!?]' then return nil end
  local tokens = lexer.tokens(text)
  local last = tokens[#tokens]
  local call = last and last[1] ~= 'open' and calls.around(tokens, session)
  local words = call and words_for(call, tokens, text)
  return words and words ~= '' and lead(text, last[2]) .. words or nil
end

return hint
