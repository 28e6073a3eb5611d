/* score.c -- scoring pictures with a plan (score.h). */
#include "run/score.h"
#include "base/err.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

static double log_sum_exp(const float *z, int n) {
  double top = z[0], sum = 0;
  for (int j = 1; j < n; j++)
    if (z[j] > top) top = z[j];
  for (int j = 0; j < n; j++) sum += exp(z[j] - top);
  return top + log(sum);
}

inc_score inc_score_row(const float *z, int classes, int label) {
  inc_score s = {.loss = log_sum_exp(z, classes) - z[label - 1], .best = 1};
  for (int j = 0; j < classes; j++) {
    if (z[j] > z[s.best - 1]) s.best = j + 1;
    if (j == label - 1) continue;
    /* "not at most": a logit that is no number places its class before the true one, never behind */
    if (!(z[j] <= z[label - 1]) || (j < label - 1 && z[j] == z[label - 1])) s.rank++;
  }
  return s;
}

/* -- one plan ------------------------------------------------------------------------------------------- */

int inc_scorer_init(inc_scorer *s, inc_plan *plan) {
  memset(s, 0, sizeof *s);
  if (inc_plan_inputs(plan) != 1 || inc_plan_outputs(plan) < 1)
    return inc_fail(INC_EARG, "plan", "expected one input and one output");
  const inc_spec *in = inc_plan_input_spec(plan, 0), *out = inc_plan_output_spec(plan, 0);
  if (in->dtype != INC_U8 || in->ndim != 4 || out->dtype != INC_F32 || out->ndim != 2 ||
      out->shape[0] != in->shape[0])
    return inc_fail(INC_EARG, "plan", "expected u8 pictures [N, 3, H, W] in and f32 logits [N, K] out");
  s->batch = (int)in->shape[0], s->classes = (int)out->shape[1];
  s->logits = inc_zalloc(sizeof(float) * (size_t)(s->batch * s->classes));
  int code = s->logits ? inc_tensor_new(in, &s->x) : INC_EMEM;
  if (code == INC_OK)
    s->plan = inc_plan_ref(plan);
  else
    inc_scorer_free(s);
  return code;
}

void inc_scorer_free(inc_scorer *s) {
  if (s->plan) inc_plan_unref(s->plan);
  inc_tensor_unref(s->x);
  inc_free(s->logits);
  inc_free(s->judged);
  memset(s, 0, sizeof *s);
}

int inc_scorer_run(inc_scorer *s, const inc_batch *b) {
  memcpy(inc_tensor_data(s->x), b->pixels, inc_spec_bytes(&s->x->spec));
  INC_TRY(inc_plan_compute(s->plan, &s->x));
  return inc_plan_read(s->plan, 0, s->logits);
}

/* -- a whole part of the data --------------------------------------------------------------------------- */

typedef int (*row_fn)(void *self, const inc_batch *b, int row, const float *logits);

static int each_row(inc_scorer *s, const inc_batch *b, row_fn fn, void *self) {
  INC_TRY(inc_scorer_run(s, b));
  for (int i = 0; i < b->n; i++) {
    if (b->label[i] > s->classes)
      return inc_fail(INC_EARG, "label", "expected 1 to %d, got %lld", s->classes, (long long)b->label[i]);
    INC_TRY(fn(self, b, i, s->logits + (size_t)i * (size_t)s->classes));
  }
  return INC_OK;
}

static int each_picture(inc_scorer *s, inc_loader *l, row_fn fn, void *self) {
  for (;;) {
    inc_batch b;
    if (s->interruptible && inc_interrupt_pending()) return inc_fail(INC_EINTR, NULL, "interrupted");
    INC_TRY(inc_loader_next(l, &b));
    int n = b.n, code = n ? each_row(s, &b, fn, self) : INC_OK;
    inc_loader_release(l, &b);
    if (code != INC_OK || n == 0) return code;
    if (s->told) s->told(s->listener, n);
  }
}

struct sums {
  inc_run_val v;
  inc_scorer *s;
};

static int judge(inc_scorer *s, inc_judged one) {
  if (s->n_judged == s->cap_judged) {
    size_t old = sizeof one * (size_t)s->cap_judged, more = old ? old : sizeof one * 128;
    inc_judged *p = inc_realloc(s->judged, old, old + more);
    if (!p) return INC_EMEM;
    s->judged = p, s->cap_judged = (int64_t)((old + more) / sizeof one);
  }
  s->judged[s->n_judged++] = one;
  return INC_OK;
}

static int add_to_sums(void *self, const inc_batch *b, int row, const float *logits) {
  struct sums *sum = self;
  int label = (int)b->label[row];
  inc_score one = inc_score_row(logits, sum->s->classes, label);
  sum->v.n++;
  sum->v.loss += one.loss;
  sum->v.top1 += one.rank < 1;
  sum->v.top5 += one.rank < 5;
  return judge(sum->s, (inc_judged){b->picture[row], label, one.best});
}

int inc_score_all(inc_scorer *s, inc_loader *l, inc_run_val *out) {
  struct sums sum = {.s = s};
  s->n_judged = 0;
  INC_TRY(each_picture(s, l, add_to_sums, &sum));
  double n = sum.v.n ? (double)sum.v.n : 1;
  *out = (inc_run_val){sum.v.n, sum.v.loss / n, sum.v.top1 / n, sum.v.top5 / n};
  return INC_OK;
}

/* -- log-probabilities of each picture ------------------------------------------------------------------ */

static int grow(inc_scores *all) {
  if (all->n < all->cap) return INC_OK;
  int64_t cap = all->cap ? all->cap * 2 : 256;
  size_t old = (size_t)all->cap, now = (size_t)cap, row = sizeof(float) * (size_t)all->classes;
  int64_t *p = inc_realloc(all->picture, old * sizeof *p, now * sizeof *p);
  if (!p) return INC_EMEM;
  all->picture = p;
  if (!(p = inc_realloc(all->label, old * sizeof *p, now * sizeof *p))) return INC_EMEM;
  all->label = p;
  float *f = inc_realloc(all->logp, old * row, now * row);
  if (!f) return INC_EMEM;
  all->logp = f, all->cap = cap;
  return INC_OK;
}

struct pass {
  inc_scores *all;
  int64_t at;
};

static int add_row(void *self, const inc_batch *b, int row, const float *logits) {
  struct pass *p = self;
  inc_scores *all = p->all;
  bool first = all->passes == 0;
  if (first) INC_TRY(grow(all));
  if (!first && (p->at >= all->n || all->picture[p->at] != b->picture[row]))
    return inc_fail(INC_ESTATE, NULL, "the pictures changed between two passes");
  float *to = all->logp + (size_t)p->at * (size_t)all->classes;
  double lse = log_sum_exp(logits, all->classes);
  for (int j = 0; j < all->classes; j++) {
    double v = logits[j] - lse;
    if (!first) v = fmax(v, to[j]) + log1p(exp(-fabs(v - to[j])));
    to[j] = (float)v;
  }
  if (first) {
    all->picture[all->n] = b->picture[row], all->label[all->n] = b->label[row];
    all->n++;
  }
  p->at++;
  return INC_OK;
}

int inc_scores_add(inc_scores *all, inc_scorer *s, inc_loader *l) {
  struct pass p = {all, 0};
  if (all->passes == 0) all->classes = s->classes;
  if (all->classes != s->classes)
    return inc_fail(INC_EARG, NULL, "expected nets with the same classes, got %d and %d", all->classes,
                    s->classes);
  INC_TRY(each_picture(s, l, add_row, &p));
  if (p.at != all->n) return inc_fail(INC_ESTATE, NULL, "the pictures changed between two passes");
  all->passes++;
  return INC_OK;
}

void inc_scores_finish(inc_scores *all) {
  float shift = all->passes > 1 ? (float)log(all->passes) : 0;
  int64_t n = all->n * all->classes;
  for (int64_t i = 0; shift != 0 && i < n; i++) all->logp[i] -= shift;
}

void inc_scores_free(inc_scores *all) {
  inc_free(all->picture);
  inc_free(all->label);
  inc_free(all->logp);
  memset(all, 0, sizeof *all);
}
