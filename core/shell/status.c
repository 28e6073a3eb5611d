/* status.c -- news above the prompt, while something is being typed.
**
** Two kinds: messages, which stay in the scroll-back, and the status: a line, or a live plot and a line, which
** is rewritten in place directly above the prompt.  Both are drawn the same way: wipe what readline has drawn, write, let readline
** draw again, so what is typed never gets mangled.  On a terminal that cannot move its cursor the status line
** is left out and messages wait for the next prompt.  Any thread may queue a message; only the prompt's thread
** draws.
*/
#include "base/mem.h"
#include "shell/shell.h"
#include <pthread.h>
#include <readline/readline.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STATUS_MAX = 32768 };

typedef struct message {
  struct message *next;
  char *text;
} message;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static message *first, **last = &first;

static char status[STATUS_MAX]; /* "" when nothing runs */
static int shown;               /* so many rows above the prompt are ours */
static double last_idle;

void inc_shell_notice(const char *line) {
  message *m = inc_alloc(sizeof *m);
  if (!m) return;
  m->next = NULL;
  m->text = inc_strdup(line);
  pthread_mutex_lock(&lock);
  *last = m;
  last = &m->next;
  pthread_mutex_unlock(&lock);
}

static message *take_all(void) {
  pthread_mutex_lock(&lock);
  message *all = first;
  first = NULL;
  last = &first;
  pthread_mutex_unlock(&lock);
  return all;
}

static void print_all(message *m) {
  while (m) {
    message *next = m->next;
    if (m->text) fprintf(stdout, "%s\n", m->text);
    inc_free(m->text);
    inc_free(m);
    m = next;
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The end of an escape sequence that sets colours, or s itself where none begins. */
static char *behind_colour(char *s) {
  if (s[0] != '\033' || s[1] != '[') return s;
  char *end = s + 2 + strspn(s + 2, "0123456789;");
  return *end == 'm' ? end + 1 : s;
}

/* Cut each line to the screen's width, counting code points: a line must take one row exactly.  Colours may
** stand in it and are never cut, so what is switched on is switched off. */
static void fit(char *s) {
  int rows, columns, n = 0;
  char *to = s;
  rl_get_screen_size(&rows, &columns);
  while (*s) {
    char *end = behind_colour(s);
    if (end > s) {
      memmove(to, s, (size_t)(end - s));
      to += end - s, s = end;
      continue;
    }
    if (*s == '\n')
      n = 0;
    else if (((unsigned char)*s & 0xC0) != 0x80)
      n++;
    if (*s == '\n' || n < columns) *to++ = (unsigned char)*s < ' ' && *s != '\n' ? ' ' : *s;
    s++;
  }
  *to = '\0';
}

/* Ask Lua; queue its messages; returns 1 when the status line changed. */
static int ask(lua_State *L) {
  char fresh[STATUS_MAX] = "";
  if (!inc_prompt_call(L, "idle", 0, 2)) return 0;
  if (lua_isstring(L, -2)) snprintf(fresh, sizeof fresh, "%s", lua_tostring(L, -2));
  for (int i = 1; lua_istable(L, -1) && lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
    inc_shell_notice(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_settop(L, lua_gettop(L) - (lua_istable(L, -2) ? 3 : 2)); /* the loop ends with one value more */
  fit(fresh);
  int changed = strcmp(fresh, status) != 0;
  memcpy(status, fresh, sizeof status);
  return changed;
}

static void wipe(void) {
  rl_clear_visible_line();
  for (; shown > 0; shown--) fputs("\033[A\033[2K", stdout);
}

static void put_status(void) {
  if (!status[0]) return;
  fprintf(stdout, "%s\n", status);
  shown = 1;
  for (const char *s = status; *s; s++) shown += *s == '\n';
}

void inc_status_idle(lua_State *L, int smart) {
  double t = now();
  if (!smart || t - last_idle < 0.2) return;
  last_idle = t;
  int changed = ask(L);
  message *news = take_all();
  if (!changed && !news) return;
  wipe();
  print_all(news);
  put_status();
  fflush(stdout);
  rl_forced_update_display();
}

void inc_status_flush(lua_State *L, int smart) {
  ask(L);
  print_all(take_all());
  shown = 0;
  if (smart) put_status();
  fflush(stdout);
}

void inc_status_leave(void) {
  if (!shown) return;
  wipe();
  fflush(stdout);
  rl_forced_update_display();
}
