/* Exact products on our kernels. */
#include "routed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "sim_api.h"

static const float alpha = 1.5f, beta = -0.5f;

float *device_floats(size_t count) {
    float *address = NULL;
    assert_int_equal(cudaMalloc((void **)&address, count * sizeof *address), cudaSuccess);
    return address;
}

static float element(size_t i) {
    return (float)((int)(i * 7919 % 13) - 6);
}

static float *operand(size_t count) {
    float *host = malloc(count * sizeof *host), *device = device_floats(count);
    for (size_t i = 0; i < count; i++) host[i] = element(i);
    cudaMemcpy(device, host, count * sizeof *host, cudaMemcpyHostToDevice);
    free(host);
    return device;
}

struct door_call product_of(cublasHandle_t handle, int m, int n, int k) {
    return (struct door_call){.handle = handle,
                              .op_a = CUBLAS_OP_N,
                              .op_b = CUBLAS_OP_N,
                              .m = m,
                              .n = n,
                              .k = k,
                              .alpha = &alpha,
                              .beta = &beta,
                              .a = operand((size_t)BATCH * (size_t)m * (size_t)k),
                              .b = operand((size_t)BATCH * (size_t)k * (size_t)n),
                              .c = operand((size_t)BATCH * (size_t)m * (size_t)n),
                              .lda = m,
                              .ldb = k,
                              .ldc = m,
                              .stride_a = (int64_t)m * k,
                              .stride_b = (int64_t)k * n,
                              .stride_c = (int64_t)m * n,
                              .batch = BATCH,
                              .type_a = CUDA_R_32F,
                              .type_b = CUDA_R_32F,
                              .type_c = CUDA_R_32F,
                              .compute = CUBLAS_COMPUTE_32F,
                              .algo = CUBLAS_GEMM_DEFAULT};
}

struct door_call product(cublasHandle_t handle, int k) {
    return product_of(handle, M, N, k);
}

void release(struct door_call *call) {
    cudaFree((void *)(uintptr_t)call->a);
    cudaFree((void *)(uintptr_t)call->b);
    cudaFree(call->c);
}

static float exact(const struct door_call *call, size_t m, size_t n, size_t batch) {
    const size_t rows = (size_t)call->m, columns = (size_t)call->n, k = (size_t)call->k;
    const double a = (double)*(const float *)call->alpha, b = (double)*(const float *)call->beta;
    double sum = 0;
    for (size_t l = 0; l < k; l++)
        sum += (double)element(batch * rows * k + m + l * rows) * (double)element(batch * k * columns + l + n * k);
    return (float)(a * sum + b * (double)element(batch * rows * columns + m + n * rows));
}

void check_result(const struct door_call *call, int batches) {
    const size_t rows = (size_t)call->m, columns = (size_t)call->n, count = (size_t)batches * rows * columns;
    float *host = malloc(count * sizeof *host);
    assert_int_equal(cudaMemcpy(host, call->c, count * sizeof *host, cudaMemcpyDeviceToHost), cudaSuccess);
    for (size_t i = 0; i < count; i++) {
        size_t m = i % rows, n = i / rows % columns, batch = i / rows / columns;
        if (host[i] != exact(call, m, n, batch))
            fail_msg("C[%zu,%zu] of %zu is %g, not %g", m, n, batch, (double)host[i], (double)exact(call, m, n, batch));
    }
    free(host);
}

unsigned run_routed(const struct door *door, const struct door_call *call) {
    struct fgsim_launch launch;
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(door->call(door->linked, call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 0);
    assert_int_equal(fgsim_launches("sgemm_simt_64x64x8"), 1);
    assert_true(fgsim_last_launch(&launch));
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    return (unsigned)fgsim_launches("splitk_reduce");
}

uint64_t stream_allocations(void) {
    struct fgsim_counters counters;
    fgsim_counters(&counters);
    return counters.async_mallocs;
}

uint64_t stream_frees(void) {
    struct fgsim_counters counters;
    fgsim_counters(&counters);
    return counters.async_frees;
}
