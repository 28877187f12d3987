/* Workspaces by handle, in a small hash table. */
#include "handle_state.h"

#include <pthread.h>
#include <stdint.h>

enum { SLOTS = 1024 };

static struct {
    cublasHandle_t handle;
    struct workspace workspace;
} table[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Slot of a handle, or a free one for it (linear probing), -1 when the table is full. Under the lock. */
static int find(cublasHandle_t handle) {
    unsigned start = (unsigned)((uintptr_t)handle * UINT64_C(0x9e3779b97f4a7c15) >> 54);
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned slot = (start + i) % SLOTS;
        if (table[slot].handle == handle || !table[slot].handle) return (int)slot;
    }
    return -1;
}

void handle_state_workspace(cublasHandle_t handle, void *address, size_t size) {
    pthread_mutex_lock(&lock);
    int slot = find(handle);
    if (slot >= 0 && handle) {
        table[slot].handle = handle;
        table[slot].workspace = (struct workspace){address, address ? size : 0};
    }
    pthread_mutex_unlock(&lock);
}

void handle_state_forget(cublasHandle_t handle) { handle_state_workspace(handle, NULL, 0); }

struct workspace handle_state_get_workspace(cublasHandle_t handle) {
    struct workspace found = {NULL, 0};
    pthread_mutex_lock(&lock);
    int slot = find(handle);
    if (slot >= 0 && table[slot].handle == handle) found = table[slot].workspace;
    pthread_mutex_unlock(&lock);
    return found;
}

bool handle_state_modes(const struct real_cublas *real, cublasHandle_t handle, struct handle_modes *out) {
    *out = (struct handle_modes){0};
    if (!real->cublasGetStream_v2 || !real->cublasGetPointerMode_v2 || !real->cublasGetMathMode) return false;
    if (real->cublasGetStream_v2(handle, &out->stream) != CUBLAS_STATUS_SUCCESS) return false;
    if (real->cublasGetPointerMode_v2(handle, &out->pointer_mode) != CUBLAS_STATUS_SUCCESS) return false;
    if (real->cublasGetMathMode(handle, &out->math_mode) != CUBLAS_STATUS_SUCCESS) return false;
    return !real->cublasGetSmCountTarget ||
           real->cublasGetSmCountTarget(handle, &out->sm_count_target) == CUBLAS_STATUS_SUCCESS;
}
