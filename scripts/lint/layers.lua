-- layers.lua: fails on an #include that points up the layers of core/, or out of them.
--
--   base < ops < exec < plan < run < bind < shell;  data stands on base and kernels, cpu on base, ops and
--   exec, kernels/cpu on base.  Headers right in core/ (the graph, the backend table) may be read by all.
--   lua.h belongs to bind and shell: a core that knew Lua could not be used, or tested, without it.
--
-- The table below is the design; a new edge is a decision, not a detail.

package.path = 'scripts/lint/?.lua;' .. package.path
local files = require 'files'

local below = {
  base = {},
  data = {'base', 'kernels'},
  core = {'base', 'ops', 'exec'},
  ops = {'base'},
  exec = {'base', 'ops'},
  cpu = {'base', 'ops', 'exec', 'kernels'},
  plan = {'base', 'ops', 'exec'},
  run = {'base', 'ops', 'exec', 'plan', 'data'},
  bind = {'base', 'ops', 'exec', 'plan', 'run', 'data', 'cpu'},
  shell = {'base', 'ops', 'exec', 'plan', 'run', 'data', 'cpu', 'bind'},
  kernels = {'base'},
}

local function layer_of(path)
  if path:find '^kernels/' then return 'kernels' end
  return path:match '^core/([%w_]+)/' or path:match '^(core)/'
end

local function allowed(from, to)
  if from == to then return true end
  for _, l in ipairs(below[from] or {}) do
    if l == to then return true end
  end
  return false
end

local complaints = {}
local function complain(path, line, fmt, ...)
  complaints[#complaints + 1] = ('%s:%d: '):format(path, line) .. fmt:format(...)
end

-- "base/err.h" lies in core/, "kernels/cpu/x.h" in the root, "op.h" beside the file.
local function target_layer(path, name)
  if name:find '^kernels/' then return 'kernels' end
  local head = name:match '^([%w_]+)/'
  if head then return head end
  local beside = io.open(path:gsub('[^/]*$', '') .. name)
  if beside then
    beside:close()
    return layer_of(path)
  end
  return nil -- right in core/: public
end

for _, path in ipairs(files.list '^[ck][oe]r[en].*%.[ch]$') do
  local from = layer_of(path)
  if from and not below[from] then complain(path, 1, 'core/%s is no layer that this check knows', from) end
  for n, line in ipairs(files.lines(path)) do
    local name = line:match '^%s*#%s*include%s*"([^"]+)"'
    local to = name and from and target_layer(path, name)
    if to and not allowed(from, to) then complain(path, n, '%s may not include %s (%s)', from, to, name) end
    local lua = line:match '^%s*#%s*include%s*[<"](l[ua][ua][%w]*%.h)[>"]'
    if lua and from ~= 'bind' and from ~= 'shell' then
      complain(path, n, 'only bind and shell include %s', lua)
    end
  end
end
files.finish(complaints)
