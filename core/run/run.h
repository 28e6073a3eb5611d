/* run.h -- a training run: one thread that steps, logs, validates and saves, and takes messages between
** steps.
**
** The thread never enters Lua.  What it drives is a small table of functions (inc_run_parts): the real one
** joins a loader and planned steps (parts.h), tests bring their own.  Everything that changes from step to
** step is a table made before the start (learning rate) or follows from the step number (random streams), so
** a run that goes on from a checkpoint is the same to the bit.
**
** A run is a list of stages (stage.c): between two steps it may go on with another plan, other state, other
** tables.  What was changed by hand stands in changes.jsonl with its step, written before the change is made, so
** that a resume from any earlier checkpoint makes the same change at the same step.
**
** Order within a step: batch, numbers, compute, look at the loss, commit, validation if due, log line, best,
** checkpoint if due.  Whatever fails before commit leaves the weights of the step before.
*/
#ifndef INC_RUN_H
#define INC_RUN_H

#include "base/err.h"
#include "base/text.h"
#include "run/plateau.h"
#include "run/safetensors.h"
#include "run/score.h"

typedef struct inc_run inc_run;

typedef struct inc_run_parts {
  void *self;
  int (*next)(void *self, inc_batch *b); /* blocks until a batch is there */
  void (*release)(void *self, const inc_batch *b);
  int (*compute)(void *self, const inc_batch *b);
  double (*peek)(void *self, int output); /* output 0 is the loss */
  int (*commit)(void *self);
  int (*find_nan)(void *self, char *name, size_t n);                      /* of the last compute */
  int (*validate)(void *self, inc_run_val *out);                          /* NULL: no validation */
  int64_t (*bad)(void *self, int64_t i, char *path, char *why, size_t n); /* how many; text of number i */
  void (*free)(void *self);
  int (*judged)(void *self, inc_text *out); /* lists of the last validation for val.json, or NULL */
  /* Before the first step of a stage that is not the run's first: take the place of the parts before it, which
  ** are freed next.  NULL: there is nothing to take over. */
  int (*take)(void *self, void *before);
  void (*loading)(void *self, inc_loader_stats *out); /* what its pictures cost so far, or NULL */
} inc_run_parts;

/* A 0-d tensor that is written before each step. */
typedef struct inc_run_number {
  const char *name; /* "lr" */
  inc_tensor *t;
  const double *value; /* [steps - first] for the steps still to be made */
  inc_plateau plateau; /* on: its factor comes on top */
} inc_run_number;

/* A number that was set by hand before step `step`, which is still to be made. */
typedef struct inc_run_set_at {
  int64_t step;
  const char *name;
  double value;
} inc_run_set_at;

/* to = from * scale, before the first step of a stage. */
typedef struct inc_run_copy {
  inc_tensor *from, *to;
  double scale;
} inc_run_copy;

enum { INC_RUN_NUMBERS = 8, INC_RUN_OUTPUTS = 8, INC_RUN_KEEP = 3 };

typedef struct inc_run_opts {
  inc_run_parts parts;  /* taken over, also on failure */
  const char *folder;   /* exists, and is locked: */
  int lock;             /* taken over, also on failure; -1: none */
  int64_t first, steps; /* steps already made; total */
  int64_t epoch_steps, batch;
  int64_t origin;                /* added to the number of steps made, where epochs are counted */
  int64_t save_every, val_every; /* steps; 0: only at the end */
  int64_t bad;                   /* pictures left out before the start */
  int n_outputs, n_numbers, n_state, n_export, n_meta, n_export_meta;
  const char *const *output;    /* names of the plan's outputs; the first is "loss" */
  const inc_run_number *number; /* the first is the learning rate */
  inc_tensor *rng;              /* i64 {seed, step}, or NULL */
  uint64_t seed;
  const inc_named *state;   /* all that a checkpoint holds */
  const inc_named *export_; /* what best.safetensors holds */
  const inc_pair *meta, *export_meta;
  const inc_run_set_at *set; /* numbers set by hand, in order of steps: [n_set] */
  int n_set;
  double best, best_loss; /* held-out top-1 and loss of best.safetensors so far; best below 0: none yet */
  int64_t best_step;      /* -1: none yet */
  int64_t until;          /* rest when so many steps are made, until told to go on; 0: never */
  int keep;               /* checkpoints to keep; 0: INC_RUN_KEEP */
  bool best_last;         /* best.safetensors is written once, of the last step */
  bool retell;            /* a log that has no event files yet (a fork's) is told to them first */
  /* Of a stage that follows another: */
  const struct inc_run_opts *next; /* the stage that begins when next->first steps are made, or NULL */
  const inc_run_copy *copy;        /* [n_copies] */
  int n_copies;
  bool fresh;       /* its tables count from here on; otherwise numbers go on as they were, by name */
  const char *note; /* for the log line of its first step, or NULL */
} inc_run_opts;

/* All texts and lists of opts are copied, tensors are referenced.  Of `next`, what belongs to a stage is used:
** parts (taken over, also on failure), numbers, outputs, state, intervals; not the folder or the best so far. */
int inc_run_start(const inc_run_opts *opts, inc_run **out);
inc_run *inc_run_ref(inc_run *r);
void inc_run_unref(inc_run *r); /* the last one stops it (saving) and waits */

/* -- messages: taken between two steps; from any thread ------------------------------------------------- */
void inc_run_stop(inc_run *r); /* finish the step, save, end */
void inc_run_pause(inc_run *r, bool on);
void inc_run_save(inc_run *r);                /* a checkpoint after the step at hand, or at rest */
void inc_run_until(inc_run *r, int64_t step); /* go on, and rest when `step` steps are made; 0: never rest */
/* Wait until it rests there or is over, for some seconds at most, or until Ctrl-C.  What it has to save then it
** saves while it rests: others may step. */
bool inc_run_reached(inc_run *r, double seconds);
/* Another stage from here on; the run must be held, and opts->first the steps it has made.  `line` is what
** changes.jsonl says of it. */
int inc_run_then(inc_run *r, const inc_run_opts *opts, const char *line);
/* A number keeps `value` from the next step on.  EARG for an unknown name. */
int inc_run_set(inc_run *r, const char *name, double value);
/* Between hold and release the thread rests between two steps, so that its tensors can be read or changed.  The step
** at hand may take long, with a validation behind it: Ctrl-C ends the waiting with INC_EINTR, and nothing is held. */
int inc_run_hold(inc_run *r);
void inc_run_release(inc_run *r);

/* What the plateaus of a run that is held remember, by the name of their number, as a JSON object. */
void inc_run_plateaus(const inc_run *r, inc_text *t);

/* -- what it is doing ----------------------------------------------------------------------------------- */
typedef enum inc_run_state {
  INC_RUN_RUNNING,
  INC_RUN_PAUSED,
  INC_RUN_FINISHED,
  INC_RUN_STOPPED,
  INC_RUN_FAILED
} inc_run_state;

/* Seconds since the start by what went on: waiting for pictures, steps, validation, and log, checkpoints. */
typedef struct inc_run_time {
  double wait, compute, validate, save;
} inc_run_time;

typedef struct inc_run_status {
  inc_run_state state;
  int64_t step, steps, epoch, epochs; /* epoch from 1 */
  double loss, smooth_loss;           /* NaN before the first step */
  double lr, img_s;
  double data_wait; /* share of the time that went by waiting for data */
  inc_run_time time;
  inc_loader_stats loading; /* pictures == 0: not known */
  double eta;               /* seconds; below 0: not known yet */
  double seconds;           /* since the start */
  inc_run_val val;          /* n == 0: none yet */
  double best, best_loss;
  int64_t best_step, saved_step, bad;
  int64_t changes_at; /* steps made when the next stage begins; -1: none to come */
  inc_error error;    /* INC_RUN_FAILED */
} inc_run_status;
void inc_run_status_get(inc_run *r, inc_run_status *out);
bool inc_run_over(inc_run *r);
/* Wait until it is over, or for some seconds, or until Ctrl-C (EINTR).  true: it is over. */
bool inc_run_wait(inc_run *r, double seconds);

typedef enum inc_run_event_kind {
  INC_EV_EPOCH,
  INC_EV_VAL,
  INC_EV_SAVE,
  INC_EV_BEST,
  INC_EV_BAD,
  INC_EV_END
} inc_run_event_kind;
typedef struct inc_run_event {
  inc_run_event_kind kind;
  int64_t step;
  inc_run_val val; /* INC_EV_VAL */
  char *text;      /* INC_EV_BAD: "path: why"; free with inc_free */
} inc_run_event;
bool inc_run_event_take(inc_run *r, inc_run_event *out); /* oldest first; false: none */

#endif
