-- compare_noise.lua -- tests/golden/compare_noise.json: 64 runs that differ in nothing but their seed,
-- picture by
-- picture. What separates any two groups of them is noise, as real as noise gets:
--
--     build/incsh scripts/golden/compare_noise.lua PHOTOS > tests/golden/compare_noise.json
--
-- PHOTOS is a folder of photos in classes, hard enough for a small net that it is wrong about half of them.
package.path = 'tests/?.lua;' .. package.path
local tiny = require 'tiny'

local seeds = {}
for i = 1, 64 do seeds[i] = i end
local classes = #data.folder{arg[1], val = 0.2, seed = 1}.classes
local out = require 'inc.host'.temporary 'noise'
local c = compare{function(seed) return tiny.net(classes, seed) end, arg[1], out = out,
  steps = 40,
  seeds = seeds, batch = 16, val = 0.2, val_every = 40, precision = 'f32', augment = 'light', live = false,
  {'sgd', optim.sgd{lr = 0.02, momentum = 0.9}}}
local right = {}
for i, run in ipairs(c.facts.entries[1].runs) do
  local marks = {}
  for k, is in ipairs(run.right) do marks[k] = is and '1' or '0' end
  right[i] = table.concat(marks)
end
os.execute('rm -rf ' .. out)
print(inc.json.encode{made_by = 'scripts/golden/compare_noise.lua', right = right})
