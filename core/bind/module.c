/* module.c -- luaopen_inc: the C part of the library as one table, `require 'inc.core'`. */
#include "bind/bind.h"
#include "exec/compute.h"
#include "exec/emit.h"

int luaopen_inc(lua_State *L);

__attribute__((visibility("default"))) int luaopen_inc(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, (void *)luaopen_inc); /* opened before */
  if (lua_istable(L, -1)) return 1;
  lua_pop(L, 1);
  inc_tensor *rng;
  inc_rng_tensor(&rng);       /* now, so that counts of what is alive do not jump later */
  inc_compute_threads_here(); /* kernels prepared on this thread are for as many cores as will run them */
  lua_newtable(L);
  inc_bind_ops(L);
  inc_bind_index(L);
  inc_bind_tensor(L);
  inc_bind_create(L);
  inc_bind_modes(L);
  inc_bind_files(L);
  inc_bind_plan(L);
  inc_bind_data(L);
  inc_bind_run(L);
  inc_push_methods(L);
  lua_setfield(L, -2, "methods");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, (void *)luaopen_inc);
  return 1;
}
