/* all.inc.h -- every kernel once, for the instruction set that the including file is compiled for.
** K_TABLE and K_ISA name the table. */
#include "base/tensor.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/table.h"
#include <math.h>
#include <omp.h>

#include "kernels/cpu/bn.inc.h"
#include "kernels/cpu/bn_back.inc.h"
#include "kernels/cpu/ewise.inc.h"
#include "kernels/cpu/layout.inc.h"
#include "kernels/cpu/optim.inc.h"
#include "kernels/cpu/peak.inc.h"
#include "kernels/cpu/pool.inc.h"
#include "kernels/cpu/pool_avg.inc.h"
#include "kernels/cpu/softmax.inc.h"
#include "kernels/cpu/winograd.inc.h"
#include "kernels/cpu/winograd_weight.inc.h"

const inc_kernels K_TABLE = {
    .isa = K_ISA,
    .bn_stats = bn_stats,
    .bn_apply = bn_apply,
    .bn_backward = bn_backward,
    .max_pool = max_pool,
    .max_pool_back = max_pool_back,
    .avg_pool = avg_pool,
    .avg_pool_back = avg_pool_back,
    .unary = unary,
    .binary = binary,
    .cast = cast,
    .normalize = normalize,
    .transpose = transpose,
    .sum = sum,
    .sum_squares = sum_squares,
    .max = max_all,
    .finite = finite_all,
    .sum_rows = sum_rows,
    .softmax = softmax,
    .softmax_back = softmax_back,
    .cross_entropy = cross_entropy,
    .cross_entropy_back = cross_entropy_back,
    .sgd = sgd,
    .rmsprop = rmsprop,
    .adam = adam,
    .lerp = lerp,
    .burn = burn,
    .wino_weights = wino_weights,
    .wino_run = wino_run,
    .wino_weight_run = wino_weight_run,
    .lanes = W,
};
