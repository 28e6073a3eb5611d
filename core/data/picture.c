/* picture.c -- bytes to upright pixels: recognises the format, guards the size, turns by EXIF.
**
** Boxes are always given in the upright picture, the one that people see; they are carried back to stored
** pixels for the read, so a turned picture costs one copy of the box and no more decoding than another.
*/
#include "base/err.h"
#include "base/mem.h"
#include "data/decode.h"
#include <string.h>

struct inc_decoder {
  const uint8_t *bytes;
  size_t n;
  char name[256];
  inc_picture_info info; /* png, orientation: as stored; w, h: upright */
  int sw, sh;            /* stored, after shrinking */
  int shrink;
  inc_jpeg *jpeg;
  inc_scratch stored, turned;
};

int inc_decoder_new(inc_decoder **out) {
  inc_decoder *d = inc_zalloc(sizeof *d);
  if (!d) return INC_EMEM;
  int code = inc_jpeg_new(&d->jpeg);
  if (code != INC_OK) {
    inc_free(d);
    return code;
  }
  *out = d;
  return INC_OK;
}

void inc_decoder_free(inc_decoder *d) {
  if (!d) return;
  inc_jpeg_free(d->jpeg);
  inc_scratch_free(&d->stored);
  inc_scratch_free(&d->turned);
  inc_free(d);
}

/* Puts the file's name on a failure that the wrappers reported without one. */
static int named(const inc_decoder *d, int code) {
  if (code == INC_OK || inc_error_last()->arg[0]) return code;
  inc_error e = *inc_error_last();
  return inc_fail(code, d->name, "%s", e.text);
}

static int open_any(inc_decoder *d, int *orientation) {
  static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  bool is_png = d->n >= 8 && memcmp(d->bytes, png, 8) == 0;
  bool is_jpeg = d->n >= 3 && d->bytes[0] == 0xFF && d->bytes[1] == 0xD8 && d->bytes[2] == 0xFF;
  if (d->n == 0) return inc_fail(INC_EFORMAT, NULL, "not a JPEG or PNG (the file is empty)");
  if (!is_png && !is_jpeg) return inc_fail(INC_EFORMAT, NULL, "not a JPEG or PNG");
  d->info.png = is_png;
  if (is_png) return inc_png_open(d->bytes, d->n, &d->sw, &d->sh, orientation);
  return inc_jpeg_open(d->jpeg, d->bytes, d->n, &d->sw, &d->sh, orientation);
}

int inc_decoder_open(inc_decoder *d, const void *bytes, size_t n, const char *name, inc_picture_info *out) {
  int orientation = 1;
  d->bytes = bytes, d->n = n;
  strncpy(d->name, name ? name : "", sizeof d->name - 1);
  INC_TRY(named(d, open_any(d, &orientation)));
  if ((int64_t)d->sw * d->sh > INC_MAX_PIXELS)
    return inc_fail(INC_EFORMAT, d->name, "%d x %d pixels: more than %d megapixels", d->sw, d->sh,
                    INC_MAX_PIXELS / 1000000);
  d->info.orientation = orientation;
  d->shrink = 1;
  d->info.w = orientation >= 5 ? d->sh : d->sw;
  d->info.h = orientation >= 5 ? d->sw : d->sh;
  if (out) *out = d->info;
  return INC_OK;
}

void inc_decoder_shrink(inc_decoder *d, int shrink, int *w, int *h) {
  if (!d->info.png) {
    d->shrink = shrink;
    d->sw = (d->sw + shrink - 1) / shrink, d->sh = (d->sh + shrink - 1) / shrink;
    d->info.w = (d->info.w + shrink - 1) / shrink, d->info.h = (d->info.h + shrink - 1) / shrink;
  }
  *w = d->info.w, *h = d->info.h;
}

/* How upright (x, y) reads the stored picture: swap the two, then mirror along stored x, stored y. */
static const struct turn {
  uint8_t swap, mx, my;
} turns[9] = {[1] = {0, 0, 0}, [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1},
              [5] = {1, 0, 0}, [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0}};

/* The stored window -> turned [h, w] pixels. */
static void turn(const inc_window *win, int ww, int wh, struct turn t, int w, int h, uint8_t *dst) {
  const uint8_t *corner = win->px + (t.mx ? (ww - 1) * 4 : 0) + (t.my ? (size_t)(wh - 1) * win->stride : 0);
  ptrdiff_t sx = t.mx ? -4 : 4, sy = t.my ? -(ptrdiff_t)win->stride : (ptrdiff_t)win->stride;
  ptrdiff_t across = t.swap ? sy : sx, down = t.swap ? sx : sy;
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++, dst += 4) memcpy(dst, corner + x * across + y * down, 4);
}

int inc_decoder_box(inc_decoder *d, int x, int y, int w, int h, const uint8_t **px, size_t *stride) {
  struct turn t = turns[d->info.orientation];
  if (x < 0 || y < 0 || w < 1 || h < 1 || x > d->info.w - w || y > d->info.h - h)
    return inc_fail(INC_EARG, d->name, "box %d x %d at %d, %d lies outside the picture of %d x %d", w, h, x,
                    y, d->info.w, d->info.h);
  inc_window win;
  int ww = t.swap ? h : w, wh = t.swap ? w : h, wx = t.swap ? y : x, wy = t.swap ? x : y;
  if (t.mx) wx = d->sw - ww - wx;
  if (t.my) wy = d->sh - wh - wy;
  INC_TRY(named(d, d->info.png ? inc_png_read(d->bytes, d->n, wx, wy, ww, wh, &d->stored, &win)
                               : inc_jpeg_read(d->jpeg, d->shrink, wx, wy, ww, wh, &d->stored, &win)));
  *px = win.px, *stride = win.stride;
  if (d->info.orientation == 1) return INC_OK;
  INC_TRY(inc_scratch_want(&d->turned, (size_t)w * 4 * (size_t)h));
  turn(&win, ww, wh, t, w, h, d->turned.p);
  *px = d->turned.p, *stride = (size_t)w * 4;
  return INC_OK;
}

static int decode_whole(inc_decoder *d, const void *bytes, size_t n, const char *name, inc_picture *out) {
  inc_picture_info info;
  const uint8_t *px;
  size_t stride;
  INC_TRY(inc_decoder_open(d, bytes, n, name, &info));
  INC_TRY(inc_decoder_box(d, 0, 0, info.w, info.h, &px, &stride));
  uint8_t *rgb = inc_alloc((size_t)info.w * 3 * (size_t)info.h), *to = rgb;
  if (!rgb) return INC_EMEM;
  for (int y = 0; y < info.h; y++)
    for (int x = 0; x < info.w; x++, to += 3) memcpy(to, px + (size_t)y * stride + (size_t)x * 4, 3);
  *out = (inc_picture){info.w, info.h, rgb};
  return INC_OK;
}

int inc_picture_decode(const void *bytes, size_t n, const char *name, inc_picture *out) {
  inc_decoder *d;
  INC_TRY(inc_decoder_new(&d));
  int code = decode_whole(d, bytes, n, name, out);
  inc_decoder_free(d);
  return code;
}

int inc_picture_load(const char *path, inc_picture *out) {
  inc_scratch s = {0};
  size_t n;
  int code = inc_file_read(path, 0, -1, &s, &n);
  if (code == INC_OK) code = inc_picture_decode(s.p, n, path, out);
  inc_scratch_free(&s);
  return code;
}

int inc_picture_peek(const void *bytes, size_t n, const char *name, inc_picture_info *out) {
  inc_decoder *d;
  INC_TRY(inc_decoder_new(&d));
  int code = inc_decoder_open(d, bytes, n, name, out);
  inc_decoder_free(d);
  return code;
}

void inc_picture_free(inc_picture *p) {
  inc_free(p->rgb);
  p->rgb = NULL;
}
