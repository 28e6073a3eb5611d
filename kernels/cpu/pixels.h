/* pixels.h -- kernels of the input pipeline: resize in two passes, pack, distort colours.
**
** All of it gives the same bits on every instruction set: the resize is in integers, and the colour code is
** compiled without fused multiply-adds.  So a run that moves to another machine sees the same pictures.
**
** Pixels are 4 bytes R G B ? until they are packed to 3.  Fixed point: weights have 14 fraction bits and sum
** to one exactly; between the passes values keep 6 fraction bits in an i16, which leaves room for the
** overshoot of a bicubic filter.
*/
#ifndef KERNELS_CPU_PIXELS_H
#define KERNELS_CPU_PIXELS_H

#include <stdint.h>

enum { PX_WEIGHT_BITS = 14, PX_MID_BITS = 6 };

typedef struct k_colour_args { /* on the scale 0..255 */
  int order;        /* 0: brightness saturation hue contrast; 1: brightness contrast saturation hue */
  float brightness; /* added */
  float saturation, contrast; /* factors */
  float hue;                  /* turns */
} k_colour_args;

typedef struct k_pixels {
  const char *isa;
  /* mid[i] = sum over t < taps (even) of w[t] row[t][i], i < 4 n pixels; may write and read up to 63 bytes'
   * worth more */
  void (*down)(const uint8_t *const *row, const int16_t *w, int taps, int n, int16_t *mid);
  /* rgbx[x] = sum over t < taps (even) of w[x taps + t] mid[at[x] + t], x < n; may write 3 pixels more */
  void (*across)(const int16_t *mid, const int32_t *at, const int16_t *w, int taps, int n, uint8_t *rgbx);
  /* [n] R G B ? -> [n] R G B, nothing beyond */
  void (*pack)(const uint8_t *rgbx, int n, uint8_t *rgb);
  /* Distorts [n] pixels into rgb [n, 3]; tmp: room for 3 n i16 (order 0 needs the means before the last
   * step). */
  void (*colour)(const k_colour_args *a, const uint8_t *rgbx, int n, int16_t *tmp, uint8_t *rgb);
} k_pixels;

extern const k_pixels k_pixels_plain, k_pixels_avx2, k_pixels_avx512;

const k_pixels *k_pixels_best(void);             /* for this CPU */
const k_pixels *k_pixels_named(const char *isa); /* NULL if this CPU cannot */

#endif
