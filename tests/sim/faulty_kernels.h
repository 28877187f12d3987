/* The planted faults: which of them the next launch commits. */
#ifndef FASTGEMM_FAULTY_KERNELS_H
#define FASTGEMM_FAULTY_KERNELS_H

#ifdef __cplusplus
extern "C" {
#endif

/* In the SIMT kernel: counted per thread from 1, 0 for none. */
struct planted {
    int skip_barrier;    /* this __syncthreads does nothing ... */
    int skip_more;       /* ... and so many after it */
    int skip_wait;       /* this asynchronous wait does nothing */
    int lost_rows;       /* so many rows of D are never written */
    int lost_k;          /* so much of K is left out */
    int barriers, waits; /* out: how many a thread met */
};
extern struct planted planted;

/* Kernels, for cudaLaunchKernel. */
void faulty_sgemm(void **argv); /* a 64x64x8 SIMT kernel, loaders MN4 and K4, with the faults above */
void read_past_end(void **argv);
void write_past_end(void **argv);
void copy_past_end(void **argv);
void write_past_shared(void **argv);
void misaligned_vector(void **argv);
void misaligned_copy(void **argv);
void barrier_in_a_branch(void **argv);
void barrier_after_an_exit(void **argv);
void warp_against_barrier(void **argv);
void shared_never_written(void **argv);
void copy_never_waited_for(void **argv);
void copy_source_overwritten(void **argv);
void sound_warp_operations(void **argv);
void column_of_shared(void **argv); /* each lane stores a vector `m` floats after the one before it, and reads it */

#ifdef __cplusplus
}
#endif
#endif
