/* unary.c -- elementwise ops of one tensor, made from the rows of ewise.def.
**
** Each row gives a forward op and, where there is a gradient, a hidden op name_backward(dy, saved): one pass
** over memory instead of a chain of small ops, and the same expression serves every backend.
*/
#include "ops/ref.h"
#include <tgmath.h>

#define INC_E(v) ((double)(v))

enum { KEEP, FLOAT, BOOL };

static int result_dtype(int kind, int dtype) {
  if (kind == BOOL) return INC_U8;
  return kind == FLOAT && !inc_dtype_is_float(dtype) ? INC_F32 : dtype;
}

static int infer_unary(inc_node *n, int kind) {
  INC_TRY(inc_infer_like(n, 0));
  n->out[0].dtype = (uint8_t)result_dtype(kind, n->in[0].dtype);
  return INC_OK;
}

static int infer_backward(inc_node *n) { return inc_infer_ewise(n, 0, n->in[0].dtype); }

typedef double unary_fn(double x, double p0, double p1);
typedef double backward_fn(double dy, double s, double p0, double p1);

static int ref_unary(const inc_node *n, void *const *in, void *const *out, unary_fn *f) {
  double p[2];
  inc_ewise_params(n, p);
  INC_EACH (&n->out[0], i) inc_ref_put(n, out, 0, i, f(inc_ref_get(n, in, 0, i), p[0], p[1]));
  return INC_OK;
}

static int ref_backward(const inc_node *n, void *const *in, void *const *out, backward_fn *f) {
  double p[2];
  inc_ewise_params(n, p);
  INC_EACH (&n->out[0], i)
    inc_ref_put(n, out, 0, i, f(inc_ref_get(n, in, 0, i), inc_ref_get(n, in, 1, i), p[0], p[1]));
  return INC_OK;
}

static int grad_unary(inc_grad *g, const inc_op *backward, inc_tensor *saved) {
  inc_tensor *in[] = {g->dout[0], saved};
  return inc_g_set(g, 0, inc_gn(g, backward, 2, in, g->node->attr, 0));
}

static int grad_neg(inc_grad *g) { return inc_g_set(g, 0, inc_g1(g, &inc_op_neg, g->dout[0])); }

#define SAVED_X(g) (g)->in[0]
#define SAVED_Y(g) (g)->out[0]
enum { IN_X = 1, OUT_X = 0, IN_Y = 0, OUT_Y = 1 };

#define FORWARD(name, result, forward)                                                                       \
  static double f_##name(double x, double p0, double p1) {                                                   \
    (void)p0, (void)p1;                                                                                      \
    return (double)(forward);                                                                                \
  }                                                                                                          \
  static int infer_##name(inc_node *n) { return infer_unary(n, result); }                                    \
  static int ref_##name(const inc_node *n, void *const *in, void *const *out) {                              \
    return ref_unary(n, in, out, f_##name);                                                                  \
  }

#define INC_UNARY_RULE(name_, result, attrs, forward, rule, doc_)                                            \
  FORWARD(name_, result, forward)                                                                            \
  const inc_op inc_op_##name_ = {.name = #name_,                                                             \
                                 .sig = "x:tensor" attrs " -> y",                                            \
                                 .doc = doc_,                                                                \
                                 .flags = INC_OP_EWISE | INC_OP_INPLACE | INC_OP_CHEAP,                      \
                                 .infer = infer_##name_,                                                     \
                                 .grad = rule,                                                               \
                                 .ref = ref_##name_};

#define INC_UNARY(name_, result, attrs, forward, saved_, backward, doc_)                                     \
  FORWARD(name_, result, forward)                                                                            \
  static double b_##name_(double dy, double s, double p0, double p1) {                                       \
    const double x = s, y = s;                                                                               \
    (void)x, (void)y, (void)p0, (void)p1;                                                                    \
    return (double)(backward);                                                                               \
  }                                                                                                          \
  static int ref_##name_##_backward(const inc_node *n, void *const *in, void *const *out) {                  \
    return ref_backward(n, in, out, b_##name_);                                                              \
  }                                                                                                          \
  static int grad_##name_(inc_grad *g) {                                                                     \
    return grad_unary(g, &inc_op_##name_##_backward, SAVED_##saved_(g));                                     \
  }                                                                                                          \
  const inc_op inc_op_##name_ = {.name = #name_,                                                             \
                                 .sig = "x:tensor" attrs " -> y",                                            \
                                 .doc = doc_,                                                                \
                                 .flags = INC_OP_EWISE | INC_OP_INPLACE | INC_OP_CHEAP,                      \
                                 .save_in = IN_##saved_,                                                     \
                                 .save_out = OUT_##saved_,                                                   \
                                 .infer = infer_##name_,                                                     \
                                 .grad = grad_##name_,                                                       \
                                 .ref = ref_##name_};                                                        \
  const inc_op inc_op_##name_##_backward = {.name = #name_ "_backward",                                      \
                                            .sig = "dy:tensor, saved:tensor" attrs " -> dx",                 \
                                            .doc = "The gradient of " #name_ ".",                            \
                                            .flags = INC_OP_EWISE | INC_OP_INPLACE | INC_OP_HIDDEN,          \
                                            .infer = infer_backward,                                         \
                                            .ref = ref_##name_##_backward};

#include "ops/ewise.def"

/* -- in place --------------------------------------------------------------------------------------- */
static int ref_unary_inplace(const inc_node *n, void *const *in, unary_fn *f) {
  const inc_spec *x = &n->in[0];
  double p[2];
  inc_ewise_params(n, p);
  INC_EACH (x, i) {
    int64_t at = inc_ref_at(x, i);
    inc_store(in[0], x->dtype, at, f(inc_load(in[0], x->dtype, at), p[0], p[1]));
  }
  return INC_OK;
}

static int ref_relu_(const inc_node *n, void *const *in, void *const *out) {
  (void)out;
  return ref_unary_inplace(n, in, f_relu);
}

static int ref_clamp_(const inc_node *n, void *const *in, void *const *out) {
  (void)out;
  return ref_unary_inplace(n, in, f_clamp);
}

const inc_op inc_op_relu_ = {
    .name = "relu_",
    .sig = "x:tensor!",
    .doc = "Replace x by max(x, 0).\n"
           "> inc.tensor{-1, 2}:relu_():tolist()  --> {0, 2}",
    .flags = INC_OP_EWISE | INC_OP_MUTATES,
    .infer = inc_infer_inplace,
    .ref = ref_relu_,
};

const inc_op inc_op_clamp_ = {
    .name = "clamp_",
    .sig = "x:tensor!, min:float?, max:float?",
    .doc = "Limit x to the range from min to max, in place; either may be left out.\n"
           "> inc.tensor{-1, 2}:clamp_{min = 0}:tolist()  --> {0, 2}",
    .flags = INC_OP_EWISE | INC_OP_MUTATES,
    .infer = inc_infer_inplace,
    .ref = ref_clamp_,
};
