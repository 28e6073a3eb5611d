/* test_cpu_backend.c -- every kernel of the CPU backend against the op's reference loop.
**
** A case is an op, its inputs (dtype, shape, layout) and attributes.  Each choice that query offers is
** prepared and run on the same numbers as the reference; whole buffers are compared, so a write outside the
** result (into the holes of a slice, or beyond the ends) is found too. */
#include "backend.h"
#include "base/mem.h"
#include "check.h"
#include <stdarg.h>
#include <stdlib.h>

enum { GUARD = 128, MAX_IN = 8 };

typedef struct operand {
  int dtype;
  int ndim;
  int64_t shape[4];
  char layout; /* 'c' contiguous, 'l' channels-last, 's' slice of a wider channels-last, 't' last two dims
                  turned */
} operand;

#define T(dt, lay, ...)                                                                                      \
  (operand) { INC_##dt, (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), {__VA_ARGS__}, lay }
#define NIL                                                                                                  \
  (operand) { INC_NONE, 0, {0}, 'c' }

typedef struct memory {
  char *block, *p;
  size_t bytes;
} memory;

static memory take(const inc_spec *s) {
  memory m = {NULL, NULL, (size_t)inc_spec_span(s) * inc_dtype_size(s->dtype)};
  m.block = inc_alloc(m.bytes + 2 * GUARD);
  memset(m.block, 0x5a, m.bytes + 2 * GUARD);
  m.p = m.block + GUARD;
  return m;
}

static inc_spec spec_of(const operand *o) {
  inc_spec s = inc_spec_new(o->dtype, o->ndim, o->shape);
  if (o->layout == 't') {
    s.strides[o->ndim - 1] = s.shape[o->ndim - 2];
    s.strides[o->ndim - 2] = 1;
  }
  if (o->layout != 'l' && o->layout != 's') return s;
  s.shape[1] += o->layout == 's' ? 13 : 0;
  inc_spec_channels_last(&s);
  s.shape[1] = o->shape[1];
  return s;
}

/* Numbers in -1..1; positive ones where a variance, a slot or a root wants them; small integers for labels.
 */
static double number_for(int dtype, int64_t i, int salt, bool positive) {
  double v = (double)(((i + 31) * 2654435761u + (uint32_t)salt * 97u) >> 9 & 1023) / 512 - 1;
  if (!inc_dtype_is_float(dtype)) return dtype == INC_U8 ? (double)(i * 7 % 200) : (double)(i % 4 + 1);
  return positive ? fabs(v) + 0.1 : v;
}

static void fill(const inc_spec *s, char *p, int salt, bool positive) {
  for (int64_t i = 0, span = inc_spec_span(s); i < span; i++)
    inc_store(p, s->dtype, i, number_for(s->dtype, i, salt, positive));
}

typedef struct sample { /* one op with its data, and how closely a kernel must agree */
  inc_node node;
  inc_spec in[MAX_IN], out[4];
  inc_attr attr[INC_MAX_ATTRS];
  memory x[MAX_IN], y[4], x0[MAX_IN];
  uint32_t mutated;
  double tol;
} sample;

static int choices_tried;

static bool close_enough(const inc_spec *s, const memory *a, const memory *b, double tol, char *why,
                         size_t n) {
  if (memcmp(a->block, b->block, GUARD) || memcmp(a->p + a->bytes, b->p + b->bytes, GUARD)) {
    snprintf(why, n, "wrote outside");
    return false;
  }
  double top = 1e-3;
  for (int64_t i = 0; i < inc_spec_span(s); i++) {
    double v = fabs(inc_load(b->p, s->dtype, i));
    if (v > top && v < 1e9) top = v; /* holes hold the guard pattern, which reads as huge */
  }
  for (int64_t i = 0; i < inc_spec_span(s); i++) {
    double u = inc_load(a->p, s->dtype, i), v = inc_load(b->p, s->dtype, i);
    if (!(fabs(u - v) <= tol * top) && !(u != u && v != v)) {
      snprintf(why, n, "element %lld: expected %.9g, got %.9g", (long long)i, v, u);
      return false;
    }
  }
  return true;
}

static int run_choice(sample *s, const inc_choice *c) {
  void *in[MAX_IN] = {NULL}, *out[4] = {NULL};
  for (int i = 0; i < s->node.n_in; i++) {
    if (!s->in[i].dtype) continue;
    memcpy(s->x[i].block, s->x0[i].block, s->x[i].bytes + 2 * GUARD);
    in[i] = s->x[i].p;
  }
  for (int i = 0; i < s->node.n_out; i++) {
    memset(s->y[i].block, 0x5a, s->y[i].bytes + 2 * GUARD);
    out[i] = s->y[i].p;
  }
  inc_kernel *k;
  void *ws = c->workspace ? inc_alloc(c->workspace) : NULL;
  int code = inc_cpu_backend.prepare(&s->node, c, 0, &k);
  if (!code) {
    code = inc_cpu_backend.run(k, in, out, ws, 0);
    inc_cpu_backend.drop(k);
  }
  inc_free(ws);
  return code;
}

/* Copies of what the reference left: outputs, then mutated inputs. */
static void keep(const sample *s, memory *kept) {
  for (int i = 0; i < s->node.n_out + s->node.n_in; i++) {
    const memory *m = i < s->node.n_out ? &s->y[i] : &s->x[i - s->node.n_out];
    if (!m->block) continue;
    kept[i] = *m;
    kept[i].block = inc_alloc(m->bytes + 2 * GUARD);
    memcpy(kept[i].block, m->block, m->bytes + 2 * GUARD);
    kept[i].p = kept[i].block + GUARD;
  }
}

static void compare(sample *s, const inc_choice *c, const memory *kept) {
  char why[128];
  for (int i = 0; i < s->node.n_out; i++)
    if (!close_enough(&s->out[i], &s->y[i], &kept[i], s->tol, why, sizeof why))
      CHECK_FAIL("%s by %s: result %d: %s", s->node.op->name, c->impl, i + 1, why);
  for (int i = 0; i < s->node.n_in; i++)
    if (s->in[i].dtype &&
        !close_enough(&s->in[i], &s->x[i], &kept[s->node.n_out + i], s->tol, why, sizeof why))
      CHECK_FAIL("%s by %s: input %d: %s", s->node.op->name, c->impl, i + 1, why);
}

static void start(sample *s, const char *op, double tol, int n_in, const operand *in) {
  memset(s, 0, sizeof *s);
  const inc_op *o = inc_op_find(op);
  s->node = (inc_node){
      .op = o, .n_in = n_in, .n_out = o ? inc_op_outputs(o) : 0, .in = s->in, .out = s->out, .attr = s->attr};
  s->tol = tol;
  if (!o) return;
  const inc_sig *sig = inc_op_sig(o);
  s->mutated = sig->mutated;
  for (int i = 0; i < sig->n_attrs; i++)
    s->attr[i] = sig->attrs[i].has_default ? sig->attrs[i].def : INC_ABSENT;
  for (int i = 0; i < n_in; i++)
    if (in[i].dtype) s->in[i] = spec_of(&in[i]);
}

static void data(sample *s, const char *positive) {
  for (int i = 0; i < s->node.n_in; i++) {
    if (!s->in[i].dtype) continue;
    s->x[i] = take(&s->in[i]), s->x0[i] = take(&s->in[i]);
    fill(&s->in[i], s->x0[i].p, i, positive && strchr(positive, '0' + i));
  }
  for (int i = 0; i < s->node.n_out; i++) s->y[i] = take(&s->out[i]);
}

static void finish(sample *s, memory *kept) {
  for (int i = 0; i < MAX_IN; i++) inc_free(s->x[i].block), inc_free(s->x0[i].block);
  for (int i = 0; i < 4; i++) inc_free(s->y[i].block);
  for (int i = 0; i < MAX_IN + 4; i++) inc_free(kept[i].block);
}

/* Run all; `out_slice`: out[0] becomes a channel slice.  The op must have a kernel of its own. */
static void run_all(sample *s, const char *positive, bool out_slice) {
  if (!s->node.op) CHECK_FAIL("no such op");
  if (s->node.op->infer(&s->node)) CHECK_FAIL("%s: %s", s->node.op->name, inc_error_last()->text);
  if (out_slice) {
    operand o = {s->out[0].dtype,
                 4,
                 {s->out[0].shape[0], s->out[0].shape[1], s->out[0].shape[2], s->out[0].shape[3]},
                 's'};
    s->out[0] = spec_of(&o);
  }
  data(s, positive);
  inc_choice c[8];
  memory kept[MAX_IN + 4] = {{NULL, NULL, 0}};
  int n = 0;
  if (inc_cpu_backend.query(&s->node, c, 8, &n) || n < 2)
    CHECK_FAIL("%s: only %d ways to run it", s->node.op->name, n);
  CHECK_EQ(run_choice(s, &c[n - 1]), INC_OK);
  keep(s, kept);
  for (int i = 0; i < n - 1; i++) {
    if (run_choice(s, &c[i])) CHECK_FAIL("%s by %s: %s", s->node.op->name, c[i].impl, inc_error_last()->text);
    compare(s, &c[i], kept);
    choices_tried++;
  }
  finish(s, kept);
}

#define CASE(op, tol, positive, slice, set, ...)                                                             \
  do {                                                                                                       \
    operand in_[] = {__VA_ARGS__};                                                                           \
    sample s_;                                                                                               \
    start(&s_, op, tol, (int)(sizeof in_ / sizeof *in_), in_);                                               \
    inc_attr *a = s_.attr;                                                                                   \
    (void)a;                                                                                                 \
    set;                                                                                                     \
    run_all(&s_, positive, slice);                                                                           \
  } while (0)

static inc_attr two(int64_t a, int64_t b) { return inc_ints(2, (int64_t[]){a, b}); }

TEST(conv) {
  for (const char *l = "lc"; *l; l++)
    for (int bf = 0; bf < 2; bf++) {
      int dt = bf ? INC_BF16 : INC_F32;
      double tol = bf ? 1e-2 : 3e-4; /* Winograd is among the choices */
      operand x = {dt, 4, {2, 32, 12, 10}, *l}, y = {dt, 4, {2, 48, 12, 10}, *l},
              w = T(F32, 'c', 48, 32, 3, 3);
      operand wb = w, b = {dt, 1, {48}, 'c'};
      wb.dtype = dt;
      CASE("conv2d", tol, "", false, a[1] = two(1, 1), x, wb, b);
      CASE("conv2d", tol, "", true, a[1] = two(1, 1), x, wb, NIL);
      CASE("conv2d_relu", tol, "", false, a[1] = two(1, 1), x, wb, b);
      CASE("conv2d_backward_data", tol, "", false, (a[0] = INC_INT(12), a[1] = INC_INT(10), a[3] = two(1, 1)),
           y, wb);
      CASE("conv2d_backward_weight", tol, "", false, (a[0] = two(3, 3), a[2] = two(1, 1)), x, y);
      CASE("conv2d_backward_weight", tol, "", false, a[0] = two(1, 1), x, x);
    }
  CASE("conv2d", 1e-2, "", false, , T(BF16, 'l', 2, 16, 6, 6), T(BF16, 'c', 32, 16, 1, 1), NIL);
}

/* No library has f16 here: casts around the f32 kernel. */
TEST(f16_goes_through_f32) {
  operand x = T(F16, 'l', 2, 24, 9, 8), v = T(F32, 'c', 24), m = T(F16, 'c', 9, 30);
  CASE("conv2d", 2e-3, "", false, a[1] = two(1, 1), x, T(F16, 'c', 16, 24, 3, 3), T(F16, 'c', 16));
  CASE("batch_norm_train", 2e-3, "1", false, , x, v, v);
  CASE("max_pool2d", 1e-6, "", false, a[0] = two(2, 2), x);
  CASE("matmul", 2e-3, "", false, , m, T(F16, 'c', 30, 7));
  CASE("add", 2e-3, "", false, , x, x);
  CASE("softmax", 2e-3, "", false, , m);
}

static void norm_cases(int dt, char l, double tol) {
  operand x = {dt, 4, {3, 37, 9, 8}, l}, v = T(F32, 'c', 37), dy = x;
  for (int relu = 0; relu < 2; relu++) {
    CASE("batch_norm_train", tol, "1", false, a[1] = INC_INT(relu), x, v, v);
    CASE("batch_norm_train", tol, "", false, a[1] = INC_INT(relu), x, NIL, NIL);
    CASE("batch_norm_train", tol, "1", true, a[1] = INC_INT(relu), x, v, v);
    CASE("batch_norm_eval", tol, "4", false, a[1] = INC_INT(relu), x, v, v, v, v);
    CASE("batch_norm_backward", tol, "5", false, a[1] = INC_INT(relu), dy, x, v, v, v, v);
    CASE("batch_norm_eval_backward", tol, "5", false, a[1] = INC_INT(relu), dy, x, v, NIL, v, v);
    dy.layout = 's';
    CASE("batch_norm_backward", tol, "5", false, a[1] = INC_INT(relu), dy, x, v, v, v, v);
  }
}

TEST(batch_norm) {
  norm_cases(INC_F32, 'l', 5e-6);
  norm_cases(INC_F32, 'c', 5e-6);
  norm_cases(INC_BF16, 'l', 1e-2);
  norm_cases(INC_BF16, 'c', 1e-2);
  CASE("batch_norm_train", 5e-6, "1", false, , T(F32, 'c', 600, 21), T(F32, 'c', 21), T(F32, 'c', 21));
  CASE("batch_norm_train", 5e-6, "1", false, , T(F32, 'l', 40, 530, 7, 7), T(F32, 'c', 530),
       T(F32, 'c', 530));
}

TEST(folding) {
  operand v = T(F32, 'c', 40);
  CASE("fold_batch_norm", 1e-6, "4", false, , T(F32, 'c', 40, 21, 3, 3), v, v, v, v);
  CASE("fold_batch_norm", 1e-6, "4", false, , T(F32, 'c', 40, 21, 3, 3), NIL, NIL, v, v);
}

static void pool_cases(int dt, char l, double tol) {
  operand x = {dt, 4, {2, 37, 11, 9}, l}, y = {dt, 4, {2, 37, 5, 4}, l},
          index = {INC_U8, 4, {2, 37, 5, 4}, l};
  CASE("max_pool2d", tol, "", false, (a[0] = two(3, 3), a[1] = two(2, 2)), x);
  CASE("max_pool2d", tol, "", true, (a[0] = two(3, 3), a[1] = two(2, 2), a[2] = two(1, 1), a[3] = INC_INT(1)),
       x);
  CASE("max_pool2d_backward", tol, "", false,
       (a[0] = INC_INT(11), a[1] = INC_INT(9), a[2] = two(3, 3), a[3] = two(2, 2)), y, index);
  for (int pad = 0; pad < 2; pad++) {
    CASE("avg_pool2d", tol, "", false,
         (a[0] = two(3, 3), a[1] = two(1, 1), a[2] = two(1, 1), a[4] = INC_INT(pad)), x);
    CASE("avg_pool2d", tol, "", true,
         (a[0] = two(2, 3), a[2] = two(1, 1), a[3] = INC_INT(1), a[4] = INC_INT(pad)), x);
    CASE("avg_pool2d_backward", tol, "", false,
         (a[0] = INC_INT(11), a[1] = INC_INT(9), a[2] = two(3, 3), a[3] = two(1, 1), a[4] = two(1, 1),
          a[5] = INC_INT(pad)),
         x);
  }
  CASE("adaptive_avg_pool2d", tol, "", false, a[0] = two(1, 1), x);
  CASE("adaptive_avg_pool2d", tol, "", false, a[0] = two(11, 3), x);
  operand one = {dt, 4, {2, 37, 1, 1}, l};
  CASE("adaptive_avg_pool2d_backward", tol, "", false, (a[0] = INC_INT(11), a[1] = INC_INT(9)), one);
}

/* Lines of the average pool in several pieces: many channels, wide pictures, wide windows. */
TEST(pools_in_pieces) {
  operand deep = T(F32, 'l', 1, 2100, 3, 40), wide = T(F32, 'l', 1, 96, 3, 800),
          few = T(F32, 'l', 1, 3, 2, 900);
  const operand *all[] = {&deep, &wide, &few};
  for (int i = 0; i < 3; i++) {
    const operand x = *all[i];
    int64_t h = x.shape[2], w = x.shape[3];
    CASE("avg_pool2d", 1e-6, "", false, (a[0] = two(3, 3), a[1] = two(1, 1), a[2] = two(1, 1)), x);
    CASE("avg_pool2d", 1e-6, "", false,
         (a[0] = two(2, 35), a[1] = two(1, 2), a[2] = two(1, 5), a[4] = INC_INT(0)), x);
    CASE("avg_pool2d_backward", 1e-6, "", false,
         (a[0] = INC_INT(h), a[1] = INC_INT(w), a[2] = two(3, 3), a[3] = two(1, 1), a[4] = two(1, 1)), x);
    CASE("avg_pool2d_backward", 1e-6, "", false,
         (a[0] = INC_INT(2 * h), a[1] = INC_INT(3 * w), a[2] = two(2, 2), a[3] = two(2, 3)), x);
    CASE("adaptive_avg_pool2d", 1e-6, "", false, a[0] = two(1, 1), x);
  }
}

TEST(pools) {
  pool_cases(INC_F32, 'l', 1e-6);
  pool_cases(INC_F32, 'c', 1e-6);
  pool_cases(INC_BF16, 'l', 1e-2);
  pool_cases(INC_BF16, 'c', 1e-2);
}

TEST(elementwise) {
  const char *one[] = {"neg",  "abs",   "square", "exp",   "relu",       "sigmoid", "tanh",
                       "silu", "floor", "ceil",   "clamp", "leaky_relu", "relu_",   "clamp_"};
  const char *positive[] = {"sqrt", "rsqrt", "reciprocal"};
  const char *pair[] = {"add",           "sub",  "mul",  "div",  "maximum", "minimum",
                        "relu_backward", "add_", "sub_", "mul_", "div_"};
  for (int bf = 0; bf < 2; bf++) {
    int dt = bf ? INC_BF16 : INC_F32;
    double tol = bf ? 8e-3 : 1e-6;
    operand x = {dt, 4, {3, 21, 5, 7}, 'l'}, v = {dt, 3, {21, 1, 1}, 'c'}, z = {dt, 0, {0}, 'c'}, s = x,
            big = {dt, 1, {70001}, 'c'};
    s.layout = 's';
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
      CASE(one[i], tol, "", false, if (a[0].n < 0) a[0] = INC_FLOAT(-0.5), x);
      CASE(one[i], tol, "", false, , s);
    }
    for (size_t i = 0; i < 3; i++) CASE(positive[i], tol, "0", false, , big);
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
      CASE(pair[i], tol, "1", false, , x, x);
      if (i == 6) continue; /* relu_backward does not broadcast */
      CASE(pair[i], tol, "1", false, , x, v);
      CASE(pair[i], tol, "1", false, , x, z);
      CASE(pair[i], tol, "1", false, , s, x);
      CASE(pair[i], tol, "1", false, , big, z);
    }
    CASE("sub", tol, "", false, , z, big);
    CASE("add", tol, "", true, , x, x);
  }
}

TEST(moves) {
  static const int types[] = {INC_F32, INC_BF16, INC_F16, INC_F64, INC_U8, INC_I32, INC_I64};
  for (int i = 0; i < 7; i++)
    for (int j = 0; j < 7; j++) {
      operand x = {types[i], 2, {9, 71}, 'c'};
      CASE("cast", 1e-2, types[j] == INC_U8 ? "0" : "", false, a[0] = INC_INT(types[j]), x);
    }
  for (int i = 0; i < 7; i++) {
    operand x = {types[i], 4, {2, 19, 6, 35}, 'c'}, y = x, s = x, t = {types[i], 2, {77, 130}, 't'};
    y.layout = 'l', s.layout = 's';
    CASE("contiguous", 0, "", false, a[0] = INC_INT(1), x);
    CASE("contiguous", 0, "", true, a[0] = INC_INT(1), x);
    CASE("contiguous", 0, "", false, a[0] = INC_INT(0), y);
    CASE("contiguous", 0, "", false, a[0] = INC_INT(0), s);
    CASE("contiguous", 0, "", false, a[0] = INC_INT(1), s);
    CASE("contiguous", 0, "", false, a[0] = INC_INT(0), t);
    CASE("cat", 0, "", false, a[0] = INC_INT(1), x, x, x);
    CASE("cat", 0, "", false, a[0] = INC_INT(1), y, y);
    CASE("cat", 0, "", false, a[0] = INC_INT(3), x, x);
    CASE("cat", 0, "", false, a[0] = INC_INT(1), y, x);
    CASE("copy_", 0, "", false, , y, x);
    CASE("copy_", 0, "", false, , s, y);
    CASE("fill_", 0, "", false, a[0] = INC_FLOAT(3), s);
    CASE("fill_", 0, "", false, a[0] = INC_FLOAT(0), y);
  }
  operand z = T(F32, 'c', 1), w = T(BF16, 'c', 40, 3);
  CASE("copy_", 0, "", false, , w, z);
  CASE("slice_backward", 0, "", false,
       (a[0] = inc_ints(2, (int64_t[]){40, 9}), a[1] = INC_INT(1), a[2] = INC_INT(4)), w);
}

TEST(normalize) {
  for (const char *l = "lc"; *l; l++)
    for (int bf = 0; bf < 2; bf++) {
      operand x = {INC_U8, 4, {2, 3, 11, 13}, *l}, v = T(F32, 'c', 3);
      CASE("normalize", bf ? 1e-2 : 1e-6, "", false, a[0] = INC_INT(bf ? INC_BF16 : INC_F32), x, v, v);
    }
}

static void sums(const char *op, int dt, double tol) {
  operand x = {dt, 4, {3, 37, 6, 7}, 'l'}, c = x, m = {dt, 2, {70, 1031}, 'c'}, big = {dt, 1, {300007}, 'c'};
  c.layout = 'c';
  CASE(op, tol, "0", false, , x);
  CASE(op, tol, "0", false, , big);
  if (!strcmp(op, "norm")) return;
  CASE(op, tol, "", false, a[0] = inc_ints(3, (int64_t[]){0, 2, 3}), x);
  CASE(op, tol, "", false, a[0] = inc_ints(2, (int64_t[]){2, 3}), x);
  CASE(op, tol, "", false, a[0] = inc_ints(2, (int64_t[]){2, 3}), c);
  CASE(op, tol, "", false, (a[0] = inc_ints(1, (int64_t[]){1}), a[1] = INC_INT(1)), x);
  CASE(op, tol, "", false, a[0] = inc_ints(1, (int64_t[]){0}), m);
  CASE(op, tol, "", false, a[0] = inc_ints(1, (int64_t[]){1}), m);
  CASE(op, tol, "", false, (a[0] = inc_ints(1, (int64_t[]){0}), a[2] = INC_INT(INC_F32)), m);
}

TEST(reductions) {
  const char *ops[] = {"sum", "mean", "norm"};
  for (int i = 0; i < 3; i++) sums(ops[i], INC_F32, 2e-6), sums(ops[i], INC_BF16, 1e-2);
  CASE("sum_to", 2e-6, "", false, a[0] = inc_ints(3, (int64_t[]){37, 1, 1}), T(F32, 'l', 3, 37, 5, 5));
  CASE("sum_to", 2e-6, "", false, a[0] = inc_ints(2, (int64_t[]){1, 70}), T(F32, 'c', 60, 70));
  CASE("sum_to", 2e-6, "", false, a[0] = inc_ints(0, NULL), T(F32, 'c', 60, 70));
  CASE("global_norm", 2e-6, "", false, , T(F32, 'c', 60, 70), T(F32, 'l', 2, 5, 3, 3), T(BF16, 'c', 9));
}

TEST(losses) {
  for (int bf = 0; bf < 2; bf++) {
    operand x = {bf ? INC_BF16 : INC_F32, 2, {7, 131}, 'c'}, t = T(I64, 'c', 7), one = T(F32, 'c'),
            each = T(F32, 'c', 7);
    one.ndim = 0;
    double tol = bf ? 1e-2 : 2e-6;
    CASE("softmax", tol, "", false, , x);
    CASE("log_softmax", tol, "", false, , x);
    CASE("softmax_backward", tol, "1", false, , x, x);
    CASE("log_softmax_backward", tol, "1", false, , x, x);
    for (int kind = 0; kind < 3; kind++) {
      CASE("cross_entropy", tol, "", false, (a[0] = INC_FLOAT(0.1), a[1] = INC_INT(kind)), x, t);
      CASE("cross_entropy", tol, "", false, a[1] = INC_INT(kind), x, t);
      CASE("cross_entropy_backward", tol, "", false, (a[0] = INC_FLOAT(0.1), a[1] = INC_INT(kind)),
           kind == 2 ? each : one, x, t);
    }
  }
}

TEST(products) {
  for (int bf = 0; bf < 2; bf++) {
    int dt = bf ? INC_BF16 : INC_F32;
    double tol = bf ? 1e-2 : 1e-5;
    operand x = {dt, 2, {9, 70}, 'c'}, w = {dt, 2, {33, 70}, 'c'}, b = {dt, 1, {33}, 'c'},
            y = {dt, 2, {9, 33}, 'c'};
    operand x3 = {dt, 3, {3, 5, 70}, 'c'}, m = {dt, 3, {4, 6, 10}, 'c'}, k = {dt, 3, {4, 10, 7}, 'c'},
            v = {dt, 1, {70}, 'c'};
    operand wt = {dt, 2, {70, 33}, 't'};
    CASE("linear", tol, "", false, , x, w, b);
    CASE("linear", tol, "", false, , x3, w, NIL);
    CASE("linear", tol, "", false, , v, w, b);
    CASE("linear_backward_data", tol, "", false, , y, w);
    CASE("linear_backward_weight", tol, "", false, , x, y);
    CASE("matmul", tol, "", false, , x, wt);
    CASE("matmul", tol, "", false, , x, v);
    CASE("matmul", tol, "", false, , m, k);
  }
}

/* Does the first choice for x [n, n] times w [n, n] want every core? */
static bool wide_product(int64_t n) {
  inc_spec in[2], out[1];
  inc_attr attr[INC_MAX_ATTRS] = {0};
  in[0] = in[1] = inc_spec_new(INC_F32, 2, (int64_t[]){n, n});
  inc_node node = {.op = inc_op_find("matmul"), .n_in = 2, .n_out = 1, .in = in, .out = out, .attr = attr};
  inc_choice all[8];
  int got = 0;
  if (node.op->infer(&node) || inc_cpu_backend.query(&node, all, 8, &got) || got < 1) return false;
  return all[0].flags & INC_K_WIDE;
}

TEST(small_products_stay_on_the_caller_s_core) {
  CHECK(!wide_product(8));
  CHECK(!wide_product(32));
  CHECK(wide_product(256));
}

TEST(updates) {
  operand p = T(F32, 'c', 130, 131), z = T(F32, 'c', 1), c = T(F32, 'c', 19);
  z.ndim = 0;
  for (int nest = 0; nest < 2; nest++) {
    inc_attr m = INC_FLOAT(0.9), d = INC_FLOAT(1e-2);
    CASE("sgd_", 1e-6, "345", false, (a[0] = m, a[1] = d, a[2] = INC_INT(nest)), p, p, p, z, z);
    CASE("sgd_", 1e-6, "345", false, a[1] = d, p, p, NIL, z);
    CASE("rmsprop_", 2e-6, "2345", false, (a[2] = d, a[3] = m, a[1] = INC_FLOAT(0.1), a[4] = INC_INT(nest)),
         p, p, p, p, z, z);
    CASE("rmsprop_", 2e-6, "245", false, a[4] = INC_INT(nest), p, p, p, NIL, z, z);
    CASE("adam_", 2e-6, "3456", false, (a[3] = d, a[4] = INC_INT(nest)), p, p, p, p, z, z, z);
  }
  CASE("lerp_", 1e-6, "", false, , p, p, z);
  CASE("bn_running_", 1e-6, "13", false, a[1] = INC_INT(100), c, c, c, c);
}

TEST(dropout) {
  for (int bf = 0; bf < 2; bf++) {
    operand x = {bf ? INC_BF16 : INC_F32, 2, {37, 131}, 'c'};
    CASE("dropout", bf ? 8e-3 : 1e-6, "", false, a[0] = INC_FLOAT(0.3), x, T(I64, 'c', 2));
  }
}

TEST(something_was_tried) { CHECK(choices_tried > 400); }
