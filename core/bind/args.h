/* args.h -- one parsed call of an op (args.c). */
#ifndef INC_BIND_ARGS_H
#define INC_BIND_ARGS_H

#include "bind/bind.h"

typedef struct inc_lua_call {
  int n_in, next_attr;
  inc_tensor **in, **list; /* fixed, or a list that the Lua stack owns */
  inc_tensor *fixed[12];
  inc_attr attr[INC_MAX_ATTRS];
  bool given[INC_MAX_ATTRS];
} inc_lua_call;

/* Read the arguments on the stack by op's signature; raises on the first that does not fit. */
void inc_lua_read_call(lua_State *L, const inc_op *op, inc_lua_call *c);
void inc_lua_read_attr(lua_State *L, const inc_op *op, const inc_param *p, int idx, inc_attr *a);

#endif
