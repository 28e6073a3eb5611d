/* test_events.c -- event files: bytes known from the format's description, and what a restart does to them. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "check.h"
#include "run/events.h"
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *folder(const char *name) {
  static char path[192];
  snprintf(path, sizeof path, "%s/%s", check_folder(), name);
  mkdir(path, 0777);
  return path;
}

/* Names of the event files, oldest first. */
static int files(const char *dir, char name[8][INC_PATH]) {
  struct dirent **list;
  int n = scandir(dir, &list, NULL, alphasort), k = 0;
  for (int i = 0; i < n; i++) {
    if (strstr(list[i]->d_name, "tfevents") && k < 8) inc_path_join(name[k++], dir, list[i]->d_name);
    free(list[i]);
  }
  free(list);
  return k;
}

static int64_t size_of(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static void write_steps(const char *dir, int first, int last) {
  char line[200];
  inc_events *e;
  CHECK_EQ(inc_events_open(dir, first, &e), INC_OK);
  for (int i = first + 1; i <= last; i++) {
    snprintf(line, sizeof line, "{\"step\":%d,\"loss\":%g,\"time\":%d.5}\n", i, 1.0 / i, 1000 + i);
    CHECK_EQ(inc_events_line(e, line), INC_OK);
  }
  inc_events_close(e);
}

/* The steps of the records with a summary in a file, as "1 2 3 ". */
static void steps_in(const char *path, char *out) {
  char *s;
  size_t n;
  *out = 0;
  CHECK_EQ(inc_file_slurp(path, 1 << 20, &s, &n), INC_OK);
  for (size_t at = 0; at < n;) {
    uint64_t length;
    memcpy(&length, s + at, 8);
    const uint8_t *data = (const uint8_t *)s + at + 12;
    if (data[9] == 0x10 && data[11] == 0x2a) sprintf(out + strlen(out), "%d ", data[10]);
    at += 16 + length;
  }
  inc_free(s);
}

TEST(checksums_have_their_known_values) {
  CHECK_EQ(inc_crc32c("123456789", 9), 0xe3069283);
  CHECK_EQ(inc_crc32c_masked("123456789", 9), 0xc78ab0e5);
  CHECK_EQ(inc_crc32c("", 0), 0);
}

TEST(a_line_becomes_the_bytes_of_the_format) {
  static const uint8_t event[] = {0x09, 0,    0,    0, 0,   0,   0,   0xf0, 0x3f, 0x10, 7, 0x2a, 0x0d,
                                  0x0a, 0x0b, 0x0a, 4, 'l', 'o', 's', 's',  0x15, 0,    0, 0,    0x3f};
  char name[8][INC_PATH], *s;
  size_t n;
  inc_events *e;
  const char *dir = folder("bytes");
  CHECK_EQ(inc_events_open(dir, 0, &e), INC_OK);
  CHECK_EQ(files(dir, name), 1);
  int64_t before = size_of(name[0]);
  CHECK_EQ(inc_events_line(e, "{\"step\":7,\"loss\":0.5,\"time\":1}\n"), INC_OK);
  inc_events_close(e);
  CHECK_EQ(inc_file_slurp(name[0], 1 << 20, &s, &n), INC_OK);
  CHECK_EQ(n, before + 16 + (int64_t)sizeof event);
  CHECK(!memcmp(s + before + 12, event, sizeof event));
  uint32_t sum;
  memcpy(&sum, s + n - 4, 4);
  CHECK_EQ(sum, inc_crc32c_masked(event, sizeof event));
  inc_free(s);
}

TEST(what_is_no_number_is_passed_over) {
  char name[8][INC_PATH], *s;
  size_t n;
  inc_events *e;
  const char *dir = folder("mixed");
  CHECK_EQ(inc_events_open(dir, 0, &e), INC_OK);
  CHECK_EQ(inc_events_line(e, "{\"step\":1,\"a\":null,\"note\":\"lr, \\\"x\\\":1}\",\"b\":[1,{\"c\":2}],"
                              "\"d\":-1e-3,\"e\":true,\"f\":\"7\",\"val.top1\":0.25}\n"),
           INC_OK);
  inc_events_close(e);
  CHECK_EQ(files(dir, name), 1);
  CHECK_EQ(inc_file_slurp(name[0], 1 << 20, &s, &n), INC_OK);
  CHECK(memmem(s, n,
               "\x0a\x01"
               "d\x15",
               4) &&
        memmem(s, n, "val.top1\x15\x00\x00\x80\x3e", 13));
  CHECK(!memmem(s, n,
                "\x0a\x01"
                "a\x15",
                4) &&
        !memmem(s, n,
                "\x01"
                "c\x15",
                3));
  CHECK(!memmem(s, n, "note", 4) &&
        !memmem(s, n,
                "\x01"
                "e\x15",
                3) &&
        !memmem(s, n,
                "\x01"
                "f\x15",
                3));
  inc_free(s);
}

TEST(a_restart_has_a_file_of_its_own_and_no_step_twice) {
  char name[8][INC_PATH], steps[100];
  const char *dir = folder("restart");
  write_steps(dir, 0, 5);
  write_steps(dir, 3, 6);
  write_steps(dir, 4, 5);
  CHECK_EQ(files(dir, name), 3);
  steps_in(name[0], steps);
  CHECK_STR(steps, "1 2 3 ");
  steps_in(name[1], steps);
  CHECK_STR(steps, "4 ");
  steps_in(name[2], steps);
  CHECK_STR(steps, "5 ");
  write_steps(dir, 0, 1); /* from the beginning: nothing of before is left */
  CHECK_EQ(files(dir, name), 1);
  steps_in(name[0], steps);
  CHECK_STR(steps, "1 ");
}

TEST(lines_that_no_file_has_are_written_first) {
  char name[8][INC_PATH], steps[100], path[INC_PATH];
  const char *dir = folder("behind");
  static const char log[] =
      "{\"step\":1,\"a\":1}\n{\"step\":2,\"a\":1}\n{\"step\":3,\"a\":1}\n{\"step\":4,\"a\":1}\n"
      "{\"step\":5,\"a\"";
  inc_path_join(path, dir, "log.jsonl");
  CHECK_EQ(inc_file_replace(path, log, sizeof log - 1), INC_OK);
  write_steps(dir, 3, 4); /* goes on after 3, and no file knows of those */
  CHECK_EQ(files(dir, name), 1);
  steps_in(name[0], steps);
  CHECK_STR(steps, "1 2 3 4 ");
  write_steps(dir, 2, 3); /* now a file has what it needs */
  CHECK_EQ(files(dir, name), 2);
  steps_in(name[0], steps);
  CHECK_STR(steps, "1 2 ");
  steps_in(name[1], steps);
  CHECK_STR(steps, "3 ");
}

TEST(a_torn_record_is_cut_off) {
  char name[8][INC_PATH], steps[100];
  const char *dir = folder("torn");
  write_steps(dir, 0, 4);
  files(dir, name);
  CHECK_EQ(truncate(name[0], size_of(name[0]) - 3), 0);
  write_steps(dir, 4, 6);
  CHECK_EQ(files(dir, name), 2);
  steps_in(name[0], steps);
  CHECK_STR(steps, "1 2 3 ");
  steps_in(name[1], steps);
  CHECK_STR(steps, "5 6 ");
}

TEST(files_of_others_are_left_alone) {
  char path[INC_PATH];
  const char *dir = folder("others");
  inc_path_join(path, dir, "events.out.tfevents.2000000000.elsewhere.1.0");
  CHECK_EQ(inc_file_replace(path, "not an event file", 17), INC_OK);
  write_steps(dir, 0, 2);
  write_steps(dir, 1, 2);
  CHECK_EQ(size_of(path), 17);
  char name[8][INC_PATH];
  CHECK_EQ(files(dir, name), 3);
  CHECK(strstr(name[1], ".2000000001.") && strstr(name[2], ".2000000002."));
}

TEST(a_full_disk_leaves_whole_records) {
  char name[8][INC_PATH], steps[100];
  const char *dir = folder("full");
  inc_events *e;
  CHECK_EQ(inc_events_open(dir, 0, &e), INC_OK);
  files(dir, name);
  CHECK_EQ(inc_events_line(e, "{\"step\":1,\"loss\":1,\"time\":1}"), INC_OK);
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = {(rlim_t)size_of(name[0]) + 10, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &small);
  int code = inc_events_line(e, "{\"step\":2,\"loss\":1,\"time\":1}");
  small.rlim_cur = RLIM_INFINITY;
  setrlimit(RLIMIT_FSIZE, &small);
  CHECK_EQ(code, INC_EIO);
  CHECK(strstr(inc_error_last()->text, "cannot write") != NULL);
  CHECK_EQ(inc_events_line(e, "{\"step\":3,\"loss\":1,\"time\":1}"), INC_OK);
  inc_events_close(e);
  steps_in(name[0], steps);
  CHECK_STR(steps, "1 3 ");
}

TEST(errors_and_failed_allocations) {
  inc_events *e = NULL;
  CHECK_EQ(inc_events_open("/no/such/folder", 0, &e), INC_EIO);
  CHECK(strstr(inc_error_last()->text, "cannot list") != NULL);
  const char *dir = folder("memory");
  int64_t before = inc_mem_live();
  write_steps(dir, 0, 3);
  for (int n = 1, done = 0; !done && n < 100; n++) {
    e = NULL;
    inc_mem_fail_at(n);
    int code = inc_events_open(dir, 3, &e);
    if (code == INC_OK) code = inc_events_line(e, "{\"step\":4,\"loss\":1,\"time\":1}");
    inc_mem_fail_at(0);
    done = code == INC_OK;
    CHECK(done || code == INC_EMEM);
    inc_events_close(e);
    CHECK_EQ(inc_mem_live(), before);
  }
}
