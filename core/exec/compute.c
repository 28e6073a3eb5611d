/* compute.c -- a queue of calls and the thread that serves it (compute.h).
**
** The thread starts with the first call, so a script that never computes never pays for it.  A plan step is
** one call that yields between its nodes; a yield serves calls from other threads in order.  Nested serving
** is safe because a served call (one op of the prompt) finishes before the step goes on.  A call that was
** given up while it waited is taken out of the queue; one that runs is left to end by itself, because no library
** can be stopped half-way through a convolution.
*/
#include "exec/compute.h"
#include "base/err.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef struct call {
  struct call *next;
  int (*fn)(void *);
  void *arg;
  int code;
  bool done, left; /* left: nobody waits for it any more */
  void (*drop)(void *);
  inc_error error;
} call;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static call *first, **last = &first;
static _Atomic int waiting;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static bool start_failed;
static _Atomic int n_threads;
static _Thread_local bool is_self;

void inc_compute_denormals_off(void) {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
  unsigned long fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  __asm__ volatile("msr fpcr, %0" ::"r"(fpcr | (1ul << 24)));
#endif
}

bool inc_compute_is_self(void) { return is_self; }

/* The first number of a variable of the environment, 0 if it says none. */
static int env_threads(const char *name) {
  const char *text = getenv(name);
  int n = text ? atoi(text) : 0;
  return n > 0 ? n : 0;
}

int inc_compute_threads(void) {
  if (!n_threads) n_threads = env_threads("INC_THREADS");
  if (!n_threads) n_threads = env_threads("OMP_NUM_THREADS");
  if (!n_threads) n_threads = omp_get_num_procs();
  return n_threads;
}

void inc_compute_threads_here(void) { omp_set_num_threads(inc_compute_threads()); }

static void team_setup(void) {
  inc_compute_threads_here();
#pragma omp parallel
  inc_compute_denormals_off();
}

static call *take(void) { /* with the lock held */
  call *c = first;
  if (c) {
    first = c->next;
    if (!first) last = &first;
    waiting--;
  }
  return c;
}

static void serve(call *c) {
  c->code = c->fn(c->arg);
  if (c->code) c->error = *inc_error_last();
  pthread_mutex_lock(&lock);
  bool left = c->left;
  c->done = true;
  if (!left) pthread_cond_broadcast(&finished);
  pthread_mutex_unlock(&lock);
  if (!left) return;
  c->drop(c->arg);
  inc_free(c);
}

static void *loop(void *unused) {
  (void)unused;
  is_self = true;
  team_setup();
  for (;;) {
    pthread_mutex_lock(&lock);
    call *c;
    while (!(c = take())) pthread_cond_wait(&arrived, &lock);
    pthread_mutex_unlock(&lock);
    serve(c);
  }
  return NULL;
}

static void start(void) {
  pthread_t t;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, 16 << 20);
  start_failed = pthread_create(&t, &attr, loop, NULL) != 0;
  pthread_attr_destroy(&attr);
}

static int start_once(void) {
  pthread_once(&started, start);
  return start_failed ? inc_fail(INC_EDEVICE, NULL, "the compute thread could not be started") : INC_OK;
}

static void put(call *c) { /* with the lock held */
  *last = c;
  last = &c->next;
  waiting++;
  pthread_cond_signal(&arrived);
}

int inc_compute(int (*fn)(void *), void *arg) {
  if (is_self) return fn(arg);
  INC_TRY(start_once());
  call c = {.fn = fn, .arg = arg};
  pthread_mutex_lock(&lock);
  put(&c);
  while (!c.done) pthread_cond_wait(&finished, &lock);
  pthread_mutex_unlock(&lock);
  if (c.code) inc_error_set(&c.error);
  return c.code;
}

/* A signal does not end a wait for a condition, so the flag is looked at now and then; with the lock held. */
static void wait_a_little(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  t.tv_nsec += 50 * 1000 * 1000;
  if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
  pthread_cond_timedwait(&finished, &lock, &t);
}

/* Take a call that has not begun out of the queue, with the lock held; false when it has begun. */
static bool take_back(call *c) {
  for (call **p = &first; *p; p = &(*p)->next) {
    if (*p != c) continue;
    *p = c->next;
    if (last == &c->next) last = p;
    waiting--;
    return true;
  }
  return false;
}

/* Wait for a call or for Ctrl-C, with the lock held; false when the call was left to itself. */
static bool await(call *c) {
  bool can_leave = c->drop != NULL;
  while (!c->done) {
    if (inc_interrupt_pending()) {
      if (take_back(c)) return true;
      if (can_leave) break;
    }
    wait_a_little();
  }
  c->left = !c->done;
  return c->done;
}

int inc_compute_loose(int (*fn)(void *), void *arg, void (*drop)(void *arg)) {
  int code = is_self ? INC_OK : start_once();
  call *c = code || is_self ? NULL : inc_zalloc(sizeof *c);
  if (!c) {
    code = code ? code : is_self ? fn(arg) : INC_EMEM;
    if (drop) drop(arg);
    return code;
  }
  c->fn = fn, c->arg = arg, c->drop = drop;
  pthread_mutex_lock(&lock);
  put(c);
  bool mine = await(c);
  bool done = mine && c->done;
  pthread_mutex_unlock(&lock);
  code = done ? c->code : inc_fail(INC_EINTR, NULL, "interrupted");
  if (done && code) inc_error_set(&c->error);
  if (mine && drop) drop(arg);
  if (mine) inc_free(c);
  return code;
}

void inc_compute_yield(void) {
  while (waiting > 0) {
    pthread_mutex_lock(&lock);
    call *c = take();
    pthread_mutex_unlock(&lock);
    if (c) serve(c);
  }
}

static int apply_threads(void *unused) {
  (void)unused;
  team_setup();
  return INC_OK;
}

int inc_compute_threads_set(int n) {
  if (n < 1 || n > 1024) return inc_fail(INC_EARG, "threads", "expected 1 to 1024, got %d", n);
  n_threads = n;
  inc_compute_threads_here();
  return inc_compute(apply_threads, NULL);
}
