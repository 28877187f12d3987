/* A table of fingerprints, a cache line a set. Its readers and writers need no lock: an entry is one word. */
#include "verdicts.h"

#include <stdatomic.h>

enum { SETS = 512, WAYS = 8 };

static struct { _Alignas(64) _Atomic(uint64_t) way[WAYS]; } table[SETS];

/* Both halves of the product, as in wyhash's mixing function: public domain, Wang Yi. */
static inline uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 product =
        (unsigned __int128)(a ^ UINT64_C(0xa0761d6478bd642f)) * (b ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t pair(int64_t a, int64_t b) {
    return (uint64_t)a ^ ((uint64_t)b << 32 | (uint64_t)b >> 32);
}

static inline uint64_t low_bits(const void *address) {
    return (uintptr_t)address & 15;
}

/* What cublasLt's calls have beyond others. */
static uint64_t mix_lt(uint64_t hash, const struct gemm_call *c) {
    const struct lt_part *lt = c->lt;
    const uint64_t words = (uint64_t)lt->activation | (uint64_t)(lt->bias != NULL) << 8 |
                           (uint64_t)lt->modes.pointer_mode << 9 | (uint64_t)lt->modes.sm_count_target << 32;
    return mix(mix(hash, words), pair(lt->ldd, lt->stride_d));
}

uint64_t verdict_fingerprint(const struct gemm_call *c, const struct handle_state *state,
                             const struct toggles *toggles) {
    const struct handle_record record = handle_state_record(state);
    const int math = c->lt ? 0 : record.math_mode;
    if (record.device == DEVICE_UNKNOWN || math == MATH_UNKNOWN) return 0;
    const size_t workspace = c->lt ? c->lt->workspace.size : record.workspace.size;
    const uint64_t words = (uint64_t)c->op_a | (uint64_t)c->op_b << 4 | low_bits(c->a) << 8 | low_bits(c->b) << 12 |
                           (uint64_t)c->pointer_array << 16 | (uint64_t)c->has_compute << 17 |
                           (uint64_t)(c->lt != NULL) << 18 | (uint64_t)(uint8_t)record.device << 24 |
                           (uint64_t)(uint32_t)math << 32;
    const uint64_t types = (uint64_t)c->type_b | (uint64_t)c->compute << 16 | (uint64_t)(uint32_t)c->algo << 32;
    uint64_t sizes = mix(pair(c->m, c->n), pair(c->k, c->batch)), rest = mix(pair(c->lda, c->ldb), words);
    uint64_t hash = mix(mix(types, (uint64_t)c->ldc), mix(sizes, rest));
    if (c->batch != 1) hash = mix(mix(hash, pair(c->stride_a, c->stride_b)), (uint64_t)c->stride_c);
    if (c->lt) hash = mix_lt(hash, c);
    if (workspace > (size_t)toggles->workspace_mb << 20) hash = mix(hash, workspace); /* else it changes no plan */
    return hash ? hash : 1;
}

static _Atomic(uint64_t) *set_of(uint64_t fingerprint) {
    return table[fingerprint % SETS].way;
}

bool verdict_is_forward(uint64_t fingerprint) {
    const _Atomic(uint64_t) *way = set_of(fingerprint);
    bool found = false;
    for (int i = 0; i < WAYS; i++) found |= atomic_load_explicit(&way[i], memory_order_relaxed) == fingerprint;
    return found && fingerprint;
}

/* In a full set an older one gives way. */
void verdict_keep_forward(uint64_t fingerprint) {
    _Atomic(uint64_t) *way = set_of(fingerprint);
    unsigned place = (unsigned)(fingerprint >> 32) % WAYS;
    if (!fingerprint || verdict_is_forward(fingerprint)) return;
    for (unsigned i = 0; i < WAYS; i++)
        if (!atomic_load_explicit(&way[i], memory_order_relaxed)) place = i;
    atomic_store_explicit(&way[place], fingerprint, memory_order_relaxed);
}
