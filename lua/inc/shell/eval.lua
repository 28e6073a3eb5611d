-- eval.lua -- one entry of a session: is it complete, and what does it give?
--
-- A session is an object, so that a prompt and a notebook can each have their own. Nothing here reads or
-- prints.
--
-- `local` lasts: a top-level `local x` of an entry becomes a session variable. The entry is compiled inside a
-- function whose upvalues are those variables, joined to the ones of earlier entries, so the meaning and the
-- speed of locals are kept. Rewriting them to globals was rejected: `local print = ...` would then change
-- every module. `local x <close>` stays what it is, for it must close at the end of its entry.
local host = require 'inc.host'
local lexer = require 'inc.shell.lexer'
local errors = require 'inc.shell.errors'

local eval = {}
local session = {}
session.__index = session

--- A new session. Fields: locals (name -> box), count (entries so far), notes (sentences to show once).
function eval.new(name)
  return setmetatable({name = name or 'prompt', locals = {}, count = 0, notes = {}}, session)
end

-- -- session variables ------------------------------------------------------------------------------------

-- A closure whose only upvalue is the variable.
local function new_box() return load('local value; return function() return value end', '=(inc)')() end

--- Value of the session's local `name`, and whether there is one.
function session:get_local(name)
  local box = self.locals[name]
  if box then return box(), true end
  return nil, false
end

-- Names that a `local` statement at token i declares: list of name tokens, attribute (or nil), index after.
local function declared(tokens, i)
  local names, close = {}, nil
  local at = i + 1
  repeat
    names[#names + 1] = tokens[at]
    at = at + 1
    if tokens[at] and tokens[at][2] == '<' then
      close = close or tokens[at + 1][2] == 'close'
      names[#names].attribute = {tokens[at][3], tokens[at + 2][4]}
      at = at + 3
    end
    local comma = tokens[at] and tokens[at][2] == ','
    if comma then at = at + 1 end
  until not comma
  return names, close, at
end

-- Blank out text[from..to], keeping its newlines.
local function blank(text, from, to)
  return text:sub(1, from - 1) .. text:sub(from, to):gsub('[^\n]', ' ') .. text:sub(to + 1)
end

-- The entry without `local` at its top level, and the names so declared. `text` compiles, so its tokens make
-- sense. A declaration without a value becomes an assignment of nil; edits go from the back so that positions
-- hold.
local function lift(text)
  local tokens, depth, edits, names, closes = lexer.tokens(text), 0, {}, {}, nil
  for i, token in ipairs(tokens) do
    if depth == 0 and token[2] == 'local' and token[1] == 'keyword' then
      if tokens[i + 1][2] == 'function' then
        names[#names + 1] = tokens[i + 2][2]
        edits[#edits + 1] = {token[3], token[4]}
      else
        local found, close, after = declared(tokens, i)
        if close then closes = found[1][2]
        else
          edits[#edits + 1] = {token[3], token[4]}
          for _, each in ipairs(found) do
            names[#names + 1] = each[2]
            if each.attribute then edits[#edits + 1] = each.attribute end
          end
          local assigned = tokens[after] and tokens[after][2] == '='
          local last = found[#found]
          local stop = last.attribute and last.attribute[2] or last[4]
          if not assigned then edits[#edits + 1] = {stop + 1, insert = ' = nil '} end
        end
      end
    end
    depth = depth + lexer.nesting(token)
  end
  for i = #edits, 1, -1 do
    local edit = edits[i]
    if edit.insert then text = text:sub(1, edit[1] - 1) .. edit.insert .. text:sub(edit[1])
    else text = blank(text, edit[1], edit[2]) end
  end
  return text, names, closes
end

--- (for bind) Session variables that the text mentions, in order of appearance.
function session:mentioned(text)
  local seen, list = {}, {}
  for _, token in ipairs(lexer.tokens(text)) do
    local name = token[2]
    if token[1] == 'name' and self.locals[name] and not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  return list
end

local function join(f, locals)
  for i = 1, 255 do
    local name = debug.getupvalue(f, i)
    if not name then return f end
    if locals[name] then debug.upvaluejoin(f, i, locals[name], 1) end
  end
end

--- (for compile) Compile text as the body of a function that sees the session's locals.
function session:bind(text, chunk)
  local names = self:mentioned(text)
  if #names == 0 then return load(text, chunk, 't') end
  local source = 'local ' .. table.concat(names, ',') .. ' return function(...) ' .. text .. '\nend'
  local maker, message = load(source, chunk, 't')
  if not maker then return nil, message end
  return join(maker(), self.locals)
end

-- -- compiling an entry -----------------------------------------------------------------------------------

local function compiles(text, chunk) return load(text .. '\n', chunk or '=entry', 't') end

local function as_expression(text)
  local body = text:match '^%s*=%s*(.*)$' or text
  return body:find '%S' and compiles('return ' .. body) and 'return ' .. body
end

-- Text that ends in an expression (after a newline or a semicolon) as a chunk that returns it. Head and tail
-- must make one chunk together, so that the meaning of what stands before is not changed.
local function ending_in_expression(text)
  local at = #text
  for _ = 1, 200 do
    local head, tail = text:sub(1, at), text:sub(at + 1)
    if tail:find '%S' and compiles('return ' .. tail) and compiles(head .. 'return ' .. tail) then
      return head .. 'return ' .. tail
    end
    at = at - 1
    while at > 0 and not text:find('^[\n;]', at) do at = at - 1 end
    if at <= 0 then return nil end
  end
end

--- 'complete', 'incomplete' (and the indentation that the next line should have) or 'invalid'.
function session.is_complete(_, text)
  local command = text:match '^%s*[!?]'
  if command then return 'complete' end
  text = eval.without_timer(text)
  if as_expression(text) then return 'complete' end
  local f, message = compiles(text)
  if f or ending_in_expression(text) then return 'complete' end
  if not message:find '<eof>$' then return 'invalid' end
  -- "a b" too fails at the end, but no further line makes it right, unless a block is open
  if message:find 'syntax error near <eof>$' and (eval.depth(text) or 1) <= 0 then return 'invalid' end
  return 'incomplete', eval.indentation(text)
end

--- How many blocks and brackets the text leaves open; nil inside an open string or comment.
function eval.depth(text)
  local depth = 0
  for _, token in ipairs(lexer.tokens(text)) do
    if token[1] == 'open' then return nil end
    depth = depth + lexer.nesting(token)
  end
  return depth
end

--- Two blanks for each open block; none inside an open string.
function eval.indentation(text)
  return ('  '):rep(math.max(eval.depth(text) or 0, 0))
end

--- The text after a leading `time ` or `timeit `, and which of them it was.
function eval.without_timer(text)
  local word, rest = text:match '^%s*(time%l*)%s+(.+)$'
  local known = word == 'time' or word == 'timeit'
  if not known or rest:find '^[=,.:%[]' or rawget(_G, word) ~= nil then return text end
  return rest, word
end

local function is_muted(text)
  local tokens = lexer.tokens(text)
  return #tokens > 0 and tokens[#tokens][2] == ';'
end

--- (for compile) A sentence that the user is told once a session.
function session:note(key, sentence)
  if self.noted and self.noted[key] then return end
  self.noted = self.noted or {}
  self.noted[key] = true
  self.notes[#self.notes + 1] = sentence
end

--- (for eval) The function for an entry, or nil and a record. Second result: whether it is an expression.
function session:compile(text, chunk)
  local expression = as_expression(text)
  if expression then return self:bind(expression, chunk), true end
  if not compiles(text) then
    local both = ending_in_expression(text)
    if not both then return nil, errors.syntax(select(2, compiles(text, chunk)), chunk) end
    text = both
  end
  local lifted, names, closes = lift(text)
  for _, name in ipairs(names) do
    self.locals[name] = self.locals[name] or new_box()
    self:note('local', "'local' at the prompt lasts until the shell ends")
  end
  if closes then self:note('close', ("'%s <close>' closes at the end of its line"):format(closes)) end
  local f, message = self:bind(lifted, chunk)
  if not f then return nil, errors.syntax(message, chunk) end
  return f, false
end

-- -- running ----------------------------------------------------------------------------------------------

local function detached(value)
  local tensor = type(value) == 'userdata' and require 'inc.args'.is_tensor(value)
  if not tensor or value.is_leaf then return value end
  local ok, plain = pcall(value.detach, value)
  return ok and plain or value
end

--- Keep the values of an entry: `_` is the last one, `_1`, `_2`, `_3` the ones before it. They hold values,
-- not the graph behind them, so that looking at a loss does not keep a whole step's memory alive.
function session.remember(_, value)
  local old, older = rawget(_G, '_'), rawget(_G, '_1')
  _G._3, _G._2, _G._1, _G._ = rawget(_G, '_2'), older, old, detached(value)
end

--- Evaluate an entry. Returns {ok, values (with n), mute, error (a record), chunk}.
-- `call`, optional, runs the function in the entry's place (for timing) and is given it.
function session:eval(text, call)
  self.count = self.count + 1
  local chunk = ('=prompt[%d]'):format(self.count)
  errors.sources[chunk] = text
  local result = {ok = false, chunk = chunk, mute = is_muted(text), values = {n = 0}}
  local f, note = self:compile(text, chunk)
  if not f then
    result.error = note
    return result
  end
  local values = table.pack(host.xpcall(call or f, errors.capture, call and f))
  host.clear_interrupt() -- it has done its work: back to whoever asked
  result.ok = values[1]
  if not result.ok then
    result.error = values[2]
    return result
  end
  result.values = table.pack(table.unpack(values, 2, values.n))
  if result.values.n > 0 then self:remember(result.values[1]) end
  return result
end

return eval
