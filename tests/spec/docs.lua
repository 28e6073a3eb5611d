-- The examples in the documentation, run as they stand.
--
-- A line that starts with "> " in an op's text or in a Lua doc comment is an example; "--> value" behind it
-- is what it gives.  Lines of one comment share their names.  A comment that speaks of things it does not
-- make (a net, a run, a folder of pictures) cannot run; it must still be Lua.

-- Words that stand for something the reader has.
local absent = {'net', 'opt', 'run', 'x', 'y', 'flowers', 'step', 'data', 'plan', 'self', 'ema', 'picture', 'c'}

-- Files and folders that the reader has.
local absent_files = {"'runs/", "'photos", "%.jpg'", "%.safetensors'", "%.lua'", "%.html'"}

local function mentions_absent(code)
  for _, pattern in ipairs(absent_files) do
    if code:find(pattern) then return pattern end
  end
  local bare = code:gsub("'[^']*'", "''"):gsub('[%w_]+%s*=', '=')
  for _, word in ipairs(absent) do
    if bare:find('%f[%w_.]' .. word .. '%f[^%w_]') then return word end
  end
end

-- Blocks of consecutive example lines: {where = 'file:line', lines = {...}}.
local function blocks_of(path)
  local blocks, block, n = {}, nil, 0
  for line in io.lines(path) do
    n = n + 1
    local code = line:match '^%s*%-%-%-?%s*> (.*)$'
    if code then
      block = block or {where = ('%s:%d'):format(path, n), lines = {}}
      block.lines[#block.lines + 1] = code
    elseif block then
      blocks[#blocks + 1], block = block, nil
    end
  end
  return blocks
end

local function op_blocks()
  local blocks = {}
  for _, op in ipairs(inc.core.ops()) do
    local block = {where = 'op ' .. op.name, lines = {}}
    for code in (op.doc or ''):gmatch '\n> ([^\n]*)' do block.lines[#block.lines + 1] = code end
    if #block.lines > 0 then blocks[#blocks + 1] = block end
  end
  return blocks
end

local function equal(got, expected, env)
  if tostring(got) == expected then return true end
  local f = load('return ' .. expected, '=expected', 't', env)
  local ok, value = pcall(f or error)
  if not ok then return false end
  if type(got) == 'userdata' and got.tolist then got = got:tolist() end
  return (pcall(check.close, got, value, 1e-4)) or (pcall(check.equal, got, value))
end

-- Lines are joined until they make a whole statement, as the prompt does.
local function run_block(block)
  local env = setmetatable({}, {__index = _G})
  local pending = ''
  for _, line in ipairs(block.lines) do
    local code, expected = line:match '^(.-)%s+%-%->%s*(.*)$'
    pending = pending .. (code or line) .. '\n'
    local f, why = load('return ' .. pending, '=example', 't', env)
    if not f then f, why = load(pending, '=example', 't', env) end
    if f then
      if not mentions_absent(table.concat(block.lines, '\n')) then
        local got = f()
        if expected and not equal(got, expected, env) then
          error(('%s gives %s, the text says %s'):format(pending:gsub('\n$', ''), tostring(got), expected), 0)
        end
      end
      pending = ''
    elseif not why:find '<eof>' then
      error(why, 0)
    end
  end
  check.equal(pending, '', 'left over')
end

local function add(block)
  test(block.where, function() run_block(block) end)
end

for _, block in ipairs(op_blocks()) do add(block) end
local list = io.popen "find lua models -name '*.lua' | LC_ALL=C sort"
for path in list:lines() do
  for _, block in ipairs(blocks_of(path)) do add(block) end
end
list:close()

test('every op that is not hidden has an example', function()
  local without = {}
  for _, op in ipairs(inc.core.ops()) do
    if not op.hidden and not (op.doc or ''):find '\n> ' then without[#without + 1] = op.name end
  end
  check.equal(without, {})
end)
