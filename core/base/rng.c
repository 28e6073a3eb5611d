/* rng.c -- Philox4x32-10 and what is built on it (see rng.h).
** The round constants are the published ones; tests/c/test_rng.c has the paper's known answers.  The bulk
** fill runs blocks side by side in plain C: the compiler turns the inner loop into vector multiplies. */
#include "base/rng.h"
#include <math.h>
#include <string.h>

enum { ROUNDS = 10, LANES = 16 };
static const uint32_t M0 = 0xD2511F53u, M1 = 0xCD9E8D57u, W0 = 0x9E3779B9u, W1 = 0xBB67AE85u;

void inc_philox4x32(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key[0], k1 = key[1];
  for (int i = 0; i < ROUNDS; i++, k0 += W0, k1 += W1) {
    uint64_t p0 = (uint64_t)M0 * c0, p1 = (uint64_t)M1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

inc_rng inc_rng_at(uint64_t seed, uint32_t tag, uint32_t a, uint32_t b) {
  inc_rng r = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, {0, a, b, tag}, {0, 0, 0, 0}, 0};
  return r;
}

uint32_t inc_rng_u32(inc_rng *r) {
  if (r->left == 0) {
    inc_philox4x32(r->ctr, r->key, r->word);
    r->ctr[0]++;
    r->left = 4;
  }
  return r->word[4 - r->left--];
}

double inc_rng_uniform(inc_rng *r, double lo, double hi) {
  return lo + (hi - lo) * (inc_rng_u32(r) * 0x1p-32);
}

uint32_t inc_rng_below(inc_rng *r, uint32_t n) {
  uint32_t reject = -n % n; /* low products below this would favour some answers */
  uint64_t p;
  do p = (uint64_t)inc_rng_u32(r) * n;
  while ((uint32_t)p < reject);
  return (uint32_t)(p >> 32);
}

/* LANES consecutive blocks from counter word 0 = `block`, block after block into out. */
static void lanes(const uint32_t key[2], uint32_t block, const uint32_t ctr[4], uint32_t *out) {
  uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES], k0 = key[0], k1 = key[1];
  for (uint32_t l = 0; l < LANES; l++) c0[l] = block + l, c1[l] = ctr[1], c2[l] = ctr[2], c3[l] = ctr[3];
  for (int i = 0; i < ROUNDS; i++, k0 += W0, k1 += W1)
    for (int l = 0; l < LANES; l++) {
      uint64_t p0 = (uint64_t)M0 * c0[l], p1 = (uint64_t)M1 * c2[l];
      c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
      c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
      c1[l] = (uint32_t)p1;
      c3[l] = (uint32_t)p0;
    }
  for (int l = 0; l < LANES; l++)
    out[4 * l] = c0[l], out[4 * l + 1] = c1[l], out[4 * l + 2] = c2[l], out[4 * l + 3] = c3[l];
}

void inc_rng_fill(uint64_t seed, uint32_t tag, uint32_t a, uint32_t b, uint64_t start, uint32_t *out,
                  size_t n) {
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, ctr[4] = {0, a, b, tag}, buf[4 * LANES];
  while (n > 0) {
    uint32_t block = (uint32_t)(start / 4);
    size_t skip = start % 4, take = 4 * LANES - skip < n ? 4 * LANES - skip : n;
    if (take == 4 * LANES) {
      lanes(key, block, ctr, out);
    } else {
      lanes(key, block, ctr, buf);
      memcpy(out, buf + skip, take * sizeof *out);
    }
    out += take, start += take, n -= take;
  }
}

void inc_rng_normal2(uint32_t w0, uint32_t w1, float out[2]) {
  float r = sqrtf(-2.0f * logf(((float)(w0 >> 8) + 0.5f) * 0x1p-24f)); /* + 0.5: never log(0) */
  float angle = 6.2831853071795864769f * inc_rng_unit(w1);
  out[0] = r * cosf(angle);
  out[1] = r * sinf(angle);
}

static uint64_t mix(uint64_t a, uint64_t b) {
  unsigned __int128 p = (unsigned __int128)a * b;
  return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t load64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}

/* Folded 64x64 multiplies over two words a turn; odd constants are the fractional bits of sqrt(2), sqrt(3),
** sqrt(5) and sqrt(7).  Files are little-endian data on little-endian machines, the only ones served. */
uint64_t inc_hash64(const void *bytes, size_t n, uint64_t seed) {
  static const uint64_t K0 = 0x6A09E667F3BCC909u, K1 = 0xBB67AE8584CAA73Bu, K2 = 0x3C6EF372FE94F82Bu,
                        K3 = 0xA54FF53A5F1D36F1u;
  const uint8_t *p = bytes;
  uint64_t h = mix(seed ^ K0, (uint64_t)n ^ K1);
  uint8_t tail[16] = {0};
  size_t left = n;
  for (; left >= 16; left -= 16, p += 16) h = mix(load64(p) ^ K2 ^ h, load64(p + 8) ^ K3) ^ (h >> 29);
  if (left) memcpy(tail, p, left);
  h = mix(load64(tail) ^ K2 ^ h, load64(tail + 8) ^ K3) ^ (h >> 29);
  return mix(h ^ K1, K0);
}
