/* move.c -- ops that move elements: contiguous, cast, copy_, fill_, full, cat, slice_backward, normalize.
**
** Two shapes of work cover nearly all: runs that are consecutive on both sides (any dtypes), and a pair of
** dims that trade places (row-major <-> channels-last), done as tiled transposes. */
#include "cpu/cpu.h"
#include <string.h>

typedef struct mover { /* a copy of one tensor into another of the same shape */
  cpu_loop loop;
  int from, to;
  int turned; /* the dim that is consecutive in the source, when it is not the inner one; else -1 */
  const inc_kernels *k;
} mover;

static bool mover_init(mover *m, const inc_spec *to, const inc_spec *from) {
  const inc_spec *specs[] = {to, from};
  m->from = from->dtype, m->to = to->dtype, m->turned = -1;
  m->k = inc_kernels_get();
  if (!cpu_loop_init(&m->loop, 2, specs)) return false;
  int in = m->loop.nd - 1;
  if (m->loop.stride[0][in] != 1) return false;
  if (m->loop.stride[1][in] == 0 || m->loop.stride[1][in] == 1) return true;
  for (int d = 0; d < in; d++)
    if (m->loop.stride[1][d] == 1) m->turned = d;
  return m->turned >= 0 && m->from == m->to;
}

static void spread(const mover *m, int64_t n, char *y, const char *x) { /* one value n times */
  size_t size = inc_dtype_size(m->to);
  m->k->cast(m->from, m->to, 1, y, x);
  for (int64_t i = 1; i < n; i++) memcpy(y + (size_t)i * size, y, size);
}

static void move_piece(const void *ctx, int64_t n, char *const *at) {
  const mover *m = ctx;
  if (m->loop.stride[1][m->loop.nd - 1] == 0)
    spread(m, n, at[0], at[1]);
  else
    m->k->cast(m->from, m->to, n, at[0], at[1]);
}

/* Tiles of `turned` x inner for every index of the other dims. */
static void move_turned(const mover *m, char *y, const char *x) {
  const cpu_loop *l = &m->loop;
  int in = l->nd - 1, t = m->turned;
  int64_t outer = cpu_loop_total(l) / (l->size[in] * l->size[t]), strips = (l->size[t] + 63) / 64;
  size_t size = l->bytes[0];
#pragma omp parallel for schedule(static) if (cpu_loop_total(l) >= CPU_WIDE)
  for (int64_t i = 0; i < outer * strips; i++) {
    int64_t rest = i / strips, c = i % strips * 64, cols = l->size[t] - c < 64 ? l->size[t] - c : 64;
    int64_t yo = c * l->stride[0][t], xo = c;
    for (int d = in - 1; d >= 0; d--) {
      if (d == t) continue;
      yo += rest % l->size[d] * l->stride[0][d], xo += rest % l->size[d] * l->stride[1][d];
      rest /= l->size[d];
    }
    m->k->transpose(l->size[in], cols, (int)size, y + (size_t)yo * size, l->stride[0][t],
                    x + (size_t)xo * size, l->stride[1][in]);
  }
}

static void mover_run(const mover *m, void *y, void *x) {
  char *at[] = {y, x};
  if (m->turned >= 0)
    move_turned(m, y, x);
  else
    cpu_loop_run(&m->loop, at, move_piece, m);
}

static bool make_copy(const inc_node *n, inc_kernel *k) {
  mover m;
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0]));
  return mover_init(&m, &n->out[0], &n->in[0]);
}

static int run_copy(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  mover m;
  mover_init(&m, &k->node.out[0], &k->node.in[0]);
  mover_run(&m, out[0], in[0]);
  return INC_OK;
}

static bool make_copy_(const inc_node *n, inc_kernel *k) {
  mover m;
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0]));
  return mover_init(&m, &n->in[0], &n->in[1]);
}

static int run_copy_(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same, (void)out;
  mover m;
  mover_init(&m, &k->node.in[0], &k->node.in[1]);
  mover_run(&m, in[0], in[1]);
  return INC_OK;
}

/* -- constants ---------------------------------------------------------------------------------------- */
static bool fill(const inc_spec *s, void *p, double v) {
  uint64_t one = 0;
  inc_spec value = inc_spec_new(s->dtype, 0, NULL);
  mover m;
  if (!mover_init(&m, s, &value)) return false;
  if (!p) return true;
  inc_store(&one, s->dtype, 0, v);
  if (one == 0 && inc_spec_is_dense(s))
    memset(p, 0, inc_spec_bytes(s));
  else
    mover_run(&m, p, &one);
  return true;
}

static bool make_fill_(const inc_node *n, inc_kernel *k) {
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0]));
  return fill(&n->in[0], NULL, 0);
}
static int run_fill_(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same, (void)out;
  fill(&k->node.in[0], in[0], inc_float(&k->node, 0));
  return INC_OK;
}
static bool make_full(const inc_node *n, inc_kernel *k) {
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->out[0]));
  return fill(&n->out[0], NULL, 0);
}
static int run_full(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same, (void)in;
  fill(&k->node.out[0], out[0], inc_float(&k->node, 1));
  return INC_OK;
}

/* -- cat and its counterpart --------------------------------------------------------------------------- */
/* The part of `whole` with the shape of `part`. */
static inc_spec part_of(const inc_spec *whole, const inc_spec *part) {
  inc_spec s = *whole;
  memcpy(s.shape, part->shape, sizeof s.shape);
  return s;
}

static void *move_by(void *p, const inc_spec *s, int dim, int64_t i) {
  return (char *)p + (size_t)(i * s->strides[dim]) * inc_dtype_size(s->dtype);
}

static bool make_cat(const inc_node *n, inc_kernel *k) {
  mover m;
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->out[0]));
  for (int i = 0; i < n->n_in; i++) {
    inc_spec part = part_of(&n->out[0], &n->in[i]);
    if (inc_spec_numel(&part) && !mover_init(&m, &part, &n->in[i])) return false;
  }
  return true;
}

static int run_cat(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  const inc_node *n = &k->node;
  int dim = (int)inc_int(n, 0);
  if (dim < 0) dim += n->out[0].ndim;
  int64_t at = 0;
  for (int i = 0; i < n->n_in; i++) {
    inc_spec part = part_of(&n->out[0], &n->in[i]);
    mover m;
    if (inc_spec_numel(&part) && mover_init(&m, &part, &n->in[i]))
      mover_run(&m, move_by(out[0], &n->out[0], dim, at), in[i]);
    at += n->in[i].shape[dim];
  }
  return INC_OK;
}

/* slice_backward(dy, shape, dim, start): zeros with dy inside. */
static bool make_slice(const inc_node *n, inc_kernel *k) {
  mover m;
  inc_spec part = part_of(&n->out[0], &n->in[0]);
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->out[0]));
  return inc_spec_is_dense(&n->out[0]) && mover_init(&m, &part, &n->in[0]);
}

static int run_slice(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  const inc_node *n = &k->node;
  inc_spec part = part_of(&n->out[0], &n->in[0]);
  int dim = (int)inc_int(n, 1);
  if (dim < 0) dim += n->out[0].ndim;
  mover m;
  memset(out[0], 0, inc_spec_bytes(&n->out[0]));
  if (mover_init(&m, &part, &n->in[0])) mover_run(&m, move_by(out[0], &n->out[0], dim, inc_int(n, 2)), in[0]);
  return INC_OK;
}

/* -- pictures: u8 -> x * scale[c] + shift[c] ------------------------------------------------------------ */
static bool make_normalize(const inc_node *n, inc_kernel *k) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  if (x->ndim != 4 || x->dtype != INC_U8 || !cpu_float_dtype(y->dtype)) return false;
  if (!cpu_vector(n, 1) || !cpu_vector(n, 2) || !inc_has(n, 1) || !inc_has(n, 2)) return false;
  for (int i = 0; i < 2; i++) {
    const inc_spec *s = i ? y : x;
    if (!inc_spec_is_contiguous(s) && !inc_spec_is_channels_last(s)) return false;
  }
  k->flags = CPU_IF_WIDE(inc_spec_numel(x));
  return true;
}

/* One picture, or one plane of it when both sides are row-major. */
static void normalize_one(const inc_kernel *k, const uint8_t *x, char *y, const float *scale,
                          const float *shift) {
  const inc_spec *sx = &k->node.in[0], *sy = &k->node.out[0];
  int64_t hw = sx->shape[2] * sx->shape[3], c = sx->shape[1];
  bool rows_x = inc_spec_is_channels_last(sx), rows_y = inc_spec_is_channels_last(sy);
  size_t size = inc_dtype_size(sy->dtype);
  if (!rows_x && !rows_y) {
    for (int64_t j = 0; j < c; j++) {
      k_rows plane = {y + (size_t)(j * hw) * size, 1, sy->dtype};
      k->k->normalize(hw, 1, x + j * hw, 1, 1, &plane, 1, scale + j, shift + j);
    }
    return;
  }
  k_rows rows = {y, rows_y ? c : 1, sy->dtype};
  k->k->normalize(hw, c, x, rows_x ? c : 1, rows_x ? 1 : hw, &rows, rows_y ? 1 : hw, scale, shift);
}

static int run_normalize(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  const inc_spec *s = &k->node.in[0];
  int64_t picture = s->shape[1] * s->shape[2] * s->shape[3];
  size_t size = inc_dtype_size(k->node.out[0].dtype);
#pragma omp parallel for schedule(static) if (s->shape[0] * picture >= CPU_WIDE)
  for (int64_t i = 0; i < s->shape[0]; i++)
    normalize_one(k, (const uint8_t *)in[0] + i * picture, (char *)out[0] + (size_t)(i * picture) * size,
                  in[1], in[2]);
  return INC_OK;
}

const cpu_row cpu_move_rows[] = {
    {"contiguous", make_copy, NULL, run_copy, NULL},
    {"cast", make_copy, NULL, run_copy, NULL},
    {"copy_", make_copy_, NULL, run_copy_, NULL},
    {"fill_", make_fill_, NULL, run_fill_, NULL},
    {"full", make_full, NULL, run_full, NULL},
    {"cat", make_cat, NULL, run_cat, NULL},
    {"slice_backward", make_slice, NULL, run_slice, NULL},
    {"normalize", make_normalize, NULL, run_normalize, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
