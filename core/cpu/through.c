/* through.c -- bf16 and f16 by way of f32, where no kernel takes them as they are.
**
** oneDNN has bf16 only on CPUs with AVX-512 and f16 on few; a reference loop instead would be thousands of
** times slower than two casts.  Serves any op that writes nothing in place.
** Sums are then kept in f32 too, so results are no worse than those of a 16-bit kernel. */
#include "cpu/cpu.h"
#include <string.h>

static bool narrow(int dtype) { return dtype == INC_BF16 || dtype == INC_F16; }

/* Results are written along their inner dim: it must be consecutive. */
static bool shortens(const inc_spec *s) {
  inc_spec wide = *s;
  inc_dense_like(s, wide.strides);
  cpu_loop l;
  return cpu_loop_init(&l, 2, (const inc_spec *const[]){s, &wide}) && cpu_loop_flat(&l);
}

bool cpu_through_widen(const inc_node *n, inc_node *wide, inc_spec *specs) {
  bool any = false;
  if (n->n_in > 8 || n->n_out > 4 || n->op->flags & (INC_OP_MUTATES | INC_OP_VIEW)) return false;
  *wide = *n;
  wide->in = specs;
  wide->out = specs + 8;
  for (int i = 0; i < n->n_in + n->n_out; i++) {
    const inc_spec *from = i < n->n_in ? &n->in[i] : &n->out[i - n->n_in];
    inc_spec *to = i < n->n_in ? &wide->in[i] : &wide->out[i - n->n_in];
    *to = *from;
    if (!narrow(from->dtype)) continue;
    if (i >= n->n_in && !shortens(from)) return false;
    if (i >= n->n_in) inc_dense_like(from, to->strides);
    to->dtype = INC_F32;
    any = true;
  }
  return any && strcmp(n->op->name, "cast") != 0;
}

static size_t place(const inc_spec *s, size_t *at) {
  size_t here = *at;
  if (narrow(s->dtype)) *at += dnn_align((size_t)inc_spec_span(s) * sizeof(float));
  return here;
}

size_t cpu_through_place(const inc_node *n, cpu_through *t, size_t inner) {
  size_t at = 0;
  for (int i = 0; i < n->n_in; i++) t->in[i] = place(&n->in[i], &at);
  for (int i = 0; i < n->n_out; i++) t->out[i] = place(&n->out[i], &at);
  t->scratch = at;
  return at + inner;
}

static void widen_piece(const void *ctx, int64_t m, char *const *at) {
  inc_kernels_get()->cast(((const inc_spec *)ctx)->dtype, INC_F32, m, at[0], at[1]);
}

/* The whole span, holes and all. */
static void widen(const inc_spec *s, void *from, void *to) {
  int64_t n = inc_spec_span(s);
  inc_spec flat = inc_spec_new(s->dtype, 1, &n), wide = inc_spec_new(INC_F32, 1, &n);
  cpu_loop l;
  cpu_loop_init(&l, 2, (const inc_spec *const[]){&wide, &flat});
  cpu_loop_run(&l, (char *const[]){to, from}, widen_piece, s);
}

static void shorten_piece(const void *ctx, int64_t m, char *const *at) {
  inc_kernels_get()->cast(INC_F32, ((const inc_spec *)ctx)->dtype, m, at[0], at[1]);
}

/* A result goes where it belongs, which may be a slice. */
static void shorten(const inc_spec *s, void *from, void *to) {
  inc_spec wide = *s;
  wide.dtype = INC_F32;
  inc_dense_like(s, wide.strides);
  cpu_loop l;
  cpu_loop_init(&l, 2, (const inc_spec *const[]){s, &wide});
  cpu_loop_run(&l, (char *const[]){to, from}, shorten_piece, s);
}

int cpu_through_run(inc_kernel *k, void *const *in, void *const *out, void *workspace) {
  const inc_node *n = &k->node;
  const cpu_through *t = k->through;
  char *ws = workspace;
  void *wide_in[8] = {NULL}, *wide_out[4] = {NULL};
  for (int i = 0; i < n->n_in; i++) {
    bool copy = in[i] && narrow(n->in[i].dtype);
    wide_in[i] = copy ? ws + t->in[i] : in[i];
    if (copy) widen(&n->in[i], in[i], wide_in[i]);
  }
  for (int i = 0; i < n->n_out; i++) wide_out[i] = narrow(n->out[i].dtype) ? ws + t->out[i] : out[i];
  inc_kernel *inner = t->inner;
  INC_TRY(inner->row->run(inner, wide_in, wide_out, ws + t->scratch, 0));
  for (int i = 0; i < n->n_out; i++)
    if (narrow(n->out[i].dtype)) shorten(&n->out[i], wide_out[i], out[i]);
  return INC_OK;
}
