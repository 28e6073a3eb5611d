/* simd.h -- one vector type, `vf`, for every instruction set.
**
** Kernel sources (*.inc.h) are written once with this type and compiled several times: k_plain.c (whatever
** the compiler targets by default), k_avx2.c, k_avx512.c and k_avx512bf.c.  GCC's vector extensions carry
** the arithmetic; only what they cannot say well (select, min, sqrt, tails, rounding to bf16) is spelled
** with intrinsics.  Rejected: hand-written intrinsics per instruction set (three copies to keep equal) and
** relying on the auto-vectoriser (silent when it gives up, and it cannot widen bf16).
**
** A load or store takes the number of valid lanes: W means a full vector, less means a tail, whose other
** lanes read as 0 and are not written.  The element type is an argument that is a constant after inlining.
*/
#ifndef INC_SIMD_H
#define INC_SIMD_H

#include "base/spec.h"
#include <float.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define W 16
#elif defined(__AVX2__)
#define W 8
#else
#define W 4
#endif

#define AI static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef uint32_t vu __attribute__((vector_size(4 * W)));
typedef uint16_t vh __attribute__((vector_size(2 * W)));
typedef uint8_t vb __attribute__((vector_size(W)));

AI vf vset(float x) {
  vf r;
  for (int i = 0; i < W; i++) r[i] = x;
  return r;
}
AI vi vseti(int32_t x) {
  vi r = {0};
  return r + x;
}

/* m holds all ones or all zeros in each lane. */
AI vf vmask(vi m, vf a) { return (vf)((vi)a & m); }
#if defined(__AVX512F__)
AI vf vsel_gt0(vf t, vf a) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(t, _mm512_setzero_ps(), _CMP_GT_OQ), a);
}
AI vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
AI vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
AI vf vsqrt(vf a) { return _mm512_sqrt_ps(a); }
AI vf vround(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
AI vf vfloor(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
#elif defined(__AVX2__)
AI vf vsel_gt0(vf t, vf a) { return _mm256_and_ps(_mm256_cmp_ps(t, _mm256_setzero_ps(), _CMP_GT_OQ), a); }
AI vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
AI vf vmin(vf a, vf b) { return _mm256_min_ps(a, b); }
AI vf vsqrt(vf a) { return _mm256_sqrt_ps(a); }
AI vf vround(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
AI vf vfloor(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
#else
AI vf vsel_gt0(vf t, vf a) { return vmask(t > 0, a); }
/* As the x86 instructions do, both give b when a or b is NaN. */
AI vf vmax(vf a, vf b) {
  vi m = a > b;
  return (vf)(((vi)a & m) | ((vi)b & ~m));
}
AI vf vmin(vf a, vf b) {
  vi m = a < b;
  return (vf)(((vi)a & m) | ((vi)b & ~m));
}
AI vf vsqrt(vf a) {
  for (int i = 0; i < W; i++) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
AI vf vround(vf a) {
  for (int i = 0; i < W; i++) a[i] = __builtin_nearbyintf(a[i]);
  return a;
}
AI vf vfloor(vf a) {
  for (int i = 0; i < W; i++) a[i] = __builtin_floorf(a[i]);
  return a;
}
#endif

/* A truth value per lane: a mask register where there are such, else all ones or zeros. */
#if defined(__AVX512F__)
typedef __mmask16 vm;
AI vm vm_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
AI vm vm_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
AI vm vm_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
AI vm vm_eq(vi a, vi b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
AI vf vpick(vm m, vf x, vf y) { return _mm512_mask_blend_ps(m, y, x); }
AI vi vpicki(vm m, vi x, vi y) { return (vi)_mm512_mask_blend_epi32(m, (__m512i)y, (__m512i)x); }
AI vf vadd_if(vm m, vf s, vf x) { return _mm512_mask_add_ps(s, m, s, x); }
#else
typedef vi vm;
AI vm vm_gt(vf a, vf b) { return a > b; }
AI vm vm_lt(vf a, vf b) { return a < b; }
AI vm vm_nan(vf a) { return a != a; }
AI vm vm_eq(vi a, vi b) { return a == b; }
/* x where m is set, else y. */
AI vf vpick(vm m, vf x, vf y) { return (vf)(((vi)x & m) | ((vi)y & ~m)); }
AI vi vpicki(vm m, vi x, vi y) { return (x & m) | (y & ~m); }
AI vf vadd_if(vm m, vf s, vf x) { return s + vmask(m, x); }
#endif
/* ReLU as PyTorch has it: a NaN passes through. */
AI vf vrelu(vf a) { return vmax(vset(0), a); }

/* Narrow integers.  GCC 12 takes __builtin_convertvector of these types apart element by element (measured:
** an eighth of the speed), hence intrinsics. */
#if defined(__AVX512F__)
AI vi vload_u8(const uint8_t *p) { return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
AI vb vlow8(vi v) { return (vb)_mm512_cvtepi32_epi8((__m512i)v); }
AI vh vlow16(vu v) { return (vh)_mm512_cvtepi32_epi16((__m512i)v); }
AI vm vu8_is(const uint8_t *p, int32_t want) {
  return _mm_cmpeq_epi8_mask(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8((char)want));
}
#elif defined(__AVX2__)
AI vi vload_u8(const uint8_t *p) { return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
AI vh vlow16(vu v) { /* values below 65536 */
  __m256i t = _mm256_permute4x64_epi64(_mm256_packus_epi32((__m256i)v, (__m256i)v), 0x08);
  return (vh)_mm256_castsi256_si128(t);
}
AI vb vlow8(vi v) { /* values below 256 */
  vb r;
  __m128i t = (__m128i)vlow16((vu)v);
  _mm_storel_epi64((__m128i *)&r, _mm_packus_epi16(t, t));
  return r;
}
AI vm vu8_is(const uint8_t *p, int32_t want) { return vm_eq(vload_u8(p), vseti(want)); }
#else
AI vi vload_u8(const uint8_t *p) {
  vi r;
  for (int i = 0; i < W; i++) r[i] = p[i];
  return r;
}
AI vb vlow8(vi v) { return __builtin_convertvector(v, vb); }
AI vh vlow16(vu v) { return __builtin_convertvector(v, vh); }
AI vm vu8_is(const uint8_t *p, int32_t want) { return vm_eq(vload_u8(p), vseti(want)); }
#endif

/* -- memory ------------------------------------------------------------------------------------------ */
AI vf bf_widen(vh h) { return (vf)(__builtin_convertvector(h, vu) << 16); }

AI vh bf_narrow(vf v) { /* round to nearest even; a NaN stays a NaN */
#if defined(__AVX512BF16__)
  return (vh)_mm512_cvtneps_pbh(v);
#else
  vu b = (vu)v;
  vu r = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
  vu nan = (vu)(v != v);
  r = (r & ~nan) | (((b >> 16) | 0x40u) & nan);
  return vlow16(r);
#endif
}

AI vf ldf(const float *p, int n) {
  vf r;
  if (n == W) {
    memcpy(&r, p, sizeof r);
    return r;
  }
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
  float t[W] = {0};
  for (int i = 0; i < n; i++) t[i] = p[i];
  memcpy(&r, t, sizeof r);
  return r;
#endif
}

AI void stf(float *p, vf v, int n) {
  if (n == W) {
    memcpy(p, &v, sizeof v);
    return;
  }
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
#else
  for (int i = 0; i < n; i++) p[i] = v[i];
#endif
}

AI vf ldh(const uint16_t *p, int n) {
  vh h;
  if (n == W) {
    memcpy(&h, p, sizeof h);
  } else {
    uint16_t t[W] = {0};
    for (int i = 0; i < n; i++) t[i] = p[i];
    memcpy(&h, t, sizeof h);
  }
  return bf_widen(h);
}

AI void sth(uint16_t *p, vf v, int n) {
  vh h = bf_narrow(v);
  if (n == W) {
    memcpy(p, &h, sizeof h);
    return;
  }
  for (int i = 0; i < n; i++) p[i] = h[i];
}

/* Element i of an array of dtype dt (INC_F32 or INC_BF16). */
AI vf ldv(const void *p, int dt, int64_t i, int n) {
  return dt == INC_BF16 ? ldh((const uint16_t *)p + i, n) : ldf((const float *)p + i, n);
}
AI void stv(void *p, int dt, int64_t i, vf v, int n) {
  if (dt == INC_BF16)
    sth((uint16_t *)p + i, v, n);
  else
    stf((float *)p + i, v, n);
}
AI float ld1(const void *p, int dt, int64_t i) {
  if (dt != INC_BF16) return ((const float *)p)[i];
  uint32_t u = (uint32_t)((const uint16_t *)p)[i] << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
AI void st1(void *p, int dt, int64_t i, float x) { stv(p, dt, i, vset(x), 1); }

AI float vsum(vf v) { /* pairwise */
  for (int h = W / 2; h; h /= 2)
    for (int i = 0; i < h; i++) v[i] += v[i + h];
  return v[0];
}
AI float vhmax(vf v) {
  float m = v[0];
  for (int i = 1; i < W; i++) m = v[i] > m || v[i] != v[i] ? v[i] : m;
  return m;
}

/* e^x within 2 ulp on the range where the result is a normal number; 0 below, infinity above, NaN kept. */
AI vf vexp(vf x) {
  vf big = vset(88.72284f), small = vset(-87.33655f);
  vf t = vmin(big, vmax(small, x)); /* the bounds come first: a NaN in x goes through */
  vf k = vround(t * 1.44269504f);
  vf r = t - k * 0.693145752f - k * 1.42860677e-6f;
  vf p = vset(1.9875691e-4f);
  p = p * r + 1.3981999e-3f;
  p = p * r + 8.3334519e-3f;
  p = p * r + 4.1665796e-2f;
  p = p * r + 1.6666666e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  vi half = __builtin_convertvector(k, vi) >> 1, rest = __builtin_convertvector(k, vi) - half;
  p = p * (vf)((half + 127) << 23) * (vf)((rest + 127) << 23);
  p = vpick(vm_lt(x, small), vset(0), p);
  p = vpick(vm_gt(x, big), vset(__builtin_inff()), p);
  return vpick(vm_nan(x), x, p);
}

#endif
