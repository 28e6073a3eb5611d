/* paths.c -- host.real_path, host.make_folders, host.sha256: what remembering an allowed folder needs; and
** host.temporary, a folder for what need not last.
**
** The hash is the one of run folders; a weaker one would do against accidents, not against someone who writes
** a file so that it passes for another.
*/
#include "base/file.h"
#include "run/sha256.h"
#include "shell/shell.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void inc_shell_make_folders(const char *path) {
  char copy[PATH_MAX];
  if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy) return;
  for (char *p = strchr(copy + (copy[0] == '/'), '/'); p; p = strchr(p + 1, '/')) {
    *p = '\0';
    mkdir(copy, 0700);
    *p = '/';
  }
}

/* host.make_folders(path): the folders that a file of this path lies in, for the user alone */
int inc_host_make_folders(lua_State *L) {
  inc_shell_make_folders(luaL_checkstring(L, 1));
  return 0;
}

/* host.real_path(path) -> the path without links and dots; nil when there is nothing */
int inc_host_real_path(lua_State *L) {
  char real[PATH_MAX];
  if (!realpath(luaL_checkstring(L, 1), real)) return 0;
  lua_pushstring(L, real);
  return 1;
}

/* host.temporary(what) -> a new folder for the user alone in the place for temporary files, "what" in its name; raises
** where none can be made */
int inc_host_temporary(lua_State *L) {
  char path[PATH_MAX];
  const char *place = getenv("TMPDIR");
  if (!place || place[0] != '/') place = "/tmp";
  snprintf(path, sizeof path, "%s/incsh-%s-XXXXXX", place, luaL_checkstring(L, 1));
  if (!mkdtemp(path)) return luaL_error(L, "%s: %s: no folder for temporary files", path, strerror(errno));
  lua_pushstring(L, path);
  return 1;
}

/* host.cache_folder() -> the folder for what can be made again, there or not; nil where there is no home */
int inc_host_cache_folder(lua_State *L) {
  char path[INC_PATH];
  if (!inc_cache_folder(path)) return 0;
  lua_pushstring(L, path);
  return 1;
}

/* host.sha256(text) -> 64 hexadecimal digits */
int inc_host_sha256(lua_State *L) {
  size_t n;
  char hex[65];
  inc_sha256 s;
  const char *text = luaL_checklstring(L, 1, &n);
  inc_sha256_init(&s);
  inc_sha256_add(&s, text, n);
  inc_sha256_hex(&s, hex);
  lua_pushstring(L, hex);
  return 1;
}
