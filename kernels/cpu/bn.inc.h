/* bn.inc.h -- batch norm (+ ReLU) over rows, forward and backward.
**
** Each direction is two passes over memory and no more: forward reads x twice and writes y once; backward
** reads dy and x twice and writes dx once.  The ReLU mask is computed again from x rather than stored.
**
** Accuracy: sums are taken of x - k, k the mean of the first rows, which removes a channel's offset, in f32
** over FLUSH rows and in f64 above that; the variance then agrees with a two-pass f64 one to about 1e-7.
** Welford's update was rejected: it divides at every row.  Eight rows are read together so that each
** accumulator is loaded once for eight elements while memory is still walked in order. */

enum { BN_PAR = 1 << 14, BN_SHIFT = 16 }; /* elements worth a parallel region; rows behind the shift */

/* a1 += sum(x - k), a2 += sum((x - k)^2) over up to eight rows of W channels. */
AI void stats_cols(const char *x, int dt, int64_t ld, int rows, int64_t c, int n, const float *k, float *a1,
                   float *a2) {
  vf shift = ldf(k + c, n), s0 = vset(0), s1 = s0, q0 = s0, q1 = s0;
  for (int r = 0; r + 2 <= rows; r += 2) {
    vf u = ldv(x, dt, r * ld + c, n) - shift, v = ldv(x, dt, (r + 1) * ld + c, n) - shift;
    s0 += u, s1 += v;
    q0 += u * u, q1 += v * v;
  }
  if (rows & 1) {
    vf u = ldv(x, dt, (rows - 1) * ld + c, n) - shift;
    s0 += u, q0 += u * u;
  }
  stf(a1 + c, ldf(a1 + c, n) + (s0 + s1), n);
  stf(a2 + c, ldf(a2 + c, n) + (q0 + q1), n);
}

/* A strip of up to eight rows, `c` channels. */
AI void stats_strip(const char *x, int dt, int64_t ld, int rows, int64_t c, const float *k, float *a1,
                    float *a2) {
  int64_t j = 0;
  if (rows == 8)
    for (; j + W <= c; j += W) stats_cols(x, dt, ld, 8, j, W, k, a1, a2);
  else if (rows == 2)
    for (; j + W <= c; j += W) stats_cols(x, dt, ld, 2, j, W, k, a1, a2);
  else
    for (; j + W <= c; j += W) stats_cols(x, dt, ld, rows, j, W, k, a1, a2);
  if (j < c) stats_cols(x, dt, ld, rows, j, (int)(c - j), k, a1, a2);
}

/* Rows read side by side: many where they are short, so that sums stay in registers, few where they are long,
** so that memory is walked in order and the prefetcher keeps up (measured: twice the speed at 384 channels).
*/
static int strip_rows(int64_t c) { return c <= 64 ? 8 : 2; }

static void flush(int64_t c, float *a1, float *a2, double *d1, double *d2) {
  for (int64_t j = 0; j < c; j++) {
    d1[j] += (double)a1[j];
    d2[j] += (double)a2[j];
  }
  memset(a1, 0, sizeof(float) * (size_t)c);
  memset(a2, 0, sizeof(float) * (size_t)c);
}

/* Rows r0..r1 of c <= BN_TILE channels into d1, d2. */
AI void stats_block(const k_rows *x, int dt, int64_t c0, int64_t c, int64_t r0, int64_t r1, const float *k,
                    double *d1, double *d2) {
  float a1[BN_TILE] = {0}, a2[BN_TILE] = {0};
  size_t size = dt == INC_BF16 ? 2 : 4;
  for (int64_t j = 0; j < c; j++) d1[j] = d2[j] = 0;
  int strip = strip_rows(c);
  for (int64_t r = r0; r < r1; r += strip) {
    int m = (int)(r1 - r < strip ? r1 - r : strip);
    stats_strip((const char *)x->p + (size_t)(r * x->ld + c0) * size, dt, x->ld, m, c, k, a1, a2);
    if ((r - r0) % BN_FLUSH == BN_FLUSH - strip) flush(c, a1, a2, d1, d2);
  }
  flush(c, a1, a2, d1, d2);
}

/* Run `fn` on every block of rows and tile of channels. */
typedef void bn_task(const k_bn *b, int block, int64_t c0, int64_t c, int64_t r0, int64_t r1);

static void bn_each(const k_bn *b, bn_task *fn) {
  int nb = bn_blocks(b->rows);
#pragma omp parallel for schedule(static) if (b->rows * b->c > BN_PAR)
  for (int i = 0; i < nb; i++)
    for (int64_t c0 = 0; c0 < b->c; c0 += BN_TILE)
      fn(b, i, c0, b->c - c0 < BN_TILE ? b->c - c0 : BN_TILE, b->rows * i / nb, b->rows * (i + 1) / nb);
}

/* The two rows of partial sums of a block: f64 [blocks, 2, C]. */
static double *bn_part(const k_bn *b, int block, int which) {
  return (double *)b->scratch + (2 * block + which) * b->c;
}

/* Behind the partial sums: f32 vectors [5, C]. */
static float *bn_vectors(const k_bn *b) { return (float *)bn_part(b, bn_blocks(b->rows), 0); }

static void bn_total(const k_bn *b, int64_t j, double *s, double *q) {
  *s = *q = 0;
  for (int i = 0, nb = bn_blocks(b->rows); i < nb; i++) *s += bn_part(b, i, 0)[j], *q += bn_part(b, i, 1)[j];
}

static void stats_task(const k_bn *b, int i, int64_t c0, int64_t c, int64_t r0, int64_t r1) {
  double *d1 = bn_part(b, i, 0) + c0, *d2 = bn_part(b, i, 1) + c0;
  if (b->x.dt == INC_BF16)
    stats_block(&b->x, INC_BF16, c0, c, r0, r1, bn_vectors(b) + c0, d1, d2);
  else
    stats_block(&b->x, INC_F32, c0, c, r0, r1, bn_vectors(b) + c0, d1, d2);
}

/* The shift of each channel: the mean of the first rows, into the first vector. */
static const float *bn_shift(const k_bn *b) {
  float *k = bn_vectors(b);
  int64_t n = b->rows < BN_SHIFT ? b->rows : BN_SHIFT;
  for (int64_t j = 0; j < b->c; j++) {
    k[j] = 0;
    for (int64_t r = 0; r < n; r++) k[j] += ld1(b->x.p, b->x.dt, r * b->x.ld + j) / (float)n;
  }
  return k;
}

static void bn_stats(const k_bn *b) {
  const float *k = bn_shift(b);
  bn_each(b, stats_task);
  for (int64_t j = 0; j < b->c; j++) {
    double s, q, n = (double)b->rows;
    bn_total(b, j, &s, &q);
    double m = s / n, v = q / n - m * m;
    b->mean[j] = (float)(m + (double)k[j]);
    b->var[j] = (float)(v > 0 || v != v ? v : 0);
  }
}

static void sum_rows(int64_t rows, int64_t c, const k_rows *x, float *out, void *scratch) {
  k_bn b = {.rows = rows, .c = c, .x = *x, .scratch = scratch};
  const float *k = bn_shift(&b);
  bn_each(&b, stats_task);
  for (int64_t j = 0; j < c; j++) {
    double s, q;
    bn_total(&b, j, &s, &q);
    out[j] = (float)(s + (double)rows * (double)k[j]);
  }
}

/* y = (x - mean) * a + beta with a = gamma / sqrt(var + eps): three vectors,
** worked out once a call (by each task they would cost a fifth of the pass). */
typedef struct bn_line {
  const float *mean, *a, *beta;
} bn_line;

static void bn_line_fill(const k_bn *b) {
  float *mean = bn_vectors(b), *a = mean + b->c, *beta = a + b->c;
  for (int64_t j = 0; j < b->c; j++) {
    mean[j] = b->mean[j];
    a[j] = (float)((b->gamma ? (double)b->gamma[j] : 1) / sqrt((double)b->var[j] + (double)b->eps));
    beta[j] = b->beta ? b->beta[j] : 0;
  }
}

static bn_line bn_line_at(const k_bn *b, int64_t c0) {
  const float *v = bn_vectors(b) + c0;
  return (bn_line){v, v + b->c, v + 2 * b->c};
}

AI vf bn_value(const bn_line *l, vf x, int64_t j, int n) {
  return (x - ldf(l->mean + j, n)) * ldf(l->a + j, n) + ldf(l->beta + j, n);
}

AI void apply_row(const bn_line *l, const void *x, int64_t xo, int xt, void *y, int64_t yo, int yt, bool relu,
                  int64_t c) {
  int64_t j = 0;
  for (; j + W <= c; j += W) {
    vf v = bn_value(l, ldv(x, xt, xo + j, W), j, W);
    stv(y, yt, yo + j, relu ? vrelu(v) : v, W);
  }
  if (j < c) {
    int n = (int)(c - j);
    vf v = bn_value(l, ldv(x, xt, xo + j, n), j, n);
    stv(y, yt, yo + j, relu ? vrelu(v) : v, n);
  }
}

AI void apply_block(const k_bn *b, const bn_line *l, int xt, int yt, bool relu, int64_t c0, int64_t c,
                    int64_t r0, int64_t r1) {
  for (int64_t r = r0; r < r1; r++)
    apply_row(l, b->x.p, r * b->x.ld + c0, xt, b->y.p, r * b->y.ld + c0, yt, relu, c);
}

static void apply_task(const k_bn *b, int i, int64_t c0, int64_t c, int64_t r0, int64_t r1) {
  (void)i;
  bn_line l = bn_line_at(b, c0);
  switch ((b->x.dt == INC_BF16 ? 4 : 0) + (b->y.dt == INC_BF16 ? 2 : 0) + b->relu) {
  case 0:
    apply_block(b, &l, INC_F32, INC_F32, false, c0, c, r0, r1);
    break;
  case 1:
    apply_block(b, &l, INC_F32, INC_F32, true, c0, c, r0, r1);
    break;
  case 2:
    apply_block(b, &l, INC_F32, INC_BF16, false, c0, c, r0, r1);
    break;
  case 3:
    apply_block(b, &l, INC_F32, INC_BF16, true, c0, c, r0, r1);
    break;
  case 4:
    apply_block(b, &l, INC_BF16, INC_F32, false, c0, c, r0, r1);
    break;
  case 5:
    apply_block(b, &l, INC_BF16, INC_F32, true, c0, c, r0, r1);
    break;
  case 6:
    apply_block(b, &l, INC_BF16, INC_BF16, false, c0, c, r0, r1);
    break;
  default:
    apply_block(b, &l, INC_BF16, INC_BF16, true, c0, c, r0, r1);
  }
}

static void bn_apply(const k_bn *b) {
  bn_line_fill(b);
  bn_each(b, apply_task);
}
