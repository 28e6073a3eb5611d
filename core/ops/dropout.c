/* dropout.c -- zero a random part of x and scale the rest.
**
** The mask is a pure function of (seed, step, stream, place of the element in row-major order), so nothing is
** stored: the gradient is dropout of dy with the same numbers, and layout or thread count change nothing.
** `rng` is an i64 tensor {seed, step} whose step the training loop raises; `stream` tells dropouts of one
** step apart.
*/
#include "base/rng.h"
#include "ops/ref.h"

static int infer(inc_node *n) {
  double p = inc_float(n, 0);
  INC_TRY(inc_want_float(n, 0));
  INC_TRY(inc_want_dtype(n, 1, INC_I64));
  INC_TRY(inc_want_vector(n, 1, 2));
  if (!(p >= 0 && p <= 1)) return inc_fail(INC_EARG, "p", "expected a probability from 0 to 1, got %g", p);
  return inc_infer_like(n, 0);
}

static int ref(const inc_node *n, void *const *in, void *const *out) {
  const int64_t *rng = in[1];
  float p = (float)inc_float(n, 0);
  double scale = p < 1 ? 1 / (1 - inc_float(n, 0)) : 0;
  uint64_t place = 0;
  uint32_t word[4];
  INC_EACH (&n->out[0], i) {
    if (place % 4 == 0)
      inc_rng_fill((uint64_t)rng[0], INC_RNG_DROPOUT, (uint32_t)inc_int(n, 1),
                   (uint32_t)rng[n->in[1].strides[0]], place, word, 4);
    bool kept = inc_rng_unit(word[place++ % 4]) >= p;
    inc_ref_put(n, out, 0, i, kept ? inc_ref_get(n, in, 0, i) * scale : 0);
  }
  return INC_OK;
}

static int grad(inc_grad *g) {
  inc_tensor *in[] = {g->dout[0], g->in[1]};
  return inc_g_set(g, 0, inc_gn(g, &inc_op_dropout, 2, in, g->node->attr, 0));
}

const inc_op inc_op_dropout = {
    .name = "dropout",
    .sig = "x:tensor, rng:tensor, p:float=0.5, stream:int=0 -> y",
    .doc = "Set each element of x to 0 with probability p and multiply the others by 1 / (1 - p). "
           "The same rng {seed, step} and stream give the same mask.\n"
           "> inc.dropout(inc.tensor{1, 2}, inc.tensor{7, 0, dtype = 'i64'}, {p = 0}):tolist()  --> {1, 2}",
    .flags = INC_OP_INPLACE | INC_OP_CHEAP,
    .save_in = 2,
    .infer = infer,
    .grad = grad,
    .ref = ref,
};
