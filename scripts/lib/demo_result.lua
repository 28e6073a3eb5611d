-- demo_result.lua: what scripts/demo says at the end, from the JSON of `evaluate` and the run folder.
--
--     incsh demo_result.lua table FILE          a row a class
--     incsh demo_result.lua verdict FILE RUN    the last line; status 1 unless clearly better than guessing
--     incsh demo_result.lua picture RUN PHOTOS  a held-out picture to classify

local function result(path)
  local f <close> = assert(io.open(path, 'rb'))
  return inc.json.decode(f:read 'a')
end

local commands = {}

function commands.table(path)
  print(('%-24s %8s %8s'):format('class', 'pictures', 'top-1'))
  for _, c in ipairs(result(path).per_class) do
    print(('%-24s %8d %8s'):format(c.class, c.n, c.top1 and ('%.2f'):format(c.top1) or '-'))
  end
end

function commands.verdict(path, run)
  local r, most = result(path), 0
  for _, c in ipairs(r.per_class) do most = math.max(most, c.n / math.max(r.n, 1)) end
  print(('held-out top-1 %.2f (%d of %d), majority class %.2f, run in %s'):format(
    r.top1, math.floor(r.top1 * r.n + 0.5), r.n, most, run))
  -- Clear: above guessing by a fifth of what guessing leaves to gain, and by two standard errors.
  local error_bar = 2 * (most * (1 - most) / math.max(r.n, 1)) ^ 0.5
  os.exit(r.top1 >= most + math.max(0.2 * (1 - most), math.min(error_bar, 0.9 * (1 - most))))
end

function commands.picture(run, photos)
  local program = arg[-1] or 'build/incsh'
  local list = io.popen(("'%s' inspect '%s' --pictures 2>/dev/null"):format(program, run:gsub("'", "'\\''")))
  for line in list:lines() do
    local path = line:match '^val%s+.-%s(/.*)$'
    local f = path and io.open(path)
    if f then
      print(path)
      return
    end
  end
  local found = io.popen(("find -L '%s' -type f ! -name '.*' | LC_ALL=C sort | head -n 1"):format(
    (photos:gsub("'", "'\\''"))))
  print(found:read 'l')
end

commands[arg[1]](table.unpack(arg, 2))
