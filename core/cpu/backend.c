/* backend.c -- the CPU's answers to query, prepare and run (backend.h).
**
** Rows are found by op name, so an op without a fast kernel needs no line here: its own reference loop
** serves.  What a row holds is in cpu.h; INC_KERNELS=ref in the environment leaves only references (tests).
*/
#include "backend.h"
#include "base/mem.h"
#include "cpu/choice.h"
#include "cpu/cpu.h"
#include <stdlib.h>
#include <string.h>

enum { REF_ID = -1, LISTS = 11, THROUGH = 1 << 16 }; /* ids: list * 256 + place, plus THROUGH */

static const cpu_row *const lists[LISTS] = {
    cpu_conv_rows, cpu_winograd_rows, cpu_product_rows, cpu_norm_rows,  cpu_pool_rows,  cpu_ewise_rows,
    cpu_move_rows, cpu_reduce_rows,   cpu_loss_rows,    cpu_optim_rows, cpu_random_rows};

static bool references_only(void) {
  const char *s = getenv("INC_KERNELS");
  return s && !strcmp(s, "ref");
}

static const cpu_row *row_of(int id) { return &lists[id / 256][id % 256]; }

static void start_kernel(inc_kernel *k, const cpu_row *row) {
  memset(k, 0, sizeof *k);
  k->row = row;
  k->k = inc_kernels_get();
  k->impl = k->k->isa;
}

static int try_row(const inc_node *n, int id, inc_choice *out) {
  inc_kernel k;
  start_kernel(&k, row_of(id));
  bool ok = k.row->make(n, &k);
  if (ok)
    *out = (inc_choice){
        .impl = k.impl, .way = k.way, .flags = k.flags, .workspace = dnn_align(k.workspace), .id = id};
  if (k.row->drop) k.row->drop(&k);
  return ok;
}

static int64_t work_of(const inc_node *n) {
  int64_t most = 0;
  for (int i = 0; i < n->n_in; i++) {
    int64_t m = n->in[i].dtype ? inc_spec_numel(&n->in[i]) : 0;
    most = m > most ? m : most;
  }
  for (int i = 0; i < n->n_out; i++)
    most = inc_spec_numel(&n->out[i]) > most ? inc_spec_numel(&n->out[i]) : most;
  return most;
}

/* A dim of size 0 leaves nothing to hurry for, and oneDNN divides by it. */
static bool any_empty(const inc_node *n) {
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i].dtype && inc_spec_numel(&n->in[i]) == 0) return true;
  for (int i = 0; i < n->n_out; i++)
    if (inc_spec_numel(&n->out[i]) == 0) return true;
  return false;
}

static int try_rows(const inc_node *n, inc_choice *out, int max) {
  int got = 0;
  for (int l = 0; l < LISTS; l++)
    for (int i = 0; lists[l][i].op && got < max; i++)
      if (!strcmp(lists[l][i].op, n->op->name)) got += try_row(n, l * 256 + i, &out[got]);
  return got;
}

/* The best f32 kernel with casts around it. */
static int try_through(const inc_node *n, inc_choice *out) {
  inc_node wide;
  inc_spec specs[12];
  cpu_through t;
  if (!cpu_through_widen(n, &wide, specs) || !try_rows(&wide, out, 1) || out->flags & INC_K_REF) return 0;
  out->id |= THROUGH;
  out->flags = INC_K_WIDE;
  out->workspace = cpu_through_place(n, &t, out->workspace);
  return 1;
}

static int query(const inc_node *n, inc_choice *out, int max, int *count) {
  int got = 0;
  if (!any_empty(n) && !references_only()) {
    got = try_rows(n, out, max - 1);
    if ((got == 0 || out[0].flags & INC_K_REF) && try_through(n, out)) got = 1;
  }
  inc_error_clear(); /* a row that says no may have left a reason */
  if (n->op->ref && got < max)
    out[got++] = (inc_choice){.impl = "ref", .flags = INC_K_REF | CPU_IF_WIDE(work_of(n)), .id = REF_ID};
  *count = got;
  if (got) return INC_OK;
  return inc_fail(INC_ENOTBUILT, NULL, "no CPU kernel for these dtypes and shapes");
}

static int choose(const inc_node *n, uint32_t prep, inc_choice *out) {
  inc_choice all[CHOICES];
  int count = 0;
  INC_TRY(query(n, all, CHOICES, &count));
  return inc_choice_pick(n, all, count, prep, out);
}

/* The node with its specs and attributes, so that the caller's may go. */
static int copy_node(const inc_node *n, inc_node *out) {
  size_t specs = sizeof(inc_spec) * (size_t)(n->n_in + n->n_out), attrs = sizeof(inc_attr) * INC_MAX_ATTRS;
  char *block = inc_alloc(specs + attrs);
  if (!block) return INC_EMEM;
  *out = *n;
  out->in = (inc_spec *)(void *)block;
  out->out = out->in + n->n_in;
  out->attr = (inc_attr *)(void *)(block + specs);
  memcpy(out->in, n->in, sizeof(inc_spec) * (size_t)n->n_in);
  memcpy(out->out, n->out, sizeof(inc_spec) * (size_t)n->n_out);
  if (n->attr) memcpy(out->attr, n->attr, attrs);
  return INC_OK;
}

static void drop(inc_kernel *k) {
  if (!k) return;
  if (k->row && k->row->drop) k->row->drop(k);
  if (k->through) drop(k->through->inner);
  inc_free(k->through);
  inc_free(k->node.in);
  inc_free(k);
}

static int prepare(const inc_node *n, const inc_choice *choice, uint32_t prep, inc_kernel **out);

static int prepare_through(inc_kernel *k, const inc_choice *choice) {
  inc_node wide;
  inc_spec specs[12];
  inc_choice inner = *choice;
  inner.id &= ~THROUGH;
  k->through = inc_zalloc(sizeof *k->through);
  if (!k->through) return INC_EMEM;
  cpu_through_widen(&k->node, &wide, specs);
  INC_TRY(prepare(&wide, &inner, 0, &k->through->inner));
  cpu_through_place(&k->node, k->through, k->through->inner->workspace);
  return INC_OK;
}

static int prepare_row(inc_kernel *k, uint32_t prep) {
  if (!k->row->make(&k->node, k))
    return inc_fail(INC_ESTATE, NULL, "%s: the kernel chosen for this node no longer fits it",
                    k->node.op->name);
  return k->row->build ? k->row->build(k, prep) : INC_OK;
}

static int prepare(const inc_node *n, const inc_choice *choice, uint32_t prep, inc_kernel **out) {
  inc_kernel *k = inc_alloc(sizeof *k);
  if (!k) return INC_EMEM;
  bool through = choice->id != REF_ID && choice->id & THROUGH;
  start_kernel(k, through || choice->id == REF_ID ? NULL : row_of(choice->id));
  int code = copy_node(n, &k->node);
  if (!code && through) code = prepare_through(k, choice);
  if (!code && k->row) code = prepare_row(k, prep);
  if (code) {
    drop(k);
    return code;
  }
  *out = k;
  return INC_OK;
}

static int run(inc_kernel *k, void *const *in, void *const *out, void *workspace, uint32_t same) {
  if (k->through) return cpu_through_run(k, in, out, workspace);
  if (!k->row) return k->node.op->ref(&k->node, in, out);
  return k->row->run(k, in, out, workspace, same);
}

static bool wants_channels_last(const inc_node *n) {
  static const char *const names[] = {
      "conv2d",     "conv2d_relu",      "conv2d_backward_data", "conv2d_backward_weight", "max_pool2d",
      "avg_pool2d", "batch_norm_train", "batch_norm_eval",      "adaptive_avg_pool2d"};
  if (n->n_in < 1 || n->in[0].ndim != 4 || !cpu_float_dtype(n->in[0].dtype)) return false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i], n->op->name)) return true;
  return false;
}

const inc_backend inc_cpu_backend = {
    .abi = INC_BACKEND_ABI,
    .name = "cpu",
    .query = query,
    .choose = choose,
    .settle = inc_choice_settle,
    .compares = inc_choice_worth,
    .prepare = prepare,
    .run = run,
    .drop = drop,
    .peak = cpu_peak,
    .wants_channels_last = wants_channels_last,
};
