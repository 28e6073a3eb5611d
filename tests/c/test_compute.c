/* test_compute.c -- the compute thread's calls that may be left: who runs them, who waits for them, and that what
** they were given is let go exactly once, by whoever needed it last.
**
** Ctrl-C is played as in the shell: by a signal of the thread that waits.  Calls that stop at a gate make the order
** of events certain.  The same tests run under the thread sanitizer (make tsan), hence one core: what is looked
** at is the queue.
*/
#include "base/err.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "check.h"
#include "exec/compute.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

typedef struct job {
  int code;                   /* what it gives */
  bool asks, stops;           /* Ctrl-C once it has begun; waits for `gate` */
  bool on_thread, dropped_on; /* on the compute thread? */
  _Atomic int ran, dropped;
  sem_t begun, gate, gone;
} job;

static pthread_t waiter; /* whose Ctrl-C it is */

static void down(sem_t *s) {
  while (sem_wait(s) != 0 && errno == EINTR) continue;
}

static void nap(int ms) { nanosleep(&(struct timespec){0, ms * 1000000L}, NULL); }

static void on_signal(int sig) {
  (void)sig;
  inc_interrupt_raise();
}

/* Before each test: one core, no Ctrl-C, and an end for a test that hangs. */
static void set_up(void) {
  setenv("INC_THREADS", "1", 1);
  alarm(120);
  waiter = pthread_self();
  signal(SIGUSR1, on_signal);
  inc_interrupt_clear();
}

static void make(job *j) {
  sem_init(&j->begun, 0, 0);
  sem_init(&j->gate, 0, 0);
  sem_init(&j->gone, 0, 0);
}

static int work(void *arg) {
  job *j = arg;
  j->on_thread = inc_compute_is_self();
  j->ran++;
  if (j->asks) pthread_kill(waiter, SIGUSR1);
  sem_post(&j->begun);
  if (j->stops) down(&j->gate);
  return j->code ? inc_fail(j->code, "x", "because of %d", 7) : INC_OK;
}

static void drop(void *arg) {
  job *j = arg;
  j->dropped_on = inc_compute_is_self();
  j->dropped++;
  sem_post(&j->gone);
}

static int nothing(void *unused) { return (void)unused, INC_OK; }

static void *call_work(void *arg) {
  inc_compute(work, arg);
  return NULL;
}

/* Keep the compute thread at a gate, so that whatever comes is queued. */
static pthread_t occupy(job *j) {
  pthread_t t;
  j->stops = true;
  make(j);
  pthread_create(&t, NULL, call_work, j);
  down(&j->begun);
  return t;
}

static void release(job *j, pthread_t t) {
  sem_post(&j->gate);
  pthread_join(t, NULL);
}

/* -- nobody asks ---------------------------------------------------------------------------------------- */

TEST(it_runs_on_the_compute_thread_and_is_dropped_by_who_waited) {
  job j = {0};
  set_up(), make(&j);
  CHECK_EQ(inc_compute_loose(work, &j, drop), INC_OK);
  CHECK(j.ran == 1 && j.on_thread);
  CHECK(j.dropped == 1 && !j.dropped_on);
  CHECK_EQ(inc_compute_loose(work, &j, NULL), INC_OK);
  CHECK(j.ran == 2 && j.dropped == 1);
}

TEST(its_error_is_told_to_who_waited) {
  job j = {.code = INC_ENAN};
  set_up(), make(&j);
  inc_error_clear();
  CHECK_EQ(inc_compute_loose(work, &j, drop), INC_ENAN);
  CHECK_STR(inc_error_last()->text, "because of 7");
  CHECK_STR(inc_error_last()->arg, "x");
  CHECK_EQ(j.dropped, 1);
}

static int call_loose(void *arg) { return inc_compute_loose(work, arg, drop); }

TEST(on_the_compute_thread_it_runs_in_place) {
  job j = {.code = INC_EIO};
  set_up(), make(&j);
  CHECK_EQ(inc_compute(call_loose, &j), INC_EIO);
  CHECK(j.ran == 1 && j.dropped == 1 && j.dropped_on);
}

TEST(without_memory_it_never_runs_and_is_dropped) {
  job j = {0};
  set_up(), make(&j);
  int64_t before = inc_mem_live();
  inc_mem_fail_at(1);
  int code = inc_compute_loose(work, &j, drop);
  inc_mem_fail_at(0);
  CHECK_EQ(code, INC_EMEM);
  CHECK(j.ran == 0 && j.dropped == 1);
  CHECK_EQ(inc_mem_live(), before);
}

/* -- Ctrl-C --------------------------------------------------------------------------------------------- */

TEST(ctrl_c_leaves_a_call_that_runs_and_it_goes_on) {
  job j = {.asks = true, .stops = true};
  set_up(), make(&j);
  int64_t before = inc_mem_live();
  CHECK_EQ(inc_compute_loose(work, &j, drop), INC_EINTR);
  CHECK_STR(inc_error_last()->text, "interrupted");
  CHECK(j.ran == 1 && j.dropped == 0); /* it stands at its gate and still needs what it was given */
  inc_interrupt_clear();
  sem_post(&j.gate);
  down(&j.gone);
  CHECK(j.dropped == 1 && j.dropped_on);
  CHECK_EQ(inc_compute(nothing, NULL), INC_OK);
  CHECK_EQ(inc_mem_live(), before);
}

TEST(what_a_call_gave_that_was_left_is_nobodys_error) {
  job j = {.code = INC_EFORMAT, .asks = true, .stops = true};
  set_up(), make(&j);
  CHECK_EQ(inc_compute_loose(work, &j, drop), INC_EINTR);
  inc_interrupt_clear();
  inc_error_clear();
  sem_post(&j.gate);
  down(&j.gone);
  CHECK_EQ(inc_compute(nothing, NULL), INC_OK);
  CHECK_EQ(inc_error_last()->code, INC_OK);
}

typedef struct watcher {
  job *j;
  _Atomic bool returned;
  bool early;
} watcher;

static void *open_later(void *arg) {
  watcher *w = arg;
  down(&w->j->begun);
  nap(200); /* longer than the waiting thread looks away from the flag */
  w->early = w->returned;
  sem_post(&w->j->gate);
  return NULL;
}

TEST(without_a_drop_a_call_that_runs_is_waited_for) {
  job j = {.asks = true, .stops = true};
  watcher w = {.j = &j};
  pthread_t t;
  set_up(), make(&j);
  pthread_create(&t, NULL, open_later, &w);
  int code = inc_compute_loose(work, &j, NULL);
  w.returned = true;
  pthread_join(t, NULL);
  CHECK_EQ(code, INC_OK);
  CHECK(!w.early && inc_interrupt_pending());
  inc_interrupt_clear();
}

TEST(ctrl_c_takes_back_a_call_that_has_not_begun) {
  for (int with_drop = 0; with_drop < 2; with_drop++) {
    job first = {0}, j = {0};
    set_up(), make(&j);
    pthread_t t = occupy(&first);
    int64_t before = inc_mem_live();
    inc_interrupt_raise();
    int code = inc_compute_loose(work, &j, with_drop ? drop : NULL);
    inc_interrupt_clear();
    int64_t after = inc_mem_live();
    release(&first, t);
    CHECK_EQ(inc_compute(nothing, NULL), INC_OK);
    CHECK_EQ(code, INC_EINTR);
    CHECK(j.ran == 0 && j.dropped == with_drop && !j.dropped_on);
    CHECK_EQ(after, before);
  }
}

/* A queue keeps its other calls, whichever place the one that was taken back had. */
TEST(the_others_in_the_queue_still_run) {
  set_up();
  for (int round = 0; round < 30; round++) {
    job first = {0}, other[3] = {{0}}, j = {0};
    pthread_t t = occupy(&first), caller[3];
    make(&j);
    for (int i = 0; i < 3; i++) make(&other[i]);
    for (int i = 0; i < round % 3; i++) pthread_create(&caller[i], NULL, call_work, &other[i]);
    nap(1);
    inc_interrupt_raise();
    int code = inc_compute_loose(work, &j, drop);
    inc_interrupt_clear();
    for (int i = round % 3; i < 3; i++) pthread_create(&caller[i], NULL, call_work, &other[i]);
    nap(1);
    release(&first, t);
    for (int i = 0; i < 3; i++) pthread_join(caller[i], NULL);
    CHECK(code == INC_EINTR && j.ran == 0 && j.dropped == 1);
    CHECK(other[0].ran == 1 && other[1].ran == 1 && other[2].ran == 1);
  }
}

/* -- beside a step that yields -------------------------------------------------------------------------- */

typedef struct step {
  _Atomic bool over;
  sem_t begun;
} step;

static int yielding(void *arg) {
  step *s = arg;
  sem_post(&s->begun);
  while (!s->over) inc_compute_yield();
  return INC_OK;
}

static void *call_step(void *arg) {
  inc_compute(yielding, arg);
  return NULL;
}

TEST(a_step_that_yields_serves_it_and_survives_its_being_left) {
  step s = {0};
  job j = {0}, left = {.asks = true, .stops = true};
  pthread_t t;
  set_up(), make(&j), make(&left);
  sem_init(&s.begun, 0, 0);
  pthread_create(&t, NULL, call_step, &s);
  down(&s.begun);
  int served = inc_compute_loose(work, &j, drop), code = inc_compute_loose(work, &left, drop);
  inc_interrupt_clear();
  sem_post(&left.gate);
  down(&left.gone);
  int again = inc_compute_loose(work, &j, drop);
  s.over = true;
  pthread_join(t, NULL);
  CHECK(served == INC_OK && code == INC_EINTR && again == INC_OK);
  CHECK(j.ran == 2 && j.dropped == 2 && left.ran == 1 && left.dropped == 1 && left.dropped_on);
}

/* -- many at once --------------------------------------------------------------------------------------- */

enum { CALLERS = 4, CALLS = 300 };

/* Its memory is its own and goes with the drop: a second drop, or work after it, is seen by the sanitizers. */
typedef struct small {
  _Atomic int *ran, *dropped;
  int numbers[16];
} small;

typedef struct caller {
  _Atomic int ran[CALLS], dropped[CALLS];
  int code[CALLS];
} caller;

static int small_work(void *arg) {
  small *s = arg;
  for (int i = 0; i < 16; i++) s->numbers[i] += i;
  ++*s->ran;
  return INC_OK;
}

static void small_drop(void *arg) {
  small *s = arg;
  ++*s->dropped;
  inc_free(s);
}

static void *call_often(void *arg) {
  caller *c = arg;
  for (int i = 0; i < CALLS; i++) {
    small *s = inc_zalloc(sizeof *s);
    s->ran = &c->ran[i], s->dropped = &c->dropped[i];
    c->code[i] = inc_compute_loose(small_work, s, small_drop);
  }
  return NULL;
}

TEST(many_callers_and_many_ctrl_c) {
  static caller c[CALLERS];
  pthread_t t[CALLERS];
  int given_up = 0, done = 0;
  set_up();
  int64_t before = inc_mem_live();
  for (int k = 0; k < CALLERS; k++) pthread_create(&t[k], NULL, call_often, &c[k]);
  for (int i = 0; i < 60; i++) {
    inc_interrupt_raise();
    sched_yield();
    inc_interrupt_clear();
    nanosleep(&(struct timespec){0, 300000}, NULL);
  }
  for (int k = 0; k < CALLERS; k++) pthread_join(t[k], NULL);
  CHECK_EQ(inc_compute(nothing, NULL), INC_OK);
  for (int k = 0; k < CALLERS; k++)
    for (int i = 0; i < CALLS; i++) {
      int code = c[k].code[i], ran = c[k].ran[i];
      CHECK(code == INC_OK || code == INC_EINTR);
      CHECK(ran == 1 || (ran == 0 && code == INC_EINTR));
      CHECK_EQ(c[k].dropped[i], 1);
      code == INC_OK ? done++ : given_up++;
    }
  CHECK_EQ(inc_mem_live(), before);
  CHECK_EQ(done + given_up, CALLERS * CALLS);
}
