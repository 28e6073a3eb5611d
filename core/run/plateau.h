/* plateau.h -- a factor that falls when validation no longer gets better (PyTorch's ReduceLROnPlateau).
**
** The one number of a run that does not follow from the step: what it remembers stands in the checkpoint.  The
** run's thread and loops in Lua (optim.plateau) use the same function. */
#ifndef INC_PLATEAU_H
#define INC_PLATEAU_H

#include <stdbool.h>
#include <stdint.h>

typedef struct inc_plateau {
  bool on, max; /* max: larger is better */
  double gamma, threshold, least;
  int64_t patience, cooldown;
  double best, factor; /* best: NaN before the first value */
  int64_t bad, cooling;
} inc_plateau;

/* Take in the value of a validation; returns the factor from now on. */
double inc_plateau_observe(inc_plateau *p, double value);

#endif
