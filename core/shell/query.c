/* query.c -- asking the terminal what it can do: host.query, host.pixels.
**
** A question goes out, and what comes back within a limit is the answer.  Only a program in the foreground of
** a terminal that it both reads and writes may ask; anything else gets no answer at once.  Echo is off
** meanwhile, and the terminal's mode is put back whatever happens.  Keys that the user typed ahead arrive mixed
** with the answer: every byte that is no part of an escape sequence goes back to readline, so that nothing
** typed is lost.
*/
#include "base/interrupt.h"
#include "shell/shell.h"
#include <poll.h>
#include <readline/readline.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

typedef enum part { P_TEXT, P_ESC, P_CSI, P_STRING, P_STRING_ESC } part;

typedef struct answer {
  part at;
  int ended; /* the last CSI sequence came to its final byte, and it is the one waited for */
  char last; /* that final byte */
} answer;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int may_ask(void) {
  return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* One byte of the answer; returns 1 when it belongs to an escape sequence. */
static int take(answer *a, unsigned char c) {
  switch (a->at) {
  case P_TEXT:
    if (c == 033) a->at = P_ESC;
    return c == 033;
  case P_ESC:
    a->at = c == '[' ? P_CSI : strchr("_P]^X", c) ? P_STRING : P_TEXT;
    return 1;
  case P_CSI:
    if (c < 0x40 || c > 0x7e) return 1;
    a->at = P_TEXT;
    a->ended = c == (unsigned char)a->last;
    return 1;
  case P_STRING:
    if (c == 033) a->at = P_STRING_ESC;
    if (c == 07) a->at = P_TEXT;
    return 1;
  default:
    a->at = c == '\\' ? P_TEXT : P_STRING;
    return 1;
  }
}

static void collect(answer *a, double limit, luaL_Buffer *b) {
  double end = now() + limit;
  while (!a->ended && !inc_interrupt_pending()) {
    struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
    int wait_ms = (int)((end - now()) * 1000);
    unsigned char c;
    if (wait_ms <= 0) return;
    if (poll(&fd, 1, wait_ms) <= 0) continue;
    if (read(STDIN_FILENO, &c, 1) != 1) return;
    if (take(a, c))
      luaL_addchar(b, (char)c);
    else
      rl_stuff_char(c);
  }
}

static int send_all(const char *text, size_t n) {
  while (n > 0) {
    ssize_t k = write(STDOUT_FILENO, text, n);
    if (k <= 0) return 0;
    text += k, n -= (size_t)k;
  }
  return 1;
}

/* host.query(text, seconds, last) -> the escape sequences that came back, up to a CSI sequence that ends in
** the character `last`; "" without a terminal, and what there is when time is over */
int inc_host_query(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  double limit = luaL_checknumber(L, 2);
  answer a = {.last = *luaL_checkstring(L, 3)};
  struct termios before, quiet;
  luaL_Buffer b;
  if (!may_ask() || tcgetattr(STDIN_FILENO, &before)) return lua_pushliteral(L, ""), 1;
  quiet = before;
  quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  quiet.c_cc[VMIN] = 1, quiet.c_cc[VTIME] = 0;
  fflush(stdout);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
  luaL_buffinit(L, &b);
  if (send_all(text, n)) collect(&a, limit, &b);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
  luaL_pushresult(&b);
  return 1;
}

/* host.pixels() -> width, height of the terminal's text area in pixels; 0, 0 where it does not say */
int inc_host_pixels(lua_State *L) {
  struct winsize w = {0};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0) memset(&w, 0, sizeof w);
  lua_pushinteger(L, w.ws_xpixel);
  lua_pushinteger(L, w.ws_ypixel);
  return 2;
}
