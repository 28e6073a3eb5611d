/* conv.c -- conv2d, conv2d_relu and the two gradients of conv2d on oneDNN (dnn.h).
**
** Each has several forms; a plan measures which to take (choice.h), everything else takes the first that fits.
** f32 3x3 convolutions with stride 1 have Winograd's form where it exists (oneDNN 2.x): less than half the
** time on large pictures, re-orders included, at a relative error of about 1e-5 instead of 1e-6;
** INC_WINOGRAD=0 leaves it out.  Weight gradients of 1x1 convolutions can be a matrix product over pixels:
** three to six times faster than the library's convolution where the CPU has AMX, up to a third elsewhere.
** Forward and by data the product was within 5% of the convolution either way, and is not offered. */
#include "cpu/cpu.h"
#include <stdlib.h>

typedef struct roles { /* where x, w and y of the forward convolution are among a node's tensors */
  dnn_dir dir;
  const inc_spec *x, *w, *y, *bias;
  const inc_attr *attr; /* stride, padding, dilation, groups */
} roles;

/* Transformed tiles take several times the memory of the pictures: the batch is taken in parts (measured:
** parts of 8 pictures are as fast as 32). */
enum { WINOGRAD_MEMORY = 256 << 20 };

enum form { DIRECT, WINOGRAD, BLOCKED }; /* blocked: direct, in the layout that the library likes best */

static bool describe(const roles *r, enum form form, bool relu, dnn_conv_desc *d) {
  if (r->x->ndim != 4 || r->y->ndim != 4 || !cpu_float_dtype(r->x->dtype) || r->x->dtype != r->y->dtype)
    return false;
  if (!cpu_float_dtype(r->w->dtype) || (r->x->dtype == INC_F32 && r->w->dtype != INC_F32)) return false;
  *d = (dnn_conv_desc){.dir = r->dir, .x = *r->x, .w = *r->w, .y = *r->y, .relu = relu};
  if (r->bias) d->bias = *r->bias;
  if (r->bias && (!cpu_float_dtype(r->bias->dtype) || !inc_spec_is_contiguous(r->bias))) return false;
  cpu_pair(&r->attr[0], d->geometry.stride);
  cpu_pair(&r->attr[1], d->geometry.pad_lo);
  cpu_pair(&r->attr[1], d->geometry.pad_hi);
  cpu_pair(&r->attr[2], d->geometry.dilation);
  d->groups = r->attr[3].i[0];
  d->geometry.winograd = form == WINOGRAD;
  d->free_layout = form == BLOCKED;
  d->most_workspace = form == WINOGRAD ? WINOGRAD_MEMORY : 0;
  return true;
}

/* Done by one core before another thread wakes? */
static bool is_small(const roles *r) {
  enum { SMALL = 1 << 17 }; /* multiply-adds: a few microseconds */
  return inc_spec_numel(r->y) * r->w->shape[1] * r->w->shape[2] * r->w->shape[3] < SMALL;
}

static bool make(const roles *r, enum form form, bool relu, inc_kernel *k) {
  static const char *const ways[] = {[DIRECT] = "direct", [WINOGRAD] = "winograd", [BLOCKED] = "blocked"};
  dnn_conv_desc d;
  if (!describe(r, form, relu, &d) || dnn_conv_init(&k->u.conv, &d)) return false;
  k->impl = k->u.conv.impl;
  k->way = ways[form];
  k->workspace = k->u.conv.workspace;
  k->flags = (is_small(r) ? 0u : INC_K_WIDE) | (k->u.conv.reference ? INC_K_REF : 0u) |
             (form == WINOGRAD ? INC_K_ROUNDS : 0u) |
             (k->u.conv.w.differs && r->dir != DNN_BACKWARD_WEIGHT ? INC_K_PACKS : 0u);
  return form == DIRECT || !k->u.conv.reference;
}

static bool winograd_fits(const roles *r) {
  const char *s = getenv("INC_WINOGRAD");
  int64_t stride[2], dilation[2];
  if ((s && s[0] == '0') || r->y->ndim != 4 || r->x->ndim != 4 || r->w->ndim != 4) return false;
  if (r->bias && r->bias->dtype != INC_F32) return false;
  cpu_pair(&r->attr[0], stride);
  cpu_pair(&r->attr[2], dilation);
  return r->w->shape[2] == 3 && r->w->shape[3] == 3 && stride[0] == 1 && stride[1] == 1 && dilation[0] == 1 &&
         dilation[1] == 1 && r->attr[3].i[0] == 1 && r->x->shape[1] >= 32 && r->y->shape[1] >= 32;
}

/* Without a measurement: few channels pay on many pixels only. */
static bool winograd_pays(const roles *r) {
  if (!winograd_fits(r) || r->x->dtype != INC_F32) return false;
  int64_t pixels = r->y->shape[0] * r->y->shape[2] * r->y->shape[3];
  return pixels >= (r->x->shape[1] < 64 ? 1 << 16 : 64);
}

/* Layouts only differ in worth where many products share one re-order. */
static bool blocked_may_pay(const roles *r) {
  return r->w->ndim == 4 && r->w->shape[2] * r->w->shape[3] > 1 && r->attr[3].i[0] == 1 &&
         inc_spec_is_channels_last(r->x);
}

static roles forward_roles(const inc_node *n) {
  return (roles){DNN_FORWARD, &n->in[0], &n->in[1], &n->out[0], inc_has(n, 2) ? &n->in[2] : NULL, n->attr};
}
static roles data_roles(const inc_node *n) {
  return (roles){DNN_BACKWARD_DATA, &n->out[0], &n->in[1], &n->in[0], NULL, n->attr + 2};
}
static roles weight_roles(const inc_node *n) {
  return (roles){DNN_BACKWARD_WEIGHT, &n->in[0], &n->out[0], &n->in[1], NULL, n->attr + 1};
}

/* Each op in the order of its rows: Winograd where it is known to pay, direct, then what only a measurement
** can prefer. */
enum rank { KNOWN_GOOD, PLAIN, TO_MEASURE, TO_MEASURE_BLOCKED };

static bool make_as(const roles *r, enum rank rank, bool relu, inc_kernel *k) {
  switch (rank) {
  case KNOWN_GOOD:
    return winograd_pays(r) && make(r, WINOGRAD, relu, k);
  case PLAIN:
    return make(r, DIRECT, relu, k);
  case TO_MEASURE:
    return !winograd_pays(r) && winograd_fits(r) && make(r, WINOGRAD, relu, k);
  default:
    return blocked_may_pay(r) && make(r, BLOCKED, relu, k) && k->u.conv.x.differs;
  }
}

#define MAKERS(name, roles_of, relu, condition)                                                              \
  static bool make_##name(const inc_node *n, enum rank rank, inc_kernel *k) {                                \
    roles r = roles_of(n);                                                                                   \
    return (condition) && make_as(&r, rank, relu, k);                                                        \
  }                                                                                                          \
  static bool make_##name##_good(const inc_node *n, inc_kernel *k) { return make_##name(n, KNOWN_GOOD, k); } \
  static bool make_##name##_plain(const inc_node *n, inc_kernel *k) { return make_##name(n, PLAIN, k); }     \
  static bool make_##name##_more(const inc_node *n, inc_kernel *k) { return make_##name(n, TO_MEASURE, k); }
MAKERS(forward, forward_roles, false, true)
MAKERS(forward_relu, forward_roles, true, true)
MAKERS(data, data_roles, false, true)
MAKERS(weight, weight_roles, false, n->out[0].dtype == INC_F32)

/* Blocked layouts pay for weight gradients alone: tall kernels gain a quarter, re-orders included; forward and
** by data they lost a few percent in every layer of Inception-v3, in f32 and bf16. */
static bool make_weight_blocked(const inc_node *n, inc_kernel *k) {
  return make_weight(n, TO_MEASURE_BLOCKED, k);
}

static int build(inc_kernel *k, uint32_t prep) {
  INC_TRY(dnn_conv_build(&k->u.conv));
  return prep & INC_PREP_KEEP ? dnn_conv_keep(&k->u.conv) : INC_OK;
}

static void drop(inc_kernel *k) { dnn_conv_free(&k->u.conv); }

static int run_forward(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  return dnn_conv_run(&k->u.conv, in[0], in[1], out[0], k->u.conv.bias ? in[2] : NULL, ws, same >> 1 & 1);
}
static int run_data(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  return dnn_conv_run(&k->u.conv, out[0], in[1], in[0], NULL, ws, same >> 1 & 1);
}
static int run_weight(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  return dnn_conv_run(&k->u.conv, in[0], out[0], in[1], NULL, ws, false);
}

/* -- weight gradient of a 1x1 convolution: [Cout, pixels] x [pixels, Cin] ---------------------------------
 */
static bool whole_rows(const inc_spec *s, inc_spec *rows, bool turned) {
  cpu_rows r;
  size_t at = 0;
  if (s->ndim != 4 || !cpu_rows_init(&r, s, &at) || r.copied) return false;
  int64_t pixels = r.n * r.hw;
  *rows = inc_spec_new(s->dtype, 2, turned ? (int64_t[]){r.c, pixels} : (int64_t[]){pixels, r.c});
  rows->strides[turned] = r.ld, rows->strides[!turned] = 1;
  return true;
}

static bool is_pointwise(const roles *r) {
  int64_t stride[2], pad[2];
  if (r->w->ndim != 4 || r->w->shape[2] * r->w->shape[3] != 1 || r->attr[3].i[0] != 1) return false;
  cpu_pair(&r->attr[0], stride);
  cpu_pair(&r->attr[1], pad);
  return stride[0] * stride[1] == 1 && pad[0] + pad[1] == 0 && inc_spec_is_contiguous(r->w);
}

static bool take_product(inc_kernel *k, const inc_spec *a, const inc_spec *b, const inc_spec *c) {
  if (dnn_matmul_init(&k->u.matmul, a, b, NULL, c) || k->u.matmul.reference) return false;
  k->impl = k->u.matmul.impl;
  k->way = "product";
  k->workspace = k->u.matmul.workspace;
  k->flags = INC_K_WIDE;
  return true;
}

static bool make_product(const inc_node *n, inc_kernel *k) {
  roles r = weight_roles(n);
  inc_spec a, b, c;
  if (!is_pointwise(&r) || r.x->dtype != r.y->dtype || r.w->dtype != INC_F32) return false;
  if (!whole_rows(r.y, &a, true) || !whole_rows(r.x, &b, false)) return false;
  c = inc_spec_new(INC_F32, 2, r.w->shape);
  return take_product(k, &a, &b, &c);
}

static bool product_pays(const inc_node *n) { return inc_cpu_has_amx_bf16() && n->in[0].dtype == INC_BF16; }

static bool make_product_good(const inc_node *n, inc_kernel *k) {
  return product_pays(n) && make_product(n, k);
}
static bool make_product_more(const inc_node *n, inc_kernel *k) {
  return !product_pays(n) && make_product(n, k);
}

static int build_product(inc_kernel *k, uint32_t prep) {
  (void)prep;
  return dnn_matmul_build(&k->u.matmul);
}
static void drop_product(inc_kernel *k) { dnn_matmul_free(&k->u.matmul); }
static int run_weight_product(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  return dnn_matmul_run(&k->u.matmul, in[1], in[0], NULL, out[0], ws);
}

const cpu_row cpu_conv_rows[] = {
    {"conv2d", make_forward_good, build, run_forward, drop},
    {"conv2d", make_forward_plain, build, run_forward, drop},
    {"conv2d", make_forward_more, build, run_forward, drop},
    {"conv2d_relu", make_forward_relu_good, build, run_forward, drop},
    {"conv2d_relu", make_forward_relu_plain, build, run_forward, drop},
    {"conv2d_relu", make_forward_relu_more, build, run_forward, drop},
    {"conv2d_backward_data", make_data_good, build, run_data, drop},
    {"conv2d_backward_data", make_data_plain, build, run_data, drop},
    {"conv2d_backward_data", make_data_more, build, run_data, drop},
    {"conv2d_backward_weight", make_product_good, build_product, run_weight_product, drop_product},
    {"conv2d_backward_weight", make_weight_good, build, run_weight, drop},
    {"conv2d_backward_weight", make_weight_plain, build, run_weight, drop},
    {"conv2d_backward_weight", make_product_more, build_product, run_weight_product, drop_product},
    {"conv2d_backward_weight", make_weight_more, build, run_weight, drop},
    {"conv2d_backward_weight", make_weight_blocked, build, run_weight, drop},
    {NULL, NULL, NULL, NULL, NULL},
};
