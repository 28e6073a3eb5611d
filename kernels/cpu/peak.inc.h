/* peak.inc.h -- as many multiply-adds as the unit can do, for the roofline that explain() draws.
** Enough independent chains to hide the latency on every CPU that these tables serve; the numbers stay in
** registers and stay finite. */

#if defined(__AVX512F__)
enum { BURN_CHAINS = 24 };
#else
enum { BURN_CHAINS = 12 }; /* of 16 registers */
#endif

/* Uses the chains, so that the compiler must make them. */
static double burnt(const vf *a, double done) {
  vf s = a[0];
  for (int i = 1; i < BURN_CHAINS; i++) s += a[i];
  return s[0] == s[0] ? done : 0;
}

static double burn_f32(int64_t n) {
  vf a[BURN_CHAINS], x = vset(0.999f), y = vset(1e-3f);
  for (int i = 0; i < BURN_CHAINS; i++) a[i] = vset((float)i);
  for (int64_t k = 0; k < n; k++)
#pragma GCC unroll 24
    for (int i = 0; i < BURN_CHAINS; i++) a[i] = a[i] * x + y;
  return burnt(a, 2.0 * W * BURN_CHAINS * (double)n);
}

#if defined(__AVX512BF16__)
static double burn_bf16(int64_t n) {
  vf a[BURN_CHAINS];
  __m512bh x = (__m512bh)_mm512_set1_epi16(0x3c00);
  for (int i = 0; i < BURN_CHAINS; i++) a[i] = vset((float)i);
  for (int64_t k = 0; k < n; k++)
#pragma GCC unroll 24
    for (int i = 0; i < BURN_CHAINS; i++) a[i] = _mm512_dpbf16_ps(a[i], x, x);
  return burnt(a, 4.0 * W * BURN_CHAINS * (double)n);
}
#else
static double burn_bf16(int64_t n) {
  (void)n;
  return 0;
}
#endif

static double burn(int dt, int64_t n) { return dt == INC_BF16 ? burn_bf16(n) : burn_f32(n); }
