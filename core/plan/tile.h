/* tile.h -- runs of elementwise ops over equal sizes, done block by block in cache.
**
** An optimizer written over tensors is a chain of small ops on one parameter; run one after the other each
** would read and write the whole of it.  A tile runs the chain on 4096 elements, then on the next 4096, so
** what passes between its ops never leaves the cache, and takes no room in the arena.  The kernels are the
** ordinary ones, prepared for a block: results are the same to the bit.
**
** Tiles that a pass has gathered (gather.c: the same chain for many parameters) are one step: one walk over
** the blocks of all of them.
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
  int64_t numel, first; /* first: number of its first block among those of all tiles */
  size_t scratch;       /* bytes a thread */
  inc_tile_item *item;  /* [n] */
} inc_tile;

typedef struct inc_tiles { /* one step of a plan */
  int n;
  int64_t numel, blocks;
  size_t scratch;
  inc_tile *tile; /* [n], with nothing in common: any order, any thread */
} inc_tiles;

/* Which places of the order touch the memory of a root value.  `seen`: also from outside the order, or a part
** of it alone. */
typedef struct inc_touch {
  int first, last;
  bool seen;
} inc_touch;
int inc_tile_touches(const inc_graph *g, inc_touch **out); /* [values]; from inc_alloc */

/* The operand that all others of an op in a tile must look like; NULL: the op is none for tiles. */
const inc_spec *inc_tile_lead(const inc_graph *g, int op);
bool inc_tile_fits(const inc_graph *g, int op, const inc_spec *lead);
/* Does it touch memory of one of those ops, or of its own, in another place than they do?  A block of the one is
** no block of the other then. */
bool inc_tile_shifted(const inc_graph *g, int op, const int *others, int n);

/* How many ops from `place` of the order on run as one step (1: none). */
int inc_tiles_length(const inc_graph *g, int place);
int inc_tiles_new(const inc_graph *g, const inc_touch *touch, int place, int n, bool reference,
                  inc_tiles **out);
void inc_tiles_free(inc_tiles *s);
/* On the compute thread; scratch has inc_compute_threads() times s->scratch bytes. */
int inc_tiles_run(const inc_tiles *s, char *scratch);

#endif
