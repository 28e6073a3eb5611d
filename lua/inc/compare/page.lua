local page = {}
function page.of() return '' end
return page
