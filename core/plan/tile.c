/* tile.c -- finding and running tiles (tile.h).
**
** Ops join while they are elementwise, neighbours in the order, of one phase, and walk the same number of
** elements in the same dense order; numbers (one element) may come from anywhere.  Generating code for a
** chain was rejected: a block of 4096 makes the cost of a kernel call small beside its work.
*/
#include "plan/tile.h"
#include "base/err.h"
#include "base/mem.h"
#include "exec/compute.h"
#include "plan/passes.h"
#include <omp.h>
#include <string.h>

enum { WIDE = 1 << 15 }; /* elements from which blocks are spread over the cores */

/* -- finding ------------------------------------------------------------------------------------------- */

static bool is_elementwise(const inc_op *op) {
  return op->flags & INC_OP_EWISE || op == &inc_op_sgd_ || op == &inc_op_rmsprop_ || op == &inc_op_adam_;
}

/* The operand that all others must look like. */
static const inc_spec *leading(const inc_graph *g, const inc_gop *op) {
  if (op->node.n_out > 0) return &g->values[op->out[0]].spec;
  return op->in[0] >= 0 ? &g->values[op->in[0]].spec : NULL;
}

static bool looks_like(const inc_spec *s, const inc_spec *lead) {
  if (inc_spec_numel(s) == 1) return true;
  return inc_spec_same_shape(s, lead) && inc_spec_same_strides(s, lead);
}

static bool fits(const inc_graph *g, int op, const inc_spec *lead) {
  const inc_gop *o = &g->ops[op];
  if (!is_elementwise(o->node.op) || o->node.n_in > INC_TILE_OPERANDS || o->node.n_out > 4) return false;
  const inc_spec *own = leading(g, o);
  if (!own || !inc_spec_same_shape(own, lead) || !inc_spec_same_strides(own, lead)) return false;
  for (int k = 0; k < o->node.n_in; k++)
    if (o->in[k] >= 0 && !looks_like(&g->values[o->in[k]].spec, lead)) return false;
  for (int k = 0; k < o->node.n_out; k++)
    if (!looks_like(&g->values[o->out[k]].spec, lead)) return false;
  return true;
}

/* A number that an op of the tile writes must not be read by a later one: blocks would see it half done. */
static bool writes_number(const inc_graph *g, const inc_gop *op) {
  for (int k = 0; k < op->node.n_out; k++)
    if (inc_spec_numel(&g->values[op->out[k]].spec) == 1) return true;
  for (int k = 0; k < op->node.n_in; k++)
    if (op->version[k] >= 0 && inc_spec_numel(&g->values[op->in[k]].spec) == 1) return true;
  return false;
}

int inc_tile_length(const inc_graph *g, int place) {
  const inc_gop *first = &g->ops[g->order[place]];
  const inc_spec *lead = leading(g, first);
  if (!lead || inc_spec_numel(lead) < 2 || !inc_spec_is_dense(lead)) return 1;
  int n = 0;
  for (; place + n < g->n_order && n < INC_TILE_OPS; n++) {
    int op = g->order[place + n];
    if (g->ops[op].commit != first->commit || g->ops[op].backward != first->backward) break;
    if (!fits(g, op, lead) || writes_number(g, &g->ops[op])) break;
  }
  return n > 1 ? n : 1;
}

bool inc_tile_is_inner(const inc_graph *g, int place, int n, int value) {
  const inc_value *v = &g->values[value];
  if (v->kind != INC_V_OP || v->slot < 0 || v->base >= 0 || v->output) return false;
  bool made = false;
  for (int i = place; i < place + n; i++) made |= g->order[i] == v->op;
  if (!made) return false;
  for (int i = 0; i < g->n_values; i++) /* something lives in it: a view, a new version */
    if (g->values[i].base == value) return false;
  for (int i = 0; i < g->n_order; i++) {
    if (i >= place && i < place + n) continue;
    const inc_gop *op = &g->ops[g->order[i]];
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] == value) return false;
  }
  return true;
}

/* -- making -------------------------------------------------------------------------------------------- */

static inc_spec flat(const inc_spec *s, int64_t n) {
  int64_t shape[1] = {n};
  return inc_spec_numel(s) == 1 ? inc_spec_new(s->dtype, 0, NULL) : inc_spec_new(s->dtype, 1, shape);
}

static int choose(const inc_node *node, bool reference, inc_choice *out) {
  inc_choice all[8];
  int n = 0, pick = -1;
  INC_TRY(inc_cpu_backend.query(node, all, 8, &n));
  for (int i = 0; i < n && pick < 0; i++) /* a kernel with scratch of its own would need it once a thread */
    if (all[i].workspace == 0 && (!reference || all[i].flags & INC_K_REF)) pick = i;
  if (pick < 0) return inc_fail(INC_ENOTBUILT, NULL, "no kernel without scratch for %s", node->op->name);
  *out = all[pick];
  return INC_OK;
}

static int prepare(const inc_graph *g, int op, int64_t n, bool reference, inc_kernel **out) {
  const inc_gop *o = &g->ops[op];
  inc_spec in[INC_TILE_OPERANDS], res[4];
  memset(in, 0, sizeof in);
  for (int k = 0; k < o->node.n_in; k++)
    if (o->in[k] >= 0) in[k] = flat(&g->values[o->in[k]].spec, n);
  for (int k = 0; k < o->node.n_out; k++) res[k] = flat(&g->values[o->out[k]].spec, n);
  inc_node node = o->node;
  node.in = in;
  node.out = res;
  inc_choice choice;
  INC_TRY(choose(&node, reference, &choice));
  return inc_cpu_backend.prepare(&node, &choice, 0, out);
}

static inc_tile_operand operand(const inc_graph *g, int value, const int64_t *inner) {
  if (value < 0) return (inc_tile_operand){.scratch = -1};
  const inc_spec *s = &g->values[value].spec;
  size_t size = inc_dtype_size(s->dtype);
  return (inc_tile_operand){.step = inc_spec_numel(s) == 1 ? 0 : INC_TILE_BLOCK * size,
                            .scratch = inner[value]};
}

static int make_item(const inc_graph *g, int op, int64_t numel, bool reference, const int64_t *inner,
                     inc_tile_item *it) {
  const inc_gop *o = &g->ops[op];
  int64_t whole = numel < INC_TILE_BLOCK ? numel : INC_TILE_BLOCK, rest = numel % whole;
  it->op = op;
  it->n_in = o->node.n_in;
  it->n_out = o->node.n_out;
  for (int k = 0; k < it->n_in; k++) it->in[k] = operand(g, o->in[k], inner);
  for (int k = 0; k < it->n_out; k++) it->out[k] = operand(g, o->out[k], inner);
  INC_TRY(prepare(g, op, whole, reference, &it->block));
  return rest ? prepare(g, op, rest, reference, &it->tail) : INC_OK;
}

/* Each inner value has its own piece of a thread's scratch. */
static void place_inner(const inc_graph *g, int place, int n, inc_tile *t, int64_t *inner) {
  for (int i = 0; i < g->n_values; i++) inner[i] = -1;
  for (int i = place; i < place + n; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    for (int k = 0; k < op->node.n_out; k++) {
      if (!inc_tile_is_inner(g, place, n, op->out[k])) continue;
      inner[op->out[k]] = (int64_t)t->scratch;
      t->scratch += (INC_TILE_BLOCK * inc_dtype_size(g->values[op->out[k]].spec.dtype) + 63) / 64 * 64;
    }
  }
}

int inc_tile_new(const inc_graph *g, int place, int n, bool reference, inc_tile **out) {
  inc_tile *t = inc_zalloc(sizeof *t);
  int64_t *inner = inc_alloc(sizeof *inner * (size_t)(g->n_values + 1));
  int code = t && inner ? INC_OK : INC_EMEM;
  if (!code) {
    t->numel = inc_spec_numel(leading(g, &g->ops[g->order[place]]));
    t->n = n;
    t->item = inc_zalloc(sizeof *t->item * (size_t)n);
    code = t->item ? INC_OK : INC_EMEM;
  }
  if (!code) place_inner(g, place, n, t, inner);
  for (int i = 0; i < n && !code; i++)
    code = make_item(g, g->order[place + i], t->numel, reference, inner, &t->item[i]);
  inc_free(inner);
  if (code) {
    inc_tile_free(t);
    return code;
  }
  *out = t;
  return INC_OK;
}

void inc_tile_free(inc_tile *t) {
  if (!t) return;
  for (int i = 0; t->item && i < t->n; i++) {
    inc_cpu_backend.drop(t->item[i].block);
    inc_cpu_backend.drop(t->item[i].tail);
  }
  inc_free(t->item);
  inc_free(t);
}

/* -- running ------------------------------------------------------------------------------------------- */

static void *at(const inc_tile_operand *o, int64_t block, char *scratch) {
  if (o->scratch >= 0) return scratch + o->scratch;
  return o->base ? (char *)o->base + (size_t)block * o->step : NULL;
}

static int run_block(const inc_tile *t, int64_t block, bool tail, char *scratch) {
  for (int i = 0; i < t->n; i++) {
    const inc_tile_item *it = &t->item[i];
    void *in[INC_TILE_OPERANDS], *out[4];
    for (int k = 0; k < it->n_in; k++) in[k] = at(&it->in[k], block, scratch);
    for (int k = 0; k < it->n_out; k++) out[k] = at(&it->out[k], block, scratch);
    INC_TRY(inc_cpu_backend.run(tail ? it->tail : it->block, in, out, NULL, 0));
  }
  return INC_OK;
}

int inc_tile_run(const inc_tile *t, char *scratch) {
  int64_t whole = t->numel < INC_TILE_BLOCK ? t->numel : INC_TILE_BLOCK;
  int64_t n = t->numel / whole;
  bool tail = t->numel % whole != 0;
  int failed = INC_OK;
#pragma omp parallel for schedule(static) if (t->numel >= WIDE)
  for (int64_t b = 0; b < n; b++) {
    int code = run_block(t, b, false, scratch + (size_t)omp_get_thread_num() * t->scratch);
    if (code) {
#pragma omp atomic write
      failed = code;
    }
  }
  if (failed) return inc_fail(failed, NULL, "an elementwise kernel failed");
  return tail ? run_block(t, n, true, scratch) : INC_OK;
}
