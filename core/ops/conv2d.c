/* conv2d.c -- 2-D convolution (cross-correlation, as everywhere in deep learning) and its two gradients.
**
** Weights are [Cout, Cin / groups, KH, KW].  The weight gradient comes out in f32 whatever x has, because
** master weights and optimizer slots are f32; bias is f32 beside bf16 inputs for the same reason.
** Each of the three references gathers: one result element, one sum in f64.
*/
#include "ops/ref.h"

enum { STRIDE = 0, PADDING = 1, DILATION = 2, GROUPS = 3 };

/* Attributes start at `first` in each of the three ops. */
typedef struct conv {
  int64_t stride[2], pad[2], dil[2], groups;
} conv;

static conv conv_of(const inc_node *n, int first) {
  const inc_attr *a = n->attr + first;
  conv c = {.groups = a[GROUPS].i[0]};
  for (int k = 0; k < 2; k++) {
    c.stride[k] = a[STRIDE].i[k];
    c.pad[k] = a[PADDING].i[k];
    c.dil[k] = a[DILATION].i[k];
  }
  return c;
}

static int check_attrs(const inc_node *n) {
  INC_TRY(inc_want_at_least(n, "stride", STRIDE, 1));
  INC_TRY(inc_want_at_least(n, "padding", PADDING, 0));
  INC_TRY(inc_want_at_least(n, "dilation", DILATION, 1));
  return inc_want_at_least(n, "groups", GROUPS, 1);
}

static int check_channels(const inc_node *n, int64_t groups) {
  const inc_spec *x = &n->in[0], *w = &n->in[1];
  char got[96];
  if (x->shape[1] % groups != 0)
    return inc_fail(INC_EARG, "groups", "expected a divisor of the %lld channels of x, got %lld",
                    (long long)x->shape[1], (long long)groups);
  if (w->shape[1] != x->shape[1] / groups)
    return inc_fail(INC_EARG, "weight", "expected shape [Cout, %lld, KH, KW], got %s",
                    (long long)(x->shape[1] / groups), inc_shape_text(4, w->shape, got, sizeof got));
  if (w->shape[0] % groups != 0)
    return inc_fail(INC_EARG, "groups", "expected a divisor of the %lld output channels of weight, got %lld",
                    (long long)w->shape[0], (long long)groups);
  if (w->shape[2] < 1 || w->shape[3] < 1)
    return inc_fail(INC_EARG, "weight", "expected a kernel of at least 1 x 1, got shape %s",
                    inc_shape_text(4, w->shape, got, sizeof got));
  return INC_OK;
}

static int check_bias(const inc_node *n) {
  if (!inc_has(n, 2)) return INC_OK;
  INC_TRY(inc_want_vector(n, 2, n->in[1].shape[0]));
  return n->in[2].dtype == INC_F32 ? INC_OK : inc_want_same_dtype(n, 2, 0);
}

static int infer_conv2d(inc_node *n) {
  INC_TRY(inc_want_ndim(n, 0, 4));
  INC_TRY(inc_want_ndim(n, 1, 4));
  INC_TRY(inc_want_float(n, 0));
  INC_TRY(inc_want_same_dtype(n, 1, 0));
  INC_TRY(check_attrs(n));
  conv c = conv_of(n, 0);
  INC_TRY(check_channels(n, c.groups));
  INC_TRY(check_bias(n));
  const inc_spec *x = &n->in[0], *w = &n->in[1];
  int64_t out[4] = {x->shape[0], w->shape[0], 0, 0};
  for (int k = 0; k < 2; k++) {
    out[2 + k] = inc_pool_size(x->shape[2 + k], w->shape[2 + k], c.stride[k], c.pad[k], c.dil[k], false);
    if (out[2 + k] < 0)
      return inc_fail(
          INC_EARG, "x", "expected %s of at least %lld (kernel %lld, dilation %lld, padding %lld), got %lld",
          k ? "a width" : "a height", (long long)(c.dil[k] * (w->shape[2 + k] - 1) + 1 - 2 * c.pad[k]),
          (long long)w->shape[2 + k], (long long)c.dil[k], (long long)c.pad[k], (long long)x->shape[2 + k]);
  }
  return inc_done(inc_out_4d(n, 0, x->dtype, out, 0));
}

static double load4(const void *p, const inc_spec *s, int64_t a, int64_t b, int64_t c, int64_t d) {
  return inc_load(p, s->dtype, a * s->strides[0] + b * s->strides[1] + c * s->strides[2] + d * s->strides[3]);
}

static int ref_conv2d(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *w = &n->in[1];
  conv c = conv_of(n, 0);
  int64_t cin = w->shape[1], cout = w->shape[0] / c.groups;
  INC_EACH (&n->out[0], i) {
    double sum = inc_ref_vec(n, in, 2, i[1], 0);
    inc_spec window = inc_spec_new(INC_F32, 3, w->shape + 1);
    INC_EACH (&window, k) {
      int64_t h = i[2] * c.stride[0] - c.pad[0] + k[1] * c.dil[0];
      int64_t v = i[3] * c.stride[1] - c.pad[1] + k[2] * c.dil[1];
      if (h < 0 || v < 0 || h >= x->shape[2] || v >= x->shape[3]) continue;
      sum += load4(in[0], x, i[0], i[1] / cout * cin + k[0], h, v) * load4(in[1], w, i[1], k[0], k[1], k[2]);
    }
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

/* -- gradients -------------------------------------------------------------------------------------- */
static int grad_bias(inc_grad *g) {
  inc_attr a[] = {inc_ints(3, (int64_t[]){0, 2, 3}), INC_INT(0), INC_INT(g->node->in[2].dtype)};
  return inc_g_set(g, 2, inc_gn(g, &inc_op_sum, 1, &g->dout[0], a, 0));
}

static int grad_conv2d(inc_grad *g) {
  const inc_spec *x = &g->node->in[0], *w = &g->node->in[1];
  const inc_attr *a = g->node->attr;
  if (g->need[0]) {
    inc_attr b[] = {INC_INT(x->shape[2]), INC_INT(x->shape[3]), a[0], a[1], a[2], a[3]};
    inc_tensor *in[] = {g->dout[0], g->in[1]};
    INC_TRY(inc_g_set(g, 0, inc_gn(g, &inc_op_conv2d_backward_data, 2, in, b, 0)));
  }
  if (g->need[1]) {
    inc_attr b[] = {inc_ints(2, w->shape + 2), a[0], a[1], a[2], a[3]};
    inc_tensor *in[] = {g->in[0], g->dout[0]};
    INC_TRY(inc_g_set(g, 1, inc_gn(g, &inc_op_conv2d_backward_weight, 2, in, b, 0)));
  }
  return g->node->n_in > 2 && g->need[2] ? grad_bias(g) : INC_OK;
}

const inc_op inc_op_conv2d = {
    .name = "conv2d",
    .sig = "x:tensor, weight:tensor, bias:tensor?, stride:int[2]=1, padding:int[2]=0, dilation:int[2]=1, "
           "groups:int=1 -> y",
    .doc = "2-D convolution of x [N, Cin, H, W] with weight [Cout, Cin / groups, KH, KW] plus bias "
           "[Cout]: y [N, Cout, H', W'] with H' = floor((H + 2 padding - dilation (KH - 1) - 1) / "
           "stride) + 1. Keeps channels-last. Refuses a kernel larger than the padded picture.\n"
           "> inc.conv2d(inc.ones(1, 1, 3, 3), inc.ones(1, 1, 2, 2), {stride = 1}):tolist()  --> "
           "{{{{4, 4}, {4, 4}}}}",
    .flags = INC_OP_AUTOCAST,
    .save_in = 3,
    .infer = infer_conv2d,
    .grad = grad_conv2d,
    .ref = ref_conv2d,
};

static int infer_backward_data(inc_node *n) {
  const inc_spec *dy = &n->in[0], *w = &n->in[1];
  int64_t groups = inc_int(n, 2 + GROUPS);
  int64_t shape[] = {dy->shape[0], w->shape[1] * groups, inc_int(n, 0), inc_int(n, 1)};
  INC_TRY(inc_want_ndim(n, 0, 4));
  INC_TRY(inc_want_ndim(n, 1, 4));
  return inc_done(inc_out_4d(n, 0, dy->dtype, shape, 0));
}

/* The output place that reads input place h through kernel place k, or -1. */
static int64_t reader(int64_t h, int64_t k, const conv *c, int axis, int64_t size) {
  int64_t o = h + c->pad[axis] - k * c->dil[axis];
  if (o < 0 || o % c->stride[axis] != 0) return -1;
  o /= c->stride[axis];
  return o < size ? o : -1;
}

static int ref_backward_data(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *dy = &n->in[0], *w = &n->in[1];
  conv c = conv_of(n, 2);
  int64_t cin = w->shape[1], cout = w->shape[0] / c.groups;
  inc_spec window = inc_spec_new(INC_F32, 3, (int64_t[]){cout, w->shape[2], w->shape[3]});
  INC_EACH (&n->out[0], i) {
    double sum = 0;
    INC_EACH (&window, k) {
      int64_t h = reader(i[2], k[1], &c, 0, dy->shape[2]), v = reader(i[3], k[2], &c, 1, dy->shape[3]);
      int64_t co = i[1] / cin * cout + k[0];
      if (h >= 0 && v >= 0)
        sum += load4(in[0], dy, i[0], co, h, v) * load4(in[1], w, co, i[1] % cin, k[1], k[2]);
    }
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_conv2d_backward_data = {
    .name = "conv2d_backward_data",
    .sig = "dy:tensor, weight:tensor, height:int, width:int, stride:int[2]=1, padding:int[2]=0, "
           "dilation:int[2]=1, groups:int=1 -> dx",
    .doc = "The gradient of conv2d for its input of height x width.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward_data,
    .ref = ref_backward_data,
};

static int infer_backward_weight(inc_node *n) {
  const inc_spec *x = &n->in[0], *dy = &n->in[1];
  int64_t groups = inc_int(n, 1 + GROUPS);
  int64_t shape[] = {dy->shape[1], x->shape[1] / groups, n->attr[0].i[0], n->attr[0].i[1]};
  INC_TRY(inc_want_ndim(n, 0, 4));
  INC_TRY(inc_want_ndim(n, 1, 4));
  return inc_done(inc_out(n, 0, x->dtype == INC_F64 ? INC_F64 : INC_F32, 4, shape));
}

static int ref_backward_weight(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *dy = &n->in[1], *dw = &n->out[0];
  conv c = conv_of(n, 1);
  int64_t cin = dw->shape[1], cout = dw->shape[0] / c.groups;
  inc_spec places = inc_spec_new(INC_F32, 3, (int64_t[]){dy->shape[0], dy->shape[2], dy->shape[3]});
  INC_EACH (dw, i) {
    double sum = 0;
    INC_EACH (&places, k) {
      int64_t h = k[1] * c.stride[0] - c.pad[0] + i[2] * c.dil[0];
      int64_t v = k[2] * c.stride[1] - c.pad[1] + i[3] * c.dil[1];
      if (h < 0 || v < 0 || h >= x->shape[2] || v >= x->shape[3]) continue;
      sum += load4(in[0], x, k[0], i[0] / cout * cin + i[1], h, v) * load4(in[1], dy, k[0], i[0], k[1], k[2]);
    }
    inc_ref_put(n, out, 0, i, sum);
  }
  return INC_OK;
}

const inc_op inc_op_conv2d_backward_weight = {
    .name = "conv2d_backward_weight",
    .sig = "x:tensor, dy:tensor, kernel_size:int[2], stride:int[2]=1, padding:int[2]=0, dilation:int[2]=1, "
           "groups:int=1 -> dweight",
    .doc = "The gradient of conv2d for its weight, [Cout, Cin / groups, KH, KW] in f32 (f64 for "
           "f64).",
    .flags = INC_OP_HIDDEN,
    .infer = infer_backward_weight,
    .ref = ref_backward_weight,
};
