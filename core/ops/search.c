/* search.c -- argmax, argmin, topk: places counted from 1, as everywhere.
**
** nan counts as the largest value, and of equal values the first wins.  topk is a selection of k rounds: k
** is small (the 5 of top-5 accuracy), so sorting the whole dim would be the slower choice.
*/
#include "ops/ref.h"

static void marks_of_dim(const inc_node *n, bool *marks) {
  for (int d = 0; d < INC_MAX_DIMS; d++) marks[d] = inc_absent(n, 0) || d == inc_int(n, 0);
}

static int infer_arg(inc_node *n) {
  const inc_spec *x = &n->in[0];
  bool marks[INC_MAX_DIMS];
  int64_t shape[INC_MAX_DIMS], count = 1;
  int d, ndim = 0;
  if (!inc_absent(n, 0)) INC_TRY(inc_dim_attr(n, 0, 0, &d));
  marks_of_dim(n, marks);
  for (d = 0; d < x->ndim; d++) {
    if (marks[d]) count *= x->shape[d];
    if (!marks[d] || inc_int(n, 1)) shape[ndim++] = marks[d] ? 1 : x->shape[d];
  }
  INC_TRY(inc_done(inc_out(n, 0, INC_I64, ndim, shape)));
  if (count > 0 || inc_spec_numel(&n->out[0]) == 0) return INC_OK;
  return inc_fail(INC_EARG, "x", "expected at least one element to search, got none");
}

/* Is v before w when the best comes first? */
static bool better(double v, double w, bool largest) {
  if (v != v) return w == w && largest;
  if (w != w) return !largest;
  return largest ? v > w : v < w;
}

static int search(const inc_node *n, void *const *in, void *const *out, bool largest) {
  bool marks[INC_MAX_DIMS];
  inc_spec keep, run;
  int64_t to[INC_MAX_DIMS] = {0};
  marks_of_dim(n, marks);
  inc_ref_split(&n->in[0], marks, &keep, &run);
  INC_EACH (&keep, i) {
    int64_t base = inc_ref_at(&keep, i), at = 0, best = 0;
    double top = 0;
    INC_EACH (&run, j) {
      double v = inc_load(in[0], n->in[0].dtype, base + inc_ref_at(&run, j));
      if (at++ == 0 || better(v, top, largest)) {
        top = v;
        best = at;
      }
    }
    inc_ref_put(n, out, 0, to, (double)best);
    inc_ref_step(&n->out[0], to);
  }
  return INC_OK;
}

static int ref_argmax(const inc_node *n, void *const *in, void *const *out) {
  return search(n, in, out, true);
}

/* nan is the largest value, so argmin looks for it last. */
static int ref_argmin(const inc_node *n, void *const *in, void *const *out) {
  return search(n, in, out, false);
}

const inc_op inc_op_argmax = {
    .name = "argmax",
    .sig = "x:tensor, dim:dim?, keepdim:bool=false -> y",
    .doc = "The place (from 1, i64) of the largest value along dim `dim`, or in x read in "
           "row-major order.\n"
           "> inc.tensor{{1, 5}, {7, 4}}:argmax(2):tolist()  --> {2, 1}",
    .infer = infer_arg,
    .ref = ref_argmax,
};

const inc_op inc_op_argmin = {
    .name = "argmin",
    .sig = "x:tensor, dim:dim?, keepdim:bool=false -> y",
    .doc = "The place (from 1, i64) of the smallest value along dim `dim`, or in x read in "
           "row-major order.\n"
           "> inc.tensor{{1, 5}, {7, 4}}:argmin(2):tolist()  --> {1, 2}",
    .infer = infer_arg,
    .ref = ref_argmin,
};

/* -- topk ------------------------------------------------------------------------------------------- */
static int infer_topk(inc_node *n) {
  const inc_spec *x = &n->in[0];
  int64_t shape[INC_MAX_DIMS], k = inc_int(n, 0);
  int d;
  INC_TRY(inc_dim_attr(n, 1, 0, &d));
  if (k < 0 || k > x->shape[d])
    return inc_fail(INC_EARG, "k", "expected 0 to %lld (the size of dim %d), got %lld",
                    (long long)x->shape[d], d + 1, (long long)k);
  memcpy(shape, x->shape, sizeof shape);
  shape[d] = k;
  INC_TRY(inc_done(inc_out(n, 0, x->dtype, x->ndim, shape)));
  return inc_done(inc_out(n, 1, INC_I64, x->ndim, shape));
}

/* Is place a (holding v) before place b (holding w)? */
static bool before(double v, int64_t a, double w, int64_t b) {
  return better(v, w, true) || (!better(w, v, true) && a < b);
}

/* The best place after place `last` (-1 at the start) along a line of x. */
static int64_t next_best(const void *x, int dtype, int64_t base, int64_t step, int64_t size, int64_t last) {
  int64_t best = -1;
  double top = 0, bound = last < 0 ? 0 : inc_load(x, dtype, base + last * step);
  for (int64_t j = 0; j < size; j++) {
    double v = inc_load(x, dtype, base + j * step);
    if (last >= 0 && !before(bound, last, v, j)) continue;
    if (best < 0 || before(v, j, top, best)) {
      best = j;
      top = v;
    }
  }
  return best;
}

static int ref_topk(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0];
  int64_t d = inc_int(n, 1), k = inc_int(n, 0);
  bool marks[INC_MAX_DIMS] = {false};
  inc_spec keep, run;
  marks[d] = true;
  inc_ref_split(x, marks, &keep, &run);
  INC_EACH (&keep, i) {
    int64_t base = inc_ref_at(&keep, i), last = -1;
    int64_t v = inc_ref_at(&n->out[0], i), p = inc_ref_at(&n->out[1], i);
    for (int64_t j = 0; j < k; j++) {
      last = next_best(in[0], x->dtype, base, x->strides[d], x->shape[d], last);
      inc_ref_copy(out[0], x->dtype, v + j * n->out[0].strides[d], in[0], x->dtype,
                   base + last * x->strides[d]);
      inc_store(out[1], INC_I64, p + j * n->out[1].strides[d], (double)(last + 1));
    }
  }
  return INC_OK;
}

static int grad_topk(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  inc_attr a[] = {inc_ints(x->ndim, x->shape), g->node->attr[1]};
  inc_tensor *in[] = {g->dout[0], g->out[1]};
  if (!g->dout[0]) return INC_OK;
  return inc_g_set(g, 0, inc_gn(g, &inc_op_gather_backward, 2, in, a, 0));
}

const inc_op inc_op_topk = {
    .name = "topk",
    .sig = "x:tensor, k:int, dim:dim=-1 -> values, indices",
    .doc = "The k largest values along dim `dim`, largest first, and their places (from 1, i64).\n"
           "> inc.topk(inc.tensor{3, 9, 5}, 2):tolist()  --> {9, 5}",
    .save_out = 2,
    .n_out = 2,
    .infer = infer_topk,
    .grad = grad_topk,
    .ref = ref_topk,
};
