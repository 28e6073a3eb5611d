/* plan.c -- tracing and compiled plans for Lua.  The key, the re-tracing and the callable object are in
** lua/inc/plan.lua; here is one compiled plan. */
#include "plan/plan.h"
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/plan.h"
#include "cpu/choice.h"
#include "exec/emit.h"
#include <string.h>

#define PLAN_MT  "inc.plan"
#define ARENA_MT "inc.plan.arena"

inc_plan *inc_lua_check_plan(lua_State *L, int idx) {
  inc_plan **box = luaL_checkudata(L, idx, PLAN_MT);
  if (!*box) inc_lua_fail(L, "plan", INC_ESTATE, NULL, "this plan was closed");
  return *box;
}

/* -- tracing ------------------------------------------------------------------------------------------- */

static inc_spec read_spec(lua_State *L, int idx) {
  int64_t shape[INC_MAX_DIMS];
  lua_getfield(L, idx, "dtype");
  int dtype = inc_lua_dtype(L, -1, "plan", "dtype");
  lua_getfield(L, idx, "shape");
  int n = inc_lua_ints(L, -1, "plan", "shape", shape, INC_MAX_DIMS);
  lua_getfield(L, idx, "channels_last");
  inc_spec s = inc_spec_new(dtype, n, shape);
  if (lua_toboolean(L, -1) && n == 4) inc_spec_channels_last(&s);
  lua_pop(L, 3);
  return s;
}

static uint32_t read_off(lua_State *L, int idx) {
  static const struct {
    const char *name;
    uint32_t bit;
  } names[] = {
      {"simplify", INC_PASS_SIMPLIFY}, {"fuse", INC_PASS_FUSE},           {"layout", INC_PASS_LAYOUT},
      {"alias", INC_PASS_ALIAS},       {"recompute", INC_PASS_RECOMPUTE}, {"arena", INC_PASS_ARENA},
      {"hoist", INC_PASS_HOIST},       {"tile", INC_PASS_TILE},           {"uncast", INC_PASS_UNCAST},
      {"densify", INC_PASS_DENSIFY},   {"siblings", INC_PASS_SIBLINGS},   {"gather", INC_PASS_GATHER}};
  uint32_t off = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (lua_getfield(L, idx, names[i].name) == LUA_TBOOLEAN && !lua_toboolean(L, -1)) off |= names[i].bit;
    lua_pop(L, 1);
  }
  return off;
}

static bool option(lua_State *L, int idx, const char *name) {
  lua_getfield(L, idx, name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

/* Arguments of the traced function: one symbol a spec. */
static int push_symbols(lua_State *L, int specs) {
  int n = (int)lua_rawlen(L, specs);
  luaL_checkstack(L, n + 8, "plan");
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, specs, i);
    inc_spec s = read_spec(L, lua_gettop(L));
    lua_pop(L, 1);
    inc_tensor **box = inc_lua_new_box(L);
    if (inc_trace_input(&s, box)) return -1;
  }
  return n;
}

static int declare_outputs(lua_State *L, int from, int to) {
  for (int i = from; i <= to; i++) {
    inc_tensor *t = inc_lua_to_tensor(L, i);
    if (!t)
      return inc_fail(INC_EARG, NULL, "expected the planned function to return tensors, got %s as result %d",
                      luaL_typename(L, i), i - from + 1);
    int code = inc_trace_output(t);
    if (code) return code;
  }
  return INC_OK;
}

/* One recording of the function at 1 with the specs at 2 into g; an error of core as a code, one of Lua as
** *status with its value on the stack. */
static int record(lua_State *L, inc_graph *g, int *status) {
  int code = inc_trace_begin(g);
  if (code) return code;
  bool grad = inc_grad_enabled();
  int base = lua_gettop(L);
  lua_pushvalue(L, 1);
  int n = push_symbols(L, 2);
  if (n < 0)
    code = inc_error_last()->code;
  else
    *status = lua_pcall(L, n, LUA_MULTRET, 0);
  inc_grad_enable(grad);
  if (!code && *status == LUA_OK) code = declare_outputs(L, base + 1, lua_gettop(L));
  inc_trace_end();
  if (*status == LUA_OK) lua_settop(L, base);
  return code;
}

/* The function is called a second time, and what it does must be the same (graph_same.c). */
static int record_again(lua_State *L, const inc_graph *g, int *status) {
  inc_graph *second = NULL;
  INC_TRY(inc_graph_new(&second));
  int code = record(L, second, status);
  if (!code && *status == LUA_OK && (code = inc_graph_compare(g, second))) inc_error_op("plan");
  inc_graph_free(second);
  return code;
}

typedef struct listener {
  lua_State *L;
  int f; /* index of the function */
} listener;

static void told(void *to, int done, int all) {
  const listener *l = to;
  lua_pushvalue(l->L, l->f);
  lua_pushinteger(l->L, done);
  lua_pushinteger(l->L, all);
  if (lua_pcall(l->L, 2, 0, 0) != LUA_OK) lua_pop(l->L, 1); /* words on the way must not end the planning */
}

/* plan_trace(f, specs, opts) -> compiled plan.  opts: fuse = false and so on; reference, exact, dumps = true;
** told: a function that hears how many of how many nodes are ready, while kernels are measured. */
static int trace(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  if (!lua_istable(L, 3)) lua_newtable(L), lua_replace(L, 3);
  inc_plan_opts opts = {.off = read_off(L, 3),
                        .reference = option(L, 3, "reference"),
                        .exact = option(L, 3, "exact"),
                        .dumps = option(L, 3, "dumps")};
  listener to = {L, 4};
  if (lua_getfield(L, 3, "told") == LUA_TFUNCTION) opts.told = told, opts.listener = &to;
  inc_plan **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, PLAN_MT);
  inc_graph *g = NULL;
  inc_lua_check(L, inc_graph_new(&g));
  int base = lua_gettop(L), status = LUA_OK;
  int code = record(L, g, &status);
  if (!code && status == LUA_OK) code = record_again(L, g, &status);
  if (code || status != LUA_OK) {
    inc_graph_free(g);
    return code ? inc_lua_raise(L) : lua_error(L);
  }
  lua_settop(L, base);
  inc_lua_check(L, inc_plan_compile(g, &opts, box));
  lua_settop(L, base);
  return 1;
}

/* -- methods ------------------------------------------------------------------------------------------- */

static int p_run(lua_State *L) {
  inc_plan *p = inc_lua_check_plan(L, 1);
  int n = inc_plan_inputs(p), n_out = inc_plan_outputs(p);
  inc_tensor *in[16], *out[16] = {0}, **box[16];
  if (n > 16 || n_out > 16)
    return inc_lua_fail(L, "plan", INC_EARG, NULL, "expected at most 16 tensors in and 16 out, got %d and %d",
                        n, n_out);
  if (lua_gettop(L) - 1 != n)
    return inc_lua_fail(L, "plan", INC_EARG, NULL, "expected %d tensors, got %d arguments", n,
                        lua_gettop(L) - 1);
  for (int i = 0; i < n; i++) in[i] = inc_lua_check_tensor(L, i + 2, "plan", "argument");
  luaL_checkstack(L, n_out, "plan");
  for (int k = 0; k < n_out; k++) box[k] = inc_lua_new_box(L);
  if (inc_plan_run(p, in, out)) return inc_lua_raise(L);
  for (int k = 0; k < n_out; k++) *box[k] = out[k];
  return n_out;
}

static int push_text(lua_State *L, int code, char *const *text) {
  if (code) return inc_lua_raise(L);
  lua_pushstring(L, *text);
  inc_free(*text);
  return 1;
}

static int p_explain(lua_State *L) {
  char *text = NULL;
  return push_text(L, inc_plan_explain(inc_lua_check_plan(L, 1), &text), &text);
}

static int p_dump(lua_State *L) {
  char *text = NULL;
  return push_text(L, inc_plan_dump(inc_lua_check_plan(L, 1), luaL_checkstring(L, 2), &text), &text);
}

static int p_choices(lua_State *L) {
  char *text = NULL;
  return push_text(L, inc_plan_choices(inc_lua_check_plan(L, 1), &text), &text);
}

/* core.kernels_import(text): the choices of p:choices() hold for plans made from now on. */
static int kernels_import(lua_State *L) {
  inc_lua_check(L, inc_choice_import(luaL_checkstring(L, 1)));
  return 0;
}

/* core.kernels_note() -> what went wrong with the cache of kernel choices since the last call, or "" */
static int kernels_note(lua_State *L) { return lua_pushstring(L, inc_choice_note()), 1; }

/* core.kernels_forget(): as if no choice had been made yet in this process; for tests. */
static int kernels_forget(lua_State *L) {
  (void)L;
  inc_choice_forget();
  return 0;
}

static int p_profile(lua_State *L) {
  return inc_plan_profile(inc_lua_check_plan(L, 1), lua_toboolean(L, 2)), 0;
}

static int p_memory(lua_State *L) {
  inc_plan_memory m;
  inc_plan_memory_get(inc_lua_check_plan(L, 1), &m);
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, (lua_Integer)m.arena), lua_setfield(L, -2, "arena");
  lua_pushinteger(L, (lua_Integer)m.workspace), lua_setfield(L, -2, "workspace");
  lua_pushinteger(L, (lua_Integer)m.kept), lua_setfield(L, -2, "kept");
  lua_pushinteger(L, (lua_Integer)m.captured), lua_setfield(L, -2, "captured");
  lua_pushinteger(L, (lua_Integer)m.without_reuse), lua_setfield(L, -2, "without_reuse");
  lua_pushinteger(L, (lua_Integer)(m.arena + m.captured)), lua_setfield(L, -2, "total");
  lua_pushinteger(L, m.kernels), lua_setfield(L, -2, "kernels");
  lua_pushinteger(L, m.references), lua_setfield(L, -2, "references");
  return 1;
}

static int arena_gc(lua_State *L) {
  inc_arena **box = luaL_checkudata(L, 1, ARENA_MT);
  inc_arena_unref(*box);
  *box = NULL;
  return 0;
}

/* core.plan_arena() -> memory that plans may use by turns */
static int plan_arena(lua_State *L) {
  inc_arena **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, ARENA_MT);
  inc_lua_check(L, inc_arena_new(box));
  return 1;
}

/* plan:share(arena): before its first run; the caller sees to it that plans of one arena take turns */
static int p_share(lua_State *L) {
  inc_arena **box = luaL_checkudata(L, 2, ARENA_MT);
  inc_lua_check(L, inc_plan_share(inc_lua_check_plan(L, 1), *box));
  return 0;
}

static int p_gc(lua_State *L) {
  inc_plan **box = lua_touserdata(L, 1);
  inc_plan_unref(*box);
  *box = NULL;
  return 0;
}

void inc_bind_plan(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"run", p_run},         {"explain", p_explain}, {"dump", p_dump},   {"choices", p_choices},
      {"profile", p_profile}, {"memory", p_memory},   {"share", p_share}, {NULL, NULL}};
  lua_pushcfunction(L, trace);
  lua_setfield(L, -2, "plan_trace");
  lua_pushcfunction(L, plan_arena);
  lua_setfield(L, -2, "plan_arena");
  luaL_newmetatable(L, ARENA_MT);
  lua_pushcfunction(L, arena_gc), lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, kernels_import), lua_setfield(L, -2, "kernels_import");
  lua_pushcfunction(L, kernels_note), lua_setfield(L, -2, "kernels_note");
  lua_pushcfunction(L, kernels_forget), lua_setfield(L, -2, "kernels_forget");
  luaL_newmetatable(L, PLAN_MT);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, p_gc), lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, p_gc), lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}
