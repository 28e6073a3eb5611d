/* png.c -- libpng behind three functions.
**
** Every kind of PNG (grey, palette, transparency, 1 to 16 bits, interlaced) is asked of the library as
** 8-bit RGBA: 16 bits keep their high byte, as TensorFlow does and Pillow does not.  Alpha is then laid over
** white, so that colours hidden under transparent pixels never reach a network.  Gamma and colour profiles
** are ignored, like everywhere in this field.
**
** A PNG cannot be entered in the middle, so a window costs all rows above it; an interlaced one costs the
** whole picture.  The chunk list is walked first: a file that is cut short is found whatever the window.
*/
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/decode.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

typedef struct reader {
  png_structp png;
  png_infop info;
  const uint8_t *at, *end;
  uint8_t *rows; /* one row, or the whole picture when interlaced */
  jmp_buf out;
  int code;
  char why[200];
} reader;

static void on_error(png_structp png, png_const_charp text) {
  reader *r = png_get_error_ptr(png);
  if (r->code == INC_OK) {
    r->code = INC_EFORMAT;
    snprintf(r->why, sizeof r->why, "corrupt PNG (%.150s)", text);
  }
  longjmp(r->out, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static png_voidp on_alloc(png_structp png, png_alloc_size_t n) {
  reader *r = png_get_mem_ptr(png);
  void *p = inc_alloc(n);
  if (!p) {
    r->code = INC_EMEM;
    snprintf(r->why, sizeof r->why, "out of memory: wanted %.1f MiB", (double)n / (1 << 20));
  }
  return p;
}

static void on_free(png_structp png, png_voidp p) {
  (void)png;
  inc_free(p);
}

static void on_read(png_structp png, png_bytep to, size_t n) {
  reader *r = png_get_io_ptr(png);
  if ((size_t)(r->end - r->at) < n) png_error(png, "unexpected end");
  memcpy(to, r->at, n);
  r->at += n;
}

static uint32_t be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int inc_png_open(const uint8_t *b, size_t n, int *w, int *h, int *orientation) {
  if (n < 33) return inc_fail(INC_EFORMAT, NULL, "truncated PNG");
  uint32_t wide = be32(b + 16), high = be32(b + 20);
  if (memcmp(b + 12, "IHDR", 4) != 0 || wide - 1 >= INT32_MAX || high - 1 >= INT32_MAX)
    return inc_fail(INC_EFORMAT, NULL, "corrupt PNG (no valid header)");
  *w = (int)wide, *h = (int)high, *orientation = 1;
  for (size_t at = 8; n - at >= 12;) {
    size_t len = be32(b + at);
    if (len > n - at - 12) break;
    if (memcmp(b + at + 4, "IEND", 4) == 0) return INC_OK;
    if (memcmp(b + at + 4, "eXIf", 4) == 0) *orientation = inc_exif_orientation(b + at + 8, len);
    at += len + 12;
  }
  return inc_fail(INC_EFORMAT, NULL, "truncated PNG");
}

static void ask_rgba(reader *r) {
  png_set_expand(r->png); /* palette to RGB, few bits to 8, tRNS to alpha */
  png_set_strip_16(r->png);
  png_set_gray_to_rgb(r->png);
  png_set_add_alpha(r->png, 0xFF, PNG_FILLER_AFTER);
}

/* [w] RGBA over white. */
static void over_white(const uint8_t *src, int w, uint8_t *dst) {
  for (int i = 0; i < w; i++, src += 4, dst += 4) {
    unsigned a = src[3];
    for (int c = 0; c < 3; c++) dst[c] = (uint8_t)((src[c] * a + 255 * (255 - a) + 127) / 255);
    dst[3] = 255;
  }
}

static void read_all(reader *r, int x, int y, int w, int h, uint8_t *dst) {
  png_read_info(r->png, r->info);
  int passes = png_set_interlace_handling(r->png), wide = (int)png_get_image_width(r->png, r->info);
  int high = (int)png_get_image_height(r->png, r->info), keep = passes > 1 ? high : 1;
  ask_rgba(r);
  png_read_update_info(r->png, r->info);
  size_t row = (size_t)wide * 4;
  r->rows = png_malloc(r->png, row * (size_t)keep); /* does not return on failure */
  for (int pass = 0; pass < passes; pass++)
    for (int i = 0; i < (passes > 1 ? high : y + h); i++) {
      uint8_t *p = r->rows + row * (size_t)(passes > 1 ? i : 0);
      png_read_row(r->png, p, NULL);
      if (pass == passes - 1 && i >= y && i < y + h) {
        over_white(p + (size_t)x * 4, w, dst);
        dst += (size_t)w * 4;
      }
    }
}

int inc_png_read(const uint8_t *bytes, size_t n, int x, int y, int w, int h, inc_scratch *s,
                 inc_window *out) {
  reader r = {.at = bytes, .end = bytes + n};
  INC_TRY(inc_scratch_want(s, (size_t)w * 4 * (size_t)h));
  r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, &r, on_alloc, on_free);
  if (!r.png)
    return r.code ? r.code : inc_fail(INC_EMEM, NULL, "libpng %s cannot start", PNG_LIBPNG_VER_STRING);
  if (!setjmp(r.out)) {
    r.info = png_create_info_struct(r.png);
    if (!r.info) png_error(r.png, "out of memory");
    png_set_read_fn(r.png, &r, on_read);
    png_set_user_limits(r.png, INT32_MAX, INT32_MAX); /* picture.c has looked at the area */
    read_all(&r, x, y, w, h, s->p);
  }
  png_free(r.png, r.rows);
  png_destroy_read_struct(&r.png, &r.info, NULL);
  out->px = s->p, out->stride = (size_t)w * 4;
  return r.code ? inc_fail(r.code, NULL, "%s", r.why) : INC_OK;
}

/* -- Writing ---------------------------------------------------------------------------------- */

typedef struct writer {
  png_structp png;
  png_infop info;
  uint8_t *p;
  size_t n, cap;
  jmp_buf out;
  int code;
} writer;

static void on_write_error(png_structp png, png_const_charp text) {
  writer *w = png_get_error_ptr(png);
  if (w->code == INC_OK) w->code = inc_fail(INC_EMEM, NULL, "cannot make a PNG: %s", text);
  longjmp(w->out, 1);
}

static void on_write(png_structp png, png_bytep from, size_t n) {
  writer *w = png_get_io_ptr(png);
  if (w->n + n > w->cap) {
    size_t cap = (w->n + n) * 2;
    uint8_t *p = inc_realloc(w->p, w->cap, cap);
    if (!p) png_error(png, "out of memory");
    w->p = p, w->cap = cap;
  }
  memcpy(w->p + w->n, from, n);
  w->n += n;
}

static void on_flush(png_structp png) { (void)png; }

int inc_png_save(const char *path, const uint8_t *rgb, int w, int h) {
  writer o = {0};
  o.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &o, on_write_error, on_warning);
  if (!o.png) return inc_fail(INC_EMEM, path, "libpng %s cannot start", PNG_LIBPNG_VER_STRING);
  if (!setjmp(o.out)) {
    o.info = png_create_info_struct(o.png);
    if (!o.info) png_error(o.png, "out of memory");
    png_set_write_fn(o.png, &o, on_write, on_flush);
    png_set_IHDR(o.png, o.info, (png_uint_32)w, (png_uint_32)h, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(o.png, o.info);
    for (int y = 0; y < h; y++) png_write_row(o.png, rgb + (size_t)y * (size_t)w * 3);
    png_write_end(o.png, NULL);
  }
  png_destroy_write_struct(&o.png, &o.info);
  int code = o.code ? o.code : inc_file_replace(path, o.p, o.n);
  inc_free(o.p);
  return code;
}
