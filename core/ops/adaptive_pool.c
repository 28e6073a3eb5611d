/* adaptive_pool.c -- pools that are told the size of their result: window i of n over a length L covers
** floor(i L / n) to ceil((i + 1) L / n), so windows may differ by one and overlap.
**
** Inception-v3 and its like end in adaptive_avg_pool2d to 1 x 1.  The max keeps the flat place h * W + w of
** its choice, because windows have no common size to count in.
*/
#include "ops/ref.h"
#include <math.h>

static int64_t first_of(int64_t i, int64_t len, int64_t n) { return i * len / n; }
static int64_t end_of(int64_t i, int64_t len, int64_t n) { return ((i + 1) * len + n - 1) / n; }

static int64_t at4(const inc_spec *s, int64_t n, int64_t c, int64_t h, int64_t w) {
  return n * s->strides[0] + c * s->strides[1] + h * s->strides[2] + w * s->strides[3];
}

static int infer_sizes(inc_node *n, int64_t *shape) {
  const inc_spec *x = &n->in[0];
  char got[96];
  INC_TRY(inc_want_ndim(n, 0, 4));
  INC_TRY(inc_want_float(n, 0));
  INC_TRY(inc_want_at_least(n, "output_size", 0, 1));
  if (x->shape[2] < 1 || x->shape[3] < 1)
    return inc_fail(INC_EARG, "x", "expected a height and width of at least 1, got shape %s",
                    inc_shape_text(4, x->shape, got, sizeof got));
  memcpy(shape, (int64_t[]){x->shape[0], x->shape[1], n->attr[0].i[0], n->attr[0].i[1]}, 4 * sizeof *shape);
  return INC_OK;
}

static int infer_backward(inc_node *n) {
  const inc_spec *dy = &n->in[0];
  int64_t shape[] = {dy->shape[0], dy->shape[1], inc_int(n, 0), inc_int(n, 1)};
  INC_TRY(inc_want_ndim(n, 0, 4));
  return inc_done(inc_out_4d(n, 0, dy->dtype, shape, 0));
}

/* -- average ---------------------------------------------------------------------------------------- */
static int infer_avg(inc_node *n) {
  int64_t shape[4];
  INC_TRY(infer_sizes(n, shape));
  return inc_done(inc_out_4d(n, 0, n->in[0].dtype, shape, 0));
}

static int ref_avg(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  INC_EACH (y, i) {
    int64_t h0 = first_of(i[2], x->shape[2], y->shape[2]), h1 = end_of(i[2], x->shape[2], y->shape[2]);
    int64_t w0 = first_of(i[3], x->shape[3], y->shape[3]), w1 = end_of(i[3], x->shape[3], y->shape[3]);
    double sum = 0;
    for (int64_t h = h0; h < h1; h++)
      for (int64_t w = w0; w < w1; w++) sum += inc_load(in[0], x->dtype, at4(x, i[0], i[1], h, w));
    inc_ref_put(n, out, 0, i, sum / (double)((h1 - h0) * (w1 - w0)));
  }
  return INC_OK;
}

static int grad_avg(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  inc_attr a[] = {INC_INT(x->shape[2]), INC_INT(x->shape[3])};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_adaptive_avg_pool2d_backward, 1, &g->dout[0], a, 0));
}

const inc_op inc_op_adaptive_avg_pool2d = {
    .name = "adaptive_avg_pool2d",
    .sig = "x:tensor, output_size:int[2] -> y",
    .doc = "The mean over windows of x [N, C, H, W] chosen so that the result has height and width "
           "output_size.\n"
           "> inc.adaptive_avg_pool2d(inc.tensor{{{{1, 2}, {3, 4}}}}, 1):tolist()  --> {{{{2.5}}}}",
    .infer = infer_avg,
    .grad = grad_avg,
    .ref = ref_avg,
};

static int ref_avg_backward(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0], *dx = &n->out[0];
  INC_EACH (dx, i) {
    double sum = 0;
    for (int64_t h = 0; h < dy->shape[2]; h++) {
      int64_t h0 = first_of(h, dx->shape[2], dy->shape[2]), h1 = end_of(h, dx->shape[2], dy->shape[2]);
      if (i[2] < h0 || i[2] >= h1) continue;
      for (int64_t w = 0; w < dy->shape[3]; w++) {
        int64_t w0 = first_of(w, dx->shape[3], dy->shape[3]), w1 = end_of(w, dx->shape[3], dy->shape[3]);
        if (i[3] < w0 || i[3] >= w1) continue;
        sum += inc_load(in[0], dy->dtype, at4(dy, i[0], i[1], h, w)) / (double)((h1 - h0) * (w1 - w0));
      }
    }
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_adaptive_avg_pool2d_backward = {
    .name = "adaptive_avg_pool2d_backward",
    .sig = "dy:tensor, height:int, width:int -> dx",
    .doc = "The gradient of adaptive_avg_pool2d for an input of height x width.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward,
    .ref = ref_avg_backward,
};

/* -- max -------------------------------------------------------------------------------------------- */
static int infer_max(inc_node *n) {
  int64_t shape[4];
  INC_TRY(infer_sizes(n, shape));
  INC_TRY(inc_done(inc_out_4d(n, 0, n->in[0].dtype, shape, 0)));
  return inc_done(inc_out_4d(n, 1, INC_I32, shape, 0));
}

static int ref_max(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  INC_EACH (y, i) {
    int64_t h0 = first_of(i[2], x->shape[2], y->shape[2]), h1 = end_of(i[2], x->shape[2], y->shape[2]);
    int64_t w0 = first_of(i[3], x->shape[3], y->shape[3]), w1 = end_of(i[3], x->shape[3], y->shape[3]);
    double best = -INFINITY;
    int64_t place = h0 * x->shape[3] + w0;
    for (int64_t h = h0; h < h1; h++)
      for (int64_t w = w0; w < w1; w++) {
        double v = inc_load(in[0], x->dtype, at4(x, i[0], i[1], h, w));
        if (!(v > best) && v == v) continue;
        best = v;
        place = h * x->shape[3] + w;
      }
    inc_ref_put(n, out, 0, i, best);
    inc_ref_put(n, out, 1, i, (double)place);
  }
  return INC_OK;
}

static int grad_max(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  inc_attr a[] = {INC_INT(x->shape[2]), INC_INT(x->shape[3])};
  inc_tensor *in[] = {g->dout[0], g->out[1]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_adaptive_max_pool2d_backward, 2, in, a, 0));
}

const inc_op inc_op_adaptive_max_pool2d = {
    .name = "adaptive_max_pool2d",
    .sig = "x:tensor, output_size:int[2] -> y, _index",
    .doc = "The maximum over windows of x [N, C, H, W] chosen so that the result has height and "
           "width output_size.\n"
           "> inc.adaptive_max_pool2d(inc.tensor{{{{1, 2}, {3, 4}}}}, 1):tolist()  --> {{{{4}}}}",
    .save_out = 2,
    .n_out = 2,
    .infer = infer_max,
    .grad = grad_max,
    .ref = ref_max,
};

static int ref_max_backward(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0], *dx = &n->out[0];
  INC_EACH (dx, i) {
    double sum = 0;
    for (int64_t h = 0; h < dy->shape[2]; h++)
      for (int64_t w = 0; w < dy->shape[3]; w++) {
        int64_t place = (int64_t)inc_load(in[1], INC_I32, at4(&n->in[1], i[0], i[1], h, w));
        if (place == i[2] * dx->shape[3] + i[3]) sum += inc_load(in[0], dy->dtype, at4(dy, i[0], i[1], h, w));
      }
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_adaptive_max_pool2d_backward = {
    .name = "adaptive_max_pool2d_backward",
    .sig = "dy:tensor, index:tensor, height:int, width:int -> dx",
    .doc = "The gradient of adaptive_max_pool2d: dy goes to the places that were chosen.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward,
    .ref = ref_max_backward,
};
