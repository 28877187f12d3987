/*
 * What every call asks of CUDA, asked of the driver itself: through the runtime the same answers take two to six times
 * as long. Where the driver has none, such as for a thread without a context, the runtime's answer counts.
 */
#ifndef FASTGEMM_DRIVER_H
#define FASTGEMM_DRIVER_H

#include <cuda_runtime_api.h>

/* cudaGetDevice. */
cudaError_t driver_current_device(int *device);

/* cudaStreamIsCapturing. */
cudaError_t driver_capture_status(cudaStream_t stream, enum cudaStreamCaptureStatus *status);

/* cudaStreamGetId. Not of a stream that is being captured: that spoils the capture. */
cudaError_t driver_stream_id(cudaStream_t stream, unsigned long long *id);

#endif
