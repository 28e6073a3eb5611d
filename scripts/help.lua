-- help.lua -- `incsh help [NAME]`: the same text as help(name) at the prompt.
local text, why = inc.help.text(arg[1])
if not text then error(why, 0) end
print(text)
