/* tape.h -- autograd: a refcounted node on each result that needs a gradient.
**
** There is no global tape: at a prompt it would grow for ever.  A node holds what its rule reads (saved
** inputs and outputs, without their own nodes, so no cycles) and edges to the nodes before it.  Backward
** walks nodes from the newest to the oldest, emits each gradient rule, and frees what was saved.
*/
#ifndef INC_TAPE_H
#define INC_TAPE_H

#include "ops/op.h"

void inc_gnode_unref(inc_gnode *n);
/* Hang a gradient node on out[] if an input wants a gradient and the op has a rule. */
int inc_tape_record(const inc_node *node, inc_tensor *const *in, inc_tensor **out);
/* d t / d leaf, added to each leaf's grad.  `seed` may be NULL when t has one element. */
int inc_backward(inc_tensor *t, inc_tensor *seed);

#endif
