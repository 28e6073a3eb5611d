-- errors.lua -- how a failure is told: the message, a hint, and the user's own line.
--
-- `capture` is the message handler of every protected call that the shell makes. It runs while the stack
-- still stands, finds the innermost frame that is the user's (not C, not one of our files) and keeps the full
-- trace for `trace()`. Positions that Lua put in front of a message are taken off again when they point into
-- our files: nobody can do anything about line 40 of lua/inc/nn.lua.
local host = require 'inc.host'

local errors = {sources = {}}       -- sources: chunk name -> text, for code that is in no file
local ours = {}
for i, folder in ipairs {'lua', 'scripts', 'models'} do ours[i] = ('@%s/%s/'):format(host.home, folder) end

local function is_ours(source)
  for _, prefix in ipairs(ours) do
    if source:sub(1, #prefix) == prefix then return true end
  end
  return source:sub(1, 6) == '=(inc)'
end
errors.is_ours = is_ours

-- The innermost frame of the user's that has a line; the last result is its level for whoever called.
local function user_frame(level)
  local info = debug.getinfo(level, 'Sl')
  while info do
    if info.currentline > 0 and not is_ours(info.source) then
      return info.short_src, info.currentline, info.source, level
    end
    level = level + 1
    info = debug.getinfo(level, 'Sl')
  end
end

local function file_line(path, wanted)
  local file = io.open(path)
  if not file then return nil end
  local n = 0
  for line in file:lines() do
    n = n + 1
    if n == wanted then file:close() return line end
  end
  file:close()
end

-- The text of one line of a chunk, without the blanks round it.
local function source_line(source, line)
  local text
  if source:sub(1, 1) == '@' then text = file_line(source:sub(2), line)
  elseif errors.sources[source] then
    local n = 0
    for each in (errors.sources[source] .. '\n'):gmatch '(.-)\n' do
      n = n + 1
      if n == line then text = each break end
    end
  end
  return text and text:match '^%s*(.-)%s*$'
end

-- Lua shortens long paths to "...tail", so our files are known by their tails too.
local function names_ours(name)
  local shortened = name:find '^%.%.%..*/lua/inc/' or name:find '^%.%.%..*/scripts/%w+%.lua$'
  return is_ours('@' .. name) or shortened ~= nil
end

local function is_chunk_name(name)
  return name:find '%.lua$' or name:find '^prompt%[%d+%]$' or name == '-e' or name == 'stdin'
end

-- The message without the "name:line: " in front of it, and the first such position that is the user's.
local function strip_position(message, where, line)
  local name, number, rest = message:match '^([^\n:]+):(%d+): (.*)$'
  if not name or not is_chunk_name(name) then return message, where, line end
  if not where and not names_ours(name) then where, line = name, tonumber(number) end
  return strip_position(rest, where, line)
end

-- The text of an error value; a table without a text of its own is shown as one.
local function text_of(err)
  if type(err) == 'string' then return err end
  local meta = debug.getmetatable(err)
  local plain = type(err) == 'table' and not (meta and rawget(meta, '__tostring'))
  if plain and rawget(err, 'message') ~= nil then return tostring(err.message) end
  local ok, text = pcall(plain and require 'inc.show'.value or tostring, err)
  return ok and text or '(an error object that cannot be printed)'
end

-- What a frame calls its own: its locals and upvalues, as a session of the prompt gives those of its entries.
local function names_of(level)
  local values, locals = {}, {}
  local function add(name, value)
    if name:find '^[%a_]' and name ~= '_ENV' then values[name], locals[name] = value, true end
  end
  local f = debug.getinfo(level, 'f').func
  for i = 1, 255 do
    local name, value = debug.getupvalue(f, i)
    if not name then break end
    add(name, value)
  end
  for i = 1, 255 do -- an inner one of the same name comes later
    local name, value = debug.getlocal(level, i)
    if not name then break end
    add(name, value)
  end
  return {locals = locals, get_local = function(_, name) return values[name], locals[name] end}
end

-- A hint where the failure comes from a name that is not there.
local function hint_for(message, source, line, scope)
  local text = source and line and source_line(source, line)
  local ok, hint = pcall(function() return require 'inc.shell.meant'.hint(message, text, scope) end)
  return ok and hint or nil
end

local function source_of(where) return (where:find '%.lua$' and '@' or '=') .. where end

--- Message handler: turns any error value into a record {message, hint, where, line, source, trace, value}.
-- A record that passes through again (a protected call inside another) is kept as it is.
function errors.capture(err)
  if type(err) == 'table' and rawget(err, 'is_record') then return err end
  local text = text_of(err)
  local name, line, source, level = user_frame(3)
  local bare, own_name, own_line = strip_position(text)
  local elsewhere = own_name and (own_name ~= name or own_line ~= line) -- raised again: that frame is gone
  if own_name then name, line, source = own_name, own_line, source_of(own_name) end
  local message, hint = bare:match '^(.-)\nhint: (.*)$'
  local scope = bare:find '^attempt to' and level and not elsewhere and names_of(level) or nil
  hint = hint or hint_for(bare, source, line, scope)
  local record = {is_record = true, value = err, message = message or bare, hint = hint,
    where = name, line = line, source = source}
  record.interrupted = host.interrupted()
  record.trace = debug.traceback(text, 2)
  errors.last = record
  return record
end

--- A record for a chunk that does not compile; `message` as load() gave it.
function errors.syntax(message, source)
  local bare, where, line = strip_position(message)
  local record = {is_record = true, value = message, message = 'syntax: ' .. bare, line = line, where = where,
    source = source, trace = message}
  errors.last = record
  return record
end

--- The text for batch mode: "my.lua:12: message" and a hint line; no position when only our code is on the
-- stack.
function errors.batch_text(record)
  if type(record) ~= 'table' or not rawget(record, 'is_record') then return text_of(record) end
  local at = record.where and ('%s:%d: '):format(record.where, record.line) or ''
  local text = at .. record.message
  return record.hint and text .. '\nhint: ' .. record.hint or text
end

--- The text for the prompt: lines "error: ...", "  hint: ...", "  at FILE:LINE: source".
-- For an entry of one line, which is still on the screen, the last one is left out.
function errors.prompt_text(record, current)
  local lines = {}
  if record.interrupted then lines[1] = 'interrupted'
  else lines[1] = 'error: ' .. record.message end
  if record.hint then lines[#lines + 1] = '  hint: ' .. record.hint end
  local entry = record.source == current and errors.sources[current]
  if record.line and record.source and not (entry and not entry:find '\n') then
    local text = source_line(record.source, record.line)
    local where = record.source == current and 'line ' .. record.line or record.where .. ':' .. record.line
    lines[#lines + 1] = '  at ' .. where .. (text and ': ' .. text or '')
  end
  return table.concat(lines, '\n')
end

return errors
