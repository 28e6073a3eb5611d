--- nn.functional: layers as functions, for those who keep their own parameters.
--
-- Every op of the core is here under its own name (inc.relu is nn.functional.relu); this file adds those that
-- need a mode or state, with PyTorch's argument names.

local core = require 'inc.core'
local args = require 'inc.args'

local functional = {}

local norm_spec = args.spec('batch_norm', 'training:bool=false; momentum:number=0.1, eps:number=1e-5, ' ..
  'unbiased:bool=true')

--- Batch norm. In training the running statistics, if given, are moved in place.
-- @param x [N, C, ...]
-- @param running_mean, running_var [C], or nil in training
-- @param weight, bias [C] or nil
-- @param options training, momentum, eps, unbiased (of the running variance; false as TensorFlow has it)
-- > nn.functional.batch_norm(inc.randn{4, 3}, nil, nil, nil, nil, {training = true}):shape()  --> {4, 3}
function functional.batch_norm(x, running_mean, running_var, weight, bias, options)
  local o = norm_spec(options)
  if not o.training then
    return core.batch_norm_eval(x, weight, bias, running_mean, running_var, {eps = o.eps})
  end
  local y, mean, var = core.batch_norm_train(x, weight, bias, {eps = o.eps})
  if running_mean then
    core.no_grad(core.bn_running_, running_mean, running_var, mean, var,
      {momentum = o.momentum, count = o.unbiased and x:numel() // x:size(2) or 1})
  end
  return y
end

local dropout_spec = args.spec('dropout', 'p:number=0.5; training:bool=true')

--- Sets elements to zero with probability p and scales the others by 1 / (1 - p).
-- @param options p, training
-- > nn.functional.dropout(inc.ones{4}, {p = 0.5, training = false}):tolist()  --> {1, 1, 1, 1}
function functional.dropout(x, options)
  local o = dropout_spec(options)
  if not o.training or o.p == 0 then return x end
  return core.dropout(x, core.rng(), {p = o.p, stream = core.stream()})
end

local one_hot_spec = args.spec('one_hot', 'classes:int;')

--- Labels [N] that count from 1 to rows [N, classes] of zeros and a one.
-- @param options classes
-- > nn.functional.one_hot(inc.tensor{2, 1, dtype = 'i64'}, {3})
function functional.one_hot(labels, options)
  local classes = one_hot_spec(options).classes
  local row = core.arange{1, classes, dtype = 'i64'}
  return labels:view{-1, 1}:eq(row:view{1, -1}):cast 'f32'
end

--- The share of rows of `logits` whose label is among the k best.
-- @param options k = 1
-- > nn.functional.accuracy(inc.tensor{{0, 1}, {1, 0}}, inc.tensor{2, 2, dtype = 'i64'}):item()  --> 0.5
function functional.accuracy(logits, labels, options)
  local k = options and options.k or 1
  local _, best = logits:topk{k = math.min(k, logits:size(-1))}
  return best:eq(labels:view{-1, 1}):cast 'f32':sum{dim = 2}:mean()
end

return setmetatable(functional, {__index = function(_, name) return core[name] end})
