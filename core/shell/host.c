/* host.c -- `require 'inc.host'`: the few things about the machine that Lua code of the shell needs.
**
** Terminal size, directory listing, a clock, a child process without a shell in between, and the interrupt
** flag.  Everything that decides anything stays in Lua.
*/
#include "base/interrupt.h"
#include "shell/shell.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* host.isatty(fd) -> boolean */
static int host_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* host.size() -> columns, rows; 80, 24 where there is no terminal */
static int host_size(lua_State *L) {
  struct winsize w = {0};
  int ok = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 || ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0;
  lua_pushinteger(L, ok && w.ws_col ? w.ws_col : 80);
  lua_pushinteger(L, ok && w.ws_row ? w.ws_row : 24);
  return 2;
}

/* host.now() -> seconds of a clock that never goes back */
static int host_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + 1e-9 * (lua_Number)t.tv_nsec);
  return 1;
}

/* host.list(path) -> array of names without "." and ".."; nil, message on failure */
static int host_list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  DIR *d = opendir(path);
  if (!d) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(errno));
    return 2;
  }
  lua_newtable(L);
  for (struct dirent *e; (e = readdir(d));) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    lua_pushstring(L, e->d_name);
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  }
  closedir(d);
  return 1;
}

/* host.kind(path) -> "file", "folder", "other", or nil when there is nothing */
static int host_kind(lua_State *L) {
  struct stat s;
  if (stat(luaL_checkstring(L, 1), &s) != 0) return 0;
  lua_pushstring(L, S_ISREG(s.st_mode) ? "file" : S_ISDIR(s.st_mode) ? "folder" : "other");
  return 1;
}

static int host_interrupted(lua_State *L) {
  lua_pushboolean(L, inc_interrupt_pending());
  return 1;
}

static int host_clear_interrupt(lua_State *L) {
  (void)L;
  inc_interrupt_clear();
  return 0;
}

static int finish_catch(lua_State *L, int status, lua_KContext k) {
  (void)k;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L);
  if (!inc_interrupt_pending()) return lua_error(L);
  inc_interrupt_clear();
  lua_pushboolean(L, 0);
  lua_pushliteral(L, "interrupted");
  return 2;
}

/* host.catch_interrupt(f, ...) -> true, results; or false, "interrupted" when Ctrl-C stopped f.  The one
 ** place that takes an interrupt for itself: other errors go on upwards. */
static int host_catch_interrupt(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_catch);
  return finish_catch(L, status, 0);
}

int luaopen_inc_host(lua_State *L) {
  static const luaL_Reg fns[] = {{"isatty", host_isatty},
                                 {"size", host_size},
                                 {"now", host_now},
                                 {"list", host_list},
                                 {"kind", host_kind},
                                 {"spawn", inc_host_spawn},
                                 {"query", inc_host_query},
                                 {"launch", inc_host_launch},
                                 {"finished", inc_host_finished},
                                 {"pixels", inc_host_pixels},
                                 {"panel", inc_host_panel},
                                 {"quiet", inc_host_quiet},
                                 {"make_folders", inc_host_make_folders},
                                 {"real_path", inc_host_real_path},
                                 {"sha256", inc_host_sha256},
                                 {"temporary", inc_host_temporary},
                                 {"cache_folder", inc_host_cache_folder},
                                 {"interrupted", host_interrupted},
                                 {"clear_interrupt", host_clear_interrupt},
                                 {"catch_interrupt", host_catch_interrupt},
                                 {NULL, NULL}};
  luaL_newlib(L, fns);
  lua_getfield(L, LUA_REGISTRYINDEX, INC_RAW_XPCALL);
  lua_setfield(L, -2, "xpcall"); /* stops interrupts too: for evaluators */
  const char *home = inc_shell_home();
  if (home) {
    lua_pushstring(L, home);
    lua_setfield(L, -2, "home");
  }
  return 1;
}
