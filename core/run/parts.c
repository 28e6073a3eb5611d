/* parts.c -- loader and plans under a run (parts.h).
**
** Pixels are copied from the loader's ring into a tensor of the run's own: 9 MB a step cost a millisecond,
** and the slot is free for the workers while the step computes. */
#include "run/parts.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

typedef struct parts {
  inc_plan *step;
  inc_loader_opts train; /* of parts that a later stage has: used by take() */
  inc_loader *loader;    /* NULL with a feed, and before take() */
  inc_feed *feed;
  int64_t at; /* number of the feed's next batch */
  inc_images *images;
  inc_tensor *in[2]; /* pixels, labels */
  inc_scorer scorer;
  inc_loader_opts validate;
} parts;

static int next(void *self, inc_batch *b) {
  parts *p = self;
  return p->feed ? inc_feed_take(p->feed, p->at++, b) : inc_loader_next(p->loader, b);
}

static void release(void *self, const inc_batch *b) {
  parts *p = self;
  if (p->loader) inc_loader_release(p->loader, b);
}

static int compute(void *self, const inc_batch *b) {
  parts *p = self;
  memcpy(inc_tensor_data(p->in[0]), b->pixels, inc_spec_bytes(&p->in[0]->spec));
  memcpy(inc_tensor_data(p->in[1]), b->label, inc_spec_bytes(&p->in[1]->spec));
  return inc_plan_compute(p->step, p->in);
}

static double peek(void *self, int output) { return inc_plan_peek(((parts *)self)->step, output); }

static int commit(void *self) { return inc_plan_commit(((parts *)self)->step); }

static int find_nan(void *self, char *name, size_t n) {
  parts *p = self;
  return inc_plan_find_nan(p->step, p->in, name, n);
}

static int validate(void *self, inc_run_val *out) {
  parts *p = self;
  inc_loader *l;
  INC_TRY(inc_loader_new(&p->validate, &l));
  int code = inc_score_all(&p->scorer, l, out);
  inc_loader_free(l);
  return code;
}

static int judged(void *self, inc_text *t) {
  const inc_scorer *s = &((parts *)self)->scorer;
  static const char *const names[] = {"picture", "label", "called"};
  for (int k = 0; k < 3; k++) {
    inc_text_format(t, "%s\"%s\":[", k ? "," : "", names[k]);
    for (int64_t i = 0; i < s->n_judged; i++) {
      const inc_judged *j = &s->judged[i];
      int64_t v = k == 0 ? j->picture + 1 : k == 1 ? j->label : j->called;
      inc_text_format(t, "%s%lld", i ? "," : "", (long long)v);
    }
    inc_text_put(t, "]");
  }
  return inc_text_done(t);
}

static int64_t bad_of_feed(parts *p, int64_t i, char *path, char *why, size_t n) {
  int64_t picture = -1, count = inc_feed_bad(p->feed, i, &picture, why, n);
  if (picture >= 0) snprintf(path, n, "%s", p->images->item[picture].path);
  return count;
}

static int64_t bad(void *self, int64_t i, char *path, char *why, size_t n) {
  parts *p = self;
  if (p->feed) return bad_of_feed(p, i, path, why, n);
  const inc_bad_picture *list;
  int64_t count = inc_loader_bad(p->loader, &list);
  if (i >= 0 && i < count) {
    snprintf(path, n, "%s", p->images->item[list[i].picture].path);
    snprintf(why, n, "%s", list[i].why);
  }
  return count;
}

static bool same_batches(const inc_loader_opts *a, const inc_loader_opts *b) {
  return a->images == b->images && a->batch == b->batch && a->seed == b->seed && a->bad_stop == b->bad_stop &&
         a->transform.size == b->transform.size && a->transform.view == b->transform.view;
}

/* A loader that gives the very batches that are wanted goes on, with those it has made already. */
static int take(void *self, void *before) {
  parts *p = self, *old = before;
  if (!same_batches(&p->train, &old->train)) return inc_loader_new(&p->train, &p->loader);
  p->loader = old->loader, old->loader = NULL;
  p->feed = old->feed, old->feed = NULL;
  p->at = old->at;
  return INC_OK;
}

static void loading(void *self, inc_loader_stats *out) {
  parts *p = self;
  if (p->feed)
    inc_feed_stats(p->feed, out);
  else if (p->loader)
    inc_loader_stats_get(p->loader, out);
}

static void drop(void *self) {
  parts *p = self;
  inc_loader_free(p->loader);
  inc_feed_unref(p->feed);
  inc_images_unref(p->images);
  inc_images_unref(p->validate.images);
  if (p->step) inc_plan_unref(p->step);
  inc_tensor_unref(p->in[0]);
  inc_tensor_unref(p->in[1]);
  if (p->scorer.plan) inc_scorer_free(&p->scorer);
  inc_free(p);
}

static int check(const inc_parts_opts *o) {
  const inc_spec *x = inc_plan_input_spec(o->step, 0);
  bool two = inc_plan_inputs(o->step) == 2;
  if (!two || x->dtype != INC_U8 || x->ndim != 4 || inc_plan_input_spec(o->step, 1)->dtype != INC_I64)
    return inc_fail(INC_EARG, "step", "expected u8 pictures [N, 3, H, W] and i64 labels [N] as inputs");
  if (x->shape[0] != o->train.batch || x->shape[2] != o->train.transform.size)
    return inc_fail(INC_EARG, "step", "planned for %lld pictures of %lld, the loader gives %d of %d",
                    (long long)x->shape[0], (long long)x->shape[2], o->train.batch, o->train.transform.size);
  return INC_OK;
}

/* A feed makes the batches that this run's own loader would. */
static int use_feed(parts *p, const inc_parts_opts *o) {
  const inc_loader_opts *f = inc_feed_opts(o->feed);
  if (f->batch != o->train.batch || f->seed != o->train.seed || f->images != o->train.images ||
      f->transform.size != o->train.transform.size || f->transform.view != o->train.transform.view)
    return inc_fail(INC_EARG, "feed", "expected one of the same pictures, seed, batch and distortions");
  p->feed = inc_feed_ref(o->feed);
  p->at = inc_feed_number(p->feed, o->train.epoch, o->train.index);
  return INC_OK;
}

static int build(parts *p, const inc_parts_opts *o) {
  INC_TRY(check(o));
  p->images = inc_images_ref(o->train.images);
  p->train = o->train;
  p->step = inc_plan_ref(o->step);
  INC_TRY(inc_tensor_new(inc_plan_input_spec(p->step, 0), &p->in[0]));
  INC_TRY(inc_tensor_new(inc_plan_input_spec(p->step, 1), &p->in[1]));
  if (o->eval) {
    INC_TRY(inc_scorer_init(&p->scorer, o->eval));
    p->validate = o->validate;
    inc_images_ref(p->validate.images);
  }
  if (o->later) return INC_OK;
  return o->feed ? use_feed(p, o) : inc_loader_new(&o->train, &p->loader);
}

int inc_parts_new(const inc_parts_opts *o, inc_run_parts *out) {
  parts *p = inc_zalloc(sizeof *p);
  if (!p) return INC_EMEM;
  int code = build(p, o);
  if (code != INC_OK) {
    drop(p);
    return code;
  }
  *out = (inc_run_parts){p,
                         next,
                         release,
                         compute,
                         peek,
                         commit,
                         find_nan,
                         o->eval ? validate : NULL,
                         bad,
                         drop,
                         o->eval ? judged : NULL,
                         take,
                         loading};
  return INC_OK;
}
