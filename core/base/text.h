/* text.h -- a growing piece of text, and JSON written into it.
**
** For heads of safetensors files, log lines and the encoder that Lua sees: one place decides how a number and
** a string look.  Numbers take the fewest digits that read back to the same bits; what JSON cannot say (NaN,
** infinity) becomes null.  Strings become valid UTF-8: a byte that is none becomes U+FFFD.  A failed
** allocation is remembered and told once, by inc_text_done, so that writing code need not check every line.
*/
#ifndef INC_TEXT_H
#define INC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct inc_text {
  char *s; /* NUL behind the last byte once anything was added; NULL before */
  size_t n, cap;
  bool failed;
} inc_text;

void inc_text_add(inc_text *t, const char *bytes, size_t n);
void inc_text_put(inc_text *t, const char *s);
void inc_text_format(inc_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void inc_text_string(inc_text *t, const char *bytes, size_t n); /* JSON string with its quotes */
void inc_text_number(inc_text *t, double v);
void inc_text_float(inc_text *t, double v); /* an f32: the fewest digits that read back to it */
int inc_text_done(const inc_text *t);       /* INC_EMEM if anything above failed */
void inc_text_free(inc_text *t);

/* Bytes of the UTF-8 character at s (n bytes are there), or 0 when it is none. */
int inc_utf8_length(const char *s, size_t n);

#endif
