/* dnn_api.h -- the few calls whose shape differs between oneDNN 2.x and 3.x.
**
** 2.x describes an operation in a struct and a memory in a public one; 3.x has opaque handles and one call
** per primitive.  dnn_api.c holds every #if; the rest of core/cpu sees the types below.  Creation functions
** return the library's own status, for "unimplemented" is an answer, not a failure; dnn_fail turns one into
** an error.
*/
#ifndef INC_DNN_API_H
#define INC_DNN_API_H

#include "base/err.h"
#include "base/spec.h"
#include <dnnl.h>

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t dnn_md; /* owned: dnn_md_free */
typedef const_dnnl_memory_desc_t dnn_cmd;
#else
typedef dnnl_memory_desc_t *dnn_md;
typedef const dnnl_memory_desc_t *dnn_cmd;
#endif

typedef enum dnn_dir { DNN_FORWARD, DNN_BACKWARD_DATA, DNN_BACKWARD_WEIGHT } dnn_dir;

int dnn_fail(dnnl_status_t status, const char *what);
dnnl_engine_t dnn_engine(void); /* one for the process; NULL when the library refuses */
dnnl_stream_t dnn_stream(void);
dnnl_data_type_t dnn_dtype(int dtype); /* dnnl_data_type_undef when oneDNN has no such type */

/* strides NULL: the primitive may choose any layout. */
dnnl_status_t dnn_md_new(dnn_md *out, int ndims, const int64_t *dims, dnnl_data_type_t dt,
                         const int64_t *strides);
void dnn_md_free(dnn_md md);
bool dnn_md_equal(dnn_cmd a, dnn_cmd b);

typedef struct dnn_conv_geometry {
  int64_t stride[2], dilation[2], pad_lo[2], pad_hi[2]; /* dilation 1 = none */
  bool winograd;
} dnn_conv_geometry;

/* Primitive descriptors.  bias may be NULL.  relu: y = max(0, y) afterwards (forward only). */
dnnl_status_t dnn_conv_pd(dnn_dir dir, const dnn_conv_geometry *g, dnn_cmd x, dnn_cmd w, dnn_cmd bias,
                          dnn_cmd y, bool relu, dnnl_data_type_t compute, dnnl_primitive_desc_t *out);
dnnl_status_t dnn_matmul_pd(dnn_cmd a, dnn_cmd b, dnn_cmd bias, dnn_cmd c, dnnl_primitive_desc_t *out);
dnnl_status_t dnn_reorder_pd(dnn_cmd from, dnn_cmd to, dnnl_primitive_desc_t *out);

/* The layout a primitive descriptor settled on for one DNNL_ARG_*. */
dnn_cmd dnn_pd_md(dnnl_primitive_desc_t pd, int arg);
size_t dnn_pd_scratch(dnnl_primitive_desc_t pd);
const char *dnn_pd_impl(dnnl_primitive_desc_t pd);

#endif
