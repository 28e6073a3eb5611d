/* create.c -- tensors from nothing: tensor, zeros, ones, full, rand, randn, arange, eye, and copies.
**
** One table, as everywhere: inc.zeros{2, 3, dtype = 'f64', requires_grad = true}.  Random ones draw from the
** default generator (inc.seed), one counter step a call, so a script gives the same numbers every time;
** inside a plan they are refused, because they would be drawn once and then stay.
*/
#include "base/rng.h"
#include "bind/bind.h"
#include "exec/emit.h"
#include "exec/init.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const keys[] = {"dtype", "requires_grad", "value", "memory_format"};

typedef struct creation {
  inc_spec spec;
  bool requires_grad;
} creation;

static int option_dtype(lua_State *L, const char *fn, int fallback) {
  int dtype = fallback;
  if (lua_getfield(L, 1, "dtype") != LUA_TNIL) dtype = inc_lua_dtype(L, -1, fn, "dtype");
  lua_pop(L, 1);
  return dtype;
}

static bool option_grad(lua_State *L, const char *fn, int dtype) {
  lua_getfield(L, 1, "requires_grad");
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (on && !inc_dtype_is_float(dtype))
    inc_lua_fail(L, fn, INC_EARG, "requires_grad", "expected a float dtype, got %s", inc_dtype_name(dtype));
  return on;
}

/* zeros(2, 3), zeros{2, 3} and zeros{} (0-d) all name a shape. */
static creation read_creation(lua_State *L, const char *fn) {
  if (lua_type(L, 1) == LUA_TNUMBER) {
    int n = lua_gettop(L);
    lua_createtable(L, n, 0);
    for (int i = 1; i <= n; i++) lua_pushvalue(L, i), lua_rawseti(L, -2, i);
    lua_insert(L, 1);
    lua_settop(L, 1);
  }
  if (lua_type(L, 1) != LUA_TTABLE)
    inc_lua_fail(L, fn, INC_EARG, NULL, "expected a table of sizes, got %s", luaL_typename(L, 1));
  inc_lua_known_keys(L, 1, fn, keys, 4);
  int64_t shape[INC_MAX_DIMS];
  int n = inc_lua_ints(L, 1, fn, "sizes", shape, INC_MAX_DIMS);
  for (int d = 0; d < n; d++)
    if (shape[d] < 0 || shape[d] > INT64_C(1) << 40)
      inc_lua_fail(L, fn, INC_EARG, "sizes", "expected sizes of at least 0, got %lld", (long long)shape[d]);
  creation c = {.spec = inc_spec_new(option_dtype(L, fn, INC_F32), n, shape)};
  c.requires_grad = option_grad(L, fn, c.spec.dtype);
  return c;
}

static inc_tensor *new_tensor(lua_State *L, const creation *c) {
  inc_tensor **box = inc_lua_new_box(L);
  int code = inc_tensor_new(&c->spec, box);
  if (code == INC_EMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    code = inc_tensor_new(&c->spec, box);
  }
  inc_lua_check(L, code);
  (*box)->requires_grad = c->requires_grad;
  inc_lua_account(L, inc_spec_bytes(&c->spec));
  return *box;
}

static int fill_with(lua_State *L, const char *fn, double v) {
  creation c = read_creation(L, fn);
  inc_tensor *t = new_tensor(L, &c);
  int64_t n = inc_spec_numel(&c.spec);
  if (v == 0)
    memset(inc_tensor_data(t), 0, inc_spec_bytes(&c.spec));
  else
    for (int64_t i = 0; i < n; i++) inc_store(inc_tensor_data(t), c.spec.dtype, i, v);
  return 1;
}

static int c_zeros(lua_State *L) { return fill_with(L, "zeros", 0); }
static int c_ones(lua_State *L) { return fill_with(L, "ones", 1); }

static int c_full(lua_State *L) {
  if (lua_type(L, 1) != LUA_TTABLE || lua_getfield(L, 1, "value") != LUA_TNUMBER)
    return inc_lua_fail(L, "full", INC_EARG, "value",
                        "expected a number as in inc.full{2, 3, value = 0.5}, got %s",
                        lua_type(L, 1) == LUA_TTABLE ? luaL_typename(L, -1) : luaL_typename(L, 1));
  double v = lua_tonumber(L, -1);
  lua_settop(L, 1);
  return fill_with(L, "full", v);
}

/* -- random ------------------------------------------------------------------------------------------- */

static void next_call(lua_State *L, const char *fn, uint64_t *seed, uint64_t *step) {
  inc_tensor *rng = NULL;
  if (inc_tracing())
    inc_lua_fail(L, fn, INC_ESTATE, NULL,
                 "drawn once while tracing and never again: pass it to the plan as an argument");
  inc_lua_check(L, inc_rng_tensor(&rng));
  int64_t *s = inc_tensor_data(rng);
  *seed = (uint64_t)s[0];
  *step = (uint64_t)s[1]++;
}

static int random_fill(lua_State *L, const char *fn, bool normal) {
  creation c = read_creation(L, fn);
  if (!inc_dtype_is_float(c.spec.dtype))
    return inc_lua_fail(L, fn, INC_EARG, "dtype", "expected a float dtype, got %s",
                        inc_dtype_name(c.spec.dtype));
  uint64_t seed, step;
  next_call(L, fn, &seed, &step);
  inc_tensor *t = new_tensor(L, &c);
  int64_t n = inc_spec_numel(&c.spec);
  void *data = inc_tensor_data(t);
  for (int64_t i = 0; i < n; i += 4) {
    uint32_t w[4];
    float v[4];
    inc_rng_fill(seed, INC_RNG_USER, (uint32_t)step, (uint32_t)(step >> 32), (uint64_t)i, w, 4);
    if (normal)
      inc_rng_normal2(w[0], w[1], v), inc_rng_normal2(w[2], w[3], v + 2);
    else
      for (int k = 0; k < 4; k++) v[k] = inc_rng_unit(w[k]);
    for (int k = 0; k < 4 && i + k < n; k++) inc_store(data, c.spec.dtype, i + k, v[k]);
  }
  return 1;
}

static int c_randn(lua_State *L) { return random_fill(L, "randn", true); }
static int c_rand(lua_State *L) { return random_fill(L, "rand", false); }

/* inc.core.init_normal(t, seed, name, std, truncated) and init_uniform(t, seed, name, bound): exec/init.h. */
static int c_init_normal(lua_State *L) {
  inc_tensor *t = inc_lua_check_tensor(L, 1, "init_normal", "t");
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 2);
  inc_lua_check(
      L, inc_init_normal(t, seed, luaL_checkstring(L, 3), luaL_checknumber(L, 4), lua_toboolean(L, 5)));
  lua_settop(L, 1);
  return 1;
}

static int c_init_uniform(lua_State *L) {
  inc_tensor *t = inc_lua_check_tensor(L, 1, "init_uniform", "t");
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 2);
  inc_lua_check(L, inc_init_uniform(t, seed, luaL_checkstring(L, 3), luaL_checknumber(L, 4)));
  lua_settop(L, 1);
  return 1;
}

/* -- from Lua values ------------------------------------------------------------------------------------ */

static void nested_shape(lua_State *L, int64_t *shape, int *ndim) {
  int base = lua_gettop(L);
  for (*ndim = 0; lua_type(L, -1) == LUA_TTABLE;) {
    if (*ndim == INC_MAX_DIMS)
      inc_lua_fail(L, "tensor", INC_EARG, NULL, "nested deeper than %d", INC_MAX_DIMS);
    luaL_checkstack(L, 2, "tensor");
    shape[*ndim] = (int64_t)lua_rawlen(L, -1);
    if (shape[(*ndim)++] == 0) break;
    lua_rawgeti(L, -1, 1);
  }
  lua_settop(L, base);
}

static void nested_fill(lua_State *L, const inc_tensor *t, int dim, int64_t *at) {
  if (dim == t->spec.ndim) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      inc_lua_fail(L, "tensor", INC_EARG, NULL, "expected numbers, got %s", luaL_typename(L, -1));
    if (t->spec.dtype == INC_I64 && lua_isinteger(L, -1))
      ((int64_t *)inc_tensor_data(t))[(*at)++] = lua_tointeger(L, -1);
    else
      inc_store(inc_tensor_data(t), t->spec.dtype, (*at)++, lua_tonumber(L, -1));
    return;
  }
  if (lua_type(L, -1) != LUA_TTABLE || (int64_t)lua_rawlen(L, -1) != t->spec.shape[dim])
    inc_lua_fail(L, "tensor", INC_EARG, NULL, "rows differ in length: expected %lld at depth %d, got %s %lld",
                 (long long)t->spec.shape[dim], dim + 1, luaL_typename(L, -1),
                 lua_type(L, -1) == LUA_TTABLE ? (long long)lua_rawlen(L, -1) : 0LL);
  luaL_checkstack(L, 2, "tensor");
  for (int64_t i = 1; i <= t->spec.shape[dim]; i++) {
    lua_rawgeti(L, -1, i);
    nested_fill(L, t, dim + 1, at);
    lua_pop(L, 1);
  }
}

/* tensor{1, 2}, tensor{{1, 2}, {3, 4}, dtype = 'i64'}, tensor(3.5). */
static int c_tensor(lua_State *L) {
  creation c = {.spec = inc_spec_new(INC_F32, 0, NULL)};
  int64_t shape[INC_MAX_DIMS], at = 0;
  int ndim = 0;
  if (inc_lua_to_tensor(L, 1))
    return inc_lua_fail(L, "tensor", INC_EARG, NULL, "expected numbers, got a tensor"), 0;
  if (lua_type(L, 1) == LUA_TTABLE) {
    inc_lua_known_keys(L, 1, "tensor", keys, 2);
    lua_settop(L, 1);
    nested_shape(L, shape, &ndim);
    c.spec = inc_spec_new(option_dtype(L, "tensor", INC_F32), ndim, shape);
    c.requires_grad = option_grad(L, "tensor", c.spec.dtype);
  } else if (lua_type(L, 1) != LUA_TNUMBER) {
    return inc_lua_fail(L, "tensor", INC_EARG, NULL, "expected numbers, got %s", luaL_typename(L, 1));
  }
  inc_tensor *t = new_tensor(L, &c);
  lua_pushvalue(L, 1);
  nested_fill(L, t, 0, &at);
  lua_pop(L, 1);
  return 1;
}

/* arange{n}: 1..n.  arange{first, last, step}: both ends count, as in a Lua for. */
static int c_arange(lua_State *L) {
  double v[3] = {1, 0, 1};
  if (lua_type(L, 1) != LUA_TTABLE)
    return inc_lua_fail(L, "arange", INC_EARG, NULL, "expected {last} or {first, last, step}, got %s",
                        luaL_typename(L, 1));
  inc_lua_known_keys(L, 1, "arange", keys, 2);
  int n = (int)lua_rawlen(L, 1);
  for (int i = 0; i < n && i < 3; i++) {
    lua_rawgeti(L, 1, i + 1);
    v[n == 1 ? 1 : i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  if (n < 1 || n > 3 || v[2] == 0)
    return inc_lua_fail(L, "arange", INC_EARG, NULL,
                        "expected {last} or {first, last, step} with a step that is not 0");
  double count = floor((v[1] - v[0]) / v[2] + 1e-9) + 1;
  if (!(count < 1e12)) return inc_lua_fail(L, "arange", INC_EARG, NULL, "expected fewer than 1e12 elements");
  int64_t shape[1] = {count > 0 ? (int64_t)count : 0};
  creation c = {.spec = inc_spec_new(option_dtype(L, "arange", INC_F32), 1, shape)};
  c.requires_grad = option_grad(L, "arange", c.spec.dtype);
  inc_tensor *t = new_tensor(L, &c);
  for (int64_t i = 0; i < shape[0]; i++)
    inc_store(inc_tensor_data(t), c.spec.dtype, i, v[0] + (double)i * v[2]);
  return 1;
}

static int c_eye(lua_State *L) {
  int64_t n = luaL_checkinteger(L, 1);
  if (n < 0 || n > 100000)
    return inc_lua_fail(L, "eye", INC_EARG, "n", "expected 0 to 100000, got %lld", (long long)n);
  creation c = {.spec = inc_spec_new(INC_F32, 2, (int64_t[]){n, n})};
  inc_tensor *t = new_tensor(L, &c);
  memset(inc_tensor_data(t), 0, inc_spec_bytes(&c.spec));
  for (int64_t i = 0; i < n; i++) ((float *)inc_tensor_data(t))[i * n + i] = 1;
  return 1;
}

static int c_is_tensor(lua_State *L) { return lua_pushboolean(L, inc_lua_to_tensor(L, 1) != NULL), 1; }

void inc_bind_create(lua_State *L) {
  static const luaL_Reg functions[] = {{"tensor", c_tensor},
                                       {"zeros", c_zeros},
                                       {"ones", c_ones},
                                       {"full", c_full},
                                       {"randn", c_randn},
                                       {"rand", c_rand},
                                       {"arange", c_arange},
                                       {"eye", c_eye},
                                       {"init_normal", c_init_normal},
                                       {"init_uniform", c_init_uniform},
                                       {"is_tensor", c_is_tensor},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
