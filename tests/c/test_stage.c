/* test_stage.c -- stages of a run: what changes between two steps, when, and what is written of it. */
#include "toy_run.h"

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
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", root);
  CHECK_EQ(system(command), 0);
}
