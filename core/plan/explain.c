/* explain.c -- a plan in words: one row a kernel, what was fused, what it costs.
** Times appear once a profiled run has filled them in (inc_plan_profile). */
#include "base/mem.h"
#include "base/text.h"
#include "exec/compute.h"
#include "plan/internal.h"
#include <stdio.h>
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

/* "sub_ mul add_" of a tile, for its note. */
static const char *tile_ops(const inc_plan *p, const inc_tile *tile, char *out, size_t n) {
  size_t used = (size_t)snprintf(out, n, "tile of");
  for (int k = 0; k < tile->n && used < n; k++)
    used += (size_t)snprintf(out + used, n - used, " %s", p->g->ops[tile->item[k].op].node.op->name);
  return out;
}

/* The least time that the machine could take for the node: by its arithmetic, or by the bytes it touches. */
static double least_ns(const inc_gop *op) {
  double work = flops(op);
  int dtype = op->node.n_in && op->node.in[0].dtype == INC_BF16 ? INC_BF16 : INC_F32;
  double peak = inc_cpu_backend.peak(work > 0 ? dtype : INC_NONE);
  return peak > 0 ? (work > 0 ? work : (double)bytes_moved(op)) / peak * 1e9 : 0;
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

/* "231 GF/s  97%" */
static void put_rate(const inc_plan *p, const inc_step *s, char *out, size_t n) {
  const inc_gop *op = &p->g->ops[s->op];
  double work = s->tile ? 0 : flops(op), bytes = (double)(s->tile ? tile_bytes(p, s->tile) : bytes_moved(op));
  double read = inc_cpu_backend.peak(INC_NONE);
  double least = s->tile ? (read > 0 ? bytes / read * 1e9 : 0) : least_ns(op);
  snprintf(out, n, "%5.0f %s %4.0f%%", (work > 0 ? work : bytes) / (double)s->ns, work > 0 ? "GF/s" : "GB/s",
           100 * least / (double)s->ns);
}

static void put_row(inc_text *t, const inc_plan *p, int i) {
  const inc_step *s = &p->steps[i];
  char ops[128];
  const inc_gop *op = &p->g->ops[s->op];
  const inc_spec *y = op->node.n_out ? &op->node.out[0] : &op->node.in[0];
  char shape[96], rate[40] = "";
  size_t bytes = s->tile ? tile_bytes(p, s->tile) : bytes_moved(op);
  if (s->ns > 0) put_rate(p, s, rate, sizeof rate);
  inc_text_format(t, "%4d %-6s %-24s %-34s %-28s %-4s %-20s %-10s %8.1f %8.3f %-16s  %s%s%s\n", i,
                  phase(p, i), op->node.op->name, op->scope, s->choice.impl, inc_dtype_name(y->dtype),
                  inc_shape_text(y->ndim, y->shape, shape, sizeof shape), layout_name(y), (double)bytes / 1e6,
                  (double)s->ns / 1e6, rate,
                  s->tile    ? tile_ops(p, s->tile, ops, sizeof ops)
                  : op->note ? op->note
                             : "",
                  *op->where ? "  " : "", op->where);
  if (s->choice.tuned && *s->choice.tuned->times)
    inc_text_format(t, "%11s measured: %s\n", "", s->choice.tuned->times);
}

static void put_times(inc_text *t, const inc_plan *p) {
  double total = 0, work = 0, conv = 0, least = 0;
  for (int i = 0; i < p->n_steps; i++) {
    const inc_step *s = &p->steps[i];
    if (s->ns == 0) continue;
    double f = s->tile ? 0 : flops(&p->g->ops[s->op]), read = inc_cpu_backend.peak(INC_NONE);
    total += (double)s->ns;
    work += f;
    if (f > 0) conv += (double)s->ns;
    least += !s->tile   ? least_ns(&p->g->ops[s->op])
             : read > 0 ? (double)tile_bytes(p, s->tile) / read * 1e9
                        : 0;
  }
  if (total == 0) return;
  if (conv > 0)
    inc_text_format(t, "%.1f ms, of which convolutions and products %.1f ms at %.0f GFLOP/s\n", total / 1e6,
                    conv / 1e6, work / conv);
  inc_text_format(
      t,
      "%.0f%% of what this machine was measured to do at most: f32 %.0f, bf16 %.0f GFLOP/s, reading "
      "%.0f GB/s (Winograd counted as if direct, so a convolution may pass 100%%)\n",
      100 * least / total, inc_cpu_backend.peak(INC_F32) / 1e9, inc_cpu_backend.peak(INC_BF16) / 1e9,
      inc_cpu_backend.peak(INC_NONE) / 1e9);
}

static void put_totals(inc_text *t, const inc_plan *p) {
  double work = 0;
  for (int i = 0; i < p->n_steps; i++)
    if (!p->steps[i].tile) work += flops(&p->g->ops[p->steps[i].op]);
  inc_plan_memory m;
  inc_plan_memory_get(p, &m);
  inc_text_format(
      t,
      "%d kernels (%d reference), %.2f GFLOP, arena %.1f MB (%.1f MB without reuse), workspace %.1f MB, %d "
      "threads\n",
      m.kernels, m.references, work / 1e9, (double)m.arena / 1e6, (double)m.without_reuse / 1e6,
      (double)m.workspace / 1e6, inc_compute_threads());
  put_times(t, p);
}

int inc_plan_explain(inc_plan *p, char **out) {
  inc_text t = {0};
  inc_text_format(&t, "%4s %-6s %-24s %-34s %-28s %-4s %-20s %-10s %8s %8s %10s %5s\n", "#", "phase", "op",
                  "layer", "kernel", "type", "shape", "layout", "MB", "ms", "rate", "peak");
  for (int i = 0; i < p->n_steps; i++) put_row(&t, p, i);
  put_totals(&t, p);
  return take(&t, out);
}

int inc_plan_dump(const inc_plan *p, const char *pass, char **out) {
  for (int i = 0; i < p->n_dumps; i++)
    if (!strcmp(p->dumps[i].pass, pass)) {
      *out = inc_strdup(p->dumps[i].text);
      return *out ? INC_OK : INC_EMEM;
    }
  return inc_fail(INC_EARG, "pass",
                  "expected trace, simplify, fuse, siblings, layout, recompute, sched, alias, uncast or "
                  "densify, got %s",
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
