/* reduce.c -- sum, mean, max, min, prod, var, std, norm over some dims or all, and sum_to.
**
** One loop serves them all: the index of x is split into the dims that stay and the dims that run
** (inc_ref_split).  Sums of integers are i64 and means of integers f32, so that no overflow hides; `dtype`
** asks for another result, as the gradients of biases do (bf16 in, f32 out).
*/
#include "ops/ref.h"
#include <math.h>

/* The shape without the marked dims (or with size 1 there).  With `keepdim` absent use false. */
static int infer_over(inc_node *n, int keepdim, int dtype) {
  const inc_spec *x = &n->in[0];
  bool marks[INC_MAX_DIMS];
  int64_t shape[INC_MAX_DIMS];
  int ndim = 0;
  INC_TRY(inc_dims_attr(n, 0, 0, marks));
  for (int d = 0; d < x->ndim; d++)
    if (!marks[d] || keepdim) shape[ndim++] = marks[d] ? 1 : x->shape[d];
  return inc_done(inc_out(n, 0, dtype, ndim, shape));
}

static int64_t count_over(const inc_spec *x, const inc_attr *dims) {
  int64_t n = dims->n < 0 ? inc_spec_numel(x) : 1;
  for (int i = 0; i < dims->n; i++) n *= x->shape[dims->i[i]];
  return n;
}

static int refuse_empty(const inc_node *n, const char *what) {
  if (count_over(&n->in[0], &n->attr[0]) > 0 || inc_spec_numel(&n->out[0]) == 0) return INC_OK;
  return inc_fail(INC_EARG, "x", "expected at least one element to take the %s of, got none", what);
}

/* -- the loop --------------------------------------------------------------------------------------- */
typedef double reduce_fn(const inc_node *n, const void *x, int64_t at, const inc_spec *run);

static void marks_of(const inc_attr *dims, bool *marks) {
  for (int d = 0; d < INC_MAX_DIMS; d++) marks[d] = dims->n < 0;
  for (int i = 0; i < dims->n; i++) marks[dims->i[i]] = true;
}

/* `keep` runs in row-major order over what stays, and so does the dense row-major result. */
static int reduce(const inc_node *n, void *const *in, void *const *out, reduce_fn *f) {
  bool marks[INC_MAX_DIMS];
  inc_spec keep, run;
  int64_t at = 0;
  marks_of(&n->attr[0], marks);
  inc_ref_split(&n->in[0], marks, &keep, &run);
  INC_EACH (&keep, i) {
    int64_t place[INC_MAX_DIMS];
    int64_t left = at++;
    for (int d = n->out[0].ndim - 1; d >= 0; d--) {
      place[d] = left % n->out[0].shape[d];
      left /= n->out[0].shape[d];
    }
    inc_ref_put(n, out, 0, place, f(n, in[0], inc_ref_at(&keep, i), &run));
  }
  return INC_OK;
}

#define EACH_VALUE(v)                                                                                        \
  INC_EACH (run, j)                                                                                          \
    for (double v = inc_load(x, n->in[0].dtype, at + inc_ref_at(run, j)), once_ = 1; once_ > 0; once_ = 0)

static double over_sum(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  double s = 0;
  EACH_VALUE(v) s += v;
  return s;
}

static double over_mean(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  return over_sum(n, x, at, run) / (double)inc_spec_numel(run);
}

static double over_max(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  double m = -INFINITY;
  EACH_VALUE(v) m = v > m || v != v ? v : m;
  return m;
}

static double over_min(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  double m = INFINITY;
  EACH_VALUE(v) m = v < m || v != v ? v : m;
  return m;
}

static double over_prod(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  double p = 1;
  EACH_VALUE(v) p *= v;
  return p;
}

static double over_var(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  double mean = over_mean(n, x, at, run), s = 0;
  EACH_VALUE(v) s += (v - mean) * (v - mean);
  return s / (double)(inc_spec_numel(run) - inc_int(n, 1));
}

static double over_std(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  return sqrt(over_var(n, x, at, run));
}

static double over_norm(const inc_node *n, const void *x, int64_t at, const inc_spec *run) {
  double s = 0;
  EACH_VALUE(v) s += v * v;
  return sqrt(s);
}

#define REF(name)                                                                                            \
  static int ref_##name(const inc_node *n, void *const *in, void *const *out) {                              \
    return reduce(n, in, out, over_##name);                                                                  \
  }
REF(sum)
REF(mean)
REF(max)
REF(min)
REF(prod)
REF(var)
REF(std)
REF(norm)

/* -- gradients -------------------------------------------------------------------------------------- */
/* Give a result of the reduction its dims back (size 1), so that it broadcasts with x. */
static inc_tensor *restored(inc_grad *g, inc_tensor *t) {
  const inc_spec *x = &g->node->in[0];
  int64_t shape[INC_MAX_DIMS];
  bool marks[INC_MAX_DIMS];
  marks_of(&g->node->attr[0], marks);
  for (int d = 0; d < x->ndim; d++) shape[d] = marks[d] ? 1 : x->shape[d];
  return inc_g_reshape(g, t, x->ndim, shape);
}

static inc_tensor *spread_over_x(inc_grad *g, inc_tensor *t) {
  const inc_spec *x = &g->node->in[0];
  inc_attr shape = inc_ints(x->ndim, x->shape);
  t = restored(g, t);
  return inc_gn(g, &inc_op_expand, 1, &t, &shape, 0);
}

static inc_tensor *scaled(inc_grad *g, inc_tensor *t, double by) {
  return inc_g2(g, &inc_op_mul, t, inc_g_number(g, by));
}

static int give(inc_grad *g, inc_tensor *t) {
  return inc_g_set(g, 0, inc_g_cast(g, t, g->node->in[0].dtype));
}

static int grad_sum(inc_grad *g) { return give(g, spread_over_x(g, g->dout[0])); }

static int grad_mean(inc_grad *g) {
  double count = (double)count_over(&g->node->in[0], &g->node->attr[0]);
  return give(g, spread_over_x(g, scaled(g, g->dout[0], 1 / count)));
}

/* Elements equal to the extreme share its gradient evenly. */
static int grad_extreme(inc_grad *g) {
  const inc_node *n = g->node;
  bool marks[INC_MAX_DIMS];
  inc_attr a[] = {INC_ABSENT, INC_INT(1), INC_ABSENT};
  int64_t dims[INC_MAX_DIMS];
  int count = 0;
  marks_of(&n->attr[0], marks);
  for (int d = 0; d < n->in[0].ndim; d++)
    if (marks[d]) dims[count++] = d;
  a[0] = inc_ints(count, dims);
  inc_tensor *hit = inc_g2(g, &inc_op_eq, g->in[0], restored(g, g->out[0]));
  hit = inc_g_cast(g, hit, n->in[0].dtype);
  inc_tensor *ties = inc_gn(g, &inc_op_sum, 1, &hit, a, 0);
  inc_tensor *share = inc_g2(g, &inc_op_div, restored(g, g->dout[0]), ties);
  return give(g, inc_g2(g, &inc_op_mul, hit, share));
}

static int grad_prod(inc_grad *g) {
  inc_tensor *in[] = {g->dout[0], g->in[0]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_prod_backward, 2, in, g->node->attr, 0));
}

/* x minus its mean over the dims of the reduction. */
static inc_tensor *centred(inc_grad *g) {
  inc_attr a[] = {g->node->attr[0], INC_INT(1), INC_ABSENT};
  inc_tensor *mean = inc_gn(g, &inc_op_mean, 1, &g->in[0], a, 0);
  return inc_g2(g, &inc_op_sub, g->in[0], mean);
}

static double freedom(const inc_node *n) {
  return (double)(count_over(&n->in[0], &n->attr[0]) - inc_int(n, 1));
}

static int grad_var(inc_grad *g) {
  inc_tensor *dy = scaled(g, restored(g, g->dout[0]), 2 / freedom(g->node));
  return give(g, inc_g2(g, &inc_op_mul, centred(g), dy));
}

/* t / y, and 0 where y is 0: the slope of a square root at its foot is taken as 0. */
static inc_tensor *over_y(inc_grad *g, inc_tensor *t) {
  inc_tensor *y = g->out[0], *zero = inc_g_cast(g, inc_g_number(g, 0), g->node->out[0].dtype);
  inc_tensor *in[] = {y, inc_g2(g, &inc_op_div, t, y), zero};
  return in[1] && zero ? inc_gn(g, &inc_op_where, 3, in, NULL, 0) : NULL;
}

static int grad_std(inc_grad *g) {
  inc_tensor *dy = scaled(g, restored(g, over_y(g, g->dout[0])), 1 / freedom(g->node));
  return give(g, inc_g2(g, &inc_op_mul, centred(g), dy));
}

static int grad_norm(inc_grad *g) {
  return give(g, inc_g2(g, &inc_op_mul, g->in[0], restored(g, over_y(g, g->dout[0]))));
}

/* -- sum, mean, prod -------------------------------------------------------------------------------- */
static int asked_dtype(const inc_node *n, int otherwise) {
  return inc_absent(n, 2) ? otherwise : (int)inc_int(n, 2);
}

static int sum_dtype(const inc_node *n) {
  int dtype = n->in[0].dtype;
  return asked_dtype(n, inc_dtype_is_float(dtype) ? dtype : INC_I64);
}

static int mean_dtype(const inc_node *n) {
  int dtype = n->in[0].dtype;
  return asked_dtype(n, inc_dtype_is_float(dtype) ? dtype : INC_F32);
}

static int infer_sum(inc_node *n) { return infer_over(n, (int)inc_int(n, 1), sum_dtype(n)); }
static int infer_mean(inc_node *n) { return infer_over(n, (int)inc_int(n, 1), mean_dtype(n)); }

const inc_op inc_op_sum = {
    .name = "sum",
    .sig = "x:tensor, dim:dims?, keepdim:bool=false, dtype:dtype? -> y",
    .doc = "The sum over the dims `dim`, or over all; keepdim leaves them in with size 1. Integers "
           "give i64 unless `dtype` says otherwise.\n"
           "> inc.tensor{{1, 2}, {3, 4}}:sum(1):tolist()  --> {4, 6}",
    .infer = infer_sum,
    .grad = grad_sum,
    .ref = ref_sum,
};

const inc_op inc_op_mean = {
    .name = "mean",
    .sig = "x:tensor, dim:dims?, keepdim:bool=false, dtype:dtype? -> y",
    .doc = "The mean over the dims `dim`, or over all. Integers give f32; of no elements it is "
           "nan.\n"
           "> inc.tensor{{1, 2}, {3, 4}}:mean():item()  --> 2.5",
    .infer = infer_mean,
    .grad = grad_mean,
    .ref = ref_mean,
};

const inc_op inc_op_prod = {
    .name = "prod",
    .sig = "x:tensor, dim:dims?, keepdim:bool=false, dtype:dtype? -> y",
    .doc = "The product over the dims `dim`, or over all. Integers give i64 unless `dtype` says "
           "otherwise.\n"
           "> inc.tensor{2, 3, 4}:prod():item()  --> 24",
    .save_in = 1,
    .infer = infer_sum,
    .grad = grad_prod,
    .ref = ref_prod,
};

static int infer_prod_backward(inc_node *n) {
  INC_TRY(inc_infer_like(n, 1));
  bool marks[INC_MAX_DIMS];
  return inc_dims_attr(n, 0, 1, marks);
}

/* The product of all others is the product by x, unless some element is 0. */
static int ref_prod_backward(const inc_node *n, void *const *in, void *const *out) {
  bool marks[INC_MAX_DIMS];
  inc_spec keep, run;
  const inc_spec *x = &n->in[1];
  marks_of(&n->attr[0], marks);
  inc_ref_split(x, marks, &keep, &run);
  inc_spec dys = n->in[0];
  int64_t place[INC_MAX_DIMS] = {0};
  INC_EACH (&keep, i) {
    double dy = inc_load(in[0], dys.dtype, inc_ref_at(&dys, place)), prod = 1;
    int64_t zeros = 0, base = inc_ref_at(&keep, i), base_dx = inc_ref_at(&n->out[0], i);
    inc_ref_step(&dys, place);
    INC_EACH (&run, j) {
      double v = inc_load(in[1], x->dtype, base + inc_ref_at(&run, j));
      zeros += v == 0;
      prod *= v == 0 ? 1 : v;
    }
    INC_EACH (&run, k) {
      double v = inc_load(in[1], x->dtype, base + inc_ref_at(&run, k));
      double dx = zeros == 0 ? dy * prod / v : zeros == 1 && v == 0 ? dy * prod : 0;
      inc_store(out[0], n->out[0].dtype, base_dx + inc_ref_at(&n->out[0], k), dx);
    }
  }
  return INC_OK;
}

const inc_op inc_op_prod_backward = {
    .name = "prod_backward",
    .sig = "dy:tensor, x:tensor, dim:dims?, keepdim:bool=false, dtype:dtype? -> dx",
    .doc = "The gradient of prod: dy times the product of all other elements.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_prod_backward,
    .ref = ref_prod_backward,
};

/* -- max, min --------------------------------------------------------------------------------------- */
static int infer_extreme(inc_node *n) {
  INC_TRY(infer_over(n, (int)inc_int(n, 1), n->in[0].dtype));
  return refuse_empty(n, n->op->name);
}

const inc_op inc_op_max = {
    .name = "max",
    .sig = "x:tensor, dim:dims?, keepdim:bool=false -> y",
    .doc = "The largest value over the dims `dim`, or over all (argmax gives the place). Equal "
           "ones share the gradient; nan wins.\n"
           "> inc.tensor{{1, 5}, {3, 4}}:max(1):tolist()  --> {3, 5}",
    .save_in = 1,
    .save_out = 1,
    .infer = infer_extreme,
    .grad = grad_extreme,
    .ref = ref_max,
};

const inc_op inc_op_min = {
    .name = "min",
    .sig = "x:tensor, dim:dims?, keepdim:bool=false -> y",
    .doc = "The smallest value over the dims `dim`, or over all (argmin gives the place). Equal "
           "ones share the gradient; nan wins.\n"
           "> inc.tensor{{1, 5}, {3, 4}}:min(1):tolist()  --> {1, 4}",
    .save_in = 1,
    .save_out = 1,
    .infer = infer_extreme,
    .grad = grad_extreme,
    .ref = ref_min,
};

/* -- var, std, norm --------------------------------------------------------------------------------- */
static int infer_spread(inc_node *n) {
  INC_TRY(inc_want_float(n, 0));
  return infer_over(n, (int)inc_int(n, 2), n->in[0].dtype);
}

const inc_op inc_op_var = {
    .name = "var",
    .sig = "x:tensor, dim:dims?, unbiased:bool=true, keepdim:bool=false -> y",
    .doc = "The variance over the dims `dim`, or over all: divided by n - 1, or by n when unbiased "
           "is false.\n"
           "> inc.tensor{1, 3}:var():item()  --> 2",
    .save_in = 1,
    .infer = infer_spread,
    .grad = grad_var,
    .ref = ref_var,
};

const inc_op inc_op_std = {
    .name = "std",
    .sig = "x:tensor, dim:dims?, unbiased:bool=true, keepdim:bool=false -> y",
    .doc = "The standard deviation: the square root of var.\n"
           "> inc.tensor{1, 3}:std{unbiased = false}:item()  --> 1",
    .save_in = 1,
    .save_out = 1,
    .infer = infer_spread,
    .grad = grad_std,
    .ref = ref_std,
};

static int infer_norm(inc_node *n) {
  INC_TRY(inc_want_float(n, 0));
  return infer_over(n, (int)inc_int(n, 1), n->in[0].dtype);
}

const inc_op inc_op_norm = {
    .name = "norm",
    .sig = "x:tensor, dim:dims?, keepdim:bool=false -> y",
    .doc = "The Euclidean (L2) norm over the dims `dim`, or over all.\n"
           "> inc.tensor{3, 4}:norm():item()  --> 5",
    .save_in = 1,
    .save_out = 1,
    .infer = infer_norm,
    .grad = grad_norm,
    .ref = ref_norm,
};

/* -- sum_to ----------------------------------------------------------------------------------------- */
static int infer_sum_to(inc_node *n) {
  const inc_attr *a = &n->attr[0];
  inc_spec want = inc_spec_new(n->in[0].dtype, a->n, a->i), fit;
  char from[96], to[96];
  if (!inc_spec_expand(&want, n->in[0].ndim, n->in[0].shape, &fit))
    return inc_fail(INC_EARG, "shape", "expected a shape that can be repeated to %s, got %s",
                    inc_shape_text(n->in[0].ndim, n->in[0].shape, from, sizeof from),
                    inc_shape_text(a->n, a->i, to, sizeof to));
  if (inc_spec_same_shape(&want, &n->in[0])) return inc_infer_like(n, 0);
  return inc_done(inc_out(n, 0, n->in[0].dtype, a->n, a->i));
}

static int ref_sum_to(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  int extra = x->ndim - y->ndim;
  bool marks[INC_MAX_DIMS] = {false};
  inc_spec keep, run;
  for (int d = 0; d < x->ndim; d++) marks[d] = d < extra || (y->shape[d - extra] == 1 && x->shape[d] != 1);
  inc_ref_split(x, marks, &keep, &run);
  INC_EACH (&keep, i) {
    inc_ref_put(n, out, 0, i + extra, over_sum(n, in[0], inc_ref_at(&keep, i), &run));
  }
  return INC_OK;
}

static int grad_sum_to(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  inc_attr shape = inc_ints(x->ndim, x->shape);
  return inc_g_set(g, 0, inc_gn(g, &inc_op_expand, 1, &g->dout[0], &shape, 0));
}

const inc_op inc_op_sum_to = {
    .name = "sum_to",
    .sig = "x:tensor, shape:ints -> y",
    .doc = "The opposite of broadcasting: sum x down to `shape`.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_sum_to,
    .grad = grad_sum_to,
    .ref = ref_sum_to,
};
