/* loader.c -- worker threads that fill a ring of batches.
**
** Rows are numbered from the start of the loader; a worker claims the next number with one atomic add, which
** tells it everything: batch, slot, place in the epoch, picture, random numbers.  So what a row holds never
** depends on who made it or when.  Workers write straight into the slot; the last one of a batch wakes the
** consumer.  Locks are taken only to sleep and to wake.
**
** A bad picture is replaced, in training, by the one that stands next in the epoch's order, and so on: a pure
** function again, at the price of trying a bad file once an epoch.  In evaluation its row is left out.  What
** was bad is reported with the batch it would have been in, in order of rows.
**
** Rejected: a queue of decoded pictures that are put together by the consumer (order then needs sorting, and
** every picture is copied once more); processes (nothing here holds a lock that they would avoid).
*/
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/decode.h"
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORKERS = 256, DEFAULT_SLOTS = 4, MAX_ROWS = 1 << 20 };

typedef struct note { /* a bad picture that a row met */
  struct note *next;
  int64_t row, picture;
  char *why;
} note;

typedef struct slot {
  _Atomic int64_t turn; /* number of the batch it belongs to now */
  _Atomic int left;     /* rows not yet made */
  bool ready, held;     /* whole; with the consumer (both under the lock) */
  note *notes;          /* under the lock */
  inc_batch b;
} slot;

struct inc_loader {
  inc_loader_opts o;
  int64_t *list;                     /* [n] items of the part */
  int64_t n, per_epoch, first, rows; /* batches an epoch; number of the first batch; rows in all */
  size_t row_bytes;
  slot *ring;
  uint8_t *pixels;
  int64_t *numbers; /* labels and picture indices of all slots */
  pthread_t thread[MAX_WORKERS];
  int threads;
  pthread_mutex_t lock;
  pthread_cond_t filled, freed;
  _Atomic int64_t claim;
  _Atomic bool stop;
  int failed; /* code of the first fatal failure, under the lock */
  inc_error error;
  int64_t next; /* batches handed out; the consumer's */
  inc_bad_picture *bad;
  int64_t nbad;
  _Atomic int64_t ns[5], pictures, bytes; /* read, decode, resize, colour, full */
  int64_t wait_ns, batches;
};

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* -- Where a row stands ----------------------------------------------------------------------- */

static int rows_of(const inc_loader *l, int64_t turn) {
  int64_t left = l->rows - turn * l->o.batch;
  return left < l->o.batch ? (int)left : l->o.batch;
}

/* Epoch and place in it of a row. */
static uint32_t place(const inc_loader *l, int64_t row, int64_t *at) {
  int64_t batch = l->first + row / l->o.batch;
  *at = (l->o.train ? batch % l->per_epoch : batch) * l->o.batch + row % l->o.batch;
  return (uint32_t)(l->o.train ? batch / l->per_epoch : l->o.epoch);
}

static int64_t picture_at(const inc_loader *l, uint32_t epoch, int64_t at) {
  return l->list[l->o.train ? (int64_t)inc_shuffle((uint64_t)at, (uint64_t)l->n, l->o.seed, epoch) : at];
}

/* -- Workers ---------------------------------------------------------------------------------- */

typedef struct hand { /* what one worker works with */
  inc_loader *l;
  inc_viewer *viewer;
  inc_scratch file;
  int64_t ns[3];
} hand;

static void count_times(hand *h, int64_t read_ns, size_t bytes) {
  int64_t ns[3];
  inc_viewer_times(h->viewer, ns);
  h->l->ns[0] += read_ns;
  for (int i = 0; i < 3; i++) h->l->ns[1 + i] += ns[i] - h->ns[i];
  memcpy(h->ns, ns, sizeof ns);
  h->l->bytes += (int64_t)bytes;
  h->l->pictures++;
}

static int make_picture(hand *h, uint32_t epoch, int64_t picture, uint8_t *out) {
  const inc_loader *l = h->l;
  const inc_image *it = &l->o.images->item[picture];
  char path[PATH_MAX];
  size_t n = 0;
  int64_t start = now();
  INC_TRY(inc_images_path(l->o.images, picture, path, sizeof path));
  INC_TRY(inc_file_read(path, it->offset, it->offset ? it->bytes : -1, &h->file, &n));
  int64_t read_ns = now() - start;
  int code = inc_viewer_run(h->viewer, &l->o.transform, h->file.p, n, it->path, l->o.seed, epoch,
                            (uint32_t)picture, out);
  count_times(h, read_ns, n);
  return code;
}

static int add_note(inc_loader *l, slot *s, int64_t row, int64_t picture) {
  note *k = inc_alloc(sizeof *k);
  char *why = inc_strdup(inc_error_last()->text);
  if (!k || !why) {
    inc_free(k);
    inc_free(why);
    return INC_EMEM;
  }
  pthread_mutex_lock(&l->lock);
  *k = (note){s->notes, row, picture, why};
  s->notes = k;
  pthread_mutex_unlock(&l->lock);
  return INC_OK;
}

static int make_row(hand *h, slot *s, int64_t row) {
  inc_loader *l = h->l;
  int64_t at, tries = l->o.train && !l->o.bad_stop ? l->n : 1;
  int i = (int)(row % l->o.batch), code = INC_EFORMAT;
  uint32_t epoch = place(l, row, &at);
  for (int64_t t = 0; t < tries && code != INC_OK && !l->stop; t++) {
    int64_t picture = picture_at(l, epoch, (at + t) % l->n);
    code = make_picture(h, epoch, picture, s->b.pixels + (size_t)i * l->row_bytes);
    s->b.picture[i] = code == INC_OK ? picture : -1;
    s->b.label[i] = code == INC_OK ? l->o.images->item[picture].label : 0;
    if (code == INC_EMEM) return code;
    if (code != INC_OK) INC_TRY(add_note(l, s, row, picture));
  }
  if (code == INC_OK || tries < l->n || !l->o.train) return INC_OK;
  return l->stop ? INC_OK
                 : inc_fail(INC_EFORMAT, l->o.images->root, "none of the %lld pictures can be used",
                            (long long)l->n);
}

/* False: told to stop. */
static bool await_slot(inc_loader *l, slot *s, int64_t turn) {
  if (s->turn == turn) return !l->stop;
  int64_t start = now();
  pthread_mutex_lock(&l->lock);
  while (s->turn != turn && !l->stop) pthread_cond_wait(&l->freed, &l->lock);
  pthread_mutex_unlock(&l->lock);
  l->ns[4] += now() - start;
  return !l->stop;
}

static void row_done(inc_loader *l, slot *s) {
  if (atomic_fetch_sub(&s->left, 1) != 1) return;
  pthread_mutex_lock(&l->lock);
  s->ready = true;
  pthread_cond_broadcast(&l->filled);
  pthread_mutex_unlock(&l->lock);
}

static int work(hand *h) {
  inc_loader *l = h->l;
  for (int64_t row; (row = atomic_fetch_add(&l->claim, 1)) < l->rows;) {
    int64_t turn = row / l->o.batch;
    slot *s = &l->ring[turn % l->o.slots];
    if (!await_slot(l, s, turn)) return INC_OK;
    INC_TRY(make_row(h, s, row));
    row_done(l, s);
  }
  return INC_OK;
}

static void fail(inc_loader *l, int code) {
  pthread_mutex_lock(&l->lock);
  if (!l->failed) l->failed = code, l->error = *inc_error_last();
  l->stop = true;
  pthread_cond_broadcast(&l->filled);
  pthread_cond_broadcast(&l->freed);
  pthread_mutex_unlock(&l->lock);
}

static void *worker(void *arg) {
  hand h = {.l = arg};
  int code = inc_viewer_new(&h.viewer);
  if (code == INC_OK) code = work(&h);
  if (code != INC_OK) fail(h.l, code);
  inc_viewer_free(h.viewer);
  inc_scratch_free(&h.file);
  return NULL;
}

/* -- Making and ending ------------------------------------------------------------------------ */

static int check(inc_loader_opts *o) {
  if (o->batch < 1 || o->batch > MAX_ROWS)
    return inc_fail(INC_EARG, "batch", "expected 1 or more, got %d", o->batch);
  if (o->epoch < 0 || o->index < 0 || o->epochs < 0) return inc_fail(INC_EARG, "epoch", "expected 0 or more");
  if (o->workers < 0 || o->workers > MAX_WORKERS)
    return inc_fail(INC_EARG, "workers", "expected 0 to %d, got %d", MAX_WORKERS, o->workers);
  if (o->slots == 0) o->slots = DEFAULT_SLOTS;
  if (o->slots < 1 || o->slots > MAX_ROWS)
    return inc_fail(INC_EARG, "slots", "expected 1 or more, got %d", o->slots);
  if (o->workers == 0) o->workers = (int)sysconf(_SC_NPROCESSORS_ONLN) / 2;
  if (o->workers < 1) o->workers = 1;
  return inc_transform_check(&o->transform);
}

static int make_list(inc_loader *l) {
  const inc_images *im = l->o.images;
  l->list = inc_alloc(((size_t)im->n + 1) * sizeof *l->list);
  if (!l->list) return INC_EMEM;
  for (int64_t i = 0; i < im->n; i++)
    if (im->item[i].part == l->o.part || (l->o.part < 0 && im->item[i].part != INC_PART_BAD))
      l->list[l->n++] = i;
  l->per_epoch = l->o.train ? l->n / l->o.batch : (l->n + l->o.batch - 1) / l->o.batch;
  if (l->n > 0 && l->per_epoch > 0) return INC_OK;
  if (!l->o.train) return inc_fail(INC_EARG, im->root, "there is no picture to evaluate");
  inc_fail(INC_EARG, "batch", "expected at most the number of training pictures, %lld, got %d",
           (long long)l->n, l->o.batch);
  return inc_hint("an epoch is made of whole batches");
}

static void count_rows(inc_loader *l) {
  l->first = l->o.train ? l->o.epoch * l->per_epoch + l->o.index : l->o.index;
  int64_t last = l->o.train ? l->o.epochs * l->per_epoch : l->per_epoch,
          rows = (last - l->first) * l->o.batch;
  if (!l->o.train) rows = l->n - l->first * l->o.batch;
  l->rows = l->o.train && l->o.epochs == 0 ? INT64_MAX - l->o.batch : rows > 0 ? rows : 0;
}

static void give_slot(inc_loader *l, slot *s, int64_t turn) {
  if (turn * l->o.batch < l->rows) s->left = rows_of(l, turn);
  s->ready = s->held = false;
  s->turn = turn;
}

static int make_ring(inc_loader *l) {
  size_t batch = (size_t)l->o.batch, slots = (size_t)l->o.slots;
  l->row_bytes = (size_t)l->o.transform.size * (size_t)l->o.transform.size * 3;
  l->ring = inc_zalloc(slots * sizeof *l->ring);
  l->pixels =
      l->ring ? inc_zalloc(slots * batch * l->row_bytes) : NULL; /* cleared: pages are there from the start */
  l->numbers = l->pixels ? inc_zalloc(slots * batch * 2 * sizeof *l->numbers) : NULL;
  if (!l->numbers) return INC_EMEM;
  for (int i = 0; i < l->o.slots; i++) {
    slot *s = &l->ring[i];
    s->b.slot = i;
    s->b.pixels = l->pixels + (size_t)i * batch * l->row_bytes;
    s->b.label = l->numbers + (size_t)i * batch * 2;
    s->b.picture = s->b.label + batch;
    give_slot(l, s, i);
  }
  return INC_OK;
}

static int start(inc_loader *l) {
  while (l->threads < l->o.workers && pthread_create(&l->thread[l->threads], NULL, worker, l) == 0)
    l->threads++;
  return l->threads > 0 ? INC_OK
                        : inc_fail(INC_EMEM, NULL, "the system gives no thread to load pictures with");
}

int inc_loader_new(const inc_loader_opts *o, inc_loader **out) {
  inc_loader *l = inc_zalloc(sizeof *l);
  if (!l) return INC_EMEM;
  l->o = *o;
  inc_images_ref(l->o.images);
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->filled, NULL);
  pthread_cond_init(&l->freed, NULL);
  int code = check(&l->o);
  if (code == INC_OK) code = make_list(l);
  if (code == INC_OK) {
    count_rows(l);
    code = make_ring(l);
  }
  if (code == INC_OK) code = start(l);
  if (code != INC_OK)
    inc_loader_free(l);
  else
    *out = l;
  return code;
}

void inc_loader_stop(inc_loader *l) {
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_broadcast(&l->filled);
  pthread_cond_broadcast(&l->freed);
  pthread_mutex_unlock(&l->lock);
}

static void free_notes(note *k) {
  for (note *next; k; k = next) {
    next = k->next;
    inc_free(k->why);
    inc_free(k);
  }
}

void inc_loader_free(inc_loader *l) {
  if (!l) return;
  inc_loader_stop(l);
  for (int i = 0; i < l->threads; i++) pthread_join(l->thread[i], NULL);
  for (int i = 0; l->ring && i < l->o.slots; i++) free_notes(l->ring[i].notes);
  for (int64_t i = 0; i < l->nbad; i++) inc_free(l->bad[i].why);
  inc_free(l->bad);
  inc_free(l->ring);
  inc_free(l->pixels);
  inc_free(l->numbers);
  inc_free(l->list);
  inc_images_unref(l->o.images);
  pthread_cond_destroy(&l->freed);
  pthread_cond_destroy(&l->filled);
  pthread_mutex_destroy(&l->lock);
  inc_free(l);
}

/* -- The consumer ----------------------------------------------------------------------------- */

int inc_loader_size(const inc_loader *l) { return l->o.transform.size; }
int64_t inc_loader_batches(const inc_loader *l) { return l->per_epoch; }

static bool known_bad(const inc_loader *l, int64_t picture) {
  for (int64_t i = 0; i < l->nbad; i++)
    if (l->bad[i].picture == picture) return true;
  return false;
}

static int keep_bad(inc_loader *l, note *k) {
  if (known_bad(l, k->picture)) return INC_OK;
  if ((l->nbad & (l->nbad - 1)) == 0) {
    size_t each = sizeof *l->bad;
    void *p = inc_realloc(l->bad, (size_t)l->nbad * each, (size_t)(l->nbad ? 2 * l->nbad : 1) * each);
    if (!p) return INC_EMEM;
    l->bad = p;
  }
  l->bad[l->nbad++] = (inc_bad_picture){k->picture, k->why};
  k->why = NULL;
  return INC_OK;
}

/* Notes of a row are chained newest first; rows finish in any order.  Sort by insertion: there are few. */
static note *in_order(note *k) {
  note *sorted = NULL;
  for (note *next; k; k = next) {
    next = k->next;
    note **at = &sorted;
    while (*at && (*at)->row < k->row) at = &(*at)->next;
    k->next = *at;
    *at = k;
  }
  return sorted;
}

static int report(inc_loader *l, slot *s) {
  note *k = s->notes = in_order(s->notes);
  int code = INC_OK;
  if (k && l->o.bad_stop) {
    code = inc_fail(INC_EFORMAT, l->o.images->item[k->picture].path, "%s", k->why);
    inc_error e = *inc_error_last();
    fail(l, code);
    inc_error_set(&e);
  }
  for (; k && code != INC_EMEM; k = k->next) {
    int kept = keep_bad(l, k);
    if (kept != INC_OK) code = kept;
  }
  free_notes(s->notes);
  s->notes = NULL;
  return code;
}

/* Good rows move up over bad ones; what remains is cleared. */
static void close_ranks(const inc_loader *l, inc_batch *b, int rows) {
  int kept = 0;
  for (int i = 0; i < rows; i++) {
    if (b->picture[i] < 0) continue;
    if (kept < i) {
      memcpy(b->pixels + (size_t)kept * l->row_bytes, b->pixels + (size_t)i * l->row_bytes, l->row_bytes);
      b->label[kept] = b->label[i], b->picture[kept] = b->picture[i];
    }
    kept++;
  }
  for (int i = kept; i < l->o.batch; i++) b->label[i] = 0, b->picture[i] = -1;
  memset(b->pixels + (size_t)kept * l->row_bytes, 0, (size_t)(l->o.batch - kept) * l->row_bytes);
  b->n = kept;
}

static int await_batch(inc_loader *l, slot *s) {
  int64_t begin = now();
  pthread_mutex_lock(&l->lock);
  while (!s->ready && !l->stop) pthread_cond_wait(&l->filled, &l->lock);
  int code = l->failed;
  inc_error e = l->error;
  bool stopped = l->stop;
  if (s->ready) s->held = true;
  pthread_mutex_unlock(&l->lock);
  l->wait_ns += now() - begin;
  if (code != INC_OK) inc_error_set(&e);
  if (code == INC_OK && stopped) code = inc_fail(INC_EINTR, NULL, "the loader was stopped");
  return code;
}

static int one_batch(inc_loader *l, inc_batch *b) {
  int64_t turn = l->next, number = l->first + turn;
  slot *s = &l->ring[turn % l->o.slots];
  memset(b, 0, sizeof *b);
  b->epoch = l->o.train ? number / l->per_epoch : l->o.epoch;
  b->index = l->o.train ? number % l->per_epoch : number;
  b->slot = -1;
  if (turn * l->o.batch >= l->rows) return INC_OK; /* n = 0: the end */
  if (s->turn != turn)
    return inc_fail(INC_ESTATE, NULL, "all %d batches of the loader are held: release one first", l->o.slots);
  INC_TRY(await_batch(l, s));
  INC_TRY(report(l, s));
  close_ranks(l, &s->b, rows_of(l, turn));
  s->b.epoch = b->epoch, s->b.index = b->index;
  *b = s->b;
  l->next++, l->batches++;
  return INC_OK;
}

/* A batch of which nothing is left (all bad) is passed over: n = 0 means the end. */
int inc_loader_next(inc_loader *l, inc_batch *b) {
  for (;;) {
    INC_TRY(one_batch(l, b));
    if (b->n > 0 || b->slot < 0) return INC_OK;
    inc_loader_release(l, b);
  }
}

void inc_loader_release(inc_loader *l, const inc_batch *b) {
  if (b->slot < 0 || b->slot >= l->o.slots) return;
  slot *s = &l->ring[b->slot];
  pthread_mutex_lock(&l->lock);
  if (s->held) give_slot(l, s, s->turn + l->o.slots);
  pthread_cond_broadcast(&l->freed);
  pthread_mutex_unlock(&l->lock);
}

int64_t inc_loader_bad(const inc_loader *l, const inc_bad_picture **list) {
  *list = l->bad;
  return l->nbad;
}

void inc_loader_stats_get(const inc_loader *l, inc_loader_stats *s) {
  *s = (inc_loader_stats){.read = l->ns[0],
                          .decode = l->ns[1],
                          .resize = l->ns[2],
                          .colour = l->ns[3],
                          .full = l->ns[4],
                          .wait = l->wait_ns,
                          .pictures = l->pictures,
                          .bytes = l->bytes,
                          .batches = l->batches};
}
