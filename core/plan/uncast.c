/* uncast.c -- convolutions take their master weights.
**
** In bf16 precision every weight is cast by an op of its own, which the policy emits; a kernel that packs its
** weights anyway rounds them on the way, in the same pass over memory.  Where the device says so, the
** convolution reads the f32 master and the cast goes.  The values are the same: both round to nearest even.
** Runs after layout, because shape rules ask for equal dtypes.
*/
#include "plan/passes.h"
#include <string.h>

static bool reads_weight(const inc_op *op) {
  return op == &inc_op_conv2d || op == &inc_op_conv2d_relu || op == &inc_op_conv2d_backward_data;
}

static bool kernel_takes(const inc_gop *op, const inc_spec *weight) {
  inc_choice choice;
  inc_spec in[4];
  if (op->node.n_in > 4) return false;
  memcpy(in, op->node.in, sizeof *in * (size_t)op->node.n_in);
  in[1] = *weight;
  inc_node node = op->node;
  node.in = in;
  return inc_best_choice(&node, &choice) && !(choice.flags & INC_K_REF);
}

static void take_master(inc_graph *g, int op) {
  int cast = inc_graph_producer(g, g->ops[op].in[1]);
  if (cast < 0 || g->ops[cast].node.op != &inc_op_cast) return;
  int master = g->ops[cast].in[0], cast_value = g->ops[op].in[1];
  inc_graph_load_specs(g, op);
  if (g->values[master].spec.dtype != INC_F32 || !kernel_takes(&g->ops[op], &g->values[master].spec)) return;
  g->ops[op].in[1] = master;
  inc_graph_load_specs(g, op);
  if (inc_graph_count_uses(g, cast_value) == 0) g->ops[cast].dead = true;
}

int inc_pass_uncast(inc_graph *g) {
  for (int i = 0; i < g->n_order; i++)
    if (reads_weight(g->ops[g->order[i]].node.op)) take_master(g, g->order[i]);
  inc_graph_sweep(g);
  return INC_OK;
}
