/* init.h -- start values of weights, from (seed, parameter's name).
**
** Element i is a function of (seed, name, i) alone: neither the order in which parameters are made nor the
** number of threads can change a weight.
*/
#ifndef INC_INIT_H
#define INC_INIT_H

#include "base/tensor.h"

/* Normal with mean 0; truncated: values beyond two standard deviations do not occur (TensorFlow's
** truncated normal; std is that of the normal before truncation). t: any float dtype, contiguous. */
int inc_init_normal(inc_tensor *t, uint64_t seed, const char *name, double std, bool truncated);
/* Uniform in [-bound, bound). */
int inc_init_uniform(inc_tensor *t, uint64_t seed, const char *name, double bound);

#endif
