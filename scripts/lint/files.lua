-- files.lua: the list of source files that the checks in this folder read.
--
-- git knows it best: tracked files and new ones that are not ignored, so build output never counts.  Goldens
-- are data that happens to be Lua; nobody reads them.

local M = {}

--- Paths that match the Lua pattern, sorted by git.
function M.list(pattern)
  local out, p = {}, assert(io.popen 'git ls-files --cached --others --exclude-standard')
  for path in p:lines() do
    local f = path:find(pattern) and not path:find '^tests/golden/' and io.open(path)
    if f then
      f:close()
      out[#out + 1] = path
    end
  end
  p:close()
  return out
end

--- Lines of a file.
function M.lines(path)
  local out = {}
  for line in io.lines(path) do out[#out + 1] = line end
  return out
end

--- Prints complaints; the status of the check.
function M.finish(complaints)
  for _, c in ipairs(complaints) do print(c) end
  os.exit(#complaints == 0)
end

return M
