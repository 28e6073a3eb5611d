-- tour.lua: tour() without a terminal runs through, and what it shows is what it does.

test.slow('the tour runs through in batch, trains, and beats guessing', function()
  local r = sh(('timeout 900 %s -e %s'):format(incsh, quote [[
    tour()
    local best = run:status().best
    print('top-1', best)
    if best < 0.6 then error('the net of the tour learnt nothing: ' .. best) end]]))
  check.equal(r.status, 0, r.err)
  for i = 1, 10 do check.contains(r.out, ('-- %d of 10: '):format(i)) end
  local folder = r.out:match 'That was the tour; its pictures and runs are in (/%S+)%.\n'
  check.contains(r.out, "They are removed when incsh ends; tour 'keep' keeps them.")
  check.equal(inc.core.path_kind(folder), nil, folder)
  check.contains(r.out, "inc> run:plot{'loss', 'val.top1'}")
  check.contains(r.out, 'rows: what it is; columns: what it was called')
end)

test('a recipe takes steps instead of its epochs, and the other way round', function()
  check.equal(recipes.head_only{steps = 30}.epochs, nil)
  check.equal(recipes.flowers{epochs = 2}.steps, nil)
  check.equal(recipes.fine_tune{}.epochs, 15)
end)
