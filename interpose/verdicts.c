/* A table of fingerprints, a cache line a set. Its readers and writers need no lock: an entry is one word. */
#include "verdicts.h"

#include <stdatomic.h>

enum { SETS = 512, WAYS = 8 };

static struct { _Alignas(64) _Atomic(uint64_t) way[WAYS]; } table[SETS];

static inline uint64_t pair(int64_t a, int64_t b) {
    return (uint64_t)a ^ ((uint64_t)b << 32 | (uint64_t)b >> 32);
}

uint64_t verdict_fingerprint(const struct gemm_call *c, const struct handle_state *state,
                             const struct toggles *toggles) {
    if (c->lt) return c->lt->fingerprint;
    const struct handle_record record = handle_state_record(state);
    if (record.device == DEVICE_UNKNOWN || record.math_mode == MATH_UNKNOWN) return 0;
    const uint64_t words = (uint64_t)c->op_a | (uint64_t)c->op_b << 4 | verdict_alignments(c->a, c->b) << 8 |
                           (uint64_t)c->pointer_array << 16 | (uint64_t)c->has_compute << 17 |
                           (uint64_t)(uint8_t)record.device << 24 | (uint64_t)(uint32_t)record.math_mode << 32;
    const uint64_t types = (uint64_t)c->type_b | (uint64_t)c->compute << 16 | (uint64_t)(uint32_t)c->algo << 32;
    uint64_t sizes = verdict_mix(pair(c->m, c->n), pair(c->k, c->batch));
    uint64_t rest = verdict_mix(pair(c->lda, c->ldb), words);
    uint64_t hash = verdict_mix(verdict_mix(types, (uint64_t)c->ldc), verdict_mix(sizes, rest));
    if (c->batch != 1) hash = verdict_mix(verdict_mix(hash, pair(c->stride_a, c->stride_b)), (uint64_t)c->stride_c);
    const uint64_t workspace = verdict_workspace(record.workspace.size, toggles);
    if (workspace) hash = verdict_mix(hash, workspace);
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
