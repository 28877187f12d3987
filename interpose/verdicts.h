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

/*
 * Of all that a verdict depends on, but for the scalars, which may lie on the device: the call's words, the alignment
 * of its operands, and the handle's record. 0 where the record does not know the handle's device or math mode.
 */
uint64_t verdict_fingerprint(const struct gemm_call *call, const struct handle_state *state,
                             const struct toggles *toggles);

/* Whether a product of this fingerprint was found to be cuBLAS's. */
bool verdict_is_forward(uint64_t fingerprint);

/* It was, whatever the scalars are. */
void verdict_keep_forward(uint64_t fingerprint);

#endif
