-- topics.lua -- the pages of help(): what belongs together, one screen each.
--
-- A page names the functions; their own help says the rest. Kept short enough for a terminal of 24 lines.
local topics = {}

topics.order = {'prompt', 'tensors', 'layers', 'training', 'plans', 'data', 'plots', 'errors', 'scripts'}

topics.summary = {
  prompt = 'what may be typed, keys, history', tensors = 'making, reading and computing with them',
  layers = 'building nets, looking into them, changing them', training = 'runs, optimizers, schedules',
  plans = 'a whole step traced, optimised and replayed', data = 'folders of pictures, batches',
  plots = 'curves, contact sheets and diagrams of nets', errors = 'how they are told, and how to go on',
  scripts = 'incsh FILE, the verbs, status',
}

topics.prompt = [[
The prompt

  x = inc.randn{2, 3}     any Lua; the value of an expression is printed
  x:sum();                a trailing ; mutes, the value is still in _
  _  _1  _2  _3           the last value and the three before it
  local n = 3             lasts until the shell ends
  ?nn.Conv2d   ??f        help on a name; the source of a function
  !ls photos              the system's shell
  time f()   timeit f()   once; many times, with the median
  trace()   who           the full stack of the last error; your names and their bytes
  save_session 'a.lua'    what worked, as a script;   tour() shows around

Enter adds a line while the entry is not complete; an empty line ends it. Alt-Enter adds a line anyway.
Up and Down move between lines, then through the entries that begin like this one. Ctrl-R searches.
Tab completes names, fields, methods, options inside { and file names inside quotes.
Help that is taller than the screen comes a page at a time: $PAGER, else less; PAGER=cat prints it.
Ctrl-C stops what runs and keeps everything; Ctrl-X Ctrl-E opens $EDITOR; Ctrl-D leaves.
~/.config/incsh/init.lua runs first, then the folder's .incshrc once allow_folder() has allowed it, unless
--no-rc.]]

topics.tensors = [[
Tensors

  inc.tensor{{1, 2}, {3, 4}}   inc.zeros{2, 3}   inc.ones{3}   inc.randn{8, 3}   inc.arange{1, 10}
  x:shape()  x:size(1)  x:dtype()  x:device()  x:numel()  x:item()  x:tolist()
  x[1]   x[{2, {1, 3}}]       dims and indices count from 1, negative ones from the end
  x + 1, x * y, x:relu(), x:matmul(w), x:sum{dim = 2}, x:mean{dim = {3, 4}}
  w = inc.randn{3, 4, requires_grad = true}; x:matmul(w):sum():backward(); w.grad
  inc.no_grad(function() w:sub_(w.grad * 0.1) end)      in place: a trailing _
  inc.image 'rose.jpg'        [3, H, W], u8

help 'sum' explains an op; apropos 'pool' finds them.]]

topics.layers = [[
Layers and nets

  nn.Conv2d{32, kernel_size = 3, stride = 2, bias = false} | nn.BatchNorm2d{} | nn.ReLU{}
  nn.Sequential{...}   nn.Concat{a, b, names = {'left', 'right'}}   nn.Linear{10}
  nn.module('Scale', function(self, n) ... end)          a layer of one's own
  nn.defaults({Conv2d = {bias = false}}, function() ... end)
  net = models.inception_v3{classes = 5, aux = true, weights = FILE}
  net:summary{1, 3, 299, 299}   net.Mixed_6b.branch7x7_2   net:freeze '^Conv2d'
  net:replace('fc', nn.Linear{5})   net:end_points(x, {'Mixed_6e'})   net:save(FILE)   net:load(FILE)

Input channels may be left out: they are taken from the first input.]]

topics.training = [[
Training

  run = train{net, flowers, optimizer = optim.sgd{lr = 0.01, momentum = 0.9}, epochs = 5, out = 'runs/first'}
  print(run)   run:plot{'loss', 'val.top1'}   run.log
  run:pause()  run:continue()  run:set{lr = 1e-3}  run:stop()  run:wait()
  again = resume{'runs/first', epochs = 8}
  evaluate{net, flowers.val}   predict{net, 'rose.jpg'}
  runs 'runs/'   diff('runs/a', 'runs/b')   c = compare{net, flowers, {'a', ...}, {'b', ...}}

  optim.sgd  nesterov  rmsprop  adagrad  adadelta  adam  adamw  nadam  radam  adamax  lion  lamb  lars  muon
  optim.schedule_free_sgd  optim.schedule_free_adamw  optim.new('yours', {...})      help 'optim.lamb'
  optim.constant  step  multistep  exponential  polynomial  cosine  one_cycle  plateau  lambda
  plot(optim.one_cycle{})   print(recipes.fine_tune{})   optim.find_rate{net, flowers}

At the prompt a run works in the background; a script waits for it at its end.]]

topics.plans = [[
Plans: a whole step, replayed

  opt = optim.sgd{lr = 0.1}:bind(net)
  step = inc.plan(function(x, y)
    local loss = nn.functional.cross_entropy(net(x), y)
    loss:backward(); opt:step(); return loss
  end)
  step(x, y):item()
  step:explain()   step:memory()   step:dump 'fuse'

The function is called with shapes only; then the recorded step is laid out and replayed. A tensor has no
value while that happens. It is called twice and refused where the two differ: what changes is an argument.]]

topics.data = [[
Data

  flowers = data.folder{'photos', val = 0.2, seed = 1}    one sub-folder a class
  #flowers.classes   flowers.train   flowers.val
  for x, y in flowers.train:batches{32, seed = 1} do ... end

JPEG and PNG, told apart by content. Bad pictures are listed and skipped. The split goes by a hash of the file
name, so it stays when pictures are added.]]

topics.plots = [[
Plots

  inc.plot{{1, 3, 2, 5}}                                   numbers, against 1, 2, 3, ...
  inc.plot{{name = 'loss', x = run.log.step, y = run.log.loss}, smooth = 0.6, logy = true}
  inc.plot{{1, 3, 2}, file = 'a.png', title = 'first', xlabel = 'step'}

  run:plot{'loss', 'val.top1'}                             live while the run trains
  show{flowers, n = 12}   flowers:show(12)                 a contact sheet
  net:draw()   net:draw 'net.svg'                          what flows where

In the terminal as text or, where it can, as pictures; or to a file: .png, .svg, .pdf (by gnuplot, and only
these need it). smooth is TensorBoard's running mean, 0 to below 1. A failed plot is a sentence, no error.]]

topics.errors = [[
Errors

An error tells what was expected, what came, and the line of yours that did it; a hint follows where one
helps.

  trace()                    the full stack of the last error
  inc.try(f, ...)            nil, message, code instead of an error

A failed call leaves its arguments as they were. Ctrl-C is an error too ("interrupted"), but pcall does not
stop it.]]

topics.scripts = [[
Scripts and verbs

  incsh FILE.lua ARG...      run a script; arg[1], arg[2], ... as in lua
  incsh -e CODE              run a line
  incsh -i FILE.lua          run, then prompt
  incsh train photos --out runs/first --epochs 5
  incsh fork runs/first --step 200 --lr 0.001 --out runs/slower
  incsh evaluate runs/first photos --json

Each verb is a short script in scripts/ and a function of the same name: train resume fork evaluate predict
compare pack convert inspect runs diff bench doctor help. A script ends with status 0, 1 after an error, 130
after Ctrl-C; runs that it started are waited for. A chunk that returns a number ends with that status.]]

return topics
