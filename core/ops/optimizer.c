/* optimizer.c -- parameter updates in place, and the norm that gradient clipping needs.
**
** The formulas are PyTorch's, with TensorFlow's RMSProp as a variant (eps_inside).  Numbers that change from
** step to step (learning rate, step count, clipping factor) are one-element tensors, so that a plan need not
** be made again; numbers that stay are attributes.  gscale multiplies the gradient before anything else.
*/
#include "ops/ref.h"
#include <math.h>

/* p and the tensors `first`..`last` have one shape; those from `last` + 1 to `scalars` are single numbers. */
static int check(const inc_node *n, int last, int scalars) {
  for (int k = 0; k <= scalars; k++) {
    if (!inc_has(n, k)) continue;
    INC_TRY(inc_want_float(n, k));
    INC_TRY(k <= last ? inc_want_shape(n, k, n->in[0].ndim, n->in[0].shape) : inc_want_scalar(n, k));
  }
  return INC_OK;
}

static int want_momentum(const inc_node *n, int in, double momentum) {
  if (momentum == 0 || inc_has(n, in)) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in),
                  "expected a tensor of p's shape when momentum is %g, got none", momentum);
}

static double number(const inc_node *n, void *const *in, int k, double other) {
  return inc_has(n, k) ? inc_load(in[k], n->in[k].dtype, 0) : other;
}

static double get(const inc_node *n, void *const *in, int k, const int64_t *i) {
  return inc_ref_get(n, in, k, i);
}

static void set(const inc_node *n, void *const *in, int k, const int64_t *i, double v) {
  inc_store(in[k], n->in[k].dtype, inc_ref_at(&n->in[k], i), v);
}

/* -- sgd -------------------------------------------------------------------------------------------- */
static int infer_sgd(inc_node *n) {
  INC_TRY(check(n, 2, 4));
  return want_momentum(n, 2, inc_float(n, 0));
}

static int ref_sgd(const inc_node *n, void *const *in, void *const *out) {
  double lr = number(n, in, 3, 0), gscale = number(n, in, 4, 1);
  double momentum = inc_float(n, 0), decay = inc_float(n, 1);
  (void)out;
  INC_EACH (&n->in[0], i) {
    double p = get(n, in, 0, i), g = get(n, in, 1, i) * gscale + decay * p, step = g;
    if (inc_has(n, 2)) {
      double m = momentum * get(n, in, 2, i) + g;
      set(n, in, 2, i, m);
      step = inc_int(n, 2) ? g + momentum * m : m;
    }
    set(n, in, 0, i, p - lr * step);
  }
  return INC_OK;
}

const inc_op inc_op_sgd_ = {
    .name = "sgd_",
    .sig =
        "p:tensor!, g:tensor, m:tensor!?, lr:tensor, gscale:tensor?, momentum:float=0, weight_decay:float=0, "
        "nesterov:bool=false",
    .doc = "One step of gradient descent on p: m = momentum m + g + weight_decay p; p = p - lr m "
           "(with nesterov, p - lr (g + momentum m)). m starts as zeros.",
    .flags = INC_OP_HIDDEN | INC_OP_MUTATES,
    .infer = infer_sgd,
    .ref = ref_sgd,
};

/* -- rmsprop ---------------------------------------------------------------------------------------- */
static int infer_rmsprop(inc_node *n) {
  INC_TRY(check(n, 3, 5));
  return want_momentum(n, 3, inc_float(n, 3));
}

static int ref_rmsprop(const inc_node *n, void *const *in, void *const *out) {
  double lr = number(n, in, 4, 0), gscale = number(n, in, 5, 1);
  double alpha = inc_float(n, 0), eps = inc_float(n, 1), decay = inc_float(n, 2), momentum = inc_float(n, 3);
  bool inside = inc_int(n, 4);
  (void)out;
  INC_EACH (&n->in[0], i) {
    double p = get(n, in, 0, i), g = get(n, in, 1, i) * gscale + decay * p;
    double v = alpha * get(n, in, 2, i) + (1 - alpha) * g * g;
    double step = inside ? lr * g / sqrt(v + eps) : g / (sqrt(v) + eps);
    set(n, in, 2, i, v);
    if (inc_has(n, 3)) {
      step += momentum * get(n, in, 3, i);
      set(n, in, 3, i, step);
    }
    set(n, in, 0, i, p - (inside ? step : lr * step));
  }
  return INC_OK;
}

const inc_op inc_op_rmsprop_ = {
    .name = "rmsprop_",
    .sig = "p:tensor!, g:tensor, v:tensor!, m:tensor!?, lr:tensor, gscale:tensor?, alpha:float=0.99, "
           "eps:float=1e-8, "
           "weight_decay:float=0, momentum:float=0, eps_inside:bool=false",
    .doc = "One step of RMSProp on p: v = alpha v + (1 - alpha) g^2; m = momentum m + g / (sqrt(v) "
           "+ eps); p = p - lr m. With eps_inside, as TensorFlow has it: m = momentum m + lr g / "
           "sqrt(v + eps); p = p - m.",
    .flags = INC_OP_HIDDEN | INC_OP_MUTATES,
    .infer = infer_rmsprop,
    .ref = ref_rmsprop,
};

/* -- adam ------------------------------------------------------------------------------------------- */
static int infer_adam(inc_node *n) { return check(n, 3, 6); }

static int ref_adam(const inc_node *n, void *const *in, void *const *out) {
  double lr = number(n, in, 4, 0), t = number(n, in, 5, 1), gscale = number(n, in, 6, 1);
  double beta1 = inc_float(n, 0), beta2 = inc_float(n, 1), eps = inc_float(n, 2), decay = inc_float(n, 3);
  double correct1 = 1 - pow(beta1, t), correct2 = 1 - pow(beta2, t);
  bool decoupled = inc_int(n, 4);
  (void)out;
  INC_EACH (&n->in[0], i) {
    double p = get(n, in, 0, i), g = get(n, in, 1, i) * gscale + (decoupled ? 0 : decay * p);
    double m = beta1 * get(n, in, 2, i) + (1 - beta1) * g;
    double v = beta2 * get(n, in, 3, i) + (1 - beta2) * g * g;
    set(n, in, 2, i, m);
    set(n, in, 3, i, v);
    if (decoupled) p -= lr * decay * p;
    set(n, in, 0, i, p - lr * (m / correct1) / (sqrt(v / correct2) + eps));
  }
  return INC_OK;
}

const inc_op inc_op_adam_ = {
    .name = "adam_",
    .sig =
        "p:tensor!, g:tensor, m:tensor!, v:tensor!, lr:tensor, step:tensor, gscale:tensor?, beta1:float=0.9, "
        "beta2:float=0.999, eps:float=1e-8, weight_decay:float=0, decoupled:bool=false",
    .doc = "One step of Adam on p with the averages m of g and v of g^2, corrected for their start "
           "at zero; `step` counts from 1. decoupled takes weight decay off p directly, which is "
           "AdamW.",
    .flags = INC_OP_HIDDEN | INC_OP_MUTATES,
    .infer = infer_adam,
    .ref = ref_adam,
};

/* -- global_norm ------------------------------------------------------------------------------------ */
static int infer_norm(inc_node *n) {
  int dtype = INC_F32;
  if (n->n_in == 0) return inc_fail(INC_EARG, "gs", "expected one tensor or more, got none");
  for (int k = 0; k < n->n_in; k++) {
    INC_TRY(inc_want_float(n, k));
    dtype = inc_dtype_promote(dtype, n->in[k].dtype);
  }
  return inc_done(inc_out(n, 0, dtype, 0, NULL));
}

static int ref_norm(const inc_node *n, void *const *in, void *const *out) {
  double sum = 0;
  for (int k = 0; k < n->n_in; k++)
    INC_EACH (&n->in[k], i) {
      double v = inc_ref_get(n, in, k, i);
      sum += v * v;
    }
  inc_store(out[0], n->out[0].dtype, 0, sqrt(sum));
  return INC_OK;
}

const inc_op inc_op_global_norm = {
    .name = "global_norm",
    .sig = "gs:tensor... -> y",
    .doc = "The Euclidean (L2) norm over all elements of all tensors of a list.\n"
           "> inc.global_norm{inc.tensor{3}, inc.tensor{4}}:item()  --> 5",
    .infer = infer_norm,
    .ref = ref_norm,
};
