/* graph_same.c -- do two traces of one function agree?
**
** A plan replays what was recorded once.  A function that counts its calls, asks the time or keeps a list
** would be replayed as it was on that one occasion, in silence, so it is traced twice and the recordings are
** compared op by op: the op, its options, the values it reads.  Numbers of values follow from program order;
** equal numbers mean equal data flow as long as all before was equal.  A tensor from outside must be the same
** memory both times, or, when the function makes it anew each time, hold the same numbers.  Rejected: asking
** the user to promise it, and comparing results, which would need a second step to run.
*/
#include "base/err.h"
#include "graph.h"
#include <stdio.h>
#include <string.h>

static const char *line(const inc_gop *op) { return *op->where ? op->where : "an unknown line"; }

static int refuse(const char *text) {
  inc_fail(INC_ESTATE, NULL, "expected a function that does the same at each call, but when traced twice %s",
           text);
  return inc_hint("pass what changes as an argument: each value of it gets a plan of its own");
}

/* -- values -------------------------------------------------------------------------------------------- */

static int64_t element(const inc_spec *s, int64_t i) {
  int64_t at = 0;
  for (int d = s->ndim - 1; d >= 0; d--) {
    at += i % s->shape[d] * s->strides[d];
    i /= s->shape[d];
  }
  return at;
}

static bool same_numbers(const inc_tensor *a, const inc_tensor *b) {
  const inc_spec *s = &a->spec;
  if (inc_spec_is_contiguous(s)) return !memcmp(inc_tensor_data(a), inc_tensor_data(b), inc_spec_bytes(s));
  for (int64_t i = 0, n = inc_spec_numel(s); i < n; i++) {
    int64_t at = element(s, i);
    double x = inc_load(inc_tensor_data(a), s->dtype, at), y = inc_load(inc_tensor_data(b), s->dtype, at);
    if (x != y && (x == x || y == y)) return false;
  }
  return true;
}

static bool same_tensor(const inc_tensor *a, const inc_tensor *b) {
  if (a == b || !a || !b) return a == b;
  if (a->buf == b->buf && a->offset == b->offset) return true;
  return a->buf && b->buf && same_numbers(a, b);
}

static bool same_value(const inc_value *a, const inc_value *b) {
  bool same_spec = a->spec.dtype == b->spec.dtype && inc_spec_same_shape(&a->spec, &b->spec) &&
                   inc_spec_same_strides(&a->spec, &b->spec);
  return same_spec && a->kind == b->kind && same_tensor(a->tensor, b->tensor);
}

static void tell(const inc_value *v, char *out, size_t n) {
  char shape[96];
  const inc_tensor *t = v->tensor;
  if (t && t->buf && t->spec.ndim == 0)
    snprintf(out, n, "%.9g", inc_load(inc_tensor_data(t), t->spec.dtype, 0));
  else
    snprintf(out, n, "%s%s", inc_dtype_name(v->spec.dtype),
             inc_shape_text(v->spec.ndim, v->spec.shape, shape, sizeof shape));
}

/* -- ops ----------------------------------------------------------------------------------------------- */

static bool same_attr(const inc_attr *a, const inc_attr *b) {
  if (a->n != b->n || a->is_float != b->is_float) return false;
  for (int k = 0; k < a->n; k++)
    if (a->is_float ? a->f[k] != b->f[k] : a->i[k] != b->i[k]) return false;
  return true;
}

static int compare_attrs(const inc_gop *a, const inc_gop *b) {
  const inc_sig *sig = inc_op_sig(a->node.op);
  char text[512];
  for (int k = 0; k < sig->n_attrs; k++) {
    if (same_attr(&a->node.attr[k], &b->node.attr[k])) continue;
    snprintf(text, sizeof text, "%s at %s had another %s the second time", a->node.op->name, line(b),
             sig->attrs[k].name);
    return refuse(text);
  }
  return INC_OK;
}

static int compare_inputs(const inc_graph *ga, const inc_graph *gb, const inc_gop *a, const inc_gop *b) {
  char text[768], first[128], second[128];
  for (int k = 0; k < a->node.n_in; k++) {
    int x = a->in[k], y = b->in[k];
    if (x == y && (x < 0 || same_value(&ga->values[x], &gb->values[y]))) continue;
    if (x < 0 || y < 0) {
      snprintf(text, sizeof text, "%s at %s had its %s only one of the two times", a->node.op->name, line(b),
               inc_arg_name(a->node.op, k));
      return refuse(text);
    }
    tell(&ga->values[x], first, sizeof first);
    tell(&gb->values[y], second, sizeof second);
    bool alike = !strcmp(first, second);
    snprintf(text, sizeof text, "%s at %s took %s as %s the first time and %s%s the second", a->node.op->name,
             line(b), first, inc_arg_name(a->node.op, k), alike ? "another " : "", second);
    return refuse(text);
  }
  return INC_OK;
}

static int compare_ops(const inc_graph *ga, const inc_graph *gb, int i) {
  const inc_gop *a = &ga->ops[i], *b = &gb->ops[i];
  if (a->node.op == b->node.op && a->node.n_in == b->node.n_in) {
    INC_TRY(compare_attrs(a, b));
    return compare_inputs(ga, gb, a, b);
  }
  char text[512];
  snprintf(text, sizeof text, "it did %s at %s the first time and %s at %s the second", a->node.op->name,
           line(a), b->node.op->name, line(b));
  return refuse(text);
}

static int compare_ends(const inc_graph *ga, const inc_graph *gb) {
  char text[512];
  if (ga->n_ops != gb->n_ops) {
    bool more = ga->n_ops > gb->n_ops;
    const inc_gop *op = more ? &ga->ops[gb->n_ops] : &gb->ops[ga->n_ops];
    snprintf(text, sizeof text, "%s at %s came only the %s time", op->node.op->name, line(op),
             more ? "first" : "second");
    return refuse(text);
  }
  if (ga->n_outputs != gb->n_outputs) {
    snprintf(text, sizeof text, "it returned %d results the first time and %d the second", ga->n_outputs,
             gb->n_outputs);
    return refuse(text);
  }
  for (int k = 0; k < ga->n_outputs; k++) {
    int x = ga->outputs[k], y = gb->outputs[k];
    if (x == y && same_value(&ga->values[x], &gb->values[y])) continue;
    snprintf(text, sizeof text, "result %d was another tensor the second time", k + 1);
    return refuse(text);
  }
  return INC_OK;
}

int inc_graph_compare(const inc_graph *ga, const inc_graph *gb) {
  for (int i = 0; i < ga->n_ops && i < gb->n_ops; i++) INC_TRY(compare_ops(ga, gb, i));
  return compare_ends(ga, gb);
}
