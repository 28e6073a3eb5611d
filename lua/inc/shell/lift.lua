-- lift.lua -- `local` at the top level of an entry, turned into assignments to session variables.
--
-- Works on tokens, not by patterns, so that `local` inside strings, comments, blocks and functions stays what
-- it is. Positions and line numbers are kept: what is taken out leaves blanks.
local lexer = require 'inc.shell.lexer'

-- Names that a `local` statement at token i declares: list of name tokens, attribute (or nil), index after.
local function declared(tokens, i)
  local names, close = {}, nil
  local at = i + 1
  repeat
    names[#names + 1] = tokens[at]
    at = at + 1
    if tokens[at] and tokens[at][2] == '<' then
      close = close or tokens[at + 1][2] == 'close'
      names[#names].attribute = {tokens[at][3], tokens[at + 2][4]}
      at = at + 3
    end
    local comma = tokens[at] and tokens[at][2] == ','
    if comma then at = at + 1 end
  until not comma
  return names, close, at
end

-- Blank out text[from..to], keeping its newlines.
local function blank(text, from, to)
  return text:sub(1, from - 1) .. text:sub(from, to):gsub('[^\n]', ' ') .. text:sub(to + 1)
end

-- The entry without `local` at its top level, and the names so declared. `text` compiles, so its tokens make
-- sense. A declaration without a value becomes an assignment of nil; edits go from the back so that positions
-- hold.
local function lift(text)
  local tokens, depth, edits, names, closes = lexer.tokens(text), 0, {}, {}, nil
  for i, token in ipairs(tokens) do
    if depth == 0 and token[2] == 'local' and token[1] == 'keyword' then
      if tokens[i + 1][2] == 'function' then
        names[#names + 1] = tokens[i + 2][2]
        edits[#edits + 1] = {token[3], token[4]}
      else
        local found, close, after = declared(tokens, i)
        if close then closes = found[1][2]
        else
          edits[#edits + 1] = {token[3], token[4]}
          for _, each in ipairs(found) do
            names[#names + 1] = each[2]
            if each.attribute then edits[#edits + 1] = each.attribute end
          end
          local assigned = tokens[after] and tokens[after][2] == '='
          local last = found[#found]
          local stop = last.attribute and last.attribute[2] or last[4]
          if not assigned then edits[#edits + 1] = {stop + 1, insert = ' = nil '} end
        end
      end
    end
    depth = depth + lexer.nesting(token)
  end
  for i = #edits, 1, -1 do
    local edit = edits[i]
    if edit.insert then text = text:sub(1, edit[1] - 1) .. edit.insert .. text:sub(edit[1])
    else text = blank(text, edit[1], edit[2]) end
  end
  return text, names, closes
end


return lift
