/* conv.c -- conv2d, conv2d_relu and the two gradients of conv2d on oneDNN (dnn.h).
**
** f32 3x3 convolutions with stride 1 are offered in Winograd's form first where it exists (oneDNN 2.x): less
** than half the time on large pictures, re-orders included, at a relative error of about 1e-5 instead of
** 1e-6. INC_WINOGRAD=0 leaves it out.  Where the CPU has AMX, weight gradients of 1x1 convolutions in bf16
** are a matrix product over pixels, three to six times faster than the library's convolution there;
** elsewhere the two are equal, measured. */
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

static bool describe(const roles *r, bool winograd, bool relu, dnn_conv_desc *d) {
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
  d->geometry.winograd = winograd;
  d->most_workspace = winograd ? WINOGRAD_MEMORY : 0;
  return true;
}

static bool make(const roles *r, bool winograd, bool relu, inc_kernel *k) {
  dnn_conv_desc d;
  if (!describe(r, winograd, relu, &d) || dnn_conv_init(&k->u.conv, &d)) return false;
  k->impl = k->u.conv.impl;
  k->workspace = k->u.conv.workspace;
  k->flags = INC_K_WIDE | (k->u.conv.reference ? INC_K_REF : 0u) |
             (k->u.conv.w.differs && r->dir != DNN_BACKWARD_WEIGHT ? INC_K_PACKS : 0u);
  return !winograd || !k->u.conv.reference;
}

static bool winograd_pays(const roles *r) {
  const char *s = getenv("INC_WINOGRAD");
  int64_t stride[2], dilation[2];
  if ((s && s[0] == '0') || r->y->ndim != 4 || r->x->ndim != 4 || r->w->ndim != 4 || r->x->dtype != INC_F32)
    return false;
  cpu_pair(&r->attr[0], stride);
  cpu_pair(&r->attr[2], dilation);
  int64_t pixels = r->y->shape[0] * r->y->shape[2] * r->y->shape[3];
  return r->w->shape[2] == 3 && r->w->shape[3] == 3 && stride[0] == 1 && stride[1] == 1 && dilation[0] == 1 &&
         dilation[1] == 1 && r->attr[3].i[0] == 1 && r->x->shape[1] >= 32 && r->y->shape[1] >= 32 &&
         pixels >= (r->x->shape[1] < 64 ? 1 << 16 : 64); /* few channels pay on many pixels only */
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

static bool make_forward(const inc_node *n, inc_kernel *k) {
  roles r = forward_roles(n);
  return make(&r, false, false, k);
}
static bool make_forward_relu(const inc_node *n, inc_kernel *k) {
  roles r = forward_roles(n);
  return make(&r, false, true, k);
}
static bool make_data(const inc_node *n, inc_kernel *k) {
  roles r = data_roles(n);
  return make(&r, false, false, k);
}
static bool make_weight(const inc_node *n, inc_kernel *k) {
  roles r = weight_roles(n);
  return n->out[0].dtype == INC_F32 && make(&r, false, false, k);
}
static bool make_forward_fast(const inc_node *n, inc_kernel *k) {
  roles r = forward_roles(n);
  return winograd_pays(&r) && make(&r, true, false, k);
}
static bool make_forward_relu_fast(const inc_node *n, inc_kernel *k) {
  roles r = forward_roles(n);
  return winograd_pays(&r) && make(&r, true, true, k);
}
static bool make_data_fast(const inc_node *n, inc_kernel *k) {
  roles r = data_roles(n);
  return winograd_pays(&r) && make(&r, true, false, k);
}
static bool make_weight_fast(const inc_node *n, inc_kernel *k) {
  roles r = weight_roles(n);
  return winograd_pays(&r) && make(&r, true, false, k);
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

static bool make_weight_product(const inc_node *n, inc_kernel *k) {
  roles r = weight_roles(n);
  int64_t stride[2], pad[2];
  inc_spec a, b, c;
  cpu_pair(&r.attr[0], stride);
  cpu_pair(&r.attr[1], pad);
  if (!inc_cpu_has_amx_bf16() || r.x->dtype != INC_BF16 || r.y->dtype != INC_BF16 || r.w->dtype != INC_F32)
    return false;
  if (r.w->shape[2] * r.w->shape[3] != 1 || stride[0] * stride[1] != 1 || pad[0] + pad[1] ||
      r.attr[3].i[0] != 1)
    return false;
  if (!inc_spec_is_contiguous(r.w) || !whole_rows(r.y, &a, true) || !whole_rows(r.x, &b, false)) return false;
  c = inc_spec_new(INC_F32, 2, r.w->shape);
  if (dnn_matmul_init(&k->u.matmul, &a, &b, NULL, &c) || k->u.matmul.reference) return false;
  k->impl = k->u.matmul.impl;
  k->workspace = k->u.matmul.workspace;
  k->flags = INC_K_WIDE;
  return true;
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
    {"conv2d", make_forward_fast, build, run_forward, drop},
    {"conv2d", make_forward, build, run_forward, drop},
    {"conv2d_relu", make_forward_relu_fast, build, run_forward, drop},
    {"conv2d_relu", make_forward_relu, build, run_forward, drop},
    {"conv2d_backward_data", make_data_fast, build, run_data, drop},
    {"conv2d_backward_data", make_data, build, run_data, drop},
    {"conv2d_backward_weight", make_weight_product, build_product, run_weight_product, drop_product},
    {"conv2d_backward_weight", make_weight_fast, build, run_weight, drop},
    {"conv2d_backward_weight", make_weight, build, run_weight, drop},
    {NULL, NULL, NULL, NULL, NULL},
};
