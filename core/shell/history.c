/* history.c -- what was typed, kept across sessions.
**
** One entry a line, with \n and \\ escaped, so that a loop typed over three lines comes back as one entry. It
** is appended by a single write to a file opened with O_APPEND, before the entry runs: two shells can share
** the file, and kill -9 loses nothing.  A torn last line (no newline) is skipped.  Readline's own file
** functions were rejected: they split entries and rewrite the whole file.
*/
#include "base/mem.h"
#include "shell/shell.h"
#include <fcntl.h>
#include <limits.h>
#include <readline/history.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEEP_ENTRIES = 10000, READ_BYTES = 1 << 20 };

static char path[PATH_MAX]; /* "" when there is no place to keep it */

static void choose_path(void) {
  const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  if (xdg && *xdg == '/')
    snprintf(path, sizeof path, "%s/incsh/history", xdg);
  else if (home && *home == '/')
    snprintf(path, sizeof path, "%s/.local/state/incsh/history", home);
}

/* In place; the result is never longer. */
static void unescape(char *s) {
  char *to = s;
  for (; *s; s++) {
    if (*s == '\\' && s[1]) {
      s++;
      *to++ = *s == 'n' ? '\n' : *s;
    } else
      *to++ = *s;
  }
  *to = '\0';
}

static int is_last(const char *entry) {
  HIST_ENTRY *e = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
  return e && !strcmp(e->line, entry);
}

static void remember(const char *entry) {
  if (*entry && !is_last(entry)) add_history(entry);
}

static void take_lines(char *text, int partial) {
  char *end;
  for (char *p = text; (end = strchr(p, '\n')); p = end + 1) {
    *end = '\0';
    if (partial)
      partial = 0; /* reading began in the middle of this one */
    else {
      unescape(p);
      remember(p);
    }
  }
}

void inc_history_load(void) {
  using_history();
  stifle_history(KEEP_ENTRIES);
  choose_path();
  int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  off_t size = lseek(fd, 0, SEEK_END), from = size > READ_BYTES ? size - READ_BYTES : 0;
  char *text = inc_alloc((size_t)(size - from) + 1);
  ssize_t n = text ? pread(fd, text, (size_t)(size - from), from) : -1;
  close(fd);
  if (n >= 0) {
    text[n] = '\0';
    take_lines(text, from > 0);
  }
  inc_free(text);
}

static int ends_torn(int fd) {
  char last = '\n';
  off_t size = lseek(fd, 0, SEEK_END);
  return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

static void append(const char *entry) {
  int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  char *record = inc_alloc(2 * strlen(entry) + 3), *p = record;
  if (record) {
    if (ends_torn(fd)) *p++ = '\n';
    for (const char *s = entry; *s; s++) {
      if (*s == '\n' || *s == '\\') *p++ = '\\';
      *p++ = *s == '\n' ? 'n' : *s;
    }
    *p++ = '\n';
    ssize_t n = write(fd, record, (size_t)(p - record));
    (void)n; /* a full disk costs the entry, not the session */
  }
  inc_free(record);
  close(fd);
}

void inc_history_add(const char *entry) {
  if (!*entry || is_last(entry)) return;
  add_history(entry);
  if (!path[0]) return;
  inc_shell_make_folders(path);
  append(entry);
}
