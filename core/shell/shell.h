/* shell.h -- what the files of core/shell share.
**
** The program is thin: C holds what Lua cannot do (signals, the terminal, readline, processes); how a line is
** evaluated, completed and printed is decided in lua/inc/shell.lua, which does no input or output of its own
** and so serves a notebook just as well.
*/
#ifndef INC_SHELL_H
#define INC_SHELL_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>

/* -- interrupt.c: Ctrl-C -------------------------------------------------------------------------------- */
/* Install the SIGINT handler for this state and replace pcall, xpcall and coroutine.* by forms that cannot
** swallow an interrupt. */
void inc_shell_guard(lua_State *L);
/* Stop what runs, as Ctrl-C does, from a signal handler. */
void inc_shell_interrupt(void);
/* While the prompt waits for keys: Ctrl-C then is never a reason to end the process. */
extern volatile sig_atomic_t inc_shell_reading;
#define INC_RAW_XPCALL "inc.xpcall" /* registry: Lua's own xpcall */

/* -- home.c: where our files are ------------------------------------------------------------------------ */
/* Directory that holds lua/, models/ and scripts/; NULL when there is none.  Lives in static storage. */
const char *inc_shell_home(void);
void inc_shell_set_path(lua_State *L, const char *home);

/* -- call.c: protected calls ---------------------------------------------------------------------------- */
/* Load the error reporter; call once, after inc_shell_set_path. */
int inc_shell_load_reporter(lua_State *L);
/* The text of a chunk that is in no file, for the user's own line in errors. */
void inc_shell_keep_source(lua_State *L, const char *chunk, const char *text);
/* Like lua_pcall; on failure leaves a reporter's record (a table) instead of the message. */
int inc_shell_call(lua_State *L, int nargs, int nresults);
/* Print the record on top of the stack as "incsh: ..." on stderr and pop it. */
void inc_shell_report(lua_State *L, const char *who);

/* -- host.c, spawn.c, query.c, launch.c: the `inc.host` module ------------------------------------------ */
int luaopen_inc_host(lua_State *L);
int inc_host_spawn(lua_State *L);
int inc_host_query(lua_State *L);
int inc_host_launch(lua_State *L);
int inc_host_finished(lua_State *L);
int inc_host_pixels(lua_State *L);
int inc_host_panel(lua_State *L);
int inc_host_quiet(lua_State *L);

/* -- paths.c -------------------------------------------------------------------------------------------- */
void inc_shell_make_folders(const char *path); /* those that a file of this path lies in */
int inc_host_make_folders(lua_State *L);
int inc_host_real_path(lua_State *L);
int inc_host_sha256(lua_State *L);
int inc_host_temporary(lua_State *L);
int inc_host_cache_folder(lua_State *L);

/* -- repl.c --------------------------------------------------------------------------------------------- */
/* Read until Ctrl-D; returns the exit status.  The nargs strings on top of the stack are a file to run first and
** its arguments; with_rc runs the start-up files. */
int inc_shell_repl(lua_State *L, int nargs, int with_rc);
/* Call `name` of lua/inc/shell/prompt.lua with the nargs values on top of the stack.  Never raises: returns 0
** and leaves nothing when it failed. */
int inc_prompt_call(lua_State *L, const char *name, int nargs, int nresults);

extern int inc_shell_abandon; /* Ctrl-C: the next Enter ends the line, which is then dropped */

/* -- keys.c: what Enter, Tab, the arrows and pasting do ------------------------------------------------- */
void inc_shell_bind_keys(lua_State *L, int smart);

/* -- hint.c --------------------------------------------------------------------------------------------- */
void inc_shell_bind_hint(lua_State *L, int smart);
void inc_hint_wipe(void); /* take the grey words off the screen */

/* -- complete.c ----------------------------------------------------------------------------------------- */
void inc_shell_bind_completion(lua_State *L);

/* -- history.c ------------------------------------------------------------------------------------------ */
void inc_history_load(void);
void inc_history_add(const char *entry);

/* -- status.c: lines above the prompt ------------------------------------------------------------------- */
/* Queue a line to be shown above the prompt.  May be called from any thread. */
void inc_shell_notice(const char *line);
void inc_status_idle(lua_State *L, int smart);  /* ask for news and show it above what is being typed */
void inc_status_flush(lua_State *L, int smart); /* the same just before a prompt is drawn */
void inc_status_leave(void);                    /* a line is accepted: take the status line off the screen */
void inc_status_forget(void);                   /* the screen was somebody else's meanwhile */

#endif
