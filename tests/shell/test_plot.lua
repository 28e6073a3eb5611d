-- test_plot.lua: plots, and everything that can be wrong with gnuplot.
-- A false gnuplot first in PATH plays the crashes. The one thing that must never happen is that a title or a
-- file name becomes a command: a file named `pwned` would show it.

local function run(code, path) return term.sh(('%s "$INCSH" -e \'%s\''):format(path or '', code)) end

local function fake(script)
  term.sh 'mkdir -p fake'
  term.write('fake/gnuplot', '#!/bin/sh\n' .. script)
  term.sh 'chmod +x fake/gnuplot'
  return 'PATH="$PWD/fake:$PATH"'
end

local function need_gnuplot()
  if term.sh 'command -v gnuplot'.status ~= 0 then term.skip 'gnuplot is not installed' end
end

check('text, with the legend and the smoothing named', function()
  need_gnuplot()
  local r = run 'inc.plot{{name = "loss", y = {3, 2, 1}}, smooth = 0.5, title = "My title"}'
  term.contains(r.out, 'My title')
  term.contains(r.out, 'loss (smoothed 0.5)')
  term.equal(r.status, 0)
end)

check('pictures by suffix', function()
  need_gnuplot()
  local r = run 'for _, kind in ipairs{"png", "svg", "pdf"} do inc.plot{{1, 3, 2}, file = "a." .. kind} end'
  term.equal(r.err, '')
  term.contains(term.sh 'head -c 4 a.png'.out, 'PNG')
  term.contains(term.sh 'head -c 300 a.svg'.out, '<svg')
  term.contains(term.sh 'head -c 4 a.pdf'.out, '%PDF')
end)

check('text of the user never becomes a command', function()
  need_gnuplot()
  local evil = [["a'; system('touch pwned'); '", "`touch pwned`", "$(touch pwned)",
    '\nsystem("touch pwned")\n']]
  term.write('evil.lua', 'for _, s in ipairs{' .. evil .. [[} do
    inc.plot{{name = s, y = {1, 2}}, title = s, xlabel = s, ylabel = s}
    inc.plot{{name = s, y = {1, 2}}, title = s, file = s:gsub('/', '_') .. '.png'}
    inc.plot{{1, 2}, file = '|touch pwned;.png'}
  end]])
  local r = term.sh '"$INCSH" evil.lua'
  term.equal(r.status, 0)
  term.equal(term.sh 'ls pwned'.status ~= 0, true, 'a command ran')
end)

check('gnuplot absent, crashed, silent, slow: a sentence', function()
  local r = term.sh([[PATH=/nowhere "$INCSH" -e 'inc.plot{{1, 2}} print "on"']])
  term.equal(r.out, 'on\n')
  term.contains(r.err, 'gnuplot is not installed')
  r = run('inc.plot{{1, 2}} print "on"', fake 'kill -9 $$')
  term.equal(r.out, 'on\n')
  term.contains(r.err, 'gnuplot failed')
  r = run('inc.plot{{1, 2}} print "on"', fake 'exit 0')
  term.contains(r.err, 'gnuplot failed')
  r = run('inc.plot{{1, 2}} print "on"', fake 'sleep 60')
  term.equal(r.out, 'on\n')
  term.contains(r.err, 'did not answer')
end)

check('nothing finite, holes, logarithms of nothing', function()
  need_gnuplot()
  term.contains(run 'inc.plot{{0/0, 1/0}}'.err, 'nothing to draw yet')
  term.contains(run 'inc.plot{{-1, 0}, logy = true}'.err, 'nothing to draw yet')
  term.equal(run 'inc.plot{{1, 0/0, 3, -1}, logy = true}'.err, '')
  term.contains(run 'inc.plot{{}}'.err, 'nothing to draw yet')
end)

check('numbers alone, a tensor, a long series', function()
  need_gnuplot()
  term.equal(run 'inc.plot{1, 3, 2} inc.plot{inc.tensor{1, 2, 3}}'.err, '')
  term.equal(run 'local y = {} for i = 1, 100000 do y[i] = i % 7 end inc.plot{y}'.err, '')
end)

check('an unknown option names the nearest', function()
  term.contains(run 'inc.plot{{1}, titel = "x"}'.err, 'did you mean title?')
end)
