/* loop.c -- the thread of a run (run.h): one step after the other, messages in between. */
#include "base/file.h"
#include "base/mem.h"
#include "exec/compute.h"
#include "run/folder.h"
#include "run/inside.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* -- before a step -------------------------------------------------------------------------------------- */

static bool rests(const inc_run *r) { return r->pause || r->status.step >= r->until; }

/* Rest while paused or held.  Takes the stop message: false ends the run. */
static bool may_step(inc_run *r) {
  pthread_mutex_lock(&r->m);
  r->busy = false;
  pthread_cond_broadcast(&r->changed);
  while (!r->stop && (rests(r) || r->holds)) {
    r->status.state = rests(r) ? INC_RUN_PAUSED : INC_RUN_RUNNING;
    pthread_cond_wait(&r->changed, &r->m);
    r->last_end = inc_seconds();
  }
  while (r->holds) pthread_cond_wait(&r->changed, &r->m); /* even a stop waits: it will save */
  r->status.state = INC_RUN_RUNNING;
  r->busy = true;
  bool go = !r->stop;
  pthread_mutex_unlock(&r->m);
  return go;
}

static void change_number(inc_run *r, int which, double value) {
  number *n = &r->number[which];
  for (int64_t i = r->status.step; i < r->steps; i++) n->value[i - r->first] = value;
  if (r->changes.n > 2)
    r->changes.s[--r->changes.n] = '\0', inc_text_put(&r->changes, ",");
  else
    r->changes.s[--r->changes.n] = '\0';
  inc_text_format(&r->changes, "{\"step\":%lld,\"name\":\"%s\",\"value\":%.17g}]",
                  (long long)r->status.step + 1, n->name, value);
  snprintf(r->note, sizeof r->note, "%s = %.9g", n->name, value);
}

static void take_changes(inc_run *r) {
  pthread_mutex_lock(&r->m);
  for (int i = 0; i < r->n_set; i++) change_number(r, r->set[i].number, r->set[i].value);
  r->n_set = 0;
  pthread_mutex_unlock(&r->m);
}

static void write_numbers(inc_run *r) {
  for (int i = 0; i < r->n_numbers; i++) {
    inc_tensor *t = r->number[i].t;
    inc_store(inc_tensor_data(t), t->spec.dtype, 0, r->number[i].value[r->status.step - r->first]);
    inc_tensor_touched(t);
  }
  if (!r->rng) return;
  int64_t *rng = inc_tensor_data(r->rng);
  rng[0] = (int64_t)r->seed, rng[1] = r->status.step + 1;
  inc_tensor_touched(r->rng);
}

/* -- the step ------------------------------------------------------------------------------------------- */

static int not_finite(inc_run *r, double loss) {
  char name[256] = "";
  int64_t step = r->status.step + 1;
  if (r->parts.find_nan && r->parts.find_nan(r->parts.self, name, sizeof name) != INC_OK) name[0] = '\0';
  inc_fail(INC_ENAN, NULL, "loss is %s at step %lld%s%s; the step was not taken",
           isnan(loss) ? "not a number" : "infinite", (long long)step,
           name[0] ? "; the first layer that was not finite is " : "", name);
  return inc_hint(
      "a smaller learning rate or a longer warm-up; `resume` goes on from the last good checkpoint");
}

typedef struct step_facts {
  double loss, waited, lr;
  bool validated;
  inc_run_val val;
} step_facts;

static int compute_step(inc_run *r, step_facts *f) {
  inc_run_parts *p = &r->parts;
  inc_batch b;
  double before = inc_seconds();
  INC_TRY(p->next(p->self, &b));
  f->waited = inc_seconds() - before;
  if (b.n < r->batch) {
    p->release(p->self, &b);
    return inc_fail(INC_ESTATE, NULL, "expected a batch of %lld pictures, got %d", (long long)r->batch, b.n);
  }
  take_changes(r);
  write_numbers(r);
  if (r->n_numbers) f->lr = r->number[0].value[r->status.step - r->first];
  int code = p->compute(p->self, &b);
  p->release(p->self, &b);
  INC_TRY(code);
  f->loss = p->peek(p->self, 0);
  if (!isfinite(f->loss)) return not_finite(r, f->loss);
  return p->commit(p->self);
}

static void note_step(inc_run *r, const step_facts *f) {
  double now = inc_seconds(), took = now - r->last_end;
  int64_t done = r->status.step + 1 - r->first;
  double keep = done < 20 ? 0.7 : 0.9;
  if (done <= 2) keep = 0; /* the first step is slow, the second a first measure */
  r->step_time = keep * r->step_time + (1 - keep) * took;
  r->wait_share = keep * r->wait_share + (1 - keep) * (took > 0 ? f->waited / took : 0);
  r->last_end = now;
  pthread_mutex_lock(&r->m);
  inc_run_status *s = &r->status;
  s->step++;
  s->epoch = (s->step - 1) / r->epoch_steps + 1;
  s->loss = f->loss, s->lr = f->lr;
  s->smooth_loss = isnan(s->smooth_loss) ? f->loss : 0.9 * s->smooth_loss + 0.1 * f->loss;
  s->img_s = r->step_time > 0 ? (double)r->batch / r->step_time : 0;
  s->data_wait = r->wait_share;
  s->eta = done < 2 ? -1 : (double)(r->steps - s->step) * r->step_time;
  s->seconds = now - r->started;
  pthread_mutex_unlock(&r->m);
}

/* Bad pictures that the loader met since the last step. */
static void tell_bad(inc_run *r) {
  char path[512], why[512];
  if (!r->parts.bad) return;
  int64_t n = r->parts.bad(r->parts.self, -1, NULL, NULL, 0);
  for (; r->told_bad < n; r->told_bad++) {
    path[0] = why[0] = '\0';
    r->parts.bad(r->parts.self, r->told_bad, path, why, sizeof why);
    inc_text t = {0};
    inc_text_format(&t, "%s: %s", path, why);
    inc_run_tell(r, (inc_run_event){.kind = INC_EV_BAD, .step = r->status.step, .text = t.s});
  }
  pthread_mutex_lock(&r->m);
  r->status.bad = r->bad + n;
  pthread_mutex_unlock(&r->m);
}

/* -- after a step --------------------------------------------------------------------------------------- */

static bool due(const inc_run *r, int64_t every) {
  return r->status.step == r->steps || (every > 0 && r->status.step % every == 0);
}

/* What each picture was called, for who wants to compare two runs picture by picture. */
static int write_judged(inc_run *r) {
  char path[INC_PATH];
  inc_text t = {0};
  if (!r->parts.judged) return INC_OK;
  inc_text_format(&t, "{\"step\":%lld,", (long long)r->status.step);
  int code = r->parts.judged(r->parts.self, &t);
  inc_text_put(&t, "}\n");
  if (code == INC_OK) code = inc_text_done(&t);
  if (code == INC_OK) code = inc_path_join(path, r->folder, "val.json");
  if (code == INC_OK) code = inc_file_replace(path, t.s, t.n);
  inc_text_free(&t);
  return code;
}

static int validate(inc_run *r, step_facts *f) {
  if (!r->parts.validate || !due(r, r->val_every)) return INC_OK;
  INC_TRY(r->parts.validate(r->parts.self, &f->val));
  INC_TRY(write_judged(r));
  f->validated = true;
  pthread_mutex_lock(&r->m);
  r->status.val = f->val;
  pthread_mutex_unlock(&r->m);
  inc_run_tell(r, (inc_run_event){.kind = INC_EV_VAL, .step = r->status.step, .val = f->val});
  return INC_OK;
}

static void line_field(inc_text *t, const char *name, double v) {
  inc_text_format(t, ",\"%s\":", name);
  inc_text_number(t, v);
}

/* The step's line, whole, in one write.  "step" stays first: cutting the log back relies on it. */
static int log_step(inc_run *r, const step_facts *f, double took) {
  struct timespec now;
  inc_text *t = &r->line;
  t->n = 0;
  inc_text_format(t, "{\"step\":%lld,\"epoch\":%lld", (long long)r->status.step, (long long)r->status.epoch);
  for (int i = 0; i < r->n_outputs; i++) {
    inc_text_format(t, ",\"%s\":", r->output[i]);
    inc_text_float(t, i ? r->parts.peek(r->parts.self, i) : f->loss);
  }
  for (int i = 0; i < r->n_numbers; i++)
    line_field(t, r->number[i].name, r->number[i].value[r->status.step - 1 - r->first]);
  inc_text_format(t, ",\"img_s\":%.2f,\"data_wait\":%.4f", took > 0 ? (double)r->batch / took : 0, f->waited);
  clock_gettime(CLOCK_REALTIME, &now);
  inc_text_format(t, ",\"time\":%lld.%03ld", (long long)now.tv_sec, now.tv_nsec / 1000000);
  if (r->status.bad) line_field(t, "bad", (double)r->status.bad);
  if (f->validated) {
    line_field(t, "val.loss", f->val.loss);
    line_field(t, "val.top1", f->val.top1);
    line_field(t, "val.top5", f->val.top5);
    line_field(t, "val.n", (double)f->val.n);
  }
  if (r->note[0]) inc_text_format(t, ",\"note\":\"%s\"", r->note);
  r->note[0] = '\0';
  inc_text_put(t, "}\n");
  INC_TRY(inc_text_done(t));
  INC_TRY(inc_log_write(r->log, t->s, t->n));
  return inc_events_line(r->events, t->s);
}

static bool is_better(const inc_run_status *s, const inc_run_val *v) {
  return v->top1 > s->best || (v->top1 == s->best && v->loss < s->best_loss);
}

/* Is this the best so far?  By top-1 of the held-out pictures, and loss where that is equal; without any
** pictures held out, the newest saved step is. */
static bool is_best(inc_run *r, const step_facts *f, bool saving) {
  bool best = r->parts.validate ? f->validated && is_better(&r->status, &f->val) : saving;
  if (r->best_last) best = r->status.step == r->steps;
  if (!best) return false;
  pthread_mutex_lock(&r->m);
  r->status.best = f->validated ? f->val.top1 : -1;
  r->status.best_loss = f->val.loss;
  r->status.best_step = r->status.step;
  pthread_mutex_unlock(&r->m);
  return true;
}

static bool save_wanted(inc_run *r) {
  pthread_mutex_lock(&r->m);
  bool wanted = r->save;
  r->save = false;
  pthread_mutex_unlock(&r->m);
  return wanted;
}

static int save_if_due(inc_run *r, const step_facts *f) {
  bool wanted = save_wanted(r), saving = wanted || due(r, r->save_every);
  bool best = is_best(r, f, saving);
  if (best) {
    INC_TRY(inc_run_export(r));
    inc_run_tell(r, (inc_run_event){.kind = INC_EV_BEST, .step = r->status.step, .val = f->val});
  }
  return saving || best ? inc_run_checkpoint(r) : INC_OK;
}

static int one_step(inc_run *r) {
  step_facts f = {0};
  double before = r->last_end;
  INC_TRY(compute_step(r, &f));
  note_step(r, &f);
  double took = r->last_end - before;
  tell_bad(r);
  INC_TRY(validate(r, &f));
  INC_TRY(log_step(r, &f, took));
  INC_TRY(save_if_due(r, &f));
  if (r->status.step % r->epoch_steps == 0)
    inc_run_tell(r, (inc_run_event){.kind = INC_EV_EPOCH, .step = r->status.step});
  r->last_end = inc_seconds();
  return INC_OK;
}

/* -- the thread ----------------------------------------------------------------------------------------- */

/* After a stop, and after a failure that left sound weights behind, what is not saved yet is saved. */
static int save_rest(inc_run *r, int code) {
  if (r->status.saved_step == r->status.step || code == INC_EIO) return code;
  inc_error why = *inc_error_last();
  int saved = inc_run_checkpoint(r);
  if (code == INC_OK) return saved;
  inc_error_set(&why); /* the first reason counts */
  return code;
}

static void finish(inc_run *r, int code) {
  pthread_mutex_lock(&r->m);
  inc_run_status *s = &r->status;
  s->state = code != INC_OK ? INC_RUN_FAILED : s->step == r->steps ? INC_RUN_FINISHED : INC_RUN_STOPPED;
  if (code != INC_OK) s->error = *inc_error_last();
  s->eta = 0;
  pthread_mutex_unlock(&r->m);
  inc_run_tell(r, (inc_run_event){.kind = INC_EV_END, .step = s->step});
  inc_folder_unlock(r->lock);
  inc_folder_unlock(r->log);
  r->lock = r->log = -1;
  inc_events_close(r->events);
  r->events = NULL;
  pthread_mutex_lock(&r->m);
  r->busy = false, r->over = true;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->m);
}

void *inc_run_thread(void *run) {
  inc_run *r = run;
  int code = INC_OK;
  inc_compute_denormals_off();
  while (code == INC_OK && r->status.step < r->steps && may_step(r)) code = one_step(r);
  finish(r, save_rest(r, code));
  return NULL;
}
