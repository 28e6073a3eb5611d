/* emit.c -- check, cast by policy, then run or record (emit.h).
**
** The order is fixed: Lua numbers and mixed dtypes are settled by emitting casts (which are ops, so their
** gradients flow), then the op's own shape rule speaks, then the mode decides.  Nothing is allocated for
** results before the rule has agreed.
*/
#include "exec/emit.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "exec/kernels.h"
#include "exec/tape.h"
#include <string.h>

static _Thread_local inc_graph *tracing;
static _Thread_local int trace_stream;

inc_graph *inc_tracing(void) { return tracing; }

/* -- tracing ------------------------------------------------------------------------------------------ */

int inc_trace_begin(inc_graph *g) {
  if (tracing) return inc_fail(INC_ESTATE, NULL, "a plan is being traced already: plans do not nest");
  tracing = g;
  trace_stream = 0;
  return INC_OK;
}

/* Leaves met in the trace may have gathered gradients that belong to it: nobody could read them. */
void inc_trace_end(void) {
  for (int i = 0; i < tracing->n_values; i++) {
    inc_tensor *leaf = tracing->values[i].tensor;
    if (!leaf || !leaf->grad || (leaf->grad->buf && leaf->grad->trace != tracing->id)) continue;
    inc_tensor_unref(leaf->grad);
    leaf->grad = NULL;
  }
  tracing = NULL;
}

int inc_trace_stream(void) {
  static _Thread_local int eager_stream;
  return tracing ? trace_stream++ : eager_stream++;
}

int inc_trace_input(const inc_spec *spec, inc_tensor **out) {
  inc_value v = {.spec = *spec, .kind = INC_V_INPUT, .base = -1, .input = tracing->n_inputs++};
  int value;
  INC_TRY(inc_graph_add_value(tracing, &v, &value));
  return inc_tensor_symbol(spec, tracing->id, value, out);
}

/* The value that stands for t now: its own symbol, or a captured tensor's newest version.  A captured
** tensor remembers its value in the fields a symbol uses, which makes the look-up constant time. */
static int value_of(inc_tensor *t, int *value) {
  if (t->trace == tracing->id && t->value >= 0) {
    *value = t->value;
    return INC_OK;
  }
  if (!t->buf)
    return inc_fail(INC_ESTATE, NULL, "expected a tensor with a value, got one from a trace that is over"),
           inc_hint("a planned function cannot keep tensors for later: return them");
  INC_TRY(inc_graph_capture(tracing, t, value));
  t->trace = tracing->id;
  t->value = *value;
  return INC_OK;
}

int inc_trace_output(inc_tensor *t) {
  int v;
  INC_TRY(value_of(t, &v));
  int *p = inc_realloc(tracing->outputs, sizeof *p * (size_t)tracing->n_outputs,
                       sizeof *p * (size_t)(tracing->n_outputs + 1));
  if (!p) return INC_EMEM;
  tracing->outputs = p;
  p[tracing->n_outputs++] = v;
  tracing->values[v].output = true;
  return INC_OK;
}

static int record(const inc_node *node, inc_tensor *const *in, inc_tensor **out) {
  int small[16], *values = small, op, code = INC_OK;
  if (node->n_in > 16 && !(values = inc_alloc(sizeof *values * (size_t)node->n_in))) return INC_EMEM;
  for (int i = 0; i < node->n_in && !code; i++) {
    values[i] = -1;
    if (in[i]) code = value_of(in[i], &values[i]);
  }
  char where[192] = "";
  if (inc_where_hook) inc_where_hook(where, sizeof where);
  if (!code) code = inc_graph_add_op(tracing, node, values, where, inc_scope(), &op);
  if (values != small) inc_free(values);
  if (code) return code;
  for (int k = 0; k < node->n_out; k++)
    INC_TRY(inc_tensor_symbol(&node->out[k], tracing->id, tracing->ops[op].out[k], &out[k]));
  for (int i = 0; i < node->n_in; i++)
    if (tracing->ops[op].version[i] >= 0) in[i]->value = tracing->ops[op].version[i];
  return INC_OK;
}

/* -- running ------------------------------------------------------------------------------------------ */

static int check_readable(const inc_node *node, inc_tensor *const *in) {
  for (int i = 0; i < node->n_in; i++)
    if (in[i] && !in[i]->buf)
      return inc_fail(INC_ESTATE, inc_arg_name(node->op, i),
                      "no value while tracing: only shapes and dtypes are known");
  return INC_OK;
}

static int run_view(const inc_node *node, inc_tensor *const *in, inc_tensor **out) {
  return inc_tensor_over(in[0]->buf, in[0]->offset + node->view_offset, &node->out[0], &out[0]);
}

static int call_loose(const inc_node *node, bool reference, inc_tensor *const *in, inc_tensor *const *out,
                      void *const *addr, void *const *results) {
  inc_tensor *small[24], **all = small;
  int n = node->n_in + node->n_out;
  if (n > 24 && !(all = inc_alloc(sizeof *all * (size_t)n))) return INC_EMEM;
  for (int i = 0; i < node->n_in; i++) all[i] = in[i];
  for (int k = 0; k < node->n_out; k++) all[node->n_in + k] = out[k];
  int code = inc_kernel_call_loose(node, reference, addr, results, all, n);
  if (all != small) inc_free(all);
  return code;
}

static int run(const inc_node *node, inc_tensor *const *in, inc_tensor **out) {
  INC_TRY(check_readable(node, in));
  if (node->op->flags & INC_OP_VIEW) return run_view(node, in, out);
  void *small[16], **addr = small, *results[8] = {0};
  if (node->n_in > 16 && !(addr = inc_alloc(sizeof *addr * (size_t)node->n_in))) return INC_EMEM;
  int code = INC_OK;
  for (int i = 0; i < node->n_in; i++) addr[i] = inc_tensor_data(in[i]);
  for (int k = 0; k < node->n_out && !code; k++) {
    code = inc_tensor_new(&node->out[k], &out[k]);
    if (!code) results[k] = inc_tensor_data(out[k]);
  }
  bool reference = inc_force_reference(false);
  inc_force_reference(reference);
  uint32_t mutated = inc_op_sig(node->op)->mutated;
  if (!code) /* what is changed in place must not go on changing behind the caller's back */
    code = mutated ? inc_kernel_call(node, reference, addr, results)
                   : call_loose(node, reference, in, out, addr, results);
  if (addr != small) inc_free(addr);
  for (int i = 0; !code && mutated >> i; i++)
    if (mutated >> i & 1 && in[i]) inc_tensor_touched(in[i]);
  return code;
}

/* -- dtypes ------------------------------------------------------------------------------------------- */

static inc_tensor *cast_to(inc_tensor *t, int dtype) {
  if (t->is_number && t->buf) {
    inc_tensor *n = NULL;
    return inc_tensor_scalar(dtype, inc_load(inc_tensor_data(t), t->spec.dtype, 0), &n) ? NULL : n;
  }
  inc_attr attr[INC_MAX_ATTRS] = {INC_INT(dtype)};
  return inc_emit1(&inc_op_cast, 1, &t, attr);
}

/* The dtype that an elementwise op's operands meet in.  A Lua number follows the tensors, except that a
** fraction meets integers in f32. */
static int meeting_dtype(const inc_op *op, int n_in, inc_tensor *const *in, int first) {
  int dtype = INC_NONE;
  if (op->flags & INC_OP_MUTATES) return in[0]->spec.dtype;
  for (int i = first; i < n_in; i++)
    if (in[i] && !in[i]->is_number)
      dtype = dtype ? inc_dtype_promote(dtype, in[i]->spec.dtype) : in[i]->spec.dtype;
  if (dtype == INC_NONE) return INC_F32;
  for (int i = first; i < n_in && !inc_dtype_is_float(dtype); i++) {
    if (!in[i] || !in[i]->is_number || !in[i]->buf) continue;
    double v = inc_load(inc_tensor_data(in[i]), in[i]->spec.dtype, 0);
    if (v != (double)(int64_t)v) dtype = INC_F32;
  }
  return dtype;
}

static bool wants_cast(const inc_op *op, int i, const inc_tensor *t, int meet, int first) {
  if (!t) return false;
  if (op->flags & INC_OP_EWISE) return i >= first && t->spec.dtype != meet;
  if (op->flags & INC_OP_AUTOCAST) return i < 2 && inc_precision() == INC_BF16 && t->spec.dtype == INC_F32;
  return false;
}

/* Replace in[i] by casts where the policy says so; made[] holds what must be released after. */
static int settle_dtypes(const inc_op *op, int n_in, inc_tensor **in, inc_tensor **made) {
  if (!(op->flags & (INC_OP_EWISE | INC_OP_AUTOCAST))) return INC_OK;
  int first = op == &inc_op_where, meet = INC_NONE;
  if (op->flags & INC_OP_EWISE) {
    if (n_in < 2) return INC_OK;
    meet = meeting_dtype(op, n_in, in, first);
  }
  for (int i = 0; i < n_in; i++) {
    if (!wants_cast(op, i, in[i], meet, first)) continue;
    made[i] = cast_to(in[i], meet ? meet : INC_BF16);
    if (!made[i]) return inc_error_last()->code;
    in[i] = made[i];
  }
  return INC_OK;
}

/* -- the door ----------------------------------------------------------------------------------------- */

/* A leaf that wants a gradient, or a saved result, must not change under the tape. */
static int check_mutation(const inc_node *node, inc_tensor *const *in) {
  uint32_t mutated = inc_op_sig(node->op)->mutated;
  for (int i = 0; mutated >> i; i++) {
    if (!(mutated >> i & 1) || !in[i]) continue;
    if (inc_grad_enabled() && in[i]->requires_grad)
      return inc_fail(INC_ESTATE, inc_arg_name(node->op, i), "written in place while it wants a gradient"),
             inc_hint("wrap the update in inc.no_grad(function() ... end)");
    if (in[i]->is_number)
      return inc_fail(INC_EARG, inc_arg_name(node->op, i), "expected a tensor, got a number");
  }
  return INC_OK;
}

static int emit_settled(inc_node *node, inc_tensor *const *in, inc_tensor **out) {
  INC_TRY(check_mutation(node, in));
  INC_TRY(node->op->infer(node));
  INC_TRY(tracing ? record(node, in, out) : run(node, in, out));
  return inc_tape_record(node, in, out);
}

int inc_emit(const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr, inc_tensor **out) {
  enum { SMALL = 16 };
  inc_spec small_spec[SMALL], *spec = small_spec, out_spec[8];
  inc_tensor *small_in[2 * SMALL] = {0}, **now = small_in;
  inc_attr attrs[INC_MAX_ATTRS];
  if (inc_interrupt_pending()) return inc_fail(INC_EINTR, NULL, "interrupted");
  if (attr)
    memcpy(attrs, attr, sizeof attrs);
  else
    memset(attrs, 0, sizeof attrs);
  if (n_in > SMALL) {
    spec = inc_alloc(sizeof *spec * (size_t)n_in);
    now = inc_zalloc(sizeof *now * 2 * (size_t)n_in);
  }
  int n_out = inc_op_outputs(op), code = spec && now ? INC_OK : INC_EMEM;
  for (int k = 0; k < n_out; k++) out[k] = NULL;
  inc_tensor **made = now ? now + (n_in > SMALL ? n_in : SMALL) : NULL;
  if (!code) {
    memcpy(now, in, sizeof *in * (size_t)n_in);
    code = settle_dtypes(op, n_in, now, made);
  }
  if (!code) {
    memset(out_spec, 0, sizeof out_spec);
    for (int i = 0; i < n_in; i++) {
      if (now[i])
        spec[i] = now[i]->spec;
      else
        memset(&spec[i], 0, sizeof *spec);
    }
    inc_node node = {.op = op, .n_in = n_in, .n_out = n_out, .in = spec, .out = out_spec, .attr = attrs};
    code = emit_settled(&node, now, out);
  }
  if (code) {
    inc_error_op(op->name);
    for (int k = 0; k < n_out; k++) {
      inc_tensor_unref(out[k]);
      out[k] = NULL;
    }
  }
  for (int i = 0; made && i < n_in; i++) inc_tensor_unref(made[i]);
  if (n_in > SMALL) {
    inc_free(spec);
    inc_free(now);
  }
  return code;
}

inc_tensor *inc_emit1(const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr) {
  inc_tensor *out[8] = {0};
  if (inc_emit(op, n_in, in, attr, out)) return NULL;
  for (int k = 1; k < inc_op_outputs(op); k++) inc_tensor_unref(out[k]);
  return out[0];
}
