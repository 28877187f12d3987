/*
 * PTX of the TF32 kernels that only Hopper has: the copy engine's tiles and the matrix instruction on TF32. Not for the
 * host simulation. PTX ISA: "cp.async.bulk.tensor", "Asynchronous Warpgroup Level Matrix Instructions".
 */
#ifndef FASTGEMM_PTX_TF32_SM90_CUH
#define FASTGEMM_PTX_TF32_SM90_CUH

#include <cuda.h>

#include "ptx_sm90.cuh"

/* A box of a tensor of five dimensions, from 0 in the third; what lies outside it is filled with zeros. */
DEVICE void cp_async_bulk_tensor(uint32_t shared, const CUtensorMap *map, int x, int y, int z, int matrix,
                                 uint32_t barrier) {
    asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
                 "[%1, {%2, %3, 0, %4, %5}], [%6];" ::"r"(shared),
                 "l"(map), "r"(x), "r"(y), "r"(z), "r"(matrix), "r"(barrier)
                 : "memory");
}
DEVICE void cp_async_bulk_tensor(void *shared, const CUtensorMap *map, int x, int y, int z, int matrix,
                                 uint64_t *barrier) {
    cp_async_bulk_tensor(shared_address(shared), map, x, y, z, matrix, shared_address(barrier));
}

DEVICE void prefetch_tensormap(const CUtensorMap *map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/*
 * The descriptor of a matrix in shared memory for wgmma: rows of 128 bytes (32 k), 128-byte swizzle, from eight rows to
 * the next eight `step` bytes. The next 8 k are 32 bytes on: add 2.
 */
DEVICE uint64_t wgmma_descriptor_128(uint32_t shared, uint32_t step) {
    return (uint64_t)1 << 62 | (uint64_t)(step >> 4) << 32 | (uint64_t)1 << 16 | (shared & 0x3ffff) >> 4;
}

DEVICE void ld_shared_v4(uint32_t *to, uint32_t address) {
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}

DEVICE uint32_t ld_shared(uint32_t address) {
    uint32_t x;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(x) : "r"(address) : "memory");
    return x;
}

/* A barrier of its own number for so many threads of the CTA. */
template <int NUMBER> DEVICE void barrier_sync(int threads) {
    asm volatile("barrier.cta.sync %0, %1;" ::"n"(NUMBER), "r"(threads) : "memory");
}

/* A barrier whose number is known when it runs. */
DEVICE void barrier_of(int number, int threads) {
    asm volatile("barrier.cta.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

/* The same without waiting. */
template <int NUMBER> DEVICE void barrier_arrive(int threads) {
    asm volatile("barrier.cta.arrive %0, %1;" ::"n"(NUMBER), "r"(threads) : "memory");
}

/* Registers 16 at a time: as operands, and as the instruction names them. */
#define D8(i)                                                                                                          \
    "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3]), "+f"(d[(i) + 4]), "+f"(d[(i) + 5]),              \
        "+f"(d[(i) + 6]), "+f"(d[(i) + 7])
#define D4(i)   "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define D16(i)  D8(i), D8((i) + 8)
#define NAME_4  "%0, %1, %2, %3"
#define NAME_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define NAME_32 NAME_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAME_36 NAME_32 ", %32, %33, %34, %35"
#define NAME_40 NAME_36 ", %36, %37, %38, %39"
#define NAME_48 NAME_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define NAME_64 NAME_48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

/*
 * d[64 x n] = x[64 x 8] y[8 x n] (+ d); `accumulate` 0 leaves d out. y is in shared memory along k; so is x, or it is
 * in registers: of rows lane / 4 and 8 further, of k lane % 4 and 4 further. I0 to I5: the numbers of the operands
 * after d.
 */
template <int N> struct wgmma_tf32;
#define WGMMA_TF32(n, names, i0, i1, i2, i3, i4, i5, ...)                                                              \
    template <> struct wgmma_tf32<n> {                                                                                 \
        static DEVICE_MEMBER void multiply(float *d, uint64_t x, uint64_t y, int accumulate) {                         \
            asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #i2 ", 0;\n"                                               \
                         "wgmma.mma_async.sync.aligned.m64n" #n "k8.f32.tf32.tf32 {" names "}, %" #i0 ", %" #i1        \
                         ", p, 1, 1; }\n"                                                                              \
                         : __VA_ARGS__                                                                                 \
                         : "l"(x), "l"(y), "r"(accumulate));                                                           \
        }                                                                                                              \
        static DEVICE_MEMBER void multiply(float *d, const uint32_t (&x)[4], uint64_t y, int accumulate) {             \
            asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #i5 ", 0;\n"                                               \
                         "wgmma.mma_async.sync.aligned.m64n" #n "k8.f32.tf32.tf32 {" names "}, {%" #i0 ", %" #i1       \
                         ", %" #i2 ", %" #i3 "}, %" #i4 ", p, 1, 1; }\n"                                               \
                         : __VA_ARGS__                                                                                 \
                         : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "l"(y), "r"(accumulate));                       \
        }                                                                                                              \
    };
WGMMA_TF32(8, NAME_4, 4, 5, 6, 7, 8, 9, D4(0))
WGMMA_TF32(32, NAME_16, 16, 17, 18, 19, 20, 21, D16(0))
WGMMA_TF32(64, NAME_32, 32, 33, 34, 35, 36, 37, D16(0), D16(16))
WGMMA_TF32(72, NAME_36, 36, 37, 38, 39, 40, 41, D16(0), D16(16), D4(32))
WGMMA_TF32(80, NAME_40, 40, 41, 42, 43, 44, 45, D16(0), D16(16), D8(32))
WGMMA_TF32(96, NAME_48, 48, 49, 50, 51, 52, 53, D16(0), D16(16), D16(32))
WGMMA_TF32(128, NAME_64, 64, 65, 66, 67, 68, 69, D16(0), D16(16), D16(32), D16(48))
#undef WGMMA_TF32
#undef NAME_4
#undef NAME_16
#undef NAME_32
#undef NAME_36
#undef NAME_40
#undef NAME_48
#undef NAME_64
#undef D4
#undef D16
#undef D8

#endif
