/* peak.c -- what this machine can do at most, measured when first asked: the scale of plan:explain().
**
** Arithmetic from a loop that stays in registers, on all threads; where AMX does bf16, from a large matrix
** product, since the tile instructions have no loop of ours.  Reading from a sum over more memory than the
** caches hold.  The best of a few tries of some milliseconds each. */
#include "base/mem.h"
#include "cpu/cpu.h"
#include "exec/compute.h"
#include <time.h>

enum { TRIES = 5, READ_BYTES = 96 << 20 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double burn_rate(int dtype) {
  const inc_kernels *k = inc_kernels_get();
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    double done = 0, start = seconds();
#pragma omp parallel reduction(+ : done)
    done += k->burn(dtype, 40000);
    double rate = done / (seconds() - start);
    if (rate > best) best = rate;
  }
  return best;
}

static double product_rate(int dtype) {
  enum { N = 1024 };
  inc_spec s = inc_spec_new(dtype, 2, (int64_t[]){N, N});
  size_t bytes = inc_spec_bytes(&s);
  dnn_matmul m;
  double best = 0;
  if (dnn_matmul_init(&m, &s, &s, NULL, &s)) return inc_error_clear(), 0;
  char *p = inc_zalloc(3 * bytes), *scratch = inc_alloc(m.workspace + 64);
  if (p && scratch && !m.reference && !dnn_matmul_build(&m))
    for (int i = 0; i < TRIES; i++) {
      double start = seconds();
      if (dnn_matmul_run(&m, p, p + bytes, NULL, p + 2 * bytes, scratch)) break;
      double rate = 2.0 * N * N * N / (seconds() - start);
      if (rate > best) best = rate;
    }
  dnn_matmul_free(&m);
  inc_free(p), inc_free(scratch);
  inc_error_clear();
  return best;
}

static double read_rate(void) {
  const inc_kernels *k = inc_kernels_get();
  int64_t n = READ_BYTES / 4 / inc_compute_threads();
  float *p = inc_zalloc(READ_BYTES);
  double best = 0;
  for (int i = 0; p && i < TRIES; i++) {
    double sum = 0, start = seconds();
#pragma omp parallel for reduction(+ : sum)
    for (int t = 0; t < inc_compute_threads(); t++) sum += k->sum(INC_F32, n, p + t * n);
    double rate = READ_BYTES / (seconds() - start);
    if (sum == 0 && rate > best) best = rate;
  }
  inc_free(p);
  inc_error_clear();
  return best;
}

typedef struct request {
  int dtype;
  double rate;
} request;

static int measure(void *arg) {
  request *r = arg;
  if (r->dtype == INC_NONE)
    r->rate = read_rate();
  else if (r->dtype == INC_BF16 && inc_cpu_has_amx_bf16())
    r->rate = product_rate(INC_BF16);
  else
    r->rate = burn_rate(r->dtype);
  if (r->rate == 0 && r->dtype == INC_BF16) r->rate = burn_rate(INC_F32); /* bf16 goes through f32 */
  return INC_OK;
}

double cpu_peak(int dtype) {
  static struct {
    double rate;
    int threads;
  } known[3];
  int slot = dtype == INC_NONE ? 0 : dtype == INC_BF16 ? 2 : 1;
  if (known[slot].threads == inc_compute_threads()) return known[slot].rate;
  request r = {.dtype = slot == 1 ? INC_F32 : dtype};
  inc_compute(measure, &r);
  known[slot].rate = r.rate;
  known[slot].threads = inc_compute_threads();
  return r.rate;
}
