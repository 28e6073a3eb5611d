/* ewise.c -- unary and binary elementwise ops in f32 and bf16, with broadcasting, and their in-place forms.
** Other dtypes and rarer functions are left to the reference loops. */
#include "cpu/cpu.h"
#include <string.h>

typedef struct named {
  const char *op;
  int code;
} named;

static int code_of(const named *t, const char *op) {
  for (; t->op; t++)
    if (!strcmp(t->op, op)) return t->code;
  return -1;
}

static const named unary_codes[] = {{"neg", K_NEG},     {"abs", K_ABS},          {"square", K_SQUARE},
                                    {"sqrt", K_SQRT},   {"rsqrt", K_RSQRT},      {"exp", K_EXP},
                                    {"relu", K_RELU},   {"sigmoid", K_SIGMOID},  {"reciprocal", K_RECIPROCAL},
                                    {"tanh", K_TANH},   {"silu", K_SILU},        {"floor", K_FLOOR},
                                    {"clamp", K_CLAMP}, {"leaky_relu", K_LEAKY}, {"ceil", K_CEIL},
                                    {"relu_", K_RELU},  {"clamp_", K_CLAMP},     {NULL, 0}};

static const named binary_codes[] = {{"add", K_ADD},
                                     {"sub", K_SUB},
                                     {"mul", K_MUL},
                                     {"div", K_DIV},
                                     {"maximum", K_MAX},
                                     {"minimum", K_MIN},
                                     {"add_", K_ADD},
                                     {"sub_", K_SUB},
                                     {"mul_", K_MUL},
                                     {"div_", K_DIV},
                                     {"relu_backward", K_RELU_BACK},
                                     {NULL, 0}};

static bool in_place(const inc_node *n) { return n->op->name[strlen(n->op->name) - 1] == '_'; }
static const inc_spec *result(const inc_node *n) { return in_place(n) ? &n->in[0] : &n->out[0]; }

static bool set_loop(inc_kernel *k, int n, const inc_spec *const *specs) {
  if (!cpu_loop_init(&k->u.ewise.loop, n, specs) || !cpu_loop_flat(&k->u.ewise.loop)) return false;
  k->u.ewise.dt = specs[0]->dtype;
  k->flags = CPU_IF_WIDE(cpu_loop_total(&k->u.ewise.loop)) | INC_K_INPLACE;
  return true;
}

static bool make_unary(const inc_node *n, inc_kernel *k) {
  const inc_spec *y = result(n), *specs[] = {y, &n->in[0]};
  if (!cpu_float_dtype(y->dtype) || n->in[0].dtype != y->dtype) return false;
  k->u.ewise.op = code_of(unary_codes, n->op->name);
  if (k->u.ewise.op == K_CLAMP || k->u.ewise.op == K_LEAKY) {
    double p[2];
    inc_ewise_params(n, p);
    k->u.ewise.param[0] = (float)p[0], k->u.ewise.param[1] = (float)p[1];
  }
  return k->u.ewise.op >= 0 && set_loop(k, 2, specs);
}

static void unary_piece(const void *ctx, int64_t m, char *const *at) {
  const inc_kernel *k = ctx;
  const cpu_loop *l = &k->u.ewise.loop;
  if (l->stride[1][l->nd - 1] == 0) { /* one value for all: compute it once, then spread it */
    float zero[1] = {0};
    k->k->unary(k->u.ewise.op, k->u.ewise.dt, 1, at[0], at[1], k->u.ewise.param);
    k->k->binary(K_ADD, k->u.ewise.dt, m, at[0], at[0], 0, zero, 0);
    return;
  }
  k->k->unary(k->u.ewise.op, k->u.ewise.dt, m, at[0], at[1], k->u.ewise.param);
}

static int run_unary(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  char *at[] = {in_place(&k->node) ? in[0] : out[0], in[0]};
  cpu_loop_run(&k->u.ewise.loop, at, unary_piece, k);
  return INC_OK;
}

static bool make_binary(const inc_node *n, inc_kernel *k) {
  const inc_spec *y = result(n), *specs[] = {y, &n->in[0], &n->in[1]};
  for (int i = 0; i < 2; i++)
    if (!cpu_float_dtype(y->dtype) || n->in[i].dtype != y->dtype) return false;
  k->u.ewise.op = code_of(binary_codes, n->op->name);
  return k->u.ewise.op >= 0 && set_loop(k, 3, specs);
}

static void binary_piece(const void *ctx, int64_t m, char *const *at) {
  const inc_kernel *k = ctx;
  const cpu_loop *l = &k->u.ewise.loop;
  int d = l->nd - 1;
  k->k->binary(k->u.ewise.op, k->u.ewise.dt, m, at[0], at[1], (int)l->stride[1][d], at[2],
               (int)l->stride[2][d]);
}

static int run_binary(inc_kernel *k, void *const *in, void *const *out, void *ws, uint32_t same) {
  (void)ws, (void)same;
  char *at[] = {in_place(&k->node) ? in[0] : out[0], in[0], in[1]};
  cpu_loop_run(&k->u.ewise.loop, at, binary_piece, k);
  return INC_OK;
}

#define UNARY_ROW(name)                                                                                      \
  { name, make_unary, NULL, run_unary, NULL }
#define BINARY_ROW(name)                                                                                     \
  { name, make_binary, NULL, run_binary, NULL }

const cpu_row cpu_ewise_rows[] = {
    UNARY_ROW("neg"),
    UNARY_ROW("abs"),
    UNARY_ROW("square"),
    UNARY_ROW("sqrt"),
    UNARY_ROW("rsqrt"),
    UNARY_ROW("exp"),
    UNARY_ROW("relu"),
    UNARY_ROW("sigmoid"),
    UNARY_ROW("tanh"),
    UNARY_ROW("silu"),
    UNARY_ROW("floor"),
    UNARY_ROW("ceil"),
    UNARY_ROW("clamp"),
    UNARY_ROW("clamp_"),
    UNARY_ROW("relu_"),
    UNARY_ROW("reciprocal"),
    UNARY_ROW("leaky_relu"),
    BINARY_ROW("add"),
    BINARY_ROW("sub"),
    BINARY_ROW("mul"),
    BINARY_ROW("div"),
    BINARY_ROW("add_"),
    BINARY_ROW("sub_"),
    BINARY_ROW("mul_"),
    BINARY_ROW("div_"),
    BINARY_ROW("maximum"),
    BINARY_ROW("minimum"),
    BINARY_ROW("relu_backward"),
    {NULL, NULL, NULL, NULL, NULL},
};
