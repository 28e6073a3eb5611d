/* tape.c -- gradient nodes and the backward walk (tape.h).
**
** Nodes carry a serial number, newer is larger, and an edge always goes to an older node: so "newest first"
** is a valid order and a heap replaces a topological sort.  Nodes are freed in a loop, because a chain of a
** million additions would overflow the stack of a recursive free.
*/
#include "exec/tape.h"
#include "base/mem.h"
#include "exec/emit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void inc_tensor_on_gnode(void (*release)(inc_gnode *));

typedef struct edge {
  inc_gnode *from;  /* owned: the node that made this input, or NULL */
  inc_tensor *leaf; /* owned: the leaf whose grad receives it, or NULL */
  int slot;
} edge;

struct inc_gnode {
  _Atomic int refs;
  uint64_t serial;
  const inc_op *op;
  int n_in, n_out;
  bool used; /* backward has been through: what was saved is gone */
  bool seen; /* in the heap of the walk under way */
  inc_attr attr[INC_MAX_ATTRS];
  inc_spec *in_spec, *out_spec;
  inc_tensor **saved;  /* [n_in + n_out] NULL where not saved */
  uint32_t *versions;  /* [n_in + n_out] of the saved buffers */
  inc_tensor **dout;   /* [n_out] gathered gradients during a walk */
  edge *edges;         /* [n_in] */
  char *where, *scope; /* while tracing: names for the gradient ops; NULL otherwise */
  inc_gnode *next_free;
};

static void drop_saved(inc_gnode *n) {
  for (int i = 0; n->saved && i < n->n_in + n->n_out; i++) {
    inc_tensor_unref(n->saved[i]);
    n->saved[i] = NULL;
  }
}

static void release_one(inc_gnode *n, inc_gnode **queue) {
  drop_saved(n);
  for (int k = 0; n->dout && k < n->n_out; k++) inc_tensor_unref(n->dout[k]);
  for (int i = 0; n->edges && i < n->n_in; i++) {
    inc_tensor_unref(n->edges[i].leaf);
    inc_gnode *from = n->edges[i].from;
    if (from && --from->refs == 0) {
      from->next_free = *queue;
      *queue = from;
    }
  }
  inc_free(n->in_spec);
  inc_free(n->out_spec);
  inc_free(n->saved);
  inc_free(n->versions);
  inc_free(n->dout);
  inc_free(n->edges);
  inc_free(n->where);
  inc_free(n->scope);
  inc_free(n);
}

void inc_gnode_unref(inc_gnode *n) {
  if (!n || --n->refs > 0) return;
  inc_gnode *queue = NULL;
  for (; n; n = queue, queue = queue ? queue->next_free : NULL) release_one(n, &queue);
}

/* -- recording ---------------------------------------------------------------------------------------- */

static inc_tensor *without_node(inc_tensor *t) {
  inc_tensor *copy = NULL;
  int code = t->buf ? inc_tensor_over(t->buf, t->offset, &t->spec, &copy)
                    : inc_tensor_symbol(&t->spec, t->trace, t->value, &copy);
  if (!code && t->buf) copy->trace = t->trace, copy->value = t->value;
  return code ? NULL : copy;
}

static int save(inc_gnode *n, int at, inc_tensor *t) {
  if (!t) return INC_OK;
  n->saved[at] = without_node(t);
  if (!n->saved[at]) return INC_EMEM;
  n->versions[at] = t->buf ? t->buf->version : 0;
  return INC_OK;
}

static inc_gnode *node_alloc(const inc_node *node) {
  static _Atomic uint64_t serial;
  size_t ni = (size_t)node->n_in, no = (size_t)node->n_out;
  inc_gnode *n = inc_zalloc(sizeof *n);
  if (!n) return NULL;
  n->refs = 1;
  n->serial = ++serial;
  n->op = node->op;
  n->n_in = node->n_in;
  n->n_out = node->n_out;
  memcpy(n->attr, node->attr, sizeof n->attr);
  n->in_spec = inc_alloc(ni * sizeof(inc_spec));
  n->out_spec = inc_alloc(no * sizeof(inc_spec));
  n->saved = inc_zalloc((ni + no) * sizeof(inc_tensor *));
  n->versions = inc_zalloc((ni + no) * sizeof(uint32_t));
  n->dout = inc_zalloc(no * sizeof(inc_tensor *));
  n->edges = inc_zalloc(ni * sizeof(edge));
  if (!n->in_spec || !n->out_spec || !n->saved || !n->versions || !n->dout || !n->edges) {
    inc_gnode_unref(n);
    return NULL;
  }
  memcpy(n->in_spec, node->in, ni * sizeof(inc_spec));
  memcpy(n->out_spec, node->out, no * sizeof(inc_spec));
  return n;
}

static int node_fill(inc_gnode *n, inc_tensor *const *in, inc_tensor **out) {
  for (int i = 0; i < n->n_in; i++) {
    if (!in[i]) continue;
    if (n->op->save_in >> i & 1 || n->n_in > 32) INC_TRY(save(n, i, in[i]));
    if (!in[i]->requires_grad) continue;
    if (in[i]->gnode) {
      n->edges[i].from = in[i]->gnode;
      n->edges[i].slot = in[i]->gslot;
      in[i]->gnode->refs++;
    } else {
      n->edges[i].leaf = inc_tensor_ref(in[i]);
    }
  }
  for (int k = 0; k < n->n_out; k++)
    if (n->op->save_out >> k & 1) INC_TRY(save(n, n->n_in + k, out[k]));
  return INC_OK;
}

static void remember_names(inc_gnode *n) {
  if (!inc_tracing()) return;
  char where[192] = "";
  if (inc_where_hook) inc_where_hook(where, sizeof where);
  n->where = inc_strdup(where);
  n->scope = inc_strdup(inc_scope());
}

int inc_tape_record(const inc_node *node, inc_tensor *const *in, inc_tensor **out) {
  inc_tensor_on_gnode(inc_gnode_unref);
  if (!inc_grad_enabled() || !node->op->grad || node->n_out == 0) return INC_OK;
  bool wanted = false;
  for (int i = 0; i < node->n_in; i++) wanted |= in[i] && in[i]->requires_grad;
  if (!wanted) return INC_OK;
  inc_gnode *n = node_alloc(node);
  if (!n) return INC_EMEM;
  int code = node_fill(n, in, out);
  remember_names(n);
  for (int k = 0; k < node->n_out && !code; k++) {
    if (!inc_dtype_is_float(out[k]->spec.dtype)) continue;
    out[k]->requires_grad = true;
    out[k]->gnode = n;
    out[k]->gslot = k;
    n->refs++;
  }
  inc_gnode_unref(n);
  return code;
}

/* -- what gradient rules call ------------------------------------------------------------------------- */

typedef struct inc_gpool {
  inc_tensor **made;
  int n, cap;
} inc_gpool;

static inc_tensor *keep(inc_grad *g, inc_tensor *t) {
  inc_gpool *p = g->pool;
  if (!t) return NULL;
  if (p->n == p->cap) {
    int cap = p->cap ? 2 * p->cap : 16;
    inc_tensor **made = inc_realloc(p->made, sizeof *made * (size_t)p->cap, sizeof *made * (size_t)cap);
    if (!made) {
      inc_tensor_unref(t);
      return NULL;
    }
    p->made = made;
    p->cap = cap;
  }
  return p->made[p->n++] = t;
}

static void pool_empty(inc_gpool *p) {
  for (int i = 0; i < p->n; i++) inc_tensor_unref(p->made[i]);
  inc_free(p->made);
}

inc_tensor *inc_g1(inc_grad *g, const inc_op *op, inc_tensor *a) {
  return a ? keep(g, inc_emit1(op, 1, &a, NULL)) : NULL;
}

inc_tensor *inc_g2(inc_grad *g, const inc_op *op, inc_tensor *a, inc_tensor *b) {
  inc_tensor *in[2] = {a, b};
  return a && b ? keep(g, inc_emit1(op, 2, in, NULL)) : NULL;
}

static void copy_attrs(const inc_op *op, const inc_attr *attr, inc_attr *full) {
  memset(full, 0, sizeof *full * INC_MAX_ATTRS);
  int n = inc_op_sig(op)->n_attrs;
  for (int i = 0; attr && i < n; i++) full[i] = attr[i];
}

inc_tensor *inc_gn(inc_grad *g, const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr,
                   int want) {
  inc_tensor *out[8] = {0};
  if (inc_gall(g, op, n_in, in, attr, out)) return NULL;
  return out[want];
}

int inc_gall(inc_grad *g, const inc_op *op, int n_in, inc_tensor *const *in, const inc_attr *attr,
             inc_tensor **out) {
  const inc_sig *sig = inc_op_sig(op);
  for (int i = 0; i < n_in; i++) {
    bool optional = !sig->variadic && i < sig->n_tensors && sig->tensors[i].optional;
    if (!in[i] && !optional) return inc_error_last()->code ? inc_error_last()->code : INC_EARG;
  }
  inc_attr full[INC_MAX_ATTRS];
  copy_attrs(op, attr, full);
  INC_TRY(inc_emit(op, n_in, in, full, out));
  int code = INC_OK;
  for (int k = 0; k < inc_op_outputs(op); k++)
    if (!keep(g, out[k])) code = INC_EMEM;
  return code;
}

inc_tensor *inc_g_number(inc_grad *g, double v) {
  inc_tensor *t = NULL;
  if (inc_tensor_scalar(INC_F32, v, &t)) return NULL;
  t->is_number = true;
  if ((double)(float)v != v) { /* an f32 number would lose digits that f64 references need */
    inc_tensor_unref(t);
    if (inc_tensor_scalar(INC_F64, v, &t)) return NULL;
    t->is_number = true;
  }
  return keep(g, t);
}

inc_tensor *inc_g_sum_to(inc_grad *g, inc_tensor *t, const inc_spec *s) {
  if (!t || inc_spec_same_shape(&t->spec, s)) return t;
  inc_attr attr = inc_ints(s->ndim, s->shape);
  return inc_gn(g, &inc_op_sum_to, 1, &t, &attr, 0);
}

inc_tensor *inc_g_cast(inc_grad *g, inc_tensor *t, int dtype) {
  if (!t || t->spec.dtype == dtype) return t;
  inc_attr attr = INC_INT(dtype);
  return inc_gn(g, &inc_op_cast, 1, &t, &attr, 0);
}

int inc_g_set(inc_grad *g, int i, inc_tensor *t) {
  if (!t) return inc_error_last()->code ? inc_error_last()->code : INC_EARG;
  g->din[i] = inc_tensor_ref(t);
  return INC_OK;
}

/* -- the walk ----------------------------------------------------------------------------------------- */

typedef struct heap {
  inc_gnode **a; /* owned references, newest at the top */
  int n, cap;
} heap;

static int heap_push(heap *h, inc_gnode *n) {
  if (n->seen) return INC_OK;
  if (h->n == h->cap) {
    int cap = h->cap ? 2 * h->cap : 64;
    inc_gnode **a = inc_realloc(h->a, sizeof *a * (size_t)h->cap, sizeof *a * (size_t)cap);
    if (!a) return INC_EMEM;
    h->a = a;
    h->cap = cap;
  }
  n->seen = true;
  n->refs++;
  int i = h->n++;
  for (; i > 0 && h->a[(i - 1) / 2]->serial < n->serial; i = (i - 1) / 2) h->a[i] = h->a[(i - 1) / 2];
  h->a[i] = n;
  return INC_OK;
}

static inc_gnode *heap_pop(heap *h) {
  inc_gnode *top = h->a[0], *tail = h->a[--h->n];
  int i = 0;
  for (int c; (c = 2 * i + 1) < h->n; i = c) {
    if (c + 1 < h->n && h->a[c + 1]->serial > h->a[c]->serial) c++;
    if (h->a[c]->serial <= tail->serial) break;
    h->a[i] = h->a[c];
  }
  h->a[i] = tail;
  top->seen = false;
  return top;
}

/* *sum += t, as an op: recorded in a trace, run otherwise.  Takes over t. */
static int accumulate(inc_tensor **sum, inc_tensor *t) {
  if (!*sum) {
    *sum = t;
    return INC_OK;
  }
  inc_tensor *in[2] = {*sum, t};
  inc_tensor *total = inc_emit1(&inc_op_add, 2, in, NULL);
  inc_tensor_unref(t);
  if (!total) return inc_error_last()->code;
  inc_tensor_unref(*sum);
  *sum = total;
  return INC_OK;
}

/* In a trace, a gradient from before it is no part of the step: it would be added again at each replay.  A
** seed that reaches a leaf as it is has memory, but belongs to the trace as the symbols do: marked. */
static int to_leaf(inc_tensor *leaf, inc_tensor *t) {
  const inc_graph *g = inc_tracing();
  if (g && leaf->grad && leaf->grad->buf && leaf->grad->trace != g->id) {
    inc_tensor_unref(leaf->grad);
    leaf->grad = NULL;
  }
  INC_TRY(accumulate(&leaf->grad, t));
  if (g && leaf->grad->trace != g->id) {
    leaf->grad->trace = g->id;
    leaf->grad->value = -1;
  }
  return INC_OK;
}

static int check_versions(const inc_gnode *n) {
  for (int i = 0; i < n->n_in + n->n_out; i++) {
    const inc_tensor *t = n->saved[i];
    if (t && t->buf && !inc_tracing() && t->buf->version != n->versions[i])
      return inc_fail(INC_ESTATE, i < n->n_in ? inc_arg_name(n->op, i) : "result",
                      "needed for the gradient of %s, but written in place since", n->op->name);
  }
  return INC_OK;
}

static int hand_on(inc_gnode *n, inc_tensor **din, heap *h) {
  int code = INC_OK;
  for (int i = 0; i < n->n_in; i++) {
    edge *e = &n->edges[i];
    inc_tensor *t = din[i];
    din[i] = NULL;
    if (!t) continue;
    if (code || (!e->from && !e->leaf)) {
      inc_tensor_unref(t);
    } else if (e->from) {
      code = accumulate(&e->from->dout[e->slot], t);
      if (!code) code = heap_push(h, e->from);
    } else {
      code = to_leaf(e->leaf, t);
    }
  }
  return code;
}

static int run_rule(inc_gnode *n, heap *h) {
  if (n->used)
    return inc_fail(INC_ESTATE, NULL, "backward went through this graph before: its saved values are gone"),
           inc_hint("run the forward pass again");
  INC_TRY(check_versions(n));
  size_t ni = (size_t)n->n_in;
  bool *need = inc_zalloc(ni);
  inc_tensor **din = inc_zalloc(ni * sizeof *din);
  inc_gpool pool = {0};
  int code = need && din ? INC_OK : INC_EMEM;
  if (!code) {
    for (int i = 0; i < n->n_in; i++) need[i] = n->edges[i].from || n->edges[i].leaf;
    inc_node node = {.op = n->op,
                     .n_in = n->n_in,
                     .n_out = n->n_out,
                     .in = n->in_spec,
                     .out = n->out_spec,
                     .attr = n->attr};
    inc_grad g = {.node = &node,
                  .in = n->saved,
                  .out = n->saved + n->n_in,
                  .dout = n->dout,
                  .need = need,
                  .din = din,
                  .pool = &pool};
    inc_error_clear();
    code = n->op->grad(&g);
    if (!code) code = hand_on(n, din, h);
  }
  for (int i = 0; din && i < n->n_in; i++) inc_tensor_unref(din[i]);
  pool_empty(&pool);
  inc_free(need);
  inc_free(din);
  n->used = true;
  drop_saved(n);
  for (int k = 0; k < n->n_out; k++) {
    inc_tensor_unref(n->dout[k]);
    n->dout[k] = NULL;
  }
  return code;
}

/* Gradient ops of a trace carry the name and line of the forward op they come from. */
static const inc_gnode *walking;
static void where_of_walk(char *out, size_t n) {
  snprintf(out, n, "%s", walking->where ? walking->where : "");
}

static int walk(heap *h) {
  void (*hook)(char *, size_t) = inc_where_hook;
  char scope[256];
  snprintf(scope, sizeof scope, "%s", inc_scope());
  int code = INC_OK;
  while (h->n && !code) {
    inc_gnode *n = heap_pop(h);
    walking = n;
    int from = inc_tracing() ? inc_tracing()->n_ops : 0;
    if (inc_tracing()) {
      inc_where_hook = where_of_walk;
      inc_scope_reset();
      if (n->scope && *n->scope) inc_scope_push(n->scope);
    }
    code = run_rule(n, h);
    if (inc_tracing())
      for (int i = from; i < inc_tracing()->n_ops; i++) inc_tracing()->ops[i].backward = true;
    inc_gnode_unref(n);
  }
  inc_where_hook = hook;
  inc_scope_reset();
  if (*scope) inc_scope_push(scope);
  while (h->n) inc_gnode_unref(heap_pop(h));
  inc_free(h->a);
  return code;
}

static int ones_like(inc_tensor *t, inc_tensor **out) {
  if (inc_spec_numel(&t->spec) != 1) {
    char shape[96];
    return inc_fail(INC_EARG, "self", "expected one element, got shape %s",
                    inc_shape_text(t->spec.ndim, t->spec.shape, shape, sizeof shape)),
           inc_hint("reduce it first (sum, mean), or pass its gradient: t:backward(g)");
  }
  inc_spec s = inc_spec_new(t->spec.dtype, t->spec.ndim, t->spec.shape);
  INC_TRY(inc_tensor_new(&s, out));
  inc_store(inc_tensor_data(*out), s.dtype, 0, 1.0);
  return INC_OK;
}

int inc_backward(inc_tensor *t, inc_tensor *seed) {
  if (!t->requires_grad)
    return inc_fail(INC_EARG, "self", "does not depend on anything that wants a gradient"),
           inc_hint("make leaves with requires_grad = true");
  if (seed && !inc_spec_same_shape(&seed->spec, &t->spec)) {
    char a[96], b[96];
    return inc_fail(INC_EARG, "gradient", "expected shape %s, got %s",
                    inc_shape_text(t->spec.ndim, t->spec.shape, a, sizeof a),
                    inc_shape_text(seed->spec.ndim, seed->spec.shape, b, sizeof b));
  }
  inc_tensor *one = inc_tensor_ref(seed);
  if (!one) INC_TRY(ones_like(t, &one));
  bool was = inc_grad_enable(false);
  heap h = {0};
  int code;
  if (t->gnode) {
    code = accumulate(&t->gnode->dout[t->gslot], one);
    if (!code) code = heap_push(&h, t->gnode);
    if (!code) code = walk(&h);
  } else {
    code = to_leaf(t, one);
  }
  inc_grad_enable(was);
  return code ? inc_error_op("backward") : INC_OK;
}
