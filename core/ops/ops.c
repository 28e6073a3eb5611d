/* ops.c -- the registry of ops and the parser of their signatures (op.h).
**
** The table is made from ops.def at compile time.  Signatures are parsed all together, once, by whichever
** thread asks first: a few microseconds, and no lock afterwards.  Parsing each op at its first use was
** rejected because it would need an atomic per op for no gain.  A signature that does not parse is a
** mistake in an op file, caught by tests/c/test_ops.c; here it ends the parsing of that signature.
*/
#include "ops/op.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const inc_op *const ops[] = {
#define INC_OP(name) &inc_op_##name,
#include "ops/ops.def"
#undef INC_OP
};

enum { N_OPS = sizeof ops / sizeof *ops, N_SLOTS = 512 };

static inc_sig sigs[N_OPS];
static int16_t slots[N_SLOTS]; /* hash of the op's address -> 1 + its place in ops */
static pthread_once_t once = PTHREAD_ONCE_INIT;

inc_attr inc_ints(int n, const int64_t *v) {
  inc_attr a = {.n = (int8_t)n};
  if (n > 0) memcpy(a.i, v, sizeof(int64_t) * (size_t)n);
  return a;
}

/* -- parsing ---------------------------------------------------------------------------------------- */
/* Copy s up to (not including) the first of `stop` outside parentheses; returns where it stopped. */
static const char *word(const char *s, const char *stop, char *out, size_t n) {
  size_t at = 0;
  int depth = 0;
  for (; *s && (depth > 0 || !strchr(stop, *s)); s++) {
    depth += (*s == '(') - (*s == ')');
    if (at + 1 < n) out[at++] = *s;
  }
  out[at] = '\0';
  return s;
}

static bool cut_suffix(char *s, const char *suffix) {
  size_t n = strlen(s), k = strlen(suffix);
  if (n < k || strcmp(s + n - k, suffix) != 0) return false;
  s[n - k] = '\0';
  return true;
}

static int enum_place(const char *names, const char *want) {
  size_t k = strlen(want);
  for (int i = 0; *names; i++) {
    size_t n = strcspn(names, "|");
    if (n == k && !memcmp(names, want, n)) return i;
    names += n + (names[n] == '|');
  }
  return 0;
}

static void parse_type(inc_param *p, char *type) {
  static const struct {
    const char *name;
    inc_type type;
  } types[] = {{"tensor", INC_T_TENSOR}, {"int", INC_T_INT},     {"float", INC_T_FLOAT},
               {"bool", INC_T_BOOL},     {"ints", INC_T_INTS},   {"dim", INC_T_DIM},
               {"dims", INC_T_DIMS},     {"index", INC_T_INDEX}, {"dtype", INC_T_DTYPE}};
  p->optional = cut_suffix(type, "?");
  p->mutated = cut_suffix(type, "!");
  p->variadic = cut_suffix(type, "...");
  p->count = 1;
  if (!strncmp(type, "enum(", 5)) {
    p->type = INC_T_ENUM;
    cut_suffix(type, ")");
    word(type + 5, "", p->names, sizeof p->names);
  } else if (!strncmp(type, "int[", 4)) {
    p->type = INC_T_INTN;
    p->count = atoi(type + 4);
  }
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(type, types[i].name)) p->type = types[i].type;
}

/* Dims and indices are written as Lua counts them: 1 becomes 0, negative ones stay. */
static void parse_default(inc_param *p, const char *text) {
  int64_t v = strtoll(text, NULL, 10);
  p->has_default = true;
  switch (p->type) {
  case INC_T_FLOAT:
    p->def = INC_FLOAT(strtod(text, NULL));
    return;
  case INC_T_BOOL:
    v = !strcmp(text, "true");
    break;
  case INC_T_DTYPE:
    v = inc_dtype_parse(text);
    break;
  case INC_T_ENUM:
    v = enum_place(p->names, text);
    break;
  case INC_T_DIM:
  case INC_T_INDEX:
    v -= v > 0;
    break;
  default:
    break;
  }
  p->def = INC_INT(v);
  for (; p->def.n < p->count; p->def.n++) p->def.i[p->def.n] = v;
}

/* One "name:type=default"; returns the text after it. */
static const char *parse_param(const char *s, inc_param *p) {
  char type[128], def[64];
  s = word(s, ":", p->name, sizeof p->name);
  if (*s == ':') s++;
  s = word(s, ",= ", type, sizeof type);
  parse_type(p, type);
  p->def = INC_ABSENT;
  if (*s == '=') {
    s = word(s + 1, ", ", def, sizeof def);
    parse_default(p, def);
  }
  return s + strspn(s, ", ");
}

static int count_shown(const char *s) {
  int n = 0;
  for (s += strspn(s, "-> "); *s; s += strspn(s, ", ")) {
    n += *s != '_';
    s += strcspn(s, ",");
  }
  return n;
}

static void parse(const char *s, inc_sig *sig) {
  enum { MAX_TENSORS = sizeof sig->tensors / sizeof *sig->tensors };
  while (*s && *s != '-') {
    inc_param p = {0};
    s = parse_param(s, &p);
    if (p.type == INC_T_TENSOR) {
      if (sig->n_tensors == MAX_TENSORS) return;
      sig->variadic = sig->variadic || p.variadic;
      sig->mutated |= p.mutated ? 1u << sig->n_tensors : 0;
      sig->tensors[sig->n_tensors++] = p;
    } else {
      if (sig->n_attrs == INC_MAX_ATTRS) return;
      sig->attrs[sig->n_attrs++] = p;
    }
  }
  sig->n_shown = count_shown(s);
}

/* -- lookup ----------------------------------------------------------------------------------------- */
static unsigned slot_of(const inc_op *op) {
  return (unsigned)(((uintptr_t)op >> 4) * 2654435761u >> 7) % N_SLOTS;
}

static void parse_all(void) {
  _Static_assert(N_OPS < N_SLOTS * 3 / 4, "the table of slots is too full");
  for (int i = 0; i < N_OPS; i++) {
    parse(ops[i]->sig, &sigs[i]);
    unsigned k = slot_of(ops[i]);
    while (slots[k]) k = (k + 1) % N_SLOTS;
    slots[k] = (int16_t)(i + 1);
  }
}

int inc_op_count(void) { return N_OPS; }
const inc_op *inc_op_at(int i) { return i >= 0 && i < N_OPS ? ops[i] : NULL; }

const inc_op *inc_op_find(const char *name) {
  for (int i = 0; i < N_OPS; i++)
    if (!strcmp(ops[i]->name, name)) return ops[i];
  return NULL;
}

const inc_sig *inc_op_sig(const inc_op *op) {
  pthread_once(&once, parse_all);
  for (unsigned k = slot_of(op); slots[k]; k = (k + 1) % N_SLOTS)
    if (ops[slots[k] - 1] == op) return &sigs[slots[k] - 1];
  return NULL;
}

int inc_op_outputs(const inc_op *op) {
  if (op->n_out > 0) return op->n_out;
  return op->flags & INC_OP_MUTATES ? 0 : 1;
}

const char *inc_arg_name(const inc_op *op, int in) {
  const inc_sig *sig = inc_op_sig(op);
  if (!sig || sig->n_tensors == 0) return "?";
  int k = sig->variadic || in >= sig->n_tensors ? 0 : in;
  return sig->tensors[k].name;
}
