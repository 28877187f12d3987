/* Engines against each other. */
#include "timing.h"

#include <stdlib.h>
#include <time.h>

#include "device.h"

enum { MAX_ROUNDS = 200, MIN_ROUNDS = 5, MAX_REPEATS = 64, HOST_NS_PER_LAUNCH = 12000 };
static const double SAMPLE_S = 200e-6; /* a sample is at least about this long */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static cudaEvent_t event(int which) {
    static cudaEvent_t events[2];
    if (!events[which]) bench_cuda(cudaEventCreate(&events[which]), "cudaEventCreate");
    return events[which];
}

static double sample(const struct engine *engine, const struct buffers *buffers, int repeats, int64_t *turn) {
    struct bench_args spin = {.count = 30000 + (int64_t)repeats * HOST_NS_PER_LAUNCH};
    bench_launch_grid((const void *)bench_spin, &spin, (dim3){1, 1, 1}, 1, NULL);
    bench_cuda(cudaEventRecord(event(0), NULL), "cudaEventRecord");
    for (int i = 0; i < repeats; i++) {
        struct operands set = buffers_set(buffers, (*turn)++);
        int error = engine->run(engine, &set, NULL);
        if (error) return -1;
    }
    bench_cuda(cudaEventRecord(event(1), NULL), "cudaEventRecord");
    bench_cuda(cudaEventSynchronize(event(1)), engine->label);
    return bench_event_seconds(event(0), event(1)) / repeats;
}

static int repeats_for(double seconds) {
    double repeats = SAMPLE_S / seconds;
    return repeats <= 1 ? 1 : repeats >= MAX_REPEATS ? MAX_REPEATS : (int)repeats + 1;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct timing summarise(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return (struct timing){.median = values[count / 2],
                           .first_quartile = values[count / 4],
                           .third_quartile = values[count * 3 / 4],
                           .least = values[0],
                           .samples = count};
}

void timing_run(const struct engine *engines, int count, const struct buffers *buffers, double seconds,
                struct timing *out) {
    static double values[ENGINE_COUNT][MAX_ROUNDS];
    int repeats[ENGINE_COUNT], rounds = 0;
    int64_t turn = 0;
    for (int i = 0; i < count; i++) {
        if (sample(&engines[i], buffers, 1, &turn) < 0) bench_die(BENCH_CUDA_ERROR, "%s refused", engines[i].label);
        repeats[i] = repeats_for(sample(&engines[i], buffers, 2, &turn));
        sample(&engines[i], buffers, repeats[i], &turn);
    }
    double end = now() + seconds * count;
    while (rounds < MAX_ROUNDS && (rounds < MIN_ROUNDS || now() < end)) {
        for (int i = 0; i < count; i++) {
            int which = rounds % 2 ? count - 1 - i : i; /* nobody always goes first */
            values[which][rounds] = sample(&engines[which], buffers, repeats[which], &turn);
        }
        rounds++;
    }
    for (int i = 0; i < count; i++) out[i] = summarise(values[i], rounds);
}

double timing_quick(const struct engine *engine, const struct buffers *buffers, int samples, double hopeless) {
    int64_t turn = 0;
    double least = sample(engine, buffers, 1, &turn);
    if (least < 0 || (hopeless > 0 && least > hopeless)) return least;
    int repeats = repeats_for(least);
    for (int i = 0; i < samples; i++) {
        double seconds = sample(engine, buffers, repeats, &turn);
        if (i == 0 || seconds < least) least = seconds;
    }
    return least;
}
