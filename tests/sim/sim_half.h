/* Half precision on the host, for the simulator and for the kernels that it compiles. */
#ifndef FASTGEMM_SIM_HALF_H
#define FASTGEMM_SIM_HALF_H

#include <stdint.h>
#include <string.h>
#ifdef __F16C__
#include <immintrin.h>
#endif

/* By name where the CPU has it: compilers turn a cast whose result becomes a double into a call of libgcc's. */
static inline float sim_float_of_half(uint16_t bits) {
#ifdef __F16C__
    return _cvtsh_ss(bits);
#else
    _Float16 x;
    memcpy(&x, &bits, sizeof x);
    return (float)x;
#endif
}

#endif
