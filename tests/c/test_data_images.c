/* test_data_images.c -- what a folder becomes: classes, labels, parts, warnings, refusals; the list as a
** file; what changed between two scans. */
#include "base/err.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "data/data.h"

#include "check.h"
#include "pictures.h"
#include <sys/stat.h>
#include <unistd.h>

static char top[160]; /* a fresh folder a test */

static char *at(const char *rel) {
  static char buf[4][600];
  static int turn;
  char *p = buf[turn++ & 3];
  snprintf(p, 600, "%s/%s", top, rel);
  return p;
}

static void fresh(void) {
  static int n;
  snprintf(top, sizeof top, "%s/images-%d", check_folder(), n++);
  mkdir(top, 0777);
}

/* A small JPEG whose bytes depend on `tone`, under a path whose folders are made. */
static uint8_t tone_value;
static void tone(int x, int y, uint8_t *p) { p[0] = (uint8_t)(tone_value + x + y * 3); }
static void put(const char *rel, int value) {
  char *path = at(rel);
  for (char *s = strchr(path + strlen(top) + 1, '/'); s; s = strchr(s + 1, '/')) {
    *s = '\0';
    mkdir(path, 0777);
    *s = '/';
  }
  tone_value = (uint8_t)value;
  pic *p = pic_jpeg(&(pic_opts){.w = 16 + value / 256, .h = 8, .comps = 1, .pixel = tone});
  pic_save(path, p->b, p->n);
}

static void put_many(const char *class, int n, int base) {
  for (int i = 0; i < n; i++) {
    char rel[80];
    snprintf(rel, sizeof rel, "%s/%03d.jpg", class, i);
    put(rel, base + i);
  }
}

static inc_images *scan(double val) {
  inc_images *im = NULL;
  inc_scan_opts o = {.val = val, .seed = 1};
  inc_error_clear();
  return inc_images_scan(top, &o, &im) == INC_OK ? im : NULL;
}

static const inc_image *find(const inc_images *im, const char *rel) {
  for (int64_t i = 0; i < im->n; i++)
    if (strcmp(im->item[i].path, rel) == 0) return &im->item[i];
  return NULL;
}

static int warned(const inc_images *im, const char *text) {
  for (int i = 0; i < im->nwarnings; i++)
    if (strstr(im->warning[i], text)) return 1;
  return 0;
}

TEST(classes_in_byte_order_and_odd_files) {
  fresh();
  put_many("b", 3, 0), put_many("B", 3, 10), put_many("a10", 2, 20), put_many("a2", 2, 30),
      put("b/deep/er/x.jpg", 40);
  pic_save(at("b/.hidden.jpg"), "x", 1), pic_save(at("b/Thumbs.db"), "x", 1),
      pic_save(at("b/desktop.ini"), "x", 1);
  pic_save(at("b/note.jpg"), "text", 4), pic_save(at("b/none.jpg"), "", 0), pic_save(at("README"), "x", 1);
  CHECK(symlink("nowhere", at("b/dangling.jpg")) == 0 && mkfifo(at("b/pipe.jpg"), 0666) == 0 &&
        mkdir(at("empty"), 0777) == 0);
  inc_images *im = scan(0);
  CHECK(im != NULL);
  static const char *const want[] = {"B", "a10", "a2", "b"};
  CHECK_EQ(im->nclasses, 4);
  for (int i = 0; i < 4; i++) CHECK_STR(im->classes[i], want[i]);
  CHECK(im->count[INC_PART_TRAIN] == 11 && im->count[INC_PART_VAL] == 0 && im->count[INC_PART_BAD] == 4);
  CHECK_EQ(find(im, "b/deep/er/x.jpg")->label, 4);
  CHECK_STR(find(im, "b/note.jpg")->why, "not a JPEG or PNG");
  CHECK_STR(find(im, "b/dangling.jpg")->why, "a link that leads nowhere");
  CHECK_STR(find(im, "b/pipe.jpg")->why, "not a regular file");
  CHECK(warned(im, "class \"empty\" has no picture: left out") &&
        warned(im, "1 file beside the class folders left out"));
  inc_images_unref(im);
}

TEST(split_is_stable_when_pictures_come) {
  fresh();
  put_many("x", 60, 0), put_many("y", 60, 100), put("z/1.jpg", 250);
  inc_images *a = scan(0.3), *same = scan(0.3);
  CHECK(a && same);
  CHECK(a->count[INC_PART_VAL] > 20 && a->count[INC_PART_VAL] < 54);
  put("x/new.jpg", 300), put("y/000a.jpg", 301);
  inc_images *b = scan(0.3);
  CHECK(b != NULL);
  CHECK_EQ(b->n, a->n + 2);
  for (int64_t i = 0; i < a->n; i++) {
    CHECK_EQ(find(b, a->item[i].path)->part, a->item[i].part);
    CHECK_EQ(same->item[i].part, a->item[i].part);
  }
  inc_images_unref(a), inc_images_unref(b), inc_images_unref(same);
  a = scan(0.999); /* each class keeps a training picture */
  CHECK(a != NULL);
  int kept[4] = {0};
  for (int64_t i = 0; i < a->n; i++) kept[a->item[i].label] += a->item[i].part == INC_PART_TRAIN;
  CHECK(kept[1] >= 1 && kept[2] >= 1 && kept[3] == 1);
  inc_images_unref(a);
}

TEST(train_and_val_folders) {
  fresh();
  put_many("train/p", 3, 0), put_many("train/q", 2, 10), put_many("val/p", 2, 20), put_many("val/q", 1, 30);
  inc_images *im = scan(0.5);
  CHECK(im && im->presplit && im->nclasses == 2 && im->count[INC_PART_TRAIN] == 5 &&
        im->count[INC_PART_VAL] == 3);
  CHECK(find(im, "val/q/000.jpg")->label == 2 && find(im, "val/q/000.jpg")->part == INC_PART_VAL);
  inc_images_unref(im);
  put("val/r/1.jpg", 40);
  CHECK(scan(0) == NULL);
  CHECK_STR(inc_error_last()->text, "the class \"r\" is not among the 2 known classes");
  fresh(); /* classes that are merely called so */
  put_many("train", 3, 0), put_many("val", 3, 9);
  im = scan(0);
  CHECK(im && !im->presplit && im->nclasses == 2);
  inc_images_unref(im);
}

TEST(links_loops_and_twins) {
  fresh();
  put_many("a", 3, 0), put_many("b", 3, 10);
  put("b/twin.jpg", 1); /* the bytes of a/001.jpg */
  CHECK(symlink("..", at("a/up")) == 0 && symlink(".", at("a/self")) == 0 &&
        symlink("../b", at("a/other")) == 0);
  CHECK(symlink("000.jpg", at("a/zz.jpg")) == 0 && symlink("a", at("c")) == 0 &&
        symlink("/", at("b/rootlink")) == 0);
  inc_images *im = scan(0);
  CHECK(im != NULL);
  CHECK(im->nclasses == 2 && im->n == 7 && im->count[INC_PART_TRAIN] == 7);
  CHECK(warned(im, "a/up leads to a folder that is already listed") && warned(im, "a/self leads") &&
        warned(im, "a/other leads"));
  CHECK(warned(im, "a/001.jpg and b/twin.jpg hold the same bytes under two classes"));
  CHECK(warned(im, "b/rootlink leads") && warned(im, "c leads"));
  inc_images_unref(im);
}

TEST(refusals) {
  fresh();
  CHECK(scan(0) == NULL);
  CHECK_STR(inc_error_last()->text, "expected one sub-folder a class, found 0 files and no sub-folder");
  pic_save(at("a.jpg"), "x", 1);
  CHECK(scan(0) == NULL);
  CHECK_STR(inc_error_last()->text, "expected one sub-folder a class, found 1 file and no sub-folder");
  put_many("only", 2, 0);
  CHECK(scan(0) == NULL);
  CHECK_STR(inc_error_last()->text, "expected two classes or more, found one: \"only\"");
  mkdir(at("z"), 0777);
  CHECK(scan(0) == NULL);
  CHECK_STR(inc_error_last()->text, "expected two classes or more, found one: \"only\"");
  CHECK(scan(1.0) == NULL);
  CHECK_STR(inc_error_last()->text, "expected a fraction from 0 to less than 1, got 1");
  inc_images *im = NULL;
  inc_scan_opts o = {0};
  CHECK_EQ(inc_images_scan(at("nothing"), &o, &im), INC_EIO);
  CHECK_STR(inc_error_last()->text, "expected a folder of pictures, nothing is there");
  CHECK_EQ(inc_images_scan(at("a.jpg"), &o, &im), INC_EARG);
  CHECK_STR(inc_error_last()->text, "expected a folder of pictures, got a file");
  pic_save(at("list.csv"), "x", 1);
  CHECK_EQ(inc_images_scan(at("list.csv"), &o, &im), INC_ENOTBUILT);
  fresh();
  pic_save(at("x"), "", 0), mkdir(at("k"), 0777), pic_save(at("k/1.jpg"), "text", 4);
  CHECK(scan(0) == NULL);
  CHECK_STR(inc_error_last()->text,
            "none of the 1 files is a usable picture; the first, k/1.jpg: not a JPEG or PNG");
  inc_interrupt_raise();
  put_many("l", 2, 0);
  CHECK(scan(0) == NULL);
  inc_interrupt_clear();
  CHECK_EQ(inc_error_last()->code, INC_EINTR);
}

TEST(onto_given_classes) {
  fresh();
  put_many("rose", 2, 0);
  inc_images *im = NULL;
  inc_scan_opts o = {.classes = (const char *const[]){"daisy", "rose"}, .nclasses = 2};
  CHECK_EQ(inc_images_scan(top, &o, &im), INC_OK);
  CHECK(im->nclasses == 2 && im->item[0].label == 2);
  inc_images_unref(im);
  put_many("thistle", 1, 5);
  CHECK_EQ(inc_images_scan(top, &o, &im), INC_EARG);
  CHECK_STR(inc_error_last()->text, "the class \"thistle\" is not among the 2 known classes");
}

TEST(list_survives_a_file_and_a_diff_tells) {
  fresh();
  put_many("a", 4, 0), put_many("b\n%41\xff", 4, 10);
  pic_save(at("a/bad\t.jpg"), "text", 4);
  inc_images *a = scan(0.25), *b = NULL;
  inc_image_diff d;
  CHECK(a != NULL);
  CHECK_EQ(inc_images_save(a, at("list.txt")), INC_OK);
  CHECK_EQ(inc_images_load(at("list.txt"), &b), INC_OK);
  CHECK(b->n == a->n && b->nclasses == 2 && b->val == a->val && b->seed == a->seed &&
        b->count[INC_PART_BAD] == 1);
  CHECK_STR(b->root, a->root);
  CHECK_STR(b->classes[1], "b\n%41\xff");
  for (int64_t i = 0; i < a->n; i++) {
    CHECK_STR(b->item[i].path, a->item[i].path);
    CHECK(b->item[i].part == a->item[i].part && b->item[i].label == a->item[i].label &&
          b->item[i].hash == a->item[i].hash);
  }
  CHECK_EQ(inc_images_diff(b, a, &d), INC_OK);
  CHECK_EQ(d.n, 0);
  inc_images_unref(a);
  unlink(at("a/000.jpg")), put("a/001.jpg", 77), put("a/new.jpg", 78), unlink(at("list.txt"));
  CHECK((a = scan(0.25)) != NULL);
  CHECK_EQ(inc_images_diff(b, a, &d), INC_OK);
  CHECK(d.n == 3 && d.count[INC_DIFF_MISSING] == 1 && d.count[INC_DIFF_NEW] == 1 &&
        d.count[INC_DIFF_CHANGED] == 1);
  CHECK_STR(d.item[0].path, "a/000.jpg");
  CHECK_STR(d.item[1].path, "a/001.jpg");
  inc_image_diff_free(&d);
  inc_images_unref(a), inc_images_unref(b);
}

TEST(a_damaged_list_is_refused) {
  fresh();
  put_many("a", 2, 0), put_many("b", 2, 10);
  inc_images *a = scan(0), *b = NULL;
  CHECK(a != NULL);
  CHECK_EQ(inc_images_save(a, at("list")), INC_OK);
  inc_images_unref(a);
  FILE *f = fopen(at("list"), "rb");
  static char text[8192];
  size_t n = fread(text, 1, sizeof text, f);
  fclose(f);
  for (size_t cut = 0; cut < n; cut++) {
    pic_save(at("list"), text, cut);
    CHECK_EQ(inc_images_load(at("list"), &b), INC_EFORMAT);
  }
}

TEST(memory_running_out_leaks_nothing) {
  fresh();
  put_many("a", 3, 0), put_many("b", 2, 10), put("c/bad.jpg", 0);
  pic_save(at("c/bad.jpg"), "t", 1);
  int64_t live = inc_mem_live();
  for (int n = 1;; n++) {
    inc_images *im = NULL;
    inc_scan_opts o = {.val = 0.5, .workers = 1};
    inc_mem_fail_at(n);
    int code = inc_images_scan(top, &o, &im);
    inc_mem_fail_at(0);
    if (code == INC_OK) inc_images_unref(im);
    CHECK_EQ(inc_mem_live(), live);
    if (code == INC_OK) break;
    CHECK(n < 1000 && code == INC_EMEM);
  }
}

TEST(shared_flowers) {
  char dir[300];
  const char *shared = getenv("INC_SHARED");
  snprintf(dir, sizeof dir, "%s/data/flowers", shared ? shared : "../shared");
  if (access(dir, R_OK) != 0) SKIP("no shared photos (set INC_SHARED)");
  inc_images *im = NULL;
  CHECK_EQ(inc_images_scan(dir, &(inc_scan_opts){.val = 0.2, .seed = 1, .decode = true}, &im), INC_OK);
  CHECK(im->nclasses == 5 && im->n == 1478 && im->count[INC_PART_BAD] == 0);
  CHECK_CLOSE((double)im->count[INC_PART_VAL] / 1478, 0.2, 0.04);
  inc_images_unref(im);
}

TEST(zz_clean_up) {
  fresh();
  CHECK_EQ(rmdir(top), 0);
}
