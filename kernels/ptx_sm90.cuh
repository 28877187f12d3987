/*
 * PTX that only Hopper has (sm_90a), or that came with it, each instruction in a small function named after it. Not for
 * the host simulation: the matrix instruction's asynchrony is what a twin could not honestly show.
 * PTX ISA: "mbarrier", "cp.async.bulk", "Asynchronous Warpgroup Level Matrix Instructions".
 */
#ifndef FASTGEMM_PTX_SM90_CUH
#define FASTGEMM_PTX_SM90_CUH

#include "ptx_grid.cuh"
#include "ptx_split.cuh"

/* Stores past what the L2 cache should keep. */
DEVICE void st_global_cs(float4 *global, float4 x) {
    asm volatile("st.global.cs.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(global), "f"(x.x), "f"(x.y), "f"(x.z), "f"(x.w)
                 : "memory");
}

/* A copy by 32-bit address; the L2 cache fetches the whole line. */
DEVICE void cp_async_16_line(uint32_t shared, const void *global) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(shared), "l"(global) : "memory");
}

DEVICE void st_shared(uint32_t address, float x) {
    asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(x) : "memory");
}

DEVICE void st_shared_16(uint32_t address, uint16_t x) {
    asm volatile("st.shared.b16 [%0], %1;" ::"r"(address), "h"(x) : "memory");
}

/* Adds to two neighbours in shared memory that are this thread's own. */
DEVICE void add_shared_v2(uint32_t address, double x, double y) {
    asm volatile("{ .reg .f64 a, b; ld.shared.v2.f64 {a, b}, [%0]; add.f64 a, a, %1; add.f64 b, b, %2; "
                 "st.shared.v2.f64 [%0], {a, b}; }" ::"r"(address),
                 "d"(x), "d"(y)
                 : "memory");
}

DEVICE void st_shared_v4(uint32_t address, uint32_t x, uint32_t y, uint32_t z, uint32_t w) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(x), "r"(y), "r"(z), "r"(w) : "memory");
}

DEVICE void mbarrier_init(uint64_t *barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

/* Before the barrier is initialised once more; nobody waits at it. */
DEVICE void mbarrier_inval(uint64_t *barrier) {
    asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/* Makes initialised barriers known to the copy engine. */
DEVICE void fence_barrier_init(void) {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

DEVICE void mbarrier_arrive(uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
DEVICE void mbarrier_arrive(uint64_t *barrier) {
    mbarrier_arrive(shared_address(barrier));
}

/* `count` arrivals at once: a warp's, after __syncwarp where its lanes have read shared memory themselves. */
DEVICE void mbarrier_arrive(uint64_t *barrier, int count) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}

/* Arrives, and has the phase wait for so many copied bytes too. */
DEVICE void mbarrier_arrive_expect_tx(uint32_t barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
DEVICE void mbarrier_arrive_expect_tx(uint64_t *barrier, int bytes) {
    mbarrier_arrive_expect_tx(shared_address(barrier), bytes);
}

/* Has the barrier wait for this thread's copies under way (cp.async) and arrive for it then. */
DEVICE void cp_async_arrive(uint32_t barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

/* Returns when the phase of this parity is complete. */
DEVICE void mbarrier_wait(uint32_t barrier, int parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}\n" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}
DEVICE void mbarrier_wait(uint64_t *barrier, int parity) {
    mbarrier_wait(shared_address(barrier), parity);
}

/* Before a barrier: what this thread wrote to shared memory is for the tensor cores or the copy engine to read. */
DEVICE void fence_proxy_async(void) {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* The same for shared memory of other CTAs, and for global memory. */
DEVICE void fence_proxy_async_all(void) {
    asm volatile("fence.proxy.async;" ::: "memory");
}

/* A contiguous copy by the copy engine; both addresses and the size are multiples of 16. */
DEVICE void cp_async_bulk(void *shared, const void *global, int bytes, uint64_t *barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(shared)),
                 "l"(global), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}

/* A barrier of so many threads, which tells whether any of them says yes. */
DEVICE bool barrier_or(int number, int threads, bool yes) {
    int any;
    asm volatile("{\n"
                 ".reg .pred mine, any;\n"
                 "setp.ne.s32 mine, %3, 0;\n"
                 "barrier.cta.red.or.pred any, %1, %2, mine;\n"
                 "selp.s32 %0, 1, 0, any;\n"
                 "}\n"
                 : "=r"(any)
                 : "r"(number), "r"(threads), "r"((int)yes)
                 : "memory");
    return any;
}

/* Registers of this warpgroup, up or down; COUNT is a multiple of 8. */
template <int COUNT> DEVICE void setmaxnreg_inc(void) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}
template <int COUNT> DEVICE void setmaxnreg_dec(void) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

/*
 * The descriptor of a matrix in shared memory for wgmma: rows of 64 bytes (32 k), 64-byte swizzle, eight rows in 512
 * bytes. The next 16 k are 32 bytes on: add 2.
 */
DEVICE uint64_t wgmma_descriptor(const void *shared) {
    return (uint64_t)2 << 62 | (uint64_t)(512 >> 4) << 32 | (uint64_t)1 << 16 | (shared_address(shared) & 0x3ffff) >> 4;
}

DEVICE void wgmma_fence(void) {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
DEVICE void wgmma_commit(void) {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int PENDING> DEVICE void wgmma_wait(void) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

/* Keeps the compiler from moving uses of an accumulator across the asynchronous instructions. */
DEVICE void wgmma_pin(float (&d)[64]) {
#pragma unroll
    for (int i = 0; i < 64; i++) asm volatile("" : "+f"(d[i])::"memory");
}

/* Around a chain of asynchronous products into one accumulator. */
DEVICE void chain_begin(float (&d)[64]) {
    wgmma_pin(d);
    wgmma_fence();
}

DEVICE void chain_end(float (&d)[64]) {
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_pin(d);
}

/*
 * d[16 x 8] += a[16 x 16] b[16 x 8] in fp64. Lane l holds rows l / 4 and l / 4 + 8 and columns 2 (l % 4) + 0, 1 of d as
 * wgmma would; of a its rows by turns, of b column l / 4, each at four k.
 */
DEVICE void mma_m16n8k16_f64(double *d, const double (&a)[8], const double (&b)[4]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7, %8, %9, %10, %11}, "
        "{%12, %13, %14, %15}, {%0, %1, %2, %3};"
        : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
        : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]), "d"(b[0]), "d"(b[1]),
          "d"(b[2]), "d"(b[3]));
}

/* d[64 x 128] = a[64 x 16] b[16 x 128] (+ d), both operands contiguous along k; `accumulate` 0 leaves d out. */
#define WGMMA_M64N128K16(name, type)                                                                                   \
    DEVICE void name(float(&d)[64], uint64_t a, uint64_t b, int accumulate) {                                          \
        asm volatile("{\n"                                                                                             \
                     ".reg .pred p;\n"                                                                                 \
                     "setp.ne.b32 p, %66, 0;\n"                                                                        \
                     "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {"                                 \
                     "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                          \
                     "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                \
                     "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                \
                     "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "               \
                     "%64, %65, p, 1, 1, 0, 0;\n"                                                                      \
                     "}\n"                                                                                             \
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), \
                       "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]),        \
                       "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]),      \
                       "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]),      \
                       "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),      \
                       "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), "+f"(d[42]),      \
                       "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), "+f"(d[49]),      \
                       "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), "+f"(d[56]),      \
                       "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])       \
                     : "l"(a), "l"(b), "r"(accumulate));                                                               \
    }
WGMMA_M64N128K16(wgmma_m64n128k16_f16, "f16")
WGMMA_M64N128K16(wgmma_m64n128k16_bf16, "bf16")
#undef WGMMA_M64N128K16

/* d[64 x 256] = a[64 x 16] b[16 x 256] (+ d), fp16, likewise: columns 128 and on are in d[1]. */
DEVICE void wgmma_m64n256k16_f16(float (&d)[2][64], uint64_t a, uint64_t b, int accumulate) {
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "setp.ne.b32 p, %130, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
                 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
                 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
                 "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
                 "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
                 "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
                 "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
                 "%128, %129, p, 1, 1, 0, 0;\n"
                 "}\n"
                 : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[0][4]), "+f"(d[0][5]),
                   "+f"(d[0][6]), "+f"(d[0][7]), "+f"(d[0][8]), "+f"(d[0][9]), "+f"(d[0][10]), "+f"(d[0][11]),
                   "+f"(d[0][12]), "+f"(d[0][13]), "+f"(d[0][14]), "+f"(d[0][15]), "+f"(d[0][16]), "+f"(d[0][17]),
                   "+f"(d[0][18]), "+f"(d[0][19]), "+f"(d[0][20]), "+f"(d[0][21]), "+f"(d[0][22]), "+f"(d[0][23]),
                   "+f"(d[0][24]), "+f"(d[0][25]), "+f"(d[0][26]), "+f"(d[0][27]), "+f"(d[0][28]), "+f"(d[0][29]),
                   "+f"(d[0][30]), "+f"(d[0][31]), "+f"(d[0][32]), "+f"(d[0][33]), "+f"(d[0][34]), "+f"(d[0][35]),
                   "+f"(d[0][36]), "+f"(d[0][37]), "+f"(d[0][38]), "+f"(d[0][39]), "+f"(d[0][40]), "+f"(d[0][41]),
                   "+f"(d[0][42]), "+f"(d[0][43]), "+f"(d[0][44]), "+f"(d[0][45]), "+f"(d[0][46]), "+f"(d[0][47]),
                   "+f"(d[0][48]), "+f"(d[0][49]), "+f"(d[0][50]), "+f"(d[0][51]), "+f"(d[0][52]), "+f"(d[0][53]),
                   "+f"(d[0][54]), "+f"(d[0][55]), "+f"(d[0][56]), "+f"(d[0][57]), "+f"(d[0][58]), "+f"(d[0][59]),
                   "+f"(d[0][60]), "+f"(d[0][61]), "+f"(d[0][62]), "+f"(d[0][63]), "+f"(d[1][0]), "+f"(d[1][1]),
                   "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[1][4]), "+f"(d[1][5]), "+f"(d[1][6]), "+f"(d[1][7]),
                   "+f"(d[1][8]), "+f"(d[1][9]), "+f"(d[1][10]), "+f"(d[1][11]), "+f"(d[1][12]), "+f"(d[1][13]),
                   "+f"(d[1][14]), "+f"(d[1][15]), "+f"(d[1][16]), "+f"(d[1][17]), "+f"(d[1][18]), "+f"(d[1][19]),
                   "+f"(d[1][20]), "+f"(d[1][21]), "+f"(d[1][22]), "+f"(d[1][23]), "+f"(d[1][24]), "+f"(d[1][25]),
                   "+f"(d[1][26]), "+f"(d[1][27]), "+f"(d[1][28]), "+f"(d[1][29]), "+f"(d[1][30]), "+f"(d[1][31]),
                   "+f"(d[1][32]), "+f"(d[1][33]), "+f"(d[1][34]), "+f"(d[1][35]), "+f"(d[1][36]), "+f"(d[1][37]),
                   "+f"(d[1][38]), "+f"(d[1][39]), "+f"(d[1][40]), "+f"(d[1][41]), "+f"(d[1][42]), "+f"(d[1][43]),
                   "+f"(d[1][44]), "+f"(d[1][45]), "+f"(d[1][46]), "+f"(d[1][47]), "+f"(d[1][48]), "+f"(d[1][49]),
                   "+f"(d[1][50]), "+f"(d[1][51]), "+f"(d[1][52]), "+f"(d[1][53]), "+f"(d[1][54]), "+f"(d[1][55]),
                   "+f"(d[1][56]), "+f"(d[1][57]), "+f"(d[1][58]), "+f"(d[1][59]), "+f"(d[1][60]), "+f"(d[1][61]),
                   "+f"(d[1][62]), "+f"(d[1][63])
                 : "l"(a), "l"(b), "r"(accumulate));
}

#endif
