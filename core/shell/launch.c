/* launch.c -- host.launch and host.finished: a child process that nobody waits for.
**
** For pictures that are drawn anew while somebody types: the prompt may not stand still for the tenth of a
** second that a plotter takes, and not at all for one that hangs.  The child reads its whole input from memory
** and writes to a file, so there is no pipe to serve, and its time limit is an alarm that it takes along
** through exec.  A thread that runs host.spawn was rejected: only one thread may be in Lua.
*/
#include "shell/shell.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A descriptor from which `text` can be read, or -1. */
static int input_of(const char *text, size_t n) {
  int fd = memfd_create("incsh", MFD_CLOEXEC);
  while (fd >= 0 && n > 0) {
    ssize_t k = write(fd, text, n);
    if (k <= 0) {
      close(fd);
      return -1;
    }
    text += k, n -= (size_t)k;
  }
  if (fd >= 0) lseek(fd, 0, SEEK_SET);
  return fd;
}

static void become(char **argv, int in, int out, unsigned seconds) {
  int nothing = open("/dev/null", O_WRONLY);
  signal(SIGINT, SIG_DFL);
  setpgid(0, 0);
  dup2(in, 0);
  dup2(out, 1);
  if (nothing >= 0) dup2(nothing, 2);
  alarm(seconds);
  execvp(argv[0], argv);
  _exit(127);
}

static char **arguments(lua_State *L, int idx) {
  int n = (int)luaL_len(L, idx);
  luaL_argcheck(L, n > 0, idx, "a program expected");
  char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);
  for (int i = 0; i < n; i++) { /* the table keeps the strings alive */
    luaL_argcheck(L, lua_rawgeti(L, idx, i + 1) == LUA_TSTRING, idx, "strings expected");
    argv[i] = (char *)(uintptr_t)lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  argv[n] = NULL;
  return argv;
}

/* host.launch({program, arg...}, input, file, seconds) -> a number for host.finished; nil, message.
** The child's output goes to `file`, which is made or emptied. */
int inc_host_launch(lua_State *L) {
  size_t n;
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *text = luaL_checklstring(L, 2, &n), *path = luaL_checkstring(L, 3);
  unsigned seconds = (unsigned)luaL_checkinteger(L, 4);
  char **argv = arguments(L, 1);
  int in = input_of(text, n), out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  pid_t pid = in >= 0 && out >= 0 ? fork() : -1;
  if (pid == 0) become(argv, in, out, seconds);
  int code = errno;
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  if (pid > 0) return lua_pushinteger(L, pid), 1;
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", out < 0 ? path : argv[0], strerror(code));
  return 2;
}

/* host.finished(number) -> nil while the child goes on; its exit status, or 128 + the signal that ended it */
int inc_host_finished(lua_State *L) {
  int status = 0;
  pid_t pid = (pid_t)luaL_checkinteger(L, 1), got = waitpid(pid, &status, WNOHANG);
  if (got == 0 || (got < 0 && errno == EINTR)) return 0;
  if (got < 0) return lua_pushinteger(L, 127), 1;
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}
