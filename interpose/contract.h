/*
 * The accuracy that a call is owed, from what the program, the user and NVIDIA's own variables say. The one place
 * where that is decided.
 */
#ifndef FASTGEMM_CONTRACT_H
#define FASTGEMM_CONTRACT_H

#include "../policy/problem.h"
#include "dispatch.h"
#include "settings.h"

/* From the call's own words, before the handle is asked: REASON_routed, or why it is forwarded. */
enum gemm_reason contract_of_call(const struct gemm_call *call);

/* From the handle's modes too: REASON_routed, the contract and what cuBLAS may do, or why the call is forwarded. */
enum gemm_reason contract_owed(const struct gemm_call *call, const struct handle_modes *modes,
                               const struct settings *settings, struct gemm_problem *problem);

#endif
