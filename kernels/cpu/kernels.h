/* kernels.h -- our own compute kernels for the CPU, behind one table.
**
** Everything between the convolutions is memory-bound, so what counts is: touch each byte as seldom as
** possible, read rows in order, and take the shape the planner wants (channels-last rows whose pixel stride
** may exceed C, so that a result lands in its channel slice of a concatenation).  oneDNN's own batch norm
** cannot do the last and is half as fast in this layout.
**
** One table exists per instruction set, compiled from the same source (simd.h); inc_kernels_get picks by
** CPUID once.  INC_CPU=plain|avx2|avx512|avx512bf lowers the choice.  Sums are taken over blocks whose
** number depends on the shape alone: results do not change with the thread count.
**
** "rows": a matrix of `rows` x C elements, C contiguous, consecutive rows `ld` elements apart.  dt is
** INC_F32 or INC_BF16 unless said.  Arithmetic is f32.  Kernels marked (1) run on the calling thread; the
** others open an OpenMP region when there is enough to do.
*/
#ifndef INC_KERNELS_H
#define INC_KERNELS_H

#include "base/spec.h"

typedef struct k_rows {
  void *p;
  int64_t ld;
  int dt;
} k_rows;

typedef struct k_bn { /* one batch norm over rows x C; vectors are f32 [C] */
  int64_t rows, c;
  k_rows x, y, dy, dx;       /* y forward; dy and dx backward (dx may be dy's memory) */
  float *mean, *var;         /* biased variance */
  const float *gamma, *beta; /* NULL: 1 and 0 */
  float *dgamma, *dbeta;     /* NULL: not wanted */
  float eps;
  bool relu;     /* y = max(0, .): backward recomputes the mask from x */
  bool fixed;    /* backward: mean and var are constants (evaluation) */
  void *scratch; /* k_bn_scratch bytes */
} k_bn;

size_t k_bn_scratch(int64_t rows, int64_t c);

typedef struct k_pool { /* channels-last [N, H, W, C]; ld: elements from pixel to pixel */
  int64_t n, h, w, c, oh, ow;
  int kh, kw, sh, sw, ph, pw;
  k_rows x, y;    /* x: input or its gradient; y: output or its gradient */
  void *index;    /* max: position in the window, kh * KW + kw, dense [N, OH, OW, C] */
  int index_size; /* 1: uint8_t (windows up to 256), 4: int32_t */
  bool include_pad;
} k_pool;

enum k_unary {
  K_COPY,
  K_NEG,
  K_ABS,
  K_SQUARE,
  K_SQRT,
  K_RSQRT,
  K_RECIPROCAL,
  K_EXP,
  K_RELU,
  K_SIGMOID,
  K_TANH,
  K_SILU,
  K_LEAKY,
  K_CLAMP,
  K_FLOOR,
  K_CEIL,
  K_UNARY_OPS
};
enum k_binary { K_ADD, K_SUB, K_MUL, K_DIV, K_MAX, K_MIN, K_RELU_BACK, K_BINARY_OPS };

typedef struct k_sgd {
  float lr, momentum, weight_decay, gscale;
  bool nesterov;
} k_sgd;
typedef struct k_rmsprop {
  float lr, alpha, eps, weight_decay, momentum, gscale;
  bool eps_inside;
} k_rmsprop;
typedef struct k_adam {
  float lr, beta1, beta2, eps, weight_decay, gscale;
  double correct1, correct2; /* 1 - beta^step */
  bool decoupled;
} k_adam;

/* -- Winograd (winograd.inc.h): convolution with stride 1 on NHWC pixels of ldx and ldy elements ---------- */
/* pad: floats between planes, which are read side by side and would else share a few sets of the cache */
enum { WINO_PAD = 16, WINO_TILES = 24, WINO_LINE = 12, WINO_MOST = 64, WINO_OUT = 6, WINO_TAPS = 7 };
enum wino_form { /* points along a line or a side; outputs are 4 but for LINE12 and SQUARE8, which have 6 */
                 WINO_LINE6,
                 WINO_LINE10,
                 WINO_LINE12,
                 WINO_SQUARE6,
                 WINO_SQUARE8,
                 WINO_SQUARE8_5,
                 WINO_FORM_COUNT
};
typedef struct k_wino_shape {
  enum wino_form form;
  int ah, aw, mh, mw; /* points and outputs of a tile: 1 x 10 and 1 x 4, 6 x 6 and 4 x 4, ... */
  /* of a line: B^T [a][a], A^T [m][a], G [a][taps]; points 0, f, -f, ..., infinity */
  float bt[WINO_LINE * WINO_LINE], at[WINO_OUT * WINO_LINE], g[WINO_LINE * WINO_TAPS];
} k_wino_shape;
typedef struct k_wino {
  const k_wino_shape *shape;
  int dt;            /* of x and y */
  bool relu, turned; /* turned: taps in reverse, as the gradient of the input has them */
  int threads;
  int64_t n, h, w, c, ldx, oh, ow, k, ldy, pad_h, pad_w, tiles_h, tiles_w;
  const void *x;
  void *y;
  const float *u, *bias; /* bias: K values or NULL */
  const char *zeros;     /* C values */
  float *scratch;        /* scratch_step floats a thread */
  int64_t scratch_step;
  int64_t block; /* gradient of the weights: tiles between two visits of a sum */
} k_wino;

typedef struct inc_kernels {
  const char *isa; /* "plain", "avx2", "avx512", "avx512bf" */
  /* batch norm */
  void (*bn_stats)(const k_bn *b);    /* x -> mean, var */
  void (*bn_apply)(const k_bn *b);    /* x, mean, var -> y */
  void (*bn_backward)(const k_bn *b); /* dy, x, mean, var -> dx, dgamma, dbeta */
  /* pools */
  void (*max_pool)(const k_pool *p);
  void (*max_pool_back)(const k_pool *p); /* x is the gradient of the input, overwritten */
  void (*avg_pool)(const k_pool *p);
  void (*avg_pool_back)(const k_pool *p);
  /* elementwise (1); strides sa, sb are 1 or 0 (one value for all) */
  void (*unary)(int op, int dt, int64_t n, void *y, const void *x, const float param[2]);
  void (*binary)(int op, int dt, int64_t n, void *y, const void *a, int sa, const void *b, int sb);
  void (*cast)(int from, int to, int64_t n, void *y, const void *x); /* (1) any two dtypes */
  /* (1) u8 rows x C -> f32 or bf16: x * scale[c] + shift[c]; in and out strides in elements */
  void (*normalize)(int64_t rows, int64_t c, const uint8_t *x, int64_t xr, int64_t xc, const k_rows *y,
                    int64_t yc, const float *scale, const float *shift);
  /* (1) [n, c, hw] <-> [n, hw, c] for elements of 1, 2, 4 or 8 bytes: y[j * ldy + i] = x[i * ldx + j] */
  void (*transpose)(int64_t rows, int64_t cols, int size, void *y, int64_t ldy, const void *x, int64_t ldx);
  /* sums (1) */
  double (*sum)(int dt, int64_t n, const void *x);
  double (*sum_squares)(int dt, int64_t n, const void *x);
  float (*max)(int dt, int64_t n, const void *x); /* n >= 1; NaN wins */
  bool (*finite)(int dt, int64_t n, const void *x);
  /* out[c] = sum over rows, f32; scratch k_bn_scratch bytes */
  void (*sum_rows)(int64_t rows, int64_t c, const k_rows *x, float *out, void *scratch);
  /* softmax family over rows x C (1); f32 results */
  void (*softmax)(int64_t rows, int64_t c, const k_rows *x, const k_rows *y, bool log);
  void (*softmax_back)(int64_t rows, int64_t c, const k_rows *dy, const k_rows *y, const k_rows *dx,
                       bool log);
  /* target: 1-based class of each row; loss[row]; a target outside 1..C gives NaN */
  void (*cross_entropy)(int64_t rows, int64_t c, const k_rows *x, const int64_t *target, float smooth,
                        float *loss);
  /* dx = (softmax(x) - q) * scale[row * step] */
  void (*cross_entropy_back)(int64_t rows, int64_t c, const k_rows *x, const int64_t *target, float smooth,
                             const float *scale, int step, float factor, const k_rows *dx);
  /* optimizers on flat f32 arrays (1); m or v may be NULL where the signature says so */
  void (*sgd)(const k_sgd *o, int64_t n, float *p, const float *g, float *m);
  void (*rmsprop)(const k_rmsprop *o, int64_t n, float *p, const float *g, float *v, float *m);
  void (*adam)(const k_adam *o, int64_t n, float *p, const float *g, float *m, float *v);
  void (*lerp)(int64_t n, float *x, const float *end, float weight); /* x += weight * (end - x) */
  /* (1) n rounds of multiply-adds at the unit's best rate, f32 or bf16 -> floating-point operations done; 0: no
  ** instruction for it */
  double (*burn)(int dt, int64_t n);
  /* weights g[k * step_k + c * step_c + tap] -> u: points * C * (K rounded up to whole vectors) floats */
  void (*wino_weights)(const k_wino *w, const float *g, int64_t step_k, int64_t step_c, float *u);
  void (*wino_run)(const k_wino *w);
  /* x and y (the gradient of the output) -> dw [K][C][kh][kw]; scratch: points * (C K + block (C + K) + 2 WINO_PAD) floats,
  ** C and K rounded up to 4 and to whole vectors */
  void (*wino_weight_run)(const k_wino *w, float *dw);
  int lanes; /* floats of a vector */
} inc_kernels;

const inc_kernels *inc_kernels_get(void);
const inc_kernels *inc_kernels_named(const char *isa); /* NULL when this CPU or build lacks it */
bool inc_cpu_has_amx_bf16(void);

/* Treat denormals as zero on the calling thread: they are ten times slower on some CPUs.  Each OpenMP
** worker needs it too; inc_cpu_flush_denormals does the whole team of the caller. */
void inc_cpu_flush_denormals(void);

#endif
