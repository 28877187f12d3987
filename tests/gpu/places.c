/*
 * Calls from many places: threads, streams that come and go, contexts, processes. To be run under the preload, on a GPU
 * or on the stand-ins, with a kernel forced that splits K. Each scenario is a process of its own (`places NAME`); the
 * library's summary has to say that every product ran on that kernel, and every product is compared with the exact one.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "reasons.h"
#include "variants.h"

enum { N = 64, MOST_K = 1024, LEAST_K = 256, THREADS = 64, STREAMS = 100, PROCESSES = 4, SKIPPED = 77 };
enum { LONG_LIVED = 1, CALLS = 40 }; /* streams that keep their scratch for good, and calls by then: scratch_kept.c */

#define MUST(call) must((int)(call), #call, __LINE__)
static void must(int error, const char *what, int line) {
    if (!error) return;
    fprintf(stderr, "places: line %d: %s: %d\n", line, what, error);
    _exit(1);
}

static const float one = 1, zero = 0;
static float exact[N * N];
static int k_size; /* little, but split, where each step of it is simulated */

static float element(int i) {
    return (float)(i * 7919 % 7 - 3);
}

/* A and B hold the same numbers; their product is exact in any order of summation. */
static float *operand(void) {
    static float host[N * MOST_K];
    float *device;
    for (int i = 0; i < N * k_size; i++) host[i] = element(i);
    MUST(cudaMalloc((void **)&device, sizeof host));
    MUST(cudaMemcpy(device, host, sizeof host, cudaMemcpyHostToDevice));
    MUST(cudaDeviceSynchronize()); /* streams that wait for no other are to find it, and what result() writes */
    return device;
}

static float *result(void) {
    float *device;
    MUST(cudaMalloc((void **)&device, sizeof exact));
    MUST(cudaMemset(device, 0xff, sizeof exact));
    MUST(cudaDeviceSynchronize());
    return device;
}

static void expect_exact(const float *device, const char *where) {
    float host[N * N];
    MUST(cudaDeviceSynchronize());
    MUST(cudaMemcpy(host, device, sizeof host, cudaMemcpyDeviceToHost));
    int wrong = 0, last = 0;
    for (int i = 0; i < N * N; i++)
        if (host[i] != exact[i]) wrong++, last = i;
    if (!wrong) return;
    fprintf(stderr, "places: %s: %d wrong elements, the last C[%d] = %g, not %g\n", where, wrong, last,
            (double)host[last], (double)exact[last]);
    _exit(1);
}

static cublasStatus_t multiply(cublasHandle_t handle, const float *operands, float *c) {
    return cublasSgemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, N, N, k_size, &one, operands, k_size, operands, k_size, &zero,
                       c, N);
}

/* A handle's whole life; returns the number of products. */
static int whole_life(const char *where) {
    cublasHandle_t handle;
    float *operands = operand(), *c = result();
    MUST(cublasCreate(&handle));
    for (int i = 0; i < 2; i++) MUST(multiply(handle, operands, c));
    expect_exact(c, where);
    MUST(cublasDestroy(handle));
    cudaFree(operands), cudaFree(c);
    return 2;
}

/* ---- scenarios: each returns how many products ran in this process ---- */

struct worker {
    pthread_t thread;
    cublasHandle_t handle; /* NULL: one of its own */
    cudaStream_t stream;   /* for its own; NULL: a stream of its own too */
    const float *operands;
    float *c;
};

static void *work(void *argument) {
    struct worker *w = argument;
    cublasHandle_t handle = w->handle;
    cudaStream_t stream = w->stream;
    if (!handle) {
        if (!stream) MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        MUST(cublasCreate(&handle));
        MUST(cublasSetStream(handle, stream));
    }
    for (int i = 0; i < 4; i++) MUST(multiply(handle, w->operands, w->c));
    if (!w->handle) {
        if (!w->stream) MUST(cudaStreamDestroy(stream));
        MUST(cublasDestroy(handle));
    }
    return NULL;
}

static int run_threads(cublasHandle_t handle) {
    static struct worker workers[THREADS];
    float *operands = operand();
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.handle = handle, .operands = operands, .c = result()};
        if (i % 2) workers[i].stream = cudaStreamPerThread;
        MUST(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
    }
    for (int i = 0; i < THREADS; i++) MUST(pthread_join(workers[i].thread, NULL));
    for (int i = 0; i < THREADS; i++) expect_exact(workers[i].c, "a thread");
    return 4 * THREADS;
}

static int threads(void) {
    return run_threads(NULL);
}

static int one_handle(void) {
    cublasHandle_t handle;
    MUST(cublasCreate(&handle));
    int products = run_threads(handle);
    MUST(cublasDestroy(handle));
    return products;
}

/* One handle on streams that are destroyed with the work under way, so that their addresses come back. */
static int streams(void) {
    cublasHandle_t handle;
    float *operands = operand(), *c[STREAMS];
    MUST(cublasCreate(&handle));
    for (int i = 0; i < STREAMS; i++) c[i] = result();
    for (int i = 0; i < STREAMS; i++) {
        cudaStream_t stream;
        MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        MUST(cublasSetStream(handle, stream));
        for (int call = 0; call < (i < LONG_LIVED ? CALLS : 1); call++) MUST(multiply(handle, operands, c[i]));
        MUST(cudaStreamDestroy(stream));
    }
    MUST(cublasDestroy(handle)); /* with work under way */
    for (int i = 0; i < STREAMS; i++) expect_exact(c[i], "a stream");
    return STREAMS + LONG_LIVED * (CALLS - 1);
}

/* A handle on each device, used in turn and destroyed in another order, with another device current. */
static int devices(void) {
    enum { MOST = 8, ROUNDS = 3 };
    cublasHandle_t handle[MOST];
    float *operands[MOST], *c[MOST];
    int count = 0;
    MUST(cudaGetDeviceCount(&count));
    if (count > MOST) count = MOST;
    for (int i = 0; i < count; i++) {
        MUST(cudaSetDevice(i));
        MUST(cublasCreate(&handle[i]));
        operands[i] = operand(), c[i] = result();
    }
    for (int i = 0; i < count * ROUNDS; i++) {
        MUST(cudaSetDevice(i % count));
        MUST(multiply(handle[i % count], operands[i % count], c[i % count]));
    }
    for (int i = 0; i < count; i++) {
        const int gone = (i + 1) % count;
        MUST(cudaSetDevice(i));
        expect_exact(c[i], "a device");
        MUST(cublasDestroy(handle[gone]));
    }
    fprintf(stderr, "places: handles on %d device%s\n", count, count == 1 ? "" : "s");
    return count * ROUNDS;
}

/* A product that is captured once and replayed on a stream of its own, beside others. */
struct replayed {
    cudaStream_t stream;
    cudaGraphExec_t program;
    float *c;
};

static struct replayed capture_on(cublasHandle_t handle, const float *operands) {
    struct replayed r = {.c = result()};
    cudaGraph_t graph;
    MUST(cudaStreamCreateWithFlags(&r.stream, cudaStreamNonBlocking));
    MUST(cublasSetStream(handle, r.stream));
    MUST(multiply(handle, operands, r.c)); /* as programs warm up */
    MUST(cudaDeviceSynchronize());
    MUST(cudaStreamBeginCapture(r.stream, cudaStreamCaptureModeGlobal));
    for (int i = 0; i < 2; i++) MUST(multiply(handle, operands, r.c));
    MUST(cudaStreamEndCapture(r.stream, &graph));
    MUST(cudaGraphInstantiate(&r.program, graph, 0));
    MUST(cudaGraphDestroy(graph));
    return r;
}

/* Graphs that are replayed at once, also when their handle is gone. */
static int graphs(void) {
    enum { GRAPHS = 3, REPLAYS = 30 };
    cublasHandle_t handle;
    struct replayed r[GRAPHS];
    float *operands = operand();
    MUST(cublasCreate(&handle));
    for (int i = 0; i < GRAPHS; i++) r[i] = capture_on(handle, operands);
    for (int life = 0; life < 2; life++) {
        for (int i = 0; i < GRAPHS; i++) MUST(cudaMemset(r[i].c, 0xff, sizeof exact));
        MUST(cudaDeviceSynchronize());
        for (int i = 0; i < GRAPHS * REPLAYS; i++) MUST(cudaGraphLaunch(r[i % GRAPHS].program, r[i % GRAPHS].stream));
        for (int i = 0; i < GRAPHS; i++) expect_exact(r[i].c, "replays at once");
        if (life == 0) MUST(cublasDestroy(handle));
    }
    for (int i = 0; i < GRAPHS; i++) {
        MUST(cudaGraphLaunch(r[i].program, r[i].stream));
        MUST(cudaGraphExecDestroy(r[i].program)); /* with work under way */
        MUST(cudaStreamDestroy(r[i].stream));
    }
    MUST(cudaDeviceSynchronize());
    cudaFree(operands);
    for (int i = 0; i < GRAPHS; i++) cudaFree(r[i].c);
    return 3 * GRAPHS;
}

/* Contexts that the program makes with the driver, on its last device, beside the runtime's and after one another. */
static int contexts(void) {
    int (*create)(void **, void *, unsigned, int), (*destroy)(void *), (*set)(void *), devices = 0;
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY), *context[2];
    if (!driver) return 0;
    *(void **)&create = dlsym(driver, "cuCtxCreate_v4");
    *(void **)&destroy = dlsym(driver, "cuCtxDestroy_v2");
    *(void **)&set = dlsym(driver, "cuCtxSetCurrent");
    if (!create || !destroy || !set) return 0;
    MUST(cudaGetDeviceCount(&devices));
    int products = whole_life("the primary context");
    for (int i = 0; i < 2; i++) {
        MUST(create(&context[i], NULL, 0, devices - 1));
        products += whole_life("a context of the program's");
    }
    MUST(set(context[0]));
    products += whole_life("the first context again");
    for (int i = 0; i < 2; i++) MUST(destroy(context[i]));
    MUST(create(&context[0], NULL, 0, devices - 1));
    products += whole_life("a context after others");
    MUST(destroy(context[0]));
    MUST(cudaSetDevice(0));
    return products + whole_life("the primary context again");
}

static void wait_for(pid_t child, const char *what) {
    int status = -1;
    waitpid(child, &status, 0);
    if (status == 0) return;
    fprintf(stderr, "places: %s ended with status %x\n", what, status);
    _exit(1);
}

/* Several processes on one GPU, forked before CUDA is used; each ends as programs do, without destroying its handle. */
static int processes(void) {
    pid_t child[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        child[i] = fork();
        if (child[i]) continue;
        cublasHandle_t handle;
        float *operands = operand(), *c = result();
        MUST(cublasCreate(&handle));
        for (int round = 0; round < 20; round++) MUST(multiply(handle, operands, c));
        expect_exact(c, "a process");
        exit(0);
    }
    int products = whole_life("the parent");
    for (int i = 0; i < PROCESSES; i++) wait_for(child[i], "a process");
    return products;
}

/* CUDA does not survive a fork: the child gets an answer, and its parent is none the worse. An exec starts afresh. */
static int forks(void) {
    cublasHandle_t handle;
    float *operands = operand(), *c = result();
    MUST(cublasCreate(&handle));
    MUST(multiply(handle, operands, c));
    pid_t child = fork();
    if (child == 0) {
        cublasHandle_t own;
        if (cublasCreate(&own) == CUBLAS_STATUS_SUCCESS) multiply(own, operands, c);
        _exit(0);
    }
    wait_for(child, "a child without CUDA");
    child = fork();
    if (child == 0) {
        unsetenv("FASTGEMM_LOG");
        execl("/proc/self/exe", "places", "life", (char *)NULL);
        _exit(127);
    }
    wait_for(child, "a child after exec");
    MUST(multiply(handle, operands, c));
    expect_exact(c, "the parent of a fork");
    MUST(cublasDestroy(handle));
    return 2;
}

/* The first product of the process is captured: loading kernels is no part of a capture. Replays give the same bits. */
static int capture(void) {
    enum { WORKSPACE = 32 << 20 };
    cublasHandle_t handle;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t program;
    void *workspace;
    float *operands = operand(), *c = result();
    MUST(cudaMalloc(&workspace, WORKSPACE));
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    MUST(cublasCreate(&handle));
    MUST(cublasSetStream(handle, stream));
    MUST(cublasSetWorkspace(handle, workspace, WORKSPACE));
    MUST(cudaDeviceSynchronize());
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    MUST(multiply(handle, operands, c));
    MUST(cudaStreamEndCapture(stream, &graph));
    MUST(cudaGraphInstantiate(&program, graph, 0));
    for (int replay = 0; replay < 3; replay++) {
        MUST(cudaMemset(c, 0xff, sizeof exact));
        MUST(cudaDeviceSynchronize());
        MUST(cudaGraphLaunch(program, stream));
        expect_exact(c, "a replay");
    }
    MUST(cublasDestroy(handle));
    return 1;
}

/* What the library keeps on a device is gone with cudaDeviceReset, and is made anew. */
static int reset(void) {
    int products = graphs() + whole_life("before the reset");
    for (int i = 0; i < 2; i++) {
        MUST(cudaDeviceReset());
        products += whole_life("after a reset") + graphs();
    }
    return products;
}

static int life(void) {
    return whole_life("an exec'd child");
}

static const struct scenario {
    const char *name;
    int (*run)(void);
} scenarios[] = {{"life", life},           {"threads", threads},   {"one_handle", one_handle},
                 {"streams", streams},     {"devices", devices},   {"forks", forks},
                 {"processes", processes}, {"contexts", contexts}, {"capture", capture},
                 {"graphs", graphs},       {"reset", reset}};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* ---- the parent: never uses CUDA ---- */

static int says(const char *path, const char *part) {
    char line[4096];
    int found = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) found |= strstr(line, part) != NULL;
    if (file) fclose(file);
    return found;
}

/* The user's word that a kernel's contract asks for. */
static const char *const precisions[] = {[CONTRACT_IEEE] = "ieee", [CONTRACT_FP32] = "fp32", [CONTRACT_TF32] = "tf32"};

/* The scenario in a process of its own with this kernel forced; what it printed, and its status as waitpid gives it. */
static int run_process(const char *name, const struct gemm_variant *kernel, const char *folder, char answer[16]) {
    char path[64], own[64];
    int status = -1, pipes[2];
    snprintf(path, sizeof path, "%s/log.%%p", folder);
    if (pipe(pipes)) return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], 1);
        setenv("FASTGEMM_KERNEL", kernel->name, 1);
        setenv("FASTGEMM_PRECISION", precisions[kernel->contract], 1);
        setenv("FASTGEMM_LOG", "summary", 1);
        setenv("FASTGEMM_LOG_FILE", path, 1);
        execl("/proc/self/exe", "places", name, (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    if (read(pipes[0], answer, 15) < 0) answer[0] = 0;
    close(pipes[0]);
    waitpid(child, &status, 0);
    snprintf(path, sizeof path, "%s/log.%ld", folder, (long)child);
    snprintf(own, sizeof own, "%s/log", folder);
    rename(path, own); /* of this process, not of its children */
    return status;
}

static int run(const char *name, const struct gemm_variant *kernel) {
    char folder[] = "/tmp/places.XXXXXX", total[64], answer[16] = "", clean[64];
    if (!mkdtemp(folder)) return 1;
    const int status = run_process(name, kernel, folder, answer), products = atoi(answer);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) return SKIPPED;
    snprintf(total, sizeof total, "total %d calls: %d routed, 0 forwarded", products, products);
    snprintf(clean, sizeof clean, "%s/log", folder);
    const int not_here = products == 0 || says(clean, gemm_reason_text(REASON_forced_kernel));
    const int good = status == 0 && (not_here || says(clean, total));
    printf("%-12s %-32s %4d products: %s\n", name, kernel->name, products,
           !good      ? "FAILED"
           : not_here ? "not possible here"
                      : "all on our kernel, all exact");
    fflush(stdout);
    snprintf(clean, sizeof clean, "rm -rf %s", folder);
    return system(clean) != 0 || !good;
}

int main(int argc, char **argv) {
    const int simulated = dlsym(RTLD_DEFAULT, "fgsim_reset") != NULL;
    k_size = simulated ? LEAST_K : MOST_K;
    if (argc > 1) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                for (int k = 0; k < k_size; k++) exact[j * N + i] += element(i * k_size + k) * element(j * k_size + k);
        for (int i = 0; i < SCENARIOS; i++) {
            if (strcmp(argv[1], scenarios[i].name)) continue;
            int devices = 0; /* forks before it are of a process without CUDA */
            if (strcmp(argv[1], "processes") && (cudaGetDeviceCount(&devices) || !devices)) return SKIPPED;
            printf("%d\n", scenarios[i].run());
            return 0;
        }
        return 2;
    }
    int failed = 0;
    for (int i = 0; i < SCENARIOS; i++) {
        int status = run(scenarios[i].name, &gemm_variants[VARIANT_sgemm_simt_64x64x8]);
        if (status == SKIPPED) return SKIPPED;
        failed |= status;
    }
    /* What each kernel has to load of its own, once a context; which is simulated once for all. */
    for (int v = 0; v < VARIANT_COUNT; v++) {
        failed |= run("capture", &gemm_variants[v]);
        if (!simulated) failed |= run("contexts", &gemm_variants[v]);
    }
    return failed;
}
