/* bind.h -- what the binding files share.
**
** Order in every function, always: check arguments -> push an empty box -> call core -> fill the box.  A Lua
** error can then only drop things that the collector finds.  inc_lua_raise is the only place that turns a
** core failure into a Lua error; messages name the user's own line and pass through no format twice.
*/
#ifndef INC_BIND_H
#define INC_BIND_H

#include "base/err.h"
#include "base/tensor.h"
#include "ops/op.h"
#include <lauxlib.h>
#include <lua.h>

#define INC_TENSOR_MT "inc.tensor"

/* -- errors (error.c) ------------------------------------------------------------------------------- */
int inc_lua_raise(lua_State *L); /* raise the core failure of this thread */
int inc_lua_fail(lua_State *L, const char *op, int code, const char *arg, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));  /* record one and raise it */
void inc_lua_check(lua_State *L, int code); /* raise unless INC_OK; collects once on INC_EMEM first */
int inc_lua_error_at_user(lua_State *L, const char *message); /* "file:line: message" of the user's line */
void inc_lua_user_line(lua_State *L, char *out, size_t n);    /* "file:line", or "" */
/* The name in list[n] nearest to `word`, or NULL when none is near. */
const char *inc_nearest(const char *word, const char *const *list, int n);

/* -- tensors (tensor.c) ----------------------------------------------------------------------------- */
inc_tensor **inc_lua_new_box(lua_State *L);            /* pushes an empty tensor box */
void inc_lua_push_tensor(lua_State *L, inc_tensor *t); /* pushes a box; takes over the reference */
inc_tensor *inc_lua_to_tensor(lua_State *L, int idx);  /* NULL if it is not one */
inc_tensor *inc_lua_check_tensor(lua_State *L, int idx, const char *op, const char *arg);
/* A tensor or a number at idx: the number becomes a 0-d tensor that is pushed (so the collector owns it). */
inc_tensor *inc_lua_tensor_or_number(lua_State *L, int idx);
void inc_lua_account(lua_State *L, size_t bytes); /* bytes the collector cannot see */

/* -- argument tables (args.c) ----------------------------------------------------------------------- */
/* Integers of the list at idx (its array part) into out; returns how many, raises beyond max. */
int inc_lua_ints(lua_State *L, int idx, const char *op, const char *arg, int64_t *out, int max);
int inc_lua_dtype(lua_State *L, int idx, const char *op, const char *arg);
/* Raise for the first key of the table at idx that `known` lacks. */
void inc_lua_known_keys(lua_State *L, int idx, const char *op, const char *const *known, int n);

/* -- parts of the module (each adds functions to the table on top of the stack) ------------------------ */
void inc_bind_ops(lua_State *L);     /* call.c: one function an op */
void inc_bind_tensor(lua_State *L);  /* tensor.c: metatable and methods; methods table left in the registry */
void inc_bind_create(lua_State *L);  /* create.c: tensor, zeros, randn, ... */
void inc_bind_modes(lua_State *L);   /* modes.c: no_grad, seed, precision, scope, stats */
void inc_bind_index(lua_State *L);   /* index.c: x[i], x[{...}] and assignment */
void inc_bind_plan(lua_State *L);    /* plan.c */
void inc_bind_files(lua_State *L);   /* files.c: safetensors */
void inc_bind_data(lua_State *L);    /* data.c */
void inc_bind_run(lua_State *L);     /* run.c */
void inc_push_methods(lua_State *L); /* the methods table of tensors */

#endif
