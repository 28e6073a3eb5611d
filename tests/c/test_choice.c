/* test_choice.c -- measured kernel choices: what is compared, kept, read again, refused and imported. */
#include "base/file.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "check.h"
#include "cpu/choice.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct conv { /* a 3x3 convolution with padding 1, channels-last */
  inc_node node;
  inc_spec in[3], out[1];
  inc_attr attr[INC_MAX_ATTRS];
} conv;

static void make_conv(conv *c, int64_t n, int64_t side, int64_t channels) {
  memset(c, 0, sizeof *c);
  c->in[0] = inc_spec_new(INC_F32, 4, (int64_t[]){n, channels, side, side});
  inc_spec_channels_last(&c->in[0]);
  c->in[1] = inc_spec_new(INC_F32, 4, (int64_t[]){channels, channels, 3, 3});
  int64_t one[2] = {1, 1};
  c->attr[0] = c->attr[1] = c->attr[2] = inc_ints(2, one);
  c->attr[3] = INC_INT(1);
  c->node = (inc_node){
      .op = inc_op_find("conv2d"), .n_in = 3, .n_out = 1, .in = c->in, .out = c->out, .attr = c->attr};
  c->node.op->infer(&c->node);
}

static char folder[160];

/* A new process, as far as choices go, with a cache folder of its own. */
static void fresh(const char *tune) {
  static int n;
  snprintf(folder, sizeof folder, "%s/cache-%d", check_folder(), n++);
  mkdir(folder, 0700);
  setenv("XDG_CACHE_HOME", folder, 1);
  setenv("INC_TUNE", tune, 1);
  inc_choice_forget();
}

static int choose(const conv *c, inc_choice *out) {
  int code = inc_cpu_backend.choose(&c->node, 0, out);
  inc_cpu_backend.settle();
  return code;
}

static const char *cache_file(void) {
  static char path[INC_PATH];
  char line[INC_PATH];
  snprintf(line, sizeof line, "ls %s/incsh/kernels-*.txt 2>/dev/null", folder);
  FILE *p = popen(line, "r");
  path[0] = '\0';
  if (p && fgets(path, sizeof path, p)) path[strcspn(path, "\n")] = '\0';
  if (p) pclose(p);
  return path;
}

/* The cache file with `from` replaced by `to`, in place. */
static int change_file(const char *from, const char *to) {
  char *text, *at;
  size_t n;
  if (inc_file_slurp(cache_file(), 1 << 20, &text, &n) || !(at = strstr(text, from))) return 0;
  char *out = malloc(n + strlen(to) + 1);
  int m = sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  int code = inc_file_replace(cache_file(), out, (size_t)m);
  free(out);
  inc_free(text);
  return code == 0;
}

static bool several(const conv *c) {
  inc_choice all[8];
  int n = 0, real = 0;
  inc_cpu_backend.query(&c->node, all, 8, &n);
  for (int i = 0; i < n; i++) real += !(all[i].flags & INC_K_REF);
  return real > 1;
}

#define NEED_SEVERAL(c)                                                                                      \
  if (!several(c)) SKIP("this library has one way to do a 3x3 convolution")

TEST(times_are_told_and_kept) {
  conv c;
  inc_choice one, two;
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  fresh("on");
  CHECK_EQ(choose(&c, &one), 0);
  CHECK(one.tuned && strstr(one.tuned->times, "direct ") && strstr(one.tuned->times, " ms"));
  CHECK(strstr(one.tuned->key, "conv2d f32[2,64,48,48]cl f32[64,64,3,3] -"));
  CHECK(*cache_file());
  char times[128];
  snprintf(times, sizeof times, "%s", one.tuned->times);
  inc_choice_forget(); /* and from the file again, to the letter: nothing was measured */
  CHECK_EQ(choose(&c, &two), 0);
  CHECK(two.tuned);
  CHECK_STR(two.tuned->times, times);
  CHECK_EQ(two.id, one.id);
}

TEST(the_file_decides) {
  conv c;
  inc_choice one;
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  const char *names[] = {"direct", "winograd"};
  for (int i = 0; i < 2; i++) {
    char line[64];
    fresh("on");
    CHECK_EQ(choose(&c, &one), 0);
    snprintf(line, sizeof line, "\t%s\t", names[i]);
    if (strcmp(one.way, names[i])) {
      char was[64];
      snprintf(was, sizeof was, "\t%s\t", one.way);
      CHECK(change_file(was, line));
    }
    inc_choice_forget();
    CHECK_EQ(choose(&c, &one), 0);
    CHECK_STR(one.way, names[i]);
  }
}

TEST(small_nodes_are_not_measured) {
  conv c;
  inc_choice one;
  make_conv(&c, 1, 5, 32);
  fresh("on");
  CHECK_EQ(choose(&c, &one), 0);
  CHECK(!one.tuned);
  CHECK_STR(cache_file(), "");
}

TEST(off_takes_the_first) {
  conv c;
  inc_choice all[8], one;
  int n = 0;
  make_conv(&c, 2, 48, 64);
  fresh("off");
  CHECK_EQ(inc_cpu_backend.query(&c.node, all, 8, &n), 0);
  CHECK_EQ(choose(&c, &one), 0);
  CHECK_EQ(one.id, all[0].id);
  CHECK(!one.tuned);
  CHECK_STR(cache_file(), "");
}

static void broken(const char *from, const char *to) {
  conv c;
  inc_choice one;
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  fresh("on");
  CHECK_EQ(choose(&c, &one), 0);
  CHECK_STR(inc_choice_note(), "");
  CHECK(change_file(from, to));
  inc_choice_forget();
  CHECK_EQ(choose(&c, &one), 0);
  CHECK(one.tuned); /* measured anew, and the next process is served again */
  CHECK(strstr(inc_choice_note(), "are not whole or not ours, and were ignored"));
  inc_choice_forget();
  CHECK_EQ(choose(&c, &one), 0);
  CHECK_STR(inc_choice_note(), "");
}

TEST(a_file_cut_short_is_ignored) { broken("end 1\n", ""); }
TEST(a_count_that_is_wrong_is_ignored) { broken("end 1", "end 7"); }
TEST(another_machine_is_ignored) { broken("machine ", "machine some other "); }
TEST(another_title_is_ignored) { broken("incsh kernel choices", "kernel choices"); }
TEST(a_line_without_tabs_is_ignored) { broken("\t", " "); }

TEST(a_name_that_is_gone_is_measured_again) {
  conv c;
  inc_choice one;
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  fresh("on");
  CHECK_EQ(choose(&c, &one), 0);
  char was[64];
  snprintf(was, sizeof was, "\t%s\t", one.way);
  CHECK(change_file(was, "\tno such kernel\t"));
  inc_choice_forget();
  CHECK_EQ(choose(&c, &one), 0);
  CHECK(one.tuned && strcmp(one.tuned->name, "no such kernel") != 0);
}

TEST(what_is_imported_wins_and_is_not_kept) {
  conv c;
  inc_choice one, two;
  char line[1024];
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  fresh("on");
  CHECK_EQ(choose(&c, &one), 0);
  const char *other = strcmp(one.way, "direct") ? "direct" : "winograd";
  snprintf(line, sizeof line, "threads 2\nconv2d x\t%s\t%s\nrelu avx512\n", other, one.tuned->key);
  CHECK_EQ(inc_choice_import(line), 0);
  CHECK_EQ(choose(&c, &two), 0);
  CHECK_STR(two.way, other);
  setenv("INC_TUNE", "off", 1); /* a run's record holds also where nothing is measured */
  CHECK_EQ(choose(&c, &two), 0);
  CHECK_STR(two.way, other);
  setenv("INC_TUNE", "on", 1);
  inc_choice_forget();
  CHECK_EQ(choose(&c, &two), 0);
  CHECK_STR(two.way, one.way);
}

TEST(a_folder_that_cannot_be_written_is_told_and_no_failure) {
  conv c;
  inc_choice one;
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  fresh("on");
  char path[192];
  snprintf(path, sizeof path, "%s/incsh", folder);
  CHECK_EQ(inc_file_replace(path, "x", 1), 0); /* a file where the folder should be */
  CHECK_EQ(choose(&c, &one), 0);
  CHECK(one.tuned);
  CHECK(strstr(inc_choice_note(), "kernel choices could not be kept in "));
}

TEST(a_wish_to_stop_ends_the_measuring) {
  conv c;
  inc_choice one;
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  fresh("on");
  inc_interrupt_raise();
  int code = choose(&c, &one);
  inc_interrupt_clear();
  CHECK_EQ(code, INC_EINTR);
  CHECK_STR(inc_error_last()->text, "interrupted while kernels were measured");
  CHECK_STR(cache_file(), "");
  CHECK_EQ(choose(&c, &one), 0);
}

TEST(all_choices_give_one_result) {
  conv c;
  inc_choice all[8];
  int n = 0;
  make_conv(&c, 2, 40, 64);
  NEED_SEVERAL(&c);
  CHECK_EQ(inc_cpu_backend.query(&c.node, all, 8, &n), 0);
  int64_t nx = inc_spec_numel(&c.in[0]), nw = inc_spec_numel(&c.in[1]), ny = inc_spec_numel(&c.out[0]);
  float *x = inc_alloc(sizeof *x * (size_t)nx), *w = inc_alloc(sizeof *w * (size_t)nw);
  float *y = inc_zalloc(sizeof *y * (size_t)ny), *z = inc_zalloc(sizeof *z * (size_t)ny);
  for (int64_t i = 0; i < nx; i++) x[i] = (float)((i * 2654435761u >> 7) & 255) / 128 - 1;
  for (int64_t i = 0; i < nw; i++) w[i] = (float)((i * 2246822519u >> 7) & 255) / 128 - 1;
  int compared = 0;
  for (int i = 0; i < n; i++) {
    inc_kernel *k;
    if (all[i].flags & INC_K_REF) continue;
    CHECK_EQ(inc_cpu_backend.prepare(&c.node, &all[i], 0, &k), 0);
    void *scratch = inc_alloc(all[i].workspace + 64), *in[] = {x, w, NULL}, *out[] = {compared ? z : y};
    CHECK_EQ(inc_cpu_backend.run(k, in, out, scratch, 0), 0);
    double worst = 0;
    for (int64_t j = 0; compared && j < ny; j++) worst = fmax(worst, fabs((double)y[j] - (double)z[j]));
    CHECK_CLOSE(worst, 0, 2e-3); /* of sums of 576 products up to 1 */
    inc_cpu_backend.drop(k);
    inc_free(scratch);
    compared++;
  }
  CHECK(compared > 1);
  inc_free(x), inc_free(w), inc_free(y), inc_free(z);
}

TEST(running_out_of_memory_is_reported) {
  conv c;
  inc_choice one;
  make_conv(&c, 2, 48, 64);
  NEED_SEVERAL(&c);
  int code = 1;
  for (int n = 1; code && n < 200; n++) {
    fresh("on");
    inc_mem_fail_at(n);
    code = inc_cpu_backend.choose(&c.node, 0, &one);
    inc_mem_fail_at(0);
    CHECK(code == 0 || code == INC_EMEM);
    inc_cpu_backend.settle();
  }
  CHECK_EQ(code, 0);
}
