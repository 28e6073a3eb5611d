-- Four optimizers, side by side: the same pretrained net, the same batches, three seeds, one verdict each.
--
--     incsh compare examples/20_compare.lua --data PHOTOS --out runs/four
--
-- PHOTOS is a folder with one sub-folder a class. Runs take turns; after Ctrl-C or a kill the same command
-- goes on. The page is runs/four/compare.html. A list of rates (lr = {0.01, 0.03}) has the best found first.
return {
  weights = inc.root .. 'models/pretrained/inception_v3.safetensors',
  steps = 60, batch = 16, seeds = {1, 2, 3}, val_every = 30,
  augment = 'light', label_smoothing = 0.1, schedule = optim.cosine{warmup = 0.1},

  {'sgd', optim.sgd{lr = 0.02, momentum = 0.9, nesterov = true, weight_decay = 1e-4}},
  {'rmsprop', optim.rmsprop{lr = 0.002, alpha = 0.9, momentum = 0.9, eps = 1, eps_inside = true}},
  {'adamw', optim.adamw{lr = 3e-4, weight_decay = 0.01}},
  {'lion', optim.lion{lr = 3e-5, weight_decay = 0.1}},
}
