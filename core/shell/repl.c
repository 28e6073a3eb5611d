/* repl.c -- the prompt.
**
** One poll loop serves the keyboard and the news of background runs, through readline's callback interface;
** readline's own signal handlers are off, because Ctrl-C must never leave the loop.  A line that was read is
** run outside the callback with the terminal in its normal mode.
*/
#include "base/interrupt.h"
#include "base/mem.h"
#include "shell/shell.h"
#include <errno.h>
#include <poll.h>
#include <readline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char prompt[] = "inc> ", more[] = "...> ";

static int module = LUA_NOREF; /* registry: lua/inc/shell/prompt.lua */
static char *got;              /* the line just read, or NULL */
static int done_reading, at_end;
static volatile sig_atomic_t resized, continued;

int inc_prompt_call(lua_State *L, const char *name, int nargs, int nresults) {
  if (!lua_checkstack(L, 8)) return 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, module);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  lua_insert(L, -(nargs + 1));
  if (inc_shell_call(L, nargs, nresults) == LUA_OK) return 1;
  lua_pop(L, 1);
  return 0;
}

static void on_line(char *line) {
  rl_callback_handler_remove();
  done_reading = 1;
  got = line;
  at_end = line == NULL;
}

static void on_signal(int sig) {
  if (sig == SIGWINCH)
    resized = 1;
  else
    continued = 1;
}

static void watch_signals(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_signal;
  sigaction(SIGWINCH, &sa, NULL);
  sigaction(SIGCONT, &sa, NULL);
}

/* Ctrl-C while nothing runs: what was typed is given up, the session goes on. */
static void abandon(const char *p) {
  inc_interrupt_clear();
  rl_callback_sigcleanup();
  rl_free_line_state();
  rl_point = rl_end;
  rl_redisplay();
  fputs("^C", stdout); /* before the next call, which returns the cursor to column 1 */
  fflush(stdout);
  rl_callback_handler_remove();
  fputs("\n", stdout);
  rl_callback_handler_install(p, on_line);
}

static void serve_signals(const char *p) {
  if (resized) {
    resized = 0;
    rl_resize_terminal();
  }
  if (continued) { /* back from Ctrl-Z: the other program may have changed the terminal */
    continued = 0;
    rl_deprep_terminal();
    rl_prep_terminal(1);
    rl_forced_update_display();
  }
  if (inc_interrupt_pending()) abandon(p);
}

/* Read one line; NULL at the end of input. */
static char *read_line(lua_State *L, const char *p, int smart) {
  done_reading = at_end = 0;
  got = NULL;
  inc_status_flush(L, smart);
  rl_callback_handler_install(p, on_line);
  while (!done_reading) {
    struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
    int n = poll(&fd, 1, 200);
    serve_signals(p);
    if (n > 0) rl_callback_read_char();
    if (!done_reading) inc_status_idle(L, smart);
  }
  return got;
}

static int incomplete(lua_State *L, const char *text) {
  lua_pushstring(L, text);
  if (!inc_prompt_call(L, "continuation", 1, 1)) return 0;
  int is = lua_type(L, -1) == LUA_TSTRING;
  lua_pop(L, 1);
  return is;
}

static char *join(char *entry, char *line) {
  size_t a = entry ? strlen(entry) : 0, b = strlen(line);
  char *both = malloc(a + b + 2);
  if (both && a) memcpy(both, entry, a), both[a++] = '\n';
  if (both) memcpy(both + a, line, b + 1);
  free(entry);
  free(line);
  return both;
}

/* A whole entry.  A good terminal delivers it in one piece (keys.c); a dumb one line by line. */
static char *read_entry(lua_State *L, int smart) {
  char *entry = NULL, *line;
  while ((line = read_line(L, entry ? more : prompt, smart))) {
    int blank = line[strspn(line, " \t")] == '\0';
    entry = join(entry, line);
    if (!entry || smart || blank || !incomplete(L, entry)) return entry;
  }
  free(entry);
  return NULL;
}

/* Output that did not end in a newline keeps its line: a mark, then as many blanks as a row has less one,
 *which
 ** wrap to the next row only if the cursor did not stand in the first column. */
static void fresh_line(void) {
  int rows, columns;
  rl_get_screen_size(&rows, &columns);
  if (columns > 1) fprintf(stdout, "%%%*s\r\033[K", columns - 1, "");
  fflush(stdout);
}

/* Returns 1 when the entry was `exit`. */
static int run_entry(lua_State *L, const char *entry) {
  inc_interrupt_clear();
  lua_pushstring(L, entry);
  int leave = inc_prompt_call(L, "run", 1, 1);
  if (leave) {
    leave = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  fflush(stdout);
  inc_interrupt_clear();
  return leave;
}

static int may_leave(lua_State *L) {
  inc_interrupt_clear();
  if (!inc_prompt_call(L, "leave", 0, 1)) return 1;
  int yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return yes;
}

static int start(lua_State *L, int smart) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "inc.shell.prompt");
  if (inc_shell_call(L, 1, 1) != LUA_OK) {
    inc_shell_report(L, "incsh");
    return 0;
  }
  module = luaL_ref(L, LUA_REGISTRYINDEX);
  rl_readline_name = "incsh";
  rl_catch_signals = 0;
  rl_catch_sigwinch = 0;
  inc_shell_bind_keys(L, smart);
  inc_shell_bind_completion(L);
  inc_history_load();
  watch_signals();
  lua_pushboolean(L, smart);
  inc_prompt_call(L, "start", 1, 0);
  return 1;
}

int inc_shell_repl(lua_State *L) {
  const char *term = getenv("TERM");
  int smart = term && *term && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
  if (!start(L, smart)) return 1;
  for (;;) {
    char *entry = read_entry(L, smart);
    if (!entry) { /* Ctrl-D */
      fputs("\n", stdout);
      if (may_leave(L)) return 0;
      if (!isatty(STDIN_FILENO)) return 0;
      continue;
    }
    if (entry[strspn(entry, " \t\n")]) {
      inc_history_add(entry);
      if (run_entry(L, entry) && may_leave(L)) {
        free(entry);
        return 0;
      }
      if (smart) fresh_line();
    }
    free(entry);
  }
}
