/* modes.c -- no_grad, seed, precision, threads, layer names, and what is alive.
**
** Thin by design: each function reads its arguments and calls one function of core.  What needs more than that
** (inc.try, the plan object) is Lua. */
#include "base/mem.h"
#include "bind/bind.h"
#include "exec/compute.h"
#include "exec/emit.h"
#include "exec/kernels.h"
#include <string.h>
#include <time.h>

static int after_no_grad(lua_State *L, int status, lua_KContext was) {
  inc_grad_enable(was != 0);
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L);
}

/* no_grad(f, ...): f's results; gradients are on again afterwards even if f raises. */
static int m_no_grad(lua_State *L) {
  if (lua_type(L, 1) != LUA_TFUNCTION)
    return inc_lua_fail(L, "no_grad", INC_EARG, NULL, "expected a function, got %s", luaL_typename(L, 1));
  bool was = inc_grad_enable(false);
  int status = lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, was, after_no_grad);
  return after_no_grad(L, status, was);
}

static int m_grad_enabled(lua_State *L) { return lua_pushboolean(L, inc_grad_enabled()), 1; }

static int m_set_grad(lua_State *L) { return lua_pushboolean(L, inc_grad_enable(lua_toboolean(L, 1))), 1; }

static int m_seed(lua_State *L) {
  if (lua_isnoneornil(L, 1)) return lua_pushinteger(L, (lua_Integer)inc_rng_seed_get()), 1;
  if (!lua_isinteger(L, 1))
    return inc_lua_fail(L, "seed", INC_EARG, NULL, "expected an integer, got %s", luaL_tolstring(L, 1, NULL));
  inc_rng_seed((uint64_t)lua_tointeger(L, 1));
  return 0;
}

static int m_rng(lua_State *L) {
  inc_tensor *t = NULL;
  inc_tensor **box = inc_lua_new_box(L);
  inc_lua_check(L, inc_rng_tensor(&t));
  *box = inc_tensor_ref(t);
  return 1;
}

static int m_rng_use(lua_State *L) {
  inc_rng_use(lua_isnoneornil(L, 1) ? NULL : inc_lua_check_tensor(L, 1, "rng_use", "rng"));
  return 0;
}

/* One dropout stream a call; outside a plan the generator also steps, so that two calls differ. */
static int m_stream(lua_State *L) {
  inc_tensor *t = NULL;
  if (!inc_tracing()) {
    inc_lua_check(L, inc_rng_tensor(&t));
    ((int64_t *)inc_tensor_data(t))[1]++;
    lua_pushinteger(L, 0);
    return 1;
  }
  lua_pushinteger(L, inc_trace_stream());
  return 1;
}

static int m_precision(lua_State *L) {
  if (lua_isnoneornil(L, 1)) return lua_pushstring(L, inc_dtype_name(inc_precision())), 1;
  int d = inc_lua_dtype(L, 1, "precision", NULL);
  if (d != INC_F32 && d != INC_BF16)
    return inc_lua_fail(L, "precision", INC_EARG, NULL, "expected f32 or bf16, got %s", inc_dtype_name(d));
  lua_pushstring(L, inc_dtype_name(inc_precision_set(d)));
  return 1;
}

static int m_force_reference(lua_State *L) {
  return lua_pushboolean(L, inc_force_reference(lua_toboolean(L, 1))), 1;
}

static int m_threads(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) inc_lua_check(L, inc_compute_threads_set((int)luaL_checkinteger(L, 1)));
  return lua_pushinteger(L, inc_compute_threads()), 1;
}

/* Seconds on a clock that only goes forward; its zero means nothing. */
static int m_clock(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec * 1e-9), 1;
}

/* devices() -> {{name = 'cpu', cores =}}: what can compute here. */
static int m_devices(lua_State *L) {
  lua_createtable(L, 1, 0);
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "cpu"), lua_setfield(L, -2, "name");
  lua_pushinteger(L, inc_compute_threads()), lua_setfield(L, -2, "cores");
  lua_rawseti(L, -2, 1);
  return 1;
}

static int m_tracing(lua_State *L) { return lua_pushboolean(L, inc_tracing() != NULL), 1; }
static int m_scope_push(lua_State *L) { return inc_scope_push(luaL_checkstring(L, 1)), 0; }
static int m_scope_pop(lua_State *L) { return (void)L, inc_scope_pop(), 0; }
static int m_scope_reset(lua_State *L) { return (void)L, inc_scope_reset(), 0; }
static int m_scope(lua_State *L) { return lua_pushstring(L, inc_scope()), 1; }

static int m_stats(lua_State *L) {
  inc_live live = inc_tensor_live();
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, live.tensors), lua_setfield(L, -2, "tensors");
  lua_pushinteger(L, live.buffers), lua_setfield(L, -2, "buffers");
  lua_pushinteger(L, live.bytes), lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, live.peak_bytes), lua_setfield(L, -2, "peak_bytes");
  lua_pushinteger(L, inc_kernel_cache_count()), lua_setfield(L, -2, "kernels");
  lua_pushinteger(L, inc_mem_live()), lua_setfield(L, -2, "blocks");
  return 1;
}

static int m_kernel_cache_clear(lua_State *L) { return (void)L, inc_kernel_cache_clear(), 0; }
static int m_fail_allocation(lua_State *L) { return inc_mem_fail_at(luaL_checkinteger(L, 1)), 0; }

/* The last core failure: message, code.  For inc.try. */
static int m_last_error(lua_State *L) {
  lua_pushstring(L, inc_error_last()->text);
  lua_pushstring(L, inc_error_name(inc_error_last()->code));
  return 2;
}

static int m_error_clear(lua_State *L) { return (void)L, inc_error_clear(), 0; }

/* nearest(word, {names}) -> the name meant, or nil. */
static int m_nearest(lua_State *L) {
  const char *names[256];
  int n = 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  for (int i = 1; i <= (int)lua_rawlen(L, 2) && n < 256; i++) {
    lua_rawgeti(L, 2, i);
    if (lua_type(L, -1) == LUA_TSTRING) names[n++] = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table keeps the string alive */
  }
  lua_pushstring(L, inc_nearest(luaL_checkstring(L, 1), names, n));
  return 1;
}

static void where(char *out, size_t n);
static lua_State *main_state;
static void where(char *out, size_t n) { inc_lua_user_line(main_state, out, n); }

void inc_bind_modes(lua_State *L) {
  static const luaL_Reg functions[] = {{"no_grad", m_no_grad},
                                       {"grad_enabled", m_grad_enabled},
                                       {"set_grad_enabled", m_set_grad},
                                       {"seed", m_seed},
                                       {"rng", m_rng},
                                       {"rng_use", m_rng_use},
                                       {"stream", m_stream},
                                       {"precision", m_precision},
                                       {"force_reference", m_force_reference},
                                       {"threads", m_threads},
                                       {"devices", m_devices},
                                       {"clock", m_clock},
                                       {"tracing", m_tracing},
                                       {"scope_push", m_scope_push},
                                       {"scope_pop", m_scope_pop},
                                       {"scope_reset", m_scope_reset},
                                       {"scope", m_scope},
                                       {"stats", m_stats},
                                       {"kernel_cache_clear", m_kernel_cache_clear},
                                       {"fail_allocation", m_fail_allocation},
                                       {"last_error", m_last_error},
                                       {"error_clear", m_error_clear},
                                       {"nearest", m_nearest},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  main_state = L;
  inc_where_hook = where;
}
