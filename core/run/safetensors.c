/* safetensors.c -- the strict reader (safetensors.h).
**
** Jansson parses the head: it checks UTF-8, refuses repeated keys, numbers that do not fit and text behind
** the end, and keeps the order of the names.  What it cannot know is checked here.
*/
#include "run/safetensors.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_LIMIT = 100000000 };

static const struct dtype_row {
  const char *name;
  int bits, ours;
} dtypes[] = {
    {"F32", 32, INC_F32}, {"BF16", 16, INC_BF16}, {"F16", 16, INC_F16},  {"F64", 64, INC_F64},
    {"U8", 8, INC_U8},    {"BOOL", 8, INC_U8},    {"I32", 32, INC_I32},  {"I64", 64, INC_I64},
    {"I8", 8, 0},         {"I16", 16, 0},         {"U16", 16, 0},        {"U32", 32, 0},
    {"U64", 64, 0},       {"C64", 64, 0},         {"F8_E5M2", 8, 0},     {"F8_E4M3", 8, 0},
    {"F8_E8M0", 8, 0},    {"F8_E4M3FNUZ", 8, 0},  {"F8_E5M2FNUZ", 8, 0}, {"F4", 4, 0},
    {"F6_E2M3", 6, 0},    {"F6_E3M2", 6, 0},
};

static const struct dtype_row *find_dtype(const char *name) {
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
    if (!strcmp(dtypes[i].name, name)) return &dtypes[i];
  return NULL;
}

static int bad(const inc_safetensors *st, const char *name, const char *what) {
  return inc_fail(INC_EFORMAT, st->path, "not a sound safetensors file: %s%s%s", name ? name : "",
                  name ? ": " : "", what);
}

static int read_at(const inc_safetensors *st, void *dst, uint64_t n, uint64_t at) {
  char *p = dst;
  while (n > 0) {
    ssize_t k = pread(st->fd, p, n > (1u << 30) ? (1u << 30) : n, (off_t)at);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return inc_fail(INC_EIO, st->path, "cannot read: %s", strerror(errno));
    if (k == 0) return bad(st, NULL, "it ends before its last tensor");
    p += k, at += (uint64_t)k, n -= (uint64_t)k;
  }
  return INC_OK;
}

/* -- the head ------------------------------------------------------------------------------------------- */

static int parse_shape(const inc_safetensors *st, inc_stored *it, const json_t *shape, uint64_t *numel) {
  size_t i;
  json_t *v;
  if (!json_is_array(shape)) return bad(st, it->name, "expected a list as shape");
  it->ndim = (int)json_array_size(shape);
  it->spec.ndim = (int8_t)(it->ndim <= INC_MAX_DIMS ? it->ndim : 0);
  *numel = 1;
  bool empty = false;
  json_array_foreach(shape, i, v) {
    json_int_t d = json_is_integer(v) ? json_integer_value(v) : -1;
    if (d < 0) return bad(st, it->name, "expected whole numbers from 0 in its shape");
    if (it->ndim <= INC_MAX_DIMS) it->spec.shape[i] = d;
    if (d == 0)
      empty = true;
    else if (__builtin_mul_overflow(*numel, (uint64_t)d, numel))
      return bad(st, it->name, "its shape overflows");
  }
  if (empty) *numel = 0;
  return INC_OK;
}

static int parse_offsets(const inc_safetensors *st, inc_stored *it, const json_t *offsets) {
  const json_t *a = json_array_get(offsets, 0), *b = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(a) || !json_is_integer(b))
    return bad(st, it->name, "expected two whole numbers as data_offsets");
  if (json_integer_value(a) < 0 || json_integer_value(b) < json_integer_value(a))
    return bad(st, it->name, "its data_offsets run backwards");
  it->begin = (uint64_t)json_integer_value(a), it->end = (uint64_t)json_integer_value(b);
  return INC_OK;
}

static int parse_item(const inc_safetensors *st, inc_stored *it, const json_t *v) {
  uint64_t numel = 0, bits;
  if (!json_is_object(v) || json_object_size(v) != 3)
    return bad(st, it->name, "expected dtype, shape and data_offsets, and nothing else");
  const char *name = json_string_value(json_object_get(v, "dtype"));
  const struct dtype_row *d = name ? find_dtype(name) : NULL;
  if (!d) return bad(st, it->name, "unknown dtype");
  strcpy(it->dtype, d->name);
  INC_TRY(parse_shape(st, it, json_object_get(v, "shape"), &numel));
  INC_TRY(parse_offsets(st, it, json_object_get(v, "data_offsets")));
  if (__builtin_mul_overflow(numel, (uint64_t)d->bits, &bits))
    return bad(st, it->name, "its shape overflows");
  if (bits % 8 || bits / 8 != it->end - it->begin)
    return bad(st, it->name, "its data_offsets do not fit its shape and dtype");
  it->spec.dtype = (uint8_t)(it->ndim <= INC_MAX_DIMS ? d->ours : INC_NONE);
  inc_spec_contiguous(&it->spec);
  return INC_OK;
}

static int parse_meta(inc_safetensors *st, json_t *meta) {
  const char *key;
  json_t *v;
  if (!json_is_object(meta)) return bad(st, "__metadata__", "expected names and strings");
  st->meta = inc_zalloc(sizeof *st->meta * (json_object_size(meta) + 1));
  if (!st->meta) return INC_EMEM;
  json_object_foreach(meta, key, v) {
    if (!json_is_string(v)) return bad(st, "__metadata__", "expected strings only");
    st->meta[st->n_meta++] = (inc_pair){key, json_string_value(v)};
  }
  return INC_OK;
}

static int by_offset(const void *a, const void *b) {
  const inc_stored *x = *(inc_stored *const *)a, *y = *(inc_stored *const *)b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

/* Tensors, sorted by place, must tile all that follows the head. */
static int check_tiling(inc_safetensors *st, uint64_t data) {
  inc_stored **order = inc_alloc(sizeof *order * (size_t)(st->n + 1));
  if (!order) return INC_EMEM;
  for (int i = 0; i < st->n; i++) order[i] = &st->item[i];
  qsort(order, (size_t)st->n, sizeof *order, by_offset);
  uint64_t at = 0;
  int code = INC_OK;
  for (int i = 0; i < st->n && code == INC_OK; at = order[i]->end, i++)
    if (order[i]->begin < at)
      code = bad(st, order[i]->name, "it overlaps another tensor");
    else if (order[i]->begin > at)
      code = bad(st, order[i]->name, "there is a hole in front of it");
    else if (order[i]->end > data)
      code = bad(st, order[i]->name, "it reaches beyond the end of the file");
  if (code == INC_OK && at < data) code = bad(st, NULL, "bytes behind the last tensor");
  inc_free(order);
  return code;
}

static int parse_items(inc_safetensors *st) {
  json_t *head = st->head, *v;
  const char *key;
  st->item = inc_zalloc(sizeof *st->item * (json_object_size(head) + 1));
  if (!st->item) return INC_EMEM;
  json_object_foreach(head, key, v) {
    if (!strcmp(key, "__metadata__")) {
      INC_TRY(parse_meta(st, v));
      continue;
    }
    inc_stored *it = &st->item[st->n++];
    it->name = key;
    INC_TRY(parse_item(st, it, v));
  }
  return INC_OK;
}

static int parse_head(inc_safetensors *st, const char *text, size_t n) {
  json_error_t e;
  if (n < 2 || text[0] != '{') return bad(st, NULL, "its head does not begin with {");
  st->head = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
  if (!st->head && json_error_code(&e) == json_error_out_of_memory)
    return inc_fail(INC_EMEM, st->path, "out of memory for a head of %zu bytes", n);
  if (!st->head && json_error_code(&e) == json_error_duplicate_key)
    return bad(st, NULL, "a name occurs twice");
  return st->head ? INC_OK : bad(st, NULL, e.text);
}

static int read_head(inc_safetensors *st, uint64_t size) {
  unsigned char len[8];
  uint64_t n = 0;
  if (size < 8) return bad(st, NULL, "shorter than 8 bytes");
  INC_TRY(read_at(st, len, 8, 0));
  for (int i = 7; i >= 0; i--) n = n << 8 | len[i];
  if (n > size - 8) return bad(st, NULL, "its head is said to be longer than the file");
  if (n > HEAD_LIMIT) return bad(st, NULL, "its head is longer than 100,000,000 bytes");
  char *text = inc_alloc(n + 1);
  if (!text) return INC_EMEM;
  int code = read_at(st, text, n, 8);
  if (code == INC_OK) code = parse_head(st, text, n);
  inc_free(text);
  if (code == INC_OK) code = parse_items(st);
  if (code == INC_OK) code = check_tiling(st, size - 8 - n);
  for (int i = 0; i < st->n; i++) st->item[i].begin += 8 + n, st->item[i].end += 8 + n;
  return code;
}

static int open_file(inc_safetensors *st) {
  struct stat sb;
  st->fd = open(st->path, O_RDONLY | O_CLOEXEC);
  if (st->fd < 0 || fstat(st->fd, &sb) != 0)
    return inc_fail(INC_EIO, st->path, "cannot open: %s", strerror(errno));
  if (!S_ISREG(sb.st_mode)) return inc_fail(INC_EIO, st->path, "expected a file, not a folder or device");
  return read_head(st, (uint64_t)sb.st_size);
}

int inc_safetensors_open(const char *path, inc_safetensors **out) {
  inc_safetensors *st = inc_zalloc(sizeof *st);
  if (!st) return INC_EMEM;
  st->fd = -1;
  st->path = inc_strdup(path);
  int code = st->path ? open_file(st) : INC_EMEM;
  if (code == INC_OK)
    *out = st;
  else
    inc_safetensors_close(st);
  return code;
}

void inc_safetensors_close(inc_safetensors *st) {
  if (!st) return;
  if (st->fd >= 0) close(st->fd);
  json_decref(st->head);
  inc_free(st->item);
  inc_free(st->meta);
  inc_free(st->path);
  inc_free(st);
}

const inc_stored *inc_safetensors_find(const inc_safetensors *st, const char *name) {
  for (int i = 0; i < st->n; i++)
    if (!strcmp(st->item[i].name, name)) return &st->item[i];
  return NULL;
}

const char *inc_safetensors_meta(const inc_safetensors *st, const char *key) {
  for (int i = 0; i < st->n_meta; i++)
    if (!strcmp(st->meta[i].key, key)) return st->meta[i].value;
  return NULL;
}

/* -- contents ------------------------------------------------------------------------------------------- */

int inc_safetensors_read(const inc_safetensors *st, const inc_stored *item, inc_tensor **out) {
  if (item->spec.dtype == INC_NONE)
    return inc_fail(INC_EFORMAT, item->name, "dtype %s with %d dims cannot be read here (%s)", item->dtype,
                    item->ndim, st->path);
  inc_tensor *t;
  INC_TRY(inc_tensor_new(&item->spec, &t));
  int code = read_at(st, inc_tensor_data(t), item->end - item->begin, item->begin);
  if (code == INC_OK)
    *out = t;
  else
    inc_tensor_unref(t);
  return code;
}

int inc_safetensors_read_into(const inc_safetensors *st, const inc_stored *item, inc_tensor *t) {
  char have[96], want[96];
  if (item->spec.dtype != t->spec.dtype || !inc_spec_same_shape(&item->spec, &t->spec))
    return inc_fail(INC_EFORMAT, item->name, "expected %s %s, got %s %s (%s)", inc_dtype_name(t->spec.dtype),
                    inc_shape_text(t->spec.ndim, t->spec.shape, want, sizeof want), item->dtype,
                    inc_shape_text(item->spec.ndim, item->spec.shape, have, sizeof have), st->path);
  inc_tensor *fresh;
  INC_TRY(inc_safetensors_read(st, item, &fresh));
  inc_scatter(t, inc_tensor_data(fresh));
  inc_tensor_touched(t);
  inc_tensor_unref(fresh);
  return INC_OK;
}
