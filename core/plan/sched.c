/* sched.c -- the order of execution: what only the step sees first, then the writes that outlive it.
**
** An op commits if it writes a captured tensor or reads what such a write made.  Committing ops keep their
** order among themselves; moving them last is safe because no op before them can read a new version (it
** would be committing itself), and old versions are read before they are overwritten.
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

int inc_pass_sched(inc_graph *g) {
  int *order = inc_alloc(sizeof *order * (size_t)(g->n_order + 1)), n = 0;
  if (!order) return INC_EMEM;
  for (int i = 0; i < g->n_order; i++) g->ops[g->order[i]].commit = commits(g, &g->ops[g->order[i]]);
  for (int late = 0; late < 2; late++)
    for (int i = 0; i < g->n_order; i++)
      if (g->ops[g->order[i]].commit == late) order[n++] = g->order[i];
  memcpy(g->order, order, sizeof *order * (size_t)n);
  inc_free(order);
  return INC_OK;
}
