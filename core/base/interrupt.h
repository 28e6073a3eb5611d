/* interrupt.h -- "the user asked to stop", as one flag.
**
** The shell's Ctrl-C handler raises it; every operation of core that may take longer than a blink polls it
** and returns INC_EINTR.  It stays up until the prompt (or whoever decided what stopping means) clears it,
** so that a stop cannot be swallowed half-way.  Raising is safe inside a signal handler and from any thread.
** A callback was rejected: it would have to be safe in every place that can be interrupted.
*/
#ifndef INC_INTERRUPT_H
#define INC_INTERRUPT_H

void inc_interrupt_raise(void);
int inc_interrupt_pending(void);
void inc_interrupt_clear(void);

#endif
