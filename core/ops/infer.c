/* infer.c -- shape rules and refusals shared by the ops (op.h, common.h).
**
** Strides of a result follow from the strides of the inputs alone, because the planner runs the same rules
** again after it has chosen other layouts.  Elementwise results keep the order of dims of their operands
** (channels-last stays channels-last, also for a slice of channels); operands that disagree give row-major.
*/
#include "ops/common.h"
#include <math.h>
#include <string.h>

/* -- results ---------------------------------------------------------------------------------------- */
inc_spec *inc_out(inc_node *n, int k, int dtype, int ndim, const int64_t *shape) {
  int64_t total = 8; /* bytes of the widest element */
  for (int d = 0; d < ndim; d++) {
    if (__builtin_mul_overflow(total, shape[d] ? shape[d] : 1, &total) || total > INT64_MAX / 2) {
      char text[160];
      inc_fail(INC_EARG, NULL, "expected a result that fits in memory, got shape %s",
               inc_shape_text(ndim, shape, text, sizeof text));
      return NULL;
    }
  }
  n->out[k] = inc_spec_new(dtype, ndim, shape);
  return &n->out[k];
}

/* Order dims by stride, widest first; equal strides and dims of size 1 keep their place. */
static void order_of(const inc_spec *s, int *order) {
  for (int d = 0; d < s->ndim; d++) {
    int at = d;
    while (at > 0 && s->strides[order[at - 1]] < s->strides[d]) {
      order[at] = order[at - 1];
      at--;
    }
    order[at] = d;
  }
}

void inc_dense_like(const inc_spec *like, int64_t *strides) {
  inc_spec s = *like;
  bool plain = inc_spec_is_contiguous(like), last = inc_spec_is_channels_last(like);
  inc_spec_contiguous(&s);
  for (int d = 0; d < s.ndim && !plain; d++) plain = like->strides[d] == 0 && s.shape[d] > 1;
  if (last) {
    inc_spec_channels_last(&s);
  } else if (!plain) {
    int order[INC_MAX_DIMS];
    int64_t step = 1;
    order_of(like, order);
    for (int k = s.ndim - 1; k >= 0; k--) {
      s.strides[order[k]] = step;
      step *= s.shape[order[k]] > 0 ? s.shape[order[k]] : 1;
    }
  }
  memcpy(strides, s.strides, sizeof s.strides);
}

inc_spec *inc_out_like(inc_node *n, int k, int from) {
  const inc_spec *s = &n->in[from];
  inc_spec *out = inc_out(n, k, s->dtype, s->ndim, s->shape);
  if (out) inc_dense_like(s, out->strides);
  return out;
}

/* The layout of a slice of channels counts as channels-last too. */
static bool looks_channels_last(const inc_spec *s) {
  inc_spec dense = *s;
  inc_dense_like(s, dense.strides);
  return inc_spec_is_channels_last(&dense);
}

inc_spec *inc_out_4d(inc_node *n, int k, int dtype, const int64_t *shape, int from) {
  inc_spec *out = inc_out(n, k, dtype, 4, shape);
  if (out && looks_channels_last(&n->in[from])) inc_spec_channels_last(out);
  return out;
}

static int no_broadcast(const inc_node *n, int in, const inc_spec *with) {
  char want[96], got[96];
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected a shape that broadcasts with %s, got %s",
                  inc_shape_text(with->ndim, with->shape, want, sizeof want),
                  inc_shape_text(n->in[in].ndim, n->in[in].shape, got, sizeof got));
}

/* The strides all operands of the full shape agree on; row-major is there already. */
static void agree_on_strides(const inc_node *n, int first, inc_spec *out) {
  inc_spec agreed = *out;
  bool any = false;
  for (int k = first; k < n->n_in; k++) {
    const inc_spec *s = &n->in[k];
    inc_spec dense = *out;
    bool spread = false;
    if (!inc_has(n, k) || !inc_spec_same_shape(s, out)) continue;
    for (int d = 0; d < s->ndim; d++) spread = spread || (s->strides[d] == 0 && s->shape[d] > 1);
    if (spread) continue;
    inc_dense_like(s, dense.strides);
    if (any && !inc_spec_same_strides(&agreed, &dense)) return;
    if (!any) agreed = dense;
    any = true;
  }
  *out = agreed;
}

int inc_infer_ewise(inc_node *n, int first, int dtype) {
  inc_spec all = n->in[first];
  for (int k = first + 1; k < n->n_in; k++)
    if (inc_has(n, k) && !inc_spec_broadcast(&all, &n->in[k], &all)) return no_broadcast(n, k, &all);
  INC_TRY(inc_done(inc_out(n, 0, dtype, all.ndim, all.shape)));
  agree_on_strides(n, first, &n->out[0]);
  return INC_OK;
}

int inc_infer_inplace(inc_node *n) {
  const inc_spec *x = &n->in[0];
  inc_spec fit;
  for (int k = 1; k < n->n_in; k++)
    if (inc_has(n, k) && !inc_spec_expand(&n->in[k], x->ndim, x->shape, &fit)) return no_broadcast(n, k, x);
  return INC_OK;
}

int inc_infer_like(inc_node *n, int from) { return inc_done(inc_out_like(n, 0, from)); }

/* Merge what lies evenly in memory into blocks, then cut the blocks into the new dims from the right. */
bool inc_view_strides(const inc_spec *in, int ndim, const int64_t *shape, int64_t *strides) {
  int64_t size[INC_MAX_DIMS + 1] = {1}, step[INC_MAX_DIMS + 1] = {1}, used = 1;
  int blocks = 0;
  inc_spec plain = inc_spec_new(in->dtype, ndim, shape);
  memcpy(strides, plain.strides, sizeof plain.strides);
  if (inc_spec_numel(in) == 0) return true;
  for (int d = 0; d < in->ndim; d++) {
    if (in->shape[d] == 1) continue;
    bool even = blocks > 0 && step[blocks - 1] == in->shape[d] * in->strides[d];
    if (!even) size[blocks++] = 1;
    size[blocks - 1] *= in->shape[d];
    step[blocks - 1] = in->strides[d];
  }
  int b = blocks > 0 ? blocks - 1 : 0;
  for (int d = ndim - 1; d >= 0; d--) {
    if (shape[d] == 1) continue;
    if (used == size[b] && b > 0) {
      b--;
      used = 1;
    }
    if (size[b] % (used * shape[d]) != 0) return false;
    strides[d] = used * step[b];
    used *= shape[d];
  }
  return b == 0 && used == size[0];
}

int64_t inc_pool_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                      bool ceil) {
  int64_t room = in + 2 * padding - (dilation * (kernel - 1) + 1);
  if (room < 0) return -1;
  int64_t n = (room + (ceil ? stride - 1 : 0)) / stride + 1;
  if (ceil && (n - 1) * stride >= in + padding) n--;
  return n;
}

void inc_ewise_params(const inc_node *n, double *p) {
  int attrs = inc_op_sig(n->op)->n_attrs;
  for (int k = 0; k < 2; k++) {
    p[k] = k ? INFINITY : -INFINITY;
    if (k < attrs && !inc_absent(n, k)) p[k] = inc_float(n, k);
  }
}

/* -- refusals --------------------------------------------------------------------------------------- */
int inc_want_ndim(const inc_node *n, int in, int ndim) {
  const inc_spec *s = &n->in[in];
  char got[96];
  if (s->ndim == ndim) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected %d dim%s, got shape %s", ndim,
                  ndim == 1 ? "" : "s", inc_shape_text(s->ndim, s->shape, got, sizeof got));
}

int inc_want_float(const inc_node *n, int in) {
  if (inc_dtype_is_float(n->in[in].dtype)) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected a float dtype, got %s",
                  inc_dtype_name(n->in[in].dtype));
}

int inc_want_int(const inc_node *n, int in) {
  if (!inc_dtype_is_float(n->in[in].dtype)) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected an integer dtype, got %s",
                  inc_dtype_name(n->in[in].dtype));
}

int inc_want_dtype(const inc_node *n, int in, int dtype) {
  if (n->in[in].dtype == dtype) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected dtype %s, got %s", inc_dtype_name(dtype),
                  inc_dtype_name(n->in[in].dtype));
}

int inc_want_same_dtype(const inc_node *n, int in, int as) {
  if (n->in[in].dtype == n->in[as].dtype) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected dtype %s as %s has, got %s",
                  inc_dtype_name(n->in[as].dtype), inc_arg_name(n->op, as), inc_dtype_name(n->in[in].dtype));
}

int inc_want_shape(const inc_node *n, int in, int ndim, const int64_t *shape) {
  const inc_spec *s = &n->in[in];
  char want[96], got[96];
  if (s->ndim == ndim && !memcmp(s->shape, shape, sizeof *shape * (size_t)ndim)) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected shape %s, got %s",
                  inc_shape_text(ndim, shape, want, sizeof want),
                  inc_shape_text(s->ndim, s->shape, got, sizeof got));
}

int inc_want_vector(const inc_node *n, int in, int64_t len) { return inc_want_shape(n, in, 1, &len); }

int inc_want_scalar(const inc_node *n, int in) {
  char got[96];
  if (inc_spec_numel(&n->in[in]) == 1) return INC_OK;
  return inc_fail(INC_EARG, inc_arg_name(n->op, in), "expected one number (shape []), got shape %s",
                  inc_shape_text(n->in[in].ndim, n->in[in].shape, got, sizeof got));
}

int inc_want_at_least(const inc_node *n, const char *what, int k, int64_t low) {
  for (int i = 0; i < n->attr[k].n; i++)
    if (n->attr[k].i[i] < low)
      return inc_fail(INC_EARG, what, "expected %lld or more, got %lld", (long long)low,
                      (long long)n->attr[k].i[i]);
  return INC_OK;
}

int inc_dim(const inc_node *n, const char *what, int64_t dim, int ndim, int *out) {
  int64_t d = dim < 0 ? dim + ndim : dim;
  (void)n;
  if (d >= 0 && d < ndim) {
    *out = (int)d;
    return INC_OK;
  }
  long long shown = dim < 0 ? dim : dim + 1;
  if (ndim == 0)
    return inc_fail(INC_EARG, what, "expected a tensor with dims, got dim %lld of shape []", shown);
  return inc_fail(INC_EARG, what, "expected 1 to %d (or -%d to -1), got %lld", ndim, ndim, shown);
}

int inc_dim_attr(inc_node *n, int k, int in, int *out) {
  INC_TRY(inc_dim(n, inc_op_sig(n->op)->attrs[k].name, n->attr[k].i[0], n->in[in].ndim, out));
  n->attr[k].i[0] = *out;
  return INC_OK;
}

int inc_dims_attr(inc_node *n, int k, int in, bool *marks) {
  inc_attr *a = &n->attr[k];
  const char *what = inc_op_sig(n->op)->attrs[k].name;
  for (int d = 0; d < INC_MAX_DIMS; d++) marks[d] = a->n < 0;
  for (int i = 0; i < a->n; i++) {
    int d = 0;
    INC_TRY(inc_dim(n, what, a->i[i], n->in[in].ndim, &d));
    if (marks[d]) return inc_fail(INC_EARG, what, "expected each dim once, got dim %d twice", d + 1);
    marks[d] = true;
    a->i[i] = d;
  }
  return INC_OK;
}

int inc_shape_attr(const inc_node *n, int k, const char *what) {
  const inc_attr *a = &n->attr[k];
  int holes = 0;
  for (int d = 0; d < a->n; d++) {
    holes += a->i[d] == -1;
    if (a->i[d] < -1)
      return inc_fail(INC_EARG, what, "expected sizes of 0 or more (or -1), got %lld", (long long)a->i[d]);
  }
  if (holes > 1) return inc_fail(INC_EARG, what, "expected at most one -1, got %d", holes);
  return INC_OK;
}

/* -- gradients -------------------------------------------------------------------------------------- */
int inc_g_give(inc_grad *g, int i, inc_tensor *t) {
  const inc_spec *s = &g->node->in[i];
  return inc_g_set(g, i, inc_g_cast(g, inc_g_sum_to(g, t, s), s->dtype));
}

inc_tensor *inc_g_reshape(inc_grad *g, inc_tensor *t, int ndim, const int64_t *shape) {
  int64_t strides[INC_MAX_DIMS];
  inc_attr a = inc_ints(ndim, shape), plain = INC_INT(0);
  if (t && !inc_view_strides(&t->spec, ndim, shape, strides))
    t = inc_gn(g, &inc_op_contiguous, 1, &t, &plain, 0);
  return inc_gn(g, &inc_op_view, 1, &t, &a, 0);
}

inc_tensor *inc_g_transpose(inc_grad *g, inc_tensor *t, int a, int b) {
  inc_attr attr[] = {INC_INT(a), INC_INT(b)};
  return inc_gn(g, &inc_op_transpose, 1, &t, attr, 0);
}
