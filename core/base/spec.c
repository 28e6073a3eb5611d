/* spec.c -- arithmetic on shapes and strides (spec.h).
** Everything here is total: no allocation, no failure beyond a false. */
#include "base/spec.h"
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *torch;
  size_t size;
} dtypes[INC_DTYPES] = {{"none", "", 0},       {"f32", "float32", 4}, {"bf16", "bfloat16", 2},
                        {"f16", "float16", 2}, {"f64", "float64", 8}, {"u8", "uint8", 1},
                        {"i32", "int32", 4},   {"i64", "int64", 8}};

size_t inc_dtype_size(int d) { return d > 0 && d < INC_DTYPES ? dtypes[d].size : 0; }
const char *inc_dtype_name(int d) { return d >= 0 && d < INC_DTYPES ? dtypes[d].name : "?"; }

int inc_dtype_parse(const char *name) {
  for (int d = 1; d < INC_DTYPES; d++)
    if (!strcmp(name, dtypes[d].name) || !strcmp(name, dtypes[d].torch)) return d;
  return INC_NONE;
}

int inc_dtype_promote(int a, int b) {
  static const int8_t rank[INC_DTYPES] = {0, 6, 5, 5, 7, 1, 2, 3};
  if (a == b) return a;
  if ((a == INC_BF16 && b == INC_F16) || (a == INC_F16 && b == INC_BF16)) return INC_F32;
  return rank[a] >= rank[b] ? a : b;
}

void inc_spec_contiguous(inc_spec *s) {
  int64_t step = 1;
  for (int d = s->ndim - 1; d >= 0; d--) {
    s->strides[d] = step;
    step *= s->shape[d] > 0 ? s->shape[d] : 1;
  }
}

void inc_spec_channels_last(inc_spec *s) {
  int64_t c = s->shape[1], h = s->shape[2], w = s->shape[3];
  s->strides[1] = 1;
  s->strides[3] = c;
  s->strides[2] = c * w;
  s->strides[0] = c * w * h;
}

inc_spec inc_spec_new(int dtype, int ndim, const int64_t *shape) {
  inc_spec s;
  memset(&s, 0, sizeof s);
  s.dtype = (uint8_t)dtype;
  s.ndim = (int8_t)ndim;
  for (int d = 0; d < ndim; d++) s.shape[d] = shape[d];
  inc_spec_contiguous(&s);
  return s;
}

int64_t inc_spec_numel(const inc_spec *s) {
  int64_t n = 1;
  for (int d = 0; d < s->ndim; d++) n *= s->shape[d];
  return n;
}

size_t inc_spec_bytes(const inc_spec *s) { return (size_t)inc_spec_numel(s) * inc_dtype_size(s->dtype); }

int64_t inc_spec_span(const inc_spec *s) {
  int64_t last = 0;
  for (int d = 0; d < s->ndim; d++) {
    if (s->shape[d] == 0) return 0;
    last += (s->shape[d] - 1) * s->strides[d];
  }
  return last + 1;
}

/* Dims of size 1 never move, so their strides say nothing. */
bool inc_spec_same_strides(const inc_spec *a, const inc_spec *b) {
  if (a->ndim != b->ndim) return false;
  for (int d = 0; d < a->ndim; d++)
    if (a->shape[d] != 1 && a->strides[d] != b->strides[d]) return false;
  return true;
}

bool inc_spec_is_contiguous(const inc_spec *s) {
  inc_spec row = *s;
  inc_spec_contiguous(&row);
  return inc_spec_numel(s) == 0 || inc_spec_same_strides(s, &row);
}

bool inc_spec_is_channels_last(const inc_spec *s) {
  if (s->ndim != 4 || inc_spec_is_contiguous(s)) return false;
  inc_spec last = *s;
  inc_spec_channels_last(&last);
  return inc_spec_same_strides(s, &last);
}

/* Dims of size above 1, from the fastest to the slowest; returns how many. */
static int moving_dims(const inc_spec *s, int *dims) {
  int n = 0;
  for (int d = 0; d < s->ndim; d++) {
    if (s->shape[d] == 1) continue;
    int at = n++;
    for (; at > 0 && s->strides[dims[at - 1]] > s->strides[d]; at--) dims[at] = dims[at - 1];
    dims[at] = d;
  }
  return n;
}

bool inc_spec_is_dense(const inc_spec *s) {
  int dims[INC_MAX_DIMS];
  int64_t expect = 1;
  int n = moving_dims(s, dims);
  if (inc_spec_numel(s) == 0) return true;
  for (int i = 0; i < n; i++) {
    if (s->strides[dims[i]] != expect) return false;
    expect *= s->shape[dims[i]];
  }
  return true;
}

bool inc_spec_same_shape(const inc_spec *a, const inc_spec *b) {
  return a->ndim == b->ndim && !memcmp(a->shape, b->shape, sizeof(int64_t) * (size_t)a->ndim);
}

bool inc_spec_broadcast(const inc_spec *a, const inc_spec *b, inc_spec *out) {
  int n = a->ndim > b->ndim ? a->ndim : b->ndim;
  int64_t shape[INC_MAX_DIMS];
  for (int d = 0; d < n; d++) {
    int da = d - (n - a->ndim), db = d - (n - b->ndim);
    int64_t sa = da >= 0 ? a->shape[da] : 1, sb = db >= 0 ? b->shape[db] : 1;
    if (sa != sb && sa != 1 && sb != 1) return false;
    shape[d] = sa == 1 ? sb : sa;
  }
  *out = inc_spec_new(inc_dtype_promote(a->dtype, b->dtype), n, shape);
  return true;
}

bool inc_spec_expand(const inc_spec *s, int ndim, const int64_t *shape, inc_spec *out) {
  inc_spec r = inc_spec_new(s->dtype, ndim, shape);
  if (ndim < s->ndim) return false;
  for (int d = 0; d < ndim; d++) {
    int ds = d - (ndim - s->ndim);
    if (ds < 0 || (s->shape[ds] == 1 && shape[d] != 1))
      r.strides[d] = 0;
    else if (s->shape[ds] == shape[d])
      r.strides[d] = s->strides[ds];
    else
      return false;
  }
  *out = r;
  return true;
}

char *inc_shape_text(int ndim, const int64_t *shape, char *out, size_t n) {
  size_t at = (size_t)snprintf(out, n, "[");
  for (int d = 0; d < ndim && at < n; d++)
    at += (size_t)snprintf(out + at, n - at, "%s%lld", d ? ", " : "", (long long)shape[d]);
  if (at < n) snprintf(out + at, n - at, "]");
  return out;
}
