-- train.lua -- `incsh train DATA`: trains or fine-tunes, prints a line every few seconds, writes a run's
-- folder.
local cli = require 'inc.cli'
local settings = require 'inc.train.settings'

if cli.wants_help('train', arg) then return end
local alone, options = cli.parse('train', arg, settings.spec)
if #alone ~= 1 then error(('train: expected one folder of pictures, got %d'):format(#alone), 0) end
options.data = alone[1]
local run = inc.train(options)
print('run in ' .. cli.short(run.folder))
run:wait()
