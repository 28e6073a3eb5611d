/* winograd.inc.h -- convolutions with stride 1 in the Winograd domain (Lavin and Gray 2015, section 4; the
** transforms after Toom and Cook), f32 arithmetic, f32 or bf16 tensors.
**
** A tile of m outputs along a line with r taps needs a = m + r - 1 products instead of m * r, and m * m of a square
** a * a.  For every point p of the domain: M_p[tile, K] = V_p[tile, C] U_p[C, K], where V = B^T d are transformed
** pictures and U = G g transformed weights; outputs are A^T M.  Points other than 0 and infinity come in pairs
** +f, -f, whose rows of B^T differ in the sign of the odd columns only: half the work (k_wino_shape).
**
** A block of WINO_TILES tiles is taken at a time so that V and M stay in the second-level cache: transform, then
** for 2 W output channels at a time all products and the inverse transform.  A block's result depends on nothing
** outside it, so the bits do not depend on the number of threads.  Rejected: whole-picture passes (as the library
** has them) write and read V and M through memory, which costs as much as the products where C is small.
*/
enum { WINO_ROWS = W == 16 ? 12 : 4 }; /* twice as many accumulators, which fit the registers */

/* WINO_ROWS rows of V times a panel of `vectors` (1 or 2) vectors of U. */
AI void wino_product(int64_t c, const float *x, int64_t ldx, const float *u, float *m, int64_t ldm,
                     int vectors) {
  vf acc[WINO_ROWS][2];
#pragma GCC unroll 16
  for (int r = 0; r < WINO_ROWS; r++) acc[r][0] = acc[r][1] = vset(0);
  for (int64_t i = 0; i < c; i++) {
    vf b0 = ldf(u, W), b1 = ldf(u + (vectors - 1) * W, W);
    u += vectors * W;
#pragma GCC unroll 16
    for (int r = 0; r < WINO_ROWS; r++) {
      vf a = x[r * ldx + i] - (vf){0}; /* one broadcast; lanes set one by one would be thirty instructions */
      acc[r][0] += a * b0;
      if (vectors > 1) acc[r][1] += a * b1;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < WINO_ROWS; r++) {
    stf(m + r * ldm, acc[r][0], W);
    if (vectors > 1) stf(m + r * ldm + W, acc[r][1], W);
  }
}

/* y = B^T x for one line of a values. */
AI void wino_in(int a, const float *bt, const vf *x, int step, vf *y, int ystep) {
#pragma GCC unroll 12
  for (int j = 0; j < a; j += j ? 2 : 1) {
    const float *row = bt + j * a;
    vf even = vset(0), odd = vset(0);
#pragma GCC unroll 12
    for (int i = 0; i < a; i += 2) even += x[i * step] * row[i];
#pragma GCC unroll 12
    for (int i = 1; i < a; i += 2) odd += x[i * step] * row[i];
    if (j == 0)
      y[0] = even;
    else if (j == a - 1)
      y[j * ystep] = odd;
    else
      y[j * ystep] = even + odd, y[(j + 1) * ystep] = even - odd;
  }
}

/* y = A^T x: m values from a. */
AI void wino_out(int a, int m, const float *at, const vf *x, int step, vf *y, int ystep) {
  vf sum[WINO_LINE / 2], dif[WINO_LINE / 2];
#pragma GCC unroll 12
  for (int j = 1; j < a - 1; j += 2)
    sum[j / 2] = x[j * step] + x[(j + 1) * step], dif[j / 2] = x[j * step] - x[(j + 1) * step];
#pragma GCC unroll 12
  for (int i = 0; i < m; i++) {
    vf s = i ? vset(0) : x[0];
#pragma GCC unroll 12
    for (int j = 1; j < a - 1; j += 2) s += (i % 2 ? dif : sum)[j / 2] * at[i * a + j];
    y[i * ystep] = i == m - 1 ? s + x[(a - 1) * step] : s;
  }
}

typedef struct wino_tile {
  const char *in[WINO_MOST];      /* pixels, or zeros outside the picture */
  char *out[WINO_OUT * WINO_OUT]; /* NULL outside */
} wino_tile;

static void wino_place(const k_wino *w, int64_t t, wino_tile *p) {
  const k_wino_shape *s = w->shape;
  int64_t tj = t % w->tiles_w, ti = t / w->tiles_w % w->tiles_h, n = t / w->tiles_w / w->tiles_h;
  int64_t y0 = ti * s->mh, x0 = tj * s->mw, sx = w->dt == INC_BF16 ? 2 : 4;
  for (int i = 0; i < s->ah; i++)
    for (int j = 0; j < s->aw; j++) {
      int64_t y = y0 + i - w->pad_h, x = x0 + j - w->pad_w;
      bool inside = y >= 0 && y < w->h && x >= 0 && x < w->w;
      p->in[i * s->aw + j] =
          inside ? (const char *)w->x + ((n * w->h + y) * w->w + x) * w->ldx * sx : w->zeros;
    }
  for (int i = 0; i < s->mh; i++)
    for (int j = 0; j < s->mw; j++) {
      int64_t y = y0 + i, x = x0 + j;
      bool inside = y < w->oh && x < w->ow;
      p->out[i * s->mw + j] = inside ? (char *)w->y + ((n * w->oh + y) * w->ow + x) * w->ldy * sx : NULL;
    }
}

/* One tile's pixels into row t of every V_p. */
AI void wino_load(const k_wino *w, const wino_tile *p, float *v, int64_t plane, int a, bool square, int dt) {
  const float *bt = w->shape->bt;
  int n = square ? a * a : a;
  for (int64_t c = 0; c < w->c; c += W) {
    int lanes = w->c - c < W ? (int)(w->c - c) : W;
    vf d[WINO_MOST], e[WINO_MOST];
    for (int i = 0; i < n; i++) d[i] = ldv(p->in[i], dt, c, lanes);
    if (square) {
      for (int i = 0; i < a; i++) wino_in(a, bt, d + i, a, e + i, a);
      for (int i = 0; i < a; i++) wino_in(a, bt, e + i * a, 1, d + i * a, 1);
    } else {
      for (int i = 0; i < n; i++) e[i] = d[i];
      wino_in(a, bt, e, 1, d, 1);
    }
    for (int i = 0; i < n; i++) stf(v + i * plane + c, d[i], lanes);
  }
}

/* Outputs of one tile, `lanes` channels from k on, out of its row of every M_p. */
AI void wino_store(const k_wino *w, const wino_tile *p, const float *m, int64_t plane, int64_t k, int lanes,
                   int a, int o, bool square, int dt) {
  const float *at = w->shape->at;
  vf d[WINO_MOST], e[WINO_MOST], bias = w->bias ? ldf(w->bias + k, lanes) : vset(0);
  int n = square ? a * a : a, outs = square ? o * o : o;
  for (int i = 0; i < n; i++) d[i] = ldf(m + i * plane, W);
  if (square) {
    for (int i = 0; i < a; i++) wino_out(a, o, at, d + i, a, e + i, a);
    for (int i = 0; i < o; i++) wino_out(a, o, at, e + i * a, 1, d + i * o, 1);
  } else {
    wino_out(a, o, at, d, 1, e, 1);
    for (int i = 0; i < outs; i++) d[i] = e[i];
  }
  for (int i = 0; i < outs; i++) {
    vf y = d[i] + bias;
    if (p->out[i]) stv(p->out[i], dt, k, w->relu ? vrelu(y) : y, lanes);
  }
}

AI void wino_panel(const k_wino *w, const wino_tile *tile, int tiles, const float *v, float *m, int64_t k,
                   int vectors, int a, int o, bool square, int dt) {
  int n = square ? a * a : a;
  int64_t plane = WINO_TILES * w->c + WINO_PAD, ldm = (int64_t)vectors * W, padded = (w->k + W - 1) / W * W;
  for (int p = 0; p < n; p++) {
    const float *u = w->u + (p * padded + k) * w->c;
    for (int t = 0; t < tiles; t += WINO_ROWS) {
      const float *x = v + p * plane + t * w->c;
      float *y = m + p * (WINO_TILES * ldm + WINO_PAD) + t * ldm;
      if (vectors == 2)
        wino_product(w->c, x, w->c, u, y, ldm, 2);
      else
        wino_product(w->c, x, w->c, u, y, ldm, 1);
    }
  }
  for (int t = 0; t < tiles; t++)
    for (int j = 0; j < vectors; j++) {
      int64_t at = k + j * W;
      int lanes = w->k - at < W ? (int)(w->k - at) : W;
      wino_store(w, &tile[t], m + t * ldm + j * W, WINO_TILES * ldm + WINO_PAD, at, lanes, a, o, square, dt);
    }
}

AI void wino_block(const k_wino *w, int64_t first, float *v, int a, int o, bool square, int dt) {
  wino_tile tile[WINO_TILES];
  int64_t all = w->n * w->tiles_h * w->tiles_w, padded = (w->k + W - 1) / W * W;
  int tiles = all - first < WINO_TILES ? (int)(all - first) : WINO_TILES, n = square ? a * a : a;
  float *m = v + n * (WINO_TILES * w->c + WINO_PAD);
  for (int t = 0; t < tiles; t++) {
    wino_place(w, first + t, &tile[t]);
    wino_load(w, &tile[t], v + t * w->c, WINO_TILES * w->c + WINO_PAD, a, square, dt);
  }
  for (int64_t k = 0; k < padded; k += 2 * W) {
    int vectors = padded - k < 2 * W ? 1 : 2;
    if (vectors == 2)
      wino_panel(w, tile, tiles, v, m, k, 2, a, o, square, dt);
    else
      wino_panel(w, tile, tiles, v, m, k, 1, a, o, square, dt);
  }
}

/* Every form for both dtypes: name of the form, points and outputs of a line, square or not.  The order is that of
** k_wino_shape.form. */
#define WINO_FORMS(X)                                                                                        \
  X(line6, 6, 4, false)                                                                                      \
  X(line10, 10, 4, false)                                                                                    \
  X(line12, 12, 6, false)                                                                                    \
  X(square6, 6, 4, true)                                                                                     \
  X(square8, 8, 6, true)                                                                                     \
  X(square8_5, 8, 4, true)
#define WINO_BLOCK(name, a, o, square)                                                                       \
  static void wino_##name##_f32(const k_wino *w, int64_t first, float *v) {                                  \
    wino_block(w, first, v, a, o, square, INC_F32);                                                          \
  }                                                                                                          \
  static void wino_##name##_bf16(const k_wino *w, int64_t first, float *v) {                                 \
    wino_block(w, first, v, a, o, square, INC_BF16);                                                         \
  }
WINO_FORMS(WINO_BLOCK)

static void wino_run(const k_wino *w) {
  typedef void block_fn(const k_wino *, int64_t, float *);
#define WINO_ENTRY(name, a, o, square) {wino_##name##_f32, wino_##name##_bf16},
  static block_fn *const fn[WINO_FORM_COUNT][2] = {WINO_FORMS(WINO_ENTRY)};
#undef WINO_ENTRY
  block_fn *f = fn[w->shape->form][w->dt == INC_BF16];
  int64_t all = w->n * w->tiles_h * w->tiles_w;
#pragma omp parallel for schedule(static) num_threads(w->threads)
  for (int64_t first = 0; first < all; first += WINO_TILES)
    f(w, first, w->scratch + omp_get_thread_num() * w->scratch_step);
}

/* U = G g: [points][panel of up to 2 W outputs][C][lanes]. */
static void wino_weights(const k_wino *w, const float *g, int64_t step_k, int64_t step_c, float *u) {
  const k_wino_shape *s = w->shape;
  int rh = s->ah - s->mh + 1, rw = s->aw - s->mw + 1;
  int64_t padded = (w->k + W - 1) / W * W;
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < padded; k += W) {
    int64_t panel = k / (2 * W) * (2 * W), wide = padded - panel < 2 * W ? W : 2 * W;
    int lanes = w->k - k < W ? (int)(w->k - k) : W;
    for (int64_t c = 0; c < w->c; c++) {
      vf t[25], e[40], d[WINO_MOST]; /* at most 5x5 taps, 8 x 5 or 12 x 1 */
      for (int i = 0; i < rh * rw; i++) {
        t[i] = vset(0);
        for (int l = 0; l < lanes; l++)
          t[i][l] = g[(k + l) * step_k + c * step_c + (w->turned ? rh * rw - 1 - i : i)];
      }
      for (int p = 0; p < s->ah; p++) /* along the height, then the width */
        for (int j = 0; j < rw; j++) {
          e[p * rw + j] = vset(0);
          for (int i = 0; i < rh; i++) e[p * rw + j] += t[i * rw + j] * (s->ah > 1 ? s->g[p * rh + i] : 1.0f);
        }
      for (int p = 0; p < s->ah; p++)
        for (int q = 0; q < s->aw; q++) {
          vf x = vset(0);
          for (int j = 0; j < rw; j++) x += e[p * rw + j] * (s->aw > 1 ? s->g[q * rw + j] : 1.0f);
          d[p * s->aw + q] = x;
        }
      for (int p = 0; p < s->ah * s->aw; p++)
        stf(u + (p * padded + panel) * w->c + c * wide + (k - panel), d[p], W);
    }
  }
}
