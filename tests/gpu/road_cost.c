/*
 * What the road costs the host, in nanoseconds a call, to be run under the preload on a GPU or on the stand-ins:
 *   road_cost           calls that are forwarded, against the same function of cuBLAS called directly
 *   road_cost KERNEL    calls that run on this kernel of ours, against as many launches that do nothing
 * Short blocks of either take turns, so that what else the machine does falls on both, and the median of their
 * differences counts. Ends with 1 where it is beyond its limit.
 *
 * On the stand-ins cuBLAS refuses at once what is forwarded, so that the road itself is timed, in warm caches: 150 ns
 * are allowed it, and four times that to a busy machine. On a GPU each of cuBLAS's calls leaves caches and predictors
 * to be filled again, and varies more than the road takes: the limits there, 500 ns and 1000 ns, hold for what a
 * program sees.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "real_cublas.h"

enum { ROUNDS = 401, CALLS = 20, SKIPPED = 77, WORKSPACE = 32 << 20, MEMORY = 192 << 20 };
enum mode { FORWARDED, ROUTED, ROUTED_WORKSPACE };

struct what {
    const char *name;
    enum mode mode;
    int n, k, batch, launches;
    cudaDataType type;
    cublasMath_t math;
};
static const struct what forwarded[] = {
    {"fp16", FORWARDED, 8, 8, 1, 0, CUDA_R_16F, CUBLAS_DEFAULT_MATH},
    {"empty", FORWARDED, 0, 64, 1, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"small", FORWARDED, 8, 8, 1, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"pedantic", FORWARDED, 400, 400, 1, 0, CUDA_R_32F, CUBLAS_PEDANTIC_MATH},
    {"not worth it", FORWARDED, 100, 100, 600, 0, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
};
static const struct what routed[] = {
    {"one launch", ROUTED, 64, 64, 1, 1, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"split", ROUTED, 64, 4096, 1, 2, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
    {"split, workspace", ROUTED_WORKSPACE, 64, 4096, 1, 2, CUDA_R_32F, CUBLAS_DEFAULT_MATH},
};

static cublasHandle_t handle;
static cudaStream_t stream;
static void *memory, *workspace;
static const float one = 1;
static __typeof__(cublasGemmStridedBatchedEx) *direct;

/* ---- launches ---- */

static __typeof__(cudaLaunchKernel) *real_launch;
static const void *nothing; /* a kernel that does nothing; NULL on the stand-ins */
static long standin_launches;

/* The library on the stand-ins launches through this definition, which comes before theirs; the shipped one does not.
 */
cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t where) {
    standin_launches++;
    return nothing ? real_launch(kernel, grid, block, arguments, shared, where) : cudaSuccess;
}

static void find_launch(void) {
    static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                              ".visible .entry nothing(.param .align 8 .b8 arguments[256]) { ret; }\n";
    cudaLibrary_t library;
    cudaKernel_t kernel;
    *(void **)&real_launch = dlsym(RTLD_NEXT, "cudaLaunchKernel");
    __typeof__(cudaLibraryLoadData) *load;
    __typeof__(cudaLibraryGetKernel) *get;
    *(void **)&load = dlsym(RTLD_DEFAULT, "cudaLibraryLoadData");
    *(void **)&get = dlsym(RTLD_DEFAULT, "cudaLibraryGetKernel");
    if (load && get && !load(&library, ptx, NULL, NULL, 0, NULL, NULL, 0) && !get(&kernel, library, "nothing"))
        nothing = (const void *)kernel;
}

static void launch_nothing(int launches) {
    char bytes[256] = {0};
    void *arguments[] = {bytes};
    for (int i = 0; nothing && i < launches; i++)
        real_launch(nothing, (dim3){1, 1, 1}, (dim3){128, 1, 1}, arguments, 0, stream);
}

/* ---- calls ---- */

/*
 * A stand-in cuBLAS that refuses every product at once, as it is told to here: what is left is the road itself, with
 * warm caches, and little noise. To be called before CUDA is.
 */
static int refused_by_standin;
static void let_standin_refuse(void) {
    refused_by_standin = dlsym(RTLD_DEFAULT, "fgsim_reset") != NULL;
    if (refused_by_standin) setenv("FASTGEMM_SIM_FAIL", "cublasGemmStridedBatchedEx=14", 1);
}

static void call(__typeof__(cublasGemmStridedBatchedEx) *function, const struct what *w) {
    const int ld = w->k > 512 ? w->k : 512;
    cublasStatus_t status = function(handle, CUBLAS_OP_T, CUBLAS_OP_N, w->n, w->n, w->k, &one, memory, w->type, ld, 256,
                                     memory, w->type, ld, 256, &one, memory, w->type, ld, (long long)ld * w->n,
                                     w->batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    if (status != CUBLAS_STATUS_SUCCESS && !refused_by_standin) {
        printf("%s: status %d\n", w->name, (int)status);
        exit(2);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Nanoseconds of one of a block's calls: of what is measured, or of what it is measured against. */
static double block(const struct what *w, int reference) {
    double start = now();
    for (int i = 0; i < CALLS; i++) {
        if (!reference)
            call(cublasGemmStridedBatchedEx, w);
        else if (w->mode == FORWARDED)
            call(direct, w);
        else
            launch_nothing(w->launches);
    }
    return (now() - start) / CALLS;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void prepare(const struct what *w) {
    cublasSetMathMode(handle, w->math);
    cublasSetStream(handle, stream);
    if (w->mode == ROUTED_WORKSPACE) cublasSetWorkspace(handle, workspace, WORKSPACE);
}

static double median_of(double *values) {
    qsort(values, ROUNDS, sizeof *values, by_size);
    return values[ROUNDS / 2];
}

static int measure(const struct what *w, double limit) {
    static double base[ROUNDS], added[ROUNDS];
    prepare(w);
    block(w, 0), block(w, 1);
    standin_launches = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double first = block(w, i % 2), second = block(w, !(i % 2));
        base[i] = i % 2 ? first : second;
        added[i] = (i % 2 ? second : first) - base[i];
        if (i % 8 == 0) cudaDeviceSynchronize();
    }
    if (!nothing && standin_launches != (long)w->launches * ROUNDS * CALLS) {
        printf("%s: %ld launches\n", w->name, standin_launches);
        return 1;
    }
    const double median = median_of(added);
    printf("%-18s %s %7.0f ns, added %5.0f ns (quartiles %.0f to %.0f), limit %.0f\n", w->name,
           w->mode == FORWARDED ? "cuBLAS  " : "launches", median_of(base), median, added[ROUNDS / 4],
           added[ROUNDS * 3 / 4], limit);
    return !(median <= limit);
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
        call(cublasGemmStridedBatchedEx, &list[i]);
    }
    return cudaDeviceSynchronize() != cudaSuccess;
}

int main(int argc, char **argv) {
    const char *kernel = argc > 1 && *argv[1] ? argv[1] : NULL;
    const struct what *list = kernel ? routed : forwarded;
    const int cases = kernel ? sizeof routed / sizeof *routed : sizeof forwarded / sizeof *forwarded;
    const int only_once = argc > 2 && strcmp(argv[2], "once") == 0;
    if (kernel) setenv("FASTGEMM_KERNEL", kernel, 1);
    int devices = 0, failed = only_once ? 0 : check_routes(argv, kernel, cases);
    if (failed) return failed;
    if (!only_once) let_standin_refuse();
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        puts("skipped: no GPU here");
        return SKIPPED;
    }
    find_launch();
    const int passes = kernel && strstr(kernel, "wgmma") ? 3 : 0; /* over the operands, before the product */
    *(void **)&direct = real_cublas_function("cublasGemmStridedBatchedEx");
    if (cublasCreate(&handle) || cudaMalloc(&memory, MEMORY) || cudaMalloc(&workspace, WORKSPACE) ||
        cudaMemset(memory, 0, MEMORY) || cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking))
        return 2;
    if (only_once) return once(list, cases);
    for (int i = 0; i < cases; i++) {
        struct what what = list[i];
        what.launches += passes;
        failed |= measure(&what, nothing ? (kernel ? 1000 : 500) : kernel ? 10000 : 600);
    }
    return failed;
}
