-- shell.lua -- what stands behind a prompt: evaluate, complete, say whether an entry is finished, explain.
--
-- None of it reads or prints, so that a notebook kernel can use it as it is; the prompt's own input and
-- output are in core/shell and in inc/shell/prompt.lua. The parts:
--   inc/shell/eval.lua      sessions: `local` that lasts, `_`, muting, records of failures
--   inc/shell/complete.lua  what may stand at the cursor; never runs the user's code
--   inc/shell/errors.lua    message, hint, the user's own line, full trace
--   inc/shell/timing.lua    time and timeit
local eval = require 'inc.shell.eval'

local shell = {}

--- A new session: an object with the methods below.
-- session:eval(text)         {ok, values, mute, error, chunk}
-- session:is_complete(text)  'complete', 'incomplete' and an indentation, or 'invalid'
-- session:complete(line, at) a list of words, where they begin, and the kind
-- > require 'inc.shell'.new():eval('1 + 1').values[1]  --> 2
function shell.new(name)
  return eval.new(name)
end

return shell
