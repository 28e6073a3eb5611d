-- meant.lua -- the hint of an error that comes from a name nobody has: what was probably meant.
--
-- Lua says which name was nil and not where it was looked for; the user's own line says that. The line is
-- read as the completer reads it, so nothing of the user's runs. An error of ours that expected something
-- gets a hint too, where a variable on its line is nil and looks like another: `train{net, flower}`.
local fields = require 'inc.shell.fields'
local lexer = require 'inc.shell.lexer'

local meant = {}

local function near_of(word, names, most) return require 'inc.args'.nearest(word, names, most) end

-- Edits that may part a name from what was meant.
local function most(word) return #word < 4 and 1 or 2 end

-- What may be meant by a global that is not there: a name of the shell or of the session, or what stands in
-- one of our tables under just this name.
local function global_like(word, session)
  local names, inc = {}, rawget(_G, 'inc')
  for _, place in ipairs{_G, (getmetatable(_G) or {}).__names or {}, session and session.locals or {}} do
    for name in next, place do names[tostring(name)] = true end
  end
  for _, place in ipairs{'nn', 'optim', 'data', 'models', 'recipes'} do
    local t = type(inc) == 'table' and inc[place]
    if type(t) == 'table' and rawget(t, word) ~= nil then return place .. '.' .. word end
  end
  if type(inc) == 'table' and rawget(inc, word) ~= nil then return 'inc.' .. word end
  names[word] = nil
  return near_of(word, fields.sorted(names), #word < 6 and 1 or 2)
end

local function said(name) return name and ('did you mean %s?'):format(name) end

-- `optim.adm{}` and `net:parameter()`: the fields of what stands in front.
local function field_hint(word, text, session)
  local tokens = lexer.tokens(text)
  for i = 3, #tokens do
    local mark = tokens[i - 1][2]
    if tokens[i][2] == word and (mark == '.' or mark == ':') then
      local names, value = {}, fields.value_of(tokens, i - 2, session)
      if value ~= nil then fields.collect(value, '', mark == ':', names) end
      local near = near_of(word, fields.sorted(names), most(word))
      if near then return said(fields.path_text(tokens, i - 2) .. mark .. near) end
    end
  end
end

-- Is this token a variable that is read, and nil?
local function is_lost(tokens, i, session)
  local before, behind = tokens[i - 1] and tokens[i - 1][2], tokens[i + 1] and tokens[i + 1][2]
  if tokens[i][1] ~= 'name' or lexer.keywords[tokens[i][2]] then return false end
  if before == '.' or before == ':' or behind == '=' or behind == '(' then return false end
  return fields.value_of(tokens, i, session) == nil and rawget(_G, tokens[i][2]) == nil
end

-- Names that an entry declares itself are not known here: such entries get no hint.
local declares = {['local'] = true, ['function'] = true, ['for'] = true}

local function lost_hint(text, session)
  local tokens = lexer.tokens(text)
  for _, token in ipairs(tokens) do
    if declares[token[2]] then return nil end
  end
  for i = 1, #tokens do
    local word = tokens[i][2]
    local near = is_lost(tokens, i, session) and global_like(word, session)
    if near then return ('%s is nil: %s'):format(word, said(near)) end
  end
end

--- A hint for an error of an entry of the prompt, where all names can be looked at; or nil.
-- @param message without position
-- @param text the entry
-- @param session whose locals may stand in it
function meant.entry_hint(message, text, session)
  local hint = meant.hint(message, text, session)
  return hint or message:find 'expected' and lost_hint(text, session) or nil
end

--- A hint for a message, or nil.
-- @param message without position
-- @param text the user's line that failed, or nil
-- @param session whose locals may stand in it, or nil
function meant.hint(message, text, session)
  local kind, word = message:match "^attempt to %a+ a nil value %((%a+) '([%w_]+)'%)"
  if kind == 'global' then return said(global_like(word, session)) end
  if (kind == 'method' or kind == 'field') and text then return field_hint(word, text, session) end
end

return meant
