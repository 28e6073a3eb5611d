/* random.c -- dropout.
** The mask is Philox at the element's row-major place (core/ops/dropout.c): row-major tensors are cut into
** pieces anywhere, other layouts are left to the reference. */
#include "base/rng.h"
#include "cpu/cpu.h"

enum { PIECE = 1024 };

static bool make_dropout(const inc_node *n, inc_kernel *k) {
  k->flags = CPU_IF_WIDE(inc_spec_numel(&n->in[0])) | INC_K_INPLACE;
  return cpu_float_dtype(n->in[0].dtype) && inc_spec_is_contiguous(&n->in[0]) &&
         inc_spec_is_contiguous(&n->out[0]) && inc_spec_is_contiguous(&n->in[1]);
}

static void dropout_piece(const inc_kernel *k, const int64_t *rng, int64_t from, int64_t n, const char *x,
                          char *y) {
  uint32_t word[PIECE];
  float v[PIECE], p = (float)inc_float(&k->node, 0),
                  scale = p < 1 ? (float)(1 / (1 - inc_float(&k->node, 0))) : 0;
  int dt = k->node.in[0].dtype;
  inc_rng_fill((uint64_t)rng[0], INC_RNG_DROPOUT, (uint32_t)inc_int(&k->node, 1), (uint32_t)rng[1],
               (uint64_t)from, word, (size_t)n);
  k->k->cast(dt, INC_F32, n, v, x);
  for (int64_t i = 0; i < n; i++) v[i] = inc_rng_unit(word[i]) >= p ? v[i] * scale : 0;
  k->k->cast(INC_F32, dt, n, y, v);
}

static int run_dropout(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  int64_t total = inc_spec_numel(&k->node.in[0]);
  size_t size = inc_dtype_size(k->node.in[0].dtype);
#pragma omp parallel for schedule(static) if (total >= CPU_WIDE)
  for (int64_t i = 0; i < total; i += PIECE)
    dropout_piece(k, in[1], i, total - i < PIECE ? total - i : PIECE, (const char *)in[0] + (size_t)i * size,
                  (char *)out[0] + (size_t)i * size);
  return INC_OK;
}

const cpu_row cpu_random_rows[] = {
    {"dropout", make_dropout, NULL, run_dropout, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
