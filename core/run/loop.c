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

static void write_numbers(const inc_run *r) {
  const stage *s = r->now;
  for (int i = 0; i < s->n_numbers; i++) {
    inc_tensor *t = s->number[i].t;
    inc_store(inc_tensor_data(t), t->spec.dtype, 0, inc_stage_value(s, &s->number[i], r->status.step));
    inc_tensor_touched(t);
  }
  if (!s->rng) return;
  int64_t *rng = inc_tensor_data(s->rng);
  rng[0] = (int64_t)s->seed, rng[1] = r->status.step + 1;
  inc_tensor_touched(s->rng);
}

/* -- the step ------------------------------------------------------------------------------------------- */

static int not_finite(inc_run *r, double loss) {
  char name[256] = "";
  int64_t step = r->status.step + 1;
  const inc_run_parts *p = &r->now->parts;
  if (p->find_nan && p->find_nan(p->self, name, sizeof name) != INC_OK) name[0] = '\0';
  inc_fail(INC_ENAN, NULL, "loss is %s at step %lld%s%s; the step was not taken",
           isnan(loss) ? "not a number" : "infinite", (long long)step,
           name[0] ? "; the first layer that was not finite is " : "", name);
  return inc_hint(
      "a smaller learning rate or a longer warm-up; `resume` goes on from the last good checkpoint");
}

typedef struct step_facts {
  double loss, waited;
  double number[INC_RUN_NUMBERS]; /* what the step was made with; the first is the learning rate */
  bool validated;
  inc_run_val val;
} step_facts;

static int compute_step(inc_run *r, step_facts *f) {
  const inc_run_parts *p = &r->now->parts;
  inc_batch b;
  double before = inc_seconds();
  INC_TRY(p->next(p->self, &b));
  f->waited = inc_seconds() - before;
  if (b.n < r->now->batch) {
    p->release(p->self, &b);
    return inc_fail(INC_ESTATE, NULL, "expected a batch of %lld pictures, got %d", (long long)r->now->batch,
                    b.n);
  }
  write_numbers(r);
  for (int i = 0; i < r->now->n_numbers; i++)
    f->number[i] = inc_stage_value(r->now, &r->now->number[i], r->status.step);
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
  const inc_run_parts *p = &r->now->parts;
  inc_loader_stats loading = {0};
  if (p->loading) p->loading(p->self, &loading);
  double keep = done < 20 ? 0.7 : 0.9;
  if (done <= 2) keep = 0; /* the first step is slow, the second a first measure */
  r->step_time = keep * r->step_time + (1 - keep) * took;
  r->wait_share = keep * r->wait_share + (1 - keep) * (took > 0 ? f->waited / took : 0);
  r->last_end = now;
  pthread_mutex_lock(&r->m);
  inc_run_status *s = &r->status;
  s->step++;
  s->epoch = (s->step - 1 + r->now->origin) / r->now->epoch_steps + 1;
  s->loss = f->loss, s->lr = f->number[0];
  s->smooth_loss = isnan(s->smooth_loss) ? f->loss : 0.9 * s->smooth_loss + 0.1 * f->loss;
  s->img_s = r->step_time > 0 ? (double)r->now->batch / r->step_time : 0;
  s->data_wait = r->wait_share;
  s->eta = done < 2 ? -1 : (double)(r->steps - s->step) * r->step_time;
  s->seconds = now - r->started;
  s->time.wait += f->waited, s->time.compute += took - f->waited;
  s->loading = loading;
  pthread_mutex_unlock(&r->m);
}

/* What came behind the step: validation, until `validated`, and what is written. */
static void note_rest(inc_run *r, double validated) {
  double now = inc_seconds();
  pthread_mutex_lock(&r->m);
  r->status.time.validate += validated - r->last_end, r->status.time.save += now - validated;
  pthread_mutex_unlock(&r->m);
  r->last_end = now;
}

/* Bad pictures that the loader met since the last step. */
static void tell_bad(inc_run *r) {
  char path[512], why[512];
  const inc_run_parts *p = &r->now->parts;
  if (!p->bad) return;
  int64_t n = p->bad(p->self, -1, NULL, NULL, 0);
  if (r->told_bad > n) r->told_bad = n; /* another loader, which met none yet */
  for (; r->told_bad < n; r->told_bad++) {
    path[0] = why[0] = '\0';
    p->bad(p->self, r->told_bad, path, why, sizeof why);
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
  const inc_run_parts *p = &r->now->parts;
  if (!p->judged) return INC_OK;
  inc_text_format(&t, "{\"step\":%lld,", (long long)r->status.step);
  int code = p->judged(p->self, &t);
  inc_text_put(&t, "}\n");
  if (code == INC_OK) code = inc_text_done(&t);
  if (code == INC_OK) code = inc_path_join(path, r->folder, "val.json");
  if (code == INC_OK) code = inc_file_replace(path, t.s, t.n);
  inc_text_free(&t);
  return code;
}

/* Numbers that follow what validation says. */
static void look_for_plateaus(inc_run *r, const inc_run_val *v) {
  for (int i = 0; i < r->now->n_numbers; i++) {
    number *n = &r->now->number[i];
    double before = n->plateau.factor;
    if (!n->plateau.on) continue;
    double now = inc_plateau_observe(&n->plateau, n->plateau.max ? v->top1 : v->loss);
    char text[160];
    snprintf(text, sizeof text, "%s: no longer better, from now on times %.6g", n->name, now);
    if (now != before) inc_run_note(r, text);
  }
}

static int validate(inc_run *r, step_facts *f) {
  const inc_run_parts *p = &r->now->parts;
  if (!p->validate || !due(r, r->now->val_every)) return INC_OK;
  INC_TRY(p->validate(p->self, &f->val));
  INC_TRY(write_judged(r));
  look_for_plateaus(r, &f->val);
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
  const stage *s = r->now;
  inc_text *t = &r->line;
  t->n = 0;
  inc_text_format(t, "{\"step\":%lld,\"epoch\":%lld", (long long)r->status.step, (long long)r->status.epoch);
  for (int i = 0; i < s->n_outputs; i++) {
    inc_text_format(t, ",\"%s\":", s->output[i]);
    inc_text_float(t, i ? s->parts.peek(s->parts.self, i) : f->loss);
  }
  for (int i = 0; i < s->n_numbers; i++) line_field(t, s->number[i].name, f->number[i]);
  inc_text_format(t, ",\"img_s\":%.2f,\"data_wait\":%.4f", took > 0 ? (double)s->batch / took : 0, f->waited);
  clock_gettime(CLOCK_REALTIME, &now);
  inc_text_format(t, ",\"time\":%lld.%03ld", (long long)now.tv_sec, now.tv_nsec / 1000000);
  if (r->status.bad) line_field(t, "bad", (double)r->status.bad);
  if (f->validated) {
    line_field(t, "val.loss", f->val.loss);
    line_field(t, "val.top1", f->val.top1);
    line_field(t, "val.top5", f->val.top5);
    line_field(t, "val.n", (double)f->val.n);
  }
  if (r->notes.n) {
    inc_text_put(t, ",\"note\":");
    inc_text_string(t, r->notes.s, r->notes.n);
  }
  r->notes.n = 0;
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
  bool best = r->now->parts.validate ? f->validated && is_better(&r->status, &f->val) : saving;
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

static int save_files(inc_run *r, const step_facts *f, bool saving) {
  bool best = is_best(r, f, saving);
  if (best) {
    INC_TRY(inc_run_export(r));
    inc_run_tell(r, (inc_run_event){.kind = INC_EV_BEST, .step = r->status.step, .val = f->val});
  }
  return saving || best ? inc_run_checkpoint(r) : INC_OK;
}

static int save_if_due(inc_run *r, const step_facts *f) {
  bool wanted = save_wanted(r);
  return save_files(r, f, wanted || due(r, r->now->save_every));
}

/* -- turns ---------------------------------------------------------------------------------------------- */

static bool rests(const inc_run *r) { return r->pause || r->status.step >= r->until; }

/* With the lock, which is let go meanwhile. */
static int save_at_rest(inc_run *r) {
  int code = INC_OK;
  step_facts none = {0};
  r->save = false, r->saving = true;
  pthread_mutex_unlock(&r->m);
  if (r->status.saved_step != r->status.step) code = save_files(r, &none, true);
  pthread_mutex_lock(&r->m);
  r->saving = false;
  pthread_cond_broadcast(&r->changed);
  return code;
}

/* Rest while paused or held.  Takes the stop message: *go = false ends the run. */
static int may_step(inc_run *r, bool *go) {
  int code = INC_OK;
  pthread_mutex_lock(&r->m);
  r->busy = r->saving = false;
  pthread_cond_broadcast(&r->changed);
  while (code == INC_OK && !r->stop && (r->save || rests(r) || r->holds)) {
    r->status.state = rests(r) ? INC_RUN_PAUSED : INC_RUN_RUNNING;
    if (r->save && !r->holds)
      code = save_at_rest(r);
    else
      pthread_cond_wait(&r->changed, &r->m);
    r->last_end = inc_seconds();
  }
  while (r->holds) pthread_cond_wait(&r->changed, &r->m); /* even a stop waits: it will save */
  r->status.state = INC_RUN_RUNNING;
  r->busy = true;
  *go = !r->stop;
  pthread_mutex_unlock(&r->m);
  return code;
}

/* A turn is over when its last step is told: files are written while others have theirs. */
static void end_turn(inc_run *r) {
  pthread_mutex_lock(&r->m);
  if (rests(r)) {
    r->busy = false, r->saving = true;
    pthread_cond_broadcast(&r->changed);
  }
  pthread_mutex_unlock(&r->m);
}

/* -- one step ------------------------------------------------------------------------------------------- */

static int one_step(inc_run *r) {
  step_facts f = {0};
  double before = r->last_end;
  INC_TRY(compute_step(r, &f));
  note_step(r, &f);
  double took = r->last_end - before;
  tell_bad(r);
  INC_TRY(validate(r, &f));
  double validated = inc_seconds();
  INC_TRY(log_step(r, &f, took));
  end_turn(r);
  INC_TRY(save_if_due(r, &f));
  if ((r->status.step + r->now->origin) % r->now->epoch_steps == 0)
    inc_run_tell(r, (inc_run_event){.kind = INC_EV_EPOCH, .step = r->status.step});
  note_rest(r, validated);
  return INC_OK;
}

/* -- the thread ----------------------------------------------------------------------------------------- */

/* Numbers set while the run was being stopped are the next step's, which a resume makes. */
static int last_words(inc_run *r) {
  pthread_mutex_lock(&r->m);
  int code = r->status.step < r->steps ? inc_run_take_set(r) : INC_OK;
  pthread_mutex_unlock(&r->m);
  return code;
}

/* After a stop, and after a failure that left sound weights behind, what is not saved yet is saved. */
static int save_rest(inc_run *r, int code) {
  if (code == INC_OK) code = last_words(r);
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
  r->busy = r->saving = false, r->over = true;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->m);
}

void *inc_run_thread(void *run) {
  inc_run *r = run;
  int code = INC_OK;
  bool go = true;
  inc_compute_denormals_off();
  while (code == INC_OK && r->status.step < r->steps) {
    code = may_step(r, &go);
    if (!go) break;
    if (code == INC_OK) code = inc_run_changes(r);
    if (code == INC_OK) code = one_step(r);
  }
  finish(r, save_rest(r, code));
  return NULL;
}
