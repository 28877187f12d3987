/* Watching for forks. */
#include "cuda_use.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_bool used, lost;

static void in_child(void) {
    if (atomic_load(&used)) atomic_store(&lost, true);
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, in_child);
}

void cuda_use_note(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (atomic_load_explicit(&used, memory_order_relaxed)) return;
    pthread_once(&once, watch_forks);
    atomic_store(&used, true);
}

bool cuda_use_lost(void) {
    return atomic_load_explicit(&lost, memory_order_relaxed);
}
