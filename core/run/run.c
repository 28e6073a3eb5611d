/* run.c -- starting, messages and status of a run (run.h). */
#include "run/run.h"
#include "base/file.h"
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

/* -- life ----------------------------------------------------------------------------------------------- */

/* Epochs of a run, as its last stage counts them. */
static int64_t epochs_of(const inc_run_opts *o) {
  while (o->next) o = o->next;
  return (o->steps + o->origin + o->epoch_steps - 1) / o->epoch_steps;
}

static void first_status(inc_run *r, const inc_run_opts *o) {
  r->status = (inc_run_status){.bad = o->bad,
                               .step = o->first,
                               .steps = o->steps,
                               .epoch = (o->first + o->origin) / o->epoch_steps + 1,
                               .epochs = epochs_of(o),
                               .loss = NAN,
                               .smooth_loss = NAN,
                               .eta = -1,
                               .best = o->best,
                               .best_loss = o->best_loss,
                               .best_step = o->best_step,
                               .saved_step = o->first,
                               .changes_at = o->next ? o->next->first : -1};
}

static void destroy(inc_run *r) {
  for (stage *s = r->now, *next; s; s = next) {
    next = s->next;
    inc_stage_free(s);
  }
  inc_folder_unlock(r->lock);
  inc_folder_unlock(r->log);
  inc_events_close(r->events);
  for (int i = 0; i < r->n_set; i++) inc_free((char *)r->set[i].name);
  for (int i = 0; i < r->n_events; i++) inc_free(r->event[i].text);
  inc_free(r->event);
  inc_text_free(&r->notes);
  inc_text_free(&r->line);
  inc_free(r->folder);
  pthread_mutex_destroy(&r->m);
  pthread_cond_destroy(&r->changed);
  inc_free(r);
}

static void drop_parts(const inc_run_opts *o) {
  for (; o; o = o->next)
    if (o->parts.free) o->parts.free(o->parts.self);
}

/* Tables of numbers go to the end of the run, so its length is one for all stages. */
static int check_order(const inc_run_opts *o, int64_t first, int64_t steps) {
  if (o->first >= first && o->steps == steps) return INC_OK;
  return inc_fail(INC_EARG, "first", "expected stages in the order of their steps, each up to step %lld",
                  (long long)steps);
}

static int make_stages(inc_run *r, const inc_run_opts *o) {
  int64_t first = o->first, steps = o->steps;
  for (stage **at = &r->now; o; at = &(*at)->next, o = o->next) {
    int code = check_order(o, first, steps);
    if (code != INC_OK) {
      drop_parts(o);
      return code;
    }
    code = inc_stage_new(o, at);
    if (code != INC_OK) {
      drop_parts(o->next);
      return code;
    }
    first = o->first;
  }
  return INC_OK;
}

/* A fork's log begins with lines of its parent's, which event files have to hold as well. */
static int retell(inc_run *r) {
  char path[INC_PATH], *s, *save = NULL;
  size_t n;
  INC_TRY(inc_path_join(path, r->folder, "log.jsonl"));
  INC_TRY(inc_file_slurp(path, SIZE_MAX / 2, &s, &n));
  int code = INC_OK;
  for (char *line = strtok_r(s, "\n", &save); code == INC_OK && line; line = strtok_r(NULL, "\n", &save))
    code = inc_events_line(r->events, line);
  inc_free(s);
  return code;
}

static int open_all(inc_run *r, const inc_run_opts *o) {
  r->first = o->first, r->steps = o->steps, r->bad = o->bad;
  r->until = o->until ? o->until : INT64_MAX;
  r->keep = o->keep ? o->keep : INC_RUN_KEEP, r->best_last = o->best_last;
  if (!(r->folder = inc_strdup(o->folder))) return INC_EMEM;
  INC_TRY(inc_log_open(r->folder, r->first, &r->log));
  INC_TRY(inc_events_open(r->folder, r->first, &r->events));
  return o->retell ? retell(r) : INC_OK;
}

int inc_run_start(const inc_run_opts *o, inc_run **out) {
  inc_run *r = inc_zalloc(sizeof *r);
  if (!r) {
    drop_parts(o);
    inc_folder_unlock(o->lock);
    return INC_EMEM;
  }
  r->lock = o->lock, r->log = -1, r->refs = 1;
  pthread_mutex_init(&r->m, NULL);
  pthread_cond_init(&r->changed, NULL);
  int code = make_stages(r, o);
  if (code == INC_OK) code = open_all(r, o);
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

/* The last value of a name counts. */
static int queue_set(inc_run *r, const char *name, double value) {
  int at = 0;
  if (!inc_stage_number(r->now, name)) return inc_fail(INC_EARG, name, "a run has no number of this name");
  while (at < r->n_set && strcmp(r->set[at].name, name)) at++;
  if (at == r->n_set) {
    if (!(r->set[at].name = inc_strdup(name))) return INC_EMEM;
    r->n_set++;
  }
  r->set[at].value = value;
  return INC_OK;
}

int inc_run_set(inc_run *r, const char *name, double value) {
  pthread_mutex_lock(&r->m);
  int code = queue_set(r, name, value);
  pthread_mutex_unlock(&r->m);
  return code;
}

static int may_follow(const inc_run *r, const inc_run_opts *o) {
  if (r->over) return inc_fail(INC_ESTATE, NULL, "the run is over");
  if (r->now->next || o->first != r->status.step || o->steps != r->steps)
    return inc_fail(INC_ESTATE, NULL,
                    "expected a stage of steps %lld to %lld and none before it, got %lld to %lld",
                    (long long)r->status.step, (long long)r->steps, (long long)o->first, (long long)o->steps);
  return INC_OK;
}

int inc_run_then(inc_run *r, const inc_run_opts *o, const char *line) {
  stage *s;
  INC_TRY(inc_stage_new(o, &s));
  pthread_mutex_lock(&r->m);
  int code = may_follow(r, o);
  if (code == INC_OK) code = inc_run_take_set(r); /* asked for before, so made before */
  if (code == INC_OK) code = inc_changes_add(r->folder, line, strlen(line));
  if (code == INC_OK) r->now->next = s, r->status.changes_at = s->first;
  pthread_mutex_unlock(&r->m);
  if (code != INC_OK) inc_stage_free(s);
  return code;
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

static bool is_between(const inc_run *r) { return !r->busy && !r->saving; }

int inc_run_hold(inc_run *r) {
  pthread_mutex_lock(&r->m);
  r->holds++;
  pthread_mutex_unlock(&r->m);
  while (!await(r, is_between, 3600)) {
    if (!inc_interrupt_pending()) continue;
    inc_run_release(r);
    return inc_fail(INC_EINTR, NULL, "interrupted");
  }
  return INC_OK;
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
