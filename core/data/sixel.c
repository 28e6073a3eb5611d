/* sixel.c -- pictures as text: the DEC sixel format, and base64.
**
** Sixels are columns of six dots in one colour; a band of six rows is written once for each colour in it.  The
** palette is fixed (6 reds, 8 greens, 5 blues, about as the eye tells them apart), and what a pixel loses is
** given to its neighbours (Floyd and Steinberg), which keeps photographs free of contours.  A palette fitted
** to the picture was rejected: it looks little better at a thumbnail's size and costs a second pass.
*/
#include "base/err.h"
#include "base/mem.h"
#include "data/paint.h"
#include <stdio.h>
#include <string.h>

enum { REDS = 6, GREENS = 8, BLUES = 5, COLOURS = REDS * GREENS * BLUES, BAND = 6 };

static const int levels[3] = {REDS, GREENS, BLUES};

static int clamp(int v, int high) { return v < 0 ? 0 : v > high ? high : v; }

/* The level nearest to a value of a channel, and the value that it shows. */
static int level_of(int value, int channel) {
  return (clamp(value, 255) * (levels[channel] - 1) + 127) / 255;
}
static int shown(int level, int channel) { return level * 255 / (levels[channel] - 1); }

/* One row of colour numbers; `here` and `below` hold the error carried in, [w + 2, 3], sixteenths. */
static void quantise_row(const uint8_t *rgb, int w, int *here, int *below, uint8_t *index) {
  memset(below, 0, sizeof *below * 3 * ((size_t)w + 2));
  for (int x = 0; x < w; x++) {
    int number = 0;
    for (int c = 0; c < 3; c++) {
      int at = 3 * (x + 1) + c, value = rgb[3 * x + c] + here[at] / 16;
      int level = level_of(value, c), left = clamp(value, 255) - shown(level, c);
      here[at + 3] += 7 * left;
      below[at - 3] += 3 * left, below[at] += 5 * left, below[at + 3] += left;
      number = number * levels[c] + level;
    }
    index[x] = (uint8_t)number;
  }
}

static void put_run(inc_text *out, int bits, int n) {
  char c = (char)('?' + bits);
  if (n > 3) {
    inc_text_format(out, "!%d", n);
    n = 1;
  }
  while (n-- > 0) inc_text_add(out, &c, 1);
}

/* All columns of one colour in a band of `rows` rows. */
static void put_colour(inc_text *out, const uint8_t *index, int w, int rows, int colour) {
  int run = 0, bits = 0;
  inc_text_format(out, "#%d", colour);
  for (int x = 0; x < w; x++) {
    int now = 0;
    for (int j = 0; j < rows; j++) now |= (index[j * w + x] == colour) << j;
    if (now != bits && run) put_run(out, bits, run), run = 0;
    bits = now;
    run++;
  }
  if (bits) put_run(out, bits, run);
}

static void put_band(inc_text *out, const uint8_t *index, int w, int rows) {
  uint8_t used[COLOURS] = {0};
  int first = 1;
  for (int i = 0; i < w * rows; i++) used[index[i]] = 1;
  for (int c = 0; c < COLOURS; c++) {
    if (!used[c]) continue;
    if (!first) inc_text_put(out, "$");
    first = 0;
    put_colour(out, index, w, rows, c);
  }
  inc_text_put(out, "-");
}

static void put_palette(inc_text *out) {
  for (int i = 0; i < COLOURS; i++) {
    int b = i % BLUES, g = i / BLUES % GREENS, r = i / BLUES / GREENS;
    inc_text_format(out, "#%d;2;%d;%d;%d", i, r * 100 / (REDS - 1), g * 100 / (GREENS - 1),
                    b * 100 / (BLUES - 1));
  }
}

int inc_sixel(const uint8_t *rgb, int w, int h, inc_text *out) {
  size_t row = 3 * ((size_t)w + 2);
  int *errors = inc_zalloc(2 * row * sizeof *errors), *here = errors, *below = errors ? errors + row : NULL;
  uint8_t *index = errors ? inc_alloc(BAND * (size_t)w) : NULL;
  if (!index) {
    inc_free(errors);
    return INC_EMEM;
  }
  inc_text_format(out, "\033Pq\"1;1;%d;%d", w, h);
  put_palette(out);
  for (int y = 0; y < h; y += BAND) {
    int rows = h - y < BAND ? h - y : BAND;
    for (int j = 0; j < rows; j++) {
      quantise_row(rgb + 3 * (size_t)(y + j) * (size_t)w, w, here, below, index + j * w);
      int *swap = here;
      here = below, below = swap;
    }
    put_band(out, index, w, rows);
  }
  inc_text_put(out, "\033\\");
  inc_free(index);
  inc_free(errors);
  return inc_text_done(out);
}

void inc_base64(const uint8_t *bytes, size_t n, inc_text *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < n; i += 3) {
    uint32_t v = (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) |
                 (i + 2 < n ? bytes[i + 2] : 0);
    char four[4] = {digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63], digits[v & 63]};
    if (i + 1 >= n) four[2] = '=';
    if (i + 2 >= n) four[3] = '=';
    inc_text_add(out, four, 4);
  }
}
