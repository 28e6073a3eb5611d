/* toy_run.h -- a run whose step is arithmetic, for test_run.c and test_stage.c.
**
** The "net" is four floats and a slot for each; a step mixes in the batch, the learning rate and the random
** counter, so anything that a resume gets wrong changes the bits. */
#ifndef INC_TOY_RUN_H
#define INC_TOY_RUN_H

#include "base/file.h"
#include "base/mem.h"
#include "check.h"
#include "run/folder.h"
#include "run/run.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EPOCH = 7, N = 4 };

typedef struct toy {
  inc_tensor *w, *m, *lr, *rng;
  float next_w[N], next_m[N], loss;
  int64_t at;     /* number of the next batch */
  int64_t nan_at; /* the batch that makes the loss NaN, or -1 */
  int slow;       /* microseconds a step */
  int freed;
} toy;

static int toy_next(void *self, inc_batch *b) {
  toy *t = self;
  *b = (inc_batch){.epoch = t->at / EPOCH, .index = t->at % EPOCH, .n = 2};
  t->at++;
  return INC_OK;
}

static void toy_release(void *self, const inc_batch *b) { (void)self, (void)b; }

static int toy_compute(void *self, const inc_batch *b) {
  toy *t = self;
  float *w = inc_tensor_data(t->w), *m = inc_tensor_data(t->m), lr = *(float *)inc_tensor_data(t->lr);
  int64_t *rng = inc_tensor_data(t->rng);
  if (t->slow) nanosleep(&(struct timespec){0, t->slow * 1000L}, NULL);
  t->loss = 0;
  for (int i = 0; i < N; i++) {
    float g = w[i] - sinf((float)(b->epoch * 31 + b->index * 7 + i)) + 0.01f * cosf((float)(rng[1] % 100));
    t->next_m[i] = 0.9f * m[i] + g;
    t->next_w[i] = w[i] - lr * t->next_m[i];
    t->loss += g * g;
  }
  if (t->nan_at == b->epoch * EPOCH + b->index) t->loss = NAN;
  return INC_OK;
}

static double toy_peek(void *self, int output) {
  (void)output;
  return ((toy *)self)->loss;
}

static int toy_commit(void *self) {
  toy *t = self;
  memcpy(inc_tensor_data(t->w), t->next_w, sizeof t->next_w);
  memcpy(inc_tensor_data(t->m), t->next_m, sizeof t->next_m);
  return INC_OK;
}

static int toy_find_nan(void *self, char *name, size_t n) {
  (void)self;
  snprintf(name, n, "layer 3");
  return INC_OK;
}

static int toy_validate(void *self, inc_run_val *out) {
  toy *t = self;
  float *w = inc_tensor_data(t->w);
  *out = (inc_run_val){10, fabs(w[0]), 0.5 + 0.1 * sin(w[1] * 50), 1};
  return INC_OK;
}

static void toy_free(void *self) { ((toy *)self)->freed = 1; }

static inc_tensor *make(int dtype, int ndim, int64_t n) {
  inc_tensor *t = NULL;
  inc_spec s = inc_spec_new(dtype, ndim, &n);
  if (inc_tensor_new(&s, &t) == INC_OK) memset(inc_tensor_data(t), 0, inc_spec_bytes(&s));
  return t;
}

static toy toy_new(void) {
  return (toy){.w = make(INC_F32, 1, N),
               .m = make(INC_F32, 1, N),
               .lr = make(INC_F32, 0, 1),
               .rng = make(INC_I64, 1, 2),
               .nan_at = -1};
}

static void toy_drop(toy *t) {
  inc_tensor_unref(t->w), inc_tensor_unref(t->m), inc_tensor_unref(t->lr), inc_tensor_unref(t->rng);
}

/* -- running it ----------------------------------------------------------------------------------------- */

static const char *folder(const char *name) {
  static char path[4][192];
  static int k;
  char *p = path[k++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", check_folder(), name);
  mkdir(p, 0777);
  char sub[224];
  snprintf(sub, sizeof sub, "%s/checkpoints", p);
  mkdir(sub, 0777);
  return p;
}

typedef struct extra {
  int64_t save_every, val_every;
  int no_val;
} extra;

/* Start at the newest checkpoint of the folder, or at the beginning. */
static int start(toy *t, const char *dir, int64_t steps, extra x, inc_run **out) {
  inc_named state[] = {{"w", t->w}, {"optim/m", t->m}}, best[] = {{"w", t->w}};
  inc_pair meta[] = {{"kind", "checkpoint"}}, best_meta[] = {{"kind", "weights"}};
  const char *output = "loss";
  inc_run_opts o = {.parts = {t, toy_next, toy_release, toy_compute, toy_peek, toy_commit, toy_find_nan,
                              x.no_val ? NULL : toy_validate, NULL, toy_free},
                    .folder = dir,
                    .steps = steps,
                    .epoch_steps = EPOCH,
                    .batch = 2,
                    .save_every = x.save_every,
                    .val_every = x.val_every,
                    .n_outputs = 1,
                    .output = &output,
                    .n_numbers = 1,
                    .rng = t->rng,
                    .seed = 5,
                    .state = state,
                    .n_state = 2,
                    .export_ = best,
                    .n_export = 1,
                    .meta = meta,
                    .n_meta = 1,
                    .export_meta = best_meta,
                    .n_export_meta = 1,
                    .best = -1,
                    .best_step = -1};
  char path[INC_PATH];
  INC_TRY(inc_folder_lock(dir, &o.lock));
  INC_TRY(inc_folder_sweep(dir));
  int64_t *list;
  int n;
  INC_TRY(inc_folder_checkpoints(dir, &list, &n));
  if (n > 0) {
    inc_safetensors *st;
    inc_folder_checkpoint(path, dir, list[0]);
    INC_TRY(inc_safetensors_open(path, &st));
    for (int i = 0; i < 2; i++)
      INC_TRY(inc_safetensors_read_into(st, inc_safetensors_find(st, state[i].name), state[i].t));
    o.first = atoll(inc_safetensors_meta(st, "step"));
    o.best = atof(inc_safetensors_meta(st, "best"));
    o.best_loss = atof(inc_safetensors_meta(st, "best_loss"));
    o.best_step = atoll(inc_safetensors_meta(st, "best_step"));
    t->at = o.first;
    inc_safetensors_close(st);
  }
  inc_free(list);
  double *lr = malloc(sizeof *lr * (size_t)(steps + 1));
  for (int64_t i = o.first; i < steps; i++) lr[i - o.first] = 0.05 / (1 + 0.01 * (double)i);
  inc_run_number number = {.name = "lr", .t = t->lr, .value = lr};
  o.number = &number;
  int code = inc_run_start(&o, out);
  free(lr);
  return code;
}

/* A file of the folder, from malloc. */
static char *slurp(const char *dir, const char *name) {
  char path[INC_PATH], *s, *copy;
  size_t n;
  inc_path_join(path, dir, name);
  if (inc_file_slurp(path, 1 << 24, &s, &n) != INC_OK) return NULL;
  copy = strdup(s);
  inc_free(s);
  return copy;
}

#endif
