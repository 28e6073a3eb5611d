/* data.c -- picture lists and the options of transforms for Lua.
**
** A box "inc.images" holds a reference to a list.  lua/inc/data.lua makes the friendly objects; here
** numbers of pictures already count from 1.  Loaders are in batches.c, single pictures in picture.c.
*/
#include "bind/data.h"
#include "base/mem.h"
#include "bind/bind.h"
#include <stdlib.h>
#include <string.h>

#define IMAGES_MT "inc.images"

void *inc_lua_data_box(lua_State *L, size_t n, const char *mt) {
  void *box = lua_newuserdatauv(L, n, 0);
  memset(box, 0, n);
  luaL_setmetatable(L, mt);
  return box;
}

void *inc_lua_data_check(lua_State *L, int idx, const char *mt, const char *op, const char *expected) {
  void **box = luaL_testudata(L, idx, mt), *held = box ? *box : NULL;
  if (!box) inc_lua_fail(L, op, INC_EARG, NULL, "expected %s, got %s", expected, luaL_typename(L, idx));
  if (!held) inc_lua_fail(L, op, INC_ESTATE, NULL, "%s that is closed", expected);
  return held;
}

inc_images *inc_lua_check_images(lua_State *L, int idx) {
  return inc_lua_data_check(L, idx, IMAGES_MT, "data", "a list of pictures");
}

static void push_strings(lua_State *L, char *const *list, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, list[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* -- options ---------------------------------------------------------------------------------- */

int64_t inc_lua_opt_int(lua_State *L, int idx, const char *op, const char *key, int64_t standard) {
  int isint = 1;
  lua_getfield(L, idx, key);
  int64_t v = lua_isnil(L, -1) ? standard : lua_tointegerx(L, -1, &isint);
  if (!isint) inc_lua_fail(L, op, INC_EARG, key, "expected an integer, got %s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return v;
}

static double opt_number(lua_State *L, int idx, const char *op, const char *key, double standard) {
  int isnum = 1;
  lua_getfield(L, idx, key);
  double v = lua_isnil(L, -1) ? standard : lua_tonumberx(L, -1, &isnum);
  if (!isnum) inc_lua_fail(L, op, INC_EARG, key, "expected a number, got %s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return v;
}

bool inc_lua_opt_bool(lua_State *L, int idx, const char *key, bool standard) {
  lua_getfield(L, idx, key);
  bool v = lua_isnil(L, -1) ? standard : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

/* {low, high} under `key`, where it is there. */
static void opt_range(lua_State *L, int idx, const char *op, const char *key, double range[2]) {
  lua_getfield(L, idx, key);
  for (int i = 0; lua_istable(L, -1) && i < 2; i++) {
    int isnum;
    lua_rawgeti(L, -1, i + 1);
    range[i] = lua_tonumberx(L, -1, &isnum);
    if (!isnum)
      inc_lua_fail(L, op, INC_EARG, key, "expected two numbers, got %s", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void opt_filter(lua_State *L, int idx, const char *op, inc_transform *t) {
  static const char *const names[] = {"bilinear", "nearest", "bicubic", "area"}; /* INC_RESIZE_* */
  lua_getfield(L, idx, "filter");
  const char *name = lua_tostring(L, -1);
  int m = 0;
  while (name && m < 4 && strcmp(name, names[m]) != 0) m++;
  if (m == 4)
    inc_lua_fail(L, op, INC_EARG, "filter", "expected bilinear, nearest, bicubic or area, got %s", name);
  if (name) t->methods = 1u << m;
  lua_pop(L, 1);
}

static void read_transform(lua_State *L, int idx, const char *op, inc_transform *t) {
  t->fraction = opt_number(L, idx, op, "crop", t->fraction);
  t->antialias = inc_lua_opt_bool(L, idx, "antialias", t->antialias);
  t->flip = inc_lua_opt_bool(L, idx, "flip", t->flip);
  t->colour = inc_lua_opt_bool(L, idx, "colour", t->colour);
  opt_range(L, idx, op, "area", t->area);
  opt_range(L, idx, op, "aspect", t->aspect);
  opt_filter(L, idx, op, t);
  int64_t side = inc_lua_opt_int(L, idx, op, "short_side", 0);
  if (side) t->geometry = INC_GEOM_SHORT_SIDE, t->short_side = (int)side;
  t->crops = (int)inc_lua_opt_int(L, idx, op, "crops", 1);
  t->crop = (int)inc_lua_opt_int(L, idx, op, "crop_index", 1) - 1;
}

void inc_lua_read_transform(lua_State *L, int idx, inc_transform *t) {
  static const char op[] = "data";
  bool given = lua_istable(L, idx);
  const char *view = "eval";
  int size = given ? (int)inc_lua_opt_int(L, idx, op, "size", 299) : 299;
  if (given && lua_getfield(L, idx, "augment") != LUA_TNIL) view = luaL_tolstring(L, -1, NULL);
  int code = inc_transform_init(t, view, size);
  if (code == INC_OK && given) {
    read_transform(L, idx, op, t);
    code = inc_transform_check(t);
  }
  if (code != INC_OK) inc_error_op(op);
  inc_lua_check(L, code);
}

/* -- lists of pictures ------------------------------------------------------------------------ */

static int images_gc(lua_State *L) {
  inc_images **box = lua_touserdata(L, 1);
  inc_images_unref(*box);
  *box = NULL;
  return 0;
}

/* The names under `classes`, in memory that Lua owns (and leaves on the stack). */
static void read_classes(lua_State *L, int idx, inc_scan_opts *o) {
  if (lua_getfield(L, idx, "classes") != LUA_TTABLE) return;
  int list = lua_gettop(L), n = (int)lua_rawlen(L, list);
  const char **names = lua_newuserdatauv(L, sizeof *names * (size_t)(n + 1), 0);
  for (int i = 0; i < n; i++) {
    if (lua_rawgeti(L, list, i + 1) != LUA_TSTRING)
      inc_lua_fail(L, "data.folder", INC_EARG, "classes", "expected names, got %s", luaL_typename(L, -1));
    names[i] = lua_tostring(L, -1); /* stays alive: it is in the caller's table */
    lua_pop(L, 1);
  }
  o->classes = names, o->nclasses = n;
}

/* core.images_scan(folder[, {val = , seed = , workers = , classes = , decode = }]) */
static int images_scan(lua_State *L) {
  static const char op[] = "data.folder";
  const char *folder = luaL_checkstring(L, 1);
  inc_scan_opts o = {0};
  lua_settop(L, 2);
  if (lua_istable(L, 2)) {
    o.val = opt_number(L, 2, op, "val", 0);
    o.seed = (uint64_t)inc_lua_opt_int(L, 2, op, "seed", 0);
    o.workers = (int)inc_lua_opt_int(L, 2, op, "workers", 0);
    o.decode = inc_lua_opt_bool(L, 2, "decode", false);
    read_classes(L, 2, &o);
  }
  inc_images **box = inc_lua_data_box(L, sizeof *box, IMAGES_MT);
  int code = inc_images_scan(folder, &o, box);
  if (code != INC_OK) inc_error_op(op);
  inc_lua_check(L, code);
  return 1;
}

/* core.images_load(file): the list that a run keeps. */
static int images_load(lua_State *L) {
  const char *file = luaL_checkstring(L, 1);
  inc_images **box = inc_lua_data_box(L, sizeof *box, IMAGES_MT);
  inc_lua_check(L, inc_images_load(file, box));
  return 1;
}

static int images_save(lua_State *L) {
  inc_lua_check(L, inc_images_save(inc_lua_check_images(L, 1), luaL_checkstring(L, 2)));
  return 0;
}

static int images_classes(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  push_strings(L, im->classes, im->nclasses);
  return 1;
}

static int images_warnings(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  push_strings(L, im->warning, im->nwarnings);
  return 1;
}

/* {root = , n = , train = , val = , bad = , presplit = , fraction = , seed = } */
static int images_info(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, im->root), lua_setfield(L, -2, "root");
  lua_pushinteger(L, im->n), lua_setfield(L, -2, "n");
  for (int p = 0; p < INC_PARTS; p++) lua_pushinteger(L, im->count[p]), lua_setfield(L, -2, inc_part_name(p));
  lua_pushboolean(L, im->presplit), lua_setfield(L, -2, "presplit");
  lua_pushnumber(L, im->val), lua_setfield(L, -2, "fraction");
  lua_pushinteger(L, (lua_Integer)im->seed), lua_setfield(L, -2, "seed");
  return 1;
}

/* The list behind data.folder, where somebody looks at it. */
static int images_text(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  lua_pushfstring(L, "the list of the %I pictures in %s",
                  (LUAI_UACINT)(im->count[INC_PART_TRAIN] + im->count[INC_PART_VAL]), im->root);
  return 1;
}

/* images:item(i) -> {path = , label = , part = , bytes = , hash = , why = } */
static int images_item(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  int64_t i = luaL_checkinteger(L, 2);
  char hash[20];
  if (i < 1 || i > im->n)
    return inc_lua_fail(L, "item", INC_EARG, NULL, "expected 1 to %lld, got %lld", (long long)im->n,
                        (long long)i);
  const inc_image *it = &im->item[i - 1];
  snprintf(hash, sizeof hash, "%016llx", (unsigned long long)it->hash);
  lua_createtable(L, 0, 6);
  lua_pushstring(L, it->path), lua_setfield(L, -2, "path");
  lua_pushinteger(L, it->label), lua_setfield(L, -2, "label");
  lua_pushstring(L, inc_part_name(it->part)), lua_setfield(L, -2, "part");
  lua_pushinteger(L, it->bytes), lua_setfield(L, -2, "bytes");
  lua_pushstring(L, hash), lua_setfield(L, -2, "hash");
  if (it->why) lua_pushstring(L, it->why), lua_setfield(L, -2, "why");
  return 1;
}

int inc_lua_part(lua_State *L, int idx, const char *op) {
  const char *name = luaL_checkstring(L, idx);
  for (int p = 0; p < INC_PARTS; p++)
    if (strcmp(name, inc_part_name(p)) == 0) return p;
  if (strcmp(name, "all") == 0) return -1;
  return inc_lua_fail(L, op, INC_EARG, "part", "expected train, val, bad or all, got %s", name);
}

/* images:indices(part) -> list of item numbers; "all": train and val */
static int images_indices(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  int part = inc_lua_part(L, 2, "indices"), n = 0;
  lua_newtable(L);
  for (int64_t i = 0; i < im->n; i++) {
    if (im->item[i].part != part && (part >= 0 || im->item[i].part == INC_PART_BAD)) continue;
    lua_pushinteger(L, i + 1);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* images:counts(part) -> pictures of each class in the part */
static int images_counts(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  int part = inc_lua_part(L, 2, "counts");
  int64_t *n = lua_newuserdatauv(L, sizeof *n * (size_t)(im->nclasses + 1), 0);
  memset(n, 0, sizeof *n * (size_t)(im->nclasses + 1));
  for (int64_t i = 0; i < im->n; i++)
    if (im->item[i].part == part || (part < 0 && im->item[i].part != INC_PART_BAD)) n[im->item[i].label]++;
  lua_createtable(L, im->nclasses, 0);
  for (int c = 1; c <= im->nclasses; c++) lua_pushinteger(L, n[c]), lua_rawseti(L, -2, c);
  return 1;
}

typedef struct diff_box {
  inc_image_diff d;
} diff_box;

static int diff_gc(lua_State *L) {
  inc_image_diff_free(&((diff_box *)lua_touserdata(L, 1))->d);
  return 0;
}

/* core.images_diff(then, now) -> list of {kind = "missing" | "new" | "changed", path = } */
static int images_diff(lua_State *L) {
  static const char *const kinds[] = {"missing", "new", "changed"};
  const inc_images *then = inc_lua_check_images(L, 1), *now = inc_lua_check_images(L, 2);
  diff_box *box = inc_lua_data_box(L, sizeof *box, "inc.imagediff");
  inc_lua_check(L, inc_images_diff(then, now, &box->d));
  lua_createtable(L, (int)box->d.n, 0);
  for (int64_t i = 0; i < box->d.n; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, kinds[box->d.item[i].kind]), lua_setfield(L, -2, "kind");
    lua_pushstring(L, box->d.item[i].path), lua_setfield(L, -2, "path");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* -- module ----------------------------------------------------------------------------------- */

void inc_lua_data_mt(lua_State *L, const char *mt, lua_CFunction gc, const luaL_Reg *methods) {
  luaL_newmetatable(L, mt);
  lua_pushcfunction(L, gc), lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, gc), lua_setfield(L, -2, "__close");
  if (methods) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

void inc_bind_data(lua_State *L) {
  static const luaL_Reg functions[] = {{"images_scan", images_scan},
                                       {"images_load", images_load},
                                       {"images_save", images_save},
                                       {"images_diff", images_diff},
                                       {NULL, NULL}};
  static const luaL_Reg images[] = {{"classes", images_classes},
                                    {"warnings", images_warnings},
                                    {"info", images_info},
                                    {"item", images_item},
                                    {"indices", images_indices},
                                    {"counts", images_counts},
                                    {NULL, NULL}};
  inc_lua_data_mt(L, IMAGES_MT, images_gc, images);
  luaL_getmetatable(L, IMAGES_MT);
  lua_pushcfunction(L, images_text), lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  inc_lua_data_mt(L, "inc.imagediff", diff_gc, NULL);
  luaL_setfuncs(L, functions, 0);
  inc_bind_batches(L);
  inc_bind_picture(L);
}
