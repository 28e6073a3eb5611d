/* loss.c -- softmax, log_softmax, cross_entropy and their gradients over the last dim.
** Rows are shared out among the cores; the loss is summed in f64 in row order. */
#include "cpu/cpu.h"

/* [..., C] with C inside and one step from row to row. */
static bool lines_of(const inc_spec *s, k_rows *r, int64_t *rows, int64_t *c) {
  int last = s->ndim - 1;
  if (s->ndim < 1 || !cpu_float_dtype(s->dtype)) return false;
  if (s->ndim == 2 ? s->strides[1] != 1 && s->shape[1] > 1 : !inc_spec_is_contiguous(s)) return false;
  *c = s->shape[last];
  *rows = inc_spec_numel(s) / (*c ? *c : 1);
  *r = (k_rows){NULL, s->ndim == 2 ? s->strides[0] : *c, s->dtype};
  return true;
}

static bool last_dim(const inc_node *n, int in) {
  int64_t d = inc_int(n, 0);
  return d == -1 || d == n->in[in].ndim - 1;
}

static bool make_softmax(const inc_node *n, inc_kernel *k) {
  int64_t rows, c;
  if (!last_dim(n, 0) || !lines_of(&n->in[0], &k->u.lines.a, &k->u.lines.rows, &k->u.lines.c)) return false;
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0]));
  return lines_of(&n->out[0], &k->u.lines.y, &rows, &c);
}

static bool make_softmax_back(const inc_node *n, inc_kernel *k) {
  int64_t rows, c;
  if (!last_dim(n, 1) || !lines_of(&n->in[0], &k->u.lines.a, &k->u.lines.rows, &k->u.lines.c)) return false;
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0]));
  return lines_of(&n->in[1], &k->u.lines.b, &rows, &c) && lines_of(&n->out[0], &k->u.lines.y, &rows, &c);
}

static k_rows row_at(k_rows r, void *p, int64_t row) {
  r.p = (char *)p + (size_t)(row * r.ld) * inc_dtype_size(r.dt);
  return r;
}

static void softmax_rows(const inc_kernel *k, void *const *in, void *const *out, bool log, bool back) {
  int64_t rows = k->u.lines.rows, c = k->u.lines.c;
#pragma omp parallel for schedule(static) if (rows * c >= CPU_WIDE)
  for (int64_t r = 0; r < rows; r++) {
    k_rows a = row_at(k->u.lines.a, in[0], r), y = row_at(k->u.lines.y, out[0], r);
    if (!back) {
      k->k->softmax(1, c, &a, &y, log);
      continue;
    }
    k_rows b = row_at(k->u.lines.b, in[1], r);
    k->k->softmax_back(1, c, &a, &b, &y, log);
  }
}

#define SOFTMAX(name, log, back)                                                                             \
  static int name(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {               \
    (void)ws, (void)same;                                                                                    \
    softmax_rows(k, in, out, log, back);                                                                     \
    return INC_OK;                                                                                           \
  }
SOFTMAX(run_softmax, false, false)
SOFTMAX(run_log_softmax, true, false)
SOFTMAX(run_softmax_back, false, true)
SOFTMAX(run_log_softmax_back, true, true)

/* -- cross-entropy ------------------------------------------------------------------------------------- */
enum { MEAN, SUM, NONE };

static bool targets_fit(const inc_spec *t) {
  return inc_spec_is_contiguous(t) && (t->dtype == INC_I64 || t->dtype == INC_I32 || t->dtype == INC_U8);
}

/* The targets as i64 in the workspace, all checked. */
static int take_targets(const inc_kernel *k, int in, const void *from, int64_t *to) {
  int64_t rows = k->u.lines.rows, c = k->u.lines.c;
  k->k->cast(k->node.in[in].dtype, INC_I64, rows, to, from);
  for (int64_t r = 0; r < rows; r++)
    if (to[r] < 1 || to[r] > c)
      return inc_fail(INC_EARG, "target", "label %lld at row %lld: expected 1 to %lld", (long long)to[r],
                      (long long)r + 1, (long long)c);
  return INC_OK;
}

static bool make_loss(const inc_node *n, inc_kernel *k) {
  if (!lines_of(&n->in[0], &k->u.lines.a, &k->u.lines.rows, &k->u.lines.c) || !targets_fit(&n->in[1]))
    return false;
  k->workspace =
      dnn_align(sizeof(int64_t) * (size_t)k->u.lines.rows) + sizeof(float) * (size_t)k->u.lines.rows;
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0]));
  return n->out[0].dtype == INC_F32 && inc_spec_is_contiguous(&n->out[0]);
}

static int run_loss(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  int64_t rows = k->u.lines.rows, c = k->u.lines.c, *target = ws;
  float *loss = (float *)(void *)((char *)ws + dnn_align(sizeof(int64_t) * (size_t)rows)), *y = out[0];
  float smooth = (float)inc_float(&k->node, 0);
  int64_t kind = inc_int(&k->node, 1);
  INC_TRY(take_targets(k, 1, in[1], target));
  if (kind == NONE) loss = y;
#pragma omp parallel for schedule(static) if (rows * c >= CPU_WIDE)
  for (int64_t r = 0; r < rows; r++) {
    k_rows x = row_at(k->u.lines.a, in[0], r);
    k->k->cross_entropy(1, c, &x, target + r, smooth, loss + r);
  }
  if (kind == NONE) return INC_OK;
  double total = 0;
  for (int64_t r = 0; r < rows; r++) total += (double)loss[r];
  y[0] = (float)(kind == MEAN ? total / (double)rows : total);
  return INC_OK;
}

/* dy, x, target -> dx */
static bool make_loss_back(const inc_node *n, inc_kernel *k) {
  int64_t rows, c;
  if (!lines_of(&n->in[1], &k->u.lines.a, &k->u.lines.rows, &k->u.lines.c) || !targets_fit(&n->in[2]))
    return false;
  if (n->in[0].dtype != INC_F32 || !lines_of(&n->out[0], &k->u.lines.y, &rows, &c)) return false;
  if (n->in[0].ndim > 1 || n->in[0].dtype != INC_F32) return false;
  k->workspace = sizeof(int64_t) * (size_t)k->u.lines.rows;
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[1]));
  return true;
}

static int run_loss_back(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  int64_t rows = k->u.lines.rows, c = k->u.lines.c, *target = ws;
  const inc_spec *dy = &k->node.in[0];
  int64_t step = dy->ndim && dy->shape[0] > 1 ? dy->strides[0] : 0;
  float smooth = (float)inc_float(&k->node, 0);
  float factor = inc_int(&k->node, 1) == MEAN ? 1 / (float)rows : 1;
  INC_TRY(take_targets(k, 2, in[2], target));
#pragma omp parallel for schedule(static) if (rows * c >= CPU_WIDE)
  for (int64_t r = 0; r < rows; r++) {
    k_rows x = row_at(k->u.lines.a, in[1], r), dx = row_at(k->u.lines.y, out[0], r);
    k->k->cross_entropy_back(1, c, &x, target + r, smooth, (const float *)in[0] + r * step, 0, factor, &dx);
  }
  return INC_OK;
}

const cpu_row cpu_loss_rows[] = {
    {"softmax", make_softmax, NULL, run_softmax, NULL},
    {"log_softmax", make_softmax, NULL, run_log_softmax, NULL},
    {"softmax_backward", make_softmax_back, NULL, run_softmax_back, NULL},
    {"log_softmax_backward", make_softmax_back, NULL, run_log_softmax_back, NULL},
    {"cross_entropy", make_loss, NULL, run_loss, NULL},
    {"cross_entropy_backward", make_loss_back, NULL, run_loss_back, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
