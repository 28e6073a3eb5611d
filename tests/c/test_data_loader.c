/* test_data_loader.c -- batches are a function of (seed, epoch, place): not of workers, start or luck; bad
** pictures are replaced, left out or fatal as asked; nothing hangs. */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/data.h"

#include "check.h"
#include "pictures.h"
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 24 };

static char top[160];
static inc_images *images;

/* 3 classes of 7, 11 and 5 pictures. */
static void make_folder(void) {
  static const int many[] = {7, 11, 5};
  char path[200];
  if (images) return;
  snprintf(top, sizeof top, "%s/loader", check_folder());
  mkdir(top, 0777);
  for (int c = 0; c < 3; c++) {
    snprintf(path, sizeof path, "%s/class%d", top, c);
    mkdir(path, 0777);
    for (int i = 0; i < many[c]; i++) {
      snprintf(path, sizeof path, "%s/class%d/%02d.jpg", top, c, i);
      pic *p = pic_jpeg(&(pic_opts){.w = 60 + 5 * i, .h = 50 + 3 * c, .comps = 3, .hs = 2, .vs = 2});
      pic_save(path, p->b, p->n);
    }
  }
  inc_images_scan(top, &(inc_scan_opts){.val = 0}, &images);
}

static inc_loader_opts options(const char *view, bool train, int batch) {
  make_folder();
  inc_loader_opts o = {
      .images = images, .part = INC_PART_TRAIN, .train = train, .batch = batch, .seed = 3, .workers = 2};
  inc_transform_init(&o.transform, view, SIZE);
  return o;
}

/* A hash of all that a loader gives in up to `n` batches, and how many pictures that were. */
static uint64_t digest(const inc_loader_opts *o, int n, int64_t *pictures) {
  inc_loader *l;
  inc_batch b;
  uint64_t h = 0;
  *pictures = 0;
  if (inc_loader_new(o, &l) != INC_OK) return 0;
  for (int i = 0; i < n; i++) {
    if (inc_loader_next(l, &b) != INC_OK) h = 1;
    if (b.n == 0) break;
    h = inc_hash64(b.pixels, (size_t)o->batch * SIZE * SIZE * 3, h);
    h = inc_hash64(b.label, (size_t)o->batch * sizeof *b.label, h + (uint64_t)b.epoch);
    h = inc_hash64(b.picture, (size_t)o->batch * sizeof *b.picture, h + (uint64_t)b.index);
    *pictures += b.n;
    inc_loader_release(l, &b);
  }
  inc_loader_free(l);
  return h;
}

TEST(shuffle_is_a_fair_permutation) {
  static uint8_t seen[1000];
  for (uint64_t n = 1; n <= 1000; n += n < 20 ? 1 : 97) {
    memset(seen, 0, sizeof seen);
    for (uint64_t i = 0; i < n; i++) {
      uint64_t p = inc_shuffle(i, n, 5, 2);
      CHECK(p < n && !seen[p]);
      seen[p] = 1;
    }
  }
  int first[7] = {0}, same = 0;
  for (uint32_t e = 0; e < 7000; e++) first[inc_shuffle(0, 7, 1, e)]++;
  for (int i = 0; i < 7; i++) CHECK_CLOSE(first[i], 1000, 130);
  for (uint64_t i = 0; i < 1000; i++) same += inc_shuffle(i, 1000, 1, 0) == inc_shuffle(i, 1000, 1, 1);
  CHECK(same < 10);
}

TEST(the_number_of_workers_changes_nothing) {
  static const char *const views[] = {"light", "inception", "none"};
  int64_t n1, n4;
  for (int v = 0; v < 3; v++) {
    inc_loader_opts o = options(views[v], true, 4);
    o.workers = 1;
    uint64_t one = digest(&o, 17, &n1);
    for (int w = 2; w <= 8; w *= 2) {
      o.workers = w, o.slots = 1 + w % 3;
      CHECK(digest(&o, 17, &n4) == one && n1 == 68 && n4 == 68);
    }
  }
}

TEST(an_epoch_is_whole_batches_of_different_pictures) {
  inc_loader_opts o = options("light", true, 5);
  inc_loader *l;
  inc_batch b;
  o.epochs = 3;
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  CHECK_EQ(inc_loader_batches(l), 4);
  for (int e = 0; e < 3; e++) {
    int seen[23] = {0};
    for (int i = 0; i < 4; i++) {
      CHECK_EQ(inc_loader_next(l, &b), INC_OK);
      CHECK(b.epoch == e && b.index == i && b.n == 5);
      for (int k = 0; k < 5; k++) {
        CHECK(b.picture[k] >= 0 && b.picture[k] < 23 && !seen[b.picture[k]]);
        CHECK_EQ(b.label[k], images->item[b.picture[k]].label);
        seen[b.picture[k]] = 1;
      }
      inc_loader_release(l, &b);
    }
  }
  CHECK_EQ(inc_loader_next(l, &b), INC_OK);
  CHECK_EQ(b.n, 0);
  inc_loader_free(l);
}

TEST(any_place_can_be_the_start) {
  inc_loader_opts o = options("inception", true, 4);
  inc_loader *a, *c;
  inc_batch x, y;
  CHECK_EQ(inc_loader_new(&o, &a), INC_OK);
  for (int i = 0; i < 13; i++) { /* batches 0 .. 4 are one epoch */
    CHECK_EQ(inc_loader_next(a, &x), INC_OK);
    o.epoch = x.epoch, o.index = x.index;
    CHECK_EQ(inc_loader_new(&o, &c), INC_OK);
    CHECK_EQ(inc_loader_next(c, &y), INC_OK);
    CHECK(x.epoch == y.epoch && x.index == y.index && x.epoch == i / 5);
    CHECK(memcmp(x.pixels, y.pixels, 4 * SIZE * SIZE * 3) == 0 &&
          memcmp(x.picture, y.picture, 4 * sizeof *x.picture) == 0);
    inc_loader_free(c);
    inc_loader_release(a, &x);
  }
  inc_loader_free(a);
}

TEST(evaluation_sees_each_once_in_order) {
  inc_loader_opts o = options("eval", false, 5);
  inc_loader *l;
  inc_batch b;
  int64_t at = 0;
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  CHECK_EQ(inc_loader_batches(l), 5);
  for (;;) {
    CHECK_EQ(inc_loader_next(l, &b), INC_OK);
    if (b.n == 0) break;
    CHECK_EQ(b.n, at == 20 ? 3 : 5);
    for (int i = 0; i < b.n; i++) CHECK_EQ(b.picture[i], at++);
    for (int i = b.n; i < 5; i++)
      CHECK(b.label[i] == 0 && b.picture[i] == -1 && b.pixels[(i + 1) * SIZE * SIZE * 3 - 1] == 0);
    inc_loader_release(l, &b);
  }
  CHECK_EQ(at, 23);
  inc_loader_stats s;
  inc_loader_stats_get(l, &s);
  CHECK(s.pictures == 23 && s.batches == 5 && s.decode > 0 && s.bytes > 1000);
  inc_loader_free(l);
}

/* Cuts item i's file to half; returns what it was, to be put back. */
static pic saved;
static void spoil(int64_t i) {
  char path[300];
  inc_images_path(images, i, path, sizeof path);
  FILE *f = fopen(path, "rb");
  saved.n = fread(saved.b, 1, sizeof saved.b, f);
  fclose(f);
  pic_save(path, saved.b, saved.n / 2);
}
static void heal(int64_t i) {
  char path[300];
  inc_images_path(images, i, path, sizeof path);
  pic_save(path, saved.b, saved.n);
}

TEST(bad_pictures_in_evaluation_are_left_out) {
  inc_loader_opts o = options("eval", false, 5);
  inc_loader *l;
  inc_batch b;
  const inc_bad_picture *bad;
  int64_t total = 0;
  spoil(6);
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  for (;;) {
    CHECK_EQ(inc_loader_next(l, &b), INC_OK);
    if (b.n == 0) break;
    if (b.index == 1)
      CHECK(b.n == 4 && b.picture[0] == 5 && b.picture[1] == 7 && b.picture[3] == 9 && b.picture[4] == -1);
    total += b.n;
    inc_loader_release(l, &b);
  }
  heal(6);
  CHECK_EQ(total, 22);
  CHECK_EQ(inc_loader_bad(l, &bad), 1);
  CHECK_EQ(bad[0].picture, 6);
  CHECK_STR(bad[0].why, "truncated JPEG");
  inc_loader_free(l);
}

TEST(bad_pictures_in_training_are_replaced_and_named_once) {
  inc_loader_opts o = options("light", true, 5);
  int64_t n1, n4;
  spoil(6);
  o.workers = 1;
  uint64_t one = digest(&o, 12, &n1);
  o.workers = 4;
  CHECK(digest(&o, 12, &n4) == one && n1 == 60 && n4 == 60);
  inc_loader *l;
  inc_batch b;
  const inc_bad_picture *bad;
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(inc_loader_next(l, &b), INC_OK);
    CHECK_EQ(b.n, 5);
    for (int k = 0; k < 5; k++) CHECK(b.picture[k] != 6);
    inc_loader_release(l, &b);
  }
  CHECK_EQ(inc_loader_bad(l, &bad), 1);
  CHECK_EQ(bad[0].picture, 6);
  inc_loader_free(l);
  o.bad_stop = true;
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  int code = INC_OK;
  for (int i = 0; i < 20 && code == INC_OK; i++) {
    code = inc_loader_next(l, &b);
    if (code == INC_OK) inc_loader_release(l, &b);
  }
  CHECK_EQ(code, INC_EFORMAT);
  CHECK_STR(inc_error_last()->arg, images->item[6].path);
  CHECK_EQ(inc_loader_next(l, &b), INC_EFORMAT);
  inc_loader_free(l);
  heal(6);
}

TEST(a_vanished_folder_is_an_error_not_a_hang) {
  inc_loader_opts o = options("light", true, 5);
  inc_loader *l;
  inc_batch b;
  char *root = images->root, nowhere[] = "/tmp/incsh-nowhere";
  images->root = nowhere;
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  CHECK_EQ(inc_loader_next(l, &b), INC_EFORMAT);
  CHECK_STR(inc_error_last()->text, "none of the 23 pictures can be used");
  inc_loader_free(l);
  o = options("eval", false, 5);
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  CHECK_EQ(inc_loader_next(l, &b), INC_OK);
  const inc_bad_picture *bad;
  CHECK(b.n == 0 && inc_loader_bad(l, &bad) == 23);
  CHECK_EQ(bad[22].picture, 22);
  inc_loader_free(l);
  images->root = root;
}

TEST(holding_batches) {
  inc_loader_opts o = options("none", true, 2);
  inc_loader *l;
  inc_batch b[3];
  o.slots = 3;
  CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
  for (int i = 0; i < 3; i++) CHECK_EQ(inc_loader_next(l, &b[i]), INC_OK);
  inc_batch more;
  CHECK_EQ(inc_loader_next(l, &more), INC_ESTATE);
  for (int i = 2; i >= 0; i--) inc_loader_release(l, &b[i]);
  CHECK_EQ(inc_loader_next(l, &more), INC_OK);
  CHECK_EQ(more.index, 3);
  inc_loader_free(l);
}

static void *stop_soon(void *l) {
  usleep(20000);
  inc_loader_stop(l);
  return NULL;
}

TEST(stopping_at_any_moment) {
  inc_loader_opts o = options("inception", true, 4);
  for (int i = 0; i < 12; i++) {
    inc_loader *l;
    inc_batch b;
    o.workers = 1 + i % 5;
    CHECK_EQ(inc_loader_new(&o, &l), INC_OK);
    for (int k = 0; k < i % 4; k++) {
      CHECK_EQ(inc_loader_next(l, &b), INC_OK);
      if (i & 1) inc_loader_release(l, &b);
    }
    if (i == 7) {
      pthread_t t;
      int code;
      CHECK_EQ(pthread_create(&t, NULL, stop_soon, l), 0);
      while ((code = inc_loader_next(l, &b)) == INC_OK) inc_loader_release(l, &b);
      CHECK_EQ(code, INC_EINTR);
      pthread_join(t, NULL);
    }
    inc_loader_free(l);
  }
}

TEST(refusals) {
  inc_loader *l;
  inc_loader_opts o = options("light", true, 24);
  CHECK_EQ(inc_loader_new(&o, &l), INC_EARG);
  CHECK_STR(inc_error_last()->text, "expected at most the number of training pictures, 23, got 24");
  o = options("light", true, 0);
  CHECK_EQ(inc_loader_new(&o, &l), INC_EARG);
  o = options("eval", false, 4);
  o.part = INC_PART_VAL;
  CHECK_EQ(inc_loader_new(&o, &l), INC_EARG);
  CHECK_STR(inc_error_last()->text, "there is no picture to evaluate");
}

TEST(memory_running_out_leaks_and_hangs_nothing) {
  inc_loader_opts o = options("inception", true, 4);
  o.workers = 1;
  int64_t live = inc_mem_live();
  int done = 0;
  for (int n = 1; n < 400 && !done; n++) {
    inc_loader *l = NULL;
    inc_batch b;
    inc_mem_fail_at(n);
    int code = inc_loader_new(&o, &l);
    for (int i = 0; i < 3 && code == INC_OK; i++) {
      code = inc_loader_next(l, &b);
      if (code == INC_OK) inc_loader_release(l, &b);
    }
    inc_loader_free(l);
    inc_mem_fail_at(0);
    CHECK_EQ(inc_mem_live(), live);
    CHECK(code == INC_OK || code == INC_EMEM);
    done = code == INC_OK && n > 30;
  }
  CHECK(done);
}

TEST(zz_clean_up) {
  make_folder();
  inc_images_unref(images);
  images = NULL;
}
