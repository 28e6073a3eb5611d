/* tensor.h -- buffers and tensors, both reference counted.
**
** inc_buffer (memory on a device) <- inc_tensor (buffer + offset + spec).  Views share the buffer.  _new
** returns a reference that the caller owns; _ref/_unref adjust it; all else borrows.  A tensor made while
** tracing has no buffer: it names a value of the graph being recorded (`value`), and reading it is refused.
** `version` of a buffer counts the writes in place; what autograd saved is checked against it.
*/
#ifndef INC_TENSOR_H
#define INC_TENSOR_H

#include "base/spec.h"
#include <stdatomic.h>

typedef struct inc_buffer {
  _Atomic int refs;
  _Atomic uint32_t version; /* raised by every write in place */
  size_t bytes;
  void *data;
  void (*release)(void *owner, void *data); /* NULL: inc_free */
  void *owner;
} inc_buffer;

typedef struct inc_gnode inc_gnode; /* exec/tape.h */

typedef struct inc_tensor {
  _Atomic int refs;
  inc_buffer *buf; /* NULL while tracing */
  int64_t offset;  /* first element, in elements from buf->data */
  inc_spec spec;
  bool requires_grad;      /* a leaf whose gradient is wanted, or a result that depends on one */
  bool is_number;          /* made from a Lua number: takes the other operand's dtype */
  struct inc_tensor *grad; /* leaves only; owned */
  inc_gnode *gnode;        /* what computed it, when a gradient can flow; owned */
  int gslot;               /* which output of gnode */
  int value;               /* index in the graph being traced, or -1 */
  uint64_t trace;          /* which trace `value` belongs to */
} inc_tensor;

int inc_buffer_new(size_t bytes, inc_buffer **out);
void inc_buffer_ref(inc_buffer *b);
void inc_buffer_unref(inc_buffer *b);

/* Memory of unknown contents. */
int inc_tensor_new(const inc_spec *spec, inc_tensor **out);
/* A tensor over an existing buffer (a view when it is another tensor's). */
int inc_tensor_over(inc_buffer *buf, int64_t offset, const inc_spec *spec, inc_tensor **out);
/* A tensor without memory, for tracing. */
int inc_tensor_symbol(const inc_spec *spec, uint64_t trace, int value, inc_tensor **out);
inc_tensor *inc_tensor_ref(inc_tensor *t);  /* NULL is fine; returns t */
void inc_tensor_unref(inc_tensor *t);       /* NULL is fine */
void *inc_tensor_data(const inc_tensor *t); /* address of the first element; NULL while tracing */
void inc_tensor_touched(inc_tensor *t);     /* say that it was written in place */

/* A 0-d tensor holding `v`. */
int inc_tensor_scalar(int dtype, double v, inc_tensor **out);
/* One element as a double, whatever the dtype. */
double inc_load(const void *data, int dtype, int64_t index);
void inc_store(void *data, int dtype, int64_t index, double v);
float inc_bf16_to_f32(uint16_t v);
uint16_t inc_f32_to_bf16(float v); /* round to nearest even; NaN stays NaN */
float inc_f16_to_f32(uint16_t v);
uint16_t inc_f32_to_f16(float v);

typedef struct inc_live {
  int64_t tensors, buffers, bytes, peak_bytes;
} inc_live;
inc_live inc_tensor_live(void); /* counts of what exists now */

#endif
