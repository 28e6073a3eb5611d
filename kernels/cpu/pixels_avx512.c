/* pixels_avx512.c -- the kernels of pixels.h, 512 bits wide: four output pixels in one register.
** Each 128-bit lane works on one pixel, so the shuffles never cross lanes but for the weights.  Loads and
** inserts rather than gathers, which some cores run as microcode. */
#if defined(__AVX512BW__)
#include "kernels/cpu/pixels.h"
#include <immintrin.h>
#include <string.h>

static inline int32_t pair(const int16_t *w) {
  int32_t both;
  memcpy(&both, w, 4);
  return both;
}

static void px_down(const uint8_t *const *row, const int16_t *w, int taps, int n, int16_t *mid) {
  const __m512i half = _mm512_set1_epi32(1 << (PX_WEIGHT_BITS - PX_MID_BITS - 1));
  for (int i = 0; i < 4 * n; i += 32) {
    __m512i lo = half, hi = half;
    for (int t = 0; t < taps; t += 2) {
      __m512i a = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(row[t] + i)));
      __m512i b = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(row[t + 1] + i)));
      __m512i k = _mm512_set1_epi32(pair(w + t));
      lo = _mm512_add_epi32(lo, _mm512_madd_epi16(_mm512_unpacklo_epi16(a, b), k));
      hi = _mm512_add_epi32(hi, _mm512_madd_epi16(_mm512_unpackhi_epi16(a, b), k));
    }
    lo = _mm512_srai_epi32(lo, PX_WEIGHT_BITS - PX_MID_BITS);
    hi = _mm512_srai_epi32(hi, PX_WEIGHT_BITS - PX_MID_BITS);
    _mm512_storeu_si512(mid + i, _mm512_packs_epi32(lo, hi));
  }
}

/* Two taps of four pixels, each 128-bit lane one pixel. */
static inline __m512i four(const int16_t *mid, const int32_t *at) {
  const __m512i mix =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
  __m256i lo =
      _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(mid + 4 * at[0]))),
                              _mm_loadu_si128((const __m128i *)(mid + 4 * at[1])), 1);
  __m256i hi =
      _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(mid + 4 * at[2]))),
                              _mm_loadu_si128((const __m128i *)(mid + 4 * at[3])), 1);
  return _mm512_shuffle_epi8(_mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1), mix);
}

/* The weight pairs of four pixels, each over its lane. */
static inline __m512i weights(const int16_t *w, int taps) {
  const __m512i spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  __m128i k = taps == 2 ? _mm_loadu_si128((const __m128i *)w)
                        : _mm_setr_epi32(pair(w), pair(w + taps), pair(w + 2 * taps), pair(w + 3 * taps));
  return _mm512_permutexvar_epi32(spread, _mm512_castsi128_si512(k));
}

static inline void across(const int16_t *mid, const int32_t *at, const int16_t *w, int taps, int n,
                          uint8_t *rgbx) {
  for (int x = 0; x < n; x += 4, w += 4 * taps) { /* tables are padded to a multiple of four */
    __m512i acc = _mm512_set1_epi32(1 << (PX_WEIGHT_BITS + PX_MID_BITS - 1));
    for (int t = 0; t < taps; t += 2)
      acc = _mm512_add_epi32(acc, _mm512_madd_epi16(four(mid + 4 * t, at + x), weights(w + t, taps)));
    acc = _mm512_srai_epi32(acc, PX_WEIGHT_BITS + PX_MID_BITS);
    _mm_storeu_si128((__m128i *)(rgbx + 4 * x),
                     _mm512_cvtusepi32_epi8(_mm512_max_epi32(acc, _mm512_setzero_si512())));
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
  const __m512i drop =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
  const __m512i close = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
  for (int i = 0; i < n; i += 16) {
    int k = n - i < 16 ? n - i : 16;
    __m512i p = _mm512_maskz_loadu_epi32((__mmask16)((1u << k) - 1), rgbx + 4 * (size_t)i);
    p = _mm512_permutexvar_epi32(close, _mm512_shuffle_epi8(p, drop));
    _mm512_mask_storeu_epi8(rgb + 3 * (size_t)i, ((__mmask64)1 << 3 * k) - 1, p);
  }
}

#include "kernels/cpu/pixels_colour.inc.h"

const k_pixels k_pixels_avx512 = {"avx512", px_down, px_across, px_pack, px_colour};
#endif
