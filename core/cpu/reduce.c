/* reduce.c -- sum, mean, norm and sum_to of f32 and bf16, and global_norm.
**
** The dims of x, ordered by stride, fall into blocks that stay and blocks that are summed.  Three
** arrangements have kernels: all summed; the inner block summed (one sum a row); an outer block summed with
** channels inside (column sums, as for biases and for the mean over the pixels of channels-last pictures). */
#include "cpu/cpu.h"
#include <math.h>
#include <string.h>

enum { CHUNK = 1 << 16 }; /* elements of a partial sum: fixed, so results do not follow the thread count */

typedef struct block {
  int64_t size, stride;
  bool run; /* is summed */
} block;

/* Neighbouring dims of one kind merged, widest stride first; -1 when they do not. */
static int blocks_of(const inc_spec *x, const bool *marks, block *out) {
  int n = 0, order[INC_MAX_DIMS], m = 0;
  for (int d = 0; d < x->ndim; d++) {
    if (x->shape[d] == 1) continue;
    int at = m++;
    for (; at > 0 && x->strides[order[at - 1]] < x->strides[d]; at--) order[at] = order[at - 1];
    order[at] = d;
  }
  int kept = -1;
  for (int i = 0; i < m; i++) {
    int d = order[i];
    if (!marks[d] && d < kept) return -1; /* the result is row-major */
    if (!marks[d]) kept = d;
    bool joins = n && out[n - 1].run == marks[d] && out[n - 1].stride == x->strides[d] * x->shape[d];
    if (joins)
      out[n - 1].size *= x->shape[d];
    else
      out[n++] = (block){.size = x->shape[d], .run = marks[d]};
    out[n - 1].stride = x->strides[d];
  }
  return n;
}

/* -> outer x run x inner, inner = 1 for row sums; dense. */
static bool arrange(const inc_node *n, const bool *marks, inc_kernel *k) {
  block b[INC_MAX_DIMS];
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  if (!cpu_float_dtype(x->dtype) || !cpu_float_dtype(y->dtype) || !inc_spec_is_dense(x) ||
      !inc_spec_is_contiguous(y))
    return false;
  int m = blocks_of(x, marks, b), at = 0;
  if (m < 0 || m > 3) return false;
  int64_t *size[] = {&k->u.reduce.outer, &k->u.reduce.run, &k->u.reduce.inner};
  for (int i = 0; i < 3; i++) *size[i] = 1;
  for (int i = 0; i < m; i++) {
    if (b[i].run)
      at = 1;
    else if (at == 1)
      at = 2;
    else if (i > 0)
      return false;
    if (i > 0 && b[i].run && !b[i - 1].run && at == 2) return false;
    *size[at] = b[i].size;
  }
  for (int i = 0, seen = 0; i < m; i++) seen += b[i].run, at = seen;
  if (at > 1) return false; /* two summed blocks */
  k->flags = CPU_IF_WIDE(inc_spec_numel(x));
  k->workspace = dnn_align(k_bn_scratch(k->u.reduce.run, k->u.reduce.inner)) +
                 dnn_align(sizeof(float) * (size_t)(k->u.reduce.outer * k->u.reduce.inner));
  return true;
}

static void marks_of(const inc_node *n, bool *marks) {
  const inc_attr *dims = &n->attr[0];
  for (int d = 0; d < INC_MAX_DIMS; d++) marks[d] = dims->n < 0;
  for (int i = 0; i < dims->n; i++) marks[dims->i[i] < 0 ? dims->i[i] + n->in[0].ndim : dims->i[i]] = true;
}

static bool make_sum(const inc_node *n, inc_kernel *k) {
  bool marks[INC_MAX_DIMS];
  marks_of(n, marks);
  return arrange(n, marks, k);
}

static bool make_mean(const inc_node *n, inc_kernel *k) {
  k->u.reduce.mean = true;
  return make_sum(n, k);
}

/* The norm of all elements only. */
static bool make_norm(const inc_node *n, inc_kernel *k) {
  k->u.reduce.norm = true;
  return make_sum(n, k) && k->u.reduce.outer * k->u.reduce.inner == 1;
}

static bool make_sum_to(const inc_node *n, inc_kernel *k) {
  bool marks[INC_MAX_DIMS] = {false};
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  int extra = x->ndim - y->ndim;
  for (int d = 0; d < x->ndim; d++) marks[d] = d < extra || (y->shape[d - extra] == 1 && x->shape[d] != 1);
  return arrange(n, marks, k);
}

/* -- running ------------------------------------------------------------------------------------------- */
static double sum_chunk(const inc_kernels *k, int dt, int64_t n, const char *x, bool square) {
  return square ? k->sum_squares(dt, n, x) : k->sum(dt, n, x);
}

static double sum_long(const inc_kernels *k, int dt, int64_t n, const char *x, bool square) {
  int64_t chunks = (n + CHUNK - 1) / CHUNK;
  double part[256], total = 0;
  if (chunks == 1) return sum_chunk(k, dt, n, x, square); /* a region of one costs a system call */
  for (int64_t base = 0; base < chunks; base += 256) {
    int64_t m = chunks - base < 256 ? chunks - base : 256;
#pragma omp parallel for schedule(static) if (n >= CPU_WIDE && m > 1)
    for (int64_t i = 0; i < m; i++) {
      int64_t from = (base + i) * CHUNK, len = n - from < CHUNK ? n - from : CHUNK;
      part[i] = sum_chunk(k, dt, len, x + (size_t)from * inc_dtype_size(dt), square);
    }
    for (int64_t i = 0; i < m; i++) total += part[i];
  }
  return total;
}

static int run_reduce(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  int dt = k->node.in[0].dtype;
  int64_t outer = k->u.reduce.outer, run = k->u.reduce.run, inner = k->u.reduce.inner;
  size_t step = (size_t)(run * inner) * inc_dtype_size(dt);
  float *y = (float *)(void *)((char *)ws + dnn_align(k_bn_scratch(run, inner)));
  for (int64_t i = 0; i < outer; i++) {
    char *x = (char *)in[0] + (size_t)i * step;
    k_rows rows = {x, inner, dt};
    if (inner > 1)
      k->k->sum_rows(run, inner, &rows, y + i * inner, ws);
    else
      y[i] = (float)(k->u.reduce.norm ? sqrt(sum_long(k->k, dt, run, x, true))
                                      : sum_long(k->k, dt, run, x, false));
  }
  if (k->u.reduce.mean)
    for (int64_t i = 0; i < outer * inner; i++) y[i] /= (float)run;
  k->k->cast(INC_F32, k->node.out[0].dtype, outer * inner, out[0], y);
  return INC_OK;
}

static bool make_global_norm(const inc_node *n, inc_kernel *k) {
  if (n->out[0].dtype != INC_F32) return false;
  for (int i = 0; i < n->n_in; i++) {
    if (!cpu_float_dtype(n->in[i].dtype) || !inc_spec_is_dense(&n->in[i])) return false;
    k->flags |= CPU_IF_WIDE(inc_spec_numel(&n->in[i]));
  }
  return true;
}

static int run_global_norm(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  double total = 0;
  for (int i = 0; i < k->node.n_in; i++)
    total += sum_long(k->k, k->node.in[i].dtype, inc_spec_numel(&k->node.in[i]), in[i], true);
  *(float *)out[0] = (float)sqrt(total);
  return INC_OK;
}

const cpu_row cpu_reduce_rows[] = {
    {"sum", make_sum, NULL, run_reduce, NULL},
    {"mean", make_mean, NULL, run_reduce, NULL},
    {"norm", make_norm, NULL, run_reduce, NULL},
    {"sum_to", make_sum_to, NULL, run_reduce, NULL},
    {"global_norm", make_global_norm, NULL, run_global_norm, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
