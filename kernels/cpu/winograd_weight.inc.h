/* winograd_weight.inc.h -- gradient of the weights in the Winograd domain: the forward algorithm
** y = A^T [(G g) . (B^T d)] (winograd.inc.h), differentiated with respect to g:
**
**     dg = G^T sum over tiles of (A dy) . (B^T d)
**
** For every point p of the domain U_p[C, K] += V_p[tiles, C]^T Z_p[tiles, K], with V = B^T d transformed pictures and
** Z = A dy transformed gradients; G^T once at the end.  As many products fewer as forward.
**
** The sums U are as large as the transformed weights and stay in memory between blocks of w->block tiles: each
** is read and written once a block, for 2 * block operations.  A block is first transformed by all threads, tile by
** tile, then multiplied by all threads, point by point and panel by panel.  Every number of U is thus summed in
** one order, and the bits do not depend on the number of threads.  Rejected: sums for each thread, added up at
** the end (the bits would depend on it, and U of a wide 3x3 kernel is 25 MB).
*/

/* z = A y: a values from m. */
AI void wino_spread(int a, int m, const float *at, const vf *y, int step, vf *z, int zstep) {
  z[0] = y[0];
#pragma GCC unroll 12
  for (int j = 1; j < a - 1; j += 2) {
    vf even = y[0], odd = y[step] * at[a + j];
#pragma GCC unroll 12
    for (int i = 2; i < m; i += 2) even += y[i * step] * at[i * a + j];
#pragma GCC unroll 12
    for (int i = 3; i < m; i += 2) odd += y[i * step] * at[i * a + j];
    z[j * zstep] = even + odd, z[(j + 1) * zstep] = even - odd;
  }
  z[(a - 1) * zstep] = y[(m - 1) * step];
}

/* One tile's gradient into row t of every Z_p, K padded with zeros to whole vectors. */
AI void wino_load_back(const k_wino *w, const wino_tile *p, float *z, int64_t plane, int a, int o,
                       bool square, int dt) {
  const float *at = w->shape->at;
  int outs = square ? o * o : o, n = square ? a * a : a;
  for (int64_t k = 0; k < w->k; k += W) {
    int lanes = w->k - k < W ? (int)(w->k - k) : W;
    vf d[WINO_MOST], e[WINO_MOST];
    for (int i = 0; i < outs; i++) d[i] = p->out[i] ? ldv(p->out[i], dt, k, lanes) : vset(0);
    if (square) {
      for (int i = 0; i < o; i++) wino_spread(a, o, at, d + i * o, 1, e + i * a, 1);
      for (int i = 0; i < a; i++) wino_spread(a, o, at, e + i, a, d + i, a);
    } else {
      for (int i = 0; i < outs; i++) e[i] = d[i];
      wino_spread(a, o, at, e, 1, d, 1);
    }
    for (int i = 0; i < n; i++) stf(z + i * plane + k, d[i], W);
  }
}

/* u[rows][vectors of K] (+)= V^T Z over `tiles` rows. */
AI void wino_sum(int64_t tiles, const float *v, int64_t ldv_, const float *z, int64_t ldz, float *u,
                 bool first, int rows, int vectors) {
  vf acc[WINO_ROWS][2];
  int wide = vectors * W;
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    acc[r][0] = first ? vset(0) : ldf(u + r * wide, W);
    acc[r][1] = first || vectors < 2 ? vset(0) : ldf(u + r * wide + W, W);
  }
  for (int64_t t = 0; t < tiles; t++, v += ldv_, z += ldz) {
    vf b0 = ldf(z, W), b1 = ldf(z + (vectors - 1) * W, W);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      vf a = v[r] - (vf){0};
      acc[r][0] += a * b0;
      if (vectors > 1) acc[r][1] += a * b1;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    stf(u + r * wide, acc[r][0], W);
    if (vectors > 1) stf(u + r * wide + W, acc[r][1], W);
  }
}

static int64_t wino_sum_rows(int64_t tiles, int64_t left, const float *v, int64_t ldv_, const float *z,
                             int64_t ldz, float *u, bool first, int vectors) {
#define WINO_SUM(rows)                                                                                       \
  if (left >= (rows)) {                                                                                      \
    if (vectors > 1)                                                                                         \
      wino_sum(tiles, v, ldv_, z, ldz, u, first, rows, 2);                                                   \
    else                                                                                                     \
      wino_sum(tiles, v, ldv_, z, ldz, u, first, rows, 1);                                                   \
    return rows;                                                                                             \
  }
#if W == 16
  WINO_SUM(12)
  WINO_SUM(8)
#endif
  WINO_SUM(4)
#undef WINO_SUM
  return 4; /* never: C is padded to a multiple of 4 */
}

#define WINO_PAIR_OF(name, a, o, square, dt)                                                                 \
  static void name(const k_wino *w, int64_t tile, float *v, int64_t vplane, float *z, int64_t zplane) {      \
    wino_tile p;                                                                                             \
    wino_place(w, tile, &p);                                                                                 \
    wino_load(w, &p, v, vplane, a, square, dt);                                                              \
    wino_load_back(w, &p, z, zplane, a, o, square, dt);                                                      \
  }
#define WINO_PAIR(name, a, o, square)                                                                        \
  WINO_PAIR_OF(wino_pair_##name##_f32, a, o, square, INC_F32)                                                \
  WINO_PAIR_OF(wino_pair_##name##_bf16, a, o, square, INC_BF16)
WINO_FORMS(WINO_PAIR)

/* dg of one panel of up to 2 W outputs: G^T along the width, then the height. */
static void wino_weight_out(const k_wino *w, const float *u, int64_t panel, int wide, float *dw) {
  const k_wino_shape *s = w->shape;
  int rh = s->ah - s->mh + 1, rw = s->aw - s->mw + 1;
  int64_t cp = (w->c + 3) / 4 * 4, kp = (w->k + W - 1) / W * W;
  for (int64_t c = 0; c < w->c; c++)
    for (int l = 0; l < wide; l += W) {
      vf e[40], sum;
      int lanes = w->k - panel - l < W ? (int)(w->k - panel - l) : W;
      for (int p = 0; p < s->ah; p++)
        for (int j = 0; j < rw; j++) {
          sum = vset(0);
          for (int q = 0; q < s->aw; q++)
            sum += ldf(u + ((p * s->aw + q) * kp + panel) * cp + c * wide + l, W) *
                   (s->aw > 1 ? s->g[q * rw + j] : 1.0f);
          e[p * rw + j] = sum;
        }
      for (int i = 0; i < rh; i++)
        for (int j = 0; j < rw; j++) {
          sum = vset(0);
          for (int p = 0; p < s->ah; p++) sum += e[p * rw + j] * (s->ah > 1 ? s->g[p * rh + i] : 1.0f);
          for (int k = 0; k < lanes; k++) dw[((panel + l + k) * w->c + c) * rh * rw + i * rw + j] = sum[k];
        }
    }
}

/* x, y: pictures and the gradient of the outputs; dw [K][C][kh][kw]. */
static void wino_weight_run(const k_wino *w, float *dw) {
  typedef void pair_fn(const k_wino *, int64_t, float *, int64_t, float *, int64_t);
#define WINO_ENTRY(name, a, o, square) {wino_pair_##name##_f32, wino_pair_##name##_bf16},
  static pair_fn *const fn[WINO_FORM_COUNT][2] = {WINO_FORMS(WINO_ENTRY)};
#undef WINO_ENTRY
  const k_wino_shape *s = w->shape;
  pair_fn *pair = fn[s->form][w->dt == INC_BF16];
  int64_t all = w->n * w->tiles_h * w->tiles_w, cp = (w->c + 3) / 4 * 4, kp = (w->k + W - 1) / W * W;
  int64_t points = s->ah * s->aw, panels = (kp + 2 * W - 1) / (2 * W);
  int64_t vplane = w->block * cp + WINO_PAD, zplane = w->block * kp + WINO_PAD;
  float *u = w->scratch, *v = u + points * cp * kp, *z = v + points * vplane;
#pragma omp parallel num_threads(w->threads)
  {
    for (int64_t first = 0; first < all; first += w->block) {
      int64_t tiles = all - first < w->block ? all - first : w->block;
#pragma omp for schedule(static)
      for (int64_t t = 0; t < tiles; t++) pair(w, first + t, v + t * cp, vplane, z + t * kp, zplane);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < points * panels; i++) {
        int64_t p = i / panels, k = i % panels * 2 * W;
        int vectors = kp - k < 2 * W ? 1 : 2;
        float *to = u + (p * kp + k) * cp;
        for (int64_t c = 0; c < cp;)
          c += wino_sum_rows(tiles, cp - c, v + p * vplane + c, cp, z + p * zplane + k, kp,
                             to + c * vectors * W, first == 0, vectors);
      }
    }
#pragma omp for schedule(static)
    for (int64_t k = 0; k < kp; k += 2 * W) wino_weight_out(w, u, k, kp - k < 2 * W ? W : 2 * W, dw);
  }
}
