/* recompute.c -- do not keep what is cheap to make again.
**
** A batch_norm + relu output costs one pass over its convolution's output, which backward needs anyway.  So
** the forward value dies early and backward makes its own copy just before the first use: memory for the
** activations of Inception-v3 falls by almost half, for a few percent of time.  The same holds for a concat
*of such values, and
** for pools of them.  Keeping a bit mask, or the output instead of the input (in-place ABN), was rejected:
** the first saves less and the second changes the numbers.
*/
#include "base/mem.h"
#include "plan/passes.h"
#include <string.h>

enum { SMALL_BYTES = 1 << 20 }; /* below this a copy saves nothing worth a kernel */

static const char made_again[] = "made again for backward";

typedef struct ctx {
  inc_graph *g;
  int *clone; /* [values at start] the copy that backward reads, -1 none yet */
  int n;
} ctx;

static bool makes_norm(const inc_gop *op) {
  return op->node.op == &inc_op_batch_norm_train && op->node.n_in >= 3;
}

/* Worth making again: a normalised activation, or a concat or average pool of some. */
static bool remakable(const inc_graph *g, int value, int depth) {
  int p = inc_graph_producer(g, value);
  if (p < 0 || depth > 6 || g->ops[p].backward || g->values[value].slot != 0) return false;
  const inc_gop *op = &g->ops[p];
  if (makes_norm(op)) return true;
  if (op->node.op == &inc_op_avg_pool2d) return remakable(g, op->in[0], depth + 1);
  if (op->node.op != &inc_op_cat) return false;
  for (int k = 0; k < op->node.n_in; k++)
    if (remakable(g, op->in[k], depth + 1)) return true;
  return false;
}

/* Inside a concat everything must be made again, or the old concat stays alive for the one that was not. */
static bool part_of_remake(const inc_graph *g, int value) {
  int p = inc_graph_producer(g, value);
  return p >= 0 && !g->ops[p].backward && g->ops[p].node.op == &inc_op_max_pool2d &&
         g->values[value].slot == 0;
}

static int first_backward_use(const inc_graph *g, int value) {
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    if (!op->backward || op->commit) continue;
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] == value) return i;
  }
  return -1;
}

static int clone_value(ctx *c, int value, int at, int *made, int *out);

/* Inputs of the copy: themselves remade where that is the point, the originals otherwise. */
static int clone_inputs(ctx *c, const inc_gop *op, int at, int *made, int *in) {
  int n = op->node.n_in;
  bool all = op->node.op == &inc_op_cat;
  for (int k = 0; k < n; k++) {
    in[k] = op->in[k];
    bool remake =
        in[k] >= 0 && in[k] < c->n && (remakable(c->g, in[k], 0) || (all && part_of_remake(c->g, in[k])));
    if (!makes_norm(op) && remake) INC_TRY(clone_value(c, in[k], at, made, &in[k]));
  }
  return INC_OK;
}

static int clone_norm(ctx *c, int p, int at, int *made, int *op) {
  const inc_gop *o = &c->g->ops[p];
  int in[5] = {o->in[0], o->in[1], o->in[2], o->out[1], o->out[2]};
  inc_attr attr[INC_MAX_ATTRS];
  memcpy(attr, o->node.attr, sizeof attr);
  INC_TRY(inc_graph_insert(c->g, at + *made, &inc_op_batch_norm_eval, 5, in, attr, p, op));
  ++*made;
  return INC_OK;
}

static int clone_other(ctx *c, int p, int at, int *made, int *op) {
  int in[12];
  if (c->g->ops[p].node.n_in > 12) return inc_fail(INC_EARG, NULL, "concat of more than 12 parts");
  INC_TRY(clone_inputs(c, &c->g->ops[p], at, made, in));
  inc_attr attr[INC_MAX_ATTRS];
  memcpy(attr, c->g->ops[p].node.attr, sizeof attr);
  INC_TRY(inc_graph_insert(c->g, at + *made, c->g->ops[p].node.op, c->g->ops[p].node.n_in, in, attr, p, op));
  ++*made;
  return INC_OK;
}

/* A copy made for something else serves if it comes early enough. */
static bool has_copy_before(const ctx *c, int value, int place) {
  int copy = c->clone[value];
  return copy >= 0 && inc_graph_place(c->g, c->g->values[copy].op) < place;
}

static int clone_value(ctx *c, int value, int at, int *made, int *out) {
  if (has_copy_before(c, value, at + *made)) {
    *out = c->clone[value];
    return INC_OK;
  }
  int p = inc_graph_producer(c->g, value), op;
  INC_TRY(makes_norm(&c->g->ops[p]) ? clone_norm(c, p, at, made, &op) : clone_other(c, p, at, made, &op));
  c->g->ops[op].backward = true;
  c->g->ops[op].note = made_again;
  *out = c->clone[value] = c->g->ops[op].out[0];
  return INC_OK;
}

static void point_backward_at(inc_graph *g, int value, int copy, int copy_op) {
  for (int i = 0; i < g->n_order; i++) {
    inc_gop *op = &g->ops[g->order[i]];
    if (!op->backward || g->order[i] == copy_op || op->note == made_again) continue;
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] == value) op->in[k] = copy;
  }
}

/* From the last activation to the first, as backward meets them, so that a copy made for a concat is there
** when its parts are asked for later. */
int inc_pass_recompute(inc_graph *g) {
  ctx c = {.g = g, .n = g->n_values};
  c.clone = inc_alloc(sizeof *c.clone * (size_t)(g->n_values + 1));
  if (!c.clone) return INC_EMEM;
  for (int v = 0; v < c.n; v++) c.clone[v] = -1;
  int code = INC_OK;
  for (int v = c.n - 1; v >= 0 && !code; v--) {
    if (g->values[v].output || g->values[v].kind != INC_V_OP || g->ops[g->values[v].op].dead) continue;
    if (inc_spec_bytes(&g->values[v].spec) < SMALL_BYTES || !remakable(g, v, 0)) continue;
    int at = first_backward_use(g, v), made = 0, copy;
    if (at < 0) continue;
    code = clone_value(&c, v, at, &made, &copy);
    if (!code) point_backward_at(g, v, copy, g->values[copy].op);
  }
  inc_free(c.clone);
  return code;
}
