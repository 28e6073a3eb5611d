/* interrupt.c -- the flag of interrupt.h.
** It counts up to a small limit, because the shell treats the second and third request differently.  Atomic and not
** volatile: it is raised in a signal handler of one thread and read by others. */
#include "base/interrupt.h"
#include <stdatomic.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler cannot wait for a lock");

static _Atomic int asked;

void inc_interrupt_raise(void) {
  if (asked < 100) asked++;
}

int inc_interrupt_pending(void) { return asked != 0; }
void inc_interrupt_clear(void) { asked = 0; }
