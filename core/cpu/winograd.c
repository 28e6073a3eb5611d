/* winograd.c -- conv2d, conv2d_relu and both gradients of conv2d in the Winograd domain, by our own kernels.
**
** Tiles of 4 or 6 outputs along a line: F(4x4, 3x3), F(6x6, 3x3) and F(4x4, 5x5) for square kernels, F(4, 3),
** F(4, 7) and F(6, 7) for flat and tall ones: 4, 5.1, 6.3, 2, 2.8 and 3.5 times fewer products.  oneDNN has the
** first alone, in 2.x alone, with passes over whole pictures.  Which tile is better depends on what hangs over
** the edge and on rounding, so both are offered to plans, which measure (choice.h); eager calls take oneDNN's.
**
** Points were searched for small errors (relative L2 against f64, direct f32 3 to 4e-7): F(4, 3) 4e-7 with 0,
** +-3/4, +-3/2 (7e-7 with the usual 0, +-1, +-2), squared 8e-7; F(6x6, 3x3) and F(4x4, 5x5) 4e-6; F(4, 7) 2e-6
** (1e-5 with +-1/2, +-1, +-2, +-4); F(6, 7) 4e-6.  bf16 tensors are widened on their way in and multiplied in
** f32: their own rounding (2e-3) hides all this.  Rejected: products in bf16, twice the rate, because
** transformed values rounded to bf16 leave 2.3 times the direct error in F(2x2, 3x3), 15 in F(4x4, 3x3), 6 in
** F(2, 7), and the larger tiles that f32 allows save as much.
**
** Measured on one core of Zen 4 (peak 118 GFLOP/s in f32, 236 in bf16), batch 16, nominal GFLOP/s forward / by
** data / by weights, best of both tiles against the best of oneDNN 2.6:
**     3x3, 80 to 192 at 71   f32 361 / 305 / 343 for 259 / 247 / 160    bf16 396 / 330 / 373 for 274 / 244 / 205
**     3x3, 96 to 96 at 35    f32 316 / 312 / 312 for 234 / 228 / 201    bf16 354 / 350 / 334 for 241 / 241 / 215
**     1x7, 192 to 192 at 17  f32 298 / 299 / 277 for 125 / 125 / 122    bf16 299 / 298 / 291 for 244 / 249 / 192
**     5x5, 48 to 64 at 35    f32 370 / 355 / 349 for 123 / 120 / 116    bf16 410 / 403 / 353 for 245 / 247 / 204
*/
#include "base/mem.h"
#include "cpu/cpu.h"
#include "exec/compute.h"
#include <pthread.h>
#include <string.h>

enum { SMALL = 4, LARGE = 6 }; /* outputs of a tile along a line */

typedef struct form {
  int kh, kw, points, outputs;
  k_wino_shape shape;
} form;
static form forms[] = {{.kh = 3, .kw = 3, .points = 6, .outputs = SMALL, .shape.form = WINO_SQUARE6},
                       {.kh = 3, .kw = 3, .points = 8, .outputs = LARGE, .shape.form = WINO_SQUARE8},
                       {.kh = 5, .kw = 5, .points = 8, .outputs = SMALL, .shape.form = WINO_SQUARE8_5},
                       {.kh = 1, .kw = 7, .points = 10, .outputs = SMALL, .shape.form = WINO_LINE10},
                       {.kh = 7, .kw = 1, .points = 10, .outputs = SMALL, .shape.form = WINO_LINE10},
                       {.kh = 1, .kw = 7, .points = 12, .outputs = LARGE, .shape.form = WINO_LINE12},
                       {.kh = 7, .kw = 1, .points = 12, .outputs = LARGE, .shape.form = WINO_LINE12},
                       {.kh = 1, .kw = 3, .points = 6, .outputs = SMALL, .shape.form = WINO_LINE6},
                       {.kh = 3, .kw = 1, .points = 6, .outputs = SMALL, .shape.form = WINO_LINE6}};
enum { FORMS = sizeof forms / sizeof *forms };

/* -- transforms of a line (Toom and Cook) ---------------------------------------------------------------- */

/* Coefficients of the product of (x - f) over all finite points but number `left`. */
static void product_of_roots(int n, const double *point, int left, double *coef) {
  memset(coef, 0, sizeof(double) * WINO_LINE);
  coef[0] = 1;
  for (int j = 0; j < n; j++) {
    if (j == left) continue;
    for (int i = WINO_LINE - 1; i >= 0; i--) coef[i] = (i ? coef[i - 1] : 0) - point[j] * coef[i];
  }
}

static double value(const double *coef, double x) {
  double y = 0;
  for (int i = WINO_LINE - 1; i >= 0; i--) y = y * x + coef[i];
  return y;
}

static void fill_line(int a, int outputs, k_wino_shape *s) {
  static const double points[][WINO_LINE] = {
      [6] = {0, 0.75, -0.75, 1.5, -1.5},
      [8] = {0, 0.5, -0.5, 1, -1, 2, -2},
      [10] = {0, 0.4, -0.4, 0.8, -0.8, 1.25, -1.25, 2.5, -2.5},
      [12] = {0, 0.3, -0.3, 0.75, -0.75, 1, -1, 1.5, -1.5, 3, -3},
  };
  const double *point = points[a];
  int taps = a - outputs + 1;
  for (int j = 0; j < a; j++) {
    bool infinity = j == a - 1;
    double coef[WINO_LINE], power = 1, scale = 1;
    product_of_roots(a - 1, point, infinity ? -1 : j, coef);
    if (!infinity) scale = value(coef, point[j]);
    for (int i = 0; i < a; i++) s->bt[j * a + i] = (float)coef[i];
    for (int i = 0; i < (taps > outputs ? taps : outputs); i++) {
      if (i < outputs) s->at[i * a + j] = infinity ? i == outputs - 1 : (float)power;
      if (i < taps) s->g[j * taps + i] = infinity ? i == taps - 1 : (float)(power / scale);
      if (!infinity) power *= point[j];
    }
  }
}

static void fill_forms(void) {
  for (int i = 0; i < FORMS; i++) {
    form *f = &forms[i];
    f->shape.ah = f->kh > 1 ? f->points : 1, f->shape.aw = f->kw > 1 ? f->points : 1;
    f->shape.mh = f->kh > 1 ? f->outputs : 1, f->shape.mw = f->kw > 1 ? f->outputs : 1;
    fill_line(f->points, f->outputs, &f->shape);
  }
}

static const k_wino_shape *shape_for(int64_t kh, int64_t kw, int outputs) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, fill_forms);
  for (int i = 0; i < FORMS; i++)
    if (forms[i].kh == kh && forms[i].kw == kw && forms[i].outputs == outputs) return &forms[i].shape;
  return NULL;
}

/* -- what a node asks ------------------------------------------------------------------------------------ */

static bool is_plain(const inc_attr *attr) { /* stride 1, dilation 1, one group */
  int64_t stride[2], dilation[2];
  cpu_pair(&attr[0], stride);
  cpu_pair(&attr[2], dilation);
  return stride[0] == 1 && stride[1] == 1 && dilation[0] == 1 && dilation[1] == 1 && attr[3].i[0] == 1;
}

/* Pixels in order, channels side by side. */
static bool pixels(const inc_spec *s, int64_t *ld) {
  cpu_rows r;
  size_t at = 0;
  if (s->ndim != 4 || (s->dtype != INC_F32 && s->dtype != INC_BF16)) return false;
  if (!cpu_rows_init(&r, s, &at) || r.copied) return false;
  *ld = r.ld;
  return true;
}

static int64_t tiles_of(int64_t size, int outputs) { return (size + outputs - 1) / outputs; }

/* Products for a picture's pixel plane and pair of channels: large tiles that hang over the edge lose. */
static int64_t products_of(const k_wino_shape *s, int64_t oh, int64_t ow) {
  return tiles_of(oh, s->mh) * tiles_of(ow, s->mw) * s->ah * s->aw;
}

static bool worth_its_size(const k_wino *w, int64_t kh, int64_t kw, int outputs) {
  const k_wino_shape *small = outputs == LARGE ? shape_for(kh, kw, SMALL) : NULL;
  return !small || products_of(w->shape, w->oh, w->ow) < products_of(small, w->oh, w->ow);
}

/* from, to: the tensor read and the tensor written; turned: the gradient of the input. */
static bool describe(const inc_spec *from, const inc_spec *weight, const inc_spec *to, const inc_attr *attr,
                     bool turned, int outputs, inc_kernel *k) {
  k_wino *w = &k->u.wino.w;
  int64_t pad[2];
  *w = (k_wino){.turned = turned, .dt = from->dtype, .threads = inc_compute_threads()};
  if (weight->ndim != 4 || weight->dtype != INC_F32 || !inc_spec_is_contiguous(weight) || !is_plain(attr))
    return false;
  int64_t kh = weight->shape[2], kw = weight->shape[3];
  w->shape = shape_for(kh, kw, outputs);
  if (!w->shape || from->dtype != to->dtype || !pixels(from, &w->ldx) || !pixels(to, &w->ldy)) return false;
  cpu_pair(&attr[1], pad);
  w->pad_h = turned ? kh - 1 - pad[0] : pad[0], w->pad_w = turned ? kw - 1 - pad[1] : pad[1];
  w->n = from->shape[0], w->c = from->shape[1], w->h = from->shape[2], w->w = from->shape[3];
  w->k = to->shape[1], w->oh = to->shape[2], w->ow = to->shape[3];
  w->tiles_h = tiles_of(w->oh, w->shape->mh), w->tiles_w = tiles_of(w->ow, w->shape->mw);
  k->u.wino.step_k = weight->strides[turned], k->u.wino.step_c = weight->strides[!turned];
  return w->c >= 16 && w->k >= 16 && w->pad_h >= 0 && w->pad_w >= 0 && worth_its_size(w, kh, kw, outputs);
}

static const char *way_of(const k_wino *w) {
  return w->shape->mh == LARGE || w->shape->mw == LARGE ? "winograd-tiles6" : "winograd-tiles";
}

static size_t weight_bytes(const k_wino *w, int lanes) {
  int64_t padded = (w->k + lanes - 1) / lanes * lanes;
  return (size_t)(w->shape->ah * w->shape->aw * padded * w->c) * sizeof(float);
}

/* Workspace: transformed weights, a pixel of zeros, then V and M of a block for each thread. */
static bool take(bool fits, inc_kernel *k) {
  if (!fits) return false;
  k_wino *w = &k->u.wino.w;
  int lanes = k->k->lanes;
  w->scratch_step = (int64_t)(w->shape->ah * w->shape->aw) * (WINO_TILES * (w->c + 2 * lanes) + 2 * WINO_PAD);
  k->u.wino.zeros = dnn_align(weight_bytes(w, lanes));
  k->u.wino.u = k->u.wino.zeros + dnn_align((size_t)w->c * sizeof(float));
  k->workspace = k->u.wino.u + (size_t)(w->scratch_step * w->threads) * sizeof(float);
  k->way = way_of(w);
  k->flags = INC_K_WIDE | INC_K_ROUNDS | INC_K_PACKS;
  return true;
}

static bool make_forward(const inc_node *n, int outputs, inc_kernel *k) {
  bool bias = inc_has(n, 2);
  if (bias && (n->in[2].dtype != INC_F32 || !inc_spec_is_contiguous(&n->in[2]))) return false;
  return take(describe(&n->in[0], &n->in[1], &n->out[0], n->attr, false, outputs, k), k);
}

static bool make_relu(const inc_node *n, int outputs, inc_kernel *k) {
  if (!make_forward(n, outputs, k)) return false;
  k->u.wino.w.relu = true;
  return true;
}

static bool make_data(const inc_node *n, int outputs, inc_kernel *k) {
  return take(describe(&n->in[0], &n->in[1], &n->out[0], n->attr + 2, true, outputs, k), k);
}

static int build(inc_kernel *k, uint32_t prep) {
  if (!(prep & INC_PREP_KEEP)) return INC_OK;
  k->u.wino.kept = inc_alloc(weight_bytes(&k->u.wino.w, k->k->lanes));
  return k->u.wino.kept ? INC_OK : INC_EMEM;
}

static void drop(inc_kernel *k) { inc_free(k->u.wino.kept); }

static int run(inc_kernel *k, const void *x, const float *weight, const float *bias, void *y, char *ws,
               bool same) {
  k_wino *w = &k->u.wino.w;
  float *u = k->u.wino.kept ? k->u.wino.kept : (float *)(void *)ws;
  char *zeros = ws + k->u.wino.zeros;
  w->x = x, w->y = y, w->u = u, w->bias = bias, w->zeros = zeros;
  w->scratch = (float *)(void *)(ws + k->u.wino.u);
  memset(zeros, 0, (size_t)w->c * sizeof(float));
  if (!(k->u.wino.kept && same)) k->k->wino_weights(w, weight, k->u.wino.step_k, k->u.wino.step_c, u);
  k->k->wino_run(w);
  return INC_OK;
}

static int run_forward(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  return run(k, in[0], in[1], k->node.n_in > 2 ? in[2] : NULL, out[0], ws, same >> 1 & 1);
}
static int run_data(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  return run(k, in[0], in[1], NULL, out[0], ws, same >> 1 & 1);
}

/* -- gradient of the weights ----------------------------------------------------------------------------- */

/* Tiles between two visits of a sum, in equal blocks (measured from 1 to 4 MB: flat within 8%). */
static int64_t block_of(int64_t floats, int64_t all) {
  enum { BYTES = 2 << 20, LEAST = 64 };
  int64_t most = BYTES / (floats * (int64_t)sizeof(float));
  if (most < LEAST) most = LEAST;
  int64_t blocks = (all + most - 1) / most;
  return (all + blocks - 1) / blocks;
}

static bool make_weight(const inc_node *n, int outputs, inc_kernel *k) {
  const inc_spec *dw = &n->out[0];
  if (!describe(&n->in[0], dw, &n->in[1], n->attr + 1, false, outputs, k)) return false;
  k_wino *w = &k->u.wino.w;
  int64_t lanes = k->k->lanes, points = w->shape->ah * w->shape->aw, all = w->n * w->tiles_h * w->tiles_w;
  int64_t cp = (w->c + 3) / 4 * 4, kp = (w->k + lanes - 1) / lanes * lanes;
  w->block = block_of(points * (cp + kp), all);
  k->u.wino.zeros = 0;
  k->u.wino.u = dnn_align((size_t)w->c * sizeof(float));
  k->workspace =
      k->u.wino.u + (size_t)(points * (cp * kp + w->block * (cp + kp) + 2 * WINO_PAD)) * sizeof(float);
  k->way = way_of(w);
  k->flags = INC_K_WIDE | INC_K_ROUNDS;
  return true;
}

static int run_weight(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  k_wino *w = &k->u.wino.w;
  (void)same;
  memset(ws, 0, (size_t)w->c * sizeof(float));
  w->x = in[0], w->y = in[1], w->zeros = ws;
  w->scratch = (float *)(void *)((char *)ws + k->u.wino.u);
  k->k->wino_weight_run(w, out[0]);
  return INC_OK;
}

#define SIZES(name)                                                                                          \
  static bool name##_small(const inc_node *n, inc_kernel *k) { return name(n, SMALL, k); }                   \
  static bool name##_large(const inc_node *n, inc_kernel *k) { return name(n, LARGE, k); }
SIZES(make_forward)
SIZES(make_relu)
SIZES(make_data)
SIZES(make_weight)

const cpu_row cpu_winograd_rows[] = {
    {"conv2d", make_forward_small, build, run_forward, drop},
    {"conv2d", make_forward_large, build, run_forward, drop},
    {"conv2d_relu", make_relu_small, build, run_forward, drop},
    {"conv2d_relu", make_relu_large, build, run_forward, drop},
    {"conv2d_backward_data", make_data_small, build, run_data, drop},
    {"conv2d_backward_data", make_data_large, build, run_data, drop},
    {"conv2d_backward_weight", make_weight_small, NULL, run_weight, NULL},
    {"conv2d_backward_weight", make_weight_large, NULL, run_weight, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
