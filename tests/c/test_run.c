/* test_run.c -- the run thread, with a step that is arithmetic: every promise but the numbers of a real net.
**
** The "net" is four floats and a slot for each; a step mixes in the batch, the learning rate and the random
** counter, so anything that a resume gets wrong changes the bits. */
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

static char root[64];

static const char *folder(const char *name) {
  static char path[4][128];
  static int k;
  char *p = path[k++ % 4];
  if (!root[0]) {
    snprintf(root, sizeof root, "/tmp/inc-run-XXXXXX");
    if (!mkdtemp(root)) return NULL;
  }
  snprintf(p, 128, "%s/%s", root, name);
  mkdir(p, 0777);
  char sub[160];
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

static int run_all(toy *t, const char *dir, int64_t steps, extra x, inc_run_status *s) {
  inc_run *r;
  INC_TRY(start(t, dir, steps, x, &r));
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, s);
  inc_run_unref(r);
  return INC_OK;
}

static int exists(const char *dir, const char *name) {
  char path[INC_PATH];
  inc_path_join(path, dir, name);
  return access(path, F_OK) == 0;
}

/* Steps, losses and validation of the log, without what depends on the clock. */
static char *log_facts(const char *dir) {
  char path[INC_PATH], *s, *out;
  size_t n, used = 0;
  inc_path_join(path, dir, "log.jsonl");
  if (inc_file_slurp(path, 1 << 24, &s, &n) != INC_OK) return NULL;
  out = malloc(n + 1);
  for (char *line = strtok(s, "\n"); line; line = strtok(NULL, "\n")) {
    char *end = strstr(line, ",\"img_s\""), *val = strstr(line, ",\"val.");
    used += (size_t)sprintf(out + used, "%.*s%s\n", (int)(end - line), line, val ? val : "");
  }
  out[used] = 0;
  inc_free(s);
  return out;
}

static int same_weights(const toy *a, const toy *b) {
  return !memcmp(inc_tensor_data(a->w), inc_tensor_data(b->w), 4 * N) &&
         !memcmp(inc_tensor_data(a->m), inc_tensor_data(b->m), 4 * N);
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

TEST(a_run_logs_validates_and_keeps_checkpoints) {
  toy t = toy_new();
  inc_run_status s;
  const char *dir = folder("plain");
  CHECK_EQ(run_all(&t, dir, 40, (extra){.save_every = 5, .val_every = 10}, &s), INC_OK);
  CHECK_EQ(s.state, INC_RUN_FINISHED);
  CHECK_EQ(s.step, 40);
  CHECK_EQ(s.epoch, 6);
  CHECK(s.best >= 0 && s.best_step % 10 == 0);
  CHECK(exists(dir, "best.safetensors"));
  CHECK(exists(dir, "checkpoints/step-40.safetensors") && exists(dir, "checkpoints/step-30.safetensors"));
  CHECK(!exists(dir, "checkpoints/step-5.safetensors"));
  char *log = log_facts(dir);
  int lines = 0;
  for (char *p = log; *p; p++) lines += *p == '\n';
  CHECK_EQ(lines, 40);
  free(log);
  CHECK(t.freed);
  toy_drop(&t);
}

TEST(n_plus_n_is_two_n) {
  toy a = toy_new(), b = toy_new();
  inc_run_status s;
  const char *one = folder("one"), *two = folder("two");
  extra x = {.save_every = 4, .val_every = 6};
  CHECK_EQ(run_all(&a, one, 30, x, &s), INC_OK);
  CHECK_EQ(run_all(&b, two, 17, x, &s), INC_OK);
  toy_drop(&b), b = toy_new();
  CHECK_EQ(run_all(&b, two, 30, x, &s), INC_OK);
  CHECK(same_weights(&a, &b));
  toy_drop(&a), toy_drop(&b);
}

TEST(stop_saves_and_resume_goes_on) {
  toy a = toy_new(), b = toy_new();
  inc_run_status s;
  inc_run *r;
  extra x = {.save_every = 50, .val_every = 6};
  CHECK_EQ(run_all(&a, folder("whole"), 60, x, &s), INC_OK);
  const char *dir = folder("stopped");
  b.slow = 300;
  CHECK_EQ(start(&b, dir, 60, x, &r), INC_OK);
  do inc_run_status_get(r, &s);
  while (s.step < 9);
  inc_run_stop(r);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  CHECK_EQ(s.state, INC_RUN_STOPPED);
  CHECK_EQ(s.saved_step, s.step);
  inc_run_unref(r);
  toy_drop(&b), b = toy_new();
  CHECK_EQ(run_all(&b, dir, 60, x, &s), INC_OK);
  CHECK_EQ(s.state, INC_RUN_FINISHED);
  CHECK(same_weights(&a, &b));
  char *la = log_facts(folder("whole")), *lb = log_facts(dir);
  CHECK_STR(la, lb);
  free(la), free(lb);
  toy_drop(&a), toy_drop(&b);
}

TEST(kill_at_any_instant) {
  toy a = toy_new(), b = toy_new();
  inc_run_status s;
  extra x = {.save_every = 2, .val_every = 3};
  CHECK_EQ(run_all(&a, folder("whole2"), 80, x, &s), INC_OK);
  const char *dir = folder("killed");
  srand(1);
  for (int round = 0; round < 12; round++) {
    pid_t pid = fork();
    if (pid == 0) {
      inc_run *r;
      b.slow = 500;
      if (start(&b, dir, 80, x, &r) != INC_OK) _exit(1);
      while (!inc_run_wait(r, 10)) continue;
      _exit(0);
    }
    usleep((useconds_t)(2000 + rand() % 12000));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
  }
  CHECK_EQ(run_all(&b, dir, 80, x, &s), INC_OK);
  CHECK_EQ(s.state, INC_RUN_FINISHED);
  CHECK(same_weights(&a, &b));
  char *la = log_facts(folder("whole2")), *lb = log_facts(dir);
  CHECK_STR(la, lb);
  free(la), free(lb);
  toy_drop(&a), toy_drop(&b);
}

TEST(nan_stops_and_keeps_the_last_good_state) {
  toy t = toy_new();
  inc_run_status s;
  const char *dir = folder("nan");
  t.nan_at = 12;
  CHECK_EQ(run_all(&t, dir, 40, (extra){.save_every = 10, .val_every = 10}, &s), INC_OK);
  CHECK_EQ(s.state, INC_RUN_FAILED);
  CHECK_EQ(s.error.code, INC_ENAN);
  CHECK_STR(s.error.text, "loss is not a number at step 13; the first layer that was not finite is layer 3; "
                          "the step was not taken");
  CHECK(exists(dir, "checkpoints/step-12.safetensors") && exists(dir, "checkpoints/step-10.safetensors"));
  toy_drop(&t);
}

TEST(ruined_weights_are_not_saved) {
  toy t = toy_new();
  inc_run_status s;
  inc_run *r;
  const char *dir = folder("ruined");
  t.slow = 200;
  CHECK_EQ(start(&t, dir, 5000, (extra){.save_every = 10}, &r), INC_OK);
  do inc_run_status_get(r, &s);
  while (s.step < 25);
  inc_run_hold(r);
  inc_run_status_get(r, &s);
  ((float *)inc_tensor_data(t.m))[1] = INFINITY;
  inc_run_release(r);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  inc_run_unref(r);
  CHECK_EQ(s.state, INC_RUN_FAILED);
  CHECK_EQ(s.error.code, INC_ENAN);
  CHECK(exists(dir, "checkpoints/step-20.safetensors"));
  toy_drop(&t);
}

TEST(full_disk_stops_with_a_sentence) {
  toy t = toy_new();
  inc_run_status s;
  const char *dir = folder("full");
  CHECK_EQ(run_all(&t, dir, 10, (extra){.save_every = 5}, &s), INC_OK);
  struct rlimit was, limit;
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &was);
  limit = was, limit.rlim_cur = 600; /* a checkpoint does not fit */
  char path[INC_PATH];
  inc_path_join(path, dir, "log.jsonl");
  CHECK_EQ(truncate(path, 0), 0);
  setrlimit(RLIMIT_FSIZE, &limit);
  int code = run_all(&t, dir, 20, (extra){.save_every = 1}, &s);
  setrlimit(RLIMIT_FSIZE, &was);
  CHECK_EQ(code, INC_OK);
  CHECK_EQ(s.state, INC_RUN_FAILED);
  CHECK_EQ(s.error.code, INC_EIO);
  CHECK(strstr(s.error.text, "cannot write: File too large") != NULL);
  CHECK(exists(dir, "checkpoints/step-10.safetensors"));
  toy_drop(&t);
}

TEST(a_number_set_by_hand_lasts) {
  toy a = toy_new();
  inc_run_status s;
  inc_run *r;
  const char *dir = folder("set");
  a.slow = 300;
  CHECK_EQ(start(&a, dir, 40, (extra){.save_every = 50}, &r), INC_OK);
  CHECK_EQ(inc_run_set(r, "lrr", 1), INC_EARG);
  CHECK_EQ(inc_run_set(r, "lr", 0.5), INC_OK);
  CHECK_EQ(inc_run_set(r, "lr", 0.001), INC_OK);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  CHECK_CLOSE(s.lr, 0.001, 1e-12);
  inc_run_unref(r);
  char *text = slurp(dir, "changes.jsonl");
  CHECK(text && strstr(text, ",\"set\":\"lr\",\"value\":0.001}\n") != NULL);
  free(text);
  toy_drop(&a);
}

/* What a second stage of toys is: another net that begins as twice the first, other rates, one step in three. */
static inc_run_opts second_stage(toy *t, const toy *from, int64_t first, int64_t steps, double *lr,
                                 inc_run_number *number, inc_run_copy *copy) {
  static inc_named state[2];
  static const char *output = "loss";
  state[0] = (inc_named){"w", t->w}, state[1] = (inc_named){"optim/n", t->m};
  for (int64_t i = first; i < steps; i++) lr[i - first] = 0.5;
  *number = (inc_run_number){.name = "lr", .t = t->lr, .value = lr};
  *copy = (inc_run_copy){from->w, t->w, 2};
  t->at = first;
  return (inc_run_opts){.parts = {t, toy_next, toy_release, toy_compute, toy_peek, toy_commit, toy_find_nan,
                                  toy_validate, NULL, toy_free},
                        .first = first,
                        .steps = steps,
                        .epoch_steps = EPOCH,
                        .batch = 2,
                        .n_outputs = 1,
                        .output = &output,
                        .n_numbers = 1,
                        .number = number,
                        .rng = t->rng,
                        .seed = 5,
                        .state = state,
                        .n_state = 2,
                        .export_ = state,
                        .n_export = 1,
                        .copy = copy,
                        .n_copies = 1,
                        .note = "the \"second\" stage"};
}

TEST(a_stage_follows_where_it_is_asked_for) {
  toy a = toy_new(), b = toy_new();
  inc_run_status s;
  inc_run *r;
  double lr[64];
  inc_run_number number;
  inc_run_copy copy;
  const char *dir = folder("stages");
  a.slow = 300;
  CHECK_EQ(start(&a, dir, 60, (extra){.save_every = 5}, &r), INC_OK);
  CHECK_EQ(inc_run_set(r, "lr", 0.25), INC_OK);
  do inc_run_status_get(r, &s);
  while (s.step < 3);
  inc_run_hold(r);
  inc_run_status_get(r, &s);
  inc_run_opts o = second_stage(&b, &a, s.step + 1, 60, lr, &number, &copy);
  CHECK_EQ(inc_run_then(r, &o, "{}\n"), INC_ESTATE); /* not from here on */
  b.freed = 0;
  o = second_stage(&b, &a, s.step, 60, lr, &number, &copy);
  CHECK_EQ(inc_run_then(r, &o, "{\"step\":0}\n"), INC_OK);
  float was = *(float *)inc_tensor_data(a.w), now;
  inc_run_release(r);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  CHECK_EQ(s.state, INC_RUN_FINISHED);
  CHECK_CLOSE(s.lr, 0.25, 1e-12); /* set by hand, so not the table's */
  now = *(float *)inc_tensor_data(a.w);
  CHECK_CLOSE(was, now, 0); /* the first net is not stepped any more */
  CHECK(a.freed && !b.freed);
  CHECK_EQ(inc_run_then(r, &o, "{}\n"), INC_ESTATE); /* over */
  inc_run_unref(r);
  CHECK(b.freed);
  char *text = slurp(dir, "changes.jsonl"), *log = slurp(dir, "log.jsonl");
  CHECK(text && strstr(text, "0.25}\n{\"step\":0}\n") != NULL);
  CHECK(log && strstr(log, "\"note\":\"the \\\"second\\\" stage\"") != NULL);
  free(text), free(log);
  toy_drop(&a), toy_drop(&b);
}

TEST(changes_to_come_are_made_at_their_steps) {
  toy a = toy_new(), b = toy_new();
  inc_run_status s;
  double lr[64], first[64];
  inc_run_number number, other;
  inc_run_copy copy;
  inc_run *r;
  const char *output = "loss", *dir = folder("to-come");
  inc_named state[] = {{"w", a.w}};
  inc_run_set_at before[] = {{3, "lr", 0.125}, {7, "lr", 9}}, after[] = {{7, "lr", 0.0625}};
  inc_run_opts o = second_stage(&b, &a, 6, 10, lr, &number, &copy);
  o.set = after, o.n_set = 1, o.fresh = true;
  for (int i = 0; i < 10; i++) first[i] = 1;
  other = (inc_run_number){.name = "lr", .t = a.lr, .value = first};
  inc_run_opts base = {.parts = {&a, toy_next, toy_release, toy_compute, toy_peek, toy_commit, toy_find_nan,
                                 toy_validate, NULL, toy_free},
                       .folder = dir,
                       .lock = -1,
                       .steps = 10,
                       .epoch_steps = EPOCH,
                       .batch = 2,
                       .n_outputs = 1,
                       .output = &output,
                       .n_numbers = 1,
                       .number = &other,
                       .rng = a.rng,
                       .state = state,
                       .n_state = 1,
                       .best = -1,
                       .best_step = -1,
                       .set = before,
                       .n_set = 2,
                       .next = &o,
                       .keep = 99};
  CHECK_EQ(inc_run_start(&base, &r), INC_OK);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  CHECK_EQ(s.step, 10);
  CHECK_EQ(s.changes_at, -1);
  inc_run_unref(r);
  char *log = slurp(dir, "log.jsonl");
  const double rates[] = {1, 1, 0.125, 0.125, 0.125, 0.125, 0.0625, 0.0625, 0.0625, 0.0625};
  const char *p = log;
  for (int i = 0; i < 10 && p; i++) {
    p = strstr(p, "\"lr\":");
    CHECK(p != NULL);
    if (p) CHECK_CLOSE(atof(p++ + 5), rates[i], 0);
  }
  free(log);
  toy_drop(&a), toy_drop(&b);
}

TEST(a_plateau_lowers_its_number) {
  inc_plateau p = {.on = true,
                   .gamma = 0.5,
                   .threshold = 0.1,
                   .patience = 1,
                   .cooldown = 1,
                   .best = NAN,
                   .factor = 1,
                   .least = 0.2};
  const double loss[] = {1, 0.95, 0.94, 0.93, 0.92, 0.91, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
               factor[] = {1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2};
  for (int i = 0; i < 12; i++) CHECK_CLOSE(inc_plateau_observe(&p, loss[i]), factor[i], 1e-15);
  p = (inc_plateau){.max = true, .gamma = 0.1, .best = NAN, .factor = 1};
  CHECK_CLOSE(inc_plateau_observe(&p, 0.5), 1, 0);
  CHECK_CLOSE(inc_plateau_observe(&p, 0.6), 1, 0);
  CHECK_CLOSE(inc_plateau_observe(&p, 0.6), 0.1, 0);
}

TEST(a_torn_change_is_a_line_of_its_own) {
  const char *dir = folder("torn");
  char path[INC_PATH];
  inc_path_join(path, dir, "changes.jsonl");
  CHECK_EQ(inc_file_replace(path, "{\"ste", 5), INC_OK);
  CHECK_EQ(inc_changes_add(dir, "{}\n", 3), INC_OK);
  CHECK_EQ(inc_changes_add(dir, "[]\n", 3), INC_OK);
  char *text = slurp(dir, "changes.jsonl");
  CHECK_STR(text, "{\"ste\n{}\n[]\n");
  free(text);
}

TEST(pause_rests_and_continue_goes_on) {
  toy t = toy_new();
  inc_run_status a, b;
  inc_run *r;
  t.slow = 200;
  CHECK_EQ(start(&t, folder("pause"), 300, (extra){.no_val = 1, .save_every = 100}, &r), INC_OK);
  inc_run_pause(r, true);
  do inc_run_status_get(r, &a);
  while (a.state != INC_RUN_PAUSED);
  usleep(20000);
  inc_run_status_get(r, &b);
  CHECK_EQ(a.step, b.step);
  inc_run_pause(r, false);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &b);
  CHECK_EQ(b.state, INC_RUN_FINISHED);
  CHECK_EQ(b.best_step, 300); /* without held-out pictures the newest is the best */
  inc_run_event e;
  int ends = 0, saves = 0;
  while (inc_run_event_take(r, &e)) ends += e.kind == INC_EV_END, saves += e.kind == INC_EV_SAVE;
  CHECK_EQ(ends, 1);
  CHECK_EQ(saves, 3);
  inc_run_unref(r);
  toy_drop(&t);
}

TEST(a_run_rests_where_it_is_told) {
  toy t = toy_new();
  inc_run_status s;
  inc_run *r;
  t.slow = 2000;
  CHECK_EQ(start(&t, folder("until"), 40, (extra){.no_val = 1}, &r), INC_OK);
  inc_run_until(r, 5);
  for (int step = 5; step <= 33; step += 7) {
    inc_run_until(r, step);
    CHECK(inc_run_reached(r, 10));
    inc_run_status_get(r, &s);
    CHECK_EQ(s.step, step);
    CHECK(!inc_run_over(r));
  }
  usleep(5000);
  inc_run_status_get(r, &s);
  CHECK_EQ(s.step, 33);
  CHECK_EQ(s.state, INC_RUN_PAUSED);
  inc_run_until(r, 40); /* the last step ends it, rest or not */
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  CHECK_EQ(s.state, INC_RUN_FINISHED);
  CHECK(inc_run_reached(r, 0));
  inc_run_unref(r);
  toy_drop(&t);
}

TEST(a_locked_folder_is_refused) {
  const char *dir = folder("lock");
  int a, b;
  CHECK(!inc_folder_locked(dir) && !inc_folder_locked("/no/such/folder"));
  CHECK_EQ(inc_folder_lock(dir, &a), INC_OK);
  CHECK(inc_folder_locked(dir));
  CHECK_EQ(inc_folder_lock(dir, &b), INC_ESTATE);
  CHECK(strstr(inc_error_last()->text, "this run is being trained by process ") != NULL);
  inc_folder_unlock(a);
  CHECK(!inc_folder_locked(dir));
  CHECK_EQ(inc_folder_lock(dir, &b), INC_OK);
  inc_folder_unlock(b);
}

TEST(the_log_is_cut_back) {
  const char *dir = folder("cut");
  const char *text = "{\"step\":1,\"x\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4,\"lo";
  char path[INC_PATH], *s;
  size_t n;
  int fd;
  inc_path_join(path, dir, "log.jsonl");
  CHECK_EQ(inc_file_replace(path, text, strlen(text)), INC_OK);
  CHECK_EQ(inc_log_open(dir, 2, &fd), INC_OK);
  CHECK_EQ(inc_log_write(fd, "{\"step\":3}\n", 11), INC_OK);
  close(fd);
  CHECK_EQ(inc_file_slurp(path, 1000, &s, &n), INC_OK);
  CHECK_STR(s, "{\"step\":1,\"x\":1}\n{\"step\":2}\n{\"step\":3}\n");
  inc_free(s);
}

TEST(leftovers_are_swept) {
  const char *dir = folder("sweep");
  char path[INC_PATH];
  inc_path_join(path, dir, "checkpoints/step-3.safetensors.77-1.tmp");
  FILE *f = fopen(path, "w");
  CHECK(f != NULL);
  fclose(f);
  CHECK_EQ(inc_folder_sweep(dir), INC_OK);
  CHECK(!exists(dir, "checkpoints/step-3.safetensors.77-1.tmp"));
}

TEST(every_allocation_may_fail_at_the_start) {
  int64_t before = inc_mem_live();
  const char *dir = folder("memory");
  for (int n = 1, done = 0; !done && n < 200; n++) {
    toy t = toy_new();
    inc_run *r = NULL;
    inc_mem_fail_at(n);
    int code = start(&t, dir, 3, (extra){.save_every = 1}, &r);
    inc_mem_fail_at(0);
    done = code == INC_OK;
    CHECK(done || code == INC_EMEM);
    inc_run_unref(r);
    toy_drop(&t);
    CHECK_EQ(inc_mem_live(), before);
  }
}

TEST(no_number_is_never_right) {
  const float none[] = {NAN, NAN, NAN}, some[] = {NAN, 2, 1};
  for (int label = 1; label <= 3; label++) CHECK_EQ(inc_score_row(none, 3, label).rank, 2);
  CHECK_EQ(inc_score_row(some, 3, 2).rank, 1);
}

TEST(scores_of_a_row) {
  float z[] = {1, 3, 2, 3};
  inc_score s = inc_score_row(z, 4, 4);
  CHECK_EQ(s.best, 2);
  CHECK_EQ(s.rank, 1);
  CHECK_CLOSE(s.loss, log(exp(-2) + 2 + exp(-1)), 1e-12);
  CHECK_EQ(inc_score_row(z, 4, 1).rank, 3);
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", root);
  CHECK_EQ(system(command), 0);
}
