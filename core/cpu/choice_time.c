/* choice_time.c -- timing candidates for a node (choice.h).
**
** All run on the compute thread, over inputs of ordinary size (a pattern whose 16-bit halves are good bf16 and
** whose words are good f32; denormals and zeros would lie) and memory that was touched before.  They take
** turns, so that a neighbour on the machine hurts all alike; the least time counts.  One that falls behind runs
** no further, from the first lap on: most differ by half or more, and a lap too many of a slow one is what
** planning a step for the first time costs (training Inception-v3: 13 -> 5 s).  While others are at work a lap
** may take twice its time, so more must fall behind.
*/
#include "base/mem.h"
#include "cpu/choice.h"
#include "cpu/cpu.h"
#include "exec/compute.h"
#include <string.h>
#include <time.h>

static const double worth_flops = 4e6;  /* below this the choice is worth less than the asking */
static const double enough_flops = 1e9; /* a part of the batch that does so much tells as much as all */

typedef struct block { /* kept from node to node: fresh pages cost more than the kernels */
  char *p;
  size_t size;
} block;

static block inputs, others;

typedef struct request {
  const inc_node *node;
  const inc_choice *all;
  const int *which;
  int n;
  uint32_t prep;
  double *ms;
} request;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* -- how much a node does ------------------------------------------------------------------------------ */

static bool is_conv(const inc_node *n) { return !strncmp(n->op->name, "conv2d", 6); }
static bool is_weight_gradient(const inc_node *n) { return !strcmp(n->op->name, "conv2d_backward_weight"); }
static bool is_data_gradient(const inc_node *n) { return !strcmp(n->op->name, "conv2d_backward_data"); }

static double flops_of(const inc_node *n) {
  if (!is_conv(n)) return 0;
  const inc_spec *w = is_weight_gradient(n) ? &n->out[0] : &n->in[1];
  const inc_spec *y = is_weight_gradient(n) ? &n->in[1] : is_data_gradient(n) ? &n->in[0] : &n->out[0];
  if (w->ndim != 4) return 0;
  return 2.0 * (double)inc_spec_numel(y) * (double)(w->shape[1] * w->shape[2] * w->shape[3]);
}

static bool all_floats(const inc_node *n) {
  for (int k = 0; k < n->n_in; k++)
    if (n->in[k].dtype && n->in[k].dtype != INC_F32 && n->in[k].dtype != INC_BF16) return false;
  return inc_op_sig(n->op)->mutated == 0;
}

bool inc_choice_worth(const inc_node *n) { return flops_of(n) >= worth_flops && all_floats(n); }

/* Convolutions: pictures that are timed. */
static int64_t part_of_batch(const inc_node *n) {
  int64_t batch = n->in[0].shape[0], least = 2 * inc_compute_threads();
  /* what a weight gradient does once a batch, not once a picture, must not count as if it were */
  double each = flops_of(n) / (double)batch,
         enough = is_weight_gradient(n) ? 2.5 * enough_flops : enough_flops;
  int64_t want = (int64_t)(enough / each) + 1;
  if (want < least) want = least;
  return want < batch ? want : batch;
}

static void cut_batch(inc_node *n, int64_t batch) {
  n->in[0].shape[0] = batch;
  if (is_weight_gradient(n))
    n->in[1].shape[0] = batch;
  else
    n->out[0].shape[0] = batch;
}

/* -- memory -------------------------------------------------------------------------------------------- */

static size_t bytes_of(const inc_spec *s) {
  return ((size_t)inc_spec_span(s) * inc_dtype_size(s->dtype) + 4095) & ~(size_t)4095;
}

static int grow(block *b, size_t need) {
  if (b->size >= need) return INC_OK;
  inc_free(b->p);
  b->size = 0;
  b->p = inc_alloc(need);
  if (!b->p) return INC_EMEM;
  memset(b->p, 0, need);
  b->size = need;
  return INC_OK;
}

static int grow_inputs(size_t need) {
  if (inputs.size >= need) return INC_OK;
  INC_TRY(grow(&inputs, need));
  uint32_t r = 1, *p = (uint32_t *)(void *)inputs.p;
  for (size_t i = 0; i < inputs.size / 4; i++) {
    r ^= r << 13, r ^= r >> 17, r ^= r << 5;
    p[i] = 0x3f003f00u | (r & 0x807f807fu); /* both halves +-0.5..1 */
  }
  return INC_OK;
}

/* Addresses of everything, the scratch memory behind the outputs. */
static int lay_out(const inc_node *n, size_t workspace, void **in, void **out, void **scratch) {
  size_t a = 0, b = 0;
  for (int k = 0; k < n->n_in; k++)
    if (n->in[k].dtype) a += bytes_of(&n->in[k]);
  for (int k = 0; k < n->n_out; k++) b += bytes_of(&n->out[k]);
  INC_TRY(grow_inputs(a));
  INC_TRY(grow(&others, b + workspace + 4096));
  char *at = inputs.p;
  for (int k = 0; k < n->n_in; k++) {
    in[k] = n->in[k].dtype ? at : NULL;
    if (in[k]) at += bytes_of(&n->in[k]);
  }
  at = others.p;
  for (int k = 0; k < n->n_out; at += bytes_of(&n->out[k++])) out[k] = at;
  *scratch = at;
  return INC_OK;
}

/* -- runs ---------------------------------------------------------------------------------------------- */

enum { TENSORS = 8 };

typedef struct race {
  inc_kernel *kernel[CHOICES];
  void *in[TENSORS], *out[TENSORS], *scratch;
  bool behind[CHOICES]; /* too far to win */
  double best;          /* of all */
} race;

static int lap(race *r, int i, bool again, double *ms) {
  double start = now_ms();
  INC_TRY(inc_cpu_backend.run(r->kernel[i], r->in, r->out, r->scratch, again ? 2 : 0));
  double took = now_ms() - start;
  if (*ms == 0 || took < *ms) *ms = took;
  return INC_OK;
}

static int drop_slower(race *r, const request *q, double than) {
  int running = 0;
  r->best = q->ms[0];
  for (int i = 1; i < q->n; i++)
    if (q->ms[i] < r->best) r->best = q->ms[i];
  for (int i = 0; i < q->n; i++) {
    r->behind[i] |= q->ms[i] > than * r->best;
    running += !r->behind[i];
  }
  return running;
}

static int round_of(race *r, const request *q, bool again) {
  for (int i = 0; i < q->n; i++)
    if (!r->behind[i]) INC_TRY(lap(r, i, again && q->prep & INC_PREP_KEEP, &q->ms[i]));
  return INC_OK;
}

static int run_race(race *r, const request *q) {
  enum { ENOUGH_MS = 12, MOST_ROUNDS = 6 };
  bool packs = q->prep & INC_PREP_KEEP, noisy = inc_choice_busy();
  double early = noisy ? 2.5 : 1.6, later = noisy ? 1.4 : 1.2;
  memset(q->ms, 0, sizeof *q->ms * (size_t)q->n);
  INC_TRY(round_of(r, q, false));
  int running = drop_slower(r, q, packs ? 2 * early : early); /* a lap that packs weights tells little */
  int rounds = 2 + (int)(ENOUGH_MS / r->best);
  if (rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
  for (int k = 0; k < rounds && running > 1; k++) {
    INC_TRY(round_of(r, q, true));
    running = drop_slower(r, q, k == 0 && packs ? early : later);
  }
  return INC_OK;
}

static int prepare(race *r, const inc_node *node, const inc_choice *all, const request *q) {
  size_t workspace = 0;
  for (int i = 0; i < q->n; i++) {
    uint32_t prep = all[i].flags & INC_K_PACKS ? q->prep : 0;
    INC_TRY(inc_cpu_backend.prepare(node, &all[i], prep, &r->kernel[i]));
    workspace = cpu_max(workspace, cpu_max(all[i].workspace, dnn_align(r->kernel[i]->workspace)));
  }
  return lay_out(node, workspace, r->in, r->out, &r->scratch);
}

/* The same candidates for fewer pictures; false where one is not to be had there. */
static bool find_again(const inc_node *part, const request *q, inc_choice *out) {
  inc_choice all[CHOICES];
  int n = 0;
  if (inc_cpu_backend.query(part, all, CHOICES, &n)) return false;
  for (int i = 0; i < q->n; i++) {
    const char *name = inc_choice_name(&q->all[q->which[i]]);
    int k = 0;
    while (k < n && strcmp(inc_choice_name(&all[k]), name) != 0) k++;
    if (k == n) return false;
    out[i] = all[k];
  }
  return true;
}

static int time_all(void *arg) {
  request *q = arg;
  inc_node part = *q->node;
  inc_spec in[TENSORS], out[TENSORS];
  inc_choice choices[CHOICES];
  race r = {0};
  memcpy(in, part.in, sizeof *in * (size_t)part.n_in);
  memcpy(out, part.out, sizeof *out * (size_t)part.n_out);
  part.in = in, part.out = out;
  int64_t batch = q->node->in[0].shape[0], pictures = part_of_batch(q->node);
  cut_batch(&part, pictures);
  if (pictures == batch || !find_again(&part, q, choices)) {
    cut_batch(&part, pictures = batch);
    for (int i = 0; i < q->n; i++) choices[i] = q->all[q->which[i]];
  }
  int code = prepare(&r, &part, choices, q);
  if (!code) code = run_race(&r, q);
  for (int i = 0; i < q->n; i++) {
    inc_cpu_backend.drop(r.kernel[i]);
    q->ms[i] *= (double)batch / (double)pictures;
  }
  return code;
}

int inc_choice_time(const inc_node *node, const inc_choice *all, const int *which, int n, uint32_t prep,
                    double *ms) {
  request q = {node, all, which, n < CHOICES ? n : CHOICES, prep, ms};
  if (node->n_in > TENSORS || node->n_out > TENSORS)
    return inc_fail(INC_EARG, NULL, "a node of %d tensors cannot be timed", node->n_in + node->n_out);
  memset(ms, 0, sizeof *ms * (size_t)n);
  return inc_compute(time_all, &q);
}

void inc_choice_time_done(void) {
  inc_free(inputs.p);
  inc_free(others.p);
  inputs = others = (block){0};
}
