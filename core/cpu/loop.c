/* loop.c -- walking operands together (cpu.h).
**
** Dims are sorted by the stride of operand 0, widest first, and neighbours merge wherever every operand
** allows it.  Dense operands of one layout, whatever it is, become one flat run; a per-channel vector
** against channels-last pixels becomes rows with a standing inner operand. */
#include "cpu/cpu.h"
#include <omp.h>
#include <string.h>

static void swap_dims(cpu_loop *l, int a, int b) {
  int64_t t = l->size[a];
  l->size[a] = l->size[b], l->size[b] = t;
  for (int k = 0; k < l->n; k++) {
    t = l->stride[k][a];
    l->stride[k][a] = l->stride[k][b], l->stride[k][b] = t;
  }
}

static bool before(const cpu_loop *l, int a, int b) { /* should b come before a? */
  for (int k = 0; k < l->n; k++)
    if (l->stride[k][a] != l->stride[k][b]) return l->stride[k][a] < l->stride[k][b];
  return false;
}

static void sort_dims(cpu_loop *l) {
  for (int i = 1; i < l->nd; i++)
    for (int j = i; j > 0 && before(l, j - 1, j); j--) swap_dims(l, j - 1, j);
}

static bool mergeable(const cpu_loop *l, int d) { /* d with d + 1 */
  for (int k = 0; k < l->n; k++)
    if (l->stride[k][d] != l->stride[k][d + 1] * l->size[d + 1]) return false;
  return true;
}

static void remove_dim(cpu_loop *l, int d) {
  for (int i = d; i + 1 < l->nd; i++) {
    l->size[i] = l->size[i + 1];
    for (int k = 0; k < l->n; k++) l->stride[k][i] = l->stride[k][i + 1];
  }
  l->nd--;
}

static void merge_dims(cpu_loop *l) {
  for (int d = l->nd - 2; d >= 0; d--) {
    if (!mergeable(l, d)) continue;
    l->size[d + 1] *= l->size[d];
    remove_dim(l, d);
  }
}

bool cpu_loop_init(cpu_loop *l, int n, const inc_spec *const *specs) {
  memset(l, 0, sizeof *l);
  l->n = n;
  l->nd = specs[0]->ndim;
  for (int k = 0; k < n; k++) {
    inc_spec s;
    if (!inc_spec_expand(specs[k], specs[0]->ndim, specs[0]->shape, &s)) return false;
    l->bytes[k] = inc_dtype_size(s.dtype);
    for (int d = 0; d < l->nd; d++) l->stride[k][d] = s.strides[d], l->size[d] = s.shape[d];
  }
  for (int d = l->nd - 1; d >= 0; d--)
    if (l->size[d] == 1) remove_dim(l, d);
  sort_dims(l);
  merge_dims(l);
  if (l->nd == 0) {
    l->nd = 1;
    l->size[0] = 1;
    for (int k = 0; k < n; k++) l->stride[k][0] = 1;
  }
  return true;
}

bool cpu_loop_flat(const cpu_loop *l) {
  int in = l->nd - 1;
  if (l->stride[0][in] != 1) return false;
  for (int k = 1; k < l->n; k++)
    if (l->stride[k][in] != 0 && l->stride[k][in] != 1) return false;
  return true;
}

int64_t cpu_loop_total(const cpu_loop *l) {
  int64_t n = 1;
  for (int d = 0; d < l->nd; d++) n *= l->size[d];
  return n;
}

enum { PIECE = 1 << 14 }; /* elements of the inner dim handed over at once */

static void one_piece(const cpu_loop *l, char *const *base, int64_t row, int64_t from, int64_t m,
                      cpu_run_fn *fn, const void *ctx) {
  char *at[CPU_OPERANDS];
  int in = l->nd - 1;
  for (int k = 0; k < l->n; k++) at[k] = base[k] + (size_t)(from * l->stride[k][in]) * l->bytes[k];
  for (int d = in - 1; d >= 0; d--) {
    int64_t i = row % l->size[d];
    row /= l->size[d];
    for (int k = 0; k < l->n; k++) at[k] += (size_t)(i * l->stride[k][d]) * l->bytes[k];
  }
  fn(ctx, m, at);
}

/* Piece number i of all rows. */
static void numbered_piece(const cpu_loop *l, char *const *base, int64_t i, cpu_run_fn *fn, const void *ctx) {
  int64_t inner = l->size[l->nd - 1], pieces = (inner + PIECE - 1) / PIECE, from = i % pieces * PIECE;
  one_piece(l, base, i / pieces, from, inner - from < PIECE ? inner - from : PIECE, fn, ctx);
}

void cpu_loop_run(const cpu_loop *l, char *const *base, cpu_run_fn *fn, const void *ctx) {
  int64_t inner = l->size[l->nd - 1], total = cpu_loop_total(l);
  if (total == 0) return;
  int64_t n = total / inner * ((inner + PIECE - 1) / PIECE);
  if (total < CPU_WIDE) { /* even a region of one thread costs more than a small loop, above all in a tile */
    for (int64_t i = 0; i < n; i++) numbered_piece(l, base, i, fn, ctx);
    return;
  }
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i++) numbered_piece(l, base, i, fn, ctx);
}
