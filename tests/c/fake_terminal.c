/* fake_terminal.c -- a terminal that answers as it is told: for tests of what is drawn where.
**
**     fake_terminal OUT DA1 KITTY PROGRAM [ARG...]
**
** Runs PROGRAM on a pseudo-terminal of 80 by 24 characters and 800 by 480 pixels, and writes what it sends to
** the file OUT.  Asked for its attributes (ESC [ c) it answers DA1; asked whether it knows kitty's pictures it
** answers KITTY; "-" for either stands for silence.  Its own input goes to the program.  The exit status is the
** program's.
*/

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void answer(int fd, const char *text) {
  if (strcmp(text, "-") != 0 && write(fd, text, strlen(text)) < 0) perror("fake_terminal");
}

static int ends_in(const char *bytes, size_t n, const char *text) {
  size_t k = strlen(text);
  return n >= k && !memcmp(bytes + n - k, text, k);
}

/* Questions may arrive in pieces: the last bytes seen are kept. */
static void look(int fd, const char *bytes, size_t n, char *const argv[]) {
  static char tail[64];
  static size_t used;
  for (size_t i = 0; i < n; i++) {
    if (used == sizeof tail) memmove(tail, tail + 1, --used);
    tail[used++] = bytes[i];
    if (ends_in(tail, used, "\033[c")) answer(fd, argv[2]);
    if (ends_in(tail, used, "a=q,t=d,f=24;AAAA\033\\")) answer(fd, argv[3]);
  }
}

static int serve(int fd, FILE *out, char *const argv[]) {
  int input = STDIN_FILENO;
  char bytes[4096];
  for (;;) {
    struct pollfd p[2] = {{fd, POLLIN, 0}, {input, POLLIN, 0}};
    if (poll(p, 2, 60000) <= 0) return 1;
    if (p[0].revents) {
      ssize_t n = read(fd, bytes, sizeof bytes);
      if (n <= 0) return 0; /* the program has ended */
      fwrite(bytes, 1, (size_t)n, out);
      look(fd, bytes, (size_t)n, argv);
    }
    if (p[1].revents) {
      ssize_t n = read(input, bytes, sizeof bytes);
      if (n <= 0)
        input = -1;
      else if (write(fd, bytes, (size_t)n) < 0)
        return 1;
    }
  }
}

int main(int argc, char **argv) {
  struct winsize size = {24, 80, 800, 480};
  int fd, status = 0;
  if (argc < 5) {
    fputs("fake_terminal OUT DA1 KITTY PROGRAM [ARG...]\n", stderr);
    return 2;
  }
  FILE *out = fopen(argv[1], "wb");
  pid_t pid = out ? forkpty(&fd, NULL, NULL, &size) : -1;
  if (pid < 0) {
    perror("fake_terminal");
    return 2;
  }
  if (pid == 0) {
    execvp(argv[4], argv + 4);
    _exit(127);
  }
  int late = serve(fd, out, argv);
  fclose(out);
  if (late) kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return late ? 3 : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
