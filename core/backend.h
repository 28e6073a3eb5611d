/* backend.h -- the whole contract between incsh and a device.
**
** A backend is one const table of functions.  The CPU's is linked in (core/cpu/backend.c); plugins are
** found with dlopen and call back only through inc_host.  Every function returns INC_OK or a code, after
** inc_fail (host->fail in a plugin).  No function may abort, exit, print or block unless its name is sync.
**
** The heart: query(node) -> choices for exactly these dtypes, shapes and strides, best first; prepare once;
** run as often as wanted.  The planner proposes layouts and fusions by asking, the device disposes.
*/
#ifndef INC_BACKEND_H
#define INC_BACKEND_H

#include "ops/op.h"

#define INC_BACKEND_ABI 1u

enum {
  INC_K_REF = 1,     /* a reference loop: right and slow */
  INC_K_INPLACE = 2, /* out[0] may be the memory of in[0] */
  INC_K_WIDE = 4,    /* uses every core; the compute thread runs it */
  INC_K_ROUNDS = 16, /* rounds more than a plain sum of products would (Winograd) */
  INC_K_SPARES = 32, /* outputs but the first may be NULL where nobody reads them */
  INC_K_PACKS = 8,   /* re-orders in[1] (weights) first; prepare with INC_PREP_KEEP lets it keep the result */
};

typedef struct inc_tuned { /* why a choice was made; lives as long as the process */
  const char *key;         /* the node: "2t conv2d_relu kept f32[1,64,73,73]cl ..." */
  const char *name;        /* the choice: "winograd" */
  const char *times;       /* "direct 0.812, winograd 0.533 ms"; "" not known here */
  bool fresh;              /* measured for the plan at hand */
} inc_tuned;

typedef struct inc_choice {
  const char *impl;       /* "brgconv:avx512_core_bf16", "bn_relu avx512", "ref": shown by explain() */
  const char *way;        /* its name among the choices of a node; NULL: impl is */
  const inc_tuned *tuned; /* set by choose where several were compared */
  uint32_t flags;         /* INC_K_* */
  size_t workspace;       /* bytes of scratch for a run, 64-byte aligned */
  int id;                 /* private to the backend: which row of its table, which variant */
} inc_choice;

typedef struct inc_kernel inc_kernel; /* a prepared node; private to the backend */

enum {
  INC_PREP_KEEP = 1,  /* in[1] is constant: keep its packed copy inside the kernel */
  INC_PREP_EXACT = 2, /* choose: none that INC_K_ROUNDS, if there is another */
};

typedef struct inc_backend {
  uint32_t abi;
  const char *name;                                                         /* "cpu" */
  int (*query)(const inc_node *node, inc_choice *out, int max, int *count); /* count >= 1 or an error */
  /* The best of them for a node of a plan, measured where that is worth it; flags as for prepare.  settle:
  ** after the last node of the plan; what was learned is kept. */
  int (*choose)(const inc_node *node, uint32_t flags, inc_choice *out);
  void (*settle)(void);
  /* Is it a node whose kernels are measured, unless that was done before? */
  bool (*compares)(const inc_node *node);
  int (*prepare)(const inc_node *node, const inc_choice *choice, uint32_t flags, inc_kernel **out);
  /* in[k], out[k]: addresses of the first element.  `same` bit k: in[k] holds what it held at the last run of
  ** this kernel (so a kept packed copy is still good).  An absent optional input is NULL. */
  int (*run)(inc_kernel *k, void *const *in, void *const *out, void *workspace, uint32_t same);
  void (*drop)(inc_kernel *k);
  /* The most that all threads can do, measured when first asked: operations a second in f32 or bf16; bytes read
  ** a second for INC_NONE; 0 unknown. */
  double (*peak)(int dtype);
  /* Does the node run better with 4-D tensors in channels-last order? */
  bool (*wants_channels_last)(const inc_node *node);
} inc_backend;

extern const inc_backend inc_cpu_backend;

#endif
