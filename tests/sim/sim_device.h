/*
 * What a kernel source sees instead of CUDA when it is compiled for the host: the built-in variables, vector types,
 * barriers, warp operations, atomics and asynchronous copies of the simulated GPU. C++ only, no CUDA header.
 *
 * Every CUDA thread is a fibre, and one runs until it meets a barrier or a warp operation; so what these functions
 * promise is what a kernel may rely on, and nothing more:
 *   - shared memory is full of NaN when a CTA starts, and exactly as large as the launch asked for;
 *   - an asynchronous copy fills its destination with NaN when it is issued, and reads its source and lands only in
 *     the wait that covers it; one that is never waited for never lands;
 *   - vector accesses and asynchronous copies have to be aligned, asynchronous copies have to read device memory.
 * What breaks a rule ends the launch with one line on standard error.
 */
#ifndef FASTGEMM_SIM_DEVICE_H
#define FASTGEMM_SIM_DEVICE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sim_half.h"
#include "sim_mma.h"

struct sim_uint3 {
    unsigned x, y, z;
};

struct sim_position {
    struct sim_uint3 thread, block, block_dim, grid_dim;
};

extern "C" {
/* The same for a whole run of a thread, hence const. */
const struct sim_position *sim_self(void) __attribute__((const));
void *sim_shared_memory(void);
void sim_register_kernel(void (*kernel)(void **argv), const char *name, int max_threads, size_t argument_bytes);
void sim_cta_barrier(void);
/*
 * Meets the lanes of `mask`, each with `words` values (3 at most); true for the last one to arrive, which goes on
 * before the others do. sim_warp_values is what `lane` brought last.
 */
int sim_warp_meet(const char *operation, unsigned mask, const uint64_t *values, int words);
const uint64_t *sim_warp_values(int lane);
void sim_cp_async(void *shared, const void *global, int width, int bytes);
void sim_cp_async_commit(void);
void sim_cp_async_wait(int pending);
void sim_misaligned(const void *address, int width);
/* Counts bank conflicts, where a test asked for it. */
extern int sim_watching_banks;
void sim_watch_vector(const void *to, const void *from, int width);
}

#define SIM_REGISTER(name, threads, argument_bytes)                                                                    \
    __attribute__((constructor)) static void name##_register(void) {                                                   \
        sim_register_kernel(name, #name, threads, argument_bytes);                                                     \
    }

#define threadIdx (sim_self()->thread)
#define blockIdx  (sim_self()->block)
#define blockDim  (sim_self()->block_dim)
#define gridDim   (sim_self()->grid_dim)
#define warpSize  32

static inline void __syncthreads(void) {
    sim_cta_barrier();
}
static inline void __syncwarp(unsigned mask = 0xffffffffu) {
    sim_warp_meet("__syncwarp", mask, NULL, 0);
}
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}

/*
 * Vectors. Every copy looks at both addresses; `sim_opaque` keeps the compiler from taking the alignment for granted.
 * (An array of a thread's own may be misaligned: on a GPU it lives in registers.)
 */
static inline const void *sim_opaque(const void *address) {
    __asm__("" : "+r"(address));
    return address;
}

template <int WIDTH> static inline void sim_copy_vector(void *to, const void *from) {
    to = (void *)sim_opaque(to);
    from = sim_opaque(from);
    if (__builtin_expect(((uintptr_t)to | (uintptr_t)from) % WIDTH != 0, 0)) {
        sim_misaligned(to, WIDTH);
        sim_misaligned(from, WIDTH);
    }
    if (__builtin_expect(sim_watching_banks, 0)) sim_watch_vector(to, from, WIDTH);
    memcpy(to, from, WIDTH);
}

struct alignas(8) float2 {
    float x, y;
    float2() = default;
    float2(float x_, float y_) : x(x_), y(y_) {}
    float2(const float2 &from) { sim_copy_vector<8>(this, &from); }
    float2 &operator=(const float2 &from) {
        sim_copy_vector<8>(this, &from);
        return *this;
    }
};

struct alignas(16) float4 {
    float x, y, z, w;
    float4() = default;
    float4(float x_, float y_, float z_, float w_) : x(x_), y(y_), z(z_), w(w_) {}
    float4(const float4 &from) { sim_copy_vector<16>(this, &from); }
    float4 &operator=(const float4 &from) {
        sim_copy_vector<16>(this, &from);
        return *this;
    }
};

struct alignas(16) uint4 {
    unsigned x, y, z, w;
    uint4() = default;
    uint4(unsigned x_, unsigned y_, unsigned z_, unsigned w_) : x(x_), y(y_), z(z_), w(w_) {}
    uint4(const uint4 &from) { sim_copy_vector<16>(this, &from); }
    uint4 &operator=(const uint4 &from) {
        sim_copy_vector<16>(this, &from);
        return *this;
    }
};

static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return uint4(x, y, z, w);
}
static inline float2 make_float2(float x, float y) {
    return float2(x, y);
}
static inline float4 make_float4(float x, float y, float z, float w) {
    return float4(x, y, z, w);
}

/* Numbers, with the mixed forms that CUDA has. */
#define SIM_MIN_MAX(type)                                                                                              \
    static inline type min(type a, type b) {                                                                           \
        return a < b ? a : b;                                                                                          \
    }                                                                                                                  \
    static inline type max(type a, type b) {                                                                           \
        return a > b ? a : b;                                                                                          \
    }
SIM_MIN_MAX(int)
SIM_MIN_MAX(unsigned)
SIM_MIN_MAX(long)
SIM_MIN_MAX(unsigned long)
SIM_MIN_MAX(long long)
SIM_MIN_MAX(unsigned long long)
#undef SIM_MIN_MAX

template <class TO, class FROM> static inline TO sim_bits(FROM from) {
    static_assert(sizeof(TO) == sizeof(FROM), "a bit cast keeps the size");
    TO to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
static inline unsigned __float_as_uint(float f) {
    return sim_bits<unsigned>(f);
}
static inline float __uint_as_float(unsigned u) {
    return sim_bits<float>(u);
}
static inline int __float_as_int(float f) {
    return sim_bits<int>(f);
}
static inline float __int_as_float(int i) {
    return sim_bits<float>(i);
}
static inline long long __double_as_longlong(double d) {
    return sim_bits<long long>(d);
}
static inline double __hiloint2double(int high, int low) {
    return sim_bits<double>((uint64_t)(uint32_t)high << 32 | (uint32_t)low);
}
static inline float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}
template <class T> static inline T __ldg(const T *p) {
    return *p;
}
template <class T> static inline T __ldcg(const T *p) {
    return *p;
}
template <class T> static inline T __ldcs(const T *p) {
    return *p;
}
template <class T> static inline void __stcg(T *p, T value) {
    *p = value;
}
template <class T> static inline void __stcs(T *p, T value) {
    *p = value;
}

/* Warp operations: each lane brings its value, then reads another's. */
static inline int sim_lane(void) {
    const struct sim_position *self = sim_self();
    return (int)((self->thread.x + self->block_dim.x * (self->thread.y + self->block_dim.y * self->thread.z)) % 32);
}

template <class T> static inline T sim_shuffle(const char *operation, unsigned mask, T value, int from) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t raw = 0;
    memcpy(&raw, &value, sizeof value);
    sim_warp_meet(operation, mask, &raw, 1);
    raw = *sim_warp_values(from);
    memcpy(&value, &raw, sizeof value);
    return value;
}

template <class T> static inline T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    return sim_shuffle("__shfl_sync", mask, value, sim_lane() / width * width + from % width);
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
    int lane = sim_lane(), from = lane ^ bits;
    return sim_shuffle("__shfl_xor_sync", mask, value, from / width > lane / width ? lane : from);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T value, int by, int width = 32) {
    int lane = sim_lane(), from = lane + by;
    return sim_shuffle("__shfl_down_sync", mask, value, from / width != lane / width ? lane : from);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T value, int by, int width = 32) {
    int lane = sim_lane(), from = lane - by;
    return sim_shuffle("__shfl_up_sync", mask, value, from < lane / width * width ? lane : from);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    const uint64_t vote = predicate != 0;
    sim_warp_meet("__ballot_sync", mask, &vote, 1);
    unsigned votes = 0;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && *sim_warp_values(lane)) votes |= 1u << lane;
    return votes;
}
static inline int __any_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) != 0;
}
static inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, !predicate) == 0;
}

/* One thread runs at a time, so a plain read and write is atomic. */
template <class T> static inline T atomicAdd(T *at, T value) {
    T before = *at;
    *at = before + value;
    return before;
}
template <class T> static inline T atomicMax(T *at, T value) {
    T before = *at;
    if (value > before) *at = value;
    return before;
}
static inline unsigned atomicInc(unsigned *at, unsigned limit) {
    unsigned before = *at;
    *at = before >= limit ? 0 : before + 1;
    return before;
}
static inline unsigned atomicExch(unsigned *at, unsigned value) {
    unsigned before = *at;
    *at = value;
    return before;
}

#endif
