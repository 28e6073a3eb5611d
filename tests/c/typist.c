/* typist.c -- types at the prompt through a pseudo-terminal, faster and more evenly than a person.
**
**     typist echo KEYS SETUP PROGRAM ARG...     time to the first prompt, then how long each of KEYS keys takes to
**                                               appear; SETUP is a file whose lines are entered first, or -
**     typist fuzz SECONDS SEED PROGRAM ARG...   anything at all for so long; status 1 if the program dies of it
**     typist leak LINES BYTES PROGRAM ARG...    so many entries of every kind, each checked for what it shows; status
**                                               1 if more than BYTES of memory for an entry stay behind
**
** A test that looks at a screen through another program cannot tell milliseconds apart, so this one reads the
** terminal itself.  Run it in an empty folder: what it types by chance is run.
*/
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SCREEN = 1 << 16, MOST_KEYS = 10000, COLUMNS = 80 };

static pid_t child;
static int tty = -1;
static char got[SCREEN]; /* the newest output */
static size_t n_got;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void start(char **argv) {
  struct winsize size = {.ws_row = 24, .ws_col = COLUMNS};
  n_got = 0;
  child = forkpty(&tty, NULL, NULL, &size);
  if (child < 0) exit((perror("typist: forkpty"), 2));
  if (child > 0) {
    fcntl(tty, F_SETFL, O_NONBLOCK); /* a program that does not read must not stop this one */
    return;
  }
  setenv("TERM", "xterm-256color", 1);
  execv(argv[0], argv);
  _exit(127);
}

/* Take what there is, for at most `seconds`; 0 when the program has closed the terminal. */
static int take(double seconds) {
  struct pollfd fd = {tty, POLLIN, 0};
  if (poll(&fd, 1, (int)(seconds * 1000)) <= 0) return 1;
  if (n_got > SCREEN / 2) {
    memmove(got, got + n_got - SCREEN / 4, SCREEN / 4);
    n_got = SCREEN / 4;
  }
  ssize_t n = read(tty, got + n_got, SCREEN - n_got - 1);
  if (n <= 0) return n < 0 && (errno == EINTR || errno == EAGAIN);
  n_got += (size_t)n;
  got[n_got] = '\0';
  return 1;
}

static int wait_for(const char *text, double limit) {
  for (double end = now() + limit; now() < end;) {
    if (n_got && memmem(got, n_got, text, strlen(text))) return 1;
    if (!take(0.001)) return 0;
  }
  return 0;
}

static int put(const char *s, size_t n) {
  while (n > 0) {
    struct pollfd fd = {tty, POLLOUT | POLLIN, 0};
    if (poll(&fd, 1, 200) <= 0) return 0;
    if (fd.revents & POLLIN && !take(0)) return 0;
    if (!(fd.revents & POLLOUT)) {
      if (fd.revents & (POLLHUP | POLLERR)) return 0;
      continue;
    }
    ssize_t k = write(tty, s, n < 64 ? n : 64);
    if (k <= 0) return 0;
    s += k, n -= (size_t)k;
  }
  return 1;
}

static int reap(int by_force) {
  int status = 0;
  if (by_force) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  close(tty);
  return status;
}

/* -- echo ----------------------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static uint32_t chance(uint32_t n) {
  seed = seed * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(seed >> 33) % n;
}

static int enter_file(const char *path) {
  char line[4096];
  FILE *f = fopen(path, "r");
  if (!f) return perror(path), 0;
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = '\r';
    n_got = 0;
    if (!put(line, strlen(line)) || !wait_for("inc> ", 120)) return fclose(f), 0;
    for (double end = now() + 0.3; now() < end;) take(0.05);
  }
  fclose(f);
  return 1;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* One key, until it is seen.  The line may be drawn again at any time (status lines), so no letter is typed twice
** before the line is cleared, and none is one that a status line holds. */
static double one_key(int i) {
  static const char letters[] = "QXZJKVWYUH";
  char key[2] = {letters[i % 10], '\0'};
  for (double end = now() + 0.02 + chance(50) * 1e-3; now() < end;) take(0.005);
  if (i % 10 == 0)
    for (double end = now() + (put("\025", 1) ? 0.1 : 0); now() < end;) take(0.01);
  n_got = 0;
  double begin = now();
  if (!put(key, 1) || !wait_for(key, 10)) return -1;
  return now() - begin;
}

static int echo(int keys, const char *setup, char **argv) {
  static double t[MOST_KEYS];
  double begin = now();
  start(argv);
  if (!wait_for("inc> ", 30)) return fprintf(stderr, "typist: no prompt\n"), 1;
  printf("first prompt %.1f ms\n", (now() - begin) * 1e3);
  if (strcmp(setup, "-") != 0 && !enter_file(setup)) return fprintf(stderr, "typist: setup failed\n"), 1;
  for (int i = 0; i < keys; i++) {
    t[i] = one_key(i);
    if (t[i] < 0) return fprintf(stderr, "typist: key %d was not shown\n", i), reap(1), 1;
  }
  qsort(t, (size_t)keys, sizeof *t, by_value);
  printf("echo %d keys: median %.2f ms, 95%% %.2f ms, 99%% %.2f ms, most %.2f ms\n", keys, t[keys / 2] * 1e3,
         t[keys * 95 / 100] * 1e3, t[keys * 99 / 100] * 1e3, t[keys - 1] * 1e3);
  reap(1);
  return 0;
}

/* -- fuzz ----------------------------------------------------------------------------------------------- */

/* No `!`, os, io, Ctrl-Z, Ctrl-\ or Ctrl-S: they would act on the machine or stop the program by design. */
static const char *const pieces[] = {"x",
                                     "y = ",
                                     "1",
                                     "\"",
                                     "'",
                                     "[[",
                                     "]]",
                                     "{",
                                     "}",
                                     "(",
                                     ")",
                                     "for i = 1, 2 do ",
                                     "end",
                                     "if x then ",
                                     "function f(a) ",
                                     "local ",
                                     "return ",
                                     "\r",
                                     "\r",
                                     "\r",
                                     "\t",
                                     "\t\t",
                                     "\177",
                                     "\033[A",
                                     "\033[B",
                                     "\033[C",
                                     "\033[D",
                                     "\033OA",
                                     "\033OB",
                                     "\033[H",
                                     "\033[F",
                                     "\033[200~",
                                     "\033[201~",
                                     "\022",
                                     "\007",
                                     "\013",
                                     "\025",
                                     "\027",
                                     "\031",
                                     "\030\005",
                                     "\033\r",
                                     "\033b",
                                     "\033f",
                                     "\033d",
                                     "\033.",
                                     "\033<",
                                     "\033>",
                                     "\033p",
                                     "\0333",
                                     "\033n",
                                     "\037",
                                     "\024",
                                     "\020",
                                     "\016",
                                     "\001",
                                     "\005",
                                     "\014",
                                     "\003",
                                     "\004",
                                     "inc.",
                                     "nn.Conv2d{",
                                     "kernel_size = ",
                                     "train{",
                                     "inc.zeros{2, 3}",
                                     "x:",
                                     "?nn.",
                                     "??",
                                     "time ",
                                     "timeit 1",
                                     "who\r",
                                     "net = nn.Linear{3, in_features = 2}\r",
                                     "help 'pro",
                                     ", ",
                                     "\303\251",
                                     "\360\237\230\200",
                                     "\377",
                                     "\200",
                                     "--[[",
                                     "\\",
                                     "while true do end\r\003",
                                     "error {}\r",
                                     "_",
                                     "save_session 'f.lua'\r",
                                     "trace()\r",
                                     "goto ",
                                     "::a::",
                                     " <close> ",
                                     "inc> x\n...> y\n",
                                     "\033",
                                     "\033[",
                                     "\026",
                                     "\033[3~"};

static int restart(int *restarts, char **argv) {
  int status = reap(0);
  if (WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 130)) {
    fprintf(stderr, "typist: the program died: %s %d; its last output:\n%s\n",
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
            got + (n_got > 12000 ? n_got - 12000 : 0)); /* the report of a sanitizer */
    return 0;
  }
  ++*restarts;
  start(argv);
  return wait_for("inc> ", 60); /* until then Ctrl-C may end it, as it may any program */
}

static int has_ended(void) {
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

static int fuzz(double seconds, char **argv) {
  long typed = 0;
  int restarts = 0;
  start(argv);
  if (!wait_for("inc> ", 60)) return fprintf(stderr, "typist: no prompt\n"), 1;
  for (double end = now() + seconds; now() < end; typed++) {
    const char *p = pieces[chance(sizeof pieces / sizeof *pieces)];
    char byte = (char)(128 + chance(128));
    int ok = chance(30) ? put(p, strlen(p)) : put(&byte, 1);
    while (ok && chance(4) == 0) ok = take(0.002);
    if (ok && chance(60) == 0) ok = put("\003", 1) && take(0.05);
    if (has_ended()) {
      if (!restart(&restarts, argv)) return 1;
    } else if (!ok) /* busy for ever, with its input full: what Ctrl-C is for */
      kill(child, SIGINT);
  }
  reap(1);
  printf("fuzz: %ld pieces, %d restarts, no crash\n", typed, restarts);
  return 0;
}

/* -- leak ----------------------------------------------------------------------------------------------- */

/* Entries as they are typed, a %d being the number of the round, and what must be on the screen then.  What is looked
** for never stands in what was typed, so its echo is no answer.  An Enter follows, unless the keys end in Ctrl-C. */
static const struct {
  const char *keys, *shows;
} entries[] = {
    {"'sum ' .. %d + 0", "\"sum %d\""},
    {"x = inc.randn{3, 40}; x", "[3, 40] f32 cpu"},
    {"y = x:matmul(inc.ones{40, 64}):relu();", ""},
    {"y", "[3, 64] f32 cpu"},
    {"w = inc.randn{4, 4, requires_grad = true}; w:matmul(w):sum():backward(); w.grad", "[4, 4] f32 cpu"},
    {"local v = 'v' .. %d", ""},
    {"loc\033[A; v .. '!'", "\"v%d!\""},
    {"nope%d.x", "'nope%d')"},
    {"error('no ' .. %d)", "no %d\r\n"},
    {"x = = %d", "syntax"},
    {"for i = 1, 2 do\rprint('row ' .. %d)\rend", "row %d"},
    {"string.forma\t('<%%d>', %d)", "<%d>"},
    {"tostring(nn.Conv2d{8, kern\t3}):upper()", "KERNEL_SIZE = 3"},
    {"inc.s\t\025'list ' .. %d", "\"list %d\""},
    {"\033[A .. 'again'", "\"list %dagain\""},
    {"\022row", "row %d"},
    {"half %d\003", "^C"},
    {"?inc.relu", "inc.relu(x)"},
    {"who", "in all"},
    {"_, _1", ""},
    {"time 1 + %d", "time: "},
    {"{%d, {a = {2}}, b = 'c'}", "{%d, {a = {2}}, b = \"c\"}"},
    {"net = nn.Sequential{nn.Linear{2, in_features = 3}, nn.ReLU{}}:build{1, 3}; net", "[2, 3] 8"},
    {"plot{1, 3, %d, height = 8}", "\342\224\264"},
    {"\033[200~p = %d\n'pasted ' .. p\n\033[201~", "\"pasted %d\""},
    {"f%d = function() return nope.x end", ""},
    {"f%d()", "at prompt["},
    {"f%d = nil", ""},
    {"trace()", "stack traceback"},
};
enum { ENTRIES = sizeof entries / sizeof *entries, WARM = 2000 };

/* A prompt of now, not one that was drawn again: it stands behind the mark that follows every entry. */
static int wait_answer(const char *mark) {
  for (double end = now() + 30; now() < end;) {
    char *at = n_got ? memmem(got, n_got, mark, strlen(mark)) : NULL;
    if (at && strstr(at, "inc> ")) return 1;
    if (!take(0.05)) return 0;
  }
  return 0;
}

static int enter(const char *keys, const char *shows, int round) {
  char typed[256], shown[256], mark[COLUMNS + 1];
  snprintf(typed, sizeof typed, keys, round);
  snprintf(shown, sizeof shown, shows, round);
  snprintf(mark, sizeof mark, "%%%*s", COLUMNS - 1, "");
  int given_up = strchr(typed, '\003') != NULL;
  n_got = 0;
  if (put(typed, strlen(typed)) && (given_up || put("\r", 1)) && wait_answer(given_up ? shown : mark) &&
      strstr(got, shown))
    return 1;
  fprintf(stderr, "typist: %s: expected %s in\n%.*s\n", typed, shown, (int)n_got, got);
  return 0;
}

typedef struct holding {
  long resident, tensors, buffers, lua; /* resident and lua: bytes */
} holding;

static int measure(holding *h) {
  static const char collect[] = "_, _1, _2, _3 = nil; collectgarbage(); collectgarbage();";
  static const char ask[] = "local s, k = inc.stats(), collectgarbage 'count'; "
                            "'live: ' .. ('%%d %%d %%.0f'):format(s.tensors, s.buffers, 1024 * k)";
  char path[64], *at;
  if (!enter(collect, "", 0) || !enter(ask, "\"live: ", 0)) return 0;
  if ((at = strstr(got, "\"live: "))) sscanf(at, "\"live: %ld %ld %ld", &h->tensors, &h->buffers, &h->lua);
  snprintf(path, sizeof path, "/proc/%d/statm", (int)child);
  FILE *f = fopen(path, "r");
  int n = f ? fscanf(f, "%*d %ld", &h->resident) : 0;
  if (f) fclose(f);
  h->resident *= sysconf(_SC_PAGESIZE);
  return n == 1;
}

static int report(holding a, holding b, int n, double seconds, double most) {
  double grown = (double)(b.resident - a.resident) / n, mib = 1 << 20;
  printf(
      "leak: %.1f s; resident %.1f MiB, %.1f MiB %d entries later: %.0f bytes an entry, %.0f of them Lua's; "
      "%ld tensors, then %ld; %ld buffers, then %ld\n",
      seconds, (double)a.resident / mib, (double)b.resident / mib, n, grown, (double)(b.lua - a.lua) / n,
      a.tensors, b.tensors, a.buffers, b.buffers);
  return grown > most || b.tensors > a.tensors || b.buffers > a.buffers;
}

static int leak(int lines, double most, char **argv) {
  int rounds = (lines + ENTRIES - 1) / ENTRIES, warm = (WARM + ENTRIES - 1) / ENTRIES;
  double begin = now();
  holding before = {0}, after = {0};
  if (rounds <= warm) return fprintf(stderr, "typist: expected more than %d lines\n", WARM), 1;
  setenv("INC_GRAPHICS", "none", 1);
  start(argv);
  if (!wait_for("inc> ", 60)) return fprintf(stderr, "typist: no prompt\n"), 1;
  for (int i = 1; i <= rounds; i++) {
    for (int k = 0; k < ENTRIES; k++)
      if (!enter(entries[k].keys, entries[k].shows, i)) return reap(1), 1;
    if ((i == warm || i == rounds) && !measure(i == warm ? &before : &after)) return reap(1), 1;
  }
  double seconds = now() - begin;
  while (put("\004", 1) && take(1)) continue; /* the leak checker of a sanitizer speaks at the end */
  int status = reap(0);
  if (status != 0)
    return fprintf(stderr, "typist: status %d at the end:\n%.*s\n", status, (int)n_got, got), 1;
  return report(before, after, (rounds - warm) * ENTRIES, seconds, most);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc > 4 && !strcmp(argv[1], "echo") && atoi(argv[2]) > 0 && atoi(argv[2]) <= MOST_KEYS)
    return echo(atoi(argv[2]), argv[3], argv + 4);
  if (argc > 4 && !strcmp(argv[1], "fuzz")) {
    seed = strtoull(argv[3], NULL, 10) * 2 + 1;
    return fuzz(atof(argv[2]), argv + 4);
  }
  if (argc > 4 && !strcmp(argv[1], "leak")) return leak(atoi(argv[2]), atof(argv[3]), argv + 4);
  fprintf(stderr, "usage: typist echo KEYS SETUP PROGRAM ARG... | typist fuzz SECONDS SEED PROGRAM ARG... | "
                  "typist leak LINES BYTES PROGRAM ARG...\n");
  return 2;
}
