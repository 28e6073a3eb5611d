/* rng.h -- counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy
** as 1, 2, 3", 2011).
**
** A number is a pure function of where it is used: (seed, tag, a, b, position).  Nothing is carried from
** one use to the next, so neither the number of workers nor the order of work can change a result, and a
** run resumes by knowing its counters.  A generator with state (xorshift, Mersenne twister) was rejected
** for just that.
**
** Layout of a draw: key = seed; counter = {position / 4, a, b, tag}.  Tags keep the uses apart.
*/
#ifndef INC_RNG_H
#define INC_RNG_H

#include <stddef.h>
#include <stdint.h>

enum {                      /* who draws: the last word of the counter */
       INC_RNG_USER = 0,    /* randn, rand at the prompt: a, b = number of the call, low and high word */
       INC_RNG_INIT = 1,    /* initial weights: a, b = hash of the parameter's name */
       INC_RNG_DROPOUT = 2, /* a = node, b = step */
       INC_RNG_SHUFFLE = 3, /* order of an epoch: a = round, b = epoch */
       INC_RNG_AUGMENT = 4, /* a = picture, b = epoch */
};

void inc_philox4x32(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]);

/* A reader of one stream.  Make it with inc_rng_at; copying it is fine. */
typedef struct inc_rng {
  uint32_t key[2], ctr[4], word[4];
  int left; /* words not yet handed out */
} inc_rng;

inc_rng inc_rng_at(uint64_t seed, uint32_t tag, uint32_t a, uint32_t b);
uint32_t inc_rng_u32(inc_rng *r);
double inc_rng_uniform(inc_rng *r, double lo, double hi); /* [lo, hi), 32 bits of randomness */
uint32_t inc_rng_below(inc_rng *r, uint32_t n);           /* 0 .. n-1, unbiased; n > 0 */

/* Words `start` .. `start + n - 1` of a stream at once; any split of the range gives the same words. */
void inc_rng_fill(uint64_t seed, uint32_t tag, uint32_t a, uint32_t b, uint64_t start, uint32_t *out,
                  size_t n);

/* Floats from words. */
static inline float inc_rng_unit(uint32_t w) { return (float)(w >> 8) * 0x1p-24f; } /* [0, 1) */
void inc_rng_normal2(uint32_t w0, uint32_t w1, float out[2]); /* two of N(0, 1), Box-Muller */

/* 64-bit hash of bytes: names -> streams, contents -> fingerprints.  Not for adversaries. */
uint64_t inc_hash64(const void *bytes, size_t n, uint64_t seed);

#endif
