-- predict.lua -- `incsh predict RUN-or-WEIGHTS PICTURE...`: class and confidence, best first.
-- `--features NAME OUT` takes two words: a layer, and the file that its outputs go to.
local cli = require 'inc.cli'
local prediction = require 'inc.predict'

if cli.wants_help('predict', arg) then return end

-- OUT as an option of its own, so that it is not taken for a picture.
local words = {}
for i, word in ipairs(arg) do
  if word == '--' then
    table.move(arg, i, #arg, #words + 1, words)
    break
  end
  local with_name = arg[i - 1] and arg[i - 1]:find '^%-%-features='
  if arg[i - 2] == '--features' or with_name then words[#words + 1] = '--out=' .. word
  else words[#words + 1] = word end
end

local what, options = cli.parse('predict', words, prediction.spec, {json = true})
if options.features and not options.out then
  error('predict: --features: expected a layer and a file (.safetensors or .csv)', 0)
end
local json = options.json
options.json = nil
for i, word in ipairs(what) do options[i] = word end
local result = prediction.predict(options)
if not json then print(result)
elseif not result.features then cli.print_json{pictures = result.pictures, bad = result.bad}
else
  local shapes = {}
  for _, name in ipairs(result.names) do shapes[name] = result.features[name]:shape() end
  cli.print_json{pictures = result.pictures, bad = result.bad, features = shapes, out = result.out}
end
return #result.bad == 0
