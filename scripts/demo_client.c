/*
 * A program as any other that uses cuBLAS: it multiplies matrices with cublasSgemm and knows nothing of fastgemm.
 * Prints one line per product, fields separated by tabs:
 *   name, m, n, k, operations, relative error against float64, whether two calls gave the same bits, milliseconds (or
 * -)
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

enum { SAMPLES = 32, TIMED_CALLS = 11, CHUNK = 1 << 24 };

/* Column-major, as cuBLAS has it. */
struct product {
    const char *name;
    int64_t m, n, k;
    cublasOperation_t op_a, op_b;
};

static const struct product full[] = {
    {"huge K", 256, 256, 524288, CUBLAS_OP_N, CUBLAS_OP_N},
    {"transposed", 4096, 2048, 8192, CUBLAS_OP_T, CUBLAS_OP_T},
    {"irregular", 5921, 8205, 2949, CUBLAS_OP_N, CUBLAS_OP_N},
    {"outer product", 32768, 32768, 32, CUBLAS_OP_N, CUBLAS_OP_N},
    {"square", 4096, 4096, 4096, CUBLAS_OP_N, CUBLAS_OP_N},
};
static const struct product small[] = {
    {"huge K", 64, 96, 8192, CUBLAS_OP_N, CUBLAS_OP_N},     {"transposed", 512, 1024, 1024, CUBLAS_OP_T, CUBLAS_OP_T},
    {"irregular", 701, 803, 905, CUBLAS_OP_N, CUBLAS_OP_N}, {"outer product", 4096, 4096, 32, CUBLAS_OP_N, CUBLAS_OP_N},
    {"square", 800, 800, 800, CUBLAS_OP_N, CUBLAS_OP_N},
};

#define MUST(call) must((call) == 0, #call)
static void must(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "demo_client: failed: %s\n", what);
    exit(1);
}

static void *get(size_t bytes) {
    void *memory = malloc(bytes);
    must(memory != NULL, "malloc");
    return memory;
}

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* About normal, mean 0: the sum of four 16-bit parts. */
static float *random_matrix(size_t count, uint64_t seed) {
    float *matrix = get(count * sizeof *matrix);
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = next(&state);
        int sum = (int)(bits & 0xffff) + (int)(bits >> 16 & 0xffff) + (int)(bits >> 32 & 0xffff) + (int)(bits >> 48);
        matrix[i] = (float)(sum - 131070) / 37837.0f;
    }
    return matrix;
}

struct operands {
    float *a, *b;        /* host */
    float *da, *db, *dc; /* device */
    int lda, ldb;
};

static struct operands make_operands(const struct product *p) {
    struct operands o = {.lda = (int)(p->op_a == CUBLAS_OP_N ? p->m : p->k),
                         .ldb = (int)(p->op_b == CUBLAS_OP_N ? p->k : p->n)};
    size_t a = (size_t)p->m * (size_t)p->k, b = (size_t)p->k * (size_t)p->n, c = (size_t)p->m * (size_t)p->n;
    o.a = random_matrix(a, 1);
    o.b = random_matrix(b, 2);
    MUST(cudaMalloc((void **)&o.da, a * 4));
    MUST(cudaMalloc((void **)&o.db, b * 4));
    MUST(cudaMalloc((void **)&o.dc, c * 4));
    MUST(cudaMemcpy(o.da, o.a, a * 4, cudaMemcpyHostToDevice));
    MUST(cudaMemcpy(o.db, o.b, b * 4, cudaMemcpyHostToDevice));
    return o;
}

static void drop_operands(struct operands *o) {
    free(o->a), free(o->b);
    MUST(cudaFree(o->da));
    MUST(cudaFree(o->db));
    MUST(cudaFree(o->dc));
}

static void multiply(cublasHandle_t handle, const struct product *p, const struct operands *o) {
    const float one = 1, zero = 0;
    MUST(cublasSgemm(handle, p->op_a, p->op_b, (int)p->m, (int)p->n, (int)p->k, &one, o->da, o->lda, o->db, o->ldb,
                     &zero, o->dc, (int)p->m));
}

/* Multiplies into a C full of NaNs and returns a hash of all bits of the result. */
static uint64_t multiply_hash(cublasHandle_t handle, const struct product *p, const struct operands *o) {
    size_t count = (size_t)p->m * (size_t)p->n;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint32_t *chunk = get((size_t)CHUNK * 4);
    MUST(cudaMemset(o->dc, 0xff, count * 4));
    multiply(handle, p, o);
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t part = count - at < CHUNK ? count - at : CHUNK;
        MUST(cudaMemcpy(chunk, o->dc + at, part * 4, cudaMemcpyDeviceToHost));
        for (size_t i = 0; i < part; i++) hash = (hash ^ chunk[i]) * UINT64_C(0x100000001b3);
    }
    free(chunk);
    return hash;
}

/* SAMPLES rows of op(A), or columns of op(B), spread over the matrix, as float64. */
static double *gather(const float *matrix, int64_t count, int64_t k, int64_t step, int64_t step_k) {
    double *lines = get((size_t)(SAMPLES * k) * sizeof *lines);
    for (int64_t s = 0; s < SAMPLES; s++) {
        int64_t line = s * (count - 1) / (SAMPLES - 1);
        for (int64_t l = 0; l < k; l++) lines[s * k + l] = matrix[line * step + l * step_k];
    }
    return lines;
}

/* Relative Frobenius error of SAMPLES x SAMPLES entries of C, corners included. */
static double error_of(const struct product *p, const struct operands *o) {
    double *rows = gather(o->a, p->m, p->k, p->op_a == CUBLAS_OP_N ? 1 : o->lda, p->op_a == CUBLAS_OP_N ? o->lda : 1);
    double *columns =
        gather(o->b, p->n, p->k, p->op_b == CUBLAS_OP_N ? o->ldb : 1, p->op_b == CUBLAS_OP_N ? 1 : o->ldb);
    double wrong = 0, whole = 0;
    for (int64_t j = 0; j < SAMPLES; j++)
        for (int64_t i = 0; i < SAMPLES; i++) {
            double sum = 0;
            float c = 0;
            for (int64_t l = 0; l < p->k; l++) sum += rows[i * p->k + l] * columns[j * p->k + l];
            int64_t at = i * (p->m - 1) / (SAMPLES - 1) + j * (p->n - 1) / (SAMPLES - 1) * p->m;
            MUST(cudaMemcpy(&c, o->dc + at, sizeof c, cudaMemcpyDeviceToHost));
            wrong += (c - sum) * (c - sum);
            whole += sum * sum;
        }
    free(rows), free(columns);
    return sqrt(wrong / whole);
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* All calls are queued at once: the time between two events is then the GPU's alone. */
static float median_ms(cublasHandle_t handle, const struct product *p, const struct operands *o) {
    float ms[TIMED_CALLS];
    cudaEvent_t at[TIMED_CALLS + 1];
    for (int i = 0; i <= TIMED_CALLS; i++) MUST(cudaEventCreate(&at[i]));
    for (int i = 0; i < 3; i++) multiply(handle, p, o);
    for (int i = 0; i <= TIMED_CALLS; i++) {
        MUST(cudaEventRecord(at[i], NULL));
        if (i < TIMED_CALLS) multiply(handle, p, o);
    }
    MUST(cudaEventSynchronize(at[TIMED_CALLS]));
    for (int i = 0; i < TIMED_CALLS; i++) MUST(cudaEventElapsedTime(&ms[i], at[i], at[i + 1]));
    for (int i = 0; i <= TIMED_CALLS; i++) MUST(cudaEventDestroy(at[i]));
    qsort(ms, TIMED_CALLS, sizeof *ms, ascending);
    return ms[TIMED_CALLS / 2];
}

static void show(cublasHandle_t handle, const struct product *p, int timed) {
    struct operands o = make_operands(p);
    uint64_t first = multiply_hash(handle, p, &o), second = multiply_hash(handle, p, &o);
    printf("%s\t%lld\t%lld\t%lld\t%c%c\t%.2e\t%s\t", p->name, (long long)p->m, (long long)p->n, (long long)p->k,
           "NT"[p->op_a], "NT"[p->op_b], error_of(p, &o), first == second ? "yes" : "NO");
    if (timed)
        printf("%.4f\n", (double)median_ms(handle, p, &o));
    else
        printf("-\n");
    fflush(stdout);
    drop_operands(&o);
}

static int show_device(void) {
    int count = 0;
    struct cudaDeviceProp properties;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return 1;
    MUST(cudaGetDeviceProperties(&properties, 0));
    printf("%s\n", properties.name);
    return 0;
}

int main(int argc, char **argv) {
    const char *size = argc > 1 ? argv[1] : "full";
    int timed = strcmp(size, "full") == 0;
    if (strcmp(size, "device") == 0) return show_device();
    cublasHandle_t handle;
    MUST(cublasCreate(&handle));
    for (unsigned i = 0; i < sizeof full / sizeof *full; i++) show(handle, timed ? &full[i] : &small[i], timed);
    MUST(cublasDestroy(handle));
    return 0;
}
