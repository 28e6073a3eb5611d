/* plan.h -- a whole step, planned once and replayed from C.
**
** inc_plan_compile takes a traced graph through the passes (passes.h) and prepares one kernel a node.
** Running is a loop over prepared kernels on the compute thread: no allocation, no Lua, no look-up.
**
** A step has two halves.  `compute` runs everything that only the step itself can see; `commit` runs the
** writes that outlive it (weights, slots, statistics, averages), in program order where that matters, with no
** point of interruption.  So a NaN, Ctrl-C or an error before commit leaves nothing half done.
*/
#ifndef INC_PLAN_H
#define INC_PLAN_H

#include "backend.h"
#include "graph.h"

typedef struct inc_plan inc_plan;

enum { /* passes that can be switched off (bits of inc_plan_opts.off) */
       INC_PASS_SIMPLIFY = 1,
       INC_PASS_FUSE = 2,
       INC_PASS_LAYOUT = 4,
       INC_PASS_ALIAS = 8,
       INC_PASS_RECOMPUTE = 16,
       INC_PASS_ARENA = 32, /* off: every value has its own memory */
       INC_PASS_HOIST = 64, /* work on captured tensors alone is done again only when they change */
       INC_PASS_TILE = 128, /* chains of elementwise ops block by block */
       INC_PASS_UNCAST = 256,
       INC_PASS_DENSIFY = 512,
       INC_PASS_SIBLINGS = 1024,
       INC_PASS_GATHER = 2048, /* the updates of all parameters as one step */
};

typedef struct inc_plan_opts {
  uint32_t off;
  bool reference; /* reference kernels only, for tests */
  bool exact; /* no kernel that rounds more than a plain sum of products: f32 parity with other programs */
  bool dumps; /* keep the text of the graph after each pass */
  /* Kernels of a node were compared by running them, which takes seconds for a whole net: it is the `done`th of
  ** `all` nodes that may need it.  Called in inc_plan_compile alone, by its thread; NULL: nobody listens. */
  void (*told)(void *listener, int done, int all);
  void *listener;
} inc_plan_opts;

/* Takes over `g` (also on failure). */
int inc_plan_compile(inc_graph *g, const inc_plan_opts *opts, inc_plan **out);
inc_plan *inc_plan_ref(inc_plan *p);
void inc_plan_unref(inc_plan *p);

/* One block that several plans use by turns, for plans that never run at the same time: not even between the
** compute of one and its commit or the reading of its outputs.  What a plan keeps from run to run is done
** again when another one used the block meanwhile.  ESTATE once the plan has run. */
typedef struct inc_arena inc_arena;
int inc_arena_new(inc_arena **out);
inc_arena *inc_arena_ref(inc_arena *a);
void inc_arena_unref(inc_arena *a);
int inc_plan_share(inc_plan *p, inc_arena *a);

int inc_plan_inputs(const inc_plan *p);
int inc_plan_outputs(const inc_plan *p);
const inc_spec *inc_plan_input_spec(const inc_plan *p, int i);
const inc_spec *inc_plan_output_spec(const inc_plan *p, int k);

/* Both halves; out[] (inc_plan_outputs of them) receives new tensors.  Inputs must have the traced shapes
** and dtypes; other strides are copied first.  Callable from any thread; calls on one plan do not overlap. */
int inc_plan_run(inc_plan *p, inc_tensor *const *in, inc_tensor **out);

/* The halves, for a training loop.  Between them inc_plan_peek reads an output where it lies in the arena
** (its first element as a double); commit must follow the compute it belongs to, or be left out. */
int inc_plan_compute(inc_plan *p, inc_tensor *const *in);
int inc_plan_commit(inc_plan *p);
double inc_plan_peek(const inc_plan *p, int output);
/* Copy output k to `dst` (contiguous, inc_plan_output_spec dtype). */
int inc_plan_read(const inc_plan *p, int output, void *dst);
/* The first op, in order, whose float output is not finite, of the last compute: its layer's name and Lua
 ** line into `name`; "" if all are finite.  Re-runs the step with checks; slow. */
int inc_plan_find_nan(inc_plan *p, inc_tensor *const *in, char *name, size_t n);

typedef struct inc_plan_memory {
  size_t arena;         /* activations, gradients, temporaries, kernels' scratch: one block */
  size_t workspace;     /* of it, the largest scratch of a kernel */
  size_t kept;          /* hoisted values and packed weights */
  size_t captured;      /* tensors that exist outside: weights, slots, statistics */
  size_t without_reuse; /* what the arena would take if nothing shared memory */
  int kernels, references;
} inc_plan_memory;
/* Known after compile, before anything is allocated (the arena comes with the first run). */
void inc_plan_memory_get(const inc_plan *p, inc_plan_memory *m);

/* Text from inc_alloc. */
int inc_plan_explain(inc_plan *p, char **out); /* one row a node, with times once it has run */
int inc_plan_dump(const inc_plan *p, const char *pass,
                  char **out);               /* "trace", "simplify", ...: needs opts.dumps */
void inc_plan_profile(inc_plan *p, bool on); /* time each node of the following runs */

/* Everything that decides the bits, stored with a run: thread count, then a line a kernel with its name and,
** where several were compared, the choice and the node, which the device can import again. */
int inc_plan_choices(const inc_plan *p, char **out);

#endif
