/* What the files that run a CTA share: its threads, its shared memory, who runs now. */
#ifndef FASTGEMM_SIM_CTA_H
#define FASTGEMM_SIM_CTA_H

#include "sim_fibre.h"
#include "sim_internal.h"
#include "sim_mma.h"

/* As kernels see it (sim_device.h). */
struct sim_position {
    struct {
        unsigned x, y, z;
    } thread, block, block_dim, grid_dim;
};

/* Asynchronous copies of one thread that have not landed, oldest first. */
struct sim_copy {
    void *to;
    const void *from;
    int width, bytes;
};

struct sim_copies {
    struct sim_copy *copy;
    int first, count, capacity; /* copies [first, count) are pending */
    int *group_end;             /* index past each committed group's last copy */
    int first_group, groups, group_capacity;
};

enum { SIM_WARP_WORDS = 3 }; /* an mma.sync brings most: four words of 32 bits of A and two of B */

enum sim_thread_state { THREAD_READY, THREAD_WAITING, THREAD_AT_BARRIER, THREAD_IN_WARP, THREAD_EXITED };

struct sim_thread {
    struct sim_position position; /* first: sim_self() gives its address */
    struct fibre fibre;
    enum sim_thread_state state;
    bool started;
    const char *operation; /* the warp operation it waits in */
    unsigned mask;
    uint64_t value[2][SIM_WARP_WORDS]; /* brought to warp operations, by turns: who runs ahead overwrites nothing */
    unsigned warp_operations;
    float *sums; /* its four of an mma.sync */
    struct sim_copies copies;
};

enum { SIM_MAX_THREADS = 1024 };

struct sim_cta {
    const struct sim_launch *launch;
    struct sim_thread *threads; /* SIM_MAX_THREADS of them, made on first use */
    int thread_count;
    int at_barrier, exited;
    int waiting[SIM_MAX_THREADS / 32]; /* lanes of each warp that wait in a warp operation */
    struct sim_thread *self;           /* who runs */
    int turn, first_turn, turns;       /* whose turn that is, of those from first_turn on */
    struct fibre host;
    bool failed;
    char *shared;
};

extern struct sim_cta sim_cta;

/* Ends the launch from inside a thread, with one line that names kernel, CTA and thread. */
void sim_thread_fault(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* Meets the other lanes (sim_device.h). */
int sim_warp_meet(const char *operation, unsigned mask, const uint64_t *values, int words);

/* sim_shared.c: the CTA's shared memory, and the copies into it. */
bool sim_shared_prepare(size_t bytes);
bool sim_shared_sound(void);
bool sim_shared_holds(const void *address, size_t bytes);
void sim_copies_forget(struct sim_copies *copies);

/* sim_bulk.c: those of the copy engine. */
void sim_bulk_forget(void);

/* Lets the others run: this thread has something to wait for. */
void sim_give_turn(void);

/* sim_banks.c: what threads touch of shared memory, while a test wants to know. */
extern int sim_watching_banks;
void sim_banks_note(const void *address, int width, enum fgsim_access kind);
void sim_banks_end_cta(void);

/* sim_order.c: whose turn it is. */
void sim_order_begin_launch(int threads, uint64_t ctas);
uint64_t sim_order_cta(uint64_t turn);
int sim_order_thread(int turn);
bool sim_order_by_warps(void);

#endif
