/* spec.h -- dtype, shape and strides: what is known of a tensor before it has any data.
**
** An inc_spec is a plain value, copied freely.  Strides count elements, may be 0 (broadcast) and are never
** negative.  "Dense" means that the elements fill one block without holes, in whatever order of dims;
** channels-last is the dense order N, H, W, C of a 4-D [N, C, H, W] tensor.  Shapes stay [N, C, H, W] in
** every layout, as in PyTorch: a layout is only a choice of strides.
*/
#ifndef INC_SPEC_H
#define INC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INC_MAX_DIMS = 6 };

typedef enum inc_dtype {
  INC_NONE = 0, /* an optional tensor that is not there */
  INC_F32,
  INC_BF16,
  INC_F16,
  INC_F64,
  INC_U8,
  INC_I32,
  INC_I64,
  INC_DTYPES
} inc_dtype;

typedef struct inc_spec {
  uint8_t dtype; /* inc_dtype */
  int8_t ndim;
  int64_t shape[INC_MAX_DIMS];
  int64_t strides[INC_MAX_DIMS]; /* in elements */
} inc_spec;

size_t inc_dtype_size(int dtype);
const char *inc_dtype_name(int dtype); /* "f32", ... */
int inc_dtype_parse(const char *name); /* INC_NONE when unknown; PyTorch's names work too */
static inline bool inc_dtype_is_float(int d) { return d >= INC_F32 && d <= INC_F64; }
int inc_dtype_promote(int a, int b); /* the dtype of a + b */

inc_spec inc_spec_new(int dtype, int ndim, const int64_t *shape); /* row-major strides */
int64_t inc_spec_numel(const inc_spec *s);                        /* 1 for a 0-d tensor */
size_t inc_spec_bytes(const inc_spec *s);                         /* numel * dtype size */
int64_t inc_spec_span(const inc_spec *s); /* elements from first to last, plus 1; 0 if empty */
void inc_spec_contiguous(inc_spec *s);    /* set row-major strides */
void inc_spec_channels_last(inc_spec *s); /* set N, H, W, C order; 4-D only */
bool inc_spec_is_contiguous(const inc_spec *s);
bool inc_spec_is_channels_last(
    const inc_spec *s); /* 4-D and dense in that order (false if also contiguous) */
bool inc_spec_is_dense(const inc_spec *s);
bool inc_spec_same_shape(const inc_spec *a, const inc_spec *b);
bool inc_spec_same_strides(const inc_spec *a, const inc_spec *b); /* ignoring dims of size 1 */
/* The common shape of a and b by NumPy's broadcasting rule; false when there is none. */
bool inc_spec_broadcast(const inc_spec *a, const inc_spec *b, inc_spec *out);
/* Give `s` strides that read it as if it had `shape` (broadcast dims get stride 0); false if impossible. */
bool inc_spec_expand(const inc_spec *s, int ndim, const int64_t *shape, inc_spec *out);
/* "[2, 3]" or "[]" into `out` (64 bytes are always enough for sane shapes); returns out. */
char *inc_shape_text(int ndim, const int64_t *shape, char *out, size_t n);

#endif
