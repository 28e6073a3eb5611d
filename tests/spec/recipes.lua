-- Recipes and the nets that they name: train(recipes.release{data = ...}) is the release's training, with its
-- batch norms too, in the run, its resumes and its forks. That its arithmetic is TensorFlow's: parity.lua.

-- The options of every batch norm of a net, each set of them once.
local function norms_of(net)
  local seen, list = {}, {}
  for _, entry in ipairs(net:named_modules()) do
    local o = entry[2].is_norm and entry[2].options
    local text = o and ('eps %g momentum %g unbiased %s'):format(o.eps, o.momentum, o.unbiased)
    if text and not seen[text] then seen[text], list[#list + 1] = true, text end
  end
  return list
end

local the_release = {'eps 0.001 momentum 0.0003 unbiased false'}

test('recipes of the release print every number', function()
  local text = tostring(recipes.release{})
  for _, words in ipairs{
    'model            {"inception_v3", bn_eps = 0.001, bn_momentum = 0.0003, bn_unbiased = false, ' ..
      'pool_counts_padding = false}',
    'optimizer        optim.rmsprop{lr = 0.1, alpha = 0.9, eps = 1, momentum = 0.9, eps_inside = true, ' ..
      'weight_decay = 4e-05, decay_norms = false, layer_decay = 1}',
    'schedule         optim.exponential{0.16, every = "30 epochs"}', 'ema              0.9999',
    'label_smoothing  0.1', 'aux_weight       0.4', 'dropout          0.2', 'precision        "f32"',
    'size             299', 'batch            32', 'epochs           100', 'augment          "inception"',
  } do check.contains(text, words) end
  check.contains(tostring(recipes.flowers{}), 'bn_momentum = 0.0003')
  check.equal({recipes.flowers{}.steps, recipes.flowers{}.optimizer.options.lr}, {2000, 0.001})
  local given = recipes.release{nn.Linear{3}, 'photos'}
  check.equal(given.model, nil)
  check.contains(tostring(given), "the net is given: the recipe's own is model = {\"inception_v3\", bn_eps")
end)

test.slow("the release's training has the release's net, after a resume and in a fork too", function()
  local pictures, out = make_pictures(3, 8, 64), tmp() .. '/r'
  local run = train(recipes.release{data = pictures, out = out, size = 107, batch = 4, steps = 1, val = 0.3,
    seed = 7}):wait{quiet = true}
  check.equal(norms_of(run.net), the_release)
  local settings = inc.json.read(out .. '/config.json').settings
  check.equal({settings.model, settings.model_options.bn_momentum, settings.precision, settings.ema.decay,
    settings.dropout, settings.aux_weight}, {'inception_v3', 0.0003, 'f32', 0.9999, 0.2, 0.4})
  -- running statistics are 1 and 0 at first: after a step nearly so still
  local var = run.net.Conv2d_1a_3x3.bn.running_var
  check.ok((var - 1):abs():max():item() < 0.01 and (var - 1):abs():max():item() > 0)
  check.equal(norms_of(resume{out, steps = 2}:wait{quiet = true}.net), the_release)
  check.equal(norms_of(inc.fork{out, step = 1, lr = 0.01, out = out .. '-fork'}:wait{quiet = true}.net),
    the_release)
  check.equal(norms_of(models.open(out .. '/best.safetensors')), the_release)
end)

test.slow("train's default from scratch has the model's own batch norms", function()
  local pictures, out = make_pictures(3, 8, 64), tmp() .. '/r'
  local run = train{pictures, out = out, size = 107, batch = 4, steps = 1, val = 0}:wait{quiet = true}
  check.equal(norms_of(run.net), {'eps 0.001 momentum 0.1 unbiased true'})
  check.equal(inc.json.read(out .. '/config.json').settings.model_options, nil)
end)

test('what a model cannot be', function()
  local pictures, out = make_pictures(3, 14, 48), tmp() .. '/r'
  local function refused(options, text)
    options[#options + 1], options.out, options.steps, options.batch = pictures, out, 1, 8
    check.raises(function() train(options) end, text)
    check.equal(inc.core.path_kind(out), nil)
  end
  refused({model = {'inception_v3', bn_momentun = 0.1}},
    'models.inception_v3: bn_momentun: unknown option (did you mean bn_momentum?)')
  refused({model = {'inception_v4'}}, 'models: inception_v4: unknown model (did you mean inception_v3?)')
  refused({model = 3}, "train: model: expected a name, or a name and options like " ..
    "{'inception_v3', bn_eps = 0.001}, got 3")
  refused({model = {bn_eps = 0.001}}, "train: model: expected a name, or a name and options like " ..
    "{'inception_v3', bn_eps = 0.001}, got {bn_eps = 0.001}")
  refused({model = {'inception_v3', weights = 'x'}},
    'train: model: weights is an option of train: give it beside model, not in it')
  refused({require('tiny').net(), model = 'inception_v3'},
    'train: net and model: expected one of them, got both')
end)
