-- Settings of the machine, side by side: precision, threads and batch, by pictures trained a second.
--
--     incsh compare examples/25_hardware.lua --data PHOTOS --out runs/speed
--
-- The same machinery as for optimizers: turns of a few seconds, three seeds, a verdict with its test. Waiting
-- for pictures, validation and saving are not in the speed, nor are the first steps, which choose kernels.
return {
  weights = inc.root .. 'models/pretrained/inception_v3.safetensors',
  steps = 30, seeds = 3, val = 0, metric = 'img_s', augment = 'light',
  optimizer = optim.sgd{lr = 0.01, momentum = 0.9},

  {'f32', precision = 'f32', batch = 32},
  {'bf16', precision = 'bf16', batch = 32},
  {'bf16 batch 8', precision = 'bf16', batch = 8},
  {'bf16 one core', precision = 'bf16', batch = 32, threads = 1},
}
