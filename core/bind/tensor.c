/* tensor.c -- the tensor box: metatable, fields, and the methods that are not ops.
**
** A box is one pointer; it is made empty and filled last (bind.h).  Lua's collector cannot see what a box
** holds, so every result reports its bytes and a full collection follows when they add up.
*/
#include "bind/bind.h"
#include "exec/emit.h"
#include "exec/tape.h"
#include <string.h>

static const char methods_key = 0;

void inc_push_methods(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
}

inc_tensor **inc_lua_new_box(lua_State *L) {
  inc_tensor **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, INC_TENSOR_MT);
  return box;
}

void inc_lua_push_tensor(lua_State *L, inc_tensor *t) { *inc_lua_new_box(L) = t; }

inc_tensor *inc_lua_to_tensor(lua_State *L, int idx) {
  inc_tensor **box = luaL_testudata(L, idx, INC_TENSOR_MT);
  return box ? *box : NULL;
}

inc_tensor *inc_lua_check_tensor(lua_State *L, int idx, const char *op, const char *arg) {
  inc_tensor *t = inc_lua_to_tensor(L, idx);
  if (!t) inc_lua_fail(L, op, INC_EARG, arg, "expected a tensor, got %s", luaL_typename(L, idx));
  return t;
}

inc_tensor *inc_lua_tensor_or_number(lua_State *L, int idx) {
  inc_tensor *t = inc_lua_to_tensor(L, idx);
  if (t || lua_type(L, idx) != LUA_TNUMBER) return t;
  inc_tensor **box = inc_lua_new_box(L);
  inc_lua_check(L, inc_tensor_scalar(INC_F64, lua_tonumber(L, idx), box));
  (*box)->is_number = true;
  return *box;
}

/* A collection when as much has been handed out since the last one as is alive, and 64 MiB at least. */
void inc_lua_account(lua_State *L, size_t bytes) {
  static int64_t since, limit = 64 << 20;
  since += (int64_t)bytes;
  if (since < limit) return;
  since = 0;
  lua_gc(L, LUA_GCCOLLECT);
  int64_t live = inc_tensor_live().bytes;
  limit = live > (64 << 20) ? live : 64 << 20;
}

static inc_tensor *self(lua_State *L, const char *method) {
  return inc_lua_check_tensor(L, 1, method, "self");
}

static inc_tensor *readable(lua_State *L, const char *method) {
  inc_tensor *t = self(L, method);
  if (!t->buf)
    inc_lua_fail(L, method, INC_ESTATE, "self", "no value while tracing: only shapes and dtypes are known");
  return t;
}

/* -- what a tensor is ---------------------------------------------------------------------------------- */

static int push_list(lua_State *L, const int64_t *v, int n) {
  lua_createtable(L, n, 0);
  for (int d = 0; d < n; d++) {
    lua_pushinteger(L, v[d]);
    lua_rawseti(L, -2, d + 1);
  }
  return 1;
}

static int t_shape(lua_State *L) {
  inc_tensor *t = self(L, "shape");
  return push_list(L, t->spec.shape, t->spec.ndim);
}

static int t_stride(lua_State *L) {
  inc_tensor *t = self(L, "stride");
  return push_list(L, t->spec.strides, t->spec.ndim);
}

static int t_size(lua_State *L) {
  inc_tensor *t = self(L, "size");
  if (lua_isnoneornil(L, 2)) return push_list(L, t->spec.shape, t->spec.ndim);
  int64_t d = luaL_checkinteger(L, 2), n = t->spec.ndim;
  int64_t k = d > 0 ? d - 1 : d + n;
  if (d == 0 || k < 0 || k >= n)
    return inc_lua_fail(L, "size", INC_EARG, "dim", "expected 1 to %d (or -%d to -1), got %lld", (int)n,
                        (int)n, (long long)d);
  lua_pushinteger(L, t->spec.shape[k]);
  return 1;
}

static int t_dim(lua_State *L) { return lua_pushinteger(L, self(L, "dim")->spec.ndim), 1; }
static int t_numel(lua_State *L) { return lua_pushinteger(L, inc_spec_numel(&self(L, "numel")->spec)), 1; }
static int t_dtype(lua_State *L) {
  return lua_pushstring(L, inc_dtype_name(self(L, "dtype")->spec.dtype)), 1;
}
static int t_device(lua_State *L) { return self(L, "device"), lua_pushliteral(L, "cpu"), 1; }
static int t_is_contiguous(lua_State *L) {
  return lua_pushboolean(L, inc_spec_is_contiguous(&self(L, "is_contiguous")->spec)), 1;
}
static int t_is_channels_last(lua_State *L) {
  return lua_pushboolean(L, inc_spec_is_channels_last(&self(L, "is_channels_last")->spec)), 1;
}

/* A number that tells whether two tensors share memory. */
static int t_buffer_id(lua_State *L) {
  inc_tensor *t = self(L, "buffer_id");
  return lua_pushinteger(L, (lua_Integer)(intptr_t)t->buf), 1;
}

static int t_version(lua_State *L) {
  inc_tensor *t = self(L, "version");
  return lua_pushinteger(L, t->buf ? t->buf->version : 0), 1;
}

/* -- values -------------------------------------------------------------------------------------------- */

static void push_element(lua_State *L, const inc_tensor *t, int64_t at) {
  if (t->spec.dtype == INC_I64)
    lua_pushinteger(L, ((const int64_t *)inc_tensor_data(t))[at]);
  else if (t->spec.dtype == INC_U8 || t->spec.dtype == INC_I32)
    lua_pushinteger(L, (lua_Integer)inc_load(inc_tensor_data(t), t->spec.dtype, at));
  else
    lua_pushnumber(L, inc_load(inc_tensor_data(t), t->spec.dtype, at));
}

static int t_item(lua_State *L) {
  inc_tensor *t = readable(L, "item");
  char shape[96];
  if (inc_spec_numel(&t->spec) != 1)
    return inc_lua_fail(L, "item", INC_EARG, "self", "expected one element, got shape %s",
                        inc_shape_text(t->spec.ndim, t->spec.shape, shape, sizeof shape));
  push_element(L, t, 0);
  return 1;
}

static void push_nested(lua_State *L, const inc_tensor *t, int dim, int64_t at) {
  if (dim == t->spec.ndim) {
    push_element(L, t, at);
    return;
  }
  luaL_checkstack(L, 4, "tolist");
  int64_t n = t->spec.shape[dim];
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    push_nested(L, t, dim + 1, at + i * t->spec.strides[dim]);
    lua_rawseti(L, -2, i + 1);
  }
}

static int t_tolist(lua_State *L) {
  push_nested(L, readable(L, "tolist"), 0, 0);
  return 1;
}

/* -- gradients ----------------------------------------------------------------------------------------- */

static int t_requires_grad(lua_State *L) {
  inc_tensor *t = self(L, "requires_grad_");
  bool on = lua_isnone(L, 2) || lua_toboolean(L, 2);
  if (on && !inc_dtype_is_float(t->spec.dtype))
    return inc_lua_fail(L, "requires_grad_", INC_EARG, "self", "expected a float tensor, got %s",
                        inc_dtype_name(t->spec.dtype));
  if (t->gnode)
    return inc_lua_fail(L, "requires_grad_", INC_EARG, "self",
                        "a result of other tensors: only leaves can be set"),
           0;
  t->requires_grad = on;
  lua_settop(L, 1);
  return 1;
}

static int t_backward(lua_State *L) {
  inc_tensor *t = self(L, "backward");
  inc_tensor *seed = lua_isnoneornil(L, 2) ? NULL : inc_lua_check_tensor(L, 2, "backward", "gradient");
  inc_lua_check(L, inc_backward(t, seed));
  return 0;
}

static int t_detach(lua_State *L) {
  inc_tensor *t = self(L, "detach");
  inc_tensor **box = inc_lua_new_box(L);
  inc_lua_check(L, t->buf ? inc_tensor_over(t->buf, t->offset, &t->spec, box)
                          : inc_tensor_symbol(&t->spec, t->trace, t->value, box));
  return 1;
}

static int get_grad(lua_State *L, inc_tensor *t) {
  if (!t->grad) return 0;
  inc_tensor **box = inc_lua_new_box(L);
  *box = inc_tensor_ref(t->grad);
  return 1;
}

static int set_grad(lua_State *L, inc_tensor *t) {
  inc_tensor *g = lua_isnil(L, 3) ? NULL : inc_lua_check_tensor(L, 3, "grad", "value");
  inc_tensor_ref(g);
  inc_tensor_unref(t->grad);
  t->grad = g;
  return 0;
}

/* -- indexing by name or number ------------------------------------------------------------------------ */

/* upvalues: 1 methods, 2 index function for numbers and tables (index.c) */
static int t_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *key = lua_tostring(L, 2);
  inc_tensor *t = self(L, "index");
  if (!strcmp(key, "grad")) return get_grad(L, t);
  if (!strcmp(key, "requires_grad")) return lua_pushboolean(L, t->requires_grad), 1;
  if (!strcmp(key, "is_leaf")) return lua_pushboolean(L, t->gnode == NULL), 1;
  return 0;
}

static int t_newindex(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 3, 0);
    return 0;
  }
  inc_tensor *t = self(L, "newindex");
  if (!strcmp(lua_tostring(L, 2), "grad")) return set_grad(L, t);
  return inc_lua_fail(L, "tensor", INC_EARG, lua_tostring(L, 2),
                      "expected grad, the one field that can be set");
}

static int t_gc(lua_State *L) {
  inc_tensor **box = lua_touserdata(L, 1);
  inc_tensor_unref(*box);
  *box = NULL;
  return 0;
}

static int t_len(lua_State *L) {
  inc_tensor *t = self(L, "len");
  if (t->spec.ndim == 0) return inc_lua_fail(L, "#", INC_EARG, "self", "a 0-d tensor has no length");
  return lua_pushinteger(L, t->spec.shape[0]), 1;
}

/* The text of a tensor is laid out in Lua (inc/show.lua); a bare one serves until that is loaded. */
static int t_tostring(lua_State *L) {
  inc_tensor *t = self(L, "tostring");
  char shape[96];
  if (lua_getfield(L, LUA_REGISTRYINDEX, "inc.show") == LUA_TFUNCTION && t->buf) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
  }
  lua_pushfstring(L, "tensor %s %s%s", inc_shape_text(t->spec.ndim, t->spec.shape, shape, sizeof shape),
                  inc_dtype_name(t->spec.dtype), t->buf ? "" : " (tracing: no value)");
  return 1;
}

static const luaL_Reg methods[] = {{"shape", t_shape},
                                   {"size", t_size},
                                   {"stride", t_stride},
                                   {"dim", t_dim},
                                   {"numel", t_numel},
                                   {"dtype", t_dtype},
                                   {"device", t_device},
                                   {"is_contiguous", t_is_contiguous},
                                   {"item", t_item},
                                   {"is_channels_last", t_is_channels_last},
                                   {"tolist", t_tolist},
                                   {"requires_grad_", t_requires_grad},
                                   {"backward", t_backward},
                                   {"detach", t_detach},
                                   {"version", t_version},
                                   {"buffer_id", t_buffer_id},
                                   {NULL, NULL}};

/* Lua's operators are the ops of these names.  Comparisons are not among them: Lua would turn the tensor into
** one boolean. */
static const char *const operators[][2] = {{"__add", "add"}, {"__sub", "sub"}, {"__mul", "mul"},
                                           {"__div", "div"}, {"__pow", "pow"}, {"__unm", "neg"}};

/* Lua passes a unary operator its operand twice. */
static int unary_operator(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static void set_operators(lua_State *L, int module, int mt) {
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    lua_getfield(L, module, operators[i][1]);
    if (!strcmp(operators[i][0], "__unm")) lua_pushcclosure(L, unary_operator, 1);
    lua_setfield(L, mt, operators[i][0]);
  }
}

/* Expects the module on top, with ops and index functions in it. */
void inc_bind_tensor(lua_State *L) {
  int module = lua_gettop(L);
  luaL_newmetatable(L, INC_TENSOR_MT);
  int mt = lua_gettop(L);
  set_operators(L, module, mt);
  inc_push_methods(L);
  luaL_setfuncs(L, methods, 0);
  lua_getfield(L, module, "tensor_index");
  lua_pushcclosure(L, t_index, 2);
  lua_setfield(L, mt, "__index");
  lua_getfield(L, module, "tensor_newindex");
  lua_pushcclosure(L, t_newindex, 1);
  lua_setfield(L, mt, "__newindex");
  lua_pushcfunction(L, t_gc), lua_setfield(L, mt, "__gc");
  lua_pushcfunction(L, t_gc), lua_setfield(L, mt, "__close");
  lua_pushcfunction(L, t_len), lua_setfield(L, mt, "__len");
  lua_pushcfunction(L, t_tostring), lua_setfield(L, mt, "__tostring");
  inc_push_methods(L);
  lua_setfield(L, mt, "__complete");
  lua_settop(L, module);
}
