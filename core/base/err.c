/* err.c -- the per-thread error record of err.h.
** Messages are formatted exactly once, so a '%' in a file name can do no harm later. */
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local inc_error last;

int inc_fail(int code, const char *arg, const char *fmt, ...) {
  va_list ap;
  last.code = code;
  last.op[0] = last.hint[0] = '\0';
  snprintf(last.arg, sizeof last.arg, "%s", arg ? arg : "");
  va_start(ap, fmt);
  vsnprintf(last.text, sizeof last.text, fmt, ap);
  va_end(ap);
  return code;
}

int inc_hint(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(last.hint, sizeof last.hint, fmt, ap);
  va_end(ap);
  return last.code;
}

int inc_error_op(const char *op) {
  if (!last.op[0]) snprintf(last.op, sizeof last.op, "%s", op);
  return last.code;
}

const inc_error *inc_error_last(void) { return &last; }
void inc_error_clear(void) { memset(&last, 0, sizeof last); }
void inc_error_set(const inc_error *e) { last = *e; }

char *inc_error_format(const inc_error *e, char *out, unsigned long n) {
  snprintf(out, n, "%s%s%s%s%s%s%s", e->op, e->op[0] ? ": " : "", e->arg, e->arg[0] ? ": " : "", e->text,
           e->hint[0] ? "\nhint: " : "", e->hint);
  return out;
}

const char *inc_error_name(int code) {
  static const char *const names[] = {"OK",      "EARG",  "EMEM", "EIO",    "EFORMAT",
                                      "EDEVICE", "EINTR", "ENAN", "ESTATE", "ENOTBUILT"};
  return code >= 0 && code < (int)(sizeof names / sizeof *names) ? names[code] : "?";
}
