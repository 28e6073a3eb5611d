/* feed.h -- one loader for several consumers: batches by number, the last few kept.
**
** The runs of a comparison that have a seed, a batch size and a distortion in common see the same batches.
** They take turns of a few steps; who comes first has the batches made, the others find them here.  Any batch
** may be asked for at any time (a run that was resumed lags behind): what is neither kept nor next is made
** anew from its number, because a batch is a function of (seed, epoch, place).
*/
#ifndef INC_FEED_H
#define INC_FEED_H

#include "data/data.h"

typedef struct inc_feed inc_feed;

/* `o` is of a training loader; where it starts is left to the first batch asked for.  keep: batches. */
int inc_feed_new(const inc_loader_opts *o, int keep, inc_feed **out);
inc_feed *inc_feed_ref(inc_feed *f);
void inc_feed_unref(inc_feed *f);
const inc_loader_opts *inc_feed_opts(const inc_feed *f);

/* Batch `number`, counted from 0 over all epochs.  It stays valid until `keep` others were taken.  Callable
** from any thread, but its consumers take turns: a batch is not held while another run takes one. */
int inc_feed_take(inc_feed *f, int64_t number, inc_batch *out);
/* The number of a batch by its epoch and place in it. */
int64_t inc_feed_number(const inc_feed *f, int64_t epoch, int64_t index);
int64_t inc_feed_made(const inc_feed *f);                /* batches that were made, not found */
void inc_feed_stats(inc_feed *f, inc_loader_stats *out); /* of the loader at work */
/* Bad pictures met so far, once each. */
int64_t inc_feed_bad(inc_feed *f, int64_t i, int64_t *picture, char *why, size_t n);

#endif
