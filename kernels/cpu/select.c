/* select.c -- which kernel table this CPU gets, once, by CPUID; INC_CPU lowers the choice.
** __builtin_cpu_supports also asks the operating system whether it saves the wide registers. */
#include "kernels/cpu/table.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

size_t k_bn_scratch(int64_t rows, int64_t c) {
  return (size_t)(2 * bn_blocks(rows) * c) * sizeof(double) + (size_t)(5 * c) * sizeof(float) + 64;
}

#if defined(__x86_64__)
static bool has(const char *isa) {
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (!strcmp(isa, "avx2")) return avx2;
  if (!strcmp(isa, "avx512")) return avx512;
  return avx512 && __builtin_cpu_supports("avx512bf16");
}
#else
static bool has(const char *isa) {
  (void)isa;
  return false;
}
#endif

static const inc_kernels *const tables[] = {/* best first */
#if defined(__x86_64__)
                                            &inc_kernels_avx512bf, &inc_kernels_avx512, &inc_kernels_avx2,
#endif
                                            &inc_kernels_plain};
enum { TABLES = sizeof tables / sizeof *tables };

const inc_kernels *inc_kernels_named(const char *isa) {
  for (int i = 0; i < TABLES; i++)
    if (!strcmp(tables[i]->isa, isa)) return i == TABLES - 1 || has(isa) ? tables[i] : NULL;
  return NULL;
}

const inc_kernels *inc_kernels_get(void) {
  static const inc_kernels *chosen; /* idempotent: a race writes the same pointer twice */
  const inc_kernels *k = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
  if (k) return k;
  const char *want = getenv("INC_CPU");
  if (want) k = inc_kernels_named(want);
  for (int i = 0; i < TABLES && !k; i++) k = inc_kernels_named(tables[i]->isa);
  __atomic_store_n(&chosen, k, __ATOMIC_RELEASE);
  return k;
}

bool inc_cpu_has_amx_bf16(void) {
#if defined(__x86_64__)
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);
#else
  return false;
#endif
}

void inc_cpu_flush_denormals(void) {
#if defined(__x86_64__)
#pragma omp parallel
  _mm_setcsr(_mm_getcsr() | 0x8040u); /* FTZ, DAZ */
#endif
}
