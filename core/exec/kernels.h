/* kernels.h -- prepared kernels for eager ops: "a plan of one node".
** The cache is keyed by the op, its attributes and every dtype, shape and stride; it is dropped whole when
** it grows past a limit, which a prompt reaches only after thousands of distinct shapes. */
#ifndef INC_KERNELS_H
#define INC_KERNELS_H

#include "backend.h"
#include "base/tensor.h"

/* Find or make the kernel for `node` and run it here or on the compute thread.  in/out: addresses. */
int inc_kernel_call(const inc_node *node, bool reference, void *const *in, void *const *out);
/* The same for a kernel whose memory is that of `tensors` (NULLs allowed): Ctrl-C then ends the waiting for one
** that takes long, and their memory stays until it has ended. */
int inc_kernel_call_loose(const inc_node *node, bool reference, void *const *in, void *const *out,
                          inc_tensor *const *tensors, int n);
/* The best choice for node (the reference when asked). */
int inc_kernel_choose(const inc_node *node, bool reference, inc_choice *out);
void inc_kernel_cache_clear(void);
int inc_kernel_cache_count(void);

#endif
