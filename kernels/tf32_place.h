/*
 * Who holds what in the TF32 kernels for Hopper: index arithmetic alone, so that a test without a GPU can hold it to
 * the layouts that the copy engine writes and the matrix instruction wants. Plain C, and device code.
 *
 * A consumer warpgroup has 128 rows of A, 32 to a warp, which lie in shared memory as a box of 4 KB. It runs two
 * instructions (wgmma m64nNk8) for them, `half` 0 and 1. An instruction gives a thread, of its 64 rows, 16 warp + lane
 * / 4 and, as `row` 1, 8 further, and of k, from registers, lane % 4 and 4 further. So a thread holds four rows of a
 * box, and which four is free. It takes neighbours where D can be stored in quads.
 */
#ifndef FASTGEMM_TF32_PLACE_H
#define FASTGEMM_TF32_PLACE_H

#include <stdint.h>

#ifdef __CUDACC__
#define TF32_INLINE __device__ __forceinline__
#else
#define TF32_INLINE static inline
#endif

enum { TF32_ROW_BYTES = 128, TF32_BOX_ROWS = 32, TF32_BOX_BYTES = TF32_BOX_ROWS * TF32_ROW_BYTES };

/* How A comes into shared memory: along k, along m, or along m with an odd leading dimension. */
enum tf32_a { TF32_A_ALONG_M, TF32_A_ALONG_K, TF32_A_SHIFTED, TF32_A_COUNT };

/*
 * A along k: rows of 128 bytes (32 k), in groups of eight, of which the instructions take every other one: group
 * 2 row + half. The copy engine puts neighbours of A into a group (PLAIN), or each fourth row (QUADS): then the four
 * rows that a thread gets, one of each group, are neighbours.
 */
enum { TF32_GROUP_ROWS = 8, TF32_GROUP_BYTES = TF32_GROUP_ROWS * TF32_ROW_BYTES, TF32_GROUPS = 4 };
enum tf32_order { TF32_PLAIN, TF32_QUADS };

TF32_INLINE int tf32_group_of(int half, int row) {
    return 2 * row + half;
}

/*
 * A along m: for each k 32 floats, in eight pieces of 16 bytes, piece p at place p ^ k % 8. A thread takes one piece of
 * each of its k. The lanes that load at once (four k; two pieces that are four apart) meet all eight places.
 */
TF32_INLINE int tf32_piece_of(int thread) {
    const int group = thread % 32 / 4;
    return group / 2 + group % 2 * 4;
}

/* Byte in the warp's box from which this thread loads its rows, `far`: at the k that is four further. Add 8 k as rows.
 */
TF32_INLINE uint32_t tf32_load_offset(int thread, int far) {
    const int k = thread % 4 + 4 * far;
    return (uint32_t)(k * TF32_ROW_BYTES + (tf32_piece_of(thread) ^ k) * 16);
}

/*
 * SHIFTED: k by k % 4, since the columns that are four apart begin at the same place in 16 bytes: of each of these
 * classes the copy engine brings eight k, each as a row of 128 floats and the 16 bytes that a shift may need. A thread
 * takes the same rows as above, one by one, and as its k are all of one class, behind one shift.
 */
enum {
    TF32_SHIFTS = 4,
    TF32_SLOT_FLOATS = 128 + 4,
    TF32_SLOT_BYTES = 4 * TF32_SLOT_FLOATS,
    TF32_CLASS_BYTES = 8 * TF32_SLOT_BYTES,
    TF32_SLOTS_BYTES = TF32_SHIFTS * TF32_CLASS_BYTES /* 32 k of 128 rows */
};

/* Byte in the warpgroup's slots from which this thread loads its rows, but for the shift. Add 8 k as two slots. */
TF32_INLINE uint32_t tf32_slot_offset(int thread, int far) {
    return (uint32_t)(thread % 4 * TF32_CLASS_BYTES + far * TF32_SLOT_BYTES +
                      4 * (thread / 32 * TF32_BOX_ROWS + 4 * tf32_piece_of(thread)));
}

/* The row of the box that a thread has as `half` and `row`. */
TF32_INLINE int tf32_row_of(int along_k, enum tf32_order order, int thread, int half, int row) {
    if (!along_k) return 4 * tf32_piece_of(thread) + 2 * half + row;
    const int in_group = thread % 32 / 4, group = tf32_group_of(half, row);
    return order == TF32_QUADS ? TF32_GROUPS * in_group + group : TF32_GROUP_ROWS * group + in_group;
}

#endif
