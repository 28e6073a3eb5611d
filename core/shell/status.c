/* status.c -- news above the prompt, while something is being typed.
**
** Two kinds: messages, which stay in the scroll-back, and the status: a line, or a live plot and a line, which
** is rewritten in place directly above the prompt.  Both are drawn the same way: wipe what readline has drawn,
** write, let readline draw again, so what is typed never gets mangled.  Only rows that changed are written.
** A live plot may be a picture: its rows are blank lines of the status, and the picture is laid over them with
** the cursor saved, so that no terminal's idea of where a picture leaves the cursor matters.  On a terminal
** that cannot move its cursor the status line is left out and messages wait for the next prompt.  Any thread
** may queue a message; only the prompt's thread draws.
*/
#include "base/mem.h"
#include "shell/shell.h"
#include <pthread.h>
#include <readline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

enum { STATUS_MAX = 32768 };

typedef struct message {
  struct message *next;
  char *text;
} message;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static message *first, **last = &first;

static char status[STATUS_MAX]; /* "" when nothing runs */
static char drawn[STATUS_MAX];  /* what stands on the screen */
static int shown;               /* so many rows above the prompt are ours */
static double last_idle;

static struct {
  char *draw, erase[64]; /* what a terminal is sent; draw leaves the cursor where it was */
  int rows;              /* 0: there is none */
  int hidden;            /* no room */
  int fresh;             /* not on the screen yet */
  int drawn;             /* rows of the one on the screen, 0: none */
} picture;

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

/* The bytes of the character at s, and the columns that it takes; -1 where the terminal cannot show it. */
static size_t character(const char *s, int *columns) {
  wchar_t c;
  mbstate_t m;
  memset(&m, 0, sizeof m);
  if (MB_CUR_MAX == 1 && (unsigned char)*s >= 0x80) { /* one mark for all bytes of one character */
    size_t n = 1;
    while (((unsigned char)s[n] & 0xC0) == 0x80) n++;
    return *columns = -1, n;
  }
  size_t n = mbrtowc(&c, s, MB_CUR_MAX, &m);
  int known = n > 0 && n != (size_t)-1 && n != (size_t)-2;
  *columns = known ? wcwidth(c) : -1;
  return known ? n : 1;
}

/* Cut each line to the screen's width: a line must take one row exactly.  Colours may stand in it and are never
** cut, so what is switched on is switched off. */
static void fit(char *s) {
  int rows, columns, width = 0, n = 0;
  char *to = s;
  rl_get_screen_size(&rows, &columns);
  for (size_t k; *s; s += k) {
    k = (size_t)(behind_colour(s) - s);
    int colour = k > 0, end = *s == '\n';
    if (!colour) k = character(s, &width);
    if (!colour) n = end ? 0 : n + (width < 0 ? 1 : width);
    if (!colour && !end && n >= columns) continue;
    if (colour || end || width >= 0)
      memmove(to, s, k), to += k;
    else
      *to++ = (unsigned char)*s < ' ' ? ' ' : '?';
  }
  *to = '\0';
}

/* Rows that what is being typed takes, counting code points. */
static int rows_typed(int columns) {
  int rows = 1, column = (int)strlen(rl_prompt ? rl_prompt : "");
  for (const char *c = rl_line_buffer; c && *c; c++) {
    if (*c == '\n')
      rows++, column = 0;
    else if (((unsigned char)*c & 0xC0) != 0x80 && ++column >= columns)
      rows++, column = 0;
  }
  return rows;
}

static int rows_of(const char *s) {
  int n = s[0] != '\0';
  for (; *s; s++) n += *s == '\n';
  return n;
}

static const char *behind_rows(const char *s, int n) {
  while (n-- > 0) s += strcspn(s, "\n") + 1;
  return s;
}

/* Where a long entry leaves no room for a plot, the status is its last line alone: rows that scroll off the screen
** could never be rewritten. */
static void leave_room(void) {
  int rows, columns, n = rows_of(status);
  rl_get_screen_size(&rows, &columns);
  picture.hidden = n + rows_typed(columns) > rows;
  if (!picture.hidden || n < 2) return;
  const char *line = behind_rows(status, n - 1);
  memmove(status, line, strlen(line) + 1);
}

/* Ask Lua; queue its messages. */
static void ask(lua_State *L) {
  status[0] = '\0';
  if (!inc_prompt_call(L, "idle", 0, 2)) return;
  if (lua_isstring(L, -2)) snprintf(status, sizeof status, "%s", lua_tostring(L, -2));
  for (int i = 1; lua_istable(L, -1) && lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
    inc_shell_notice(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_settop(L, lua_gettop(L) - (lua_istable(L, -2) ? 3 : 2)); /* the loop ends with one value more */
  fit(status);
  leave_room();
}

static int picture_rows(void) { return picture.hidden ? 0 : picture.rows; }

/* So many rows, from the top, stand as they should. */
static int rows_kept(void) {
  int n = 0, covered = picture_rows();
  const char *a = status, *b = drawn;
  if (covered != picture.drawn || (covered > 0 && picture.fresh)) return 0;
  for (int most = rows_of(status) < shown ? rows_of(status) : shown; n < most; n++) {
    size_t k = strcspn(a, "\n"), l = strcspn(b, "\n");
    if (k != l || strncmp(a, b, k) != 0) break;
    a += k + 1, b += l + 1;
  }
  return n < covered ? 0 : n;
}

static void up(int rows) {
  fputc('\r', stdout);
  if (rows > 0) fprintf(stdout, "\033[%dA", rows);
}

/* Take everything of ours off the screen, and what readline has drawn below it. */
static void wipe(void) {
  rl_clear_visible_line();
  up(shown);
  if (picture.drawn > 0) fputs(picture.erase, stdout);
  fputs("\033[J", stdout);
  shown = picture.drawn = 0;
}

/* The rows are made first, so that a picture at the bottom of the screen scrolls nothing. */
static void put_picture(int rows) {
  for (int i = 0; i < rows; i++) fputc('\n', stdout);
  up(rows);
  fputs(picture.draw, stdout);
  fprintf(stdout, "\r\033[%dB", rows);
  picture.fresh = 0;
}

/* Write the status from row `from` on; the cursor stands at that row. */
static void put_status(int from) {
  int covered = picture_rows();
  if (from == 0 && covered > 0) put_picture(covered), from = covered;
  fputs("\033[J", stdout);
  if (from < rows_of(status)) fprintf(stdout, "%s\n", behind_rows(status, from));
  picture.drawn = covered;
  shown = rows_of(status);
  memcpy(drawn, status, sizeof drawn);
}

void inc_status_idle(lua_State *L, int smart) {
  double t = now();
  if (!smart || t - last_idle < 0.2) return;
  last_idle = t;
  ask(L);
  message *news = take_all();
  int kept = rows_kept(), covered = picture_rows();
  if (!news && kept == shown && kept == rows_of(status)) return;
  if (news || (kept == 0 && covered != picture.drawn)) /* one picture over another of its size: no flicker */
    wipe(), kept = 0;
  else
    rl_clear_visible_line(), up(shown - kept);
  print_all(news);
  put_status(kept);
  fflush(stdout);
  rl_forced_update_display();
}

void inc_status_flush(lua_State *L, int smart) {
  ask(L);
  print_all(take_all());
  shown = picture.drawn = 0;
  if (smart) put_status(0);
  fflush(stdout);
}

void inc_status_leave(void) {
  if (!shown) return;
  wipe();
  fflush(stdout);
  rl_forced_update_display();
}

void inc_status_forget(void) { shown = picture.drawn = 0; }

/* host.panel(draw, erase, rows): the picture that lies over the first rows of the status, and what takes it away;
** host.panel(): none.  Only what changes is sent, so calling it again and again costs nothing. */
int inc_host_panel(lua_State *L) {
  const char *draw = luaL_optstring(L, 1, NULL), *erase = luaL_optstring(L, 2, "");
  int rows = draw ? (int)luaL_checkinteger(L, 3) : 0;
  picture.rows = rows;
  if (!draw || (picture.draw && !strcmp(picture.draw, draw))) return 0;
  inc_free(picture.draw);
  picture.draw = inc_strdup(draw);
  if (!picture.draw) picture.rows = 0;
  picture.fresh = 1;
  snprintf(picture.erase, sizeof picture.erase, "%s", erase);
  return 0;
}
