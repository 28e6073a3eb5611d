/* pool.c -- pooling ops on our own kernels (channels-last; row-major goes through the workspace).
** Adaptive pooling is offered where every output has a window of one size, which is when the picture divides
** evenly; the rest is the reference's. */
#include "cpu/cpu.h"
#include <string.h>

/* Geometry from the picture side (x or dx) and the pooled side (y or dy). */
static bool start(inc_kernel *k, const inc_spec *x, const inc_spec *y) {
  k_pool *p = &k->u.pool.pool;
  size_t at = 0;
  if (x->ndim != 4 || y->ndim != 4 || !cpu_float_dtype(x->dtype) || x->dtype != y->dtype) return false;
  if (!cpu_rows_init(&k->u.pool.x, x, &at) || !cpu_rows_init(&k->u.pool.y, y, &at)) return false;
  p->n = x->shape[0], p->c = x->shape[1], p->h = x->shape[2], p->w = x->shape[3];
  p->oh = y->shape[2], p->ow = y->shape[3];
  p->x = (k_rows){NULL, k->u.pool.x.ld, x->dtype};
  p->y = (k_rows){NULL, k->u.pool.y.ld, x->dtype};
  k->workspace = at;
  k->flags = INC_K_WIDE;
  return true;
}

enum { WIDEST = 200, MOST_COVERS = 256 }; /* what the kernels' lines and lists hold */

static bool small_windows(const k_pool *p) {
  return p->kw <= WIDEST && (p->kh / p->sh + 1) * (p->kw / p->sw + 1) <= MOST_COVERS;
}

static void windows(k_pool *p, const inc_attr *kernel, const inc_attr *stride, const inc_attr *padding) {
  int64_t v[2], s[2], z[2];
  cpu_pair(kernel, v);
  if (stride->n < 0)
    memcpy(s, v, sizeof s);
  else
    cpu_pair(stride, s);
  cpu_pair(padding, z);
  p->kh = (int)v[0], p->kw = (int)v[1], p->sh = (int)s[0], p->sw = (int)s[1], p->ph = (int)z[0],
  p->pw = (int)z[1];
}

/* The kernels keep the index densely in their own order; a row-major one is turned like the rest. */
static bool index_fits(inc_kernel *k, const inc_spec *index) {
  k_pool *p = &k->u.pool.pool;
  p->index_size = index->dtype == INC_U8 ? 1 : index->dtype == INC_I32 ? 4 : 0;
  if (!p->index_size || (p->index_size == 1 && p->kh * p->kw > 256)) return false;
  return cpu_rows_init(&k->u.pool.index, index, &k->workspace) && k->u.pool.index.ld == p->c;
}

static bool make_max(const inc_node *n, inc_kernel *k) {
  if (!start(k, &n->in[0], &n->out[0])) return false;
  windows(&k->u.pool.pool, &n->attr[0], &n->attr[1], &n->attr[2]);
  k->flags |= INC_K_SPARES;
  return small_windows(&k->u.pool.pool) && (n->n_out < 2 || index_fits(k, &n->out[1]));
}

static void bind_sides(const inc_kernel *k, k_pool *p, void *x, void *y, void *ws) {
  *p = k->u.pool.pool;
  p->x.p = x ? cpu_rows_at(&k->u.pool.x, x, ws) : NULL;
  p->y.p = y ? cpu_rows_at(&k->u.pool.y, y, ws) : NULL;
}

static int run_max(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  k_pool p;
  cpu_rows_in(&k->u.pool.x, in[0], ws);
  bind_sides(k, &p, in[0], out[0], ws);
  p.index = k->node.n_out > 1 && out[1] ? cpu_rows_at(&k->u.pool.index, out[1], ws) : NULL;
  k->k->max_pool(&p);
  cpu_rows_out(&k->u.pool.y, out[0], ws);
  if (p.index) cpu_rows_out(&k->u.pool.index, out[1], ws);
  return INC_OK;
}

/* dy, index, height, width, kernel_size, stride, padding */
static bool make_max_back(const inc_node *n, inc_kernel *k) {
  if (!start(k, &n->out[0], &n->in[0])) return false;
  windows(&k->u.pool.pool, &n->attr[2], &n->attr[3], &n->attr[4]);
  return small_windows(&k->u.pool.pool) && index_fits(k, &n->in[1]);
}

static int run_max_back(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  k_pool p;
  cpu_rows_in(&k->u.pool.y, in[0], ws);
  bind_sides(k, &p, out[0], in[0], ws);
  p.index = cpu_rows_in(&k->u.pool.index, in[1], ws);
  k->k->max_pool_back(&p);
  cpu_rows_out(&k->u.pool.x, out[0], ws);
  return INC_OK;
}

/* x, kernel_size, stride, padding, ceil_mode, count_include_pad */
static bool make_avg(const inc_node *n, inc_kernel *k) {
  if (!start(k, &n->in[0], &n->out[0])) return false;
  windows(&k->u.pool.pool, &n->attr[0], &n->attr[1], &n->attr[2]);
  k->u.pool.pool.include_pad = inc_int(n, 4) != 0;
  return small_windows(&k->u.pool.pool);
}

static int run_avg(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  k_pool p;
  cpu_rows_in(&k->u.pool.x, in[0], ws);
  bind_sides(k, &p, in[0], out[0], ws);
  k->k->avg_pool(&p);
  cpu_rows_out(&k->u.pool.y, out[0], ws);
  return INC_OK;
}

/* dy, height, width, kernel_size, stride, padding, count_include_pad */
static bool make_avg_back(const inc_node *n, inc_kernel *k) {
  if (!start(k, &n->out[0], &n->in[0])) return false;
  windows(&k->u.pool.pool, &n->attr[2], &n->attr[3], &n->attr[4]);
  k->u.pool.pool.include_pad = inc_int(n, 5) != 0;
  return small_windows(&k->u.pool.pool);
}

static int run_avg_back(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)same;
  k_pool p;
  cpu_rows_in(&k->u.pool.y, in[0], ws);
  bind_sides(k, &p, out[0], in[0], ws);
  k->k->avg_pool_back(&p);
  cpu_rows_out(&k->u.pool.x, out[0], ws);
  return INC_OK;
}

/* Global pooling needs no columns: all pixels of a picture are one run. */
static bool even_windows(k_pool *p) {
  if (p->oh == 1 && p->ow == 1) {
    p->h *= p->w;
    p->w = 1;
  }
  if (p->h % p->oh || p->w % p->ow) return false;
  p->kh = p->sh = (int)(p->h / p->oh), p->kw = p->sw = (int)(p->w / p->ow);
  return p->kw <= WIDEST;
}

static bool make_adaptive(const inc_node *n, inc_kernel *k) {
  return start(k, &n->in[0], &n->out[0]) && even_windows(&k->u.pool.pool);
}
static bool make_adaptive_back(const inc_node *n, inc_kernel *k) {
  return start(k, &n->out[0], &n->in[0]) && even_windows(&k->u.pool.pool);
}

const cpu_row cpu_pool_rows[] = {
    {"max_pool2d", make_max, NULL, run_max, NULL},
    {"max_pool2d_backward", make_max_back, NULL, run_max_back, NULL},
    {"avg_pool2d", make_avg, NULL, run_avg, NULL},
    {"avg_pool2d_backward", make_avg_back, NULL, run_avg_back, NULL},
    {"adaptive_avg_pool2d", make_adaptive, NULL, run_avg, NULL},
    {"adaptive_avg_pool2d_backward", make_adaptive_back, NULL, run_avg_back, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
