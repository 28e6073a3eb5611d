/* index.c -- x[i], x[{...}] and assignment, as views.
**
** x[2] selects along the first dim.  x[{2, {1, 3}, {}}] takes one entry a dim: a number selects, {a, b} keeps
** a to b (both ends), {a} keeps one, {} keeps all.  Counts from 1, negative from the end.  Selecting emits
** the view ops, so gradients flow and plans record it.
*/
#include "bind/bind.h"
#include "exec/emit.h"

static void need(lua_State *L, inc_tensor **box, inc_tensor *next) {
  if (!next) inc_lua_raise(L);
  inc_tensor_unref(*box);
  *box = next;
}

static int64_t from_one(lua_State *L, int64_t v) {
  if (v == 0) inc_lua_fail(L, "index", INC_EARG, NULL, "counts from 1 (or from -1, backwards), got 0");
  return v > 0 ? v - 1 : v;
}

static void select_at(lua_State *L, inc_tensor **box, int dim, int64_t index) {
  inc_attr attr[INC_MAX_ATTRS] = {INC_INT(dim), INC_INT(from_one(L, index))};
  need(L, box, inc_emit1(&inc_op_select, 1, box, attr));
}

static void narrow_to(lua_State *L, inc_tensor **box, int dim, int64_t a, int64_t b) {
  if (dim >= (*box)->spec.ndim)
    inc_lua_fail(L, "index", INC_EARG, NULL, "expected at most one entry a dim, got more");
  int64_t n = (*box)->spec.shape[dim];
  int64_t first = a < 0 ? a + n : from_one(L, a), last = b < 0 ? b + n : b - 1;
  inc_attr attr[INC_MAX_ATTRS] = {INC_INT(dim), INC_INT(first), INC_INT(last - first + 1)};
  need(L, box, inc_emit1(&inc_op_narrow, 1, box, attr));
}

static int entry(lua_State *L, inc_tensor **box, int dim) { /* returns the dim of the next entry */
  if (lua_isinteger(L, -1)) {
    select_at(L, box, dim, lua_tointeger(L, -1));
    return dim;
  }
  int64_t range[2];
  int n = inc_lua_ints(L, lua_gettop(L), "index", "range", range, 2);
  if (n > 0) narrow_to(L, box, dim, range[0], n == 2 ? range[1] : range[0]);
  return dim + 1;
}

/* tensor_index(t, key) -> view */
static int index_by(lua_State *L) {
  inc_tensor *t = inc_lua_check_tensor(L, 1, "index", "self");
  inc_tensor **box = inc_lua_new_box(L);
  *box = inc_tensor_ref(t);
  if (lua_isinteger(L, 2)) {
    select_at(L, box, 0, lua_tointeger(L, 2));
    return 1;
  }
  if (lua_type(L, 2) != LUA_TTABLE)
    return inc_lua_fail(L, "index", INC_EARG, NULL, "expected a number or a table of ranges, got %s",
                        luaL_typename(L, 2));
  int dim = 0, n = (int)lua_rawlen(L, 2);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    dim = entry(L, box, dim);
    lua_pop(L, 1);
  }
  return 1;
}

/* tensor_newindex(t, key, value): copies a tensor or fills with a number. */
static int assign(lua_State *L) {
  lua_pushcfunction(L, index_by);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  inc_tensor *view = inc_lua_to_tensor(L, -1), *value = inc_lua_to_tensor(L, 3);
  if (lua_type(L, 3) == LUA_TNUMBER) {
    inc_attr attr[INC_MAX_ATTRS] = {INC_FLOAT(lua_tonumber(L, 3))};
    inc_lua_check(L, inc_emit(&inc_op_fill_, 1, &view, attr, NULL));
  } else if (value) {
    inc_tensor *in[2] = {view, value};
    inc_lua_check(L, inc_emit(&inc_op_copy_, 2, in, NULL, NULL));
  } else {
    inc_lua_fail(L, "index", INC_EARG, "value", "expected a tensor or a number, got %s", luaL_typename(L, 3));
  }
  return 0;
}

void inc_bind_index(lua_State *L) {
  lua_pushcfunction(L, index_by);
  lua_setfield(L, -2, "tensor_index");
  lua_pushcfunction(L, assign);
  lua_setfield(L, -2, "tensor_newindex");
}
