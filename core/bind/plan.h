/* plan.h -- plans as Lua userdata, for the bindings that take one (bind/plan.c). */
#ifndef INC_BIND_PLAN_H
#define INC_BIND_PLAN_H

#include "plan/plan.h"
#include <lua.h>

inc_plan *inc_lua_check_plan(lua_State *L, int idx); /* borrowed; raises if it is not one */

#endif
