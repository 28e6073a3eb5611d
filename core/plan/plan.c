/* plan.c -- from a traced graph to prepared kernels: passes, kernel choice, memory (plan.h). */
#include "base/interrupt.h"
#include "base/mem.h"
#include "exec/compute.h"
#include "exec/emit.h"
#include "exec/kernels.h"
#include "plan/internal.h"
#include "plan/passes.h"
#include <stdio.h>
#include <string.h>

/* -- passes -------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  uint32_t bit;
  int (*run)(inc_graph *);
} passes[] = {
    {"simplify", INC_PASS_SIMPLIFY, inc_pass_simplify},
    {"fuse", INC_PASS_FUSE, inc_pass_fuse},
    {"siblings", INC_PASS_SIBLINGS, inc_pass_siblings},
    {"layout", INC_PASS_LAYOUT, inc_pass_layout},
    {"recompute", INC_PASS_RECOMPUTE, inc_pass_recompute},
    {"sched", 0, inc_pass_sched},
    {"alias", INC_PASS_ALIAS, inc_pass_alias},
    {"uncast", INC_PASS_UNCAST, inc_pass_uncast},
    {"densify", INC_PASS_DENSIFY, inc_pass_densify},
    {"gather", INC_PASS_GATHER | INC_PASS_TILE, inc_pass_gather},
};

static int keep_dump(inc_plan *p, const char *pass) {
  if (!p->opts.dumps || p->n_dumps == INC_MAX_DUMPS) return INC_OK;
  p->dumps[p->n_dumps].pass = pass;
  return inc_graph_dump(p->g, &p->dumps[p->n_dumps++].text);
}

static int run_passes(inc_plan *p) {
  uint32_t off = p->opts.off | (p->opts.reference ? INC_PASS_UNCAST | INC_PASS_DENSIFY : 0u);
  INC_TRY(inc_graph_order_init(p->g));
  INC_TRY(keep_dump(p, "trace"));
  for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
    if (off & passes[i].bit) continue;
    INC_TRY(passes[i].run(p->g));
    INC_TRY(keep_dump(p, passes[i].name));
  }
  for (int i = 0; i < p->g->n_order; i++) inc_graph_load_specs(p->g, p->g->order[i]);
  return INC_OK;
}

/* -- hoisting ------------------------------------------------------------------------------------------ */

/* An op is hoisted if all that it reads is captured tensors that this plan never writes, or hoisted itself.
 */
static bool hoistable(const inc_plan *p, const inc_gop *op, const bool *hoisted) {
  if (op->commit || op->node.n_in == 0) return op->node.n_in == 0 && !op->commit;
  for (int k = 0; k < op->node.n_in; k++) {
    int v = op->in[k];
    if (v < 0) continue;
    int root = inc_graph_root(p->g, v), made = inc_graph_producer(p->g, v);
    if (op->version[k] >= 0) return false;
    if (p->g->values[root].kind == INC_V_INPUT) return false;
    if (p->g->values[root].kind == INC_V_CAPTURED) {
      const inc_tensor *rng = p->g->values[root].tensor;
      if (inc_graph_written(p->g, root) || rng->spec.ndim == 0 || rng->spec.dtype == INC_I64) return false;
    } else if (made < 0 || !hoisted[made]) {
      return false;
    }
  }
  for (int k = 0; k < op->node.n_out; k++) /* a slice of something that is written in each step stays there */
    if (p->g->values[op->out[k]].base >= 0 && !(op->node.op->flags & INC_OP_VIEW)) return false;
  return true;
}

static int move_hoisted_first(inc_plan *p, const bool *hoisted) {
  inc_graph *g = p->g;
  int *order = inc_alloc(sizeof *order * (size_t)(g->n_order + 1)), n = 0;
  if (!order) return INC_EMEM;
  for (int late = 0; late < 2; late++)
    for (int i = 0; i < g->n_order; i++)
      if (hoisted[g->order[i]] == !late) order[n++] = g->order[i];
  memcpy(g->order, order, sizeof *order * (size_t)n);
  inc_free(order);
  return INC_OK;
}

static int find_hoisted(inc_plan *p, bool *hoisted) {
  if (p->opts.off & INC_PASS_HOIST) return INC_OK;
  for (int i = 0; i < p->g->n_order; i++)
    hoisted[p->g->order[i]] = hoistable(p, &p->g->ops[p->g->order[i]], hoisted);
  return move_hoisted_first(p, hoisted);
}

static int watch(inc_plan *p, int value) {
  int root = inc_graph_root(p->g, value);
  inc_tensor *t = p->g->values[root].tensor;
  for (int i = 0; t && i < p->n_watches; i++)
    if (p->watches[i].tensor == t) return INC_OK;
  if (!t) return INC_OK;
  inc_watch *w =
      inc_realloc(p->watches, sizeof *w * (size_t)p->n_watches, sizeof *w * (size_t)(p->n_watches + 1));
  if (!w) return INC_EMEM;
  p->watches = w;
  w[p->n_watches++] = (inc_watch){.tensor = t};
  return INC_OK;
}

/* -- kernels ------------------------------------------------------------------------------------------- */

/* in[1] never changes between hoistings: a kernel may keep its packed copy. */
static bool weight_is_constant(const inc_plan *p, const inc_gop *op, const bool *hoisted) {
  if (op->node.n_in < 2 || op->in[1] < 0) return false;
  int root = inc_graph_root(p->g, op->in[1]), made = inc_graph_producer(p->g, op->in[1]);
  if (p->g->values[root].kind == INC_V_CAPTURED) return !inc_graph_written(p->g, root);
  return made >= 0 && hoisted[made];
}

static int choose(const inc_plan *p, const inc_gop *op, bool constant, inc_choice *out) {
  if (p->opts.reference) return inc_kernel_choose(&op->node, true, out);
  uint32_t prep = (constant ? INC_PREP_KEEP : 0u) | (p->opts.exact ? INC_PREP_EXACT : 0u);
  return inc_cpu_backend.choose(&op->node, prep, out);
}

static int prepare_step(inc_plan *p, int place, const bool *hoisted) {
  int op = p->g->order[place];
  inc_gop *o = &p->g->ops[op];
  inc_step *s = &p->steps[p->n_steps];
  memset(s, 0, sizeof *s);
  s->op = op;
  s->place = place;
  bool constant = !hoisted[op] && weight_is_constant(p, o, hoisted);
  INC_TRY(choose(p, o, constant, &s->choice));
  bool keep = constant && s->choice.flags & INC_K_PACKS;
  if (keep) {
    s->same = 2;
    INC_TRY(watch(p, o->in[1]));
  }
  INC_TRY(inc_cpu_backend.prepare(&o->node, &s->choice, keep ? INC_PREP_KEEP : 0, &s->kernel));
  p->n_steps++;
  p->scratch[place].bytes = s->choice.workspace;
  if (s->choice.workspace > p->workspace_bytes) p->workspace_bytes = s->choice.workspace;
  s->in = inc_zalloc(sizeof *s->in * (size_t)(o->node.n_in + 1));
  s->out = inc_zalloc(sizeof *s->out * (size_t)(o->node.n_out + 1));
  return s->in && s->out ? INC_OK : INC_EMEM;
}

static void note_inner(inc_plan *p, const inc_tile *t) {
  for (int i = 0; i < t->n; i++)
    for (int k = 0; k < t->item[i].n_out; k++)
      p->inner[p->g->ops[t->item[i].op].out[k]] = t->item[i].out[k].scratch >= 0;
}

/* A run of elementwise ops becomes one step; values inside it need no memory. */
static int prepare_tiles(inc_plan *p, const inc_touch *touch, int place, int n) {
  inc_step *s = &p->steps[p->n_steps];
  memset(s, 0, sizeof *s);
  s->op = p->g->order[place];
  s->place = place;
  s->choice.impl = "tile";
  INC_TRY(inc_tiles_new(p->g, touch, place, n, p->opts.reference, &s->tiles));
  p->n_steps++;
  p->scratch[place].bytes = s->tiles->scratch * (size_t)inc_compute_threads();
  for (int i = 0; i < n; i++) p->scratch[place + i].first = place, p->scratch[place + i].last = place + n - 1;
  for (int i = 0; i < s->tiles->n; i++) note_inner(p, &s->tiles->tile[i]);
  return INC_OK;
}

static int step_length(const inc_plan *p, int place, const bool *hoisted) {
  if (p->opts.off & INC_PASS_TILE || hoisted[p->g->order[place]]) return 1;
  return inc_tiles_length(p->g, place);
}

static int name_failure(const inc_gop *op, int code) {
  char line[384];
  inc_error e = *inc_error_last();
  snprintf(line, sizeof line, "%s%s%s%s%s", op->node.op->name, *op->scope ? " in " : "", op->scope,
           *op->where ? " at " : "", op->where);
  snprintf(e.op, sizeof e.op, "plan");
  memmove(e.text + strlen(line) + 2 < e.text + sizeof e.text ? e.text + strlen(line) + 2 : e.text, e.text,
          sizeof e.text - strlen(line) - 3);
  memcpy(e.text, line, strlen(line));
  memcpy(e.text + strlen(line), ": ", 2);
  e.text[sizeof e.text - 1] = '\0';
  inc_error_set(&e);
  return code;
}

static bool compares(const inc_plan *p, int place) {
  return inc_cpu_backend.compares(&p->g->ops[p->g->order[place]].node);
}

static int count_compared(const inc_plan *p) {
  int n = 0;
  for (int i = 0; i < p->g->n_order; i++) n += compares(p, i);
  return n;
}

/* Say how far it is, where the kernels of the last step had to be measured. */
static void tell(const inc_plan *p, int done, int all) {
  const inc_tuned *t = p->steps[p->n_steps - 1].choice.tuned;
  if (p->opts.told && t && t->fresh) p->opts.told(p->opts.listener, done, all);
}

static int prepare_each(inc_plan *p, const inc_touch *touch, const bool *hoisted) {
  inc_graph *g = p->g;
  int done = 0, all = count_compared(p);
  for (int i = 0, n; i < g->n_order; i += n) {
    int op = g->order[i];
    n = 1;
    if (g->ops[op].node.op->flags & INC_OP_VIEW) continue;
    if (inc_interrupt_pending()) return inc_fail(INC_EINTR, NULL, "interrupted while a step was planned");
    n = step_length(p, i, hoisted);
    int code = n > 1 ? prepare_tiles(p, touch, i, n) : INC_ENOTBUILT;
    if (code == INC_ENOTBUILT) n = 1, code = prepare_step(p, i, hoisted);
    if (code) return name_failure(&g->ops[op], code);
    if (n == 1 && compares(p, i)) tell(p, ++done, all);
    p->n_hoisted += hoisted[op];
    p->n_compute += !hoisted[op] && !g->ops[op].commit;
    for (int k = 0; hoisted[op] && k < g->ops[op].node.n_in; k++)
      if (g->ops[op].in[k] >= 0) INC_TRY(watch(p, g->ops[op].in[k]));
  }
  return INC_OK;
}

static int prepare_all(inc_plan *p, const bool *hoisted) {
  inc_touch *touch;
  p->steps = inc_zalloc(sizeof *p->steps * (size_t)(p->g->n_order + 1));
  if (!p->steps) return INC_EMEM;
  INC_TRY(inc_tile_touches(p->g, &touch));
  int code = prepare_each(p, touch, hoisted);
  inc_free(touch);
  return code;
}

static bool reads_default_rng(const inc_graph *g) {
  for (int i = 0; i < g->n_values; i++)
    if (inc_rng_is_default(g->values[i].tensor)) return true;
  return false;
}

static int build(inc_plan *p) {
  INC_TRY(run_passes(p));
  inc_graph *g = p->g;
  bool *hoisted = inc_zalloc((size_t)g->n_ops + 1);
  p->places = inc_alloc(sizeof *p->places * (size_t)(g->n_values + 1));
  p->scratch = inc_zalloc(sizeof *p->scratch * (size_t)(g->n_order + 1));
  p->inner = inc_zalloc((size_t)g->n_values + 1);
  int code = hoisted && p->places && p->scratch && p->inner ? find_hoisted(p, hoisted) : INC_EMEM;
  if (!code) code = prepare_all(p, hoisted);
  inc_cpu_backend.settle();
  if (!code)
    code = inc_arena_place(g, hoisted, !(p->opts.off & INC_PASS_ARENA), p->places, p->scratch, p->inner,
                           &p->arena_bytes, &p->sum_bytes);
  for (int i = 0; !code && i < g->n_values; i++)
    if (p->places[i].last == INT32_MAX) p->kept_bytes += p->places[i].bytes;
  p->steps_rng = reads_default_rng(g);
  inc_free(hoisted);
  return code;
}

int inc_plan_compile(inc_graph *g, const inc_plan_opts *opts, inc_plan **out) {
  inc_plan *p = inc_zalloc(sizeof *p);
  if (!p) {
    inc_graph_free(g);
    return INC_EMEM;
  }
  p->refs = 1;
  p->g = g;
  if (opts) p->opts = *opts;
  pthread_mutex_init(&p->lock, NULL);
  int code = build(p);
  p->opts.told = NULL;
  if (code) {
    inc_plan_unref(p);
    return code;
  }
  *out = p;
  return INC_OK;
}

inc_plan *inc_plan_ref(inc_plan *p) {
  p->refs++;
  return p;
}

void inc_plan_unref(inc_plan *p) {
  if (!p || --p->refs > 0) return;
  for (int i = 0; i < p->n_steps; i++) {
    inc_cpu_backend.drop(p->steps[i].kernel);
    inc_tiles_free(p->steps[i].tiles);
    inc_free(p->steps[i].in);
    inc_free(p->steps[i].out);
  }
  for (int i = 0; i < p->n_dumps; i++) inc_free(p->dumps[i].text);
  inc_free(p->steps);
  inc_free(p->places);
  inc_free(p->patches);
  inc_free(p->watches);
  inc_free(p->scratch);
  inc_free(p->inner);
  inc_plan_drop_arena(p);
  inc_graph_free(p->g);
  pthread_mutex_destroy(&p->lock);
  inc_free(p);
}

/* -- what it is ---------------------------------------------------------------------------------------- */

int inc_plan_inputs(const inc_plan *p) { return p->g->n_inputs; }
int inc_plan_outputs(const inc_plan *p) { return p->g->n_outputs; }

const inc_spec *inc_plan_input_spec(const inc_plan *p, int i) {
  for (int v = 0; v < p->g->n_values; v++)
    if (p->g->values[v].kind == INC_V_INPUT && p->g->values[v].input == i) return &p->g->values[v].spec;
  return NULL;
}

const inc_spec *inc_plan_output_spec(const inc_plan *p, int k) {
  return &p->g->values[p->g->outputs[k]].spec;
}

void inc_plan_memory_get(const inc_plan *p, inc_plan_memory *m) {
  memset(m, 0, sizeof *m);
  m->arena = p->arena_bytes;
  m->workspace = p->workspace_bytes;
  m->kept = p->kept_bytes;
  m->without_reuse = p->sum_bytes;
  m->kernels = p->n_steps;
  for (int i = 0; i < p->g->n_values; i++)
    if (p->g->values[i].tensor) m->captured += inc_spec_bytes(&p->g->values[i].spec);
  for (int i = 0; i < p->n_steps; i++) m->references += (p->steps[i].choice.flags & INC_K_REF) != 0;
}
