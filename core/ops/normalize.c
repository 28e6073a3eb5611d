/* normalize.c -- pictures as bytes to numbers a net likes: x * scale + shift for each channel.
**
** (v / 255 - mean) / std is this with scale = 1 / (255 std) and shift = -mean / std.  It is one op so that a
** batch crosses memory once on its way from u8 to f32 or bf16.  No gradient: pictures are data.
*/
#include "ops/ref.h"

static int infer(inc_node *n) {
  const inc_spec *x = &n->in[0];
  int dtype = (int)inc_int(n, 0);
  INC_TRY(inc_want_ndim(n, 0, 4));
  INC_TRY(inc_want_vector(n, 1, x->shape[1]));
  INC_TRY(inc_want_vector(n, 2, x->shape[1]));
  if (!inc_dtype_is_float(dtype))
    return inc_fail(INC_EARG, "dtype", "expected a float dtype, got %s", inc_dtype_name(dtype));
  return inc_done(inc_out_4d(n, 0, dtype, x->shape, 0));
}

static int ref(const inc_node *n, void *const *in, void *const *out) {
  INC_EACH (&n->out[0], i) {
    double scale = inc_ref_vec(n, in, 1, i[1], 1), shift = inc_ref_vec(n, in, 2, i[1], 0);
    inc_ref_put(n, out, 0, i, inc_ref_get(n, in, 0, i) * scale + shift);
  }
  return INC_OK;
}

const inc_op inc_op_normalize = {
    .name = "normalize",
    .sig = "x:tensor, scale:tensor, shift:tensor, dtype:dtype=f32 -> y",
    .doc = "x [N, C, H, W] (bytes, usually) times scale [C] plus shift [C], as dtype; keeps "
           "channels-last.\n"
           "> inc.normalize(inc.tensor{{{{0, 255}}}, dtype = 'u8'}, inc.tensor{2}, "
           "inc.tensor{-1}):tolist()  --> {{{{-1, 509}}}}",
    .infer = infer,
    .ref = ref,
};
