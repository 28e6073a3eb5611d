--- A contact sheet of some pictures of a part, with the names of their classes (folder:show).

return function(part, o)
  if #part == 0 then
    print(('no pictures in %s'):format(part.name))
    return
  end
  local list = require 'inc.show.pictures'.all{
    what = {part}, n = o.n, augment = o.augment, seed = o.seed, size = o.augment and o.size or nil,
  }
  require 'inc.show.sheet'.show(list, {file = o.file})
end
