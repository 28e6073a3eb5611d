/* score.c -- evaluation for Lua: each picture once; any number of nets and crops, averaged as
** probabilities. */
#include "run/score.h"
#include "base/file.h"
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/data.h"
#include "bind/plan.h"
#include "bind/run.h"
#include <math.h>
#include <string.h>

#define SCORES_MT "inc.scores"
#define VIEW_MT   "inc.view"

enum { MAX_PICTURE_FILE = 1 << 30 };

/* The Lua function that hears how many pictures are scored. */
typedef struct listener {
  lua_State *L;
  int f; /* its index */
  lua_Integer done;
} listener;

static void told(void *to, int n) {
  listener *l = to;
  l->done += n;
  lua_pushvalue(l->L, l->f);
  lua_pushinteger(l->L, l->done);
  if (lua_pcall(l->L, 1, 0, 0) != LUA_OK) lua_pop(l->L, 1); /* words on the way end nothing */
}

/* All that a call holds, in one box: the collector drops it whatever happens. */
typedef struct work {
  inc_scores all;
  inc_scorer scorer;
  inc_loader *loader;
} work;

static void end_pass(work *w) {
  inc_loader_free(w->loader);
  w->loader = NULL;
  if (w->scorer.plan) inc_scorer_free(&w->scorer);
}

static int drop(lua_State *L) {
  work *w = luaL_checkudata(L, 1, SCORES_MT);
  end_pass(w);
  inc_scores_free(&w->all);
  return 0;
}

/* {{file = path, why = text}, ...} of the pictures that the pass at hand could not read. */
static void push_bad(lua_State *L, const inc_images *images, const inc_loader *l) {
  const inc_bad_picture *list;
  int64_t n = inc_loader_bad(l, &list);
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, images->item[list[i].picture].path);
    lua_setfield(L, -2, "file");
    lua_pushstring(L, list[i].why);
    lua_setfield(L, -2, "why");
    lua_rawseti(L, -2, i + 1);
  }
}

static int one_pass(work *w, inc_plan *plan, const inc_loader_opts *o, listener *to) {
  INC_TRY(inc_scorer_init(&w->scorer, plan));
  w->scorer.interruptible = true;
  w->scorer.told = to->f ? told : NULL;
  w->scorer.listener = to;
  if (o->batch != w->scorer.batch)
    return inc_fail(INC_EARG, "batch", "planned for %d pictures, the loader gives %d", w->scorer.batch,
                    o->batch);
  INC_TRY(inc_loader_new(o, &w->loader));
  return inc_scores_add(&w->all, &w->scorer, w->loader);
}

static void put_ints(lua_State *L, const char *name, int64_t n, const int64_t *v, int64_t plus) {
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushinteger(L, v[i] + plus);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, name);
}

/* Loss, rank and called class of each picture. */
static void put_judgements(lua_State *L, const inc_scores *all) {
  static const char *const names[] = {"loss", "rank", "called", "confidence"};
  for (int k = 0; k < 4; k++) {
    lua_createtable(L, (int)all->n, 0);
    for (int64_t i = 0; i < all->n; i++) {
      const float *row = all->logp + i * all->classes;
      inc_score s = inc_score_row(row, all->classes, (int)all->label[i]);
      if (k == 0)
        lua_pushnumber(L, -(double)row[all->label[i] - 1]);
      else if (k == 3)
        lua_pushnumber(L, exp(row[s.best - 1]));
      else
        lua_pushinteger(L, k == 1 ? s.rank + 1 : s.best);
      lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, names[k]);
  }
}

/* core.score(images, {{plan, loader options}, ...}, told) -> {n =, picture =, label =, loss =, rank =, called =,
** confidence =} (lists; all count from 1), bad pictures.  told(done), if there is one, hears how many are scored. */
static int score(lua_State *L) {
  inc_images *images = inc_lua_check_images(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  listener to = {L, lua_isfunction(L, 3) ? 3 : 0, 0};
  work *w = lua_newuserdatauv(L, sizeof *w, 0);
  memset(w, 0, sizeof *w);
  luaL_setmetatable(L, SCORES_MT);
  lua_pushnil(L); /* 5: bad pictures of the first pass */
  for (int i = 1, n = (int)lua_rawlen(L, 2); i <= n; i++) {
    inc_loader_opts o;
    lua_rawgeti(L, 2, i);
    lua_rawgeti(L, 6, 1);
    inc_plan *plan = inc_lua_check_plan(L, -1);
    lua_rawgeti(L, 6, 2);
    luaL_checktype(L, -1, LUA_TTABLE);
    inc_lua_read_loader(L, lua_gettop(L), images, &o);
    inc_lua_check(L, one_pass(w, plan, &o, &to));
    if (i == 1) push_bad(L, images, w->loader), lua_replace(L, 5);
    end_pass(w);
    lua_settop(L, 5);
  }
  inc_scores_finish(&w->all);
  lua_createtable(L, 0, 7);
  lua_pushinteger(L, w->all.n);
  lua_setfield(L, -2, "n");
  put_ints(L, "picture", w->all.n, w->all.picture, 1);
  put_ints(L, "label", w->all.n, w->all.label, 0);
  put_judgements(L, &w->all);
  lua_pushvalue(L, 5);
  return 2;
}

/* -- one picture file ----------------------------------------------------------------------------------- */

typedef struct view {
  inc_viewer *viewer;
  char *bytes;
} view;

static int drop_view(lua_State *L) {
  view *v = luaL_checkudata(L, 1, VIEW_MT);
  inc_viewer_free(v->viewer);
  inc_free(v->bytes);
  *v = (view){0};
  return 0;
}

/* core.view_file(path, transform) -> u8 [1, 3, S, S], channels last: what a loader makes of this file */
static int view_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  inc_transform t;
  size_t n;
  lua_settop(L, 2);
  inc_lua_read_transform(L, 2, &t);
  inc_spec s = inc_spec_new(INC_U8, 4, (int64_t[]){1, 3, t.size, t.size});
  inc_spec_channels_last(&s);
  view *v = lua_newuserdatauv(L, sizeof *v, 0);
  *v = (view){0};
  luaL_setmetatable(L, VIEW_MT);
  inc_tensor **box = inc_lua_new_box(L);
  inc_lua_check(L, inc_file_slurp(path, MAX_PICTURE_FILE, &v->bytes, &n));
  inc_lua_check(L, inc_viewer_new(&v->viewer));
  inc_lua_check(L, inc_tensor_new(&s, box));
  inc_lua_check(L, inc_viewer_run(v->viewer, &t, v->bytes, n, path, 0, 0, 0, inc_tensor_data(*box)));
  inc_lua_account(L, inc_spec_bytes(&s));
  return 1;
}

static void make_mt(lua_State *L, const char *mt, lua_CFunction gc) {
  luaL_newmetatable(L, mt);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void inc_bind_score(lua_State *L) {
  make_mt(L, SCORES_MT, drop);
  make_mt(L, VIEW_MT, drop_view);
  lua_pushcfunction(L, score);
  lua_setfield(L, -2, "score");
  lua_pushcfunction(L, view_file);
  lua_setfield(L, -2, "view_file");
}
