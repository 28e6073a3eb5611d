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
local lift = require 'inc.shell.lift'
local replay = require 'inc.shell.replay'

local eval = {}
local session = {}
session.__index = session

eval.session = session -- inc/shell.lua adds what does not evaluate

--- A new session. Fields: locals (name -> box), count (entries so far), notes (sentences to show once),
-- record (what worked, inc/shell/replay.lua).
function eval.new(name)
  return setmetatable({name = name or 'prompt', locals = {}, count = 0, notes = {}, record = replay.new()},
    session)
end

-- -- session variables ------------------------------------------------------------------------------------

-- A closure whose only upvalue is the variable.
local function new_box()
  return load('local value; return function() return value end, function(v) value = v end', '=(inc)')()
end

--- Value of the session's local `name`, and whether there is one.
function session:get_local(name)
  local box = self.locals[name]
  if box then return box(), true end
  return nil, false
end

-- A declared name that is used in its own declaration, as in `local print = print`, means the global there.
local function start_value(name, text)
  local times = 0
  for _, token in ipairs(lexer.tokens(text)) do
    if token[1] == 'name' and token[2] == name then times = times + 1 end
  end
  return times > 1 and _G[name] or nil
end

--- (for compile) Make a session variable; false when it is there.
function session:declare(name, text)
  if self.locals[name] then return false end
  local box, set = new_box()
  set(start_value(name, text))
  self.locals[name] = box
  return true
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

-- The expression that the entry is, or nil.
local function as_expression(text)
  local body = text:match '^%s*=%s*(.*)$' or text
  return body:find '%S' and compiles('return ' .. body) and body or nil
end

-- Text that ends in an expression (after a newline or a semicolon): what stands before it, and the
-- expression. Both must make one chunk together, so that the meaning of what stands before is not changed.
local function ending_in_expression(text)
  local at = #text
  for _ = 1, 200 do
    local head, tail = text:sub(1, at), text:sub(at + 1)
    if tail:find '%S' and compiles('return ' .. tail) and compiles(head .. 'return ' .. tail) then
      return head, tail
    end
    at = at - 1
    while at > 0 and not text:find('^[\n;]', at) do at = at - 1 end
    if at <= 0 then return nil end
  end
end

-- The same for a text that is right as it stands and ends in a call, whose value is printed as that of a call
-- alone is. A tail in brackets may belong to the line before, so only one that begins with a name counts.
local function ending_in_call(text)
  local head, tail = ending_in_expression(text)
  local word = tail and tail:match '^%s*([%a_][%w_]*)'
  if word and not lexer.keywords[word] then return head, tail end
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

--- (for the prompt) The functions of these names that are ours.
eval.timers = {}

--- The text after a leading `time ` or `timeit `, and which of them it was.
function eval.without_timer(text)
  local word, rest = text:match '^%s*(time%l*)%s+(.+)$'
  local known, value = word == 'time' or word == 'timeit', rawget(_G, word)
  if not known or rest:find '^[=,.:%[]' or value ~= nil and value ~= eval.timers[word] then return text end
  return rest, word
end

local function is_muted(text)
  local tokens = lexer.tokens(text)
  return #tokens > 0 and tokens[#tokens][2] == ';'
end

--- (for compile) A sentence that the user is told once a session.
function session:note(key, sentence)
  if self.quiet or self.noted and self.noted[key] then return end
  self.noted = self.noted or {}
  self.noted[key] = true
  self.notes[#self.notes + 1] = sentence
end

--- (for compile) Make the variables that an entry declares; the list of those that are new.
function session:declare_all(names, closes, text)
  local fresh = {}
  for _, name in ipairs(names) do
    if self:declare(name, text) then fresh[#fresh + 1] = name end
    self:note('local', "'local' at the prompt lasts until the shell ends")
  end
  if closes then self:note('close', ("'%s <close>' closes at the end of its line"):format(closes)) end
  return fresh
end

--- (for eval) The function for an entry, or nil and a record of the failure. Second result: the parts of the
-- entry that inc/shell/replay.lua needs.
function session:compile(text, chunk)
  local expression = as_expression(text)
  if expression then
    local f, message = self:bind('return ' .. expression, chunk)
    if not f then return nil, errors.syntax(message, chunk) end
    return f, {text = text, head = '', tail = expression}
  end
  local form, right = {text = text, head = text}, compiles(text)
  local head, tail = (right and ending_in_call or ending_in_expression)(text)
  if not (right or head) then return nil, errors.syntax(select(2, compiles(text, chunk)), chunk) end
  if head then
    form.head, form.tail = head, tail
    text = head .. 'return ' .. tail
  end
  local lifted, names, closes = lift(text)
  form.fresh, form.names, form.closes = self:declare_all(names, closes, text), names, closes
  form.lifted = names[1] and (form.tail and lift(form.head) or lifted)
  local f, message = self:bind(lifted, chunk)
  if not f then return nil, errors.syntax(message, chunk) end
  return f, form
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

-- Run a compiled entry into `result`.
local function run(self, result, f, ...)
  local values = table.pack(host.xpcall(f, errors.capture, ...))
  host.clear_interrupt() -- it has done its work: back to whoever asked
  result.ok = values[1]
  if not result.ok then
    local e = values[2]
    e.message = e.message:gsub("%(upvalue '([%w_]+)'%)", function(name) -- what is one for Lua is a local here
      return self.locals[name] and ("(local '%s')"):format(name)
    end)
    local entry = errors.sources[result.chunk]
    if not e.hint and entry then e.hint = require 'inc.shell.meant'.entry_hint(e.message, entry, self) end
    result.error = e
    return result
  end
  result.values = table.pack(table.unpack(values, 2, values.n))
  if result.values.n > 0 then self:remember(result.values[1]) end
  return result
end

--- Evaluate an entry. Returns {ok, values (with n), mute, error (a record), chunk}.
-- @param call optional: runs the function in the entry's place (for timing) and is given it
-- @param unrecorded true leaves the entry out of the script that save_session writes
function session:eval(text, call, unrecorded)
  self.count = self.count + 1
  local chunk = ('=prompt[%d]'):format(self.count)
  errors.sources[chunk] = text
  local result = {ok = false, chunk = chunk, mute = is_muted(text), values = {n = 0}}
  local f, form = self:compile(text, chunk)
  if not f then
    result.error = form
    return result
  end
  local before = self.record:begin()
  if call then run(self, result, call, f) else run(self, result, f) end
  if result.ok and not unrecorded then self.record:add(form, result, before) end
  return result
end

--- Run a file as one entry, so that its top-level locals last; more arguments are its `...`.
-- A file with more of them than a function can see is run as a script is: its locals end with it.
function session:eval_file(path, ...)
  local result = {ok = false, chunk = '@' .. path, mute = true, values = {n = 0}}
  local file, why = io.open(path, 'rb')
  if not file then
    result.error = errors.capture(why)
    return result
  end
  local text = file:read 'a':gsub('^#[^\n]*', '')
  file:close()
  self.quiet = true
  local f, form = self:compile(text, '@' .. path)
  self.quiet = nil
  if not f then
    f = load(text, '@' .. path, 't')
    if not f then
      result.error = form
      return result
    end
    form = {text = text, head = text}
  end
  form.head = replay.body(form.head)
  local before = self.record:begin()
  run(self, result, f, ...)
  if result.ok then self.record:add(form, result, before) end
  return result
end

return eval
