/* cat.c -- joining tensors along a dim, and its counterpart slice_backward.
**
** The gradient of cat is a narrow view of dy per input: no copy.  The planner may let producers write into
** slices of one buffer; alone, cat copies.
*/
#include "ops/ref.h"

static int check_fits(const inc_node *n, int k, int dim) {
  const inc_spec *a = &n->in[0], *b = &n->in[k];
  char want[96], got[96];
  inc_spec fit = *a;
  if (b->ndim == a->ndim) fit.shape[dim] = b->shape[dim];
  if (inc_spec_same_shape(&fit, b)) return INC_OK;
  return inc_fail(INC_EARG, "xs", "expected tensor %d to have shape %s except in dim %d, got %s", k + 1,
                  inc_shape_text(a->ndim, a->shape, want, sizeof want), dim + 1,
                  inc_shape_text(b->ndim, b->shape, got, sizeof got));
}

/* The order of dims that all inputs agree on, else row-major. */
static void join_strides(const inc_node *n, inc_spec *y) {
  inc_spec like;
  for (int k = 0; k < n->n_in; k++) {
    like = n->in[k];
    inc_dense_like(&n->in[k], like.strides);
    if (!inc_spec_is_channels_last(&like)) return;
  }
  inc_spec_channels_last(y);
}

static int infer_cat(inc_node *n) {
  int d, dtype = n->n_in > 0 ? n->in[0].dtype : INC_NONE;
  if (n->n_in == 0) return inc_fail(INC_EARG, "xs", "expected one tensor or more, got none");
  INC_TRY(inc_dim_attr(n, 0, 0, &d));
  int64_t shape[INC_MAX_DIMS];
  memcpy(shape, n->in[0].shape, sizeof shape);
  for (int k = 1; k < n->n_in; k++) {
    INC_TRY(check_fits(n, k, d));
    shape[d] += n->in[k].shape[d];
    dtype = inc_dtype_promote(dtype, n->in[k].dtype);
  }
  INC_TRY(inc_done(inc_out(n, 0, dtype, n->in[0].ndim, shape)));
  join_strides(n, &n->out[0]);
  return INC_OK;
}

static int grad_cat(inc_grad *g) {
  const inc_node *n = g->node;
  int64_t start = 0;
  for (int k = 0; k < n->n_in; k++) {
    int64_t len = n->in[k].shape[n->attr[0].i[0]];
    inc_attr a[] = {n->attr[0], INC_INT(start), INC_INT(len)};
    if (g->need[k]) INC_TRY(inc_g_give(g, k, inc_gn(g, &inc_op_narrow, 1, &g->dout[0], a, 0)));
    start += len;
  }
  return INC_OK;
}

static int ref_cat(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *y = &n->out[0];
  int d = (int)inc_int(n, 0);
  int64_t start = 0;
  for (int k = 0; k < n->n_in; k++) {
    const inc_spec *x = &n->in[k];
    INC_EACH (x, i) {
      int64_t at = inc_ref_at(y, i) + start * y->strides[d];
      inc_ref_copy(out[0], y->dtype, at, in[k], x->dtype, inc_ref_at(x, i));
    }
    start += x->shape[d];
  }
  return INC_OK;
}

const inc_op inc_op_cat = {
    .name = "cat",
    .sig = "xs:tensor..., dim:dim=1 -> y",
    .doc = "Join tensors along dim `dim`; their other sizes must agree.\n"
           "> inc.cat({inc.tensor{1, 2}, inc.tensor{3}}):tolist()  --> {1, 2, 3}",
    .infer = infer_cat,
    .grad = grad_cat,
    .ref = ref_cat,
};

/* -- the gradient of narrow and select ---------------------------------------------------------------- */
static int infer_slice_backward(inc_node *n) {
  const inc_attr *shape = &n->attr[0];
  INC_TRY(inc_done(inc_out(n, 0, n->in[0].dtype, shape->n, shape->i)));
  inc_spec like = n->in[0];
  inc_dense_like(&n->in[0], like.strides);
  if (inc_spec_is_channels_last(&like)) inc_spec_channels_last(&n->out[0]);
  return INC_OK;
}

static int ref_slice_backward(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0], *dx = &n->out[0];
  int64_t start = inc_int(n, 2) * dx->strides[inc_int(n, 1)];
  inc_ref_zero(dx, out[0]);
  INC_EACH (dy, i)
    inc_ref_copy(out[0], dx->dtype, inc_ref_at(dx, i) + start, in[0], dy->dtype, inc_ref_at(dy, i));
  return INC_OK;
}

const inc_op inc_op_slice_backward = {
    .name = "slice_backward",
    .sig = "dy:tensor, shape:ints, dim:dim, start:index -> dx",
    .doc = "Zeros of `shape` with dy inside, from place `start` of dim `dim` on.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_slice_backward,
    .ref = ref_slice_backward,
};
