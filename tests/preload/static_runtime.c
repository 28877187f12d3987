/*
 * A program with the CUDA runtime linked into it, as this library itself has it: the runtime finds the driver by dlsym.
 * With stub_cuda.c for a driver, the answer is that there is no device; where look-ups fail it would be that the driver
 * is too old.
 */
#include <stdio.h>

#include <cuda_runtime_api.h>

int main(void) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    printf("%s\n", cudaGetErrorName(error));
    return error != cudaErrorNoDevice;
}
