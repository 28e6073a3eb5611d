/* text.c -- growing text and JSON output (text.h). */
#include "base/text.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for n more bytes and a NUL. */
static bool reserve(inc_text *t, size_t n) {
  if (t->failed) return false;
  if (t->cap - t->n > n) return true;
  size_t cap = t->cap ? t->cap : 256;
  while (cap - t->n <= n) cap *= 2;
  char *s = inc_realloc(t->s, t->cap, cap);
  if (!s) {
    t->failed = true;
    return false;
  }
  t->s = s, t->cap = cap;
  return true;
}

void inc_text_add(inc_text *t, const char *bytes, size_t n) {
  if (!reserve(t, n)) return;
  memcpy(t->s + t->n, bytes, n);
  t->n += n;
  t->s[t->n] = '\0';
}

void inc_text_put(inc_text *t, const char *s) { inc_text_add(t, s, strlen(s)); }

void inc_text_format(inc_text *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (n < 0 || !reserve(t, (size_t)n)) return;
  va_start(ap, fmt);
  vsnprintf(t->s + t->n, (size_t)n + 1, fmt, ap);
  va_end(ap);
  t->n += (size_t)n;
}

/* Length by the first byte, then the ranges that shut out overlong forms, surrogates and what lies beyond
** U+10FFFF (Unicode, table 3-7). */
int inc_utf8_length(const char *s, size_t n) {
  const unsigned char *u = (const unsigned char *)s;
  if (n == 0) return 0;
  if (u[0] < 0x80) return 1;
  int len = u[0] >= 0xc2 && u[0] <= 0xdf   ? 2
            : (u[0] & 0xf0) == 0xe0        ? 3
            : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4
                                           : 0;
  if (len == 0 || (size_t)len > n) return 0;
  for (int i = 1; i < len; i++)
    if ((u[i] & 0xc0) != 0x80) return 0;
  bool bad = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
             (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f);
  return bad ? 0 : len;
}

void inc_text_string(inc_text *t, const char *bytes, size_t n) {
  inc_text_add(t, "\"", 1);
  for (size_t i = 0; i < n;) {
    unsigned char c = (unsigned char)bytes[i];
    int len = inc_utf8_length(bytes + i, n - i);
    if (c == '"' || c == '\\')
      inc_text_format(t, "\\%c", c);
    else if (c == '\n')
      inc_text_put(t, "\\n");
    else if (c == '\t')
      inc_text_put(t, "\\t");
    else if (c < 0x20 || c == 0x7f)
      inc_text_format(t, "\\u%04x", c);
    else if (len)
      inc_text_add(t, bytes + i, (size_t)len);
    else
      inc_text_put(t, "\xef\xbf\xbd");
    i += len ? (size_t)len : 1;
  }
  inc_text_add(t, "\"", 1);
}

static void put_number(inc_text *t, double v, bool single) {
  char s[40];
  if (!isfinite(v)) {
    inc_text_put(t, "null");
    return;
  }
  if (v == floor(v) && fabs(v) < 1e15) {
    inc_text_format(t, "%.0f", v);
    return;
  }
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(s, sizeof s, "%.*g", digits, v);
    if (single ? strtof(s, NULL) == (float)v : strtod(s, NULL) == v) break;
  }
  inc_text_put(t, s);
}

void inc_text_number(inc_text *t, double v) { put_number(t, v, false); }

void inc_text_float(inc_text *t, double v) { put_number(t, v, true); }

int inc_text_done(const inc_text *t) {
  return t->failed ? inc_fail(INC_EMEM, NULL, "out of memory for a text of %zu bytes", t->n) : INC_OK;
}

void inc_text_free(inc_text *t) {
  inc_free(t->s);
  memset(t, 0, sizeof *t);
}
