/* resize.h -- separable resampling of a box of a picture, in two steps: weights, then pixels.
** The weights say which source pixels are needed, so that no others are decoded. */
#ifndef INC_RESIZE_H
#define INC_RESIZE_H

#include "data/data.h"
#include "data/decode.h"
#include "kernels/cpu/pixels.h"

/* Along one axis: output i is the sum over t < taps of w[i taps + t] source[at[i] + t], at relative to lo. */
typedef struct inc_taps {
  int n, taps; /* outputs; weights of each, even */
  int lo, hi;  /* source pixels needed: [lo, hi) */
  int32_t *at; /* [n, padded to 4] */
  int16_t *w;  /* [n, padded to 4][taps], 14 fraction bits, each output's sum is one */
  inc_scratch memory;
} inc_taps;

typedef struct inc_axis { /* what to compute weights from */
  int first, limit;       /* source pixels that may be looked at: [first, limit) */
  double from, length;    /* the box */
  int n;                  /* outputs */
  bool mirror;            /* write them in reverse order */
} inc_axis;

int inc_taps_make(inc_taps *t, const inc_axis *a, int method, bool antialias);
void inc_taps_free(inc_taps *t);

/* Source rows x->lo .. of the window `px` (whose top left is x->lo, y->lo) -> rgbx [y->n, x->n, 4].
** Rows of the window must be readable for 64 bytes past their end. */
int inc_resample(const k_pixels *k, const inc_taps *x, const inc_taps *y, const uint8_t *px, size_t stride,
                 inc_scratch *tmp, uint8_t *rgbx);
/* The same -> rgb [y->n, x->n, 3], nothing written beyond. */
int inc_resample_packed(const k_pixels *k, const inc_taps *x, const inc_taps *y, const uint8_t *px,
                        size_t stride, inc_scratch *tmp, uint8_t *rgb);

#endif
