/* data.c -- picture lists, loaders and single pictures for Lua.
**
** Boxes hold one pointer each: "inc.images" a reference to a list, "inc.loader" a loader, which ends its
** threads when it is closed or collected.  A batch is copied out of the ring into a tensor of its own: one
** copy of a few megabytes, and no tensor at the prompt can hold the ring up.  lua/inc/data.lua makes the
** friendly objects; here indices of pictures already count from 1.
*/
#include "bind/data.h"
#include "base/mem.h"
#include "bind/bind.h"
#include <stdlib.h>
#include <string.h>

#define IMAGES_MT  "inc.images"
#define LOADER_MT  "inc.loader"
#define DECODED_MT "inc.decoded"

static void *new_box(lua_State *L, size_t n, const char *mt) {
  void *box = lua_newuserdatauv(L, n, 0);
  memset(box, 0, n);
  luaL_setmetatable(L, mt);
  return box;
}

static void *check_box(lua_State *L, int idx, const char *mt, const char *op, const char *expected) {
  void **box = luaL_testudata(L, idx, mt);
  if (!box) inc_lua_fail(L, op, INC_EARG, NULL, "expected %s, got %s", expected, luaL_typename(L, idx));
  if (!*box) inc_lua_fail(L, op, INC_ESTATE, NULL, "%s that is closed", expected);
  return *box;
}

inc_images *inc_lua_check_images(lua_State *L, int idx) {
  return check_box(L, idx, IMAGES_MT, "data", "a list of pictures");
}

static void push_strings(lua_State *L, char *const *list, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, list[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* -- options -----------------------------------------------------------------------------------------------
 */

static int64_t opt_int(lua_State *L, int idx, const char *op, const char *key, int64_t standard) {
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

static bool opt_bool(lua_State *L, int idx, const char *key, bool standard) {
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
  t->antialias = opt_bool(L, idx, "antialias", t->antialias);
  t->flip = opt_bool(L, idx, "flip", t->flip);
  t->colour = opt_bool(L, idx, "colour", t->colour);
  opt_range(L, idx, op, "area", t->area);
  opt_range(L, idx, op, "aspect", t->aspect);
  opt_filter(L, idx, op, t);
  int64_t side = opt_int(L, idx, op, "short_side", 0);
  if (side) t->geometry = INC_GEOM_SHORT_SIDE, t->short_side = (int)side;
  t->crops = (int)opt_int(L, idx, op, "crops", 1);
  t->crop = (int)opt_int(L, idx, op, "crop_index", 1) - 1;
}

void inc_lua_read_transform(lua_State *L, int idx, inc_transform *t) {
  static const char op[] = "data";
  bool given = lua_istable(L, idx);
  const char *view = "eval";
  int size = given ? (int)opt_int(L, idx, op, "size", 299) : 299;
  if (given && lua_getfield(L, idx, "augment") != LUA_TNIL) view = luaL_tolstring(L, -1, NULL);
  int code = inc_transform_init(t, view, size);
  if (code == INC_OK && given) {
    read_transform(L, idx, op, t);
    code = inc_transform_check(t);
  }
  if (code != INC_OK) inc_error_op(op);
  inc_lua_check(L, code);
}

/* -- lists of pictures
 * ---------------------------------------------------------------------------------------- */

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
    o.seed = (uint64_t)opt_int(L, 2, op, "seed", 0);
    o.workers = (int)opt_int(L, 2, op, "workers", 0);
    o.decode = opt_bool(L, 2, "decode", false);
    read_classes(L, 2, &o);
  }
  inc_images **box = new_box(L, sizeof *box, IMAGES_MT);
  int code = inc_images_scan(folder, &o, box);
  if (code != INC_OK) inc_error_op(op);
  inc_lua_check(L, code);
  return 1;
}

/* core.images_load(file): the list that a run keeps. */
static int images_load(lua_State *L) {
  const char *file = luaL_checkstring(L, 1);
  inc_images **box = new_box(L, sizeof *box, IMAGES_MT);
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

static int part_of(lua_State *L, int idx, const char *op) {
  const char *name = luaL_checkstring(L, idx);
  for (int p = 0; p < INC_PARTS; p++)
    if (strcmp(name, inc_part_name(p)) == 0) return p;
  if (strcmp(name, "all") == 0) return -1;
  return inc_lua_fail(L, op, INC_EARG, "part", "expected train, val, bad or all, got %s", name);
}

/* images:indices(part) -> list of item numbers; "all": train and val */
static int images_indices(lua_State *L) {
  const inc_images *im = inc_lua_check_images(L, 1);
  int part = part_of(L, 2, "indices"), n = 0;
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
  int part = part_of(L, 2, "counts");
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
  diff_box *box = new_box(L, sizeof *box, "inc.imagediff");
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

/* -- loaders
 * -------------------------------------------------------------------------------------------------- */

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
  o.part = part_of(L, -1, op);
  o.train = opt_bool(L, 2, "train", o.part == INC_PART_TRAIN);
  o.batch = (int)opt_int(L, 2, op, "batch", 32);
  o.seed = (uint64_t)opt_int(L, 2, op, "seed", 1);
  o.workers = (int)opt_int(L, 2, op, "workers", 0);
  o.epoch = opt_int(L, 2, op, "epoch", 1) - 1;
  o.index = opt_int(L, 2, op, "index", 1) - 1;
  o.epochs = opt_int(L, 2, op, "epochs", 0);
  lua_getfield(L, 2, "bad");
  o.bad_stop = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "stop") == 0;
  inc_lua_read_transform(L, 2, &o.transform);
  inc_loader **box = new_box(L, sizeof *box, LOADER_MT);
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
  inc_loader *l = check_box(L, 1, LOADER_MT, "batches", "a loader");
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
  const inc_loader *l = check_box(L, 1, LOADER_MT, "bad", "a loader");
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
  inc_loader_stats_get(check_box(L, 1, LOADER_MT, "stats", "a loader"), &s);
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
  return lua_pushinteger(L, inc_loader_batches(check_box(L, 1, LOADER_MT, "batches", "a loader"))), 1;
}

/* -- single pictures
 * -------------------------------------------------------------------------------------------- */

static int decoded_gc(lua_State *L) {
  inc_picture_free(lua_touserdata(L, 1));
  return 0;
}

/* Pixels [h, w, 3] in a new tensor of shape [3, h, w]: the memory order stays, only the strides say so. */
static void push_pixels(lua_State *L, const uint8_t *rgb, int w, int h) {
  inc_spec s = inc_spec_new(INC_U8, 3, (int64_t[]){3, h, w});
  s.strides[0] = 1, s.strides[1] = 3 * (int64_t)w, s.strides[2] = 3;
  inc_tensor **box = inc_lua_new_box(L);
  inc_lua_check(L, inc_tensor_new(&s, box));
  memcpy(inc_tensor_data(*box), rgb, (size_t)inc_spec_numel(&s));
  inc_lua_account(L, (size_t)inc_spec_numel(&s));
}

static int image(lua_State *L) {
  if (lua_istable(L, 1)) lua_rawgeti(L, 1, 1), lua_replace(L, 1);
  if (lua_type(L, 1) != LUA_TSTRING)
    return inc_lua_fail(L, "image", INC_EARG, NULL, "expected a file, got %s", luaL_typename(L, 1));
  inc_picture *p = new_box(L, sizeof *p, DECODED_MT);
  int code = inc_picture_load(lua_tostring(L, 1), p);
  if (code != INC_OK) inc_error_op("image");
  inc_lua_check(L, code);
  push_pixels(L, p->rgb, p->w, p->h);
  inc_picture_free(p);
  return 1;
}

/* A picture tensor u8 [3, H, W] of any strides into out [H, W, 3]. */
static void gather(const inc_tensor *t, uint8_t *out) {
  const uint8_t *from = inc_tensor_data(t);
  const int64_t *n = t->spec.shape, *s = t->spec.strides;
  for (int64_t y = 0; y < n[1]; y++)
    for (int64_t x = 0; x < n[2]; x++)
      for (int64_t c = 0; c < 3; c++) *out++ = from[c * s[0] + y * s[1] + x * s[2]];
}

/* The picture at idx as packed pixels, in memory that Lua owns (pushed). */
static uint8_t *check_picture(lua_State *L, int idx, const char *op, int *w, int *h) {
  inc_tensor *t = inc_lua_check_tensor(L, idx, op, "picture");
  char shape[96];
  if (t->spec.dtype != INC_U8 || t->spec.ndim != 3 || t->spec.shape[0] != 3 ||
      inc_spec_numel(&t->spec) == 0 || !t->buf)
    inc_lua_fail(L, op, INC_EARG, "picture", "expected a u8 tensor [3, H, W], got %s %s",
                 inc_dtype_name(t->spec.dtype),
                 inc_shape_text(t->spec.ndim, t->spec.shape, shape, sizeof shape));
  *w = (int)t->spec.shape[2], *h = (int)t->spec.shape[1];
  uint8_t *rgb = lua_newuserdatauv(L, (size_t)inc_spec_numel(&t->spec), 0);
  gather(t, rgb);
  return rgb;
}

/* core.image_save(path, picture): PNG */
static int image_save(lua_State *L) {
  int w, h;
  const char *path = luaL_checkstring(L, 1);
  uint8_t *rgb = check_picture(L, 2, "image_save", &w, &h);
  inc_lua_check(L, inc_png_save(path, rgb, w, h));
  return 0;
}

typedef struct viewer_box {
  inc_viewer *v;
} viewer_box;

static int viewer_gc(lua_State *L) {
  viewer_box *box = lua_touserdata(L, 1);
  inc_viewer_free(box->v);
  box->v = NULL;
  return 0;
}

/* core.image_view(picture[, transform and seed = , epoch = , number = ]) -> u8 [3, S, S]: what a loader makes
 * of it */
static int image_view(lua_State *L) {
  static const char op[] = "image_view";
  inc_transform t;
  int w, h;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) lua_newtable(L), lua_replace(L, 2);
  luaL_checktype(L, 2, LUA_TTABLE);
  inc_lua_read_transform(L, 2, &t);
  uint64_t seed = (uint64_t)opt_int(L, 2, op, "seed", 1);
  uint32_t epoch = (uint32_t)(opt_int(L, 2, op, "epoch", 1) - 1),
           number = (uint32_t)(opt_int(L, 2, op, "number", 1) - 1);
  const uint8_t *rgb = check_picture(L, 1, op, &w, &h);
  uint8_t *out = lua_newuserdatauv(L, (size_t)t.size * (size_t)t.size * 3, 0);
  viewer_box *box = new_box(L, sizeof *box, "inc.viewer");
  inc_lua_check(L, inc_viewer_new(&box->v));
  inc_lua_check(L, inc_viewer_pixels(box->v, &t, rgb, w, h, seed, epoch, number, out));
  push_pixels(L, out, t.size, t.size);
  return 1;
}

/* -- module
 * ---------------------------------------------------------------------------------------------------- */

static void make_mt(lua_State *L, const char *mt, lua_CFunction gc, const luaL_Reg *methods) {
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
  static const luaL_Reg functions[] = {
      {"images_scan", images_scan}, {"images_load", images_load}, {"images_save", images_save},
      {"images_diff", images_diff}, {"loader", loader_new},       {"image", image},
      {"image_save", image_save},   {"image_view", image_view},   {NULL, NULL}};
  static const luaL_Reg images[] = {{"classes", images_classes},
                                    {"warnings", images_warnings},
                                    {"info", images_info},
                                    {"item", images_item},
                                    {"indices", images_indices},
                                    {"counts", images_counts},
                                    {NULL, NULL}};
  static const luaL_Reg loaders[] = {{"next", loader_next},       {"bad", loader_bad},
                                     {"stats", loader_stats},     {"close", loader_close},
                                     {"batches", loader_batches}, {NULL, NULL}};
  make_mt(L, IMAGES_MT, images_gc, images);
  make_mt(L, LOADER_MT, loader_close, loaders);
  make_mt(L, DECODED_MT, decoded_gc, NULL);
  make_mt(L, "inc.imagediff", diff_gc, NULL);
  make_mt(L, "inc.viewer", viewer_gc, NULL);
  luaL_setfuncs(L, functions, 0);
}
