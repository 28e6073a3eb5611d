--- From settings to what runs: pictures, net, optimizer, averages, and the planned step and evaluation.

local core = require 'inc.core'
local args = require 'inc.args'
local preprocess = require 'inc.nn.preprocess'
local weights = require 'inc.weights'

local build = {}

-- -- data ---------------------------------------------------------------------------------------------------

--- The list of pictures (in C) behind what the user calls data.
function build.images_of(data, who)
  local images = type(data) == 'userdata' and data or type(data) == 'table' and data.images
  if images then return images end
  args.fail('%s: data: expected a folder or what data.folder gives, got %s', who, args.show(data))
end

--- Scan a folder; what is odd about it is told on stderr.
-- @param options val, seed, classes
function build.scan(path, options)
  return inc.data.folder{core.path_full(path), val = options.val, seed = options.seed,
    classes = options.classes}.images
end

--- The pictures of a run; `data` is a path or a data object.
function build.data(o)
  local images = type(o.data) == 'string' and build.scan(o.data, {val = o.val, seed = 1, classes = o.classes})
    or build.images_of(o.data, 'train')
  local info = images:info()
  if #images:classes() < 2 then
    args.fail('train: %s: expected at least two classes, got %s', info.root, table.concat(images:classes(),
      ', '))
  end
  if o.bad == 'stop' and info.bad > 0 then
    local item = images:item(images:indices('bad')[1])
    args.fail('train: %s: %s', item.path, item.why)
  end
  return images, info
end

-- -- net ----------------------------------------------------------------------------------------------------

-- From scratch the auxiliary head helps, where its 5x5 convolution finds room; fine-tuning does without.
local function wants_aux(o, size) return not o.weights and (size or 299) >= 299 end

-- Options of train come over those inside `model`.
local function new_net(o, classes)
  local options = {}
  for name, value in pairs(o.model_options or {}) do options[name] = value end
  for _, name in ipairs{'weights', 'dropout', 'size', 'aux'} do
    if o[name] ~= nil then options[name] = o[name] end
  end
  if options.aux == nil then options.aux = wants_aux(o, options.size) end
  options.classes = classes
  return require('inc.models')[o.model](options)
end

-- A net of the user's sees the size that was asked for, and gets the parameters that wait for a first input.
local function fit(net, o)
  local p = net.preprocess
  if o.size and o.size ~= build.size_of(net) then
    local record = p and p:to_metadata() or {}
    record['input.size'] = tostring(o.size)
    net.preprocess = preprocess.new(preprocess.from_metadata(record))
  end
  if o.dropout then require('inc.train.stage').set_dropout(net, o.dropout) end
  if o.aux ~= nil then args.fail 'train: aux: is for the model that train makes; this net was given' end
  local size = build.size_of(net)
  for _, entry in ipairs(net:named_modules()) do
    if rawget(entry[2], '_unbuilt') then return net:build{1, 3, size, size} end
  end
end

--- The net of a run: the user's, or a model made for these classes.
function build.net(o, classes)
  local seed = core.seed()
  if not o.net then core.seed(o.seed) end
  local net = o.net or new_net(o, classes)
  if o.net then fit(net, o) else core.seed(seed) end
  if o.net and o.weights then inc.note('%s', net:load(o.weights, {fresh = {'^fc%.', '^AuxLogits%.'}})) end
  local known = net.classes
  if known and table.concat(known, '\n') ~= table.concat(classes, '\n') then
    args.fail('train: classes: the net has %s, the data has %s', table.concat(known, ', '),
      table.concat(classes, ', '))
  end
  net.classes = classes
  for _, pattern in ipairs(o.freeze) do net:freeze(pattern) end
  return net
end

-- -- plans --------------------------------------------------------------------------------------------------

-- Run f with the net's tensors replaced by their averages.
local function with_averages(average, f)
  local swapped = {}
  local restore <close> = args.finally(function()
    for _, s in ipairs(swapped) do s.owner._tensor[s.key] = s.tensor end
  end)
  for _, entry in ipairs(average and average.entries or {}) do
    if entry.average then
      swapped[#swapped + 1] = {owner = entry.owner, key = entry.key, tensor = entry.owner._tensor[entry.key]}
      entry.owner._tensor[entry.key] = entry.average
    end
  end
  return f(restore)
end

-- Run f in a precision, with every layer in one mode; both are as before afterwards.
local function in_mode(net, training, precision, f)
  local modes, before = {}, core.precision(precision)
  for i, entry in ipairs(net:named_modules()) do modes[i] = {entry[2], entry[2].training} end
  local restore <close> = args.finally(function()
    core.precision(before)
    for _, m in ipairs(modes) do rawset(m[1], 'training', m[2]) end
  end)
  net:train(training)
  return f(restore)
end

local function pictures_spec(batch, size)
  return {dtype = 'u8', shape = {batch, 3, size, size}, channels_last = true}
end

local trace = function(...) return require('inc.plan').trace(...) end

--- Planned evaluation: u8 pictures to f32 logits.
-- @param average an average of weights to use instead of the net's own, or nil
-- @return the plan, the number of logits
function build.eval_plan(net, batch, precision, average)
  local classes
  local function forward(x)
    local logits = net(x)
    local shape = logits:shape()
    if #shape ~= 2 or shape[1] ~= batch then
      args.fail('evaluate: expected a net that gives [N, classes], got %s', args.show(shape))
    end
    classes = shape[2]
    return logits:cast 'f32'
  end
  local plan = in_mode(net, false, precision, function()
    return with_averages(average, function()
      return core.no_grad(trace, forward, {pictures_spec(batch, build.size_of(net))})
    end)
  end)
  return plan, classes
end

--- Planned end points of one picture: u8 [1, 3, S, S] to the f32 outputs of layers, in the order of `names`.
function build.features_plan(net, names, precision)
  local function forward(x)
    local found, list = net:end_points(x, names), {}
    for i, name in ipairs(names) do
      if not found[name] then args.fail('predict: features: %s: is not used in evaluation', name) end
      list[i] = found[name]:cast 'f32'
    end
    return table.unpack(list)
  end
  return in_mode(net, false, precision, function()
    return core.no_grad(trace, forward, {pictures_spec(1, build.size_of(net))})
  end)
end

--- Side of the square that a net sees.
function build.size_of(net) return net.preprocess and net.preprocess.size or 299 end

-- plan = false: the ops run one by one, as they were recorded.
local as_recorded = {simplify = false, fuse = false, layout = false, alias = false, recompute = false,
  hoist = false, tile = false, uncast = false, siblings = false, gather = false}

--- Planned training step: pictures and labels to the loss; the state moves on when it is committed.
function build.step_plan(net, o, optimizer, average, rng)
  local options = {label_smoothing = o.label_smoothing, aux_weight = o.aux_weight}
  local parts = o.accumulate or 1
  local function loss_of(x, y)
    local loss = net:loss(x, y, options)
    if parts > 1 then loss = loss * (1 / parts) end
    loss:backward() -- gradients of the parts add up
    return loss
  end
  local function step(x, y)
    local size, loss = o.batch // parts, nil
    for i = 1, parts do
      local first = (i - 1) * size + 1
      local part = parts == 1 and loss_of(x, y) or
        loss_of(x:narrow(1, first, size), y:narrow(1, first, size))
      loss = loss and loss + part or part
    end
    optimizer:step()
    if average then average:step() end
    if not optimizer.norms then return loss end
    return loss, optimizer.grad_norm, optimizer.update_norm
  end
  local specs = {pictures_spec(o.batch, build.size_of(net)), {dtype = 'i64', shape = {o.batch}}}
  return in_mode(net, true, o.precision, function()
    local restore <close> = args.finally(function() core.rng_use(nil) end)
    core.rng_use(rng)
    return trace(step, specs, o.plan == false and as_recorded or {}), restore
  end)
end

--- How a net's pictures are cut: the options of a loader's transform.
function build.eval_transform(net)
  local p = net.preprocess
  return {augment = 'eval', size = build.size_of(net), crop = p and p.crop, filter = p and p.filter}
end

-- -- memory -------------------------------------------------------------------------------------------------

local function number_in(path, pattern, unit)
  local f = io.open(path)
  local n = f and f:read 'a':match(pattern)
  if f then f:close() end
  return n and tonumber(n) and tonumber(n) * (unit or 1)
end

local function least(a, b) return a and b and math.min(a, b) or a or b end

--- Bytes that can still be had: of the machine, of the control group, of this process.
function build.free_memory()
  local free = number_in('/proc/meminfo', 'MemAvailable:%s*(%d+)', 1024)
  local limit = number_in('/sys/fs/cgroup/memory.max', '^(%d+)')
  local used = number_in('/sys/fs/cgroup/memory.current', '^(%d+)')
  if limit and used then
    local cache = number_in('/sys/fs/cgroup/memory.stat', 'inactive_file (%d+)') or 0
    free = least(free, limit - used + cache)
  end
  local space = number_in('/proc/self/limits', 'Max address space%s+(%d+)')
  if space then free = least(free, space - (number_in('/proc/self/status', 'VmSize:%s*(%d+)', 1024) or 0)) end
  return free
end

-- Bytes that come with the first run of a plan.
local function growth(plan)
  local m = plan:memory()
  return m.arena + m.workspace + m.kept
end

local LEAST = 400e6 -- below that even compiling kernels may fail, and not every library says so in words

--- Refuse to begin where there is no room to speak of.
function build.check_room()
  local free = build.free_memory()
  if free and free < LEAST then
    args.fail('train: out of memory: %.2f GB are free, expected %.1f GB at least', free / 1e9, LEAST / 1e9)
  end
end

local BATCHES = 5 -- of pixels: a loader's ring, and the one at hand

--- Refuse plans that cannot fit, before anything of them is allocated.
-- @param step, eval the plans of a run; eval may be nil
function build.check_memory(step, eval, batch, size)
  local pixels = BATCHES * batch * size * size * 3
  local wanted, free = growth(step) + (eval and growth(eval) or 0) + pixels, build.free_memory()
  if not free or wanted <= 0.97 * free then return end
  local fits = math.floor(batch * 0.9 * free / wanted)
  args.fail('train: out of memory: batch %d wants %.1f GB, %.1f GB are free; %s', batch, wanted / 1e9,
    free / 1e9, fits >= 1 and ('batch %d would fit'):format(fits) or 'no batch would fit')
end

-- -- state --------------------------------------------------------------------------------------------------

--- Everything that a checkpoint holds, in order: the net under its own names, then slots and averages.
function build.state(net, optimizer, average)
  local list = {}
  for _, entry in ipairs(net:state()) do list[#list + 1] = {entry[1], entry[2]} end
  for _, entry in ipairs(optimizer:slots()) do list[#list + 1] = {'optim/' .. entry[1], entry[2]} end
  for _, entry in ipairs(average and average:slots() or {}) do
    list[#list + 1] = {'ema/' .. entry[1], entry[2]}
  end
  return list
end

--- Copy the tensors of a checkpoint into the state; checked whole before the first number is written.
-- @param path for messages
function build.load_state(state, tensors, path)
  for _, entry in ipairs(state) do
    local t = tensors[entry[1]]
    if not t then args.fail('resume: %s: has no %s', path, entry[1]) end
    if args.show(t:shape()) ~= args.show(entry[2]:shape()) then
      args.fail('resume: %s: %s: expected shape %s, got %s', path, entry[1], args.show(entry[2]:shape()),
        args.show(t:shape()))
    end
  end
  core.no_grad(function()
    for _, entry in ipairs(state) do entry[2]:copy_(tensors[entry[1]]) end
  end)
end

--- Metadata of the files of a run.
function build.metadata(net, kind)
  local out = weights.metadata_of(net)
  for key, value in pairs(out) do out[key] = tostring(value) end
  out.kind = kind
  return out
end

return build
