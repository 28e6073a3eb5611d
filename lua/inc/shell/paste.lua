-- paste.lua -- pasted text as it should be entered: without prompts, and without what was printed between.
--
-- Text from a session of ours begins lines with `inc> ` and continues an entry with `...> ` (dumb terminals)
-- or bare lines; its first prompt may not have been copied along. Other shells' begins with `> ` or `>>> `
-- and continues with `>> ` or `... `. Where our prompt occurs, only what follows it is code, so output that
-- was copied along is dropped. Text that does not begin with a prompt is left alone: `> 5` may begin a line.
local paste = {}

-- Lines that follow one of our prompts, and their continuations.
local function after_prompts(lines, is_open)
  local kept, entry = {}, nil
  for _, line in ipairs(lines) do
    local code, more = line:match '^inc> ?(.*)$', line:match '^%.%.%.> ?(.*)$'
    if code or more and not entry then entry = code or more
    elseif entry then
      entry = (more or is_open(entry)) and entry .. '\n' .. (more or line) or nil
      if entry then kept[#kept] = nil end
    end
    if entry then kept[#kept + 1] = entry end
  end
  return kept
end

-- How other shells continue what one of their prompts began.
local continues = {['> '] = '^>>? ', ['>>> '] = '^%.%.%. ?'}

local function without_foreign(lines)
  local first = lines[1]:match '^>>> ' or lines[1]:match '^> '
  if not first then return lines end
  for i, line in ipairs(lines) do
    local begins = line:sub(1, #first) == first
    lines[i] = begins and line:sub(#first + 1) or line:gsub(continues[first], '')
  end
  return lines
end

--- The code in a pasted text.
-- @param text as it came; is_open says whether an entry needs more lines
function paste.clean(text, is_open)
  text = text:gsub('\r\n?', '\n'):gsub('\n+$', '')
  local lines, ours = {}, false
  for line in (text .. '\n'):gmatch '(.-)\n' do
    lines[#lines + 1] = line
    ours = ours or line:find '^inc>' ~= nil
  end
  ours = ours or lines[1]:find '^%.%.%.>' ~= nil
  return table.concat(ours and after_prompts(lines, is_open) or without_foreign(lines), '\n')
end

return paste
