/* run.h -- what the bindings of runs share: run.c, run_opts.c and score.c. */
#ifndef INC_BIND_RUN_H
#define INC_BIND_RUN_H

#include "data/data.h"
#include "run/parts.h"
#include <lua.h>

/* Options of a loader from the table at t: part, batch, seed, workers, slots, epoch, index, train, bad_stop,
** transform. */
void inc_lua_read_loader(lua_State *L, int t, inc_images *images, inc_loader_opts *o);

#define FEED_MT "inc.run.feed"

/* -- run_opts.c: from the table at t ---------------------------------------------------------------------- */
void inc_lua_read_run(lua_State *L, int t,
                      inc_run_opts *o); /* all but the parts; leaves values on the stack */
void inc_lua_read_parts(lua_State *L, int t, inc_parts_opts *p);
inc_plateau inc_lua_read_plateau(lua_State *L, int t);
/* Pushes a list field (an empty one when absent); returns its length. */
int inc_lua_list_field(lua_State *L, int t, const char *name);

void inc_bind_score(lua_State *L);

#endif
