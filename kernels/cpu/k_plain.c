/* k_plain.c -- the kernels for whatever the compiler targets by default (SSE2 on x86-64): the version to
** read and to compare with. The Makefile gives the flags by this file's name;
** select.c chooses at run time. */
#define K_TABLE inc_kernels_plain
#define K_ISA   "plain"
#include "kernels/cpu/all.inc.h"
