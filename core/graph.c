/* graph.c -- growing, reading and printing the recorded step (graph.h). */
#include "graph.h"
#include "base/mem.h"
#include "base/text.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

int inc_graph_new(inc_graph **out) {
  static _Atomic uint64_t next_id;
  inc_graph *g = inc_zalloc(sizeof *g);
  if (!g) return INC_EMEM;
  g->id = ++next_id;
  *out = g;
  return INC_OK;
}

static void op_free(inc_gop *op) {
  inc_free(op->node.in);
  inc_free(op->node.out);
  inc_free(op->node.attr);
  inc_free(op->in);
  inc_free(op->out);
  inc_free(op->version);
}

void inc_graph_free(inc_graph *g) {
  if (!g) return;
  for (int i = 0; i < g->n_values; i++) inc_tensor_unref(g->values[i].tensor);
  for (int i = 0; i < g->n_ops; i++) op_free(&g->ops[i]);
  while (g->strings) {
    struct inc_string *s = g->strings;
    g->strings = s->next;
    inc_free(s);
  }
  inc_free(g->values);
  inc_free(g->ops);
  inc_free(g->order);
  inc_free(g->outputs);
  inc_free(g);
}

static int grow(void **array, int n, int *cap, size_t size) {
  if (n < *cap) return INC_OK;
  int want = *cap ? 2 * *cap : 256;
  void *p = inc_realloc(*array, (size_t)*cap * size, (size_t)want * size);
  if (!p) return INC_EMEM;
  *array = p;
  *cap = want;
  return INC_OK;
}

int inc_graph_add_value(inc_graph *g, const inc_value *v, int *out) {
  INC_TRY(grow((void **)&g->values, g->n_values, &g->cap_values, sizeof *v));
  g->values[g->n_values] = *v;
  *out = g->n_values++;
  return INC_OK;
}

static void *copy_of(const void *src, size_t n) {
  void *p = inc_alloc(n ? n : 1);
  if (p && n) memcpy(p, src, n);
  return p;
}

static int add_outputs(inc_graph *g, int index) {
  int n_out = g->ops[index].node.n_out, n_in = g->ops[index].node.n_in;
  bool view = g->ops[index].node.op->flags & INC_OP_VIEW;
  uint32_t mutated = inc_op_sig(g->ops[index].node.op)->mutated;
  for (int k = 0; k < n_out; k++) {
    inc_value v = {.spec = g->ops[index].node.out[k], .kind = INC_V_OP, .op = index, .slot = k, .base = -1};
    if (view) v.base = g->ops[index].in[0], v.base_offset = g->ops[index].node.view_offset;
    INC_TRY(inc_graph_add_value(g, &v, &g->ops[index].out[k]));
  }
  for (int k = 0; k < n_in; k++) {
    g->ops[index].version[k] = -1;
    if (!(mutated >> k & 1) || g->ops[index].in[k] < 0) continue;
    inc_value v = {.spec = g->ops[index].node.in[k],
                   .kind = INC_V_OP,
                   .op = index,
                   .slot = -1 - k,
                   .base = g->ops[index].in[k]};
    INC_TRY(inc_graph_add_value(g, &v, &g->ops[index].version[k]));
  }
  return INC_OK;
}

int inc_graph_add_op(inc_graph *g, const inc_node *node, const int *in, const char *where, const char *scope,
                     int *out) {
  INC_TRY(grow((void **)&g->ops, g->n_ops, &g->cap_ops, sizeof(inc_gop)));
  size_t ni = (size_t)node->n_in, no = (size_t)node->n_out;
  inc_gop op = {.node = *node, .where = inc_graph_intern(g, where), .scope = inc_graph_intern(g, scope)};
  op.node.in = copy_of(node->in, ni * sizeof *node->in);
  op.node.out = copy_of(node->out, no * sizeof *node->out);
  op.node.attr = copy_of(node->attr, INC_MAX_ATTRS * sizeof *node->attr);
  op.in = copy_of(in, ni * sizeof *in);
  op.out = inc_alloc((no + 1) * sizeof *op.out);
  op.version = inc_alloc((ni + 1) * sizeof *op.version);
  if (!op.node.in || !op.node.out || !op.node.attr || !op.in || !op.out || !op.version) {
    op_free(&op);
    return INC_EMEM;
  }
  g->ops[g->n_ops] = op;
  *out = g->n_ops++;
  return add_outputs(g, *out);
}

int inc_graph_capture(inc_graph *g, inc_tensor *t, int *value) {
  int found = -1;
  for (int i = 0; i < g->n_values; i++) {
    const inc_tensor *c = g->values[i].tensor;
    if (!c || c->buf != t->buf) continue;
    bool same =
        c == t || (c->offset == t->offset && c->spec.dtype == t->spec.dtype &&
                   inc_spec_same_shape(&c->spec, &t->spec) && inc_spec_same_strides(&c->spec, &t->spec));
    if (same) found = i;
  }
  if (found < 0) {
    inc_value v = {.spec = t->spec, .kind = INC_V_CAPTURED, .base = -1, .tensor = inc_tensor_ref(t)};
    int code = inc_graph_add_value(g, &v, value);
    if (code) inc_tensor_unref(t);
    return code;
  }
  for (int i = g->n_values - 1; i > found; i--) { /* the newest version lives furthest down */
    int b = i;
    while (b >= 0 && b != found && g->values[b].slot < 0 && g->values[b].kind == INC_V_OP)
      b = g->values[b].base;
    if (b == found) {
      *value = i;
      return INC_OK;
    }
  }
  *value = found;
  return INC_OK;
}

int inc_graph_root(const inc_graph *g, int value) {
  while (g->values[value].base >= 0) value = g->values[value].base;
  return value;
}

const char *inc_graph_intern(inc_graph *g, const char *s) {
  if (!s || !*s) return "";
  for (struct inc_string *p = g->strings; p; p = p->next)
    if (!strcmp(p->text, s)) return p->text;
  struct inc_string *p = inc_alloc(sizeof *p + strlen(s) + 1);
  if (!p) return "";
  strcpy(p->text, s);
  p->next = g->strings;
  g->strings = p;
  return p->text;
}

/* -- printing ---------------------------------------------------------------------------------------- */

static void put_value(inc_text *t, const inc_graph *g, int v) {
  char shape[96];
  const inc_spec *s = &g->values[v].spec;
  inc_text_format(t, "%%%d:%s%s%s", v, inc_dtype_name(s->dtype),
                  inc_shape_text(s->ndim, s->shape, shape, sizeof shape),
                  inc_spec_is_channels_last(s) ? "cl" : "");
}

static void put_op(inc_text *t, const inc_graph *g, const inc_gop *op) {
  for (int k = 0; k < op->node.n_out; k++) {
    if (k) inc_text_format(t, ", ");
    put_value(t, g, op->out[k]);
  }
  inc_text_format(t, "%s%s(", op->node.n_out ? " = " : "", op->node.op->name);
  for (int k = 0; k < op->node.n_in; k++) {
    if (op->in[k] < 0)
      inc_text_format(t, "%s-", k ? ", " : "");
    else if (op->version[k] >= 0)
      inc_text_format(t, "%s%%%d!%%%d", k ? ", " : "", op->in[k], op->version[k]);
    else
      inc_text_format(t, "%s%%%d", k ? ", " : "", op->in[k]);
  }
  inc_text_format(t, ")%s%s%s%s%s\n", op->commit ? "  commit" : "", *op->scope ? "  -- " : "", op->scope,
                  op->note ? "  # " : "", op->note ? op->note : "");
}

int inc_graph_dump(const inc_graph *g, char **out) {
  inc_text t = {0};
  int n = g->order ? g->n_order : g->n_ops;
  inc_text_format(&t, "graph: %d values, %d ops\n", g->n_values, n);
  for (int i = 0; i < n; i++) {
    const inc_gop *op = &g->ops[g->order ? g->order[i] : i];
    if (!op->dead) put_op(&t, g, op);
  }
  if (inc_text_done(&t)) {
    inc_text_free(&t);
    return INC_EMEM;
  }
  *out = t.s;
  return INC_OK;
}
