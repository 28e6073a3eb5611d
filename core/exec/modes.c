/* modes.c -- the per-thread switches that emit reads, layer names, and the default random generator.
**
** Per thread, because a run's thread and the prompt must not see each other's; the generator is one tensor for
** the process, so that a plan can hold it by reference and a replay moves it on. */
#include "base/mem.h"
#include "exec/emit.h"
#include <stdio.h>
#include <string.h>

static _Thread_local bool no_grad, reference;
static _Thread_local int precision = INC_F32;
static _Thread_local char scope[256];
void (*inc_where_hook)(char *out, size_t n);

bool inc_grad_enabled(void) { return !no_grad; }

bool inc_grad_enable(bool on) {
  bool was = !no_grad;
  no_grad = !on;
  return was;
}

int inc_precision(void) { return precision; }

int inc_precision_set(int dtype) {
  int was = precision;
  precision = dtype;
  return was;
}

bool inc_force_reference(bool on) {
  bool was = reference;
  reference = on;
  return was;
}

/* Names longer than the record are cut at a whole component; pop removes what push added. */
void inc_scope_push(const char *name) {
  size_t n = strlen(scope);
  snprintf(scope + n, sizeof scope - n, "%s%s", n ? "." : "", name);
}

void inc_scope_pop(void) {
  char *dot = strrchr(scope, '.');
  if (dot)
    *dot = '\0';
  else
    scope[0] = '\0';
}

void inc_scope_reset(void) { scope[0] = '\0'; }
const char *inc_scope(void) { return scope; }

/* -- random numbers ----------------------------------------------------------------------------------- */

static inc_tensor *rng, *rng_in_use;

void inc_rng_use(inc_tensor *t) {
  inc_tensor_ref(t);
  inc_tensor_unref(rng_in_use);
  rng_in_use = t;
}

bool inc_rng_is_default(const inc_tensor *t) { return t && t == rng; }

static int64_t *rng_state(void) {
  inc_tensor *t;
  return inc_rng_tensor(&t) ? NULL : inc_tensor_data(t);
}

int inc_rng_tensor(inc_tensor **out) {
  if (!rng) {
    inc_spec s = inc_spec_new(INC_I64, 1, (int64_t[]){2});
    INC_TRY(inc_tensor_new(&s, &rng));
    memset(inc_tensor_data(rng), 0, 16);
  }
  *out = rng_in_use ? rng_in_use : rng;
  return INC_OK;
}

void inc_rng_seed(uint64_t seed) {
  int64_t *s = rng_state();
  if (!s) return;
  s[0] = (int64_t)seed;
  s[1] = 0;
}

uint64_t inc_rng_seed_get(void) {
  int64_t *s = rng_state();
  return s ? (uint64_t)s[0] : 0;
}
