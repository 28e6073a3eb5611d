/* table.h -- the tables that k_*.c define; private to kernels/cpu. */
#ifndef INC_KERNELS_TABLE_H
#define INC_KERNELS_TABLE_H

#include "kernels/cpu/kernels.h"

enum {
  BN_FLUSH = 256,
  BN_TILE = 512,
  BN_BLOCKS = 64
}; /* rows summed in f32, channels at a time, row blocks */

/* How many row blocks: from the shape alone, so that sums do not depend on the thread count. */
static inline int bn_blocks(int64_t rows) {
  int64_t n = rows / BN_FLUSH;
  return n < 1 ? 1 : n > BN_BLOCKS ? BN_BLOCKS : (int)n;
}

extern const inc_kernels inc_kernels_plain;
#if defined(__x86_64__)
extern const inc_kernels inc_kernels_avx2, inc_kernels_avx512, inc_kernels_avx512bf;
#endif

#endif
