/*
 * What scripts/fastgemm asks: the settings as text or as README's table, the served names, and, under the preload,
 * whether a program's calls really arrive in the library ("check").
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "../interpose/cublas_names.h"
#include "../kernels/variants.h"
#include "../policy/toggles.h"

enum { SIZE = 96, TOP = 4095 };

static int problems;

/* One finding: its name, ok or not, and the rest; a remedy follows what is not ok. */
__attribute__((format(printf, 3, 4))) static void finding(const char *name, const char *remedy, const char *format,
                                                          ...) {
    va_list list;
    printf("%-11s ", name);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    if (!remedy) return;
    problems++;
    printf("%-11s NOT OK: %s\n", "", remedy);
}

/* ---- tables ---- */

static int print_help(void) {
    char text[16384];
    toggles_help(text, sizeof text);
    fputs(text, stdout);
    return 0;
}

/* A table cell: `|` would end it. */
static void cell(const char *text) {
    for (; *text; text++) {
        if (*text == '|') putchar('\\');
        putchar(*text);
    }
}

static int print_markdown(void) {
    printf("| setting | default | allowed | what it does |\n|---|---|---|---|\n");
#define TOGGLE(field, variable, type, initial, allowed, help)                                                          \
    printf("| `%s` | %s%s%s | ", variable, *(initial) ? "`" : "", initial, *(initial) ? "`" : "");                     \
    cell(allowed);                                                                                                     \
    printf(" | ");                                                                                                     \
    cell(help);                                                                                                        \
    printf(" |\n");
    FASTGEMM_TOGGLES(TOGGLE)
#undef TOGGLE
    return 0;
}

/* Of the served names, those that multiply. */
static int print_doors(void) {
#define NAME(name)                                                                                                     \
    if (strstr(#name, "emm")) puts(#name);
    SERVED_FUNCTIONS(NAME)
    puts("cublasLtMatmul");
#undef NAME
    return 0;
}

/* ---- what is installed ---- */

static void *open_first(const char *const *names) {
    for (; *names; names++) {
        void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
    }
    return NULL;
}

static void *open_cublas(void) {
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "/usr/local/cuda/lib64/libcublas.so.13",
                                        "/usr/local/cuda/lib64/libcublas.so.12", NULL};
    return open_first(names);
}

static void *open_runtime(void) {
    static const char *const names[] = {"libcudart.so.13", "libcudart.so.12", "/usr/local/cuda/lib64/libcudart.so.13",
                                        "/usr/local/cuda/lib64/libcudart.so.12", NULL};
    return open_first(names);
}

static const char *file_of(const void *address) {
    Dl_info info;
    return address && dladdr(address, &info) && info.dli_fname ? info.dli_fname : "(unknown)";
}

/* The driver's words for itself: 0 without one. */
static int driver_version(void *runtime) {
    int version = 0;
    __typeof__(cudaDriverGetVersion) *get = NULL;
    if (runtime) *(void **)&get = dlsym(runtime, "cudaDriverGetVersion");
    return get && get(&version) == cudaSuccess ? version : 0;
}

/* The properties' first member is the name in every version of the runtime; the rest differs. */
static bool gpu_name(void *runtime, char *out, size_t size) {
    char properties[16384] = "";
    int (*get)(void *, int) = NULL;
    *(void **)&get = dlsym(runtime, "cudaGetDeviceProperties_v2");
    if (!get) *(void **)&get = dlsym(runtime, "cudaGetDeviceProperties");
    if (!get || get(properties, 0) != 0) return false;
    snprintf(out, size, "%.200s", properties);
    return true;
}

static int gpu_count(void *runtime) {
    int count = 0;
    __typeof__(cudaGetDeviceCount) *get = NULL;
    if (runtime) *(void **)&get = dlsym(runtime, "cudaGetDeviceCount");
    return get && get(&count) == cudaSuccess ? count : 0;
}

static int gpu_attribute(void *runtime, enum cudaDeviceAttr which) {
    int value = 0;
    __typeof__(cudaDeviceGetAttribute) *get = NULL;
    *(void **)&get = dlsym(runtime, "cudaDeviceGetAttribute");
    return get && get(&value, which, 0) == cudaSuccess ? value : 0;
}

static void check_driver(int driver) {
    const int needed = CUDART_VERSION / 1000;
    if (!driver)
        finding("driver", "install NVIDIA's driver; scripts/demo shows the road on a simulated GPU meanwhile", "none");
    else if (driver / 1000 < needed)
        finding("driver", "every call goes to cuBLAS: update the driver, or build with the CUDA toolkit that it serves",
                "for CUDA %d.%d; this build needs CUDA %d", driver / 1000, driver % 1000 / 10, needed);
    else
        finding("driver", NULL, "for CUDA %d.%d; this build needs CUDA %d", driver / 1000, driver % 1000 / 10, needed);
}

static bool check_gpu(void *runtime) {
    char name[256] = "(no name)";
    int count = gpu_count(runtime);
    if (!count) {
        finding("GPU", "without a GPU that the driver lists, nothing can be served", "none");
        return false;
    }
    gpu_name(runtime, name, sizeof name);
    int arch = gpu_attribute(runtime, cudaDevAttrComputeCapabilityMajor) * 10 +
               gpu_attribute(runtime, cudaDevAttrComputeCapabilityMinor);
    int oldest = gemm_variants[0].min_arch;
    for (int i = 1; i < VARIANT_COUNT; i++)
        if (gemm_variants[i].min_arch < oldest) oldest = gemm_variants[i].min_arch;
    finding("GPU", arch < oldest ? "no kernel for this architecture: every call goes to cuBLAS" : NULL, "%s, sm_%d%s",
            name, arch, count > 1 ? " (and more)" : "");
    return arch >= oldest;
}

static void check_cublas(void *cublas) {
    int part[3] = {0, 0, 0};
    __typeof__(cublasGetProperty) *get = NULL;
    if (!cublas) {
        finding("cuBLAS", "put the toolkit's lib64 on LD_LIBRARY_PATH (programs that bring their own find it anyway)",
                "no libcublas.so.13 or .12 where the loader looks");
        return;
    }
    *(void **)&get = dlsym(cublas, "cublasGetProperty");
    for (int i = 0; get && i < 3; i++)
        if (get((libraryPropertyType)i, &part[i]) != CUBLAS_STATUS_SUCCESS) part[i] = 0;
    finding("cuBLAS", NULL, "%d.%d.%d, %s", part[0], part[1], part[2], file_of((void *)get));
}

/* ---- interception ---- */

/* Lines of the library's log that tell of a call of `entry`; the last is kept. */
static int logged_calls(const char *path, const char *entry, char *last, size_t size) {
    char line[1024];
    int count = 0;
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        const char *arrow = strstr(line, "-> ");
        if (!strstr(line, entry) || !arrow) continue;
        count++;
        snprintf(last, size, "%.*s", (int)strcspn(arrow + 3, "\n"), arrow + 3);
    }
    fclose(file);
    return count;
}

/* The name that a program linked with cuBLAS would bind to. */
static __typeof__(cublasSgemm_v2) *bound_sgemm(const char *library) {
    __typeof__(cublasSgemm_v2) *sgemm = NULL;
    *(void **)&sgemm = dlsym(RTLD_DEFAULT, "cublasSgemm_v2");
    const char *file = file_of((void *)sgemm), *base = strrchr(library, '/');
    if (sgemm && strstr(file, base ? base + 1 : library)) return sgemm;
    finding("binding", "the preload did not take: is the program set-user-ID, static, or of another architecture?",
            "cublasSgemm_v2 is bound to %s", sgemm ? file : "nothing");
    return NULL;
}

/* Whether a program that looks cuBLAS up by hand would get the library's functions too. */
static void check_look_up(const char *library, void *cublas) {
    const char *file = file_of(dlsym(cublas, "cublasSgemm_v2")), *base = strrchr(library, '/');
    const bool ours = strstr(file, base ? base + 1 : library) != NULL;
#if defined(__x86_64__)
    finding("dlsym", ours ? NULL : "programs that load cuBLAS by hand (JAX) pass the library by; please report this",
            "gives the function of %s", file);
#else
    finding("dlsym", NULL, "programs that load cuBLAS by hand (JAX) are%s served on this architecture",
            ours ? "" : " not");
#endif
}

static const float ONE = 1.0f, ZERO = 0.0f;

/* Without a usable GPU a call with no handle still has to pass through the library, and to come back from cuBLAS. */
static cublasStatus_t call_without_gpu(__typeof__(cublasSgemm_v2) *sgemm) {
    float c = 0;
    return sgemm(NULL, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &ONE, &c, 1, &c, 1, &ZERO, &c, 1);
}

struct session {
    cublasHandle_t handle;
    float *a, *b, *c;
    float host[SIZE * SIZE], result[SIZE * SIZE];
    __typeof__(cudaMalloc) *allocate;
    __typeof__(cudaMemcpy) *copy;
};

/* Integers small enough that every order of summation gives the same bits. */
static bool upload(struct session *s) {
    *(void **)&s->allocate = dlsym(open_runtime(), "cudaMalloc");
    *(void **)&s->copy = dlsym(open_runtime(), "cudaMemcpy");
    if (!s->allocate || !s->copy) return false;
    for (int i = 0; i < SIZE * SIZE; i++) s->host[i] = (float)((i * 7919) % TOP - TOP / 2);
    if (s->allocate((void **)&s->a, sizeof s->host) || s->allocate((void **)&s->b, sizeof s->host) ||
        s->allocate((void **)&s->c, sizeof s->host))
        return false;
    if (s->copy(s->a, s->host, sizeof s->host, cudaMemcpyHostToDevice)) return false;
    for (int i = 0; i < SIZE * SIZE; i++) s->host[i] = (float)((i * 31) % 3 - 1);
    return s->copy(s->b, s->host, sizeof s->host, cudaMemcpyHostToDevice) == cudaSuccess;
}

static bool exact(const struct session *s) {
    for (int j = 0; j < SIZE; j++)
        for (int i = 0; i < SIZE; i++) {
            double sum = 0;
            for (int k = 0; k < SIZE; k++)
                sum += (double)(((i + k * SIZE) * 7919) % TOP - TOP / 2) * (((k + j * SIZE) * 31) % 3 - 1);
            if (s->result[i + j * SIZE] != (float)sum) return false;
        }
    return true;
}

/* What went wrong with a product on the GPU; NULL for nothing. */
static const char *call_on_gpu(__typeof__(cublasSgemm_v2) *sgemm, void *cublas) {
    static struct session s;
    __typeof__(cublasCreate_v2) *create = NULL;
    *(void **)&create = dlsym(RTLD_DEFAULT, "cublasCreate_v2");
    if (!create) *(void **)&create = dlsym(cublas, "cublasCreate_v2");
    if (!create || create(&s.handle) != CUBLAS_STATUS_SUCCESS) {
        call_without_gpu(sgemm);
        return "cuBLAS could not make a handle on this GPU";
    }
    if (!upload(&s)) {
        call_without_gpu(sgemm);
        return "no memory could be had on this GPU";
    }
    if (sgemm(s.handle, CUBLAS_OP_N, CUBLAS_OP_N, SIZE, SIZE, SIZE, &ONE, s.a, SIZE, s.b, SIZE, &ZERO, s.c, SIZE) !=
        CUBLAS_STATUS_SUCCESS)
        return "the call failed";
    if (s.copy(s.result, s.c, sizeof s.result, cudaMemcpyDeviceToHost) != cudaSuccess) return "the GPU failed";
    return exact(&s) ? NULL : "the result was wrong; please report this";
}

/* A kernel that runs anywhere, so that a served call can be shown at this small size. */
static void force_kernel(void) {
    const struct gemm_variant *least = &gemm_variants[0];
    for (int i = 1; i < VARIANT_COUNT; i++)
        if (gemm_variants[i].bm * gemm_variants[i].bn < least->bm * least->bn) least = &gemm_variants[i];
    setenv("FASTGEMM_KERNEL", least->name, 1);
}

static void check_interception(const char *library, const char *log, void *cublas, bool gpu) {
    char route[512] = "";
    const char *trouble = NULL;
    __typeof__(cublasSgemm_v2) *sgemm = bound_sgemm(library);
    if (!sgemm || !cublas) return;
    check_look_up(library, cublas);
    if (gpu)
        trouble = call_on_gpu(sgemm, cublas);
    else
        call_without_gpu(sgemm);
    int seen = logged_calls(log, "cublasSgemm_v2", route, sizeof route);
    finding("intercepts", seen == 1 ? NULL : "calls pass the library by; please report this", "%d of 1 call seen",
            seen);
    if (seen != 1) return;
    if (!trouble && gpu && strncmp(route, "cuBLAS", 6) == 0) trouble = "no kernel of ours took it";
    finding("product", trouble, gpu ? "%s" : "not tried on a kernel; the call went to %s", route);
}

static int check(const char *library, const char *log) {
    force_kernel();
    void *cublas = open_cublas(), *runtime = open_runtime();
    int driver = driver_version(runtime);
    check_driver(driver);
    bool gpu = check_gpu(runtime) && driver / 1000 >= CUDART_VERSION / 1000;
    check_cublas(cublas);
    check_interception(library, log, cublas, gpu);
    printf("%s\n", problems ? "not ok" : "ok");
    return problems ? 1 : 0;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "help")) return print_help();
    if (!strcmp(command, "markdown")) return print_markdown();
    if (!strcmp(command, "doors")) return print_doors();
    if (!strcmp(command, "check") && argc == 4) return check(argv[2], argv[3]);
    fprintf(stderr, "usage: fastgemm_probe help | markdown | doors | check LIBRARY LOG\n");
    return 2;
}
