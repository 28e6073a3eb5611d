-- complete.lua -- what may stand at the cursor: fields, methods, options, words of an option, globals.
--
-- Looks into values by raw access alone (inc/shell/fields.lua), so Tab never runs the user's code. File names
-- are not listed here: the answer says that one stands there, and whoever asked lists the folder.
local lexer = require 'inc.shell.lexer'
local fields = require 'inc.shell.fields'
local calls = require 'inc.shell.calls'
local choices = require 'inc.shell.choices'

local complete = {}

local function text_at(tokens, i) return tokens[i] and tokens[i][2] end

local function add_globals(prefix, session, into)
  fields.collect(_G, prefix, false, into)
  for name in next, session and session.locals or {} do
    if name:sub(1, #prefix) == prefix then into[name] = true end
  end
  for word in next, lexer.keywords do
    if prefix ~= '' and word:sub(1, #prefix) == prefix then into[word] = true end
  end
end

-- The options of the call that were not given yet, as "name = ", where an entry of its braces begins.
local function add_options(tokens, call, prefix, into)
  local last = #tokens
  local begins = call and call.options and (last == call.open or text_at(tokens, last) == ',')
  for _, name in ipairs(begins and calls.option_names(call) or {}) do
    if not call.names[name] and name:sub(1, #prefix) == prefix then into[name .. ' = '] = true end
  end
end

-- The words of an option after `name =`; those that are strings come with their quotes.
local function add_values(tokens, call, prefix, session, into)
  if text_at(tokens, #tokens) ~= '=' or not call then return end
  local words, quoted = choices.at(tokens, call, calls.params(call), session)
  for _, word in ipairs(words or {}) do
    local text = quoted and ("'%s'"):format(word) or word
    if text:sub(1, #prefix) == prefix then into[text] = true end
  end
end

-- "text" or ("text"), whose methods are those of strings.
local function ends_in_string(tokens)
  local n = #tokens
  if n >= 3 and tokens[n][2] == ')' and tokens[n - 2][2] == '(' then n = n - 1 end
  return n > 0 and tokens[n][1] == 'string'
end

-- The word that ends at the cursor, taken off the tokens; '' when none does.
local function take_word(tokens, at)
  local last = tokens[#tokens]
  if not last or last[4] ~= at or not (last[1] == 'name' or last[1] == 'keyword') then return '' end
  tokens[#tokens] = nil
  return last[2]
end

-- Inside a quote: words if something is known of them, else a file name.
local function in_quote(tokens, session)
  local open = table.remove(tokens)
  local quote, start = open[2]:sub(1, 1), open[3] + 1
  local call = calls.around(tokens, session)
  local words = quote ~= '[' and choices.at(tokens, call, call and calls.params(call), session)
  if not words then return nil, start, quote end
  local typed, fitting = open[2]:sub(2), {}
  for _, word in ipairs(words) do
    if word:sub(1, #typed) == typed then fitting[word] = true end
  end
  return fields.sorted(fitting), start, quote
end

--- What may stand at the end of `text` (the line up to the cursor).
-- @return list of whole words (sorted) and the position in text where they begin, and the quote that opens
--   them, if one does; for a file name: nil, the position, and the quote
function complete.at(text, session)
  if text:find '^%s*!' then return nil, #text, ' ' end -- the system's shell: file names, between blanks
  local command = text:match '^%s*%?%??%s*'
  if command then text = (' '):rep(#command) .. text:sub(#command + 1) end
  local tokens = lexer.tokens(text)
  local last = tokens[#tokens]
  if last and last[1] == 'open' then
    if last[2]:find '^%-%-' then return {}, #text + 1 end
    return in_quote(tokens, session)
  end
  local prefix = take_word(tokens, #text)
  local found, start, before = {}, #text - #prefix + 1, text_at(tokens, #tokens)
  if before == '.' or before == ':' then
    tokens[#tokens] = nil
    local value
    if ends_in_string(tokens) then value = ''
    elseif tokens[1] then value = fields.value_of(tokens, #tokens, session) end
    if value ~= nil then fields.collect(value, prefix, before == ':', found) end
  else
    local call = calls.around(tokens, session)
    add_options(tokens, call, prefix, found)
    add_values(tokens, call, prefix, session, found)
    if prefix ~= '' or not next(found) then add_globals(prefix, session, found) end
  end
  return fields.sorted(found), start
end

return complete
