/* sha256.h -- SHA-256 (FIPS 180-4), to tell whether two sets of weights are the same. */
#ifndef INC_SHA256_H
#define INC_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct inc_sha256 {
  uint32_t h[8];
  uint64_t bytes;
  uint8_t block[64]; /* the bytes of an unfinished block */
} inc_sha256;

void inc_sha256_init(inc_sha256 *s);
void inc_sha256_add(inc_sha256 *s, const void *bytes, size_t n);
void inc_sha256_hex(inc_sha256 *s, char out[65]); /* ends it */

#endif
