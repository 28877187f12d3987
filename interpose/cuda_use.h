/*
 * CUDA does not survive a fork: a child of a process that used it can only be refused, and nothing of ours may call
 * the runtime there.
 */
#ifndef FASTGEMM_CUDA_USE_H
#define FASTGEMM_CUDA_USE_H

#include <stdbool.h>

/* This process is about to use CUDA. */
void cuda_use_note(void);

/* A parent of this process used CUDA before it forked. */
bool cuda_use_lost(void);

#endif
