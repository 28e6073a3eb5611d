/* home.c -- finding lua/, models/ and scripts/ from where the program is.
**
** build/incsh belongs to the checkout around it, PREFIX/bin/incsh to PREFIX/share/incsh; INC_HOME overrides
** both.  A path compiled in was rejected: a checkout can be moved, and the tests build in other folders.
*/
#include "shell/shell.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char home[PATH_MAX];

static int is_home(const char *dir, const char *tail) {
  char probe[PATH_MAX + 64], real[PATH_MAX];
  snprintf(probe, sizeof probe, "%s%s/lua/inc", dir, tail);
  if (access(probe, R_OK) != 0) return 0;
  snprintf(probe, sizeof probe, "%s%s", dir, tail);
  if (!realpath(probe, real)) return 0;
  memcpy(home, real, sizeof home);
  return 1;
}

const char *inc_shell_home(void) {
  char exe[PATH_MAX];
  const char *env = getenv("INC_HOME");
  if (home[0]) return home;
  if (env && *env) return is_home(env, "") ? home : NULL;
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  if (n <= 0) return NULL;
  exe[n] = '\0';
  char *slash = strrchr(exe, '/');
  if (slash) *slash = '\0';
  return is_home(exe, "/..") || is_home(exe, "/../share/incsh") ? home : NULL;
}

/* Ours first, so that a stray `inc.lua` in the user's folder cannot take the place of the real one. */
void inc_shell_set_path(lua_State *L, const char *dir) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;%s", dir, dir, dir, lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 2);
}
