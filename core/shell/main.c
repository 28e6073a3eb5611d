/* main.c -- the program: options, then a line, a script, a verb, or the prompt.
**
** Everything Lua happens under one protected call, so that lack of memory too ends in a sentence.  A script
** and a verb are the same thing, apart from where the file is found and whether a Lua line is worth telling.
** Status: 0, 1 after an error, 130 after Ctrl-C; a script may return another (a number, or false for 1).
*/
#include "base/interrupt.h"
#include "shell/shell.h"
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INCSH_VERSION "0.1.0"

int luaopen_inc(lua_State *L); /* core/bind */

typedef struct options {
  const char *code, *file, *verb;
  int interactive, no_rc, show_version, show_help;
  int first; /* index in argv of the script, or of what follows the options */
  int argc;
  char **argv;
  int status;
} options;

static const char usage[] =
    "incsh                      the prompt\n"
    "incsh FILE.lua ARG...      run a script (`arg` as in lua)\n"
    "incsh -e CODE              run a line\n"
    "incsh -i FILE              run a script, then prompt\n"
    "incsh VERB ARG...          train resume fork evaluate predict compare pack convert inspect\n"
    "                           runs diff bench doctor help (`incsh VERB --help` tells more)\n"
    "\n"
    "--no-rc                    leave out the start-up files (~/.config/incsh/init.lua, .incshrc)\n"
    "--version, --help          what they say\n"
    "\n"
    "INC_HOME=FOLDER            take lua/, models/ and scripts/ from there\n"
    "NO_COLOR=1                 no colours\n";

static const char *const verbs[] = {"train",   "resume", "fork",    "evaluate", "predict",
                                    "compare", "pack",   "convert", "inspect",  "runs",
                                    "diff",    "bench",  "doctor",  "help",     NULL};

static int fail(const char *fmt, const char *what) {
  fprintf(stderr, "incsh: ");
  fprintf(stderr, fmt, what);
  fprintf(stderr, "\n");
  return 0;
}

static const char *find_verb(const char *word) {
  for (int i = 0; verbs[i]; i++)
    if (!strcmp(word, verbs[i])) return verbs[i];
  return NULL;
}

/* Edits (insert, delete, change) that turn a into b; b is short. */
static int distance(const char *a, const char *b) {
  int row[32], n = (int)strlen(b);
  for (int j = 0; j <= n; j++) row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      int gap = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
      row[j] = change < gap ? change : gap;
    }
  }
  return row[n];
}

static int unknown_verb(const char *word) {
  const char *best = verbs[0];
  for (int i = 1; verbs[i]; i++)
    if (distance(word, verbs[i]) < distance(word, best)) best = verbs[i];
  if (distance(word, best) > 3)
    return fail("%s: neither a file nor a verb; `incsh --help` lists the verbs", word);
  fprintf(stderr, "incsh: %s: neither a file nor a verb; did you mean `%s`?\n", word, best);
  return 0;
}

/* A word that is no option: a verb, else a script. */
static int take_word(options *o, int i) {
  const char *w = o->argv[i];
  o->first = i;
  if (!o->interactive && (o->verb = find_verb(w))) return 1;
  o->file = w;
  size_t n = strlen(w);
  int looks_like_file = strchr(w, '/') || (n > 4 && !strcmp(w + n - 4, ".lua")) || access(w, F_OK) == 0;
  return looks_like_file ? 1 : unknown_verb(w);
}

static int parse(options *o) {
  int i = 1;
  for (; i < o->argc && o->argv[i][0] == '-' && o->argv[i][1]; i++) {
    const char *a = o->argv[i];
    if (!strcmp(a, "--")) {
      i++;
      break;
    }
    if (!strcmp(a, "--no-rc"))
      o->no_rc = 1;
    else if (!strcmp(a, "--version") || !strcmp(a, "-v"))
      o->show_version = 1;
    else if (!strcmp(a, "--help") || !strcmp(a, "-h"))
      o->show_help = 1;
    else if (!strcmp(a, "-i"))
      o->interactive = 1;
    else if (!strcmp(a, "-e")) {
      if (++i == o->argc) return fail("%s: expected a line of Lua after it", a);
      o->code = o->argv[i];
    } else
      return fail("%s: unknown option; `incsh --help` lists them", a);
  }
  o->first = i;
  if (o->code || i == o->argc)
    return o->interactive && !o->code ? fail("%s: expected a file after it", "-i") : 1;
  return !strcmp(o->argv[i], "-") ? 1 : take_word(o, i);
}

/* arg[0] is the script, arg[1]... what follows it, negative indices what came before: as in lua. */
static void set_arg(lua_State *L, const options *o, const char *script) {
  int zero = o->code || o->first >= o->argc ? (o->code ? o->first - 1 : 0) : o->first;
  lua_createtable(L, o->argc, 1);
  for (int i = 0; i < o->argc; i++) {
    lua_pushstring(L, i == zero && script ? script : o->argv[i]);
    lua_rawseti(L, -2, i - zero);
  }
  lua_setglobal(L, "arg");
}

static int push_args(lua_State *L, const options *o) {
  int n = 0, from = o->first + (o->code ? 0 : 1);
  luaL_checkstack(L, o->argc + 4, "too many arguments");
  for (int i = from; i < o->argc; i++, n++) lua_pushstring(L, o->argv[i]);
  return n;
}

/* The chunk's own answer: a number is the status, false is 1. */
static int status_of(lua_State *L) {
  int status = 0;
  if (lua_isinteger(L, -1))
    status = (int)lua_tointeger(L, -1);
  else if (lua_isboolean(L, -1))
    status = !lua_toboolean(L, -1);
  lua_pop(L, 1);
  return status;
}

/* Run what is on the stack (chunk and arguments); 130 after Ctrl-C, 1 after an error. */
static int run_chunk(lua_State *L, int nargs, const char *who) {
  if (inc_shell_call(L, nargs, 1) == LUA_OK) return status_of(L);
  int stopped = inc_interrupt_pending();
  inc_interrupt_clear();
  inc_shell_report(L, who);
  return stopped ? 130 : 1;
}

/* Runs that a script started are waited for. */
static int wait_runs(lua_State *L, const char *who) {
  lua_getglobal(L, "inc");
  if (lua_istable(L, -1)) {
    lua_pushliteral(L, "wait_runs");
    lua_rawget(L, -2);
    if (lua_isfunction(L, -1)) return run_chunk(L, 0, who);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return 0;
}

static int load_failed(lua_State *L, const char *who) {
  fprintf(stderr, "%s: %s\n", who, lua_tostring(L, -1));
  return 1;
}

static int run_file(lua_State *L, const options *o, const char *path, const char *who) {
  set_arg(L, o, path);
  if (luaL_loadfile(L, path) != LUA_OK) return load_failed(L, who);
  int status = run_chunk(L, push_args(L, o), who);
  return status ? status : wait_runs(L, who);
}

static int run_code(lua_State *L, const options *o) {
  set_arg(L, o, NULL);
  inc_shell_keep_source(L, "=-e", o->code);
  if (luaL_loadbuffer(L, o->code, strlen(o->code), "=-e") != LUA_OK) return load_failed(L, "incsh");
  int status = run_chunk(L, push_args(L, o), "incsh");
  return status || o->interactive ? status : wait_runs(L, "incsh");
}

/* All of standard input, pushed, without a byte-order mark and a first line for the system, as in files; NULL and a
** message where it cannot be read. */
static const char *read_stdin(lua_State *L, size_t *n) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t got = 1; got > 0; luaL_addsize(&b, got))
    got = fread(luaL_prepbuffer(&b), 1, LUAL_BUFFERSIZE, stdin);
  luaL_pushresult(&b);
  if (ferror(stdin)) return lua_pushliteral(L, "stdin: cannot be read"), NULL;
  const char *text = lua_tolstring(L, -1, n);
  size_t head = strncmp(text, "\xEF\xBB\xBF", 3) ? 0 : 3;
  if (text[head] == '#') head += strcspn(text + head, "\n");
  *n -= head;
  return text + head;
}

static int run_stdin(lua_State *L, const options *o) {
  size_t n;
  set_arg(L, o, NULL);
  const char *text = read_stdin(L, &n);
  if (!text) return load_failed(L, "incsh");
  inc_shell_keep_source(L, "=stdin", text);
  if (luaL_loadbuffer(L, text, n, "=stdin") != LUA_OK) return load_failed(L, "incsh");
  lua_remove(L, -2);
  int status = run_chunk(L, push_args(L, o), "incsh");
  return status ? status : wait_runs(L, "incsh");
}

static int run_verb(lua_State *L, const options *o) {
  char who[64], path[4352];
  snprintf(who, sizeof who, "incsh %s", o->verb);
  snprintf(path, sizeof path, "%s/scripts/%s.lua", inc_shell_home(), o->verb);
  if (access(path, R_OK) != 0) {
    fprintf(stderr, "incsh: %s: not built yet\n", o->verb);
    return 1;
  }
  return run_file(L, o, path, who);
}

/* The prompt; a file given with -i runs first, in the session, so that its top-level locals last. */
static int interact(lua_State *L, const options *o) {
  int nargs = 0;
  set_arg(L, o, o->file);
  if (o->file) {
    lua_pushstring(L, o->file);
    nargs = 1 + push_args(L, o);
  }
  return inc_shell_repl(L, nargs, !o->no_rc);
}

static int dispatch(lua_State *L, options *o) {
  if (o->verb) return run_verb(L, o);
  if (o->code && o->interactive) run_code(L, o);
  if (o->interactive) return interact(L, o);
  if (o->code) return run_code(L, o);
  if (o->file) return run_file(L, o, o->file, "incsh");
  if (!isatty(STDIN_FILENO) || o->first < o->argc) return run_stdin(L, o);
  return interact(L, o);
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* The core, with the program's own version as a field. */
static int open_core(lua_State *L) {
  luaopen_inc(L);
  lua_pushliteral(L, INCSH_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}

/* The printer of tensors is loaded with the first tensor that is printed: it replaces this function. */
static int lazy_show(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "inc.show");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "tensor");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int protected_main(lua_State *L) {
  options *o = lua_touserdata(L, 1);
  luaL_openlibs(L);
  inc_shell_guard(L);
  inc_shell_set_path(L, inc_shell_home());
  preload(L, "inc.core", open_core);
  preload(L, "inc.host", luaopen_inc_host);
  lua_pushcfunction(L, lazy_show);
  lua_setfield(L, LUA_REGISTRYINDEX, "inc.show");
  o->status = 1;
  if (!inc_shell_load_reporter(L)) return 0;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "inc");
  if (inc_shell_call(L, 1, 0) != LUA_OK)
    inc_shell_report(L, "incsh");
  else
    o->status = dispatch(L, o);
  return 0;
}

/* A reader that went away or a full disk is an error, even if every print ignored it. */
static int close_output(int status) {
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  fprintf(stderr, "incsh: standard output: %s\n", errno ? strerror(errno) : "cannot be written to");
  return status ? status : 1;
}

/* A team of cores that spins at its barriers is a disaster as soon as anything else wants a core: a planned
** step took 9 s in place of 1.6 beside one busy process, and 4.8 with bounded spinning, which costs 1.5% on a
** quiet machine.  libgomp reads its settings before main, so the program starts itself again, once. */
static void bound_spinning(char **argv) {
  if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
  if (setenv("GOMP_SPINCOUNT", "2000", 1) == 0) execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
  options o = {.argc = argc, .argv = argv};
  bound_spinning(argv);
  setlocale(LC_CTYPE, "");
  if (!parse(&o)) return 1;
  if (o.show_help)
    fputs(usage, stdout);
  else if (o.show_version)
    printf("incsh " INCSH_VERSION " (%s)\n", LUA_RELEASE);
  if (o.show_help || o.show_version) return close_output(0);
  if (!inc_shell_home()) {
    fail("%s: expected lua/, models/ and scripts/ beside the program (or INC_HOME)", "start");
    return 1;
  }
  lua_State *L = luaL_newstate();
  if (!L) {
    fail("%s: out of memory", "start");
    return 1;
  }
  lua_pushcfunction(L, protected_main);
  lua_pushlightuserdata(L, &o);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    fprintf(stderr, "incsh: %s\n", luaL_tolstring(L, -1, NULL));
    o.status = 1;
  }
  lua_close(L);
  return close_output(o.status);
}
