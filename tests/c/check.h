/* check.h -- the whole C test harness.
**
**     #include "check.h"
**     TEST(view_of_a_view) { CHECK(x != NULL); CHECK_EQ(x->ndim, 2); CHECK_STR(text, "f32"); }
**
** A TEST registers itself and runs in the order of the file; main lives here, so one file is one program.
** A failed CHECK reports its line and leaves the test, so later lines may rely on earlier ones.  The last
** line of output is "N passed, N failed", which scripts/test adds up.  Names given as arguments select tests.
** Files lie in check_folder(), which is removed at the end whatever failed.
** Rejected: a library of its own; a header of this size needs none.
*/
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct check_test {
  const char *name;
  void (*run)(void);
  struct check_test *next;
} check_test;

static check_test *check_first_, *check_last_;
static int check_bad_;          /* did the running test fail? */
static const char *check_skip_; /* did it skip itself, and why? */

static inline void check_add_(check_test *t) {
  if (check_last_)
    check_last_->next = t;
  else
    check_first_ = t;
  check_last_ = t;
}

#define TEST(id)                                                                                             \
  static void test_##id(void);                                                                               \
  static check_test entry_##id = {#id, test_##id, NULL};                                                     \
  __attribute__((constructor)) static void add_##id(void) { check_add_(&entry_##id); }                       \
  static void test_##id(void)

/* Report and leave the test.  In a helper that is not a TEST, use it only where returning void is right. */
#define CHECK_FAIL(...)                                                                                      \
  do {                                                                                                       \
    printf("%s:%d: ", __FILE__, __LINE__);                                                                   \
    printf(__VA_ARGS__);                                                                                     \
    printf("\n");                                                                                            \
    check_bad_ = 1;                                                                                          \
    return;                                                                                                  \
  } while (0)

#define CHECK(cond)                                                                                          \
  do {                                                                                                       \
    if (!(cond)) CHECK_FAIL("expected %s", #cond);                                                           \
  } while (0)

#define CHECK_EQ(a, b)                                                                                       \
  do {                                                                                                       \
    long long a_ = (long long)(a), b_ = (long long)(b);                                                      \
    if (a_ != b_) CHECK_FAIL("%s: expected %lld (%s), got %lld", #a, b_, #b, a_);                            \
  } while (0)

#define CHECK_CLOSE(a, b, tol)                                                                               \
  do {                                                                                                       \
    double a_ = (a), b_ = (b);                                                                               \
    if (!(fabs(a_ - b_) <= (tol)))                                                                           \
      CHECK_FAIL("%s: expected %.9g within %.3g, got %.9g", #a, b_, (double)(tol), a_);                      \
  } while (0)

#define CHECK_STR(a, b)                                                                                      \
  do {                                                                                                       \
    const char *a_ = (a), *b_ = (b);                                                                         \
    if (!a_ || strcmp(a_, b_) != 0)                                                                          \
      CHECK_FAIL("%s: expected \"%s\", got \"%s\"", #a, b_, a_ ? a_ : "(null)");                             \
  } while (0)

#define SKIP(why)                                                                                            \
  do {                                                                                                       \
    check_skip_ = (why);                                                                                     \
    return;                                                                                                  \
  } while (0)

static char check_folder_[128];
static pid_t check_owner_;

static inline void check_sweep_(void) {
  char line[160];
  if (getpid() != check_owner_) return; /* a child of a test ends too */
  snprintf(line, sizeof line, "rm -rf '%s'", check_folder_);
  if (system(line) != 0) printf("could not remove %s\n", check_folder_);
}

/* A folder of this program's own, made when first asked for. */
static inline const char *check_folder(void) {
  if (check_folder_[0]) return check_folder_;
  const char *place = getenv("TMPDIR");
  snprintf(check_folder_, sizeof check_folder_, "%s/incsh-c-XXXXXX", place && *place ? place : "/tmp");
  if (!mkdtemp(check_folder_)) exit((perror(check_folder_), 1));
  check_owner_ = getpid();
  atexit(check_sweep_);
  return check_folder_;
}

static inline int check_wanted_(const char *name, int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strstr(name, argv[i])) return 1;
  return argc < 2;
}

int main(int argc, char **argv) {
  int passed = 0, failed = 0, skipped = 0;
  for (check_test *t = check_first_; t; t = t->next) {
    if (!check_wanted_(t->name, argc, argv)) continue;
    check_bad_ = 0, check_skip_ = NULL;
    t->run();
    if (check_bad_)
      printf("FAILED %s\n", t->name), failed++;
    else if (check_skip_)
      printf("skipped %s: %s\n", t->name, check_skip_), skipped++;
    else
      passed++;
    fflush(stdout);
  }
  printf("%d passed, %d failed", passed, failed);
  if (skipped) printf(", %d skipped", skipped);
  printf("\n");
  return failed != 0;
}

#endif
