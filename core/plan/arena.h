/* arena.h -- where values live: lifetimes over the whole step, then offsets in one block. */
#ifndef INC_ARENA_H
#define INC_ARENA_H

#include "graph.h"

typedef struct inc_place {
  int64_t offset; /* bytes in the arena; -1: not in it (captured, input, or unused) */
  size_t bytes;
  int first, last; /* places in order; last == INT32_MAX: kept between steps */
} inc_place;

/* One entry a root value in places[n_values]; values with a base share their root's.  `hoisted` ops (by op
** number) make values that stay.  scratch[n_order]: .bytes is the workspace that the op in that place of the
** order wants while it runs; its offset comes back; .first and .last are the places of the tile that it runs in,
** 0 for an op on its own.  inner[n_values]: values without a place.  Returns
** the arena's size in *total and the size without reuse in *sum. */
int inc_arena_place(const inc_graph *g, const bool *hoisted, bool reuse, inc_place *places,
                    inc_place *scratch, const bool *inner, size_t *total, size_t *sum);

#endif
