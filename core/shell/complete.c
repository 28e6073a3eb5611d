/* complete.c -- Tab: hands the line to lua/inc/shell/complete.lua, and its answer to readline.
**
** Lua decides where the word begins and what may stand there; readline is told through the word-break hook,
** its one way to be told.  File names are left to readline, which knows about ~ and about folders.
*/
#include "shell/shell.h"
#include <readline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lua_State *state;
static int matches = LUA_NOREF; /* registry: the list of the Tab in progress */
static int files, next_match;
static char quote[2]; /* that opens what is completed, or "" */

/* All that cannot be part of a Lua name. */
static char name_breaks[] = " \t\n!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~";

static char *break_hook(void) {
  luaL_unref(state, LUA_REGISTRYINDEX, matches);
  matches = LUA_NOREF;
  files = 0, quote[0] = '\0';
  lua_pushstring(state, rl_line_buffer);
  lua_pushinteger(state, rl_point);
  if (!inc_prompt_call(state, "complete", 2, 2)) return name_breaks;
  const char *q = lua_tostring(state, -1);
  if (q) quote[0] = q[0];
  lua_pop(state, 1);
  if (lua_istable(state, -1))
    matches = luaL_ref(state, LUA_REGISTRYINDEX);
  else {
    files = quote[0] != '\0';
    lua_pop(state, 1);
  }
  return quote[0] ? quote : name_breaks;
}

static char *generate(const char *text, int first) {
  char *copy = NULL;
  (void)text;
  if (first == 0) next_match = 1;
  lua_rawgeti(state, LUA_REGISTRYINDEX, matches);
  lua_rawgeti(state, -1, next_match++);
  if (lua_type(state, -1) == LUA_TSTRING) copy = strdup(lua_tostring(state, -1)); /* readline frees it */
  lua_pop(state, 2);
  return copy;
}

static char **complete(const char *text, int start, int end) {
  (void)start, (void)end;
  rl_attempted_completion_over = 1;
  if (files) {
    rl_filename_completion_desired = 1;
    rl_completion_append_character = quote[0] == '[' ? '\0' : quote[0];
    return rl_completion_matches(text, rl_filename_completion_function);
  }
  rl_completion_append_character = quote[0];
  return matches == LUA_NOREF ? NULL : rl_completion_matches(text, generate);
}

void inc_shell_bind_completion(lua_State *L) {
  state = L;
  rl_completion_word_break_hook = break_hook;
  rl_attempted_completion_function = complete;
  rl_completer_quote_characters = NULL;
  rl_basic_quote_characters = "";
}
