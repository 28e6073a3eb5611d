/* simplify.c -- dead code, common subexpressions, casts and copies that change nothing.
**
** An op is needed if an output needs it or if it writes a captured tensor.  Two ops are one if they have the
** same op, attributes and inputs and touch no memory that is written in place (the second might read after
** the write).  Random ops are pure functions of their counters, so they need no exception.
*/
#include "base/mem.h"
#include "plan/passes.h"
#include <string.h>

static bool mutates(const inc_gop *op) {
  for (int k = 0; k < op->node.n_in; k++)
    if (op->version[k] >= 0) return true;
  return false;
}

static bool writes_captured(const inc_graph *g, const inc_gop *op) {
  for (int k = 0; k < op->node.n_in; k++)
    if (op->version[k] >= 0 && g->values[inc_graph_root(g, op->in[k])].kind == INC_V_CAPTURED) return true;
  return false;
}

/* Memory that is written in place pins every op that makes or touches it. */
static void mark_written_roots(const inc_graph *g, bool *written) {
  for (int i = 0; i < g->n_values; i++) {
    const inc_value *v = &g->values[i];
    if (v->kind == INC_V_OP && v->slot < 0 && !g->ops[v->op].dead) written[inc_graph_root(g, i)] = true;
  }
}

static bool needed(const inc_graph *g, const inc_gop *op, const bool *live, const bool *written) {
  if (writes_captured(g, op)) return true;
  for (int k = 0; k < op->node.n_out; k++)
    if (live[op->out[k]]) return true;
  for (int k = 0; k < op->node.n_in; k++) /* a write to a temporary: needed while anything of its memory is */
    if (op->version[k] >= 0 && written[inc_graph_root(g, op->in[k])]) return true;
  return false;
}

static void drop_dead(inc_graph *g, bool *live, const bool *written) {
  memset(live, 0, sizeof *live * (size_t)g->n_values);
  for (int i = 0; i < g->n_outputs; i++) live[g->outputs[i]] = true;
  for (int i = g->n_order - 1; i >= 0; i--) {
    inc_gop *op = &g->ops[g->order[i]];
    if (!needed(g, op, live, written)) {
      op->dead = true;
      continue;
    }
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] >= 0) live[op->in[k]] = true;
  }
  inc_graph_sweep(g);
}

/* Is the copy read after its source was written?  Then it is there to hold what was before. */
static bool outlives_source(const inc_graph *g, const inc_gop *op) {
  int copy = inc_graph_root(g, op->out[0]), source = inc_graph_root(g, op->in[0]);
  bool made = false, changed = false;
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *o = &g->ops[g->order[i]];
    made |= o == op;
    for (int k = 0; made && k < o->node.n_in; k++)
      if (changed && o->in[k] >= 0 && inc_graph_root(g, o->in[k]) == copy) return true;
    for (int k = 0; made && k < o->node.n_in; k++)
      changed |= o->version[k] >= 0 && o->in[k] >= 0 && inc_graph_root(g, o->in[k]) == source;
  }
  return false;
}

static bool is_noop(const inc_graph *g, const inc_gop *op) {
  const inc_spec *in = &op->node.in[0], *out = &op->node.out[0];
  if (op->node.op != &inc_op_cast && op->node.op != &inc_op_contiguous) return false;
  return in->dtype == out->dtype && inc_spec_same_strides(in, out) && !g->values[op->out[0]].output &&
         !outlives_source(g, op);
}

static bool same_op(const inc_gop *a, const inc_gop *b) {
  return a->node.op == b->node.op && a->node.n_in == b->node.n_in &&
         !memcmp(a->in, b->in, sizeof *a->in * (size_t)a->node.n_in) && inc_gop_same_attrs(a, b);
}

static bool pinned(const inc_graph *g, const inc_gop *op, const bool *written) {
  if (mutates(op)) return true;
  for (int k = 0; k < op->node.n_in; k++)
    if (op->in[k] >= 0 && written[inc_graph_root(g, op->in[k])] &&
        g->values[inc_graph_root(g, op->in[k])].kind != INC_V_CAPTURED)
      return true;
  for (int k = 0; k < op->node.n_out; k++)
    if (written[inc_graph_root(g, op->out[k])] || g->values[op->out[k]].output) return true;
  return false;
}

static void take_over(inc_graph *g, inc_gop *op, const inc_gop *from) {
  for (int k = 0; k < op->node.n_out; k++) inc_graph_replace(g, op->out[k], from->out[k]);
  op->dead = true;
}

/* Values carry versions, so equal input numbers mean equal contents, also for captured tensors. */
static void merge_common(inc_graph *g, const bool *written) {
  for (int i = 0; i < g->n_order; i++) {
    inc_gop *op = &g->ops[g->order[i]];
    if (op->dead || pinned(g, op, written)) continue;
    if (is_noop(g, op)) {
      inc_graph_replace(g, op->out[0], op->in[0]);
      op->dead = true;
      continue;
    }
    for (int j = i - 1; j >= 0; j--) {
      const inc_gop *before = &g->ops[g->order[j]];
      if (before->dead || before->node.op != op->node.op || !same_op(before, op) ||
          pinned(g, before, written))
        continue;
      take_over(g, op, before);
      break;
    }
  }
  inc_graph_sweep(g);
}

int inc_pass_simplify(inc_graph *g) {
  bool *live = inc_alloc((size_t)g->n_values + 1), *written = inc_zalloc((size_t)g->n_values + 1);
  int code = live && written ? INC_OK : INC_EMEM;
  if (!code) {
    mark_written_roots(g, written);
    drop_dead(g, live, written);
    merge_common(g, written);
    drop_dead(g, live, written);
  }
  inc_free(live);
  inc_free(written);
  return code;
}
