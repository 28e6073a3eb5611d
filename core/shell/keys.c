/* keys.c -- Enter, Tab, the arrows, pasting, and the editor.
**
** Several lines are one entry: Enter adds a line while the text is not a complete piece of Lua, the arrows
** move between its lines before they go to the history, and a paste arrives as a whole.  A second prompt for
** each further line was rejected for good terminals: what was typed could then no longer be edited.
*/
#include "base/mem.h"
#include "base/text.h"
#include "shell/shell.h"
#include <readline/history.h>
#include <readline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lua_State *state;
static void stop_browsing(void);

/* A command that fails must not say so by its result: readline takes -1 for "no such key sequence" and goes back to
** contexts that it has freed. */
static int refuse(void) {
  rl_ding();
  return 0;
}

static int line_start(int at) {
  while (at > 0 && rl_line_buffer[at - 1] != '\n') at--;
  return at;
}

static int line_end(int at) {
  while (at < rl_end && rl_line_buffer[at] != '\n') at++;
  return at;
}

static int blank(int from, int to) {
  for (; from < to; from++)
    if (!strchr(" \t", rl_line_buffer[from])) return 0;
  return 1;
}

/* A line that closes a block stands two columns too far in, because the line before it left the block open.
 */
static void outdent(void) {
  int start = line_start(rl_point), end = line_end(rl_point);
  if (start == 0) return;
  lua_pushlstring(state, rl_line_buffer, (size_t)start);
  lua_pushlstring(state, rl_line_buffer + start, (size_t)(end - start));
  if (!inc_prompt_call(state, "outdent", 2, 1)) return;
  int n = (int)lua_tointeger(state, -1);
  lua_pop(state, 1);
  if (n <= 0) return;
  rl_delete_text(start, start + n);
  rl_point = rl_point - n > start ? rl_point - n : start;
  rl_redisplay(); /* an accepted line is not drawn again */
}

/* An empty last line ends the entry whatever it is, so that nobody is caught in a mistake. */
static int wants_more(void) {
  int start = line_start(rl_end);
  if (start > 0 && blank(start, rl_end)) return 0;
  lua_pushstring(state, rl_line_buffer);
  if (!inc_prompt_call(state, "continuation", 1, 1)) return 0;
  int more = lua_type(state, -1) == LUA_TSTRING; /* the indentation of the next line */
  if (more) {
    rl_begin_undo_group();
    rl_insert_text("\n");
    rl_insert_text(lua_tostring(state, -1));
    rl_end_undo_group();
  }
  lua_pop(state, 1);
  return more;
}

static int key_enter(int count, int key) {
  (void)count;
  stop_browsing();
  if (inc_shell_abandon) {
    rl_point = rl_end;
    rl_redisplay();
    fputs("^C", stdout);
    rl_newline(1, key);
    return 0;
  }
  outdent();
  if (rl_end > 0 && wants_more()) return 0;
  inc_status_leave();
  rl_newline(1, key);
  return 0;
}

static int key_newline(int count, int key) {
  (void)count, (void)key;
  return rl_insert_text("\n") < 0;
}

static int key_tab(int count, int key) {
  if (blank(line_start(rl_point), rl_point)) return rl_insert_text("  ") < 0;
  rl_complete(count, key);
  return 0;
}

/* -- arrows --------------------------------------------------------------------------------------------- */

/* Going through the history is ours: readline's own way ties its lists of edits to history entries and, in
 ** the version that distributions ship, frees some of them twice. */
static struct {
  int on, place; /* index in history_list(), history_length for what was typed */
  size_t prefix; /* entries must begin with so much of `typed` */
  char *typed;   /* the line before the first Up */
  char *shown;   /* what we put in its place; if it was changed since, a new search begins */
} browse;

static void replace_line(const char *text) {
  rl_begin_undo_group();
  rl_delete_text(0, rl_end);
  rl_point = 0;
  rl_insert_text(text);
  rl_end_undo_group();
}

static void stop_browsing(void) {
  inc_free(browse.typed);
  inc_free(browse.shown);
  memset(&browse, 0, sizeof browse);
}

static void start_browsing(void) {
  if (browse.on && browse.shown && !strcmp(browse.shown, rl_line_buffer)) return;
  stop_browsing();
  browse.typed = inc_strdup(rl_line_buffer);
  browse.prefix = (size_t)rl_point;
  browse.place = history_length;
  browse.on = browse.typed != NULL;
}

static void show_entry(int place, const char *text) {
  browse.place = place;
  replace_line(text);
  inc_free(browse.shown);
  browse.shown = inc_strdup(text);
}

/* The next entry in a direction that begins as the line did and differs from what is shown. */
static int go(int step) {
  start_browsing();
  HIST_ENTRY **all = history_list();
  for (int i = browse.place + step; browse.on && all && i >= 0 && i < history_length; i += step) {
    const char *line = all[i]->line;
    if (strncmp(line, browse.typed, browse.prefix) || !strcmp(line, rl_line_buffer)) continue;
    show_entry(i, line);
    return 0;
  }
  if (step < 0 || !browse.on || browse.place == history_length) return refuse();
  show_entry(history_length, browse.typed);
  return 0;
}

static int key_previous(int count, int key) {
  (void)count, (void)key;
  return go(-1);
}

static int key_next(int count, int key) {
  (void)count, (void)key;
  return go(1);
}

static int key_up(int count, int key) {
  (void)count, (void)key;
  int start = line_start(rl_point);
  if (start == 0) return go(-1);
  int above = line_start(start - 1), column = rl_point - start;
  rl_point = above + column < start ? above + column : start - 1;
  return 0;
}

static int key_down(int count, int key) {
  (void)count, (void)key;
  int end = line_end(rl_point);
  if (end == rl_end) return go(1);
  int column = rl_point - line_start(rl_point), last = line_end(end + 1);
  rl_point = end + 1 + column < last ? end + 1 + column : last;
  return 0;
}

/* -- Ctrl-R --------------------------------------------------------------------------------------------- */

/* Searching is ours too: readline's incremental search, in the callback interface, calls itself when an arrow ends
** it and returns into frames that are gone; its other search (Alt-P, Alt-N, / of vi) takes a paste by a reader that
** leaves the text without an end. */
typedef struct search {
  char text[128];
  int n, place; /* place: index in history_list() of what is shown */
} search;

/* The next entry in a direction that holds the text; the place stays where none does. */
static void find(search *s, int from, int step) {
  HIST_ENTRY **all = history_list();
  for (int i = from; all && i >= 0 && i < history_length; i += step) {
    if (!strstr(all[i]->line, s->text)) continue;
    s->place = i;
    replace_line(all[i]->line);
    return;
  }
  rl_ding();
}

static void chop(search *s) {
  while (s->n > 0 && ((unsigned char)s->text[s->n - 1] & 0xC0) == 0x80) s->n--;
  if (s->n > 0) s->n--;
  s->text[s->n] = '\0';
}

/* Returns 0 when the key ends the search. */
static int search_key(search *s, int c) {
  if (c == 18)
    find(s, s->place - 1, -1);
  else if (c == 19)
    find(s, s->place + 1, 1);
  else if (c == 127 || c == 8)
    chop(s);
  else if (c >= ' ' && s->n < (int)sizeof s->text - 1) {
    s->text[s->n++] = (char)c, s->text[s->n] = '\0';
    find(s, s->place < history_length ? s->place : history_length - 1, -1);
  } else
    return 0;
  return 1;
}

static int key_search(int count, int key) {
  (void)count;
  search s = {.place = history_length};
  char *typed = inc_strdup(rl_line_buffer);
  int c = key;
  stop_browsing();
  rl_save_prompt();
  do {
    rl_message("(reverse-i-search)`%s': ", s.text);
    c = rl_read_key();
  } while (c >= 0 && search_key(&s, c));
  if ((c < 0 || c == 7) && typed) replace_line(typed); /* Ctrl-C, Ctrl-G */
  inc_free(typed);
  rl_restore_prompt();
  rl_clear_message();
  if (c == '\r' || c == '\n') return key_enter(1, c);
  if (c >= 0 && c != 7) rl_stuff_char(c);
  return 0;
}

/* -- pasting -------------------------------------------------------------------------------------------- */

/* Collect what the terminal sends up to the mark that ends a paste (or Ctrl-C).  Readline's own reader is not
** used: it leaves the text without an end when the mark does not come.  Nor is a buffer of Lua's: it may call
** Lua at its end, where Ctrl-C would raise with nobody to catch it. */
static int read_paste(inc_text *t) {
  static const char mark[] = "\033[201~";
  const size_t n = sizeof mark - 1;
  for (int c; !t->failed && (c = rl_read_key()) >= 0;) {
    char byte = (char)c;
    inc_text_add(t, &byte, 1);
    if (t->n >= n && !memcmp(t->s + t->n - n, mark, n)) {
      t->n -= n;
      return 1;
    }
  }
  return 0;
}

/* A paste goes in as one piece, after Lua has taken our prompts off. */
static int key_paste(int count, int key) {
  (void)count, (void)key;
  inc_text t = {0};
  int whole = read_paste(&t);
  if (whole) lua_pushlstring(state, t.s, t.n);
  inc_text_free(&t);
  if (!whole || !inc_prompt_call(state, "pasted", 1, 1)) return refuse();
  if (lua_isstring(state, -1)) rl_insert_text(lua_tostring(state, -1));
  lua_pop(state, 1);
  return 0;
}

/* -- $EDITOR -------------------------------------------------------------------------------------------- */

static void read_back(const char *path) {
  char text[65536];
  FILE *f = fopen(path, "r");
  if (!f) return;
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  while (n > 0 && text[n - 1] == '\n') n--;
  text[n] = '\0';
  replace_line(text);
}

static int key_editor(int count, int key) {
  (void)count, (void)key;
  char path[] = "/tmp/incsh-XXXXXX.lua", command[512];
  const char *editor = getenv("VISUAL") ? getenv("VISUAL") : getenv("EDITOR");
  int fd = mkstemps(path, 4);
  if (fd < 0) return refuse();
  ssize_t n = write(fd, rl_line_buffer, (size_t)rl_end);
  close(fd);
  snprintf(command, sizeof command, "%s %s", editor && *editor ? editor : "vi", path);
  inc_status_leave();
  rl_deprep_terminal();
  if (n == rl_end && system(command) == 0) read_back(path);
  rl_prep_terminal(1);
  unlink(path);
  fputs("\n", stdout);
  rl_forced_update_display();
  return 0;
}

static void bind(const char *sequence, rl_command_func_t *f, Keymap map) {
  rl_bind_keyseq_in_map(sequence, f, map);
}

static void bind_in(Keymap map, int smart) {
  bind("\r", key_enter, map);
  bind("\n", key_enter, map);
  if (!smart) return;
  bind("\t", key_tab, map);
  bind("\033\r", key_newline, map);
  bind("\033[200~", key_paste, map);
  bind("\022", key_search, map);
  bind("\020", key_previous, map);
  bind("\016", key_next, map);
  bind("\033[A", key_up, map);
  bind("\033OA", key_up, map);
  bind("\033[B", key_down, map);
  bind("\033OB", key_down, map);
  bind("\030\005", key_editor, map);
}

static int key_refuse(int count, int key) {
  (void)count, (void)key;
  return refuse();
}

/* Other keys of readline's own searches; numbers in front of a command, for which its reader calls itself, too; and
** Alt-Enter as some terminals send it, which would change to vi's keys. */
static void bind_others(void) {
  Keymap emacs = rl_get_keymap_by_name("emacs"), vi = rl_get_keymap_by_name("vi-command");
  for (const char *digit = "-0123456789"; *digit; digit++)
    bind((char[]){'\033', *digit, '\0'}, key_refuse, emacs);
  bind("\033\n", key_newline, emacs);
  bind("\023", key_search, emacs);
  bind("\033p", key_previous, emacs);
  bind("\033n", key_next, emacs);
  bind("/", key_search, vi);
  bind("?", key_search, vi);
}

void inc_shell_bind_keys(lua_State *L, int smart) {
  state = L;
  rl_variable_bind("show-all-if-ambiguous", "on");
  rl_variable_bind("page-completions", "off");
  rl_variable_bind("blink-matching-paren", "off");
  rl_completion_query_items = 400;
  rl_initialize(); /* reads the user's inputrc, which wins over these */
  bind_in(rl_get_keymap_by_name("emacs"), smart);
  bind_in(rl_get_keymap_by_name("vi-insert"), smart);
  bind_others();
}
