/* compute.h -- the one thread that makes every wide kernel call.
**
** An OpenMP team belongs to the thread that calls it and two teams on the same cores fight, so the prompt
** and a background run both hand their wide work to this thread and wait.  Between the nodes of a plan it
** looks for work from others (inc_compute_yield), so the prompt never waits for a whole step.
*/
#ifndef INC_COMPUTE_H
#define INC_COMPUTE_H

#include <stdbool.h>

/* Run fn(arg) on the compute thread and return what it returns; its error record is carried over. */
int inc_compute(int (*fn)(void *), void *arg);
/* The same for a call that may take minutes: Ctrl-C ends the waiting with INC_EINTR, not the call, which goes on by
** itself.  So what it reads and writes must belong to `arg`; drop(arg) is called once nobody needs it any more,
** here or on the compute thread.  Without a drop only a call that has not begun is given up. */
int inc_compute_loose(int (*fn)(void *), void *arg, void (*drop)(void *arg));
bool inc_compute_is_self(void);
void inc_compute_yield(void);  /* on the compute thread: serve waiting calls */
int inc_compute_threads(void); /* cores used by a kernel */
int inc_compute_threads_set(int n);
/* Libraries plan a kernel for as many cores as the thread that prepares it may use: let that be the compute
** thread's number.  Call once on a thread that prepares kernels; running wide ones stays the compute thread's. */
void inc_compute_threads_here(void);
void inc_compute_denormals_off(void); /* flush denormals to zero on the calling thread */

#endif
