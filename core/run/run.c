/* run.c -- starting, messages and status of a run (run.h). */
#include "run/run.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "run/folder.h"
#include "run/inside.h"
#include <math.h>
#include <string.h>
#include <time.h>

double inc_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* -- copies of what the caller gave --------------------------------------------------------------------- */

static int copy_named(int n, const inc_named *from, inc_named **to) {
  *to = inc_zalloc(sizeof **to * (size_t)(n + 1));
  if (!*to) return INC_EMEM;
  for (int i = 0; i < n; i++) {
    (*to)[i].t = inc_tensor_ref(from[i].t);
    if (!((*to)[i].name = inc_strdup(from[i].name))) return INC_EMEM;
  }
  return INC_OK;
}

static int copy_pairs(int n, const inc_pair *from, inc_pair **to) {
  *to = inc_zalloc(sizeof **to * (size_t)(n + INC_RUN_OWN_META));
  if (!*to) return INC_EMEM;
  for (int i = 0; i < n; i++) {
    (*to)[i].key = inc_strdup(from[i].key);
    (*to)[i].value = inc_strdup(from[i].value);
    if (!(*to)[i].key || !(*to)[i].value) return INC_EMEM;
  }
  return INC_OK;
}

static void drop_named(int n, inc_named *list) {
  for (int i = 0; list && i < n; i++) {
    inc_tensor_unref(list[i].t);
    inc_free((char *)list[i].name);
  }
  inc_free(list);
}

static void drop_pairs(int n, inc_pair *list) {
  for (int i = 0; list && i < n; i++) {
    inc_free((char *)list[i].key);
    inc_free((char *)list[i].value);
  }
  inc_free(list);
}

static int copy_numbers(inc_run *r, const inc_run_opts *o) {
  size_t n = (size_t)(o->steps - o->first);
  for (int i = 0; i < o->n_numbers; i++) {
    number *to = &r->number[r->n_numbers++];
    to->t = inc_tensor_ref(o->number[i].t);
    to->name = inc_strdup(o->number[i].name);
    to->value = inc_alloc(sizeof(double) * (n + 1));
    if (!to->name || !to->value) return INC_EMEM;
    memcpy(to->value, o->number[i].value, sizeof(double) * n);
  }
  return INC_OK;
}

static int copy_outputs(inc_run *r, const inc_run_opts *o) {
  for (int i = 0; i < o->n_outputs; i++)
    if (!(r->output[r->n_outputs++] = inc_strdup(o->output[i]))) return INC_EMEM;
  return INC_OK;
}

static int copy_all(inc_run *r, const inc_run_opts *o) {
  r->first = o->first, r->steps = o->steps, r->epoch_steps = o->epoch_steps, r->batch = o->batch;
  r->save_every = o->save_every, r->val_every = o->val_every, r->bad = o->bad;
  r->rng = inc_tensor_ref(o->rng), r->seed = o->seed;
  r->until = o->until ? o->until : INT64_MAX;
  r->keep = o->keep ? o->keep : INC_RUN_KEEP, r->best_last = o->best_last;
  r->n_state = o->n_state, r->n_export = o->n_export;
  r->n_meta = o->n_meta, r->n_export_meta = o->n_export_meta;
  if (!(r->folder = inc_strdup(o->folder))) return INC_EMEM;
  INC_TRY(copy_numbers(r, o));
  INC_TRY(copy_outputs(r, o));
  INC_TRY(copy_named(o->n_state, o->state, &r->state));
  INC_TRY(copy_named(o->n_export, o->export_, &r->export_));
  INC_TRY(copy_pairs(o->n_meta, o->meta, &r->meta));
  INC_TRY(copy_pairs(o->n_export_meta, o->export_meta, &r->export_meta));
  inc_text_put(&r->changes, o->changes ? o->changes : "[]");
  return inc_text_done(&r->changes);
}

static int check(const inc_run_opts *o) {
  if (o->n_numbers > INC_RUN_NUMBERS || o->n_outputs > INC_RUN_OUTPUTS || o->n_outputs < 1)
    return inc_fail(INC_EARG, NULL, "expected 1 to %d outputs and at most %d numbers, got %d and %d",
                    INC_RUN_OUTPUTS, INC_RUN_NUMBERS, o->n_outputs, o->n_numbers);
  if (o->first < 0 || o->steps < o->first || o->epoch_steps < 1)
    return inc_fail(INC_EARG, "steps", "expected at least the %lld that are made, got %lld",
                    (long long)o->first, (long long)o->steps);
  return INC_OK;
}

/* -- life ----------------------------------------------------------------------------------------------- */

static void first_status(inc_run *r, const inc_run_opts *o) {
  int64_t epochs = (o->steps + o->epoch_steps - 1) / o->epoch_steps;
  r->status = (inc_run_status){.bad = o->bad,
                               .step = o->first,
                               .steps = o->steps,
                               .epoch = o->first / o->epoch_steps + 1,
                               .epochs = epochs,
                               .loss = NAN,
                               .smooth_loss = NAN,
                               .eta = -1,
                               .best = o->best,
                               .best_loss = o->best_loss,
                               .best_step = o->best_step,
                               .saved_step = o->first};
}

static void destroy(inc_run *r) {
  if (r->parts.free) r->parts.free(r->parts.self);
  inc_folder_unlock(r->lock);
  inc_folder_unlock(r->log);
  inc_events_close(r->events);
  for (int i = 0; i < r->n_numbers; i++) {
    inc_tensor_unref(r->number[i].t);
    inc_free(r->number[i].name);
    inc_free(r->number[i].value);
  }
  for (int i = 0; i < r->n_outputs; i++) inc_free(r->output[i]);
  for (int i = 0; i < r->n_events; i++) inc_free(r->event[i].text);
  inc_free(r->event);
  inc_tensor_unref(r->rng);
  drop_named(r->n_state, r->state);
  drop_named(r->n_export, r->export_);
  drop_pairs(r->n_meta, r->meta);
  drop_pairs(r->n_export_meta, r->export_meta);
  inc_text_free(&r->changes);
  inc_text_free(&r->line);
  inc_free(r->folder);
  pthread_mutex_destroy(&r->m);
  pthread_cond_destroy(&r->changed);
  inc_free(r);
}

int inc_run_start(const inc_run_opts *o, inc_run **out) {
  inc_run *r = inc_zalloc(sizeof *r);
  if (!r) {
    if (o->parts.free) o->parts.free(o->parts.self);
    inc_folder_unlock(o->lock);
    return INC_EMEM;
  }
  r->parts = o->parts, r->lock = o->lock, r->log = -1, r->refs = 1;
  pthread_mutex_init(&r->m, NULL);
  pthread_cond_init(&r->changed, NULL);
  int code = check(o);
  if (code == INC_OK) code = copy_all(r, o);
  if (code == INC_OK) code = inc_log_open(r->folder, r->first, &r->log);
  if (code == INC_OK) code = inc_events_open(r->folder, r->first, &r->events);
  if (code == INC_OK) {
    first_status(r, o);
    r->started = r->last_end = inc_seconds();
    if (pthread_create(&r->thread, NULL, inc_run_thread, r) != 0)
      code = inc_fail(INC_EMEM, NULL, "cannot start a thread for the run");
  }
  if (code == INC_OK)
    *out = r;
  else
    destroy(r);
  return code;
}

inc_run *inc_run_ref(inc_run *r) {
  r->refs++;
  return r;
}

void inc_run_unref(inc_run *r) {
  if (!r || --r->refs > 0) return;
  inc_run_stop(r);
  pthread_join(r->thread, NULL);
  destroy(r);
}

/* -- messages ------------------------------------------------------------------------------------------- */

static void say(inc_run *r, bool *flag, bool value) {
  pthread_mutex_lock(&r->m);
  *flag = value;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->m);
}

void inc_run_stop(inc_run *r) { say(r, &r->stop, true); }
void inc_run_pause(inc_run *r, bool on) { say(r, &r->pause, on); }
void inc_run_save(inc_run *r) { say(r, &r->save, true); }

void inc_run_until(inc_run *r, int64_t step) {
  pthread_mutex_lock(&r->m);
  r->until = step ? step : INT64_MAX;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->m);
}

int inc_run_set(inc_run *r, const char *name, double value) {
  for (int i = 0; i < r->n_numbers; i++) {
    if (strcmp(r->number[i].name, name)) continue;
    pthread_mutex_lock(&r->m);
    int at = 0;
    while (at < r->n_set && r->set[at].number != i) at++;
    r->set[at].number = i, r->set[at].value = value;
    if (at == r->n_set) r->n_set++;
    pthread_mutex_unlock(&r->m);
    return INC_OK;
  }
  return inc_fail(INC_EARG, name, "a run has no number of this name");
}

void inc_run_hold(inc_run *r) {
  pthread_mutex_lock(&r->m);
  r->holds++;
  while (r->busy) pthread_cond_wait(&r->changed, &r->m);
  pthread_mutex_unlock(&r->m);
}

void inc_run_release(inc_run *r) {
  pthread_mutex_lock(&r->m);
  r->holds--;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->m);
}

/* -- status --------------------------------------------------------------------------------------------- */

void inc_run_status_get(inc_run *r, inc_run_status *out) {
  pthread_mutex_lock(&r->m);
  *out = r->status;
  pthread_mutex_unlock(&r->m);
}

bool inc_run_over(inc_run *r) {
  pthread_mutex_lock(&r->m);
  bool over = r->over;
  pthread_mutex_unlock(&r->m);
  return over;
}

static bool is_over(const inc_run *r) { return r->over; }

static bool is_there(const inc_run *r) { return r->over || (!r->busy && r->status.step >= r->until); }

/* Short naps on the condition, so that Ctrl-C is seen without a signal-safe way to wake it. */
static bool await(inc_run *r, bool (*there)(const inc_run *), double seconds) {
  double end = inc_seconds() + seconds;
  pthread_mutex_lock(&r->m);
  while (!there(r) && inc_seconds() < end && !inc_interrupt_pending()) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&r->changed, &r->m, &until);
  }
  bool is = there(r);
  pthread_mutex_unlock(&r->m);
  return is;
}

bool inc_run_wait(inc_run *r, double seconds) { return await(r, is_over, seconds); }
bool inc_run_reached(inc_run *r, double seconds) { return await(r, is_there, seconds); }

/* -- events --------------------------------------------------------------------------------------------- */

enum { MAX_EVENTS = 4096 }; /* beyond that the oldest is dropped: nobody listens */

static void drop_first(inc_run *r) {
  r->n_events--;
  memmove(r->event, r->event + 1, sizeof *r->event * (size_t)r->n_events);
}

void inc_run_tell(inc_run *r, inc_run_event e) {
  pthread_mutex_lock(&r->m);
  if (r->n_events == MAX_EVENTS) {
    inc_free(r->event[0].text);
    drop_first(r);
  }
  if (r->n_events == r->cap_events) {
    int cap = r->cap_events ? r->cap_events * 2 : 32;
    inc_run_event *p = inc_realloc(r->event, sizeof *p * (size_t)r->cap_events, sizeof *p * (size_t)cap);
    if (p) r->event = p, r->cap_events = cap;
  }
  if (r->n_events < r->cap_events)
    r->event[r->n_events++] = e;
  else
    inc_free(e.text);
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->m);
}

bool inc_run_event_take(inc_run *r, inc_run_event *out) {
  pthread_mutex_lock(&r->m);
  bool any = r->n_events > 0;
  if (any) {
    *out = r->event[0];
    drop_first(r);
  }
  pthread_mutex_unlock(&r->m);
  return any;
}
