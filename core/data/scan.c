/* scan.c -- a folder to a list: walk, read every file once, drop empty classes, split, warn.
**
** The split goes by a hash of (seed, file name): a picture's part never changes when others are added, and
** does not depend on where the folder lies.  Reading every file here costs little (it warms the page cache
** for the first epoch) and buys what a run needs to know before it starts: bad files by their headers, equal
** bytes under two classes, and fingerprints that make a later resume trustworthy.
*/
#include "base/err.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/decode.h"
#include "data/listing.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_WORKERS = 32, MAX_TWINS = 10 /* warnings of equal bytes; the rest is counted */ };

/* -- Reading ---------------------------------------------------------------------------------- */

typedef struct crew {
  inc_images *im;
  bool decode;
  _Atomic int64_t next;
  _Atomic int code; /* first fatal failure */
  inc_error error;
  pthread_mutex_t lock;
} crew;

static int look(inc_decoder *d, const inc_image *it, const uint8_t *bytes, bool whole) {
  inc_picture_info info;
  const uint8_t *px;
  size_t stride;
  INC_TRY(inc_decoder_open(d, bytes, (size_t)it->bytes, it->path, &info));
  return whole ? inc_decoder_box(d, 0, 0, info.w, info.h, &px, &stride) : INC_OK;
}

static int read_one(crew *c, inc_image *it, int64_t i, inc_decoder *d, inc_scratch *s) {
  char path[PATH_MAX];
  size_t n = 0;
  int code = inc_images_path(c->im, i, path, sizeof path);
  if (code == INC_OK) code = inc_file_read(path, 0, -1, s, &n);
  if (code == INC_OK) {
    it->bytes = (int64_t)n;
    it->hash = inc_hash64(s->p, n, 0);
    code = look(d, it, s->p, c->decode);
  }
  if (code == INC_OK || code == INC_EMEM) return code;
  return inc_image_set_bad(it, inc_error_last()->text);
}

static int read_many(crew *c, inc_decoder *d, inc_scratch *s) {
  for (int64_t i; (i = atomic_fetch_add(&c->next, 1)) < c->im->n && !atomic_load(&c->code);) {
    if (inc_interrupt_pending()) return inc_fail(INC_EINTR, NULL, "interrupted while reading the pictures");
    if (c->im->item[i].part != INC_PART_BAD) INC_TRY(read_one(c, &c->im->item[i], i, d, s));
  }
  return INC_OK;
}

static void *worker(void *arg) {
  crew *c = arg;
  inc_scratch s = {0};
  inc_decoder *d = NULL;
  int code = inc_decoder_new(&d);
  if (code == INC_OK) code = read_many(c, d, &s);
  inc_decoder_free(d);
  inc_scratch_free(&s);
  pthread_mutex_lock(&c->lock);
  if (code != INC_OK && !atomic_load(&c->code)) {
    c->error = *inc_error_last();
    atomic_store(&c->code, code);
  }
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

static int read_all(inc_images *im, const inc_scan_opts *o) {
  crew c = {.im = im, .decode = o->decode, .lock = PTHREAD_MUTEX_INITIALIZER};
  pthread_t thread[MAX_WORKERS];
  int want = o->workers > 0 ? o->workers : (int)sysconf(_SC_NPROCESSORS_ONLN), have = 0;
  if (want > MAX_WORKERS) want = MAX_WORKERS;
  while (have < want - 1 && pthread_create(&thread[have], NULL, worker, &c) == 0) have++;
  worker(&c);
  while (have > 0) pthread_join(thread[--have], NULL);
  if (c.code) inc_error_set(&c.error);
  return c.code;
}

/* -- Classes and parts ------------------------------------------------------------------------ */

/* Classes without a good training picture go; labels are renumbered, what lay in them becomes label 0. */
static int drop_empty(inc_images *im) {
  int *map = inc_zalloc(((size_t)im->nclasses + 1) * sizeof *map), kept = 0, code = INC_OK;
  if (!map) return INC_EMEM;
  for (int64_t i = 0; i < im->n; i++)
    if (im->item[i].part == INC_PART_TRAIN) map[im->item[i].label] = 1;
  for (int c = 1; c <= im->nclasses && code == INC_OK; c++)
    if (!map[c])
      code = inc_images_warn(im, "class \"%s\" has no %spicture: left out", im->classes[c - 1],
                             im->presplit ? "training " : "");
  for (int c = 1; c <= im->nclasses; c++) {
    char *name = im->classes[c - 1];
    if (map[c])
      im->classes[kept] = name, map[c] = ++kept;
    else
      inc_free(name);
  }
  im->nclasses = kept;
  for (int64_t i = 0; i < im->n && code == INC_OK; i++) {
    inc_image *it = &im->item[i];
    it->label = map[it->label];
    if (!it->label && it->part != INC_PART_BAD)
      code = inc_image_set_bad(it, "its class has no training picture");
  }
  inc_free(map);
  return code;
}

static uint64_t name_hash(const inc_image *it, uint64_t seed) {
  const char *slash = strrchr(it->path, '/'), *name = slash ? slash + 1 : it->path;
  return inc_hash64(name, strlen(name), seed);
}

/* Below the fraction: held out.  A class that would lose all its pictures keeps the last of the order. */
static int split(inc_images *im) {
  struct keep {
    int64_t best;
    uint64_t hash;
    bool any;
  } *keep = inc_zalloc(((size_t)im->nclasses + 1) * sizeof *keep);
  if (!keep) return INC_EMEM;
  for (int64_t i = 0; i < im->n; i++) {
    inc_image *it = &im->item[i];
    struct keep *k = &keep[it->label];
    if (it->part == INC_PART_BAD) continue;
    uint64_t h = name_hash(it, im->seed);
    if (!k->any && h >= k->hash) k->hash = h, k->best = i;
    if ((double)h * 0x1p-64 < im->val)
      it->part = INC_PART_VAL;
    else
      k->any = true;
  }
  for (int c = 1; c <= im->nclasses; c++)
    if (!keep[c].any && im->item[keep[c].best].label == c) im->item[keep[c].best].part = INC_PART_TRAIN;
  inc_free(keep);
  return INC_OK;
}

/* -- Equal bytes under two classes ------------------------------------------------------------ */

static int by_hash(const void *a, const void *b) {
  const inc_image *x = *(const inc_image *const *)a, *y = *(const inc_image *const *)b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
  return strcmp(x->path, y->path);
}

static int name_twins(inc_images *im, const inc_image **list, int64_t n) {
  int twins = 0;
  for (int64_t i = 1; i < n; i++) {
    const inc_image *a = list[i - 1], *b = list[i];
    if (a->hash != b->hash || a->bytes != b->bytes || a->label == b->label) continue;
    if (++twins <= MAX_TWINS)
      INC_TRY(inc_images_warn(im, "%s and %s hold the same bytes under two classes", a->path, b->path));
  }
  if (twins <= MAX_TWINS) return INC_OK;
  return inc_images_warn(im, "%d more pictures hold the same bytes under two classes", twins - MAX_TWINS);
}

static int warn_twins(inc_images *im) {
  const inc_image **list = inc_alloc(((size_t)im->n + 1) * sizeof *list);
  int64_t n = 0;
  if (!list) return INC_EMEM;
  for (int64_t i = 0; i < im->n; i++)
    if (im->item[i].part != INC_PART_BAD) list[n++] = &im->item[i];
  qsort(list, (size_t)n, sizeof *list, by_hash);
  int code = name_twins(im, list, n);
  inc_free(list);
  return code;
}

/* -- All together ----------------------------------------------------------------------------- */

static int refuse_useless(const inc_images *im, bool fixed) {
  int64_t good = im->count[INC_PART_TRAIN] + im->count[INC_PART_VAL];
  if (good == 0 && im->count[INC_PART_BAD] > 0)
    return inc_fail(INC_EARG, im->root, "none of the %lld files is a usable picture; the first, %s: %s",
                    (long long)im->n, im->item[0].path, im->item[0].why);
  if (good == 0) return inc_fail(INC_EARG, im->root, "the class folders hold no pictures");
  if (fixed || im->nclasses > 1) return INC_OK;
  inc_fail(INC_EARG, im->root, "expected two classes or more, found one: \"%s\"", im->classes[0]);
  return inc_hint("one sub-folder a class, with pictures in each");
}

static int fill(inc_images *im, const inc_scan_opts *o) {
  INC_TRY(inc_images_walk(im, o));
  INC_TRY(read_all(im, o));
  if (!o->classes) INC_TRY(drop_empty(im));
  if (!im->presplit) INC_TRY(split(im));
  inc_images_recount(im);
  INC_TRY(refuse_useless(im, o->classes != NULL));
  return warn_twins(im);
}

/* Lists and shards will come here; until then they are told apart from mistakes. */
static int refuse_file(const char *path) {
  static const char *const kinds[][2] = {
      {".csv", "CSV lists"}, {".tfrecord", "TFRecord shards"}, {".tar", "tar shards"}};
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++)
    if (strcasecmp(dot, kinds[i][0]) == 0)
      return inc_fail(INC_ENOTBUILT, path,
                      "reading %s is not built yet: expected a folder with one sub-folder a class",
                      kinds[i][1]);
  return inc_fail(INC_EARG, path, "expected a folder of pictures, got a file");
}

static int open_root(const char *folder, char **real) {
  struct stat st;
  if (stat(folder, &st) != 0)
    return inc_fail(INC_EIO, folder,
                    errno == ENOENT ? "expected a folder of pictures, nothing is there" : "cannot open: %s",
                    strerror(errno));
  if (!S_ISDIR(st.st_mode)) return refuse_file(folder);
  *real = realpath(folder, NULL);
  return *real ? INC_OK : inc_fail(INC_EIO, folder, "cannot open: %s", strerror(errno));
}

int inc_images_scan(const char *folder, const inc_scan_opts *opts, inc_images **out) {
  char *real;
  inc_images *im = NULL;
  if (!(opts->val >= 0 && opts->val < 1))
    return inc_fail(INC_EARG, "val", "expected a fraction from 0 to less than 1, got %g", opts->val);
  INC_TRY(open_root(folder, &real));
  int code = inc_images_new(real, &im);
  free(real);
  if (code != INC_OK) return code;
  im->val = opts->val, im->seed = opts->seed;
  code = fill(im, opts);
  if (code != INC_OK)
    inc_images_unref(im);
  else
    *out = im;
  return code;
}
