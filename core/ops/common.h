/* common.h -- what op files share beyond op.h: shape rules, small readers of attributes, gradient helpers.
**
** Everything here is for files of core/ops and for kernels that must agree with them (inc_ewise_params,
** inc_pool_size).  Definitions are in infer.c.
*/
#ifndef INC_OPS_COMMON_H
#define INC_OPS_COMMON_H

#include "ops/op.h"

/* infer: `return inc_done(inc_out(...))`; a NULL has its error recorded. */
static inline int inc_done(const inc_spec *s) { return s ? INC_OK : inc_error_last()->code; }

static inline bool inc_has(const inc_node *n, int in) { return in < n->n_in && n->in[in].dtype != INC_NONE; }

static inline double inc_attr_float(const inc_attr *a) { return a->is_float ? a->f[0] : (double)a->i[0]; }
static inline double inc_float(const inc_node *n, int k) { return inc_attr_float(&n->attr[k]); }
static inline int64_t inc_int(const inc_node *n, int k) { return n->attr[k].i[0]; }
static inline bool inc_absent(const inc_node *n, int k) { return n->attr[k].n < 0; }

/* Dense strides in the order of dims of `like` (row-major where that says nothing), for a tensor of its
 * shape. */
void inc_dense_like(const inc_spec *like, int64_t *strides);
/* Out[0] of an elementwise op: all present inputs from `first` on broadcast together. */
int inc_infer_ewise(inc_node *n, int first, int dtype);
/* In-place: every other present input must broadcast to the shape of in[0]. */
int inc_infer_inplace(inc_node *n);
/* A gradient that looks just like in[from]: dtype, shape, dense strides of its order. */
int inc_infer_like(inc_node *n, int from);
/* Strides that read `in` as `shape` without a copy; false if there are none. */
bool inc_view_strides(const inc_spec *in, int ndim, const int64_t *shape, int64_t *strides);
/* Wrap attr[k], a dim of in[in], in place; the result in *out as well. */
int inc_dim_attr(inc_node *n, int k, int in, int *out);
/* Wrap attr[k], a list of dims (absent = all); marks[d] = whether d is in it. */
int inc_dims_attr(inc_node *n, int k, int in, bool *marks);
/* A shape attribute with room for one -1; count and signs checked. */
int inc_shape_attr(const inc_node *n, int k, const char *what);
int inc_want_same_dtype(const inc_node *n, int in, int as);
int inc_want_scalar(const inc_node *n, int in);                                 /* 0-d, or one element */
int inc_want_int(const inc_node *n, int in);                                    /* an integer dtype */
int inc_want_vector(const inc_node *n, int in, int64_t len);                    /* [len] */
int inc_want_at_least(const inc_node *n, const char *what, int k, int64_t low); /* every number of attr[k] */

/* p[0], p[1] of ewise.def: the first two attributes; an absent one is -inf, +inf. */
void inc_ewise_params(const inc_node *n, double *p);
/* Output length of a convolution (or a pool: with ceil, windows must start inside the input or its left
** padding); negative when the kernel does not fit. */
int64_t inc_pool_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                      bool ceil);

/* -- for gradient rules ------------------------------------------------------------------------------ */
/* din[i] = t summed to the shape and cast to the dtype of in[i]. */
int inc_g_give(inc_grad *g, int i, inc_tensor *t);
inc_tensor *inc_g_reshape(inc_grad *g, inc_tensor *t, int ndim, const int64_t *shape);
inc_tensor *inc_g_transpose(inc_grad *g, inc_tensor *t, int a, int b);

#endif
