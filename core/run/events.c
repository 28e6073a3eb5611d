/* events.c -- event files (events.h): records with checksums, around messages of three fields.
**
** Protocol buffers are written by hand: a key, then a varint, 8 or 4 bytes, or a length and bytes.  The library
** would be larger than this program, for the five messages that scalars need:
**
**     Event { 1 wall_time, 2 step, and one of: 3 file_version | 5 Summary | 7 SessionLog { 1 status };
**             10 SourceMetadata { 1 writer } }           Summary { 1 Value { 1 tag, 2 simple_value } ... }
**
** simple_value is the old form of a scalar, which every version of TensorBoard reads without more words.
*/
#include "run/events.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct inc_events {
  int fd;
  char path[INC_PATH];
  inc_text record, summary, value; /* kept from line to line */
};

static const char prefix[] = "events.out.tfevents.";
static const char writer[] = "incsh";

/* -- checksums ------------------------------------------------------------------------------------------ */

/* Half a byte at a time: a record of 300 bytes takes a microsecond, and a larger table would gain nothing. */
uint32_t inc_crc32c(const void *bytes, uint64_t n) {
  static const uint32_t half[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                    0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  const uint8_t *b = bytes;
  uint32_t c = 0xffffffff;
  for (uint64_t i = 0; i < n; i++) {
    c ^= b[i];
    c = c >> 4 ^ half[c & 15];
    c = c >> 4 ^ half[c & 15];
  }
  return ~c;
}

uint32_t inc_crc32c_masked(const void *bytes, uint64_t n) {
  uint32_t c = inc_crc32c(bytes, n);
  return (c >> 15 | c << 17) + 0xa282ead8;
}

/* -- messages ------------------------------------------------------------------------------------------- */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void store_little(char *to, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = (char)(v >> 8 * i);
}

static void put_little(inc_text *t, uint64_t v, int bytes) {
  char b[8];
  store_little(b, v, bytes);
  inc_text_add(t, b, (size_t)bytes);
}

static void put_varint(inc_text *t, uint64_t v) {
  for (; v > 127; v >>= 7) put_little(t, (v & 127) | 128, 1);
  put_little(t, v, 1);
}

static void put_key(inc_text *t, int field, int type) {
  put_varint(t, (uint64_t)field << 3 | (uint64_t)type);
}

static void put_bytes(inc_text *t, int field, const char *s, size_t n) {
  put_key(t, field, BYTES);
  put_varint(t, n);
  if (n) inc_text_add(t, s, n);
}

static void put_double(inc_text *t, int field, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  put_key(t, field, FIXED64);
  put_little(t, bits, 8);
}

static void put_float(inc_text *t, int field, float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  put_key(t, field, FIXED32);
  put_little(t, bits, 4);
}

static void put_scalar(inc_events *e, const char *tag, size_t n, double v) {
  e->value.n = 0;
  put_bytes(&e->value, 1, tag, n);
  put_float(&e->value, 2, (float)v);
  put_bytes(&e->summary, 1, e->value.s, e->value.n);
}

/* -- records -------------------------------------------------------------------------------------------- */

enum { HEAD = 12, TAIL = 4 }; /* length and its checksum; checksum of the data */

/* Begin a record in e->record; its head is filled in when the length is known. */
static void begin_record(inc_events *e, double time) {
  e->record.n = 0;
  put_little(&e->record, 0, 8);
  put_little(&e->record, 0, 4);
  put_double(&e->record, 1, time);
}

/* One write a record; what a full disk took of it is taken back. */
static int end_record(inc_events *e) {
  inc_text *t = &e->record;
  INC_TRY(inc_text_done(t));
  INC_TRY(inc_text_done(&e->summary));
  INC_TRY(inc_text_done(&e->value));
  uint64_t n = t->n - HEAD;
  store_little(t->s, n, 8);
  store_little(t->s + 8, inc_crc32c_masked(t->s, 8), 4);
  put_little(t, inc_crc32c_masked(t->s + HEAD, n), 4);
  INC_TRY(inc_text_done(t));
  off_t before = lseek(e->fd, 0, SEEK_END);
  int code = inc_write_all(e->fd, t->s, t->n, e->path);
  if (code != INC_OK && before >= 0 && ftruncate(e->fd, before) != 0) return code;
  return code;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The version that readers want first, with who wrote it; then the start of a session at the next step. */
static int put_start(inc_events *e, int64_t step) {
  static const char version[] = "brain.Event:2", start[] = {1 << 3 | VARINT, 1};
  begin_record(e, now());
  put_bytes(&e->record, 3, version, sizeof version - 1);
  e->value.n = 0;
  put_bytes(&e->value, 1, writer, sizeof writer - 1);
  put_bytes(&e->record, 10, e->value.s, e->value.n);
  INC_TRY(end_record(e));
  begin_record(e, now());
  put_key(&e->record, 2, VARINT);
  put_varint(&e->record, (uint64_t)step + 1);
  put_bytes(&e->record, 7, start, sizeof start);
  return end_record(e);
}

/* -- a line of the log ---------------------------------------------------------------------------------- */

/* Behind the string that starts at s (with its quote). */
static const char *skip_string(const char *s) {
  for (s++; *s && *s != '"'; s++)
    if (*s == '\\' && s[1]) s++;
  return *s ? s + 1 : s;
}

/* Behind the value at s: a string, a number, a word, or anything in brackets. */
static const char *skip_value(const char *s) {
  int depth = 0;
  for (; *s; s++) {
    while (*s == '"') s = skip_string(s);
    if (depth == 0 && (*s == ',' || *s == '}' || *s == ']')) break;
    if (*s == '{' || *s == '[') depth++;
    if (*s == '}' || *s == ']') depth--;
    if (!*s) break;
  }
  return s;
}

typedef struct field {
  const char *name;
  size_t n;
  double value;
  bool is_number;
} field;

/* The next "name":value of a flat object; false at its end. */
static bool next_field(const char **at, field *f) {
  const char *s = *at + strspn(*at, "{, ");
  if (*s != '"') return false;
  const char *end = skip_string(s);
  if (*end != ':') return false;
  char *rest;
  f->name = s + 1, f->n = (size_t)(end - s) - 2;
  f->value = strtod(end + 1, &rest);
  f->is_number = rest > end + 1 && end[1] != '"';
  *at = skip_value(end + 1);
  return true;
}

static bool is(const field *f, const char *name) {
  return f->n == strlen(name) && !memcmp(f->name, name, f->n);
}

int inc_events_line(inc_events *e, const char *line) {
  field f;
  double time = 0, step = 0;
  e->summary.n = 0;
  while (next_field(&line, &f)) {
    if (!f.is_number) continue;
    if (is(&f, "time"))
      time = f.value;
    else if (is(&f, "step"))
      step = f.value;
    else
      put_scalar(e, f.name, f.n, f.value);
  }
  begin_record(e, time > 0 ? time : now());
  put_key(&e->record, 2, VARINT);
  put_varint(&e->record, (uint64_t)step);
  put_bytes(&e->record, 5, e->summary.s, e->summary.n);
  return end_record(e);
}

/* -- older files ---------------------------------------------------------------------------------------- */

static uint64_t little(const char *b, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint64_t)(uint8_t)b[i] << 8 * i;
  return v;
}

/* The record at `at`: its data, or NULL when no sound one begins there. */
static const char *record_at(const char *s, size_t n, size_t at, uint64_t *length) {
  if (n - at < HEAD + TAIL || little(s + at + 8, 4) != inc_crc32c_masked(s + at, 8)) return NULL;
  *length = little(s + at, 8);
  if (*length > n - at - HEAD - TAIL) return NULL;
  const char *data = s + at + HEAD;
  return little(data + *length, 4) == inc_crc32c_masked(data, *length) ? data : NULL;
}

/* The step of an Event as we write it: time, then the step where there is one; -1: none. */
static int64_t step_of(const char *data, uint64_t n) {
  uint64_t v = 0;
  if (n < 10 || data[9] != (2 << 3 | VARINT)) return -1;
  for (uint64_t i = 10, shift = 0; i < n && shift < 64; i++, shift += 7) {
    v |= (uint64_t)(data[i] & 127) << shift;
    if (!(data[i] & 128)) break;
  }
  return (int64_t)v;
}

/* Bytes of a file of ours that stay, and the last step in them; 0: no steps are left.  -1: it is not ours. */
static int64_t kept_bytes(const char *s, size_t n, int64_t step, int64_t *last) {
  size_t at = 0;
  int records = 0;
  uint64_t length;
  for (const char *data; (data = record_at(s, n, at, &length)); records++) {
    if (records == 0 && !memmem(data, length, writer, sizeof writer - 1)) return -1;
    int64_t here = records > 1 ? step_of(data, length) : 0;
    if (here > step) break;
    if (here > *last) *last = here;
    at += HEAD + length + TAIL;
  }
  return records == 0 ? -1 : records > 2 ? (int64_t)at : 0;
}

static int cut(const char *path, int64_t step, int64_t *last) {
  char *s;
  size_t n;
  INC_TRY(inc_file_slurp(path, SIZE_MAX / 2, &s, &n));
  int64_t keep = kept_bytes(s, n, step, last);
  inc_free(s);
  if (keep < 0 || keep == (int64_t)n) return INC_OK;
  if ((keep ? truncate(path, (off_t)keep) : unlink(path)) == 0) return INC_OK;
  return inc_fail(INC_EIO, path, "cannot cut: %s", strerror(errno));
}

/* Cut all of ours; the last step that stays, and the latest seconds in their names. */
static int cut_all(const char *folder, int64_t step, int64_t *last, int64_t *latest) {
  char path[INC_PATH];
  int code = INC_OK;
  DIR *d = opendir(folder);
  if (!d) return inc_fail(INC_EIO, folder, "cannot list: %s", strerror(errno));
  for (struct dirent *e; code == INC_OK && (e = readdir(d));) {
    if (strncmp(e->d_name, prefix, sizeof prefix - 1)) continue;
    long long seconds = strtoll(e->d_name + sizeof prefix - 1, NULL, 10);
    if (seconds > *latest && seconds < 9999999999) *latest = seconds;
    code = inc_path_join(path, folder, e->d_name);
    if (code == INC_OK) code = cut(path, step, last);
  }
  closedir(d);
  return code;
}

/* -- lines that no file has ---------------------------------------------------------------------------- */

/* Every whole line of the log up to `step`, from the first that is later than `last`. */
static int put_lines(inc_events *e, char *log, int64_t last, int64_t step) {
  for (char *line = log, *end; (end = strchr(line, '\n')); line = end + 1) {
    long long here = 0;
    *end = '\0';
    if (sscanf(line, "{\"step\":%lld", &here) != 1 || here <= last) continue;
    if (here > step) break;
    INC_TRY(inc_events_line(e, line));
  }
  return INC_OK;
}

/* What the log has and the files lack: a fork's past, a run from before there were event files. */
static int catch_up(inc_events *e, const char *folder, int64_t last, int64_t step) {
  char path[INC_PATH], *log;
  size_t n;
  INC_TRY(inc_path_join(path, folder, "log.jsonl"));
  if (last >= step || access(path, R_OK) != 0) return INC_OK;
  INC_TRY(inc_file_slurp(path, SIZE_MAX / 2, &log, &n));
  int code = put_lines(e, log, last, step);
  inc_free(log);
  return code;
}

/* -- a file's life -------------------------------------------------------------------------------------- */

static int create(inc_events *e, const char *folder, int64_t latest) {
  char host[128] = "", name[256];
  int64_t seconds = (int64_t)time(NULL);
  gethostname(host, sizeof host - 1);
  for (char *c = host; *c; c++)
    if (*c == '/') *c = '-';
  snprintf(name, sizeof name, "%s%010lld.%s.%ld.0", prefix,
           (long long)(seconds > latest ? seconds : latest + 1), host[0] ? host : "localhost",
           (long)getpid());
  INC_TRY(inc_path_join(e->path, folder, name));
  e->fd = open(e->path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  return e->fd >= 0 ? INC_OK : inc_fail(INC_EIO, e->path, "cannot create: %s", strerror(errno));
}

int inc_events_open(const char *folder, int64_t step, inc_events **out) {
  int64_t last = 0, latest = 0;
  inc_events *e = inc_zalloc(sizeof *e);
  if (!e) return INC_EMEM;
  e->fd = -1;
  int code = cut_all(folder, step, &last, &latest);
  if (code == INC_OK) code = create(e, folder, latest);
  if (code == INC_OK) code = put_start(e, last);
  if (code == INC_OK) code = catch_up(e, folder, last, step);
  if (code == INC_OK)
    *out = e;
  else
    inc_events_close(e);
  return code;
}

void inc_events_close(inc_events *e) {
  if (!e) return;
  if (e->fd >= 0) close(e->fd);
  inc_text_free(&e->record);
  inc_text_free(&e->summary);
  inc_text_free(&e->value);
  inc_free(e);
}
