/* transform.c -- from a picture to the network's view of it.
**
** Three decisions, each drawn from the stream of (seed, epoch, picture): which box, mirrored or not, which
** distortion.  Then weights for that box, a decode of just the pixels that they need, two passes, done.
**
** Views:
**   eval       central share of each side (TensorFlow) or short side and centre square (torchvision)
**   light      random resized crop as torchvision draws it: area and log aspect uniform, ten tries
**   inception  the release's: its box sampler, four resize methods, two orders of colour distortion.  There
**              the method and the order hung on the number of the reading thread; here both are drawn, so
**              that the mixture is fair and the same however many threads read.
**   none       the whole picture
*/
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/resize.h"
#include <math.h>
#include <string.h>
#include <time.h>

enum { ALL_METHODS = 15, CROP_TRIES = 10, BOX_TRIES = 100 };

struct inc_viewer {
  inc_decoder *decoder;
  inc_taps x, y;
  inc_scratch tmp, rgbx, planes;
  const k_pixels *k;
  int64_t ns[3]; /* decode, resize, colour: summed */
};

typedef struct box {
  double x, y, w, h;
} box;

/* -- Options ---------------------------------------------------------------------------------- */

int inc_transform_init(inc_transform *t, const char *view, int size) {
  static const char *const names[] = {"eval", "light", "inception", "none"};
  *t = (inc_transform){.size = size,
                       .fraction = 0.875,
                       .short_side = (int)lround(size / 0.875),
                       .antialias = true,
                       .methods = 1 << INC_RESIZE_BILINEAR,
                       .area = {0.3, 1},
                       .aspect = {0.75, 4.0 / 3},
                       .crops = 1};
  while (t->view < 4 && strcmp(view, names[t->view]) != 0) t->view++;
  if (t->view == 4)
    return inc_fail(INC_EARG, "augment",
                    "expected \"inception\", \"light\", \"none\" or \"eval\", got \"%.40s\"", view);
  t->flip = t->view == INC_VIEW_LIGHT || t->view == INC_VIEW_INCEPTION;
  if (t->view == INC_VIEW_INCEPTION) {
    t->methods = ALL_METHODS, t->colour = true, t->covered = 0.1;
    t->area[0] = 0.05, t->aspect[1] = 1.33;
  }
  return inc_transform_check(t);
}

int inc_transform_check(const inc_transform *t) {
  if (t->size < 1 || t->size > 8192)
    return inc_fail(INC_EARG, "size", "expected 1 to 8192 pixels, got %d", t->size);
  if (!(t->fraction > 0 && t->fraction <= 1))
    return inc_fail(INC_EARG, "fraction", "expected more than 0 and at most 1, got %g", t->fraction);
  if (t->short_side < t->size)
    return inc_fail(INC_EARG, "short_side", "expected at least the size, %d, got %d", t->size, t->short_side);
  if (!(t->area[0] > 0 && t->area[0] <= t->area[1] && t->area[1] <= 1))
    return inc_fail(INC_EARG, "area", "expected two fractions in order, got %g and %g", t->area[0],
                    t->area[1]);
  if (!(t->aspect[0] > 0 && t->aspect[0] <= t->aspect[1] && t->aspect[1] < 1e4))
    return inc_fail(INC_EARG, "aspect", "expected two positive ratios in order, got %g and %g", t->aspect[0],
                    t->aspect[1]);
  if (!(t->methods & ALL_METHODS))
    return inc_fail(INC_EARG, "methods", "expected at least one resize method");
  if (t->crops != 1 && t->crops != 12 && t->crops != 144)
    return inc_fail(INC_EARG, "crops", "expected 1, 12 or 144, got %d", t->crops);
  if (t->crop < 0 || t->crop >= t->crops)
    return inc_fail(INC_EARG, "crop", "expected 0 to %d, got %d", t->crops - 1, t->crop);
  return INC_OK;
}

/* -- Boxes ------------------------------------------------------------------------------------ */

static box whole(int w, int h) { return (box){0, 0, w, h}; }

static box light_box(const inc_transform *t, int w, int h, inc_rng *r) {
  double low = log(t->aspect[0]), high = log(t->aspect[1]);
  for (int i = 0; i < CROP_TRIES; i++) {
    double area = inc_rng_uniform(r, t->area[0], t->area[1]) * w * h,
           aspect = exp(inc_rng_uniform(r, low, high));
    int cw = (int)lrint(sqrt(area * aspect)), ch = (int)lrint(sqrt(area / aspect));
    if (cw < 1 || ch < 1 || cw > w || ch > h) continue;
    uint32_t x = inc_rng_below(r, (uint32_t)(w - cw + 1)), y = inc_rng_below(r, (uint32_t)(h - ch + 1));
    return (box){x, y, cw, ch};
  }
  double cw = fmin(w, h * t->aspect[1]), ch = fmin(h, w / t->aspect[0]); /* the largest centred one allowed */
  cw = fmax(1, rint(cw)), ch = fmax(1, rint(ch));
  return (box){floor((w - cw) / 2), floor((h - ch) / 2), cw, ch};
}

/* The release's sampler: uniform aspect, then a uniform height among those whose area is allowed.  Without
** marked objects the whole picture is the object, of which `covered` must be seen. */
static box inception_box(const inc_transform *t, int w, int h, inc_rng *r) {
  double all = (double)w * h, low = fmax(t->area[0], t->covered) * all, high = t->area[1] * all;
  for (int i = 0; i < BOX_TRIES; i++) {
    double aspect = inc_rng_uniform(r, t->aspect[0], t->aspect[1]);
    int ch = (int)lrint(sqrt(t->area[0] * all / aspect)), top = (int)lrint(sqrt(high / aspect));
    int fits = (int)floor((w + 0.499) / aspect); /* round(height aspect) <= w */
    if (top > fits) top = fits;
    if (top > h) top = h;
    if (ch > top) ch = top;
    if (ch < top) ch += (int)inc_rng_below(r, (uint32_t)(top - ch + 1));
    int cw = (int)lrint(ch * aspect);
    if (ch < 1 || cw < 1 || cw > w || (double)cw * ch < low || (double)cw * ch > high) continue;
    uint32_t x = inc_rng_below(r, (uint32_t)(w - cw + 1)), y = inc_rng_below(r, (uint32_t)(h - ch + 1));
    return (box){x, y, cw, ch};
  }
  return whole(w, h);
}

/* Centre `size` x `size` of the picture made `side` on its short side, in pixels of the picture. */
static box short_side_box(int w, int h, int side, int size) {
  int nw = w <= h ? side : (int)((double)side * w / h), nh = w <= h ? (int)((double)side * h / w) : side;
  double sx = (double)w / nw, sy = (double)h / nh;
  return (box){rint((nw - size) / 2.0) * sx, rint((nh - size) / 2.0) * sy, size * sx, size * sy};
}

/* Many-crop evaluation (Going deeper with convolutions): short side at 4 scales, 3 squares along the long
** side, and of each the 4 corners, the centre and the square itself, each mirrored: 144.  12: the first
** scale. */
static box many_box(const inc_transform *t, int w, int h, bool *mirror) {
  static const double scales[] = {256 / 224.0, 288 / 224.0, 320 / 224.0, 352 / 224.0};
  int c = t->crop, kind = c / 2 % 6, third = c / 12 % 3, scale = c / 36;
  double side = w < h ? w : h, cut = side / scales[scale];
  *mirror = c & 1;
  if (t->crops == 12) third = 1;
  double x = (w - side) * third / 2, y = (h - side) * third / 2, slack = side - cut;
  if (kind == 5) return (box){x, y, side, side};
  if (kind == 4) return (box){x + slack / 2, y + slack / 2, cut, cut};
  return (box){x + (kind & 1 ? slack : 0), y + (kind & 2 ? slack : 0), cut, cut};
}

static box eval_box(const inc_transform *t, int w, int h, bool *mirror) {
  if (t->crops > 1) return many_box(t, w, h, mirror);
  if (t->geometry == INC_GEOM_SHORT_SIDE) return short_side_box(w, h, t->short_side, t->size);
  double mx = floor(w * (1 - t->fraction) / 2),
         my = floor(h * (1 - t->fraction) / 2); /* whole pixels, as TensorFlow */
  return (box){mx, my, w - 2 * mx, h - 2 * my};
}

/* -- Draws ------------------------------------------------------------------------------------ */

typedef struct plan {
  box b;
  bool mirror, colour;
  int method;
  k_colour_args distortion;
} plan;

static int draw_method(unsigned mask, inc_rng *r) {
  uint32_t pick = (mask & (mask - 1)) ? inc_rng_below(r, (uint32_t)__builtin_popcount(mask)) : 0;
  for (; pick > 0; pick--) mask &= mask - 1;
  return __builtin_ctz(mask);
}

static void draw_colour(k_colour_args *c, inc_rng *r) {
  c->order = (int)inc_rng_below(r, 2);
  c->brightness = (float)inc_rng_uniform(r, -32, 32);
  c->saturation = (float)inc_rng_uniform(r, 0.5, 1.5);
  c->hue = (float)inc_rng_uniform(r, -0.2, 0.2);
  c->contrast = (float)inc_rng_uniform(r, 0.5, 1.5);
}

static plan draw(const inc_transform *t, int w, int h, inc_rng r) {
  plan p = {.b = whole(w, h), .method = __builtin_ctz(t->methods)};
  if (t->view == INC_VIEW_EVAL) p.b = eval_box(t, w, h, &p.mirror);
  if (t->view == INC_VIEW_EVAL || t->view == INC_VIEW_NONE) return p;
  p.b = t->view == INC_VIEW_LIGHT ? light_box(t, w, h, &r) : inception_box(t, w, h, &r);
  p.mirror = t->flip && inc_rng_below(&r, 2);
  p.method = draw_method(t->methods & ALL_METHODS, &r);
  p.colour = t->colour;
  if (p.colour) draw_colour(&p.distortion, &r);
  return p;
}

/* -- Work ------------------------------------------------------------------------------------- */

int inc_viewer_new(inc_viewer **out) {
  inc_viewer *v = inc_zalloc(sizeof *v);
  if (!v) return INC_EMEM;
  v->k = k_pixels_best();
  int code = inc_decoder_new(&v->decoder);
  if (code != INC_OK)
    inc_free(v);
  else
    *out = v;
  return code;
}

void inc_viewer_free(inc_viewer *v) {
  if (!v) return;
  inc_decoder_free(v->decoder);
  inc_taps_free(&v->x);
  inc_taps_free(&v->y);
  inc_scratch_free(&v->tmp);
  inc_scratch_free(&v->rgbx);
  inc_scratch_free(&v->planes);
  inc_free(v);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool random_view(const inc_transform *t) {
  return t->view == INC_VIEW_LIGHT || t->view == INC_VIEW_INCEPTION;
}

/* A box that is much larger than the view is read from a picture that the decoder has made smaller, such
** that half as much again as is needed is left for the filter: 10.5 ms instead of 14.1 for photos of 12
** megapixels, where entropy decoding is what remains.  Only for random views: the filter is not quite the
** same one. */
static void shrink(inc_viewer *v, const inc_transform *t, plan *p, int *w, int *h) {
  double spare = fmin(p->b.w, p->b.h) / t->size / 1.5;
  int by = spare >= 8 ? 8 : spare >= 4 ? 4 : spare >= 2 ? 2 : 1, was_w = *w, was_h = *h;
  if (by == 1 || !random_view(t)) return;
  inc_decoder_shrink(v->decoder, by, w, h);
  double sx = (double)*w / was_w, sy = (double)*h / was_h;
  p->b = (box){p->b.x * sx, p->b.y * sy, p->b.w * sx, p->b.h * sy};
}

static int weigh(inc_viewer *v, const inc_transform *t, const plan *p, int w, int h) {
  inc_axis ax = {0, w, p->b.x, p->b.w, t->size, p->mirror}, ay = {0, h, p->b.y, p->b.h, t->size, false};
  if (random_view(t)) { /* a crop: nothing outside it is looked at */
    ax.first = (int)p->b.x, ax.limit = (int)fmin(w, ceil(p->b.x + p->b.w));
    ay.first = (int)p->b.y, ay.limit = (int)fmin(h, ceil(p->b.y + p->b.h));
  }
  INC_TRY(inc_taps_make(&v->x, &ax, p->method, t->antialias));
  return inc_taps_make(&v->y, &ay, p->method, t->antialias);
}

static int paint(inc_viewer *v, const inc_transform *t, const plan *p, const uint8_t *px, size_t stride,
                 uint8_t *out) {
  int64_t start = now();
  int n = t->size * t->size, code = INC_OK;
  if (!p->colour) {
    code = inc_resample_packed(v->k, &v->x, &v->y, px, stride, &v->tmp, out);
    v->ns[1] += now() - start;
    return code;
  }
  INC_TRY(inc_scratch_want(&v->rgbx, (size_t)n * 4));
  INC_TRY(inc_scratch_want(&v->planes, (size_t)n * 3 * sizeof(int16_t)));
  INC_TRY(inc_resample(v->k, &v->x, &v->y, px, stride, &v->tmp, v->rgbx.p));
  int64_t middle = now();
  v->k->colour(&p->distortion, v->rgbx.p, n, (int16_t *)v->planes.p, out);
  v->ns[1] += middle - start, v->ns[2] += now() - middle;
  return INC_OK;
}

int inc_viewer_run(inc_viewer *v, const inc_transform *t, const void *bytes, size_t n, const char *name,
                   uint64_t seed, uint32_t epoch, uint32_t picture, uint8_t *out) {
  inc_picture_info info;
  const uint8_t *px;
  size_t stride;
  int64_t start = now();
  INC_TRY(inc_decoder_open(v->decoder, bytes, n, name, &info));
  plan p = draw(t, info.w, info.h, inc_rng_at(seed, INC_RNG_AUGMENT, picture, epoch));
  shrink(v, t, &p, &info.w, &info.h);
  INC_TRY(weigh(v, t, &p, info.w, info.h));
  INC_TRY(inc_decoder_box(v->decoder, v->x.lo, v->y.lo, v->x.hi - v->x.lo, v->y.hi - v->y.lo, &px, &stride));
  v->ns[0] += now() - start;
  return paint(v, t, &p, px, stride, out);
}

/* Window of packed pixels -> v->rgbx as 4 bytes a pixel. */
static int spread(inc_viewer *v, const uint8_t *rgb, int w, inc_scratch *s) {
  int wide = v->x.hi - v->x.lo, high = v->y.hi - v->y.lo;
  INC_TRY(inc_scratch_want(s, (size_t)wide * 4 * (size_t)high));
  for (int y = 0; y < high; y++)
    for (int x = 0; x < wide; x++)
      memcpy(s->p + ((size_t)y * (size_t)wide + (size_t)x) * 4,
             rgb + ((size_t)(v->y.lo + y) * (size_t)w + (size_t)(v->x.lo + x)) * 3, 3);
  return INC_OK;
}

int inc_viewer_pixels(inc_viewer *v, const inc_transform *t, const uint8_t *rgb, int w, int h, uint64_t seed,
                      uint32_t epoch, uint32_t picture, uint8_t *out) {
  inc_scratch s = {0};
  plan p = draw(t, w, h, inc_rng_at(seed, INC_RNG_AUGMENT, picture, epoch));
  int code = weigh(v, t, &p, w, h);
  if (code == INC_OK) code = spread(v, rgb, w, &s);
  if (code == INC_OK) code = paint(v, t, &p, s.p, (size_t)(v->x.hi - v->x.lo) * 4, out);
  inc_scratch_free(&s);
  return code;
}

void inc_viewer_times(const inc_viewer *v, int64_t ns[3]) { memcpy(ns, v->ns, sizeof v->ns); }

int inc_resize(const uint8_t *rgb, int w, int h, double x, double y, double bw, double bh, int method,
               bool antialias, int ow, int oh, uint8_t *out) {
  inc_viewer v = {.k = k_pixels_best()};
  inc_scratch s = {0};
  inc_axis ax = {0, w, x, bw, ow, false}, ay = {0, h, y, bh, oh, false};
  if (w < 1 || h < 1 || ow < 1 || oh < 1 || !(bw > 0) || !(bh > 0))
    return inc_fail(INC_EARG, NULL, "cannot resize %g x %g of %d x %d pixels to %d x %d", bw, bh, w, h, ow,
                    oh);
  int code = inc_taps_make(&v.x, &ax, method, antialias);
  if (code == INC_OK) code = inc_taps_make(&v.y, &ay, method, antialias);
  if (code == INC_OK) code = spread(&v, rgb, w, &s);
  if (code == INC_OK)
    code = inc_resample_packed(v.k, &v.x, &v.y, s.p, (size_t)(v.x.hi - v.x.lo) * 4, &v.tmp, out);
  inc_scratch_free(&s);
  inc_scratch_free(&v.tmp);
  inc_taps_free(&v.x);
  inc_taps_free(&v.y);
  return code;
}
