/* data.h -- picture lists and transforms from Lua, for the bindings that take them (data.c). */
#ifndef INC_BIND_DATA_H
#define INC_BIND_DATA_H

#include "data/data.h"
#include <lua.h>

inc_images *inc_lua_check_images(lua_State *L, int idx); /* borrowed; raises if it is not one */

/* The table at idx (or nothing there) into t; raises for what does not fit.  Keys, all optional: augment
*(eval,
** light, inception, none), size, crop (fraction kept), short_side (instead of crop), filter (bilinear,
*nearest,
** bicubic, area), antialias, flip, colour, area {low, high}, aspect {low, high}, crops, crop_index (from 1).
 */
void inc_lua_read_transform(lua_State *L, int idx, inc_transform *t);

#endif
