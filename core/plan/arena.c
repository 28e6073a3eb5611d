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

/* The ops of a tile run block by block, as if all at once: what one of them touches lives as long as the tile. */
static void find_lifetimes(const inc_graph *g, const bool *hoisted, const inc_place *spans, inc_place *places,
                           int64_t *end) {
  for (int i = 0; i < g->n_values; i++) places[i] = (inc_place){.offset = -1, .first = -1, .last = -1};
  for (int i = 0; i < g->n_order; i++) {
    const inc_gop *op = &g->ops[g->order[i]];
    for (int late = 0; late < 2; late++) {
      int at = late ? spans[i].last : spans[i].first;
      for (int k = 0; k < op->node.n_in; k++)
        if (op->in[k] >= 0) touch(g, places, op->in[k], at, end);
      for (int k = 0; k < op->node.n_out; k++) touch(g, places, op->out[k], at, end);
    }
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

static int by_size(const void *a, const void *b) {
  const inc_place *const *x = a, *const *y = b;
  if ((*x)->bytes != (*y)->bytes) return (*x)->bytes < (*y)->bytes ? 1 : -1;
  return *x < *y ? -1 : *x > *y; /* all lie in two arrays: their order is that of the graph */
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

static void put_in_order(inc_place *p, inc_place **placed, int n) {
  int at = n;
  while (at > 0 && placed[at - 1]->offset > p->offset) at--;
  memmove(placed + at + 1, placed + at, sizeof *placed * (size_t)(n - at));
  placed[at] = p;
}

static size_t rounded(int64_t bytes) { return ((size_t)bytes + ALIGN - 1) / ALIGN * ALIGN; }

/* Everything that wants memory, values first. */
static int gather(const inc_graph *g, const int64_t *end, inc_place *places, inc_place *scratch,
                  inc_place **all) {
  int n = 0;
  for (int i = 0; i < g->n_values; i++) {
    if (places[i].first < 0 || end[i] == 0) continue;
    places[i].bytes = rounded(end[i]);
    all[n++] = &places[i];
  }
  for (int i = 0; i < g->n_order; i++) {
    scratch[i].offset = 0;
    if (scratch[i].bytes == 0) continue;
    scratch[i].bytes = rounded((int64_t)scratch[i].bytes);
    all[n++] = &scratch[i];
  }
  return n;
}

static void place_all(inc_place **all, int n, bool reuse, inc_place **placed, size_t *total, size_t *sum) {
  qsort(all, (size_t)n, sizeof *all, by_size);
  for (int i = 0; i < n; i++) {
    inc_place *p = all[i];
    p->offset = reuse ? lowest_gap(p, placed, i) : (int64_t)*sum;
    *sum += p->bytes;
    if (reuse) put_in_order(p, placed, i);
    if ((size_t)p->offset + p->bytes > *total) *total = (size_t)p->offset + p->bytes;
  }
}

int inc_arena_place(const inc_graph *g, const bool *hoisted, bool reuse, inc_place *places,
                    inc_place *scratch, const bool *inner, size_t *total, size_t *sum) {
  size_t most = (size_t)(g->n_values + g->n_order) + 1;
  int64_t *end = inc_zalloc(sizeof *end * most);
  inc_place **all = inc_alloc(sizeof *all * most), **placed = inc_alloc(sizeof *placed * most);
  int code = end && all && placed ? INC_OK : INC_EMEM;
  *total = *sum = 0;
  if (!code) {
    for (int i = 0; i < g->n_order; i++)
      if (scratch[i].last == 0) scratch[i].first = scratch[i].last = i;
    find_lifetimes(g, hoisted, scratch, places, end);
    for (int i = 0; i < g->n_values; i++)
      if (inner[i]) places[i].first = places[i].last = -1;
    place_all(all, gather(g, end, places, scratch, all), reuse, placed, total, sum);
  }
  inc_free(end);
  inc_free(all);
  inc_free(placed);
  return code;
}
