/* winograd.c -- conv2d, conv2d_relu and the gradient of the input in the Winograd domain, by our own kernels.
**
** F(4x4, 3x3) for square kernels, F(4, 3) and F(4, 7) along one line for flat and tall ones: 4, 2 and 2.8 times
** fewer products.  oneDNN has the first alone, in 2.x alone, with passes over whole pictures.  Points were chosen
** for small errors (relative L2 against f64, 160 channels, direct f32 3 to 4e-7): 0, +-3/4, +-3/2 give 4e-7 for
** F(4, 3) where the usual 0, +-1, +-2 give 7e-7; 0, +-2/5, +-4/5, +-5/4, +-5/2 give 2e-6 for F(4, 7) where
** 0, +-1/2, +-1, +-2, +-4 give 1e-5.  bf16 tensors are widened on their way in: their rounding hides all this.
**
** Offered to plans, which measure (choice.h); eager calls take oneDNN's.  Measured on one core of Zen 4 (peak 118
** GFLOP/s in f32), nominal GFLOP/s: 1x7 and 7x1 240 against 117 direct; 3x3 185 to 295 against 110 to 240.
** Weight gradients are not here: sums over tiles would have to stay in memory between blocks.
*/
#include "base/mem.h"
#include "cpu/cpu.h"
#include "exec/compute.h"
#include <pthread.h>
#include <string.h>

typedef struct form {
  int kh, kw, points;
  k_wino_shape shape;
} form;
static form forms[] = {{.kh = 3, .kw = 3, .points = 6},
                       {.kh = 1, .kw = 7, .points = 10},
                       {.kh = 7, .kw = 1, .points = 10},
                       {.kh = 1, .kw = 3, .points = 6},
                       {.kh = 3, .kw = 1, .points = 6}};
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

static void fill_line(int a, k_wino_shape *s) {
  static const double few[] = {0, 0.75, -0.75, 1.5, -1.5},
                      many[] = {0, 0.4, -0.4, 0.8, -0.8, 1.25, -1.25, 2.5, -2.5};
  const double *point = a == WINO_LINE ? many : few;
  int taps = a - WINO_OUT + 1;
  for (int j = 0; j < a; j++) {
    bool infinity = j == a - 1;
    double coef[WINO_LINE], power = 1, scale = 1;
    product_of_roots(a - 1, point, infinity ? -1 : j, coef);
    if (!infinity) scale = value(coef, point[j]);
    for (int i = 0; i < a; i++) s->bt[j * a + i] = (float)coef[i];
    for (int i = 0; i < (taps > WINO_OUT ? taps : WINO_OUT); i++) {
      if (i < WINO_OUT) s->at[i * a + j] = infinity ? i == WINO_OUT - 1 : (float)power;
      if (i < taps) s->g[j * taps + i] = infinity ? i == taps - 1 : (float)(power / scale);
      if (!infinity) power *= point[j];
    }
  }
}

static void fill_forms(void) {
  for (int i = 0; i < FORMS; i++) {
    form *f = &forms[i];
    f->shape.ah = f->kh > 1 ? f->points : 1, f->shape.aw = f->kw > 1 ? f->points : 1;
    f->shape.mh = f->kh > 1 ? WINO_OUT : 1, f->shape.mw = f->kw > 1 ? WINO_OUT : 1;
    fill_line(f->points, &f->shape);
  }
}

static const k_wino_shape *shape_for(int64_t kh, int64_t kw) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, fill_forms);
  for (int i = 0; i < FORMS; i++)
    if (forms[i].kh == kh && forms[i].kw == kw) return &forms[i].shape;
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

/* from, to: the tensor read and the tensor written; turned: the gradient of the input. */
static bool describe(const inc_spec *from, const inc_spec *weight, const inc_spec *to, const inc_attr *attr,
                     bool turned, inc_kernel *k) {
  k_wino *w = &k->u.wino.w;
  int64_t pad[2];
  *w = (k_wino){.turned = turned, .dt = from->dtype, .threads = inc_compute_threads()};
  if (weight->ndim != 4 || weight->dtype != INC_F32 || !inc_spec_is_contiguous(weight) || !is_plain(attr))
    return false;
  int64_t kh = weight->shape[2], kw = weight->shape[3];
  w->shape = shape_for(kh, kw);
  if (!w->shape || from->dtype != to->dtype || !pixels(from, &w->ldx) || !pixels(to, &w->ldy)) return false;
  cpu_pair(&attr[1], pad);
  w->pad_h = turned ? kh - 1 - pad[0] : pad[0], w->pad_w = turned ? kw - 1 - pad[1] : pad[1];
  w->n = from->shape[0], w->c = from->shape[1], w->h = from->shape[2], w->w = from->shape[3];
  w->k = to->shape[1], w->oh = to->shape[2], w->ow = to->shape[3];
  w->tiles_h = (w->oh + w->shape->mh - 1) / w->shape->mh,
  w->tiles_w = (w->ow + w->shape->mw - 1) / w->shape->mw;
  k->u.wino.step_k = weight->strides[turned], k->u.wino.step_c = weight->strides[!turned];
  return w->c >= 16 && w->k >= 16 && w->pad_h >= 0 && w->pad_w >= 0;
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
  w->scratch_step = (int64_t)(w->shape->ah * w->shape->aw) * WINO_TILES * (w->c + 2 * lanes);
  k->u.wino.zeros = dnn_align(weight_bytes(w, lanes));
  k->u.wino.u = k->u.wino.zeros + dnn_align((size_t)w->c * sizeof(float));
  k->workspace = k->u.wino.u + (size_t)(w->scratch_step * w->threads) * sizeof(float);
  k->way = "winograd-tiles";
  k->flags = INC_K_WIDE | INC_K_ROUNDS | INC_K_PACKS;
  return true;
}

static bool make_forward(const inc_node *n, inc_kernel *k) {
  bool bias = inc_has(n, 2);
  if (bias && (n->in[2].dtype != INC_F32 || !inc_spec_is_contiguous(&n->in[2]))) return false;
  return take(describe(&n->in[0], &n->in[1], &n->out[0], n->attr, false, k), k);
}

static bool make_relu(const inc_node *n, inc_kernel *k) {
  if (!make_forward(n, k)) return false;
  k->u.wino.w.relu = true;
  return true;
}

static bool make_data(const inc_node *n, inc_kernel *k) {
  return take(describe(&n->in[0], &n->in[1], &n->out[0], n->attr + 2, true, k), k);
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

const cpu_row cpu_winograd_rows[] = {
    {"conv2d", make_forward, build, run_forward, drop},
    {"conv2d_relu", make_relu, build, run_forward, drop},
    {"conv2d_backward_data", make_data, build, run_data, drop},
    {NULL, NULL, NULL, NULL, NULL},
};
