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
#include <time.h>
#include <unistd.h>

enum { STUCK_SECONDS = 5 }; /* that what runs has to stop when its terminal is gone */

static const char prompt[] = "inc> ", more[] = "...> ";

static int module = LUA_NOREF; /* registry: lua/inc/shell/prompt.lua */
static char *got;              /* the line just read, or NULL */
static int done_reading, at_end;
int inc_shell_abandon;
static volatile sig_atomic_t resized, continued, hung_up;

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

static int gave_up; /* readline was told "end of input" because of Ctrl-C */

static void on_line(char *line) {
  if (gave_up) {
    gave_up = 0;
    inc_shell_abandon = 1;
    inc_interrupt_clear();
    if (!line) line = calloc(1, 1);
  }
  rl_callback_handler_remove();
  done_reading = 1;
  got = line;
  at_end = line == NULL;
}

static void on_signal(int sig) {
  if (sig == SIGWINCH)
    resized = 1;
  else if (sig == SIGCONT)
    continued = 1;
  else { /* the terminal is gone: stop what runs, then leave as at the end of input, which saves runs */
    hung_up = 1;
    alarm(STUCK_SECONDS); /* code that never looks would spin on, seen by nobody */
    inc_shell_interrupt();
  }
}

static void watch_signals(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_signal;
  sigaction(SIGWINCH, &sa, NULL);
  sigaction(SIGCONT, &sa, NULL);
  struct sigaction before;
  sigaction(SIGHUP, &sa, &before);
  if (before.sa_handler == SIG_IGN) sigaction(SIGHUP, &before, NULL); /* nohup */
}

/* Ctrl-C while nothing runs: what was typed is given up, the session goes on.  The line is accepted like any
** other and then dropped, because only that way does readline put back its lists of edits; its function for
** "free the line" leaves history entries with lists that are freed. */
static void abandon(void) {
  inc_interrupt_clear();
  inc_hint_wipe();
  gave_up = 0;
  rl_callback_sigcleanup();
  inc_shell_abandon = 1;
  for (int i = 0; i < 3 && !done_reading; i++) { /* a half-typed key sequence may swallow the first */
    rl_stuff_char('\r');
    rl_callback_read_char();
  }
}

static void serve_signals(void) {
  if (resized) {
    resized = 0;
    rl_resize_terminal();
  }
  if (continued) { /* back from Ctrl-Z: the other program may have changed the terminal */
    continued = 0;
    rl_deprep_terminal();
    rl_prep_terminal(1);
    inc_status_forget();
    rl_forced_update_display();
  }
  if (inc_interrupt_pending()) abandon();
}

static struct timespec last_key;

/* host.quiet() -> seconds since the last key */
int inc_host_quiet(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  double ns = (double)(t.tv_nsec - last_key.tv_nsec);
  lua_pushnumber(L, (lua_Number)(t.tv_sec - last_key.tv_sec) + 1e-9 * ns);
  return 1;
}

/* Readline asks for one key.  In its few questions of its own (show all completions?  the rest of a paste) it
** would wait through Ctrl-C; an end of input makes it give up the question. */
static int next_key(FILE *in) {
  unsigned char c;
  for (;;) {
    struct pollfd fd = {fileno(in), POLLIN, 0};
    if (poll(&fd, 1, 100) > 0) {
      ssize_t n = read(fd.fd, &c, 1);
      clock_gettime(CLOCK_MONOTONIC, &last_key);
      inc_hint_wipe();
      if (n == 1) return c;
      if (n == 0 || errno != EINTR) return EOF;
    } else if (inc_interrupt_pending()) {
      gave_up = 1;
      return EOF;
    }
  }
}

/* Read one line; NULL at the end of input. */
static char *read_line(lua_State *L, const char *p, int smart) {
  done_reading = at_end = 0;
  got = NULL;
  inc_status_flush(L, smart);
  rl_callback_handler_install(p, on_line);
  inc_shell_reading = 1;
  while (!done_reading && !hung_up) {
    struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
    int n = poll(&fd, 1, 200);
    serve_signals();
    if (n > 0 && !done_reading) rl_callback_read_char();
    if (!done_reading) inc_status_idle(L, smart);
  }
  inc_shell_reading = 0;
  if (!done_reading) rl_callback_handler_remove();
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
    if (inc_shell_abandon) {
      inc_shell_abandon = 0;
      free(line);
      free(entry);
      return calloc(1, 1);
    }
    int blank = line[strspn(line, " \t")] == '\0';
    entry = join(entry, line);
    if (!entry || smart || blank || !incomplete(L, entry)) return entry;
  }
  free(entry);
  return NULL;
}

/* Output that did not end in a newline keeps its line: a mark, then as many blanks as a row has less one,
 ** which wrap to the next row only if the cursor did not stand in the first column. */
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
  alarm(0);
  inc_interrupt_clear();
  if (!inc_prompt_call(L, "leave", 0, 1)) return 1;
  int yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return yes;
}

static int start(lua_State *L, int smart, int with_rc) {
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
  rl_getc_function = next_key;
  inc_shell_bind_keys(L, smart);
  inc_shell_bind_completion(L);
  inc_shell_bind_hint(L, smart);
  inc_history_load();
  watch_signals();
  lua_pushboolean(L, smart);
  lua_pushboolean(L, with_rc);
  inc_prompt_call(L, "start", 2, 0);
  return 1;
}

static int read_and_run(lua_State *L, int smart) {
  for (;;) {
    char *entry = read_entry(L, smart);
    if (!entry) { /* Ctrl-D */
      fputs("\n", stdout);
      if (may_leave(L)) return 0;
      if (hung_up || !isatty(STDIN_FILENO)) return 0;
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

int inc_shell_repl(lua_State *L, int nargs, int with_rc) {
  const char *term = getenv("TERM");
  int smart = term && *term && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
  if (!start(L, smart, with_rc)) return 1;
  if (nargs > 0) inc_prompt_call(L, "run_file", nargs, 0);
  inc_interrupt_clear();
  int status = read_and_run(L, smart);
  if (smart) clearerr(stdout); /* what Ctrl-C cut off on the screen is no failure of the program */
  return status;
}
