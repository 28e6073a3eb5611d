/* run.c -- training runs for Lua: start, messages, status, events (core/run/run.h).
**
** lua/inc/train.lua builds nets and plans and asks for one core.run_start with everything in a table; nothing
** of Lua is kept by the thread.  The box of a run owns one reference: when the collector takes it, the run is
** told to stop, saves, and is waited for.
*/
#include "run/run.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/data.h"
#include "bind/plan.h"
#include "bind/run.h"
#include "run/folder.h"
#include "run/parts.h"
#include <math.h>
#include <string.h>

#define RUN_MT  "inc.run.core"
#define LOCK_MT "inc.run.lock"
#define FEED_MT "inc.run.feed"

/* -- reading tables ------------------------------------------------------------------------------------- */

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

/* Pushes a list field (an empty one when absent); returns its length. */
static int list_field(lua_State *L, int t, const char *name) {
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
  *n = list_field(L, t, field);
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
  list_field(L, t, field);
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

/* {name, tensor, {values of all steps}}: the values from `first` on. */
static void read_number(lua_State *L, int64_t first, int64_t steps, inc_run_number *out) {
  int item = lua_gettop(L);
  lua_rawgeti(L, item, 1);
  out->name = luaL_checkstring(L, -1);
  lua_rawgeti(L, item, 2);
  out->t = inc_lua_check_tensor(L, -1, "run", out->name);
  lua_rawgeti(L, item, 3);
  luaL_checktype(L, -1, LUA_TTABLE);
  int values = lua_gettop(L);
  double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(steps - first + 1), 0);
  for (int64_t i = first; i < steps; i++) {
    if (lua_rawgeti(L, values, i + 1) != LUA_TNUMBER)
      inc_lua_fail(L, "run", INC_EARG, out->name, "expected a number for step %d", (int)i + 1);
    v[i - first] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  out->value = v;
  lua_rawseti(L, item, 4); /* keeps the array alive as long as the caller's table */
  lua_settop(L, item);
}

static inc_run_number *read_numbers(lua_State *L, int t, inc_run_opts *o) {
  o->n_numbers = list_field(L, t, "numbers");
  inc_run_number *list = lua_newuserdatauv(L, sizeof *list * (size_t)(o->n_numbers + 1), 0);
  for (int i = 0; i < o->n_numbers; i++) {
    lua_rawgeti(L, -2, i + 1);
    read_number(L, o->first, o->steps, &list[i]);
    lua_pop(L, 1);
  }
  return list;
}

static const char *const *read_strings(lua_State *L, int t, const char *field, int *n) {
  *n = list_field(L, t, field);
  const char **list = lua_newuserdatauv(L, sizeof *list * (size_t)(*n + 1), 0);
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, -2, i + 1);
    list[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  return list;
}

/* -- the lock of a folder ------------------------------------------------------------------------------- */

static int drop_lock(lua_State *L) {
  int *fd = luaL_checkudata(L, 1, LOCK_MT);
  inc_folder_unlock(*fd);
  *fd = -1;
  return 0;
}

/* core.run_lock(folder) -> lock; sweeps what a kill left behind. */
static int run_lock(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
  *fd = -1;
  luaL_setmetatable(L, LOCK_MT);
  inc_lua_check(L, inc_folder_lock(folder, fd));
  inc_lua_check(L, inc_folder_sweep(folder));
  return 1;
}

/* core.run_locked(folder) -> is it being trained, by whichever process? */
static int run_locked(lua_State *L) {
  lua_pushboolean(L, inc_folder_locked(luaL_checkstring(L, 1)));
  return 1;
}

/* core.run_checkpoints(folder) -> steps, newest first */
static int run_checkpoints(lua_State *L) {
  int64_t *list;
  int n;
  inc_lua_check(L, inc_folder_checkpoints(luaL_checkstring(L, 1), &list, &n));
  lua_Integer *copy = lua_newuserdatauv(L, sizeof *copy * (size_t)(n + 1), 0);
  for (int i = 0; i < n; i++) copy[i] = list[i];
  inc_free(list);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushinteger(L, copy[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* -- a run ---------------------------------------------------------------------------------------------- */

static inc_run *check_run(lua_State *L) {
  inc_run **box = luaL_checkudata(L, 1, RUN_MT);
  if (!*box) inc_lua_fail(L, "run", INC_ESTATE, NULL, "this run is closed");
  return *box;
}

static int drop_run(lua_State *L) {
  inc_run **box = luaL_checkudata(L, 1, RUN_MT);
  inc_run_unref(*box);
  *box = NULL;
  return 0;
}

static void read_parts(lua_State *L, int t, inc_parts_opts *p) {
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

static int drop_feed(lua_State *L) {
  inc_feed **box = luaL_checkudata(L, 1, FEED_MT);
  inc_feed_unref(*box);
  *box = NULL;
  return 0;
}

/* core.run_feed(images, loader options, keep) -> one loader for runs that take turns (core/data/feed.h) */
static int run_feed(lua_State *L) {
  inc_images *images = inc_lua_check_images(L, 1);
  inc_loader_opts o;
  luaL_checktype(L, 2, LUA_TTABLE);
  inc_lua_read_loader(L, 2, images, &o);
  inc_feed **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, FEED_MT);
  inc_lua_check(L, inc_feed_new(&o, (int)luaL_checkinteger(L, 3), box));
  return 1;
}

/* core.run_feed_made(feed) -> batches that were made for all of them together */
static int run_feed_made(lua_State *L) {
  inc_feed **box = luaL_checkudata(L, 1, FEED_MT);
  lua_pushinteger(L, *box ? inc_feed_made(*box) : 0);
  return 1;
}

static void read_opts(lua_State *L, int t, inc_run_opts *o) {
  luaL_checkstack(L, 40, "run");
  o->folder = string_field(L, t, "folder");
  o->first = int_field(L, t, "first", 0), o->steps = int_field(L, t, "steps", 0);
  o->epoch_steps = int_field(L, t, "epoch_steps", 1), o->batch = int_field(L, t, "batch", 1);
  o->save_every = int_field(L, t, "save_every", 0), o->val_every = int_field(L, t, "val_every", 0);
  o->seed = (uint64_t)int_field(L, t, "seed", 0);
  o->bad = int_field(L, t, "bad", 0);
  o->best = number_field(L, t, "best", -1), o->best_step = int_field(L, t, "best_step", -1);
  o->best_loss = number_field(L, t, "best_loss", 0);
  o->changes = string_field(L, t, "changes");
  o->until = int_field(L, t, "until_step", 0), o->keep = (int)int_field(L, t, "keep", 0);
  o->best_last = bool_field(L, t, "best_last");
  lua_getfield(L, t, "rng");
  o->rng = inc_lua_to_tensor(L, -1);
  o->number = read_numbers(L, t, o);
  o->output = read_strings(L, t, "outputs", &o->n_outputs);
  read_named(L, t, "state", &o->n_state, &o->state);
  read_named(L, t, "export", &o->n_export, &o->export_);
  read_pairs(L, t, "meta", &o->n_meta, &o->meta);
  read_pairs(L, t, "export_meta", &o->n_export_meta, &o->export_meta);
}

/* core.run_start{folder =, lock =, plan =, ...}: see lua/inc/train/start.lua for all the names. */
static int run_start(lua_State *L) {
  inc_run_opts o = {.lock = -1};
  inc_parts_opts p = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  inc_run **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, RUN_MT);
  read_opts(L, 1, &o);
  read_parts(L, 1, &p);
  lua_getfield(L, 1, "lock");
  int *fd = luaL_checkudata(L, -1, LOCK_MT);
  inc_lua_check(L, inc_parts_new(&p, &o.parts));
  o.lock = *fd;
  *fd = -1; /* the run has it now */
  inc_lua_check(L, inc_run_start(&o, box));
  lua_settop(L, 2);
  return 1;
}

static int run_stop(lua_State *L) {
  inc_run_stop(check_run(L));
  return 0;
}

static int run_save(lua_State *L) {
  inc_run_save(check_run(L));
  return 0;
}

static int run_pause(lua_State *L) {
  inc_run_pause(check_run(L), lua_toboolean(L, 2));
  return 0;
}

static int run_hold(lua_State *L) {
  inc_run_hold(check_run(L));
  return 0;
}

static int run_release(lua_State *L) {
  inc_run_release(check_run(L));
  return 0;
}

/* core.run_until(run, step): go on, and rest when `step` steps are made; 0: never rest */
static int run_until(lua_State *L) {
  inc_run_until(check_run(L), luaL_checkinteger(L, 2));
  return 0;
}

/* core.run_reached(run, seconds) -> rests there or is over, interrupted */
static int run_reached(lua_State *L) {
  lua_pushboolean(L, inc_run_reached(check_run(L), luaL_checknumber(L, 2)));
  lua_pushboolean(L, inc_interrupt_pending() > 0);
  return 2;
}

static int run_set(lua_State *L) {
  inc_lua_check(L, inc_run_set(check_run(L), luaL_checkstring(L, 2), luaL_checknumber(L, 3)));
  return 0;
}

/* core.run_wait(run, seconds) -> over, interrupted */
static int run_wait(lua_State *L) {
  lua_pushboolean(L, inc_run_wait(check_run(L), luaL_checknumber(L, 2)));
  lua_pushboolean(L, inc_interrupt_pending() > 0);
  return 2;
}

/* core.run_finish(run): Ctrl-C in batch.  Stops the run, waits until it has saved, and takes the interrupt
** down for what Lua still has to say; core.interrupt_again() puts it back. */
static int run_finish(lua_State *L) {
  inc_run *r = check_run(L);
  lua_sethook(L, NULL, 0, 0); /* the shell's hook would raise in the middle of our last words */
  inc_interrupt_clear();
  inc_run_stop(r);
  while (!inc_run_wait(r, 3600) && !inc_interrupt_pending()) continue;
  inc_interrupt_clear();
  return 0;
}

static int interrupt_again(lua_State *L) {
  (void)L;
  inc_interrupt_raise();
  return 0;
}

/* -- status and events ---------------------------------------------------------------------------------- */

static void put_int(lua_State *L, const char *name, int64_t v) {
  lua_pushinteger(L, v);
  lua_setfield(L, -2, name);
}

static void put_number(lua_State *L, const char *name, double v) {
  if (isnan(v)) return;
  lua_pushnumber(L, v);
  lua_setfield(L, -2, name);
}

static void put_string(lua_State *L, const char *name, const char *v) {
  lua_pushstring(L, v);
  lua_setfield(L, -2, name);
}

static void put_val(lua_State *L, const inc_run_val *v) {
  if (!v->n) return;
  lua_createtable(L, 0, 4);
  put_int(L, "n", v->n);
  put_number(L, "loss", v->loss);
  put_number(L, "top1", v->top1);
  put_number(L, "top5", v->top5);
  lua_setfield(L, -2, "val");
}

static void put_error(lua_State *L, const inc_error *e) {
  char text[2048];
  put_string(L, "error", inc_error_format(e, text, sizeof text));
  put_string(L, "code", inc_error_name(e->code));
}

/* core.run_status(run) -> table: state, step, steps, epoch, epochs, loss, smooth_loss, lr, img_s, data_wait,
** eta, seconds, val, best, best_step, saved_step, bad, error, code */
static int run_status(lua_State *L) {
  static const char *const states[] = {"running", "paused", "finished", "stopped", "failed"};
  inc_run_status s;
  inc_run_status_get(check_run(L), &s);
  lua_createtable(L, 0, 20);
  put_string(L, "state", states[s.state]);
  put_int(L, "step", s.step), put_int(L, "steps", s.steps);
  put_int(L, "epoch", s.epoch), put_int(L, "epochs", s.epochs);
  put_int(L, "saved_step", s.saved_step), put_int(L, "bad", s.bad);
  put_number(L, "loss", s.loss), put_number(L, "smooth_loss", s.smooth_loss), put_number(L, "lr", s.lr);
  put_number(L, "img_s", s.img_s), put_number(L, "data_wait", s.data_wait),
      put_number(L, "seconds", s.seconds);
  if (s.eta >= 0) put_number(L, "eta", s.eta);
  if (s.best >= 0) put_number(L, "best", s.best);
  if (s.best_step >= 0) put_int(L, "best_step", s.best_step);
  put_val(L, &s.val);
  if (s.state == INC_RUN_FAILED) put_error(L, &s.error);
  return 1;
}

static int run_over(lua_State *L) {
  lua_pushboolean(L, inc_run_over(check_run(L)));
  return 1;
}

/* core.run_events(run) -> list of {kind, step =, val =, text =}, oldest first; each is told once */
static int run_events(lua_State *L) {
  static const char *const kinds[] = {"epoch", "val", "save", "best", "bad", "end"};
  inc_run *r = check_run(L);
  inc_run_event e;
  lua_newtable(L);
  for (int i = 1; inc_run_event_take(r, &e); i++) {
    char text[1024] = "";
    if (e.text) strncpy(text, e.text, sizeof text - 1);
    inc_free(e.text);
    lua_createtable(L, 1, 3);
    lua_pushstring(L, kinds[e.kind]);
    lua_rawseti(L, -2, 1);
    put_int(L, "step", e.step);
    put_val(L, &e.val);
    if (text[0]) put_string(L, "text", text);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static void make_mt(lua_State *L, const char *mt, lua_CFunction gc) {
  luaL_newmetatable(L, mt);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void inc_bind_run(lua_State *L) {
  static const luaL_Reg list[] = {{"run_lock", run_lock},
                                  {"run_checkpoints", run_checkpoints},
                                  {"run_locked", run_locked},
                                  {"run_start", run_start},
                                  {"run_stop", run_stop},
                                  {"run_save", run_save},
                                  {"run_pause", run_pause},
                                  {"run_hold", run_hold},
                                  {"run_release", run_release},
                                  {"run_set", run_set},
                                  {"run_until", run_until},
                                  {"run_reached", run_reached},
                                  {"run_feed", run_feed},
                                  {"run_feed_made", run_feed_made},
                                  {"run_wait", run_wait},
                                  {"run_finish", run_finish},
                                  {"run_status", run_status},
                                  {"run_over", run_over},
                                  {"run_events", run_events},
                                  {"interrupt_again", interrupt_again},
                                  {NULL, NULL}};
  make_mt(L, RUN_MT, drop_run);
  make_mt(L, LOCK_MT, drop_lock);
  make_mt(L, FEED_MT, drop_feed);
  luaL_getmetatable(L, LOCK_MT);
  lua_pushcfunction(L, drop_lock);
  lua_setfield(L, -2, "__close"); /* an error on the way to the start gives the folder free at once */
  lua_pop(L, 1);
  luaL_setfuncs(L, list, 0);
  inc_bind_score(L);
}
