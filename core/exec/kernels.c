/* kernels.c -- the eager kernel cache (kernels.h).
**
** A key is the bytes of the node flattened; keys are compared whole, so a hash collision costs time and
** never a wrong kernel.  A wide call can be left alone by Ctrl-C: what it needs is then held until it has
** ended.  Kernels may hold state while they run, so calls are made under one lock or on the
** compute thread: the lock is taken by narrow calls only, whose kernels are stateless tables of functions.
*/
#include "exec/kernels.h"
#include "base/mem.h"
#include "exec/compute.h"
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BUCKETS = 1024, LIMIT = 4096 };

typedef struct entry {
  struct entry *next;
  uint64_t hash;
  inc_choice choice;
  inc_kernel *kernel;
  _Atomic int users; /* calls that nobody waits for may still run */
  size_t key_size;
  uint8_t key[];
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *table[BUCKETS];
static int count;

typedef struct key_text {
  uint8_t *p;
  size_t n;
} key_text;

static void key_add(key_text *k, const void *p, size_t n) {
  memcpy(k->p + k->n, p, n);
  k->n += n;
}

static void key_spec(key_text *k, const inc_spec *s) {
  key_add(k, &s->dtype, 2);
  key_add(k, s->shape, sizeof(int64_t) * (size_t)s->ndim);
  key_add(k, s->strides, sizeof(int64_t) * (size_t)s->ndim);
}

static size_t key_bound(const inc_node *n) {
  return 16 + (size_t)(n->n_in + n->n_out) * sizeof(inc_spec) + INC_MAX_ATTRS * sizeof(inc_attr);
}

static size_t key_make(const inc_node *n, bool reference, uint8_t *out) {
  key_text k = {out, 0};
  key_add(&k, &n->op, sizeof n->op);
  key_add(&k, &reference, 1);
  for (int i = 0; i < n->n_in; i++) key_spec(&k, &n->in[i]);
  for (int i = 0; i < n->n_out; i++) key_spec(&k, &n->out[i]);
  int n_attrs = inc_op_sig(n->op)->n_attrs;
  for (int i = 0; i < n_attrs; i++) {
    key_add(&k, &n->attr[i].n, 1);
    if (n->attr[i].n > 0) key_add(&k, n->attr[i].i, sizeof(int64_t) * (size_t)n->attr[i].n);
  }
  return k.n;
}

static uint64_t hash_bytes(const uint8_t *p, size_t n) { /* FNV-1a over words, high bits folded back */
  uint64_t h = 1469598103934665603ull, word = 0;
  for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
    memcpy(&word, p, sizeof word);
    h = (h ^ word) * 1099511628211ull;
    h ^= h >> 32;
  }
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211ull;
  return h ^ h >> 29;
}

int inc_kernel_choose(const inc_node *node, bool reference, inc_choice *out) {
  inc_choice all[8];
  int n = 0;
  INC_TRY(inc_cpu_backend.query(node, all, 8, &n));
  int pick = 0;
  if (reference)
    while (pick < n - 1 && !(all[pick].flags & INC_K_REF)) pick++;
  *out = all[pick];
  return INC_OK;
}

static void drop_all(void) {
  for (int b = 0; b < BUCKETS; b++)
    for (entry **p = &table[b], *e; (e = *p);) {
      if (e->users > 0) {
        p = &e->next;
        continue;
      }
      *p = e->next;
      inc_cpu_backend.drop(e->kernel);
      inc_free(e);
      count--;
    }
}

void inc_kernel_cache_clear(void) {
  pthread_mutex_lock(&lock);
  drop_all();
  pthread_mutex_unlock(&lock);
}

int inc_kernel_cache_count(void) { return count; }

/* A narrow kernel runs on its caller's thread: the library must neither plan for a team nor start one. */
static int prepare(const inc_node *node, const inc_choice *choice, inc_kernel **out) {
  if (choice->flags & INC_K_WIDE) return inc_cpu_backend.prepare(node, choice, 0, out);
  int was = omp_get_max_threads();
  omp_set_num_threads(1);
  int code = inc_cpu_backend.prepare(node, choice, 0, out);
  omp_set_num_threads(was);
  return code;
}

static int make_entry(const inc_node *node, bool reference, const uint8_t *key, size_t n, uint64_t hash,
                      entry **out) {
  entry *e = inc_alloc(sizeof *e + n);
  if (!e) return INC_EMEM;
  int code = inc_kernel_choose(node, reference, &e->choice);
  if (!code) code = prepare(node, &e->choice, &e->kernel);
  if (code) {
    inc_free(e);
    return code;
  }
  memcpy(e->key, key, n);
  e->users = 0;
  e->key_size = n;
  e->hash = hash;
  e->next = table[hash % BUCKETS];
  table[hash % BUCKETS] = e;
  count++;
  *out = e;
  return INC_OK;
}

static int find(const inc_node *node, bool reference, entry **out) {
  uint8_t small[2048], *key = small;
  size_t bound = key_bound(node);
  if (bound > sizeof small && !(key = inc_alloc(bound))) return INC_EMEM;
  size_t n = key_make(node, reference, key);
  uint64_t hash = hash_bytes(key, n);
  entry *e = table[hash % BUCKETS];
  while (e && (e->hash != hash || e->key_size != n || memcmp(e->key, key, n))) e = e->next;
  int code = INC_OK;
  if (!e) {
    if (count >= LIMIT) drop_all();
    code = make_entry(node, reference, key, n, hash, &e);
  }
  if (key != small) inc_free(key);
  *out = e;
  return code;
}

typedef struct request {
  entry *e;
  void *const *in, *const *out;
} request;

/* Scratch memory is kept: fresh pages cost more than most kernels. */
static int run_entry(void *arg) {
  static _Thread_local void *scratch;
  static _Thread_local size_t scratch_size;
  request *r = arg;
  if (r->e->choice.workspace > scratch_size) {
    inc_free(scratch);
    scratch_size = 0;
    scratch = inc_alloc(r->e->choice.workspace);
    if (!scratch) return INC_EMEM;
    scratch_size = r->e->choice.workspace;
  }
  return inc_cpu_backend.run(r->e->kernel, r->in, r->out, scratch, 0);
}

static int run_here(request *r) {
  int team = omp_get_max_threads();
  if (team > 1) omp_set_num_threads(1);
#if defined(__x86_64__)
  unsigned saved = _mm_getcsr();
  _mm_setcsr(saved | 0x8040);
  int code = run_entry(r);
  _mm_setcsr(saved);
#else
  int code = run_entry(r);
#endif
  if (team > 1) omp_set_num_threads(team);
  return code;
}

int inc_kernel_call(const inc_node *node, bool reference, void *const *in, void *const *out) {
  pthread_mutex_lock(&lock);
  request r = {.in = in, .out = out};
  int code = find(node, reference, &r.e);
  if (!code) {
    bool wide = r.e->choice.flags & INC_K_WIDE;
    code = wide ? inc_compute_loose(run_entry, &r, NULL) : run_here(&r);
  }
  pthread_mutex_unlock(&lock);
  return code;
}

/* -- calls that may be left alone ----------------------------------------------------------------------- */

/* A call with everything it needs: addresses, and a reference to the memory behind them. */
typedef struct held {
  request r;
  int n;
  inc_buffer **buffer; /* [n] */
  void *address[];     /* in, then out; then the room for `buffer` */
} held;

static int run_held(void *arg) { return run_entry(&((held *)arg)->r); }

static void drop_held(void *arg) {
  held *h = arg;
  for (int i = 0; i < h->n; i++) inc_buffer_unref(h->buffer[i]);
  h->r.e->users--;
  inc_free(h);
}

static held *hold(const inc_node *node, entry *e, void *const *in, void *const *out,
                  inc_tensor *const *tensors, int n) {
  size_t addresses = (size_t)(node->n_in + node->n_out);
  held *h = inc_alloc(sizeof *h + (addresses + (size_t)n) * sizeof(void *));
  if (!h) return NULL;
  for (int i = 0; i < node->n_in; i++) h->address[i] = in[i];
  for (int k = 0; k < node->n_out; k++) h->address[node->n_in + k] = out[k];
  h->r = (request){e, h->address, h->address + node->n_in};
  h->buffer = (inc_buffer **)(void *)(h->address + addresses);
  h->n = 0;
  for (int i = 0; i < n; i++)
    if (tensors[i] && tensors[i]->buf) inc_buffer_ref(h->buffer[h->n++] = tensors[i]->buf);
  e->users++;
  return h;
}

int inc_kernel_call_loose(const inc_node *node, bool reference, void *const *in, void *const *out,
                          inc_tensor *const *tensors, int n) {
  pthread_mutex_lock(&lock);
  request r = {.in = in, .out = out};
  int code = find(node, reference, &r.e);
  if (!code && r.e->choice.flags & INC_K_WIDE) {
    held *h = hold(node, r.e, in, out, tensors, n);
    code = h ? inc_compute_loose(run_held, h, drop_held) : INC_EMEM;
  } else if (!code)
    code = run_here(&r);
  pthread_mutex_unlock(&lock);
  return code;
}
