/* The library that stands before cuBLAS and tells when a call arrives there; looked up by dlsym. */
#ifndef FASTGEMM_TESTS_RELAY_H
#define FASTGEMM_TESTS_RELAY_H

#include <stdint.h>

/* When a product arrived last, by the time stamp counter. */
extern uint64_t relay_arrived;

void relay_connect(void *(*find)(const char *name));

/* The relay's own function of a name, which no preloaded library comes before. */
void *relay_address(const char *name);

#endif
