/* fused.c -- ops that only the planner makes (plan/fuse.c): a convolution with relu inside, and the folding
** of batch_norm into the convolution before it for inference. */
#include "base/mem.h"
#include "ops/op.h"
#include <math.h>
#include <string.h>

static int relu_infer(inc_node *n) { return inc_op_conv2d.infer(n); }

static int relu_ref(const inc_node *n, void *const *in, void *const *out) {
  INC_TRY(inc_op_conv2d.ref(n, in, out));
  const inc_spec *s = &n->out[0];
  int64_t span = inc_spec_span(s); /* holes, if any, belong to others: clamp only our elements */
  if (inc_spec_is_dense(s)) {
    for (int64_t i = 0; i < span; i++)
      if (inc_load(out[0], s->dtype, i) < 0) inc_store(out[0], s->dtype, i, 0);
    return INC_OK;
  }
  int64_t count = inc_spec_numel(s);
  for (int64_t i = 0; i < count; i++) {
    int64_t at = 0, rest = i;
    for (int d = s->ndim - 1; d >= 0; d--) at += rest % s->shape[d] * s->strides[d], rest /= s->shape[d];
    if (inc_load(out[0], s->dtype, at) < 0) inc_store(out[0], s->dtype, at, 0);
  }
  return INC_OK;
}

const inc_op inc_op_conv2d_relu = {
    .name = "conv2d_relu",
    .sig = "x:tensor, weight:tensor, bias:tensor?, stride:int[2]=1, padding:int[2]=0, dilation:int[2]=1, "
           "groups:int=1 -> y",
    .doc = "max(conv2d(x, weight, bias), 0) in one kernel.",
    .flags = INC_OP_HIDDEN | INC_OP_AUTOCAST,
    .infer = relu_infer,
    .ref = relu_ref,
};

static int fold_infer(inc_node *n) {
  INC_TRY(inc_want_ndim(n, 0, 4));
  int64_t c = n->in[0].shape[0];
  for (int k = 1; k < 5; k++)
    if (n->in[k].dtype != INC_NONE) INC_TRY(inc_want_shape(n, k, 1, &c));
  inc_out(n, 0, n->in[0].dtype, 4, n->in[0].shape);
  inc_out(n, 1, n->in[0].dtype, 1, &c);
  return INC_OK;
}

static double at(const inc_node *n, void *const *in, int k, int64_t i, double absent) {
  return in[k] ? inc_load(in[k], n->in[k].dtype, i * n->in[k].strides[0]) : absent;
}

/* Rows of the weight are contiguous (captured weights are row-major); a float row is scaled directly. */
static int fold_ref(const inc_node *n, void *const *in, void *const *out) {
  int64_t c = n->in[0].shape[0], row = c ? inc_spec_numel(&n->in[0]) / c : 0;
  if (!inc_spec_is_contiguous(&n->in[0])) return inc_fail(INC_EARG, "weight", "expected a contiguous weight");
  for (int64_t i = 0; i < c; i++) {
    double scale = at(n, in, 1, i, 1) / sqrt(at(n, in, 4, i, 1) + n->attr[0].f[0]);
    inc_store(out[1], n->out[1].dtype, i, at(n, in, 2, i, 0) - at(n, in, 3, i, 0) * scale);
    if (n->in[0].dtype == INC_F32) {
      const float *w = (const float *)in[0] + i * row;
      float *y = (float *)out[0] + i * row, s = (float)scale;
      for (int64_t k = 0; k < row; k++) y[k] = w[k] * s;
    } else {
      for (int64_t k = i * row; k < (i + 1) * row; k++)
        inc_store(out[0], n->out[0].dtype, k, inc_load(in[0], n->in[0].dtype, k) * scale);
    }
  }
  return INC_OK;
}

const inc_op inc_op_fold_batch_norm = {
    .name = "fold_batch_norm",
    .sig =
        "conv_weight:tensor, weight:tensor?, bias:tensor?, mean:tensor, var:tensor, eps:float=1e-5 -> w, b",
    .doc = "The weight and bias of a convolution that does what conv2d followed by batch_norm_eval does: "
           "w = conv_weight * weight / sqrt(var + eps), b = bias - mean * weight / sqrt(var + eps).",
    .flags = INC_OP_HIDDEN,
    .n_out = 2,
    .infer = fold_infer,
    .ref = fold_ref,
};
