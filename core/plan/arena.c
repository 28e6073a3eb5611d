/* arena.c -- lifetimes -> offsets.
**
** Largest first, each at the lowest offset where nothing that lives at the same time is in the way.  Within
** 1% of the lower bound (the largest sum alive at once) on the shipped nets; a search for better was not
** worth its lines.
*/
#include "plan/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "plan/passes.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 256 }; /* bytes: a page of cache lines, so that neighbours never share one */

static void touch(const inc_graph *g, inc_place *places, int value, int at, int64_t *end) {
  int64_t offset = 0;
  int v = value;
  for (; g->values[v].base >= 0; v = g->values[v].base) offset += g->values[v].base_offset;
  if (g->values[v].kind != INC_V_OP) return;
  inc_place *p = &places[v];
  if (p->first < 0) p->first = at;
  if (at > p->last) p->last = at;
  /* dtypes of a value and its root agree, so offsets in elements add up */
  int64_t need =
      (offset + inc_spec_span(&g->values[value].spec)) * (int64_t)inc_dtype_size(g->values[value].spec.dtype);
  if (need > end[v]) end[v] = need;
}

static void find_lifetimes(const inc_graph *g, const bool *hoisted, inc_place *places, int64_t *end) {
  for (int i = 0; i < g->n_values; i++) places[i] = (inc_place){.offset = -1, .first = -1, .last = -1};
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] >= 0) touch(g, places, op->in[k], i, end);
    for (int k = 0; k < op->node.n_out; k++) touch(g, places, op->out[k], i, end);
    if (!hoisted[g->order[i]]) continue;
    for (int k = 0; k < op->node.n_out; k++) {
      int root = inc_graph_root(g, op->out[k]);
      places[root].last = INT32_MAX;
    }
  }
  for (int i = 0; i < g->n_outputs; i++) {
    int root = inc_graph_root(g, g->outputs[i]);
    if (places[root].first >= 0) places[root].last = INT32_MAX;
  }
  for (int i = 0; i < g->n_values; i++)
    if (places[i].last == INT32_MAX) places[i].first = 0;
}

typedef struct item {
  int value;
  size_t bytes;
} item;

static int by_size(const void *a, const void *b) {
  const item *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->value - y->value;
}

static int by_offset(const void *a, const void *b) {
  const inc_place *const *x = a, *const *y = b;
  return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

static bool overlaps(const inc_place *a, const inc_place *b) {
  return a->first <= b->last && b->first <= a->last;
}

/* `placed` is kept sorted by offset, so one walk finds the lowest gap. */
static int64_t lowest_gap(const inc_place *p, inc_place *const *placed, int n) {
  int64_t at = 0;
  for (int i = 0; i < n; i++) {
    if (!overlaps(p, placed[i])) continue;
    if (placed[i]->offset >= at + (int64_t)p->bytes) break;
    int64_t after = placed[i]->offset + (int64_t)placed[i]->bytes;
    if (after > at) at = after;
  }
  return at;
}

int inc_arena_place(const inc_graph *g, const bool *hoisted, bool reuse, inc_place *places, size_t *total,
                    size_t *sum) {
  int64_t *end = inc_zalloc(sizeof *end * (size_t)(g->n_values + 1));
  item *items = inc_alloc(sizeof *items * (size_t)(g->n_values + 1));
  inc_place **placed = inc_alloc(sizeof *placed * (size_t)(g->n_values + 1));
  int code = end && items && placed ? INC_OK : INC_EMEM, n = 0;
  *total = *sum = 0;
  if (!code) {
    find_lifetimes(g, hoisted, places, end);
    for (int i = 0; i < g->n_values; i++) {
      if (places[i].first < 0 || end[i] == 0) continue;
      places[i].bytes = ((size_t)end[i] + ALIGN - 1) / ALIGN * ALIGN;
      items[n++] = (item){i, places[i].bytes};
      *sum += places[i].bytes;
    }
    qsort(items, (size_t)n, sizeof *items, by_size);
    for (int i = 0; i < n; i++) {
      inc_place *p = &places[items[i].value];
      p->offset = reuse ? lowest_gap(p, placed, i) : (int64_t)*total;
      placed[i] = p;
      if (reuse) qsort(placed, (size_t)i + 1, sizeof *placed, by_offset);
      if ((size_t)p->offset + p->bytes > *total) *total = (size_t)p->offset + p->bytes;
    }
  }
  inc_free(end);
  inc_free(items);
  inc_free(placed);
  return code;
}
