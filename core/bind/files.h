/* files.h -- the parts of core.* that deal with files: files.c and paths.c. */
#ifndef INC_BIND_FILES_H
#define INC_BIND_FILES_H

#include <lua.h>

void inc_bind_paths(lua_State *L);

#endif
