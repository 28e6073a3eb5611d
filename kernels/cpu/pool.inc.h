/* pool.inc.h -- max and average pooling over channels-last pictures.
**
** Every output element is gathered by one thread, forward and backward alike: no atomics, no zeroing pass,
** the same bits for any thread count.  The max remembers its place as a position inside the window (one byte
** for windows up to 256), an eighth of the memory of PyTorch's i64 flat index.  Scattering backward was
** rejected: it writes dx several times.  What windows cover is worked out once a pixel, not once a vector:
** the divisions in it would cost more than the arithmetic. */

enum { POOL_PAR = 1 << 13, POOL_COVER = 256 };

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
    vb b = vlow8(v);
    memcpy((uint8_t *)index + at, &b, (size_t)n);
  } else {
    memcpy((int32_t *)index + at, &v, sizeof(int32_t) * (size_t)n);
  }
}

AI vm index_is(const void *index, int size, int64_t at, int n, int32_t want) {
  if (size == 1 && n == W) return vu8_is((const uint8_t *)index + at, want);
  uint8_t part[W] = {0};
  vi v = {0};
  if (size == 1) {
    memcpy(part, (const uint8_t *)index + at, (size_t)n);
    v = vload_u8(part);
  } else {
    memcpy(&v, (const int32_t *)index + at, sizeof(int32_t) * (size_t)n);
  }
  return vm_eq(v, vseti(want));
}

/* One output pixel: rows h0..h1, columns w0..w1 of the picture whose first pixel is `base`; (hs, ws) is the
** window's corner. */
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
  vi where = vseti((int32_t)((k->h0 - k->hs) * p->kw + (k->w0 - k->ws)));
  for (int64_t h = k->h0; h < k->h1; h++) {
    int64_t at = (k->base + h * p->w + k->w0) * p->x.ld + c;
    int32_t place = (int32_t)((h - k->hs) * p->kw + (k->w0 - k->ws));
    for (int64_t w = k->w0; w < k->w1; w++, at += p->x.ld, place++) {
      vf v = ldv(p->x.p, dt, at, n);
      vm m = vm_gt(v, best) | vm_nan(v);
      best = vpick(m, v, best);
      where = vpicki(m, vseti(place), where);
    }
  }
  stv(p->y.p, dt, out * p->y.ld + c, best, n);
  if (p->index) st_index(p->index, p->index_size, out * p->c + c, where, n);
}

/* Nobody asks where: no index, and bf16 twice as wide, as integers. */
AI void max_only_cols(const k_pool *p, const window *k, int dt, int64_t out, int64_t c, int n) {
  vf best = vset(-__builtin_inff());
  vm bad = vm_nan(best);
  for (int64_t h = k->h0; h < k->h1; h++) {
    int64_t at = (k->base + h * p->w + k->w0) * p->x.ld + c;
    for (int64_t w = k->w0; w < k->w1; w++, at += p->x.ld) {
      vf v = ldv(p->x.p, dt, at, n);
      bad = bad | vm_nan(v);
      best = vmax(v, best);
    }
  }
  stv(p->y.p, dt, out * p->y.ld + c, vpick(bad, vset(__builtin_nanf("")), best), n);
}

typedef int16_t vs __attribute__((vector_size(4 * W)));
typedef uint16_t vh2 __attribute__((vector_size(4 * W)));

AI vs vmax16(vs a, vs b) {
#if defined(__AVX512F__)
  return (vs)_mm512_max_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (vs)_mm256_max_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (vs)_mm_max_epi16((__m128i)a, (__m128i)b);
#else
  vs m = a > b;
  return (a & m) | (b & ~m);
#endif
}

/* bf16 as integers in the order of the numbers, every NaN above infinity: the bits of a negative number are
** turned over, then all moved down by the NaNs below -inf, which come round to the top. */
AI vs bf_order(vs x) {
  vs t = x ^ ((x >> 15) & 0x7fff);
  return (vs)((vh2)t - (uint16_t)0x7f);
}
AI vs bf_number(vs t) {
  vs x = (vs)((vh2)t + (uint16_t)0x7f);
  return x ^ ((x >> 15) & 0x7fff);
}

AI void max_only_wide(const k_pool *p, const window *k, int64_t out, int64_t c) {
  const int16_t *x = p->x.p;
  vs best = bf_order((vs){0} + (int16_t)0xff80); /* -inf */
  for (int64_t h = k->h0; h < k->h1; h++) {
    const int16_t *at = x + (k->base + h * p->w + k->w0) * p->x.ld + c;
    for (int64_t w = k->w0; w < k->w1; w++, at += p->x.ld) {
      vs v;
      memcpy(&v, at, sizeof v);
      best = vmax16(best, bf_order(v));
    }
  }
  best = bf_number(best);
  memcpy((int16_t *)p->y.p + out * p->y.ld + c, &best, sizeof best);
}

AI void max_only_row(const k_pool *p, int dt, int64_t n, int64_t oh) {
  for (int64_t ow = 0; ow < p->ow; ow++) {
    window k = win_at(p, n, oh, ow);
    int64_t out = (n * p->oh + oh) * p->ow + ow, c = 0;
    for (; dt == INC_BF16 && c + 2 * W <= p->c; c += 2 * W) max_only_wide(p, &k, out, c);
    for (; c + W <= p->c; c += W) max_only_cols(p, &k, dt, out, c, W);
    if (c < p->c) max_only_cols(p, &k, dt, out, c, (int)(p->c - c));
  }
}

AI void max_row(const k_pool *p, int dt, int64_t n, int64_t oh) {
  if (!p->index) {
    max_only_row(p, dt, n, oh);
    return;
  }
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

/* -- max, backward ------------------------------------------------------------------------------------ */
typedef struct cover { /* a window over the pixel: its output's gradient and index, the pixel's place in it */
  const char *dy;
  const void *index;
  int32_t place;
} cover;

static int covers_of(const k_pool *p, int64_t n, int64_t h, int64_t w, cover *list) {
  int64_t oh1 = win_end(h, p->sh, p->ph, p->oh), ow0 = win_first(w, p->kw, p->sw, p->pw);
  int64_t ow1 = win_end(w, p->sw, p->pw, p->ow), size = p->y.dt == INC_BF16 ? 2 : 4;
  int count = 0;
  for (int64_t oh = win_first(h, p->kh, p->sh, p->ph); oh < oh1; oh++)
    for (int64_t ow = ow0; ow < ow1; ow++) {
      int64_t out = (n * p->oh + oh) * p->ow + ow;
      list[count++] =
          (cover){.dy = (const char *)p->y.p + out * p->y.ld * size,
                  .index = (const char *)p->index + out * p->c * p->index_size,
                  .place = (int32_t)((h + p->ph - oh * p->sh) * p->kw + (w + p->pw - ow * p->sw))};
    }
  return count;
}

AI void max_back_cols(int dt, int size, const cover *list, int count, void *dx, int64_t c, int lanes) {
  vf sum = vset(0);
  for (int i = 0; i < count; i++)
    sum = vadd_if(index_is(list[i].index, size, c, lanes, list[i].place), sum, ldv(list[i].dy, dt, c, lanes));
  stv(dx, dt, c, sum, lanes);
}

AI void max_back_pixel(int dt, int size, const cover *list, int count, void *dx, int64_t channels) {
  int64_t c = 0;
  for (; c + W <= channels; c += W) max_back_cols(dt, size, list, count, dx, c, W);
  if (c < channels) max_back_cols(dt, size, list, count, dx, c, (int)(channels - c));
}

/* Windows of 3 with stride 2 cover a pixel once, twice or four times: loops of fixed length for these. */
AI void max_back_row(const k_pool *p, int dt, int size, int64_t n, int64_t h) {
  cover list[POOL_COVER];
  for (int64_t w = 0; w < p->w; w++) {
    int count = covers_of(p, n, h, w, list);
    char *dx = (char *)p->x.p + ((n * p->h + h) * p->w + w) * p->x.ld * (dt == INC_BF16 ? 2 : 4);
    switch (count) {
    case 1:
      max_back_pixel(dt, size, list, 1, dx, p->c);
      break;
    case 2:
      max_back_pixel(dt, size, list, 2, dx, p->c);
      break;
    case 4:
      max_back_pixel(dt, size, list, 4, dx, p->c);
      break;
    default:
      max_back_pixel(dt, size, list, count, dx, p->c);
    }
  }
}

static void max_pool_back(const k_pool *p) {
#pragma omp parallel for schedule(static) if (p->n * p->h * p->w * p->c > POOL_PAR)
  for (int64_t i = 0; i < p->n * p->h; i++) {
    int64_t n = i / p->h, h = i % p->h;
    switch ((p->x.dt == INC_BF16 ? 2 : 0) + (p->index_size == 1)) {
    case 0:
      max_back_row(p, INC_F32, 4, n, h);
      break;
    case 1:
      max_back_row(p, INC_F32, 1, n, h);
      break;
    case 2:
      max_back_row(p, INC_BF16, 4, n, h);
      break;
    default:
      max_back_row(p, INC_BF16, 1, n, h);
    }
  }
}
