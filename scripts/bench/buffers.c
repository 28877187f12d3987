/* Operands on the device. */
#include "buffers.h"

#include <string.h>

#include "../../policy/profile.h"

static int64_t round_up(int64_t floats) {
    return (floats + 63) / 64 * 64;
}

static int64_t span(int64_t stride, int64_t batch, int64_t ld, int64_t columns, int64_t rows) {
    return (batch - 1) * stride + ld * (columns - 1) + rows;
}

static void fill(const void *kernel, float *out, int64_t count, uint64_t seed, enum bench_input input) {
    struct bench_args args = {.out = out, .count = count, .seed = seed, .input = input};
    bench_launch(kernel, &args, count, NULL);
}

bool buffers_make(struct buffers *b, struct gemm_problem *p, const struct bench_settings *settings, int64_t l2_bytes,
                  uint64_t seed) {
    memset(b, 0, sizeof *b);
    bool an = p->op_a == GEMM_OP_N, bn = p->op_b == GEMM_OP_N;
    int64_t a_floats = span(p->stride_a, p->batch, p->lda, an ? p->k : p->m, an ? p->m : p->k);
    int64_t b_floats = span(p->stride_b, p->batch, p->ldb, bn ? p->n : p->k, bn ? p->k : p->n);
    b->c_floats = span(p->stride_c, p->batch, p->ldc, p->n, p->m) + 2 * GUARD_FLOATS;
    b->at_a = settings->offset;
    b->at_b = round_up(b->at_a + a_floats) + settings->offset;
    b->at_c = round_up(b->at_b + b_floats);
    b->set_floats = round_up(b->at_c + b->c_floats);
    int64_t set_bytes = 4 * b->set_floats;
    b->sets = settings->hot || set_bytes >= 2 * l2_bytes ? 1 : (int)(2 * l2_bytes / set_bytes) + 2;
    int64_t second = b->set_floats * b->sets;
    if (cudaMalloc((void **)&b->arena, (size_t)(4 * (second + b->c_floats))) != cudaSuccess) {
        cudaGetLastError();
        return false;
    }
    b->second_c = b->arena + second;
    for (int set = 0; set < b->sets; set++) {
        float *base = b->arena + set * b->set_floats;
        fill((const void *)bench_fill, base + b->at_a, a_floats, seed + 2 * (uint64_t)set, settings->input);
        fill((const void *)bench_fill, base + b->at_b, b_floats, seed + 2 * (uint64_t)set + 1, settings->input);
    }
    p->align_a = gemm_alignment(b->arena + b->at_a);
    p->align_b = gemm_alignment(b->arena + b->at_b);
    return true;
}

struct operands buffers_set(const struct buffers *b, int64_t turn) {
    float *base = b->arena + turn % b->sets * b->set_floats;
    return (struct operands){base + b->at_a, base + b->at_b, base + b->at_c + GUARD_FLOATS};
}

struct operands buffers_untouched(const struct buffers *b, bool second) {
    struct operands set = buffers_set(b, 0);
    if (second) set.c = b->second_c + GUARD_FLOATS;
    fill((const void *)bench_untouched, set.c - GUARD_FLOATS, b->c_floats, 0, INPUT_NORMAL);
    return set;
}

void buffers_free(struct buffers *b) {
    if (b->arena) bench_cuda(cudaFree(b->arena), "cudaFree");
    memset(b, 0, sizeof *b);
}
