/* interrupt.c -- Ctrl-C stops what runs and never loses the session.
**
** Three things make that hold, each a hole in the stand-alone `lua`:
**   - the hook that raises must be set on the coroutine that is running, so resume and wrap keep track of it;
**   - `while true do pcall(f) end` would swallow an ordinary error, so pcall, xpcall and resume raise it
**     again for as long as the flag of base/interrupt.h is up; the prompt takes it down;
**   - the default action is never restored: a second Ctrl-C, a moment or a minute after the first, offers to quit;
**     a third while the offer stands ends the process, for C code that never looks at the flag.  The offer stands
**     for as long as it takes to read it and to decide, and is not taken by a key that is held down.
** A count hook that is always on was rejected: it costs a loop half its speed.
*/
#include "base/interrupt.h"
#include "shell/shell.h"
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OFFER_SECONDS 3.0 /* how long the offer to quit stands */
#define READ_SECONDS  0.5 /* presses sooner than this after it were begun before anybody could read it */

volatile sig_atomic_t inc_shell_reading;

static pthread_t main_thread;
static lua_State *volatile running; /* the coroutine that executes now */
static volatile double offered;     /* when quitting was offered, 0 where it was not */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  if (inc_interrupt_pending()) luaL_error(L, "interrupted");
}

static void arm(lua_State *L) {
  lua_sethook(L, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void say(const char *s) {
  ssize_t n = write(STDERR_FILENO, s, strlen(s));
  (void)n;
}

void inc_shell_interrupt(void) {
  inc_interrupt_raise();
  if (running) arm(running);
}

static void on_sigint(int sig) {
  if (!pthread_equal(pthread_self(), main_thread)) { /* a wait that must end is the main thread's */
    pthread_kill(main_thread, sig);
    return;
  }
  double t = now();
  if (!inc_interrupt_pending() || inc_shell_reading)
    offered = 0;
  else if (offered == 0 || t - offered > OFFER_SECONDS) {
    say("\nincsh: still busy, waiting for it to stop; Ctrl-C within three seconds quits without saving\n");
    offered = t;
  } else if (t - offered > READ_SECONDS) {
    say("\nincsh: stopped by force\n");
    _exit(130);
  }
  inc_shell_interrupt();
}

/* -- pcall and xpcall ----------------------------------------------------------------------------------- */

/* An interrupt that was caught goes on upwards; everything else is handed back as usual. */
static int finish_pcall(lua_State *L, int status, lua_KContext extra) {
  if (status != LUA_OK && status != LUA_YIELD) {
    if (inc_interrupt_pending()) return lua_error(L);
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
  }
  return lua_gettop(L) - (int)extra;
}

static int guarded_pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1); /* first result if all goes well */
  lua_insert(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
  return finish_pcall(L, status, 0);
}

static int guarded_xpcall(lua_State *L) {
  int n = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* f, handler, true, f, args... */
  int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, finish_pcall);
  return finish_pcall(L, status, 2);
}

/* -- coroutines ----------------------------------------------------------------------------------------- */

/* Resume `co` with `narg` values from L; moves results or the error message to L.  Returns their number or
 * -1. */
static int resume(lua_State *L, lua_State *co, int narg) {
  int nres;
  if (!lua_checkstack(co, narg)) {
    lua_pushliteral(L, "too many arguments to resume");
    return -1;
  }
  lua_xmove(L, co, narg);
  lua_State *outer = running;
  running = co;
  if (inc_interrupt_pending()) arm(co);
  int status = lua_resume(co, L, narg, &nres);
  running = outer;
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (!lua_checkstack(L, nres + 1)) {
    lua_pop(co, nres);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, nres);
  return nres;
}

static int guarded_resume(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  int n = resume(L, co, lua_gettop(L) - 1);
  if (n < 0 && inc_interrupt_pending()) return lua_error(L);
  lua_pushboolean(L, n >= 0);
  lua_insert(L, n < 0 ? -2 : -(n + 1));
  return n < 0 ? 2 : n + 1;
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int n = resume(L, co, lua_gettop(L));
  if (n >= 0) return n;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) { /* it failed: close its pending variables */
    lua_resetthread(co);
    lua_pop(L, 1);
    lua_xmove(co, L, 1);
  }
  if (lua_type(L, -1) == LUA_TSTRING) { /* say where, as coroutine.wrap does */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int guarded_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

/* The forms that do stop an interrupt, for the evaluator of the prompt alone (host.xpcall). */
static void keep_original(lua_State *L) {
  lua_getglobal(L, "xpcall");
  lua_setfield(L, LUA_REGISTRYINDEX, INC_RAW_XPCALL);
}

void inc_shell_guard(lua_State *L) {
  static const luaL_Reg co[] = {{"resume", guarded_resume}, {"wrap", guarded_wrap}, {NULL, NULL}};
  keep_original(L);
  lua_register(L, "pcall", guarded_pcall);
  lua_register(L, "xpcall", guarded_xpcall);
  lua_getglobal(L, "coroutine");
  luaL_setfuncs(L, co, 0);
  lua_pop(L, 1);
  running = L;
  main_thread = pthread_self();
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_sigint;
  sigemptyset(&sa.sa_mask); /* no SA_RESTART: a wait must notice */
  sigaction(SIGINT, &sa, NULL);
}
