/* test_data_transform.c -- resize and colour kernels against plain references and each other, boxes and draws
** against their definitions, and Pillow where it is installed. */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/data.h"
#include "kernels/cpu/pixels.h"

#include "check.h"
#include "pictures.h"
#include <math.h>
#include <unistd.h>

static uint8_t scene[200 * 150 * 3];
static void make_scene(int w, int h) {
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) {
      uint8_t p[4];
      pic_scene(x, y, p);
      memcpy(scene + (y * w + x) * 3, p, 3);
    }
}

TEST(resize_to_the_same_size_is_the_identity) {
  static uint8_t out[200 * 150 * 3];
  make_scene(200, 150);
  for (int m = 0; m < 4; m++) {
    CHECK_EQ(inc_resize(scene, 200, 150, 0, 0, 200, 150, m, m & 1, 200, 150, out), INC_OK);
    CHECK_EQ(memcmp(out, scene, sizeof scene), 0);
  }
}

TEST(flat_stays_flat) {
  static uint8_t flat[97 * 61 * 3], out[300 * 300 * 3];
  memset(flat, 201, sizeof flat);
  for (int m = 0; m < 4; m++)
    for (int n = 1; n < 300; n += 23)
      for (int aa = 0; aa < 2; aa++) {
        CHECK_EQ(inc_resize(flat, 97, 61, 3.3, 1.7, 80.1, 40.9, m, aa, n, 301 - n, out), INC_OK);
        for (int i = 0; i < n * (301 - n) * 3; i++) CHECK_EQ(out[i], 201);
      }
}

TEST(known_resizes) {
  static const uint8_t two[6] = {0, 100, 200, 100, 200, 0};
  uint8_t out[64];
  CHECK_EQ(inc_resize(two, 2, 1, 0, 0, 2, 1, INC_RESIZE_BILINEAR, true, 4, 1, out), INC_OK);
  static const uint8_t four[12] = {0, 100, 200, 25, 125, 150, 75, 175, 50, 100, 200, 0};
  for (int i = 0; i < 12; i++) CHECK_EQ(out[i], four[i]);
  CHECK_EQ(inc_resize(two, 2, 1, 0, 0, 2, 1, INC_RESIZE_AREA, false, 1, 1, out), INC_OK);
  CHECK(out[0] == 50 && out[1] == 150 && out[2] == 100);
  CHECK_EQ(inc_resize(two, 2, 1, 0, 0, 2, 1, INC_RESIZE_NEAREST, false, 3, 2, out), INC_OK);
  CHECK(out[0] == 0 && out[6] == 100 && out[9] == 0);
  CHECK_EQ(inc_resize(two, 2, 1, 0, 0, 2, 0, INC_RESIZE_AREA, false, 1, 1, out), INC_EARG);
}

/* Straight from the definition, in double. */
static double tri(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }
static double axis_weight(int i, int p, double from, double step, double widen) {
  return tri((p + 0.5 - from - (i + 0.5) * step) / widen);
}
static double slow(const uint8_t *src, int w, int h, int ch, double x, double y, double sx, double sy, int i,
                   int j, bool aa) {
  double sum = 0, all = 0, wx = aa && sx > 1 ? sx : 1, wy = aa && sy > 1 ? sy : 1;
  for (int q = 0; q < h; q++)
    for (int p = 0; p < w; p++) {
      double k = axis_weight(i, p, x, sx, wx) * axis_weight(j, q, y, sy, wy);
      sum += k * src[(q * w + p) * 3 + ch], all += k;
    }
  return sum / all;
}

TEST(bilinear_is_its_definition) {
  static uint8_t out[70 * 70 * 3];
  static const double boxes[][4] = {{0, 0, 60, 50}, {10, 5, 20, 30}, {3.5, 7.25, 50, 40.5}};
  make_scene(60, 50);
  for (int b = 0; b < 3; b++)
    for (int n = 9; n <= 69; n += 20)
      for (int aa = 0; aa < 2; aa++) {
        const double *k = boxes[b];
        CHECK_EQ(inc_resize(scene, 60, 50, k[0], k[1], k[2], k[3], INC_RESIZE_BILINEAR, aa, n, n, out),
                 INC_OK);
        for (int i = 0; i < n; i += 4)
          for (int j = 0; j < n; j += 3)
            for (int c = 0; c < 3; c++)
              CHECK_CLOSE(out[(j * n + i) * 3 + c],
                          slow(scene, 60, 50, c, k[0], k[1], k[2] / n, k[3] / n, i, j, aa), 0.6);
      }
}

static uint32_t rnd = 7;
static uint32_t next(void) { return (rnd = rnd * 1664525 + 1013904223) >> 8; }

TEST(kernels_agree_to_the_bit) {
  static const char *const isa[] = {"avx2", "avx512"};
  static uint8_t rows[9][4 * 400 + 64], a[4 * 340 + 64], b[4 * 340 + 64];
  static int16_t m0[4 * 420 + 64], m1[4 * 420 + 64], w[340 * 8];
  static int32_t at[344];
  const uint8_t *row[9];
  int seen = 0;
  for (int i = 0; i < 9; i++) {
    row[i] = rows[i];
    for (size_t j = 0; j < sizeof rows[i]; j++) rows[i][j] = (uint8_t)next();
  }
  for (int k = 0; k < 2; k++) {
    const k_pixels *fast = k_pixels_named(isa[k]), *plain = &k_pixels_plain;
    if (!fast) continue;
    seen++;
    for (int turn = 0; turn < 60; turn++) {
      int taps = 2 + 2 * (int)(next() % 3), n = 1 + (int)next() % 333, wide = 20 + (int)next() % 360;
      for (int i = 0; i < 340 * taps; i++) w[i] = (int16_t)((int)(next() % 16000) - 4000);
      for (int i = 0; i < 344; i++) at[i] = (int)next() % wide;
      memset(m0, 0, sizeof m0), memset(m1, 0, sizeof m1);
      plain->down(row, w, taps, wide, m0);
      fast->down(row, w, taps, wide, m1);
      CHECK_EQ(memcmp(m0, m1, (size_t)wide * 8), 0);
      plain->across(m0, at, w, taps, n, a);
      fast->across(m0, at, w, taps, n, b);
      CHECK_EQ(memcmp(a, b, (size_t)n * 4), 0);
      uint8_t p0[1100], p1[1100];
      memset(p0, 99, sizeof p0), memset(p1, 99, sizeof p1);
      plain->pack(a, n, p0);
      fast->pack(a, n, p1);
      CHECK_EQ(memcmp(p0, p1, sizeof p0), 0);
    }
    for (int turn = 0; turn < 40; turn++) {
      static uint8_t px[4 * 1000], c0[3 * 1000], c1[3 * 1000];
      static int16_t tmp[3 * 1000];
      int n = 1 + (int)next() % 1000;
      for (int i = 0; i < 4000; i++) px[i] = turn & 1 ? (uint8_t)next() : (uint8_t)(next() % 3 * 127);
      k_colour_args args = {turn / 2 & 1, (float)(next() % 65) - 32, 0.5f + (float)(next() % 100) / 100,
                            0.5f + (float)(next() % 100) / 100, (float)(next() % 41) / 100 - 0.2f};
      plain->colour(&args, px, n, tmp, c0);
      fast->colour(&args, px, n, tmp, c1);
      CHECK_EQ(memcmp(c0, c1, (size_t)n * 3), 0);
    }
  }
  if (!seen) SKIP("this CPU has neither AVX2 nor AVX-512");
}

/* TensorFlow's steps one by one, through HSV and back each time, in double on 0..1. */
static void to_hsv(const double *c, double *h, double *s, double *v) {
  double hi = fmax(c[0], fmax(c[1], c[2])), d = hi - fmin(c[0], fmin(c[1], c[2]));
  *v = hi, *s = hi > 0 ? d / hi : 0, *h = 0;
  if (d > 0)
    *h = (c[0] == hi ? (c[1] - c[2]) / d : c[1] == hi ? (c[2] - c[0]) / d + 2 : (c[0] - c[1]) / d + 4) / 6;
  if (*h < 0) *h += 1;
}
static double ramp(double x) { return fmin(fmax(x, 0), 1); }
static void from_hsv(double h, double s, double v, double *c) {
  c[0] = (1 - s + s * ramp(fabs(h * 6 - 3) - 1)) * v;
  c[1] = (1 - s + s * ramp(2 - fabs(h * 6 - 2))) * v;
  c[2] = (1 - s + s * ramp(2 - fabs(h * 6 - 4))) * v;
}
static void step_saturation(double (*p)[3], int n, double f) {
  for (int i = 0; i < n; i++) {
    double h, s, v;
    to_hsv(p[i], &h, &s, &v);
    from_hsv(h, ramp(s * f), v, p[i]);
  }
}
static void step_hue(double (*p)[3], int n, double delta) {
  for (int i = 0; i < n; i++) {
    double h, s, v;
    to_hsv(p[i], &h, &s, &v);
    from_hsv(h + delta - floor(h + delta), s, v, p[i]);
  }
}
static void step_contrast(double (*p)[3], int n, double f) {
  for (int c = 0; c < 3; c++) {
    double mean = 0;
    for (int i = 0; i < n; i++) mean += p[i][c] / n;
    for (int i = 0; i < n; i++) p[i][c] = (p[i][c] - mean) * f + mean;
  }
}

TEST(colour_is_the_releases_step_by_step) {
  enum { N = 700 };
  static uint8_t px[4 * N], out[3 * N];
  static int16_t tmp[3 * N];
  static double p[N][3];
  for (int turn = 0; turn < 60; turn++) {
    for (int i = 0; i < 4 * N; i++) px[i] = (uint8_t)(next() % (turn % 3 ? 256 : 60));
    k_colour_args a = {turn & 1, (float)(next() % 65) - 32, 0.5f + (float)(next() % 100) / 100,
                       0.5f + (float)(next() % 100) / 100, (float)(next() % 41) / 100 - 0.2f};
    for (int i = 0; i < N; i++)
      for (int c = 0; c < 3; c++) p[i][c] = (px[4 * i + c] + (double)a.brightness) / 255;
    if (a.order == 1) step_contrast(p, N, a.contrast);
    step_saturation(p, N, a.saturation);
    step_hue(p, N, a.hue);
    if (a.order == 0) step_contrast(p, N, a.contrast);
    k_pixels_best()->colour(&a, px, N, tmp, out);
    for (int i = 0; i < N; i++)
      for (int c = 0; c < 3; c++) CHECK_CLOSE(out[3 * i + c], 255 * ramp(p[i][c]), 0.55);
  }
}

static int view(const inc_transform *t, uint64_t seed, uint32_t epoch, uint32_t picture, uint8_t *out) {
  inc_viewer *v;
  if (inc_viewer_new(&v) != INC_OK) return INC_EMEM;
  int code = inc_viewer_run(v, t, pic_out.b, pic_out.n, "p", seed, epoch, picture, out);
  inc_viewer_free(v);
  return code;
}

TEST(draws_depend_on_seed_epoch_and_picture_only) {
  static uint8_t a[99 * 99 * 3], b[99 * 99 * 3];
  inc_transform t;
  pic_jpeg(&(pic_opts){.w = 240, .h = 180, .comps = 3, .hs = 2, .vs = 2});
  static const char *const names[] = {"light", "inception"};
  for (int k = 0; k < 2; k++) {
    CHECK_EQ(inc_transform_init(&t, names[k], 99), INC_OK);
    CHECK_EQ(view(&t, 1, 2, 3, a), INC_OK);
    CHECK_EQ(view(&t, 1, 2, 3, b), INC_OK);
    CHECK_EQ(memcmp(a, b, sizeof a), 0);
    CHECK(view(&t, 2, 2, 3, b) == INC_OK && memcmp(a, b, sizeof a) != 0);
    CHECK(view(&t, 1, 3, 3, b) == INC_OK && memcmp(a, b, sizeof a) != 0);
    CHECK(view(&t, 1, 2, 4, b) == INC_OK && memcmp(a, b, sizeof a) != 0);
  }
}

TEST(windowed_decode_gives_the_pixels_of_a_whole_one) {
  static uint8_t a[75 * 75 * 3], b[75 * 75 * 3];
  static const char *const names[] = {"eval", "light", "inception", "none"};
  inc_viewer *v;
  inc_picture p;
  CHECK_EQ(inc_viewer_new(&v), INC_OK);
  for (int o = 0; o <= 8; o += 2) {
    pic_jpeg(&(pic_opts){.w = 240, .h = 180, .comps = 3, .hs = 2, .vs = 2, .orientation = o});
    CHECK_EQ(inc_picture_decode(pic_out.b, pic_out.n, NULL, &p), INC_OK);
    for (int k = 0; k < 4; k++)
      for (uint32_t i = 0; i < 12; i++) {
        inc_transform t;
        CHECK_EQ(inc_transform_init(&t, names[k], 75), INC_OK);
        if (i & 1) t.geometry = INC_GEOM_SHORT_SIDE;
        CHECK_EQ(inc_viewer_run(v, &t, pic_out.b, pic_out.n, "p", 5, 0, i, a), INC_OK);
        CHECK_EQ(inc_viewer_pixels(v, &t, p.rgb, p.w, p.h, 5, 0, i, b), INC_OK);
        CHECK_EQ(memcmp(a, b, sizeof a), 0);
      }
    inc_picture_free(&p);
  }
  inc_viewer_free(v);
}

/* A picture whose pixels tell where they are: r = x, g = y. */
static uint8_t where[200 * 120 * 3];
static void make_where(void) {
  for (int y = 0; y < 120; y++)
    for (int x = 0; x < 200; x++)
      memcpy(where + (y * 200 + x) * 3, (uint8_t[]){(uint8_t)x, (uint8_t)y, 7}, 3);
}

static void smooth(int x, int y, uint8_t *p) {
  p[0] = (uint8_t)(x / 2), p[1] = (uint8_t)(y / 2), p[2] = (uint8_t)((x + y) / 4);
}

TEST(crops_of_evaluation) {
  static uint8_t out[64 * 64 * 3];
  inc_viewer *v;
  inc_transform t;
  make_where();
  CHECK_EQ(inc_viewer_new(&v), INC_OK);
  CHECK_EQ(inc_transform_init(&t, "eval", 64), INC_OK);
  t.antialias = false, t.methods = 1 << INC_RESIZE_NEAREST; /* .875 of 200 x 120: 12 and 7 cut on each side */
  CHECK_EQ(inc_viewer_pixels(v, &t, where, 200, 120, 0, 0, 0, out), INC_OK);
  CHECK(out[0] == 12 + 1 && out[1] == 7 && out[63 * 3] == 187 - 1 - 1 + 1 && out[(64 * 63) * 3 + 1] == 112);
  t.geometry = INC_GEOM_SHORT_SIDE, t.short_side = 120; /* no scaling: columns 68..131, rows 28..91 */
  CHECK_EQ(inc_viewer_pixels(v, &t, where, 200, 120, 0, 0, 0, out), INC_OK);
  CHECK(out[0] == 68 && out[1] == 28 && out[(64 * 64 - 1) * 3] == 131 && out[(64 * 64 - 1) * 3 + 1] == 91);
  t.crops = 144;
  for (t.crop = 0; t.crop < 144; t.crop++) {
    uint8_t *last = out + (64 * 64 - 1) * 3;
    CHECK_EQ(inc_viewer_pixels(v, &t, where, 200, 120, 0, 0, 0, out), INC_OK);
    CHECK((out[0] > last[0]) == (t.crop & 1) && out[1] < last[1]);
    int third = t.crop / 12 % 3, left = t.crop & 1 ? last[0] : out[0], right = t.crop & 1 ? out[0] : last[0];
    CHECK(left >= 40 * third && right < 40 * third + 120); /* 120 x 120 squares at 0, 40, 80 */
    if (t.crop / 2 % 6 == 5) CHECK(left - 40 * third <= 1 && right >= 40 * third + 117);
  }
  inc_viewer_free(v);
}

TEST(random_boxes_keep_their_promises) {
  static uint8_t out[64 * 64 * 3];
  inc_viewer *v;
  make_where();
  CHECK_EQ(inc_viewer_new(&v), INC_OK);
  for (int k = 0; k < 2; k++) {
    inc_transform t;
    double mean = 0;
    int mirrored = 0;
    CHECK_EQ(inc_transform_init(&t, k ? "inception" : "light", 64), INC_OK);
    t.colour = false, t.methods = 1 << INC_RESIZE_NEAREST;
    for (uint32_t i = 0; i < 2000; i++) {
      CHECK_EQ(inc_viewer_pixels(v, &t, where, 200, 120, 9, 1, i, out), INC_OK);
      double w = (abs(out[63 * 3] - out[0]) + 1), h = out[64 * 63 * 3 + 1] - out[1] + 1,
             area = w * h / (200 * 120);
      CHECK(area >= (k ? 0.1 : 0.3) * 0.9 && area <= 1);
      CHECK(w / h > 0.75 * 0.93 && w / h < 1.34 * 1.07);
      mean += area / 2000;
      mirrored += out[63 * 3] < out[0];
    }
    CHECK_CLOSE(mirrored, 1000, 90);
    CHECK(mean > 0.3 && mean < 0.6);
  }
  inc_viewer_free(v);
}

TEST(a_large_picture_may_be_shrunk_by_the_decoder) { /* which is another filter, but not another picture */
  static uint8_t a[40 * 40 * 3], b[40 * 40 * 3];
  inc_viewer *v;
  inc_picture p;
  inc_transform t;
  CHECK_EQ(inc_viewer_new(&v), INC_OK);
  CHECK_EQ(inc_transform_init(&t, "light", 40), INC_OK);
  pic_jpeg(&(pic_opts){.w = 500, .h = 400, .comps = 3, .hs = 2, .vs = 2, .pixel = smooth});
  CHECK_EQ(inc_picture_decode(pic_out.b, pic_out.n, NULL, &p), INC_OK);
  for (uint32_t i = 0; i < 20; i++) {
    CHECK_EQ(inc_viewer_run(v, &t, pic_out.b, pic_out.n, "p", 5, 0, i, a), INC_OK);
    CHECK_EQ(inc_viewer_pixels(v, &t, p.rgb, p.w, p.h, 5, 0, i, b), INC_OK);
    for (int k = 0; k < 40 * 40 * 3; k++) CHECK_CLOSE(a[k], b[k], 3);
  }
  inc_picture_free(&p);
  inc_viewer_free(v);
}

TEST(options_are_checked) {
  inc_transform t;
  CHECK_EQ(inc_transform_init(&t, "heavy", 299), INC_EARG);
  CHECK_STR(inc_error_last()->text, "expected \"inception\", \"light\", \"none\" or \"eval\", got \"heavy\"");
  CHECK_EQ(inc_transform_init(&t, "light", 0), INC_EARG);
  CHECK_EQ(inc_transform_init(&t, "light", 299), INC_OK);
  t.area[0] = 2;
  CHECK_EQ(inc_transform_check(&t), INC_EARG);
  CHECK_EQ(inc_transform_init(&t, "eval", 299), INC_OK);
  CHECK_EQ(t.short_side, 342);
  t.crop = 1;
  CHECK_EQ(inc_transform_check(&t), INC_EARG);
}

TEST(one_pixel_and_needle_pictures) {
  static uint8_t out[33 * 33 * 3];
  static const int dims[][2] = {{1, 1}, {1, 500}, {500, 1}, {2, 3}, {3000, 2}};
  static const char *const names[] = {"eval", "light", "inception", "none"};
  for (int d = 0; d < 5; d++) {
    pic_jpeg(&(pic_opts){.w = dims[d][0], .h = dims[d][1], .comps = 3, .hs = 2, .vs = 2});
    for (int k = 0; k < 4; k++)
      for (uint32_t i = 0; i < 8; i++) {
        inc_transform t;
        CHECK_EQ(inc_transform_init(&t, names[k], 33), INC_OK);
        CHECK_EQ(view(&t, 1, 0, i, out), INC_OK);
      }
  }
}

TEST(pillow_agrees) {
  const char *python = getenv("INC_PYTHON") ? getenv("INC_PYTHON") : "python3";
  char cmd[1200], base[160], path[176];
  static uint8_t theirs[299 * 7 * 3];
  static const int dims[4][2] = {{50, 41}, {50, 41}, {299, 7}, {31, 29}};
  static uint8_t big[300 * 60 * 3];
  snprintf(cmd, sizeof cmd, "%s -c 'import PIL' 2>/dev/null", python);
  if (system(cmd) != 0) SKIP("no Pillow (set INC_PYTHON)");
  snprintf(base, sizeof base, "%s/pil", check_folder());
  snprintf(path, sizeof path, "%s.png", base);
  make_scene(180, 140);
  CHECK_EQ(inc_png_save(path, scene, 180, 140), INC_OK);
  snprintf(cmd, sizeof cmd,
           "%s -c \"from PIL import Image as I; a=I.open('%s.png')\nfor k,(m,w,h,b) in "
           "enumerate([(2,50,41,None),(3,50,41,None),(2,299,7,(5,6,120,99)),(2,31,29,(100,50,120,70))]):\n "
           "open('%s.%%d'%%k,'wb').write(a.resize((w,h),m,box=b).tobytes())\"",
           python, base, base);
  CHECK_EQ(system(cmd), 0);
  for (int k = 0; k < 4; k++) {
    static const double box[4][4] = {{0, 0, 180, 140}, {0, 0, 180, 140}, {5, 6, 115, 93}, {100, 50, 20, 20}};
    char file[176];
    int n = dims[k][0] * dims[k][1] * 3, off = 0;
    snprintf(file, sizeof file, "%s.%d", base, k);
    FILE *f = fopen(file, "rb");
    CHECK(f != NULL);
    CHECK_EQ(fread(theirs, 1, sizeof theirs, f) >= (size_t)n, 1);
    fclose(f), unlink(file);
    CHECK_EQ(inc_resize(scene, 180, 140, box[k][0], box[k][1], box[k][2], box[k][3],
                        k == 1 ? INC_RESIZE_BICUBIC : INC_RESIZE_BILINEAR, true, dims[k][0], dims[k][1], big),
             INC_OK);
    for (int i = 0; i < n; i++) {
      CHECK_CLOSE(big[i], theirs[i], k == 1 ? 3 : 1); /* it rounds and clips between the passes */
      off += big[i] != theirs[i];
    }
    CHECK(off < n / 3);
  }
  unlink(path);
}
