/* fuse.c -- patterns that one kernel does better than two.
**
**   batch_norm_train|eval -> relu            becomes the op with relu = true
**   relu_backward -> batch_norm_backward     becomes batch_norm_backward with relu = true: the mask is made
**                                            again from x, so neither y nor a bit mask is kept
**   conv2d -> batch_norm_eval (-> relu)      becomes conv2d_relu over folded weights: w * g / sqrt(var + eps)
**
** Each needs the value in between to have one reader.  Other ways (a pattern language in tables) were put off
** until there are more than three patterns.
*/
#include "plan/passes.h"
#include <string.h>

enum { BN_EPS = 0, BN_RELU = 1 }; /* attributes of the batch_norm ops */

static bool is_batch_norm(const inc_op *op) {
  return op == &inc_op_batch_norm_train || op == &inc_op_batch_norm_eval;
}

static bool is_norm_backward(const inc_op *op) {
  return op == &inc_op_batch_norm_backward || op == &inc_op_batch_norm_eval_backward;
}

/* The batch_norm now yields what relu yielded; relu's own output value lives on under its number. */
static void relu_into_norm(inc_graph *g, inc_gop *norm, inc_gop *relu) {
  norm->node.attr[BN_RELU] = INC_INT(1);
  norm->note = "fused batch_norm + relu";
  inc_graph_replace(g, relu->out[0], norm->out[0]);
  relu->dead = true;
}

static void fuse_forward(inc_graph *g, inc_gop *norm) {
  int user = inc_graph_only_user(g, norm->out[0]);
  if (user < 0 || g->ops[user].node.op != &inc_op_relu || norm->node.attr[BN_RELU].i[0]) return;
  relu_into_norm(g, norm, &g->ops[user]);
}

/* relu_backward(dy, y) where y comes from the batch_norm whose gradient this is. */
static void fuse_backward(inc_graph *g, inc_gop *back) {
  int from = inc_graph_producer(g, back->in[0]);
  if (from < 0 || g->ops[from].dead || g->ops[from].node.op != &inc_op_relu_backward) return;
  inc_gop *rb = &g->ops[from];
  int norm = inc_graph_producer(g, rb->in[1]);
  if (norm < 0 || !is_batch_norm(g->ops[norm].node.op) || !g->ops[norm].node.attr[BN_RELU].i[0]) return;
  if (inc_graph_only_user(g, rb->out[0]) < 0 || g->ops[norm].in[0] != back->in[1]) return;
  back->in[0] = rb->in[0];
  back->node.attr[BN_RELU] = INC_INT(1);
  back->note = "fused relu + batch_norm gradient";
  rb->dead = true;
}

/* -- inference ---------------------------------------------------------------------------------------- */

/* The f32 weight behind a cast to the policy's precision. */
static int master_weight(const inc_graph *g, int value) {
  int cast = inc_graph_producer(g, value);
  return cast >= 0 && g->ops[cast].node.op == &inc_op_cast ? g->ops[cast].in[0] : value;
}

static bool foldable(const inc_graph *g, int conv, const inc_gop *norm) {
  if (conv < 0 || g->ops[conv].dead || g->ops[conv].node.op != &inc_op_conv2d) return false;
  return inc_graph_only_user(g, g->ops[conv].out[0]) >= 0 && g->ops[conv].in[2] < 0 &&
         g->values[master_weight(g, g->ops[conv].in[1])].spec.dtype == INC_F32 && norm->in[3] >= 0;
}

static int fold(inc_graph *g, int norm_op) {
  int conv = inc_graph_producer(g, g->ops[norm_op].in[0]);
  if (!foldable(g, conv, &g->ops[norm_op])) return INC_OK;
  int folded, fused, at = inc_graph_place(g, conv);
  const int *n = g->ops[norm_op].in; /* x, weight?, bias?, mean, var */
  int fold_in[5] = {master_weight(g, g->ops[conv].in[1]), n[1], n[2], n[3], n[4]};
  inc_attr eps = g->ops[norm_op].node.attr[BN_EPS], relu = g->ops[norm_op].node.attr[BN_RELU];
  INC_TRY(inc_graph_insert(g, at, &inc_op_fold_batch_norm, 5, fold_in, &eps, norm_op, &folded));
  int weight = g->ops[folded].out[0], bias = g->ops[folded].out[1],
      dtype = g->values[g->ops[conv].in[1]].spec.dtype;
  if (dtype != INC_F32) {
    int cast;
    inc_attr to = INC_INT(dtype);
    INC_TRY(inc_graph_insert(g, at + 1, &inc_op_cast, 1, &weight, &to, norm_op, &cast));
    weight = g->ops[cast].out[0];
  }
  int in[3] = {g->ops[conv].in[0], weight, bias};
  const inc_op *op = relu.i[0] ? &inc_op_conv2d_relu : &inc_op_conv2d;
  INC_TRY(inc_graph_insert(g, inc_graph_place(g, conv), op, 3, in, g->ops[conv].node.attr, conv, &fused));
  g->ops[fused].note = "folded batch_norm";
  inc_graph_replace(g, g->ops[norm_op].out[0], g->ops[fused].out[0]);
  g->ops[conv].dead = g->ops[norm_op].dead = true;
  return INC_OK;
}

int inc_pass_fuse(inc_graph *g) {
  for (int i = 0; i < g->n_order; i++)
    if (is_batch_norm(g->ops[g->order[i]].node.op)) fuse_forward(g, &g->ops[g->order[i]]);
  for (int i = 0; i < g->n_order; i++)
    if (is_norm_backward(g->ops[g->order[i]].node.op)) fuse_backward(g, &g->ops[g->order[i]]);
  for (int i = 0, n = g->n_ops; i < n; i++)
    if (!g->ops[i].dead && g->ops[i].node.op == &inc_op_batch_norm_eval) INC_TRY(fold(g, i));
  inc_graph_sweep(g);
  return inc_pass_simplify(g);
}
