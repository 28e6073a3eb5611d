/* gather.c -- the updates of all parameters as one step, over a table of tensors.
**
** An optimizer is written for one parameter (lua/inc/optim), so a trace has its ops once a parameter.  Among
** what commits, this pass finds the chains of elementwise ops on the same tensors and moves each down to the
** first op that has to come after it, mostly to the end of the step.  There it meets what works on the same
** tensors and joins it: the average of a weight goes into the weight's update.  Chains that stay apart in one
** place have nothing in common then; those of one program become one step (tile.h), which walks a table of
** addresses: one barrier in the place of hundreds, and for a device one launch.
**
** A chain that reads what a norm or a product made for it alone (lamb, muon) stays where it is, because all
** of those would have to be in memory together.  Rejected: levels over all ops, which does not see that; and
** an op of its own for each optimizer's list of parameters, which would make a user's optimizer second-class.
*/
#include "base/mem.h"
#include "plan/passes.h"
#include "plan/tile.h"
#include <string.h>

enum { NONE = -1, SEVERAL = -2, OPERANDS = INC_TILE_OPS * (INC_TILE_OPERANDS + 4) };

typedef struct chain {
  int n, op[INC_TILE_OPS];
  int limit; /* it comes right before the op in this place */
  int next;  /* the next one of the trace with that limit */
  bool put;
} chain;

typedef struct reach { /* the first place that touches a memory, and the chain that will be there */
  int place, chain;
} reach;

typedef struct work {
  inc_graph *g;
  chain *chains; /* the last one of the trace first */
  int n_chains, n_programs;
  int *begin;               /* [order] where the run of an op begins, NONE: the op stays where it is */
  int *head;                /* [order + 1] the first chain with that limit */
  int *memory;              /* [values] one value that stands for all in its memory */
  reach *written, *touched; /* [values], by memory; of what comes later than where the walk is */
} work;

/* -- operands ------------------------------------------------------------------------------------------- */

static int n_operands(const inc_gop *op) { return op->node.n_in + op->node.n_out; }

static int operand(const inc_gop *op, int k) {
  return k < op->node.n_in ? op->in[k] : op->out[k - op->node.n_in];
}

static bool writes(const inc_gop *op, int k) { return k >= op->node.n_in || op->version[k] >= 0; }

static bool is_number(const inc_graph *g, int value) { return inc_spec_numel(&g->values[value].spec) == 1; }

static const inc_gop *op_at(const work *w, int place) { return &w->g->ops[w->g->order[place]]; }

/* Tensors from outside may be views of one buffer. */
static int first_of_buffer(const inc_graph *g, int root) {
  const inc_tensor *t = g->values[root].tensor;
  for (int i = 0; t && i < root; i++)
    if (g->values[i].tensor && g->values[i].tensor->buf == t->buf) return i;
  return root;
}

static void find_memory(const inc_graph *g, int *memory) {
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i].base < 0) memory[i] = first_of_buffer(g, i);
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i].base >= 0) memory[i] = memory[inc_graph_root(g, i)];
}

/* -- runs of neighbours ----------------------------------------------------------------------------------- */

static bool shares_memory(const work *w, const inc_gop *op, const int *mark, int run) {
  for (int k = 0; k < n_operands(op); k++) {
    int v = operand(op, k);
    if (v >= 0 && !is_number(w->g, v) && mark[w->memory[v]] == run + 1) return true;
  }
  return false;
}

/* `mark`: by memory, the run that touched it last, plus 1. */
static void find_runs(work *w, int *mark) {
  const inc_graph *g = w->g;
  int begin = NONE;
  const inc_spec *lead = NULL;
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *op = op_at(w, i);
    const inc_spec *own = op->commit ? inc_tile_lead(g, g->order[i]) : NULL;
    bool joins = own && begin != NONE && i - begin < INC_TILE_OPS && inc_tile_fits(g, g->order[i], lead) &&
                 shares_memory(w, op, mark, begin) &&
                 !inc_tile_shifted(g, g->order[i], g->order + begin, i - begin);
    if (!joins) begin = own ? i : NONE, lead = own;
    w->begin[i] = begin;
    for (int k = 0; own && k < n_operands(op); k++)
      if (operand(op, k) >= 0) mark[w->memory[operand(op, k)]] = begin + 1;
  }
}

/* -- what must come later --------------------------------------------------------------------------------- */

static void note(reach *r, int place, int number) {
  if (place > r->place) return;
  if (place < r->place)
    *r = (reach){place, number};
  else if (number != NONE && number != r->chain)
    r->chain = r->chain == NONE ? number : SEVERAL;
}

static void note_op(work *w, const inc_gop *op, int place, int number) {
  for (int k = 0; k < n_operands(op); k++) {
    int v = operand(op, k);
    if (v < 0) continue;
    note(&w->touched[w->memory[v]], place, number);
    if (writes(op, k)) note(&w->written[w->memory[v]], place, number);
  }
}

static reach first_conflict(const work *w, int begin, int end) {
  reach least = {w->g->n_order, NONE};
  for (int i = begin; i <= end; i++) {
    const inc_gop *op = op_at(w, i);
    for (int k = 0; k < n_operands(op); k++) {
      int v = operand(op, k);
      if (v < 0) continue;
      const reach *r = &(writes(op, k) ? w->touched : w->written)[w->memory[v]];
      note(&least, r->place, r->chain);
    }
  }
  return least;
}

/* -- does the run stay? ----------------------------------------------------------------------------------- */

static bool is_in_run(const work *w, int begin, int end, int op) {
  for (int i = begin; i <= end; i++)
    if (w->g->order[i] == op) return true;
  return false;
}

static bool only_run_reads(const work *w, int begin, int end, int value) {
  for (int i = 0; i < w->g->n_order; i++)
    if ((i < begin || i > end) && inc_gop_reads(op_at(w, i), value)) return false;
  return true;
}

/* Made in the commit half by an op that cannot come along. */
static bool is_kept_for(const work *w, int begin, int end, int value) {
  const inc_graph *g = w->g;
  if (value < 0 || is_number(g, value) || g->values[inc_graph_root(g, value)].kind != INC_V_OP) return false;
  int maker = g->values[value].op;
  if (!g->ops[maker].commit || is_in_run(w, begin, end, maker)) return false;
  const inc_spec *lead = inc_tile_lead(g, g->order[begin]);
  return !(inc_tile_fits(g, maker, lead) && only_run_reads(w, begin, end, value));
}

static bool would_hoard(const work *w, int begin, int end) {
  for (int i = begin; i <= end; i++)
    for (int k = 0; k < op_at(w, i)->node.n_in; k++)
      if (is_kept_for(w, begin, end, op_at(w, i)->in[k])) return true;
  return false;
}

/* -- chains ----------------------------------------------------------------------------------------------- */

static void prepend(work *w, int number, int begin, int end) {
  chain *c = &w->chains[number];
  int n = end - begin + 1;
  memmove(c->op + n, c->op, sizeof *c->op * (size_t)c->n);
  memcpy(c->op, w->g->order + begin, sizeof *c->op * (size_t)n);
  c->n += n;
  for (int i = begin; i <= end; i++) note_op(w, op_at(w, i), c->limit, number);
}

static bool may_join(const work *w, const chain *c, int begin, int end) {
  if (c->n + end - begin + 1 > INC_TILE_OPS) return false;
  if (!inc_tile_fits(w->g, w->g->order[begin], inc_tile_lead(w->g, c->op[0]))) return false;
  for (int i = begin; i <= end; i++)
    if (inc_tile_shifted(w->g, w->g->order[i], c->op, c->n)) return false;
  return true;
}

/* Into the chain that has to follow it, into one of its own, or nowhere. */
static bool take_run(work *w, int begin, int end) {
  reach r = first_conflict(w, begin, end);
  if (r.chain == SEVERAL || would_hoard(w, begin, end)) return false;
  if (r.chain != NONE && !may_join(w, &w->chains[r.chain], begin, end)) return false;
  if (r.chain == NONE) {
    r.chain = w->n_chains++;
    w->chains[r.chain] = (chain){.limit = r.place, .next = w->head[r.place]};
    w->head[r.place] = r.chain;
  }
  prepend(w, r.chain, begin, end);
  return true;
}

static void find_chains(work *w) {
  for (int i = w->g->n_order - 1, begin; i >= 0; i = begin - 1) {
    begin = w->begin[i] == NONE ? i : w->begin[i];
    if (w->begin[i] != NONE && take_run(w, begin, i)) continue;
    for (int k = i; k >= begin; k--) {
      w->begin[k] = NONE;
      if (!(op_at(w, k)->node.op->flags & INC_OP_VIEW)) note_op(w, op_at(w, k), k, NONE);
    }
  }
}

/* -- programs --------------------------------------------------------------------------------------------- */

static bool same_operand(const inc_graph *g, int a, int b) {
  if (a < 0 || b < 0) return a == b;
  return g->values[a].spec.dtype == g->values[b].spec.dtype && is_number(g, a) == is_number(g, b);
}

/* For each operand of a chain the first one that has its memory. */
static int wiring(const work *w, const chain *c, int16_t *first) {
  int memory[OPERANDS], n = 0;
  for (int i = 0; i < c->n; i++) {
    const inc_gop *op = &w->g->ops[c->op[i]];
    for (int k = 0; k < n_operands(op); k++, n++) {
      int at = 0, v = operand(op, k);
      memory[n] = v < 0 ? NONE : w->memory[v];
      while (memory[at] != memory[n]) at++;
      first[n] = (int16_t)at;
    }
  }
  return n;
}

static bool same_ops(const inc_graph *g, const chain *a, const chain *b) {
  if (a->n != b->n) return false;
  for (int i = 0; i < a->n; i++) {
    const inc_gop *x = &g->ops[a->op[i]], *y = &g->ops[b->op[i]];
    if (x->node.op != y->node.op || x->node.n_in != y->node.n_in || !inc_gop_same_attrs(x, y)) return false;
    for (int k = 0; k < n_operands(x); k++)
      if (!same_operand(g, operand(x, k), operand(y, k))) return false;
  }
  return true;
}

/* The same ops with the same options, wired alike. */
static bool same_program(const work *w, const chain *a, const chain *b) {
  int16_t of_a[OPERANDS], of_b[OPERANDS];
  if (a == b) return true;
  if (!same_ops(w->g, a, b)) return false;
  int n = wiring(w, a, of_a);
  return n == wiring(w, b, of_b) && !memcmp(of_a, of_b, sizeof *of_a * (size_t)n);
}

/* -- the new order ---------------------------------------------------------------------------------------- */

static int put_chain(work *w, chain *c, int *order) {
  for (int i = 0; i < c->n; i++) {
    w->g->ops[c->op[i]].tile = (int)(c - w->chains) + 1;
    w->g->ops[c->op[i]].together = w->n_programs;
    order[i] = c->op[i];
  }
  c->put = true;
  return c->n;
}

/* The chains that come before the op in this place, program by program, each in the order of the trace. */
static int put_chains(work *w, int place, int *order) {
  int n = 0;
  for (int i = w->head[place]; i != NONE; i = w->chains[i].next) {
    if (w->chains[i].put) continue;
    w->n_programs++;
    for (int k = i; k != NONE; k = w->chains[k].next) {
      chain *c = &w->chains[k];
      if (!c->put && same_program(w, &w->chains[i], c)) n += put_chain(w, c, order + n);
    }
  }
  return n;
}

static void put_all(work *w, int *order) {
  int n = 0;
  for (int i = 0; i <= w->g->n_order; i++) {
    n += put_chains(w, i, order + n);
    if (i < w->g->n_order && w->begin[i] == NONE) order[n++] = w->g->order[i];
  }
  memcpy(w->g->order, order, sizeof *order * (size_t)n);
}

static void gather(work *w, int *mark, int *order) {
  for (int i = 0; i < w->g->n_values; i++) w->written[i] = w->touched[i] = (reach){w->g->n_order, NONE};
  for (int i = 0; i <= w->g->n_order; i++) w->head[i] = NONE;
  find_memory(w->g, w->memory);
  find_runs(w, mark);
  find_chains(w);
  put_all(w, order);
}

int inc_pass_gather(inc_graph *g) {
  size_t places = (size_t)g->n_order + 1, values = (size_t)g->n_values + 1;
  work w = {.g = g,
            .chains = inc_alloc(sizeof *w.chains * places),
            .begin = inc_alloc(sizeof *w.begin * places),
            .head = inc_alloc(sizeof *w.head * places),
            .memory = inc_alloc(sizeof *w.memory * values),
            .written = inc_alloc(sizeof *w.written * values),
            .touched = inc_alloc(sizeof *w.touched * values)};
  int *mark = inc_zalloc(sizeof *mark * values), *order = inc_alloc(sizeof *order * places);
  bool room = w.chains && w.begin && w.head && w.memory && w.written && w.touched && mark && order;
  if (room) gather(&w, mark, order);
  inc_free(w.chains);
  inc_free(w.begin);
  inc_free(w.head);
  inc_free(w.memory);
  inc_free(w.written);
  inc_free(w.touched);
  inc_free(mark);
  inc_free(order);
  return room ? INC_OK : INC_EMEM;
}
