-- report.lua: what run.lua measured, as a table, as JSON and as a chart.

local measure = dofile 'scripts/bench/measure.lua'
local report = {}

--- Median, spread and rate of one program on one row.
function report.finish(r, batch)
  r.median_ms = measure.quantile(r.ms, 0.5)
  r.low_ms, r.high_ms = measure.quantile(r.ms, 0.1), measure.quantile(r.ms, 0.9)
  r.img_s = batch * 1e3 / r.median_ms
end

-- The fastest and the lightest of the peers.
local function best_peers(row)
  local fast, light
  for _, p in ipairs(row.programs) do
    local weight = p.plain_mb or p.peak_mb
    if not p.ours and (not fast or p.img_s > fast.img_s) then fast = p end
    if not p.ours and (not light or weight < (light.plain_mb or light.peak_mb)) then light = p end
  end
  return fast, light
end

--- Fill in how we stand against the best peer: row.speed, row.memory, row.best_peer.
function report.compare(row)
  local fast, light = best_peers(row)
  local ours = row.programs[1]
  if not (fast and ours and ours.ours) then return end
  row.best_peer, row.speed = fast.program, ours.img_s / fast.img_s
  row.memory = ours.peak_mb / (light.plain_mb or light.peak_mb)
end

local layout = '%-5s %-4s %3s  %-24s %9s %6s %8s %8s %8s %8s %7s'

local function program_line(row, p, i)
  local head = i == 1 and {row.what, row.precision, row.batch} or {'', '', ''}
  return layout:format(head[1], head[2], head[3], p.program, ('%.1f'):format(p.median_ms),
    ('%.0f%%'):format(100 * (p.high_ms - p.low_ms) / p.median_ms), ('%.2f'):format(p.img_s),
    p.plain_mb and ('%d/%d'):format(p.peak_mb, p.plain_mb) or ('%d'):format(p.peak_mb),
    ('%.2f'):format(p.to_first_s), ('%.2f'):format(p.to_second_s - 2 * p.median_ms / 1e3),
    ('%.2f'):format(p.others))
end

--- The table as text. `list`: rows; `about`: {cpu, flags, threads, date, load}.
function report.text(list, about)
  local out = {('cpu: %s (%s), %d threads, %s, load at the start %.2f%s'):format(about.cpu,
    table.concat(about.flags, ' '), about.threads, about.date, about.load,
    about.quiet and '' or ': THE MACHINE WAS NOT QUIET, these figures are no measurement')}
  out[2] = layout:format('', '', 'n', '', 'ms', 'spread', 'img/s', 'MB', 'first s', 'start s', 'others')
  for _, row in ipairs(list) do
    for i, p in ipairs(row.programs) do out[#out + 1] = program_line(row, p, i) end
    if row.speed then
      out[#out + 1] = ('%16s%.2fx the speed of %s, %.2fx the least memory of a peer'):format('', row.speed,
        row.best_peer, row.memory)
    end
  end
  out[#out + 1] = [[
ms: median of a step or of an inference; spread: from the 10th to the 90th of a hundred; MB: peak resident
(with raised malloc thresholds / without); first s: from asking for the process to the end of its first step;
start s: to the end of the second, less two median steps; others: processors that other programs kept busy
meanwhile.]]
  return table.concat(out, '\n') .. '\n'
end

-- The programs of all rows, in the order in which they first appear.
local function program_names(list)
  local names, seen = {}, {}
  for _, row in ipairs(list) do
    for _, p in ipairs(row.programs) do
      if not seen[p.program] then seen[p.program], names[#names + 1] = true, p.program end
    end
  end
  return names
end

-- A row of the chart's data: each program's rate as a share of the best peer's, ? where it did not run.
local function chart_row(row, names)
  local best, cells, share = 0, {('"%s %s %d"'):format(row.what, row.precision, row.batch)}, {}
  for _, p in ipairs(row.programs) do
    if not p.ours then best = math.max(best, p.img_s) end
    share[p.program] = p.img_s
  end
  if best == 0 then best = row.programs[1].img_s end
  for i, name in ipairs(names) do
    cells[i + 1] = share[name] and ('%.4f'):format(share[name] / best) or '?'
  end
  return table.concat(cells, ' ')
end

local function chart_script(list, path)
  local names, out, plots = program_names(list), {}, {}
  out[1] = ([[set terminal pngcairo size 1100,620 font ',11'
set output '%s'
set style data histogram
set style histogram cluster gap 1
set style fill solid 0.9 border -1
set ylabel 'pictures a second, as a share of the fastest peer'
set yrange [0:*]
set grid ytics
set key outside bottom center horizontal
$d << EOD]]):format(path)
  for _, row in ipairs(list) do
    if row.programs[1] then out[#out + 1] = chart_row(row, names) end
  end
  for i, name in ipairs(names) do
    plots[i] = ("%s using %d%s title '%s'"):format(i == 1 and '$d' or "''", i + 1,
      i == 1 and ':xtic(1)' or '', name)
  end
  out[#out + 1] = "EOD\nset datafile missing '?'\nplot " .. table.concat(plots, ', ') .. '\n'
  return table.concat(out, '\n')
end

--- A bar chart beside the table; false and the reason where there is no gnuplot.
function report.chart(list, path)
  local p = io.popen('gnuplot 2>&1 >/dev/null', 'w')
  p:write(chart_script(list, path))
  return p:close()
end

return report
