/* test_run.c -- the run thread, with a step that is arithmetic (toy_run.h): every promise but the numbers of a
** real net. */
#include "toy_run.h"

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
  char saved[64];
  snprintf(saved, sizeof saved, "checkpoints/step-%lld.safetensors", (long long)s.step / 10 * 10);
  ((float *)inc_tensor_data(t.m))[1] = INFINITY;
  inc_run_release(r);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  inc_run_unref(r);
  CHECK_EQ(s.state, INC_RUN_FAILED);
  CHECK_EQ(s.error.code, INC_ENAN);
  CHECK(exists(dir, saved));
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
}
