/* feed.c -- a window of batches over one loader (feed.h).
**
** Batches are copied out of the loader's ring, so that its workers go on with the next while the runs take
** their turns.  Rejected: a loader whose slots are released late, which ties the window to the ring and makes
** every position but the next one a special case.
*/
#include "data/feed.h"
#include "base/err.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef struct kept {
  int64_t number; /* -1: empty */
  uint8_t *pixels;
  int64_t *numbers; /* labels, then picture indices */
  int n;
} kept;

typedef struct bad {
  int64_t picture;
  char *why;
} bad;

struct inc_feed {
  _Atomic int refs;
  pthread_mutex_t m;
  inc_loader_opts o;
  inc_loader *loader;
  int64_t next, per_epoch, made; /* number of the loader's next batch */
  size_t pixels;                 /* bytes of a batch */
  kept *ring;
  int keep;
  bad *bad;
  int64_t n_bad;
};

/* -- life ----------------------------------------------------------------------------------------------- */

static void destroy(inc_feed *f) {
  inc_loader_free(f->loader);
  for (int i = 0; f->ring && i < f->keep; i++) {
    inc_free(f->ring[i].pixels);
    inc_free(f->ring[i].numbers);
  }
  for (int64_t i = 0; i < f->n_bad; i++) inc_free(f->bad[i].why);
  inc_free(f->bad);
  inc_free(f->ring);
  inc_images_unref(f->o.images);
  pthread_mutex_destroy(&f->m);
  inc_free(f);
}

static int count_epoch(inc_feed *f) {
  int64_t n = 0;
  for (int64_t i = 0; i < f->o.images->n; i++)
    n += f->o.images->item[i].part == f->o.part ||
         (f->o.part < 0 && f->o.images->item[i].part != INC_PART_BAD);
  f->per_epoch = n / f->o.batch;
  if (f->per_epoch > 0) return INC_OK;
  return inc_fail(INC_EARG, "batch", "expected at most the number of training pictures, %lld, got %d",
                  (long long)n, f->o.batch);
}

int inc_feed_new(const inc_loader_opts *o, int keep, inc_feed **out) {
  if (keep < 1 || !o->train) return inc_fail(INC_EARG, "feed", "expected a training loader and keep >= 1");
  inc_feed *f = inc_zalloc(sizeof *f);
  if (!f) return INC_EMEM;
  f->o = *o;
  f->refs = 1;
  f->keep = keep;
  f->pixels = (size_t)o->batch * (size_t)o->transform.size * (size_t)o->transform.size * 3;
  inc_images_ref(f->o.images);
  pthread_mutex_init(&f->m, NULL);
  f->ring = inc_zalloc(sizeof *f->ring * (size_t)keep);
  int code = f->ring ? count_epoch(f) : INC_EMEM;
  if (code != INC_OK) {
    destroy(f);
    return code;
  }
  for (int i = 0; i < keep; i++) f->ring[i].number = -1;
  *out = f;
  return INC_OK;
}

inc_feed *inc_feed_ref(inc_feed *f) {
  f->refs++;
  return f;
}

void inc_feed_unref(inc_feed *f) {
  if (f && --f->refs == 0) destroy(f);
}

const inc_loader_opts *inc_feed_opts(const inc_feed *f) { return &f->o; }

int64_t inc_feed_number(const inc_feed *f, int64_t epoch, int64_t index) {
  return epoch * f->per_epoch + index;
}

int64_t inc_feed_made(const inc_feed *f) { return f->made; }

/* -- the loader ----------------------------------------------------------------------------------------- */

static int open_at(inc_feed *f, int64_t number) {
  inc_loader_free(f->loader);
  f->loader = NULL;
  f->o.epoch = number / f->per_epoch, f->o.index = number % f->per_epoch;
  f->next = number;
  return inc_loader_new(&f->o, &f->loader);
}

static bool is_known(const inc_feed *f, int64_t picture) {
  for (int64_t i = 0; i < f->n_bad; i++)
    if (f->bad[i].picture == picture) return true;
  return false;
}

/* A loader that was opened anew meets bad pictures again: they are told once. */
static int note_bad(inc_feed *f) {
  const inc_bad_picture *list;
  int64_t n = inc_loader_bad(f->loader, &list);
  for (int64_t i = 0; i < n; i++) {
    if (is_known(f, list[i].picture)) continue;
    size_t old = sizeof *f->bad * (size_t)f->n_bad;
    bad *p = inc_realloc(f->bad, old, old + sizeof *p);
    if (!p) return INC_EMEM;
    f->bad = p;
    if (!(p[f->n_bad].why = inc_strdup(list[i].why))) return INC_EMEM;
    p[f->n_bad++].picture = list[i].picture;
  }
  return INC_OK;
}

static int copy(inc_feed *f, const inc_batch *b, kept *k) {
  size_t numbers = sizeof *k->numbers * 2 * (size_t)f->o.batch;
  if (!k->pixels && !(k->pixels = inc_alloc(f->pixels))) return INC_EMEM;
  if (!k->numbers && !(k->numbers = inc_alloc(numbers))) return INC_EMEM;
  memcpy(k->pixels, b->pixels, f->pixels);
  memcpy(k->numbers, b->label, numbers / 2);
  memcpy(k->numbers + f->o.batch, b->picture, numbers / 2);
  k->n = b->n;
  return INC_OK;
}

/* The loader's next batch into the window. */
static int advance(inc_feed *f) {
  inc_batch b;
  kept *k = &f->ring[f->next % f->keep];
  INC_TRY(inc_loader_next(f->loader, &b));
  k->number = -1;
  int code = copy(f, &b, k);
  inc_loader_release(f->loader, &b);
  if (code == INC_OK) code = note_bad(f);
  if (code == INC_OK) k->number = f->next++, f->made++;
  return code;
}

static int take(inc_feed *f, int64_t number, inc_batch *out) {
  kept *k = &f->ring[number % f->keep];
  if (k->number != number) {
    if (!f->loader || number < f->next || number >= f->next + f->keep) INC_TRY(open_at(f, number));
    while (f->next <= number) INC_TRY(advance(f));
  }
  *out = (inc_batch){.epoch = number / f->per_epoch,
                     .index = number % f->per_epoch,
                     .n = k->n,
                     .pixels = k->pixels,
                     .label = k->numbers,
                     .picture = k->numbers + f->o.batch,
                     .slot = -1};
  return INC_OK;
}

int inc_feed_take(inc_feed *f, int64_t number, inc_batch *out) {
  pthread_mutex_lock(&f->m);
  int code = take(f, number, out);
  pthread_mutex_unlock(&f->m);
  return code;
}

void inc_feed_stats(inc_feed *f, inc_loader_stats *out) {
  pthread_mutex_lock(&f->m);
  if (f->loader) inc_loader_stats_get(f->loader, out);
  pthread_mutex_unlock(&f->m);
}

int64_t inc_feed_bad(inc_feed *f, int64_t i, int64_t *picture, char *why, size_t n) {
  pthread_mutex_lock(&f->m);
  if (i >= 0 && i < f->n_bad) {
    *picture = f->bad[i].picture;
    snprintf(why, n, "%s", f->bad[i].why);
  }
  int64_t count = f->n_bad;
  pthread_mutex_unlock(&f->m);
  return count;
}
