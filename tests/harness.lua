-- harness.lua: what the specs see (test, check, skip, and a few helpers) and how they are run.
--
-- A failure is a Lua error: the first one ends its test, the message carries the line in the spec.  Each
-- test gets its own place for files (`tmp()`), removed afterwards.  Helpers are globals of the specs only,
-- set here and named in .luacheckrc; a spec needs no require.

local M = {}
local specs = {}      -- tests of the spec being loaded, in order
local cleanup = {}    -- folders of the running test
local skip_mark = {}  -- what skip() throws

-- == values in messages =======================================================

local function show(v, depth)
  if type(v) == 'string' then return (('%q'):format(v):gsub('\\\n', '\\n')) end
  if type(v) ~= 'table' or (depth or 0) > 3 then return tostring(v) end
  local keys, parts = {}, {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, k in ipairs(keys) do
    local item = show(v[k], (depth or 0) + 1)
    parts[#parts + 1] = math.type(k) == 'integer' and item or ('%s = %s'):format(k, item)
    if #parts == 24 then
      parts[25] = '...'
      break
    end
  end
  return '{' .. table.concat(parts, ', ') .. '}'
end

--- A tensor as nested Lua tables; anything else as it is.
local function plain(v)
  if type(v) == 'userdata' and v.tolist then return v:tolist() end
  return v
end

local function fail(level, fmt, ...)
  error(fmt:format(...), level + 1)
end

-- == check ====================================================================

local check = {}

local function same(a, b)
  if a == b then return true end
  if type(a) ~= 'table' or type(b) ~= 'table' then return a ~= a and b ~= b end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

--- Equal values; tables and tensors by content.
function check.equal(got, expected, what)
  local a, b = plain(got), plain(expected)
  if not same(a, b) then fail(2, '%sexpected %s, got %s', what and what .. ': ' or '', show(b), show(a)) end
end

--- True, or the reason `what`.
function check.ok(v, what)
  if not v then fail(2, '%s', what or ('expected a true value, got ' .. tostring(v))) end
  return v
end

local function flatten(v, out)
  for _, x in ipairs(type(v) == 'table' and v or {v}) do
    if type(x) == 'table' then flatten(x, out) else out[#out + 1] = x end
  end
  return out
end

--- Numbers, tables or tensors of numbers: every |a - b| <= tol * max(1, |b|).
function check.close(got, expected, tol, what)
  local a, b = flatten(plain(got), {}), flatten(plain(expected), {})
  tol, what = tol or 1e-6, what and what .. ': ' or ''
  if #a ~= #b then fail(2, '%sexpected %d numbers, got %d', what, #b, #a) end
  for i = 1, #b do
    local near = math.abs(a[i] - b[i]) <= tol * math.max(1, math.abs(b[i])) -- false for a NaN on either side
    if not near and a[i] ~= b[i] and not (a[i] ~= a[i] and b[i] ~= b[i]) then
      fail(2, '%snumber %d: expected %.9g within %.3g, got %.9g', what, i, b[i], tol, a[i])
    end
  end
end

--- Relative L2 distance of two tensors (or tables of numbers) at most `tol`; returns the distance.
function check.rel_l2(got, expected, tol, what)
  local a, b, num, den = flatten(plain(got), {}), flatten(plain(expected), {}), 0, 0
  if #a ~= #b then fail(2, '%s: expected %d numbers, got %d', what or 'rel_l2', #b, #a) end
  for i = 1, #b do num, den = num + (a[i] - b[i]) ^ 2, den + b[i] ^ 2 end
  local d = den > 0 and (num / den) ^ 0.5 or num ^ 0.5
  local near = d <= tol
  if not near then
    fail(2, '%s: relative L2 distance %.3g, expected at most %.3g', what or 'rel_l2', d, tol)
  end
  return d
end

--- f must raise `text` exactly (position in front and hint behind left out); a text that starts with
--- "~" is a Lua pattern looked for in the whole message.  Returns the message.
function check.raises(f, text, ...)
  local ok, err = pcall(f, ...)
  if ok then fail(2, 'expected the error %q, but nothing was raised', text) end
  local whole = tostring(err)
  if text:sub(1, 1) == '~' then
    if not whole:find(text:sub(2)) then fail(2, 'expected an error like %q, got %q', text:sub(2), whole) end
    return whole
  end
  local bare = whole:gsub('^[^\n]-:%d+: ', ''):gsub('\nhint: .*$', '')
  if bare ~= text and whole ~= text then fail(2, 'expected the error %q, got %q', text, whole) end
  return whole
end

--- Text that contains `part` as it stands.
function check.contains(text, part)
  if not tostring(text):find(part, 1, true) then fail(2, 'expected %q in %q', part, tostring(text)) end
end

-- == helpers ==================================================================

local function skip(why)
  error(setmetatable({why = why}, skip_mark), 0)
end

local function quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

--- A new empty folder, removed after the test.
local function tmp()
  local p = io.popen 'mktemp -d "${TMPDIR:-/tmp}/incsh-test-XXXXXX"'
  local dir = p:read 'l'
  p:close()
  cleanup[#cleanup + 1] = dir
  return dir
end

--- Runs a shell command: {out, err, status}.  With a table each item is one word, quoted.
local function sh(command)
  if type(command) == 'table' then
    local words = {}
    for i, w in ipairs(command) do words[i] = quote(w) end
    command = table.concat(words, ' ')
  end
  local dir = tmp()
  local _, how, status = os.execute(('{ %s\n} >%s/out 2>%s/err </dev/null'):format(command, dir, dir))
  local function slurp(name)
    local f <close> = assert(io.open(dir .. '/' .. name, 'rb'))
    return f:read 'a'
  end
  return {out = slurp 'out', err = slurp 'err', status = how == 'signal' and 128 + status or status}
end

--- Path of a file or folder in $INC_SHARED (default ../shared, beside the checkout), or skips the test.
local function shared(path)
  local full = (os.getenv 'INC_SHARED' or '../shared') .. '/' .. path
  local f = io.open(full, 'rb')
  if not f then skip(full .. ' is not here') end
  f:close()
  return full
end

local function write_file(path, bytes)
  local f <close> = assert(io.open(path, 'wb'))
  assert(f:write(bytes))
end

local function read_file(path)
  local f <close> = assert(io.open(path, 'rb'))
  return f:read 'a'
end

-- What runs these tests, as a word for sh; and the program beside it that makes pictures.
local incsh = quote(arg and arg[-1] or 'build/incsh')

--- (classes, each, side): a new folder of `classes` classes with `each` JPEG pictures, `side` pixels high.
--- (kind, path): one odd picture at `path` (tests/c/make_pictures.c).
local function make_pictures(classes, each, side)
  local maker = (arg[-1] or 'build/incsh'):gsub('[^/]*$', 'tests/c/make_pictures')
  if type(classes) == 'string' then
    check.equal(sh {maker, classes, each}.status, 0, 'make_pictures ' .. classes)
    return each
  end
  local dir = tmp() .. '/pictures'
  check.equal(sh {maker, 'set', dir, classes, each, side}.status, 0, 'make_pictures set')
  return dir
end

local test = setmetatable({}, {__call = function(_, name, f) specs[#specs + 1] = {name = name, run = f} end})
--- A test that --fast leaves out: seconds, not milliseconds.
function test.slow(name, f) specs[#specs + 1] = {name = name, run = f, slow = true} end

-- == running ==================================================================

-- These names and no others are added for the specs.
local helpers = {test = test, check = check, skip = skip, tmp = tmp, sh = sh, shared = shared, quote = quote,
                 write_file = write_file, read_file = read_file, incsh = incsh, make_pictures = make_pictures}

local function remove_tmp()
  for i = #cleanup, 1, -1 do
    os.execute('rm -rf ' .. quote(cleanup[i]))
    cleanup[i] = nil
  end
end

local function live()
  local stats = inc and inc.stats and inc.stats()
  return stats and {tensors = stats.tensors, buffers = stats.buffers}
end

local function collect()
  for _ = 1, 3 do collectgarbage() end
end

-- Traceback cut below the test itself: the lines that matter are those of the spec and of our own Lua.
local function handler(err)
  if getmetatable(err) == skip_mark then return err end
  return {text = tostring(err), trace = debug.traceback('', 2):gsub('\n[^\n]*xpcall.*$', '')}
end

local function run_one(spec, t, count)
  local ok, err = xpcall(t.run, handler)
  remove_tmp()
  if ok then
    count.passed = count.passed + 1
  elseif getmetatable(err) == skip_mark then
    count.skipped = count.skipped + 1
    print(('skipped %s: %s: %s'):format(spec, t.name, err.why))
  else
    count.failed = count.failed + 1
    print(('FAILED %s: %s\n  %s%s'):format(spec, t.name, err.text, (err.trace:gsub('\n', '\n  '))))
  end
end

local function wanted(words, spec, name)
  for _, w in ipairs(words) do
    if spec:find(w, 1, true) or name:find(w, 1, true) then return true end
  end
  return #words == 0
end

local function check_leaks(spec, before, count)
  collect()
  local after = live()
  if before and after and (after.tensors ~= before.tensors or after.buffers ~= before.buffers) then
    count.failed = count.failed + 1
    print(('FAILED %s: leaves %d tensors and %d buffers alive that were not there before'):format(
      spec, (after.tensors or 0) - (before.tensors or 0), (after.buffers or 0) - (before.buffers or 0)))
  end
end

local function run_spec(folder, spec, options, count)
  specs = {}
  local env = setmetatable({}, {__index = _G, __newindex = _G})
  for k, v in pairs(helpers) do rawset(env, k, v) end
  local chunk, why = loadfile(('%s/%s.lua'):format(folder, spec), 't', env)
  local ok = chunk and true
  if chunk then ok, why = pcall(chunk) end
  if not ok then
    count.failed = count.failed + 1
    print(('FAILED %s: does not load: %s'):format(spec, why))
    return
  end
  collect()
  if inc and inc.seed then inc.seed() end -- makes the generator's own tensor, which stays
  local before, mine = live(), specs
  for _, t in ipairs(mine) do
    if wanted(options.words, spec, t.name) and not (t.slow and options.fast) then
      if options.list then print(spec .. ': ' .. t.name) else run_one(spec, t, count) end
      io.stdout:flush()
    end
  end
  check_leaks(spec, before, count)
end

--- Runs every spec of `folder`; true when nothing failed.
function M.main(folder, options)
  if inc and inc.core then inc.core.rng() end -- made at first use and then kept
  local list = io.popen('LC_ALL=C ls ' .. quote(folder))
  local count = {passed = 0, failed = 0, skipped = 0}
  for file in list:lines() do
    local spec = file:match '^(.*)%.lua$'
    if spec then run_spec(folder, spec, options, count) end
  end
  list:close()
  local tail = count.skipped > 0 and (', %d skipped'):format(count.skipped) or ''
  print(('%d passed, %d failed%s'):format(count.passed, count.failed, tail))
  return count.failed == 0
end

return M
