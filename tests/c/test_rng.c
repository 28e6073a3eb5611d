/* test_rng.c -- Philox against the known answers of its authors; streams, splits, fairness.
** Statistics are checked with fixed seeds and wide margins: they catch a wrong construction, not a weak
** generator, which is the business of the literature. */
#include "base/rng.h"
#include "check.h"

TEST(philox_known_answers) { /* kat_vectors of Random123, philox4x32 10 */
  static const uint32_t kat[3][10] = {
      {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
      {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e,
       0xa20bc7c6, 0x6d5451fd},
      {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb,
       0x5001e420, 0x24126ea1},
  };
  for (int i = 0; i < 3; i++) {
    uint32_t out[4];
    inc_philox4x32(kat[i], kat[i] + 4, out);
    for (int j = 0; j < 4; j++) CHECK_EQ(out[j], kat[i][6 + j]);
  }
}

TEST(fill_is_the_stream_however_split) {
  uint32_t whole[1000], part[1000];
  inc_rng r = inc_rng_at(7, INC_RNG_DROPOUT, 3, 9);
  inc_rng_fill(7, INC_RNG_DROPOUT, 3, 9, 0, whole, 1000);
  for (int i = 0; i < 1000; i++) CHECK_EQ(inc_rng_u32(&r), whole[i]);
  for (size_t at = 0, n; at < 1000; at += n) {
    n = at % 37 + 1 < 1000 - at ? at % 37 + 1 : 1000 - at;
    inc_rng_fill(7, INC_RNG_DROPOUT, 3, 9, at, part + at, n);
  }
  CHECK_EQ(memcmp(whole, part, sizeof whole), 0);
}

TEST(streams_differ) {
  inc_rng a = inc_rng_at(1, 0, 0, 0), b = inc_rng_at(2, 0, 0, 0), c = inc_rng_at(1, 1, 0, 0),
          d = inc_rng_at(1, 0, 1, 0), e = inc_rng_at(1, 0, 0, 1);
  uint32_t w = inc_rng_u32(&a);
  CHECK(w != inc_rng_u32(&b) && w != inc_rng_u32(&c) && w != inc_rng_u32(&d) && w != inc_rng_u32(&e));
}

TEST(below_is_fair) {
  int seen[6] = {0};
  inc_rng r = inc_rng_at(1, 0, 0, 0);
  for (int i = 0; i < 60000; i++) {
    uint32_t v = inc_rng_below(&r, 6);
    CHECK(v < 6);
    seen[v]++;
  }
  for (int i = 0; i < 6; i++) CHECK_CLOSE(seen[i], 10000, 400);
}

TEST(normal_moments) {
  double sum = 0, sq = 0;
  inc_rng r = inc_rng_at(3, 0, 0, 0);
  for (int i = 0; i < 50000; i++) {
    float z[2];
    uint32_t w = inc_rng_u32(&r);
    inc_rng_normal2(w, inc_rng_u32(&r), z);
    sum += z[0] + z[1], sq += z[0] * z[0] + z[1] * z[1];
  }
  CHECK_CLOSE(sum / 100000, 0, 0.02);
  CHECK_CLOSE(sq / 100000, 1, 0.03);
}

TEST(hash_sees_every_byte_and_length) {
  uint8_t b[64] = {0};
  uint64_t h = inc_hash64(b, 40, 1);
  CHECK(h != inc_hash64(b, 41, 1));
  CHECK(h != inc_hash64(b, 40, 2));
  for (int i = 0; i < 40; i++) {
    b[i] ^= 4;
    CHECK(h != inc_hash64(b, 40, 1));
    b[i] ^= 4;
  }
  CHECK(h == inc_hash64(b, 40, 1));
}
