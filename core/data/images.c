/* images.c -- the list object: made here, filled by scan.c and walk.c, stored by manifest.c.
** Shared by reference count, because a run in its thread and the prompt both hold it; it never changes once
** it is handed out, so it needs no lock. */
#include "base/err.h"
#include "base/mem.h"
#include "data/listing.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int inc_images_new(const char *root, inc_images **out) {
  inc_images *im = inc_zalloc(sizeof *im);
  if (!im) return INC_EMEM;
  im->refs = 1;
  im->root = inc_strdup(root);
  if (!im->root) {
    inc_free(im);
    return INC_EMEM;
  }
  *out = im;
  return INC_OK;
}

inc_images *inc_images_ref(inc_images *im) {
  im->refs++;
  return im;
}

static void free_strings(char **list, int n) {
  for (int i = 0; i < n; i++) inc_free(list[i]);
  inc_free(list);
}

void inc_images_unref(inc_images *im) {
  if (!im || --im->refs > 0) return;
  for (int64_t i = 0; i < im->n; i++) {
    inc_free(im->item[i].path);
    inc_free(im->item[i].why);
  }
  inc_free(im->item);
  free_strings(im->classes, im->nclasses);
  free_strings(im->warning, im->nwarnings);
  inc_free(im->root);
  inc_free(im);
}

/* Arrays double when their length is a power of two, so no capacity is kept beside them. */
static int grow(void **list, int64_t n, size_t each) {
  if (n & (n - 1)) return INC_OK;
  void *p = inc_realloc(*list, (size_t)n * each, (size_t)(n ? 2 * n : 1) * each);
  if (!p) return INC_EMEM;
  *list = p;
  return INC_OK;
}

int inc_images_add(inc_images *im, char *path, int label, int part) {
  if (!path || grow((void **)&im->item, im->n, sizeof *im->item) != INC_OK) {
    inc_free(path);
    return INC_EMEM;
  }
  im->item[im->n++] = (inc_image){.path = path, .label = label, .part = part};
  return INC_OK;
}

static int add_string(char ***list, int *n, const char *s) {
  INC_TRY(grow((void **)list, *n, sizeof **list));
  char *copy = inc_strdup(s);
  if (!copy) return INC_EMEM;
  (*list)[(*n)++] = copy;
  return INC_OK;
}

int inc_images_add_class(inc_images *im, const char *name) {
  return add_string(&im->classes, &im->nclasses, name);
}

int inc_images_warn(inc_images *im, const char *fmt, ...) {
  char text[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return add_string(&im->warning, &im->nwarnings, text);
}

int inc_image_set_bad(inc_image *it, const char *why) {
  it->part = INC_PART_BAD;
  inc_free(it->why);
  it->why = inc_strdup(why);
  return it->why ? INC_OK : INC_EMEM;
}

void inc_images_recount(inc_images *im) {
  memset(im->count, 0, sizeof im->count);
  for (int64_t i = 0; i < im->n; i++) im->count[im->item[i].part]++;
}

int inc_images_path(const inc_images *im, int64_t i, char *buf, size_t n) {
  if (snprintf(buf, n, "%s/%s", im->root, im->item[i].path) < (int)n) return INC_OK;
  return inc_fail(INC_EARG, im->item[i].path, "the path is too long");
}

const char *inc_part_name(int part) {
  static const char *const names[INC_PARTS] = {"train", "val", "bad"};
  return part >= 0 && part < INC_PARTS ? names[part] : "?";
}
