/* passes.h -- graph -> graph, in this order, and the editing tools they share.
**
** Each pass leaves a graph that computes the same values; each can be switched off and dumped (plan.h).  A
** pass never removes an op from the arrays: it marks it dead or leaves it out of `order`, which from here on
** is the list of ops that will run, in the order in which they will.
*/
#ifndef INC_PASSES_H
#define INC_PASSES_H

#include "graph.h"
#include "plan/plan.h"

int inc_pass_simplify(inc_graph *g);  /* dead code, common subexpressions, no-op casts and copies */
int inc_pass_fuse(inc_graph *g);      /* batch_norm + relu, conv + batch_norm_eval + relu, their gradients */
int inc_pass_siblings(inc_graph *g);  /* 1x1 convolutions that read one value become one */
int inc_pass_recompute(inc_graph *g); /* make cheap activations again in backward instead of keeping them */
int inc_pass_layout(inc_graph *g);    /* channels-last where kernels want it */
int inc_pass_sched(inc_graph *g);     /* writes that outlive the step go last; from here the order stands */
int inc_pass_alias(inc_graph *g);     /* concat without copies; results in the place of inputs that die */
int inc_pass_uncast(inc_graph *g);    /* convolutions read master weights where they round them themselves */
int inc_pass_densify(inc_graph *g); /* a dense copy in front of kernels that would fall back to a reference */
int inc_pass_gather(inc_graph *g);  /* one chain for many parameters: tiles that run as one step */
void inc_mark_commits(inc_graph *g); /* says which ops those are */

/* -- editing (edit.c) ------------------------------------------------------------------------------- */
int inc_graph_order_init(inc_graph *g); /* program order, dead ops left out */
void inc_graph_sweep(inc_graph *g);     /* drop dead ops from order */
/* Make an op over existing values (op->infer runs) and put it at place `at` of order; names from op `like`.
 */
int inc_graph_insert(inc_graph *g, int at, const inc_op *op, int n_in, const int *in, const inc_attr *attr,
                     int like, int *out);
int inc_graph_place(const inc_graph *g, int op);                    /* place of op in order, -1 if absent */
void inc_graph_replace(inc_graph *g, int old_value, int new_value); /* in all inputs and outputs */
bool inc_gop_reads(const inc_gop *op, int value);
bool inc_gop_same_attrs(const inc_gop *a, const inc_gop *b); /* of two ops of one kind */
/* The device's best choice for the node; false, and no error recorded, where it has none. */
bool inc_best_choice(const inc_node *node, inc_choice *out);
int inc_graph_count_uses(const inc_graph *g, int value); /* live ops that read it, plus 1 if an output */
int inc_graph_only_user(const inc_graph *g, int value);  /* the op that alone reads it, or -1 */
int inc_graph_producer(const inc_graph *g, int value);   /* op, or -1 for inputs and captured tensors */
bool inc_graph_written(const inc_graph *g, int root);    /* is memory of that root written in place? */
int inc_graph_reinfer(inc_graph *g); /* specs again from the inputs on, copies where a view breaks */
void inc_graph_load_specs(inc_graph *g, int op); /* node.in from the values */

#endif
