-- test_speed.lua: how long until the first prompt, how long until a key is seen while a run trains on every
-- core, that ten thousand entries leave no memory behind, and that no input whatever ends the program.
--
-- tests/c/typist types. The limits are those that a person notices; a share of the keys is let off, because a
-- test machine does other things too. Figures are printed.
local host = require 'inc.host'

local typist = term.home .. '/build/tests/c/typist'
local maker = term.home .. '/build/tests/c/make_pictures'
local place = term.work .. '/typist' -- what is typed by chance is run there

local function run(seconds, ...)
  if not host.kind(typist) then term.skip(typist .. ' is not built') end
  local status, out, err = host.spawn({'env', 'HOME=' .. place, 'EDITOR=true', 'VISUAL=true', 'LESSSECURE=1',
    'LANG=C.UTF-8', 'NO_COLOR=', 'sh', '-c', 'mkdir -p "$HOME"; cd "$HOME"; exec "$@"', 'sh', typist, ...},
    '', seconds)
  if status ~= 0 then error(('status %s: %s%s'):format(status, out, err), 2) end
  print('        ' .. out:gsub('\n$', ''):gsub('\n', '\n        '))
  return out
end

-- How many others each core serves beside the run: on a busy machine a key waits for its turn.
local function share_of_others()
  local file <close> = assert(io.open '/proc/loadavg')
  return math.max(1, (file:read 'n' - 1) / inc.devices()[1].cores)
end

check('the first prompt is there in less than 100 ms', function()
  local best = math.huge
  for _ = 1, 5 do
    local out = run(60, 'echo', '1', '-', term.program, '--no-rc')
    best = math.min(best, tonumber(out:match 'first prompt ([%d.]+) ms'))
  end
  if best >= 100 then error(('%.0f ms'):format(best)) end
end)

check('a key is seen within 20 ms while a run trains on every core', function()
  term.sh(('%s set %s/keys 3 14 48'):format(maker, term.work))
  if not host.kind(term.work .. '/keys') then term.skip(maker .. ' is not built') end
  local setup = term.write('keys.lua', ([[
package.path = "%s/tests/?.lua;" .. package.path; tiny = require "tiny"
run = train(tiny.options(tiny.net(), %q, %q, {steps = 1000000, val_every = 1000000}))
inc.core.run_wait(run.handle, 1)
]]):format(term.home, term.work .. '/keys', term.work .. '/keys_run'))
  local out = run(120, 'echo', '200', setup, term.program, '--no-rc')
  local log = assert(io.open(term.work .. '/keys_run/log.jsonl')):read 'a'
  assert(select(2, log:gsub('\n', '')) > 20, 'the run did not train')
  local median, most = out:match 'median ([%d.]+) ms, 95%% ([%d.]+) ms'
  local limit = 20 * share_of_others()
  local slow = tonumber(median) >= 20 or tonumber(most) >= limit
  if slow then error(('limit %.0f ms: %s'):format(limit, out)) end
end)

-- What stays of an entry is itself: in the history, for save_session, and for the line of a later error.
local BYTES = 1200

check('ten thousand entries of every kind leave no memory behind', function()
  run(300, 'leak', os.getenv 'INC_LEAK_ENTRIES' or '10000', tostring(BYTES), term.program, '--no-rc')
end)

check('anything may be typed', function()
  run(60, 'fuzz', os.getenv 'INC_FUZZ_SECONDS' or '5', os.getenv 'INC_FUZZ_SEED' or '3', term.program)
end)
