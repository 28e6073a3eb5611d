-- resume.lua -- `incsh resume RUN`: goes on from the newest good checkpoint, as if never stopped.
local cli = require 'inc.cli'
local trainer = require 'inc.train'

if cli.wants_help('resume', arg) then return end
local alone, options = cli.parse('resume', arg, trainer.resume_spec)
if #alone ~= 1 then error(('resume: expected one run, got %d'):format(#alone), 0) end
options.run = alone[1]
trainer.resume(options):wait()
