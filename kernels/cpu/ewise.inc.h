/* ewise.inc.h -- elementwise arithmetic, sums and checks on one run of elements.
**
** One loop per operation and dtype, made by inlining with a constant operation.  Splitting among threads and
** broadcasting are the caller's (core/cpu/ewise.c): here a run is flat and an operand either moves with it or
** stands still.  bf16 is widened, computed in f32 and rounded once. */

/* tanh: a polynomial near 0 where 1 - 2 / (e^2x + 1) would cancel. */
AI vf vtanh(vf x) {
  vf s = x * x, p = vset(-5.70498872745e-3f);
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  vf near = x + x * s * p, far = 1.0f - 2.0f / (vexp(x + x) + 1.0f);
  return vpick(vm_lt(s, vset(0.390625f)), near, far);
}

AI vf un_value(int op, vf x, vf p, vf q) {
  switch (op) {
  case K_NEG:
    return -x;
  case K_ABS:
    return (vf)((vi)x & 0x7fffffff);
  case K_SQUARE:
    return x * x;
  case K_SQRT:
    return vsqrt(x);
  case K_RSQRT:
    return 1.0f / vsqrt(x);
  case K_RECIPROCAL:
    return 1.0f / x;
  case K_EXP:
    return vexp(x);
  case K_RELU:
    return vrelu(x);
  case K_SIGMOID:
    return 1.0f / (1.0f + vexp(-x));
  case K_TANH:
    return vtanh(x);
  case K_SILU:
    return x / (1.0f + vexp(-x));
  case K_LEAKY:
    return vpick(vm_gt(x, vset(0)), x, x * p);
  case K_CLAMP:
    return vmin(q, vmax(p, x));
  case K_FLOOR:
    return vfloor(x);
  case K_CEIL:
    return -vfloor(-x);
  default:
    return x;
  }
}

AI void un_loop(int op, int dt, int64_t n, void *y, const void *x, const float *param) {
  vf p = vset(param ? param[0] : 0), q = vset(param ? param[1] : 0);
  int64_t i = 0;
  for (; i + W <= n; i += W) stv(y, dt, i, un_value(op, ldv(x, dt, i, W), p, q), W);
  if (i < n) stv(y, dt, i, un_value(op, ldv(x, dt, i, (int)(n - i)), p, q), (int)(n - i));
}

#define UNARY(op)                                                                                            \
  case op:                                                                                                   \
    if (dt == INC_BF16)                                                                                      \
      un_loop(op, INC_BF16, n, y, x, param);                                                                 \
    else                                                                                                     \
      un_loop(op, INC_F32, n, y, x, param);                                                                  \
    break

static void unary(int op, int dt, int64_t n, void *y, const void *x, const float param[2]) {
  switch (op) {
    UNARY(K_NEG);
    UNARY(K_ABS);
    UNARY(K_SQUARE);
    UNARY(K_SQRT);
    UNARY(K_RSQRT);
    UNARY(K_RECIPROCAL);
    UNARY(K_EXP);
    UNARY(K_RELU);
    UNARY(K_SIGMOID);
    UNARY(K_TANH);
    UNARY(K_SILU);
    UNARY(K_LEAKY);
    UNARY(K_CLAMP);
    UNARY(K_FLOOR);
    UNARY(K_CEIL);
  default:
    memmove(y, x, (size_t)n * (dt == INC_BF16 ? 2 : 4));
  }
}

AI vf bin_value(int op, vf a, vf b) {
  switch (op) {
  case K_ADD:
    return a + b;
  case K_SUB:
    return a - b;
  case K_MUL:
    return a * b;
  case K_DIV:
    return a / b;
  case K_MAX:
    return vpick(vm_nan(a), a, vmax(a, b)); /* a NaN on either side wins */
  case K_MIN:
    return vpick(vm_nan(a), a, vmin(a, b));
  default:
    return vsel_gt0(b, a); /* K_RELU_BACK: dy where y > 0 */
  }
}

AI void bin_loop(int op, int dt, int64_t n, void *y, const void *a, int sa, const void *b, int sb) {
  vf ca = vset(0), cb = vset(0);
  if (!sa) ca = vset(ld1(a, dt, 0));
  if (!sb) cb = vset(ld1(b, dt, 0));
  int64_t i = 0;
  for (; i + W <= n; i += W)
    stv(y, dt, i, bin_value(op, sa ? ldv(a, dt, i, W) : ca, sb ? ldv(b, dt, i, W) : cb), W);
  int m = (int)(n - i);
  if (m) stv(y, dt, i, bin_value(op, sa ? ldv(a, dt, i, m) : ca, sb ? ldv(b, dt, i, m) : cb), m);
}

AI void bin_strides(int op, int dt, int64_t n, void *y, const void *a, int sa, const void *b, int sb) {
  if (sa && sb)
    bin_loop(op, dt, n, y, a, 1, b, 1);
  else if (sa)
    bin_loop(op, dt, n, y, a, 1, b, 0);
  else if (sb)
    bin_loop(op, dt, n, y, a, 0, b, 1);
  else
    bin_loop(op, dt, n, y, a, 0, b, 0);
}

#define BINARY(op)                                                                                           \
  case op:                                                                                                   \
    if (dt == INC_BF16)                                                                                      \
      bin_strides(op, INC_BF16, n, y, a, sa, b, sb);                                                         \
    else                                                                                                     \
      bin_strides(op, INC_F32, n, y, a, sa, b, sb);                                                          \
    break

static void binary(int op, int dt, int64_t n, void *y, const void *a, int sa, const void *b, int sb) {
  switch (op) {
    BINARY(K_ADD);
    BINARY(K_SUB);
    BINARY(K_MUL);
    BINARY(K_DIV);
    BINARY(K_MAX);
    BINARY(K_MIN);
    BINARY(K_RELU_BACK);
  default:
    break;
  }
}

/* -- sums: f32 within a block of 4096, f64 above ------------------------------------------------------- */
enum { SUM_BLOCK = 4096 };

AI double sum_block(int dt, int64_t n, const void *x, int64_t at, bool square) {
  vf s[4] = {vset(0), vset(0), vset(0), vset(0)};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int u = 0; u < 4; u++) {
      vf v = ldv(x, dt, at + i + u * W, W);
      s[u] += square ? v * v : v;
    }
  for (; i < n; i += W) {
    vf v = ldv(x, dt, at + i, n - i < W ? (int)(n - i) : W);
    s[0] += square ? v * v : v;
  }
  return (double)vsum((s[0] + s[1]) + (s[2] + s[3]));
}

AI double sum_any(int dt, int64_t n, const void *x, bool square) {
  double total = 0;
  for (int64_t i = 0; i < n; i += SUM_BLOCK) {
    int64_t m = n - i < SUM_BLOCK ? n - i : SUM_BLOCK;
    total += dt == INC_BF16 ? sum_block(INC_BF16, m, x, i, square) : sum_block(INC_F32, m, x, i, square);
  }
  return total;
}

static double sum(int dt, int64_t n, const void *x) { return sum_any(dt, n, x, false); }
static double sum_squares(int dt, int64_t n, const void *x) { return sum_any(dt, n, x, true); }

static float max_all(int dt, int64_t n, const void *x) {
  float best = ld1(x, dt, 0);
  int64_t i = 0;
  if (n >= W) {
    vf m = ldv(x, dt, 0, W);
    for (i = W; i + W <= n; i += W) m = bin_value(K_MAX, m, ldv(x, dt, i, W));
    best = vhmax(m);
  }
  for (; i < n; i++) {
    float v = ld1(x, dt, i);
    if (v > best || v != v) best = v;
  }
  return best;
}

/* Infinities and NaNs are the values whose exponent is all ones. */
static bool finite_all(int dt, int64_t n, const void *x) {
  vi bad = {0};
  for (int64_t i = 0; i < n; i += W) {
    int m = n - i < W ? (int)(n - i) : W;
    vi e = (vi)(dt == INC_BF16 ? ldv(x, INC_BF16, i, m) : ldv(x, INC_F32, i, m)) & 0x7f800000;
    bad |= e == 0x7f800000;
  }
  int32_t any = 0;
  for (int i = 0; i < W; i++) any |= bad[i];
  return !any;
}
