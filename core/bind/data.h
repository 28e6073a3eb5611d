/* data.h -- picture lists and transforms from Lua (data.c), for the bindings that take them. */
#ifndef INC_BIND_DATA_H
#define INC_BIND_DATA_H

#include "data/data.h"
#include <lauxlib.h>

inc_images *inc_lua_check_images(lua_State *L, int idx); /* borrowed; raises if it is not one */

/* The table at idx (or nothing there) into t; raises for what does not fit.  Keys, all optional: augment
** (eval, light, inception, none), size, crop (fraction kept), short_side (instead of crop), filter
** (bilinear, nearest, bicubic, area), antialias, flip, colour, area {low, high}, aspect {low, high},
** crops, crop_index (from 1). */
void inc_lua_read_transform(lua_State *L, int idx, inc_transform *t);

/* -- shared by data.c, batches.c and picture.c -------------------------------------------------- */
void *inc_lua_data_box(lua_State *L, size_t n, const char *mt); /* pushes a cleared box */
void *inc_lua_data_check(lua_State *L, int idx, const char *mt, const char *op, const char *expected);
int64_t inc_lua_opt_int(lua_State *L, int idx, const char *op, const char *key, int64_t standard);
bool inc_lua_opt_bool(lua_State *L, int idx, const char *key, bool standard);
int inc_lua_part(lua_State *L, int idx, const char *op); /* INC_PART_*, or -1 for "all" */
/* A metatable that calls `gc` when its value is collected or closed; methods may be NULL. */
void inc_lua_data_mt(lua_State *L, const char *mt, lua_CFunction gc, const luaL_Reg *methods);
void inc_bind_batches(lua_State *L);
void inc_bind_picture(lua_State *L);

#endif
