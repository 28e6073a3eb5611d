/* args.c -- reading Lua arguments by an op's signature, and small helpers for the other bindings.
**
** An op is called as op(tensors..., attributes..., {options}) or x:op(...).  The last table may hold the
** array part of a list attribute ("x:view{2, -1}"), positional attributes ("x:sum{2, keepdim = true}") and
** names.  An unknown name is an error that tells the nearest right one.
*/
#include "bind/args.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

int inc_lua_ints(lua_State *L, int idx, const char *op, const char *arg, int64_t *out, int max) {
  if (lua_type(L, idx) != LUA_TTABLE)
    return inc_lua_fail(L, op, INC_EARG, arg, "expected a list of integers, got %s", luaL_typename(L, idx));
  int n = (int)lua_rawlen(L, idx);
  if (n > max) return inc_lua_fail(L, op, INC_EARG, arg, "expected at most %d integers, got %d", max, n);
  for (int i = 0; i < n; i++) {
    int ok;
    lua_rawgeti(L, idx, i + 1);
    out[i] = lua_tointegerx(L, -1, &ok);
    if (!ok)
      return inc_lua_fail(L, op, INC_EARG, arg, "expected an integer at place %d, got %s", i + 1,
                          luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
  return n;
}

int inc_lua_dtype(lua_State *L, int idx, const char *op, const char *arg) {
  const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : NULL;
  int d = s ? inc_dtype_parse(s) : INC_NONE;
  if (d == INC_NONE)
    inc_lua_fail(L, op, INC_EARG, arg, "expected a dtype (f32, bf16, f16, f64, u8, i32 or i64), got %s",
                 luaL_tolstring(L, idx, NULL));
  return d;
}

void inc_lua_known_keys(lua_State *L, int idx, const char *op, const char *const *known, int n) {
  idx = lua_absindex(L, idx);
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *key = lua_tostring(L, -2);
    bool found = false;
    for (int i = 0; i < n && !found; i++) found = !strcmp(key, known[i]);
    if (found) continue;
    const char *near = inc_nearest(key, known, n);
    if (near)
      inc_lua_fail(L, op, INC_EARG, key, "unknown option (did you mean %s?)", near);
    else
      inc_lua_fail(L, op, INC_EARG, key, "unknown option");
  }
}

/* -- attributes --------------------------------------------------------------------------------------- */

static void read_int(lua_State *L, const inc_op *op, const inc_param *p, int idx, int64_t *out) {
  int ok;
  *out = lua_tointegerx(L, idx, &ok);
  if (!ok || lua_type(L, idx) != LUA_TNUMBER)
    inc_lua_fail(L, op->name, INC_EARG, p->name, "expected an integer, got %s", luaL_tolstring(L, idx, NULL));
}

/* Dims and indices count from 1 in Lua, from 0 in core; negative ones count from the end in both. */
static int64_t from_one(lua_State *L, const inc_op *op, const inc_param *p, int64_t v) {
  if (v == 0) inc_lua_fail(L, op->name, INC_EARG, p->name, "counts from 1 (or from -1, backwards), got 0");
  return v > 0 ? v - 1 : v;
}

static void read_enum(lua_State *L, const inc_op *op, const inc_param *p, int idx, inc_attr *a) {
  const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : NULL;
  int64_t k = 0;
  for (const char *at = p->names; s && *at; k++) {
    size_t n = strcspn(at, "|");
    if (n == strlen(s) && !strncmp(at, s, n)) {
      *a = INC_INT(k);
      return;
    }
    at += n + (at[n] == '|');
  }
  inc_lua_fail(L, op->name, INC_EARG, p->name, "expected one of %s, got %s", p->names,
               luaL_tolstring(L, idx, NULL));
}

static void read_list(lua_State *L, const inc_op *op, const inc_param *p, int idx, inc_attr *a) {
  if (lua_type(L, idx) == LUA_TNUMBER) {
    a->n = 1;
    read_int(L, op, p, idx, &a->i[0]);
  } else {
    a->n = (int8_t)inc_lua_ints(L, idx, op->name, p->name, a->i, INC_MAX_DIMS);
  }
  if (p->type == INC_T_DIMS)
    for (int i = 0; i < a->n; i++) a->i[i] = from_one(L, op, p, a->i[i]);
  if (p->type != INC_T_INTN || a->n == p->count) return;
  if (a->n != 1)
    inc_lua_fail(L, op->name, INC_EARG, p->name, "expected one integer or %d, got %d", p->count, a->n);
  for (int i = 1; i < p->count; i++) a->i[i] = a->i[0];
  a->n = (int8_t)p->count;
}

void inc_lua_read_attr(lua_State *L, const inc_op *op, const inc_param *p, int idx, inc_attr *a) {
  memset(a, 0, sizeof *a);
  a->n = 1;
  switch (p->type) {
  case INC_T_INT:
    read_int(L, op, p, idx, &a->i[0]);
    break;
  case INC_T_DIM:
  case INC_T_INDEX:
    read_int(L, op, p, idx, &a->i[0]);
    a->i[0] = from_one(L, op, p, a->i[0]);
    break;
  case INC_T_FLOAT:
    if (lua_type(L, idx) != LUA_TNUMBER)
      inc_lua_fail(L, op->name, INC_EARG, p->name, "expected a number, got %s", luaL_tolstring(L, idx, NULL));
    *a = INC_FLOAT(lua_tonumber(L, idx));
    break;
  case INC_T_BOOL:
    if (lua_type(L, idx) != LUA_TBOOLEAN)
      inc_lua_fail(L, op->name, INC_EARG, p->name, "expected true or false, got %s",
                   luaL_tolstring(L, idx, NULL));
    a->i[0] = lua_toboolean(L, idx);
    break;
  case INC_T_DTYPE:
    a->i[0] = inc_lua_dtype(L, idx, op->name, p->name);
    break;
  case INC_T_ENUM:
    read_enum(L, op, p, idx, a);
    break;
  default:
    read_list(L, op, p, idx, a);
    break;
  }
}

/* -- a whole call ------------------------------------------------------------------------------------- */

static bool is_list_type(inc_type t) { return t == INC_T_INTS || t == INC_T_DIMS || t == INC_T_INTN; }

static void set_named(lua_State *L, const inc_op *op, const inc_sig *sig, inc_lua_call *c, int value) {
  const char *key = lua_tostring(L, value - 1);
  for (int k = 0; k < sig->n_attrs; k++)
    if (!strcmp(key, sig->attrs[k].name)) {
      inc_lua_read_attr(L, op, &sig->attrs[k], value, &c->attr[k]);
      c->given[k] = true;
      return;
    }
  for (int k = 0; k < sig->n_tensors && !sig->variadic; k++)
    if (!strcmp(key, sig->tensors[k].name)) {
      c->in[k] = inc_lua_check_tensor(L, value, op->name, key);
      if (k >= c->n_in) c->n_in = k + 1;
      return;
    }
  const char *names[INC_MAX_ATTRS + 12];
  int n = 0;
  for (int k = 0; k < sig->n_attrs; k++) names[n++] = sig->attrs[k].name;
  for (int k = 0; k < sig->n_tensors; k++) names[n++] = sig->tensors[k].name;
  const char *near = inc_nearest(key, names, n);
  if (near)
    inc_lua_fail(L, op->name, INC_EARG, key, "unknown option (did you mean %s?)", near);
  else
    inc_lua_fail(L, op->name, INC_EARG, key, "unknown option");
}

/* The named part of an options table.  lua_next order does not matter: every key goes to its own place. */
static void read_names(lua_State *L, const inc_op *op, const inc_sig *sig, inc_lua_call *c, int idx) {
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) set_named(L, op, sig, c, lua_gettop(L));
}

static void take_attr(lua_State *L, const inc_op *op, const inc_sig *sig, inc_lua_call *c, int idx) {
  while (c->next_attr < sig->n_attrs && c->given[c->next_attr]) c->next_attr++;
  if (c->next_attr >= sig->n_attrs)
    inc_lua_fail(L, op->name, INC_EARG, NULL, "expected at most the arguments %s, got more", op->sig);
  if (!lua_isnil(L, idx)) {
    inc_lua_read_attr(L, op, &sig->attrs[c->next_attr], idx, &c->attr[c->next_attr]);
    c->given[c->next_attr] = true;
  }
  c->next_attr++;
}

static bool is_empty(lua_State *L, int idx) {
  lua_pushnil(L);
  if (!lua_next(L, idx)) return true;
  lua_pop(L, 2);
  return false;
}

/* "x:view{2, -1}" and "x:view{}" give the list itself; "f(x, {{2, 2}, 1})" gives positions in turn. */
static bool table_is_list(lua_State *L, const inc_sig *sig, const inc_lua_call *c, int idx) {
  if (c->next_attr >= sig->n_attrs || !is_list_type(sig->attrs[c->next_attr].type)) return false;
  if (lua_rawlen(L, idx) == 0) return is_empty(L, idx);
  bool nested = lua_rawgeti(L, idx, 1) == LUA_TTABLE;
  lua_pop(L, 1);
  return !nested;
}

static void take_table(lua_State *L, const inc_op *op, const inc_sig *sig, inc_lua_call *c, int idx) {
  int n = (int)lua_rawlen(L, idx);
  read_names(L, op, sig, c, idx);
  while (c->next_attr < sig->n_attrs && c->given[c->next_attr]) c->next_attr++;
  if (table_is_list(L, sig, c, idx)) {
    take_attr(L, op, sig, c, idx);
    return;
  }
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    take_attr(L, op, sig, c, lua_gettop(L));
    lua_pop(L, 1);
  }
}

static int variadic_inputs(lua_State *L, const inc_op *op, inc_lua_call *c, int idx) {
  if (lua_type(L, idx) != LUA_TTABLE)
    return inc_lua_fail(L, op->name, INC_EARG, inc_arg_name(op, 0), "expected a list of tensors, got %s",
                        luaL_typename(L, idx));
  c->n_in = (int)lua_rawlen(L, idx);
  c->list = lua_newuserdatauv(L, sizeof(inc_tensor *) * (size_t)(c->n_in + 1), 0); /* the collector owns it */
  c->in = c->list;
  for (int i = 0; i < c->n_in; i++) {
    lua_rawgeti(L, idx, i + 1);
    c->in[i] = inc_lua_check_tensor(L, -1, op->name, inc_arg_name(op, 0));
    lua_pop(L, 1);
  }
  return 0;
}

static int tensor_inputs(lua_State *L, const inc_op *op, const inc_sig *sig, inc_lua_call *c, int top) {
  int idx = 1;
  for (; idx <= top && c->n_in < sig->n_tensors; idx++) {
    bool number = lua_type(L, idx) == LUA_TNUMBER && op->flags & INC_OP_EWISE;
    if (lua_isnil(L, idx) && sig->tensors[c->n_in].optional) {
      c->n_in++;
    } else if (number || inc_lua_to_tensor(L, idx)) {
      c->in[c->n_in++] = inc_lua_tensor_or_number(L, idx);
    } else {
      break;
    }
  }
  return idx;
}

static void fill_defaults(lua_State *L, const inc_op *op, const inc_sig *sig, inc_lua_call *c) {
  for (int k = 0; k < sig->n_attrs; k++) {
    const inc_param *p = &sig->attrs[k];
    if (c->given[k]) continue;
    if (p->has_default)
      c->attr[k] = p->def;
    else if (p->optional)
      c->attr[k] = INC_ABSENT;
    else
      inc_lua_fail(L, op->name, INC_EARG, p->name, "expected it, as in %s, got nothing", op->sig);
  }
  if (sig->variadic) return;
  for (int k = 0; k < sig->n_tensors; k++)
    if (!c->in[k] && !sig->tensors[k].optional)
      inc_lua_fail(L, op->name, INC_EARG, sig->tensors[k].name, "expected a tensor, got %s",
                   k == c->n_in && k + 1 <= lua_gettop(L) ? luaL_typename(L, k + 1) : "nothing");
  c->n_in = sig->n_tensors;
}

void inc_lua_read_call(lua_State *L, const inc_op *op, inc_lua_call *c) {
  const inc_sig *sig = inc_op_sig(op);
  int top = lua_gettop(L), idx;
  memset(c, 0, sizeof *c);
  c->in = c->fixed;
  luaL_checkstack(L, 40, op->name);
  if (sig->variadic) {
    variadic_inputs(L, op, c, 1);
    read_names(L, op, sig, c, 1);
    idx = 2;
  } else {
    idx = tensor_inputs(L, op, sig, c, top);
  }
  for (; idx <= top; idx++) {
    if (lua_type(L, idx) == LUA_TTABLE)
      take_table(L, op, sig, c, idx);
    else
      take_attr(L, op, sig, c, idx);
  }
  fill_defaults(L, op, sig, c);
}
