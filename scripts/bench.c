/*
 * fastgemm_bench: our kernels against cuBLAS, timed turn by turn on the same data, each result checked against float64
 * in the same run. `--help` says the rest; scripts/bench/ holds the parts.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cuda_profiler_api.h>

#include "../interpose/device_traits.h"
#include "../policy/profile.h"
#include "bench/bench.h"
#include "bench/check.h"
#include "bench/cublas.h"
#include "bench/device.h"
#include "bench/model.h"
#include "bench/ncu.h"
#include "bench/options.h"
#include "bench/ours.h"
#include "bench/output.h"
#include "bench/timing.h"

static struct bench_device open_device(void) {
    struct bench_device device = {.cublas_version = 0};
    struct cudaDeviceProp properties;
    enum gemm_reason reason = REASON_no_device;
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || !count)
        bench_die(BENCH_NO_GPU, "no GPU here (%s): nothing to time; --model predicts without one",
                  cudaGetErrorString(error));
    const struct gemm_device *traits = device_traits_current(&reason);
    if (!traits) bench_die(BENCH_NO_GPU, "%s", gemm_reason_text(reason));
    device.traits = *traits;
    bench_cuda(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    snprintf(device.name, sizeof device.name, "%s", properties.name);
    cudaDriverGetVersion(&device.driver);
    return device;
}

/* What TF32 products reach through cuBLAS: on Hopper, where mma.sync is not the fastest way, more than a loop shows. */
static double tensor_through_cublas(const struct bench_device *device) {
    if (!device->traits.wgmma) return 0;
    const struct bench_settings settings = {.input = INPUT_NORMAL};
    struct bench_list list = {0};
    struct buffers buffers;
    bench_list_line(&list, CONTRACT_TF32, "TN 8192 8192 8192");
    struct gemm_problem *p = &list.at[0].gemm;
    double rate = 0;
    if (buffers_make(&buffers, p, &settings, device->traits.l2_bytes, 1)) {
        struct engine engine = cublas_engine(p);
        rate = gemm_flops(p) / timing_quick(&engine, &buffers, 4, 0);
        buffers_free(&buffers);
    }
    free(list.at);
    return rate;
}

static void show_floors(const struct bench_options *o, const struct bench_device *d) {
    printf("%-24s %-4s %10s %10s %10s\n", "problem", "want", "ms", "operations", "bytes");
    for (int i = 0; i < o->list.count; i++) {
        const struct gemm_problem *p = &o->list.at[i].gemm;
        printf("%-24s %-4s %10.4f %10.4f %10.4f\n", o->list.at[i].name, output_contract(p->contract),
               bench_floor(p, &d->limits) * 1e3, gemm_flops(p) / bench_peak(p, &d->limits) * 1e3,
               bench_byte_floor(p, &d->limits) * 1e3);
    }
}

static void time_engines(struct bench_result *r, const struct bench_settings *settings, const struct buffers *buffers,
                         struct ours *ours) {
    const struct gemm_problem *p = &r->problem->gemm;
    struct engine engines[ENGINE_COUNT] = {ours_engine(p, ours), cublas_engine(p)};
    bool lt = !settings->no_lt && cublaslt_engine(p, buffers, &engines[ENGINE_LT]);
    timing_run(engines, lt ? ENGINE_COUNT : ENGINE_LT, buffers, settings->seconds, r->time);
    if (lt) cublaslt_close(&engines[ENGINE_LT]);
}

/* False: it could not be measured, and a line said why. */
static bool measure(struct bench_problem *problem, const struct bench_device *device,
                    const struct bench_settings *settings, int index, struct bench_result *r) {
    struct gemm_problem *p = &problem->gemm;
    struct buffers buffers;
    uint64_t seed = settings->seed * 1000003u + (uint64_t)index * 100000u;
    *r = (struct bench_result){.problem = problem, .floor = bench_floor(p, &device->limits)};
    if (!buffers_make(&buffers, p, settings, device->traits.l2_bytes, seed)) {
        printf("%-24s does not fit into the device's memory\n", problem->name);
        return false;
    }
    bool known = ours_plan(p, &device->traits, settings, &r->plan, &r->route);
    if (known) {
        struct ours ours = {r->plan, NULL};
        bench_cuda(cudaMalloc((void **)&ours.scratch, (size_t)settings->scratch_bytes + 256), "scratch");
        if (settings->all_variants) {
            printf("  %s\n", problem->name);
            ours_tune(p, &device->traits, settings, &buffers, ours.scratch, &ours.plan);
            r->plan = ours.plan;
        }
        struct engine own = ours_engine(p, &ours), cublas = cublas_engine(p);
        r->verdict = check_run(&own, &cublas, &buffers, seed, r->error);
        time_engines(r, settings, &buffers, &ours);
        bench_cuda(cudaFree(ours.scratch), "cudaFree");
    } else {
        printf("%-24s no kernel takes it (%s)\n", problem->name, gemm_reason_name(r->route));
    }
    buffers_free(&buffers);
    return known;
}

static int measure_all(struct bench_options *o, const struct bench_device *device) {
    struct bench_result *results = calloc((size_t)o->list.count, sizeof *results);
    int done = 0, status = BENCH_OK;
    bool progress = isatty(STDERR_FILENO);
    if (!results) abort();
    output_header(device, &o->settings);
    for (int i = 0; i < o->list.count; i++) {
        if (progress) fprintf(stderr, "%d of %d: %s ...\r", i + 1, o->list.count, o->list.at[i].name);
        if (!measure(&o->list.at[i], device, &o->settings, i, &results[done])) continue;
        output_row(&results[done], device, i, o->list.count);
        if (strncmp(results[done].verdict, "ok", 2) != 0) status = BENCH_WRONG_RESULT;
        done++;
        output_csv(o->settings.csv, results, done, device);
        output_json(o->settings.json, results, done, device);
    }
    output_summary(results, done);
    free(results);
    return status;
}

static int show_list(const struct bench_list *list) {
    char line[512];
    for (int i = 0; i < list->count; i++) {
        bench_problem_line(&list->at[i], line, sizeof line);
        puts(line);
    }
    return BENCH_OK;
}

/* One warm run, then one that a profiler sees. */
static void run_once(const struct bench_options *o, const struct bench_device *device, struct gemm_problem *p) {
    struct buffers buffers;
    struct ours ours = {.scratch = NULL};
    enum gemm_reason route;
    bool own = strcmp(o->once, "ours") == 0;
    if (!buffers_make(&buffers, p, &o->settings, 0, o->settings.seed)) bench_die(BENCH_CUDA_ERROR, "out of memory");
    if (own && !ours_plan(p, &device->traits, &o->settings, &ours.plan, &route))
        bench_die(BENCH_USAGE, "no kernel takes it (%s)", gemm_reason_name(route));
    bench_cuda(cudaMalloc((void **)&ours.scratch, (size_t)o->settings.scratch_bytes + 256), "scratch");
    struct engine engine = own ? ours_engine(p, &ours) : cublas_engine(p);
    struct operands set = buffers_set(&buffers, 0);
    for (int run = 0; run < 2; run++) {
        if (run) cudaProfilerStart();
        if (engine.run(&engine, &set, NULL)) bench_die(BENCH_CUDA_ERROR, "%s refused", engine.label);
        bench_cuda(cudaDeviceSynchronize(), engine.label);
    }
    cudaProfilerStop();
    bench_cuda(cudaFree(ours.scratch), "cudaFree");
    buffers_free(&buffers);
}

int main(int argc, char **argv) {
    struct bench_options o = bench_options_read(argc, argv);
    if (o.list_only) return show_list(&o.list);
    if (o.profile) return ncu_profile(&o);
    if (o.model) return model_show(&o.list, o.model, &o.settings);
    /* Should the library be preloaded here, cuBLAS must still be cuBLAS. */
    setenv("FASTGEMM", "off", 1);
    struct bench_device device = open_device();
    device.cublas_version = cublas_open(o.settings.cublas_path);
    for (int i = 0; o.once && i < o.list.count; i++) run_once(&o, &device, &o.list.at[i].gemm);
    if (o.once) return BENCH_OK;
    device.limits.tensor = tensor_through_cublas(&device);
    bench_measure_limits(&device.limits, &device.traits);
    if (o.floor_only) {
        show_floors(&o, &device);
        return BENCH_OK;
    }
    return measure_all(&o, &device);
}
