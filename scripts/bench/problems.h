/*
 * The problems that the bench measures, with the bars that they are held to on the H200: the one list.
 *
 * PROBLEM(name, operands, m, n, k, batch, bar_ieee, bar_fp32, bar_tf32)
 *   Row-major, as PyTorch shapes read: C[m,n] = op(A) op(B); operands "TN" is A transposed, B as it is.
 *   A bar is the time of cuBLAS over ours that is wanted (fp32 for contracts ieee and fp32, TF32 for tf32); 0: none,
 *   and the problem is not in that contract's default set.
 */
#ifndef FASTGEMM_BENCH_PROBLEMS_H
#define FASTGEMM_BENCH_PROBLEMS_H

#include "../../policy/problem.h"

#define BENCH_PROBLEMS(PROBLEM)                                                                                        \
    PROBLEM("huge_k", "NN", 256, 256, 524288, 1, 1.06, 2.0, 1.25)                                                      \
    PROBLEM("huge_k_333", "NN", 333, 777, 55555, 1, 1.2, 0, 1.8)                                                       \
    PROBLEM("huge_k_100", "NN", 100, 100, 1000000, 1, 1.3, 0, 1.5)                                                     \
    PROBLEM("transposed", "TT", 2048, 4096, 8192, 1, 1.08, 2.8, 0)                                                     \
    PROBLEM("transposed_tn", "TN", 2048, 4096, 8192, 1, 0, 0, 1.25)                                                    \
    PROBLEM("transposed_odd", "TT", 2049, 1025, 1025, 1, 0, 0, 2.0)                                                    \
    PROBLEM("irregular", "NN", 8205, 5921, 2949, 1, 1.18, 2.5, 2.5)                                                    \
    PROBLEM("irregular_4097", "NN", 4097, 4097, 4097, 1, 0, 2.5, 2.4)                                                  \
    PROBLEM("irregular_1023", "NN", 1023, 1023, 1023, 1, 1.35, 0, 1.5)                                                 \
    PROBLEM("outer_product", "NN", 32768, 32768, 32, 1, 1.8, 2.1, 1.2)                                                 \
    PROBLEM("outer_product_64", "NN", 32768, 32768, 64, 1, 0, 0, 1.2)                                                  \
    PROBLEM("square_4096_nn", "NN", 4096, 4096, 4096, 1, 1.06, 2.8, 1.0)                                               \
    PROBLEM("square_4096_nt", "NT", 4096, 4096, 4096, 1, 1.06, 2.8, 1.0)                                               \
    PROBLEM("square_4096_tn", "TN", 4096, 4096, 4096, 1, 1.06, 2.8, 1.25)                                              \
    PROBLEM("square_4096_tt", "TT", 4096, 4096, 4096, 1, 1.06, 2.8, 1.0)                                               \
    PROBLEM("square_8192", "NN", 8192, 8192, 8192, 1, 0, 3.2, 1.0)                                                     \
    PROBLEM("square_2048", "NN", 2048, 2048, 2048, 1, 0, 2.0, 0)                                                       \
    PROBLEM("square_1536", "NN", 1536, 1536, 1536, 1, 1.2, 1.8, 1.3)                                                   \
    PROBLEM("square_1024", "NN", 1024, 1024, 1024, 1, 1.35, 1.5, 1.1)                                                  \
    PROBLEM("square_1000", "NN", 1000, 1000, 1000, 1, 1.2, 0, 0)                                                       \
    PROBLEM("gpt_mlp_up", "NT", 8192, 3072, 768, 1, 0, 2.0, 0)                                                         \
    PROBLEM("gpt_mlp_down", "NT", 8192, 768, 3072, 1, 0, 2.0, 0)                                                       \
    PROBLEM("gpt_vocabulary", "NT", 8192, 50257, 768, 1, 0, 2.4, 2.2)                                                  \
    PROBLEM("gpt_weight_grad", "TN", 768, 3072, 65536, 1, 1.0, 2.2, 1.9)                                               \
    PROBLEM("batched_512", "NN", 512, 512, 512, 64, 1.05, 1.8, 0)                                                      \
    PROBLEM("batched_128", "NN", 128, 128, 128, 512, 1.3, 0, 1.3)                                                      \
    PROBLEM("batched_scores", "NT", 1024, 1024, 64, 96, 1.4, 0, 1.2)                                                   \
    PROBLEM("batched_odd", "NN", 255, 257, 129, 100, 1.6, 0, 1.5)                                                      \
    PROBLEM("batched_2048", "NN", 2048, 2048, 2048, 8, 0, 2.2, 0)                                                      \
    PROBLEM("skinny_7", "NN", 7, 4096, 4096, 1, 1.2, 0, 0)                                                             \
    PROBLEM("skinny_16", "NN", 16, 16384, 4096, 1, 1.2, 0, 0)                                                          \
    PROBLEM("skinny_64", "NN", 65536, 64, 1024, 1, 1.2, 0, 0)

struct bench_problem {
    char name[48];
    struct gemm_problem gemm; /* column-major; alignments are set when its buffers exist */
    double bar;               /* 0: none */
};

struct bench_list {
    struct bench_problem *at;
    int count;
};

/* Adds the profile set of one contract: the problems above that have a bar there. `only` filters by name, may be NULL.
 */
void bench_list_profiles(struct bench_list *list, enum gemm_contract contract, const char *only);

/*
 * Adds the problem or the sweep that a line describes (bench_problem_help); NULL, or what is wrong with the line. An
 * empty line or one of comment adds nothing.
 */
const char *bench_list_line(struct bench_list *list, enum gemm_contract contract, const char *line);

/* Writes a problem as such a line, with its name as comment. */
void bench_problem_line(const struct bench_problem *problem, char *out, size_t size);

extern const char bench_problem_help[];

#endif
