/* internal.h -- inside a plan: shared by plan.c (making), run.c (replaying) and explain.c (telling). */
#ifndef INC_PLAN_INTERNAL_H
#define INC_PLAN_INTERNAL_H

#include "plan/arena.h"
#include "plan/plan.h"
#include "plan/tile.h"
#include <pthread.h>

enum { INC_MAX_DUMPS = 12 };

typedef struct inc_step { /* one prepared kernel, or tiles of several */
  int op;                 /* of tiles, the first */
  inc_tiles *tiles;       /* NULL for a kernel */
  inc_kernel *kernel;
  inc_choice choice;
  void **in, **out; /* addresses, filled when the arena exists; entries of inputs are patched at each run */
  void *workspace;  /* where its scratch lies in the arena */
  int place;        /* in the order of the graph */
  uint32_t same;    /* inputs that only change when hoisted work is done again */
  int64_t ns;       /* of the last profiled run */
} inc_step;

typedef struct inc_patch { /* an address that depends on an argument of the run */
  void **slot;
  int input;
  int64_t bytes; /* offset from the argument's first element */
} inc_patch;

typedef struct inc_watch { /* a captured tensor that hoisted work reads */
  inc_tensor *tensor;      /* borrowed from the graph */
  uint32_t version;
} inc_watch;

struct inc_plan {
  _Atomic int refs;
  pthread_mutex_t lock;
  inc_graph *g;
  inc_plan_opts opts;
  inc_step *steps;
  int n_steps, n_hoisted, n_compute; /* hoisted, then compute, then commit */
  inc_place *places;                 /* [values] */
  inc_place *scratch;                /* [order] workspaces */
  bool *inner;                       /* [values] made and used up inside a tile: no place of their own */
  size_t arena_bytes, sum_bytes, workspace_bytes, kept_bytes;
  char *arena;       /* NULL until the first run */
  inc_arena *shared; /* whose block `arena` is, or NULL: a block of its own */
  inc_patch *patches;
  int n_patches;
  inc_watch *watches;
  int n_watches;
  bool hoisted_done, profile, steps_rng;
  const inc_tensor *const *args; /* of the run under way */
  struct {
    const char *pass;
    char *text;
  } dumps[INC_MAX_DUMPS];
  int n_dumps;
};

struct inc_arena {
  _Atomic int refs;
  char *block;
  size_t bytes;
  const inc_plan *user; /* the plan that ran last; never looked into */
};
int inc_arena_take(inc_plan *p, char **block);
void inc_plan_drop_arena(inc_plan *p);

/* Address of a value, given the arena; inputs give NULL. */
void *inc_plan_address(const inc_plan *p, int value);
int inc_plan_allocate(inc_plan *p); /* arena and addresses; anew when a shared block has moved */

#endif
