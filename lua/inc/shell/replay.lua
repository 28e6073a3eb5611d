-- replay.lua -- the lines of a session that worked, as a script that gives the same numbers.
--
-- What failed is left out; where it (or a line that is not repeated) had drawn random numbers, the script
-- sets the generator to where it then stood. Where runs in the background had ended between two entries, the
-- script waits for them; what was done to a run that was going is done at the same step
-- (inc/shell/steps.lua). The value of an expression is printed and kept in `_` by one call, `keep(...)`, and
-- `local` stays as typed, because the script is one chunk; a name declared a second time is assigned.
-- Rejected: logging the session as a list of strings for a special reader: what comes out should be Lua that
-- one can read, change and run.
local lexer = require 'inc.shell.lexer'
local steps = require 'inc.shell.steps'

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
function replay.new() return setmetatable({entries = {}, pending = {}, rng = '0 0', locals = 0}, Record) end

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
  self:look()
  return {rng = generator(), waited = over, runs = steps.before(), made = steps.count()}
end

--- (for begin and script) Steps of runs that were not known when their entries ended.
function Record:look()
  for i = #self.pending, 1, -1 do
    steps.look(self.pending[i])
    local known = true
    for _, t in ipairs(self.pending[i]) do known = known and t.step ~= nil end
    if known then table.remove(self.pending, i) end
  end
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
  local touched = steps.touched(before.runs)
  self.pending[#self.pending + 1] = touched
  local made = steps.count() > before.made and {before.made + 1, steps.count()} or nil
  local simple = not (plain or touched or made) and lead == ''
  self.entries[#self.entries + 1] = simple and text or {lead, text, plain or text, touched = touched,
    made = made}
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
  local last, said = false, {}
  self:look()
  for _, entry in ipairs(self.entries) do last = last or asks_for_last(text_of(entry)) end
  for i, entry in ipairs(self.entries) do
    local is_text = type(entry) == 'string'
    said[i] = {text = is_text and entry or entry[1] .. (last and entry[2] or entry[3]),
      touched = not is_text and entry.touched or nil, made = not is_text and entry.made or nil}
  end
  local text = table.concat(steps.written(said), '\n')
  local head = {('%s: run it with `incsh FILE`, or go on from it with `incsh -i FILE`'):format(replay.mark)}
  local keeps = text:find 'keep[.(]'
  if keeps then head[2] = "local keep = require 'inc.shell.replay' -- prints values as the prompt does" end
  return table.concat(head, '\n') .. '\n\n' .. text .. '\n'
end

--- The first words of every such script.
replay.mark = '-- A session of incsh'

--- (for eval) A script without the lines that every such script begins with.
function replay.body(text)
  if text:sub(1, #replay.mark) ~= replay.mark then return text end
  local head = "^local keep = require 'inc.shell.replay'[^\n]*\n"
  return (text:gsub('^[^\n]*\n', ''):gsub(head, ''):gsub('^\n', ''))
end

-- What a text gives as `out = 'folder'`.
local function outs_in(text)
  local list, tokens = {}, lexer.tokens(text)
  for i = 3, #tokens do
    local is_out = tokens[i][1] == 'string' and tokens[i - 1][2] == '=' and tokens[i - 2][2] == 'out'
    if is_out then list[#list + 1] = tokens[i][2]:match "^[\"'](.*)[\"']$" end
  end
  return list
end

--- (for the prompt) Folders that the entries train into and that are there: the script would be refused.
function Record:folders()
  local core, list = package.loaded['inc.core'], {}
  for _, entry in ipairs(self.entries) do
    for _, path in ipairs(outs_in(text_of(entry))) do
      if core.path_kind(path .. '/config.json') then list[#list + 1] = path end
    end
  end
  return list
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

--- Wait until the n-th run of the session has made so many steps, and rests there.
function replay.at(n, step)
  local run = require 'inc.run'.nth(n)
  if run then run:reach(step) end -- one that is over may be forgotten
end

--- Let it go on, to rest after so many steps where a number is given.
function replay.go_on(n, step)
  local run = require 'inc.run'.nth(n)
  if run then require 'inc.core'.run_until(run.handle, step or 0) end
end

return setmetatable(replay, {__call = function(_, ...)
  local show = require 'inc.show'
  for i = 1, select('#', ...) do print(show.value((select(i, ...)))) end
  replay.quiet(...)
end})
