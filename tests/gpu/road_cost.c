/*
 * What the road costs the host, in nanoseconds a call, to be run under the preload on a GPU or on the stand-ins.
 *
 * `road_cost`: calls that are forwarded, until they arrive at cuBLAS, where relay.c notes the time, against the same
 * calls to the relay itself. `road_cost KERNEL`: calls that run on this kernel of ours, or, for `auto`, on the one that
 * the library chooses (of an H200), but for the time inside their launches; of a library whose launches cannot be seen,
 * as the shipped one's, against as many that do nothing.
 *
 * Calls of both kinds take turns, so that what else the machine does falls on both; a call is timed alone, with caches
 * and predictors as the work before left them: cuBLAS's own call, or launches. The medians' difference counts, of some
 * rounds the least, since all that a host does besides can only add to it (where that is beyond the limit, more rounds
 * follow, apart from each other); and the end is 1 where it is beyond its limit: 150 ns for what is forwarded, 1000 ns
 * for what runs here. Then each call comes after a walk through memory, as if a program did much else in between: twice
 * that is allowed.
 *
 * On the stand-ins cuBLAS refuses at once what is forwarded. A busy machine is allowed four times the limits there.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "real_cublas.h"
#include "relay.h"

enum {
    SAMPLES = 401,
    ROUNDS = 4,
    MOST_ROUNDS = 16,
    PAUSE_US = 40000,
    SKIPPED = 77,
    WORKSPACE = 32 << 20,
    MEMORY = 192 << 20,
    WALK = 1 << 20,
    LINE = 64
};
enum mode { FORWARDED, ROUTED, ROUTED_WORKSPACE };
enum entry { BATCHED, SGEMM, LT };

struct what {
    const char *name;
    enum entry entry;
    enum mode mode;
    int n, k, batch, launches;
    cudaDataType type;
    cublasMath_t math;
};
static const struct what forwarded[] = {
    {"fp16", BATCHED, FORWARDED, 8, 8, 1, 0, CUDA_R_16F, CUBLAS_DEFAULT_MATH},
    {"empty", BATCHED, FORWARDED, 0, 64, 1, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"small", BATCHED, FORWARDED, 8, 8, 1, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"pedantic", BATCHED, FORWARDED, 400, 400, 1, 0, CUDA_R_32F, CUBLAS_PEDANTIC_MATH},
    {"slower here", BATCHED, FORWARDED, 100, 100, 600, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"slower here, Sgemm", SGEMM, FORWARDED, 400, 400, 1, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"small, cublasLt", LT, FORWARDED, 8, 8, 1, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"fp16, cublasLt", LT, FORWARDED, 64, 64, 1, 0, CUDA_R_16F, CUBLAS_DEFAULT_MATH},
    {"slower, cublasLt", LT, FORWARDED, 400, 400, 1, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
};
static const struct what routed[] = {
    {"one launch", BATCHED, ROUTED, 64, 64, 1, 1, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"split", BATCHED, ROUTED, 64, 4096, 1, 2, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"split, workspace", BATCHED, ROUTED_WORKSPACE, 64, 4096, 1, 2, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"split, cublasLt", LT, ROUTED, 64, 4096, 1, 2, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"200 MB of scratch", BATCHED, ROUTED, 4096, 4096, 1, 1, CUDA_R_32F, CUBLAS_DEFAULT_MATH}, /* of planes */
};
/* By the library's own choice, on Hopper: what is looked at before a kernel is chosen is in it. */
static const struct what chosen[] = {
    {"4096^3, Sgemm", SGEMM, ROUTED, 4096, 4096, 1, 4, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"4096^3, cublasLt", LT, ROUTED, 4096, 4096, 1, 4, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
};
#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* ---- cuBLAS, loaded by hand, so that the relay can take its place ---- */

/* As the program calls them: ours under the preload; and the relay's own. */
static struct doors {
    __typeof__(cublasGemmStridedBatchedEx) *batched;
    __typeof__(cublasSgemm_v2) *sgemm;
    __typeof__(cublasLtMatmul) *lt;
} ours, direct;
static __typeof__(cublasCreate_v2) *create;
static __typeof__(cublasSetStream_v2) *set_stream;
static __typeof__(cublasSetMathMode) *set_math_mode;
static __typeof__(cublasSetWorkspace_v2) *set_workspace;
static __typeof__(cublasLtCreate) *lt_create;
static __typeof__(cublasLtMatmulDescCreate) *desc_create;
static __typeof__(cublasLtMatrixLayoutCreate) *layout_create;
static __typeof__(cublasLtMatmulDescSetAttribute) *desc_set;
static volatile uint64_t *arrived;

static void *find_real(const char *name) {
    return strncmp(name, "cublasLt", 8) == 0 ? real_cublaslt_function(name) : real_cublas_function(name);
}

/* False where there is no cuBLAS. */
static int load(void) {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
    if (length < 0 || !dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL)) return 0;
    path[length] = 0;
    strcpy(strrchr(path, '/'), "/librelay.so");
    void *relay = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!relay) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    void (*connect)(void *(*)(const char *));
    void *(*address)(const char *);
    *(void **)&connect = dlsym(relay, "relay_connect");
    *(void **)&address = dlsym(relay, "relay_address");
    arrived = dlsym(relay, "relay_arrived");
    connect(find_real);
#define FIND(pointer, name) *(void **)&(pointer) = dlsym(relay, name)
    FIND(ours.batched, "cublasGemmStridedBatchedEx");
    FIND(ours.sgemm, "cublasSgemm_v2");
    FIND(ours.lt, "cublasLtMatmul");
    FIND(create, "cublasCreate_v2");
    FIND(set_stream, "cublasSetStream_v2");
    FIND(set_math_mode, "cublasSetMathMode");
    FIND(set_workspace, "cublasSetWorkspace_v2");
    FIND(lt_create, "cublasLtCreate");
#undef FIND
    *(void **)&direct.batched = address("cublasGemmStridedBatchedEx");
    *(void **)&direct.sgemm = address("cublasSgemm_v2");
    *(void **)&direct.lt = address("cublasLtMatmul");
    *(void **)&desc_create = find_real("cublasLtMatmulDescCreate");
    *(void **)&desc_set = find_real("cublasLtMatmulDescSetAttribute");
    *(void **)&layout_create = find_real("cublasLtMatrixLayoutCreate");
    return 1;
}

static cublasHandle_t handle;
static cublasLtHandle_t lt_handle;
static cudaStream_t stream;
static void *memory, *workspace;
static const float one = 1;
static cublasLtMatmulDesc_t desc;
static cublasLtMatrixLayout_t layout, layout_d;

/* ---- launches ---- */

static __typeof__(cudaLaunchKernel) *real_launch;
static __typeof__(cudaLaunchKernelExC) *real_launch_ex;
static const void *nothing; /* a kernel that does nothing; NULL on the stand-ins, where launches do nothing */
static long launches_seen;
static uint64_t inside; /* ticks that the launches took */

static uint64_t ticks(void) {
    uint32_t low, high;
    __asm__ volatile("lfence\n rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* A library that is linked with the shared runtime launches through these definitions, which come before that's. */
cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t where) {
    const uint64_t start = ticks();
    launches_seen++;
    cudaError_t error = nothing ? real_launch(kernel, grid, block, arguments, shared, where) : cudaSuccess;
    inside += ticks() - start;
    return error;
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel, void **arguments) {
    const uint64_t start = ticks();
    launches_seen++;
    cudaError_t error = nothing ? real_launch_ex(config, kernel, arguments) : cudaSuccess;
    inside += ticks() - start;
    return error;
}

static void find_launch(void) {
    static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                              ".visible .entry nothing(.param .align 8 .b8 arguments[256]) { ret; }\n";
    cudaLibrary_t library;
    cudaKernel_t kernel;
    *(void **)&real_launch = dlsym(RTLD_NEXT, "cudaLaunchKernel");
    *(void **)&real_launch_ex = dlsym(RTLD_NEXT, "cudaLaunchKernelExC");
    __typeof__(cudaLibraryLoadData) *load;
    __typeof__(cudaLibraryGetKernel) *get;
    *(void **)&load = dlsym(RTLD_DEFAULT, "cudaLibraryLoadData");
    *(void **)&get = dlsym(RTLD_DEFAULT, "cudaLibraryGetKernel");
    if (load && get && !load(&library, ptx, NULL, NULL, 0, NULL, NULL, 0) && !get(&kernel, library, "nothing"))
        nothing = (const void *)kernel;
}

static void launch_nothing(__typeof__(cudaLaunchKernel) *launch, int launches) {
    char bytes[256] = {0};
    void *arguments[] = {bytes};
    for (int i = 0; i < launches; i++) launch(nothing, (dim3){1, 1, 1}, (dim3){128, 1, 1}, arguments, 0, stream);
}

/* ---- calls ---- */

/* A stand-in cuBLAS that refuses every product at once, as it is told to here. To be called before CUDA is. */
static int refused_by_standin;
static void let_standin_refuse(void) {
    refused_by_standin = dlsym(RTLD_DEFAULT, "fgsim_reset") != NULL;
    if (refused_by_standin)
        setenv("FASTGEMM_SIM_FAIL", "cublasGemmStridedBatchedEx=14,cublasSgemm_v2=14,cublasLtMatmul=14", 1);
}

static cublasStatus_t product(const struct doors *doors, const struct what *w) {
    const int ld = w->k > 512 ? w->k : 512;
    if (w->entry == SGEMM)
        return doors->sgemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, w->n, w->n, w->k, &one, memory, ld, memory, ld, &one,
                            memory, ld);
    if (w->entry == LT)
        return doors->lt(lt_handle, desc, &one, memory, layout, memory, layout, &one, memory, layout_d, memory,
                         layout_d, NULL, workspace, 1 << 20, stream);
    return doors->batched(handle, CUBLAS_OP_T, CUBLAS_OP_N, w->n, w->n, w->k, &one, memory, w->type, ld, 256, memory,
                          w->type, ld, 256, &one, memory, w->type, ld, (long long)ld * w->n, w->batch,
                          CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

/* Ticks of the time stamp counter until the call arrived, or, where it runs here, until it came back, less launches. */
static uint64_t time_call(const struct doors *doors, const struct what *w) {
    inside = 0;
    uint64_t start = ticks();
    cublasStatus_t status = product(doors, w);
    uint64_t end = w->mode == FORWARDED ? *arrived : ticks() - inside;
    if (status != CUBLAS_STATUS_SUCCESS && !refused_by_standin) {
        printf("%s: status %d\n", w->name, (int)status);
        exit(2);
    }
    return end - start;
}

/* Where the time inside launches is known, what remains of launches is what it takes to know it. */
static uint64_t time_reference(const struct what *w) {
    if (w->mode == FORWARDED) return time_call(&direct, w);
    const long seen = launches_seen;
    inside = 0;
    uint64_t start = ticks();
    launch_nothing(seen ? cudaLaunchKernel : real_launch, w->launches);
    uint64_t end = ticks() - inside;
    launches_seen = seen;
    return end - start;
}

/* What a program does between two calls, as the caches see it. */
static void walk(int bytes) {
    static volatile char data[WALK];
    for (int i = 0; i < bytes; i += LINE) data[i]++;
}

static double nanoseconds_a_tick(void) {
    struct timespec first, last;
    clock_gettime(CLOCK_MONOTONIC, &first);
    uint64_t start = ticks();
    do clock_gettime(CLOCK_MONOTONIC, &last);
    while (last.tv_sec - first.tv_sec + 1e-9 * (double)(last.tv_nsec - first.tv_nsec) < 0.02);
    uint64_t end = ticks();
    return ((double)(last.tv_sec - first.tv_sec) * 1e9 + (double)(last.tv_nsec - first.tv_nsec)) /
           (double)(end - start);
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void prepare(const struct what *w) {
    set_math_mode(handle, w->math);
    set_stream(handle, stream);
    if (w->mode == ROUTED_WORKSPACE) set_workspace(handle, workspace, WORKSPACE);
    if (w->entry != LT) return;
    const int32_t transposed = CUBLAS_OP_T;
    const int ld = w->k > 512 ? w->k : 512;
    desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    desc_set(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    layout_create(&layout, w->type, (uint64_t)w->k, (uint64_t)w->n, ld);
    layout_create(&layout_d, w->type, (uint64_t)w->n, (uint64_t)w->n, ld);
}

/* Nanoseconds: of what the calls are compared with, and what they take beyond. */
struct cost {
    double base, quarter, half, three_quarters;
};

static struct cost sample(const struct what *w, int walked, double ns) {
    static uint64_t base[SAMPLES], road[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        for (int turn = 0; turn < 2; turn++) {
            walk(walked);
            if (turn == i % 2)
                road[i] = time_call(&ours, w);
            else
                base[i] = time_reference(w);
        }
        if (i % 8 == 0) cudaDeviceSynchronize();
    }
    qsort(base, SAMPLES, sizeof *base, by_size);
    qsort(road, SAMPLES, sizeof *road, by_size);
    const double middle = ns * (double)base[SAMPLES / 2];
    return (struct cost){middle, ns * (double)road[SAMPLES / 4] - middle, ns * (double)road[SAMPLES / 2] - middle,
                         ns * (double)road[SAMPLES * 3 / 4] - middle};
}

static int measure(const struct what *w, int walked, double limit) {
    const double ns = nanoseconds_a_tick();
    launches_seen = 0;
    for (int i = 0; i < 64; i++) time_call(&ours, w), time_reference(w); /* until scratch has settled */
    cudaDeviceSynchronize();
    const long before = launches_seen;
    struct cost least = sample(w, walked, ns), most = least;
    int rounds = 1;
    for (; rounds < ROUNDS || (rounds < MOST_ROUNDS && least.half > limit); rounds++) {
        if (rounds >= ROUNDS) usleep(PAUSE_US);
        const struct cost cost = sample(w, walked, ns);
        if (cost.half < least.half) least = cost;
        if (cost.half > most.half) most = cost;
    }
    if (!nothing && launches_seen - before != (long)w->launches * SAMPLES * rounds) {
        printf("%s: %ld launches\n", w->name, launches_seen - before);
        return 1;
    }
    printf("%-19s %-12s %s %5.0f ns, added %5.0f ns (quartiles %.0f to %.0f; other rounds to %.0f), limit %.0f\n",
           w->name, walked ? "after a walk" : "",
           w->mode == FORWARDED ? "relay   "
           : before             ? "inside  "
                                : "launches",
           least.base, least.half, least.quarter, least.three_quarters, most.half, limit);
    return !(least.half <= limit);
}

/* ---- whether the calls go where they are meant to: in a process that logs, since a log would cost the others ---- */

static int occurrences(const char *path, const char *part) {
    char line[4096];
    int count = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) count += strstr(line, part) != NULL;
    if (file) fclose(file);
    return count;
}

static int check_routes(char **argv, const char *kernel, int cases) {
    char path[] = "/tmp/road_cost.XXXXXX", total[64];
    int status = -1, file = mkstemp(path);
    if (file < 0) return 1;
    close(file);
    pid_t child = fork();
    if (child == 0) {
        setenv("FASTGEMM_LOG", "summary", 1);
        setenv("FASTGEMM_LOG_FILE", path, 1);
        execl("/proc/self/exe", argv[0], kernel ? kernel : "", "once", (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) return SKIPPED;
    snprintf(total, sizeof total, "total %d calls: %d routed, %d forwarded", cases, kernel ? cases : 0,
             kernel ? 0 : cases);
    int good = status == 0 && occurrences(path, total) == 1;
    if (!good) printf("the calls did not go where they are meant to: no '%s' in the summary\n", total);
    unlink(path);
    return !good;
}

static int once(const struct what *list, int cases) {
    for (int i = 0; i < cases; i++) {
        prepare(&list[i]);
        time_call(&ours, &list[i]);
    }
    return cudaDeviceSynchronize() != cudaSuccess;
}

int main(int argc, char **argv) {
    const char *kernel = argc > 1 && *argv[1] ? argv[1] : NULL;
    const int by_choice = kernel && strcmp(kernel, "auto") == 0;
    const struct what *list = by_choice ? chosen : kernel ? routed : forwarded;
    const int passes = kernel && strstr(kernel, "wgmma") ? 3 : 0; /* over the operands, before the product */
    const int cases = by_choice ? COUNT(chosen) : kernel ? COUNT(routed) - !passes : COUNT(forwarded);
    const int only_once = argc > 2 && strcmp(argv[2], "once") == 0;
    if (kernel && !by_choice) setenv("FASTGEMM_KERNEL", kernel, 1);
    int devices = 0, failed = only_once ? 0 : check_routes(argv, kernel, cases);
    if (failed) return failed;
    if (!only_once) let_standin_refuse();
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0 || !load()) {
        puts("skipped: no GPU here");
        return SKIPPED;
    }
    find_launch();
    if (create(&handle) || lt_create(&lt_handle) || cudaMalloc(&memory, MEMORY) || cudaMalloc(&workspace, WORKSPACE) ||
        cudaMemset(memory, 0, MEMORY) || cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking))
        return 2;
    if (only_once) return once(list, cases);
    const double limit = (nothing ? 1 : 4) * (kernel ? 1000 : 150);
    for (int i = 0; i < cases; i++) {
        struct what what = list[i];
        what.launches += passes;
        prepare(&what);
        failed |= measure(&what, 0, limit) | measure(&what, WALK, 2 * limit);
    }
    return failed;
}
