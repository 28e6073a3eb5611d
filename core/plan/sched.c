/* sched.c -- the order of execution: what only the step sees first, then the writes that outlive it.
**
** An op commits if it writes a captured tensor or reads what such a write made.  Committing ops keep their
** order among themselves; moving them last is safe because no op before them can read a new version (it
** would be committing itself), and old versions are read before they are overwritten.  Elementwise ops that
** only committing ops read go with them: they then run in one tile with the write that they are for, and their
** results need no memory of their own in between.
*/
#include "base/mem.h"
#include "plan/passes.h"
#include <string.h>

static bool version_of_captured(const inc_graph *g, int value) {
  const inc_value *v = &g->values[value];
  return v->kind == INC_V_OP && v->slot < 0 && g->values[inc_graph_root(g, value)].kind == INC_V_CAPTURED;
}

static bool commits(const inc_graph *g, const inc_gop *op) {
  for (int k = 0; k < op->node.n_in; k++) {
    if (op->version[k] >= 0 && g->values[inc_graph_root(g, op->in[k])].kind == INC_V_CAPTURED) return true;
    if (op->in[k] < 0) continue;
    int p = inc_graph_producer(g, op->in[k]);
    if (version_of_captured(g, op->in[k]) || (p >= 0 && g->ops[p].commit)) return true;
  }
  return false;
}

static bool writes_root(const inc_graph *g, const inc_gop *op, int root) {
  for (int k = 0; k < op->node.n_out; k++)
    if (inc_graph_root(g, op->out[k]) == root) return true;
  for (int k = 0; k < op->node.n_in; k++)
    if (op->version[k] >= 0 && inc_graph_root(g, op->in[k]) == root) return true;
  return false;
}

/* Does an op that runs before all commits write, later than `place`, into memory that this one reads? */
static bool overtaken(const inc_graph *g, int place) {
  const inc_gop *o = &g->ops[g->order[place]];
  for (int i = place + 1; i < g->n_order; i++) {
    const inc_gop *later = &g->ops[g->order[i]];
    if (later->commit || later->node.op->flags & INC_OP_VIEW) continue;
    for (int k = 0; k < o->node.n_in; k++)
      if (o->in[k] >= 0 && writes_root(g, later, inc_graph_root(g, o->in[k]))) return true;
  }
  return false;
}

/* Is everything that the op makes read by committing ops, and by nothing else? */
static bool serves_commits(const inc_graph *g, int place) {
  const inc_gop *o = &g->ops[g->order[place]];
  if (o->commit || !(o->node.op->flags & INC_OP_EWISE) || o->node.n_out != 1) return false;
  int value = o->out[0], readers = 0;
  const inc_value *v = &g->values[value];
  if (v->output || (v->base >= 0 && v->base != o->in[0])) return false;
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *reader = &g->ops[g->order[i]];
    for (int k = 0; k < reader->node.n_in; k++) {
      if (reader->in[k] != value) continue;
      if (!reader->commit) return false;
      readers++;
    }
  }
  return readers > 0 && !overtaken(g, place);
}

void inc_mark_commits(inc_graph *g) {
  for (int i = 0; i < g->n_order; i++) g->ops[g->order[i]].commit = commits(g, &g->ops[g->order[i]]);
  for (int i = g->n_order - 1; i >= 0; i--)
    if (serves_commits(g, i)) g->ops[g->order[i]].commit = true;
}

int inc_pass_sched(inc_graph *g) {
  int *order = inc_alloc(sizeof *order * (size_t)(g->n_order + 1)), n = 0;
  if (!order) return INC_EMEM;
  inc_mark_commits(g);
  for (int late = 0; late < 2; late++)
    for (int i = 0; i < g->n_order; i++)
      if (g->ops[g->order[i]].commit == late) order[n++] = g->order[i];
  memcpy(g->order, order, sizeof *order * (size_t)n);
  inc_free(order);
  return INC_OK;
}
