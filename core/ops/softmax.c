/* softmax.c -- softmax and log_softmax along a dim, with their gradients.
**
** The largest value is subtracted first, so that no exponential overflows.  Gradients need only the result.
*/
#include "ops/ref.h"
#include <math.h>

static int infer(inc_node *n) {
  int d;
  INC_TRY(inc_want_float(n, 0));
  INC_TRY(inc_dim_attr(n, 0, 0, &d));
  return inc_infer_like(n, 0);
}

static int infer_backward(inc_node *n) {
  int d;
  INC_TRY(inc_dim_attr(n, 0, 1, &d));
  return inc_infer_like(n, 1);
}

/* A line of a tensor along the dim of the op: element j is at base + j * step. */
typedef struct lines {
  int64_t size;
  inc_spec keep;
} lines;

static lines lines_of(const inc_node *n, int in) {
  bool marks[INC_MAX_DIMS] = {false};
  inc_spec run;
  lines l = {.size = n->in[in].shape[inc_int(n, 0)]};
  marks[inc_int(n, 0)] = true;
  inc_ref_split(&n->in[in], marks, &l.keep, &run);
  return l;
}

static int forward(const inc_node *n, void *const *in, void *const *out, bool log_of_it) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  int64_t d = inc_int(n, 0);
  lines l = lines_of(n, 0);
  INC_EACH (&l.keep, i) {
    int64_t xb = inc_ref_at(x, i), yb = inc_ref_at(y, i);
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < l.size; j++) top = fmax(top, inc_load(in[0], x->dtype, xb + j * x->strides[d]));
    for (int64_t j = 0; j < l.size; j++) sum += exp(inc_load(in[0], x->dtype, xb + j * x->strides[d]) - top);
    for (int64_t j = 0; j < l.size; j++) {
      double z = inc_load(in[0], x->dtype, xb + j * x->strides[d]) - top;
      inc_store(out[0], y->dtype, yb + j * y->strides[d], log_of_it ? z - log(sum) : exp(z) / sum);
    }
  }
  return INC_OK;
}

static int ref_softmax(const inc_node *n, void *const *in, void *const *out) {
  return forward(n, in, out, false);
}
static int ref_log_softmax(const inc_node *n, void *const *in, void *const *out) {
  return forward(n, in, out, true);
}

/* softmax: dx = y (dy - sum dy y);  log_softmax: dx = dy - exp(y) sum dy. */
static int backward(const inc_node *n, void *const *in, void *const *out, bool log_of_it) {
  const inc_spec *dy = &n->in[0], *y = &n->in[1], *dx = &n->out[0];
  int64_t d = inc_int(n, 0);
  lines l = lines_of(n, 1);
  INC_EACH (&l.keep, i) {
    int64_t gb = inc_ref_at(dy, i), yb = inc_ref_at(y, i), xb = inc_ref_at(dx, i);
    double sum = 0;
    for (int64_t j = 0; j < l.size; j++) {
      double g = inc_load(in[0], dy->dtype, gb + j * dy->strides[d]);
      sum += log_of_it ? g : g * inc_load(in[1], y->dtype, yb + j * y->strides[d]);
    }
    for (int64_t j = 0; j < l.size; j++) {
      double g = inc_load(in[0], dy->dtype, gb + j * dy->strides[d]);
      double v = inc_load(in[1], y->dtype, yb + j * y->strides[d]);
      inc_store(out[0], dx->dtype, xb + j * dx->strides[d], log_of_it ? g - exp(v) * sum : v * (g - sum));
    }
  }
  return INC_OK;
}

static int ref_softmax_backward(const inc_node *n, void *const *in, void *const *out) {
  return backward(n, in, out, false);
}
static int ref_log_softmax_backward(const inc_node *n, void *const *in, void *const *out) {
  return backward(n, in, out, true);
}

static int grad_through(inc_grad *g, const inc_op *op) {
  inc_tensor *in[] = {g->dout[0], g->out[0]};
  return inc_g_set(g, 0, inc_gn(g, op, 2, in, g->node->attr, 0));
}

static int grad_softmax(inc_grad *g) { return grad_through(g, &inc_op_softmax_backward); }
static int grad_log_softmax(inc_grad *g) { return grad_through(g, &inc_op_log_softmax_backward); }

const inc_op inc_op_softmax = {
    .name = "softmax",
    .sig = "x:tensor, dim:dim=-1 -> y",
    .doc = "exp(x) divided by its sum along dim `dim`: positive numbers that add up to 1.\n"
           "> inc.softmax(inc.tensor{5, 5}):tolist()  --> {0.5, 0.5}",
    .save_out = 1,
    .infer = infer,
    .grad = grad_softmax,
    .ref = ref_softmax,
};

const inc_op inc_op_log_softmax = {
    .name = "log_softmax",
    .sig = "x:tensor, dim:dim=-1 -> y",
    .doc = "The logarithm of softmax(x) along dim `dim`, without its rounding for small values.\n"
           "> inc.log_softmax(inc.tensor{{5}, {6}}):tolist()  --> {{0}, {0}}",
    .save_out = 1,
    .infer = infer,
    .grad = grad_log_softmax,
    .ref = ref_log_softmax,
};

const inc_op inc_op_softmax_backward = {
    .name = "softmax_backward",
    .sig = "dy:tensor, y:tensor, dim:dim=-1 -> dx",
    .doc = "The gradient of softmax, from its result y.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward,
    .ref = ref_softmax_backward,
};

const inc_op inc_op_log_softmax_backward = {
    .name = "log_softmax_backward",
    .sig = "dy:tensor, y:tensor, dim:dim=-1 -> dx",
    .doc = "The gradient of log_softmax, from its result y.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward,
    .ref = ref_log_softmax_backward,
};
