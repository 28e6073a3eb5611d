/* call.c -- one Lua function for every op, generated from its signature.
**
** So a new op needs no Lua code.  Public ops are both functions of the module and methods of tensors; hidden
** ones are functions only, for the layers that need them (batch_norm_train) and for tests.
*/
#include "bind/args.h"
#include "exec/emit.h"
#include <string.h>

static int call_op(lua_State *L) {
  const inc_op *op = lua_touserdata(L, lua_upvalueindex(1));
  inc_lua_call c;
  inc_lua_read_call(L, op, &c);
  int n_out = inc_op_outputs(op);
  inc_tensor **box[8], *out[8] = {0};
  for (int k = 0; k < n_out; k++) box[k] = inc_lua_new_box(L);
  int code = inc_emit(op, c.n_in, c.in, c.attr, out);
  if (code == INC_EMEM) { /* what the collector has not yet found may be enough */
    lua_gc(L, LUA_GCCOLLECT);
    code = inc_emit(op, c.n_in, c.in, c.attr, out);
  }
  if (code) return inc_lua_raise(L);
  size_t bytes = 0;
  for (int k = 0; k < n_out; k++) {
    *box[k] = out[k];
    if (!(op->flags & INC_OP_VIEW)) bytes += inc_spec_bytes(&out[k]->spec);
  }
  if (n_out == 0)
    lua_pushvalue(L, 1); /* in place: the tensor itself, so that calls chain */
  else
    inc_lua_account(L, bytes);
  int shown = inc_op_sig(op)->n_shown; /* results for the gradient rule alone come last and stay here */
  lua_pop(L, n_out - shown);
  return n_out ? shown : 1;
}

/* inc.core.ops() -> {{name =, sig =, doc =, hidden =}, ...} for help, tests and the doc check. */
static int list_ops(lua_State *L) {
  lua_createtable(L, inc_op_count(), 0);
  for (int i = 0; i < inc_op_count(); i++) {
    const inc_op *op = inc_op_at(i);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, op->name), lua_setfield(L, -2, "name");
    lua_pushstring(L, op->sig), lua_setfield(L, -2, "sig");
    lua_pushstring(L, op->doc), lua_setfield(L, -2, "doc");
    lua_pushboolean(L, op->flags & INC_OP_HIDDEN), lua_setfield(L, -2, "hidden");
    lua_pushboolean(L, op->grad != NULL), lua_setfield(L, -2, "differentiable");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

void inc_bind_ops(lua_State *L) {
  int module = lua_gettop(L);
  inc_push_methods(L);
  for (int i = 0; i < inc_op_count(); i++) {
    const inc_op *op = inc_op_at(i);
    lua_pushlightuserdata(L, (void *)op);
    lua_pushcclosure(L, call_op, 1);
    if (!(op->flags & INC_OP_HIDDEN)) {
      lua_pushvalue(L, -1);
      lua_setfield(L, -3, op->name);
    }
    lua_setfield(L, module, op->name);
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, list_ops);
  lua_setfield(L, module, "ops");
}
