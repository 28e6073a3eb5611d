/* binary.c -- elementwise ops of two tensors with broadcasting, made from the rows of ewise.def, and those
** of them that write in place (add_, sub_, mul_, div_), lerp_ and where.
**
** Gradients are short chains of the same ops; the sum over broadcast dims happens last (inc_g_give).
*/
#include "ops/ref.h"
#include <tgmath.h>

#define INC_E(v) ((double)(v))

enum { KEEP, FLOAT, BOOL };

static int infer_binary(inc_node *n, int kind) {
  int dtype = inc_dtype_promote(n->in[0].dtype, n->in[1].dtype);
  if (kind == FLOAT && !inc_dtype_is_float(dtype)) dtype = INC_F32;
  return inc_infer_ewise(n, 0, kind == BOOL ? INC_U8 : dtype);
}

typedef double binary_fn(double a, double b);

static double spread(const inc_node *n, void *const *in, int k, int ndim, const int64_t *i) {
  return inc_load(in[k], n->in[k].dtype, inc_ref_spread(&n->in[k], ndim, i));
}

static int ref_binary(const inc_node *n, void *const *in, void *const *out, binary_fn *f) {
  int nd = n->out[0].ndim;
  INC_EACH (&n->out[0], i) inc_ref_put(n, out, 0, i, f(spread(n, in, 0, nd, i), spread(n, in, 1, nd, i)));
  return INC_OK;
}

/* -- gradients -------------------------------------------------------------------------------------- */
static int grad_add(inc_grad *g) {
  if (g->need[0]) INC_TRY(inc_g_give(g, 0, g->dout[0]));
  return g->need[1] ? inc_g_give(g, 1, g->dout[0]) : INC_OK;
}

static int grad_sub(inc_grad *g) {
  if (g->need[0]) INC_TRY(inc_g_give(g, 0, g->dout[0]));
  return g->need[1] ? inc_g_give(g, 1, inc_g1(g, &inc_op_neg, g->dout[0])) : INC_OK;
}

static inc_tensor *times(inc_grad *g, inc_tensor *a, inc_tensor *b) { return inc_g2(g, &inc_op_mul, a, b); }

static int grad_mul(inc_grad *g) {
  if (g->need[0]) INC_TRY(inc_g_give(g, 0, times(g, g->dout[0], g->in[1])));
  return g->need[1] ? inc_g_give(g, 1, times(g, g->dout[0], g->in[0])) : INC_OK;
}

static int grad_div(inc_grad *g) {
  inc_tensor *da = inc_g2(g, &inc_op_div, g->dout[0], g->in[1]);
  if (g->need[0]) INC_TRY(inc_g_give(g, 0, da));
  return g->need[1] ? inc_g_give(g, 1, inc_g1(g, &inc_op_neg, times(g, da, g->out[0]))) : INC_OK;
}

static int grad_pow(inc_grad *g) {
  inc_tensor *a = g->in[0], *b = g->in[1];
  if (g->need[0]) INC_TRY(inc_g_give(g, 0, times(g, g->dout[0], inc_g2(g, &inc_op_pow_dbase, a, b))));
  if (!g->need[1]) return INC_OK;
  return inc_g_give(g, 1, times(g, g->dout[0], inc_g2(g, &inc_op_pow_dexponent, a, g->out[0])));
}

/* minimum(a, b) prefers a where maximum(a, b) prefers b, so one factor serves both. */
static int grad_extreme(inc_grad *g, int winner) {
  for (int k = 0; k < 2; k++) {
    inc_tensor *hi = g->in[winner ^ k], *lo = g->in[winner ^ k ^ 1];
    if (!g->need[k]) continue;
    INC_TRY(inc_g_give(g, k, times(g, g->dout[0], inc_g2(g, &inc_op_maximum_da, hi, lo))));
  }
  return INC_OK;
}

static int grad_maximum(inc_grad *g) { return grad_extreme(g, 0); }
static int grad_minimum(inc_grad *g) { return grad_extreme(g, 1); }

#define INC_BINARY(name_, result, flags_, forward, save_in_, save_out_, rule, doc_)                          \
  static double f_##name_(double a, double b) { return (double)(forward); }                                  \
  static int infer_##name_(inc_node *n) { return infer_binary(n, result); }                                  \
  static int ref_##name_(const inc_node *n, void *const *in, void *const *out) {                             \
    return ref_binary(n, in, out, f_##name_);                                                                \
  }                                                                                                          \
  const inc_op inc_op_##name_ = {.name = #name_,                                                             \
                                 .sig = "a:tensor, b:tensor -> y",                                           \
                                 .doc = doc_,                                                                \
                                 .flags = INC_OP_EWISE | INC_OP_CHEAP | (flags_),                            \
                                 .save_in = save_in_,                                                        \
                                 .save_out = save_out_,                                                      \
                                 .infer = infer_##name_,                                                     \
                                 .grad = rule,                                                               \
                                 .ref = ref_##name_};

#include "ops/ewise.def"

/* -- in place --------------------------------------------------------------------------------------- */
static int ref_inplace(const inc_node *n, void *const *in, binary_fn *f) {
  const inc_spec *x = &n->in[0];
  INC_EACH (x, i) {
    int64_t at = inc_ref_at(x, i);
    inc_store(in[0], x->dtype, at, f(inc_load(in[0], x->dtype, at), spread(n, in, 1, x->ndim, i)));
  }
  return INC_OK;
}

#define INPLACE(name_, doc_)                                                                                 \
  static int ref_##name_##_(const inc_node *n, void *const *in, void *const *out) {                          \
    (void)out;                                                                                               \
    return ref_inplace(n, in, f_##name_);                                                                    \
  }                                                                                                          \
  const inc_op inc_op_##name_##_ = {.name = #name_ "_",                                                      \
                                    .sig = "x:tensor!, y:tensor",                                            \
                                    .doc = doc_,                                                             \
                                    .flags = INC_OP_EWISE | INC_OP_MUTATES,                                  \
                                    .infer = inc_infer_inplace,                                              \
                                    .ref = ref_##name_##_};

INPLACE(add, "x = x + y, in place; x keeps its dtype.\n> inc.tensor{1, 2}:add_(1):tolist()  --> {2, 3}")
INPLACE(sub, "x = x - y, in place; x keeps its dtype.\n> inc.tensor{1, 2}:sub_(1):tolist()  --> {0, 1}")
INPLACE(mul, "x = x * y, in place; x keeps its dtype.\n> inc.tensor{1, 2}:mul_(3):tolist()  --> {3, 6}")
INPLACE(div, "x = x / y, in place; x keeps its dtype.\n> inc.tensor{1, 2}:div_(2):tolist()  --> {0.5, 1}")

static int infer_lerp_(inc_node *n) {
  INC_TRY(inc_want_scalar(n, 2));
  return inc_infer_inplace(n);
}

static int ref_lerp_(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0];
  double w = inc_load(in[2], n->in[2].dtype, 0);
  (void)out;
  INC_EACH (x, i) {
    int64_t at = inc_ref_at(x, i);
    double v = inc_load(in[0], x->dtype, at);
    inc_store(in[0], x->dtype, at, v + w * (spread(n, in, 1, x->ndim, i) - v));
  }
  return INC_OK;
}

const inc_op inc_op_lerp_ = {
    .name = "lerp_",
    .sig = "x:tensor!, end:tensor, weight:tensor",
    .doc = "x = x + weight * (end - x), in place; weight is one number. An exponential moving "
           "average is this step.\n"
           "> inc.tensor{0, 2}:lerp_(inc.tensor{4, 4}, 0.5):tolist()  --> {2, 3}",
    .flags = INC_OP_EWISE | INC_OP_MUTATES,
    .infer = infer_lerp_,
    .ref = ref_lerp_,
};

/* -- where ------------------------------------------------------------------------------------------ */
static int infer_where(inc_node *n) {
  return inc_infer_ewise(n, 0, inc_dtype_promote(n->in[1].dtype, n->in[2].dtype));
}

static int ref_where(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *y = &n->out[0];
  INC_EACH (y, i) {
    int k = spread(n, in, 0, y->ndim, i) != 0 ? 1 : 2;
    inc_ref_copy(out[0], y->dtype, inc_ref_at(y, i), in[k], n->in[k].dtype,
                 inc_ref_spread(&n->in[k], y->ndim, i));
  }
  return INC_OK;
}

static int grad_where(inc_grad *g) {
  for (int k = 1; k <= 2; k++) {
    inc_tensor *zero = g->need[k] ? inc_g_cast(g, inc_g_number(g, 0), g->node->out[0].dtype) : NULL;
    inc_tensor *in[] = {g->in[0], k == 1 ? g->dout[0] : zero, k == 1 ? zero : g->dout[0]};
    if (g->need[k]) INC_TRY(inc_g_give(g, k, zero ? inc_gn(g, &inc_op_where, 3, in, NULL, 0) : NULL));
  }
  return INC_OK;
}

const inc_op inc_op_where = {
    .name = "where",
    .sig = "cond:tensor, a:tensor, b:tensor -> y",
    .doc = "a where cond is not 0, else b; all three broadcast together.\n"
           "> inc.where(inc.tensor{1, 0}, inc.tensor{5, 6}, inc.tensor{7, 8}):tolist()  --> {5, 8}",
    .flags = INC_OP_EWISE | INC_OP_CHEAP,
    .save_in = 1,
    .infer = infer_where,
    .grad = grad_where,
    .ref = ref_where,
};
