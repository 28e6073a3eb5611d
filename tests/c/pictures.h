/* pictures.h -- makes odd and hostile pictures at test time, so that none need to be kept.
** Pixels come from a function of (x, y); every knob that a camera, a scanner or an old program may have
** turned is an option.  The bytes grow in a buffer that the next call reuses. */
#ifndef PICTURES_H
#define PICTURES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

typedef struct pic_opts {
  int w, h, comps; /* comps: 1 grey, 3 RGB, 4 CMYK */
  int hs, vs;      /* JPEG: luma sampling against chroma, default 1 x 1 */
  int quality;     /* JPEG: default 95 */
  int progressive, restart, ycck, no_adobe, orientation;
  int png_type, png_bits, interlaced,
      trns; /* PNG: PNG_COLOR_TYPE_*, bits a sample; trns: make value `trns` see-through */
  void (*pixel)(int x, int y, uint8_t *p); /* up to 4 samples */
} pic_opts;

typedef struct pic {
  uint8_t b[4 << 20];
  size_t n;
} pic;

static pic pic_out;

/* Smooth colours with an edge: neither trivial to code nor only noise. */
static inline void pic_scene(int x, int y, uint8_t *p) {
  p[0] = (uint8_t)(x * 3 + y);
  p[1] = (uint8_t)(((x / 9 + y / 7) & 1) * 120 + x);
  p[2] = (uint8_t)(200 - y + (x * y) % 23);
  p[3] = (uint8_t)(x * 5);
}

/* A TIFF block with one entry, the orientation; returns its length. */
static inline size_t pic_exif(int orientation, int big, uint8_t *p) {
  static const uint8_t le[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3,
                               0,   1,   0,  0, 0, 0, 0, 0, 0, 0, 0,    0, 0};
  static const uint8_t be[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0,
                               3,   0,   0, 0,  1, 0, 0, 0, 0, 0, 0, 0,    0};
  memcpy(p, big ? be : le, sizeof le);
  p[big ? 19 : 18] = (uint8_t)orientation;
  return sizeof le;
}

static inline pic *pic_jpeg(const pic_opts *o) {
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr err;
  unsigned char *mem = NULL;
  unsigned long n = 0;
  uint8_t exif[64] = "Exif\0", *row = malloc((size_t)o->w * 4 + 4);
  c.err = jpeg_std_error(&err);
  jpeg_create_compress(&c);
  jpeg_mem_dest(&c, &mem, &n);
  c.image_width = (JDIMENSION)o->w, c.image_height = (JDIMENSION)o->h, c.input_components = o->comps;
  c.in_color_space = o->comps == 1 ? JCS_GRAYSCALE : o->comps == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&c);
  if (o->ycck) jpeg_set_colorspace(&c, JCS_YCCK);
  jpeg_set_quality(&c, o->quality ? o->quality : 95, TRUE);
  if (o->hs) c.comp_info[0].h_samp_factor = o->hs, c.comp_info[0].v_samp_factor = o->vs;
  if (o->progressive) jpeg_simple_progression(&c);
  if (o->no_adobe) c.write_Adobe_marker = FALSE;
  c.restart_in_rows = o->restart;
  jpeg_start_compress(&c, TRUE);
  if (o->orientation)
    jpeg_write_marker(&c, JPEG_APP0 + 1, exif,
                      6 + (unsigned)pic_exif(o->orientation, o->orientation & 1, exif + 6));
  for (int y = 0; y < o->h; y++) {
    for (int x = 0; x < o->w; x++) {
      uint8_t px[4];
      (o->pixel ? o->pixel : pic_scene)(x, y, px);
      memcpy(row + (size_t)x * (size_t)o->comps, px, (size_t)o->comps);
    }
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  pic_out.n = n;
  memcpy(pic_out.b, mem, n);
  free(mem);
  free(row);
  return &pic_out;
}

static inline void pic_append(png_structp png, png_bytep p, size_t n) {
  (void)png;
  memcpy(pic_out.b + pic_out.n, p, n);
  pic_out.n += n;
}

static inline void pic_flush(png_structp png) { (void)png; }

/* Palette PNGs: pixel's p[0] is the index into 4 fixed colours: red, green, blue, white. */
static inline pic *pic_png(const pic_opts *o) {
  static png_color pal[4] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
  static uint8_t alpha[4] = {255, 0, 128, 255};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  int bits = o->png_bits ? o->png_bits : 8,
      comps = o->png_type == PNG_COLOR_TYPE_PALETTE
                  ? 1
                  : ((o->png_type & 2) ? 3 : 1) + ((o->png_type & 4) ? 1 : 0);
  uint8_t exif[64];
  png_bytep *rows = malloc(sizeof *rows * (size_t)o->h);
  pic_out.n = 0;
  png_set_write_fn(png, NULL, pic_append, pic_flush);
  png_set_IHDR(png, info, (png_uint_32)o->w, (png_uint_32)o->h, bits, o->png_type,
               o->interlaced ? PNG_INTERLACE_ADAM7 : 0, 0, 0);
  if (o->png_type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, pal, 4);
  if (o->png_type == PNG_COLOR_TYPE_PALETTE && o->trns) png_set_tRNS(png, info, alpha, 4, NULL);
  if (o->png_type == PNG_COLOR_TYPE_GRAY && o->trns)
    png_set_tRNS(png, info, NULL, 1, &(png_color_16){.gray = (png_uint_16)o->trns});
  if (o->orientation) png_set_eXIf_1(png, info, (png_uint_32)pic_exif(o->orientation, 1, exif), exif);
  png_write_info(png, info);
  if (bits < 8) png_set_packing(png);
  for (int y = 0; y < o->h; y++) {
    uint8_t *r = rows[y] = malloc((size_t)o->w * 8), px[8];
    for (int x = 0; x < o->w; x++, r += comps * (bits == 16 ? 2 : 1)) {
      (o->pixel ? o->pixel : pic_scene)(x, y, px);
      memcpy(r, px, (size_t)(comps * (bits == 16 ? 2 : 1)));
    }
  }
  png_write_image(png, rows);
  png_write_end(png, info);
  for (int y = 0; y < o->h; y++) free(rows[y]);
  free(rows);
  png_destroy_write_struct(&png, &info);
  return &pic_out;
}

static inline void pic_save(const char *path, const void *b, size_t n) {
  FILE *f = fopen(path, "wb");
  if (!f) return;
  fwrite(b, 1, n, f);
  fclose(f);
}

#endif
