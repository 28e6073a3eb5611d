/* tile.c -- finding and running tiles (tile.h).
**
** Ops join while they are elementwise, neighbours in the order, of one phase, and walk the same number of
** elements in the same dense order; numbers (one element) may come from anywhere.  Generating code for a
** chain was rejected: a block of 4096 makes the cost of a kernel call small beside its work.  Each thread takes
** an equal share of the blocks of all tiles, in order.
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
  return op->flags & INC_OP_EWISE || op == &inc_op_sgd_ || op == &inc_op_rmsprop_ || op == &inc_op_adam_ ||
         op == &inc_op_bn_running_;
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

static bool looks_alike(const inc_graph *g, int op, const inc_spec *lead) {
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

typedef struct spot {
  const void *memory;
  int64_t offset;
} spot;

static spot spot_of(const inc_graph *g, int value) {
  int64_t offset = 0;
  for (; g->values[value].base >= 0; value = g->values[value].base) offset += g->values[value].base_offset;
  const inc_tensor *t = g->values[value].tensor;
  return t ? (spot){t->buf, offset + t->offset} : (spot){&g->values[value], offset};
}

static int spots_of(const inc_graph *g, const inc_gop *op, spot *out) {
  int n = 0;
  for (int k = 0; k < op->node.n_in; k++)
    if (op->in[k] >= 0) out[n++] = spot_of(g, op->in[k]);
  for (int k = 0; k < op->node.n_out; k++) out[n++] = spot_of(g, op->out[k]);
  return n;
}

bool inc_tile_shifted(const inc_graph *g, int op, const int *others, int n) {
  spot own[INC_TILE_OPERANDS + 4], far[INC_TILE_OPERANDS + 4];
  int n_own = spots_of(g, &g->ops[op], own);
  for (int i = -1; i < n; i++) {
    int n_far = spots_of(g, &g->ops[i < 0 || !others ? op : others[i]], far);
    for (int a = 0; a < n_own; a++)
      for (int b = 0; b < n_far; b++)
        if (own[a].memory == far[b].memory && own[a].offset != far[b].offset) return true;
  }
  return false;
}

bool inc_tile_fits(const inc_graph *g, int op, const inc_spec *lead) {
  return looks_alike(g, op, lead) && !writes_number(g, &g->ops[op]) && !inc_tile_shifted(g, op, NULL, 0);
}

const inc_spec *inc_tile_lead(const inc_graph *g, int op) {
  const inc_spec *lead = leading(g, &g->ops[op]);
  return lead && inc_spec_numel(lead) > 1 && inc_spec_is_dense(lead) && inc_tile_fits(g, op, lead) ? lead
                                                                                                   : NULL;
}

/* Ops that a pass has put together are a tile whatever phase they come from. */
static int tile_length(const inc_graph *g, int place) {
  const inc_gop *first = &g->ops[g->order[place]];
  const inc_spec *lead = inc_tile_lead(g, g->order[place]);
  int n = lead ? 0 : 1;
  for (; lead && place + n < g->n_order && n < INC_TILE_OPS; n++) {
    const inc_gop *op = &g->ops[g->order[place + n]];
    if (op->tile != first->tile || op->commit != first->commit) break;
    if (!first->tile && op->backward != first->backward) break;
    if (!inc_tile_fits(g, g->order[place + n], lead)) break;
    if (inc_tile_shifted(g, g->order[place + n], g->order + place, n)) break;
  }
  return n;
}

int inc_tiles_length(const inc_graph *g, int place) {
  int n = tile_length(g, place), together = g->ops[g->order[place]].together;
  while (together && place + n < g->n_order && g->ops[g->order[place + n]].together == together)
    n += tile_length(g, place + n);
  return n;
}

/* -- values inside ------------------------------------------------------------------------------------- */

static void touched(const inc_graph *g, inc_touch *list, int value, int place) {
  inc_touch *t = &list[inc_graph_root(g, value)];
  if (t->first < 0) t->first = place;
  t->last = place;
}

int inc_tile_touches(const inc_graph *g, inc_touch **out) {
  inc_touch *list = inc_alloc(sizeof *list * (size_t)(g->n_values + 1));
  if (!list) return INC_EMEM;
  for (int i = 0; i < g->n_values; i++) list[i] = (inc_touch){-1, -1, g->values[i].kind != INC_V_OP};
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i].output || g->values[i].base_offset != 0) list[inc_graph_root(g, i)].seen = true;
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] >= 0) touched(g, list, op->in[k], i);
    for (int k = 0; k < op->node.n_out; k++) touched(g, list, op->out[k], i);
  }
  *out = list;
  return INC_OK;
}

/* Is its memory only touched by ops place..place+n-1? */
static bool is_inside(const inc_touch *t, int place, int n) {
  return !t->seen && t->first >= place && t->last < place + n;
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
                            .scratch = inner[inc_graph_root(g, value)]};
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

/* Each value inside, with all that lives in its memory, has its own piece of a thread's scratch. */
static void place_inner(const inc_graph *g, const inc_touch *touch, int place, inc_tile *t, int64_t *inner) {
  size_t block = t->numel < INC_TILE_BLOCK ? (size_t)t->numel : INC_TILE_BLOCK;
  for (int i = 0; i < g->n_values; i++) inner[i] = -1;
  for (int i = place; i < place + t->n; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    for (int k = 0; k < op->node.n_out; k++) {
      int root = inc_graph_root(g, op->out[k]);
      if (inner[root] >= 0 || !is_inside(&touch[root], place, t->n)) continue;
      inner[root] = (int64_t)t->scratch;
      t->scratch += (block * inc_dtype_size(g->values[root].spec.dtype) + 63) / 64 * 64;
    }
  }
}

static int64_t blocks_of(int64_t numel) { return (numel + INC_TILE_BLOCK - 1) / INC_TILE_BLOCK; }

static int make_tile(const inc_graph *g, const inc_touch *touch, int place, bool reference, int64_t *inner,
                     inc_tile *t) {
  t->numel = inc_spec_numel(inc_tile_lead(g, g->order[place]));
  t->item = inc_zalloc(sizeof *t->item * (size_t)t->n);
  if (!t->item) return INC_EMEM;
  place_inner(g, touch, place, t, inner);
  for (int i = 0; i < t->n; i++)
    INC_TRY(make_item(g, g->order[place + i], t->numel, reference, inner, &t->item[i]));
  return INC_OK;
}

static int make_tiles(const inc_graph *g, const inc_touch *touch, int place, int n, bool reference,
                      int64_t *inner, inc_tiles *s) {
  for (int end = place + n; place < end; place += s->tile[s->n - 1].n) {
    inc_tile *t = &s->tile[s->n++];
    t->n = tile_length(g, place);
    t->first = s->blocks;
    INC_TRY(make_tile(g, touch, place, reference, inner, t));
    s->blocks += blocks_of(t->numel);
    s->numel += t->numel;
    if (t->scratch > s->scratch) s->scratch = t->scratch;
  }
  return INC_OK;
}

int inc_tiles_new(const inc_graph *g, const inc_touch *touch, int place, int n, bool reference,
                  inc_tiles **out) {
  inc_tiles *s = inc_zalloc(sizeof *s);
  int64_t *inner = inc_alloc(sizeof *inner * (size_t)(g->n_values + 1));
  int code = s && inner ? INC_OK : INC_EMEM;
  if (!code) code = (s->tile = inc_zalloc(sizeof *s->tile * (size_t)n)) ? INC_OK : INC_EMEM;
  if (!code) code = make_tiles(g, touch, place, n, reference, inner, s);
  inc_free(inner);
  if (code) {
    inc_tiles_free(s);
    return code;
  }
  *out = s;
  return INC_OK;
}

static void drop_tile(inc_tile *t) {
  for (int i = 0; t->item && i < t->n; i++) {
    inc_cpu_backend.drop(t->item[i].block);
    inc_cpu_backend.drop(t->item[i].tail);
  }
  inc_free(t->item);
}

void inc_tiles_free(inc_tiles *s) {
  if (!s) return;
  for (int i = 0; i < s->n; i++) drop_tile(&s->tile[i]);
  inc_free(s->tile);
  inc_free(s);
}

/* -- running ------------------------------------------------------------------------------------------- */

static void *at(const inc_tile_operand *o, int64_t block, char *scratch) {
  if (o->scratch >= 0) return scratch + o->scratch;
  return o->base ? (char *)o->base + (size_t)block * o->step : NULL;
}

static int run_block(const inc_tile *t, int64_t block, char *scratch) {
  bool last = block == blocks_of(t->numel) - 1;
  for (int i = 0; i < t->n; i++) {
    const inc_tile_item *it = &t->item[i];
    void *in[INC_TILE_OPERANDS], *out[4];
    for (int k = 0; k < it->n_in; k++) in[k] = at(&it->in[k], block, scratch);
    for (int k = 0; k < it->n_out; k++) out[k] = at(&it->out[k], block, scratch);
    INC_TRY(inc_cpu_backend.run(last && it->tail ? it->tail : it->block, in, out, NULL, 0));
  }
  return INC_OK;
}

/* Blocks from..to-1 of all tiles. */
static int run_blocks(const inc_tiles *s, int64_t from, int64_t to, char *scratch) {
  const inc_tile *t = s->tile, *end = s->tile + s->n;
  for (int64_t b = from; b < to; b++) {
    while (t + 1 < end && t[1].first <= b) t++;
    INC_TRY(run_block(t, b - t->first, scratch));
  }
  return INC_OK;
}

int inc_tiles_run(const inc_tiles *s, char *scratch) {
  int failed = INC_OK;
  if (s->numel < WIDE) return run_blocks(s, 0, s->blocks, scratch);
#pragma omp parallel
  {
    int64_t me = omp_get_thread_num(), all = omp_get_num_threads();
    int code =
        run_blocks(s, s->blocks * me / all, s->blocks * (me + 1) / all, scratch + (size_t)me * s->scratch);
    if (code) {
#pragma omp atomic write
      failed = code;
    }
  }
  return failed ? inc_fail(failed, NULL, "an elementwise kernel failed") : INC_OK;
}
