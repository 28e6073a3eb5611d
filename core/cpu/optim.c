/* optim.c -- sgd_, rmsprop_, adam_, lerp_ and bn_running_ on flat f32 arrays.
** A parameter, its gradient and its slots have one layout, so a step is one walk over equal arrays, cut into
** pieces for the cores. */
#include "cpu/cpu.h"
#include <math.h>

enum { PIECE = 1 << 14 };

/* Tensors 0..last (those present) are f32, dense, of one layout; the rest single f32 numbers. */
static bool flat(const inc_node *n, inc_kernel *k, int last) {
  for (int i = 0; i < n->n_in; i++) {
    if (!inc_has(n, i)) continue;
    if (n->in[i].dtype != INC_F32) return false;
    if (i <= last && (!inc_spec_is_dense(&n->in[i]) || !inc_spec_same_shape(&n->in[i], &n->in[0]) ||
                      !inc_spec_same_strides(&n->in[i], &n->in[0])))
      return false;
  }
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0]));
  return true;
}

static float number(const inc_node *n, void *const *in, int k, float absent) {
  return inc_has(n, k) ? *(const float *)in[k] : absent;
}

static float *at(void *p, int64_t i) { return p ? (float *)p + i : NULL; }

/* For each piece: its first element `i` and length `m`. */
#define EACH_PIECE(k, body)                                                                                  \
  do {                                                                                                       \
    int64_t total_ = inc_spec_numel(&(k)->node.in[0]);                                                       \
    _Pragma("omp parallel for schedule(static) if (total_ >= CPU_WIDE)") for (int64_t i = 0; i < total_;     \
                                                                              i += PIECE) {                  \
      int64_t m = total_ - i < PIECE ? total_ - i : PIECE;                                                   \
      body;                                                                                                  \
    }                                                                                                        \
  } while (0)

/* p, g, m?, lr, gscale?; momentum, weight_decay, nesterov */
static bool make_sgd(const inc_node *n, inc_kernel *k) { return flat(n, k, 2); }

static int run_sgd(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)out, (void)ws, (void)same;
  const inc_node *n = &k->node;
  k_sgd o = {.lr = number(n, in, 3, 0),
             .gscale = number(n, in, 4, 1),
             .momentum = (float)inc_float(n, 0),
             .weight_decay = (float)inc_float(n, 1),
             .nesterov = inc_int(n, 2) != 0};
  void *slot = inc_has(n, 2) ? in[2] : NULL;
  EACH_PIECE(k, k->k->sgd(&o, m, at(in[0], i), at(in[1], i), at(slot, i)));
  return INC_OK;
}

/* p, g, v, m?, lr, gscale?; alpha, eps, weight_decay, momentum, eps_inside */
static bool make_rmsprop(const inc_node *n, inc_kernel *k) { return flat(n, k, 3); }

static int run_rmsprop(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)out, (void)ws, (void)same;
  const inc_node *n = &k->node;
  k_rmsprop o = {.lr = number(n, in, 4, 0),
                 .gscale = number(n, in, 5, 1),
                 .alpha = (float)inc_float(n, 0),
                 .eps = (float)inc_float(n, 1),
                 .weight_decay = (float)inc_float(n, 2),
                 .momentum = (float)inc_float(n, 3),
                 .eps_inside = inc_int(n, 4) != 0};
  void *slot = inc_has(n, 3) ? in[3] : NULL;
  EACH_PIECE(k, k->k->rmsprop(&o, m, at(in[0], i), at(in[1], i), at(in[2], i), at(slot, i)));
  return INC_OK;
}

/* p, g, m, v, lr, step, gscale?; beta1, beta2, eps, weight_decay, decoupled */
static bool make_adam(const inc_node *n, inc_kernel *k) { return flat(n, k, 3); }

static int run_adam(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)out, (void)ws, (void)same;
  const inc_node *n = &k->node;
  double t = (double)number(n, in, 5, 1);
  k_adam o = {.lr = number(n, in, 4, 0),
              .gscale = number(n, in, 6, 1),
              .beta1 = (float)inc_float(n, 0),
              .beta2 = (float)inc_float(n, 1),
              .eps = (float)inc_float(n, 2),
              .weight_decay = (float)inc_float(n, 3),
              .correct1 = 1 - pow(inc_float(n, 0), t),
              .correct2 = 1 - pow(inc_float(n, 1), t),
              .decoupled = inc_int(n, 4) != 0};
  EACH_PIECE(k, k->k->adam(&o, m, at(in[0], i), at(in[1], i), at(in[2], i), at(in[3], i)));
  return INC_OK;
}

static bool make_lerp(const inc_node *n, inc_kernel *k) { return flat(n, k, 1); }

static int run_lerp(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)out, (void)ws, (void)same;
  float weight = *(const float *)in[2];
  EACH_PIECE(k, k->k->lerp(m, at(in[0], i), at(in[1], i), weight));
  return INC_OK;
}

/* running_mean, running_var, mean, var; momentum, count */
static bool make_running(const inc_node *n, inc_kernel *k) { return flat(n, k, 3); }

static int run_running(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)out, (void)ws, (void)same;
  const inc_node *n = &k->node;
  double count = (double)inc_int(n, 1), unbias = count > 1 ? count / (count - 1) : 1,
         momentum = inc_float(n, 0);
  float *mean = in[0], *var = in[1];
  const float *m = in[2], *v = in[3];
  for (int64_t c = 0; c < n->in[0].shape[0]; c++) {
    mean[c] = (float)((double)mean[c] + momentum * ((double)m[c] - (double)mean[c]));
    var[c] = (float)((double)var[c] + momentum * ((double)v[c] * unbias - (double)var[c]));
  }
  return INC_OK;
}

const cpu_row cpu_optim_rows[] = {
    {"sgd_", make_sgd, NULL, run_sgd, NULL},
    {"rmsprop_", make_rmsprop, NULL, run_rmsprop, NULL},
    {"adam_", make_adam, NULL, run_adam, NULL},
    {"lerp_", make_lerp, NULL, run_lerp, NULL},
    {"bn_running_", make_running, NULL, run_running, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
