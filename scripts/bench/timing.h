/*
 * Times engines against each other: turn by turn, so that all of them see the same clocks and the same heat.
 */
#ifndef FASTGEMM_BENCH_TIMING_H
#define FASTGEMM_BENCH_TIMING_H

#include "buffers.h"

/*
 * Warm-up, then rounds of one sample an engine until `seconds` an engine are spent (five rounds at least). A sample
 * stands behind a kernel that holds the stream until all of it is enqueued, so that the host's launch time does not
 * count. A short product is repeated within a sample; each repetition takes the next set of buffers.
 */
void timing_run(const struct engine *engines, int count, const struct buffers *buffers, double seconds,
                struct timing *out);

/*
 * One quick figure: seconds of a run, the best of `samples` after a first one; only the first when that takes longer
 * than `hopeless` (0: never). Below 0 when the engine refuses.
 */
double timing_quick(const struct engine *engine, const struct buffers *buffers, int samples, double hopeless);

#endif
