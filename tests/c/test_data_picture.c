/* test_data_picture.c -- every kind of JPEG and PNG with known answers, windows against whole decodes, and
** files that are cut, damaged, lying or something else. */
#include "base/err.h"
#include "base/mem.h"
#include "data/data.h"

#include "check.h"
#include "pictures.h"
#include <dirent.h>
#include <unistd.h>

static uint8_t flat_value[4];
static void flat(int x, int y, uint8_t *p) {
  (void)x, (void)y;
  memcpy(p, flat_value, 4);
}
static void six(int x, int y, uint8_t *p) {
  p[0] = p[1] = p[2] = (uint8_t)(40 * (y * 2 + x + 1));
} /* 2 x 3: 1..6 */
static void index4(int x, int y, uint8_t *p) { p[0] = (uint8_t)((x + y) & 3); }

static int decode(const pic *p, inc_picture *out) { return inc_picture_decode(p->b, p->n, "p", out); }
static const char *why(const pic *p) {
  inc_picture out;
  if (decode(p, &out) != INC_OK) return inc_error_last()->text;
  inc_picture_free(&out);
  return "fine";
}

static int near_rgb(const uint8_t *p, int r, int g, int b, int tol) {
  return abs(p[0] - r) <= tol && abs(p[1] - g) <= tol && abs(p[2] - b) <= tol;
}

TEST(grey_jpeg_is_three_equal_channels) {
  inc_picture p;
  flat_value[0] = 77;
  CHECK_EQ(decode(pic_jpeg(&(pic_opts){.w = 20, .h = 9, .comps = 1, .pixel = flat}), &p), INC_OK);
  CHECK(p.w == 20 && p.h == 9 && near_rgb(p.rgb, 77, 77, 77, 0) && near_rgb(p.rgb + 3 * 179, 77, 77, 77, 0));
  inc_picture_free(&p);
}

TEST(four_inks_follow_the_rule) { /* with Adobe's marker R = K C / 255, else (255 - K)(255 - C) / 255 */
  pic_opts o = {.w = 16, .h = 16, .comps = 4, .quality = 100, .pixel = flat};
  inc_picture p;
  memcpy(flat_value, (uint8_t[]){200, 100, 50, 128}, 4);
  CHECK_EQ(decode(pic_jpeg(&o), &p), INC_OK);
  CHECK(near_rgb(p.rgb, 200 * 128 / 255, 100 * 128 / 255, 50 * 128 / 255, 0));
  inc_picture_free(&p);
  o.no_adobe = 1;
  CHECK_EQ(decode(pic_jpeg(&o), &p), INC_OK);
  CHECK(near_rgb(p.rgb, 55 * 127 / 255, 155 * 127 / 255, 205 * 127 / 255, 0));
  inc_picture_free(&p);
  o.no_adobe = 0, o.ycck = 1;
  CHECK_EQ(decode(pic_jpeg(&o), &p), INC_OK);
  CHECK(near_rgb(p.rgb, 200 * 128 / 255, 100 * 128 / 255, 50 * 128 / 255, 1));
  inc_picture_free(&p);
}

static void orientation_answers(int png) {
  static const char *const want[9] = {"",       "123456", "214365", "654321", "563412",
                                      "135246", "531642", "642531", "246135"};
  for (int o = 1; o <= 8; o++) {
    pic_opts opt = {.w = 2, .h = 3, .comps = 1, .quality = 100, .orientation = o, .pixel = six};
    inc_picture p;
    CHECK_EQ(decode(png ? pic_png(&opt) : pic_jpeg(&opt), &p), INC_OK);
    CHECK_EQ(p.w, o >= 5 ? 3 : 2);
    for (int i = 0; i < 6; i++) CHECK_CLOSE(p.rgb[3 * i], 40 * (want[o][i] - '0'), 3);
    inc_picture_free(&p);
  }
}
TEST(orientation_of_a_jpeg) { orientation_answers(0); }
TEST(orientation_of_a_png) { orientation_answers(1); }

TEST(nonsense_orientation_is_upright) {
  pic_opts o = {.w = 4, .h = 3, .comps = 1, .orientation = 9, .pixel = six};
  inc_picture_info info;
  pic *p = pic_jpeg(&o);
  CHECK_EQ(inc_picture_peek(p->b, p->n, NULL, &info), INC_OK);
  CHECK(info.orientation == 1 && info.w == 4 && info.h == 3 && !info.png);
}

TEST(png_palette_alpha_and_depth) {
  inc_picture p;
  pic_opts pal = {.w = 4, .h = 1, .png_type = PNG_COLOR_TYPE_PALETTE, .png_bits = 2, .pixel = index4};
  CHECK_EQ(decode(pic_png(&pal), &p), INC_OK);
  CHECK(near_rgb(p.rgb, 255, 0, 0, 0) && near_rgb(p.rgb + 3, 0, 255, 0, 0) &&
        near_rgb(p.rgb + 9, 255, 255, 255, 0));
  inc_picture_free(&p);
  pal.trns = 1; /* green is see-through, blue half so: over white */
  CHECK_EQ(decode(pic_png(&pal), &p), INC_OK);
  CHECK(near_rgb(p.rgb, 255, 0, 0, 0) && near_rgb(p.rgb + 3, 255, 255, 255, 0) &&
        near_rgb(p.rgb + 6, 127, 127, 255, 0));
  inc_picture_free(&p);
  memcpy(flat_value, (uint8_t[]){10, 20, 30, 0}, 4);
  CHECK_EQ(decode(pic_png(&(pic_opts){.w = 3, .h = 3, .png_type = PNG_COLOR_TYPE_RGBA, .pixel = flat}), &p),
           INC_OK);
  CHECK(near_rgb(p.rgb, 255, 255, 255, 0));
  inc_picture_free(&p);
  memcpy(flat_value, (uint8_t[]){0x12, 0xFF, 0, 0}, 4); /* 16 bits: the high byte */
  CHECK_EQ(decode(pic_png(&(pic_opts){.w = 3, .h = 3, .png_bits = 16, .pixel = flat}), &p), INC_OK);
  CHECK(near_rgb(p.rgb, 0x12, 0x12, 0x12, 0));
  inc_picture_free(&p);
  flat_value[0] = 1;
  CHECK_EQ(decode(pic_png(&(pic_opts){.w = 9, .h = 2, .png_bits = 1, .pixel = flat}), &p), INC_OK);
  CHECK(near_rgb(p.rgb + 24, 255, 255, 255, 0));
  inc_picture_free(&p);
  flat_value[0] = 9;
  CHECK_EQ(decode(pic_png(&(pic_opts){.w = 2, .h = 2, .trns = 9, .pixel = flat}), &p), INC_OK);
  CHECK(near_rgb(p.rgb, 255, 255, 255, 0));
  inc_picture_free(&p);
}

/* Windows at random places must hold the bits that the whole picture has there. */
static void windows_match(const pic *p, int turns) {
  inc_decoder *d;
  inc_picture whole;
  inc_picture_info info;
  uint32_t rnd = 12345;
  CHECK_EQ(inc_decoder_new(&d), INC_OK);
  CHECK_EQ(decode(p, &whole), INC_OK);
  for (int i = 0; i < turns; i++) {
    const uint8_t *px;
    size_t stride;
    CHECK_EQ(inc_decoder_open(d, p->b, p->n, NULL, &info), INC_OK);
    int w = (int)((rnd = rnd * 1103515245 + 12345) >> 8) % info.w + 1,
        h = (int)((rnd = rnd * 1103515245 + 12345) >> 8) % info.h + 1;
    int x = (int)((rnd = rnd * 1103515245 + 12345) >> 8) % (info.w - w + 1),
        y = (int)((rnd = rnd * 1103515245 + 12345) >> 8) % (info.h - h + 1);
    CHECK_EQ(inc_decoder_box(d, x, y, w, h, &px, &stride), INC_OK);
    for (int r = 0; r < h; r++)
      for (int c = 0; c < w; c++)
        if (memcmp(px + (size_t)r * stride + (size_t)c * 4, whole.rgb + ((y + r) * whole.w + x + c) * 3, 3) !=
            0)
          CHECK_FAIL("window %d x %d at %d, %d differs at %d, %d", w, h, x, y, c, r);
  }
  inc_picture_free(&whole);
  inc_decoder_free(d);
}

TEST(jpeg_windows) {
  static const int sampling[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}};
  for (int s = 0; s < 5; s++)
    for (int progressive = 0; progressive < 2; progressive++)
      windows_match(pic_jpeg(&(pic_opts){.w = 203,
                                         .h = 151,
                                         .comps = 3,
                                         .hs = sampling[s][0],
                                         .vs = sampling[s][1],
                                         .progressive = progressive,
                                         .restart = s & 1}),
                    60);
  windows_match(pic_jpeg(&(pic_opts){.w = 203, .h = 151, .comps = 1}), 20);
  windows_match(pic_jpeg(&(pic_opts){.w = 203, .h = 151, .comps = 4}), 20);
  for (int o = 2; o <= 8; o++)
    windows_match(pic_jpeg(&(pic_opts){.w = 203, .h = 151, .comps = 3, .hs = 2, .vs = 2, .orientation = o}),
                  20);
}

TEST(shrunk_jpeg_windows) { /* the same pixels as a whole read at that size, and near the mean of the large
                               ones */
  inc_decoder *d;
  inc_picture_info info;
  const uint8_t *px;
  size_t stride;
  static uint8_t whole[110 * 80 * 3];
  CHECK_EQ(inc_decoder_new(&d), INC_OK);
  for (int o = 1; o <= 8; o++)
    for (int by = 2; by <= 8; by *= 2) {
      pic *p = pic_jpeg(&(pic_opts){.w = 203,
                                    .h = 151,
                                    .comps = 3,
                                    .hs = 1 + (o & 1),
                                    .vs = 1 + (o >> 1 & 1),
                                    .progressive = o >> 2 & 1,
                                    .orientation = o});
      int w, h;
      CHECK_EQ(inc_decoder_open(d, p->b, p->n, NULL, &info), INC_OK);
      inc_decoder_shrink(d, by, &w, &h);
      CHECK(w == (info.w + by - 1) / by && h == (info.h + by - 1) / by);
      CHECK_EQ(inc_decoder_box(d, 0, 0, w, h, &px, &stride), INC_OK);
      for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) memcpy(whole + (y * w + x) * 3, px + (size_t)y * stride + x * 4, 3);
      for (int i = 0; i < 12; i++) {
        int bw = 1 + i * w / 13, bh = 1 + (11 - i) * h / 13, x = (w - bw) * (i % 5) / 4,
            y = (h - bh) * (i % 3) / 2;
        CHECK_EQ(inc_decoder_box(d, x, y, bw, bh, &px, &stride), INC_OK);
        for (int r = 0; r < bh; r++)
          for (int c = 0; c < bw; c++)
            CHECK_EQ(memcmp(px + (size_t)r * stride + (size_t)c * 4, whole + ((y + r) * w + x + c) * 3, 3),
                     0);
      }
    }
  inc_decoder_free(d);
}

TEST(png_windows) {
  windows_match(pic_png(&(pic_opts){.w = 83, .h = 41, .png_type = PNG_COLOR_TYPE_RGB}), 20);
  windows_match(pic_png(&(pic_opts){.w = 83, .h = 41, .png_type = PNG_COLOR_TYPE_RGBA, .interlaced = 1}), 20);
  windows_match(pic_png(&(pic_opts){.w = 83, .h = 41, .png_type = PNG_COLOR_TYPE_RGB, .orientation = 6}), 20);
}

TEST(cut_files_are_truncated_wherever_cut) {
  static const int kinds[] = {0, 1};
  for (int k = 0; k < 2; k++) {
    pic *p = pic_jpeg(&(pic_opts){
        .w = 120, .h = 80, .comps = 3, .hs = 2, .vs = 2, .progressive = kinds[k], .orientation = 3});
    size_t n = p->n;
    for (size_t cut = n - 1; cut > 3; cut -= cut > 40 ? 37 : 1) {
      p->n = cut;
      CHECK(strstr(why(p), "JPEG") != NULL);
      if (cut > n / 2) CHECK_STR(why(p), "truncated JPEG");
    }
  }
  pic *p = pic_png(&(pic_opts){.w = 60, .h = 40, .png_type = PNG_COLOR_TYPE_RGB});
  for (size_t n = p->n - 1; n > 8; n -= n > 60 ? 23 : 1) {
    p->n = n;
    CHECK_STR(why(p), "truncated PNG");
  }
}

TEST(truncation_is_seen_by_a_window_that_ends_before_it) {
  inc_decoder *d;
  inc_picture_info info;
  pic *p = pic_jpeg(&(pic_opts){.w = 300, .h = 300, .comps = 3});
  CHECK_EQ(inc_decoder_new(&d), INC_OK);
  CHECK_EQ(inc_decoder_open(d, p->b, p->n * 9 / 10, "late.jpg", &info), INC_EFORMAT);
  CHECK_STR(inc_error_last()->text, "truncated JPEG");
  CHECK_STR(inc_error_last()->arg, "late.jpg");
  inc_decoder_free(d);
}

TEST(damage_is_bad) {
  pic *p = pic_jpeg(&(pic_opts){.w = 200, .h = 200, .comps = 3, .hs = 2, .vs = 2});
  memcpy(p->b + p->n / 2, "\xFF\xD9", 2); /* an end in the middle */
  CHECK(strncmp(why(p), "corrupt JPEG", 12) == 0);
  p = pic_png(&(pic_opts){.w = 60, .h = 40, .png_type = PNG_COLOR_TYPE_RGB});
  p->b[p->n / 2] ^= 0x40;
  CHECK(strncmp(why(p), "corrupt PNG", 11) == 0);
}

TEST(other_formats_are_named_by_what_they_are_not) {
  static const char *const heads[] = {"GIF89a\1\0\1\0", "RIFF....WEBPVP8 ", "BM6\0\0\0", "just text\n",
                                      "\0\0\0\0",       "%PDF-1.4",         "II*\0"};
  for (int i = 0; i < 7; i++) {
    memset(pic_out.b, 0, 64);
    memcpy(pic_out.b, heads[i], strlen(heads[i]));
    pic_out.n = 64;
    CHECK_STR(why(&pic_out), "not a JPEG or PNG");
  }
  pic_out.n = 0;
  CHECK_STR(why(&pic_out), "not a JPEG or PNG (the file is empty)");
}

TEST(bombs_are_refused_before_memory_is_taken) {
  pic *p = pic_png(&(pic_opts){.w = 8, .h = 8, .png_type = PNG_COLOR_TYPE_RGB});
  memcpy(p->b + 16, (uint8_t[]){0, 0, 0x40, 0, 0, 0, 0x40, 0}, 8); /* 16384 x 16384 */
  CHECK_STR(why(p), "16384 x 16384 pixels: more than 128 megapixels");
  p = pic_jpeg(&(pic_opts){.w = 8, .h = 8, .comps = 3});
  for (size_t i = 0; i < p->n; i++)
    if (p->b[i] == 0xFF && p->b[i + 1] == 0xC0) memcpy(p->b + i + 5, (uint8_t[]){0xFF, 0, 0xFF, 0}, 4);
  CHECK_STR(why(p), "65280 x 65280 pixels: more than 128 megapixels");
}

TEST(random_damage_never_breaks_anything) { /* the sanitizers watch */
  uint32_t rnd = 1;
  for (int i = 0; i < 400; i++) {
    pic *p = i & 1 ? pic_png(&(pic_opts){.w = 40,
                                         .h = 30,
                                         .png_type = i & 2 ? PNG_COLOR_TYPE_PALETTE : PNG_COLOR_TYPE_RGBA,
                                         .interlaced = i & 4,
                                         .pixel = i & 2 ? index4 : NULL,
                                         .orientation = 5})
                   : pic_jpeg(&(pic_opts){
                         .w = 50, .h = 40, .comps = i % 3 ? 3 : 4, .progressive = i & 4, .orientation = 6});
    for (int k = 0; k < 1 + i % 5; k++) {
      rnd = rnd * 1664525 + 1013904223;
      p->b[(rnd >> 8) % p->n] = (uint8_t)rnd;
    }
    if (p->b[16] == 0 && p->b[20] == 0)
      why(p); /* leave out what claims to be huge yet passes: slow, not unsafe */
    else if (!(i & 1))
      why(p);
  }
  CHECK(1);
}

TEST(a_failed_picture_leaves_the_decoder_usable) {
  inc_decoder *d;
  inc_picture_info info;
  const uint8_t *px;
  size_t stride;
  CHECK_EQ(inc_decoder_new(&d), INC_OK);
  pic *p = pic_jpeg(&(pic_opts){.w = 200, .h = 200, .comps = 3});
  memcpy(p->b + p->n / 2, "\xFF\xD9", 2); /* an end in the middle */
  CHECK_EQ(inc_decoder_open(d, p->b, p->n, NULL, NULL), INC_OK);
  CHECK_EQ(inc_decoder_box(d, 0, 0, 200, 200, &px, &stride), INC_EFORMAT);
  p = pic_jpeg(&(pic_opts){.w = 30, .h = 20, .comps = 3});
  CHECK_EQ(inc_decoder_open(d, p->b, p->n, NULL, &info), INC_OK);
  CHECK_EQ(inc_decoder_box(d, 1, 2, 3, 4, &px, &stride), INC_OK);
  CHECK_EQ(inc_decoder_box(d, 5, 2, 9, 4, &px, &stride), INC_OK); /* a second box of the same picture */
  CHECK_EQ(inc_decoder_box(d, 5, 2, 26, 4, &px, &stride), INC_EARG);
  inc_decoder_free(d);
}

TEST(png_written_reads_back) {
  char path[160];
  inc_picture a, b;
  snprintf(path, sizeof path, "%s/written.png", check_folder());
  CHECK_EQ(decode(pic_jpeg(&(pic_opts){.w = 37, .h = 21, .comps = 3}), &a), INC_OK);
  CHECK_EQ(inc_png_save(path, a.rgb, a.w, a.h), INC_OK);
  CHECK_EQ(inc_picture_load(path, &b), INC_OK);
  unlink(path);
  CHECK(a.w == b.w && a.h == b.h && memcmp(a.rgb, b.rgb, (size_t)a.w * a.h * 3) == 0);
  inc_picture_free(&a);
  inc_picture_free(&b);
  CHECK_EQ(inc_png_save("/nowhere/at/all.png", (uint8_t[]){1, 2, 3}, 1, 1), INC_EIO);
}

TEST(memory_running_out_is_an_error_and_leaks_nothing) {
  pic_opts o = {.w = 40, .h = 30, .comps = 3, .png_type = PNG_COLOR_TYPE_RGB, .orientation = 6};
  for (int png = 0; png < 2; png++) {
    pic *p = png ? pic_png(&o) : pic_jpeg(&o);
    for (int n = 1; n < 100; n++) {
      inc_picture out;
      int64_t live = inc_mem_live();
      inc_mem_fail_at(n);
      int code = decode(p, &out);
      inc_mem_fail_at(0);
      if (code == INC_OK) {
        inc_picture_free(&out);
        CHECK(n > 3);
        break;
      }
      CHECK_EQ(code, INC_EMEM);
      CHECK_EQ(inc_mem_live(), live);
    }
  }
}

TEST(real_photos_windows) {
  char dir[300], path[700];
  const char *shared = getenv("INC_SHARED");
  snprintf(dir, sizeof dir, "%s/data/photos", shared ? shared : "../shared");
  DIR *d = opendir(dir);
  if (!d) SKIP("no shared photos (set INC_SHARED)");
  int seen = 0;
  for (struct dirent *e; (e = readdir(d)) != NULL && seen < 25;) {
    if (!strstr(e->d_name, ".JPEG")) continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    pic_out.n = fread(pic_out.b, 1, sizeof pic_out.b, f);
    fclose(f);
    windows_match(&pic_out, 4);
    seen++;
  }
  closedir(d);
  CHECK(seen > 0);
}
