/* explain.c -- a plan in words: one row a kernel, what was fused, what it costs.
** Times, and a table of where they go, appear once a profiled run has filled them in (inc_plan_profile). */
#include "base/mem.h"
#include "base/text.h"
#include "exec/compute.h"
#include "plan/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take(inc_text *t, char **out) {
  if (inc_text_done(t)) {
    inc_text_free(t);
    return INC_EMEM;
  }
  *out = t->s;
  return INC_OK;
}

static size_t bytes_moved(const inc_gop *op) {
  size_t n = 0;
  for (int k = 0; k < op->node.n_in; k++)
    if (op->in[k] >= 0) n += inc_spec_bytes(&op->node.in[k]);
  for (int k = 0; k < op->node.n_out; k++) n += inc_spec_bytes(&op->node.out[k]);
  return n;
}

/* Multiply-adds x 2 of a convolution or product, from its own shapes; 0 for the rest. */
static double flops(const inc_gop *op) {
  const inc_node *n = &op->node;
  const char *name = n->op->name;
  if (!strncmp(name, "conv2d", 6)) {
    const inc_spec *w = !strcmp(name, "conv2d_backward_weight") ? &n->out[0] : &n->in[1];
    const inc_spec *y = !strcmp(name, "conv2d_backward_weight") ? &n->in[1]
                        : !strcmp(name, "conv2d_backward_data") ? &n->in[0]
                                                                : &n->out[0];
    return 2.0 * (double)inc_spec_numel(y) * (double)(w->shape[1] * w->shape[2] * w->shape[3]);
  }
  if (!strcmp(name, "matmul") || !strcmp(name, "linear"))
    return 2.0 * (double)inc_spec_numel(&n->out[0]) * (double)n->in[0].shape[n->in[0].ndim - 1];
  return 0;
}

static const char *layout_name(const inc_spec *s) {
  if (s->ndim != 4) return "";
  return inc_spec_is_contiguous(s)      ? "nchw"
         : inc_spec_is_channels_last(s) ? "nhwc"
         : s->strides[1] == 1           ? "nhwc slice"
                                        : "strided";
}

static const char *phase(const inc_plan *p, int i) {
  return i < p->n_hoisted                  ? "once"
         : i < p->n_hoisted + p->n_compute ? (p->g->ops[p->steps[i].op].backward ? "bwd" : "fwd")
                                           : "commit";
}

/* "tile of sub_ mul add_", for the note. */
static const char *tile_ops(const inc_plan *p, const inc_tile *tile, char *out, size_t n) {
  size_t used = (size_t)snprintf(out, n, "tile of");
  for (int k = 0; k < tile->n && used < n; k++)
    used += (size_t)snprintf(out + used, n - used, " %s", p->g->ops[tile->item[k].op].node.op->name);
  return out;
}

/* The shape of what a step makes or writes; of many tiles, how many. */
static const char *shape_of(const inc_step *s, const inc_spec *y, char *out, size_t n) {
  if (!s->tiles || s->tiles->n == 1) return inc_shape_text(y->ndim, y->shape, out, n);
  snprintf(out, n, "%d tensors", s->tiles->n);
  return out;
}

static size_t tile_bytes(const inc_plan *p, const inc_tile *t) {
  size_t n = 0;
  for (int i = 0; i < t->n; i++) {
    const inc_gop *op = &p->g->ops[t->item[i].op];
    for (int k = 0; k < op->node.n_in; k++)
      if (op->in[k] >= 0 && t->item[i].in[k].scratch < 0) n += inc_spec_bytes(&op->node.in[k]);
    for (int k = 0; k < op->node.n_out; k++)
      if (t->item[i].out[k].scratch < 0) n += inc_spec_bytes(&op->node.out[k]);
  }
  return n;
}

static size_t step_bytes(const inc_plan *p, const inc_step *s) {
  size_t n = 0;
  for (int i = 0; s->tiles && i < s->tiles->n; i++) n += tile_bytes(p, &s->tiles->tile[i]);
  return s->tiles ? n : bytes_moved(&p->g->ops[s->op]);
}

static double step_flops(const inc_plan *p, const inc_step *s) {
  return s->tiles ? 0 : flops(&p->g->ops[s->op]);
}

/* -- cost ------------------------------------------------------------------------------------------------ */

typedef struct cost {
  double work, bytes; /* FLOP, 0 for what only moves; bytes touched */
  double least, took; /* ns: the least that the machine could take, by the one or the other; the last run's */
} cost;

static cost cost_of(const inc_plan *p, const inc_step *s) {
  const inc_gop *op = &p->g->ops[s->op];
  int dtype = op->node.n_in && op->node.in[0].dtype == INC_BF16 ? INC_BF16 : INC_F32;
  cost c = {.work = step_flops(p, s), .bytes = (double)step_bytes(p, s), .took = (double)s->ns};
  if (c.took == 0) return c; /* a peak is measured when it is asked for */
  double peak = inc_cpu_backend.peak(c.work > 0 ? dtype : INC_NONE);
  if (peak > 0) c.least = (c.work > 0 ? c.work : c.bytes) / peak * 1e9;
  return c;
}

static void add_cost(cost *sum, const cost *c) {
  sum->work += c->work, sum->bytes += c->bytes, sum->least += c->least, sum->took += c->took;
}

/* "231 GF/s  97%" */
static void put_rate(const cost *c, char *out, size_t n) {
  bool works = c->work > 0;
  snprintf(out, n, "%5.0f %s %4.0f%%", (works ? c->work : c->bytes) / c->took, works ? "GF/s" : "GB/s",
           100 * c->least / c->took);
}

/* -- rows ------------------------------------------------------------------------------------------------ */

static void put_row(inc_text *t, const inc_plan *p, int i) {
  const inc_step *s = &p->steps[i];
  char ops[128];
  const inc_gop *op = &p->g->ops[s->op];
  const inc_spec *y = op->node.n_out ? &op->node.out[0] : &op->node.in[0];
  char shape[96], rate[40] = "";
  cost c = cost_of(p, s);
  if (s->ns > 0) put_rate(&c, rate, sizeof rate);
  inc_text_format(t, "%4d %-6s %-24s %-34s %-28s %-4s %-20s %-10s %8.1f %8.3f %-16s  %s%s%s\n", i,
                  phase(p, i), op->node.op->name, op->scope, s->choice.impl, inc_dtype_name(y->dtype),
                  shape_of(s, y, shape, sizeof shape), layout_name(y), c.bytes / 1e6, (double)s->ns / 1e6,
                  rate,
                  s->tiles   ? tile_ops(p, s->tiles->tile, ops, sizeof ops)
                  : op->note ? op->note
                             : "",
                  *op->where ? "  " : "", op->where);
  if (s->choice.tuned && *s->choice.tuned->times)
    inc_text_format(t, "%11s measured: %s\n", "", s->choice.tuned->times);
}

/* -- sums ------------------------------------------------------------------------------------------------ */

typedef struct kind {
  const char *op, *kernel;
  int n;
  cost sum;
} kind;

static kind *kind_of(kind *list, int *n, const char *op, const char *kernel) {
  for (int i = 0; i < *n; i++)
    if (!strcmp(list[i].op, op) && !strcmp(list[i].kernel, kernel)) return &list[i];
  list[*n] = (kind){.op = op, .kernel = kernel};
  return &list[(*n)++];
}

static int slower_first(const void *a, const void *b) {
  double x = ((const kind *)a)->sum.took, y = ((const kind *)b)->sum.took;
  return (x < y) - (x > y);
}

/* One row a kind of kernel: where the time goes, and how near each kind is to what the machine can do. */
static int put_kinds(inc_text *t, const inc_plan *p, const cost *all) {
  char rate[40];
  int n = 0;
  kind *list = inc_alloc(sizeof *list * (size_t)(p->n_steps + 1));
  if (!list) return INC_EMEM;
  for (int i = 0; i < p->n_steps; i++) {
    const inc_step *s = &p->steps[i];
    cost c = cost_of(p, s);
    if (s->ns == 0) continue;
    kind *k = kind_of(list, &n, p->g->ops[s->op].node.op->name, s->choice.impl);
    k->n++;
    add_cost(&k->sum, &c);
  }
  qsort(list, (size_t)n, sizeof *list, slower_first);
  inc_text_format(t, "\n%4s %-28s %-34s %9s %7s %10s %9s %10s %5s\n", "n", "op", "kernel", "ms", "of all",
                  "GFLOP", "MB", "rate", "peak");
  for (int i = 0; i < n; i++) {
    const cost *c = &list[i].sum;
    put_rate(c, rate, sizeof rate);
    inc_text_format(t, "%4d %-28s %-34s %9.2f %6.1f%% %10.2f %9.1f %s\n", list[i].n, list[i].op,
                    list[i].kernel, c->took / 1e6, 100 * c->took / all->took, c->work / 1e9, c->bytes / 1e6,
                    rate);
  }
  inc_free(list);
  return INC_OK;
}

static int put_times(inc_text *t, const inc_plan *p) {
  cost all = {0}, products = {0};
  for (int i = 0; i < p->n_steps; i++) {
    cost c = cost_of(p, &p->steps[i]);
    if (c.took == 0) continue;
    add_cost(&all, &c);
    if (c.work > 0) add_cost(&products, &c);
  }
  if (all.took == 0) return INC_OK;
  if (products.took > 0)
    inc_text_format(t, "%.1f ms, of which convolutions and products %.1f ms at %.0f GFLOP/s\n",
                    all.took / 1e6, products.took / 1e6, products.work / products.took);
  inc_text_format(
      t,
      "%.0f%% of what this machine was measured to do at most: f32 %.0f, bf16 %.0f GFLOP/s, reading "
      "%.0f GB/s (Winograd counted as if direct, so a convolution may pass 100%%)\n",
      100 * all.least / all.took, inc_cpu_backend.peak(INC_F32) / 1e9, inc_cpu_backend.peak(INC_BF16) / 1e9,
      inc_cpu_backend.peak(INC_NONE) / 1e9);
  return put_kinds(t, p, &all);
}

static int put_totals(inc_text *t, const inc_plan *p) {
  double work = 0;
  for (int i = 0; i < p->n_steps; i++) work += step_flops(p, &p->steps[i]);
  inc_plan_memory m;
  inc_plan_memory_get(p, &m);
  inc_text_format(
      t,
      "%d kernels (%d reference), %.2f GFLOP, arena %.1f MB (%.1f MB without reuse), workspace %.1f MB, %d "
      "threads\n",
      m.kernels, m.references, work / 1e9, (double)m.arena / 1e6, (double)m.without_reuse / 1e6,
      (double)m.workspace / 1e6, inc_compute_threads());
  return put_times(t, p);
}

int inc_plan_explain(inc_plan *p, char **out) {
  inc_text t = {0};
  inc_text_format(&t, "%4s %-6s %-24s %-34s %-28s %-4s %-20s %-10s %8s %8s %10s %5s\n", "#", "phase", "op",
                  "layer", "kernel", "type", "shape", "layout", "MB", "ms", "rate", "peak");
  for (int i = 0; i < p->n_steps; i++) put_row(&t, p, i);
  int code = put_totals(&t, p);
  if (!code) return take(&t, out);
  inc_text_free(&t);
  return code;
}

int inc_plan_dump(const inc_plan *p, const char *pass, char **out) {
  for (int i = 0; i < p->n_dumps; i++)
    if (!strcmp(p->dumps[i].pass, pass)) {
      *out = inc_strdup(p->dumps[i].text);
      return *out ? INC_OK : INC_EMEM;
    }
  return inc_fail(INC_EARG, "pass",
                  "expected trace, simplify, fuse, siblings, layout, recompute, sched, alias, uncast, "
                  "densify or gather, got %s",
                  pass),
         inc_hint("dumps are kept when the plan is made with dumps = true");
}

void inc_plan_profile(inc_plan *p, bool on) { p->profile = on; }

int inc_plan_choices(const inc_plan *p, char **out) {
  inc_text t = {0};
  inc_text_format(&t, "threads %d\n", inc_compute_threads());
  for (int i = 0; i < p->n_steps; i++) {
    const inc_choice *c = &p->steps[i].choice;
    inc_text_format(&t, "%s %s", p->g->ops[p->steps[i].op].node.op->name, c->impl);
    if (c->tuned) inc_text_format(&t, "\t%s\t%s", c->tuned->name, c->tuned->key);
    inc_text_put(&t, "\n");
  }
  return take(&t, out);
}
