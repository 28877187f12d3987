/*
 * A ring of stages in shared memory, filled by one warpgroup and read by others (Hopper's families).
 */
#ifndef FASTGEMM_RING_CUH
#define FASTGEMM_RING_CUH

#include "device.cuh"

/* Barriers of the ring of stages: a full one is read by the consumers, an empty one filled by the producer. */
struct ring {
    uint64_t *full, *empty;
    int stage, parity;
};

template <int STAGES> DEVICE void advance(struct ring *ring) {
    if (++ring->stage == STAGES) {
        ring->stage = 0;
        ring->parity ^= 1;
    }
}

#endif
