--- Command lines of the verbs: `--name value`, `--name=value`, `--flag`, `--`, and what stands alone.
--
-- The names are those of the Lua call (args.spec), with - for _, so a verb's options are described once.
-- Words become numbers, true or false as the call's types say; whether they make sense is the call's own
-- check.

local core = require 'inc.core'
local args = require 'inc.args'

local cli = {}

local function is_type(param, name) return param.type == args.types[name] end

local function fail(verb, format, ...) error(verb .. ': ' .. format:format(...), 0) end

-- A word as the value that the parameter wants; words that do not fit are an error here, by their own name.
local function convert(verb, param, flag, word)
  if is_type(param, 'int') or is_type(param, 'number') then
    local n = tonumber(word)
    if n == nil then fail(verb, '%s: expected a number, got %s', flag, word) end
    return math.tointeger(n) or n
  elseif is_type(param, 'bool') then
    if word == 'true' or word == 'false' then return word == 'true' end
    fail(verb, '%s: expected true or false, got %s', flag, word)
  elseif is_type(param, 'any') and tonumber(word) then
    return math.tointeger(tonumber(word)) or tonumber(word)
  end
  return word
end

local function flag_names(spec, extra)
  local names = {}
  for _, param in ipairs(spec.params) do
    if not param.positional then names[#names + 1] = '--' .. param.name:gsub('_', '-') end
  end
  for name in pairs(extra) do names[#names + 1] = '--' .. name end
  table.sort(names)
  return names
end

local function find(verb, spec, extra, flag)
  local name = flag:sub(3):gsub('-', '_')
  local param = spec.by_name[name]
  if param and not param.positional or extra[name] then return name, param end
  fail(verb, '%s: unknown option%s', flag, args.hint(flag, flag_names(spec, extra)))
end

local function expand(word)
  local home = os.getenv 'HOME'
  return home and (word:gsub('^~%f[/\0]', (home:gsub('%%', '%%%%')))) or word
end

--- Read a command line.
-- @param verb for messages
-- @param words the arguments
-- @param spec the call's args.spec
-- @param extra names of flags that are the command line's own, such as {json = true}: true when given
-- @return words that stand alone, options by name
function cli.parse(verb, words, spec, extra)
  local alone, options, i = {}, {}, 1
  args.on_command_line = true
  extra = extra or {}
  while i <= #words do
    local word = words[i]
    local flag, value = word:match '^(%-%-[^=]+)=(.*)$'
    flag = flag or word
    if word == '--' then
      table.move(words, i + 1, #words, #alone + 1, alone)
      break
    elseif flag:sub(1, 2) ~= '--' then
      alone[#alone + 1] = expand(word)
    else
      local name, param = find(verb, spec, extra, flag)
      local following = words[i + 1]
      local truth = following == 'true' or following == 'false'
      if not param or is_type(param, 'bool') and not value and not truth then
        options[name] = true
      else
        if not value then i, value = i + 1, following end
        if value == nil then fail(verb, '%s: expected a value after it', flag) end
        options[name] = convert(verb, param, flag, expand(value))
      end
    end
    i = i + 1
  end
  return alone, options
end

--- Print one JSON object on stdout, where nothing else is then.
function cli.print_json(value)
  local done = io.stdout:write(require('inc.json').encode(value), '\n')
  if not done then error('stdout: cannot be written', 0) end
end

--- Print the help of a verb when it is asked for; true if it was.
function cli.wants_help(verb, words)
  for _, word in ipairs(words) do
    if word == '--' then return false end
    if word == '--help' or word == '-h' then
      print(require('inc.help').text(verb))
      return true
    end
  end
  return false
end

--- A path as errors and notes should call it: relative to where the command was typed, when it lies below.
function cli.short(path)
  local here = core.path_full '.' .. '/'
  return path:sub(1, #here) == here and path:sub(#here + 1) or path
end

return cli
