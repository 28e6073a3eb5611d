/* pool.inc.h -- max and average pooling over channels-last pictures.
**
** Every output element is gathered by one thread, forward and backward alike: no atomics, no zeroing pass,
** the same bits for any thread count.  The max remembers its place as a position inside the window (one byte
** for windows up to 256), an eighth of the memory of PyTorch's i64 flat index.  Scattering backward was
** rejected: it writes dx several times. */

enum { POOL_PAR = 1 << 13, POOL_UNROLL = 4 };

/* Windows that cover pixel `i`: first and one past the last. */
AI int64_t win_first(int64_t i, int k, int s, int pad) {
  int64_t t = i + pad - k + 1;
  return t <= 0 ? 0 : (t + s - 1) / s;
}
AI int64_t win_end(int64_t i, int s, int pad, int64_t out) {
  int64_t t = (i + pad) / s + 1;
  return t < out ? t : out;
}

AI void st_index(void *index, int size, int64_t at, vi v, int n) {
  if (size == 1) {
    vb b = __builtin_convertvector(v, vb);
    memcpy((uint8_t *)index + at, &b, (size_t)n);
  } else {
    memcpy((int32_t *)index + at, &v, sizeof(int32_t) * (size_t)n);
  }
}

AI vi ld_index(const void *index, int size, int64_t at, int n) {
  vi v = {0};
  if (size == 1) {
    vb b = {0};
    memcpy(&b, (const uint8_t *)index + at, (size_t)n);
    return __builtin_convertvector(b, vi);
  }
  memcpy(&v, (const int32_t *)index + at, sizeof(int32_t) * (size_t)n);
  return v;
}

/* One output pixel: rows h0..h1, columns w0..w1 of the picture at element `base`; (hs, ws) is the window's
 * corner. */
typedef struct window {
  int64_t base, h0, h1, w0, w1, hs, ws;
} window;

AI window win_at(const k_pool *p, int64_t n, int64_t oh, int64_t ow) {
  window k = {.base = n * p->h * p->w, .hs = oh * p->sh - p->ph, .ws = ow * p->sw - p->pw};
  k.h0 = k.hs < 0 ? 0 : k.hs;
  k.w0 = k.ws < 0 ? 0 : k.ws;
  k.h1 = k.hs + p->kh < p->h ? k.hs + p->kh : p->h;
  k.w1 = k.ws + p->kw < p->w ? k.ws + p->kw : p->w;
  return k;
}

AI void max_cols(const k_pool *p, const window *k, int dt, int64_t out, int64_t c, int n) {
  vf best = vset(-__builtin_inff());
  vi where = {0};
  where += (int32_t)((k->h0 - k->hs) * p->kw + (k->w0 - k->ws));
  for (int64_t h = k->h0; h < k->h1; h++)
    for (int64_t w = k->w0; w < k->w1; w++) {
      vf v = ldv(p->x.p, dt, (k->base + h * p->w + w) * p->x.ld + c, n);
      vi m = (v > best) | (v != v), at = {0};
      at += (int32_t)((h - k->hs) * p->kw + (w - k->ws));
      best = vpick(m, v, best);
      where = (at & m) | (where & ~m);
    }
  stv(p->y.p, dt, out * p->y.ld + c, best, n);
  if (p->index) st_index(p->index, p->index_size, out * p->c + c, where, n);
}

AI void max_row(const k_pool *p, int dt, int64_t n, int64_t oh) {
  for (int64_t ow = 0; ow < p->ow; ow++) {
    window k = win_at(p, n, oh, ow);
    int64_t out = (n * p->oh + oh) * p->ow + ow, c = 0;
    for (; c + W <= p->c; c += W) max_cols(p, &k, dt, out, c, W);
    if (c < p->c) max_cols(p, &k, dt, out, c, (int)(p->c - c));
  }
}

static void max_pool(const k_pool *p) {
#pragma omp parallel for schedule(static) if (p->n * p->oh * p->ow * p->c > POOL_PAR)
  for (int64_t i = 0; i < p->n * p->oh; i++) {
    if (p->x.dt == INC_BF16)
      max_row(p, INC_BF16, i / p->oh, i % p->oh);
    else
      max_row(p, INC_F32, i / p->oh, i % p->oh);
  }
}

AI void max_back_cols(const k_pool *p, int dt, int64_t n, int64_t h, int64_t w, int64_t c, int lanes) {
  vf sum = vset(0);
  int64_t oh1 = win_end(h, p->sh, p->ph, p->oh), ow1 = win_end(w, p->sw, p->pw, p->ow);
  for (int64_t oh = win_first(h, p->kh, p->sh, p->ph); oh < oh1; oh++)
    for (int64_t ow = win_first(w, p->kw, p->sw, p->pw); ow < ow1; ow++) {
      int64_t out = (n * p->oh + oh) * p->ow + ow;
      vi want = {0};
      want += (int32_t)((h + p->ph - oh * p->sh) * p->kw + (w + p->pw - ow * p->sw));
      vi hit = ld_index(p->index, p->index_size, out * p->c + c, lanes) == want;
      sum += vmask(hit, ldv(p->y.p, dt, out * p->y.ld + c, lanes));
    }
  stv(p->x.p, dt, ((n * p->h + h) * p->w + w) * p->x.ld + c, sum, lanes);
}

AI void max_back_row(const k_pool *p, int dt, int64_t n, int64_t h) {
  for (int64_t w = 0; w < p->w; w++) {
    int64_t c = 0;
    for (; c + W <= p->c; c += W) max_back_cols(p, dt, n, h, w, c, W);
    if (c < p->c) max_back_cols(p, dt, n, h, w, c, (int)(p->c - c));
  }
}

static void max_pool_back(const k_pool *p) {
#pragma omp parallel for schedule(static) if (p->n * p->h * p->w * p->c > POOL_PAR)
  for (int64_t i = 0; i < p->n * p->h; i++) {
    if (p->x.dt == INC_BF16)
      max_back_row(p, INC_BF16, i / p->h, i % p->h);
    else
      max_back_row(p, INC_F32, i / p->h, i % p->h);
  }
}

/* What the sum over a window is divided by.  With include_pad the window reaches into the padding but not
** beyond it, as in PyTorch. */
AI float avg_divisor(const k_pool *p, const window *k) {
  if (!p->include_pad) return (float)((k->h1 - k->h0) * (k->w1 - k->w0));
  int64_t h1 = k->hs + p->kh < p->h + p->ph ? k->hs + p->kh : p->h + p->ph;
  int64_t w1 = k->ws + p->kw < p->w + p->pw ? k->ws + p->kw : p->w + p->pw;
  return (float)((h1 - k->hs) * (w1 - k->ws));
}

/* `u` vectors of channels at once, so that large windows (global pooling) still read whole cache lines. */
AI void avg_cols(const k_pool *p, const window *k, int dt, int64_t out, int64_t c, int u, int n) {
  vf sum[POOL_UNROLL], scale = vset(1 / avg_divisor(p, k));
  for (int i = 0; i < u; i++) sum[i] = vset(0);
  for (int64_t h = k->h0; h < k->h1; h++)
    for (int64_t w = k->w0; w < k->w1; w++)
      for (int i = 0; i < u; i++)
        sum[i] += ldv(p->x.p, dt, (k->base + h * p->w + w) * p->x.ld + c + i * W, n);
  for (int i = 0; i < u; i++) stv(p->y.p, dt, out * p->y.ld + c + i * W, sum[i] * scale, n);
}

AI void avg_row(const k_pool *p, int dt, int64_t n, int64_t oh) {
  for (int64_t ow = 0; ow < p->ow; ow++) {
    window k = win_at(p, n, oh, ow);
    int64_t out = (n * p->oh + oh) * p->ow + ow, c = 0;
    for (; c + POOL_UNROLL * W <= p->c; c += POOL_UNROLL * W) avg_cols(p, &k, dt, out, c, POOL_UNROLL, W);
    for (; c + W <= p->c; c += W) avg_cols(p, &k, dt, out, c, 1, W);
    if (c < p->c) avg_cols(p, &k, dt, out, c, 1, (int)(p->c - c));
  }
}

static void avg_pool(const k_pool *p) {
#pragma omp parallel for schedule(static) if (p->n * p->h * p->w * p->c > POOL_PAR)
  for (int64_t i = 0; i < p->n * p->oh; i++) {
    if (p->x.dt == INC_BF16)
      avg_row(p, INC_BF16, i / p->oh, i % p->oh);
    else
      avg_row(p, INC_F32, i / p->oh, i % p->oh);
  }
}

AI void avg_back_cols(const k_pool *p, int dt, int64_t n, int64_t h, int64_t w, int64_t c, int u, int lanes) {
  vf sum[POOL_UNROLL];
  int64_t oh1 = win_end(h, p->sh, p->ph, p->oh), ow1 = win_end(w, p->sw, p->pw, p->ow);
  for (int i = 0; i < u; i++) sum[i] = vset(0);
  for (int64_t oh = win_first(h, p->kh, p->sh, p->ph); oh < oh1; oh++)
    for (int64_t ow = win_first(w, p->kw, p->sw, p->pw); ow < ow1; ow++) {
      window k = win_at(p, n, oh, ow);
      int64_t at = ((n * p->oh + oh) * p->ow + ow) * p->y.ld + c;
      vf scale = vset(1 / avg_divisor(p, &k));
      for (int i = 0; i < u; i++) sum[i] += ldv(p->y.p, dt, at + i * W, lanes) * scale;
    }
  for (int i = 0; i < u; i++)
    stv(p->x.p, dt, ((n * p->h + h) * p->w + w) * p->x.ld + c + i * W, sum[i], lanes);
}

AI void avg_back_row(const k_pool *p, int dt, int64_t n, int64_t h) {
  for (int64_t w = 0; w < p->w; w++) {
    int64_t c = 0;
    for (; c + POOL_UNROLL * W <= p->c; c += POOL_UNROLL * W)
      avg_back_cols(p, dt, n, h, w, c, POOL_UNROLL, W);
    for (; c + W <= p->c; c += W) avg_back_cols(p, dt, n, h, w, c, 1, W);
    if (c < p->c) avg_back_cols(p, dt, n, h, w, c, 1, (int)(p->c - c));
  }
}

static void avg_pool_back(const k_pool *p) {
#pragma omp parallel for schedule(static) if (p->n * p->h * p->w * p->c > POOL_PAR)
  for (int64_t i = 0; i < p->n * p->h; i++) {
    if (p->x.dt == INC_BF16)
      avg_back_row(p, INC_BF16, i / p->h, i % p->h);
    else
      avg_back_row(p, INC_F32, i / p->h, i % p->h);
  }
}
