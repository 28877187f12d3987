/* The ring of recorded calls, and how two of them are compared. Getters are not recorded. */
#include "cublas_standin.h"

#include <pthread.h>
#include <string.h>

enum { RING = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fgsim_cublas_call ring[RING];
static uint64_t made;

void standin_reset_foreign(void);

void standin_record(const char *function, int status, int arguments, const int64_t *argument) {
    pthread_mutex_lock(&lock);
    struct fgsim_cublas_call *call = &ring[made++ % RING];
    *call = (struct fgsim_cublas_call){.function = function, .status = status, .arguments = arguments};
    memcpy(call->argument, argument, (size_t)arguments * sizeof *argument);
    pthread_mutex_unlock(&lock);
}

uint64_t fgsim_cublas_calls(struct fgsim_cublas_call *calls, size_t capacity) {
    pthread_mutex_lock(&lock);
    uint64_t kept = made < RING ? made : RING, count = kept < capacity ? kept : capacity;
    for (uint64_t i = 0; i < count; i++) calls[i] = ring[(made - count + i) % RING];
    uint64_t total = made;
    pthread_mutex_unlock(&lock);
    return total;
}

void fgsim_cublas_reset(void) {
    pthread_mutex_lock(&lock);
    made = 0;
    standin_reset_foreign();
    pthread_mutex_unlock(&lock);
}

int fgsim_cublas_compare(const struct fgsim_cublas_call *a, const struct fgsim_cublas_call *b) {
    if (strcmp(a->function, b->function) || a->arguments != b->arguments) return -2;
    for (int i = 0; i < a->arguments; i++)
        if (a->argument[i] != b->argument[i]) return i;
    return -1;
}
