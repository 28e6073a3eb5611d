/* matmul.c -- products of matrices: matmul with the usual rules for vectors and batches, and linear.
**
** linear has ops of its own for its gradients because its weight gradient comes out in f32 beside bf16
** inputs, as a convolution's does.
*/
#include "ops/ref.h"

/* -- matmul ----------------------------------------------------------------------------------------- */
/* A vector becomes a row (a) or a column (b). */
static inc_spec lifted(const inc_spec *s, bool is_b) {
  inc_spec m = *s;
  if (s->ndim != 1) return m;
  m.ndim = 2;
  m.shape[is_b] = 1;
  m.strides[is_b] = 0;
  m.shape[!is_b] = s->shape[0];
  m.strides[!is_b] = s->strides[0];
  if (is_b) return m;
  m.shape[0] = 1;
  m.strides[0] = 0;
  return m;
}

/* The shape of the product of two lifted matrices, batches broadcast; false if they do not fit. */
static bool product_shape(const inc_spec *a, const inc_spec *b, inc_spec *y) {
  inc_spec ba = *a, bb = *b;
  ba.ndim = (int8_t)(a->ndim - 2);
  bb.ndim = (int8_t)(b->ndim - 2);
  if (!inc_spec_broadcast(&ba, &bb, y)) return false;
  y->shape[y->ndim++] = a->shape[a->ndim - 2];
  y->shape[y->ndim++] = b->shape[b->ndim - 1];
  return true;
}

static int no_product(const inc_node *n) {
  char a[96], b[96];
  return inc_fail(INC_EARG, "b", "expected a shape that a %s can be multiplied by, got %s",
                  inc_shape_text(n->in[0].ndim, n->in[0].shape, a, sizeof a),
                  inc_shape_text(n->in[1].ndim, n->in[1].shape, b, sizeof b));
}

static int infer_matmul(inc_node *n) {
  for (int k = 0; k < 2; k++)
    if (n->in[k].ndim == 0)
      return inc_fail(INC_EARG, inc_arg_name(n->op, k), "expected 1 dim or more, got shape []");
  inc_spec a = lifted(&n->in[0], false), b = lifted(&n->in[1], true), y;
  if (a.shape[a.ndim - 1] != b.shape[b.ndim - 2] || !product_shape(&a, &b, &y)) return no_product(n);
  int64_t shape[INC_MAX_DIMS];
  int ndim = 0;
  for (int d = 0; d < y.ndim; d++) {
    bool lifted_dim = (d == y.ndim - 2 && n->in[0].ndim == 1) || (d == y.ndim - 1 && n->in[1].ndim == 1);
    if (!lifted_dim) shape[ndim++] = y.shape[d];
  }
  return inc_done(inc_out(n, 0, inc_dtype_promote(n->in[0].dtype, n->in[1].dtype), ndim, shape));
}

/* Strides of `m` read as a batch of the product `y`: its two matrix dims stay, its batch dims broadcast. */
static inc_spec batched(const inc_spec *m, const inc_spec *y) {
  int64_t shape[INC_MAX_DIMS];
  inc_spec s = *m;
  memcpy(shape, y->shape, sizeof shape);
  shape[y->ndim - 2] = m->shape[m->ndim - 2];
  shape[y->ndim - 1] = m->shape[m->ndim - 1];
  inc_spec_expand(m, y->ndim, shape, &s);
  return s;
}

static int ref_matmul(const inc_node *n, void *const *in, void *const *out) {
  inc_spec a = lifted(&n->in[0], false), b = lifted(&n->in[1], true), y;
  product_shape(&a, &b, &y);
  inc_spec ba = batched(&a, &y), bb = batched(&b, &y);
  int64_t place[INC_MAX_DIMS] = {0}, inner = a.shape[a.ndim - 1];
  INC_EACH (&y, i) {
    int64_t row = i[y.ndim - 2], col = i[y.ndim - 1];
    int64_t at_a = inc_ref_at(&ba, i) - col * ba.strides[y.ndim - 1];
    int64_t at_b = inc_ref_at(&bb, i) - row * bb.strides[y.ndim - 2];
    double sum = 0;
    for (int64_t k = 0; k < inner; k++)
      sum += inc_load(in[0], a.dtype, at_a + k * a.strides[a.ndim - 1]) *
             inc_load(in[1], b.dtype, at_b + k * b.strides[b.ndim - 2]);
    inc_ref_put(n, out, 0, place, sum);
    inc_ref_step(&n->out[0], place);
  }
  return INC_OK;
}

static inc_tensor *lift(inc_grad *g, inc_tensor *t, const inc_spec *s) {
  return inc_g_reshape(g, t, s->ndim, s->shape);
}

static int give_lowered(inc_grad *g, int k, const inc_spec *lifted_spec, inc_tensor *t) {
  const inc_spec *s = &g->node->in[k];
  t = inc_g_sum_to(g, t, lifted_spec);
  return inc_g_set(g, k, inc_g_cast(g, inc_g_reshape(g, t, s->ndim, s->shape), s->dtype));
}

static int grad_matmul(inc_grad *g) {
  const inc_node *n = g->node;
  inc_spec a = lifted(&n->in[0], false), b = lifted(&n->in[1], true), y;
  if (!product_shape(&a, &b, &y)) return no_product(n);
  inc_tensor *dy = lift(g, g->dout[0], &y);
  if (g->need[0]) {
    inc_tensor *bt = inc_g_transpose(g, lift(g, g->in[1], &b), -2, -1);
    INC_TRY(give_lowered(g, 0, &a, inc_g2(g, &inc_op_matmul, dy, bt)));
  }
  if (!g->need[1]) return INC_OK;
  inc_tensor *at = inc_g_transpose(g, lift(g, g->in[0], &a), -2, -1);
  return give_lowered(g, 1, &b, inc_g2(g, &inc_op_matmul, at, dy));
}

const inc_op inc_op_matmul = {
    .name = "matmul",
    .sig = "a:tensor, b:tensor -> y",
    .doc = "The matrix product of a [..., M, K] and b [..., K, N]; batch dims broadcast, a vector "
           "counts as a row of a or a column of b.\n"
           "> inc.matmul(inc.tensor{{1, 2}, {3, 4}}, inc.tensor{1, 1}):tolist()  --> {3, 7}",
    .flags = INC_OP_AUTOCAST,
    .save_in = 3,
    .infer = infer_matmul,
    .grad = grad_matmul,
    .ref = ref_matmul,
};

/* -- linear ----------------------------------------------------------------------------------------- */
static int infer_linear(inc_node *n) {
  const inc_spec *x = &n->in[0], *w = &n->in[1];
  int64_t shape[INC_MAX_DIMS];
  char got[96];
  INC_TRY(inc_want_float(n, 0));
  INC_TRY(inc_want_ndim(n, 1, 2));
  INC_TRY(inc_want_same_dtype(n, 1, 0));
  if (x->ndim == 0) return inc_fail(INC_EARG, "x", "expected 1 dim or more, got shape []");
  if (w->shape[1] != x->shape[x->ndim - 1])
    return inc_fail(INC_EARG, "weight", "expected shape [Out, %lld], got %s",
                    (long long)x->shape[x->ndim - 1], inc_shape_text(2, w->shape, got, sizeof got));
  if (inc_has(n, 2)) {
    INC_TRY(inc_want_vector(n, 2, w->shape[0]));
    if (n->in[2].dtype != INC_F32) INC_TRY(inc_want_same_dtype(n, 2, 0));
  }
  memcpy(shape, x->shape, sizeof shape);
  shape[x->ndim - 1] = w->shape[0];
  return inc_done(inc_out(n, 0, x->dtype, x->ndim, shape));
}

/* Element (index, last) of a tensor whose last dim is walked by itself. */
static double at_last(const inc_node *n, void *const *in, int k, const int64_t *i, int64_t last) {
  const inc_spec *s = &n->in[k];
  int d = s->ndim - 1;
  return inc_load(in[k], s->dtype, inc_ref_at(s, i) + (last - i[d]) * s->strides[d]);
}

static double weight_at(const inc_node *n, void *const *in, int64_t row, int64_t col) {
  return inc_ref_get(n, in, 1, (int64_t[]){row, col});
}

static int ref_linear(const inc_node *n, void *const *in, void *const *out) {
  int d = n->out[0].ndim - 1;
  INC_EACH (&n->out[0], i) {
    double sum = inc_ref_vec(n, in, 2, i[d], 0);
    for (int64_t k = 0; k < n->in[1].shape[1]; k++)
      sum += at_last(n, in, 0, i, k) * weight_at(n, in, i[d], k);
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

static int grad_linear(inc_grad *g) {
  const inc_node *n = g->node;
  if (g->need[0]) INC_TRY(inc_g_set(g, 0, inc_g2(g, &inc_op_linear_backward_data, g->dout[0], g->in[1])));
  if (g->need[1]) INC_TRY(inc_g_set(g, 1, inc_g2(g, &inc_op_linear_backward_weight, g->in[0], g->dout[0])));
  if (n->n_in < 3 || !g->need[2]) return INC_OK;
  int64_t dims[INC_MAX_DIMS] = {0, 1, 2, 3, 4, 5};
  inc_attr a[] = {inc_ints(n->out[0].ndim - 1, dims), INC_INT(0), INC_INT(n->in[2].dtype)};
  return inc_g_set(g, 2, inc_gn(g, &inc_op_sum, 1, &g->dout[0], a, 0));
}

const inc_op inc_op_linear = {
    .name = "linear",
    .sig = "x:tensor, weight:tensor, bias:tensor? -> y",
    .doc = "x [..., In] times the transpose of weight [Out, In], plus bias [Out]: y [..., Out].\n"
           "> inc.linear(inc.tensor{1, 2}, inc.tensor{{1, 1}, {0, 1}}, inc.tensor{10, "
           "20}):tolist()  --> {13, 22}",
    .flags = INC_OP_AUTOCAST,
    .save_in = 3,
    .infer = infer_linear,
    .grad = grad_linear,
    .ref = ref_linear,
};

static int infer_backward_data(inc_node *n) {
  const inc_spec *dy = &n->in[0];
  int64_t shape[INC_MAX_DIMS];
  INC_TRY(inc_want_ndim(n, 1, 2));
  memcpy(shape, dy->shape, sizeof shape);
  shape[dy->ndim - 1] = n->in[1].shape[1];
  return inc_done(inc_out(n, 0, dy->dtype, dy->ndim, shape));
}

static int ref_backward_data(const inc_node *n, void *const *in, void *const *out) {
  int d = n->out[0].ndim - 1;
  INC_EACH (&n->out[0], i) {
    double sum = 0;
    for (int64_t k = 0; k < n->in[1].shape[0]; k++)
      sum += at_last(n, in, 0, i, k) * weight_at(n, in, k, i[d]);
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_linear_backward_data = {
    .name = "linear_backward_data",
    .sig = "dy:tensor, weight:tensor -> dx",
    .doc = "The gradient of linear for x: dy [..., Out] times weight [Out, In].",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward_data,
    .ref = ref_backward_data,
};

static int infer_backward_weight(inc_node *n) {
  const inc_spec *x = &n->in[0], *dy = &n->in[1];
  int64_t shape[] = {dy->shape[dy->ndim - 1], x->shape[x->ndim - 1]};
  return inc_done(inc_out(n, 0, x->dtype == INC_F64 ? INC_F64 : INC_F32, 2, shape));
}

static int ref_backward_weight(const inc_node *n, void *const *in, void *const *out) {
  inc_spec rows = n->in[0];
  rows.shape[rows.ndim - 1] = 1;
  INC_EACH (&n->out[0], i) {
    double sum = 0;
    INC_EACH (&rows, r) sum += at_last(n, in, 0, r, i[1]) * at_last(n, in, 1, r, i[0]);
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_linear_backward_weight = {
    .name = "linear_backward_weight",
    .sig = "x:tensor, dy:tensor -> dweight",
    .doc = "The gradient of linear for its weight, [Out, In] in f32 (f64 for f64).",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward_weight,
    .ref = ref_backward_weight,
};
