/* pixels_avx2.c -- the kernels of pixels.h, 256 bits wide.
** Products go through pmaddwd, two taps at a time, so taps come in pairs (the last may weigh nothing). */
#if defined(__AVX2__)
#include "kernels/cpu/pixels.h"
#include <immintrin.h>
#include <string.h>

static inline __m256i pair(const int16_t *w) {
  int32_t both;
  memcpy(&both, w, 4);
  return _mm256_set1_epi32(both);
}

static void px_down(const uint8_t *const *row, const int16_t *w, int taps, int n, int16_t *mid) {
  const __m256i half = _mm256_set1_epi32(1 << (PX_WEIGHT_BITS - PX_MID_BITS - 1));
  for (int i = 0; i < 4 * n; i += 16) {
    __m256i lo = half, hi = half;
    for (int t = 0; t < taps; t += 2) {
      __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(row[t] + i)));
      __m256i b = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(row[t + 1] + i))), k = pair(w + t);
      lo = _mm256_add_epi32(lo, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), k));
      hi = _mm256_add_epi32(hi, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), k));
    }
    lo = _mm256_srai_epi32(lo, PX_WEIGHT_BITS - PX_MID_BITS);
    hi = _mm256_srai_epi32(hi, PX_WEIGHT_BITS - PX_MID_BITS);
    _mm256_storeu_si256((__m256i *)(mid + i), _mm256_packs_epi32(lo, hi));
  }
}

/* One pixel: two neighbours of 4 x i16, interleaved so that pmaddwd adds their products. */
static inline __m128i neighbours(const int16_t *mid) {
  const __m128i mix = _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
  return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)mid), mix);
}

static inline __m128i pixel(const int16_t *mid, const int16_t *w, int taps) {
  __m128i acc = _mm_set1_epi32(1 << (PX_WEIGHT_BITS + PX_MID_BITS - 1));
  for (int t = 0; t < taps; t += 2)
    acc = _mm_add_epi32(acc, _mm_madd_epi16(neighbours(mid + 4 * t), _mm256_castsi256_si128(pair(w + t))));
  return _mm_srai_epi32(acc, PX_WEIGHT_BITS + PX_MID_BITS);
}

static inline void across(const int16_t *mid, const int32_t *at, const int16_t *w, int taps, int n,
                          uint8_t *rgbx) {
  int x = 0;
  for (; x + 4 <= n; x += 4, w += 4 * taps) {
    __m128i a = pixel(mid + 4 * at[x], w, taps), b = pixel(mid + 4 * at[x + 1], w + taps, taps);
    __m128i c = pixel(mid + 4 * at[x + 2], w + 2 * taps, taps),
            d = pixel(mid + 4 * at[x + 3], w + 3 * taps, taps);
    __m128i all = _mm_packus_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
    _mm_storeu_si128((__m128i *)(rgbx + 4 * x), all);
  }
  for (; x < n; x++, w += taps) {
    __m128i a = _mm_packs_epi32(pixel(mid + 4 * at[x], w, taps), _mm_setzero_si128());
    int32_t one = _mm_cvtsi128_si32(_mm_packus_epi16(a, a));
    memcpy(rgbx + 4 * x, &one, 4);
  }
}

static void px_across(const int16_t *mid, const int32_t *at, const int16_t *w, int taps, int n,
                      uint8_t *rgbx) {
  if (taps == 2)
    across(mid, at, w, 2, n, rgbx); /* unrolled by the constant: the common case */
  else
    across(mid, at, w, taps, n, rgbx);
}

static void px_pack(const uint8_t *rgbx, int n, uint8_t *rgb) {
  const __m128i drop = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  int i = 0;
  for (; i + 6 <= n; i += 4) /* a store writes 16 bytes where 12 count: the next 4 belong to pixels to come */
    _mm_storeu_si128((__m128i *)(rgb + 3 * (size_t)i),
                     _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(rgbx + 4 * (size_t)i)), drop));
  for (; i < n; i++) memcpy(rgb + 3 * (size_t)i, rgbx + 4 * (size_t)i, 3);
}

#include "kernels/cpu/pixels_colour.inc.h"

const k_pixels k_pixels_avx2 = {"avx2", px_down, px_across, px_pack, px_colour};
#endif
