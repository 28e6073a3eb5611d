/* safetensors_write.c -- the writer, and row-major copies of strided tensors (safetensors.h). */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/safetensors.h"
#include <stdlib.h>
#include <string.h>

/* -- strided copies ------------------------------------------------------------------------------------- */

typedef struct copy {
  const inc_spec *s;
  char *strided, *flat;
  size_t width;
  bool to_flat;
} copy;

static void copy_one(copy *c, char *strided) {
  if (c->to_flat)
    memcpy(c->flat, strided, c->width);
  else
    memcpy(strided, c->flat, c->width);
  c->flat += c->width;
}

static void copy_dim(copy *c, int dim, char *strided) {
  if (dim == c->s->ndim) {
    copy_one(c, strided);
    return;
  }
  size_t step = (size_t)c->s->strides[dim] * c->width;
  for (int64_t i = 0; i < c->s->shape[dim]; i++) copy_dim(c, dim + 1, strided + (size_t)i * step);
}

static void run_copy(const inc_tensor *t, void *flat, bool to_flat) {
  copy c = {&t->spec, inc_tensor_data(t), flat, inc_dtype_size(t->spec.dtype), to_flat};
  if (inc_spec_numel(&t->spec) == 0) return;
  if (!inc_spec_is_contiguous(&t->spec))
    copy_dim(&c, 0, c.strided);
  else if (to_flat)
    memcpy(flat, c.strided, inc_spec_bytes(&t->spec));
  else
    memcpy(c.strided, flat, inc_spec_bytes(&t->spec));
}

void inc_gather(const inc_tensor *t, void *dst) { run_copy(t, dst, true); }

void inc_scatter(inc_tensor *t, const void *src) { run_copy(t, (void *)src, false); }

/* -- writing -------------------------------------------------------------------------------------------- */

static const char *stored_name(int dtype) {
  static const char *const names[INC_DTYPES] = {
      [INC_F32] = "F32", [INC_BF16] = "BF16", [INC_F16] = "F16", [INC_F64] = "F64",
      [INC_U8] = "U8",   [INC_I32] = "I32",   [INC_I64] = "I64"};
  return names[dtype];
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const inc_named *const *)a)->name, (*(const inc_named *const *)b)->name);
}

static int check_names(const char *path, int n, const inc_named *item, const inc_named **scratch) {
  for (int i = 0; i < n; i++) scratch[i] = &item[i];
  qsort(scratch, (size_t)n, sizeof *scratch, by_name);
  for (int i = 0; i < n; i++) {
    const char *name = scratch[i]->name;
    for (size_t k = 0, len = strlen(name); k < len;) {
      int step = inc_utf8_length(name + k, len - k);
      if (!step) return inc_fail(INC_EARG, path, "a tensor's name is not valid UTF-8");
      k += (size_t)step;
    }
    if (!strcmp(name, "__metadata__")) return inc_fail(INC_EARG, path, "__metadata__ cannot name a tensor");
    if (i > 0 && !strcmp(name, scratch[i - 1]->name))
      return inc_fail(INC_EARG, path, "two tensors are called %s", name);
    if (!inc_tensor_data(scratch[i]->t) && inc_spec_numel(&scratch[i]->t->spec) > 0)
      return inc_fail(INC_ESTATE, name, "no value while tracing");
  }
  return INC_OK;
}

/* Wide elements first, otherwise as given. */
static void sort_by_width(int n, const inc_named *item, const inc_named **order) {
  int k = 0;
  for (size_t width = 8; width > 0; width /= 2)
    for (int i = 0; i < n; i++)
      if (inc_dtype_size(item[i].t->spec.dtype) == width) order[k++] = &item[i];
}

static void head_meta(inc_text *h, int n_meta, const inc_pair *meta) {
  inc_text_put(h, "{\"__metadata__\":{\"format\":\"pt\"");
  for (int i = 0; i < n_meta; i++) {
    if (!strcmp(meta[i].key, "format")) continue;
    inc_text_put(h, ",");
    inc_text_string(h, meta[i].key, strlen(meta[i].key));
    inc_text_put(h, ":");
    inc_text_string(h, meta[i].value, strlen(meta[i].value));
  }
  inc_text_put(h, "}");
}

static void head_item(inc_text *h, const inc_named *it, uint64_t *at) {
  const inc_spec *s = &it->t->spec;
  uint64_t end = *at + inc_spec_bytes(s);
  inc_text_put(h, ",");
  inc_text_string(h, it->name, strlen(it->name));
  inc_text_format(h, ":{\"dtype\":\"%s\",\"shape\":[", stored_name(s->dtype));
  for (int i = 0; i < s->ndim; i++) inc_text_format(h, "%s%lld", i ? "," : "", (long long)s->shape[i]);
  inc_text_format(h, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)*at, (unsigned long long)end);
  *at = end;
}

static int write_head(inc_writer *w, const inc_text *h) {
  unsigned char len[8];
  for (int i = 0; i < 8; i++) len[i] = (unsigned char)((uint64_t)h->n >> (8 * i));
  INC_TRY(inc_writer_write(w, len, 8));
  return inc_writer_write(w, h->s, h->n);
}

static int write_tensor(inc_writer *w, const inc_tensor *t) {
  size_t bytes = inc_spec_bytes(&t->spec);
  if (bytes == 0) return INC_OK;
  if (inc_spec_is_contiguous(&t->spec)) return inc_writer_write(w, inc_tensor_data(t), bytes);
  void *flat = inc_alloc(bytes);
  if (!flat) return INC_EMEM;
  inc_gather(t, flat);
  int code = inc_writer_write(w, flat, bytes);
  inc_free(flat);
  return code;
}

static int write_file(const char *path, const inc_text *head, int n, const inc_named **order) {
  inc_writer w;
  INC_TRY(inc_writer_open(&w, path));
  int code = write_head(&w, head);
  for (int i = 0; i < n && code == INC_OK; i++) code = write_tensor(&w, order[i]->t);
  if (code == INC_OK) code = inc_writer_commit(&w);
  inc_writer_abort(&w);
  return code;
}

int inc_safetensors_save(const char *path, int n, const inc_named *item, int n_meta, const inc_pair *meta) {
  inc_text head = {0};
  uint64_t at = 0;
  const inc_named **order = inc_alloc(sizeof *order * (size_t)(n + 1));
  if (!order) return INC_EMEM;
  int code = check_names(path, n, item, order);
  if (code == INC_OK) {
    sort_by_width(n, item, order);
    head_meta(&head, n_meta, meta);
    for (int i = 0; i < n; i++) head_item(&head, order[i], &at);
    inc_text_put(&head, "}");
    while (head.n % 8 && !head.failed) inc_text_put(&head, " ");
    code = inc_text_done(&head);
  }
  if (code == INC_OK) code = write_file(path, &head, n, order);
  inc_text_free(&head);
  inc_free(order);
  return code;
}
