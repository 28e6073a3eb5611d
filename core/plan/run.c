/* run.c -- replaying a plan: patch the argument addresses, then a loop over prepared kernels.
**
** Work on captured tensors alone (folded weights, casts of constants) is done again only when the version
** of one of them has changed.  After the second run nothing is allocated here.
*/
#include "base/interrupt.h"
#include "base/mem.h"
#include "exec/compute.h"
#include "exec/emit.h"
#include "plan/internal.h"
#include "plan/passes.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* -- memory -------------------------------------------------------------------------------------------- */

void *inc_plan_address(const inc_plan *p, int value) {
  const inc_graph *g = p->g;
  int64_t offset = 0;
  int v = value;
  for (; g->values[v].base >= 0; v = g->values[v].base) offset += g->values[v].base_offset;
  int64_t bytes = offset * (int64_t)inc_dtype_size(g->values[v].spec.dtype);
  if (g->values[v].kind == INC_V_CAPTURED) return (char *)inc_tensor_data(g->values[v].tensor) + bytes;
  if (g->values[v].kind == INC_V_INPUT || p->places[v].offset < 0) return NULL;
  return p->arena + p->places[v].offset + bytes;
}

static int patch(inc_plan *p, void **slot, int value) {
  const inc_graph *g = p->g;
  int64_t offset = 0;
  int v = value;
  for (; g->values[v].base >= 0; v = g->values[v].base) offset += g->values[v].base_offset;
  if (g->values[v].kind != INC_V_INPUT) return INC_OK;
  inc_patch *list =
      inc_realloc(p->patches, sizeof *list * (size_t)p->n_patches, sizeof *list * (size_t)(p->n_patches + 1));
  if (!list) return INC_EMEM;
  p->patches = list;
  list[p->n_patches++] =
      (inc_patch){slot, g->values[v].input, offset * (int64_t)inc_dtype_size(g->values[v].spec.dtype)};
  return INC_OK;
}

static int wire_operand(inc_plan *p, inc_tile_operand *o, int value) {
  if (value < 0 || o->scratch >= 0) return INC_OK;
  o->base = inc_plan_address(p, value);
  return patch(p, &o->base, value);
}

static int wire_tile(inc_plan *p, const inc_tile *t) {
  for (int i = 0; i < t->n; i++) {
    const inc_gop *op = &p->g->ops[t->item[i].op];
    for (int k = 0; k < op->node.n_in; k++) INC_TRY(wire_operand(p, &t->item[i].in[k], op->in[k]));
    for (int k = 0; k < op->node.n_out; k++) INC_TRY(wire_operand(p, &t->item[i].out[k], op->out[k]));
  }
  return INC_OK;
}

static int wire(inc_plan *p) {
  for (int i = 0; i < p->n_steps; i++) {
    inc_step *s = &p->steps[i];
    if (s->tiles) {
      s->workspace = p->arena + p->scratch[s->place].offset;
      for (int k = 0; k < s->tiles->n; k++) INC_TRY(wire_tile(p, &s->tiles->tile[k]));
      continue;
    }
    const inc_gop *op = &p->g->ops[s->op];
    s->workspace = p->arena + p->scratch[s->place].offset;
    for (int k = 0; k < op->node.n_in; k++) {
      if (op->in[k] < 0) continue;
      s->in[k] = inc_plan_address(p, op->in[k]);
      INC_TRY(patch(p, &s->in[k], op->in[k]));
    }
    for (int k = 0; k < op->node.n_out; k++) {
      bool unread = k > 0 && s->choice.flags & INC_K_SPARES && inc_graph_count_uses(p->g, op->out[k]) == 0;
      s->out[k] = unread ? NULL : inc_plan_address(p, op->out[k]);
    }
  }
  return INC_OK;
}

static void unwire(inc_plan *p) {
  inc_free(p->patches);
  p->arena = NULL;
  p->patches = NULL;
  p->n_patches = 0;
}

int inc_plan_allocate(inc_plan *p) {
  if (p->arena && !p->shared) return INC_OK;
  char *arena = NULL;
  if (p->shared)
    inc_arena_take(p, &arena);
  else
    arena = inc_alloc(p->arena_bytes);
  if (arena && arena == p->arena) return INC_OK;
  unwire(p);
  if (!arena)
    return inc_fail(INC_EMEM, NULL, "out of memory: the step wants %.2f GiB in one block",
                    (double)p->arena_bytes / (1 << 30)),
           inc_hint("a smaller batch takes less: memory grows in proportion to it");
  p->arena = arena;
  int code = wire(p);
  if (code) {
    if (!p->shared) inc_free(p->arena);
    unwire(p);
  }
  return code;
}

/* -- running ------------------------------------------------------------------------------------------- */

static int blame(const inc_plan *p, const inc_step *s, int code) {
  const inc_gop *op = &p->g->ops[s->op];
  char name[64];
  snprintf(name, sizeof name, "%s", op->node.op->name);
  inc_error_op(name);
  if (*op->scope || *op->where) inc_hint("in %s (%s)", *op->scope ? op->scope : "the step", op->where);
  return code;
}

static int run_step(inc_plan *p, inc_step *s, bool same) {
  int64_t start = p->profile ? now_ns() : 0;
  int code = s->tiles ? inc_tiles_run(s->tiles, s->workspace)
                      : inc_cpu_backend.run(s->kernel, s->in, s->out, s->workspace, same ? s->same : 0);
  if (p->profile) s->ns = now_ns() - start;
  return code ? blame(p, s, code) : INC_OK;
}

typedef struct request {
  inc_plan *p;
  int from, to;
  bool interruptible, same;
} request;

static int run_range(void *arg) {
  request *r = arg;
  for (int i = r->from; i < r->to; i++) {
    inc_compute_yield();
    if (r->interruptible && inc_interrupt_pending()) return inc_fail(INC_EINTR, NULL, "interrupted");
    INC_TRY(run_step(r->p, &r->p->steps[i], r->same));
  }
  return INC_OK;
}

static bool watched_changed(inc_plan *p) {
  bool changed = !p->hoisted_done;
  for (int i = 0; i < p->n_watches; i++) {
    uint32_t now = p->watches[i].tensor->buf->version;
    changed |= now != p->watches[i].version;
    p->watches[i].version = now;
  }
  return changed;
}

static int compute(inc_plan *p, bool interruptible) {
  bool again = watched_changed(p);
  request r = {.p = p,
               .from = again ? 0 : p->n_hoisted,
               .to = p->n_hoisted + p->n_compute,
               .interruptible = interruptible,
               .same = !again};
  p->hoisted_done = false; /* until it has run to its end */
  INC_TRY(inc_compute(run_range, &r));
  p->hoisted_done = true;
  return INC_OK;
}

/* Versions rise for all that was written, so that plans which keep packed copies of it know. */
static void mark_written_by(inc_plan *p, const inc_gop *op) {
  for (int k = 0; k < op->node.n_in; k++) {
    if (op->version[k] < 0) continue;
    inc_tensor *t = p->g->values[inc_graph_root(p->g, op->in[k])].tensor;
    if (t) inc_tensor_touched(t);
  }
}

static void mark_tile(inc_plan *p, const inc_tile *t) {
  for (int k = 0; k < t->n; k++) mark_written_by(p, &p->g->ops[t->item[k].op]);
}

static void mark_written(inc_plan *p) {
  for (int i = p->n_hoisted + p->n_compute; i < p->n_steps; i++) {
    const inc_tiles *s = p->steps[i].tiles;
    for (int k = 0; s && k < s->n; k++) mark_tile(p, &s->tile[k]);
    if (!s) mark_written_by(p, &p->g->ops[p->steps[i].op]);
  }
}

static void step_generator(inc_plan *p) {
  inc_tensor *rng = NULL;
  if (p->steps_rng && !inc_rng_tensor(&rng) && inc_rng_is_default(rng))
    ((int64_t *)inc_tensor_data(rng))[1]++;
}

static int commit(inc_plan *p) {
  request r = {.p = p, .from = p->n_hoisted + p->n_compute, .to = p->n_steps};
  INC_TRY(inc_compute(run_range, &r));
  mark_written(p);
  step_generator(p);
  return INC_OK;
}

/* -- arguments ----------------------------------------------------------------------------------------- */

static int check_argument(const inc_plan *p, int i, const inc_tensor *t) {
  const inc_spec *want = inc_plan_input_spec(p, i);
  char a[96], b[96], arg[24];
  snprintf(arg, sizeof arg, "argument %d", i + 1);
  if (!t->buf) return inc_fail(INC_ESTATE, arg, "has no value: plans do not nest");
  if (t->spec.dtype == want->dtype && inc_spec_same_shape(&t->spec, want)) return INC_OK;
  return inc_fail(INC_EARG, arg, "expected %s %s, got %s %s", inc_dtype_name(want->dtype),
                  inc_shape_text(want->ndim, want->shape, a, sizeof a), inc_dtype_name(t->spec.dtype),
                  inc_shape_text(t->spec.ndim, t->spec.shape, b, sizeof b));
}

/* Arguments in other strides than traced are copied into a tensor that has them. */
static int settle(const inc_spec *want, inc_tensor *t, inc_tensor **made) {
  if (inc_spec_same_strides(&t->spec, want)) {
    *made = inc_tensor_ref(t);
    return INC_OK;
  }
  inc_tensor *copy;
  INC_TRY(inc_tensor_new(want, &copy));
  inc_tensor *in[2] = {copy, t};
  bool was = inc_grad_enable(false);
  int code = inc_emit(&inc_op_copy_, 2, in, NULL, NULL);
  inc_grad_enable(was);
  if (code) {
    inc_tensor_unref(copy);
    return code;
  }
  *made = copy;
  return INC_OK;
}

enum { MAX_ARGS = 16 };

static int bind_arguments(inc_plan *p, inc_tensor *const *in, inc_tensor **held) {
  int n = inc_plan_inputs(p);
  if (n > MAX_ARGS) return inc_fail(INC_EARG, NULL, "expected at most %d arguments, got %d", MAX_ARGS, n);
  for (int i = 0; i < n; i++) {
    INC_TRY(check_argument(p, i, in[i]));
    INC_TRY(settle(inc_plan_input_spec(p, i), in[i], &held[i]));
  }
  for (int k = 0; k < p->n_patches; k++)
    *p->patches[k].slot = (char *)inc_tensor_data(held[p->patches[k].input]) + p->patches[k].bytes;
  return INC_OK;
}

static void release(inc_tensor **held) {
  for (int i = 0; i < MAX_ARGS; i++) inc_tensor_unref(held[i]);
}

static int copy_outputs(inc_plan *p, inc_tensor **out) {
  for (int k = 0; k < p->g->n_outputs; k++) out[k] = NULL;
  for (int k = 0; k < p->g->n_outputs; k++) {
    inc_spec s = *inc_plan_output_spec(p, k);
    inc_spec_contiguous(&s);
    INC_TRY(inc_tensor_new(&s, &out[k]));
    INC_TRY(inc_plan_read(p, k, inc_tensor_data(out[k])));
  }
  return INC_OK;
}

static int compute_held(inc_plan *p, inc_tensor *const *in, inc_tensor **held, bool interruptible) {
  INC_TRY(inc_plan_allocate(p));
  INC_TRY(bind_arguments(p, in, held));
  p->args = (const inc_tensor *const *)held;
  return compute(p, interruptible);
}

int inc_plan_run(inc_plan *p, inc_tensor *const *in, inc_tensor **out) {
  inc_tensor *held[MAX_ARGS] = {0};
  pthread_mutex_lock(&p->lock);
  int code = compute_held(p, in, held, true);
  if (!code) code = commit(p);
  if (!code) code = copy_outputs(p, out);
  if (code)
    for (int k = 0; k < p->g->n_outputs; k++) {
      inc_tensor_unref(out[k]);
      out[k] = NULL;
    }
  p->args = NULL;
  release(held);
  pthread_mutex_unlock(&p->lock);
  return code;
}

int inc_plan_compute(inc_plan *p, inc_tensor *const *in) {
  inc_tensor *held[MAX_ARGS] = {0};
  pthread_mutex_lock(&p->lock);
  int code = compute_held(p, in, held, false);
  p->args = NULL;
  release(held);
  pthread_mutex_unlock(&p->lock);
  return code;
}

int inc_plan_commit(inc_plan *p) {
  pthread_mutex_lock(&p->lock);
  int code = commit(p);
  pthread_mutex_unlock(&p->lock);
  return code;
}

/* -- results ------------------------------------------------------------------------------------------- */

/* An output may be an argument handed back, whose address only the run knows. */
static const char *output_address(const inc_plan *p, int output) {
  int v = p->g->outputs[output], root = inc_graph_root(p->g, v);
  if (p->g->values[root].kind != INC_V_INPUT) return inc_plan_address(p, v);
  return p->args ? inc_tensor_data(p->args[p->g->values[root].input]) : NULL;
}

double inc_plan_peek(const inc_plan *p, int output) {
  const char *at = output_address(p, output);
  return at ? inc_load(at, inc_plan_output_spec(p, output)->dtype, 0) : 0;
}

int inc_plan_read(const inc_plan *p, int output, void *dst) {
  const inc_spec *s = inc_plan_output_spec(p, output);
  const char *src = output_address(p, output);
  if (!src) return inc_fail(INC_ESTATE, NULL, "an argument handed back has no address after the run");
  size_t size = inc_dtype_size(s->dtype);
  int64_t n = inc_spec_numel(s);
  if (inc_spec_is_contiguous(s)) {
    memcpy(dst, src, (size_t)n * size);
    return INC_OK;
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t at = 0, rest = i;
    for (int d = s->ndim - 1; d >= 0; d--) at += rest % s->shape[d] * s->strides[d], rest /= s->shape[d];
    memcpy((char *)dst + (size_t)i * size, src + (size_t)at * size, size);
  }
  return INC_OK;
}

/* -- finding a NaN ------------------------------------------------------------------------------------- */

static bool all_finite(const inc_spec *s, const void *data) {
  int64_t n = inc_spec_numel(s);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = 0, rest = i;
    for (int d = s->ndim - 1; d >= 0; d--) at += rest % s->shape[d] * s->strides[d], rest /= s->shape[d];
    if (!isfinite(inc_load(data, s->dtype, at))) return false;
  }
  return true;
}

static bool step_is_finite(const inc_plan *p, const inc_step *s) {
  if (s->tiles) return true; /* what it makes is looked at where it is used */
  const inc_gop *op = &p->g->ops[s->op];
  for (int k = 0; k < op->node.n_out; k++)
    if (inc_dtype_is_float(op->node.out[k].dtype) && !all_finite(&op->node.out[k], s->out[k])) return false;
  return true;
}

typedef struct hunt {
  inc_plan *p;
  char *name;
  size_t n;
} hunt;

static int hunt_run(void *arg) {
  hunt *h = arg;
  for (int i = 0; i < h->p->n_hoisted + h->p->n_compute; i++) {
    inc_step *s = &h->p->steps[i];
    INC_TRY(run_step(h->p, s, false));
    if (step_is_finite(h->p, s)) continue;
    const inc_gop *op = &h->p->g->ops[s->op];
    snprintf(h->name, h->n, "%s%s%s%s%s%s", op->node.op->name, *op->scope ? " in " : "", op->scope,
             *op->where ? " (" : "", op->where, *op->where ? ")" : "");
    break;
  }
  return INC_OK;
}

int inc_plan_find_nan(inc_plan *p, inc_tensor *const *in, char *name, size_t n) {
  inc_tensor *held[MAX_ARGS] = {0};
  name[0] = '\0';
  pthread_mutex_lock(&p->lock);
  int code = inc_plan_allocate(p);
  if (!code) code = bind_arguments(p, in, held);
  hunt h = {p, name, n};
  if (!code) code = inc_compute(hunt_run, &h);
  release(held);
  pthread_mutex_unlock(&p->lock);
  return code;
}
