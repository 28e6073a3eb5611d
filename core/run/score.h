/* score.h -- from logits to what evaluation reports.
**
** Scores are kept as log-probabilities, so several passes (crops, an ensemble of nets) can be averaged as
** probabilities without losing small ones.  Each picture has one row, however many passes there were.
*/
#ifndef INC_SCORE_H
#define INC_SCORE_H

#include "data/data.h"
#include "plan/plan.h"

typedef struct inc_score {
  double loss; /* cross-entropy of the true class */
  int rank;    /* classes that are placed before the true one; equal values in order of class */
  int best;    /* the class that is called, from 1 */
} inc_score;

/* One row of logits or log-probabilities; label from 1. */
inc_score inc_score_row(const float *z, int classes, int label);

typedef struct inc_run_val {
  int64_t n;
  double loss, top1, top5; /* means over n pictures */
} inc_run_val;

typedef struct inc_judged { /* a picture, and what it was called */
  int64_t picture;
  int label, called;
} inc_judged;

/* One plan: u8 [B, 3, S, S] channels last -> f32 logits [B, K], and memory for its arguments. */
typedef struct inc_scorer {
  inc_plan *plan;
  inc_tensor *x;
  float *logits;
  int batch, classes;
  inc_judged *judged; /* of the last inc_score_all */
  int64_t n_judged, cap_judged;
  bool interruptible; /* Ctrl-C ends it between two batches with EINTR; not so inside a run */
  void (*told)(void *listener, int n); /* so many pictures more are scored; NULL: nobody listens */
  void *listener;
} inc_scorer;

int inc_scorer_init(inc_scorer *s,
                    inc_plan *plan); /* EARG if the plan has another shape; takes a reference */
void inc_scorer_free(inc_scorer *s);
int inc_scorer_run(inc_scorer *s, const inc_batch *b); /* logits of its rows are in s->logits */

/* Every picture of the loader once. */
int inc_score_all(inc_scorer *s, inc_loader *l, inc_run_val *out);

typedef struct inc_scores {
  int64_t n, cap;
  int classes, passes;
  int64_t *picture, *label; /* [n] */
  float *logp;              /* [n, classes]; sums over passes until finished */
} inc_scores;

/* One more pass over the same pictures.  ESTATE if they are not the same. */
int inc_scores_add(inc_scores *all, inc_scorer *s, inc_loader *l);
void inc_scores_finish(inc_scores *all); /* sums become means */
void inc_scores_free(inc_scores *all);

#endif
