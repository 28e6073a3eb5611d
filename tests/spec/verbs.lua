-- The verbs on the command line, with the real net at a small size: what they print, their status, what they
-- leave behind. The calls behind them are in run.lua and resume.lua.

local weights = 'models/pretrained/inception_v3.safetensors'

local function incsh_verb(words) return sh(incsh .. ' ' .. words) end

local function train_words(pictures, out, more)
  return ('train %s --weights %s --out %s --size 107 --batch 4 --precision f32 %s'):format(quote(pictures),
    weights,
    quote(out), more or '')
end

test.slow('train, evaluate, predict, inspect, resume', function()
  local pictures, dir = make_pictures(3, 8, 64), tmp()
  local out = dir .. '/r'
  local r = incsh_verb(train_words(pictures, out, '--steps 3 --val=0.3'))
  check.equal(r.status, 0, r.err)
  check.contains(r.out, 'finished after step 3 of 3')
  check.contains(r.err, 'started 2 afresh: fc.weight, fc.bias')
  local again = incsh_verb(train_words(pictures, out))
  check.equal(again.status, 1)
  check.contains(again.err, ('incsh train: --out %s holds a run already: incsh resume %s goes on with it')
    :format(out, out))

  r = incsh_verb(('evaluate %s %s --json'):format(out, pictures))
  check.equal(r.status, 0, r.err)
  local e = inc.json.decode(r.out)
  check.equal(#e.per_class, 3)
  check.equal(e.part, 'val')
  check.ok(e.n > 0 and e.top1 >= 0 and e.top5 == 1 and e.loss > 0 and #e.bad == 0)
  check.equal(incsh_verb(('evaluate %s %s --json --part all'):format(out, pictures)).status, 0)
  local log = read_file(out .. '/log.jsonl')
  check.close(inc.json.decode(log:match '([^\n]*)\n$')['val.loss'], e.loss, 1e-6)

  write_file(dir .. '/text.jpg', 'no picture')
  local one = pictures .. '/class1/' .. inc.core.list_folder(pictures .. '/class1')[1]
  r = incsh_verb(('predict %s %s %s --json --top 2'):format(out, one, dir .. '/text.jpg'))
  check.equal(r.status, 1)
  check.contains(r.err, 'text.jpg: not a JPEG or PNG')
  local p = inc.json.decode(r.out)
  check.equal(p.pictures[1].file, one)
  check.equal(#p.pictures[1].top, 2)
  check.equal(p.bad[1].why, 'not a JPEG or PNG')

  local i = inc.json.decode(incsh_verb(('inspect %s --json --hash'):format(out)).out)
  check.equal({i.kind, i.step, #i.hash, i.classes}, {'run', 3, 64, {'class1', 'class2', 'class3'}})
  local w = inc.json.decode(incsh_verb(('inspect %s/best.safetensors --json --hash'):format(out)).out)
  check.equal({w.kind, w.hash, w.parameters}, {'weights', i.hash, i.parameters})
  check.contains(incsh_verb(('inspect %s --pictures'):format(out)).out, 'val   class1  ')

  r = incsh_verb('resume ' .. out)
  check.equal(r.status, 1)
  check.contains(r.err, 'its 3 steps are made; give more steps or epochs to go further')
  os.rename(out, dir .. '/moved')
  r = incsh_verb(('resume %s/moved --steps 4'):format(dir))
  check.equal(r.status, 0, r.err)
  check.contains(r.out, 'finished after step 4 of 4')
end)

test.slow('fork: at any step that a run has made, with what is changed', function()
  local pictures, dir = make_pictures(3, 8, 64), tmp()
  local out, twin = dir .. '/r', dir .. '/twin'
  check.equal(incsh_verb(train_words(pictures, out, '--steps 3 --val 0.3 --save-every 2')).status, 0)
  local r = incsh_verb(('fork %s --step 1 --out %s --lr 0.001 --steps 4'):format(out, twin))
  check.equal(r.status, 0, r.err)
  check.contains(r.out, 'run in ' .. twin)
  check.contains(r.out, 'finished after step 4 of 4')
  check.contains(sh('head -n 2 ' .. twin .. '/log.jsonl | tail -n 1').out,
    'after step 1: lr = 0.001, steps = 4')
  local parent = inc.json.read(twin .. '/config.json').parent
  check.equal({parent.step, parent.from, parent.changes.lr}, {1, 0, '0.001'})
end)

test.slow('Ctrl-C: finish the step, save, say how to resume, status 130', function()
  local pictures, dir = make_pictures(3, 8, 64), tmp()
  local out = dir .. '/r'
  local r = sh(('%s %s >%s/out & p=$!; while ! grep -q step %s/log.jsonl; do sleep 0.1; done 2>/dev/null\n' ..
    'kill -INT $p; wait $p'):format(incsh, train_words(pictures, out, '--steps 10000'), dir, out))
  check.equal(r.status, 130, r.err)
  check.ok(r.err:find('stopped after step %d+ of 10000, saved; go on with: incsh resume '), r.err)
  check.equal(#inc.core.run_checkpoints(out), 1)
end)

test.slow('out of memory is refused with the batch that would fit', function()
  local pictures, dir = make_pictures(3, 14, 48), tmp()
  local words = ('%s train %s --weights %s --batch 27 --precision f32 --steps 1 --out %s/r'):format(incsh,
    pictures, weights, dir)
  local r = sh('ulimit -v 1500000; ' .. words)
  check.equal(r.status, 1)
  check.ok(r.err:find 'out of memory: batch 27 wants %d%.%d GB, %d%.%d GB are free; batch %d+ would fit',
    r.err)
  check.equal(inc.core.path_kind(dir .. '/r'), nil)
  r = sh('ulimit -v 500000; ' .. words)
  check.equal(r.status, 1)
  check.ok(r.err:find 'out of memory: %d%.%d+ GB are free, expected 0.4 GB at least', r.err)
end)

test.slow('a full disk: one sentence, and the last checkpoint stays', function()
  local pictures, dir = make_pictures(3, 8, 64), tmp()
  local out = dir .. '/r'
  check.equal(incsh_verb(train_words(pictures, out, '--steps 1 --val 0')).status, 0)
  local r = sh(("trap '' XFSZ; ulimit -f 20000; %s resume %s --steps 3"):format(incsh, out))
  check.equal(r.status, 1)
  check.ok(r.err:find('step%-2.safetensors: cannot write: File too large') or
    r.err:find('best.safetensors: cannot write: File too large'), r.err)
  check.equal(inc.core.run_checkpoints(out), {1})
  check.equal(incsh_verb(('resume %s --steps 2'):format(out)).status, 0)
end)

test.slow('the same from Lua: a script waits for its runs', function()
  local pictures, dir = make_pictures(3, 8, 64), tmp()
  write_file(dir .. '/t.lua',
    ('train{%q, weights = %q, size = 107, batch = 4, steps = 2, out = %q, precision = "f32"}')
    :format(pictures, weights, dir .. '/r'))
  local r = sh(('%s %s/t.lua'):format(incsh, dir))
  check.equal(r.status, 0, r.err)
  check.contains(r.out, 'finished after step 2 of 2')
end)

test('mistakes on the command line', function()
  local function fails(words, text)
    local r = incsh_verb(words)
    check.equal(r.status, 1, words)
    check.equal(r.out, '')
    check.equal(r.err, text .. '\n')
  end
  fails('train', 'incsh train: expected one folder of pictures, got 0')
  fails('train x --stepz 3', 'incsh train: --stepz: unknown option (did you mean --steps?)')
  fails('train x --steps', 'incsh train: --steps: expected a value after it')
  fails('train x --steps few', 'incsh train: --steps: expected a number, got few')
  fails('train x --augment heavy',
    'incsh train: augment: expected one of inception, light, none, got "heavy"')
  fails('train x --devices gpu:0', 'incsh train: devices = "gpu:0": not built yet (there is cpu)')
  fails('resume nowhere', 'incsh resume: nowhere: there is no such folder')
  fails('fork', 'incsh fork: expected one run, got 0')
  fails('fork nowhere', 'incsh fork: nowhere: there is no such folder')
  fails('fork x --stepp 3', 'incsh fork: --stepp: unknown option (did you mean --step?)')
  fails('evaluate nowhere', 'incsh evaluate: nowhere: there is no such file or folder')
  fails('predict Makefile x.jpg',
    'incsh predict: Makefile: not a sound safetensors file: its head is said to be longer than the file')
  fails('inspect nowhere', 'incsh inspect: nowhere: there is no such file or folder')
  fails('predict ' .. weights .. ' x.jpg',
    ('incsh predict: %s: does not say which model it is of: make ' ..
    'the net and call net:load'):format(weights))
end)

test('options: =, --, ~, true and false', function()
  local cli, args = require 'inc.cli', require 'inc.args'
  local spec = args.spec('x',
    'what:any...; top:int=5, raw:bool=false, save_every:int?, name:string?, any:any?')
  local function parse(...) return {cli.parse('x', {...}, spec, {json = true})} end
  check.equal(parse('a', '--top=3', '--raw', 'b'), {{'a', 'b'}, {top = 3, raw = true}})
  check.equal(parse('--raw', 'false', '--save-every', '7'), {{}, {raw = false, save_every = 7}})
  check.equal(parse('--json', '--', '--top', '-x'), {{'--top', '-x'}, {json = true}})
  check.equal(parse('--name', '--odd', '--any', '0.5'), {{}, {name = '--odd', any = 0.5}})
  check.equal(parse('~/a')[1][1], os.getenv 'HOME' .. '/a')
end)

test('doctor', function()
  local r = incsh_verb 'doctor --json'
  check.equal(r.status, 0)
  local d = inc.json.decode(r.out)
  check.ok(d.cpu.threads >= 1 and d.libraries.dnnl)
  check.contains(incsh_verb 'doctor'.out, 'processor')
end)
