/*
 * Products under the preload against float64 and against the same library's own cuBLAS, in one process: on a real GPU,
 * and smaller on the simulated one. The first argument is the kernel to force, or `auto` for the library's own choice;
 * the second, if there is one, the number of splits of K, 0 for the policy's; the third, one group of tests alone,
 * since all of them take long where other cores are busy: sizes, doors, profiles or large.
 *
 * That our kernels ran is read from the library's log after every call: nothing passes because nothing was intercepted.
 */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../kernels/variants.h"
#include "product.h"
#include "real_cublas.h"
#include "roads.h"

enum { SKIPPED = 77 };

static struct doors bound, real; /* what this program is bound to; what cuBLAS exports */
static cublasHandle_t handle;
static bool simulated, forced;
static const struct gemm_variant *forced_variant;
static bool streaming; /* the forced kernel takes few pairs of loaders, as the streaming family does */
static bool short_k;   /* it takes no longer K than */
static int most_k;
static bool takes_pointers; /* the forced kernel, to arrays of pointers */
static bool tf32;           /* the forced kernel's contract */
static char log_path[] = "/tmp/fastgemm-test-XXXXXX";
static long log_read;
static char last_route[256];

static float *floats_of(int64_t count) {
    float *memory = malloc((size_t)(count + 1) * sizeof *memory);
    assert_non_null(memory);
    return memory;
}

/* ---- routes, from the log ---- */

/* Lines of calls since the last look; last_route is where the last of them went. */
static int new_calls(void) {
    char line[1024];
    int calls = 0;
    FILE *file = fopen(log_path, "r");
    assert_non_null(file);
    fseek(file, log_read, SEEK_SET);
    while (fgets(line, sizeof line, file)) {
        const char *arrow = strstr(line, "-> ");
        if (!arrow) print_message("log: %s", line);
        if (!arrow) continue;
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

/* ---- one product, all checks ---- */

static const char *words(const struct product *p) {
    static const char *const inputs[] = {"normal", "integers", "graded",   "complementary zeros",
                                         "huge",   "tiny",     "positive", "log-normal"};
    static char text[768];
    snprintf(
        text, sizeof text,
        "door %d ops %d%d m=%lld n=%lld k=%lld batch=%lld pad=%lld shift=%lld alpha=%g beta=%g %s scalars, %s -> %s",
        (int)p->door, (int)p->op_a, (int)p->op_b, (long long)p->m, (long long)p->n, (long long)p->k,
        (long long)p->batch, (long long)p->pad, (long long)p->shift, (double)p->alpha, (double)p->beta,
        p->device_scalars ? "device" : "host", inputs[p->inputs], last_route);
    return text;
}

#define EXPECT(condition, p, ...)                                                                                      \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_error("%s\n    not so: %s: ", words(p), #condition);                                                 \
            print_error(__VA_ARGS__);                                                                                  \
            print_error("\n");                                                                                         \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

/*
 * The product as a forced kernel takes it: TF32's to its accuracy, some with a small K, and the streaming ones nothing
 * that is not a multiple of 16 bytes.
 */
static struct product fitted(struct product p) {
    p.tf32 = tf32;
    if (short_k) p.k = p.k < most_k ? p.k : most_k;
    if (!streaming) return p;
    p.m = (p.m + 3) / 4 * 4, p.n = (p.n + 3) / 4 * 4;
    p.pad = p.shift = 0;
    p.gap = p.gap / 4 * 4;
    return p;
}

/* alpha = 0 on the host leaves nothing to multiply; some kernels want one operand, or A, along its side of C. */
static bool ours_to_serve(const struct product *p) {
    if (!forced || (product_pointers(p->door) && !takes_pointers)) return false;
    const enum gemm_loader a = p->op_a == CUBLAS_OP_N ? LOAD_MN16 : LOAD_K4;
    const enum gemm_loader b = p->op_b == CUBLAS_OP_N ? LOAD_K4 : LOAD_MN16;
    if (!gemm_variant_takes(forced_variant, a, b)) return false;
    return p->m && p->n && p->k && (p->device_scalars || p->alpha != 0.0f);
}

/* Whether the last product ran on a kernel that is as accurate as TF32, and no more. */
static bool ran_by_tf32(void) {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (strstr(last_route, gemm_variants[i].name)) return gemm_variants[i].contract == CONTRACT_TF32;
    return false;
}

static double cublas_error(const struct product *p, struct operands *o, int64_t limit) {
    product_reset(o);
    assert_int_equal(product_call(&real, handle, p, o), CUBLAS_STATUS_SUCCESS);
    assert_true(product_fetch(o));
    assert_int_equal(new_calls(), 0);
    return check_compare(&o->host, limit).frobenius;
}

/* The three checks of a result that is in o->result already, and its surroundings. */
static void judge(const struct product *p, struct operands *o, int64_t limit) {
    struct check_report r = check_compare(&o->host, limit);
    EXPECT(o->guards_whole, p, "written outside C");
    EXPECT(check_padding_changed(&o->host) == 0, p, "written between the columns of C");
    EXPECT(r.worst <= 1, p, "%.3g of the bound at (%lld, %lld, %lld)", r.worst, (long long)r.at[0], (long long)r.at[1],
           (long long)r.at[2]);
    if (p->inputs == INPUT_INTEGERS) {
        EXPECT(r.largest < 0x1p24, p, "the test's own sums are too large");
        EXPECT(r.inexact == 0, p, "%lld not exact", (long long)r.inexact);
        return;
    }
    /* The error as a whole means something where there is a whole. */
    if (r.compared < 64 || p->k < 2 || p->inputs != INPUT_NORMAL) return;
    EXPECT(r.frobenius <= check_frobenius_limit(p->k, p->tf32), p, "Frobenius %.3g > %.3g", r.frobenius,
           check_frobenius_limit(p->k, p->tf32));
    /* A split that the test forces is not the one that would be chosen for its error. */
    if (simulated || forced || r.compared < 1024 || p->k < 64) return;
    double theirs = cublas_error(p, o, limit);
    EXPECT(r.frobenius <= (p->tf32 ? 1.05 : 2) * theirs, p, "Frobenius %.3g, cuBLAS %.3g", r.frobenius, theirs);
}

static void try_product(const struct product *asked, int64_t limit) {
    const struct product fit = fitted(*asked), *p = &fit;
    struct operands o;
    product_make(&o, p);
    cublasStatus_t status = product_call(&bound, handle, p, &o);
    EXPECT(status == CUBLAS_STATUS_SUCCESS, p, "status %d", (int)status);
    EXPECT(new_calls() == 1, p, "the call was not seen by the library");
    EXPECT(!ours_to_serve(p) || went_to_ours(), p, "not on our kernel");
    EXPECT(product_fetch(&o), p, "the device failed");
    judge(p, &o, limit);
    product_drop(&o);
}

/* ---- tests ---- */

static bool lies_in(const void *address, const char *library) {
    Dl_info info;
    return dladdr(address, &info) && strstr(info.dli_fname, library);
}

static void both_sides_are_what_they_say(void **state) {
    (void)state;
#define X(name)                                                                                                        \
    assert_true(lies_in((void *)bound.name, "libfastgemm"));                                                           \
    assert_true(lies_in((void *)real.name, "libcublas."));
    DOORS(X)
#undef X
}

static const cublasOperation_t ops[] = {CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C};
static const float scalars[] = {0, 1, -1.75f};

struct size {
    int m, n, k;
};
static const struct size big_sizes[] = {{1, 1, 1},       {1, 1, 1000},  {3, 5, 7},       {16, 16, 16},
                                        {31, 33, 29},    {64, 64, 64},  {127, 129, 8},   {128, 128, 128},
                                        {129, 127, 131}, {257, 65, 33}, {255, 257, 129}, {256, 128, 512},
                                        {300, 1, 77},    {1, 300, 77},  {130, 66, 1025}, {68, 60, 4099}};
static const struct size small_sizes[] = {{1, 1, 1},     {3, 5, 7},     {33, 31, 9},   {65, 63, 17},
                                          {130, 20, 33}, {16, 140, 70}, {20, 24, 300}, {36, 40, 44}};

/*
 * What the sanitizers look for is decided by sizes, ops, alignments and doors, not by numbers: there one of so many
 * products of the simulated GPU is made; the other build makes all of them.
 */
#ifdef __SANITIZE_ADDRESS__
enum { ONE_OF = 3 };
#else
enum { ONE_OF = 1 };
#endif

static int size_count(void) {
    return simulated ? (int)(sizeof small_sizes / sizeof *small_sizes) : (int)(sizeof big_sizes / sizeof *big_sizes);
}
static struct size size_at(int i) {
    return simulated ? small_sizes[i] : big_sizes[i];
}

/* Every op with every size and every pair of scalars, or each `step`th; doors, pads, shifts, pointer modes by turns. */
static void sweep(enum inputs inputs, int step) {
    int turn = 0;
    for (int s = 0; s < size_count(); s++)
        for (int ab = 0; ab < 9; ab++)
            for (int scalar = 0; scalar < 9; scalar++, turn++) {
                if (turn % step) continue;
                struct product p = {.door = (enum door)(turn % DOOR_COUNT),
                                    .op_a = ops[ab / 3],
                                    .op_b = ops[ab % 3],
                                    .m = size_at(s).m,
                                    .n = size_at(s).n,
                                    .k = size_at(s).k,
                                    .pad = turn / 3 % 3 * 2,
                                    .shift = turn / 2 % 4 % 3,
                                    .gap = turn % 7,
                                    .alpha = scalars[scalar / 3],
                                    .beta = scalars[scalar % 3],
                                    .inputs = inputs,
                                    .device_scalars = turn / 5 % 2 && !product_grouped((enum door)(turn % DOOR_COUNT))};
                p.batch = product_batched(p.door) ? 1 + turn % 3 : 1;
                try_product(&p, simulated ? 4096 : 20000);
            }
}

static void ops_sizes_scalars(void **state) {
    (void)state;
    sweep(INPUT_NORMAL, simulated ? 5 * ONE_OF + ONE_OF / 2 : 1); /* coprime to the number of ops and of scalars */
}

/* On tensor cores these go a way of their own. */
static void few_elements_decide(void **state) {
    (void)state;
    sweep(INPUT_LOGNORMAL, simulated ? 31 : 5);
}

/*
 * Each door by itself, with every op, both pointer modes and operands that begin anywhere; on the simulated GPU fewer
 * for each kernel, since behind the doors the library's choice meets them all.
 */
static void every_door(void **state) {
    (void)state;
    const int one_of = !simulated ? 1 : forced ? 4 * ONE_OF : 4;
    for (int door = 0; door < DOOR_COUNT; door++)
        for (int ab = 0; ab < 9; ab++)
            for (int shift = 0; shift < 4; shift++) {
                if ((door + ab + shift) % one_of) continue;
                struct product p = {.door = (enum door)door,
                                    .op_a = ops[ab / 3],
                                    .op_b = ops[ab % 3],
                                    .m = 72,
                                    .n = 40,
                                    .k = 52,
                                    .batch = product_batched((enum door)door) ? 3 : 1,
                                    .pad = 4 * (shift % 2),
                                    .shift = shift,
                                    .gap = shift * 4,
                                    .alpha = 2,
                                    .beta = shift % 2 ? 0.5f : 0,
                                    .device_scalars = ab % 2 && !product_grouped((enum door)door)};
                try_product(&p, 0);
            }
}

static void integers_are_exact(void **state) {
    (void)state;
    for (int s = 0; s < size_count(); s++)
        for (int ab = 0; ab < 9; ab++) {
            if (simulated && (s + ab) % (3 * ONE_OF)) continue;
            struct product p = {.door = ab % 2 ? DOOR_cublasGemmEx : DOOR_cublasSgemm_v2,
                                .op_a = ops[ab / 3],
                                .op_b = ops[ab % 3],
                                .m = size_at(s).m,
                                .n = size_at(s).n,
                                .k = size_at(s).k,
                                .alpha = 1,
                                .inputs = INPUT_INTEGERS,
                                .shift = ab % 2};
            try_product(&p, 0);
        }
    struct product deep = {.door = DOOR_cublasSgemm_v2,
                           .m = simulated ? 20 : 70,
                           .n = simulated ? 24 : 68,
                           .k = simulated ? 6000 : 300007,
                           .alpha = 1,
                           .inputs = INPUT_INTEGERS};
    try_product(&deep, 0);
    struct product ones = {.door = DOOR_cublasSgemm_v2, .m = 64, .n = 64, .k = 64, .alpha = 1};
    ones.inputs = INPUT_INTEGERS, ones.op_a = CUBLAS_OP_T;
    try_product(&ones, 0);
}

/* The result of one more call, on this handle and stream; to be freed. */
static float *result_on(cublasHandle_t which, cudaStream_t stream, const struct product *p, struct operands *o) {
    product_reset(o);
    assert_int_equal(cublasSetStream(which, stream), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(product_call(&bound, which, p, o), CUBLAS_STATUS_SUCCESS);
    EXPECT(new_calls() == 1 && (!forced || went_to_ours()), p, "not on our kernel");
    assert_true(product_fetch(o));
    float *copy = floats_of(o->count_c);
    memcpy(copy, o->host.result, (size_t)o->count_c * sizeof *copy);
    return copy;
}

static void same_bits_every_time(void **state) {
    (void)state;
    cublasHandle_t other;
    cudaStream_t streams[2];
    struct product p = {.door = DOOR_cublasSgemm_v2,
                        .op_b = CUBLAS_OP_T,
                        .m = simulated ? 44 : 333,
                        .n = simulated ? 35 : 217,
                        .k = simulated ? 777 : 30011,
                        .pad = 1,
                        .alpha = 1.5f,
                        .beta = 0.5f};
    struct operands o;
    assert_int_equal(cublasCreate(&other), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 2; i++) assert_int_equal(cudaStreamCreate(&streams[i]), cudaSuccess);
    p = fitted(p);
    product_make(&o, &p);
    float *first = result_on(handle, NULL, &p, &o);
    for (int run = 0; run < (simulated ? 4 : 24); run++) {
        float *again = result_on(run % 2 ? handle : other, run / 2 % 3 ? streams[run % 2] : NULL, &p, &o);
        assert_memory_equal(first, again, (size_t)o.count_c * sizeof *again);
        free(again);
    }
    assert_int_equal(cublasSetStream(handle, NULL), CUBLAS_STATUS_SUCCESS);
    free(first);
    product_drop(&o);
    for (int i = 0; i < 2; i++) assert_int_equal(cudaStreamDestroy(streams[i]), cudaSuccess);
    assert_int_equal(cublasDestroy(other), CUBLAS_STATUS_SUCCESS);
}

/* Nothing to multiply: exactly cuBLAS's result, C := beta C included. */
static void nothing_to_multiply(void **state) {
    (void)state;
    const struct size empty[] = {{0, 9, 9}, {9, 0, 9}, {9, 9, 0}, {0, 0, 0}};
    for (int s = 0; s < 4; s++)
        for (int beta = 0; beta < 3; beta++) {
            struct product p = {.door = DOOR_cublasSgemm_v2,
                                .m = empty[s].m,
                                .n = empty[s].n,
                                .k = empty[s].k,
                                .alpha = 1,
                                .beta = scalars[beta]};
            struct operands o;
            product_make(&o, &p);
            assert_int_equal(product_call(&bound, handle, &p, &o), CUBLAS_STATUS_SUCCESS);
            EXPECT(new_calls() == 1 && !went_to_ours(), &p, "to be forwarded");
            assert_true(product_fetch(&o));
            float *mine = floats_of(o.count_c);
            memcpy(mine, o.host.result, (size_t)o.count_c * sizeof *mine);
            product_reset(&o);
            assert_int_equal(product_call(&real, handle, &p, &o), CUBLAS_STATUS_SUCCESS);
            assert_true(product_fetch(&o));
            assert_true(o.guards_whole);
            assert_memory_equal(mine, o.host.result, (size_t)o.count_c * sizeof *mine);
            free(mine);
            product_drop(&o);
        }
}

/*
 * The published grading tests of matrix products (J. Demmel and others): the bound per element, under every scaling by
 * powers of two, near overflow and of subnormal numbers; a bound of 0 where zeros leave nothing to add.
 */
static void graded_inputs(void **state) {
    (void)state;
    for (int inputs = INPUT_GRADED; inputs <= INPUT_POSITIVE; inputs++)
        for (int ab = inputs % ONE_OF; ab < 4; ab += ONE_OF)
            for (int k = 24; k <= (simulated ? 100 : 1600) && !(tf32 && inputs == INPUT_TINY); k *= 4) {
                struct product p = {.door = DOOR_cublasSgemm_v2,
                                    .op_a = ops[ab / 2],
                                    .op_b = ops[ab % 2],
                                    .m = simulated ? 36 : 132,
                                    .n = simulated ? 40 : 140,
                                    .k = k,
                                    .alpha = 1,
                                    .inputs = (enum inputs)inputs};
                try_product(&p, simulated ? 400 : 4000);
            }
}

/* The bound grows with k, the error of a good sum hardly: it may not grow faster than k itself. */
static void the_error_grows_no_faster_than_k(void **state) {
    (void)state;
    double error[2] = {0, 0};
    const int ks[2] = {32, simulated ? 512 : 8192};
    if (short_k) skip();
    for (int i = 0; i < 2; i++) {
        struct product p = {.door = DOOR_cublasSgemm_v2, .m = 64, .n = 60, .k = ks[i], .alpha = 1};
        struct operands o;
        p.inputs = INPUT_POSITIVE;
        p.tf32 = tf32;
        product_make(&o, &p);
        assert_int_equal(product_call(&bound, handle, &p, &o), CUBLAS_STATUS_SUCCESS);
        EXPECT(new_calls() == 1 && (!forced || went_to_ours()), &p, "not on our kernel");
        assert_true(product_fetch(&o));
        error[i] = check_compare(&o.host, 0).worst * check_gamma(ks[i] + 2.0);
        product_drop(&o);
    }
    print_message("largest |err| / |A||B| at k = %d: %.3g, at %d: %.3g\n", ks[0], error[0], ks[1], error[1]);
    assert_true(tf32 || error[1] <= error[0] * ks[1] / ks[0]);
}

/* A short K and so many tiles that each CTA of any kernel has several in turn; their rows differ in size. */
static void many_tiles_of_a_short_k(void **state) {
    (void)state;
    static const struct size sizes[] = {{12288, 8192, 32}, {8196, 9001, 20}, {8193, 8320, 29}};
    for (int i = 0; i < 2 * (int)(sizeof sizes / sizeof *sizes); i++) {
        struct product p = {.door = DOOR_cublasSgemm_v2,
                            .op_a = ops[i % 2],
                            .op_b = ops[i / 2 % 2],
                            .m = simulated ? 260 : sizes[i / 2].m,
                            .n = simulated ? 300 : sizes[i / 2].n,
                            .k = sizes[i / 2].k,
                            .alpha = i % 2 ? -1.75f : 1,
                            .inputs = i % 3 == 2 ? INPUT_LOGNORMAL
                                      : i % 3    ? INPUT_NORMAL
                                                 : INPUT_GRADED};
        try_product(&p, 20000);
    }
}

/* Infinities and NaNs of the inputs come out where cuBLAS has them. */
static void infinities_and_nans_among(enum inputs inputs, int64_t k) {
    struct product p = {.door = DOOR_cublasSgemm_v2, .m = 40, .n = 44, .k = k, .alpha = 1, .inputs = inputs};
    struct operands o;
    p = fitted(p);
    product_make(&o, &p);
    const float odd[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++)
        assert_int_equal(cudaMemcpy(o.da + 5 + i * 7 + i * 40, &odd[i], sizeof *odd, cudaMemcpyHostToDevice), 0);
    float *mine = result_on(handle, NULL, &p, &o);
    product_reset(&o);
    assert_int_equal(product_call(&real, handle, &p, &o), CUBLAS_STATUS_SUCCESS);
    assert_true(product_fetch(&o));
    int special = 0;
    for (int64_t i = 0; i < o.count_c; i++) {
        float theirs = o.host.result[i];
        special += !isfinite(theirs);
        assert_int_equal(isnan(mine[i]) != 0, isnan(theirs) != 0);
        if (isinf(theirs)) assert_true(mine[i] == theirs);
        assert_int_equal(isfinite(mine[i]) != 0, isfinite(theirs) != 0);
    }
    assert_true(special >= 3 * 44);
    free(mine);
    product_drop(&o);
}

static void infinities_and_nans(void **state) {
    (void)state;
    infinities_and_nans_among(INPUT_NORMAL, 48);
    infinities_and_nans_among(INPUT_LOGNORMAL, 48);
    infinities_and_nans_among(INPUT_NORMAL, simulated ? 700 : 4160); /* in several sums */
}

/* ---- roads that the device takes by what it sees of rows ---- */

enum rows { ROWS_NORMAL, ROWS_ONE_TOO_WIDE, ROWS_ONE_INFINITE, ROWS_COUNT };
enum { ODD_ROW = 5 };

static enum split_planes road_expected(enum gemm_family family, enum rows rows) {
    switch (family) {
    case FAMILY_FP16X1: /* fp16 has no room for it */
    case FAMILY_FP16X1_MMA:
        return rows == ROWS_NORMAL ? SPLIT_FP16X1 : SPLIT_TF32;
    case FAMILY_FP16X3: /* an infinity has its row multiplied apart */
    case FAMILY_FP16X3_MMA:
        return rows == ROWS_ONE_TOO_WIDE ? SPLIT_BF16X6 : SPLIT_FP16X3;
    default:
        return SPLIT_BF16X6;
    }
}

/* Of op(A), which lies along m: one element stays what it is, or is infinite; the others are small beside it. */
static void make_odd_row(struct operands *o, const struct product *p, enum rows rows) {
    for (int64_t k = 0; k < p->k && rows != ROWS_NORMAL; k++) {
        float *x = o->a + ODD_ROW + k * o->host.lda;
        if (rows == ROWS_ONE_INFINITE && k == 1) *x = INFINITY;
        if (rows == ROWS_ONE_TOO_WIDE && k != 1) *x = ldexpf(*x, -60);
        assert_int_equal(cudaMemcpy(o->da + (x - o->a), x, sizeof *x, cudaMemcpyHostToDevice), 0);
    }
}

/* Scratch is the handle's workspace, so that what the looks have left there can be read. */
static void try_road(const struct product *p, enum rows rows, void *workspace, size_t bytes) {
    struct operands o;
    product_make(&o, p);
    make_odd_row(&o, p, rows);
    assert_int_equal(cudaMemset(workspace, 0xff, bytes), cudaSuccess);
    assert_int_equal(cublasSetWorkspace(handle, workspace, bytes), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(product_call(&bound, handle, p, &o), CUBLAS_STATUS_SUCCESS);
    EXPECT(new_calls() == 1 && went_to_ours(), p, "not on our kernel");
    EXPECT(product_fetch(&o), p, "the device failed");
    const enum split_planes expected = road_expected(forced_variant->family, rows);
    const enum split_planes taken = road_taken(forced_variant, (int)p->m, (int)p->n, (int)p->k, ODD_ROW, workspace);
    EXPECT(taken == expected, p, "road %d with rows %d, expected %d", (int)taken, (int)rows, (int)expected);
    if (rows == ROWS_ONE_INFINITE) { /* it is in its row, and nowhere else */
        for (int64_t i = 0; i < o.count_c; i++)
            EXPECT(isfinite(o.host.result[i]) ? i % p->m != ODD_ROW : i % p->m == ODD_ROW, p, "element %lld",
                   (long long)i);
    } else {
        judge(p, &o, 4096);
    }
    product_drop(&o);
}

static void the_device_takes_the_road_that_rows_allow(void **state) {
    enum { BYTES = 64 << 20 };
    static const struct size sizes[] = {{130, 70, 90}, {300, 260, 400}, {1030, 1024, 512}};
    void *workspace;
    (void)state;
    if (!forced || !road_is_told(forced_variant)) skip();
    assert_int_equal(cudaMalloc(&workspace, BYTES), cudaSuccess);
    for (int s = 0; s < (simulated ? 1 : 3); s++)
        for (int rows = 0; rows < ROWS_COUNT; rows++) {
            struct product p = {.door = DOOR_cublasSgemm_v2,
                                .m = sizes[s].m,
                                .n = sizes[s].n,
                                .k = sizes[s].k,
                                .alpha = 1,
                                .tf32 = tf32};
            try_road(&p, (enum rows)rows, workspace, BYTES);
        }
    assert_int_equal(cublasSetStream(handle, NULL), CUBLAS_STATUS_SUCCESS); /* the workspace is cuBLAS's own again */
    assert_int_equal(cudaFree(workspace), cudaSuccess);
}

/* Captured into a graph with device scalars, and replayed after the operands and scalars have changed. */
static void captured_and_replayed(void **state) {
    (void)state;
    struct product p = {.door = DOOR_cublasSgemm_v2,
                        .op_a = CUBLAS_OP_T,
                        .m = 60,
                        .n = 52,
                        .k = 64,
                        .alpha = 1,
                        .device_scalars = true};
    struct operands o;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t ready;
    const float changed[2] = {-2, 0};
    p = fitted(p);
    product_make(&o, &p);
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    assert_int_equal(cublasSetStream(handle, stream), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    cublasStatus_t status = product_call(&bound, handle, &p, &o);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_int_equal(status, CUBLAS_STATUS_SUCCESS);
    EXPECT(new_calls() == 1, &p, "the call was not seen by the library");
    assert_int_equal(cudaGraphInstantiate(&ready, graph, 0), cudaSuccess);
    for (int replay = 0; replay < 2; replay++) {
        product_reset(&o);
        assert_int_equal(cudaGraphLaunch(ready, stream), cudaSuccess);
        assert_true(product_fetch(&o));
        judge(&p, &o, 0);
        check_fill_normal(o.a, o.count_a, 77);
        p.alpha = o.host.alpha = changed[0];
        assert_int_equal(cudaMemcpy(o.da, o.a, (size_t)o.count_a * 4, cudaMemcpyHostToDevice), cudaSuccess);
        assert_int_equal(cudaMemcpy(o.scalars, changed, sizeof changed, cudaMemcpyHostToDevice), cudaSuccess);
    }
    assert_int_equal(cudaGraphExecDestroy(ready), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_int_equal(cublasSetStream(handle, NULL), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    product_drop(&o);
}

/* The target profiles, by the library's own choice: every one has to be served. */
static void target_profiles(void **state) {
    (void)state;
    static const struct product whole[] = {
        {.door = DOOR_cublasSgemm_v2, .m = 256, .n = 256, .k = 524288, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2,
         .m = 4096,
         .n = 2048,
         .k = 8192,
         .op_a = CUBLAS_OP_T,
         .op_b = CUBLAS_OP_T,
         .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 5921, .n = 8205, .k = 2949, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 32768, .n = 32768, .k = 32, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 4096, .n = 4096, .k = 4096, .alpha = 1},
        {.door = DOOR_cublasGemmEx, .m = 4096, .n = 4096, .k = 4096, .op_a = CUBLAS_OP_T, .alpha = 1, .beta = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 4096, .n = 4096, .k = 4096, .op_b = CUBLAS_OP_T, .alpha = 1},
    };
    static const struct product small[] = {
        {.door = DOOR_cublasSgemm_v2, .m = 64, .n = 96, .k = 8192, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2,
         .m = 512,
         .n = 1024,
         .k = 1024,
         .op_a = CUBLAS_OP_T,
         .op_b = CUBLAS_OP_T,
         .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 701, .n = 803, .k = 905, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 4096, .n = 4096, .k = 32, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 800, .n = 800, .k = 800, .alpha = 1},
    };
    int count = simulated ? (int)(sizeof small / sizeof *small) : (int)(sizeof whole / sizeof *whole);
    if (forced) skip();
    for (int i = 0; i < 2 * count; i++) {
        struct product p = simulated ? small[i / 2] : whole[i / 2];
        if (i % 2 && p.m * p.n >= INT64_C(1) << 30) continue; /* a C that takes the host long */
        if (i % 2 && ONE_OF > 1) continue;
        if (i % 2) p.inputs = INPUT_INTEGERS, p.beta = 0;
        try_product(&p, 4096);
        EXPECT(went_to_ours(), &p, "not served");
        print_message("%s\n", words(&p));
    }
}

static bool on_hopper(void) {
    int major = 0;
    return !cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) && major == 9;
}

/* Callers who allow TF32, where cuBLAS is weak: served, and no less accurate; those who do not, in fp32. */
static void tf32_for_those_who_allow_it(void **state) {
    (void)state;
    const struct product weak[] = {
        {.door = DOOR_cublasSgemm_v2, .m = 2050, .n = 2050, .k = 2050, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 3001, .n = 2003, .k = 1501, .alpha = 1, .beta = 0.5f},
        {.door = DOOR_cublasGemmEx, .m = 2048, .n = 4096, .k = 4096, .op_b = CUBLAS_OP_T, .alpha = -2},
        {.door = DOOR_cublasSgemm_v2, .m = 3072, .n = 768, .k = 16384, .op_b = CUBLAS_OP_T, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 20001, .n = 1024, .k = 768, .op_a = CUBLAS_OP_T, .alpha = 1},
        {.door = DOOR_cublasSgemm_v2, .m = 777, .n = 8192, .k = 777, .op_a = CUBLAS_OP_T, .pad = 1, .alpha = 1},
    };
    if (forced || simulated || !on_hopper()) skip();
    assert_int_equal(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
    tf32 = true;
    for (unsigned i = 0; i < sizeof weak / sizeof *weak; i++) {
        try_product(&weak[i], 4096);
        EXPECT(ran_by_tf32(), &weak[i], "not by TF32");
    }
    tf32 = false;
    assert_int_equal(cublasSetMathMode(handle, CUBLAS_DEFAULT_MATH), CUBLAS_STATUS_SUCCESS);
    try_product(&weak[0], 4096);
    EXPECT(!ran_by_tf32(), &weak[0], "TF32 for a caller who did not allow it");
}

/* Infinities, NaNs, and what rounding to TF32 makes one, come out where cuBLAS's TF32 has them. */
static void infinities_of_tf32(void **state) {
    (void)state;
    struct product p = {.door = DOOR_cublasSgemm_v2, .m = 2050, .n = 2050, .k = 2050, .alpha = 1};
    const float odd[] = {INFINITY, -INFINITY, NAN, 0x1.fffffep+127f, 0x1.ffdffep+127f, 1e-40f};
    struct operands o;
    if (forced || simulated || !on_hopper()) skip();
    assert_int_equal(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
    product_make(&o, &p);
    for (int i = 0; i < 6; i++)
        assert_int_equal(cudaMemcpy(o.da + 5 + i * 7 + i * 2050, &odd[i], sizeof *odd, cudaMemcpyHostToDevice), 0);
    float *mine = result_on(handle, NULL, &p, &o);
    EXPECT(ran_by_tf32(), &p, "not by TF32");
    product_reset(&o);
    assert_int_equal(product_call(&real, handle, &p, &o), CUBLAS_STATUS_SUCCESS);
    assert_true(product_fetch(&o));
    int64_t special = 0;
    for (int64_t i = 0; i < o.count_c; i++) {
        float theirs = o.host.result[i];
        special += !isfinite(theirs);
        assert_int_equal(isnan(mine[i]) != 0, isnan(theirs) != 0);
        if (!isfinite(theirs) && !isnan(theirs)) assert_true(mine[i] == theirs);
        assert_int_equal(isfinite(mine[i]) != 0, isfinite(theirs) != 0);
    }
    assert_true(special >= 4 * 2050);
    free(mine);
    product_drop(&o);
    assert_int_equal(cublasSetMathMode(handle, CUBLAS_DEFAULT_MATH), CUBLAS_STATUS_SUCCESS);
}

/* A C of more than 2^31 floats: first, middle and last columns. */
static void more_than_31_bits(void **state) {
    (void)state;
    enum { M = 65536, N = 32800, K = 8 };
    if (simulated) skip();
    assert_int_equal(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_HOST), CUBLAS_STATUS_SUCCESS);
    const float one = 1, zero = 0;
    float *a = floats_of(M * K), *b = floats_of(K * N), *column = floats_of(M), *da, *db, *dc;
    check_fill_normal(a, M * K, 1);
    check_fill_normal(b, K * N, 2);
    assert_int_equal(cudaMalloc((void **)&da, M * K * 4L), 0);
    assert_int_equal(cudaMalloc((void **)&db, K * N * 4L), 0);
    if (cudaMalloc((void **)&dc, M * 4L * N)) skip();
    assert_int_equal(cudaMemcpy(da, a, M * K * 4L, cudaMemcpyHostToDevice), 0);
    assert_int_equal(cudaMemcpy(db, b, K * N * 4L, cudaMemcpyHostToDevice), 0);
    assert_int_equal(cudaMemset(dc, 0xff, M * 4L * N), 0);
    assert_int_equal(
        bound.cublasSgemm_v2_64(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, da, M, db, K, &zero, dc, M),
        CUBLAS_STATUS_SUCCESS);
    assert_int_equal(new_calls(), 1);
    if (forced) assert_true(went_to_ours());
    const int64_t columns[] = {0, 1, N / 2, 32767, 32768, N - 1};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(cudaMemcpy(column, dc + columns[i] * M, M * 4L, cudaMemcpyDeviceToHost), 0);
        struct check_product p = {.m = M,
                                  .n = 1,
                                  .k = K,
                                  .batch = 1,
                                  .lda = M,
                                  .ldb = K,
                                  .ldc = M,
                                  .alpha = 1,
                                  .a = a,
                                  .tf32 = tf32,
                                  .b = b + columns[i] * K,
                                  .before = column,
                                  .result = column};
        assert_true(check_compare(&p, 0).worst <= 1);
    }
    cudaFree(da), cudaFree(db), cudaFree(dc);
    free(a), free(b), free(column);
}

/* ---- set-up ---- */

static int start(void **state) {
    struct cudaDeviceProp properties;
    (void)state;
    if (cudaGetDeviceProperties(&properties, 0)) return -1;
    simulated = strncmp(properties.name, "Simulated", 9) == 0;
#define X(name)                                                                                                        \
    bound.name = name;                                                                                                 \
    *(void **)&real.name = real_cublas_function(#name);
    DOORS(X)
#undef X
    print_message("on %s, kernel %s\n", properties.name,
                  forced ? getenv("FASTGEMM_KERNEL") : "by the library's choice");
    return cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    return cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

/* A kernel for a later architecture than this GPU's. */
static bool too_new(const char *kernel) {
    int major = 0, minor = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0))
        return false;
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (!strcmp(gemm_variants[i].name, kernel) && gemm_variants[i].min_arch > 10 * major + minor) {
            printf("skipped: %s needs sm_%d\n", kernel, gemm_variants[i].min_arch);
            return true;
        }
    return false;
}

static bool takes(const char *kernel) {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (!strcmp(gemm_variants[i].name, kernel))
            return gemm_family_takes_pointers(gemm_variants[i].family) &&
                   gemm_variant_takes(&gemm_variants[i], LOAD_MN4, LOAD_MN4);
    return false;
}

/* The user's word that a kernel's contract asks for. */
static const char *precision_of(const char *kernel) {
    static const char *const words[] = {[CONTRACT_IEEE] = "ieee", [CONTRACT_FP32] = "fp32", [CONTRACT_TF32] = "tf32"};
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (!strcmp(gemm_variants[i].name, kernel)) return words[gemm_variants[i].contract];
    return "caller";
}

static const struct CMUnitTest sizes_tests[] = {
    cmocka_unit_test(both_sides_are_what_they_say),
    cmocka_unit_test(ops_sizes_scalars),
};
static const struct CMUnitTest doors_tests[] = {
    cmocka_unit_test(every_door),
    cmocka_unit_test(integers_are_exact),
    cmocka_unit_test(few_elements_decide),
    cmocka_unit_test(many_tiles_of_a_short_k),
    cmocka_unit_test(same_bits_every_time),
    cmocka_unit_test(nothing_to_multiply),
    cmocka_unit_test(graded_inputs),
    cmocka_unit_test(the_error_grows_no_faster_than_k),
    cmocka_unit_test(infinities_and_nans),
    cmocka_unit_test(the_device_takes_the_road_that_rows_allow),
    cmocka_unit_test(captured_and_replayed),
};
static const struct CMUnitTest profiles_tests[] = {
    cmocka_unit_test(target_profiles),
};
static const struct CMUnitTest large_tests[] = {
    cmocka_unit_test(tf32_for_those_who_allow_it),
    cmocka_unit_test(infinities_of_tf32),
    cmocka_unit_test(more_than_31_bits),
};

/* How many failed of the group of this name, or of all. */
static int run_groups(const char *which) {
    int failed = 0;
    if (!which || !strcmp(which, "sizes")) failed += cmocka_run_group_tests(sizes_tests, start, end);
    if (!which || !strcmp(which, "doors")) failed += cmocka_run_group_tests(doors_tests, start, end);
    if (!which || !strcmp(which, "profiles")) failed += cmocka_run_group_tests(profiles_tests, start, end);
    if (!which || !strcmp(which, "large")) failed += cmocka_run_group_tests(large_tests, start, end);
    return failed;
}

int main(int argc, char **argv) {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        puts("skipped: no GPU here");
        return SKIPPED;
    }
    /* The library reads these at its first call. */
    int file = mkstemp(log_path);
    if (file < 0) return 2;
    close(file);
    setenv("FASTGEMM_LOG", "calls", 1);
    setenv("FASTGEMM_LOG_FILE", log_path, 1);
    forced = argc > 1 && strcmp(argv[1], "auto") != 0;
    if (forced && too_new(argv[1])) return SKIPPED;
    if (forced) setenv("FASTGEMM_KERNEL", argv[1], 1);
    takes_pointers = forced && takes(argv[1]);
    for (int i = 0; i < VARIANT_COUNT && forced; i++) {
        if (strcmp(argv[1], gemm_variants[i].name) != 0) continue;
        streaming = !gemm_variant_takes(&gemm_variants[i], LOAD_MN4, LOAD_MN4);
        forced_variant = &gemm_variants[i];
        short_k = gemm_family_short_k(gemm_variants[i].family);
        most_k = gemm_variants[i].bk;
    }
    if (forced) setenv("FASTGEMM_PRECISION", precision_of(argv[1]), 1);
    tf32 = forced && !strcmp(precision_of(argv[1]), "tf32");
    if (argc > 2) setenv("FASTGEMM_SPLIT_K", argv[2], 1);
    const int failed = run_groups(argc > 3 ? argv[3] : NULL);
    unlink(log_path);
    return failed;
}
