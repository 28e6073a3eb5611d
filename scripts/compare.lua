-- compare.lua -- `incsh compare SPEC.lua`: optimizers or other settings side by side. SPEC.lua returns the
-- table
-- that compare{...} takes; options of the command line come over what it says. Without --out the folder is
-- runs/NAME-OF-THE-FILE, so that the same command goes on after a kill.
local cli = require 'inc.cli'
local core = require 'inc.core'
local spec = require 'inc.compare.spec'

local function fail(format, ...) error('compare: ' .. format:format(...), 0) end

-- What the file returns.
local function read_spec(path)
  if core.path_kind(path) ~= 'file' then fail('%s: there is no such file', path) end
  local chunk, why = loadfile(path)
  if not chunk then fail('%s', why) end
  local given = chunk()
  if type(given) ~= 'table' or getmetatable(given) then
    fail('%s: expected a table that the file returns, got %s', path,
      given == nil and 'nothing' or type(given) == 'table' and tostring(given) or type(given))
  end
  return given
end

if cli.wants_help('compare', arg) then return end
local alone, options = cli.parse('compare', arg, spec.spec)
if #alone ~= 1 then fail('expected one file that returns a table, got %d', #alone) end
local given = read_spec(alone[1])
for name, v in pairs(options) do given[name] = v end
if options.steps then given.epochs = nil elseif options.epochs then given.steps = nil end
given.out = given.out or 'runs/' .. alone[1]:match '([^/]+)$':gsub('%.lua$', '')
print(inc.compare(given))
