--- nn.CrossEntropyLoss, and net:loss for nets with or without an auxiliary head.

local core = require 'inc.core'
local args = require 'inc.args'
local base = require 'inc.nn.module'

local Module = base.Module

--- Cross-entropy of logits and labels; labels count from 1.
-- @param label_smoothing share of the target spread over all classes
-- @param reduction mean, sum or none
-- > nn.CrossEntropyLoss{label_smoothing = 0.1}
local CrossEntropyLoss = base.class('nn.CrossEntropyLoss',
  'label_smoothing:number=0, reduction:enum(mean|sum|none)=mean')

function CrossEntropyLoss:forward(logits, labels) return core.cross_entropy(logits, labels, self.options) end

local spec = args.spec('loss', 'label_smoothing:number=0, aux_weight:number=0.4')

--- The training loss of a classifier: forward, then cross-entropy. A net that returns a second value while
-- training has an auxiliary head; its loss is added with a weight.
-- @param x, labels a batch
-- @param options label_smoothing, aux_weight; a net may have its own defaults in net.loss_options
-- @return the loss, the logits
-- > loss, logits = net:loss(x, y)
function Module:loss(x, labels, options)
  local o = spec(options, self.loss_options)
  local smooth = {label_smoothing = o.label_smoothing}
  local logits, aux = self(x)
  local loss = core.cross_entropy(logits, labels, smooth)
  if aux then loss = loss + core.cross_entropy(aux, labels, smooth) * o.aux_weight end
  return loss, logits
end

return {CrossEntropyLoss = CrossEntropyLoss}
