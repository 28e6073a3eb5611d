/* read.c -- whole files into a buffer that is kept.
** Reading refuses what is not a regular file (opening a pipe would wait for ever) and goes by the size that
** the open file reports.  mmap was rejected: a file cut short while it is mapped kills the process. */
#include "base/err.h"
#include "base/mem.h"
#include "data/decode.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 30 }; /* no picture of 128 megapixels needs more */

int inc_scratch_want(inc_scratch *s, size_t n) {
  if (n <= s->cap) return INC_OK;
  size_t cap = n + n / 4 + 64; /* + 64: vector kernels read past the end */
  uint8_t *p = inc_alloc(cap);
  if (!p) return INC_EMEM;
  inc_free(s->p);
  s->p = p, s->cap = cap;
  return INC_OK;
}

void inc_scratch_free(inc_scratch *s) {
  inc_free(s->p);
  s->p = NULL, s->cap = 0;
}

static int read_span(int fd, const char *path, int64_t offset, size_t want, uint8_t *p) {
  for (size_t got = 0; got < want;) {
    ssize_t k = pread(fd, p + got, want - got, offset + (int64_t)got);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return inc_fail(INC_EIO, path, "cannot read: %s", strerror(errno));
    if (k == 0) return inc_fail(INC_EIO, path, "the file became shorter while it was read");
    got += (size_t)k;
  }
  return INC_OK;
}

static int read_open(int fd, const char *path, int64_t offset, int64_t length, inc_scratch *s, size_t *n) {
  struct stat st;
  if (fstat(fd, &st) != 0) return inc_fail(INC_EIO, path, "cannot read: %s", strerror(errno));
  if (!S_ISREG(st.st_mode)) return inc_fail(INC_EIO, path, "not a regular file");
  if (length < 0) length = st.st_size - offset;
  if (offset < 0 || length < 0 || length > st.st_size - offset)
    return inc_fail(INC_EIO, path, "expected bytes %lld to %lld, the file has %lld", (long long)offset,
                    (long long)(offset + length), (long long)st.st_size);
  if (length > MAX_FILE)
    return inc_fail(INC_EFORMAT, path, "%lld bytes: too large for a picture", (long long)length);
  INC_TRY(inc_scratch_want(s, (size_t)length + 1));
  *n = (size_t)length;
  return read_span(fd, path, offset, *n, s->p);
}

int inc_file_read(const char *path, int64_t offset, int64_t length, inc_scratch *s, size_t *n) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return inc_fail(INC_EIO, path, "cannot open: %s", strerror(errno));
  int code = read_open(fd, path, offset, length, s, n);
  close(fd);
  return code;
}
