/* ref.h -- loops for the reference versions of ops: any strides, any dtype, sums in f64.
**
** A reference is what fast kernels are tested against, so it is written for the reader: an index per dim,
** offsets from strides, one element at a time through inc_load and inc_store.  Values travel as double,
** which is exact for every dtype but i64 beyond 2^53; ops that only move elements copy their bytes instead
** (inc_ref_copy).  Templates per dtype were rejected: the fast kernels are the place for them.
*/
#ifndef INC_OPS_REF_H
#define INC_OPS_REF_H

#include "ops/common.h"
#include <string.h>

static inline void inc_ref_step(const inc_spec *s, int64_t *i) {
  for (int d = s->ndim - 1; d >= 0; d--) {
    if (++i[d] < s->shape[d]) return;
    i[d] = 0;
  }
}

/* for each index i[] of the shape of spec s, in row-major order */
#define INC_EACH(s, i)                                                                                       \
  for (int64_t i[INC_MAX_DIMS] = {0}, i##_left = inc_spec_numel(s); i##_left > 0;                            \
       i##_left--, inc_ref_step(s, i))

static inline int64_t inc_ref_at(const inc_spec *s, const int64_t *i) {
  int64_t at = 0;
  for (int d = 0; d < s->ndim; d++) at += i[d] * s->strides[d];
  return at;
}

/* Offset in a tensor that is broadcast to `ndim` dims with index i. */
static inline int64_t inc_ref_spread(const inc_spec *s, int ndim, const int64_t *i) {
  int64_t at = 0;
  for (int d = 0; d < s->ndim; d++)
    if (s->shape[d] != 1) at += i[d + ndim - s->ndim] * s->strides[d];
  return at;
}

static inline double inc_ref_get(const inc_node *n, void *const *in, int k, const int64_t *i) {
  return inc_load(in[k], n->in[k].dtype, inc_ref_at(&n->in[k], i));
}

static inline void inc_ref_put(const inc_node *n, void *const *out, int k, const int64_t *i, double v) {
  inc_store(out[k], n->out[k].dtype, inc_ref_at(&n->out[k], i), v);
}

/* Move one element, byte for byte when the dtypes are one. */
static inline void inc_ref_copy(void *dst, int dst_dtype, int64_t d, const void *src, int src_dtype,
                                int64_t s) {
  size_t size = inc_dtype_size(dst_dtype);
  if (dst_dtype == src_dtype)
    memcpy((char *)dst + (size_t)d * size, (const char *)src + (size_t)s * size, size);
  else
    inc_store(dst, dst_dtype, d, inc_load(src, src_dtype, s));
}

static inline void inc_ref_zero(const inc_spec *s, void *p) {
  INC_EACH (s, i) inc_store(p, s->dtype, inc_ref_at(s, i), 0);
}

/* A vector such as a bias: element c, or `other` when the tensor is absent. */
static inline double inc_ref_vec(const inc_node *n, void *const *in, int k, int64_t c, double other) {
  if (!inc_has(n, k)) return other;
  return inc_load(in[k], n->in[k].dtype, c * (n->in[k].ndim ? n->in[k].strides[n->in[k].ndim - 1] : 0));
}

/* The dims of `s` in two halves: `keep` has size 1 at the marked dims, `run` at all others.  Offsets in the
** tensor of both add up. */
static inline void inc_ref_split(const inc_spec *s, const bool *marks, inc_spec *keep, inc_spec *run) {
  *keep = *run = *s;
  for (int d = 0; d < s->ndim; d++) (marks[d] ? keep : run)->shape[d] = 1;
}

#endif
