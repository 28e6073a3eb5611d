/* copy.c -- ops that only move or make elements: contiguous, cast, copy_, fill_, full.
**
** cast keeps the order of dims; contiguous is the one op that changes layout on purpose.  Elements whose
** dtype stays are copied byte for byte, so i64 values keep all their digits.
*/
#include "ops/ref.h"

static int ref_copy(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *y = &n->out[0];
  INC_EACH (y, i) inc_ref_copy(out[0], y->dtype, inc_ref_at(y, i), in[0], x->dtype, inc_ref_at(x, i));
  return INC_OK;
}

static int infer_contiguous(inc_node *n) {
  const inc_spec *x = &n->in[0];
  bool last = inc_int(n, 0) == 1;
  if (last) INC_TRY(inc_want_ndim(n, 0, 4));
  INC_TRY(inc_done(inc_out(n, 0, x->dtype, x->ndim, x->shape)));
  if (last) inc_spec_channels_last(&n->out[0]);
  return INC_OK;
}

static int grad_contiguous(inc_grad *g) { return inc_g_set(g, 0, g->dout[0]); }

const inc_op inc_op_contiguous = {
    .name = "contiguous",
    .sig = "x:tensor, memory_format:enum(contiguous|channels_last)=contiguous -> y",
    .doc = "A copy of x in row-major order, or for [N, C, H, W] in channels-last order (N, H, W, C "
           "in memory). Shape and values stay.\n"
           "> inc.tensor{{1, 2}, {3, 4}}:transpose(1, 2):contiguous():view{-1}:tolist()  --> {1, 3, 2, 4}",
    .infer = infer_contiguous,
    .grad = grad_contiguous,
    .ref = ref_copy,
};

static int infer_cast(inc_node *n) {
  INC_TRY(inc_infer_like(n, 0));
  n->out[0].dtype = (uint8_t)inc_int(n, 0);
  return INC_OK;
}

static int grad_cast(inc_grad *g) { return inc_g_set(g, 0, inc_g_cast(g, g->dout[0], g->node->in[0].dtype)); }

const inc_op inc_op_cast = {
    .name = "cast",
    .sig = "x:tensor, dtype:dtype -> y",
    .doc = "A copy of x in another dtype (f32, bf16, f16, f64, u8, i32, i64); floats become "
           "integers by dropping the fraction.\n"
           "> inc.tensor{1.5, -2.5}:cast('i32'):tolist()  --> {1, -2}",
    .flags = INC_OP_EWISE | INC_OP_CHEAP,
    .infer = infer_cast,
    .grad = grad_cast,
    .ref = ref_copy,
};

static int ref_copy_(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0], *src = &n->in[1];
  (void)out;
  INC_EACH (x, i)
    inc_ref_copy(in[0], x->dtype, inc_ref_at(x, i), in[1], src->dtype, inc_ref_spread(src, x->ndim, i));
  return INC_OK;
}

const inc_op inc_op_copy_ = {
    .name = "copy_",
    .sig = "x:tensor!, src:tensor",
    .doc = "Write src (broadcast to the shape of x, cast to its dtype) into x.\n"
           "> inc.tensor{1, 2}:copy_(inc.tensor{3, 4}):tolist()  --> {3, 4}",
    .flags = INC_OP_EWISE | INC_OP_MUTATES,
    .infer = inc_infer_inplace,
    .ref = ref_copy_,
};

static int ref_fill_(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *x = &n->in[0];
  (void)out;
  INC_EACH (x, i) inc_store(in[0], x->dtype, inc_ref_at(x, i), inc_float(n, 0));
  return INC_OK;
}

const inc_op inc_op_fill_ = {
    .name = "fill_",
    .sig = "x:tensor!, value:float",
    .doc = "Set every element of x to `value`.\n"
           "> inc.tensor{1, 2}:fill_(7):tolist()  --> {7, 7}",
    .flags = INC_OP_EWISE | INC_OP_MUTATES,
    .infer = inc_infer_inplace,
    .ref = ref_fill_,
};

static int infer_full(inc_node *n) {
  const inc_attr *shape = &n->attr[0];
  INC_TRY(inc_want_at_least(n, "shape", 0, 0));
  return inc_done(inc_out(n, 0, (int)inc_int(n, 2), shape->n, shape->i));
}

static int ref_full(const inc_node *n, void *const *in, void *const *out) {
  const inc_spec *y = &n->out[0];
  (void)in;
  INC_EACH (y, i) inc_ref_put(n, out, 0, i, inc_float(n, 1));
  return INC_OK;
}

const inc_op inc_op_full = {
    .name = "full",
    .sig = "shape:ints, value:float, dtype:dtype=f32 -> y",
    .doc = "A new tensor with every element set to `value`.",
    .flags = INC_OP_HIDDEN,
    .infer = infer_full,
    .ref = ref_full,
};
