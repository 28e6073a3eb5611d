/* rows.c -- tensors as rows of channels (cpu.h). Our picture kernels read channels-last only.  A row-major
** picture tensor, which the prompt makes unless told otherwise, is transposed into the workspace and back:
** slower than channels-last, a hundred times faster than a reference loop, and no second set of kernels to
** keep right. */
#include "cpu/cpu.h"

static int64_t pixels(const inc_spec *s) {
  int64_t n = 1;
  for (int d = 2; d < s->ndim; d++) n *= s->shape[d];
  return n;
}

/* Elements from pixel to pixel, if it is the same step everywhere, pictures included; 0 if not. */
static int64_t pixel_step(const inc_spec *s) {
  int64_t step = 0, span = 0;
  for (int d = s->ndim - 1; d >= 0; d--) {
    if (d == 1 || s->shape[d] == 1) continue;
    if (s->strides[d] == 0) return 0; /* broadcast: not rows at all */
    if (!step) step = span = s->strides[d];
    if (s->strides[d] != span) return 0;
    span *= s->shape[d];
  }
  return step ? step : s->shape[1];
}

bool cpu_rows_init(cpu_rows *r, const inc_spec *s, size_t *at) {
  if (s->ndim < 2 || s->ndim > 4) return false;
  *r = (cpu_rows){.n = s->shape[0], .hw = pixels(s), .c = s->shape[1], .dtype = s->dtype};
  int64_t step = pixel_step(s);
  if (step >= r->c && (r->c == 1 || s->strides[1] == 1)) {
    r->ld = step;
    return true;
  }
  if (s->ndim < 3) return false;
  for (int d = 2; d + 1 < s->ndim; d++)
    if (s->shape[d] > 1 && s->strides[d] != s->strides[d + 1] * s->shape[d + 1]) return false;
  if (s->strides[s->ndim - 1] != 1 && s->shape[s->ndim - 1] > 1) return false;
  r->copied = true;
  r->ld = r->c;
  r->plane = s->strides[1];
  r->picture = s->strides[0];
  r->offset = *at;
  *at += dnn_align((size_t)(r->n * r->hw * r->c) * inc_dtype_size(s->dtype));
  return true;
}

static void turn(const cpu_rows *r, char *plain, char *rows, bool in) {
  const inc_kernels *k = inc_kernels_get();
  size_t size = inc_dtype_size(r->dtype);
#pragma omp parallel for schedule(static) if (r->n * r->hw * r->c >= CPU_WIDE)
  for (int64_t i = 0; i < r->n; i++) {
    char *a = plain + (size_t)(i * r->picture) * size, *b = rows + (size_t)(i * r->hw * r->c) * size;
    if (in)
      k->transpose(r->c, r->hw, (int)size, b, r->c, a, r->plane);
    else
      k->transpose(r->hw, r->c, (int)size, a, r->plane, b, r->c);
  }
}

void *cpu_rows_at(const cpu_rows *r, void *p, void *workspace) {
  return r->copied && p ? (char *)workspace + r->offset : p;
}

void *cpu_rows_in(const cpu_rows *r, void *p, void *workspace) {
  void *rows = cpu_rows_at(r, p, workspace);
  if (r->copied && p) turn(r, p, rows, true);
  return rows;
}

void cpu_rows_out(const cpu_rows *r, void *p, void *workspace) {
  if (r->copied && p) turn(r, p, cpu_rows_at(r, p, workspace), false);
}
