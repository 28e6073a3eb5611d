/* mem.c -- counted, alignable, failable allocation (see mem.h).
** realloc is alloc + copy: aligned blocks cannot be handed to realloc, and no hot path grows an array. */
#include "base/mem.h"
#include "base/err.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

static _Atomic int64_t live, fail_at;

void *inc_alloc(size_t n) {
  size_t rounded = (n + ALIGN) & ~(size_t)(ALIGN - 1); /* never 0, and kernels may read past the end */
  void *p = NULL;
  if (rounded > n) {
    if (atomic_load(&fail_at) == 0 || atomic_fetch_sub(&fail_at, 1) != 1) p = aligned_alloc(ALIGN, rounded);
  }
  if (!p) {
    inc_fail(INC_EMEM, NULL, "out of memory: wanted %.1f MiB", (double)n / (1 << 20));
    return NULL;
  }
  atomic_fetch_add(&live, 1);
  return p;
}

void *inc_zalloc(size_t n) {
  void *p = inc_alloc(n);
  return p ? memset(p, 0, n) : NULL;
}

void *inc_realloc(void *p, size_t old_n, size_t n) {
  void *q = inc_alloc(n);
  if (!q) return NULL;
  if (p) memcpy(q, p, old_n < n ? old_n : n);
  inc_free(p);
  return q;
}

char *inc_strdup(const char *s) {
  size_t n = strlen(s) + 1;
  char *p = inc_alloc(n);
  return p ? memcpy(p, s, n) : NULL;
}

void inc_free(void *p) {
  if (!p) return;
  atomic_fetch_sub(&live, 1);
  free(p);
}

int64_t inc_mem_live(void) { return atomic_load(&live); }
void inc_mem_fail_at(int64_t n) { atomic_store(&fail_at, n); }
