/* manifest.c -- the list of pictures as a file in a run's folder, and what differs between two lists.
**
** One line a picture, tab between fields; bytes of names that would break a line are written %XX, so any
** name that a file system allows comes back the same.  JSON was rejected: it cannot hold names that are not
** UTF-8.  Numbers are written in full, so the file is the same byte for byte wherever it is made.
**
**     incsh pictures 1
**     root <path>   fraction <val>   seed <n>   presplit <0|1>   pictures <n>   (a line each)
**     class <name>                                                       (in order of labels)
**     <part> <label> <offset> <bytes> <hash> <path> <why>
*/
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "data/decode.h"
#include "data/listing.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] = "incsh pictures 1";

/* -- Writing ---------------------------------------------------------------------------------- */

/* before + escaped name + after */
static void put_name(inc_text *t, const char *before, const char *name, const char *after) {
  inc_text_put(t, before);
  for (const uint8_t *c = (const uint8_t *)name; *c; c++)
    if (*c < 32 || *c == '%' || *c == 127)
      inc_text_format(t, "%%%02X", *c);
    else
      inc_text_add(t, (const char *)c, 1);
  inc_text_put(t, after);
}

static void put_all(inc_text *t, const inc_images *im) {
  inc_text_format(t, "%s\n", head);
  put_name(t, "root\t", im->root, "\n");
  inc_text_format(t, "fraction\t%.17g\nseed\t%" PRIu64 "\npresplit\t%d\npictures\t%" PRId64 "\n", im->val,
                  im->seed, im->presplit, im->n);
  for (int i = 0; i < im->nclasses; i++) put_name(t, "class\t", im->classes[i], "\n");
  for (int64_t i = 0; i < im->n; i++) {
    const inc_image *it = &im->item[i];
    inc_text_format(t, "%s\t%d\t%" PRId64 "\t%" PRId64 "\t%016" PRIx64 "\t", inc_part_name(it->part),
                    it->label, it->offset, it->bytes, it->hash);
    put_name(t, "", it->path, "\t");
    put_name(t, "", it->why ? it->why : "", "\n");
  }
}

int inc_images_save(const inc_images *im, const char *file) {
  inc_text t = {0};
  put_all(&t, im);
  int code = inc_text_done(&t);
  if (code == INC_OK) code = inc_file_replace(file, t.s, t.n);
  inc_text_free(&t);
  return code;
}

/* -- Reading ---------------------------------------------------------------------------------- */

static void unescape(char *s) {
  char *to = s;
  for (unsigned v; *s; s++)
    if (s[0] == '%' && sscanf(s + 1, "%2x", &v) == 1 && s[1] && s[2])
      *to++ = (char)v, s += 2;
    else
      *to++ = *s;
  *to = '\0';
}

/* Cuts a line into at most n fields at its tabs; the rest stay "". */
static void cut(char *line, char **field, int n) {
  static char nothing[1];
  for (int i = 0; i < n; i++) {
    field[i] = line ? line : nothing;
    line = line ? strchr(line, '\t') : NULL;
    if (line) *line++ = '\0';
  }
}

static int read_picture(inc_images *im, char **f) {
  int part = 0, label = atoi(f[1]);
  while (part < INC_PARTS && strcmp(f[0], inc_part_name(part)) != 0) part++;
  bool bad_label = label < (part == INC_PART_BAD ? 0 : 1) || label > im->nclasses;
  if (part == INC_PARTS || bad_label || !f[5][0]) return INC_EFORMAT;
  unescape(f[5]);
  unescape(f[6]);
  INC_TRY(inc_images_add(im, inc_strdup(f[5]), label, part));
  inc_image *it = &im->item[im->n - 1];
  it->offset = strtoll(f[2], NULL, 10);
  it->bytes = strtoll(f[3], NULL, 10);
  it->hash = strtoull(f[4], NULL, 16);
  return part == INC_PART_BAD ? inc_image_set_bad(it, f[6]) : INC_OK;
}

static int read_line(inc_images *im, char *line, int64_t *promised) {
  char *f[7];
  cut(line, f, 7);
  if (strcmp(f[0], "fraction") == 0) {
    im->val = strtod(f[1], NULL);
  } else if (strcmp(f[0], "seed") == 0) {
    im->seed = strtoull(f[1], NULL, 10);
  } else if (strcmp(f[0], "presplit") == 0) {
    im->presplit = f[1][0] == '1';
  } else if (strcmp(f[0], "pictures") == 0) {
    *promised = strtoll(f[1], NULL, 10);
  } else if (strcmp(f[0], "class") == 0) {
    unescape(f[1]);
    return inc_images_add_class(im, f[1]);
  } else {
    return read_picture(im, f);
  }
  return INC_OK;
}

static char *next_line(char **at) {
  char *line = *at, *end = line ? strchr(line, '\n') : NULL;
  if (!end) return NULL;
  *end = '\0';
  *at = end + 1;
  return line;
}

static int parse(const char *file, char *all, inc_images **out) {
  char *line = next_line(&all), *root = next_line(&all), *f[2];
  if (!line || strcmp(line, head) != 0 || !root || strncmp(root, "root\t", 5) != 0)
    return inc_fail(INC_EFORMAT, file, "expected a list of pictures (\"%s\"), got something else", head);
  cut(root, f, 2);
  unescape(f[1]);
  INC_TRY(inc_images_new(f[1], out));
  int64_t promised = -1;
  for (int n = 3; (line = next_line(&all)) != NULL; n++) {
    int code = read_line(*out, line, &promised);
    if (code == INC_EFORMAT) return inc_fail(code, file, "line %d of the list of pictures is damaged", n);
    if (code != INC_OK) return code;
  }
  inc_images_recount(*out);
  if (*all || (*out)->n != promised) return inc_fail(INC_EFORMAT, file, "the list of pictures is cut short");
  return INC_OK;
}

int inc_images_load(const char *file, inc_images **out) {
  inc_scratch s = {0};
  size_t n;
  inc_images *im = NULL;
  int code = inc_file_read(file, 0, -1, &s, &n);
  if (code == INC_OK) {
    s.p[n] = '\0';
    code = parse(file, (char *)s.p, &im);
  }
  inc_scratch_free(&s);
  if (code != INC_OK)
    inc_images_unref(im);
  else
    *out = im;
  return code;
}

/* -- Difference ------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b) {
  return strcmp((*(const inc_image *const *)a)->path, (*(const inc_image *const *)b)->path);
}

static const inc_image **sorted(const inc_images *im) {
  const inc_image **list = inc_alloc(((size_t)im->n + 1) * sizeof *list);
  if (!list) return NULL;
  for (int64_t i = 0; i < im->n; i++) list[i] = &im->item[i];
  qsort(list, (size_t)im->n, sizeof *list, by_path);
  list[im->n] = NULL;
  return list;
}

static int note(inc_image_diff *d, int kind, const char *path) {
  if ((d->n & (d->n - 1)) == 0) {
    void *p =
        inc_realloc(d->item, (size_t)d->n * sizeof *d->item, (size_t)(d->n ? 2 * d->n : 1) * sizeof *d->item);
    if (!p) return INC_EMEM;
    d->item = p;
  }
  char *copy = inc_strdup(path);
  if (!copy) return INC_EMEM;
  d->item[d->n].kind = kind;
  d->item[d->n++].path = copy;
  d->count[kind]++;
  return INC_OK;
}

static const char *class_of(const inc_images *im, const inc_image *it) {
  return it->label ? im->classes[it->label - 1] : "";
}

static int merge(const inc_images *then, const inc_images *now, const inc_image **a, const inc_image **b,
                 inc_image_diff *d) {
  while (*a || *b) {
    int order = !*a ? 1 : !*b ? -1 : strcmp((*a)->path, (*b)->path);
    if (order < 0) {
      INC_TRY(note(d, INC_DIFF_MISSING, (*a++)->path));
    } else if (order > 0) {
      INC_TRY(note(d, INC_DIFF_NEW, (*b++)->path));
    } else {
      bool same = (*a)->hash == (*b)->hash && (*a)->bytes == (*b)->bytes &&
                  strcmp(class_of(then, *a), class_of(now, *b)) == 0;
      if (!same) INC_TRY(note(d, INC_DIFF_CHANGED, (*a)->path));
      a++, b++;
    }
  }
  return INC_OK;
}

int inc_images_diff(const inc_images *then, const inc_images *now, inc_image_diff *out) {
  memset(out, 0, sizeof *out);
  const inc_image **a = sorted(then), **b = a ? sorted(now) : NULL;
  int code = b ? merge(then, now, a, b, out) : INC_EMEM;
  inc_free(a);
  inc_free(b);
  if (code != INC_OK) inc_image_diff_free(out);
  return code;
}

void inc_image_diff_free(inc_image_diff *d) {
  for (int64_t i = 0; i < d->n; i++) inc_free(d->item[i].path);
  inc_free(d->item);
  memset(d, 0, sizeof *d);
}
