/* paths.c -- the little of a file system that verbs need and Lua lacks: what is there, and making folders. */
#include "base/file.h"
#include "bind/bind.h"
#include "bind/files.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* core.path_kind(path) -> "file", "folder" or nil */
static int path_kind(lua_State *L) {
  struct stat st;
  if (stat(luaL_checkstring(L, 1), &st) != 0) return lua_pushnil(L), 1;
  return lua_pushstring(L, S_ISDIR(st.st_mode) ? "folder" : "file"), 1;
}

/* core.path_full(path): absolute, with ~ expanded; links are followed as far as the path exists. */
static int path_full(lua_State *L) {
  char real[PATH_MAX], cwd[PATH_MAX] = "";
  const char *path = luaL_checkstring(L, 1), *home = getenv("HOME");
  if (path[0] == '~' && (path[1] == '/' || !path[1]) && home)
    path = lua_pushfstring(L, "%s%s", home, path + 1);
  if (realpath(path, real)) return lua_pushstring(L, real), 1;
  if (path[0] == '/') return lua_pushstring(L, path), 1;
  if (!getcwd(cwd, sizeof cwd))
    return inc_lua_fail(L, "path", INC_EIO, path, "the current folder is gone: %s", strerror(errno));
  while (!strncmp(path, "./", 2)) path += 2;
  return lua_pushfstring(L, "%s/%s", cwd, path), 1;
}

/* core.make_folder(path): with its parents; fine when it is there. */
static int make_folder(lua_State *L) {
  char path[INC_PATH];
  size_t n = (size_t)snprintf(path, sizeof path, "%s", luaL_checkstring(L, 1));
  if (n >= sizeof path)
    return inc_lua_fail(L, "folder", INC_EARG, path, "path longer than %d bytes", INC_PATH - 1);
  for (size_t i = 1; i <= n; i++) {
    if (path[i] != '/' && path[i]) continue;
    char was = path[i];
    path[i] = '\0';
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
      return inc_lua_fail(L, "folder", INC_EIO, path, "cannot make it: %s", strerror(errno));
    path[i] = was;
  }
  return 0;
}

/* core.list_folder(path) -> names in byte order, without . and .. */
static int list_folder(lua_State *L) {
  struct dirent **list;
  const char *path = luaL_checkstring(L, 1);
  lua_newtable(L);
  int n = scandir(path, &list, NULL, NULL);
  if (n < 0) return inc_lua_fail(L, "folder", INC_EIO, path, "cannot list it: %s", strerror(errno));
  for (int i = 0, k = 1; i < n; i++) {
    if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, "..")) {
      lua_pushstring(L, list[i]->d_name);
      lua_rawseti(L, -2, k++);
    }
    free(list[i]);
  }
  free(list);
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, -3);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
  return 1;
}

void inc_bind_paths(lua_State *L) {
  static const luaL_Reg list[] = {{"path_kind", path_kind},
                                  {"path_full", path_full},
                                  {"make_folder", make_folder},
                                  {"list_folder", list_folder},
                                  {NULL, NULL}};
  luaL_setfuncs(L, list, 0);
}
