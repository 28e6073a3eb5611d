/* alias.c -- concat without copies, and results in the place of inputs that die.
**
** A concat along channels of channels-last values becomes its own buffer, into whose channel slices the
** producers write, where their kernels can (the device is asked; a library convolution would fall back to
** a reference loop, our batch_norm and pooling kernels do not).  Parts whose producer cannot are copied.
** The gradient of a concat needs nothing: it is views.
*/
#include "base/mem.h"
#include "plan/passes.h"
#include <string.h>

/* Would the op's best kernel still be a real one with this spec for its output? */
static bool can_write(const inc_graph *g, int op, const inc_spec *out) {
  inc_choice choice;
  inc_spec specs[8];
  inc_node node = g->ops[op].node;
  if (node.n_out < 1 || node.n_out > 8) return false;
  memcpy(specs, node.out, sizeof *specs * (size_t)node.n_out);
  specs[0] = *out;
  node.out = specs;
  return inc_best_choice(&node, &choice) && !(choice.flags & INC_K_REF);
}

/* Do all other readers still have a real kernel when the value is a slice? */
static bool readers_agree(inc_graph *g, int value, int cat, const inc_spec *slice) {
  for (int i = 0; i < g->n_order; i++) {
    inc_gop *op = &g->ops[g->order[i]];
    if (g->order[i] == cat || !inc_gop_reads(op, value)) continue;
    if (op->node.op->flags & INC_OP_VIEW) return false;
    inc_choice choice;
    inc_spec in[64];
    if (op->node.n_in > 64) return false;
    memcpy(in, op->node.in, sizeof *in * (size_t)op->node.n_in);
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] == value) in[k] = *slice;
    inc_node node = op->node;
    node.in = in;
    if (!inc_best_choice(&node, &choice) || choice.flags & INC_K_REF) return false;
  }
  return true;
}

static bool part_can_live_inside(inc_graph *g, int cat, int value, const inc_spec *slice) {
  int p = inc_graph_producer(g, value);
  const inc_value *v = &g->values[value];
  if (p < 0 || v->base >= 0 || v->slot != 0 || v->output || inc_graph_written(g, value)) return false;
  if (g->ops[p].node.op->flags & INC_OP_VIEW || g->ops[p].node.op == &inc_op_cat) return false;
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i].base == value) return false;
  return can_write(g, p, slice) && readers_agree(g, value, cat, slice);
}

static void move_inside(inc_graph *g, int value, int whole, int64_t offset, const inc_spec *slice) {
  inc_gop *p = &g->ops[g->values[value].op];
  g->values[value].spec = p->node.out[0] = *slice;
  g->values[value].base = whole;
  g->values[value].base_offset = offset;
  if (!p->note) p->note = "writes into a concat";
}

static int copy_inside(inc_graph *g, int cat, int k, int64_t offset, const inc_spec *slice) {
  int copy, from = g->ops[cat].in[k], whole = g->ops[cat].out[0];
  inc_attr format = INC_INT(1);
  INC_TRY(inc_graph_insert(g, inc_graph_place(g, cat), &inc_op_contiguous, 1, &from, &format, cat, &copy));
  g->ops[copy].note = "copied into a concat";
  move_inside(g, g->ops[copy].out[0], whole, offset, slice);
  return INC_OK;
}

static bool is_channel_concat(const inc_graph *g, const inc_gop *op) {
  if (op->node.op != &inc_op_cat) return false;
  const inc_spec *s = &g->values[op->out[0]].spec;
  int64_t dim = op->node.attr[0].i[0];
  return s->ndim == 4 && (dim == 1 || dim == -3) && inc_spec_is_channels_last(s) &&
         g->values[op->out[0]].base < 0;
}

static int split_concat(inc_graph *g, int cat) {
  int64_t offset = 0;
  for (int k = 0; k < g->ops[cat].node.n_in; k++) {
    int value = g->ops[cat].in[k], whole = g->ops[cat].out[0];
    inc_spec slice = g->values[value].spec;
    memcpy(slice.strides, g->values[whole].spec.strides, sizeof slice.strides);
    bool twice = false;
    for (int j = 0; j < k; j++) twice |= g->ops[cat].in[j] == value;
    if (!twice && part_can_live_inside(g, cat, value, &slice))
      move_inside(g, value, whole, offset, &slice);
    else
      INC_TRY(copy_inside(g, cat, k, offset, &slice));
    offset += slice.shape[1];
  }
  g->ops[cat].dead = true; /* its output value stays: it is the buffer */
  return INC_OK;
}

/* -- in place ------------------------------------------------------------------------------------------ */

static bool reads_root(const inc_graph *g, const inc_gop *op, int root) {
  for (int k = 0; k < op->node.n_in; k++)
    if (op->in[k] >= 0 && inc_graph_root(g, op->in[k]) == root) return true;
  return false;
}

/* Is the op in this place the last to read a root, also when all that commits is moved to the end? */
static bool reads_last(const inc_graph *g, int place, int root) {
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *other = &g->ops[g->order[i]];
    bool later = i > place || (other->commit && !g->ops[g->order[place]].commit);
    if (i != place && later && reads_root(g, other, root)) return false;
  }
  return true;
}

static bool root_is_ours(const inc_graph *g, int root) {
  if (g->values[root].kind != INC_V_OP) return false;
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i].output && inc_graph_root(g, i) == root) return false;
  return true;
}

static bool may_run_in_place(inc_graph *g, int place) {
  inc_gop *op = &g->ops[g->order[place]];
  if (!(op->node.op->flags & INC_OP_INPLACE) || op->node.n_out != 1 || op->in[0] < 0) return false;
  int in = op->in[0], out = op->out[0];
  const inc_spec *a = &g->values[in].spec, *b = &g->values[out].spec;
  if (a->dtype != b->dtype || !inc_spec_same_shape(a, b) || !inc_spec_same_strides(a, b)) return false;
  if (g->values[out].base >= 0 || g->values[out].output || inc_graph_producer(g, in) < 0) return false;
  int root = inc_graph_root(g, in);
  if (!root_is_ours(g, root) || g->values[in].base >= 0) return false;
  for (int k = 1; k < op->node.n_in; k++)
    if (op->in[k] >= 0 && inc_graph_root(g, op->in[k]) == root) return false;
  if (!reads_last(g, place, root)) return false;
  inc_choice choice;
  return inc_best_choice(&op->node, &choice) && choice.flags & INC_K_INPLACE;
}

int inc_pass_alias(inc_graph *g) {
  for (int i = 0; i < g->n_order; i++) {
    int op = g->order[i];
    if (!g->ops[op].dead && is_channel_concat(g, &g->ops[op])) {
      INC_TRY(split_concat(g, op));
      i = inc_graph_place(g, op);
    }
  }
  inc_graph_sweep(g);
  for (int i = 0; i < g->n_order; i++) inc_graph_load_specs(g, g->order[i]);
  inc_mark_commits(g);
  for (int i = 0; i < g->n_order; i++)
    if (may_run_in_place(g, i)) {
      inc_gop *op = &g->ops[g->order[i]];
      g->values[op->out[0]].base = op->in[0];
      g->values[op->out[0]].base_offset = 0;
      if (!op->note) op->note = "in place";
    }
  return INC_OK;
}
