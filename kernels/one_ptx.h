/*
 * Before sources that are compiled to PTX once, for all architectures: their kernels cannot ask which one it is.
 * CMakeLists.txt names them.
 */
#include "gemm_args.h"

#undef __CUDA_ARCH__
#pragma GCC poison __CUDA_ARCH__
