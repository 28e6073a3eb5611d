/* cross_entropy.c -- the classification loss on logits, with label smoothing.
**
** loss = -sum q log softmax(x), q = 1 - s at the target plus s / C everywhere.  It is one op from logits to
** loss because softmax followed by a logarithm loses the small probabilities; the gradient works softmax out
** again from the logits, which are small beside what a stored copy would cost.  A label outside 1..C can only
** be found when the op runs, and is named with its row.
*/
#include "ops/ref.h"
#include <math.h>

enum { MEAN, SUM, NONE };

static int loss_dtype(const inc_node *n, int x) { return n->in[x].dtype == INC_F64 ? INC_F64 : INC_F32; }

static int check_inputs(const inc_node *n, int x) {
  double s = inc_float(n, 0);
  char got[96];
  const inc_spec *logits = &n->in[x];
  INC_TRY(inc_want_float(n, x));
  if (logits->ndim != 2)
    return inc_fail(INC_EARG, "x", "expected logits of shape [N, C], got %s",
                    inc_shape_text(logits->ndim, logits->shape, got, sizeof got));
  INC_TRY(inc_want_int(n, x + 1));
  INC_TRY(inc_want_vector(n, x + 1, logits->shape[0]));
  if (!(s >= 0 && s <= 1)) return inc_fail(INC_EARG, "label_smoothing", "expected 0 to 1, got %g", s);
  return INC_OK;
}

static int infer(inc_node *n) {
  INC_TRY(check_inputs(n, 0));
  return inc_done(inc_out(n, 0, loss_dtype(n, 0), inc_int(n, 1) == NONE, &n->in[0].shape[0]));
}

/* The target of row r, 0-based. */
static int target_of(const inc_node *n, void *const *in, int k, int64_t r, int64_t classes, int64_t *out) {
  double v = inc_load(in[k], n->in[k].dtype, r * n->in[k].strides[0]);
  *out = (int64_t)v - 1;
  if (v >= 1 && v <= (double)classes) return INC_OK;
  return inc_fail(INC_EARG, "target", "label %.0f at row %lld: expected 1 to %lld", v, (long long)r + 1,
                  (long long)classes);
}

static double logit(const inc_node *n, void *const *in, int k, int64_t r, int64_t c) {
  return inc_load(in[k], n->in[k].dtype, r * n->in[k].strides[0] + c * n->in[k].strides[1]);
}

/* log sum exp of row r. */
static double log_sum(const inc_node *n, void *const *in, int k, int64_t r) {
  int64_t classes = n->in[k].shape[1];
  double top = -INFINITY, sum = 0;
  for (int64_t c = 0; c < classes; c++) top = fmax(top, logit(n, in, k, r, c));
  for (int64_t c = 0; c < classes; c++) sum += exp(logit(n, in, k, r, c) - top);
  return top + log(sum);
}

static int ref(const inc_node *n, void *const *in, void *const *out) {
  int64_t rows = n->in[0].shape[0], classes = n->in[0].shape[1], t;
  double s = inc_float(n, 0), total = 0;
  for (int64_t r = 0; r < rows; r++) {
    INC_TRY(target_of(n, in, 1, r, classes, &t));
    double l = log_sum(n, in, 0, r), loss = (1 - s) * (l - logit(n, in, 0, r, t));
    for (int64_t c = 0; s > 0 && c < classes; c++) loss += s / (double)classes * (l - logit(n, in, 0, r, c));
    if (inc_int(n, 1) == NONE) inc_ref_put(n, out, 0, &r, loss);
    total += loss;
  }
  if (inc_int(n, 1) == MEAN) total /= (double)rows;
  if (inc_int(n, 1) != NONE) inc_store(out[0], n->out[0].dtype, 0, total);
  return INC_OK;
}

static int grad(inc_grad *g) {
  inc_tensor *in[] = {g->dout[0], g->in[0], g->in[1]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_cross_entropy_backward, 3, in, g->node->attr, 0));
}

const inc_op inc_op_cross_entropy = {
    .name = "cross_entropy",
    .sig = "x:tensor, target:tensor, label_smoothing:float=0, reduction:enum(mean|sum|none)=mean -> loss",
    .doc = "The cross-entropy of logits x [N, C] with the integer labels target [N], counted from "
           "1; label_smoothing spreads that share of the target over all classes. The mean over "
           "rows, their sum, or [N] with reduction = 'none'. Refuses a label outside 1 to C.\n"
           "> inc.cross_entropy(inc.tensor{{30, 0}}, inc.tensor{1, dtype = 'i64'}):item() < 1e-9  --> true",
    .flags = INC_OP_F32,
    .save_in = 3,
    .infer = infer,
    .grad = grad,
    .ref = ref,
};

static int infer_backward(inc_node *n) {
  INC_TRY(check_inputs(n, 1));
  return inc_infer_like(n, 1);
}

static int ref_backward(const inc_node *n, void *const *in, void *const *out) {
  int64_t rows = n->in[1].shape[0], classes = n->in[1].shape[1], t;
  double s = inc_float(n, 0), share = inc_int(n, 1) == MEAN ? 1 / (double)rows : 1;
  for (int64_t r = 0; r < rows; r++) {
    INC_TRY(target_of(n, in, 2, r, classes, &t));
    double l = log_sum(n, in, 1, r), dy = share * inc_ref_vec(n, in, 0, r, 0);
    for (int64_t c = 0; c < classes; c++) {
      double q = s / (double)classes + (c == t ? 1 - s : 0);
      inc_ref_put(n, out, 0, (int64_t[]){r, c}, dy * (exp(logit(n, in, 1, r, c) - l) - q));
    }
  }
  return INC_OK;
}

const inc_op inc_op_cross_entropy_backward = {
    .name = "cross_entropy_backward",
    .sig = "dy:tensor, x:tensor, target:tensor, label_smoothing:float=0, reduction:enum(mean|sum|none)=mean "
           "-> dx",
    .doc = "The gradient of cross_entropy for the logits x: dy times (softmax(x) - q), divided by "
           "N for the mean.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward,
    .ref = ref_backward,
};
