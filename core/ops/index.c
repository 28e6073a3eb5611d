/* index.c -- picking elements by index: index_select and gather, with their gradients.
**
** Indices are values counted from 1 in an integer tensor; one out of range is found when the op runs, since
** its value is not known before, and named with its place.  Gradients add, because an index may occur twice.
*/
#include "ops/ref.h"

/* The index at element `at` (the place-th), checked against `size`, 0-based. */
static int load_index(const inc_node *n, void *const *in, int k, int64_t at, int64_t place, int64_t size,
                      int64_t *out) {
  double v = inc_load(in[k], n->in[k].dtype, at);
  *out = (int64_t)v - 1;
  if (v >= 1 && v <= (double)size) return INC_OK;
  return inc_fail(INC_EARG, "index", "index %.0f at position %lld: expected 1 to %lld", v,
                  (long long)place + 1, (long long)size);
}

/* -- index_select ----------------------------------------------------------------------------------- */
static int infer_index_select(inc_node *n) {
  const inc_spec *x = &n->in[0];
  int64_t shape[INC_MAX_DIMS];
  int d;
  INC_TRY(inc_want_ndim(n, 1, 1));
  INC_TRY(inc_want_int(n, 1));
  INC_TRY(inc_dim_attr(n, 0, 0, &d));
  memcpy(shape, x->shape, sizeof shape);
  shape[d] = n->in[1].shape[0];
  return inc_done(inc_out(n, 0, x->dtype, x->ndim, shape));
}

static int ref_index_select(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  int64_t d = inc_int(n, 0), from;
  INC_EACH (y, i) {
    INC_TRY(load_index(n, in, 1, i[d] * n->in[1].strides[0], i[d], x->shape[d], &from));
    int64_t src = inc_ref_at(x, i) + (from - i[d]) * x->strides[d];
    inc_ref_copy(out[0], y->dtype, inc_ref_at(y, i), in[0], x->dtype, src);
  }
  return INC_OK;
}

static int grad_index_select(inc_grad *g) {
  int64_t dim = g->node->attr[0].i[0];
  inc_attr a[] = {INC_INT(g->node->in[0].shape[dim]), INC_INT(dim)};
  inc_tensor *in[] = {g->dout[0], g->in[1]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_index_select_backward, 2, in, a, 0));
}

const inc_op inc_op_index_select = {
    .name = "index_select",
    .sig = "x:tensor, index:tensor, dim:dim=1 -> y",
    .doc = "The places of dim `dim` named by the integer vector `index` (from 1, repeats allowed), "
           "copied.\n"
           "> inc.index_select(inc.tensor{5, 6, 7}, inc.tensor{3, 1, dtype = 'i64'}):tolist()  --> {7, 5}",
    .save_in = 2,
    .infer = infer_index_select,
    .grad = grad_index_select,
    .ref = ref_index_select,
};

static int infer_index_select_backward(inc_node *n) {
  const inc_spec *dy = &n->in[0];
  int64_t shape[INC_MAX_DIMS];
  int d;
  INC_TRY(inc_dim_attr(n, 1, 0, &d));
  memcpy(shape, dy->shape, sizeof shape);
  shape[d] = inc_int(n, 0);
  return inc_done(inc_out(n, 0, dy->dtype, dy->ndim, shape));
}

static void accumulate(void *p, int dtype, int64_t at, double v) {
  inc_store(p, dtype, at, inc_load(p, dtype, at) + v);
}

static int ref_index_select_backward(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0], *dx = &n->out[0];
  int64_t d = inc_int(n, 1), to;
  inc_ref_zero(dx, out[0]);
  INC_EACH (dy, i) {
    INC_TRY(load_index(n, in, 1, i[d] * n->in[1].strides[0], i[d], dx->shape[d], &to));
    accumulate(out[0], dx->dtype, inc_ref_at(dx, i) + (to - i[d]) * dx->strides[d], inc_ref_get(n, in, 0, i));
  }
  return INC_OK;
}

const inc_op inc_op_index_select_backward = {
    .name = "index_select_backward",
    .sig = "dy:tensor, index:tensor, size:int, dim:dim -> dx",
    .doc = "Zeros with the slices of dy added at the places of `index` along dim `dim`.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_index_select_backward,
    .ref = ref_index_select_backward,
};

/* -- gather ----------------------------------------------------------------------------------------- */
static int infer_gather(inc_node *n) {
  const inc_spec *x = &n->in[0], *index = &n->in[1];
  char want[96], got[96];
  int d;
  INC_TRY(inc_want_int(n, 1));
  INC_TRY(inc_want_ndim(n, 1, x->ndim));
  INC_TRY(inc_dim_attr(n, 0, 0, &d));
  for (int k = 0; k < x->ndim; k++)
    if (k != d && index->shape[k] > x->shape[k])
      return inc_fail(INC_EARG, "index", "expected sizes within x %s except in dim %d, got %s",
                      inc_shape_text(x->ndim, x->shape, want, sizeof want), d + 1,
                      inc_shape_text(index->ndim, index->shape, got, sizeof got));
  return inc_done(inc_out(n, 0, x->dtype, x->ndim, index->shape));
}

static int ref_gather(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  int64_t d = inc_int(n, 0), place = 0, from;
  INC_EACH (y, i) {
    INC_TRY(load_index(n, in, 1, inc_ref_at(&n->in[1], i), place++, x->shape[d], &from));
    int64_t src = inc_ref_at(x, i) + (from - i[d]) * x->strides[d];
    inc_ref_copy(out[0], y->dtype, inc_ref_at(y, i), in[0], x->dtype, src);
  }
  return INC_OK;
}

static int grad_gather(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  inc_attr a[] = {inc_ints(x->ndim, x->shape), g->node->attr[0]};
  inc_tensor *in[] = {g->dout[0], g->in[1]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_gather_backward, 2, in, a, 0));
}

const inc_op inc_op_gather = {
    .name = "gather",
    .sig = "x:tensor, index:tensor, dim:dim=1 -> y",
    .doc = "For each element of the integer tensor `index` (from 1), the element of x at that "
           "place of dim `dim` and at its own place in all other dims; the result has the shape of "
           "index.\n"
           "> inc.gather(inc.tensor{{1, 2}, {3, 4}}, inc.tensor{{2}, {1}, dtype = 'i64'}, {dim = "
           "2}):tolist()  --> {{2}, {3}}",
    .save_in = 2,
    .infer = infer_gather,
    .grad = grad_gather,
    .ref = ref_gather,
};

static int infer_gather_backward(inc_node *n) {
  const inc_attr *shape = &n->attr[0];
  return inc_done(inc_out(n, 0, n->in[0].dtype, shape->n, shape->i));
}

static int ref_gather_backward(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0], *dx = &n->out[0];
  int64_t d = inc_int(n, 1), place = 0, to;
  inc_ref_zero(dx, out[0]);
  INC_EACH (dy, i) {
    INC_TRY(load_index(n, in, 1, inc_ref_at(&n->in[1], i), place++, dx->shape[d], &to));
    accumulate(out[0], dx->dtype, inc_ref_at(dx, i) + (to - i[d]) * dx->strides[d], inc_ref_get(n, in, 0, i));
  }
  return INC_OK;
}

const inc_op inc_op_gather_backward = {
    .name = "gather_backward",
    .sig = "dy:tensor, index:tensor, shape:ints, dim:dim -> dx",
    .doc = "Zeros of `shape` with each element of dy added at the place of its index along dim "
           "`dim`.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_gather_backward,
    .ref = ref_gather_backward,
};
