/* cpu.h -- inside the CPU backend: a row of its table, a prepared kernel, and what the row files share.
**
** A row is one way to run one op.  `make` looks at the node (dtypes, shapes, strides): false means "not me".
** It must be cheap, since the planner asks often; compiling is left to `build`.  Rows stand in the table best
** first and the reference loop of the op is always the last choice.
**
** A kernel's fields of numbers are fixed by make; run gets addresses only and never allocates.
*/
#ifndef INC_CPU_H
#define INC_CPU_H

#include "backend.h"
#include "cpu/dnn.h"
#include "kernels/cpu/kernels.h"
#include "ops/common.h"

/* -- elementwise loops: operands walked together, dims merged and ordered by the first one's strides -- */
enum { CPU_OPERANDS = 4 };
typedef struct cpu_loop {
  int nd, n; /* dims left (the last is the inner one), operands */
  int64_t size[INC_MAX_DIMS];
  int64_t stride[CPU_OPERANDS][INC_MAX_DIMS];
  size_t bytes[CPU_OPERANDS]; /* of an element */
} cpu_loop;

/* specs[0] decides the order; the others broadcast to its shape.  False: shapes do not fit. */
bool cpu_loop_init(cpu_loop *l, int n, const inc_spec *const *specs);
/* May the inner dim be handed to a kernel that takes strides 0 and 1 (and 1 for operand 0)? */
bool cpu_loop_flat(const cpu_loop *l);
int64_t cpu_loop_total(const cpu_loop *l);
/* Call fn(ctx, m, at) on runs of m elements of the inner dim, on all cores when there is enough to do. */
typedef void cpu_run_fn(const void *ctx, int64_t m, char *const *at);
void cpu_loop_run(const cpu_loop *l, char *const *base, cpu_run_fn *fn, const void *ctx);

enum { CPU_WIDE = 1 << 15 }; /* elements from which work is spread over the cores */
#define CPU_IF_WIDE(n) ((n) >= CPU_WIDE ? INC_K_WIDE : 0u)

/* -- operands as rows x C (kernels.h), copied to and from the workspace where they are not ------------- */
typedef struct cpu_rows {
  int64_t n, hw, c; /* pictures, pixels, channels */
  int64_t ld;       /* elements from pixel to pixel; of the copy if `copied` */
  int64_t plane;    /* copied: elements from channel to channel of the row-major original */
  int64_t picture;  /* ... and from picture to picture */
  bool copied;
  int dtype;
  size_t offset; /* of the copy in the workspace */
} cpu_rows;

/* A [N, C], [N, C, L] or [N, C, H, W] tensor.  *at grows by the size of the copy, if one is needed.  False:
 * odd strides. */
bool cpu_rows_init(cpu_rows *r, const inc_spec *s, size_t *at);
void *cpu_rows_in(const cpu_rows *r, void *p, void *workspace); /* the rows, filled */
void *cpu_rows_at(const cpu_rows *r, void *p, void *workspace); /* where to write the rows */
void cpu_rows_out(const cpu_rows *r, void *p, void *workspace); /* copy back what was written */

/* -- kernels ----------------------------------------------------------------------------------------- */
typedef struct cpu_row cpu_row;

/* A kernel for 16-bit floats made of one for f32 (through.c). */
typedef struct cpu_through {
  inc_kernel *inner;
  size_t in[8], out[4],
      scratch; /* places of the f32 copies and of the inner kernel's scratch in the workspace */
} cpu_through;

struct inc_kernel {
  const cpu_row *row;
  const char *impl, *way; /* as in inc_choice */
  uint32_t flags;         /* INC_K_* */
  size_t workspace;
  const inc_kernels *k;
  cpu_through *through; /* set: everything else but node is unused */
  inc_node node;        /* a copy with its own specs, once prepared */
  union {
    dnn_conv conv;
    dnn_matmul matmul;
    struct {
      k_wino w;
      int64_t step_k, step_c; /* of the weights */
      size_t u, zeros;        /* places in the workspace; scratch follows */
      float *kept;            /* transformed weights that stay, or NULL */
    } wino;
    struct {
      k_bn bn;
      cpu_rows x, y, dy, dx;
      size_t scratch;
    } norm;
    struct {
      k_pool pool;
      cpu_rows x, y, index;
    } pool;
    struct {
      cpu_loop loop;
      int op, dt;
      float param[2];
    } ewise;
    struct {
      int64_t outer, run, inner, out_inner;
      bool mean, norm;
    } reduce;
    struct {
      int64_t rows, c;
      k_rows a, b, y;
    } lines;
  } u;
};

/* The node with its 16-bit tensors as f32, over specs[12]; false when it has none or cannot be served so. */
bool cpu_through_widen(const inc_node *n, inc_node *wide, inc_spec *specs);
size_t cpu_through_place(const inc_node *n, cpu_through *t, size_t inner); /* -> workspace */
int cpu_through_run(inc_kernel *k, void *const *in, void *const *out, void *workspace);

struct cpu_row {
  const char *op;
  bool (*make)(const inc_node *n, inc_kernel *k);
  int (*build)(inc_kernel *k, uint32_t prep); /* or NULL */
  int (*run)(inc_kernel *k, void *const *in, void *const *out, void *workspace, uint32_t same);
  void (*drop)(inc_kernel *k); /* or NULL */
};

/* Lists of rows, one a file; each ends with a row whose op is NULL. */
extern const cpu_row cpu_conv_rows[], cpu_winograd_rows[], cpu_product_rows[], cpu_norm_rows[],
    cpu_pool_rows[], cpu_ewise_rows[], cpu_move_rows[], cpu_reduce_rows[], cpu_loss_rows[], cpu_optim_rows[],
    cpu_random_rows[];

double cpu_peak(int dtype); /* as in inc_backend */

/* Both numbers of an int[2] attribute. */
static inline void cpu_pair(const inc_attr *a, int64_t out[2]) {
  out[0] = a->i[0];
  out[1] = a->n > 1 ? a->i[1] : a->i[0];
}
static inline bool cpu_float_dtype(int dt) { return dt == INC_F32 || dt == INC_BF16; }
static inline size_t cpu_max(size_t a, size_t b) { return a > b ? a : b; }
/* An f32 vector without holes, or absent. */
static inline bool cpu_vector(const inc_node *n, int in) {
  if (!inc_has(n, in)) return true;
  const inc_spec *s = &n->in[in];
  return s->dtype == INC_F32 && inc_spec_is_contiguous(s);
}

#endif
