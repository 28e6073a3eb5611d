/* spawn.c -- host.spawn: a child process with its input, its output and a time limit.
**
** No shell sees the arguments, so nothing that a user typed can become a command.  The pipe to the child is a
** socket pair, because send() can be told not to raise SIGPIPE when the child dies early.  The child gets its
** own process group: Ctrl-C at the terminal is for the shell, and the time limit ends whatever the child
** began.
*/
#include "base/interrupt.h"
#include "shell/shell.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct child {
  pid_t pid;
  int in, out, err; /* our ends; -1 once closed */
} child;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void become(char **argv, int in, int out, int err) {
  signal(SIGINT, SIG_DFL);
  setpgid(0, 0);
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  execvp(argv[0], argv);
  _exit(127);
}

/* Returns 0, or errno.  Every descriptor is close-on-exec, so a second child cannot hold our pipes open. */
static int start(child *c, char **argv) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, code = 0;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) || pipe2(out, O_CLOEXEC) ||
      pipe2(err, O_CLOEXEC))
    code = errno;
  if (!code && (c->pid = fork()) < 0) code = errno;
  if (!code && c->pid == 0) become(argv, in[1], out[1], err[1]);
  shut(&in[1]);
  shut(&out[1]);
  shut(&err[1]);
  if (code) {
    shut(&in[0]);
    shut(&out[0]);
    shut(&err[0]);
  }
  c->in = in[0];
  c->out = out[0];
  c->err = err[0];
  return code;
}

static void take(int *fd, luaL_Buffer *b) {
  char chunk[4096];
  ssize_t n = read(*fd, chunk, sizeof chunk);
  if (n > 0)
    luaL_addlstring(b, chunk, (size_t)n);
  else if (n == 0 || (errno != EINTR && errno != EAGAIN))
    shut(fd);
}

static void give(int *fd, const char **p, size_t *left) {
  ssize_t n = send(*fd, *p, *left, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) {
    *p += n;
    *left -= (size_t)n;
  } else if (errno != EAGAIN && errno != EINTR)
    *left = 0;
  if (*left == 0) shut(fd);
}

/* Feed and read until the child closed both outputs; returns 0 when time was over first, or Ctrl-C came.  Errors
 ** are kept up to the size of `err`, which is plenty for a sentence. */
static int talk(child *c, const char *in, size_t left, double limit, luaL_Buffer *out, char *err,
                size_t cap) {
  double end = now() + limit;
  size_t used = 0;
  if (left == 0) shut(&c->in);
  while (c->out >= 0 || c->err >= 0) {
    struct pollfd p[3] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}, {c->in, POLLOUT, 0}};
    int wait_ms = (int)((end - now()) * 1000);
    if (wait_ms <= 0 || inc_interrupt_pending()) return 0;
    if (poll(p, 3, wait_ms) < 0) continue;
    if (p[0].revents) take(&c->out, out);
    if (p[1].revents) {
      char chunk[1024];
      ssize_t n = read(c->err, chunk, sizeof chunk);
      if (n <= 0)
        shut(&c->err);
      else if (used + (size_t)n < cap)
        memcpy(err + used, chunk, (size_t)n), used += (size_t)n;
    }
    if (p[2].revents) give(&c->in, &in, &left);
  }
  err[used] = '\0';
  return 1;
}

static int reap(const child *c, int finished) {
  int status = 0;
  if (!finished) kill(-c->pid, SIGKILL);
  while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* host.spawn({program, arg...}, input, seconds) -> status, stdout, stderr
** status is "timeout" when the limit ended it, 127 when there is no such program. */
int inc_host_spawn(lua_State *L) {
  size_t left;
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *in = luaL_optlstring(L, 2, "", &left);
  double limit = luaL_optnumber(L, 3, 10);
  int n = (int)luaL_len(L, 1);
  char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);
  for (int i = 0; i < n; i++) { /* the table keeps the strings alive */
    lua_rawgeti(L, 1, i + 1);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 1, "strings expected");
    argv[i] = (char *)(uintptr_t)lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  argv[n] = NULL;
  luaL_argcheck(L, n > 0, 1, "a program expected");
  child c = {.pid = -1};
  int code = start(&c, argv);
  if (code) return luaL_error(L, "cannot start %s: %s", argv[0], strerror(code));
  char err[8192] = "";
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  int finished = talk(&c, in, left, limit, &out, err, sizeof err);
  luaL_pushresult(&out);
  shut(&c.in);
  shut(&c.out);
  shut(&c.err);
  int status = reap(&c, finished);
  if (finished)
    lua_pushinteger(L, status);
  else
    lua_pushliteral(L, "timeout");
  lua_insert(L, -2);
  lua_pushstring(L, err);
  return 3;
}
