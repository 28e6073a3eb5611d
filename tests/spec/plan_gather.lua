-- The updates of all parameters as one kernel (core/plan/gather.c): what is put together, and that nothing
-- else changes by it.

-- Rows of the plan's writes to tensors (the step count and other numbers left out).
local function commits(d, options)
  local net = (nn.Linear{8} | nn.ReLU{} | nn.Linear{4}):build{4, 8}
  local opt, list = d:bind(net), {}
  local ema = options and options.ema and optim.ema{0.9}:bind(net)
  local step = inc.plan(function(x, y)
    local loss = net:loss(x, y)
    loss:backward()
    opt:step()
    if ema then ema:step() end
    return loss
  end, {gather = not (options and options.apart)})
  step(inc.randn{4, 8}, inc.tensor{1, 2, 3, 4, dtype = 'i64'})
  for line in tostring(step:explain()):gmatch '[^\n]+' do
    if line:find '^ *%d+ commit ' and not line:find '%f[%[]%[%]' then list[#list + 1] = line end
  end
  return list, step
end

test("the updates of all parameters are one kernel, the user's like the built-in ones", function()
  optim.new('sign_of_mean', {slots = {'m'}, update = function(p, g, slot, h)
    slot.m:lerp_(g, 0.1)
    p:sub_(slot.m:sign() * h.lr)
  end})
  for _, d in ipairs{optim.sign_of_mean{lr = 0.1}, optim.lion{}, optim.sgd{lr = 0.1, momentum = 0.9},
    optim.rmsprop{}, optim.adadelta{}, optim.radam{}, optim.schedule_free_adamw{}, optim.sgd{lr = 0.1,
    clip_norm = 1, groups = {{'^1', lr_scale = 0.1}}}} do
    local list = commits(d)
    check.equal(#list, 1, d.name)
    check.contains(list[1], '4 tensors')
  end
  check.contains(commits(optim.sign_of_mean{lr = 0.1})[1], 'tile of lerp_ sign mul sub_')
  check.contains(commits(optim.adam{}, {ema = true})[1], 'tile of adam_ lerp_') -- averages go with it
  -- one program a kernel: biases without weight decay are another
  local list = commits(optim.adamw{weight_decay = 0.1})
  check.equal(#list, 2)
  for _, line in ipairs(list) do check.contains(line, '2 tensors') end
  check.equal(#commits(optim.lion{}, {apart = true}), 4)
  -- what waits for a norm of its own update stays by itself: all at once would need room for all
  check.ok(#commits(optim.lamb{}) > 4)
end)

-- Ways of training that the passes see differently.
local function ways()
  return {{weight_decay = 0.01, groups = {{'^7', lr_scale = 3}}, clip_norm = 0.5},
    {layer_decay = 0.8, clip_norm = 0}, {clip_norm = 0, agc = 0.1}}
end

test('together or each by itself: the same bits', function()
  local function trained(make, gather, more)
    inc.seed(2)
    local x, y = inc.randn{8, 3, 6, 6}, inc.tensor{1, 2, 3, 1, 2, 3, 1, 2, dtype = 'i64'}
    local net = (nn.Conv2d{8, kernel_size = 3, bias = false} | nn.BatchNorm2d{} | nn.ReLU{} |
      nn.AdaptiveAvgPool2d{1} | nn.Flatten{} | nn.Linear{24} | nn.Linear{3}):build{8, 3, 6, 6}
    local opt, ema = make():bind(net, more), optim.ema{0.9, warmup = true}:bind(net)
    local step = inc.plan(function(u, v)
      local loss = net:loss(u, v)
      loss:backward()
      opt:step()
      ema:step()
      if more.norms then return loss, opt.update_norm end
      return loss
    end, {gather = gather})
    local out = {}
    for i = 1, 4 do
      local loss, norm = step(x, y)
      out[i] = {loss:item(), norm and norm:item()}
    end
    for _, list in ipairs{net:state(), opt:slots(), ema:slots()} do
      for _, entry in ipairs(list) do out[#out + 1] = {entry[1], entry[2]:tolist()} end
    end
    return out, step
  end
  for _, name in ipairs(optim.names()) do
    local kind = not optim[name].own and optim[name]
    for k, options in ipairs(kind and ways() or {}) do
      options.lr = 0.01
      local more = {fused = k == 1, norms = k == 2, follow = k == 2 and {'weight_decay'} or nil}
      local function make() return kind(options) end
      local apart, a = trained(make, false, more)
      local together, b = trained(make, true, more)
      check.equal(together, apart, ('%s %d'):format(name, k))
      local most = 1.01 * a:memory().arena
      check.ok(k == 2 or b:memory().arena <= most, name .. ' takes more memory')
    end
  end
end)
