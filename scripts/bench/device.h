/* The chip: its measured limits, and seconds between events. */
#ifndef FASTGEMM_BENCH_DEVICE_H
#define FASTGEMM_BENCH_DEVICE_H

#include "bench.h"

/* FFMA, tensor (mma.sync; more if limits->tensor already holds more) and DRAM rates, in a fraction of a second. */
void bench_measure_limits(struct bench_limits *limits, const struct gemm_device *device);

double bench_event_seconds(cudaEvent_t from, cudaEvent_t to);

#endif
