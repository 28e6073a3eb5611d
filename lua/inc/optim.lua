--- optim: optimizers and schedules as descriptions.
--
-- `optim.sgd{lr = 0.1}` is a value: it prints as the call that makes it, goes into config.json and comes back
-- (optim.from_table), and serves many nets, runs and seeds. `:bind(net)` makes the thing with state; see
-- optim/bound.lua. Each kind is one description (optim.new, optim/define.lua), the user's own like the
-- built-in ones; schedules are closed forms of the step (inc/schedule.lua).

local optim = require 'inc.optim.define'
local schedule = require 'inc.schedule'

optim.defining = true
require 'inc.optim.momentum'
require 'inc.optim.squares'
require 'inc.optim.adam'
require 'inc.optim.layerwise'
require 'inc.optim.schedule_free'
optim.defining = nil
require 'inc.optim.schedules'
require 'inc.optim.finder'

optim.schedule_from_table = schedule.from_table
optim.ema = require('inc.ema').describe

return optim
