/* k_avx2.c -- the kernels for AVX2, FMA and F16C: x86 since 2013.
** The Makefile gives the flags by this file's name; select.c chooses at run time. */
#if defined(__x86_64__)
#define K_TABLE inc_kernels_avx2
#define K_ISA   "avx2"
#include "kernels/cpu/all.inc.h"
#endif
