/* parts.h -- the real parts of a run: a loader of pictures, the planned step, and planned evaluation. */
#ifndef INC_PARTS_H
#define INC_PARTS_H

#include "data/feed.h"
#include "run/run.h"

typedef struct inc_parts_opts {
  inc_plan *step;           /* u8 pictures [B, 3, S, S] channels last, i64 labels [B] -> loss, more scalars */
  inc_plan *eval;           /* as in score.h, or NULL: no validation */
  inc_loader_opts train;    /* where to start is part of it */
  inc_loader_opts validate; /* used when eval is given */
  inc_feed *feed;           /* where batches come from instead of a loader of its own, or NULL */
  bool later;               /* of a stage to come: no loader before the run takes it */
} inc_parts_opts;

/* Checks shapes and starts the training loader; references are taken. */
int inc_parts_new(const inc_parts_opts *o, inc_run_parts *out);

#endif
