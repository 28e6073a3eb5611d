--- nn: layers, containers, and the tree that they make. Each family is a short file in nn/, to be read and
-- overridden; this file only puts their names together.

local base = require 'inc.nn.module'
require 'inc.nn.tree'
require 'inc.nn.summary'
require 'inc.nn.draw'

local Module = base.Module

local nn = {
  Module = Module, parameter = base.parameter, buffer = base.buffer, defaults = base.defaults,
  module = require 'inc.nn.custom', init = require 'inc.nn.initial', functional = require 'inc.functional',
  preprocess = require('inc.nn.preprocess').new,
  Conv2d = require 'inc.nn.conv', Linear = require 'inc.nn.linear', BatchNorm2d = require 'inc.nn.norm',
}

for _, family in ipairs{'activation', 'pool', 'container', 'loss'} do
  for name, class in pairs(require('inc.nn.' .. family)) do nn[name] = class end
end

local weights = require 'inc.weights'

--- Load parameters and running statistics by name from a safetensors file; see inc.weights.load_into.
-- @return a report: loaded, skipped and created names
-- > net:load 'a.safetensors'
function Module:load(path, options) return weights.load_into(self, path, options) end

--- Save parameters, running statistics and preprocessing; the same as inc.save(path, net).
-- > net:save 'a.safetensors'
function Module:save(path, metadata) return weights.save(path, self, metadata) end

return nn
