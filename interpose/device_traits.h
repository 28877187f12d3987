/*
 * The chips of this process as the policy wants them described.
 */
#ifndef FASTGEMM_DEVICE_TRAITS_H
#define FASTGEMM_DEVICE_TRAITS_H

#include "../policy/problem.h"

/* Traits of the current device, asked for once per device; NULL and a reason when it cannot be used. */
const struct gemm_device *device_traits_current(enum gemm_reason *reason);

#endif
