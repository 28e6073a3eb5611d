/* graph.h -- the recorded step: values and the ops between them.
**
** Values and ops are numbered in program order.  A value is an input of the step, a captured tensor (a
** weight, held by reference), or made by an op.  `base` says whose memory a value lives in: a view lives
** in what it views, and each write in place makes a new version that lives in the old one.  So "the weight
** before the step" and "the weight after" are two values in one place, and order is plain data flow.
**
** emit (core/exec) appends while tracing; the passes (core/plan) rewrite.  A pass kills an op by `dead`
** and may add ops; numbers stay valid until graph_sort renumbers nothing: only `order` changes.
*/
#ifndef INC_GRAPH_H
#define INC_GRAPH_H

#include "ops/op.h"

typedef enum inc_value_kind { INC_V_OP, INC_V_INPUT, INC_V_CAPTURED } inc_value_kind;

typedef struct inc_value {
  inc_spec spec;
  inc_value_kind kind;
  int op, slot;        /* INC_V_OP: producer */
  int input;           /* INC_V_INPUT: which argument */
  inc_tensor *tensor;  /* INC_V_CAPTURED: owned reference */
  int base;            /* lives in that value's memory, or -1 */
  int64_t base_offset; /* elements from base's first element */
  bool output;         /* returned by the step */
} inc_value;

typedef struct inc_gop {
  inc_node node; /* in, out, attr owned by the graph */
  int *in;       /* [node.n_in] value numbers, -1 absent */
  int *out;      /* [node.n_out] */
  int *version;  /* [node.n_in] new version of a mutated input, -1 otherwise */
  bool dead;
  bool backward;     /* emitted by a gradient rule */
  bool commit;       /* writes what outlives the step, or depends on such a write: runs last */
  int tile;          /* number of the tile that a pass has put it into, 0: none */
  int together;      /* number of the tiles that run as one step, 0: each alone */
  const char *where; /* Lua line, owned by the graph ("" unknown) */
  const char *scope; /* layer name, owned by the graph ("" none) */
  const char *note;  /* what a pass did: "fused batch_norm + relu"; static string */
} inc_gop;

typedef struct inc_graph {
  uint64_t id;
  int n_values, cap_values, n_ops, cap_ops;
  inc_value *values;
  inc_gop *ops;
  int *order; /* [n_order] op numbers as they will run; NULL: program order */
  int n_order;
  int n_outputs;
  int *outputs; /* value numbers */
  int n_inputs;
  struct inc_string {
    struct inc_string *next;
    char text[];
  } * strings; /* interned */
} inc_graph;

int inc_graph_new(inc_graph **out);
void inc_graph_free(inc_graph *g);
/* Append; the numbers come back through the pointer, so that a later append cannot invalidate it. */
int inc_graph_add_value(inc_graph *g, const inc_value *v, int *out);
/* Copies specs and attributes of `node`; `in` has node->n_in entries; makes the output and version values. */
int inc_graph_add_op(inc_graph *g, const inc_node *node, const int *in, const char *where, const char *scope,
                     int *op);
int inc_graph_capture(inc_graph *g, inc_tensor *t, int *value); /* the value that stands for t now */
int inc_graph_root(const inc_graph *g, int value);              /* follow base to the end */
/* INC_OK, or ESTATE with the Lua line where the second trace of a function parts from the first. */
int inc_graph_compare(const inc_graph *first, const inc_graph *second);
const char *inc_graph_intern(inc_graph *g, const char *s); /* "" when out of memory */
/* One line an op: "12  y:bf16[32, 64, 147, 147] = batch_norm_train(11, 3, 4)  -- stem (m.lua:4)". */
int inc_graph_dump(const inc_graph *g, char **out); /* *out from inc_alloc */

#endif
