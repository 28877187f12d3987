/* Results for people (a table) and for programs (CSV, JSON). */
#ifndef FASTGEMM_BENCH_OUTPUT_H
#define FASTGEMM_BENCH_OUTPUT_H

#include "bench.h"

void output_header(const struct bench_device *device, const struct bench_settings *settings);
void output_row(const struct bench_result *result, const struct bench_device *device, int index, int count);
void output_summary(const struct bench_result *results, int count);

/* Both files are written anew after each problem, so that a run that is cut short leaves what it has. */
void output_csv(const char *path, const struct bench_result *results, int count, const struct bench_device *device);
void output_json(const char *path, const struct bench_result *results, int count, const struct bench_device *device);

const char *output_contract(enum gemm_contract contract);

#endif
