/* test_kernels.c -- our kernels in every instruction set this CPU has, against f64 loops and against the
** plain version, at sizes that leave tails and with strides that leave gaps.
**
** test_cpu_backend.c compares whole ops with their references in the set chosen for this CPU; here every
** table is called by name, so that the ones not chosen are tested as well. */
#include "base/tensor.h"
#include "check.h"
#include "kernels/cpu/kernels.h"
#include <stdlib.h>

static const char *const sets[] = {"plain", "avx2", "avx512", "avx512bf"};
enum { SETS = 4, SIZE = 5000, GUARD = 64 };

/* For each instruction set that can run here. */
#define EACH_SET(k)                                                                                          \
  for (int set_ = 0; set_ < SETS; set_++)                                                                    \
    for (const inc_kernels *k = inc_kernels_named(sets[set_]); k; k = NULL)

static float noise(int64_t i) { return (float)((i + 7) * 2654435761u >> 8 & 4095) / 1024 - 2; }

static void fill(int dt, void *p, int64_t n, float offset) {
  for (int64_t i = 0; i < n; i++) inc_store(p, dt, i, noise(i) + offset);
}

TEST(a_set_was_chosen) {
  CHECK(inc_kernels_get() != NULL);
  CHECK(inc_kernels_named("plain") != NULL);
  CHECK(inc_kernels_named("sse9") == NULL);
}

/* -- batch norm ---------------------------------------------------------------------------------------------
 */
typedef struct norm { /* rows x C of x at stride ld, with its exact mean and variance */
  int64_t rows, c, ld;
  int dt;
  void *x, *y;
  float mean[1100], var[1100];
  double want_mean[1100], want_var[1100];
  void *scratch;
} norm;

static norm *norm_new(int64_t rows, int64_t c, int64_t ld, int dt, float offset) {
  norm *n = calloc(1, sizeof *n);
  *n = (norm){.rows = rows, .c = c, .ld = ld, .dt = dt};
  n->x = calloc((size_t)(rows * ld + GUARD), 4), n->y = calloc((size_t)(rows * ld + GUARD), 4);
  n->scratch = malloc(k_bn_scratch(rows, c));
  fill(dt, n->x, rows * ld, offset);
  for (int64_t j = 0; j < c; j++) {
    double s = 0, q = 0;
    for (int64_t r = 0; r < rows; r++) s += inc_load(n->x, dt, r * ld + j);
    s /= (double)rows;
    for (int64_t r = 0; r < rows; r++) q += pow(inc_load(n->x, dt, r * ld + j) - s, 2);
    n->want_mean[j] = s, n->want_var[j] = q / (double)rows;
  }
  return n;
}

static void norm_free(norm *n) {
  free(n->x), free(n->y), free(n->scratch);
  free(n);
}

static k_bn call_of(norm *n) {
  return (k_bn){.rows = n->rows,
                .c = n->c,
                .x = {n->x, n->ld, n->dt},
                .y = {n->y, n->ld, n->dt},
                .mean = n->mean,
                .var = n->var,
                .eps = 1e-3f,
                .scratch = n->scratch};
}

static void statistics(const inc_kernels *k, int64_t rows, int64_t c, int64_t ld, float offset) {
  norm *n = norm_new(rows, c, ld, INC_F32, offset);
  k_bn b = call_of(n);
  k->bn_stats(&b);
  double m = 0, v = 0;
  for (int64_t j = 0; j < c; j++) {
    m = fmax(m, fabs((double)n->mean[j] - n->want_mean[j]) / (fabs(n->want_mean[j]) + 1));
    v = fmax(v, fabs((double)n->var[j] - n->want_var[j]) / (n->want_var[j] + 1e-3));
  }
  norm_free(n);
  if (m > 2e-7 || v > 1e-6)
    CHECK_FAIL("%s %lldx%lld + %g: mean off by %g, var by %g", k->isa, (long long)rows, (long long)c,
               (double)offset, m, v);
}

TEST(batch_norm_statistics_are_exact_to_f32) {
  EACH_SET(k) {
    statistics(k, 1, 5, 5, 0);
    statistics(k, 7, 17, 40, 0);
    statistics(k, 3001, 64, 64, 0);
    statistics(k, 2999, 67, 80, 100); /* a mean of fifty deviations */
    statistics(k, 515, 1031, 1031, -3);
    statistics(k, 20011, 16, 16, 0);
  }
}

TEST(batch_norm_of_a_constant_has_no_variance) {
  EACH_SET(k) {
    norm *n = norm_new(600, 20, 20, INC_F32, 0);
    for (int i = 0; i < 600 * 20; i++) ((float *)n->x)[i] = 3.1f;
    k_bn b = call_of(n);
    k->bn_stats(&b);
    k->bn_apply(&b);
    for (int j = 0; j < 20; j++) {
      CHECK_CLOSE(n->var[j], 0, 1e-12);
      CHECK_CLOSE(((float *)n->y)[j], 0, 1e-6);
    }
    norm_free(n);
  }
}

TEST(batch_norm_leaves_the_gaps_between_rows_alone) {
  EACH_SET(k)
  for (int dt = INC_F32; dt <= INC_BF16; dt++) {
    norm *n = norm_new(333, 37, 50, dt, 0);
    for (int64_t i = 0; i < 333 * 50 + GUARD; i++) inc_store(n->y, dt, i, -7);
    k_bn b = call_of(n);
    b.relu = true;
    k->bn_stats(&b);
    k->bn_apply(&b);
    for (int64_t i = 0; i < 333 * 50 + GUARD; i++) {
      bool gap = i % 50 >= 37 || i >= 333 * 50;
      double y = inc_load(n->y, dt, i);
      if (gap ? y != -7 : y < 0) CHECK_FAIL("%s: element %lld is %g", k->isa, (long long)i, y);
    }
    norm_free(n);
  }
}

/* The sums of the gradient against f64, and dx by the definition. */
TEST(batch_norm_backward_by_definition) {
  EACH_SET(k)
  for (int relu = 0; relu < 2; relu++) {
    enum { R = 700, C = 35 };
    norm *n = norm_new(R, C, C, INC_F32, 0.3f);
    static float dy[R * C], dx[R * C], g[C], be[C], dg[C], db[C];
    for (int i = 0; i < R * C; i++) dy[i] = noise(i * 3 + 1);
    for (int j = 0; j < C; j++) g[j] = 1 + noise(j) / 4, be[j] = noise(j + 50) / 4;
    k_bn b = call_of(n);
    b.gamma = g, b.beta = be, b.dgamma = dg, b.dbeta = db, b.relu = relu;
    b.dy = (k_rows){dy, C, INC_F32}, b.dx = (k_rows){dx, C, INC_F32};
    k->bn_stats(&b);
    k->bn_backward(&b);
    for (int j = 0; j < C; j++) {
      double inv = 1 / sqrt(n->want_var[j] + 1e-3), s = 0, q = 0;
      for (int pass = 0; pass < 2; pass++)
        for (int r = 0; r < R; r++) {
          double h = ((double)((float *)n->x)[r * C + j] - n->want_mean[j]) * inv;
          double d = relu && h * (double)g[j] + (double)be[j] <= 0 ? 0 : (double)dy[r * C + j];
          if (pass == 0)
            s += d, q += d * h;
          else
            CHECK_CLOSE(dx[r * C + j], (double)g[j] * inv * (d - s / R - h * q / R), 2e-5);
        }
      CHECK_CLOSE(db[j], s, 1e-3);
      CHECK_CLOSE(dg[j], q, 1e-3);
    }
    norm_free(n);
  }
}

/* -- one run of elements
 * ------------------------------------------------------------------------------------- */
static double unary_value(int op, double x) {
  switch (op) {
  case K_NEG:
    return -x;
  case K_ABS:
    return fabs(x);
  case K_SQUARE:
    return x * x;
  case K_SQRT:
    return sqrt(x);
  case K_RSQRT:
    return 1 / sqrt(x);
  case K_RECIPROCAL:
    return 1 / x;
  case K_EXP:
    return exp(x);
  case K_RELU:
    return fmax(x, 0);
  case K_SIGMOID:
    return 1 / (1 + exp(-x));
  case K_TANH:
    return tanh(x);
  case K_SILU:
    return x / (1 + exp(-x));
  case K_LEAKY:
    return x > 0 ? x : 0.25 * x;
  case K_CLAMP:
    return fmin(fmax(x, 0.25), 0.5);
  case K_FLOOR:
    return floor(x);
  case K_CEIL:
    return ceil(x);
  default:
    return x;
  }
}

TEST(unary_at_every_length) {
  static float x[200], y[200];
  const float param[2] = {0.25f, 0.5f};
  EACH_SET(k)
  for (int op = K_COPY; op < K_UNARY_OPS; op++)
    for (int n = 0; n < 70; n += n < 40 ? 1 : 7) {
      bool positive = op == K_SQRT || op == K_RSQRT;
      for (int i = 0; i < 200; i++) x[i] = positive ? fabsf(noise(i)) + 0.01f : noise(i) * 3, y[i] = 99;
      k->unary(op, INC_F32, n, y, x, param);
      for (int i = 0; i < n; i++) {
        double want = unary_value(op, (double)x[i]);
        if (!(fabs((double)y[i] - want) <= 4e-7 * (fabs(want) + 1e-3)))
          CHECK_FAIL("%s op %d of %.9g: expected %.9g, got %.9g", k->isa, op, (double)x[i], want,
                     (double)y[i]);
      }
      CHECK(y[n] == 99);
    }
}

TEST(exp_at_the_ends_of_its_range) {
  EACH_SET(k) {
    float x[6] = {-200, -87, 0, 88, 200, NAN}, y[6];
    k->unary(K_EXP, INC_F32, 6, y, x, NULL);
    CHECK(y[0] == 0);
    CHECK_CLOSE(y[1] / expf(-87), 1, 1e-6);
    CHECK(y[2] == 1);
    CHECK_CLOSE(y[3] / expf(88), 1, 1e-6);
    CHECK(isinf(y[4]) && isnan(y[5]));
    k->unary(K_RELU, INC_F32, 6, y, x, NULL);
    CHECK(isnan(y[5]));
  }
}

TEST(casts_round_to_even_and_keep_nan) {
  static uint16_t h[SIZE];
  static float x[SIZE], back[SIZE];
  for (int to = INC_BF16; to <= INC_F16; to++) EACH_SET(k) {
      for (int i = 0; i < SIZE; i++) {
        uint32_t bits = (uint32_t)i * 858993459u + 12345u;
        memcpy(&x[i], &bits, 4);
        if (fabsf(x[i]) < 1e-30f) x[i] = 0; /* denormals depend on the mode of the thread */
        if (to == INC_F16 && (fabsf(x[i]) < 1e-4f || fabsf(x[i]) > 6e4f)) x[i] = noise(i);
      }
      k->cast(INC_F32, to, SIZE - 3, h, x);
      k->cast(to, INC_F32, SIZE - 3, back, h);
      for (int i = 0; i < SIZE - 3; i++) {
        uint16_t want = to == INC_BF16 ? inc_f32_to_bf16(x[i]) : inc_f32_to_f16(x[i]);
        if (isnan(x[i]) ? !isnan(back[i]) : h[i] != want)
          CHECK_FAIL("%s: %a: expected %04x, got %04x", k->isa, (double)x[i], want, h[i]);
      }
    }
}

TEST(sums_and_checks) {
  static float x[SIZE];
  EACH_SET(k)
  for (int n = 1; n < SIZE; n += n < 70 ? 1 : 977) {
    fill(INC_F32, x, SIZE, 0.1f);
    double s = 0, q = 0, top = -1e9;
    for (int i = 0; i < n; i++)
      s += (double)x[i], q += (double)x[i] * (double)x[i], top = fmax(top, (double)x[i]);
    CHECK_CLOSE(k->sum(INC_F32, n, x), s, 1e-6 * n);
    CHECK_CLOSE(k->sum_squares(INC_F32, n, x), q, 1e-6 * n * 4);
    CHECK(k->max(INC_F32, n, x) == (float)top);
    CHECK(k->finite(INC_F32, n, x));
    x[n - 1] = INFINITY;
    CHECK(!k->finite(INC_F32, n, x));
    x[n - 1] = NAN;
    CHECK(!k->finite(INC_F32, n, x));
    CHECK(isnan(k->max(INC_F32, n, x)));
  }
}

TEST(transposes) {
  EACH_SET(k)
  for (int size = 1; size <= 8; size *= 2) {
    uint8_t x[8 * 19 * 40], y[8 * 33 * 50];
    for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)(i * 31);
    memset(y, 0xee, sizeof y);
    k->transpose(19, 33, size, y, 50, x, 40);
    for (int r = 0; r < 19; r++)
      for (int c = 0; c < 33; c++)
        CHECK(!memcmp(y + (c * 50 + r) * size, x + (r * 40 + c) * size, (size_t)size));
    for (int c = 0; c < 33; c++) CHECK(y[(c * 50 + 19) * size] == 0xee);
  }
}

TEST(max_pool_takes_nan_and_the_first_of_equals) {
  EACH_SET(k) {
    float x[9 * 3], y[3];
    uint8_t index[3];
    for (int i = 0; i < 27; i++) x[i] = 1;
    x[4 * 3 + 1] = NAN, x[7 * 3 + 2] = 5;
    k_pool p = {.n = 1,
                .h = 3,
                .w = 3,
                .c = 3,
                .oh = 1,
                .ow = 1,
                .kh = 3,
                .kw = 3,
                .sh = 1,
                .sw = 1,
                .x = {x, 3, INC_F32},
                .y = {y, 3, INC_F32},
                .index = index,
                .index_size = 1};
    k->max_pool(&p);
    CHECK(y[0] == 1 && isnan(y[1]) && y[2] == 5);
    CHECK(index[0] == 0 && index[1] == 4 && index[2] == 7);
  }
}

TEST(max_pool_without_an_index_gives_the_same) {
  enum { H = 7, C = 75, OUT = 4 };
  static const uint16_t odd[] = {0x7f80, 0xff80, 0x7fc0, 0xffc0, 0x8000, 0x0000, 0xff81, 0x7fff};
  EACH_SET(k)
  for (int dt = INC_F32; dt <= INC_BF16; dt++) {
    static float x[H * H * C], y[OUT * OUT * C], z[OUT * OUT * C];
    static uint8_t index[OUT * OUT * C];
    uint16_t *xh = (uint16_t *)x, *yh = (uint16_t *)y, *zh = (uint16_t *)z;
    for (int i = 0; i < H * H * C; i++) {
      bool strange = i % 41 == 0;
      uint32_t bits = (uint32_t)odd[i / 41 % 8] << 16;
      float v = noise(i) - 0.4f;
      if (dt == INC_F32 && strange) memcpy(&v, &bits, 4);
      if (dt == INC_F32)
        x[i] = v;
      else
        memcpy(&bits, &v, 4), xh[i] = strange ? odd[i / 41 % 8] : (uint16_t)(bits >> 16);
    }
    k_pool p = {.n = 1,
                .h = H,
                .w = H,
                .c = C,
                .oh = OUT,
                .ow = OUT,
                .kh = 3,
                .kw = 3,
                .sh = 2,
                .sw = 2,
                .ph = 1,
                .pw = 1,
                .x = {x, C, dt},
                .y = {y, C, dt},
                .index = index,
                .index_size = 1};
    k->max_pool(&p);
    p.y.p = z, p.index = NULL;
    k->max_pool(&p);
    int nans = 0;
    for (int i = 0; i < OUT * OUT * C; i++) {
      uint32_t a = (uint32_t)yh[dt == INC_F32 ? 2 * i + 1 : i] << 16,
               b = (uint32_t)zh[dt == INC_F32 ? 2 * i + 1 : i] << 16;
      float u = y[i], v = z[i];
      if (dt == INC_BF16) memcpy(&u, &a, 4), memcpy(&v, &b, 4);
      nans += isnan(u);
      CHECK(isnan(u) ? isnan(v) : u == v);
    }
    CHECK(nans > 10 && nans < OUT * OUT * C / 2);
  }
}

TEST(cross_entropy_of_large_logits) {
  EACH_SET(k) {
    float x[37], loss;
    int64_t target = 30, bad = 38;
    k_rows r = {x, 37, INC_F32};
    for (int i = 0; i < 37; i++) x[i] = noise(i) * 200 + 1e4f;
    double s = 0, z = 0;
    for (int i = 0; i < 37; i++) s += exp((double)(x[i] - x[29])), z += (double)(x[i] - x[29]);
    k->cross_entropy(1, 37, &r, &target, 0.1f, &loss);
    CHECK_CLOSE(loss / (log(s) - 0.1 / 37 * z), 1, 1e-5);
    k->cross_entropy(1, 37, &r, &bad, 0.1f, &loss);
    CHECK(isnan(loss));
  }
}

/* -- every set against plain
 * ------------------------------------------------------------------------------------ */
static void updates(const inc_kernels *k, float *p, float *m, float *v, const float *g, int n) {
  k_sgd s = {0.1f, 0.9f, 1e-3f, 0.5f, true};
  k_rmsprop r = {0.1f, 0.9f, 1.0f, 1e-3f, 0.9f, 1, true};
  k_adam a = {.lr = 0.1f,
              .beta1 = 0.9f,
              .beta2 = 0.99f,
              .eps = 1e-8f,
              .gscale = 1,
              .correct1 = 0.1,
              .correct2 = 0.01};
  k->sgd(&s, n, p, g, m);
  k->rmsprop(&r, n, p, g, v, m);
  k->adam(&a, n, p, g, m, v);
  k->lerp(n, p, g, 0.25f);
}

TEST(updates_agree_with_plain) {
  const inc_kernels *plain = inc_kernels_named("plain");
  EACH_SET(k)
  for (int n = 1; n < 60; n++) {
    float a[3][64], b[3][64], g[64];
    for (int i = 0; i < 64; i++) {
      g[i] = noise(i * 5);
      for (int j = 0; j < 3; j++) a[j][i] = b[j][i] = j == 2 ? 1 : noise(i + 64 * j);
    }
    updates(plain, a[0], a[1], a[2], g, n);
    updates(k, b[0], b[1], b[2], g, n);
    for (int j = 0; j < 3; j++)
      for (int i = 0; i < 64; i++) CHECK_CLOSE(b[j][i], a[j][i], 2e-6);
  }
}
