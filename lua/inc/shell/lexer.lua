-- lexer.lua -- Lua source to tokens, good enough for a prompt.
--
-- Serves the completer (what stands before the cursor?), the lifting of `local`, and the muting semicolon. It
-- never fails: an unfinished string or comment becomes a token of kind `open`, running to the end of the
-- text. Lua's own parser still decides what is right; asking it through load() alone was rejected, since it
-- tells nothing about an incomplete line but that it is one.
local lexer = {}

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then
    true until while]]):gmatch '%a+' do keywords[word] = true end
lexer.keywords = keywords

-- Where the long bracket that opens at `at` ends (position after it), or nil when it does not.
local function long_end(text, at)
  local level = text:match('^%[(=*)%[', at)
  if not level then return nil, false end
  local _, last = text:find(']' .. level .. ']', at + #level + 2, true)
  return last, true
end

local function short_end(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == '\\' then
      i = i + 1
      if text:sub(i, i) == 'z' then i = text:match('^%s*()', i + 1) - 1 end
    elseif c == quote then return i
    elseif c == '\n' then return nil end
    i = i + 1
  end
end

local function comment(text, at)
  local last, long = long_end(text, at + 2)
  if long then return last and 'comment' or 'open', last or #text end
  return 'comment', (text:find('\n', at, true) or #text + 1) - 1
end

local operators = {'^%.%.%.', '^%.%.', '^[=~<>]=', '^//', '^::', '^<<', '^>>', '^.'}

local function number_end(text, at)
  local _, last = text:find('^0[xX][%x%.]*[pP]?[+-]?%x*', at)
  if not last then _, last = text:find('^[%d%.]+[eE]?[+-]?%d*', at) end
  return text:sub(last, last):find '[+-]' and last - 1 or last
end

local function operator_end(text, at)
  for _, pattern in ipairs(operators) do
    local _, last = text:find(pattern, at)
    if last then return last end
  end
  return at
end

-- Kind and last position of the token that begins at `at`.
local function scan(text, at)
  local c = text:sub(at, at)
  if c:find '[%a_]' then
    local word = text:match('^[%w_]+', at)
    return keywords[word] and 'keyword' or 'name', at + #word - 1
  elseif text:find('^%.?%d', at) then return 'number', number_end(text, at)
  elseif text:find('^%-%-', at) then return comment(text, at)
  elseif c == '"' or c == "'" or text:find('^%[=*%[', at) then
    local last = (c == '[' and long_end or short_end)(text, at)
    return last and 'string' or 'open', last or #text
  end
  return 'op', operator_end(text, at)
end

--- The tokens of `text`: an array of {kind, text, from, to}.
-- Kinds are name, keyword, number, string, op, and open (a string or long comment that does not end).
-- Comments are left out.
function lexer.tokens(text)
  local list, at = {}, text:match '^%s*()'
  while at <= #text do
    local kind, last = scan(text, at)
    if kind ~= 'comment' then list[#list + 1] = {kind, text:sub(at, last), at, last} end
    at = text:match('^%s*()', last + 1)
  end
  return list
end

-- What a keyword does to the depth of blocks. `while` and `for` open by their `do`; `elseif` and `else` keep
-- it.
local block = {['function'] = 1, ['do'] = 1, ['then'] = 1, ['repeat'] = 1, ['end'] = -1, ['until'] = -1,
  ['elseif'] = -1}
local bracket = {['('] = 1, ['['] = 1, ['{'] = 1, [')'] = -1, [']'] = -1, ['}'] = -1}

--- Change of nesting that a token brings: +1, -1 or 0.
function lexer.nesting(token)
  if token[1] == 'keyword' then return block[token[2]] or 0 end
  return token[1] == 'op' and bracket[token[2]] or 0
end

return lexer
