/* test_ops.c -- the registry, the signature parser, every refusal of the shape rules with its exact text,
** and the references on cases small enough to work out by hand.  Gradients and values against PyTorch are in
** tests/spec/ops.lua. */
#include "check.h"
#include "ops/common.h"

/* -- a node to fill in ------------------------------------------------------------------------------ */
enum { MAX_IN = 8 };

typedef struct fixture {
  inc_node n;
  inc_spec in[MAX_IN], out[4];
  inc_attr attr[INC_MAX_ATTRS];
} fixture;

static fixture *start(const char *op) {
  static fixture f;
  memset(&f, 0, sizeof f);
  f.n.op = inc_op_find(op);
  f.n.n_in = inc_op_sig(f.n.op)->variadic ? 0 : inc_op_sig(f.n.op)->n_tensors;
  f.n.n_out = inc_op_outputs(f.n.op);
  f.n.in = f.in;
  f.n.out = f.out;
  f.n.attr = f.attr;
  const inc_sig *sig = inc_op_sig(f.n.op);
  for (int k = 0; k < sig->n_attrs; k++) f.attr[k] = sig->attrs[k].def;
  return &f;
}

#define SHAPE(...)                                                                                           \
  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }
#define T(k, dtype, ...) (f->in[k] = inc_spec_new(dtype, SHAPE(__VA_ARGS__)))
#define T0(k, dtype)     (f->in[k] = inc_spec_new(dtype, 0, NULL))
#define A(k, v)          (f->attr[k] = (v))
#define INTS(...)        inc_ints(SHAPE(__VA_ARGS__))

static const char *infer_text(fixture *f) {
  static char text[2048];
  inc_error_clear();
  int code = f->n.op->infer(&f->n);
  if (code == INC_OK) return "ok";
  return inc_error_format(inc_error_last(), text, sizeof text);
}
#define INFERS()      CHECK_STR(infer_text(f), "ok")
#define REFUSES(text) CHECK_STR(infer_text(f), text)
#define OUT_IS(k, dt, ...)                                                                                   \
  do {                                                                                                       \
    inc_spec want_ = inc_spec_new(dt, SHAPE(__VA_ARGS__));                                                   \
    CHECK(inc_spec_same_shape(&want_, &f->out[k]));                                                          \
    CHECK_EQ(f->out[k].dtype, dt);                                                                           \
  } while (0)

/* -- registry and signatures ------------------------------------------------------------------------ */
TEST(every_op_states_what_it_is) {
  for (int i = 0; i < inc_op_count(); i++) {
    const inc_op *op = inc_op_at(i);
    const inc_sig *sig = inc_op_sig(op);
    if (inc_op_find(op->name) != op) CHECK_FAIL("%s: found twice", op->name);
    if (!op->doc || !op->infer) CHECK_FAIL("%s: expected a doc and a shape rule", op->name);
    if (!op->ref && !(op->flags & INC_OP_VIEW)) CHECK_FAIL("%s: expected a reference", op->name);
    if (!(op->flags & INC_OP_MUTATES) != !sig->mutated)
      CHECK_FAIL("%s: MUTATES and tensor! disagree", op->name);
    if (!(op->flags & INC_OP_HIDDEN) && !strstr(op->doc, "\n> "))
      CHECK_FAIL("%s: expected an example", op->name);
    int arrow = strstr(op->sig, "->") != NULL;
    if (arrow != (inc_op_outputs(op) > 0)) CHECK_FAIL("%s: results and signature disagree", op->name);
    if (sig->n_shown > inc_op_outputs(op)) CHECK_FAIL("%s: shows more than it has", op->name);
    for (int k = 0; k < sig->n_attrs; k++) {
      const inc_param *p = &sig->attrs[k];
      if (p->type == INC_T_TENSOR || !p->name[0]) CHECK_FAIL("%s: attribute %d does not parse", op->name, k);
      if (p->type == INC_T_ENUM && !strchr(p->names, '|')) CHECK_FAIL("%s: enum without words", op->name);
    }
  }
}

TEST(signatures_are_parsed) {
  const inc_sig *s = inc_op_sig(inc_op_find("conv2d"));
  CHECK_EQ(s->n_tensors, 3);
  CHECK_EQ(s->n_attrs, 4);
  CHECK_EQ(s->n_shown, 1);
  CHECK_STR(s->tensors[1].name, "weight");
  CHECK(s->tensors[2].optional && !s->tensors[1].optional);
  CHECK_EQ(s->attrs[0].type, INC_T_INTN);
  CHECK_EQ(s->attrs[0].count, 2);
  CHECK_EQ(s->attrs[0].def.n, 2);
  CHECK_EQ(s->attrs[0].def.i[1], 1);
  CHECK_EQ(s->attrs[3].type, INC_T_INT);
  s = inc_op_sig(inc_op_find("contiguous"));
  CHECK_EQ(s->attrs[0].type, INC_T_ENUM);
  CHECK_STR(s->attrs[0].names, "contiguous|channels_last");
  CHECK_EQ(s->attrs[0].def.i[0], 0);
  s = inc_op_sig(inc_op_find("sgd_"));
  CHECK_EQ(s->mutated, 5);
  CHECK(s->tensors[2].optional && s->tensors[2].mutated);
  CHECK_EQ(s->n_shown, 0);
  CHECK_EQ(inc_op_outputs(inc_op_find("sgd_")), 0);
  s = inc_op_sig(inc_op_find("max_pool2d"));
  CHECK_EQ(s->n_shown, 1);
  CHECK(s->attrs[1].optional && s->attrs[1].def.n == -1);
  s = inc_op_sig(inc_op_find("cat"));
  CHECK(s->variadic);
  CHECK_EQ(s->attrs[0].def.i[0], 0);
  s = inc_op_sig(inc_op_find("flatten"));
  CHECK_EQ(s->attrs[0].def.i[0], 0);
  CHECK_EQ(s->attrs[1].def.i[0], -1);
  s = inc_op_sig(inc_op_find("normalize"));
  CHECK_EQ(s->attrs[0].type, INC_T_DTYPE);
  CHECK_EQ(s->attrs[0].def.i[0], INC_F32);
  s = inc_op_sig(inc_op_find("var"));
  CHECK_EQ(s->attrs[0].type, INC_T_DIMS);
  CHECK_EQ(s->attrs[1].def.i[0], 1);
  CHECK_CLOSE(inc_op_sig(inc_op_find("leaky_relu"))->attrs[0].def.f[0], 0.01, 0);
}

/* -- layouts ---------------------------------------------------------------------------------------- */
TEST(elementwise_keeps_channels_last) {
  fixture *f = start("relu");
  T(0, INC_F32, 2, 8, 3, 3);
  inc_spec_channels_last(&f->in[0]);
  INFERS();
  CHECK(inc_spec_is_channels_last(&f->out[0]));
  f->in[0].shape[1] = 4; /* half of the channels: not dense, the result is */
  INFERS();
  CHECK(inc_spec_is_channels_last(&f->out[0]));
  f = start("mul");
  T(0, INC_F32, 1, 8, 1, 1);
  T(1, INC_F32, 2, 8, 3, 3);
  inc_spec_channels_last(&f->in[1]);
  INFERS();
  CHECK(inc_spec_is_channels_last(&f->out[0]));
  T(0, INC_F32, 2, 8, 3, 3);
  INFERS();
  CHECK(inc_spec_is_contiguous(&f->out[0]));
}

TEST(transposed_operands_keep_their_order) {
  fixture *f = start("exp");
  T(0, INC_F64, 3, 2);
  f->in[0].strides[0] = 1;
  f->in[0].strides[1] = 3;
  INFERS();
  CHECK_EQ(f->out[0].strides[0], 1);
  CHECK_EQ(f->out[0].strides[1], 3);
  f->in[0].strides[0] = 0; /* expanded */
  INFERS();
  CHECK(inc_spec_is_contiguous(&f->out[0]));
}

TEST(spatial_ops_keep_channels_last) {
  static const char *const ops[] = {"conv2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"};
  for (int k = 0; k < 4; k++) {
    fixture *f = start(ops[k]);
    T(0, INC_F32, 2, 8, 6, 6);
    inc_spec_channels_last(&f->in[0]);
    if (k == 0) T(1, INC_F32, 16, 8, 3, 3);
    if (k > 0) A(0, INTS(2, 2));
    INFERS();
    CHECK(inc_spec_is_channels_last(&f->out[0]));
  }
}

/* -- views ------------------------------------------------------------------------------------------ */
TEST(view_follows_strides) {
  fixture *f = start("view");
  T(0, INC_F32, 2, 3, 4);
  A(0, INTS(6, -1));
  INFERS();
  OUT_IS(0, INC_F32, 6, 4);
  f->in[0].strides[0] = 100; /* rows apart: the first dim cannot be merged, the others can */
  A(0, INTS(2, 12));
  INFERS();
  CHECK_EQ(f->out[0].strides[0], 100);
  A(0, INTS(6, 4));
  REFUSES("x: expected a layout that can be seen as [6, 4] without a copy, got shape [2, 3, 4] with strides "
          "[100, 4, 1]\nhint: use :reshape(...), which copies when it must, or :contiguous() first");
  A(0, INTS(5, -1));
  REFUSES("shape: expected the 24 elements of [2, 3, 4], got [5, -1]");
  A(0, INTS(-1, -1));
  REFUSES("shape: expected at most one -1, got 2");
  A(0, INTS(-2, 12));
  REFUSES("shape: expected sizes of 0 or more (or -1), got -2");
}

TEST(view_of_nothing_and_of_one) {
  fixture *f = start("view");
  T(0, INC_F32, 0, 3);
  A(0, INTS(3, 0));
  INFERS();
  OUT_IS(0, INC_F32, 3, 0);
  T0(0, INC_F32);
  A(0, INTS(1, 1));
  INFERS();
  T(0, INC_F32, 1, 1, 1);
  A(0, inc_ints(0, NULL));
  INFERS();
  CHECK_EQ(f->out[0].ndim, 0);
}

TEST(narrow_and_select_move_the_start) {
  fixture *f = start("narrow");
  T(0, INC_F32, 4, 5);
  A(0, INC_INT(1)), A(1, INC_INT(2)), A(2, INC_INT(3));
  INFERS();
  OUT_IS(0, INC_F32, 4, 3);
  CHECK_EQ(f->n.view_offset, 2);
  A(2, INC_INT(4));
  REFUSES("length: expected 0 to 3 (dim 2 has 5, start is 3), got 4");
  A(1, INC_INT(6)), A(2, INC_INT(0));
  REFUSES("start: expected 1 to 6, got 7");
  f = start("select");
  T(0, INC_F32, 4, 5);
  A(0, INC_INT(0)), A(1, INC_INT(-1));
  INFERS();
  OUT_IS(0, INC_F32, 5);
  CHECK_EQ(f->n.view_offset, 15);
  A(1, INC_INT(4));
  REFUSES("index: expected 1 to 4, got 5");
  A(0, INC_INT(2));
  REFUSES("dim: expected 1 to 2 (or -2 to -1), got 3");
  T0(0, INC_F32);
  A(0, INC_INT(0));
  REFUSES("dim: expected a tensor with dims, got dim 1 of shape []");
}

TEST(permute_expand_squeeze) {
  fixture *f = start("permute");
  T(0, INC_F32, 2, 3, 4);
  A(0, INTS(2, 0, 1));
  INFERS();
  OUT_IS(0, INC_F32, 4, 2, 3);
  A(0, INTS(2, 0, 2));
  REFUSES("dims: expected each dim once, got dim 3 twice");
  A(0, INTS(2, 0));
  REFUSES("dims: expected all 3 dims of x, got 2");
  f = start("expand");
  T(0, INC_F32, 3, 1);
  A(0, INTS(2, -1, 4));
  INFERS();
  OUT_IS(0, INC_F32, 2, 3, 4);
  CHECK_EQ(f->out[0].strides[0], 0);
  A(0, INTS(2, 4));
  REFUSES("shape: expected sizes that x [3, 1] can be repeated to, got [2, 4]");
  f = start("squeeze");
  T(0, INC_F32, 1, 3, 1);
  INFERS();
  OUT_IS(0, INC_F32, 3);
  A(0, INC_INT(0));
  INFERS();
  OUT_IS(0, INC_F32, 3, 1);
  f = start("unsqueeze");
  T(0, INC_F32, 3);
  A(0, INC_INT(-1));
  INFERS();
  OUT_IS(0, INC_F32, 3, 1);
  T(0, INC_F32, 1, 1, 1, 1, 1, 1);
  REFUSES("x: expected at most 6 dims, got 7");
  f = start("flatten");
  T(0, INC_F32, 2, 3, 4);
  A(0, INC_INT(1));
  INFERS();
  OUT_IS(0, INC_F32, 2, 12);
  A(0, INC_INT(2)), A(1, INC_INT(1));
  REFUSES("end_dim: expected start_dim (3) or a later dim, got 2");
}

/* -- refusals --------------------------------------------------------------------------------------- */
TEST(conv2d_refuses) {
  fixture *f = start("conv2d");
  T(0, INC_F32, 1, 3, 8, 8);
  T(1, INC_F32, 32, 4, 3, 3);
  REFUSES("weight: expected shape [Cout, 3, KH, KW], got [32, 4, 3, 3]");
  T(1, INC_F32, 32, 3, 3);
  REFUSES("weight: expected 4 dims, got shape [32, 3, 3]");
  T(1, INC_BF16, 32, 3, 3, 3);
  REFUSES("weight: expected dtype f32 as x has, got bf16");
  T(1, INC_F32, 32, 3, 3, 3);
  T(2, INC_F32, 31);
  REFUSES("bias: expected shape [32], got [31]");
  T(2, INC_F32, 32);
  INFERS();
  OUT_IS(0, INC_F32, 1, 32, 6, 6);
  A(0, INTS(1, 0));
  REFUSES("stride: expected 1 or more, got 0");
  A(0, INTS(1, 1)), A(3, INC_INT(2));
  REFUSES("groups: expected a divisor of the 3 channels of x, got 2");
  A(3, INC_INT(1));
  T(1, INC_F32, 32, 3, 9, 3);
  REFUSES("x: expected a height of at least 9 (kernel 9, dilation 1, padding 0), got 8");
  T(0, INC_U8, 1, 3, 8, 8);
  REFUSES("x: expected a float dtype, got u8");
}

TEST(pools_refuse) {
  fixture *f = start("max_pool2d");
  T(0, INC_F32, 1, 3, 8, 8);
  A(0, INTS(3, 3)), A(2, INTS(2, 0));
  REFUSES("padding: expected at most half of the kernel size 3, got 2");
  A(2, INTS(0, 0)), A(0, INTS(3, 9)), A(1, INC_ABSENT);
  REFUSES("x: expected a width of at least 9 (kernel 9, padding 0), got 8");
  A(0, INTS(3, 3)), A(1, INTS(2, 2)), A(3, INC_INT(1));
  INFERS();
  OUT_IS(0, INC_F32, 1, 3, 4, 4);
  OUT_IS(1, INC_U8, 1, 3, 4, 4);
  T(0, INC_F32, 3, 8, 8);
  REFUSES("x: expected 4 dims, got shape [3, 8, 8]");
  f = start("adaptive_avg_pool2d");
  T(0, INC_F32, 1, 3, 0, 8);
  A(0, INTS(1, 1));
  REFUSES("x: expected a height and width of at least 1, got shape [1, 3, 0, 8]");
}

TEST(elementwise_and_products_refuse) {
  fixture *f = start("add");
  T(0, INC_F32, 2, 3);
  T(1, INC_F32, 4);
  REFUSES("b: expected a shape that broadcasts with [2, 3], got [4]");
  f = start("add_");
  T(0, INC_F32, 3);
  T(1, INC_F32, 2, 3);
  REFUSES("y: expected a shape that broadcasts with [3], got [2, 3]");
  f = start("matmul");
  T(0, INC_F32, 2, 3);
  T(1, INC_F32, 4, 5);
  REFUSES("b: expected a shape that a [2, 3] can be multiplied by, got [4, 5]");
  T0(0, INC_F32);
  REFUSES("a: expected 1 dim or more, got shape []");
  f = start("linear");
  T(0, INC_F32, 2, 3);
  T(1, INC_F32, 5, 4);
  REFUSES("weight: expected shape [Out, 3], got [5, 4]");
}

TEST(reductions_and_losses_refuse) {
  fixture *f = start("sum");
  T(0, INC_F32, 2, 3);
  A(0, INTS(1, -1));
  REFUSES("dim: expected each dim once, got dim 2 twice");
  f = start("max");
  T(0, INC_F32, 0, 3);
  REFUSES("x: expected at least one element to take the max of, got none");
  A(0, INTS(1));
  INFERS();
  f = start("var");
  T(0, INC_I64, 3);
  REFUSES("x: expected a float dtype, got i64");
  f = start("topk");
  T(0, INC_F32, 2, 3);
  A(0, INC_INT(4));
  REFUSES("k: expected 0 to 3 (the size of dim 2), got 4");
  f = start("cross_entropy");
  T(0, INC_F32, 4, 5);
  T(1, INC_F32, 4);
  REFUSES("target: expected an integer dtype, got f32");
  T(1, INC_I64, 3);
  REFUSES("target: expected shape [4], got [3]");
  T(1, INC_I64, 4);
  A(0, INC_FLOAT(1.5));
  REFUSES("label_smoothing: expected 0 to 1, got 1.5");
  f = start("batch_norm_train");
  T(0, INC_F32, 1, 4, 1, 1);
  REFUSES("x: expected more than one value per channel to take statistics of, got shape [1, 4, 1, 1]");
  T(0, INC_F32, 2, 4, 1, 1);
  T(1, INC_F32, 3);
  REFUSES("weight: expected shape [4], got [3]");
}

TEST(the_rest_refuses) {
  fixture *f = start("cat");
  REFUSES("xs: expected one tensor or more, got none");
  f->n.n_in = 2;
  T(0, INC_F32, 2, 3);
  T(1, INC_F32, 2, 4);
  REFUSES("xs: expected tensor 2 to have shape [2, 3] except in dim 1, got [2, 4]");
  f = start("dropout");
  T(0, INC_F32, 2);
  T(1, INC_I64, 2);
  A(0, INC_FLOAT(1.5));
  REFUSES("p: expected a probability from 0 to 1, got 1.5");
  f = start("sgd_");
  T(0, INC_F32, 2);
  T(1, INC_F32, 3);
  T0(3, INC_F32);
  REFUSES("g: expected shape [2], got [3]");
  T(1, INC_F32, 2);
  A(0, INC_FLOAT(0.9));
  REFUSES("m: expected a tensor of p's shape when momentum is 0.9, got none");
  T(2, INC_F32, 2);
  T(3, INC_F32, 2);
  REFUSES("lr: expected one number (shape []), got shape [2]");
  f = start("full");
  A(0, INTS(1 << 30, 1 << 30, 1 << 30));
  A(2, INC_INT(INC_F32));
  REFUSES("expected a result that fits in memory, got shape [1073741824, 1073741824, 1073741824]");
}

/* -- references ------------------------------------------------------------------------------------- */
static void run(fixture *f, void *const *in, void *const *out) {
  CHECK_STR(infer_text(f), "ok");
  CHECK_EQ(f->n.op->ref(&f->n, in, out), INC_OK);
}

TEST(convolution_by_hand) {
  fixture *f = start("conv2d");
  float x[16], w[4] = {1, 2, 3, 4}, b[1] = {100}, y[9];
  for (int i = 0; i < 16; i++) x[i] = (float)i;
  T(0, INC_F32, 1, 1, 4, 4);
  T(1, INC_F32, 1, 1, 2, 2);
  T(2, INC_F32, 1);
  A(0, INTS(2, 2)), A(1, INTS(1, 1)), A(2, INTS(2, 1));
  run(f, (void *[]){x, w, b}, (void *[]){y});
  OUT_IS(0, INC_F32, 1, 1, 2, 3);
  CHECK_CLOSE(y[0], 100 + 4 * 4, 0);                           /* rows -1 and 1, columns -1 and 0 */
  CHECK_CLOSE(y[4], 100 + 1 * 5 + 2 * 6 + 3 * 13 + 4 * 14, 0); /* rows 1 and 3, columns 1 and 2 */
}

TEST(max_pool_takes_the_first_of_equals) {
  fixture *f = start("max_pool2d");
  float x[9] = {1, 2, 2, 4, 4, 0, -1, 5, 5}, y[4], dx[9];
  uint8_t place[4];
  T(0, INC_F32, 1, 1, 3, 3);
  A(0, INTS(2, 2)), A(1, INTS(1, 1));
  run(f, (void *[]){x}, (void *[]){y, place});
  CHECK_EQ(y[0], 4);
  CHECK_EQ(place[0], 2);
  CHECK_EQ(y[3], 5);
  CHECK_EQ(place[3], 2);
  f = start("max_pool2d_backward");
  float dy[4] = {1, 10, 100, 1000};
  T(0, INC_F32, 1, 1, 2, 2);
  T(1, INC_U8, 1, 1, 2, 2);
  A(0, INC_INT(3)), A(1, INC_INT(3)), A(2, INTS(2, 2)), A(3, INTS(1, 1));
  run(f, (void *[]){dy, place}, (void *[]){dx});
  CHECK_EQ(dx[3], 1);
  CHECK_EQ(dx[4], 10);
  CHECK_EQ(dx[7], 1100);
  CHECK_EQ(dx[0] + dx[1] + dx[2] + dx[5] + dx[6] + dx[8], 0);
}

TEST(bad_labels_are_named) {
  fixture *f = start("cross_entropy");
  float x[15] = {0}, y;
  int64_t t[3] = {1, 5, 7};
  T(0, INC_F32, 3, 5);
  T(1, INC_I64, 3);
  INFERS();
  CHECK_EQ(f->n.op->ref(&f->n, (void *[]){x, t}, (void *[]){&y}), INC_EARG);
  CHECK_STR(inc_error_last()->arg, "target");
  CHECK_STR(inc_error_last()->text, "label 7 at row 3: expected 1 to 5");
  t[2] = 2;
  run(f, (void *[]){x, t}, (void *[]){&y});
  CHECK_CLOSE(y, log(5), 1e-6);
}

TEST(indices_count_from_one) {
  fixture *f = start("argmax");
  float x[6] = {1, 7, 3, 9, 2, NAN}, y[2];
  int64_t i[2], bad[2] = {1, 4};
  T(0, INC_F32, 2, 3);
  A(0, INC_INT(1));
  run(f, (void *[]){x}, (void *[]){i});
  CHECK_EQ(i[0], 2);
  CHECK_EQ(i[1], 3);
  f = start("index_select");
  T(0, INC_F32, 2, 3);
  T(1, INC_I64, 2);
  A(0, INC_INT(1));
  INFERS();
  CHECK_EQ(f->n.op->ref(&f->n, (void *[]){x, bad}, (void *[]){y}), INC_EARG);
  CHECK_STR(inc_error_last()->text, "index 4 at position 2: expected 1 to 3");
}

TEST(sums_over_some_dims) {
  fixture *f = start("sum");
  float x[12], y[3];
  for (int k = 0; k < 12; k++) x[k] = (float)k;
  T(0, INC_F32, 2, 3, 2);
  A(0, INTS(0, 2));
  run(f, (void *[]){x}, (void *[]){y});
  OUT_IS(0, INC_F32, 3);
  CHECK_EQ(y[0], 0 + 1 + 6 + 7);
  CHECK_EQ(y[2], 4 + 5 + 10 + 11);
  f = start("sum_to");
  T(0, INC_F32, 2, 3, 2);
  A(0, INTS(3, 1));
  run(f, (void *[]){x}, (void *[]){y});
  CHECK_EQ(y[1], 2 + 3 + 8 + 9);
  f = start("sum");
  T(0, INC_U8, 0);
  int64_t none = 5;
  run(f, (void *[]){x}, (void *[]){&none});
  CHECK_EQ(f->out[0].dtype, INC_I64);
  CHECK_EQ(none, 0);
}

TEST(products_of_vectors_and_batches) {
  fixture *f = start("matmul");
  double a[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, b[2] = {1, 10}, y[6];
  T(0, INC_F64, 3, 2, 2);
  T(1, INC_F64, 2);
  run(f, (void *[]){a, b}, (void *[]){y});
  OUT_IS(0, INC_F64, 3, 2);
  CHECK_EQ(y[0], 21);
  CHECK_EQ(y[5], 131);
  T(0, INC_F64, 2);
  run(f, (void *[]){b, b}, (void *[]){y});
  CHECK_EQ(f->out[0].ndim, 0);
  CHECK_EQ(y[0], 101);
}

TEST(dropout_masks_are_a_function_of_place) {
  fixture *f = start("dropout");
  float x[1000], y[1000], z[1000];
  int64_t rng[2] = {7, 3};
  int kept = 0;
  for (int i = 0; i < 1000; i++) x[i] = 1;
  T(0, INC_F32, 10, 100);
  T(1, INC_I64, 2);
  A(0, INC_FLOAT(0.25));
  run(f, (void *[]){x, rng}, (void *[]){y});
  for (int i = 0; i < 1000; i++) kept += y[i] > 0;
  CHECK(kept > 700 && kept < 800);
  f->in[0].strides[0] = 1; /* another layout, the same mask */
  f->in[0].strides[1] = 10;
  run(f, (void *[]){x, rng}, (void *[]){z});
  for (int r = 0; r < 10; r++)
    for (int c = 0; c < 100; c++) CHECK_EQ(z[c * 10 + r] > 0, y[r * 100 + c] > 0);
  rng[1] = 4;
  run(f, (void *[]){x, rng}, (void *[]){z});
  CHECK(memcmp(y, z, sizeof y) != 0);
}

TEST(copies_keep_every_digit) {
  fixture *f = start("contiguous");
  int64_t x[4] = {(1LL << 53) + 1, 2, 3, -((1LL << 60) + 1)}, y[4];
  T(0, INC_I64, 2, 2);
  f->in[0].strides[0] = 1;
  f->in[0].strides[1] = 2;
  run(f, (void *[]){x}, (void *[]){y});
  CHECK(y[0] == x[0] && y[1] == x[2] && y[3] == x[3]);
}

TEST(adam_by_hand) {
  fixture *f = start("adam_");
  float p = 1, g = 0.5f, m = 0, v = 0, lr = 0.1f, step = 1;
  for (int k = 0; k < 6; k++) T(k, INC_F32, 1);
  run(f, (void *[]){&p, &g, &m, &v, &lr, &step, NULL}, NULL);
  CHECK_CLOSE(p, 0.9, 1e-6);
  CHECK_CLOSE(m, 0.05, 1e-7);
  CHECK_CLOSE(v, 0.00025, 1e-9);
}
