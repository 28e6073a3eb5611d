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

/* The stages that follow, from the list `later` of the table at 1; everything stays on the stack. */
static int read_later(lua_State *L, inc_run_opts **o, inc_parts_opts **p) {
  int n = inc_lua_list_field(L, 1, "later"), list = lua_gettop(L);
  *o = lua_newuserdatauv(L, sizeof **o * (size_t)(n + 1), 0);
  *p = lua_newuserdatauv(L, sizeof **p * (size_t)(n + 1), 0);
  for (int i = 0; i < n; i++) {
    luaL_checkstack(L, 4, "run");
    lua_rawgeti(L, list, i + 1);
    int t = lua_gettop(L);
    (*o)[i] = (inc_run_opts){.lock = -1}, (*p)[i] = (inc_parts_opts){.later = true};
    inc_lua_read_run(L, t, &(*o)[i]);
    inc_lua_read_parts(L, t, &(*p)[i]);
  }
  return n;
}

/* All parts or none. */
static int make_parts(inc_run_opts *o, const inc_parts_opts *p, int n) {
  for (int i = 0; i < n; i++) {
    int code = inc_parts_new(&p[i], &o[i].parts);
    if (code == INC_OK) continue;
    while (i-- > 0) o[i].parts.free(o[i].parts.self);
    return code;
  }
  for (int i = 0; i + 1 < n; i++) o[i].next = &o[i + 1];
  return INC_OK;
}

/* core.run_start{folder =, lock =, plan =, ...}: see lua/inc/train/stage.lua for all the names. */
static int run_start(lua_State *L) {
  inc_run_opts o = {.lock = -1}, *later;
  inc_parts_opts p = {0}, *later_parts;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  inc_run **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, RUN_MT);
  inc_lua_read_run(L, 1, &o);
  inc_lua_read_parts(L, 1, &p);
  int n = read_later(L, &later, &later_parts);
  lua_getfield(L, 1, "lock");
  int *fd = luaL_checkudata(L, -1, LOCK_MT);
  inc_lua_check(L, inc_parts_new(&p, &o.parts));
  int code = make_parts(later, later_parts, n);
  if (code != INC_OK) {
    o.parts.free(o.parts.self);
    return inc_lua_raise(L);
  }
  o.next = n ? later : NULL;
  o.lock = *fd;
  *fd = -1; /* the run has it now */
  inc_lua_check(L, inc_run_start(&o, box));
  lua_settop(L, 2);
  return 1;
}

/* core.run_then(run, {...}, line): another stage of a run that is held, from here on */
static int run_then(lua_State *L) {
  inc_run *r = check_run(L);
  inc_run_opts o = {.lock = -1};
  inc_parts_opts p = {.later = true};
  luaL_checktype(L, 2, LUA_TTABLE);
  const char *line = luaL_checkstring(L, 3);
  inc_lua_read_run(L, 2, &o);
  inc_lua_read_parts(L, 2, &p);
  inc_lua_check(L, inc_parts_new(&p, &o.parts));
  inc_lua_check(L, inc_run_then(r, &o, line));
  return 0;
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
  inc_lua_check(L, inc_run_hold(check_run(L)));
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

/* core.plateau_observe(plateau, value): a table of all of the above; changes it, returns the factor. */
static int plateau_observe(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  inc_plateau p = inc_lua_read_plateau(L, 1);
  double factor = inc_plateau_observe(&p, luaL_checknumber(L, 2));
  lua_pushvalue(L, 1);
  put_number(L, "best", p.best), put_number(L, "factor", p.factor);
  put_int(L, "bad", p.bad), put_int(L, "cooling", p.cooling);
  lua_pushnumber(L, factor);
  return 1;
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

/* time = {wait =, compute =, validate =, save =} in seconds; loading = {read =, decode =, resize =, colour =} in
** milliseconds a picture. */
static void put_times(lua_State *L, const inc_run_status *s) {
  const inc_loader_stats *l = &s->loading;
  double ms = l->pictures ? 1e-6 / (double)l->pictures : 0;
  lua_createtable(L, 0, 4);
  put_number(L, "wait", s->time.wait), put_number(L, "compute", s->time.compute);
  put_number(L, "validate", s->time.validate), put_number(L, "save", s->time.save);
  lua_setfield(L, -2, "time");
  if (!l->pictures) return;
  lua_createtable(L, 0, 4);
  put_number(L, "read", (double)l->read * ms), put_number(L, "decode", (double)l->decode * ms);
  put_number(L, "resize", (double)l->resize * ms), put_number(L, "colour", (double)l->colour * ms);
  lua_setfield(L, -2, "loading");
}

/* core.run_status(run) -> table: state, step, steps, epoch, epochs, loss, smooth_loss, lr, img_s, data_wait,
** eta, seconds, val, best, best_step, saved_step, bad, error, code, time, loading */
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
  put_number(L, "best_loss", s.best_loss);
  if (s.best_step >= 0) put_int(L, "best_step", s.best_step);
  if (s.changes_at >= 0) put_int(L, "changes_at", s.changes_at);
  put_val(L, &s.val);
  put_times(L, &s);
  if (s.state == INC_RUN_FAILED) put_error(L, &s.error);
  return 1;
}

/* core.run_plateaus(run) -> what its plateaus remember, as JSON; the run is held */
static int run_plateaus(lua_State *L) {
  inc_text t = {0};
  inc_run_plateaus(check_run(L), &t);
  int code = inc_text_done(&t);
  if (code == INC_OK) lua_pushstring(L, t.s);
  inc_text_free(&t);
  inc_lua_check(L, code);
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
                                  {"run_then", run_then},
                                  {"plateau_observe", plateau_observe},
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
                                  {"run_plateaus", run_plateaus},
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
