/* folder.c -- lock, checkpoints and leftovers of a run's folder (folder.h). */
#include "run/folder.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* -- the lock ------------------------------------------------------------------------------------------- */

static int locked_by(int fd, const char *folder) {
  char who[256] = "";
  ssize_t n = pread(fd, who, sizeof who - 1, 0);
  if (n > 0) who[strcspn(who, "\n")] = '\0';
  return inc_fail(INC_ESTATE, folder, "this run is being trained by %s", who[0] ? who : "another process");
}

int inc_folder_lock(const char *folder, int *out) {
  char path[INC_PATH], host[128] = "", who[256];
  INC_TRY(inc_path_join(path, folder, "lock"));
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return inc_fail(INC_EIO, path, "cannot open: %s", strerror(errno));
  /* whoever only looks (below) has it for an instant: a second try is enough */
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && (usleep(2000), flock(fd, LOCK_EX | LOCK_NB) != 0)) {
    int code = errno == EWOULDBLOCK ? locked_by(fd, folder)
                                    : inc_fail(INC_EIO, path, "cannot lock: %s", strerror(errno));
    close(fd);
    return code;
  }
  gethostname(host, sizeof host - 1);
  int n = snprintf(who, sizeof who, "process %ld on %s\n", (long)getpid(), host);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, who, (size_t)n, 0) != n) {
    int code = inc_fail(INC_EIO, path, "cannot write: %s", strerror(errno));
    close(fd);
    return code;
  }
  *out = fd;
  return INC_OK;
}

void inc_folder_unlock(int fd) {
  if (fd >= 0) close(fd);
}

bool inc_folder_locked(const char *folder) {
  char path[INC_PATH];
  if (inc_path_join(path, folder, "lock") != INC_OK) return false;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool taken = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(fd);
  return taken;
}

/* -- listing -------------------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcmp(s + n - m, end);
}

static int sweep_one(const char *folder) {
  DIR *d = opendir(folder);
  if (!d) return errno == ENOENT ? INC_OK : inc_fail(INC_EIO, folder, "cannot list: %s", strerror(errno));
  char path[INC_PATH];
  for (struct dirent *e; (e = readdir(d));)
    if (ends_with(e->d_name, ".tmp") && inc_path_join(path, folder, e->d_name) == INC_OK) unlink(path);
  closedir(d);
  return INC_OK;
}

int inc_folder_sweep(const char *folder) {
  char path[INC_PATH];
  INC_TRY(inc_path_join(path, folder, "checkpoints"));
  INC_TRY(sweep_one(folder));
  return sweep_one(path);
}

/* The N of "step-N.safetensors", or -1. */
static int64_t step_of(const char *name) {
  char *end;
  if (strncmp(name, "step-", 5) || name[5] < '0' || name[5] > '9') return -1;
  long long n = strtoll(name + 5, &end, 10);
  return strcmp(end, ".safetensors") ? -1 : n;
}

static int newest_first(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

static int append(int64_t **list, int *n, int *cap, int64_t step) {
  if (*n == *cap) {
    int more = *cap ? *cap * 2 : 16;
    int64_t *p = inc_realloc(*list, sizeof *p * (size_t)*cap, sizeof *p * (size_t)more);
    if (!p) return INC_EMEM;
    *list = p, *cap = more;
  }
  (*list)[(*n)++] = step;
  return INC_OK;
}

int inc_folder_checkpoints(const char *folder, int64_t **list, int *n) {
  char path[INC_PATH];
  int cap = 0, code = INC_OK;
  *list = NULL, *n = 0;
  INC_TRY(inc_path_join(path, folder, "checkpoints"));
  DIR *d = opendir(path);
  if (!d) return errno == ENOENT ? INC_OK : inc_fail(INC_EIO, path, "cannot list: %s", strerror(errno));
  for (struct dirent *e; code == INC_OK && (e = readdir(d));) {
    int64_t step = step_of(e->d_name);
    if (step >= 0) code = append(list, n, &cap, step);
  }
  closedir(d);
  if (code != INC_OK) {
    inc_free(*list);
    *list = NULL, *n = 0;
    return code;
  }
  if (*n) qsort(*list, (size_t)*n, sizeof **list, newest_first);
  return INC_OK;
}

int inc_folder_checkpoint(char *out, const char *folder, int64_t step) {
  int n = snprintf(out, INC_PATH, "%s/checkpoints/step-%lld.safetensors", folder, (long long)step);
  return n < INC_PATH ? INC_OK : inc_fail(INC_EARG, folder, "path longer than %d bytes", INC_PATH - 1);
}

int inc_folder_prune(const char *folder, int keep, int64_t best) {
  char path[INC_PATH];
  int64_t *list;
  int n;
  INC_TRY(inc_folder_checkpoints(folder, &list, &n));
  for (int i = keep; i < n; i++)
    if (list[i] != best && inc_folder_checkpoint(path, folder, list[i]) == INC_OK) unlink(path);
  inc_free(list);
  return INC_OK;
}

/* -- the log -------------------------------------------------------------------------------------------- */

/* Bytes of the log that stay: whole lines up to the first of a later step.  "step" is a line's first name. */
static size_t kept_bytes(const char *s, size_t n, int64_t step) {
  size_t at = 0;
  while (at < n) {
    const char *end = memchr(s + at, '\n', n - at);
    if (!end) break;
    long long line = 0;
    if (sscanf(s + at, "{\"step\":%lld", &line) == 1 && line > step) break;
    at = (size_t)(end - s) + 1;
  }
  return at;
}

static int cut_log(int fd, const char *path, int64_t step) {
  char *s;
  size_t n;
  INC_TRY(inc_file_slurp(path, SIZE_MAX / 2, &s, &n));
  size_t keep = kept_bytes(s, n, step);
  inc_free(s);
  if (keep == n) return INC_OK;
  if (ftruncate(fd, (off_t)keep) != 0) return inc_fail(INC_EIO, path, "cannot cut: %s", strerror(errno));
  return inc_log_sync(fd);
}

int inc_log_open(const char *folder, int64_t step, int *out) {
  char path[INC_PATH];
  INC_TRY(inc_path_join(path, folder, "log.jsonl"));
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return inc_fail(INC_EIO, path, "cannot open: %s", strerror(errno));
  int code = cut_log(fd, path, step);
  if (code == INC_OK)
    *out = fd;
  else
    close(fd);
  return code;
}

/* One write a line; what a full disk took of it is taken back, so that no torn line stays. */
int inc_log_write(int fd, const char *line, uint64_t n) {
  off_t before = lseek(fd, 0, SEEK_END);
  int code = inc_write_all(fd, line, n, "log.jsonl");
  if (code != INC_OK && before >= 0 && ftruncate(fd, before) != 0) return code;
  return code;
}

int inc_log_sync(int fd) {
  return fsync(fd) == 0 ? INC_OK : inc_fail(INC_EIO, "log.jsonl", "cannot sync: %s", strerror(errno));
}

/* -- what was changed by hand --------------------------------------------------------------------------- */

static int end_torn_line(int fd, const char *path) {
  char last = '\n';
  off_t end = lseek(fd, 0, SEEK_END);
  if (end > 0 && pread(fd, &last, 1, end - 1) != 1)
    return inc_fail(INC_EIO, path, "cannot read: %s", strerror(errno));
  return last == '\n' ? INC_OK : inc_write_all(fd, "\n", 1, path);
}

int inc_changes_add(const char *folder, const char *line, uint64_t n) {
  char path[INC_PATH];
  INC_TRY(inc_path_join(path, folder, "changes.jsonl"));
  int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return inc_fail(INC_EIO, path, "cannot open: %s", strerror(errno));
  int code = end_torn_line(fd, path);
  if (code == INC_OK) code = inc_write_all(fd, line, n, path);
  if (code == INC_OK && fsync(fd) != 0) code = inc_fail(INC_EIO, path, "cannot sync: %s", strerror(errno));
  close(fd);
  return code == INC_OK ? inc_file_sync_folder(path) : code;
}
