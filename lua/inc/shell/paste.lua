-- paste.lua -- pasted text as it should be entered: without prompts, and without what was printed between.
--
-- Text from a session of ours begins lines with `inc> ` and continues an entry with `...> ` or bare lines;
-- others begin with `> ` or `>>> ` and continue with `>> ` or `... `. Where our prompt occurs, only what
-- follows it is code, so output that was copied along is dropped.
local paste = {}

-- Lines that follow one of our prompts, and their continuations.
local function after_prompts(lines, is_open)
  local kept, entry = {}, nil
  for _, line in ipairs(lines) do
    local code = line:match '^inc> ?(.*)$'
    if code then entry = code
    elseif entry then
      local more = line:match '^%.%.%.> ?(.*)$'
      entry = (more or is_open(entry)) and entry .. '\n' .. (more or line) or nil
      if entry then kept[#kept] = nil end
    end
    if entry then kept[#kept + 1] = entry end
  end
  return kept
end

-- Of a session whose first prompt was not copied along: what goes before the first prompt is code too.
local function leading_code(lines)
  local first = lines[1] or ''
  return first:find '^%.%.%.> ?' ~= nil
end

local function strip(line)
  return (line:gsub('^%.%.%.> ?', ''):gsub('^>>>? ', ''):gsub('^> ', ''):gsub('^%.%.%. ', ''))
end

--- The code in a pasted text.
-- @param text as it came; is_open says whether an entry needs more lines
function paste.clean(text, is_open)
  text = text:gsub('\r\n?', '\n'):gsub('\n+$', '')
  local lines = {}
  for line in (text .. '\n'):gmatch '(.-)\n' do lines[#lines + 1] = line end
  if ('\n' .. text):find '\ninc> ' and not leading_code(lines) then
    return table.concat(after_prompts(lines, is_open), '\n')
  end
  for i, line in ipairs(lines) do lines[i] = strip(line):gsub('^inc> ', '') end
  return table.concat(lines, '\n')
end

return paste
