/* pixels.c -- the plain kernels, which the fast ones must match to the bit, and the choice among them. */
#include "kernels/cpu/pixels.h"
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline int clamp(int v, int lo, int hi) { return v < lo ? lo : v > hi ? hi : v; }

static void px_down(const uint8_t *const *row, const int16_t *w, int taps, int n, int16_t *mid) {
  for (int i = 0; i < 4 * n; i++) {
    int32_t acc = 1 << (PX_WEIGHT_BITS - PX_MID_BITS - 1);
    for (int t = 0; t < taps; t++) acc += w[t] * row[t][i];
    mid[i] = (int16_t)clamp(acc >> (PX_WEIGHT_BITS - PX_MID_BITS), INT16_MIN, INT16_MAX);
  }
}

static void px_across(const int16_t *mid, const int32_t *at, const int16_t *w, int taps, int n,
                      uint8_t *rgbx) {
  for (int x = 0; x < n; x++, w += taps)
    for (int c = 0; c < 4; c++) {
      int32_t acc = 1 << (PX_WEIGHT_BITS + PX_MID_BITS - 1);
      for (int t = 0; t < taps; t++) acc += w[t] * mid[4 * (at[x] + t) + c];
      rgbx[4 * x + c] = (uint8_t)clamp(acc >> (PX_WEIGHT_BITS + PX_MID_BITS), 0, 255);
    }
}

static void px_pack(const uint8_t *rgbx, int n, uint8_t *rgb) {
  for (int i = 0; i < n; i++) memcpy(rgb + 3 * (size_t)i, rgbx + 4 * (size_t)i, 3);
}

#include "kernels/cpu/pixels_colour.inc.h"

const k_pixels k_pixels_plain = {"plain", px_down, px_across, px_pack, px_colour};

const k_pixels *k_pixels_named(const char *isa) {
#if defined(__x86_64__)
  bool avx2 = __builtin_cpu_supports("avx2");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (strcmp(isa, "avx512") == 0) return avx512 ? &k_pixels_avx512 : NULL;
  if (strcmp(isa, "avx2") == 0) return avx2 ? &k_pixels_avx2 : NULL;
#endif
  return strcmp(isa, "plain") == 0 ? &k_pixels_plain : NULL;
}

const k_pixels *k_pixels_best(void) {
  const k_pixels *k = k_pixels_named("avx512");
  if (!k) k = k_pixels_named("avx2");
  return k ? k : &k_pixels_plain;
}
