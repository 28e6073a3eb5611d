/* edit.c -- the tools that passes share (passes.h).
** Uses are found by scanning: a step has a few thousand ops, a plan is made once, and an index that every
** edit must keep right costs more trouble than the milliseconds it saves. */
#include "base/mem.h"
#include "plan/passes.h"
#include <string.h>

int inc_graph_order_init(inc_graph *g) {
  inc_free(g->order);
  g->order = inc_alloc(sizeof *g->order * (size_t)(g->n_ops + 1));
  if (!g->order) return INC_EMEM;
  g->n_order = 0;
  for (int i = 0; i < g->n_ops; i++)
    if (!g->ops[i].dead) g->order[g->n_order++] = i;
  return INC_OK;
}

void inc_graph_sweep(inc_graph *g) {
  int n = 0;
  for (int i = 0; i < g->n_order; i++)
    if (!g->ops[g->order[i]].dead) g->order[n++] = g->order[i];
  g->n_order = n;
}

void inc_graph_load_specs(inc_graph *g, int op) {
  inc_gop *o = &g->ops[op];
  for (int k = 0; k < o->node.n_in; k++)
    if (o->in[k] >= 0) o->node.in[k] = g->values[o->in[k]].spec;
}

static int order_put(inc_graph *g, int at, int op) {
  int *order =
      inc_realloc(g->order, sizeof *order * (size_t)g->n_order, sizeof *order * (size_t)(g->n_order + 2));
  if (!order) return INC_EMEM;
  memmove(order + at + 1, order + at, sizeof *order * (size_t)(g->n_order - at));
  order[at] = op;
  g->order = order;
  g->n_order++;
  return INC_OK;
}

int inc_graph_insert(inc_graph *g, int at, const inc_op *op, int n_in, const int *in, const inc_attr *attr,
                     int like, int *out) {
  inc_spec in_spec[12], out_spec[8];
  inc_attr attrs[INC_MAX_ATTRS];
  memset(in_spec, 0, sizeof in_spec);
  memset(out_spec, 0, sizeof out_spec);
  memset(attrs, 0, sizeof attrs);
  int n_attrs = inc_op_sig(op)->n_attrs;
  for (int k = 0; k < n_attrs; k++) attrs[k] = attr[k];
  for (int k = 0; k < n_in; k++)
    if (in[k] >= 0) in_spec[k] = g->values[in[k]].spec;
  inc_node node = {
      .op = op, .n_in = n_in, .n_out = inc_op_outputs(op), .in = in_spec, .out = out_spec, .attr = attrs};
  INC_TRY(op->infer(&node));
  INC_TRY(inc_graph_add_op(g, &node, in, g->ops[like].where, g->ops[like].scope, out));
  g->ops[*out].backward = g->ops[like].backward;
  g->ops[*out].commit = g->ops[like].commit;
  return order_put(g, at, *out);
}

int inc_graph_place(const inc_graph *g, int op) {
  for (int i = 0; i < g->n_order; i++)
    if (g->order[i] == op) return i;
  return -1;
}

void inc_graph_replace(inc_graph *g, int old_value, int new_value) {
  for (int i = 0; i < g->n_ops; i++)
    for (int k = 0; k < g->ops[i].node.n_in; k++)
      if (g->ops[i].in[k] == old_value) g->ops[i].in[k] = new_value;
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i].base == old_value && i != new_value) g->values[i].base = new_value;
  for (int i = 0; i < g->n_outputs; i++)
    if (g->outputs[i] == old_value) {
      g->outputs[i] = new_value;
      g->values[new_value].output = true;
    }
}

bool inc_gop_same_attrs(const inc_gop *a, const inc_gop *b) {
  int n = inc_op_sig(a->node.op)->n_attrs;
  for (int k = 0; k < n; k++) {
    const inc_attr *x = &a->node.attr[k], *y = &b->node.attr[k];
    if (x->n != y->n || (x->n > 0 && memcmp(x->i, y->i, sizeof *x->i * (size_t)x->n))) return false;
  }
  return true;
}

bool inc_gop_reads(const inc_gop *op, int value) {
  for (int k = 0; k < op->node.n_in; k++)
    if (op->in[k] == value) return true;
  return false;
}

int inc_graph_count_uses(const inc_graph *g, int value) {
  int n = g->values[value].output;
  for (int i = 0; i < g->n_ops; i++) n += !g->ops[i].dead && inc_gop_reads(&g->ops[i], value);
  return n;
}

int inc_graph_only_user(const inc_graph *g, int value) {
  int user = -1;
  if (g->values[value].output) return -1;
  for (int i = 0; i < g->n_ops; i++) {
    if (g->ops[i].dead || !inc_gop_reads(&g->ops[i], value)) continue;
    if (user >= 0) return -1;
    user = i;
  }
  return user;
}

bool inc_best_choice(const inc_node *node, inc_choice *out) {
  inc_choice all[2]; /* the device stops looking where the list is full */
  int n = 0;
  if (inc_cpu_backend.query(node, all, 2, &n) || n < 1) {
    inc_error_clear();
    return false;
  }
  *out = all[0];
  return true;
}

int inc_graph_producer(const inc_graph *g, int value) {
  return g->values[value].kind == INC_V_OP ? g->values[value].op : -1;
}

bool inc_graph_written(const inc_graph *g, int root) {
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i].kind == INC_V_OP && g->values[i].slot < 0 && !g->ops[g->values[i].op].dead &&
        inc_graph_root(g, i) == root)
      return true;
  return false;
}

/* -- specs again -------------------------------------------------------------------------------------- */

static void store_specs(inc_graph *g, int op) {
  inc_gop *o = &g->ops[op];
  for (int k = 0; k < o->node.n_out; k++) {
    inc_value *v = &g->values[o->out[k]];
    v->spec = o->node.out[k];
    if (o->node.op->flags & INC_OP_VIEW) v->base_offset = o->node.view_offset;
  }
  for (int k = 0; k < o->node.n_in; k++)
    if (o->version[k] >= 0) g->values[o->version[k]].spec = o->node.in[k];
}

/* A view that cannot follow the new strides gets a row-major copy to look at. */
static int copy_before(inc_graph *g, int *place, int op) {
  int copy, from = g->ops[op].in[0];
  inc_attr attr[INC_MAX_ATTRS] = {INC_INT(0)};
  INC_TRY(inc_graph_insert(g, *place, &inc_op_contiguous, 1, &from, attr, op, &copy));
  ++*place;
  g->ops[copy].note = "row-major copy for a view";
  int to = g->ops[copy].out[0];
  g->ops[op].in[0] = to;
  g->values[g->ops[op].out[0]].base = to;
  return INC_OK;
}

int inc_graph_reinfer(inc_graph *g) {
  for (int i = 0; i < g->n_order; i++) {
    int op = g->order[i];
    inc_graph_load_specs(g, op);
    int code = g->ops[op].node.op->infer(&g->ops[op].node);
    if (code && g->ops[op].node.op->flags & INC_OP_VIEW) {
      INC_TRY(copy_before(g, &i, op));
      inc_graph_load_specs(g, op);
      code = g->ops[op].node.op->infer(&g->ops[op].node);
    }
    INC_TRY(code);
    store_specs(g, op);
  }
  return INC_OK;
}
