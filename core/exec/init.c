/* init.c -- start values by inversion of the distribution function (init.h).
**
** One random word an element, so blocks are independent and a truncated normal needs no redrawing: the word
** is mapped into the part of (0, 1) between the two cuts first.  The inverse is Giles' polynomial for the
** inverse error function in single precision ("Approximating the erfinv function", GPU Computing Gems 2011,
** table 5), relative error below 1e-6.
*/
#include "exec/init.h"
#include "base/err.h"
#include "base/rng.h"
#include "exec/compute.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 2048 };

typedef struct job {
  inc_tensor *t;
  uint64_t seed, stream;
  double scale;     /* std or bound */
  float low, width; /* normal: the part of (0, 1) that is used */
  bool uniform;
} job;

static const float near[] = {2.81022636e-08f,  3.43273939e-07f, -3.5233877e-06f,
                             -4.39150654e-06f, 0.00021858087f,  -0.00125372503f,
                             -0.00417768164f,  0.246640727f,    1.50140941f};
static const float far[] = {-0.000200214257f, 0.000100950558f, 0.00134934322f,
                            -0.00367342844f,  0.00573950773f,  -0.0076224613f,
                            0.00943887047f,   1.00167406f,     2.83297682f};

static inline float polynomial(const float *c, float w) {
  float p = c[0];
  for (int i = 1; i < 9; i++) p = c[i] + p * w;
  return p;
}

static inline float inside(uint32_t word) { /* (0, 1), never an end */
  return ((float)(int32_t)(word >> 8) + 0.5f) * 0x1p-24f;
}

/* The inverse error function in passes that the compiler can turn into vectors; all but a few numbers are near
** zero, the others are put right at the end. */
static void normals(const job *j, const uint32_t *words, float *out, int64_t n) {
  float x[BLOCK], w[BLOCK];
  for (int64_t i = 0; i < n; i++) x[i] = 2 * (j->low + inside(words[i]) * j->width) - 1;
  for (int64_t i = 0; i < n; i++) w[i] = -logf((1 - x[i]) * (1 + x[i]));
  for (int64_t i = 0; i < n; i++) out[i] = 1.41421356f * (polynomial(near, w[i] - 2.5f) * x[i]);
  for (int64_t i = 0; i < n; i++)
    if (!(w[i] < 5)) out[i] = 1.41421356f * (polynomial(far, sqrtf(w[i]) - 3) * x[i]);
}

static void uniforms(const uint32_t *words, float *out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = 2 * inside(words[i]) - 1;
}

static void fill_block(const job *j, int64_t from, int64_t n) {
  uint32_t words[BLOCK];
  float unit[BLOCK];
  inc_rng_fill(j->seed, INC_RNG_INIT, (uint32_t)j->stream, (uint32_t)(j->stream >> 32), (uint64_t)from, words,
               (size_t)n);
  if (j->uniform)
    uniforms(words, unit, n);
  else
    normals(j, words, unit, n);
  void *data = inc_tensor_data(j->t);
  int dtype = j->t->spec.dtype;
  float *f = (float *)data + from;
  if (dtype == INC_F32)
    for (int64_t i = 0; i < n; i++) f[i] = (float)((double)unit[i] * j->scale);
  else
    for (int64_t i = 0; i < n; i++) inc_store(data, dtype, from + i, (double)unit[i] * j->scale);
}

static int fill(void *arg) {
  const job *j = arg;
  int64_t n = inc_spec_numel(&j->t->spec);
#pragma omp parallel for schedule(static) if (n > BLOCK)
  for (int64_t at = 0; at < n; at += BLOCK) fill_block(j, at, n - at < BLOCK ? n - at : BLOCK);
  return INC_OK;
}

static int start(job *j, const char *name) {
  if (!j->t->buf) return inc_fail(INC_ESTATE, name, "no value while tracing");
  if (!inc_dtype_is_float(j->t->spec.dtype) || !inc_spec_is_contiguous(&j->t->spec))
    return inc_fail(INC_EARG, name, "expected a contiguous float tensor");
  j->stream = inc_hash64(name, strlen(name), 0);
  INC_TRY(inc_spec_numel(&j->t->spec) > BLOCK ? inc_compute(fill, j) : fill(j));
  inc_tensor_touched(j->t);
  return INC_OK;
}

int inc_init_normal(inc_tensor *t, uint64_t seed, const char *name, double std, bool truncated) {
  const float cut = 0.0227501319f; /* the share of a normal below -2 */
  job j = {
      .t = t, .seed = seed, .scale = std, .low = truncated ? cut : 0, .width = truncated ? 1 - 2 * cut : 1};
  return start(&j, name);
}

int inc_init_uniform(inc_tensor *t, uint64_t seed, const char *name, double bound) {
  job j = {.t = t, .seed = seed, .scale = bound, .uniform = true};
  return start(&j, name);
}
