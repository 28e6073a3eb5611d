/* picture.c -- single pictures for Lua: files to tensors and back, and what a loader would make of one.
**
** A picture is a u8 tensor [3, H, W] whose memory keeps the decoder's order (H, W, 3); only the strides
** say so.
*/
#include "bind/bind.h"
#include "bind/data.h"
#include "data/paint.h"
#include <string.h>

#define DECODED_MT "inc.decoded"
#define TEXT_MT    "inc.text_box"

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
  inc_picture *p = inc_lua_data_box(L, sizeof *p, DECODED_MT);
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

/* core.image_view(picture[, transform and seed = , epoch = , number = ]) -> u8 [3, S, S]: what a loader
** makes of it */
static int image_view(lua_State *L) {
  static const char op[] = "image_view";
  inc_transform t;
  int w, h;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) lua_newtable(L), lua_replace(L, 2);
  luaL_checktype(L, 2, LUA_TTABLE);
  inc_lua_read_transform(L, 2, &t);
  uint64_t seed = (uint64_t)inc_lua_opt_int(L, 2, op, "seed", 1);
  uint32_t epoch = (uint32_t)(inc_lua_opt_int(L, 2, op, "epoch", 1) - 1),
           number = (uint32_t)(inc_lua_opt_int(L, 2, op, "number", 1) - 1);
  const uint8_t *rgb = check_picture(L, 1, op, &w, &h);
  uint8_t *out = lua_newuserdatauv(L, (size_t)t.size * (size_t)t.size * 3, 0);
  viewer_box *box = inc_lua_data_box(L, sizeof *box, "inc.viewer");
  inc_lua_check(L, inc_viewer_new(&box->v));
  inc_lua_check(L, inc_viewer_pixels(box->v, &t, rgb, w, h, seed, epoch, number, out));
  push_pixels(L, out, t.size, t.size);
  return 1;
}

/* -- for terminals and contact sheets ------------------------------------------------------------------- */

typedef struct text_box {
  inc_text text;
} text_box;

static int text_gc(lua_State *L) {
  text_box *box = lua_touserdata(L, 1);
  inc_text_free(&box->text);
  memset(box, 0, sizeof *box);
  return 0;
}

static int push_text(lua_State *L, text_box *box, int code) {
  inc_lua_check(L, code ? code : inc_text_done(&box->text));
  lua_pushlstring(L, box->text.s ? box->text.s : "", box->text.n);
  inc_text_free(&box->text);
  memset(box, 0, sizeof *box);
  return 1;
}

/* core.image_sixel(picture) -> a string that a terminal with sixels shows as the picture */
static int image_sixel(lua_State *L) {
  int w, h;
  const uint8_t *rgb = check_picture(L, 1, "image_sixel", &w, &h);
  text_box *box = inc_lua_data_box(L, sizeof *box, TEXT_MT);
  return push_text(L, box, inc_sixel(rgb, w, h, &box->text));
}

/* core.image_bytes(picture) -> its pixels, rows of RGB, as a string */
static int image_bytes(lua_State *L) {
  int w, h;
  const uint8_t *rgb = check_picture(L, 1, "image_bytes", &w, &h);
  lua_pushlstring(L, (const char *)rgb, 3 * (size_t)w * (size_t)h);
  return 1;
}

/* core.base64(string) -> string */
static int base64(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  text_box *box = inc_lua_data_box(L, sizeof *box, TEXT_MT);
  inc_base64((const uint8_t *)bytes, n, &box->text);
  return push_text(L, box, INC_OK);
}

static int check_small(lua_State *L, int idx) {
  lua_Integer v = luaL_checkinteger(L, idx);
  luaL_argcheck(L, v >= -65536 && v <= 65536, idx, "out of range");
  return (int)v;
}

/* core.image_text(picture, x, y, text, scale[, r, g, b]) -> a copy with the text on it; x, y from 1 */
static int image_text(lua_State *L) {
  int w, h, x = check_small(L, 2), y = check_small(L, 3), scale = check_small(L, 5);
  const char *text = luaL_checkstring(L, 4);
  uint8_t colour[3];
  for (int c = 0; c < 3; c++) colour[c] = (uint8_t)luaL_optinteger(L, 6 + c, 0);
  uint8_t *rgb = check_picture(L, 1, "image_text", &w, &h);
  inc_paint_text(rgb, w, h, x - 1, y - 1, text, scale, colour);
  push_pixels(L, rgb, w, h);
  return 1;
}

void inc_bind_picture(lua_State *L) {
  static const luaL_Reg functions[] = {{"image", image},
                                       {"image_save", image_save},
                                       {"image_view", image_view},
                                       {"image_sixel", image_sixel},
                                       {"image_bytes", image_bytes},
                                       {"image_text", image_text},
                                       {"base64", base64},
                                       {NULL, NULL}};
  inc_lua_data_mt(L, TEXT_MT, text_gc, NULL);
  inc_lua_data_mt(L, DECODED_MT, decoded_gc, NULL);
  inc_lua_data_mt(L, "inc.viewer", viewer_gc, NULL);
  luaL_setfuncs(L, functions, 0);
}
