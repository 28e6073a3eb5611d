-- evaluate.lua -- `incsh evaluate RUN-or-WEIGHTS... DATA`: top-1, top-5, loss, per-class table, confusion
-- matrix.
local cli = require 'inc.cli'
local evaluation = require 'inc.evaluate'

if cli.wants_help('evaluate', arg) then return end
local what, options = cli.parse('evaluate', arg, evaluation.spec, {json = true})
local json = options.json
options.json = nil
for i, word in ipairs(what) do options[i] = word end
local result = evaluation.evaluate(options)
if json then
  cli.print_json{n = result.n, top1 = result.top1, top5 = result.top5, loss = result.loss, part = result.part,
    per_class = result.per_class, confusion = result.confusion, bad = result.bad}
else
  print(result)
end
