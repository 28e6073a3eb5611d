/* hint.c -- the grey words behind the cursor: what the call that is being typed still takes.
**
** Readline knows nothing of them.  They are written after it has drawn, in the row of the cursor and only as
** far as that row goes, and wiped as soon as a key is read, before readline writes again; so whatever it
** believes about the screen stays true.  Only where the cursor stands at the end of the entry, and never where
** its column is not certain (control characters, a locale that cannot tell widths).
*/
#include "shell/shell.h"
#include <readline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { LEAST_ROOM = 8 }; /* columns: less tells nothing */

static lua_State *state;
static int shown; /* there are words of ours behind the cursor */

void inc_hint_wipe(void) {
  if (!shown) return;
  shown = 0;
  fputs("\033[K", stdout);
  fflush(stdout);
}

/* Columns of text, or -1 where they are not certain. */
static int width_of(const char *s, size_t n) {
  mbstate_t m;
  int columns = 0;
  memset(&m, 0, sizeof m);
  while (n > 0) {
    wchar_t c;
    size_t k = mbrtowc(&c, s, n, &m);
    int w = k == 0 || k > n ? -1 : wcwidth(c);
    if (w < 0) return -1;
    columns += w, s += k, n -= k;
  }
  return columns;
}

/* Columns that are free behind the cursor, the last one kept so that nothing wraps. */
static int room(void) {
  int rows, columns, start = rl_end, prompt = 0;
  rl_get_screen_size(&rows, &columns);
  while (start > 0 && rl_line_buffer[start - 1] != '\n') start--;
  if (start == 0) prompt = width_of(rl_prompt ? rl_prompt : "", rl_prompt ? strlen(rl_prompt) : 0);
  int text = width_of(rl_line_buffer + start, (size_t)(rl_end - start));
  if (text < 0 || prompt < 0 || columns <= 0) return 0;
  int at = (prompt + text) % columns;
  return at == 0 ? 0 : columns - at - 1;
}

static int is_typing(void) {
  unsigned long other = RL_STATE_ISEARCH | RL_STATE_NSEARCH | RL_STATE_COMPLETING | RL_STATE_DONE;
  return !RL_ISSTATE(other) && rl_end > 0 && rl_point == rl_end && rl_display_prompt == rl_prompt;
}

static void draw(const char *text, int columns) {
  int n = (int)strlen(text), cut = n > columns;
  if (cut) n = columns - 3;
  fprintf(stdout, "\033[90m%.*s%s\033[39m\033[%dD", n, text, cut ? "..." : "", cut ? columns : n);
  fflush(stdout);
  shown = 1;
}

static void redisplay(void) {
  inc_hint_wipe();
  rl_redisplay();
  if (!is_typing()) return;
  int columns = room();
  if (columns < LEAST_ROOM) return;
  lua_pushlstring(state, rl_line_buffer, (size_t)rl_end);
  if (!inc_prompt_call(state, "hint", 1, 1)) return;
  const char *text = lua_tostring(state, -1);
  if (text && *text) draw(text, columns);
  lua_pop(state, 1);
}

void inc_shell_bind_hint(lua_State *L, int smart) {
  const char *off = getenv("NO_COLOR");
  state = L;
  if (smart && !(off && *off)) rl_redisplay_function = redisplay;
}
