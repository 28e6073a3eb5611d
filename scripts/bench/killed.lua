-- killed.lua -- the same report from a comparison that is killed and resumed as from one that is not.
--
--     build/incsh scripts/bench/killed.lua PHOTOS [OUT [SIZE [STEPS [KILLS]]]]
--
-- Four optimizers and three seeds (examples/20_compare.lua), 60 steps of batch 16 unless said, once whole and
-- once killed with SIGKILL at random moments; then result.json and the log of every run (without its times)
-- are compared byte by byte. A test with toy nets is in tests/spec/compare.lua; this is the real one.
local core = inc.core

local photos, out = arg[1], arg[2] or 'runs/killed'
local size, steps, kills = arg[3] or '299', arg[4] or '60', tonumber(arg[5]) or 2
if not photos then error('usage: killed.lua PHOTOS [OUT [SIZE [STEPS [KILLS]]]]', 0) end

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local function command(folder)
  return ('%sbuild/incsh compare %sexamples/20_compare.lua --data %s --out %s --size %s --steps %s'):format(
    inc.root, inc.root, quote(photos), quote(folder), size, steps)
end

local function run(line)
  local start, _, _, status = core.clock(), os.execute(('%s >/dev/null 2>%s/errors'):format(line, quote(out)))
  return core.clock() - start, status
end

-- A log without what depends on the clock.
local function facts(path)
  local text = core.read_file(path)
  for _, name in ipairs{'img_s', 'data_wait', 'time'} do
    text = text:gsub((',"%s":[^,}]*'):format(name), '')
  end
  return text
end

local whole, killed = out .. '/whole', out .. '/killed'
core.make_folder(out)
local seconds, status = run(command(whole))
if status ~= 0 then
  error(('the comparison ended with %s: %s'):format(status, core.read_file(out .. '/errors')), 0)
end
print(('whole: %.0f s'):format(seconds))
math.randomseed(os.time())
for i = 1, kills do
  local wait = (0.15 + 0.5 * math.random()) * seconds / kills
  run(('timeout -s KILL %.1f %s'):format(wait, command(killed)))
  print(('kill %d after %.0f s'):format(i, wait))
end
print(('resumed: %.0f s'):format((run(command(killed)))))

local same = core.read_file(whole .. '/result.json') == core.read_file(killed .. '/result.json')
print('result.json: ' .. (same and 'the same to the bit' or 'NOT the same'))
for _, name in ipairs(core.list_folder(whole .. '/runs')) do
  local log = '/runs/' .. name .. '/log.jsonl'
  local equal = facts(whole .. log) == facts(killed .. log)
  same = same and equal
  if not equal then print(name .. ': NOT the same log') end
end
return same and 0 or 1
