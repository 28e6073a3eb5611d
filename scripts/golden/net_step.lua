-- net_step.lua: our side of full.py: one step of the golden's net, every tensor of it into a file.
--
--     incsh scripts/golden/net_step.lua OUT.safetensors true|false [plan]     (does padding count in pools)

package.path = 'tests/?.lua;' .. package.path
local inception = require 'inception_golden'

local golden = {classes = 37, batch = 4, count_include_pad = arg[2] == 'true'}
local list = {}
for name, t in pairs(inception.step(golden, arg[3] == 'plan' and {} or nil)) do
  list[#list + 1] = {name, t:detach():contiguous()}
end
table.sort(list, function(a, b) return a[1] < b[1] end)
inc.save(arg[1], list)
