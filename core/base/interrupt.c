/* interrupt.c -- the flag of interrupt.h.
** It counts up to a small limit, because the shell treats the second and third request differently. */
#include "base/interrupt.h"

volatile sig_atomic_t inc_interrupted = 0;

void inc_interrupt_raise(void) {
  if (inc_interrupted < 100) inc_interrupted = inc_interrupted + 1;
}

int inc_interrupt_pending(void) { return inc_interrupted != 0; }
void inc_interrupt_clear(void) { inc_interrupted = 0; }
