/*
 * Products that were found to be cuBLAS's: the next call with the same words is forwarded by one look into one cache
 * line. Between two calls of a program the caches are the program's own, and each line that has to be fetched again
 * costs as much as the arithmetic of a whole look-up.
 *
 * What is kept is a fingerprint of 64 bits. A product mistaken for another would be forwarded, which is always right.
 */
#ifndef FASTGEMM_VERDICTS_H
#define FASTGEMM_VERDICTS_H

#include <stdbool.h>

#include "../policy/toggles.h"
#include "dispatch.h"

/* Both halves of the product, as in wyhash's mixing function: public domain, Wang Yi. */
static inline uint64_t verdict_mix(uint64_t a, uint64_t b) {
    unsigned __int128 product =
        (unsigned __int128)(a ^ UINT64_C(0xa0761d6478bd642f)) * (b ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of a workspace larger than what the user allows, which alone may change a plan. */
static inline uint64_t verdict_workspace(size_t bytes, const struct toggles *toggles) {
    return bytes > (size_t)toggles->workspace_mb << 20 ? bytes : 0;
}

static inline uint64_t verdict_alignments(const void *a, const void *b) {
    return ((uintptr_t)a & 15) | ((uintptr_t)b & 15) << 4;
}

/*
 * Of all that a verdict depends on, but for the scalars, which may lie on the device: the call's words, the alignment
 * of its operands, and the handle's record. 0, which is never kept, where the record does not know the handle's device
 * or math mode. cublasLt's calls bring one that is made from their descriptors as they lie.
 */
uint64_t verdict_fingerprint(const struct gemm_call *call, const struct handle_state *state,
                             const struct toggles *toggles);

/* Whether a product of this fingerprint was found to be cuBLAS's. */
bool verdict_is_forward(uint64_t fingerprint);

/* It was, whatever the scalars are. */
void verdict_keep_forward(uint64_t fingerprint);

#endif
