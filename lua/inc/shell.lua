-- shell.lua -- the engine behind a prompt: evaluate, complete, say whether an entry is finished, explain.
--
-- None of it reads or prints, so that a notebook kernel can use it as it is; the prompt's own input and
-- output are in core/shell and in inc/shell/prompt.lua. The parts:
--   inc/shell/eval.lua      sessions: `local` that lasts, `_`, muting, records of failures
--   inc/shell/complete.lua  what may stand at the cursor; never runs the user's code (fields, calls, choices)
--   inc/shell/hint.lua      what the call that is being typed still takes
--   inc/shell/replay.lua    the session as a script
--   inc/shell/errors.lua    message, hint, the user's own line, full trace
--   inc/shell/timing.lua    time and timeit
local eval = require 'inc.shell.eval'

local shell = {}
local session = eval.session

--- A new session: an object with the methods below.
-- session:eval(text)         {ok, values, mute, error, chunk}
-- session:is_complete(text)  'complete', 'incomplete' and an indentation, or 'invalid'
-- session:complete(text, at) a list of words, where they begin, and the quote that opens them
-- session:hint(text)         what the call at the end of the text still takes
-- session:inspect(text, at)  help on the name at the cursor; the source of it with true after that
-- session:script()           what worked, as a script
-- > require 'inc.shell'.new():eval('1 + 1').values[1]  --> 2
function shell.new(name)
  return eval.new(name)
end

--- What may stand at position `at` (counted in bytes; the end when left out): words, start, quote.
-- Without words and with a quote, a file name stands there.
-- > require 'inc.shell'.new():complete('string.forma')[1]  --> format
function session:complete(text, at)
  return require 'inc.shell.complete'.at(text:sub(1, at or #text), self)
end

--- What the call at the end of `text` still takes, or nil.
-- > require 'inc.shell'.new():hint 'nn.Linear{10, bi'  --> bias = true
function session:hint(text)
  local hint = require 'inc.shell.hint'.at(text, self)
  return hint and hint:match '^%s*(.*)$'
end

-- The path around the cursor, such as net.fc or nn.Conv2d; outside one, the name that is called there.
local function path_at(text, at)
  local from, to = at, at
  while from > 0 and text:find('^[%w_.:]', from) do from = from - 1 end
  while text:find('^[%w_]', to + 1) do to = to + 1 end
  local path = text:sub(from + 1, to):match '[%a_][%w_.:]*[%w_]' or text:sub(from + 1, to):match '[%a_]'
  if path then return path end
  local tokens = require 'inc.shell.lexer'.tokens(text:sub(1, at))
  local call = tokens[1] and require 'inc.shell.calls'.around(tokens)
  return call and call.path
end

-- A value by its path, by raw access.
local function value_at(self, path)
  local tokens = require 'inc.shell.lexer'.tokens(path)
  return tokens[1] and require 'inc.shell.fields'.value_of(tokens, #tokens, self)
end

local function source_of(value, path)
  local help = require 'inc.help'
  local is_code = type(value) == 'function' or type(value) == 'table' and rawget(value, 'forward')
  return help.source(is_code and value or path)
end

-- A function without documentation: how it is called.
local function signature(value, path)
  if type(value) ~= 'function' or debug.getinfo(value, 'S').what == 'C' then return nil end
  local params = require 'inc.shell.calls'.params {path = path, value = value}
  local names = {}
  for i, p in ipairs(params) do names[i] = p.name end
  return ('%s(%s)\n  no comment; ??%s shows the source'):format(path, table.concat(names, ', '), path)
end

-- Is there a text under this name? Asked first, because help follows a name that it does not know, and that
-- may lead through code of the user's.
local function is_documented(path)
  return type(require 'inc.help.topics'[path]) == 'string' or #require 'inc.help.index'.find(path) > 0
end

local function about(self, value, path)
  local help = require 'inc.help'
  local _, is_local = self:get_local(path)
  local root = rawget(_G, path:match '^[%w_]+')
  if not is_local and (is_documented(path) or value == nil and root == nil) then return help.text(path) end
  if value == nil or type(value) == 'string' then return nil, ('no help on %q'):format(path) end
  local found, why = help.text(value)
  return found or signature(value, path), why
end

--- Help on the name at the cursor: text, or nil and a sentence.
-- @param text a line of code; `?name` and `??name` (its source) are understood too
-- @param at position in bytes; the end when left out
-- @param source true for the source of a function
-- > (require 'inc.shell'.new():inspect('nn.Linear{', 4):find 'in_features') ~= nil  --> true
function session:inspect(text, at, source)
  local marks, named = text:match '^%s*(%?%??)%s*(.-)%s*$'
  if marks then
    if named == '' then return require 'inc.help'.text() end
    source, text, at = source or marks == '??', named, #named
  end
  local path = path_at(text, at or #text)
  if not path then return nil, 'no name there' end
  local value = value_at(self, path)
  if source then return source_of(value, path) end
  return about(self, value, path)
end

--- The entries that worked, as the text of a script that gives the same numbers.
-- > (require 'inc.shell'.new():script():find '^%-%- A session of incsh') ~= nil  --> true
function session:script() return self.record:script() end

return shell
