/* batches.c -- loaders for Lua.
**
** A box "inc.loader" ends its threads when it is closed or collected.  A batch is copied out of the ring
** into a tensor of its own: one copy of a few megabytes, and no tensor at the prompt can hold the ring up.
*/
#include "bind/bind.h"
#include "bind/data.h"
#include <string.h>

#define LOADER_MT "inc.loader"

static int loader_close(lua_State *L) {
  inc_loader **box = luaL_checkudata(L, 1, LOADER_MT);
  inc_loader_free(*box);
  *box = NULL;
  return 0;
}

/* core.loader(images, {part = , train = , batch = , seed = , workers = , epoch = , index = , epochs = ,
**                      bad = 'skip' or 'stop', and a transform's}): epoch and index count from 1 */
static int loader_new(lua_State *L) {
  static const char op[] = "batches";
  inc_loader_opts o = {.images = inc_lua_check_images(L, 1)};
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_getfield(L, 2, "part");
  o.part = inc_lua_part(L, -1, op);
  o.train = inc_lua_opt_bool(L, 2, "train", o.part == INC_PART_TRAIN);
  o.batch = (int)inc_lua_opt_int(L, 2, op, "batch", 32);
  o.seed = (uint64_t)inc_lua_opt_int(L, 2, op, "seed", 1);
  o.workers = (int)inc_lua_opt_int(L, 2, op, "workers", 0);
  o.epoch = inc_lua_opt_int(L, 2, op, "epoch", 1) - 1;
  o.index = inc_lua_opt_int(L, 2, op, "index", 1) - 1;
  o.epochs = inc_lua_opt_int(L, 2, op, "epochs", 0);
  lua_getfield(L, 2, "bad");
  o.bad_stop = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "stop") == 0;
  inc_lua_read_transform(L, 2, &o.transform);
  inc_loader **box = inc_lua_data_box(L, sizeof *box, LOADER_MT);
  int code = inc_loader_new(&o, box);
  if (code != INC_OK) inc_error_op(op);
  inc_lua_check(L, code);
  return 1;
}

static void copy_batch(lua_State *L, const inc_batch *b, int size) {
  int64_t n = b->n, shape[4] = {n, 3, size, size};
  inc_spec x = inc_spec_new(INC_U8, 4, shape), y = inc_spec_new(INC_I64, 1, &n);
  inc_spec_channels_last(&x);
  inc_tensor **xb = inc_lua_new_box(L), **yb = inc_lua_new_box(L), **pb = inc_lua_new_box(L);
  inc_lua_check(L, inc_tensor_new(&x, xb));
  inc_lua_check(L, inc_tensor_new(&y, yb));
  inc_lua_check(L, inc_tensor_new(&y, pb));
  memcpy(inc_tensor_data(*xb), b->pixels, (size_t)inc_spec_numel(&x));
  memcpy(inc_tensor_data(*yb), b->label, (size_t)n * sizeof *b->label);
  int64_t *picture = inc_tensor_data(*pb);
  for (int64_t i = 0; i < n; i++) picture[i] = b->picture[i] + 1;
}

/* The copy may raise (out of memory), and the slot must go back whatever happens. */
static int copy_protected(lua_State *L) {
  const inc_batch *b = lua_touserdata(L, 1);
  int size = (int)lua_tointeger(L, 2);
  copy_batch(L, b, size);
  return 3;
}

/* loader:next() -> pixels u8 [N, 3, S, S], labels i64 [N], numbers of the pictures [N]; nothing at the end */
static int loader_next(lua_State *L) {
  inc_loader *l = inc_lua_data_check(L, 1, LOADER_MT, "batches", "a loader");
  inc_batch b;
  inc_lua_check(L, inc_loader_next(l, &b));
  if (b.n == 0) return 0;
  lua_settop(L, 1);
  lua_pushcfunction(L, copy_protected);
  lua_pushlightuserdata(L, &b);
  lua_pushinteger(L, inc_loader_size(l));
  int status = lua_pcall(L, 2, 3, 0);
  inc_loader_release(l, &b);
  if (status != LUA_OK) return lua_error(L);
  inc_lua_account(L, (size_t)b.n * (size_t)inc_loader_size(l) * (size_t)inc_loader_size(l) * 3);
  return 3;
}

/* loader:bad() -> list of {picture = , why = } met so far */
static int loader_bad(lua_State *L) {
  const inc_loader *l = inc_lua_data_check(L, 1, LOADER_MT, "bad", "a loader");
  const inc_bad_picture *bad;
  int64_t n = inc_loader_bad(l, &bad);
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, bad[i].picture + 1), lua_setfield(L, -2, "picture");
    lua_pushstring(L, bad[i].why), lua_setfield(L, -2, "why");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* loader:stats() -> seconds by stage, and counts */
static int loader_stats(lua_State *L) {
  inc_loader_stats s;
  inc_loader_stats_get(inc_lua_data_check(L, 1, LOADER_MT, "stats", "a loader"), &s);
  const struct {
    const char *name;
    int64_t ns;
  } times[] = {{"read", s.read},     {"decode", s.decode}, {"resize", s.resize},
               {"colour", s.colour}, {"full", s.full},     {"wait", s.wait}};
  lua_createtable(L, 0, 9);
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    lua_pushnumber(L, (double)times[i].ns * 1e-9), lua_setfield(L, -2, times[i].name);
  lua_pushinteger(L, s.pictures), lua_setfield(L, -2, "pictures");
  lua_pushinteger(L, s.bytes), lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, s.batches), lua_setfield(L, -2, "batches");
  return 1;
}

static int loader_batches(lua_State *L) {
  return lua_pushinteger(L, inc_loader_batches(inc_lua_data_check(L, 1, LOADER_MT, "batches", "a loader"))),
         1;
}

void inc_bind_batches(lua_State *L) {
  static const luaL_Reg loaders[] = {{"next", loader_next},       {"bad", loader_bad},
                                     {"stats", loader_stats},     {"close", loader_close},
                                     {"batches", loader_batches}, {NULL, NULL}};
  inc_lua_data_mt(L, LOADER_MT, loader_close, loaders);
  lua_pushcfunction(L, loader_new);
  lua_setfield(L, -2, "loader");
}
