/* run.h -- what the bindings of runs share: run.c and score.c. */
#ifndef INC_BIND_RUN_H
#define INC_BIND_RUN_H

#include "data/data.h"
#include <lua.h>

/* Options of a loader from the table at t: part, batch, seed, workers, slots, epoch, index, train, bad_stop,
** transform. */
void inc_lua_read_loader(lua_State *L, int t, inc_images *images, inc_loader_opts *o);
void inc_bind_score(lua_State *L);

#endif
