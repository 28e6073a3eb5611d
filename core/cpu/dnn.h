/* dnn.h -- prepared oneDNN primitives as plain objects: convolution in its three directions, matrix product.
**
** init takes dtypes, shapes and strides and settles everything: layouts, re-orders, scratch memory; it is
** cheap enough to ask.  build compiles the kernels.  run takes addresses only and allocates nothing.  Where
** the primitive wants another layout than the caller has (weights nearly always, activations for Winograd or
** for odd strides), a re-order to or from the workspace is part of the object.  A convolution never writes
** into a slice by itself: oneDNN falls to its reference loop there, thousands of times slower, so it writes
** dense memory and a re-order copies.
**
** `reference` tells that only the library's reference loop was to be had; callers show it or choose another
** way.
*/
#ifndef INC_DNN_H
#define INC_DNN_H

#include "cpu/dnn_api.h"

enum { DNN_ARGS = 5 };

typedef struct dnn_prim { /* a primitive with its memory objects; addresses are given at each run */
  dnnl_primitive_t prim;
  dnnl_primitive_desc_t pd;
  int n, arg[DNN_ARGS];
  dnnl_memory_t mem[DNN_ARGS];
  size_t scratch; /* bytes; the last argument */
} dnn_prim;

/* Takes over pd.  args: DNNL_ARG_*, in the order of the addresses given to run. */
void dnn_prim_describe(dnn_prim *p, dnnl_primitive_desc_t pd, int n, const int *args);
int dnn_prim_build(dnn_prim *p); /* compiles the kernel */
int dnn_prim_run(dnn_prim *p, void *const *at, void *scratch);
void dnn_prim_free(dnn_prim *p);

typedef struct dnn_side { /* one operand: where the primitive's layout differs, a re-order and its copy */
  dnn_prim reorder;
  bool differs;
  size_t bytes, offset; /* of the copy in the workspace */
} dnn_side;

typedef struct dnn_conv_desc {
  dnn_dir dir;
  dnn_conv_geometry geometry;
  int64_t groups;
  inc_spec x, w, y; /* [N, C, H, W], [Cout, Cin / groups, KH, KW], [N, Cout, OH, OW]; gradients in theirs */
  inc_spec bias;    /* dtype INC_NONE when there is none */
  bool relu;
  bool free_layout; /* activations, too, in whatever layout the primitive likes, re-ordered to and from it */
  size_t most_workspace; /* if > 0: the batch in equal parts (of 8 or more) until they fit this */
} dnn_conv_desc;

typedef struct dnn_conv {
  dnn_dir dir;
  dnn_prim main;
  dnn_side x, w, y;
  bool bias, reference;
  int64_t parts;         /* runs of the primitive, each on an equal part of the batch */
  size_t x_step, y_step; /* bytes from part to part */
  size_t sum;            /* weight gradient in parts: the place in the workspace of the one to be added */
  size_t workspace;      /* copies of the operands, then at `scratch` what the primitives ask for */
  size_t scratch;
  void *kept; /* packed weights that outlive a run, or NULL (dnn_conv_keep) */
  const char *impl;
} dnn_conv;

int dnn_conv_init(dnn_conv *c, const dnn_conv_desc *d);
int dnn_conv_build(dnn_conv *c);
int dnn_conv_keep(dnn_conv *c); /* hold the packed weights in the object */
/* x, w, y: the operands of the forward convolution or their gradients, by role.  packed: the kept copy of w
** is still good. */
int dnn_conv_run(dnn_conv *c, void *x, void *w, void *y, void *bias, void *workspace, bool packed);
void dnn_conv_free(dnn_conv *c);

typedef struct dnn_matmul { /* c = a b (+ bias over the last dim); 2-D or batched 3-D; c row-major */
  dnn_prim main;
  bool bias, reference;
  size_t workspace;
  const char *impl;
} dnn_matmul;

int dnn_matmul_init(dnn_matmul *m, const inc_spec *a, const inc_spec *b, const inc_spec *bias,
                    const inc_spec *c);
int dnn_matmul_build(dnn_matmul *m);
int dnn_matmul_run(dnn_matmul *m, void *a, void *b, void *bias, void *c, void *workspace);
void dnn_matmul_free(dnn_matmul *m);

static inline size_t dnn_align(size_t n) { return (n + 63) & ~(size_t)63; }

#endif
