/* siblings.c -- 1x1 convolutions that read one value become one.
**
** An Inception block begins with three or four of them.  Side by side they are one wide product: its kernel
** runs nearer the peak (48 or 64 channels of a 35x35 block fill 60 to 80% of it), the input is read once, and
** the gradient of the input is one product where there were four and their sum.  What each gave is a channel
** slice of what the wide one gives; gradients are written into slices of a concat by what makes them
** (alias.c); a weight's gradient is some rows of the wide one's.
**
** The weights are laid side by side in every step, 7 M numbers in Inception-v3: to keep them so would change
** what parameters are, for a thousandth of a step.  A result that goes into a concat stays alone, because its
** kernel writes there.
*/
#include "plan/passes.h"
#include <string.h>

enum { MOST = 8, PADDING = 1, GROUPS = 3 };

typedef struct family {
  inc_graph *g;
  int n, x;                           /* x: the value that all read */
  int conv[MOST], weight[MOST];       /* ops; values */
  int by_data[MOST], by_weight[MOST]; /* ops of the gradients, -1 where there is none */
  int64_t channels[MOST];             /* of each result */
  int wide_weight, wide_dy;           /* values, -1 before they are made */
} family;

static const char note[] = "1x1 convolutions of one input side by side";

/* -- who belongs together -------------------------------------------------------------------------------- */

static bool goes_into_concat(const inc_graph *g, int value) {
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    if (!op->dead && op->node.op == &inc_op_cat && inc_gop_reads(op, value)) return true;
  }
  return false;
}

static bool is_pointwise(const inc_graph *g, int op) {
  const inc_gop *o = &g->ops[op];
  if (o->dead || (o->node.op != &inc_op_conv2d && o->node.op != &inc_op_conv2d_relu)) return false;
  const inc_spec *w = &g->values[o->in[1]].spec;
  const inc_attr *a = o->node.attr;
  return w->shape[2] == 1 && w->shape[3] == 1 && a[PADDING].i[0] == 0 && a[PADDING].i[1] == 0 &&
         a[GROUPS].i[0] == 1 && !goes_into_concat(g, o->out[0]);
}

static bool has_bias(const inc_gop *op) { return op->node.n_in > 2 && op->in[2] >= 0; }

static bool same_kind(const inc_graph *g, int first, int other) {
  const inc_gop *a = &g->ops[first], *b = &g->ops[other];
  return a->node.op == b->node.op && a->in[0] == b->in[0] && a->in[1] != b->in[1] &&
         g->values[a->in[1]].spec.dtype == g->values[b->in[1]].spec.dtype && has_bias(a) == has_bias(b) &&
         inc_gop_same_attrs(a, b);
}

/* Can the value be had at `place`: is it there, or made from what is there without writing anything? */
static bool can_come_before(const inc_graph *g, int value, int place) {
  int p = inc_graph_producer(g, value);
  if (p < 0 || inc_graph_place(g, p) < place) return true;
  const inc_gop *op = &g->ops[p];
  for (int k = 0; k < op->node.n_in; k++)
    if (op->version[k] >= 0 || (op->in[k] >= 0 && !can_come_before(g, op->in[k], place))) return false;
  return true;
}

static bool joins(const family *f, int op, int place) {
  if (f->n == MOST || !same_kind(f->g, f->conv[0], op)) return false;
  for (int i = 1; i < f->n; i++)
    if (f->weight[i] == f->g->ops[op].in[1]) return false;
  return can_come_before(f->g, f->g->ops[op].in[1], place) &&
         (!has_bias(&f->g->ops[op]) || can_come_before(f->g, f->g->ops[op].in[2], place));
}

static void add_member(family *f, int op) {
  f->conv[f->n] = op;
  f->weight[f->n] = f->g->ops[op].in[1];
  f->channels[f->n++] = f->g->values[f->g->ops[op].in[1]].spec.shape[0];
}

static void find_family(inc_graph *g, int place, family *f) {
  *f = (family){.g = g, .x = g->ops[g->order[place]].in[0], .wide_weight = -1, .wide_dy = -1};
  add_member(f, g->order[place]);
  for (int i = place + 1; i < g->n_order; i++)
    if (joins(f, g->order[i], place) && is_pointwise(g, g->order[i])) add_member(f, g->order[i]);
}

/* The one op of that kind that reads both values in these places, or -1. */
static int find_gradient(const inc_graph *g, const inc_op *kind, int first, int second) {
  int found = -1;
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    if (op->dead || op->node.op != kind || op->in[1] != second || (first >= 0 && op->in[0] != first))
      continue;
    if (found >= 0) return -1;
    found = g->order[i];
  }
  return found;
}

/* A gradient that is written over later cannot wait for the others. */
static void find_gradients(family *f) {
  inc_graph *g = f->g;
  for (int i = 0; i < f->n; i++) {
    int data = find_gradient(g, &inc_op_conv2d_backward_data, -1, f->weight[i]);
    if (data >= 0 && inc_graph_written(g, inc_graph_root(g, g->ops[data].in[0]))) data = -1;
    f->by_data[i] = data;
    f->by_weight[i] =
        data < 0 ? -1 : find_gradient(g, &inc_op_conv2d_backward_weight, f->x, g->ops[data].in[0]);
  }
}

/* -- pieces ---------------------------------------------------------------------------------------------- */

static void move_op(inc_graph *g, int from, int to) {
  int op = g->order[from];
  memmove(g->order + to + 1, g->order + to, sizeof *g->order * (size_t)(from - to));
  g->order[to] = op;
}

/* What makes the value moves in front of *place, which moves on. */
static void bring_before(inc_graph *g, int value, int *place) {
  int p = inc_graph_producer(g, value);
  if (p < 0 || inc_graph_place(g, p) < *place) return;
  for (int k = 0; k < g->ops[p].node.n_in; k++)
    if (g->ops[p].in[k] >= 0) bring_before(g, g->ops[p].in[k], place);
  move_op(g, inc_graph_place(g, p), (*place)++);
}

static int side_by_side(family *f, const int *values, int64_t dim, int place, int like, int *out) {
  int op;
  inc_attr attr = INC_INT(dim);
  INC_TRY(inc_graph_insert(f->g, place, &inc_op_cat, f->n, values, &attr, like, &op));
  *out = f->g->ops[op].out[0];
  return INC_OK;
}

/* Member i's part of a wide value in the place of the value that it had. */
static int hand_out(family *f, int wide, int64_t dim, const int *ops, int place) {
  int64_t start = 0;
  for (int i = 0; i < f->n; i++) {
    int op;
    inc_attr attr[] = {INC_INT(dim), INC_INT(start), INC_INT(f->channels[i])};
    INC_TRY(inc_graph_insert(f->g, place + i, &inc_op_narrow, 1, &wide, attr, ops[i], &op));
    inc_graph_replace(f->g, f->g->ops[ops[i]].out[0], f->g->ops[op].out[0]);
    f->g->ops[ops[i]].dead = true;
    start += f->channels[i];
  }
  return INC_OK;
}

static int latest(const inc_graph *g, const int *ops, int n) {
  int last = 0;
  for (int i = 1; i < n; i++)
    if (inc_graph_place(g, ops[i]) > inc_graph_place(g, ops[last])) last = i;
  return last;
}

/* -- forward --------------------------------------------------------------------------------------------- */

static int join_forward(family *f, int place) {
  inc_graph *g = f->g;
  int op, like = f->conv[0], in[3] = {f->x, -1, -1}, bias[MOST], n_in = g->ops[like].node.n_in;
  bool biased = has_bias(&g->ops[like]);
  for (int i = 0; i < f->n; i++) {
    bring_before(g, f->weight[i], &place);
    if (!biased) continue;
    bias[i] = g->ops[f->conv[i]].in[2];
    bring_before(g, bias[i], &place);
  }
  INC_TRY(side_by_side(f, f->weight, 0, place++, like, &in[1]));
  if (biased) INC_TRY(side_by_side(f, bias, 0, place++, like, &in[2]));
  f->wide_weight = in[1];
  INC_TRY(inc_graph_insert(g, place++, g->ops[like].node.op, n_in, in, g->ops[like].node.attr, like, &op));
  g->ops[op].note = note;
  return hand_out(f, g->ops[op].out[0], 1, f->conv, place);
}

/* -- gradients ------------------------------------------------------------------------------------------- */

static bool is_plain_sum(const inc_graph *g, int op) {
  const inc_gop *o = &g->ops[op];
  return o->node.op == &inc_op_add && inc_spec_same_shape(&o->node.in[0], &o->node.in[1]);
}

static int other_summand(const inc_gop *sum, int value) {
  return sum->in[0] == value ? sum->in[1] : sum->in[0];
}

/* Do all but the last go into sums with others, and nowhere else, also when the ones before are gone? */
static bool only_summed(const family *f, int last) {
  for (int i = 0; i < f->n; i++) {
    int dx = f->g->ops[f->by_data[i]].out[0], user = inc_graph_only_user(f->g, dx);
    if (i == last) continue;
    if (user < 0 || !is_plain_sum(f->g, user) || f->g->values[f->g->ops[user].out[0]].output) return false;
    int p = inc_graph_producer(f->g, other_summand(&f->g->ops[user], dx));
    bool summed_on = inc_graph_only_user(f->g, f->g->ops[user].out[0]) >= 0;
    for (int j = 0; j < f->n; j++)
      if (j != last && p == f->by_data[j] && !summed_on) return false;
  }
  return true;
}

/* The gradient leaves the sum that it is in. */
static void leave_sum(inc_graph *g, int by_data) {
  int dx = g->ops[by_data].out[0], sum = inc_graph_only_user(g, dx);
  inc_graph_replace(g, g->ops[sum].out[0], other_summand(&g->ops[sum], dx));
  g->ops[sum].dead = g->ops[by_data].dead = true;
}

static int join_dy(family *f, const int *ops, int slot, int place) {
  int dy[MOST];
  for (int i = 0; i < f->n; i++) dy[i] = f->g->ops[ops[i]].in[slot];
  return side_by_side(f, dy, 1, place, ops[0], &f->wide_dy);
}

static int join_by_data(family *f) {
  inc_graph *g = f->g;
  int last = latest(g, f->by_data, f->n), like = f->by_data[last], place = inc_graph_place(g, like), op;
  if (!only_summed(f, last)) return INC_OK;
  INC_TRY(join_dy(f, f->by_data, 0, place));
  int in[2] = {f->wide_dy, f->wide_weight};
  INC_TRY(
      inc_graph_insert(g, place + 1, &inc_op_conv2d_backward_data, 2, in, g->ops[like].node.attr, like, &op));
  g->ops[op].note = note;
  for (int i = 0; i < f->n; i++)
    if (i != last) leave_sum(g, f->by_data[i]);
  inc_graph_replace(g, g->ops[like].out[0], g->ops[op].out[0]);
  g->ops[like].dead = true;
  return INC_OK;
}

static bool read_before(const inc_graph *g, int value, int place) {
  for (int i = 0; i <= place; i++)
    if (!g->ops[g->order[i]].dead && inc_gop_reads(&g->ops[g->order[i]], value)) return true;
  return false;
}

static int join_by_weight(family *f) {
  inc_graph *g = f->g;
  int op, last = latest(g, f->by_weight, f->n), like = f->by_weight[last], place = inc_graph_place(g, like);
  if (f->wide_dy >= 0 && inc_graph_place(g, g->values[f->wide_dy].op) > place)
    place = inc_graph_place(g, g->values[f->wide_dy].op);
  for (int i = 0; i < f->n; i++)
    if (read_before(g, g->ops[f->by_weight[i]].out[0], place)) return INC_OK;
  if (f->wide_dy < 0) INC_TRY(join_dy(f, f->by_weight, 1, ++place));
  int in[2] = {f->x, f->wide_dy};
  INC_TRY(inc_graph_insert(g, place + 1, &inc_op_conv2d_backward_weight, 2, in, g->ops[like].node.attr, like,
                           &op));
  g->ops[op].note = note;
  return hand_out(f, g->ops[op].out[0], 0, f->by_weight, place + 2);
}

static bool all_there(const int *ops, int n) {
  for (int i = 0; i < n; i++)
    if (ops[i] < 0) return false;
  return true;
}

int inc_pass_siblings(inc_graph *g) {
  for (int i = 0; i < g->n_order; i++) {
    family f;
    if (!is_pointwise(g, g->order[i])) continue;
    find_family(g, i, &f);
    if (f.n < 2) continue;
    find_gradients(&f);
    INC_TRY(join_forward(&f, i));
    if (all_there(f.by_data, f.n)) INC_TRY(join_by_data(&f));
    if (all_there(f.by_weight, f.n)) INC_TRY(join_by_weight(&f));
  }
  inc_graph_sweep(g);
  return INC_OK;
}
