--- models: nets by name. models.inception_v3{...} runs models/inception_v3.lua, one readable file a net.
--
-- A net that a model makes has `config` (the options that make it again, plain values), so that a weights
-- file or a run folder is enough to rebuild it: models.open(path).

local args = require 'inc.args'

local models = {}

local root = debug.getinfo(1, 'S').source:match '^@(.*)lua/inc/models%.lua$' or ''

--- The names of all models, sorted.
-- > models.names()  --> {'inception_v3'}
function models.names() return {'inception_v3'} end

local function load_model(name)
  local path = root .. 'models/' .. name .. '.lua'
  local chunk = loadfile(path)
  if not chunk then args.fail('models: %s: unknown model%s', name, args.hint(name, models.names())) end
  return chunk()
end

--- The net that a table of plain values describes: {model = 'inception_v3', classes = 5, ...}.
function models.build(config)
  local options = {}
  for key, value in pairs(config) do
    if key ~= 'model' then options[key] = value end
  end
  return models[config.model](options)
end

local function plain(text)
  if text == 'true' or text == 'false' then return text == 'true' end
  return math.tointeger(tonumber(text)) or tonumber(text) or text
end

--- The net of a weights file that was saved from one of our models, with its weights.
-- @param path a safetensors file
-- > net = models.open 'runs/first/best.safetensors'
function models.open(path)
  local weights = require 'inc.weights'
  local file = weights.read(path)
  local config = {}
  for key, value in pairs(file.metadata) do
    local name = key:match '^model%.(.+)$'
    if name then config[name] = plain(value) end
  end
  config.model = file.metadata.model
  if not config.model then
    args.fail('models.open: %s: does not say which model it is of: make the net and call net:load', path)
  end
  if file.metadata.classes then
    config.classes = {}
    for class in (file.metadata.classes .. '\n'):gmatch '(.-)\n' do table.insert(config.classes, class) end
  end
  local net = models.build(config)
  net.preprocess = require('inc.nn.preprocess').new(require('inc.nn.preprocess').from_metadata(file.metadata))
  net:load(path, {file = file, take = true})
  return net
end

return setmetatable(models, {
  __index = function(t, name)
    if type(name) ~= 'string' or name:find '[^%w_]' then return nil end
    local make = load_model(name)
    rawset(t, name, make)
    return make
  end,
  __names = {inception_v3 = true},
})
