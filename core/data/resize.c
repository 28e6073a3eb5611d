/* resize.c -- weights of a filter, and the two passes over pixels.
**
** Half-pixel centres: output i looks at from + (i + 1/2) length / n.  With antialias a filter widens by
** the shrinking factor, as Pillow's do; without, bilinear and bicubic look at 2 and 4 pixels whatever the
** factor, as TensorFlow's do.  Area means are exact in both directions.  Weights are rounded to 14 bits
** such that they sum to one, so a flat picture stays flat to the bit.
**
** Down the columns first, then across: the first pass runs along whole rows and is nearly free, and the
** second, which has to pick pixels apart, runs only once for each output row.
*/
#include "data/resize.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

enum { ONE = 1 << PX_WEIGHT_BITS, MAX_TAPS = 1 << 16 };

static double cubic(double x) { /* Keys, a = -1/2 */
  x = fabs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static double triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

/* Overlap of pixel [p, p + 1) with [a, b). */
static double overlap(double p, double a, double b) { return fmax(0, fmin(p + 1, b) - fmax(p, a)); }

typedef struct filter {
  int method;
  double step;  /* source pixels for each output */
  double widen; /* of the kernel */
  double reach; /* half its width */
} filter;

static filter make_filter(const inc_axis *a, int method, bool antialias) {
  filter f = {method, a->length / a->n, 1, 0};
  if (antialias && f.step > 1) f.widen = f.step;
  f.reach = method == INC_RESIZE_BICUBIC ? 2 * f.widen : method == INC_RESIZE_BILINEAR ? f.widen : f.step / 2;
  return f;
}

static int clip(double v, int lo, int hi) { return v < lo ? lo : v > hi ? hi : (int)v; }

/* Source pixels [*lo, *hi) of output i; never empty. */
static void span(const filter *f, const inc_axis *a, int i, int *lo, int *hi) {
  double centre = a->from + (i + 0.5) * f->step;
  if (f->method == INC_RESIZE_NEAREST) {
    *lo = clip(floor(centre), a->first, a->limit - 1), *hi = *lo + 1;
  } else if (f->method == INC_RESIZE_AREA) {
    *lo = clip(floor(centre - f->reach + 1e-9), a->first, a->limit - 1);
    *hi = clip(ceil(centre + f->reach - 1e-9), *lo + 1, a->limit);
  } else {
    *lo = clip(floor(centre - f->reach + 0.5), a->first, a->limit - 1);
    *hi = clip(floor(centre + f->reach + 0.5), *lo + 1, a->limit);
  }
}

static double weight(const filter *f, double centre, int p) {
  switch (f->method) {
  case INC_RESIZE_NEAREST:
    return 1;
  case INC_RESIZE_AREA:
    return overlap(p, centre - f->reach, centre + f->reach);
  case INC_RESIZE_BICUBIC:
    return cubic((p + 0.5 - centre) / f->widen);
  default:
    return triangle((p + 0.5 - centre) / f->widen);
  }
}

/* Weights of source pixels [lo, hi) to fixed point.  The running sum is what gets rounded, so they sum to ONE
** and no error piles up however many there are. */
static void fixed(const filter *f, double centre, int lo, int hi, int16_t *w) {
  double sum = 0, run = 0;
  int before = 0;
  for (int p = lo; p < hi; p++) sum += weight(f, centre, p);
  for (int p = lo; p < hi; p++) {
    run += sum != 0 ? weight(f, centre, p) / sum : 1.0 / (hi - lo);
    int upto = p == hi - 1 ? ONE : (int)lrint(run * ONE);
    w[p - lo] = (int16_t)(upto - before);
    before = upto;
  }
}

static int widest(const filter *f, const inc_axis *a) {
  int most = 1, lo, hi;
  for (int i = 0; i < a->n; i++) {
    span(f, a, i, &lo, &hi);
    if (hi - lo > most) most = hi - lo;
  }
  return most;
}

int inc_taps_make(inc_taps *t, const inc_axis *a, int method, bool antialias) {
  filter f = make_filter(a, method, antialias);
  int last = a->n - 1, padded = (a->n + 3) & ~3, lo, hi;
  t->n = a->n;
  t->taps = (widest(&f, a) + 1) & ~1;
  span(&f, a, 0, &t->lo, &hi);
  span(&f, a, last, &lo, &t->hi);
  if (t->taps > MAX_TAPS)
    return inc_fail(INC_EARG, NULL, "cannot shrink %d pixels to %d at once", a->limit, a->n);
  size_t at_bytes = (size_t)padded * sizeof *t->at;
  INC_TRY(inc_scratch_want(&t->memory, at_bytes + (size_t)padded * (size_t)t->taps * sizeof *t->w));
  t->at = (int32_t *)t->memory.p;
  t->w = (int16_t *)(t->memory.p + at_bytes);
  memset(t->memory.p, 0, at_bytes + (size_t)padded * (size_t)t->taps * sizeof *t->w);
  for (int i = 0; i < a->n; i++) {
    int o = a->mirror ? last - i : i;
    span(&f, a, i, &lo, &hi);
    t->at[o] = lo - t->lo;
    fixed(&f, a->from + (i + 0.5) * f.step, lo, hi, t->w + (size_t)o * (size_t)t->taps);
  }
  return INC_OK;
}

void inc_taps_free(inc_taps *t) { inc_scratch_free(&t->memory); }

/* Memory of a resample: row pointers, the row between the passes, one output row. */
typedef struct passes {
  const uint8_t **row;
  int16_t *mid;
  uint8_t *line;
} passes;

static int prepare(const inc_taps *x, const inc_taps *y, inc_scratch *tmp, passes *p) {
  int wide = x->hi - x->lo;
  size_t rows = ((size_t)y->taps * sizeof *p->row + 63) & ~(size_t)63;
  size_t mid =
      (((size_t)(wide + x->taps) * 8 + 127) & ~(size_t)63); /* weightless taps may point past the end */
  INC_TRY(inc_scratch_want(tmp, rows + mid + (size_t)x->n * 4 + 64));
  p->row = (const uint8_t **)tmp->p;
  p->mid = (int16_t *)(tmp->p + rows);
  p->line = tmp->p + rows + mid;
  memset(p->mid, 0, mid);
  return INC_OK;
}

static void one_row(const k_pixels *k, const inc_taps *x, const inc_taps *y, const uint8_t *px, size_t stride,
                    int i, const passes *p, uint8_t *line) {
  int last = y->hi - y->lo - 1;
  for (int t = 0; t < y->taps; t++) {
    int r = y->at[i] + t;
    p->row[t] = px + (size_t)(r < last ? r : last) * stride;
  }
  k->down(p->row, y->w + (size_t)i * (size_t)y->taps, y->taps, x->hi - x->lo, p->mid);
  k->across(p->mid, x->at, x->w, x->taps, x->n, line);
}

int inc_resample(const k_pixels *k, const inc_taps *x, const inc_taps *y, const uint8_t *px, size_t stride,
                 inc_scratch *tmp, uint8_t *rgbx) {
  passes p;
  INC_TRY(prepare(x, y, tmp, &p));
  for (int i = 0; i < y->n; i++) one_row(k, x, y, px, stride, i, &p, rgbx + (size_t)i * (size_t)x->n * 4);
  return INC_OK;
}

int inc_resample_packed(const k_pixels *k, const inc_taps *x, const inc_taps *y, const uint8_t *px,
                        size_t stride, inc_scratch *tmp, uint8_t *rgb) {
  passes p;
  INC_TRY(prepare(x, y, tmp, &p));
  for (int i = 0; i < y->n; i++) {
    one_row(k, x, y, px, stride, i, &p, p.line);
    k->pack(p.line, x->n, rgb + (size_t)i * (size_t)x->n * 3);
  }
  return INC_OK;
}
