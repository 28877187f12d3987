/*
 * What the environment asks: our toggles, and the variables of NVIDIA's libraries that change what a call means.
 */
#ifndef FASTGEMM_SETTINGS_H
#define FASTGEMM_SETTINGS_H

#include "../policy/toggles.h"

enum tf32_override { TF32_AS_ASKED, TF32_FORBIDDEN, TF32_FORCED };

struct settings {
    struct toggles toggles;
    enum tf32_override tf32; /* NVIDIA_TF32_OVERRIDE: 0 forbids TF32 whatever the program asks */
    bool emulation;          /* CUBLAS_EMULATE_SINGLE_PRECISION or CUBLAS_EMULATION_STRATEGY is set */
};

/* Read once, by the first call that asks. */
const struct settings *settings(void);

#endif
