/* test_winograd.c -- our convolutions in the Winograd domain, every form and direction, with every instruction set
** of this CPU: against six nested loops in f64, in and out of channel slices, and to the bit on one and two
** threads.  The instruction set is chosen once a process, so each has a child of its own. */
#include "base/mem.h"
#include "base/tensor.h"
#include "check.h"
#include "cpu/cpu.h"
#include "exec/compute.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORWARD, BY_DATA, BY_WEIGHT, GAP = 8 }; /* gap: channels of the slice's neighbours */

typedef struct problem {
  int64_t n, ci, co, side, kh, kw, pad[2], oh, ow;
  double *x, *w, *dy, *y, *dx, *dw; /* row-major */
} problem;

typedef struct operand {
  inc_spec spec;
  void *p;
} operand;

static double *numbers(int64_t n, uint32_t salt) {
  double *p = malloc(sizeof(double) * (size_t)n);
  for (int64_t i = 0; i < n; i++) /* good bf16 */
    p[i] = salt ? (double)(((uint32_t)i * 2654435761u + salt * 40503u) >> 12 & 255) / 128 - 1 : 0;
  return p;
}

static void loops(problem *p) {
  for (int64_t n = 0; n < p->n; n++)
    for (int64_t o = 0; o < p->co; o++)
      for (int64_t i = 0; i < p->oh; i++)
        for (int64_t j = 0; j < p->ow; j++)
          for (int64_t c = 0; c < p->ci; c++)
            for (int64_t t = 0; t < p->kh * p->kw; t++) {
              int64_t r = i - p->pad[0] + t / p->kw, s = j - p->pad[1] + t % p->kw;
              if (r < 0 || s < 0 || r >= p->side || s >= p->side) continue;
              int64_t xi = ((n * p->ci + c) * p->side + r) * p->side + s;
              int64_t wi = (o * p->ci + c) * p->kh * p->kw + t;
              int64_t yi = ((n * p->co + o) * p->oh + i) * p->ow + j;
              p->y[yi] += p->x[xi] * p->w[wi];
              p->dx[xi] += p->dy[yi] * p->w[wi];
              p->dw[wi] += p->dy[yi] * p->x[xi];
            }
}

static problem make(int64_t side, int64_t ci, int64_t co, int64_t kh, int64_t kw, int64_t ph, int64_t pw) {
  problem p = {.n = 2, .ci = ci, .co = co, .side = side, .kh = kh, .kw = kw, .pad = {ph, pw}};
  p.oh = side + 2 * ph - kh + 1, p.ow = side + 2 * pw - kw + 1;
  int64_t nx = p.n * ci * side * side, nw = ci * co * kh * kw, ny = p.n * co * p.oh * p.ow;
  p.x = numbers(nx, 1), p.w = numbers(nw, 2), p.dy = numbers(ny, 3);
  p.y = numbers(ny, 0), p.dx = numbers(nx, 0), p.dw = numbers(nw, 0);
  loops(&p);
  return p;
}

static void drop(problem *p) {
  double *all[] = {p->x, p->w, p->dy, p->y, p->dx, p->dw};
  for (int i = 0; i < 6; i++) free(all[i]);
}

static void element(const inc_spec *s, int64_t k, int64_t *at) {
  *at = 0;
  for (int d = 3; d >= 0; d--) *at += k % s->shape[d] * s->strides[d], k /= s->shape[d];
}

/* A slice of a channels-last tensor, or a row-major one for weights; memory all around is -3. */
static operand place(int dtype, const int64_t *shape, bool slice, const double *from) {
  operand o = {.spec = inc_spec_new(dtype, 4, shape)};
  if (slice) {
    o.spec.shape[1] += 2 * GAP;
    inc_spec_channels_last(&o.spec);
  }
  int64_t whole = inc_spec_numel(&o.spec), at;
  o.p = inc_alloc((size_t)whole * inc_dtype_size(dtype));
  for (int64_t i = 0; i < whole; i++) inc_store(o.p, dtype, i, -3);
  o.spec.shape[1] = shape[1];
  for (int64_t i = 0; from && i < inc_spec_numel(&o.spec); i++) {
    element(&o.spec, i, &at);
    inc_store(o.p, dtype, at + (slice ? GAP : 0), from[i]);
  }
  return o;
}

static void *first(const operand *o) {
  bool slice = o->spec.strides[1] == 1;
  return (char *)o->p + (slice ? (size_t)GAP * inc_dtype_size(o->spec.dtype) : 0);
}

/* Relative L2 error, or 1 where a neighbour was written to. */
static double away(const operand *o, const double *want) {
  double bad = 0, all = 0;
  int64_t at, n = inc_spec_numel(&o->spec), pixel = o->spec.strides[3];
  for (int64_t i = 0; i < n; i++) {
    element(&o->spec, i, &at);
    double v = inc_load(first(o), o->spec.dtype, at);
    bad += (v - want[i]) * (v - want[i]), all += want[i] * want[i];
  }
  if (o->spec.strides[1] != 1) return sqrt(bad / all);
  for (int64_t i = 0; i < n / o->spec.shape[1] * pixel; i++)
    if ((i % pixel < GAP || i % pixel >= GAP + o->spec.shape[1]) && inc_load(o->p, o->spec.dtype, i) != -3)
      return 1;
  return sqrt(bad / all);
}

typedef struct job {
  inc_node node;
  inc_spec in[3], out[1];
  inc_attr attr[INC_MAX_ATTRS];
  operand a, b, y;
} job;

static void fill_node(job *j, const problem *p, int dir) {
  static const char *const ops[] = {"conv2d", "conv2d_backward_data", "conv2d_backward_weight"};
  inc_attr *at = j->attr + (dir == BY_DATA ? 2 : dir == BY_WEIGHT);
  int64_t one[2] = {1, 1};
  at[0] = at[2] = inc_ints(2, one), at[1] = inc_ints(2, p->pad), at[3] = INC_INT(1);
  j->in[0] = j->a.spec, j->in[1] = j->b.spec, j->out[0] = j->y.spec;
  j->node = (inc_node){.op = inc_op_find(ops[dir]), .n_in = dir == FORWARD ? 3 : 2, .n_out = 1};
  j->node.in = j->in, j->node.out = j->out, j->node.attr = j->attr;
}

static void set_up(job *j, const problem *p, int dir, int dt) {
  int64_t sx[] = {p->n, p->ci, p->side, p->side}, sw[] = {p->co, p->ci, p->kh, p->kw};
  int64_t sy[] = {p->n, p->co, p->oh, p->ow};
  memset(j, 0, sizeof *j);
  j->a = dir == BY_DATA ? place(dt, sy, true, p->dy) : place(dt, sx, true, p->x);
  j->b = dir == BY_WEIGHT ? place(dt, sy, true, p->dy) : place(INC_F32, sw, false, p->w);
  j->y = dir == FORWARD   ? place(dt, sy, true, NULL)
         : dir == BY_DATA ? place(dt, sx, true, NULL)
                          : place(INC_F32, sw, false, NULL);
  fill_node(j, p, dir);
}

/* On so many threads; false where this form is not offered. */
static bool compute(job *j, const char *way, int threads) {
  inc_choice all[8];
  int count = 0, i = 0;
  inc_kernel *k = NULL;
  inc_compute_threads_set(threads);
  if (inc_cpu_backend.query(&j->node, all, 8, &count)) return false;
  while (i < count && (!all[i].way || strcmp(all[i].way, way) != 0)) i++;
  if (i == count || inc_cpu_backend.prepare(&j->node, &all[i], 0, &k)) return false;
  void *ws = inc_alloc(all[i].workspace + 64), *in[3] = {first(&j->a), first(&j->b)}, *out[] = {first(&j->y)};
  bool ok = inc_cpu_backend.run(k, in, out, ws, 0) == INC_OK;
  inc_cpu_backend.drop(k);
  inc_free(ws);
  return ok;
}

static void check_one(const problem *p, int dir, int dt, const char *way, double most) {
  const double *want[] = {p->y, p->dx, p->dw};
  job one, two;
  set_up(&one, p, dir, dt);
  set_up(&two, p, dir, dt);
  size_t bytes = (size_t)inc_spec_span(&one.y.spec) * inc_dtype_size(one.y.spec.dtype);
  const char *isa = inc_kernels_get()->isa;
  if (!compute(&one, way, 1) || !compute(&two, way, 2))
    CHECK_FAIL("%s: %s does not serve %dx%d, direction %d", isa, way, (int)p->kh, (int)p->kw, dir);
  double e = away(&one.y, want[dir]);
  if (!(e < (dt == INC_F32 || dir == BY_WEIGHT ? most : 4e-3)))
    CHECK_FAIL("%s: %s, %dx%d, direction %d: off by %g", isa, way, (int)p->kh, (int)p->kw, dir, e);
  if (memcmp(first(&one.y), first(&two.y), bytes) != 0)
    CHECK_FAIL("%s: %s, %dx%d, direction %d: two threads differ", isa, way, (int)p->kh, (int)p->kw, dir);
  job *both[] = {&one, &two};
  for (int i = 0; i < 2; i++) inc_free(both[i]->a.p), inc_free(both[i]->b.p), inc_free(both[i]->y.p);
}

static void check_all(problem p, double small, double large) {
  for (int dir = FORWARD; dir <= BY_WEIGHT; dir++)
    for (int dt = 0; dt < 2; dt++) {
      check_one(&p, dir, dt ? INC_BF16 : INC_F32, "winograd-tiles", small);
      if (large > 0) check_one(&p, dir, dt ? INC_BF16 : INC_F32, "winograd-tiles6", large);
    }
  drop(&p);
}

/* In a child, with kernels for this instruction set. */
static void with(const char *isa) {
  if (!inc_kernels_named(isa)) return;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    setenv("INC_CPU", isa, 1);
    check_all(make(18, 24, 52, 3, 3, 1, 1), 2e-6, 8e-6);
    check_all(make(13, 37, 20, 1, 7, 0, 3), 5e-6, 0);
    check_all(make(17, 20, 37, 7, 1, 3, 0), 5e-6, 1e-5);
    check_all(make(17, 36, 16, 1, 7, 0, 3), 5e-6, 1e-5);
    check_all(make(9, 16, 33, 5, 5, 2, 2), 1e-5, 0);
    check_all(make(8, 41, 49, 1, 3, 0, 1), 2e-6, 0);
    check_all(make(7, 70, 16, 3, 1, 1, 0), 2e-6, 0);
    fflush(stdout);
    _exit(check_bad_);
  }
  int status = 1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
}

TEST(plain) { with("plain"); }
TEST(avx2) { with("avx2"); }
TEST(avx512) { with("avx512"); }
TEST(avx512bf) { with("avx512bf"); }
