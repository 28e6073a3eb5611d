/* test_data_feed.c -- a feed gives the batches of a loader, in any order of asking, and makes them once. */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/feed.h"

#include "check.h"
#include "pictures.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 24, BATCH = 4, PER_EPOCH = 4, MANY = 10 };

static char top[160];
static inc_images *images;

/* 2 classes of 9 and 8 pictures; the last of the first is none. */
static void make_folder(void) {
  char path[200];
  if (images) return;
  snprintf(top, sizeof top, "%s/feed", check_folder());
  mkdir(top, 0777);
  for (int c = 0; c < 2; c++) {
    snprintf(path, sizeof path, "%s/class%d", top, c);
    mkdir(path, 0777);
    for (int i = 0; i < 9 - c; i++) {
      snprintf(path, sizeof path, "%s/class%d/%02d.jpg", top, c, i);
      pic *p = pic_jpeg(&(pic_opts){.w = 60 + 5 * i, .h = 50 + 3 * c, .comps = 3, .hs = 2, .vs = 2});
      pic_save(path, p->b, c == 0 && i == 8 ? p->n / 2 : p->n);
    }
  }
  inc_images_scan(top, &(inc_scan_opts){.val = 0}, &images);
}

static inc_loader_opts options(void) {
  make_folder();
  inc_loader_opts o = {
      .images = images, .part = INC_PART_TRAIN, .train = true, .batch = BATCH, .seed = 3, .workers = 2};
  inc_transform_init(&o.transform, "inception", SIZE);
  return o;
}

static uint64_t digest(const inc_batch *b) {
  uint64_t h = inc_hash64(b->pixels, (size_t)BATCH * SIZE * SIZE * 3, (uint64_t)b->n);
  h = inc_hash64(b->label, BATCH * sizeof *b->label, h + (uint64_t)b->epoch);
  return inc_hash64(b->picture, BATCH * sizeof *b->picture, h + (uint64_t)b->index);
}

/* What a loader of its own gives, batch by batch. */
static int expected(uint64_t *out) {
  inc_loader_opts o = options();
  inc_loader *l;
  inc_batch b;
  INC_TRY(inc_loader_new(&o, &l));
  for (int i = 0; i < MANY; i++) {
    INC_TRY(inc_loader_next(l, &b));
    out[i] = digest(&b);
    inc_loader_release(l, &b);
  }
  inc_loader_free(l);
  return INC_OK;
}

TEST(batches_by_number) {
  static const int asked[] = {0, 1, 2, 0, 1, 2, 3, 4, 3, 9, 0, 1, 7, 8, 9, 9, 8};
  uint64_t want[MANY];
  inc_loader_opts o = options();
  inc_feed *f;
  CHECK_EQ(expected(want), INC_OK);
  CHECK_EQ(inc_feed_new(&o, 3, &f), INC_OK);
  CHECK_EQ(inc_feed_number(f, 2, 1), 2 * PER_EPOCH + 1);
  for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
    inc_batch b;
    CHECK_EQ(inc_feed_take(f, asked[i], &b), INC_OK);
    CHECK_EQ(b.epoch, asked[i] / PER_EPOCH);
    CHECK(digest(&b) == want[asked[i]]);
  }
  inc_feed_unref(f);
}

TEST(what_is_kept_is_not_made_again) {
  inc_loader_opts o = options();
  inc_feed *f;
  inc_batch b;
  CHECK_EQ(inc_feed_new(&o, 5, &f), INC_OK);
  for (int runs = 0; runs < 3; runs++)
    for (int i = 0; i < 5; i++) CHECK_EQ(inc_feed_take(f, i, &b), INC_OK);
  CHECK_EQ(inc_feed_made(f), 5);
  CHECK_EQ(inc_feed_take(f, 6, &b), INC_OK); /* 5 and 6: a short way ahead is walked */
  CHECK_EQ(inc_feed_made(f), 7);
  inc_feed_unref(f);
}

TEST(bad_pictures_are_told_once) {
  inc_loader_opts o = options();
  inc_feed *f;
  inc_batch b;
  int64_t picture = -1;
  char why[64] = "";
  CHECK_EQ(inc_feed_new(&o, 2, &f), INC_OK);
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < PER_EPOCH; i++) CHECK_EQ(inc_feed_take(f, i, &b), INC_OK);
  int64_t n = inc_feed_bad(f, 0, &picture, why, sizeof why);
  CHECK_EQ(n + images->count[INC_PART_BAD], 1); /* the scan may have found it already */
  if (n == 1) CHECK(picture >= 0 && why[0]);
  inc_feed_unref(f);
}

TEST(what_cannot_be_fed_is_refused) {
  inc_loader_opts o = options();
  inc_feed *f;
  CHECK_EQ(inc_feed_new(&o, 0, &f), INC_EARG);
  o.batch = 100;
  CHECK_EQ(inc_feed_new(&o, 2, &f), INC_EARG);
  CHECK(strstr(inc_error_last()->text, "got 100") != NULL);
}

TEST(memory_that_fails_leaves_nothing) {
  inc_loader_opts o = options();
  o.workers = 1;
  int64_t live = inc_mem_live();
  int done = 0;
  for (int n = 1; n < 400 && !done; n++) {
    inc_feed *f = NULL;
    inc_batch b;
    inc_mem_fail_at(n);
    int code = inc_feed_new(&o, 2, &f);
    for (int i = 0; i < 3 && code == INC_OK; i++) code = inc_feed_take(f, i, &b);
    inc_feed_unref(f);
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
