/* What the policy's cost model says of chips that are not here. */
#ifndef FASTGEMM_BENCH_MODEL_H
#define FASTGEMM_BENCH_MODEL_H

#include "bench.h"

/* Prints plan, predicted time and floor of each problem on "sm_89" (RTX 4090) or "sm_90" (H200). Exit status. */
int model_show(const struct bench_list *list, const char *chip, const struct bench_settings *settings);

#endif
