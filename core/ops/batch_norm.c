/* batch_norm.c -- batch normalisation of x [N, C, ...] over all dims but C, with an optional relu behind it.
**
** Training returns the batch's mean and (biased) variance beside y; the gradient needs just them and x.  The
** relu is part of the op because the two together are one pass over memory, and its mask is worked out again
** from x.  Statistics, weight and bias are f32 beside bf16 inputs (f64 for f64).  Running statistics are a
** separate update, so that evaluation, frozen layers and plans decide for themselves when it happens.
*/
#include "ops/ref.h"
#include <math.h>

static int stat_dtype(const inc_node *n, int x) { return n->in[x].dtype == INC_F64 ? INC_F64 : INC_F32; }

/* x in place `x`; weight, bias (and mean, var) behind it, up to place `last`. */
static int check_inputs(const inc_node *n, int x, int last) {
  const inc_spec *s = &n->in[x];
  char got[96];
  INC_TRY(inc_want_float(n, x));
  if (s->ndim < 2)
    return inc_fail(INC_EARG, "x", "expected 2 dims or more [N, C, ...], got shape %s",
                    inc_shape_text(s->ndim, s->shape, got, sizeof got));
  for (int k = x + 1; k <= last; k++) {
    if (!inc_has(n, k)) continue;
    INC_TRY(inc_want_vector(n, k, s->shape[1]));
    INC_TRY(inc_want_dtype(n, k, stat_dtype(n, x)));
  }
  return INC_OK;
}

static int64_t per_channel(const inc_spec *x) { return x->shape[1] ? inc_spec_numel(x) / x->shape[1] : 0; }

static int infer_train(inc_node *n) {
  const inc_spec *x = &n->in[0];
  char got[96];
  INC_TRY(check_inputs(n, 0, 2));
  if (inc_spec_numel(x) > 0 && per_channel(x) < 2)
    return inc_fail(INC_EARG, "x",
                    "expected more than one value per channel to take statistics of, got shape %s",
                    inc_shape_text(x->ndim, x->shape, got, sizeof got));
  INC_TRY(inc_done(inc_out_like(n, 0, 0)));
  INC_TRY(inc_done(inc_out(n, 1, stat_dtype(n, 0), 1, &x->shape[1])));
  return inc_done(inc_out(n, 2, stat_dtype(n, 0), 1, &x->shape[1]));
}

/* All of x but one channel: the spec to walk, given that channel c starts at c * strides[1]. */
static inc_spec channel(const inc_spec *x) {
  inc_spec s = *x;
  s.shape[1] = 1;
  return s;
}

/* y = (x - mean) * inv * weight + bias of one channel. */
typedef struct line {
  double mean, inv, weight, bias;
  bool relu;
} line;

static double line_at(const line *l, double x) { return (x - l->mean) * l->inv * l->weight + l->bias; }

static line line_of(const inc_node *n, void *const *in, int weight, double mean, double var, int64_t c) {
  line l = {.mean = mean, .inv = 1 / sqrt(var + inc_float(n, 0)), .relu = inc_int(n, 1)};
  l.weight = inc_ref_vec(n, in, weight, c, 1);
  l.bias = inc_ref_vec(n, in, weight + 1, c, 0);
  return l;
}

static void apply(const inc_node *n, void *const *in, void *const *out, const line *l, int64_t c) {
  inc_spec run = channel(&n->in[0]);
  INC_EACH (&run, i) {
    i[1] = c;
    double y = line_at(l, inc_ref_get(n, in, 0, i));
    inc_ref_put(n, out, 0, i, l->relu && y < 0 ? 0 : y);
    i[1] = 0;
  }
}

static int ref_train(const inc_node *n, void *const *in, void *const *out) {
  inc_spec run = channel(&n->in[0]);
  double count = (double)per_channel(&n->in[0]);
  for (int64_t c = 0; c < n->in[0].shape[1]; c++) {
    const char *x = in[0];
    int64_t base = c * n->in[0].strides[1];
    double mean = 0, var = 0;
    INC_EACH (&run, i) mean += inc_load(x, run.dtype, base + inc_ref_at(&run, i)) / count;
    INC_EACH (&run, j) {
      double d = inc_load(x, run.dtype, base + inc_ref_at(&run, j)) - mean;
      var += d * d / count;
    }
    inc_ref_put(n, out, 1, &c, mean);
    inc_ref_put(n, out, 2, &c, var);
    line l = line_of(n, in, 1, mean, var, c);
    apply(n, in, out, &l, c);
  }
  return INC_OK;
}

/* Hand dx, dweight, dbias of `op` to the inputs that want them. */
static int grad_through(inc_grad *g, const inc_op *op, inc_tensor *mean, inc_tensor *var) {
  inc_tensor *in[] = {g->dout[0], g->in[0], g->in[1], g->in[2], mean, var}, *out[3];
  if (!g->dout[0]) return INC_OK;
  INC_TRY(inc_gall(g, op, 6, in, g->node->attr, out));
  for (int k = 0; k < 3; k++)
    if (g->need[k]) INC_TRY(inc_g_set(g, k, out[k]));
  return INC_OK;
}

static int grad_train(inc_grad *g) {
  return grad_through(g, &inc_op_batch_norm_backward, g->out[1], g->out[2]);
}

const inc_op inc_op_batch_norm_train = {
    .name = "batch_norm_train",
    .sig = "x:tensor, weight:tensor?, bias:tensor?, eps:float=1e-5, relu:bool=false -> y, mean, var",
    .doc = "Normalise each channel of x [N, C, ...] by the batch's own mean and variance (biased, "
           "returned as [C]), then scale by weight and shift by bias.",
    .flags = INC_OP_HIDDEN,
    .save_in = 7,
    .save_out = 6,
    .n_out = 3,
    .infer = infer_train,
    .grad = grad_train,
    .ref = ref_train,
};

/* -- with given statistics -------------------------------------------------------------------------- */
static int infer_eval(inc_node *n) {
  INC_TRY(check_inputs(n, 0, 4));
  return inc_infer_like(n, 0);
}

static int ref_eval(const inc_node *n, void *const *in, void *const *out) {
  for (int64_t c = 0; c < n->in[0].shape[1]; c++) {
    line l = line_of(n, in, 1, inc_ref_vec(n, in, 3, c, 0), inc_ref_vec(n, in, 4, c, 1), c);
    apply(n, in, out, &l, c);
  }
  return INC_OK;
}

static int grad_eval(inc_grad *g) {
  return grad_through(g, &inc_op_batch_norm_eval_backward, g->in[3], g->in[4]);
}

const inc_op inc_op_batch_norm_eval = {
    .name = "batch_norm_eval",
    .sig = "x:tensor, weight:tensor?, bias:tensor?, mean:tensor, var:tensor, eps:float=1e-5, relu:bool=false "
           "-> y",
    .doc = "Normalise each channel of x [N, C, ...] by the given mean and variance [C], then scale "
           "by weight and shift by bias.",
    .flags = INC_OP_HIDDEN,
    .save_in = 31,
    .infer = infer_eval,
    .grad = grad_eval,
    .ref = ref_eval,
};

/* -- gradients -------------------------------------------------------------------------------------- */
static int infer_backward(inc_node *n) {
  const inc_spec *x = &n->in[1];
  INC_TRY(check_inputs(n, 1, 5));
  INC_TRY(inc_want_shape(n, 0, x->ndim, x->shape));
  INC_TRY(inc_done(inc_out_like(n, 0, 1)));
  INC_TRY(inc_done(inc_out(n, 1, stat_dtype(n, 1), 1, &x->shape[1])));
  return inc_done(inc_out(n, 2, stat_dtype(n, 1), 1, &x->shape[1]));
}

/* dy behind the relu, and x-hat, at one element. */
static double dy_at(const inc_node *n, void *const *in, const line *l, const int64_t *i, double *xhat) {
  double x = inc_ref_get(n, in, 1, i);
  *xhat = (x - l->mean) * l->inv;
  return l->relu && !(line_at(l, x) > 0) ? 0 : inc_ref_get(n, in, 0, i);
}

/* dx = weight inv (dy - mean(dy) - xhat mean(dy xhat)); the means are left out when the statistics are given.
 */
static int backward(const inc_node *n, void *const *in, void *const *out, bool fixed) {
  const inc_spec *x = &n->in[1];
  inc_spec run = channel(x);
  for (int64_t c = 0; c < x->shape[1]; c++) {
    line l = line_of(n, in, 2, inc_ref_vec(n, in, 4, c, 0), inc_ref_vec(n, in, 5, c, 1), c);
    double sum = 0, dot = 0, xhat, count = fixed ? INFINITY : (double)per_channel(x);
    INC_EACH (&run, i) {
      i[1] = c;
      double dy = dy_at(n, in, &l, i, &xhat);
      sum += dy;
      dot += dy * xhat;
      i[1] = 0;
    }
    INC_EACH (&run, j) {
      j[1] = c;
      double dy = dy_at(n, in, &l, j, &xhat);
      inc_ref_put(n, out, 0, j, l.weight * l.inv * (dy - sum / count - xhat * dot / count));
      j[1] = 0;
    }
    inc_ref_put(n, out, 1, &c, dot);
    inc_ref_put(n, out, 2, &c, sum);
  }
  return INC_OK;
}

static int ref_backward(const inc_node *n, void *const *in, void *const *out) {
  return backward(n, in, out, false);
}
static int ref_eval_backward(const inc_node *n, void *const *in, void *const *out) {
  return backward(n, in, out, true);
}

const inc_op inc_op_batch_norm_backward = {
    .name = "batch_norm_backward",
    .sig = "dy:tensor, x:tensor, weight:tensor?, bias:tensor?, mean:tensor, var:tensor, eps:float=1e-5, "
           "relu:bool=false -> dx, dweight, dbias",
    .doc = "The gradient of batch_norm_train; mean and var are what it returned.",
    .flags = INC_OP_HIDDEN,
    .n_out = 3,
    .infer = infer_backward,
    .ref = ref_backward,
};

const inc_op inc_op_batch_norm_eval_backward = {
    .name = "batch_norm_eval_backward",
    .sig = "dy:tensor, x:tensor, weight:tensor?, bias:tensor?, mean:tensor, var:tensor, eps:float=1e-5, "
           "relu:bool=false -> dx, dweight, dbias",
    .doc = "The gradient of batch_norm_eval: mean and var are constants.",
    .flags = INC_OP_HIDDEN,
    .n_out = 3,
    .infer = infer_backward,
    .ref = ref_eval_backward,
};

/* -- running statistics ----------------------------------------------------------------------------- */
static int infer_running(inc_node *n) {
  int64_t c = n->in[0].ndim == 1 ? n->in[0].shape[0] : 0;
  for (int k = 0; k < 4; k++) INC_TRY(inc_want_vector(n, k, c));
  return inc_want_at_least(n, "count", 1, 1);
}

static void move(const inc_node *n, void *const *in, int k, int64_t c, double to) {
  const inc_spec *s = &n->in[k];
  double old = inc_load(in[k], s->dtype, c * s->strides[0]), m = inc_float(n, 0);
  inc_store(in[k], s->dtype, c * s->strides[0], old + m * (to - old));
}

static int ref_running(const inc_node *n, void *const *in, void *const *out) {
  double count = (double)inc_int(n, 1), unbias = count > 1 ? count / (count - 1) : 1;
  (void)out;
  for (int64_t c = 0; c < n->in[0].shape[0]; c++) {
    move(n, in, 0, c, inc_ref_vec(n, in, 2, c, 0));
    move(n, in, 1, c, inc_ref_vec(n, in, 3, c, 0) * unbias);
  }
  return INC_OK;
}

const inc_op inc_op_bn_running_ = {
    .name = "bn_running_",
    .sig =
        "running_mean:tensor!, running_var:tensor!, mean:tensor, var:tensor, momentum:float=0.1, count:int",
    .doc = "Move the running statistics [C] towards the batch's by momentum; `count` values per "
           "channel make the variance unbiased.",
    .flags = INC_OP_HIDDEN | INC_OP_MUTATES,
    .infer = infer_running,
    .ref = ref_running,
};
