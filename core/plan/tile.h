/* tile.h -- runs of elementwise ops over equal sizes, done block by block in cache.
**
** An optimizer written over tensors is a chain of small ops on one parameter; run one after the other each
** would read and write the whole of it.  A tile runs the chain on 4096 elements, then on the next 4096, so
** what passes between its ops never leaves the cache, and takes no room in the arena.  The kernels are the
** ordinary ones, prepared for a block: results are the same to the bit.
*/
#ifndef INC_TILE_H
#define INC_TILE_H

#include "backend.h"
#include "graph.h"

enum { INC_TILE_BLOCK = 4096, INC_TILE_OPS = 32, INC_TILE_OPERANDS = 12 };

typedef struct inc_tile_operand {
  void *base;      /* address of its first element, or NULL for a value inside the tile */
  size_t step;     /* bytes from block to block; 0 for a number */
  int64_t scratch; /* offset in a thread's scratch of a value inside the tile; -1 otherwise */
} inc_tile_operand;

typedef struct inc_tile_item {
  int op;
  inc_kernel *block, *tail; /* tail: the last, shorter block; NULL if there is none */
  int n_in, n_out;
  inc_tile_operand in[INC_TILE_OPERANDS], out[4];
} inc_tile_item;

typedef struct inc_tile {
  int n;
  int64_t numel;
  size_t scratch;      /* bytes a thread */
  inc_tile_item *item; /* [n] */
} inc_tile;

/* How many ops from `place` of the order on can run as one tile (1: none). */
int inc_tile_length(const inc_graph *g, int place);
/* Is the value made and used up inside ops place..place+n-1? */
bool inc_tile_is_inner(const inc_graph *g, int place, int n, int value);
int inc_tile_new(const inc_graph *g, int place, int n, bool reference, inc_tile **out);
void inc_tile_free(inc_tile *t);
/* On the compute thread; scratch has inc_compute_threads() times t->scratch bytes. */
int inc_tile_run(const inc_tile *t, char *scratch);

#endif
