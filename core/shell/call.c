/* call.c -- every call into Lua goes through here, so that every error is told the same way.
**
** The message handler is lua/inc/shell/errors.lua: it runs while the stack still stands and keeps the
** message, the user's own line and the full trace in one record.  It is loaded before anything else can fail;
** until then (and if it fails itself) the bare message has to do.
*/
#include "base/interrupt.h"
#include "shell/shell.h"
#include <stdio.h>
#include <string.h>

static int reporter = LUA_NOREF; /* registry: the module's table */

int inc_shell_load_reporter(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "inc.shell.errors");
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    fprintf(stderr, "incsh: %s\n", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
    return 0;
  }
  reporter = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

void inc_shell_keep_source(lua_State *L, const char *chunk, const char *text) {
  if (reporter == LUA_NOREF) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, reporter);
  lua_getfield(L, -1, "sources");
  lua_pushstring(L, text);
  lua_setfield(L, -2, chunk);
  lua_pop(L, 2);
}

static int on_error(lua_State *L) {
  if (reporter == LUA_NOREF) return 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, reporter);
  lua_getfield(L, -1, "capture");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

int inc_shell_call(lua_State *L, int nargs, int nresults) {
  int base = lua_gettop(L) - nargs;
  lua_pushcfunction(L, on_error);
  lua_insert(L, base);
  int status = lua_pcall(L, nargs, nresults, base);
  lua_remove(L, base);
  return status;
}

void inc_shell_report(lua_State *L, const char *who) {
  fflush(stdout);
  if (reporter != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, reporter);
    lua_getfield(L, -1, "batch_text");
    lua_remove(L, -2);
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
      lua_replace(L, -2);
    else
      lua_pop(L, 1);
  }
  const char *text = luaL_tolstring(L, -1, NULL), *verb = strrchr(who, ' ');
  size_t n = verb ? strlen(++verb) : 0;
  int named = n > 0 && !strncmp(text, verb, n) && text[n] == ':'; /* "train: ..." in `incsh train` */
  if (named)
    fprintf(stderr, "incsh %s\n", text);
  else
    fprintf(stderr, "%s: %s\n", who, text);
  lua_pop(L, 2);
}
