/* plateau.c -- when a validation is no longer better (plateau.h). */
#include "run/plateau.h"
#include <math.h>

static bool is_better(const inc_plateau *p, double value) {
  if (isnan(p->best)) return true;
  return p->max ? value > p->best * (1 + p->threshold) : value < p->best * (1 - p->threshold);
}

double inc_plateau_observe(inc_plateau *p, double value) {
  if (is_better(p, value))
    p->best = value, p->bad = 0;
  else
    p->bad++;
  if (p->cooling > 0) p->cooling--, p->bad = 0;
  if (p->bad > p->patience) {
    p->factor = fmax(p->factor * p->gamma, p->least);
    p->cooling = p->cooldown, p->bad = 0;
  }
  return p->factor;
}
