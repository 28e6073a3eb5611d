/* pool.c -- max_pool2d and avg_pool2d with their gradients.
**
** The max remembers the place of its choice inside the window (kh * KW + kw): one byte for windows of up to
** 256 places, an eighth of a flat i64 index; i32 above that.  Gradients gather over the windows that cover an
** element, so that results do not depend on an order of additions.  Of equal values the first wins; nan wins
** over all.
*/
#include "ops/ref.h"
#include <math.h>

/* Sizes of a pool, [0] for height and [1] for width. */
typedef struct pool {
  int64_t in[2], out[2], k[2], s[2], p[2];
} pool;

static pool pool_of(const inc_node *n, int first, const inc_spec *x, const inc_spec *y) {
  const inc_attr *a = n->attr + first;
  pool q;
  for (int d = 0; d < 2; d++) {
    q.in[d] = x->shape[2 + d];
    q.out[d] = y->shape[2 + d];
    q.k[d] = a[0].i[d];
    q.s[d] = a[1].i[d];
    q.p[d] = a[2].i[d];
  }
  return q;
}

/* Rows (or columns) a..b of window o that lie inside the picture; `from` is where the window starts. */
static void window(const pool *q, int d, int64_t o, int64_t *from, int64_t *a, int64_t *b) {
  *from = o * q->s[d] - q->p[d];
  *a = *from < 0 ? 0 : *from;
  *b = *from + q->k[d] < q->in[d] ? *from + q->k[d] : q->in[d];
}

/* Windows a..b that cover place h. */
static void covering(const pool *q, int d, int64_t h, int64_t *a, int64_t *b) {
  int64_t t = h + q->p[d] - q->k[d] + 1;
  *a = t <= 0 ? 0 : (t + q->s[d] - 1) / q->s[d];
  *b = (h + q->p[d]) / q->s[d] + 1;
  if (*b > q->out[d]) *b = q->out[d];
}

/* Attributes 0..3: kernel_size, stride, padding, ceil_mode. */
static int infer_sizes(inc_node *n, int64_t *shape) {
  const inc_spec *x = &n->in[0];
  INC_TRY(inc_want_ndim(n, 0, 4));
  INC_TRY(inc_want_float(n, 0));
  if (inc_absent(n, 1)) n->attr[1] = n->attr[0];
  INC_TRY(inc_want_at_least(n, "kernel_size", 0, 1));
  INC_TRY(inc_want_at_least(n, "stride", 1, 1));
  INC_TRY(inc_want_at_least(n, "padding", 2, 0));
  shape[0] = x->shape[0];
  shape[1] = x->shape[1];
  for (int d = 0; d < 2; d++) {
    int64_t k = n->attr[0].i[d], p = n->attr[2].i[d];
    if (2 * p > k)
      return inc_fail(INC_EARG, "padding", "expected at most half of the kernel size %lld, got %lld",
                      (long long)k, (long long)p);
    shape[2 + d] = inc_pool_size(x->shape[2 + d], k, n->attr[1].i[d], p, 1, inc_int(n, 3));
    if (shape[2 + d] < 0)
      return inc_fail(INC_EARG, "x", "expected %s of at least %lld (kernel %lld, padding %lld), got %lld",
                      d ? "a width" : "a height", (long long)(k - 2 * p), (long long)k, (long long)p,
                      (long long)x->shape[2 + d]);
  }
  return INC_OK;
}

static int64_t at4(const inc_spec *s, int64_t n, int64_t c, int64_t h, int64_t w) {
  return n * s->strides[0] + c * s->strides[1] + h * s->strides[2] + w * s->strides[3];
}

/* A gradient of the input's height and width, laid out as dy is. */
static int infer_backward(inc_node *n, int first) {
  const inc_spec *dy = &n->in[0];
  int64_t shape[] = {dy->shape[0], dy->shape[1], inc_int(n, first), inc_int(n, first + 1)};
  INC_TRY(inc_want_ndim(n, 0, 4));
  return inc_done(inc_out_4d(n, 0, dy->dtype, shape, 0));
}

/* -- max -------------------------------------------------------------------------------------------- */
static int infer_max(inc_node *n) {
  int64_t shape[4];
  INC_TRY(infer_sizes(n, shape));
  int place = n->attr[0].i[0] * n->attr[0].i[1] <= 256 ? INC_U8 : INC_I32;
  INC_TRY(inc_done(inc_out_4d(n, 0, n->in[0].dtype, shape, 0)));
  return inc_done(inc_out_4d(n, 1, place, shape, 0));
}

static int ref_max(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0];
  pool q = pool_of(n, 0, x, &n->out[0]);
  INC_EACH (&n->out[0], i) {
    int64_t h0, ha, hb, w0, wa, wb;
    window(&q, 0, i[2], &h0, &ha, &hb);
    window(&q, 1, i[3], &w0, &wa, &wb);
    double best = -INFINITY;
    int64_t place = (ha - h0) * q.k[1] + (wa - w0);
    for (int64_t h = ha; h < hb; h++)
      for (int64_t w = wa; w < wb; w++) {
        double v = inc_load(in[0], x->dtype, at4(x, i[0], i[1], h, w));
        if (!(v > best) && v == v) continue;
        best = v;
        place = (h - h0) * q.k[1] + (w - w0);
      }
    inc_ref_put(n, out, 0, i, best);
    inc_ref_put(n, out, 1, i, (double)place);
  }
  return INC_OK;
}

static int grad_max(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  const inc_attr *a = g->node->attr;
  inc_attr b[] = {INC_INT(x->shape[2]), INC_INT(x->shape[3]), a[0], a[1], a[2]};
  inc_tensor *in[] = {g->dout[0], g->out[1]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_max_pool2d_backward, 2, in, b, 0));
}

const inc_op inc_op_max_pool2d = {
    .name = "max_pool2d",
    .sig =
        "x:tensor, kernel_size:int[2], stride:int[2]?, padding:int[2]=0, ceil_mode:bool=false -> y, _index",
    .doc = "The maximum over windows of x [N, C, H, W]; stride is the kernel size if not given, "
           "padding counts as -inf, ceil_mode rounds the size of the result up. Refuses padding "
           "above half a kernel.\n"
           "> inc.max_pool2d(inc.tensor{{{{1, 2}, {3, 4}}}}, 2):tolist()  --> {{{{4}}}}",
    .save_out = 2,
    .n_out = 2,
    .infer = infer_max,
    .grad = grad_max,
    .ref = ref_max,
};

static int infer_max_backward(inc_node *n) { return infer_backward(n, 0); }

static int ref_max_backward(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0], *index = &n->in[1];
  pool q = pool_of(n, 2, &n->out[0], dy);
  INC_EACH (&n->out[0], i) {
    int64_t ha, hb, wa, wb;
    double sum = 0;
    covering(&q, 0, i[2], &ha, &hb);
    covering(&q, 1, i[3], &wa, &wb);
    for (int64_t h = ha; h < hb; h++)
      for (int64_t w = wa; w < wb; w++) {
        int64_t place = (i[2] + q.p[0] - h * q.s[0]) * q.k[1] + (i[3] + q.p[1] - w * q.s[1]);
        if ((int64_t)inc_load(in[1], index->dtype, at4(index, i[0], i[1], h, w)) != place) continue;
        sum += inc_load(in[0], dy->dtype, at4(dy, i[0], i[1], h, w));
      }
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_max_pool2d_backward = {
    .name = "max_pool2d_backward",
    .sig =
        "dy:tensor, index:tensor, height:int, width:int, kernel_size:int[2], stride:int[2], padding:int[2]=0 "
        "-> dx",
    .doc = "The gradient of max_pool2d: dy goes to the place that each window chose.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_max_backward,
    .ref = ref_max_backward,
};

/* -- average ---------------------------------------------------------------------------------------- */
/* What a window's sum is divided by: with padding counted, its size up to the padded border. */
static double divisor(const pool *q, int64_t oh, int64_t ow, bool include_pad) {
  double size = 1;
  for (int d = 0; d < 2; d++) {
    int64_t from, a, b, o = d ? ow : oh;
    window(q, d, o, &from, &a, &b);
    int64_t end = from + q->k[d] < q->in[d] + q->p[d] ? from + q->k[d] : q->in[d] + q->p[d];
    size *= (double)(include_pad ? end - from : b - a);
  }
  return size;
}

static int infer_avg(inc_node *n) {
  int64_t shape[4];
  INC_TRY(infer_sizes(n, shape));
  return inc_done(inc_out_4d(n, 0, n->in[0].dtype, shape, 0));
}

static int ref_avg(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0];
  pool q = pool_of(n, 0, x, &n->out[0]);
  INC_EACH (&n->out[0], i) {
    int64_t from, ha, hb, wa, wb;
    double sum = 0;
    window(&q, 0, i[2], &from, &ha, &hb);
    window(&q, 1, i[3], &from, &wa, &wb);
    for (int64_t h = ha; h < hb; h++)
      for (int64_t w = wa; w < wb; w++) sum += inc_load(in[0], x->dtype, at4(x, i[0], i[1], h, w));
    inc_ref_put(n, out, 0, i, sum / divisor(&q, i[2], i[3], inc_int(n, 4)));
  }
  return INC_OK;
}

static int grad_avg(inc_grad *g) {
  const inc_spec *x = &g->node->in[0];
  const inc_attr *a = g->node->attr;
  inc_attr b[] = {INC_INT(x->shape[2]), INC_INT(x->shape[3]), a[0], a[1], a[2], a[4]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_avg_pool2d_backward, 1, &g->dout[0], b, 0));
}

const inc_op inc_op_avg_pool2d = {
    .name = "avg_pool2d",
    .sig = "x:tensor, kernel_size:int[2], stride:int[2]?, padding:int[2]=0, ceil_mode:bool=false, "
           "count_include_pad:bool=true -> y",
    .doc = "The mean over windows of x [N, C, H, W]; stride is the kernel size if not given. "
           "Padding counts as zeros in the mean unless count_include_pad is false.\n"
           "> inc.avg_pool2d(inc.tensor{{{{1, 2}, {3, 4}}}}, 2):tolist()  --> {{{{2.5}}}}",
    .infer = infer_avg,
    .grad = grad_avg,
    .ref = ref_avg,
};

static int infer_avg_backward(inc_node *n) { return infer_backward(n, 0); }

static int ref_avg_backward(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0];
  pool q = pool_of(n, 2, &n->out[0], dy);
  INC_EACH (&n->out[0], i) {
    int64_t ha, hb, wa, wb;
    double sum = 0;
    covering(&q, 0, i[2], &ha, &hb);
    covering(&q, 1, i[3], &wa, &wb);
    for (int64_t h = ha; h < hb; h++)
      for (int64_t w = wa; w < wb; w++)
        sum += inc_load(in[0], dy->dtype, at4(dy, i[0], i[1], h, w)) / divisor(&q, h, w, inc_int(n, 5));
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_avg_pool2d_backward = {
    .name = "avg_pool2d_backward",
    .sig = "dy:tensor, height:int, width:int, kernel_size:int[2], stride:int[2], padding:int[2]=0, "
           "count_include_pad:bool=true -> dx",
    .doc = "The gradient of avg_pool2d: dy is shared evenly by the places of each window.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_avg_backward,
    .ref = ref_avg_backward,
};
