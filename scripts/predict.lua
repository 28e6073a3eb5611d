-- predict.lua -- `incsh predict RUN-or-WEIGHTS PICTURE...`: class and confidence, best first.
local cli = require 'inc.cli'
local prediction = require 'inc.predict'

if cli.wants_help('predict', arg) then return end
local what, options = cli.parse('predict', arg, prediction.spec, {json = true})
local json = options.json
options.json = nil
for i, word in ipairs(what) do options[i] = word end
local result = prediction.predict(options)
if json then cli.print_json{pictures = result.pictures, bad = result.bad} else print(result) end
return #result.bad == 0
