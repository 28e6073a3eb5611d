/* choice.h -- which of several kernels serves a node of a plan: measured once, kept, and recorded with a run.
**
** Where a convolution or product has more than one real kernel, each is timed on the node's own shapes and
** strides with the threads in use, and the fastest is taken; one that comes later in the table must win by 3%
** (15% while others are at work), so that noise does not decide.  Batches are timed in part: ranks do not
** change above a few pictures (measured), and a first plan must not take longer than the steps it saves.
**
** Answers are kept in a table of the process and in $XDG_CACHE_HOME/incsh/kernels-<machine>.txt, so that the
** next start asks nothing.  A run records the answers of its plans; inc_choice_import lays them over the
** table before the run is planned again, and it goes on to the bit whatever the cache says by then.
** INC_TUNE=off takes the fixed choice (the first of the table), but for what was imported.
**
** Rejected: timing in the plan's arena, which exists only once the choices are made; a model of cost, which
** was wrong for Winograd on small pictures in every form tried; the library's own "auto", which times nothing.
*/
#ifndef INC_CHOICE_H
#define INC_CHOICE_H

#include "backend.h"

typedef struct choice_entry { /* what is known of one node */
  inc_tuned known;
  struct choice_entry *next;
  bool imported;
} choice_entry;

/* One of all[n]; out->tuned says why.  prep: INC_PREP_KEEP if in[1] is constant. */
int inc_choice_pick(const inc_node *node, const inc_choice *all, int n, uint32_t prep, inc_choice *out);
/* After the last pick of a plan: scratch memory goes, new answers are kept in the cache file. */
void inc_choice_settle(void);
/* Lines "op impl\tname\tkey" of a run's record; others are passed over. */
int inc_choice_import(const char *text);
/* What went wrong with the cache file since the last call, or "". */
const char *inc_choice_note(void);
void inc_choice_forget(void); /* tests: drop the table, as if the process had just started */

enum { CHOICES = 16 }; /* most that are looked at for a node, the reference among them */
const char *inc_choice_name(const inc_choice *c); /* "winograd"; the same for all sizes of a node */

/* -- inside ------------------------------------------------------------------------------------------- */
/* Milliseconds of each of all[which[n]].  Called from any thread, runs on the compute thread. */
int inc_choice_time(const inc_node *node, const inc_choice *all, const int *which, int n, uint32_t prep,
                    double *ms);
void inc_choice_time_done(void);             /* frees what timing keeps */
bool inc_choice_busy(void);                  /* others are at work on the machine */
bool inc_choice_worth(const inc_node *node); /* enough arithmetic to be worth a measurement */
/* The cache file. read calls `add` for each of its lines; both do nothing where there is no home. */
void inc_choice_file_read(int (*add)(const char *key, const char *name, const char *times));
void inc_choice_file_write(const choice_entry *first);
void inc_choice_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
