/* decode.h -- what the files of core/data share and nobody else sees: scratch memory, whole files, the
** decoder's insides, and the two format wrappers.
**
** The wrappers (jpeg.c, png.c) speak of stored pixels; picture.c turns them upright.  Both wrappers write
** 4 bytes a pixel (R G B and one byte that means nothing): vectors like fours, and libjpeg-turbo makes that
** layout at no extra cost.
*/
#ifndef INC_DECODE_H
#define INC_DECODE_H

#include "data/data.h"

/* Memory that grows and is kept.  Contents do not survive growth. */
typedef struct inc_scratch {
  uint8_t *p;
  size_t cap;
} inc_scratch;

int inc_scratch_want(inc_scratch *s, size_t n);
void inc_scratch_free(inc_scratch *s);

/* `length` bytes at `offset` of a regular file; length -1: the rest of it.  *n: bytes read. */
int inc_file_read(const char *path, int64_t offset, int64_t length, inc_scratch *s, size_t *n);

/* Orientation 1..8 of a TIFF block as EXIF carries it; 1 where it says nothing usable. */
int inc_exif_orientation(const uint8_t *tiff, size_t n);

/* A rectangle of stored pixels after a read. */
typedef struct inc_window {
  uint8_t *px;   /* top left of the rectangle asked for */
  size_t stride; /* bytes from row to row */
} inc_window;

typedef struct inc_jpeg inc_jpeg;
int inc_jpeg_new(inc_jpeg **out);
void inc_jpeg_free(inc_jpeg *j);
int inc_jpeg_open(inc_jpeg *j, const uint8_t *bytes, size_t n, int *w, int *h, int *orientation);
/* In pixels of the picture made 1/shrink as large (1, 2, 4, 8; sides rounded up) inside the transform. */
int inc_jpeg_read(inc_jpeg *j, int shrink, int x, int y, int w, int h, inc_scratch *s, inc_window *out);

int inc_png_open(const uint8_t *bytes, size_t n, int *w, int *h, int *orientation);
int inc_png_read(const uint8_t *bytes, size_t n, int x, int y, int w, int h, inc_scratch *s, inc_window *out);

#endif
