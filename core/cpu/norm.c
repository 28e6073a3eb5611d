/* norm.c -- batch_norm_train, _eval, _backward, _eval_backward on our own kernels.
**
** x, y and gradients are f32 or bf16 rows of channels; y and dy may be channel slices of a concat.  Vectors
** are f32.  The library's batch norm is not offered: slower in this layout, and it cannot write slices. */
#include "cpu/cpu.h"
#include <math.h>

static bool vectors_fit(const inc_node *n, int from, int to) {
  for (int i = from; i <= to; i++)
    if (!cpu_vector(n, i)) return false;
  return true;
}

static bool result_fits(const inc_node *n, int k) {
  return n->out[k].dtype == INC_F32 && inc_spec_is_contiguous(&n->out[k]);
}

/* What all four share: eps and relu, the rows of x, scratch behind the copies. */
static bool start(const inc_node *n, inc_kernel *k, int x, size_t *at) {
  const inc_spec *s = &n->in[x];
  if (!cpu_float_dtype(s->dtype) || !cpu_rows_init(&k->u.norm.x, s, at)) return false;
  k_bn *b = &k->u.norm.bn;
  b->c = s->shape[1];
  b->rows = k->u.norm.x.n * k->u.norm.x.hw;
  b->x.dt = s->dtype;
  b->x.ld = k->u.norm.x.ld;
  b->eps = (float)inc_float(n, 0);
  b->relu = inc_int(n, 1) != 0;
  k->flags = INC_K_WIDE;
  return true;
}

static void finish(inc_kernel *k, size_t at) {
  k->u.norm.scratch = at;
  k->workspace = at + dnn_align(k_bn_scratch(k->u.norm.bn.rows, k->u.norm.bn.c));
  int64_t work = k->u.norm.bn.rows * k->u.norm.bn.c;
  k->flags = k->u.norm.x.copied ? INC_K_WIDE : work > 1 << 13 ? INC_K_WIDE : 0;
}

static bool attach(cpu_rows *r, k_rows *to, const inc_spec *s, const inc_spec *like, size_t *at) {
  if (!cpu_float_dtype(s->dtype) || !inc_spec_same_shape(s, like) || !cpu_rows_init(r, s, at)) return false;
  to->dt = s->dtype;
  to->ld = r->ld;
  return true;
}

static bool make_train(const inc_node *n, inc_kernel *k) {
  size_t at = 0;
  if (!start(n, k, 0, &at) || !vectors_fit(n, 1, 2) || !result_fits(n, 1) || !result_fits(n, 2)) return false;
  if (!attach(&k->u.norm.y, &k->u.norm.bn.y, &n->out[0], &n->in[0], &at)) return false;
  finish(k, at);
  return true;
}

static bool make_eval(const inc_node *n, inc_kernel *k) {
  size_t at = 0;
  if (!start(n, k, 0, &at) || !vectors_fit(n, 1, 4)) return false;
  if (!attach(&k->u.norm.y, &k->u.norm.bn.y, &n->out[0], &n->in[0], &at)) return false;
  finish(k, at);
  return true;
}

/* x -> y; mean and var are given (evaluation) or come out. */
static void forward(inc_kernel *k, void *const *in, void *y, void *mean, void *var, void *ws, bool train) {
  k_bn b = k->u.norm.bn;
  b.x.p = cpu_rows_in(&k->u.norm.x, in[0], ws);
  b.y.p = cpu_rows_at(&k->u.norm.y, y, ws);
  b.gamma = in[1], b.beta = in[2];
  b.mean = mean, b.var = var;
  b.scratch = (char *)ws + k->u.norm.scratch;
  if (train) k->k->bn_stats(&b);
  k->k->bn_apply(&b);
  cpu_rows_out(&k->u.norm.y, y, ws);
}

static int run_train(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  forward(k, in, out[0], out[1], out[2], ws, true);
  return INC_OK;
}

static int run_eval(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  forward(k, in, out[0], in[3], in[4], ws, false);
  return INC_OK;
}

/* in: dy, x, weight?, bias?, mean, var; out: dx, dweight, dbias */
static bool make_backward(const inc_node *n, inc_kernel *k) {
  size_t at = 0;
  if (!start(n, k, 1, &at) || !vectors_fit(n, 2, 5) || n->in[0].dtype != n->in[1].dtype ||
      n->out[0].dtype != n->in[1].dtype)
    return false;
  for (int i = 1; i < n->n_out; i++)
    if (!result_fits(n, i)) return false;
  if (!attach(&k->u.norm.dy, &k->u.norm.bn.dy, &n->in[0], &n->in[1], &at)) return false;
  if (!attach(&k->u.norm.dx, &k->u.norm.bn.dx, &n->out[0], &n->in[1], &at)) return false;
  finish(k, at);
  return true;
}

static void backward(inc_kernel *k, void *const *in, void *const *out, void *ws, bool fixed) {
  k_bn b = k->u.norm.bn;
  b.fixed = fixed;
  b.dy.p = cpu_rows_in(&k->u.norm.dy, in[0], ws);
  b.x.p = cpu_rows_in(&k->u.norm.x, in[1], ws);
  b.dx.p = cpu_rows_at(&k->u.norm.dx, out[0], ws);
  b.gamma = in[2], b.beta = in[3];
  b.mean = in[4], b.var = in[5];
  b.dgamma = out[1], b.dbeta = out[2];
  b.scratch = (char *)ws + k->u.norm.scratch;
  k->k->bn_backward(&b);
  cpu_rows_out(&k->u.norm.dx, out[0], ws);
}

static int run_backward(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  backward(k, in, out, ws, false);
  return INC_OK;
}

static int run_eval_backward(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  backward(k, in, out, ws, true);
  return INC_OK;
}

/* -- folding into the weight of a convolution: conv_weight, weight?, bias?, mean, var -> w, b --------------
 */
static bool make_fold(const inc_node *n, inc_kernel *k) {
  const inc_spec *w = &n->in[0];
  if (w->dtype != INC_F32 || !inc_spec_is_contiguous(w) || !vectors_fit(n, 1, 4) || !result_fits(n, 0))
    return false;
  k->flags = CPU_IF_WIDE(inc_spec_numel(w));
  return result_fits(n, 1);
}

static int run_fold(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  const inc_spec *s = &k->node.in[0];
  int64_t c = s->shape[0], row = inc_spec_numel(s) / c;
  const float *w = in[0], *gamma = in[1], *beta = in[2], *mean = in[3], *var = in[4];
  float *folded = out[0], *bias = out[1];
#pragma omp parallel for schedule(static) if (row * c >= CPU_WIDE)
  for (int64_t i = 0; i < c; i++) {
    double scale = (gamma ? (double)gamma[i] : 1) / sqrt((double)var[i] + inc_float(&k->node, 0));
    float factor = (float)scale;
    bias[i] = (float)((beta ? (double)beta[i] : 0) - (double)mean[i] * scale);
    k->k->binary(K_MUL, INC_F32, row, folded + i * row, w + i * row, 1, &factor, 0);
  }
  return INC_OK;
}

const cpu_row cpu_norm_rows[] = {
    {"batch_norm_train", make_train, NULL, run_train, NULL},
    {"batch_norm_eval", make_eval, NULL, run_eval, NULL},
    {"batch_norm_backward", make_backward, NULL, run_backward, NULL},
    {"batch_norm_eval_backward", make_backward, NULL, run_eval_backward, NULL},
    {"fold_batch_norm", make_fold, NULL, run_fold, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
