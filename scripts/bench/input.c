/* input.c -- pictures per second and core of the input pipeline, one thread: read, decode, resize, distort.
**
**     make build/bench/input && build/bench/input light|inception|eval FILE...
**
** CPU time, so that a busy machine disturbs little; every file once before the clock starts, so that the page
** cache is warm for all; three rounds, the fastest counts.  Crops take 5 to 100 % of the area, which is what
** other loaders are measured with.
*/
#include "base/err.h"
#include "data/data.h"
#include "data/decode.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SIZE = 299, ROUNDS = 3 };

static uint8_t out[SIZE * SIZE * 3];

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int round_of(inc_viewer *v, const inc_transform *t, char **file, int n, uint32_t epoch) {
  static inc_scratch s;
  size_t bytes;
  for (int i = 0; i < n; i++) {
    INC_TRY(inc_file_read(file[i], 0, -1, &s, &bytes));
    INC_TRY(inc_viewer_run(v, t, s.p, bytes, file[i], 1, epoch, (uint32_t)i, out));
  }
  return INC_OK;
}

static int measure(inc_viewer *v, const inc_transform *t, char **file, int n, double *best,
                   int64_t share[3]) {
  INC_TRY(round_of(v, t, file, n, 0));
  for (uint32_t r = 1; r <= ROUNDS; r++) {
    int64_t before[3], after[3];
    inc_viewer_times(v, before);
    double start = cpu_seconds();
    INC_TRY(round_of(v, t, file, n, r));
    double took = cpu_seconds() - start;
    inc_viewer_times(v, after);
    if (r > 1 && took > *best) continue;
    *best = took;
    for (int i = 0; i < 3; i++) share[i] = after[i] - before[i];
  }
  return INC_OK;
}

int main(int argc, char **argv) {
  inc_viewer *v;
  inc_transform t;
  char text[2048];
  double best = 0;
  int64_t share[3];
  int n = argc - 2, code = n > 0 ? INC_OK : inc_fail(INC_EARG, NULL, "expected a view and pictures");
  if (code == INC_OK) code = inc_transform_init(&t, argv[1], SIZE);
  if (code == INC_OK) code = inc_viewer_new(&v);
  if (code == INC_OK) {
    t.area[0] = 0.05;
    code = measure(v, &t, argv + 2, n, &best, share);
    inc_viewer_free(v);
  }
  if (code != INC_OK) {
    fprintf(stderr, "input: %s\n", inc_error_format(inc_error_last(), text, sizeof text));
    return 1;
  }
  printf("%s: %.0f pictures/s/core, %.3f ms each: decode %.3f, resize %.3f, colour %.3f\n", argv[1], n / best,
         best / n * 1e3, (double)share[0] / n * 1e-6, (double)share[1] / n * 1e-6,
         (double)share[2] / n * 1e-6);
  return 0;
}
