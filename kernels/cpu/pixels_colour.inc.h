/* pixels_colour.inc.h -- the release's colour distortion in one pass (order 1) or two (order 0); included
** by pixels*.c, so that each instruction set gets its own compilation.
**
** Saturation and hue are TensorFlow's, which go through HSV and back, one after the other.  Written out,
** the way back and forth in between cancels: the brightest channel v stays, the range d = max - min
** becomes d' = clamp(d f, 0, v), and the hue is shifted before the three channels are rebuilt as v - d' (1
** - ramp(hue)). One division a pixel, no branch.  Values may leave 0..255 between the steps, as in the
** release; they are clipped once at the end.
**
** The compiler vectorises these loops; blocks keep the planes in the first-level cache.
*/
#pragma GCC optimize("fp-contract=off")

enum { COLOUR_BLOCK = 256, COLOUR_FINE = 64 /* steps of the i16 between the two passes of order 0 */ };

typedef struct colour_block {
  float r[COLOUR_BLOCK], g[COLOUR_BLOCK], b[COLOUR_BLOCK];
} colour_block;

static inline float px_min(float a, float b) { return a < b ? a : b; }
static inline float px_max(float a, float b) { return a > b ? a : b; }
static inline float px_abs(float a) { return px_max(a, -a); }
static inline float px_unit(float a) { return px_min(px_max(a, 0.0f), 1.0f); }
static inline uint32_t px_byte(float a) {
  return (uint32_t)(int32_t)(px_min(px_max(a, 0.0f), 255.0f) + 0.5f);
}

/* c[i] = pixel * scale + offset, for each channel. */
static inline void colour_load(const uint8_t *rgbx, int n, const float scale, const float offset[3],
                               colour_block *c) {
  uint32_t p[COLOUR_BLOCK];
  memcpy(p, rgbx, (size_t)n * 4);
  for (int i = 0; i < n; i++) {
    c->r[i] = (float)(int32_t)(p[i] & 255) * scale + offset[0];
    c->g[i] = (float)(int32_t)(p[i] >> 8 & 255) * scale + offset[1];
    c->b[i] = (float)(int32_t)(p[i] >> 16 & 255) * scale + offset[2];
  }
}

static inline void colour_hsv(colour_block *c, int n, float saturation, float hue) {
  float shift = 6.0f * hue;
  for (int i = 0; i < n; i++) {
    float r = c->r[i], g = c->g[i], b = c->b[i];
    float v = px_max(px_max(r, g), b), d = v - px_min(px_min(r, g), b);
    float top = r == v ? g - b : g == v ? b - r : r - g;
    float base = r == v ? 0.0f : g == v ? 2.0f : 4.0f;
    float h = top / px_max(d, 1e-20f) + base + shift; /* grey: top is 0 */
    h = h < 0.0f ? h + 6.0f : h;
    h = h < 0.0f ? h + 6.0f : h;
    h = h >= 6.0f ? h - 6.0f : h;
    d = px_min(d * saturation, px_max(v, 0.0f));
    c->r[i] = v - d * (1.0f - px_unit(px_abs(h - 3.0f) - 1.0f));
    c->g[i] = v - d * (1.0f - px_unit(2.0f - px_abs(h - 2.0f)));
    c->b[i] = v - d * (1.0f - px_unit(2.0f - px_abs(h - 4.0f)));
  }
}

static inline void colour_store(const colour_block *c, int n, uint32_t *p) {
  for (int i = 0; i < n; i++) p[i] = px_byte(c->r[i]) | px_byte(c->g[i]) << 8 | px_byte(c->b[i]) << 16;
}

/* Order 1: the means are those of the picture as it is. */
static inline void colour_one(const k_colour_args *a, const uint8_t *rgbx, int n, uint8_t *rgb) {
  int64_t sum[3] = {0, 0, 0};
  for (int from = 0; from < n; from += COLOUR_BLOCK) {
    uint32_t p[COLOUR_BLOCK], s[3] = {0, 0, 0};
    int k = n - from < COLOUR_BLOCK ? n - from : COLOUR_BLOCK;
    memcpy(p, rgbx + 4 * (size_t)from, (size_t)k * 4);
    for (int i = 0; i < k; i++) s[0] += p[i] & 255, s[1] += p[i] >> 8 & 255, s[2] += p[i] >> 16 & 255;
    for (int c = 0; c < 3; c++) sum[c] += s[c];
  }
  float offset[3]; /* brightness, then contrast about the mean: x f + mean (1 - f) + brightness */
  for (int c = 0; c < 3; c++)
    offset[c] = (float)((double)sum[c] / n * (1.0 - (double)a->contrast)) + a->brightness;
  for (int from = 0; from < n; from += COLOUR_BLOCK) {
    int k = n - from < COLOUR_BLOCK ? n - from : COLOUR_BLOCK;
    uint32_t p[COLOUR_BLOCK];
    colour_block c;
    colour_load(rgbx + 4 * (size_t)from, k, a->contrast, offset, &c);
    colour_hsv(&c, k, a->saturation, a->hue);
    colour_store(&c, k, p);
    px_pack((const uint8_t *)p, k, rgb + 3 * (size_t)from);
  }
}

/* To i16 with 1 / COLOUR_FINE steps; returns the sum. */
static inline int32_t colour_fine(const float *x, int n, int16_t *out) {
  int32_t sum = 0;
  for (int i = 0; i < n; i++) {
    int32_t q =
        (int32_t)(x[i] * COLOUR_FINE + (512 * COLOUR_FINE + 0.5f)) - 512 * COLOUR_FINE; /* rounds; > -512 */
    out[i] = (int16_t)q;
    sum += q;
  }
  return sum;
}

static inline void colour_contrast(const int16_t *x, int n, float factor, double mean, float *out) {
  float f = factor / COLOUR_FINE, offset = (float)(mean * (1.0 - (double)factor));
  for (int i = 0; i < n; i++) out[i] = (float)x[i] * f + offset;
}

static inline void colour_zero(const k_colour_args *a, const uint8_t *rgbx, int n, int16_t *tmp,
                               uint8_t *rgb) {
  const float offset[3] = {a->brightness, a->brightness, a->brightness};
  int16_t *plane[3] = {tmp, tmp + n, tmp + 2 * (size_t)n};
  int64_t sum[3] = {0, 0, 0};
  for (int from = 0; from < n; from += COLOUR_BLOCK) {
    int k = n - from < COLOUR_BLOCK ? n - from : COLOUR_BLOCK;
    colour_block c;
    colour_load(rgbx + 4 * (size_t)from, k, 1.0f, offset, &c);
    colour_hsv(&c, k, a->saturation, a->hue);
    sum[0] += colour_fine(c.r, k, plane[0] + from);
    sum[1] += colour_fine(c.g, k, plane[1] + from);
    sum[2] += colour_fine(c.b, k, plane[2] + from);
  }
  for (int from = 0; from < n; from += COLOUR_BLOCK) {
    int k = n - from < COLOUR_BLOCK ? n - from : COLOUR_BLOCK;
    uint32_t p[COLOUR_BLOCK];
    colour_block c;
    colour_contrast(plane[0] + from, k, a->contrast, (double)sum[0] / n / COLOUR_FINE, c.r);
    colour_contrast(plane[1] + from, k, a->contrast, (double)sum[1] / n / COLOUR_FINE, c.g);
    colour_contrast(plane[2] + from, k, a->contrast, (double)sum[2] / n / COLOUR_FINE, c.b);
    colour_store(&c, k, p);
    px_pack((const uint8_t *)p, k, rgb + 3 * (size_t)from);
  }
}

static void px_colour(const k_colour_args *a, const uint8_t *rgbx, int n, int16_t *tmp, uint8_t *rgb) {
  if (a->order == 1)
    colour_one(a, rgbx, n, rgb);
  else
    colour_zero(a, rgbx, n, tmp, rgb);
}
