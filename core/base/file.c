/* file.c -- whole files (file.h). */
#include "base/file.h"
#include "base/err.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refused(const char *path, const char *what) {
  return inc_fail(INC_EIO, path, "%s: %s", what, strerror(errno));
}

int inc_path_join(char *out, const char *folder, const char *name) {
  int n = snprintf(out, INC_PATH, "%s/%s", folder, name);
  return n < INC_PATH ? INC_OK : inc_fail(INC_EARG, folder, "path longer than %d bytes", INC_PATH - 1);
}

int inc_write_all(int fd, const void *bytes, size_t n, const char *path) {
  const char *at = bytes;
  while (n > 0) {
    ssize_t k = write(fd, at, n > (1u << 30) ? (1u << 30) : n);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return refused(path, "cannot write");
    at += k, n -= (size_t)k;
  }
  return INC_OK;
}

int inc_file_sync_folder(const char *path) {
  char copy[INC_PATH];
  snprintf(copy, sizeof copy, "%s", path);
  const char *folder = dirname(copy);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return refused(folder, "cannot open the folder");
  int bad = fsync(fd) != 0 && errno != EINVAL && errno != EROFS; /* some file systems cannot sync folders */
  int code = bad ? refused(folder, "cannot sync the folder") : INC_OK;
  close(fd);
  return code;
}

int inc_writer_open(inc_writer *w, const char *path) {
  static _Atomic unsigned serial;
  w->fd = -1;
  int n = snprintf(w->path, sizeof w->path, "%s", path);
  int m =
      snprintf(w->tmp, sizeof w->tmp, "%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
  if (n >= INC_PATH || m >= INC_PATH)
    return inc_fail(INC_EARG, path, "path longer than %d bytes", INC_PATH - 1);
  w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  return w->fd < 0 ? refused(path, "cannot create") : INC_OK;
}

int inc_writer_write(inc_writer *w, const void *bytes, size_t n) {
  return inc_write_all(w->fd, bytes, n, w->path);
}

int inc_writer_commit(inc_writer *w) {
  if (fsync(w->fd) != 0) return refused(w->path, "cannot sync");
  int bad = close(w->fd);
  w->fd = -1;
  if (bad) {
    int code = refused(w->path, "cannot close");
    unlink(w->tmp);
    return code;
  }
  if (rename(w->tmp, w->path) != 0) {
    int code = refused(w->path, "cannot rename into place");
    unlink(w->tmp);
    return code;
  }
  return inc_file_sync_folder(w->path);
}

void inc_writer_abort(inc_writer *w) {
  if (w->fd < 0) return;
  close(w->fd);
  unlink(w->tmp);
  w->fd = -1;
}

int inc_file_replace(const char *path, const void *bytes, size_t n) {
  inc_writer w;
  INC_TRY(inc_writer_open(&w, path));
  int code = inc_writer_write(&w, bytes, n);
  if (code == INC_OK) code = inc_writer_commit(&w);
  inc_writer_abort(&w);
  return code;
}

static int read_open(int fd, const char *path, size_t limit, char **out, size_t *n) {
  struct stat st;
  if (fstat(fd, &st) != 0) return refused(path, "cannot stat");
  if (!S_ISREG(st.st_mode)) return inc_fail(INC_EIO, path, "expected a file, not a folder or device");
  if ((uint64_t)st.st_size > limit)
    return inc_fail(INC_EARG, path, "expected at most %zu bytes, got %lld", limit, (long long)st.st_size);
  size_t size = (size_t)st.st_size, have = 0;
  char *s = inc_alloc(size + 1);
  if (!s) return INC_EMEM;
  while (have < size) {
    ssize_t k = read(fd, s + have, size - have);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) {
      inc_free(s);
      return refused(path, "cannot read");
    }
    if (k == 0) break; /* shrank meanwhile */
    have += (size_t)k;
  }
  s[have] = '\0';
  *out = s, *n = have;
  return INC_OK;
}

int inc_file_slurp(const char *path, size_t limit, char **out, size_t *n) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused(path, "cannot open");
  int code = read_open(fd, path, limit, out, n);
  close(fd);
  return code;
}

bool inc_cache_folder(char *out) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  bool own = cache && cache[0] == '/';
  if (!own && !(home && home[0] == '/')) return false;
  int n = own ? snprintf(out, INC_PATH, "%s/incsh", cache) : snprintf(out, INC_PATH, "%s/.cache/incsh", home);
  return n < INC_PATH;
}
