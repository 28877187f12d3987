/*
 * Whose turn it is: the order of a grid's CTAs and of a CTA's threads. A kernel with its barriers in place gives the
 * same result in every order; one with a barrier missing does not in most, so by default each launch takes another.
 */
#include "sim_cta.h"

static enum sim_order order;
static uint64_t launches;
static int turns[SIM_MAX_THREADS];
static uint64_t ctas, cta_step, cta_first;

/* splitmix64: small and repeatable. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    return b ? common_divisor(b, a % b) : a;
}

/* CTAs in steps that are coprime to their number visit each once. */
static void order_ctas(uint64_t count, uint64_t *random) {
    ctas = count;
    cta_step = order == ORDER_REVERSE ? count - 1 : 1;
    cta_first = order == ORDER_REVERSE ? count - 1 : 0;
    if (order != ORDER_SHUFFLE || count < 3) return;
    cta_first = next_random(random) % count;
    do cta_step = 1 + next_random(random) % (count - 1);
    while (common_divisor(cta_step, count) != 1);
}

static void order_threads(int threads, uint64_t *random) {
    for (int i = 0; i < threads; i++) turns[i] = order == ORDER_REVERSE ? threads - 1 - i : i;
    if (order != ORDER_SHUFFLE) return;
    for (int i = threads - 1; i > 0; i--) {
        int j = (int)(next_random(random) % (uint64_t)(i + 1)), swap = turns[i];
        turns[i] = turns[j];
        turns[j] = swap;
    }
}

void sim_order_begin_launch(int threads, uint64_t cta_count) {
    const struct sim_settings *s = sim_settings();
    uint64_t random = s->order_seed + 1000003 * launches;
    order = s->order == ORDER_VARY ? (enum sim_order)(launches % ORDER_VARY) : s->order;
    launches++;
    order_ctas(cta_count, &random);
    order_threads(threads, &random);
}

uint64_t sim_order_cta(uint64_t turn) {
    return (cta_first + turn % ctas * cta_step) % ctas;
}
int sim_order_thread(int turn) {
    return turns[turn];
}
bool sim_order_by_warps(void) {
    return order == ORDER_WARPS;
}
