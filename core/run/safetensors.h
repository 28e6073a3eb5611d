/* safetensors.h -- the file format of weights and checkpoints: a JSON head, then the bytes of every tensor.
**
** The reader believes nothing: head longer than the file, the same name twice, tensors that overlap or leave
** holes, sizes that overflow, text that is no UTF-8, bytes behind the last tensor are all refused, before any
** memory is taken for data.  It reads with pread into memory of our own.  Mapping the file was rejected: a
** file that shrinks under a map kills the process, and 8-aligned data would have to be copied for the kernels
** anyway. The writer is that of file.h: the old file or the new one, never a part.
*/
#ifndef INC_SAFETENSORS_H
#define INC_SAFETENSORS_H

#include "base/tensor.h"

typedef struct inc_named {
  const char *name;
  inc_tensor *t;
} inc_named;

typedef struct inc_pair {
  const char *key, *value;
} inc_pair;

typedef struct inc_stored {
  const char *name;
  char dtype[12]; /* as the file calls it */
  inc_spec spec;  /* row-major; dtype INC_NONE: one that we do not have, or too many dims */
  int ndim;
  uint64_t begin, end; /* bytes of the file */
} inc_stored;

typedef struct inc_safetensors {
  int n, n_meta;
  inc_stored *item; /* [n] in the order of the head */
  inc_pair *meta;   /* [n_meta] in the order of the head */
  char *path;
  int fd;
  void *head; /* owns the strings */
} inc_safetensors;

int inc_safetensors_open(const char *path, inc_safetensors **out);
void inc_safetensors_close(inc_safetensors *st); /* NULL is fine */
const inc_stored *inc_safetensors_find(const inc_safetensors *st, const char *name);
const char *inc_safetensors_meta(const inc_safetensors *st, const char *key); /* NULL when absent */
/* A new tensor with the contents of one item; EFORMAT if its dtype is not ours. */
int inc_safetensors_read(const inc_safetensors *st, const inc_stored *item, inc_tensor **out);
/* The same into a tensor that exists: same dtype and shape, any strides. */
int inc_safetensors_read_into(const inc_safetensors *st, const inc_stored *item, inc_tensor *t);

/* Names must differ; metadata are strings, and {"format": "pt"} is added for other readers.  Within one size
** of element the tensors keep their order: wide ones come first, so that each is aligned. */
int inc_safetensors_save(const char *path, int n, const inc_named *item, int n_meta, const inc_pair *meta);

/* Copy between a tensor of any strides and row-major bytes. */
void inc_gather(const inc_tensor *t, void *dst);
void inc_scatter(inc_tensor *t, const void *src);

#endif
