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
  o = second_stage(&b, &a, s.step, 59, lr, &number, &copy);
  CHECK_EQ(inc_run_then(r, &o, "{}\n"), INC_ESTATE); /* not to its end */
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

/* The numbers that a log's lines have under a name, in order; lines without it are passed over. */
static int column(const char *log, const char *name, double *v) {
  int n = 0;
  for (const char *p = log; (p = strstr(p, name)); p++) v[n++] = atof(p + strlen(name));
  return n;
}

static inc_plateau some_plateau(void) {
  return (inc_plateau){.on = true, .gamma = 0.5, .threshold = 0.01, .patience = 1, .best = NAN, .factor = 1};
}

/* A run of 60 steps that validates after each, its rate on a plateau; the second stage, from step 31 on, knows
** nothing of it but the name of its number. */
static int start_with_plateau(toy *a, toy *b, const char *dir, inc_run **r) {
  static double lr[64], later[64];
  static const char *output = "loss";
  static inc_run_number first, number;
  static inc_run_copy copy;
  static inc_named state[2];
  static inc_run_opts next;
  next = second_stage(b, a, 30, 60, later, &number, &copy);
  next.val_every = 1;
  for (int i = 0; i < 60; i++) lr[i] = 0.02;
  state[0] = (inc_named){"w", a->w}, state[1] = (inc_named){"optim/m", a->m};
  first = (inc_run_number){.name = "lr", .t = a->lr, .value = lr, .plateau = some_plateau()};
  a->slow = b->slow = 200;
  inc_run_opts o = {.parts = {a, toy_next, toy_release, toy_compute, toy_peek, toy_commit, toy_find_nan,
                              toy_validate, NULL, toy_free},
                    .folder = dir,
                    .lock = -1,
                    .steps = 60,
                    .epoch_steps = EPOCH,
                    .batch = 2,
                    .val_every = 1,
                    .save_every = 4,
                    .n_outputs = 1,
                    .output = &output,
                    .n_numbers = 1,
                    .number = &first,
                    .rng = a->rng,
                    .state = state,
                    .n_state = 2,
                    .export_ = state,
                    .n_export = 1,
                    .best = -1,
                    .best_step = -1,
                    .next = &next};
  return inc_run_start(&o, r);
}

TEST(a_plateau_goes_on_over_stages_while_others_look) {
  toy a = toy_new(), b = toy_new();
  inc_run *r;
  inc_run_status s;
  const char *dir = folder("plateau");
  CHECK_EQ(start_with_plateau(&a, &b, dir, &r), INC_OK);
  do { /* what the prompt does: looks, holds, asks for a checkpoint */
    inc_text t = {0};
    inc_run_hold(r);
    inc_run_plateaus(r, &t);
    inc_run_release(r);
    CHECK(!strncmp(t.s, "{\"lr\":{\"best\":", 14));
    inc_text_free(&t);
    inc_run_status_get(r, &s);
    if (s.step % 10 == 3) inc_run_save(r);
  } while (!inc_run_wait(r, 0.001));
  inc_run_status_get(r, &s);
  CHECK_EQ(s.state, INC_RUN_FINISHED);
  inc_run_unref(r);
  char *log = slurp(dir, "log.jsonl");
  double rate[64], loss[64];
  CHECK_EQ(column(log, "\"lr\":", rate), 60);
  CHECK_EQ(column(log, "\"val.loss\":", loss), 60);
  inc_plateau p = some_plateau();
  for (int i = 0; i < 60; i++) {
    CHECK_CLOSE(rate[i], 0.02 * p.factor, 1e-12);
    inc_plateau_observe(&p, loss[i]);
  }
  CHECK(rate[29] < rate[0] && rate[59] < rate[31]); /* it had to do something on both sides */
  CHECK(strstr(log, "lr: no longer better, from now on times 0.5") != NULL);
  free(log);
  toy_drop(&a), toy_drop(&b);
}

TEST(stages_of_another_length_are_refused) {
  toy a = toy_new(), b = toy_new();
  double first[8] = {0}, lr[8];
  inc_run_number number, one = {.name = "lr", .t = a.lr, .value = first};
  inc_run_copy copy;
  inc_run *r = NULL;
  const char *output = "loss";
  int64_t before = inc_mem_live();
  inc_run_opts next = second_stage(&b, &a, 2, 6, lr, &number, &copy);
  inc_run_opts o = {.parts = {.self = &a, .free = toy_free},
                    .folder = "unused",
                    .lock = -1,
                    .steps = 8,
                    .epoch_steps = EPOCH,
                    .n_outputs = 1,
                    .output = &output,
                    .n_numbers = 1,
                    .number = &one,
                    .rng = a.rng,
                    .next = &next};
  CHECK_EQ(inc_run_start(&o, &r), INC_EARG);
  CHECK_STR(inc_error_last()->text, "expected stages in the order of their steps, each up to step 8");
  CHECK(a.freed && b.freed);
  CHECK_EQ(inc_mem_live(), before);
  toy_drop(&a), toy_drop(&b);
}

/* What cannot be had leaves the run as it was, and its list of changes too. */
TEST(every_allocation_of_a_change_may_fail) {
  toy a = toy_new();
  double lr[64];
  inc_run_number number;
  inc_run_copy copy;
  inc_run_status s;
  inc_run *r;
  const char *dir = folder("change-memory");
  a.slow = 2000; /* not at its end before it is held */
  CHECK_EQ(start(&a, dir, 40, (extra){0}, &r), INC_OK);
  inc_run_hold(r);
  inc_run_status_get(r, &s);
  toy b = toy_new();
  for (int n = 1, done = 0; !done && n < 200; n++) {
    inc_run_opts o = second_stage(&b, &a, s.step, 40, lr, &number, &copy);
    b.freed = 0;
    int64_t live = inc_mem_live();
    inc_mem_fail_at(n);
    int code = inc_run_then(r, &o, "{}\n");
    inc_mem_fail_at(0);
    done = code == INC_OK;
    CHECK(done || (code == INC_EMEM && b.freed && inc_mem_live() == live));
    char *text = slurp(dir, "changes.jsonl");
    CHECK(done ? !strcmp(text, "{}\n") : !text);
    free(text);
  }
  inc_run_release(r);
  while (!inc_run_wait(r, 10)) continue;
  inc_run_status_get(r, &s);
  CHECK_EQ(s.state, INC_RUN_FINISHED);
  inc_run_unref(r);
  toy_drop(&a), toy_drop(&b);
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
