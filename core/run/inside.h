/* inside.h -- what the files of a run share: run.c (messages), stage.c (what a run does at a time), loop.c (the
** thread), save.c (checkpoints).
**
** Fields above `m` belong to the thread once it runs; fields below it are read and written under `m`.  The list
** of stages changes under `m` only, so that whoever holds the run may look at it. */
#ifndef INC_RUN_INSIDE_H
#define INC_RUN_INSIDE_H

#include "base/text.h"
#include "run/events.h"
#include "run/run.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct number {
  char *name;
  inc_tensor *t;
  double *value; /* [steps - first of its stage] */
  inc_plateau plateau;
} number;

/* What may be another from some step on. */
typedef struct stage {
  int64_t first; /* steps made when it begins */
  inc_run_parts parts;
  int64_t epoch_steps, origin, batch, save_every, val_every;
  int n_outputs, n_numbers, n_state, n_export, n_meta, n_export_meta, n_copies, n_set;
  char *output[INC_RUN_OUTPUTS];
  number number[INC_RUN_NUMBERS];
  inc_tensor *rng;
  uint64_t seed;
  inc_named *state, *export_;
  inc_pair *meta, *export_meta; /* both have room for what save.c adds */
  inc_run_copy *copy;
  inc_run_set_at *set; /* still to come */
  bool fresh;
  char *note;
  struct stage *next;
} stage;

struct inc_run {
  char *folder;
  int lock, log;
  inc_events *events; /* TensorBoard's, beside the log */
  stage *now;
  int64_t first, steps, bad;
  inc_text line, notes; /* notes: for the next log line, of what was changed */
  int keep;
  bool best_last;
  double last_end, step_time, wait_share; /* seconds; smoothed */
  double started;
  int64_t told_bad;

  pthread_t thread;
  _Atomic int refs;
  pthread_mutex_t m;
  pthread_cond_t changed;
  inc_run_status status;
  bool stop, pause, save, over;
  bool busy, saving; /* it has its turn; it only reads its state, and writes files */
  int holds;
  int64_t until; /* steps; INT64_MAX: never rest */
  struct {
    const char *name; /* of a number of some stage */
    double value;
  } set[INC_RUN_NUMBERS]; /* numbers to change before the next step */
  int n_set;
  inc_run_event *event;
  int n_events, cap_events;
};

enum { INC_RUN_OWN_META = 12 };

/* -- stage.c -- */
int inc_stage_new(const inc_run_opts *o, stage **out); /* takes o->parts over, also on failure */
void inc_stage_free(stage *s);
number *inc_stage_number(stage *s, const char *name); /* or NULL */
double inc_stage_value(const stage *s, const number *n, int64_t made);
/* Changes whose step has come: numbers set by hand, and then the stage that begins here, if one does. */
int inc_run_changes(inc_run *r);
int inc_run_take_set(inc_run *r); /* of inc_run_set; the lock is held */
void inc_run_note(inc_run *r, const char *text);

void *inc_run_thread(void *run);
void inc_run_tell(inc_run *r, inc_run_event e); /* takes e.text over */
int inc_run_checkpoint(inc_run *r);             /* the state after status.step steps */
int inc_run_export(inc_run *r);                 /* best.safetensors */
double inc_seconds(void);

#endif
