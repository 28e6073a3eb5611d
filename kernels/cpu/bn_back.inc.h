/* bn_back.inc.h -- batch norm backward: the second half of bn.inc.h.
**
** With g = dy where the ReLU let y through and u = x - mean:
**   dbeta = sum g,  dgamma = inv * sum g u,  dx = gamma inv (g - sum g / N - u inv^2 sum(g u) / N)
** The sums are pass one; pass two is one multiply-add per term with per-channel coefficients.  With fixed
** statistics (evaluation) the two correction terms vanish. */

/* Ask for a row of dy some rows ahead when it is a channel slice: the hardware does not foresee strides with
** gaps (measured: slices at a third of the speed of dense rows).  Dense rows, and slices written, gain
** nothing. */
enum { BN_AHEAD = 12 };
AI void dy_ahead(const k_bn *b, int64_t row, int64_t c0, int64_t c) {
  if (b->dy.ld == b->c) return;
  int64_t size = b->dy.dt == INC_BF16 ? 2 : 4;
  const char *p = (const char *)b->dy.p + ((row + BN_AHEAD) * b->dy.ld + c0) * size;
  for (int64_t i = 0; i < c * size; i += 64) __builtin_prefetch(p + i);
}

/* The gradient behind the ReLU, for W channels of one row. */
AI vf bn_dy(const bn_line *l, const void *dy, int dt, int64_t at, vf x, bool relu, int64_t j, int n) {
  vf d = ldv(dy, dt, at, n);
  return relu ? vsel_gt0(bn_value(l, x, j, n), d) : d;
}

/* a1 += sum dy, a2 += sum dy (x - mean) over up to eight rows of W channels. */
AI void back_cols(const bn_line *l, const char *x, int64_t xld, const char *dy, int64_t dld, int dt,
                  bool relu, int rows, int64_t j, int n, float *a1, float *a2) {
  vf mean = ldf(l->mean + j, n), s0 = vset(0), s1 = s0, q0 = s0, q1 = s0;
  for (int r = 0; r + 2 <= rows; r += 2) {
    vf u = ldv(x, dt, r * xld + j, n), v = ldv(x, dt, (r + 1) * xld + j, n);
    vf e = bn_dy(l, dy, dt, r * dld + j, u, relu, j, n),
       f = bn_dy(l, dy, dt, (r + 1) * dld + j, v, relu, j, n);
    s0 += e, s1 += f;
    q0 += e * (u - mean), q1 += f * (v - mean);
  }
  if (rows & 1) {
    vf u = ldv(x, dt, (rows - 1) * xld + j, n), e = bn_dy(l, dy, dt, (rows - 1) * dld + j, u, relu, j, n);
    s0 += e, q0 += e * (u - mean);
  }
  stf(a1 + j, ldf(a1 + j, n) + (s0 + s1), n);
  stf(a2 + j, ldf(a2 + j, n) + (q0 + q1), n);
}

AI void back_sums(const k_bn *b, const bn_line *l, int dt, bool relu, int64_t c0, int64_t c, int64_t r0,
                  int64_t r1, double *d1, double *d2) {
  float a1[BN_TILE] = {0}, a2[BN_TILE] = {0};
  size_t size = dt == INC_BF16 ? 2 : 4;
  for (int64_t j = 0; j < c; j++) d1[j] = d2[j] = 0;
  int strip = strip_rows(c);
  for (int64_t r = r0; r < r1; r += strip) {
    int m = (int)(r1 - r < strip ? r1 - r : strip);
    for (int i = 0; i < m; i++) dy_ahead(b, r + i, c0, c);
    const char *x = (const char *)b->x.p + (size_t)(r * b->x.ld + c0) * size;
    const char *dy = (const char *)b->dy.p + (size_t)(r * b->dy.ld + c0) * size;
    int64_t j = 0;
    if (m == 8)
      for (; j + W <= c; j += W) back_cols(l, x, b->x.ld, dy, b->dy.ld, dt, relu, 8, j, W, a1, a2);
    else if (m == 2)
      for (; j + W <= c; j += W) back_cols(l, x, b->x.ld, dy, b->dy.ld, dt, relu, 2, j, W, a1, a2);
    else
      for (; j + W <= c; j += W) back_cols(l, x, b->x.ld, dy, b->dy.ld, dt, relu, m, j, W, a1, a2);
    if (j < c) back_cols(l, x, b->x.ld, dy, b->dy.ld, dt, relu, m, j, (int)(c - j), a1, a2);
    if ((r - r0) % BN_FLUSH == BN_FLUSH - strip) flush(c, a1, a2, d1, d2);
  }
  flush(c, a1, a2, d1, d2);
}

/* dx = a * dy + k1 * (x - mean) + k0. */
AI void back_row(const bn_line *l, const float *k0, const float *k1, const k_bn *b, int dt, bool relu,
                 int64_t r, int64_t c0, int64_t j, int n) {
  vf x = ldv(b->x.p, dt, r * b->x.ld + c0 + j, n);
  vf d = bn_dy(l, b->dy.p, dt, r * b->dy.ld + c0 + j, x, relu, j, n);
  vf v = d * ldf(l->a + j, n) + ((x - ldf(l->mean + j, n)) * ldf(k1 + j, n) + ldf(k0 + j, n));
  stv(b->dx.p, dt, r * b->dx.ld + c0 + j, v, n);
}

AI void back_block(const bn_line *l, const float *k0, const float *k1, const k_bn *b, int dt, bool relu,
                   int64_t c0, int64_t c, int64_t r0, int64_t r1) {
  for (int64_t r = r0; r < r1; r++) {
    int64_t j = 0;
    dy_ahead(b, r, c0, c);
    for (; j + W <= c; j += W) back_row(l, k0, k1, b, dt, relu, r, c0, j, W);
    if (j < c) back_row(l, k0, k1, b, dt, relu, r, c0, j, (int)(c - j));
  }
}

static void back_sums_task(const k_bn *b, int i, int64_t c0, int64_t c, int64_t r0, int64_t r1) {
  double *d1 = bn_part(b, i, 0) + c0, *d2 = bn_part(b, i, 1) + c0;
  bn_line l = bn_line_at(b, c0);
  switch ((b->x.dt == INC_BF16 ? 2 : 0) + b->relu) {
  case 0:
    back_sums(b, &l, INC_F32, false, c0, c, r0, r1, d1, d2);
    break;
  case 1:
    back_sums(b, &l, INC_F32, true, c0, c, r0, r1, d1, d2);
    break;
  case 2:
    back_sums(b, &l, INC_BF16, false, c0, c, r0, r1, d1, d2);
    break;
  default:
    back_sums(b, &l, INC_BF16, true, c0, c, r0, r1, d1, d2);
  }
}

static float *bn_back_k(const k_bn *b) { return bn_vectors(b) + 3 * b->c; }

/* Totals over blocks -> dgamma, dbeta and the two coefficients k0, k1: f32 [2, C] behind the line. */
static void bn_back_totals(const k_bn *b, float *k) {
  int64_t c = b->c;
  for (int64_t j = 0; j < c; j++) {
    double s, q, n = (double)b->rows;
    bn_total(b, j, &s, &q);
    double inv = 1 / sqrt((double)b->var[j] + (double)b->eps), g = b->gamma ? (double)b->gamma[j] : 1;
    if (b->dgamma) b->dgamma[j] = (float)(q * inv);
    if (b->dbeta) b->dbeta[j] = (float)s;
    k[j] = b->fixed ? 0 : (float)(-g * inv * s / n);
    k[c + j] = b->fixed ? 0 : (float)(-g * inv * inv * inv * q / n);
  }
}

static void back_task(const k_bn *b, int i, int64_t c0, int64_t c, int64_t r0, int64_t r1) {
  (void)i;
  const float *k = bn_back_k(b) + c0;
  bn_line l = bn_line_at(b, c0);
  switch ((b->x.dt == INC_BF16 ? 2 : 0) + b->relu) {
  case 0:
    back_block(&l, k, k + b->c, b, INC_F32, false, c0, c, r0, r1);
    break;
  case 1:
    back_block(&l, k, k + b->c, b, INC_F32, true, c0, c, r0, r1);
    break;
  case 2:
    back_block(&l, k, k + b->c, b, INC_BF16, false, c0, c, r0, r1);
    break;
  default:
    back_block(&l, k, k + b->c, b, INC_BF16, true, c0, c, r0, r1);
  }
}

static void bn_backward(const k_bn *b) {
  bn_line_fill(b);
  bn_each(b, back_sums_task);
  bn_back_totals(b, bn_back_k(b));
  if (b->dx.p) bn_each(b, back_task);
}
