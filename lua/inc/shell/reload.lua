-- reload.lua -- a module of the user's own, read again without leaving the session.
--
-- The table that the module had returned is kept and filled anew, so that everyone who holds it sees the new
-- functions; a module that fails to load leaves the old one as it was. Modules of incsh itself are refused:
-- half of them hold state of running work.
local args = require 'inc.args'

local function known_modules()
  local list = {}
  for name in next, package.loaded do
    local file = type(name) == 'string' and not name:find '^inc' and package.searchpath(name, package.path)
    if file then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function is_plain(v) return type(v) == 'table' and v ~= _G end

local function refill(old, new)
  for key in next, old do old[key] = nil end
  for key, value in next, new do rawset(old, key, value) end
  return setmetatable(old, debug.getmetatable(new))
end

--- Read a module of your own again after changing its file: `require` gives the new one, and whoever holds
-- the table that it returned sees the new functions. What was copied out of it (`local f = m.f`) stays old.
-- @name reload
-- > reload 'mylayers'
-- @param name the name that require knows: 'mylayers' for mylayers.lua
-- @return what require returns; an error in the file leaves the old module in place
local function reload(name)
  if type(name) ~= 'string' then args.fail('reload: expected a module, got %s', args.show(name)) end
  if name == 'inc' or name:find '^inc%.' then args.fail('reload: %s: part of incsh itself', name) end
  if not package.searchpath(name, package.path) then
    args.fail('reload: %s: no such module%s', name, args.hint(name, known_modules()))
  end
  local old = package.loaded[name]
  package.loaded[name] = nil
  local _ <close> = args.finally(function(_, err)
    if err ~= nil then package.loaded[name] = old end
  end)
  local new = require(name)
  if is_plain(old) and is_plain(new) then new = refill(old, new) end
  package.loaded[name] = new
  return new
end

return reload
