/* walk.c -- a folder's classes and files, always in byte order, whatever order the system lists them in.
**
** Links are followed, and that is where the care goes: a folder is entered once and a file counted once by
** its real path, so loops and webs of links end.  What the walk does not understand (a pipe, a dangling
** link) goes on the list as a bad picture: a file that silently vanishes from a data set is worse.
*/
#include "base/err.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/listing.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

/* Names of one folder, sorted. */
typedef struct names {
  char **name;
  int n;
} names;

/* A set of real paths, by hash; open addressing, never more than half full. */
typedef struct set {
  uint64_t *slot;
  size_t cap, n;
} set;

typedef struct walk {
  inc_images *im;
  set seen;        /* folders and files that have their place, class folders from the start */
  set classes;     /* class folders already walked */
  int label, part; /* of what is being walked */
} walk;

static void names_free(names *l) {
  for (int i = 0; i < l->n; i++) inc_free(l->name[i]);
  inc_free(l->name);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool ignored(const char *name) {
  return name[0] == '.' || strcasecmp(name, "Thumbs.db") == 0 || strcasecmp(name, "desktop.ini") == 0;
}

static int read_names(DIR *d, const char *path, names *l) {
  int cap = 0;
  errno = 0;
  for (struct dirent *e; (e = readdir(d)) != NULL; errno = 0) {
    if (ignored(e->d_name)) continue;
    if (l->n == cap) {
      int more = cap ? 2 * cap : 64;
      char **p = inc_realloc(l->name, (size_t)cap * sizeof *p, (size_t)more * sizeof *p);
      if (!p) return INC_EMEM;
      l->name = p, cap = more;
    }
    l->name[l->n] = inc_strdup(e->d_name);
    if (!l->name[l->n++]) return INC_EMEM;
  }
  if (errno) return inc_fail(INC_EIO, path, "cannot list the folder: %s", strerror(errno));
  if (l->n) qsort(l->name, (size_t)l->n, sizeof *l->name, by_bytes);
  return INC_OK;
}

static int list(const char *path, names *l) {
  *l = (names){NULL, 0};
  DIR *d = opendir(path);
  if (!d) return inc_fail(INC_EIO, path, "cannot list the folder: %s", strerror(errno));
  int code = read_names(d, path, l);
  closedir(d);
  if (code != INC_OK) names_free(l), *l = (names){NULL, 0};
  return code;
}

static char *join(const char *a, const char *b) {
  size_t n = strlen(a) + strlen(b) + 2;
  char *p = inc_alloc(n);
  if (p) snprintf(p, n, "%s%s%s", a, a[0] ? "/" : "", b);
  return p;
}

static void set_put(set *s, uint64_t h) {
  size_t i = h & (s->cap - 1);
  while (s->slot[i]) i = (i + 1) & (s->cap - 1);
  s->slot[i] = h;
}

/* *fresh: it was not there before. */
static int set_add(set *s, const char *text, bool *fresh) {
  uint64_t h = inc_hash64(text, strlen(text), 0) | 1;
  if (2 * (s->n + 1) > s->cap) {
    set big = {inc_zalloc((s->cap ? 2 * s->cap : 1024) * sizeof *s->slot), s->cap ? 2 * s->cap : 1024, s->n};
    if (!big.slot) return INC_EMEM;
    for (size_t i = 0; i < s->cap; i++)
      if (s->slot[i]) set_put(&big, s->slot[i]);
    inc_free(s->slot);
    *s = big;
  }
  for (size_t i = h & (s->cap - 1); s->slot[i]; i = (i + 1) & (s->cap - 1))
    if (s->slot[i] == h) {
      *fresh = false;
      return INC_OK;
    }
  set_put(s, h);
  s->n++;
  *fresh = true;
  return INC_OK;
}

static bool is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int walk_dir(walk *w, const char *abs, const char *rel, int depth);

static int add_bad(walk *w, const char *rel, const char *why) {
  INC_TRY(inc_images_add(w->im, inc_strdup(rel), w->label, INC_PART_BAD));
  return inc_image_set_bad(&w->im->item[w->im->n - 1], why);
}

/* Does folder `a` hold `b` somewhere below it? */
static bool holds(const char *a, const char *b) {
  size_t n = strlen(a);
  return strncmp(a, b, n) == 0 && (b[n] == '/' || b[n] == '\0' || (n == 1 && a[0] == '/'));
}

static int walk_entry(walk *w, const char *abs, const char *rel, int depth) {
  struct stat st;
  bool fresh;
  char *real = realpath(abs, NULL);
  if (!real || stat(real, &st) != 0) {
    int why = errno;
    free(real);
    if (why == ELOOP) return add_bad(w, rel, "a link that leads back to itself");
    return add_bad(w, rel, why == ENOENT ? "a link that leads nowhere" : strerror(why));
  }
  int code = set_add(&w->seen, real, &fresh);
  bool above = S_ISDIR(st.st_mode) && holds(real, w->im->root);
  free(real);
  if (code != INC_OK) return code;
  if (S_ISDIR(st.st_mode) && (!fresh || above))
    return inc_images_warn(w->im, "%s leads to a folder that is already listed: left out", rel);
  if (S_ISDIR(st.st_mode)) return walk_dir(w, abs, rel, depth + 1);
  if (!fresh) return INC_OK;
  if (!S_ISREG(st.st_mode)) return add_bad(w, rel, "not a regular file");
  return inc_images_add(w->im, inc_strdup(rel), w->label, w->part);
}

static int walk_dir(walk *w, const char *abs, const char *rel, int depth) {
  names l;
  if (depth > MAX_DEPTH) return inc_images_warn(w->im, "%s: folders nest too deep: left out", rel);
  INC_TRY(list(abs, &l));
  int code = INC_OK;
  for (int i = 0; i < l.n && code == INC_OK; i++) {
    char *a = join(abs, l.name[i]), *r = join(rel, l.name[i]);
    code = !a || !r ? INC_EMEM : walk_entry(w, a, r, depth);
    inc_free(a);
    inc_free(r);
    if (inc_interrupt_pending()) code = inc_fail(INC_EINTR, NULL, "interrupted while listing the pictures");
  }
  names_free(&l);
  return code;
}

/* Keeps the folders of a listing; returns how many other entries went. */
static int only_dirs(const char *abs, names *l) {
  int kept = 0, n = l->n;
  for (int i = 0; i < n; i++) {
    char *p = join(abs, l->name[i]);
    if (p && is_dir(p))
      l->name[kept++] = l->name[i];
    else
      inc_free(l->name[i]);
    inc_free(p);
  }
  l->n = kept;
  return n - kept;
}

static int label_of(const inc_images *im, const char *name) {
  for (int i = 0; i < im->nclasses; i++)
    if (strcmp(im->classes[i], name) == 0) return i + 1;
  return 0;
}

/* Gives class folders their place before any is walked: a link from one class to another must not steal it.
 */
static int reserve(walk *w, const char *base) {
  names l;
  INC_TRY(list(base, &l));
  only_dirs(base, &l);
  int code = INC_OK;
  for (int i = 0; i < l.n && code == INC_OK; i++) {
    bool fresh;
    char *p = join(base, l.name[i]), *real = p ? realpath(p, NULL) : NULL;
    code = !p ? INC_EMEM : real ? set_add(&w->seen, real, &fresh) : INC_OK;
    free(real);
    inc_free(p);
  }
  names_free(&l);
  return code;
}

static int walk_class(walk *w, const char *abs, const char *rel) {
  bool fresh;
  char *real = realpath(abs, NULL);
  if (!real) return inc_fail(INC_EIO, abs, "cannot list the folder: %s", strerror(errno));
  int code = set_add(&w->classes, real, &fresh);
  free(real);
  if (code != INC_OK) return code;
  if (!fresh) return inc_images_warn(w->im, "%s leads to a folder that is already listed: left out", rel);
  return walk_dir(w, abs, rel, 0);
}

/* One folder of class folders: `sub` is "", "train" or "val".  `open`: names make new classes. */
static int walk_classes(walk *w, const char *sub, bool open) {
  names l;
  char *base = sub[0] ? join(w->im->root, sub) : inc_strdup(w->im->root);
  int code = base ? list(base, &l) : INC_EMEM;
  if (code != INC_OK) {
    inc_free(base);
    return code;
  }
  int others = only_dirs(base, &l), before = w->im->nclasses;
  if (others && l.n)
    code = inc_images_warn(w->im, "%s: %d file%s beside the class folders left out", base, others,
                           others > 1 ? "s" : "");
  if (!l.n && open)
    code = inc_fail(INC_EARG, base, "expected one sub-folder a class, found %d file%s and no sub-folder",
                    others, others == 1 ? "" : "s");
  for (int i = 0; i < l.n && open && code == INC_OK; i++) code = inc_images_add_class(w->im, l.name[i]);
  for (int i = 0; i < l.n && code == INC_OK; i++) {
    char *a = join(base, l.name[i]), *r = join(sub, l.name[i]);
    w->label = open ? before + i + 1 : label_of(w->im, l.name[i]);
    if (!a || !r)
      code = INC_EMEM;
    else if (!w->label)
      code = inc_fail(INC_EARG, r, "the class \"%s\" is not among the %d known classes", l.name[i],
                      w->im->nclasses);
    else
      code = walk_class(w, a, r);
    inc_free(a);
    inc_free(r);
  }
  names_free(&l);
  inc_free(base);
  return code;
}

/* Does root hold train/ with folders in it?  *val: and val/ too.  A mere class called "train" holds files. */
static int has_split(const char *root, bool *train, bool *val) {
  names l = {NULL, 0};
  char *t = join(root, "train"), *v = join(root, "val");
  int code = t && v ? INC_OK : INC_EMEM;
  *train = *val = false;
  if (code == INC_OK && is_dir(t) && (code = list(t, &l)) == INC_OK) {
    only_dirs(t, &l);
    *train = l.n > 0;
    *val = *train && is_dir(v);
    names_free(&l);
  }
  inc_free(t);
  inc_free(v);
  return code;
}

static int reserve_all(walk *w) {
  if (!w->im->presplit) return reserve(w, w->im->root);
  char *t = join(w->im->root, "train"), *v = join(w->im->root, "val");
  int code = t && v ? reserve(w, t) : INC_EMEM;
  if (code == INC_OK) code = reserve(w, v);
  inc_free(t);
  inc_free(v);
  return code;
}

int inc_images_walk(inc_images *im, const inc_scan_opts *opts) {
  walk w = {.im = im, .part = INC_PART_TRAIN};
  bool train, val, open = !opts->classes;
  int code = has_split(im->root, &train, &val);
  for (int i = 0; i < opts->nclasses && code == INC_OK && !open; i++)
    code = inc_images_add_class(im, opts->classes[i]);
  im->presplit = train && val;
  if (code == INC_OK) code = reserve_all(&w);
  if (code == INC_OK) code = walk_classes(&w, im->presplit ? "train" : "", open);
  w.part = INC_PART_VAL;
  if (code == INC_OK && im->presplit) code = walk_classes(&w, "val", false);
  inc_free(w.seen.slot);
  inc_free(w.classes.slot);
  return code;
}
