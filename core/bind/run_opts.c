/* run_opts.c -- the tables that describe a run for core.run_start and core.run_then (run.c), read into C.
**
** Strings and lists stay alive because they are in the caller's tables, or in userdata that is left on the
** stack. */
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/data.h"
#include "bind/plan.h"
#include "bind/run.h"
#include <math.h>
#include <string.h>

/* -- fields -------------------------------------------------------------------------------------------- */

static int64_t int_field(lua_State *L, int t, const char *name, int64_t otherwise) {
  int ok = 1;
  int64_t v = otherwise;
  if (lua_getfield(L, t, name) != LUA_TNIL) v = lua_tointegerx(L, -1, &ok);
  if (!ok) inc_lua_fail(L, "run", INC_EARG, name, "expected an integer, got %s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return v;
}

static double number_field(lua_State *L, int t, const char *name, double otherwise) {
  double v = lua_getfield(L, t, name) == LUA_TNIL ? otherwise : luaL_checknumber(L, -1);
  lua_pop(L, 1);
  return v;
}

static bool bool_field(lua_State *L, int t, const char *name) {
  lua_getfield(L, t, name);
  bool v = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

/* The string stays alive: it is in the caller's table. */
static const char *string_field(lua_State *L, int t, const char *name) {
  const char *s = lua_getfield(L, t, name) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
  return s;
}

int inc_lua_list_field(lua_State *L, int t, const char *name) {
  if (lua_getfield(L, t, name) == LUA_TNIL) lua_newtable(L), lua_replace(L, -2);
  luaL_checktype(L, -1, LUA_TTABLE);
  return (int)lua_rawlen(L, -1);
}

void inc_lua_read_loader(lua_State *L, int t, inc_images *images, inc_loader_opts *o) {
  static const char *const parts[] = {"train", "val", "all"};
  const char *part = string_field(L, t, "part");
  memset(o, 0, sizeof *o);
  o->images = images;
  o->part = -2;
  for (int i = 0; i < 3; i++)
    if (part && !strcmp(part, parts[i])) o->part = i == 2 ? -1 : i == 1 ? INC_PART_VAL : INC_PART_TRAIN;
  if (o->part == -2)
    inc_lua_fail(L, "run", INC_EARG, "part", "expected train, val or all, got %s", part ? part : "nothing");
  o->batch = (int)int_field(L, t, "batch", 32);
  o->seed = (uint64_t)int_field(L, t, "seed", 0);
  o->workers = (int)int_field(L, t, "workers", 0);
  o->slots = (int)int_field(L, t, "slots", 0);
  o->epoch = int_field(L, t, "epoch", 0);
  o->index = int_field(L, t, "index", 0);
  o->bad_stop = bool_field(L, t, "bad_stop");
  o->train = bool_field(L, t, "train");
  lua_getfield(L, t, "transform");
  inc_lua_read_transform(L, lua_gettop(L), &o->transform);
  lua_pop(L, 1);
}

static void read_named(lua_State *L, int t, const char *field, int *n, const inc_named **out) {
  *n = inc_lua_list_field(L, t, field);
  inc_named *items = lua_newuserdatauv(L, sizeof *items * (size_t)(*n + 1), 0); /* stays on the stack */
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, -2, i + 1);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    items[i].name = luaL_checkstring(L, -2);
    items[i].t = inc_lua_check_tensor(L, -1, "run", field);
    lua_pop(L, 3);
  }
  *out = items;
}

static void read_pairs(lua_State *L, int t, const char *field, int *n, const inc_pair **out) {
  *n = 0;
  inc_lua_list_field(L, t, field);
  int table = lua_gettop(L), k = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) ++*n;
  inc_pair *pairs = lua_newuserdatauv(L, sizeof *pairs * (size_t)(*n + 1), 0);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      inc_lua_fail(L, "run", INC_EARG, field, "expected strings only");
    pairs[k++] = (inc_pair){lua_tostring(L, -2), lua_tostring(L, -1)};
  }
  *out = pairs;
}

/* Options of a plateau, and what it remembers. */
inc_plateau inc_lua_read_plateau(lua_State *L, int t) {
  const char *mode = string_field(L, t, "mode");
  return (inc_plateau){.on = true,
                       .max = mode && !strcmp(mode, "max"),
                       .gamma = number_field(L, t, "gamma", 1),
                       .threshold = number_field(L, t, "threshold", 0),
                       .least = number_field(L, t, "least", 0),
                       .patience = int_field(L, t, "patience", 0),
                       .cooldown = int_field(L, t, "cooldown", 0),
                       .best = number_field(L, t, "best", NAN),
                       .factor = number_field(L, t, "factor", 1),
                       .bad = int_field(L, t, "bad", 0),
                       .cooling = int_field(L, t, "cooling", 0)};
}

/* {name, tensor, {values of all steps}, plateau or nil}: the values from `first` on; the last one holds. */
static void read_number(lua_State *L, int64_t first, int64_t steps, inc_run_number *out) {
  int item = lua_gettop(L);
  *out = (inc_run_number){0};
  lua_rawgeti(L, item, 1);
  out->name = luaL_checkstring(L, -1);
  lua_rawgeti(L, item, 2);
  out->t = inc_lua_check_tensor(L, -1, "run", out->name);
  lua_rawgeti(L, item, 3);
  luaL_checktype(L, -1, LUA_TTABLE);
  int values = lua_gettop(L);
  double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(steps - first + 1), 0);
  int64_t known = (int64_t)lua_rawlen(L, values);
  for (int64_t i = first; i < steps; i++) {
    if (lua_rawgeti(L, values, i < known ? i + 1 : known) != LUA_TNUMBER)
      inc_lua_fail(L, "run", INC_EARG, out->name, "expected a number for step %d", (int)i + 1);
    v[i - first] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  out->value = v;
  lua_rawseti(L, item, 5); /* keeps the array alive as long as the caller's table */
  if (lua_rawgeti(L, item, 4) == LUA_TTABLE) out->plateau = inc_lua_read_plateau(L, lua_gettop(L));
  lua_settop(L, item);
}

static inc_run_number *read_numbers(lua_State *L, int t, inc_run_opts *o) {
  o->n_numbers = inc_lua_list_field(L, t, "numbers");
  inc_run_number *list = lua_newuserdatauv(L, sizeof *list * (size_t)(o->n_numbers + 1), 0);
  for (int i = 0; i < o->n_numbers; i++) {
    lua_rawgeti(L, -2, i + 1);
    read_number(L, o->first, o->steps, &list[i]);
    lua_pop(L, 1);
  }
  return list;
}

static const char *const *read_strings(lua_State *L, int t, const char *field, int *n) {
  *n = inc_lua_list_field(L, t, field);
  const char **list = lua_newuserdatauv(L, sizeof *list * (size_t)(*n + 1), 0);
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, -2, i + 1);
    list[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  return list;
}

/* {{step, name, value}, ...} */
static void read_sets(lua_State *L, int t, inc_run_opts *o) {
  o->n_set = inc_lua_list_field(L, t, "set");
  inc_run_set_at *list = lua_newuserdatauv(L, sizeof *list * (size_t)(o->n_set + 1), 0);
  for (int i = 0; i < o->n_set; i++) {
    lua_rawgeti(L, -2, i + 1);
    for (int k = 1; k <= 3; k++) lua_rawgeti(L, -k, k);
    list[i] = (inc_run_set_at){luaL_checkinteger(L, -3), luaL_checkstring(L, -2), luaL_checknumber(L, -1)};
    lua_pop(L, 4);
  }
  o->set = list;
}

/* {{from, to, scale}, ...} */
static void read_copies(lua_State *L, int t, inc_run_opts *o) {
  o->n_copies = inc_lua_list_field(L, t, "copies");
  inc_run_copy *list = lua_newuserdatauv(L, sizeof *list * (size_t)(o->n_copies + 1), 0);
  for (int i = 0; i < o->n_copies; i++) {
    lua_rawgeti(L, -2, i + 1);
    for (int k = 1; k <= 3; k++) lua_rawgeti(L, -k, k);
    list[i] = (inc_run_copy){inc_lua_check_tensor(L, -3, "run", "copies"),
                             inc_lua_check_tensor(L, -2, "run", "copies"), luaL_optnumber(L, -1, 1)};
    lua_pop(L, 4);
  }
  o->copy = list;
}

/* -- a stage of a run ------------------------------------------------------------------------------------ */

void inc_lua_read_parts(lua_State *L, int t, inc_parts_opts *p) {
  lua_getfield(L, t, "images");
  inc_images *images = inc_lua_check_images(L, -1);
  lua_getfield(L, t, "plan");
  p->step = inc_lua_check_plan(L, -1);
  lua_getfield(L, t, "train");
  luaL_checktype(L, -1, LUA_TTABLE);
  inc_lua_read_loader(L, lua_gettop(L), images, &p->train);
  if (lua_getfield(L, t, "eval") != LUA_TNIL) {
    p->eval = inc_lua_check_plan(L, -1);
    lua_getfield(L, t, "val");
    luaL_checktype(L, -1, LUA_TTABLE);
    inc_lua_read_loader(L, lua_gettop(L), images, &p->validate);
  }
  inc_feed **feed = lua_getfield(L, t, "feed") != LUA_TNIL ? luaL_checkudata(L, -1, FEED_MT) : NULL;
  p->feed = feed ? *feed : NULL;
}

void inc_lua_read_run(lua_State *L, int t, inc_run_opts *o) {
  luaL_checkstack(L, 60, "run");
  o->folder = string_field(L, t, "folder");
  o->first = int_field(L, t, "first", 0), o->steps = int_field(L, t, "steps", 0);
  o->epoch_steps = int_field(L, t, "epoch_steps", 1), o->batch = int_field(L, t, "batch", 1);
  o->save_every = int_field(L, t, "save_every", 0), o->val_every = int_field(L, t, "val_every", 0);
  o->seed = (uint64_t)int_field(L, t, "seed", 0);
  o->bad = int_field(L, t, "bad", 0);
  o->best = number_field(L, t, "best", -1), o->best_step = int_field(L, t, "best_step", -1);
  o->best_loss = number_field(L, t, "best_loss", 0);
  o->until = int_field(L, t, "until_step", 0), o->keep = (int)int_field(L, t, "keep", 0);
  o->best_last = bool_field(L, t, "best_last"), o->retell = bool_field(L, t, "retell");
  o->origin = int_field(L, t, "origin", 0), o->fresh = bool_field(L, t, "fresh");
  o->note = string_field(L, t, "note");
  read_sets(L, t, o);
  read_copies(L, t, o);
  lua_getfield(L, t, "rng");
  o->rng = inc_lua_to_tensor(L, -1);
  o->number = read_numbers(L, t, o);
  o->output = read_strings(L, t, "outputs", &o->n_outputs);
  read_named(L, t, "state", &o->n_state, &o->state);
  read_named(L, t, "export", &o->n_export, &o->export_);
  read_pairs(L, t, "meta", &o->n_meta, &o->meta);
  read_pairs(L, t, "export_meta", &o->n_export_meta, &o->export_meta);
}
