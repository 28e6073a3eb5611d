/* emit.h -- the one door through which every op goes, whether it runs or is recorded.
**
** inc_emit checks with op->infer first, so bad input is refused in either mode.  Eager: a prepared kernel is
** found or made, runs, and the result hangs on a gradient node if an input wants a gradient.  Tracing: the
** op joins the graph; results have shape and dtype and no data.  Modes are per thread.
*/
#ifndef INC_EMIT_H
#define INC_EMIT_H

#include "graph.h"

/* Run or record.  `in` has n_in entries, NULL where an optional tensor is absent; attr has INC_MAX_ATTRS.
** out[] receives inc_op_outputs(op) owned references. */
int inc_emit(const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr, inc_tensor **out);
/* The same for one output; NULL on failure. */
inc_tensor *inc_emit1(const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr);

/* -- modes of this thread --------------------------------------------------------------------------- */
bool inc_grad_enabled(void);
bool inc_grad_enable(bool on);     /* returns what it was */
int inc_precision(void);           /* INC_F32, or INC_BF16: what AUTOCAST ops run in */
int inc_precision_set(int dtype);  /* returns what it was */
bool inc_force_reference(bool on); /* reference loops only, for tests; returns what it was */

/* -- tracing ---------------------------------------------------------------------------------------- */
inc_graph *inc_tracing(void); /* the graph being recorded on this thread, or NULL */
int inc_trace_begin(inc_graph *g);
void inc_trace_end(void);
int inc_trace_input(const inc_spec *spec, inc_tensor **out); /* a symbol for the next argument */
int inc_trace_output(inc_tensor *t);                         /* declare a result */
int inc_trace_stream(void); /* the next dropout stream of this trace (or of the eager counter) */

/* -- names for errors and plans --------------------------------------------------------------------- */
void inc_scope_push(const char *name); /* "Mixed_6b", "branch1x1": joined with dots */
void inc_scope_pop(void);
void inc_scope_reset(void);
const char *inc_scope(void);
extern void (*inc_where_hook)(char *out, size_t n); /* set by the binding: the user's Lua line */

/* -- the default generator: an i64 tensor {seed, step} ----------------------------------------------- */
int inc_rng_tensor(inc_tensor **out); /* borrowed: the tensor of inc_rng_use, or the process's own */
void inc_rng_use(inc_tensor *t);      /* a run's own {seed, step}; NULL: back to the process's */
bool inc_rng_is_default(const inc_tensor *t);
void inc_rng_seed(uint64_t seed);
uint64_t inc_rng_seed_get(void);

#endif
