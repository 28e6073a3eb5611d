-- replay.lua -- the lines of a session that worked, as a script that gives the same numbers.
--
-- What failed is left out; where it (or a line that is not repeated) had drawn random numbers, the script
-- sets the generator to where it then stood. Where runs in the background had ended between two entries, the
-- script waits for them. The value of an expression is printed and kept in `_` by one call, `keep(...)`, and
-- `local` stays as typed, because the script is one chunk; a name declared a second time is assigned.
-- Rejected: logging the session as a list of strings for a special reader: what comes out should be Lua that
-- one can read, change and run.
local lexer = require 'inc.shell.lexer'

local replay = {}
local Record = {}
Record.__index = Record

local MOST_LOCALS = 180    -- that a script declares; Lua's own limit is 200

-- What is of the prompt alone, or of no use in a script.
local prompt_words = {}
for word in ('save_session who reload trace allow_folder help apropos time timeit tour'):gmatch '[%w_]+' do
  prompt_words[word] = true
end

--- An empty record.
function replay.new() return setmetatable({entries = {}, failed = 0, rng = '0 0', locals = 0}, Record) end

-- -- while the session goes -------------------------------------------------------------------------------

local function generator()
  local core = package.loaded['inc.core']
  return core and table.concat(core.rng():tolist(), ' ') or ''
end

local function runs_going()
  local inc = package.loaded.inc
  local active = inc and rawget(inc, 'active_runs')
  return active ~= nil and #active() > 0
end

--- (for eval) What an entry starts from.
function Record:begin()
  local over = self.training and not runs_going()
  return {rng = generator(), waited = over}
end

-- The expression without a last semicolon and what follows it.
local function bare(tail)
  local tokens = lexer.tokens(tail)
  local n = #tokens
  while n > 1 and tokens[n][2] == ';' do n = n - 1 end
  return n > 0 and tail:sub(1, tokens[n][4]):match '^%s*(.*)$' or tail
end

--- (for add) What stands before the last expression, with declarations as a script may have them: as typed
-- where all names are new, else as assignments; names beyond what a chunk can hold become globals.
function Record:declarations(form)
  local names, fresh = form.names or {}, form.fresh or {}
  if #names == 0 or form.closes then return form.head end
  if self.locals + #fresh > MOST_LOCALS then return form.lifted end
  self.locals = self.locals + #fresh
  if #fresh == #names then return form.head end
  return (#fresh > 0 and ('local %s\n'):format(table.concat(fresh, ', ')) or '') .. form.lifted
end

--- (for add) The entry as a script says it, and how where nobody asks for `_`.
function Record:written(form, result)
  local head = self:declarations(form)
  if form.closes then return ('do %s\nend'):format(form.text) end
  if not form.tail then return head end
  local expression = bare(form.tail)
  local plain = load(expression, '=', 't') and head .. expression
  if plain and result.values.n == 0 then return plain end
  local kept = head .. ('keep%s(%s)'):format(result.mute and '.quiet' or '', expression)
  return kept, plain and result.mute and plain or kept
end

--- (for eval) Keep an entry that worked.
-- @param form its parts, from session:compile; result what it gave; before what begin() said
function Record:add(form, result, before)
  self.training = runs_going()
  local first = lexer.tokens(form.text)[1]
  if not first or prompt_words[first[2]] then return end
  local text, plain = self:written(form, result)
  local lead = before.waited and 'inc.wait_runs()\n' or ''
  if before.rng ~= self.rng then lead = lead .. ('keep.random(%s)\n'):format(before.rng:gsub(' ', ', ')) end
  self.rng = generator()
  self.entries[#self.entries + 1] = (plain or lead ~= '') and {lead, text, plain or text} or text
end

--- (for the prompt) A line that is not Lua, kept as a remark.
function Record:remark(text)
  self.entries[#self.entries + 1] = '-- ' .. text:gsub('\n', '\n-- ')
end

-- -- the script -------------------------------------------------------------------------------------------

local function asks_for_last(text)
  for _, token in ipairs(lexer.tokens(text)) do
    if token[1] == 'name' and token[2]:find '^_[123]?$' then return true end
  end
  return false
end

local function text_of(entry) return type(entry) == 'table' and entry[2] or entry end

--- The script, as text.
function Record:script()
  local lines, last = {}, false
  for _, entry in ipairs(self.entries) do last = last or asks_for_last(text_of(entry)) end
  for _, entry in ipairs(self.entries) do
    lines[#lines + 1] = type(entry) == 'table' and entry[1] .. (last and entry[2] or entry[3]) or entry
  end
  local keeps = table.concat(lines, '\n'):find 'keep[.(]'
  local head = {('%s: run it with `incsh FILE`, or go on from it with `incsh -i FILE`'):format(replay.mark)}
  if keeps then head[2] = "local keep = require 'inc.shell.replay' -- prints values as the prompt does" end
  return table.concat(head, '\n') .. '\n\n' .. table.concat(lines, '\n') .. '\n'
end

--- The first words of every such script.
replay.mark = '-- A session of incsh'

--- (for eval) A script without the lines that every such script begins with.
function replay.body(text)
  if text:sub(1, #replay.mark) ~= replay.mark then return text end
  local head = "^local keep = require 'inc.shell.replay'[^\n]*\n"
  return (text:gsub('^[^\n]*\n', ''):gsub(head, ''):gsub('^\n', ''))
end

-- -- in the script ----------------------------------------------------------------------------------------

--- Keep values as the prompt does, in `_`, without printing them.
function replay.quiet(...)
  if select('#', ...) > 0 then require 'inc.shell.eval'.session.remember(nil, (...)) end
end

--- Put the generator of random numbers where it stood: seed and counter.
function replay.random(seed, counter)
  local inc = require 'inc'
  inc.core.rng():copy_(inc.tensor({seed, counter}, {dtype = 'i64'}))
end

return setmetatable(replay, {__call = function(_, ...)
  local show = require 'inc.show'
  for i = 1, select('#', ...) do print(show.value((select(i, ...)))) end
  replay.quiet(...)
end})
