-- fork.lua -- `incsh fork RUN --step N --out NEW`: a second run that begins at a step of the first and goes
-- on with what is changed.
local cli = require 'inc.cli'
local settings = require 'inc.train.settings'

if cli.wants_help('fork', arg) then return end
local alone, options = cli.parse('fork', arg, settings.fork_spec)
if #alone ~= 1 then error(('fork: expected one run, got %d'):format(#alone), 0) end
options.run = alone[1]
local twin = inc.fork(options)
print('run in ' .. cli.short(twin.folder))
twin:wait()
