/* files.c -- safetensors files, whole-file writes and the pieces of JSON that C does better.
**
** core.load gives names in the file's order, because the order of string keys in a Lua table means nothing.
** Decoding JSON is Jansson's; encoding is lua/inc/json.lua, which asks here for strings and numbers, so that
** a Lua error half-way has nothing of C's to leave behind.
*/
#include "bind/files.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bind/bind.h"
#include "run/safetensors.h"
#include "run/sha256.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MT "inc.safetensors"
#define JSON_MT "inc.json"
#define TEXT_MT "inc.text"

enum { MAX_TEXT_FILE = 1 << 30 };

/* -- boxes: what must be released whatever happens ------------------------------------------------------ */

static int close_file(lua_State *L) {
  inc_safetensors **box = luaL_checkudata(L, 1, FILE_MT);
  inc_safetensors_close(*box);
  *box = NULL;
  return 0;
}

static int drop_json(lua_State *L) {
  json_t **box = luaL_checkudata(L, 1, JSON_MT);
  json_decref(*box);
  *box = NULL;
  return 0;
}

static int drop_text(lua_State *L) {
  inc_text_free(luaL_checkudata(L, 1, TEXT_MT));
  return 0;
}

static void *new_box(lua_State *L, size_t n, const char *mt) {
  void *box = lua_newuserdatauv(L, n, 0);
  memset(box, 0, n);
  luaL_setmetatable(L, mt);
  return box;
}

static void make_mt(lua_State *L, const char *mt, lua_CFunction gc) {
  luaL_newmetatable(L, mt);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

/* -- safetensors ---------------------------------------------------------------------------------------- */

static void push_meta(lua_State *L, const inc_safetensors *st) {
  lua_createtable(L, 0, st->n_meta);
  for (int i = 0; i < st->n_meta; i++) {
    lua_pushstring(L, st->meta[i].value);
    lua_setfield(L, -2, st->meta[i].key);
  }
}

static void push_names(lua_State *L, const inc_safetensors *st) {
  lua_createtable(L, st->n, 0);
  for (int i = 0; i < st->n; i++) {
    lua_pushstring(L, st->item[i].name);
    lua_rawseti(L, -2, i + 1);
  }
}

static void read_item(lua_State *L, const inc_safetensors *st, const inc_stored *item) {
  inc_tensor **box = inc_lua_new_box(L);
  inc_lua_check(L, inc_safetensors_read(st, item, box));
  inc_lua_account(L, item->end - item->begin);
  lua_setfield(L, -2, item->name);
}

static inc_safetensors *open_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  inc_safetensors **box = new_box(L, sizeof *box, FILE_MT);
  inc_lua_check(L, inc_safetensors_open(path, box));
  return *box;
}

/* core.load(path[, {name, ...}]) -> names, tensors by name, metadata by name; with a list, only those
 * tensors. */
static int load(lua_State *L) {
  bool some = lua_istable(L, 2);
  lua_settop(L, 2);
  inc_safetensors *st = open_file(L);
  push_names(L, st);
  lua_createtable(L, 0, st->n);
  int n = some ? (int)lua_rawlen(L, 2) : st->n;
  for (int i = 0; i < n; i++) {
    const inc_stored *item = &st->item[i];
    if (some) {
      lua_rawgeti(L, 2, i + 1);
      const char *name = luaL_checkstring(L, -1);
      item = inc_safetensors_find(st, name);
      if (!item) inc_lua_fail(L, "load", INC_EFORMAT, name, "%s has no tensor of this name", st->path);
      lua_pop(L, 1);
    }
    read_item(L, st, item);
  }
  push_meta(L, st);
  inc_safetensors_close(st);
  *(inc_safetensors **)lua_touserdata(L, 3) = NULL;
  return 3;
}

/* core.load_head(path) -> list of {name, dtype = , shape = , bytes = }, metadata by name. */
static int load_head(lua_State *L) {
  lua_settop(L, 1);
  inc_safetensors *st = open_file(L);
  lua_createtable(L, st->n, 0);
  for (int i = 0; i < st->n; i++) {
    const inc_stored *it = &st->item[i];
    lua_createtable(L, 1, 3);
    lua_pushstring(L, it->name);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, it->dtype);
    lua_setfield(L, -2, "dtype");
    lua_pushinteger(L, (lua_Integer)(it->end - it->begin));
    lua_setfield(L, -2, "bytes");
    lua_createtable(L, it->spec.ndim, 0);
    for (int d = 0; d < it->spec.ndim; d++) {
      lua_pushinteger(L, it->spec.shape[d]);
      lua_rawseti(L, -2, d + 1);
    }
    lua_setfield(L, -2, "shape");
    lua_rawseti(L, -2, i + 1);
  }
  push_meta(L, st);
  inc_safetensors_close(st);
  *(inc_safetensors **)lua_touserdata(L, 2) = NULL;
  return 2;
}

/* {{name, tensor}, ...} at idx into an array that Lua owns. */
static inc_named *read_named(lua_State *L, int idx, int *n) {
  luaL_checktype(L, idx, LUA_TTABLE);
  *n = (int)lua_rawlen(L, idx);
  inc_named *items = lua_newuserdatauv(L, sizeof *items * (size_t)(*n + 1), 0);
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, idx, i + 1);
    if (!lua_istable(L, -1))
      inc_lua_fail(L, "save", INC_EARG, NULL, "expected {name, tensor} at place %d", i + 1);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    if (lua_type(L, -2) != LUA_TSTRING)
      inc_lua_fail(L, "save", INC_EARG, NULL, "expected a name at place %d, got %s", i + 1,
                   luaL_typename(L, -2));
    items[i].name = lua_tostring(L, -2); /* stays alive: it is in the caller's table */
    items[i].t = inc_lua_check_tensor(L, -1, "save", items[i].name);
    lua_pop(L, 3);
  }
  return items;
}

/* The string keys of the table at idx, sorted, so that equal metadata give equal bytes. */
static int by_key(const void *a, const void *b) {
  return strcmp(((const inc_pair *)a)->key, ((const inc_pair *)b)->key);
}

static inc_pair *read_pairs(lua_State *L, int idx, int *n) {
  *n = 0;
  if (lua_isnoneornil(L, idx)) return NULL;
  luaL_checktype(L, idx, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) ++*n;
  inc_pair *pairs = lua_newuserdatauv(L, sizeof *pairs * (size_t)(*n + 1), 0);
  int i = 0;
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      inc_lua_fail(L, "save", INC_EARG, "metadata", "expected strings only");
    pairs[i++] = (inc_pair){lua_tostring(L, -2), lua_tostring(L, -1)};
  }
  qsort(pairs, (size_t)*n, sizeof *pairs, by_key);
  return pairs;
}

/* core.save(path, {{name, tensor}, ...}[, metadata]) */
static int save(lua_State *L) {
  int n, n_meta;
  const char *path = luaL_checkstring(L, 1);
  lua_settop(L, 3);
  inc_named *items = read_named(L, 2, &n);
  inc_pair *meta = read_pairs(L, 3, &n_meta);
  inc_lua_check(L, inc_safetensors_save(path, n, items, n_meta, meta));
  return 0;
}

/* core.sha256{{name, tensor}, ...}: of names, dtypes, shapes and values, in the order given */
static int sha256(lua_State *L) {
  int n;
  char hex[65];
  inc_sha256 s;
  lua_settop(L, 1);
  inc_named *items = read_named(L, 1, &n);
  inc_sha256_init(&s);
  for (int i = 0; i < n; i++) {
    const inc_spec *spec = &items[i].t->spec;
    size_t bytes = inc_spec_bytes(spec);
    char shape[128];
    void *flat = lua_newuserdatauv(L, bytes + 1, 0);
    if (!inc_tensor_data(items[i].t) && bytes)
      inc_lua_fail(L, "sha256", INC_ESTATE, items[i].name, "no value while tracing");
    inc_gather(items[i].t, flat);
    inc_shape_text(spec->ndim, spec->shape, shape, sizeof shape);
    inc_sha256_add(&s, items[i].name, strlen(items[i].name) + 1);
    inc_sha256_add(&s, inc_dtype_name(spec->dtype), strlen(inc_dtype_name(spec->dtype)));
    inc_sha256_add(&s, shape, strlen(shape) + 1);
    inc_sha256_add(&s, flat, bytes);
    lua_pop(L, 1);
  }
  inc_sha256_hex(&s, hex);
  lua_pushstring(L, hex);
  return 1;
}

/* -- files ---------------------------------------------------------------------------------------------- */

/* core.write_file(path, text): whole or not at all. */
static int write_file(lua_State *L) {
  size_t n;
  const char *path = luaL_checkstring(L, 1), *s = luaL_checklstring(L, 2, &n);
  inc_lua_check(L, inc_file_replace(path, s, n));
  return 0;
}

/* core.read_file(path) -> text */
static int read_file(lua_State *L) {
  inc_text *box;
  size_t n;
  const char *path = luaL_checkstring(L, 1);
  box = new_box(L, sizeof *box, TEXT_MT);
  inc_lua_check(L, inc_file_slurp(path, MAX_TEXT_FILE, &box->s, &n));
  lua_pushlstring(L, box->s, n);
  inc_text_free(box);
  return 1;
}

/* -- JSON ----------------------------------------------------------------------------------------------- */

/* core.json_string(s): with quotes; bytes that are no UTF-8 become U+FFFD. */
static int json_quote(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  inc_text *t = new_box(L, sizeof *t, TEXT_MT);
  inc_text_string(t, s, n);
  inc_lua_check(L, inc_text_done(t));
  lua_pushlstring(L, t->s, t->n);
  inc_text_free(t);
  return 1;
}

static int json_digits(lua_State *L) {
  double v = luaL_checknumber(L, 1);
  inc_text *t = new_box(L, sizeof *t, TEXT_MT);
  inc_text_number(t, v);
  inc_lua_check(L, inc_text_done(t));
  lua_pushlstring(L, t->s, t->n);
  inc_text_free(t);
  return 1;
}

static void push_json(lua_State *L, json_t *v);

static void push_object(lua_State *L, json_t *v) {
  const char *key;
  json_t *item;
  lua_createtable(L, 0, (int)json_object_size(v));
  json_object_foreach(v, key, item) {
    push_json(L, item);
    lua_setfield(L, -2, key);
  }
}

static void push_array(lua_State *L, json_t *v) {
  size_t i;
  json_t *item;
  lua_createtable(L, (int)json_array_size(v), 0);
  json_array_foreach(v, i, item) {
    push_json(L, item);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_json(lua_State *L, json_t *v) {
  luaL_checkstack(L, 6, "JSON nested too deeply");
  switch (json_typeof(v)) {
  case JSON_OBJECT:
    push_object(L, v);
    break;
  case JSON_ARRAY:
    push_array(L, v);
    break;
  case JSON_STRING:
    lua_pushlstring(L, json_string_value(v), json_string_length(v));
    break;
  case JSON_INTEGER:
    lua_pushinteger(L, json_integer_value(v));
    break;
  case JSON_REAL:
    lua_pushnumber(L, json_real_value(v));
    break;
  case JSON_NULL:
    lua_pushnil(L);
    break;
  default:
    lua_pushboolean(L, json_is_true(v));
    break;
  }
}

/* core.json_decode(text) -> value; null becomes nil.  EFORMAT with the place. */
static int json_parse(lua_State *L) {
  size_t n;
  json_error_t e;
  const char *s = luaL_checklstring(L, 1, &n);
  json_t **box = new_box(L, sizeof *box, JSON_MT);
  *box = json_loadb(s, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
  if (!*box)
    return inc_lua_fail(L, "json", INC_EFORMAT, NULL, "%s at line %d, column %d", e.text, e.line, e.column);
  push_json(L, *box);
  json_decref(*box);
  *box = NULL;
  return 1;
}

void inc_bind_files(lua_State *L) {
  static const luaL_Reg list[] = {{"load", load},
                                  {"load_head", load_head},
                                  {"save", save},
                                  {"write_file", write_file},
                                  {"read_file", read_file},
                                  {"json_string", json_quote},
                                  {"sha256", sha256},
                                  {"json_number", json_digits},
                                  {"json_decode", json_parse},
                                  {NULL, NULL}};
  make_mt(L, FILE_MT, close_file);
  make_mt(L, JSON_MT, drop_json);
  make_mt(L, TEXT_MT, drop_text);
  luaL_setfuncs(L, list, 0);
  inc_bind_paths(L);
}
