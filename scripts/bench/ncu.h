/* Hardware counters of single problems, through NVIDIA's profiler where it is installed. */
#ifndef FASTGEMM_BENCH_NCU_H
#define FASTGEMM_BENCH_NCU_H

#include "options.h"

/* Runs this program again under ncu, once for each problem and engine, and prints a line a kernel. Exit status. */
int ncu_profile(const struct bench_options *options);

#endif
