-- An optimizer of one's own in ten lines, beside built-in ones, on a problem that trains in a second.
--
--     incsh examples/15_own_optimizer.lua

-- Signs of an average of gradients, with weight decay apart from the gradient: a simpler Lion.
optim.new('sign_momentum', {
  defaults = {lr = 1e-3, beta = 0.9, weight_decay = 0.01},
  slots = {'average'},
  decay = 'decoupled',
  update = function(p, g, slot, h)
    slot.average:lerp_(g, 1 - h.beta)
    p:sub_(slot.average:sign() * h.lr)
  end,
})

inc.seed(1)
local x = inc.randn{256, 16}
local y = x:matmul(inc.randn{16, 4}):argmax{dim = 2}

local function train_with(description)
  inc.seed(2)
  local net = (nn.Linear{32} | nn.ReLU{} | nn.Linear{4}):build{1, 16}
  local opt = description:bind(net)
  local step = inc.plan(function(input, label)
    local loss = net:loss(input, label)
    loss:backward()
    opt:step()
    return loss
  end)
  local set, length = inc.schedule.set(optim.cosine{warmup = 0.05}), {total_steps = 200}
  local losses = {}
  for i = 1, length.total_steps do
    set:apply(opt, i, length)
    losses[i] = step(x, y):item()
  end
  print(('%-70s loss %.4f'):format(tostring(description), losses[#losses]))
  return {name = description.name, y = losses}
end

plot{
  train_with(optim.sign_momentum{lr = 0.01}), train_with(optim.adamw{lr = 0.01}),
  train_with(optim.sgd{lr = 0.1, momentum = 0.9}),
  logy = true, title = 'loss', xlabel = 'step',
}
