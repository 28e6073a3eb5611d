/* dnn_conv.c -- convolution forward, by data and by weights on oneDNN (dnn.h).
**
** Layout rule: activations that are channels-last stay so, and the primitive is told; anything else lets the
** primitive choose and is re-ordered.  If the fixed layout only reaches the reference loop (depthwise in some
** versions), the primitive chooses as well.  Weights are always the primitive's choice. */
#include "base/mem.h"
#include "cpu/dnn.h"
#include "kernels/cpu/kernels.h"
#include <string.h>

/* Channels lie next to each other: channels-last, or a slice of it. */
static bool reads_channels_last(const inc_spec *s) { return s->shape[1] == 1 || s->strides[1] == 1; }

/* Weights with the group dim that oneDNN wants: [G, O/G, I/G, KH, KW]. */
static int weight_dims(const dnn_conv_desc *d, int64_t *dims, int64_t *strides) {
  const inc_spec *w = &d->w;
  int n = 0;
  if (d->groups > 1) {
    dims[n] = d->groups;
    strides[n++] = w->strides[0] * (w->shape[0] / d->groups);
  }
  for (int i = 0; i < 4; i++) {
    dims[n] = i == 0 ? w->shape[0] / d->groups : w->shape[i];
    strides[n++] = w->strides[i];
  }
  return n;
}

static const int args_of[3][3] = {
    /* x, w, y */
    [DNN_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
    [DNN_BACKWARD_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
    [DNN_BACKWARD_WEIGHT] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
};

/* One attempt: fixed = activations channels-last, otherwise any. */
static dnnl_status_t attempt(const dnn_conv_desc *d, bool fixed, dnnl_primitive_desc_t *pd) {
  dnn_md x = NULL, w = NULL, y = NULL, b = NULL;
  inc_spec sx = d->x, sy = d->y;
  inc_spec_channels_last(&sx);
  inc_spec_channels_last(&sy);
  int64_t dims[5], strides[5];
  int n = weight_dims(d, dims, strides);
  bool widened = d->geometry.winograd; /* f32 arithmetic; the re-orders widen and narrow on their way */
  dnnl_data_type_t dt = widened ? dnnl_f32 : dnn_dtype(d->x.dtype), yt = widened ? dt : dnn_dtype(d->y.dtype);
  dnnl_data_type_t wt = d->dir == DNN_BACKWARD_WEIGHT ? dnnl_f32 : dt;
  dnnl_status_t s = dnn_md_new(&x, 4, sx.shape, dt, fixed ? sx.strides : NULL);
  if (s == dnnl_success) s = dnn_md_new(&y, 4, sy.shape, yt, fixed ? sy.strides : NULL);
  if (s == dnnl_success) s = dnn_md_new(&w, n, dims, wt, NULL);
  int64_t one = 1;
  if (s == dnnl_success && d->bias.dtype)
    s = dnn_md_new(&b, 1, &d->y.shape[1], dnn_dtype(d->bias.dtype), &one);
  if (s == dnnl_success) s = dnn_conv_pd(d->dir, &d->geometry, x, w, b, y, d->relu, dt, pd);
  dnn_md_free(x);
  dnn_md_free(w);
  dnn_md_free(y);
  dnn_md_free(b);
  return s;
}

static bool is_reference(dnnl_primitive_desc_t pd) { return strstr(dnn_pd_impl(pd), "ref") != NULL; }

static int choose(const dnn_conv_desc *d, dnnl_primitive_desc_t *out) {
  bool fixed =
      !d->geometry.winograd && !d->free_layout && (reads_channels_last(&d->x) || reads_channels_last(&d->y));
  dnnl_primitive_desc_t pd = NULL, other = NULL;
  dnnl_status_t s = attempt(d, fixed, &pd);
  if (fixed && (s != dnnl_success || is_reference(pd)) && attempt(d, false, &other) == dnnl_success) {
    if (s != dnnl_success || !is_reference(other)) {
      if (pd) dnnl_primitive_desc_destroy(pd);
      pd = other;
      s = dnnl_success;
    } else {
      dnnl_primitive_desc_destroy(other);
    }
  }
  *out = pd;
  return dnn_fail(s, "convolution");
}

/* Connect one operand: nothing if the layouts agree, else a re-order in the right direction. */
static int connect(dnn_side *side, const dnn_prim *main, int arg, bool is_output, int n, const int64_t *dims,
                   int dtype, const int64_t *strides, size_t *at) {
  dnn_md user = NULL;
  dnn_cmd want = dnn_pd_md(main->pd, arg);
  int code = dnn_fail(dnn_md_new(&user, n, dims, dnn_dtype(dtype), strides), "describing an operand");
  if (!code && !dnn_md_equal(user, want)) {
    dnnl_primitive_desc_t pd = NULL;
    side->differs = true;
    side->bytes = dnnl_memory_desc_get_size(want);
    side->offset = *at;
    *at += dnn_align(side->bytes);
    dnnl_status_t s = is_output ? dnn_reorder_pd(want, user, &pd) : dnn_reorder_pd(user, want, &pd);
    code = dnn_fail(s, "re-order");
    int args[] = {DNNL_ARG_SRC, DNNL_ARG_DST};
    if (!code) dnn_prim_describe(&side->reorder, pd, 2, args);
  }
  dnn_md_free(user);
  return code;
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

static int connect_all(dnn_conv *c, const dnn_conv_desc *d) {
  int64_t dims[5], strides[5];
  int n = weight_dims(d, dims, strides);
  const int *arg = args_of[d->dir];
  size_t at = 0;
  INC_TRY(connect(&c->w, &c->main, arg[1], d->dir == DNN_BACKWARD_WEIGHT, n, dims, d->w.dtype, strides, &at));
  INC_TRY(connect(&c->x, &c->main, arg[0], d->dir == DNN_BACKWARD_DATA, 4, d->x.shape, d->x.dtype,
                  d->x.strides, &at));
  INC_TRY(
      connect(&c->y, &c->main, arg[2], d->dir == DNN_FORWARD, 4, d->y.shape, d->y.dtype, d->y.strides, &at));
  size_t scratch = max_size(max_size(c->w.reorder.scratch, c->x.reorder.scratch),
                            max_size(c->y.reorder.scratch, c->main.scratch));
  c->scratch = at;
  c->workspace = at + dnn_align(scratch);
  return INC_OK;
}

/* One part of a batch of `parts` equal ones. */
static int init_part(dnn_conv *c, const dnn_conv_desc *whole, int64_t parts) {
  dnn_conv_desc d = *whole;
  d.x.shape[0] /= parts;
  d.y.shape[0] /= parts;
  memset(c, 0, sizeof *c);
  c->dir = d.dir;
  c->bias = d.bias.dtype != INC_NONE;
  c->parts = parts;
  c->x_step = (size_t)(d.x.shape[0] * d.x.strides[0]) * inc_dtype_size(d.x.dtype);
  c->y_step = (size_t)(d.y.shape[0] * d.y.strides[0]) * inc_dtype_size(d.y.dtype);
  dnnl_primitive_desc_t pd = NULL;
  INC_TRY(choose(&d, &pd));
  c->impl = dnn_pd_impl(pd);
  c->reference = is_reference(pd);
  int args[] = {args_of[d.dir][0], args_of[d.dir][1], args_of[d.dir][2], DNNL_ARG_BIAS};
  dnn_prim_describe(&c->main, pd, c->bias ? 4 : 3, args);
  int code = connect_all(c, &d);
  if (code) dnn_conv_free(c);
  return code;
}

static size_t weight_bytes(const dnn_conv *c) {
  return dnnl_memory_desc_get_size(dnn_pd_md(c->main.pd, args_of[c->dir][1]));
}

int dnn_conv_init(dnn_conv *c, const dnn_conv_desc *d) {
  enum { SMALLEST = 8 };
  int64_t n = d->x.shape[0];
  INC_TRY(init_part(c, d, 1));
  for (int64_t parts = 2; d->most_workspace && n / parts >= SMALLEST; parts++) {
    if (c->workspace <= d->most_workspace) break;
    if (n % parts) continue;
    dnn_conv_free(c);
    INC_TRY(init_part(c, d, parts));
  }
  if (c->dir == DNN_BACKWARD_WEIGHT && c->parts > 1) {
    c->sum = c->workspace;
    c->workspace += dnn_align(weight_bytes(c));
  }
  return INC_OK;
}

int dnn_conv_build(dnn_conv *c) {
  INC_TRY(dnn_prim_build(&c->main));
  INC_TRY(dnn_prim_build(&c->x.reorder));
  INC_TRY(dnn_prim_build(&c->w.reorder));
  return dnn_prim_build(&c->y.reorder);
}

int dnn_conv_keep(dnn_conv *c) {
  if (!c->w.differs || c->dir == DNN_BACKWARD_WEIGHT || c->kept) return INC_OK;
  c->kept = inc_alloc(c->w.bytes);
  return c->kept ? INC_OK : INC_EMEM;
}

static int bring(dnn_side *s, void *user, void *copy, void *scratch, bool outwards) {
  void *at[] = {outwards ? copy : user, outwards ? user : copy};
  return dnn_prim_run(&s->reorder, at, scratch);
}

/* x and y of one part: their own memory, or a copy in the workspace that `bring` fills or empties. */
static int run_part(dnn_conv *c, char *x, void *w, char *y, void *bias, char *ws) {
  void *scratch = ws + c->scratch, *at[] = {x, w, y, bias};
  bool x_out = c->dir == DNN_BACKWARD_DATA, y_out = c->dir == DNN_FORWARD;
  if (c->x.differs) at[0] = ws + c->x.offset;
  if (c->y.differs) at[2] = ws + c->y.offset;
  if (c->x.differs && !x_out) INC_TRY(bring(&c->x, x, at[0], scratch, false));
  if (c->y.differs && !y_out) INC_TRY(bring(&c->y, y, at[2], scratch, false));
  INC_TRY(dnn_prim_run(&c->main, at, scratch));
  if (c->x.differs && x_out) INC_TRY(bring(&c->x, x, at[0], scratch, true));
  if (c->y.differs && y_out) INC_TRY(bring(&c->y, y, at[2], scratch, true));
  return INC_OK;
}

static int run_parts(dnn_conv *c, char *x, void *w, char *y, void *bias, char *ws) {
  size_t count = c->sum ? weight_bytes(c) / sizeof(float) : 0;
  for (int64_t i = 0; i < c->parts; i++) {
    void *to = i && c->sum ? ws + c->sum : w;
    INC_TRY(run_part(c, x + (size_t)i * c->x_step, to, y + (size_t)i * c->y_step, bias, ws));
    if (to != w) inc_kernels_get()->binary(K_ADD, INC_F32, (int64_t)count, w, w, 1, to, 1);
  }
  return INC_OK;
}

int dnn_conv_run(dnn_conv *c, void *x, void *w, void *y, void *bias, void *workspace, bool packed) {
  char *ws = workspace;
  bool out = c->dir == DNN_BACKWARD_WEIGHT;
  void *weight = !c->w.differs ? w : c->kept ? c->kept : ws + c->w.offset;
  if (c->w.differs && !out && !(c->kept && packed)) INC_TRY(bring(&c->w, w, weight, ws + c->scratch, false));
  INC_TRY(run_parts(c, x, weight, y, bias, ws));
  return c->w.differs && out ? bring(&c->w, w, weight, ws + c->scratch, true) : INC_OK;
}

void dnn_conv_free(dnn_conv *c) {
  dnn_prim_free(&c->main);
  dnn_prim_free(&c->x.reorder);
  dnn_prim_free(&c->w.reorder);
  dnn_prim_free(&c->y.reorder);
  inc_free(c->kept);
  memset(c, 0, sizeof *c);
}
