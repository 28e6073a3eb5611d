/* product.c -- matmul, linear and the gradients of linear on oneDNN's matrix product.
**
** Transposed operands are strides, not copies.  What the library would only do with its reference loop (odd
** strides, mixed dtypes) is left to the op's own. */
#include "cpu/cpu.h"
#include <string.h>

enum { SMALL = 1 << 17 }; /* multiply-adds: a few microseconds of one core */

static bool take(inc_kernel *k, const inc_spec *a, const inc_spec *b, const inc_spec *bias,
                 const inc_spec *c) {
  if (dnn_matmul_init(&k->u.matmul, a, b, bias, c) || k->u.matmul.reference) return false;
  int64_t inner = a->shape[a->ndim - 1];
  k->impl = k->u.matmul.impl;
  k->workspace = k->u.matmul.workspace;
  k->flags =
      inc_spec_numel(c) * inner >= SMALL ? INC_K_WIDE : 0u; /* small: done before another thread wakes */
  return true;
}

static int build(inc_kernel *k, uint32_t prep) {
  (void)prep;
  return dnn_matmul_build(&k->u.matmul);
}

static void drop(inc_kernel *k) { dnn_matmul_free(&k->u.matmul); }

/* [..., C] as rows x C when the leading dims are one step apart. */
static bool flat_rows(const inc_spec *s, inc_spec *m) {
  int last = s->ndim - 1;
  int64_t rows = 1, step = 0, span = 0;
  if (s->ndim < 1 || !cpu_float_dtype(s->dtype)) return false;
  for (int d = last - 1; d >= 0; d--) {
    rows *= s->shape[d];
    if (s->shape[d] == 1) continue;
    if (!step) step = span = s->strides[d];
    if (s->strides[d] != span) return false;
    span *= s->shape[d];
  }
  *m = inc_spec_new(s->dtype, 2, (int64_t[]){rows, s->shape[last]});
  if (step) m->strides[0] = step;
  m->strides[1] = s->shape[last] == 1 ? 1 : s->strides[last];
  return m->strides[1] == 1 && m->strides[0] >= m->shape[1];
}

static inc_spec turned(inc_spec s) {
  int64_t n = s.shape[0], t = s.strides[0];
  s.shape[0] = s.shape[1], s.strides[0] = s.strides[1];
  s.shape[1] = n, s.strides[1] = t;
  return s;
}

/* y = x w^T + bias */
static bool make_linear(const inc_node *n, inc_kernel *k) {
  inc_spec x, w, y;
  if (!flat_rows(&n->in[0], &x) || !flat_rows(&n->in[1], &w) || !flat_rows(&n->out[0], &y)) return false;
  if (x.dtype != w.dtype || (inc_has(n, 2) && !inc_spec_is_contiguous(&n->in[2]))) return false;
  w = turned(w);
  return take(k, &x, &w, inc_has(n, 2) ? &n->in[2] : NULL, &y);
}

static int run_linear(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  return dnn_matmul_run(&k->u.matmul, in[0], in[1], k->u.matmul.bias ? in[2] : NULL, out[0], ws);
}

/* dx = dy w */
static bool make_linear_data(const inc_node *n, inc_kernel *k) {
  inc_spec dy, w, dx;
  if (!flat_rows(&n->in[0], &dy) || !flat_rows(&n->in[1], &w) || !flat_rows(&n->out[0], &dx)) return false;
  return dy.dtype == w.dtype && take(k, &dy, &w, NULL, &dx);
}

static int run_product(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  return dnn_matmul_run(&k->u.matmul, in[0], in[1], NULL, out[0], ws);
}

/* dw = dy^T x, f32 */
static bool make_linear_weight(const inc_node *n, inc_kernel *k) {
  inc_spec x, dy, dw;
  if (!flat_rows(&n->in[0], &x) || !flat_rows(&n->in[1], &dy) || !flat_rows(&n->out[0], &dw)) return false;
  dy = turned(dy);
  return x.dtype == dy.dtype && take(k, &dy, &x, NULL, &dw);
}

static int run_linear_weight(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  return dnn_matmul_run(&k->u.matmul, in[1], in[0], NULL, out[0], ws);
}

/* -- matmul: [M, K] x [K, N], or one batch dim on either side ----------------------------------------------
 */
static bool matrix(const inc_spec *s, bool is_b, inc_spec *m) {
  if (s->ndim < 1 || s->ndim > 3 || !cpu_float_dtype(s->dtype)) return false;
  *m = *s;
  if (s->ndim > 1) return true;
  *m = inc_spec_new(s->dtype, 2, is_b ? (int64_t[]){s->shape[0], 1} : (int64_t[]){1, s->shape[0]});
  m->strides[is_b ? 0 : 1] = s->strides[0];
  return true;
}

/* The library wants equal ranks; a missing batch dim has size 1. */
static void raise(inc_spec *m, int ndim) {
  while (m->ndim < ndim) {
    memmove(m->shape + 1, m->shape, sizeof(int64_t) * (size_t)m->ndim);
    memmove(m->strides + 1, m->strides, sizeof(int64_t) * (size_t)m->ndim);
    m->shape[0] = 1;
    m->strides[0] = m->ndim > 1 ? m->shape[1] * m->shape[2] : 1;
    m->ndim++;
  }
}

static bool one_step(const inc_spec *m) { /* rows or columns lie without gaps, and nothing stands still */
  int r = m->ndim - 2, c = m->ndim - 1;
  for (int d = 0; d < m->ndim; d++)
    if (m->strides[d] == 0 && m->shape[d] > 1) return false;
  return m->strides[r] == 1 || m->strides[c] == 1 || m->shape[r] == 1 || m->shape[c] == 1;
}

static bool make_matmul(const inc_node *n, inc_kernel *k) {
  inc_spec a, b, c;
  if (!matrix(&n->in[0], false, &a) || !matrix(&n->in[1], true, &b) || a.dtype != b.dtype) return false;
  int nd = a.ndim > b.ndim ? a.ndim : b.ndim;
  int64_t shape[3], batch = 1;
  raise(&a, nd);
  raise(&b, nd);
  if (!one_step(&a) || !one_step(&b) || !inc_spec_is_contiguous(&n->out[0])) return false;
  if (nd == 3) batch = a.shape[0] > b.shape[0] ? a.shape[0] : b.shape[0];
  shape[0] = batch, shape[nd - 2] = a.shape[nd - 2], shape[nd - 1] = b.shape[nd - 1];
  c = inc_spec_new(n->out[0].dtype, nd, shape);
  return cpu_float_dtype(c.dtype) && take(k, &a, &b, NULL, &c);
}

const cpu_row cpu_product_rows[] = {
    {"linear", make_linear, build, run_linear, drop},
    {"linear_backward_data", make_linear_data, build, run_product, drop},
    {"linear_backward_weight", make_linear_weight, build, run_linear_weight, drop},
    {"matmul", make_matmul, build, run_product, drop},
    {NULL, NULL, NULL, NULL, NULL},
};
