/*
 * cublasLtMatmul under the preload against float64 and against the same library's own cublasLt, in one process: on a
 * real GPU, and smaller on the simulated one. The first argument is the kernel to force, or `auto` for the library's
 * own choice; the second, if there is one, the number of splits of K. As in test_gpu.c, the library's log tells after
 * every call that it was seen and where it went.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <cublas_v2.h>

#include "../../kernels/variants.h"
#include "lt_product.h"
#include "real_cublas.h"

enum { SKIPPED = 77 };

/* What our GELU may lose of its argument, and what cuBLAS's does, which approximates tanh (3.6e-6 seen). */
static const double OUR_GELU = 0x1p-22, THEIR_GELU = 6e-6;

static __typeof__(cublasLtMatmul) *real_matmul;
static cublasLtHandle_t handle;
static bool simulated, streaming;
static const struct gemm_variant *forced;
static char log_path[] = "/tmp/fastgemm-test-XXXXXX", last_route[256];
static long log_read;

static int new_calls(void) {
    char line[1024];
    int calls = 0;
    FILE *file = fopen(log_path, "r");
    assert_non_null(file);
    fseek(file, log_read, SEEK_SET);
    while (fgets(line, sizeof line, file)) {
        const char *arrow = strstr(line, "-> ");
        if (!arrow || !strstr(line, "cublasLtMatmul")) continue;
        calls++;
        snprintf(last_route, sizeof last_route, "%.*s", (int)strcspn(arrow + 3, "\n"), arrow + 3);
    }
    log_read = ftell(file);
    fclose(file);
    return calls;
}

static bool went_to_ours(void) {
    return strncmp(last_route, "cuBLAS", 6) != 0 && *last_route;
}

#define EXPECT(condition, p)                                                                                           \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_error("ops %d%d orders %d%d%d m=%d n=%d k=%d batch=%d pad=%d shift=%d gap=%d alpha=%g beta=%g "      \
                        "device %d in place %d algo %d epilogue %u -> %s\n    not so: %s\n",                           \
                        (p)->op_a, (p)->op_b, (p)->order_a, (p)->order_b, (p)->order_d, (p)->m, (p)->n, (p)->k,        \
                        (p)->batch, (p)->pad, (p)->shift, (p)->gap, (double)(p)->alpha, (double)(p)->beta,             \
                        (p)->device_scalars, (p)->in_place, (p)->named_algo, (p)->epilogue, last_route, #condition);   \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

/* ---- one product, all checks ---- */

/* As a kernel for few pairs of loaders takes it: a small K if it streams, and nothing that is not a multiple of 16
 * bytes. */
static struct lt_product fitted(struct lt_product p) {
    p.tf32 = forced && forced->contract == CONTRACT_TF32;
    if (forced && gemm_family_short_k(forced->family)) p.k = p.k < forced->bk ? p.k : forced->bk;
    if (!streaming) return p;
    p.m = (p.m + 3) / 4 * 4, p.n = (p.n + 3) / 4 * 4, p.k = (p.k + 3) / 4 * 4;
    p.pad = p.shift = 0;
    p.gap = p.gap / 4 * 4;
    return p;
}

/* Whether the operand lies along K in memory. */
static bool a_along_k(const struct lt_product *p) {
    return (p->op_a == CUBLAS_OP_N) == (p->order_a == CUBLASLT_ORDER_ROW);
}
static bool b_along_k(const struct lt_product *p) {
    return (p->op_b == CUBLAS_OP_N) == (p->order_b == CUBLASLT_ORDER_COL);
}

/* cuBLAS refuses a bias in row order: then the answer has to be its own. */
static bool refused(const struct lt_product *p) {
    return p->order_d == CUBLASLT_ORDER_ROW && (p->epilogue & CUBLASLT_EPILOGUE_BIAS);
}

static enum gemm_loader loader_of(bool along_k) {
    return along_k ? LOAD_K4 : LOAD_MN16;
}

/* Whether the forced kernel takes operands that lie so; where D is in row order, its transpose is what is computed. */
static bool ours_to_serve(const struct lt_product *p) {
    if (!forced || refused(p)) return false;
    const enum gemm_loader a = loader_of(a_along_k(p)), b = loader_of(b_along_k(p));
    return p->order_d == CUBLASLT_ORDER_ROW ? gemm_variant_takes(forced, b, a) : gemm_variant_takes(forced, a, b);
}

static float *copy_of(const struct lt_operands *o) {
    const size_t bytes = (size_t)(o->x[LT_D].count + 1024) * sizeof(float);
    float *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, o->result, bytes);
    return copy;
}

/* cuBLAS's own result and status for the same call. */
static void compare_with_real(const struct lt_product *p, struct lt_operands *o, cublasStatus_t status, int64_t limit) {
    float *mine = copy_of(o);
    lt_reset(o, p);
    const cublasStatus_t theirs = lt_call(real_matmul, handle, p, o, NULL);
    assert_int_equal(new_calls(), 0);
    EXPECT(lt_fetch(o), p);
    EXPECT(theirs == status, p);
    if (status == CUBLAS_STATUS_SUCCESS) EXPECT(lt_difference(o, p, mine, THEIR_GELU, limit) <= 2, p);
    free(mine);
}

static void try_product(const struct lt_product *asked, int64_t limit) {
    const struct lt_product fit = fitted(*asked), *p = &fit;
    struct lt_operands o = {0};
    lt_make(&o, p);
    const cublasStatus_t status = lt_call(cublasLtMatmul, handle, p, &o, NULL);
    EXPECT(new_calls() == 1, p);
    EXPECT(went_to_ours() == ours_to_serve(p) || (!forced && !refused(p)), p);
    EXPECT(status == (refused(p) ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS), p);
    EXPECT(lt_fetch(&o), p);
    if (status == CUBLAS_STATUS_SUCCESS) EXPECT(lt_worst(&o, p, went_to_ours() ? OUR_GELU : THEIR_GELU, limit) <= 1, p);
    compare_with_real(p, &o, status, limit);
    lt_drop(&o);
}

/* ---- tests ---- */

static const uint32_t epilogues[] = {CUBLASLT_EPILOGUE_DEFAULT,   CUBLASLT_EPILOGUE_BIAS,
                                     CUBLASLT_EPILOGUE_RELU,      CUBLASLT_EPILOGUE_GELU,
                                     CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU_BIAS};
enum { EPILOGUES = 6 };
static const float betas[] = {0, 1, -1.75f};
static const struct {
    int m, n, k;
} sizes[] = {{1, 1, 1},     {3, 5, 7},     {33, 31, 9},     {65, 63, 17},  {36, 44, 40},
             {16, 140, 70}, {20, 24, 300}, {129, 127, 131}, {257, 65, 33}, {256, 128, 512}};

/* Every epilogue with every order, ops and size; batches, alignments, scalars and the rest take turns. */
static void epilogues_orders_sizes(void **state) {
    (void)state;
    const int count = simulated ? 7 : (int)(sizeof sizes / sizeof *sizes);
    int turn = 0;
    for (int size = 0; size < count; size++)
        for (int epilogue = 0; epilogue < EPILOGUES; epilogue++)
            for (int orders = 0; orders < 8; orders++)
                for (int ops = 0; ops < 4; ops++, turn++) {
                    if (simulated && turn % 7) continue;
                    struct lt_product p = {.op_a = ops / 2,
                                           .op_b = ops % 2,
                                           .order_a = orders / 4,
                                           .order_b = orders / 2 % 2,
                                           .order_d = orders % 2,
                                           .m = sizes[size].m,
                                           .n = sizes[size].n,
                                           .k = sizes[size].k,
                                           .batch = 1 + turn % 3,
                                           .pad = turn / 3 % 3 * 2,
                                           .shift = turn / 2 % 4 % 3,
                                           .gap = turn % 7,
                                           .alpha = turn % 2 ? 1 : -1.5f,
                                           .beta = betas[turn / 4 % 3],
                                           .device_scalars = turn / 5 % 2,
                                           .in_place = turn / 7 % 2,
                                           .named_algo = turn / 11 % 2 && turn / 2 % 4 % 3 == 0, /* its alignment */
                                           .epilogue = epilogues[epilogue]};
                    try_product(&p, simulated ? 2000 : 3000);
                }
}

/* By the library's own choice: what Linear layers ask for. All of it has to be served where the table says so. */
static void linear_layers(void **state) {
    (void)state;
    static const int shapes[][3] = {{4096, 2048, 1024}, {1001, 1000, 999}, {3072, 4096, 768}, {512, 4096, 2048}};
    for (int i = 0; i < (simulated ? 0 : 4); i++)
        for (int epilogue = 0; epilogue < EPILOGUES; epilogue++) {
            struct lt_product p = {.op_a = CUBLAS_OP_T,
                                   .m = shapes[i][0],
                                   .n = shapes[i][1],
                                   .k = shapes[i][2],
                                   .alpha = 1,
                                   .named_algo = true,
                                   .epilogue = epilogues[epilogue]};
            try_product(&p, 4000);
            if (!forced) EXPECT(went_to_ours() || refused(&p) || new_calls() == 0, &p);
        }
}

/* ReLU lets a NaN through, GELU too; infinities go where they belong. */
static void infinities_and_nans(void **state) {
    (void)state;
    const float odd[] = {INFINITY, -INFINITY, NAN};
    for (int epilogue = 0; epilogue < EPILOGUES; epilogue++) {
        struct lt_product p = {.m = 40, .n = 44, .k = 32, .alpha = 1, .epilogue = epilogues[epilogue]};
        struct lt_operands o = {0};
        p = fitted(p);
        lt_make(&o, &p);
        for (int i = 0; i < 3; i++)
            assert_int_equal(cudaMemcpy(o.x[LT_A].device + 5 + 7 * i, &odd[i], sizeof *odd, cudaMemcpyHostToDevice), 0);
        assert_int_equal(lt_call(cublasLtMatmul, handle, &p, &o, NULL), CUBLAS_STATUS_SUCCESS);
        EXPECT(new_calls() == 1 && (!forced || went_to_ours()), &p);
        assert_true(lt_fetch(&o));
        for (int j = 0; j < p.n; j++) {
            const float *column = o.result + 512 + j * o.x[LT_D].ld;
            const bool relu = p.epilogue & CUBLASLT_EPILOGUE_RELU, gelu = p.epilogue & CUBLASLT_EPILOGUE_GELU;
            if (forced) assert_true(isnan(column[19]));
            for (int i = 0; i < 2; i++) {
                const float b = o.x[LT_B].host[j * o.x[LT_B].ld], x = column[5 + 7 * i];
                const bool up = (b > 0) == (i == 0);
                if (up)
                    assert_true(isinf(x) && x > 0);
                else
                    assert_true(relu ? x == 0.0f : gelu ? isnan(x) || x == 0.0f : isinf(x) && x < 0);
            }
        }
        lt_drop(&o);
    }
}

/* Again, on other streams and handles, with and without a named algorithm: the same bits. */
static void same_bits_every_time(void **state) {
    (void)state;
    cublasHandle_t cublas;
    cudaStream_t stream;
    struct lt_product p = {.op_b = CUBLAS_OP_T,
                           .m = simulated ? 44 : 333,
                           .n = simulated ? 35 : 217,
                           .k = simulated ? 333 : 9001,
                           .alpha = 1.5f,
                           .epilogue = CUBLASLT_EPILOGUE_GELU_BIAS};
    struct lt_operands o = {0};
    p = fitted(p);
    assert_int_equal(cublasCreate(&cublas), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    lt_make(&o, &p);
    float *first = NULL;
    for (int run = 0; run < 6; run++) {
        const cublasLtHandle_t which = run % 2 ? (cublasLtHandle_t)(void *)cublas : handle; /* as frameworks cast it */
        lt_reset(&o, &p);
        p.named_algo = run / 2 % 2;
        assert_int_equal(lt_call(cublasLtMatmul, which, &p, &o, run > 2 ? stream : NULL), CUBLAS_STATUS_SUCCESS);
        EXPECT(new_calls() == 1 && (!forced || went_to_ours()), &p);
        assert_true(lt_fetch(&o));
        if (first)
            assert_memory_equal(first, o.result, (size_t)o.x[LT_D].count * sizeof *first);
        else
            first = copy_of(&o);
    }
    free(first);
    lt_drop(&o);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    assert_int_equal(cublasDestroy(cublas), CUBLAS_STATUS_SUCCESS);
}

static void captured_and_replayed(void **state) {
    (void)state;
    struct lt_product p = {.m = 60, .n = 52, .k = 32, .alpha = 1, .epilogue = CUBLASLT_EPILOGUE_RELU_BIAS};
    struct lt_operands o = {0};
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t ready;
    p = fitted(p);
    lt_make(&o, &p);
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    const cublasStatus_t status = lt_call(cublasLtMatmul, handle, &p, &o, stream);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_int_equal(status, CUBLAS_STATUS_SUCCESS);
    EXPECT(new_calls() == 1, &p);
    assert_int_equal(cudaGraphInstantiate(&ready, graph, 0), cudaSuccess);
    for (int replay = 0; replay < 2; replay++) {
        lt_reset(&o, &p);
        assert_int_equal(cudaGraphLaunch(ready, stream), cudaSuccess);
        assert_true(lt_fetch(&o));
        EXPECT(lt_worst(&o, &p, OUR_GELU, 0) <= 1, &p);
    }
    assert_int_equal(cudaGraphExecDestroy(ready), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    lt_drop(&o);
}

/* ---- start ---- */

static int start(void **state) {
    (void)state;
    *(void **)&real_matmul = real_cublaslt_function("cublasLtMatmul");
    simulated = real_cublaslt_function("fgsim_cublaslt_calls") != NULL;
    if (!real_matmul || real_matmul == cublasLtMatmul) return -1;
    return cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    unlink(log_path);
    return cublasLtDestroy(handle) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

static const struct gemm_variant *variant_of(const char *name) {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (!strcmp(gemm_variants[i].name, name)) return &gemm_variants[i];
    return NULL;
}

static bool too_new(const struct gemm_variant *variant) {
    int major = 0, minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
    return variant->min_arch > 10 * major + minor;
}

int main(int argc, char **argv) {
    static const char *const contracts[] = {
        [CONTRACT_IEEE] = "ieee", [CONTRACT_FP32] = "fp32", [CONTRACT_TF32] = "tf32"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epilogues_orders_sizes), cmocka_unit_test(linear_layers),
        cmocka_unit_test(infinities_and_nans),    cmocka_unit_test(same_bits_every_time),
        cmocka_unit_test(captured_and_replayed),
    };
    int devices = 0, file = mkstemp(log_path);
    if (file < 0) return 2;
    close(file);
    if (argc > 1) forced = variant_of(argv[1]);
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0 || (forced && too_new(forced))) {
        puts("skipped: no GPU here, or none that runs this kernel");
        unlink(log_path);
        return SKIPPED;
    }
    setenv("FASTGEMM_LOG", "calls", 1);
    setenv("FASTGEMM_LOG_FILE", log_path, 1);
    if (forced) setenv("FASTGEMM_KERNEL", forced->name, 1);
    if (forced) setenv("FASTGEMM_PRECISION", contracts[forced->contract], 1);
    if (argc > 2) setenv("FASTGEMM_SPLIT_K", argv[2], 1);
    streaming = forced && !gemm_variant_takes(forced, LOAD_MN4, LOAD_MN4);
    return cmocka_run_group_tests(tests, start, end);
}
