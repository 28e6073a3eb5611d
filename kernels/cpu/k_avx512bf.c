/* k_avx512bf.c -- the kernels for AVX-512 with the bf16 instructions: rounding to bf16 is one instruction
** instead of eight. The Makefile gives the flags by this file's name; select.c chooses at run time. */
#if defined(__x86_64__)
#define K_TABLE inc_kernels_avx512bf
#define K_ISA   "avx512bf"
#include "kernels/cpu/all.inc.h"
#endif
