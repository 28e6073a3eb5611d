/* k_avx512.c -- the kernels for AVX-512 F, BW, VL, DQ.
** The Makefile gives the flags by this file's name; select.c chooses at run time. */
#if defined(__x86_64__)
#define K_TABLE inc_kernels_avx512
#define K_ISA   "avx512"
#include "kernels/cpu/all.inc.h"
#endif
