/*
 * The chips of this process as the policy wants them described.
 */
#ifndef FASTGEMM_DEVICE_TRAITS_H
#define FASTGEMM_DEVICE_TRAITS_H

#include "../policy/problem.h"

enum { MAX_DEVICES = 64 };

/* The current device, -1 when there is none. */
int device_current(void);

/* Traits of a device, asked for once; NULL and a reason when it cannot be used. -1 is accepted, and cannot. */
const struct gemm_device *device_traits_of(int device, enum gemm_reason *reason);

/* The same of the current device. */
const struct gemm_device *device_traits_current(enum gemm_reason *reason);

#endif
