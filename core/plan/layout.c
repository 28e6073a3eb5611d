/* layout.c -- which order of dims each value has.
**
** Layouts are strides (base/spec.h), and every shape rule lets its results follow its inputs.  So it is
** enough to turn the input of the first kernel that wants channels-last; all after it follows, gradients
** too.  Weights stay as they are: kernels pack them (measured: 2% of a step, and masters, slots and files
** keep one plain order).
*/
#include "plan/passes.h"

static bool turnable(const inc_graph *g, const inc_gop *op) {
  if (op->node.n_in < 1 || op->in[0] < 0 || (op->node.op->flags & INC_OP_VIEW)) return false;
  const inc_spec *s = &g->values[op->in[0]].spec;
  return s->ndim == 4 && !inc_spec_is_channels_last(s) && inc_spec_is_contiguous(s) && s->shape[1] > 1 &&
         s->shape[2] * s->shape[3] > 1;
}

/* A copy that an earlier op asked for. */
static int turned_before(const inc_graph *g, int place, int value) {
  for (int i = 0; i < place; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    if (!op->dead && op->node.op == &inc_op_contiguous && op->in[0] == value && op->node.attr[0].i[0] == 1)
      return op->out[0];
  }
  return -1;
}

static int turn_input(inc_graph *g, int place, int op) {
  int turned, from = g->ops[op].in[0], before = turned_before(g, place, from);
  if (before >= 0) {
    g->ops[op].in[0] = before;
    return INC_OK;
  }
  inc_attr format = INC_INT(1);
  INC_TRY(inc_graph_insert(g, place, &inc_op_contiguous, 1, &from, &format, op, &turned));
  g->ops[turned].note = "to channels-last";
  g->ops[op].in[0] = g->ops[turned].out[0];
  return INC_OK;
}

int inc_pass_layout(inc_graph *g) {
  for (int i = 0; i < g->n_order; i++) {
    int op = g->order[i];
    inc_graph_load_specs(g, op);
    if (g->ops[op].dead || !turnable(g, &g->ops[op]) ||
        !inc_cpu_backend.wants_channels_last(&g->ops[op].node))
      continue;
    INC_TRY(turn_input(g, i, op));
    INC_TRY(inc_graph_reinfer(g));
    i = inc_graph_place(g, op);
  }
  return inc_graph_reinfer(g);
}
