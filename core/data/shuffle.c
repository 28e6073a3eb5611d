/* shuffle.c -- the order of an epoch as a function, not a table.
**
** A balanced Feistel network over the smallest even number of bits that holds n is a permutation of that
** range; walking on until the value falls below n makes it one of 0 .. n-1.  Any worker can ask for any
** place of any epoch, so a run resumes in the middle of an epoch without replaying it.
*/
#include "base/rng.h"
#include "data/data.h"

enum { ROUNDS = 6 };

static uint64_t feistel(uint64_t v, int half, uint64_t seed, uint32_t epoch) {
  uint64_t mask = ((uint64_t)1 << half) - 1, left = v >> half, right = v & mask;
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, word[4];
  for (uint32_t round = 0; round < ROUNDS; round++) {
    inc_philox4x32((uint32_t[]){(uint32_t)right, round, epoch, INC_RNG_SHUFFLE}, key, word);
    uint64_t mixed = left ^ (word[0] & mask);
    left = right, right = mixed;
  }
  return left << half | right;
}

uint64_t inc_shuffle(uint64_t i, uint64_t n, uint64_t seed, uint32_t epoch) {
  int half = 1;
  while (half < 32 && (uint64_t)1 << 2 * half < n) half++;
  do i = feistel(i, half, seed, epoch);
  while (i >= n);
  return i;
}
