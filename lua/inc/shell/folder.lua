-- folder.lua -- .incshrc: a start-up file of a folder, run only after the user has allowed it.
--
-- A file that a folder brings along is someone else's code, so it runs only when its very content was
-- allowed: what is remembered is a hash of path and content, and a changed file asks again. A question at
-- start was rejected (a yes given without looking protects nobody): the prompt says that there is a file, and
-- allow_folder() shows it, runs it, and remembers.
local host = require 'inc.host'

local folder = {}

local NAME = '.incshrc'

local function state_file()
  local xdg, home = os.getenv 'XDG_STATE_HOME', os.getenv 'HOME'
  if xdg and xdg:find '^/' then return xdg .. '/incsh/allowed' end
  if home and home:find '^/' then return home .. '/.local/state/incsh/allowed' end
end

local function read(path)
  local file <close> = io.open(path, 'rb')
  return file and file:read 'a'
end

local function key_of(path, text) return host.sha256(path .. '\0' .. text) end

local function is_allowed(key)
  local list = state_file() and read(state_file()) or ''
  return ('\n' .. list):find('\n' .. key .. ' ', 1, true) ~= nil
end

local function remember(key, path)
  local place = state_file()
  if not place then return end
  host.make_folders(place)
  local file = assert(io.open(place, 'a'))
  file:write(key, ' ', (path:gsub('\n', '?')), '\n')
  file:close()
end

-- Path and text of the file of the folder that the shell stands in, or nil.
local function found()
  local path = host.real_path(NAME)
  local text = path and read(path)
  return text and path, text
end

--- (for the prompt) The chunk to run at start, or nil and a sentence to print (nil when there is no file).
function folder.at_start()
  local path, text = found()
  if not path then return nil end
  if is_allowed(key_of(path, text)) then return load(text, '@' .. path, 't') end
  return nil, path .. ' is not run: allow_folder() shows it, runs it, and from then on it runs at start'
end

--- Allow the .incshrc of the folder that the shell was started in: prints it, runs it, and remembers its
-- content. From then on it runs when a shell starts there, until it changes.
-- @name allow_folder
-- > allow_folder()
function folder.allow()
  local path, text = found()
  if not path then require 'inc.args'.fail('allow_folder: expected a file %s in this folder', NAME) end
  local chunk, why = load(text, '@' .. path, 't')
  if not chunk then error(why, 0) end
  print((text:gsub('\n$', '')))
  remember(key_of(path, text), path)
  chunk()
end

return folder
