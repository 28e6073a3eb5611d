/* view.c -- ops whose result shares the memory of their input.
**
** They have no kernel: infer computes strides and the offset of the first element from the strides of the
** input, and refuses what strides cannot express rather than copying behind the user's back (`reshape`, in
** the binding, is contiguous + view).  Gradients are views as well where that is possible; a piece of a
** tensor (narrow, select) sends back zeros with the gradient inside, through slice_backward.
*/
#include "ops/common.h"
#include <string.h>

/* Start the result as a copy of the input's spec. */
static inc_spec *same(inc_node *n) {
  n->out[0] = n->in[0];
  n->view_offset = 0;
  return &n->out[0];
}

/* Take dim d out of s, or put one of size 1 in. */
static void drop_dim(inc_spec *s, int d) {
  for (s->ndim--; d < s->ndim; d++) {
    s->shape[d] = s->shape[d + 1];
    s->strides[d] = s->strides[d + 1];
  }
}

static int room_for(const inc_node *n, const char *what, int ndim) {
  (void)n;
  if (ndim <= INC_MAX_DIMS) return INC_OK;
  return inc_fail(INC_EARG, what, "expected at most %d dims, got %d", INC_MAX_DIMS, ndim);
}

static int grad_reshape(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  return inc_g_set(g, 0, inc_g_reshape(g, g->dout[0], x->ndim, x->shape));
}

/* -- view, flatten ---------------------------------------------------------------------------------- */
static int as_shape(inc_node *n, int ndim, const int64_t *shape) {
  const inc_spec *x = &n->in[0];
  inc_spec *y = same(n);
  char from[96], to[96];
  y->ndim = (int8_t)ndim;
  memcpy(y->shape, shape, sizeof *shape * (size_t)ndim);
  if (inc_view_strides(x, ndim, shape, y->strides)) return INC_OK;
  inc_fail(INC_EARG, "x",
           "expected a layout that can be seen as %s without a copy, got shape %s with strides %s",
           inc_shape_text(ndim, shape, to, sizeof to), inc_shape_text(x->ndim, x->shape, from, sizeof from),
           inc_shape_text(x->ndim, x->strides, (char[96]){0}, 96));
  return inc_hint("use :reshape(...), which copies when it must, or :contiguous() first");
}

static int infer_view(inc_node *n) {
  inc_attr *a = &n->attr[0];
  int64_t total = inc_spec_numel(&n->in[0]), known = 1;
  int hole = -1;
  INC_TRY(inc_shape_attr(n, 0, "shape"));
  for (int d = 0; d < a->n; d++) {
    if (a->i[d] == -1)
      hole = d;
    else
      known *= a->i[d];
  }
  bool fits = hole < 0 ? known == total : known > 0 && total % known == 0;
  if (!fits) {
    char got[96], have[96];
    return inc_fail(INC_EARG, "shape", "expected the %lld elements of %s, got %s", (long long)total,
                    inc_shape_text(n->in[0].ndim, n->in[0].shape, have, sizeof have),
                    inc_shape_text(a->n, a->i, got, sizeof got));
  }
  if (hole >= 0) a->i[hole] = total / known;
  return as_shape(n, a->n, a->i);
}

const inc_op inc_op_view = {
    .name = "view",
    .sig = "x:tensor, shape:ints -> y",
    .doc = "The same elements under another shape, sharing memory; one size may be -1 and is then "
           "worked out. Refuses when the layout of x would need a copy (see reshape).\n"
           "> inc.tensor{1, 2, 3, 4}:view{2, -1}:tolist()  --> {{1, 2}, {3, 4}}",
    .flags = INC_OP_VIEW,
    .infer = infer_view,
    .grad = grad_reshape,
};

static int infer_flatten(inc_node *n) {
  const inc_spec *x = &n->in[0];
  int64_t shape[INC_MAX_DIMS], merged = 1;
  int a, b, ndim = 0;
  if (x->ndim == 0) return as_shape(n, 1, (int64_t[]){1});
  INC_TRY(inc_dim_attr(n, 0, 0, &a));
  INC_TRY(inc_dim_attr(n, 1, 0, &b));
  if (a > b)
    return inc_fail(INC_EARG, "end_dim", "expected start_dim (%d) or a later dim, got %d", a + 1, b + 1);
  for (int d = a; d <= b; d++) merged *= x->shape[d];
  for (int d = 0; d < x->ndim; d++) {
    if (d > a && d <= b) continue;
    shape[ndim++] = d == a ? merged : x->shape[d];
  }
  return as_shape(n, ndim, shape);
}

const inc_op inc_op_flatten = {
    .name = "flatten",
    .sig = "x:tensor, start_dim:dim=1, end_dim:dim=-1 -> y",
    .doc = "Merge the dims from start_dim to end_dim into one, sharing memory.\n"
           "> inc.tensor{{1, 2}, {3, 4}}:flatten():tolist()  --> {1, 2, 3, 4}",
    .flags = INC_OP_VIEW,
    .infer = infer_flatten,
    .grad = grad_reshape,
};

/* -- permute, transpose ----------------------------------------------------------------------------- */
static int infer_permute(inc_node *n) {
  const inc_spec *x = &n->in[0];
  bool marks[INC_MAX_DIMS];
  inc_spec *y = same(n);
  if (n->attr[0].n != x->ndim)
    return inc_fail(INC_EARG, "dims", "expected all %d dims of x, got %d", x->ndim, n->attr[0].n);
  INC_TRY(inc_dims_attr(n, 0, 0, marks));
  for (int d = 0; d < x->ndim; d++) {
    y->shape[d] = x->shape[n->attr[0].i[d]];
    y->strides[d] = x->strides[n->attr[0].i[d]];
  }
  return INC_OK;
}

static int grad_permute(inc_grad *g) {
  const inc_attr *a = &g->node->attr[0];
  inc_attr back = *a;
  for (int d = 0; d < a->n; d++) back.i[a->i[d]] = d;
  return inc_g_set(g, 0, inc_gn(g, &inc_op_permute, 1, &g->dout[0], &back, 0));
}

const inc_op inc_op_permute = {
    .name = "permute",
    .sig = "x:tensor, dims:dims -> y",
    .doc = "The dims of x in another order, sharing memory: dim i of the result is dim dims[i] of "
           "x.\n"
           "> inc.tensor{{1, 2, 3}, {4, 5, 6}}:permute{2, 1}:tolist()  --> {{1, 4}, {2, 5}, {3, 6}}",
    .flags = INC_OP_VIEW,
    .infer = infer_permute,
    .grad = grad_permute,
};

static int infer_transpose(inc_node *n) {
  const inc_spec *x = &n->in[0];
  inc_spec *y = same(n);
  int a, b;
  INC_TRY(inc_dim_attr(n, 0, 0, &a));
  INC_TRY(inc_dim_attr(n, 1, 0, &b));
  y->shape[a] = x->shape[b];
  y->shape[b] = x->shape[a];
  y->strides[a] = x->strides[b];
  y->strides[b] = x->strides[a];
  return INC_OK;
}

static int grad_transpose(inc_grad *g) {
  return inc_g_set(g, 0, inc_gn(g, &inc_op_transpose, 1, &g->dout[0], g->node->attr, 0));
}

const inc_op inc_op_transpose = {
    .name = "transpose",
    .sig = "x:tensor, dim0:dim=1, dim1:dim=2 -> y",
    .doc = "Exchange two dims of x (the first two if none are named), sharing memory.\n"
           "> inc.tensor{{1, 2}, {3, 4}}:transpose(1, 2):tolist()  --> {{1, 3}, {2, 4}}",
    .flags = INC_OP_VIEW,
    .infer = infer_transpose,
    .grad = grad_transpose,
};

/* -- narrow, select --------------------------------------------------------------------------------- */
/* Wrap attr[k], an index along a dim of `size`; `last` is the highest allowed, 0-based. */
static int wrap_index(inc_node *n, int k, const char *what, int64_t size, int64_t last) {
  int64_t given = n->attr[k].i[0], i = given < 0 ? given + size : given;
  if (i < 0 || i > last)
    return inc_fail(INC_EARG, what, "expected 1 to %lld, got %lld", (long long)last + 1,
                    (long long)(given < 0 ? given : given + 1));
  n->attr[k].i[0] = i;
  return INC_OK;
}

static int infer_narrow(inc_node *n) {
  const inc_spec *x = &n->in[0];
  inc_spec *y = same(n);
  int d;
  INC_TRY(inc_dim_attr(n, 0, 0, &d));
  INC_TRY(wrap_index(n, 1, "start", x->shape[d], x->shape[d]));
  int64_t start = inc_int(n, 1), len = inc_int(n, 2);
  if (len < 0 || start + len > x->shape[d])
    return inc_fail(INC_EARG, "length", "expected 0 to %lld (dim %d has %lld, start is %lld), got %lld",
                    (long long)(x->shape[d] - start), d + 1, (long long)x->shape[d], (long long)start + 1,
                    (long long)len);
  y->shape[d] = len;
  n->view_offset = start * x->strides[d];
  return INC_OK;
}

static inc_tensor *widen(inc_grad *g, inc_tensor *dy) {
  const inc_spec *x = &g->node->in[0];
  inc_attr a[] = {inc_ints(x->ndim, x->shape), g->node->attr[0], g->node->attr[1]};
  return inc_gn(g, &inc_op_slice_backward, 1, &dy, a, 0);
}

static int grad_narrow(inc_grad *g) { return inc_g_set(g, 0, widen(g, g->dout[0])); }

const inc_op inc_op_narrow = {
    .name = "narrow",
    .sig = "x:tensor, dim:dim, start:index, length:int -> y",
    .doc = "The `length` places of dim `dim` from `start` on (counted from 1), sharing memory.\n"
           "> inc.tensor{1, 2, 3, 4}:narrow(1, 2, 2):tolist()  --> {2, 3}",
    .flags = INC_OP_VIEW,
    .infer = infer_narrow,
    .grad = grad_narrow,
};

static int infer_select(inc_node *n) {
  const inc_spec *x = &n->in[0];
  inc_spec *y = same(n);
  int d;
  INC_TRY(inc_dim_attr(n, 0, 0, &d));
  INC_TRY(wrap_index(n, 1, "index", x->shape[d], x->shape[d] - 1));
  n->view_offset = inc_int(n, 1) * x->strides[d];
  drop_dim(y, d);
  return INC_OK;
}

static int grad_select(inc_grad *g) {
  inc_attr dim = g->node->attr[0];
  return inc_g_set(g, 0, widen(g, inc_gn(g, &inc_op_unsqueeze, 1, &g->dout[0], &dim, 0)));
}

const inc_op inc_op_select = {
    .name = "select",
    .sig = "x:tensor, dim:dim, index:index -> y",
    .doc = "One place of dim `dim` (counted from 1, negative from the end); that dim is gone. "
           "Shares memory.\n"
           "> inc.tensor{{1, 2}, {3, 4}}:select(1, 2):tolist()  --> {3, 4}",
    .flags = INC_OP_VIEW,
    .infer = infer_select,
    .grad = grad_select,
};

/* -- expand, squeeze, unsqueeze --------------------------------------------------------------------- */
static int infer_expand(inc_node *n) {
  const inc_spec *x = &n->in[0];
  inc_attr *a = &n->attr[0];
  int64_t shape[INC_MAX_DIMS];
  for (int d = 0; d < a->n; d++) {
    int own = d - (a->n - x->ndim);
    shape[d] = a->i[d] == -1 && own >= 0 ? x->shape[own] : a->i[d];
  }
  n->view_offset = 0;
  bool sane = true;
  for (int d = 0; d < a->n; d++) sane = sane && shape[d] >= 0;
  if (sane && inc_spec_expand(x, a->n, shape, &n->out[0])) return INC_OK;
  char want[96], got[96];
  return inc_fail(INC_EARG, "shape", "expected sizes that x %s can be repeated to, got %s",
                  inc_shape_text(x->ndim, x->shape, want, sizeof want),
                  inc_shape_text(a->n, a->i, got, sizeof got));
}

static int grad_expand(inc_grad *g) { return inc_g_set(g, 0, inc_g_sum_to(g, g->dout[0], &g->node->in[0])); }

const inc_op inc_op_expand = {
    .name = "expand",
    .sig = "x:tensor, shape:ints -> y",
    .doc = "Repeat dims of size 1 (and add dims in front) up to `shape` without copying; -1 keeps "
           "a size.\n"
           "> inc.tensor{{1}, {2}}:expand{-1, 3}:tolist()  --> {{1, 1, 1}, {2, 2, 2}}",
    .flags = INC_OP_VIEW,
    .infer = infer_expand,
    .grad = grad_expand,
};

static int infer_squeeze(inc_node *n) {
  inc_spec *y = same(n);
  int d;
  if (inc_absent(n, 0)) {
    for (d = y->ndim - 1; d >= 0; d--)
      if (y->shape[d] == 1) drop_dim(y, d);
    return INC_OK;
  }
  INC_TRY(inc_dim_attr(n, 0, 0, &d));
  if (y->shape[d] == 1) drop_dim(y, d);
  return INC_OK;
}

const inc_op inc_op_squeeze = {
    .name = "squeeze",
    .sig = "x:tensor, dim:dim? -> y",
    .doc = "Drop dim `dim` if its size is 1, or all dims of size 1. Shares memory.\n"
           "> inc.tensor{{1}, {2}}:squeeze():tolist()  --> {1, 2}",
    .flags = INC_OP_VIEW,
    .infer = infer_squeeze,
    .grad = grad_reshape,
};

static int infer_unsqueeze(inc_node *n) {
  inc_spec *y = same(n);
  int d;
  INC_TRY(room_for(n, "x", y->ndim + 1));
  INC_TRY(inc_dim(n, "dim", n->attr[0].i[0], y->ndim + 1, &d));
  n->attr[0].i[0] = d;
  int64_t stride = d < y->ndim ? y->shape[d] * y->strides[d] : 1;
  for (int k = y->ndim++; k > d; k--) {
    y->shape[k] = y->shape[k - 1];
    y->strides[k] = y->strides[k - 1];
  }
  y->shape[d] = 1;
  y->strides[d] = stride;
  return INC_OK;
}

const inc_op inc_op_unsqueeze = {
    .name = "unsqueeze",
    .sig = "x:tensor, dim:dim -> y",
    .doc = "Put a dim of size 1 in at place `dim`. Shares memory.\n"
           "> inc.tensor{1, 2}:unsqueeze(2):tolist()  --> {{1}, {2}}",
    .flags = INC_OP_VIEW,
    .infer = infer_unsqueeze,
    .grad = grad_reshape,
};
