/* op.h -- what an op is: a value that answers a few questions.
**
** An op file answers: signature, doc, shape rule (infer), gradient rule (grad), plain reference loop (ref).
** That is enough to make it work at the prompt, in a plan, in the documentation and in the tests; faster
** kernels belong to the backends (core/cpu).  The binding, the checker and the help read `sig`:
**
**   "x:tensor, weight:tensor, bias:tensor?, stride:int[2]=1, groups:int=1 -> y"
**
** tensor types  tensor  tensor? (may be absent)  tensor! (written in place)  tensor!? (both)
**               tensor... (a list, must be first)
** other types   int float bool  int[2] (one number or two)  ints (a list)  dtype  name:enum(a|b|c)
**               dim (counts from 1 in Lua, negative from the end; 0-based here, wrapped by inc_dim)
**               dims (a list of dim)  index (1-based in Lua, 0-based here, negative from the end)
** A default after '=' (dims and indices as Lua counts them, from 1); a type with '?' may be absent (attr.n
** == -1).  Tensors come first, then attributes: attr[k] is the k-th non-tensor of the signature, [k] the
** k-th tensor (spec.dtype == INC_NONE when absent).  Numbers of an int[2] are always two; an enum is the
** place of the rd in its list, from 0.  infer rewrites attr to its canonical form (dims wrapped, a pool's
** absent stride lled in), so gradient rules and kernels need not do so again.
** A result whose name starts with '_' ("-> y, _index") is for the gradient rule and is not handed to Lua.
*/
#ifndef INC_OP_H
#define INC_OP_H

#include "base/err.h"
#include "base/spec.h"
#include "base/tensor.h"

enum { INC_MAX_ATTRS = 10 };

typedef struct inc_op inc_op;

typedef struct inc_attr {
  int8_t n; /* -1 absent, 1 a number, k a list of k */
  bool is_float;
  union {
    int64_t i[INC_MAX_DIMS];
    double f[INC_MAX_DIMS];
  };
} inc_attr;

#define INC_INT(v)   ((inc_attr){.n = 1, .i = {(v)}})
#define INC_FLOAT(v) ((inc_attr){.n = 1, .is_float = true, .f = {(v)}})
#define INC_ABSENT   ((inc_attr){.n = -1})
inc_attr inc_ints(int n, const int64_t *v);

typedef struct inc_node {
  const inc_op *op;
  int n_in, n_out;
  inc_spec *in;        /* [n_in] */
  inc_spec *out;       /* [n_out], filled by infer */
  inc_attr *attr;      /* [INC_MAX_ATTRS] */
  int64_t view_offset; /* INC_OP_VIEW: first element of the result, counted from that of in[0] */
} inc_node;

/* What a gradient rule sees.  It emits ops (the inc_g* calls below), which run or are recorded alike, and
** sets the gradient of each input that `need`s one.  All tensors made by inc_g* belong to a pool that is
** emptied after the rule; a NULL argument gives NULL (the error is already recorded), so calls nest. */
typedef struct inc_grad {
  const inc_node *node;
  inc_tensor *const *in;   /* [n_in]  saved inputs, NULL unless in op->save_in */
  inc_tensor *const *out;  /* [n_out] saved outputs, NULL unless in op->save_out */
  inc_tensor *const *dout; /* [n_out] gradient of each output; NULL = zero */
  const bool *need;        /* [n_in] */
  inc_tensor **din;        /* [n_in]  filled through inc_g_set */
  struct inc_gpool *pool;
} inc_grad;

inc_tensor *inc_g1(inc_grad *g, const inc_op *op, inc_tensor *a);
inc_tensor *inc_g2(inc_grad *g, const inc_op *op, inc_tensor *a, inc_tensor *b);
/* The general form: n_in inputs (NULL entries allowed where optional), attributes (as many as the signature
** has; NULL where it has none), `want`-th output. */
inc_tensor *inc_gn(inc_grad *g, const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr,
                   int want);
/* All outputs at once into out[]; 0 or an error code. */
int inc_gall(inc_grad *g, const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr,
             inc_tensor **out);
inc_tensor *inc_g_number(inc_grad *g, double v);                         /* a 0-d number */
inc_tensor *inc_g_sum_to(inc_grad *g, inc_tensor *t, const inc_spec *s); /* undo broadcasting */
inc_tensor *inc_g_cast(inc_grad *g, inc_tensor *t, int dtype);           /* t itself when it already has it */
int inc_g_set(inc_grad *g, int i, inc_tensor *t); /* din[i] = t; fails when t is NULL */

enum {
  INC_OP_VIEW = 1,      /* out[0] shares in[0]'s memory; infer sets strides and view_offset */
  INC_OP_HIDDEN = 2,    /* not for users: gradients, fusions */
  INC_OP_EWISE = 4,     /* out[i] depends on in[*][i] only, all of one shape after broadcasting */
  INC_OP_INPLACE = 8,   /* out[0] may be in[0]'s memory when the layouts agree */
  INC_OP_AUTOCAST = 16, /* runs in the policy's precision (convolutions and products) */
  INC_OP_CHEAP = 32,    /* worth computing again to save memory */
  INC_OP_F32 = 64,      /* loss-like: its float inputs are widened to f32 by the policy */
  INC_OP_MUTATES = 128, /* has a tensor! argument; without n_out it has no result */
};

struct inc_op {
  const char *name, *sig, *doc;
  uint32_t flags;
  uint32_t save_in, save_out; /* bit k: the gradient rule reads in[k] / out[k] */
  int n_out;                  /* number of outputs; 0 means 1 (and none for ops that only write in place) */
  int (*infer)(inc_node *n);  /* check inputs, set out[] (out has room for n_out); view_offset for views */
  int (*grad)(inc_grad *g);   /* NULL: not differentiable (integers, updates) */
  int (*ref)(const inc_node *n, void *const *in, void *const *out); /* strided, any dtype; NULL for views */
};

/* -- for infer -------------------------------------------------------------------------------------- */
inc_spec *inc_out(inc_node *n, int k, int dtype, int ndim, const int64_t *shape); /* row-major */
inc_spec *inc_out_like(inc_node *n, int k, int from); /* dtype, shape and, if dense, strides of in[from] */
/* Four-dim result that keeps channels-last when in[from] is channels-last. */
inc_spec *inc_out_4d(inc_node *n, int k, int dtype, const int64_t *shape, int from);
int inc_want_ndim(const inc_node *n, int in, int ndim); /* "x: expected 4 dims, got shape [..]" */
int inc_want_float(const inc_node *n, int in);
int inc_want_dtype(const inc_node *n, int in, int dtype);
int inc_want_shape(const inc_node *n, int in, int ndim, const int64_t *shape);
/* Wrap a possibly negative dim into 0..ndim-1; `what` names the argument. */
int inc_dim(const inc_node *n, const char *what, int64_t dim, int ndim, int *out);
const char *inc_arg_name(const inc_op *op, int in); /* the name of the in-th tensor argument */

/* -- the registry (ops.c) --------------------------------------------------------------------------- */
typedef enum inc_type {
  INC_T_TENSOR,
  INC_T_INT,
  INC_T_FLOAT,
  INC_T_BOOL,
  INC_T_INTN,
  INC_T_INTS,
  INC_T_DIM,
  INC_T_DIMS,
  INC_T_INDEX,
  INC_T_DTYPE,
  INC_T_ENUM
} inc_type;

typedef struct inc_param {
  char name[24];
  inc_type type;
  int count; /* INC_T_INTN: how many */
  bool optional, mutated, variadic, has_default;
  inc_attr def;
  char names[96]; /* INC_T_ENUM: "a|b|c" */
} inc_param;

typedef struct inc_sig {
  int n_tensors, n_attrs;
  int n_shown; /* results handed to Lua: the names after "->" without a leading '_' */
  bool variadic;
  inc_param tensors[12], attrs[INC_MAX_ATTRS];
  uint32_t mutated; /* bit k: in[k] is written in place */
} inc_sig;

int inc_op_count(void);
const inc_op *inc_op_at(int i);
const inc_op *inc_op_find(const char *name); /* NULL if there is none */
const inc_sig *inc_op_sig(const inc_op *op); /* parsed once, at first use */
int inc_op_outputs(const inc_op *op);        /* 0 for ops that only write in place */

#define INC_OP(name) extern const inc_op inc_op_##name;
#include "ops/ops.def"
#undef INC_OP

#endif
