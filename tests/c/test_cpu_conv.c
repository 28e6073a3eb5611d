/* test_cpu_conv.c -- the oneDNN wrapper against six nested loops in f64: directions, layouts, groups,
** dilation, uneven padding, channel slices, bf16, Winograd, kept weights. */
#include "base/mem.h"
#include "base/tensor.h"
#include "check.h"
#include "cpu/dnn.h"
#include <stdlib.h>

typedef struct problem {
  int64_t n, ci, h, w, co, kh, kw, groups;
  dnn_conv_geometry g;
  int64_t oh, ow;
  double *x, *k, *y, *dx, *dk, *dy; /* row-major, f64 */
} problem;

static double noise(int64_t i) { return (double)((i * 2654435761u >> 7) & 255) / 128 - 1; }

static double *numbers(int64_t n, int salt) {
  double *p = malloc(sizeof(double) * (size_t)n);
  for (int64_t i = 0; i < n; i++) p[i] = noise(i * 7 + salt * 1013);
  return p;
}

/* What every tap does, in all three directions at once. */
static void loops(problem *p) {
  int64_t cg = p->ci / p->groups, og = p->co / p->groups;
  for (int64_t n = 0; n < p->n; n++)
    for (int64_t o = 0; o < p->co; o++)
      for (int64_t i = 0; i < p->oh; i++)
        for (int64_t j = 0; j < p->ow; j++)
          for (int64_t c = 0; c < cg; c++)
            for (int64_t a = 0; a < p->kh; a++)
              for (int64_t b = 0; b < p->kw; b++) {
                int64_t r = i * p->g.stride[0] - p->g.pad_lo[0] + a * p->g.dilation[0];
                int64_t s = j * p->g.stride[1] - p->g.pad_lo[1] + b * p->g.dilation[1];
                if (r < 0 || s < 0 || r >= p->h || s >= p->w) continue;
                int64_t xi = ((n * p->ci + o / og * cg + c) * p->h + r) * p->w + s;
                int64_t ki = ((o * cg + c) * p->kh + a) * p->kw + b;
                int64_t yi = ((n * p->co + o) * p->oh + i) * p->ow + j;
                p->y[yi] += p->x[xi] * p->k[ki];
                p->dx[xi] += p->dy[yi] * p->k[ki];
                p->dk[ki] += p->dy[yi] * p->x[xi];
              }
}

static problem make(int64_t n, int64_t ci, int64_t h, int64_t w, int64_t co, int64_t kh, int64_t kw,
                    int64_t groups, dnn_conv_geometry g) {
  problem p = {n, ci, h, w, co, kh, kw, groups, g, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL};
  p.oh = (h + g.pad_lo[0] + g.pad_hi[0] - g.dilation[0] * (kh - 1) - 1) / g.stride[0] + 1;
  p.ow = (w + g.pad_lo[1] + g.pad_hi[1] - g.dilation[1] * (kw - 1) - 1) / g.stride[1] + 1;
  int64_t nx = n * ci * h * w, nk = co * ci / groups * kh * kw, ny = n * co * p.oh * p.ow;
  p.x = numbers(nx, 1), p.k = numbers(nk, 2), p.dy = numbers(ny, 3);
  p.y = calloc((size_t)ny, sizeof(double)), p.dx = calloc((size_t)nx, sizeof(double));
  p.dk = calloc((size_t)nk, sizeof(double));
  loops(&p);
  return p;
}

static void drop(problem *p) {
  double *all[] = {p->x, p->k, p->y, p->dx, p->dk, p->dy};
  for (int i = 0; i < 6; i++) free(all[i]);
}

/* layout: 'c' contiguous, 'l' channels-last, 's' a channel slice of a wider channels-last tensor */
static inc_spec spec4(int dtype, int64_t a, int64_t b, int64_t c, int64_t d, char layout) {
  inc_spec s = inc_spec_new(dtype, 4, (int64_t[]){a, b, c, d});
  if (layout == 'c') return s;
  if (layout == 's') s.shape[1] += 24;
  inc_spec_channels_last(&s);
  s.shape[1] = b;
  return s;
}

static void *fill(const inc_spec *s, const double *from) {
  int64_t span = inc_spec_span(s), k = 0;
  void *p = inc_zalloc((size_t)span * inc_dtype_size(s->dtype));
  for (int64_t a = 0; from && a < s->shape[0]; a++)
    for (int64_t b = 0; b < s->shape[1]; b++)
      for (int64_t c = 0; c < s->shape[2]; c++)
        for (int64_t d = 0; d < s->shape[3]; d++)
          inc_store(p, s->dtype,
                    a * s->strides[0] + b * s->strides[1] + c * s->strides[2] + d * s->strides[3], from[k++]);
  return p;
}

/* Largest difference over the largest value. */
static double worst(const inc_spec *s, const void *p, const double *want) {
  double bad = 0, top = 1e-30;
  int64_t k = 0;
  for (int64_t a = 0; a < s->shape[0]; a++)
    for (int64_t b = 0; b < s->shape[1]; b++)
      for (int64_t c = 0; c < s->shape[2]; c++)
        for (int64_t d = 0; d < s->shape[3]; d++, k++) {
          double v = inc_load(p, s->dtype,
                              a * s->strides[0] + b * s->strides[1] + c * s->strides[2] + d * s->strides[3]);
          bad = fmax(bad, fabs(v - want[k]));
          top = fmax(top, fabs(want[k]));
        }
  return bad / top;
}

static size_t most_workspace; /* of the convolutions to come */
static bool free_layout;

static void one(const problem *p, dnn_dir dir, int dtype, int wtype, char lx, char ly, double tol) {
  dnn_conv_desc d = {.dir = dir, .geometry = p->g, .groups = p->groups, .most_workspace = most_workspace};
  d.free_layout = free_layout;
  d.x = spec4(dtype, p->n, p->ci, p->h, p->w, lx);
  d.y = spec4(dtype, p->n, p->co, p->oh, p->ow, ly);
  d.w = spec4(dir == DNN_BACKWARD_WEIGHT ? INC_F32 : wtype, p->co, p->ci / p->groups, p->kh, p->kw, 'c');
  dnn_conv c;
  if (dnn_conv_init(&c, &d) || dnn_conv_build(&c))
    CHECK_FAIL("dir %d %c%c: %s", dir, lx, ly, inc_error_last()->text);
  void *x = fill(&d.x, dir == DNN_BACKWARD_DATA ? NULL : p->x),
       *w = fill(&d.w, dir == DNN_BACKWARD_WEIGHT ? NULL : p->k);
  void *y = fill(&d.y, dir == DNN_FORWARD ? NULL : p->dy), *ws = inc_alloc(c.workspace + 64);
  CHECK_EQ(dnn_conv_run(&c, x, w, y, NULL, ws, false), INC_OK);
  double e = dir == DNN_FORWARD         ? worst(&d.y, y, p->y)
             : dir == DNN_BACKWARD_DATA ? worst(&d.x, x, p->dx)
                                        : worst(&d.w, w, p->dk);
  if (!(e < tol)) CHECK_FAIL("dir %d %c%c %s: off by %g", dir, lx, ly, c.impl, e);
  if (c.reference && p->groups == 1) CHECK_FAIL("dir %d %c%c: reference kernel %s", dir, lx, ly, c.impl);
  dnn_conv_free(&c);
  inc_free(x), inc_free(w), inc_free(y), inc_free(ws);
}

/* Does the library take bf16 on this CPU? */
static bool has_bf16(void) {
  inc_spec a = inc_spec_new(INC_BF16, 2, (int64_t[]){16, 16});
  dnn_matmul m;
  if (dnn_matmul_init(&m, &a, &a, NULL, &a)) return inc_error_clear(), false;
  dnn_matmul_free(&m);
  return true;
}

static void all(problem p, bool bf16) {
  bf16 = bf16 && has_bf16();
  for (int dir = DNN_FORWARD; dir <= DNN_BACKWARD_WEIGHT; dir++)
    for (const char *l = "cllccsslss"; *l; l += 2) {
      one(&p, (dnn_dir)dir, INC_F32, INC_F32, l[0], l[1], 2e-6);
      if (!bf16) continue;
      one(&p, (dnn_dir)dir, INC_BF16, INC_BF16, l[0], l[1], 1e-2);
      one(&p, (dnn_dir)dir, INC_BF16, INC_F32, l[0], l[1], 1e-2);
    }
  drop(&p);
}

static const dnn_conv_geometry plain = {.stride = {1, 1}, .dilation = {1, 1}};

TEST(three_by_three) {
  dnn_conv_geometry g = plain;
  g.pad_lo[0] = g.pad_lo[1] = g.pad_hi[0] = g.pad_hi[1] = 1;
  all(make(2, 32, 9, 7, 48, 3, 3, 1, g), true);
}
TEST(one_by_one) { all(make(3, 48, 5, 6, 32, 1, 1, 1, plain), true); }
TEST(odd_channels) { all(make(2, 3, 8, 8, 5, 3, 3, 1, plain), true); }
TEST(one_channel) { all(make(2, 1, 12, 12, 6, 5, 5, 1, plain), true); }
TEST(strided_uneven_padding) {
  dnn_conv_geometry g = {.stride = {2, 2}, .dilation = {1, 1}, .pad_lo = {0, 1}, .pad_hi = {1, 2}};
  all(make(2, 16, 9, 8, 32, 3, 3, 1, g), true);
}
TEST(one_by_seven) {
  dnn_conv_geometry g = {.stride = {1, 1}, .dilation = {1, 1}, .pad_lo = {0, 3}, .pad_hi = {0, 3}};
  all(make(2, 32, 6, 9, 32, 1, 7, 1, g), true);
}
TEST(dilated) {
  dnn_conv_geometry g = {.stride = {1, 1}, .dilation = {2, 2}, .pad_lo = {2, 2}, .pad_hi = {2, 2}};
  all(make(2, 16, 9, 9, 16, 3, 3, 1, g), true);
}
TEST(grouped) {
  dnn_conv_geometry g = plain;
  g.pad_lo[0] = g.pad_lo[1] = g.pad_hi[0] = g.pad_hi[1] = 1;
  all(make(2, 32, 6, 6, 64, 3, 3, 2, g), false);
  all(make(2, 32, 6, 6, 32, 3, 3, 32, g), false);
}
TEST(single_picture_single_pixel) { all(make(1, 16, 1, 1, 16, 1, 1, 1, plain), true); }

TEST(winograd) {
  dnn_conv_geometry g = plain;
  g.pad_lo[0] = g.pad_lo[1] = g.pad_hi[0] = g.pad_hi[1] = 1;
  g.winograd = true;
  problem p = make(2, 32, 12, 12, 32, 3, 3, 1, g);
  dnn_conv_desc d = {.dir = DNN_FORWARD, .geometry = g, .groups = 1};
  d.x = spec4(INC_F32, 2, 32, 12, 12, 'l'), d.y = d.x, d.w = spec4(INC_F32, 32, 32, 3, 3, 'c');
  dnn_conv c;
  if (dnn_conv_init(&c, &d)) {
    inc_error_clear();
    drop(&p);
    SKIP("this oneDNN has no Winograd");
  }
  dnn_conv_free(&c);
  for (int dir = DNN_FORWARD; dir <= DNN_BACKWARD_WEIGHT; dir++)
    one(&p, (dnn_dir)dir, INC_F32, INC_F32, 'l', 'l', 1e-4);
  if (has_bf16()) /* f32 arithmetic between bf16 tensors: only their rounding is left */
    for (int dir = DNN_FORWARD; dir <= DNN_BACKWARD_WEIGHT; dir++) {
      one(&p, (dnn_dir)dir, INC_BF16, INC_F32, 'l', 'l', 5e-3);
      one(&p, (dnn_dir)dir, INC_BF16, INC_BF16, 'l', 'l', 5e-3);
    }
  drop(&p);
}

TEST(layouts_of_the_library) {
  dnn_conv_geometry g = {.stride = {1, 1}, .dilation = {1, 1}, .pad_lo = {3, 0}, .pad_hi = {3, 0}};
  free_layout = true;
  all(make(2, 32, 9, 6, 48, 7, 1, 1, g), true);
  free_layout = false;
}

TEST(a_batch_in_parts) {
  dnn_conv_geometry g = plain;
  most_workspace = 1;
  all(make(24, 16, 6, 7, 16, 3, 3, 1, g), false);
  all(make(17, 16, 5, 5, 16, 1, 1, 1, g), false);
  most_workspace = 0;
}

TEST(bias_relu_and_kept_weights) {
  problem p = make(2, 32, 6, 6, 32, 3, 3, 1, plain);
  dnn_conv_desc d = {.dir = DNN_FORWARD, .geometry = p.g, .groups = 1, .relu = true};
  d.x = spec4(INC_F32, 2, 32, 6, 6, 'l'), d.y = spec4(INC_F32, 2, 32, 4, 4, 'l');
  d.w = spec4(INC_F32, 32, 32, 3, 3, 'c'), d.bias = inc_spec_new(INC_F32, 1, (int64_t[]){32});
  double *b = numbers(32, 9);
  float bias[32];
  for (int64_t i = 0; i < 2 * 32 * 16; i++) p.y[i] = fmax(0, p.y[i] + b[i / 16 % 32]);
  for (int i = 0; i < 32; i++) bias[i] = (float)b[i];
  dnn_conv c;
  CHECK_EQ(dnn_conv_init(&c, &d), INC_OK);
  CHECK_EQ(dnn_conv_build(&c), INC_OK);
  CHECK_EQ(dnn_conv_keep(&c), INC_OK);
  void *x = fill(&d.x, p.x), *w = fill(&d.w, p.k), *y = fill(&d.y, NULL), *ws = inc_alloc(c.workspace + 64);
  CHECK_EQ(dnn_conv_run(&c, x, w, y, bias, ws, false), INC_OK);
  memset(w, 0, inc_spec_bytes(&d.w)); /* the kept copy serves */
  CHECK_EQ(dnn_conv_run(&c, x, w, y, bias, ws, true), INC_OK);
  CHECK(worst(&d.y, y, p.y) < 2e-6);
  CHECK_EQ(dnn_conv_run(&c, x, w, y, bias, ws, false), INC_OK);
  CHECK(worst(&d.y, y, p.y) > 0.1);
  dnn_conv_free(&c);
  inc_free(x), inc_free(w), inc_free(y), inc_free(ws), free(b);
  drop(&p);
}

/* Rows of A [m, k] times B [k, n], any of them stored transposed. */
static void product(int64_t m, int64_t k, int64_t n, bool ta, bool tb, int dtype, int out, double tol) {
  double *a = numbers(m * k, 4), *b = numbers(k * n, 5);
  inc_spec sa = inc_spec_new(dtype, 2, (int64_t[]){m, k}), sb = inc_spec_new(dtype, 2, (int64_t[]){k, n});
  inc_spec sc = inc_spec_new(out, 2, (int64_t[]){m, n});
  if (ta) sa.strides[0] = 1, sa.strides[1] = m;
  if (tb) sb.strides[0] = 1, sb.strides[1] = k;
  void *pa = inc_alloc((size_t)(m * k * 4)), *pb = inc_alloc((size_t)(k * n * 4)),
       *pc = inc_alloc((size_t)(m * n * 4));
  for (int64_t i = 0; i < m * k; i++)
    inc_store(pa, dtype, i / k * sa.strides[0] + i % k * sa.strides[1], a[i]);
  for (int64_t i = 0; i < k * n; i++)
    inc_store(pb, dtype, i / n * sb.strides[0] + i % n * sb.strides[1], b[i]);
  dnn_matmul mm;
  CHECK_EQ(dnn_matmul_init(&mm, &sa, &sb, NULL, &sc), INC_OK);
  CHECK_EQ(dnn_matmul_build(&mm), INC_OK);
  void *ws = inc_alloc(mm.workspace + 64);
  CHECK_EQ(dnn_matmul_run(&mm, pa, pb, NULL, pc, ws), INC_OK);
  double bad = 0;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double s = 0;
      for (int64_t t = 0; t < k; t++) s += a[i * k + t] * b[t * n + j];
      bad = fmax(bad, fabs(s - inc_load(pc, out, i * n + j)) / (double)k);
    }
  if (!(bad < tol)) CHECK_FAIL("%s %d%d: off by %g", mm.impl, ta, tb, bad);
  if (mm.reference) CHECK_FAIL("reference kernel for %d%d", ta, tb);
  dnn_matmul_free(&mm);
  inc_free(pa), inc_free(pb), inc_free(pc), inc_free(ws), free(a), free(b);
}

TEST(matmul) {
  for (int t = 0; t < 4; t++) {
    product(17, 33, 29, t & 1, t & 2, INC_F32, INC_F32, 1e-6);
    if (!has_bf16()) continue;
    product(17, 34, 30, t & 1, t & 2, INC_BF16, INC_F32, 1e-2);
    product(16, 32, 48, t & 1, t & 2, INC_BF16, INC_BF16, 1e-2);
  }
}
