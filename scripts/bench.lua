-- bench.lua -- `incsh bench [PICTURES]`: speed of this machine: training step, inference, input pipeline.
-- `make bench` is the long form, beside other frameworks.
local cli = require 'inc.cli'
local bench = require 'inc.bench'

if cli.wants_help('bench', arg) then return end
local alone, options = cli.parse('bench', arg, bench.spec, {json = true})
if #alone > 1 then error(('bench: expected at most one folder of pictures, got %d'):format(#alone), 0) end
local json = options.json
options.json, options.data = nil, alone[1]
local result = bench.bench(options)
if json then cli.print_json(setmetatable(result, nil)) else print(result) end
