/* inside.h -- what the files of a run share: run.c (messages), loop.c (the thread), save.c (checkpoints).
**
** Fields above `m` belong to the thread once it runs; fields below it are read and written under `m`. */
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
  double *value; /* [steps - first] */
} number;

struct inc_run {
  inc_run_parts parts;
  char *folder;
  int lock, log;
  inc_events *events; /* TensorBoard's, beside the log */
  int64_t first, steps, epoch_steps, batch, save_every, val_every, bad;
  int n_outputs, n_numbers, n_state, n_export, n_meta, n_export_meta;
  char *output[INC_RUN_OUTPUTS];
  number number[INC_RUN_NUMBERS];
  inc_tensor *rng;
  uint64_t seed;
  inc_named *state, *export_;
  inc_pair *meta, *export_meta; /* `meta` has room for what save.c adds */
  inc_text changes, line;
  int keep;
  bool best_last;
  char note[128];                         /* for the next log line: what was set by hand */
  double last_end, step_time, wait_share; /* seconds; smoothed */
  double started;
  int64_t told_bad;

  pthread_t thread;
  _Atomic int refs;
  pthread_mutex_t m;
  pthread_cond_t changed;
  inc_run_status status;
  bool stop, pause, save, busy, over;
  int holds;
  int64_t until; /* steps; INT64_MAX: never rest */
  struct {
    int number;
    double value;
  } set[INC_RUN_NUMBERS]; /* numbers to change before the next step */
  int n_set;
  inc_run_event *event;
  int n_events, cap_events;
};

enum { INC_RUN_OWN_META = 12 };

void *inc_run_thread(void *run);
void inc_run_tell(inc_run *r, inc_run_event e); /* takes e.text over */
int inc_run_checkpoint(inc_run *r);             /* the state after status.step steps */
int inc_run_export(inc_run *r);                 /* best.safetensors */
double inc_seconds(void);

#endif
