/* error.c -- the only raiser: core's failure record becomes a Lua error (bind.h).
**
** The position is the user's own line: frames of C and of our Lua library are skipped, so that an error in
** a layer points at the line that called the net.  The layer's name comes first when there is one.
*/
#include "bind/bind.h"
#include "exec/emit.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool is_ours(const char *source) { return strstr(source, "lua/inc/") != NULL; }

void inc_lua_user_line(lua_State *L, char *out, size_t n) {
  lua_Debug ar;
  out[0] = '\0';
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || (*ar.source == '@' && is_ours(ar.source))) continue;
    snprintf(out, n, "%s:%d", ar.short_src, ar.currentline);
    return;
  }
}

int inc_lua_error_at_user(lua_State *L, const char *message) {
  char where[256];
  inc_lua_user_line(L, where, sizeof where);
  lua_pushfstring(L, "%s%s%s", where, *where ? ": " : "", message);
  return lua_error(L);
}

int inc_lua_raise(lua_State *L) {
  char text[2048], named[2400];
  inc_error_format(inc_error_last(), text, sizeof text);
  const char *scope = inc_scope();
  snprintf(named, sizeof named, "%s%s%s", scope, *scope ? ": " : "", text);
  inc_scope_reset();
  return inc_lua_error_at_user(L, named);
}

int inc_lua_fail(lua_State *L, const char *op, int code, const char *arg, const char *fmt, ...) {
  char text[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  inc_fail(code, arg, "%s", text);
  inc_error_op(op);
  return inc_lua_raise(L);
}

void inc_lua_check(lua_State *L, int code) {
  if (code) inc_lua_raise(L);
}

/* Levenshtein distance with a short cut: names are short. */
static int distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  int row[64];
  if (n > 60 || m > 60) return 99;
  for (size_t j = 0; j <= m; j++) row[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int keep = row[j], cost = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < cost) cost = row[j] + 1;
      if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1;
      row[j] = cost;
      diagonal = keep;
    }
  }
  return row[m];
}

const char *inc_nearest(const char *word, const char *const *list, int n) {
  const char *best = NULL;
  int least = (int)strlen(word) / 3 + 2;
  for (int i = 0; i < n; i++) {
    int d = distance(word, list[i]);
    if (d < least) least = d, best = list[i];
  }
  return best;
}
